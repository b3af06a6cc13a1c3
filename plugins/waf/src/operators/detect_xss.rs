//! `@detectXSS`: the value reads as HTML that runs a script, by libinjection's walk over tags and attributes. `capture` keeps the
//! value.

use super::Test;
use crate::bytes::ByteSet;
use crate::seclang::Files;

/// A script needs a tag, or an attribute with a value.
pub(super) const NEEDED: ByteSet = ByteSet::EMPTY.with(b'<').with(b'=');

pub(super) fn build(_argument: &str, _files: &dyn Files) -> Result<Test, String> {
    Ok(Test::Xss)
}

/// Whether it does.
pub(super) fn is_found(value: &[u8], present: &ByteSet) -> bool {
    NEEDED.intersects(present) && libinjectionrs::detect_xss(value).is_injection()
}

#[cfg(test)]
mod tests {
    /// What lets values pass unread must never hide a match.
    #[test]
    fn nothing_is_found_without_a_tag_or_an_attribute_with_a_value() {
        let parts: [&[u8]; 12] = [
            b"onerror",
            b"script",
            b"style",
            b"javascript:",
            b"xmlns",
            b"!doctype",
            b"\"",
            b"'",
            b"`",
            b" ",
            b"/",
            b">",
        ];
        let mut seed = 11u64;
        for _ in 0..20_000 {
            let mut value = Vec::new();
            for _ in 0..8 {
                seed = seed
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                value.extend_from_slice(parts[(seed >> 33) as usize % parts.len()]);
            }
            assert!(
                !libinjectionrs::detect_xss(&value).is_injection(),
                "{}",
                String::from_utf8_lossy(&value)
            );
        }
    }

    /// What recurses, or looks at the same bytes again and again, would not come back from here.
    #[test]
    fn long_values_take_linear_time_and_little_stack() {
        for part in [
            "<",
            "</",
            "</>",
            "<>",
            "<a/",
            "/",
            "/ ",
            "<!",
            "<!--",
            "<?",
            "<%",
            "a=",
            "a='",
            "a=\"x\"",
            "a=`",
            "<a ",
            "<a>",
            "\0",
            "<\0",
            "on",
            "-",
            "<![CDATA[",
            "a/=",
            "&#x",
        ] {
            for end in ["", "=", "<a b='", ">"] {
                let value = format!("{}{end}", part.repeat(20_000));
                let _ = libinjectionrs::detect_xss(value.as_bytes());
            }
        }
    }

    #[test]
    fn any_bytes_are_read_without_harm() {
        let alphabet = b"<>=/!-?%'\"` ax\0on[]CDATA\xff&#;:";
        let mut seed = 3u64;
        for _ in 0..50_000 {
            let mut value = Vec::new();
            for _ in 0..16 {
                seed = seed
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                value.push(alphabet[(seed >> 33) as usize % alphabet.len()]);
            }
            let _ = libinjectionrs::detect_xss(&value);
        }
    }
}
