//! Loop protection between caches that forward to each other (RFC 8586): each adds its name to `CDN-Loop`, and refuses a request
//! that has been with it before.

use http::HeaderMap;
use http::header::HeaderName;

use super::Refusal;

/// The field.
pub const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

/// Refuses what has been here.
///
/// # Errors
/// [`Refusal::Loop`].
pub fn check(headers: &HeaderMap, own: &str) -> Result<(), Refusal> {
    let lines = headers.get_all(CDN_LOOP).iter();
    let mut names = lines.flat_map(|line| members(line.as_bytes())).map(name);
    if names.any(|name| name.eq_ignore_ascii_case(own.as_bytes())) {
        return Err(Refusal::Loop);
    }
    Ok(())
}

/// The members of a list; a comma in a quoted parameter parts nothing.
fn members(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    let mut escaped = false;
    line.split(move |byte| {
        let after_backslash = std::mem::take(&mut escaped);
        match byte {
            b'\\' if quoted && !after_backslash => escaped = true,
            b'"' if !after_backslash => quoted = !quoted,
            _ => {}
        }
        *byte == b',' && !quoted
    })
}

/// The cdn-id before a member's parameters.
fn name(member: &[u8]) -> &[u8] {
    let end = member.iter().position(|byte| *byte == b';').unwrap_or(member.len());
    member.get(..end).unwrap_or_default().trim_ascii()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn rfc8586_2_a_request_that_has_been_here() {
        for (lines, looped) in [
            (&[][..], false),
            (&["other"], false),
            (&["edge.example"], true),
            (&["Edge.Example"], true),
            (&["other, edge.example ; abc=1, third"], true),
            (&["other", "edge.example;abc=\"x\""], true),
            (&["edge.example:8080"], false),
            (&["my-edge.example"], false),
            (&["other; note=\"a, edge.example, b\""], false),
            (&["other; note=\"a\\\", edge.example\""], false),
            (&["other; note=\"a\\\\\", edge.example"], true),
            (&[",,edge.example"], true),
        ] {
            let headers: HeaderMap = lines.iter().map(|line| (CDN_LOOP, line.parse().unwrap())).collect();
            assert_eq!(check(&headers, "edge.example").is_err(), looped, "{lines:?}");
        }
    }
}
