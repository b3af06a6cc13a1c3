//! The entries of a host table: `/old,/new`, `/old,308 /new`, `/gone,410`.

use crate::target::{Origin, Target};

/// What the value of an entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where the value has one.
    pub status: Option<u16>,
    /// Nothing where the resource is gone.
    pub target: Option<Target>,
}

/// Reads a value: a status, a target, or both with a space between.
///
/// # Errors
/// What was found and what would be right.
pub fn parse_entry(value: &[u8]) -> Result<Entry, String> {
    let text = std::str::from_utf8(value)
        .map_err(|_| "the value is not UTF-8".to_owned())?
        .trim();
    let (status, target) = match text.split_once(' ') {
        Some((status, target)) => (Some(status), Some(target.trim_start())),
        None if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => (Some(text), None),
        None => (None, Some(text)),
    };
    let status = status
        .map(|status| parse_status(status, target.is_some()))
        .transpose()?;
    // A dollar in a table is a dollar: there is no pattern that could capture anything.
    let target = target
        .map(|target| Target::parse(&target.replace('$', "$$"), &()))
        .transpose()?;
    Ok(Entry { status, target })
}

fn parse_status(text: &str, has_target: bool) -> Result<u16, String> {
    match (text.parse(), has_target) {
        (Ok(status @ (301 | 302 | 303 | 307 | 308)), true) | (Ok(status @ 410), false) => Ok(status),
        _ => Err(format!(
            "\"{text}\" is not the status of a redirect: write 301, 302, 303, 307 or 308 and a target, or 410 alone"
        )),
    }
}

impl Entry {
    /// The origin that the target names, where there is a target.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        self.target.as_ref().map(Target::origin)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_a_status_a_target_or_both() {
        for (value, status, target) in [
            ("/new", None, Some("/new")),
            ("308 /new", Some(308), Some("/new")),
            ("302  https://example.org/$x", Some(302), Some("https://example.org/$x")),
            ("410", Some(410), None),
        ] {
            let entry = parse_entry(value.as_bytes()).unwrap();
            let written = entry
                .target
                .as_ref()
                .map(|target| String::from_utf8(target.expand(b"", |_| None)).unwrap());
            assert_eq!((entry.status, written.as_deref()), (status, target), "{value}");
        }
    }

    #[test]
    fn mistakes_say_what_would_be_right() {
        for (value, expected) in [
            (b"".as_slice(), "is not a target"),
            (b"200 /x", "is not the status of a redirect"),
            (b"301", "is not the status of a redirect"),
            (b"410 /x", "is not the status of a redirect"),
            (b"new", "is not a target"),
            (b"//evil.example", "is not a target"),
            (b"/a\nb", "cannot stand in a URL"),
            (&[0xff], "is not UTF-8"),
        ] {
            let problem = parse_entry(value).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(value in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = parse_entry(&value);
        }
    }
}
