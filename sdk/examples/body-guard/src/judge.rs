//! What a body may be. Knows nothing of requests.

use serde_json::Value;

/// What is accepted.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) field: String,
    pub(crate) longest: usize,
}

/// What was decided about a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ruling {
    Accepted,
    TooLarge,
    NotJson,
    TooLong,
}

impl Limits {
    pub(crate) fn judge(&self, body: &[u8]) -> Ruling {
        let Ok(value) = serde_json::from_slice::<Value>(body) else {
            return Ruling::NotJson;
        };
        match value.get(&self.field).and_then(Value::as_str) {
            Some(text) if text.chars().count() > self.longest => Ruling::TooLong,
            _ => Ruling::Accepted,
        }
    }
}

impl Ruling {
    /// In the access log.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::TooLarge => "too large",
            Self::NotJson => "not JSON",
            Self::TooLong => "too long",
        }
    }

    /// The counter's name.
    pub(crate) fn metric(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::TooLarge => "refused_too_large",
            Self::NotJson => "refused_not_json",
            Self::TooLong => "refused_too_long",
        }
    }
}

/// `application/json` and everything that ends in `+json` (RFC 6839 §3.1), whatever the parameters.
pub(crate) fn is_json(content_type: &[u8]) -> bool {
    let essence = content_type
        .split(|&byte| byte == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii();
    let suffix = essence
        .len()
        .checked_sub(b"+json".len())
        .and_then(|start| essence.get(start..));
    essence.eq_ignore_ascii_case(b"application/json") || suffix.is_some_and(|end| end.eq_ignore_ascii_case(b"+json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_more_names_than_one() {
        for content_type in [
            "application/json",
            "Application/JSON ; charset=utf-8",
            "application/problem+json",
        ] {
            assert!(is_json(content_type.as_bytes()), "{content_type}");
        }
        for content_type in [
            "",
            "json",
            "text/html",
            "application/jsonp",
            "text/plain; a=application/json",
        ] {
            assert!(!is_json(content_type.as_bytes()), "{content_type}");
        }
    }

    #[test]
    fn depth_does_not_overflow_the_stack() {
        let limits = Limits {
            field: "a".to_owned(),
            longest: 1,
        };
        assert_eq!(limits.judge("[".repeat(1_000_000).as_bytes()), Ruling::NotJson);
    }
}
