//! What becomes of the request's query.

use crate::target::{Component, encode};

/// What becomes of the request's query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryMode {
    /// It follows the target, unless the target has a query of its own.
    Keep,
    /// It is left out.
    Drop,
    /// It follows the target's own.
    Append,
    /// It follows the target's own, without the parameters that the target names.
    Merge,
}

/// Adds the request's query to a target, in front of its fragment.
pub fn add(mode: QueryMode, request: Option<&[u8]>, url: &mut Vec<u8>) {
    let Some(request) = request.filter(|query| !query.is_empty() && mode != QueryMode::Drop) else {
        return;
    };
    let fragment_at = url.iter().position(|byte| *byte == b'#').unwrap_or(url.len());
    let fragment = url.split_off(fragment_at);
    let query_at = url.iter().position(|byte| *byte == b'?').map(|mark| mark + 1);
    match (mode, query_at) {
        (QueryMode::Drop, _) | (QueryMode::Keep, Some(_)) => {}
        (_, None) => {
            url.push(b'?');
            encode(request, Component::Query, url);
        }
        (QueryMode::Merge, Some(start)) => {
            let own: Vec<Vec<u8>> = names(url.get(start..).unwrap_or_default())
                .map(<[u8]>::to_vec)
                .collect();
            for parameter in request.split(|byte| *byte == b'&') {
                if !own.iter().any(|own| own.as_slice() == name(parameter)) {
                    separate(url);
                    encode(parameter, Component::Query, url);
                }
            }
        }
        (QueryMode::Append, Some(_)) => {
            separate(url);
            encode(request, Component::Query, url);
        }
    }
    url.extend_from_slice(&fragment);
}

fn names(query: &[u8]) -> impl Iterator<Item = &[u8]> {
    query.split(|byte| *byte == b'&').map(name)
}

fn name(parameter: &[u8]) -> &[u8] {
    parameter.split(|byte| *byte == b'=').next().unwrap_or_default()
}

fn separate(url: &mut Vec<u8>) {
    if !matches!(url.last(), Some(b'?' | b'&')) {
        url.push(b'&');
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn added(mode: QueryMode, target: &str, query: Option<&str>) -> String {
        let mut url = target.as_bytes().to_vec();
        add(mode, query.map(str::as_bytes), &mut url);
        String::from_utf8(url).unwrap()
    }

    #[test]
    fn modes() {
        use QueryMode::{Append, Drop, Keep, Merge};
        for (mode, target, query, url) in [
            (Keep, "/a", Some("x=1"), "/a?x=1"),
            (Keep, "/a#f", Some("x=1"), "/a?x=1#f"),
            (Keep, "/a?y=2", Some("x=1"), "/a?y=2"),
            (Keep, "/a?", Some("x=1"), "/a?"),
            (Keep, "/a", None, "/a"),
            (Keep, "/a", Some(""), "/a"),
            (Drop, "/a?y=2#f", Some("x=1"), "/a?y=2#f"),
            (Append, "/a?y=2#f", Some("y=1&x=1"), "/a?y=2&y=1&x=1#f"),
            (Append, "/a?", Some("x=1"), "/a?x=1"),
            (Append, "/a", Some("x=1"), "/a?x=1"),
            (Merge, "/a?y=2&z", Some("y=1&x=1&z=3&y"), "/a?y=2&z&x=1"),
            (Merge, "/a", Some("x=1"), "/a?x=1"),
        ] {
            assert_eq!(added(mode, target, query), url, "{mode:?} {target} {query:?}");
        }
    }

    #[test]
    fn what_cannot_stand_in_a_url_is_encoded() {
        assert_eq!(
            added(QueryMode::Keep, "/a", Some("x=a b\r\n\"%41")),
            "/a?x=a%20b%0D%0A%22%41"
        );
    }
}
