//! Surrogate keys: words that an origin puts on its responses, so that all with the same word can be purged at once.
//!
//! There is no standard for them. `Surrogate-Key` has them separated by white space, `Cache-Tag` by commas, as the content
//! delivery networks do that gave them these names. They are stored with the response and are not for clients.

use http::{HeaderMap, HeaderName};

use super::head::Head;

/// Words separated by white space.
pub const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");

/// Words separated by commas.
pub const CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");

/// All tags of a head.
pub(super) fn of(head: &Head) -> impl Iterator<Item = &[u8]> {
    let keys = head
        .get_all("surrogate-key")
        .flat_map(|line| line.split(u8::is_ascii_whitespace));
    let tags = head
        .get_all("cache-tag")
        .flat_map(|line| line.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii);
    keys.chain(tags).filter(|tag| !tag.is_empty())
}

/// Takes the tags off a head that goes to a client.
pub fn strip(headers: &mut HeaderMap) {
    headers.remove(SURROGATE_KEY);
    headers.remove(CACHE_TAG);
}

#[cfg(test)]
mod tests {
    use super::super::tests::header_map;
    use super::*;

    #[test]
    fn both_fields_and_all_their_lines_count() {
        let headers = header_map(&[
            ("surrogate-key", " a b\tc "),
            ("surrogate-key", "d"),
            ("cache-tag", "e, f f,,g"),
        ]);
        let head = Head::from(&headers);
        let tags: Vec<_> = of(&head).collect();
        assert_eq!(tags, [&b"a"[..], b"b", b"c", b"d", b"e", b"f f", b"g"]);
        let mut stripped = headers;
        strip(&mut stripped);
        assert!(stripped.is_empty());
    }
}
