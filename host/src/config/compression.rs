//! What `[compression]` says.

/// Compression of responses, on the routes that ask for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compression {
    /// Offered to clients, the best first. Default zstd, br, gzip.
    pub codings: Vec<Coding>,
    /// What is compressed.
    pub types: Vec<MediaType>,
    /// Smaller responses are left as they are, in bytes. Default 1 KiB.
    pub min_size: u64,
    /// 1 to 9. Default 5.
    pub gzip_level: u32,
    /// 0 to 11. Default 4.
    pub brotli_level: u32,
    /// 1 to 19. Default 3.
    pub zstd_level: i32,
}

/// A content coding (RFC 9110 §8.4.1, RFC 7932, RFC 8878).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// `zstd`.
    Zstd,
    /// `br`.
    Brotli,
    /// `gzip`.
    Gzip,
}

impl Coding {
    /// All of them, the best first.
    pub const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// As it stands in headers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// By its name, which knows no case.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        // RFC 9110 §8.4.1.3.
        if name.eq_ignore_ascii_case(b"x-gzip") {
            return Some(Self::Gzip);
        }
        Self::ALL
            .into_iter()
            .find(|coding| name.eq_ignore_ascii_case(coding.as_str().as_bytes()))
    }
}

/// A media type in the configuration, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaType {
    /// `text/html`.
    Exact(String),
    /// `text/*`: the type with its slash.
    Type(String),
    /// `*+json`: the suffix with its plus.
    Suffix(String),
}

impl MediaType {
    /// Reads `text/html`, `text/*` or `*+json`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let is_name = |name: &str| {
            let byte = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
            !name.is_empty() && name.bytes().all(byte)
        };
        if let Some(suffix) = lower.strip_prefix("*+") {
            return is_name(suffix).then(|| Self::Suffix(format!("+{suffix}")));
        }
        let (kind, subtype) = lower.split_once('/')?;
        match subtype {
            "*" => is_name(kind).then(|| Self::Type(format!("{kind}/"))),
            subtype => (is_name(kind) && is_name(subtype)).then(|| Self::Exact(lower.clone())),
        }
    }

    /// Whether a type without its parameters is meant.
    #[must_use]
    pub fn fits(&self, essence: &str) -> bool {
        let (text, part) = match self {
            Self::Exact(text) => (text, Some(essence)),
            Self::Type(text) => (text, essence.get(..text.len())),
            Self::Suffix(text) => {
                let start = essence.len().checked_sub(text.len());
                (text, start.and_then(|start| essence.get(start..)))
            }
        };
        part.is_some_and(|part| part.eq_ignore_ascii_case(text))
    }
}

/// What is compressed where nothing else is said: what compresses well, and is not compressed by its own format.
const DEFAULT_TYPES: [&str; 11] = [
    "text/*",
    "*+json",
    "*+xml",
    "application/json",
    "application/javascript",
    "application/xml",
    "application/wasm",
    "application/x-ndjson",
    "application/vnd.ms-fontobject",
    "font/ttf",
    "font/otf",
];

impl Default for Compression {
    fn default() -> Self {
        Self {
            codings: Coding::ALL.into(),
            types: DEFAULT_TYPES.iter().filter_map(|text| MediaType::parse(text)).collect(),
            min_size: 1024,
            gzip_level: 5,
            brotli_level: 4,
            zstd_level: 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types() {
        let types = Compression::default().types;
        assert_eq!(types.len(), DEFAULT_TYPES.len(), "all of them can be read");
        let listed = |essence: &str| types.iter().any(|listed| listed.fits(essence));
        for essence in [
            "text/html",
            "Text/CSS",
            "application/ld+json",
            "image/svg+xml",
            "APPLICATION/JSON",
        ] {
            assert!(listed(essence), "{essence}");
        }
        for essence in ["", "text", "image/png", "application/jsonp", "é", "application/zip"] {
            assert!(!listed(essence), "{essence}");
        }
        for text in [
            "",
            "text",
            "*/*",
            "*",
            "/",
            "text/",
            "/html",
            "text/a b",
            "*+",
            "te*t/html",
        ] {
            assert_eq!(MediaType::parse(text), None, "{text}");
        }
    }
}
