//! Hosts, in the notation of a bundle's matcher.

/// `example.org` is that host; `*.example.org` is every host below it, but not itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// This host, in lower case.
    Exact(String),
    /// Every host that ends with this, a dot in front, in lower case.
    Below(String),
}

impl HostPattern {
    /// Reads a pattern; letters lose their case.
    ///
    /// # Errors
    /// What was found and what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, below) = match text.strip_prefix('*') {
            Some(name) => (name.strip_prefix('.').unwrap_or_default(), true),
            None => (text, false),
        };
        if !is_host(name) {
            return Err(format!(
                "\"{text}\" is not a host: write for example example.org or *.example.org, without scheme, port or path"
            ));
        }
        let name = name.to_ascii_lowercase();
        Ok(if below {
            Self::Below(format!(".{name}"))
        } else {
            Self::Exact(name)
        })
    }

    /// Whether the host, in lower case and without port, fits.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => host == name,
            Self::Below(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
        }
    }
}

/// A name, an IPv4 address, or an IPv6 address in brackets, by its characters.
fn is_host(name: &str) -> bool {
    if let Some(address) = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    !name.is_empty()
        && name.split('.').all(|label| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_star_is_every_host_below() {
        let pattern = HostPattern::parse("*.Example.org").unwrap();
        assert!(pattern.matches("a.example.org"));
        assert!(pattern.matches("a.b.example.org"));
        assert!(!pattern.matches("example.org"));
        assert!(!pattern.matches("badexample.org"));
        assert!(!pattern.matches(".example.org"));
    }

    #[test]
    fn a_host_is_only_itself() {
        let pattern = HostPattern::parse("example.org").unwrap();
        assert!(pattern.matches("example.org"));
        assert!(!pattern.matches("www.example.org"));
    }

    #[test]
    fn what_is_not_a_host_is_refused() {
        for text in [
            "",
            "*",
            "*.",
            "*example.org",
            "https://example.org",
            "example.org:80",
            "example.org/a",
            "a..b",
            "a b",
            "[::g]",
        ] {
            assert!(
                HostPattern::parse(text).unwrap_err().contains("is not a host"),
                "{text}"
            );
        }
        assert!(HostPattern::parse("[::1]").is_ok());
    }
}
