//! Transformations (`t:lowercase`): how a value is normalised before an operator looks at it. One file each.
//!
//! A transformation says which bytes it can change ([`Touches`]). A value that holds none of them is its own result, which is
//! the common case for benign traffic and costs four `and`s.

mod base64_decode;
mod base64_decode_ext;
mod base64_encode;
mod cmd_line;
mod compress_whitespace;
mod css_decode;
mod escape_seq_decode;
mod fullwidth;
mod hex_decode;
mod hex_encode;
mod html_entity_decode;
mod js_decode;
mod length;
mod lowercase;
mod md5;
mod normalize_path;
mod normalize_path_win;
mod parity;
mod remove_comments;
mod remove_comments_char;
mod remove_nulls;
mod remove_whitespace;
mod replace_comments;
mod replace_nulls;
mod sha1;
mod sql_hex_decode;
mod trim;
mod trim_left;
mod trim_right;
pub mod unicode_map;
mod uppercase;
mod url_decode;
mod url_decode_uni;
mod url_encode;
mod utf8_to_unicode;

use crate::bytes::ByteSet;
use unicode_map::UnicodeMap;

/// A transformation: a name, and a function of bytes that cannot fail.
pub struct Transformation {
    /// As it stands in rules; names compare without case.
    pub name: &'static str,
    /// Which values it can change.
    pub touches: Touches,
    /// What it does.
    apply: fn(&[u8]) -> Vec<u8>,
}

/// Which values a transformation can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touches {
    /// Those that hold one of these bytes.
    Bytes(ByteSet),
    /// Any, even the empty one.
    Everything,
}

/// What became of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transformed {
    /// The value is its own result.
    Unchanged,
    /// This is the result.
    Changed(Vec<u8>),
}

/// Every transformation that there is. Other spellings are in [`ALIASES`].
pub static ALL: [Transformation; 35] = {
    const fn t(name: &'static str, touches: Touches, apply: fn(&[u8]) -> Vec<u8>) -> Transformation {
        Transformation { name, touches, apply }
    }
    [
        t("base64Decode", base64_decode::TOUCHES, base64_decode::apply),
        t("base64DecodeExt", base64_decode_ext::TOUCHES, base64_decode_ext::apply),
        t("base64Encode", base64_encode::TOUCHES, base64_encode::apply),
        t("cmdLine", cmd_line::TOUCHES, cmd_line::apply),
        t(
            "compressWhitespace",
            compress_whitespace::TOUCHES,
            compress_whitespace::apply,
        ),
        t("cssDecode", css_decode::TOUCHES, css_decode::apply),
        t("escapeSeqDecode", escape_seq_decode::TOUCHES, escape_seq_decode::apply),
        t("hexDecode", hex_decode::TOUCHES, hex_decode::apply),
        t("hexEncode", hex_encode::TOUCHES, hex_encode::apply),
        t(
            "htmlEntityDecode",
            html_entity_decode::TOUCHES,
            html_entity_decode::apply,
        ),
        t("jsDecode", js_decode::TOUCHES, js_decode::apply),
        t("length", length::TOUCHES, length::apply),
        t("lowercase", lowercase::TOUCHES, lowercase::apply),
        t("md5", md5::TOUCHES, md5::apply),
        t("normalizePath", normalize_path::TOUCHES, normalize_path::apply),
        t(
            "normalizePathWin",
            normalize_path_win::TOUCHES,
            normalize_path_win::apply,
        ),
        t("parityEven7bit", parity::TOUCHES, parity::even),
        t("parityOdd7bit", parity::TOUCHES, parity::odd),
        t("parityZero7bit", parity::TOUCHES_HIGH, parity::zero),
        t("removeComments", remove_comments::TOUCHES, remove_comments::apply),
        t(
            "removeCommentsChar",
            remove_comments_char::TOUCHES,
            remove_comments_char::apply,
        ),
        t("removeNulls", remove_nulls::TOUCHES, remove_nulls::apply),
        t("removeWhitespace", remove_whitespace::TOUCHES, remove_whitespace::apply),
        t("replaceComments", replace_comments::TOUCHES, replace_comments::apply),
        t("replaceNulls", replace_nulls::TOUCHES, replace_nulls::apply),
        t("sha1", sha1::TOUCHES, sha1::apply),
        t("sqlHexDecode", sql_hex_decode::TOUCHES, sql_hex_decode::apply),
        t("trim", trim::TOUCHES, trim::apply),
        t("trimLeft", trim_left::TOUCHES, trim_left::apply),
        t("trimRight", trim_right::TOUCHES, trim_right::apply),
        t("uppercase", uppercase::TOUCHES, uppercase::apply),
        t("urlDecode", url_decode::TOUCHES, url_decode::apply),
        t(url_decode_uni::NAME, url_decode_uni::TOUCHES, url_decode_uni::apply),
        t("urlEncode", url_encode::TOUCHES, url_encode::apply),
        t("utf8toUnicode", utf8_to_unicode::TOUCHES, utf8_to_unicode::apply),
    ]
};

/// Other spellings that rules use.
const ALIASES: [(&str, &str); 3] = [
    ("normalisePath", "normalizePath"),
    ("normalisePathWin", "normalizePathWin"),
    ("removeCommentChar", "removeCommentsChar"),
];

/// The index in [`ALL`] of a transformation by its name.
#[must_use]
pub fn find(name: &str) -> Option<usize> {
    let name = ALIASES
        .iter()
        .find(|(alias, _)| alias.eq_ignore_ascii_case(name))
        .map_or(name, |(_, name)| name);
    ALL.iter()
        .position(|transformation| transformation.name.eq_ignore_ascii_case(name))
}

/// Base64 as `t:base64Decode` reads it.
pub(crate) fn base64(text: &[u8]) -> Vec<u8> {
    base64_decode::apply(text)
}

impl Transformation {
    /// Transforms a value whose bytes are known. The map, where there is one, is for the transformation that makes bytes of wide
    /// characters.
    #[must_use]
    pub fn apply(&self, value: &[u8], present: &ByteSet, map: Option<&UnicodeMap>) -> Transformed {
        if !self.touches.concerns(present) {
            return Transformed::Unchanged;
        }
        let result = match map {
            Some(map) if self.name == url_decode_uni::NAME => url_decode_uni::apply_with(value, map),
            _ => (self.apply)(value),
        };
        if result == value {
            Transformed::Unchanged
        } else {
            Transformed::Changed(result)
        }
    }

    /// How long the digests are that it makes, in bytes; nothing where it makes none.
    #[must_use]
    pub fn digest_length(&self) -> Option<usize> {
        match self.name {
            "md5" => Some(16),
            "sha1" => Some(20),
            _ => None,
        }
    }

    /// The result for any value, also one that it does not concern.
    #[must_use]
    pub fn result(&self, value: &[u8]) -> Vec<u8> {
        (self.apply)(value)
    }
}

impl Touches {
    /// Whether a value made of these bytes may be changed.
    #[must_use]
    pub fn concerns(&self, present: &ByteSet) -> bool {
        match self {
            Self::Bytes(bytes) => bytes.intersects(present),
            Self::Everything => true,
        }
    }

    /// What two transformations after each other can change.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        match (self, other) {
            (Self::Bytes(a), Self::Bytes(b)) => Self::Bytes(a.union(b)),
            _ => Self::Everything,
        }
    }
}

impl std::fmt::Debug for Transformation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "t:{}", self.name)
    }
}

#[cfg(test)]
mod cases;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    /// Transformation, input, output: what the reference manual of ModSecurity describes, and the edges of it.
    const CASES: &[(&str, &[u8], &[u8])] = &[
        ("base64Decode", b"VGVzdENhc2U=", b"TestCase"),
        ("base64Decode", b"VGVzdENhc2Ux!VGVz", b"TestCase1"),
        ("base64Decode", b"VGVzdENhc2U", b"TestCase"),
        (
            "base64DecodeExt",
            b"P.HNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==",
            b"<script>alert(1)</script>",
        ),
        ("base64Encode", b"TestCase", b"VGVzdENhc2U="),
        ("base64Encode", b"a", b"YQ=="),
        ("cmdLine", b"C^ommand /C  \"dIR\" ; x", b"command/c dir x"),
        ("cmdLine", b"a\\b'c', (d", b"abc(d"),
        ("compressWhitespace", b"a \t\r\nb\xa0c d", b"a b c d"),
        ("cssDecode", b"te\\73 t\\\n\\z\\ff1c", b"testz<"),
        ("cssDecode", b"ja\\000076ascript", b"javascript"),
        ("cssDecode", b"a\\", b"a"),
        ("escapeSeqDecode", b"\\x41\\101\\n\\\\\\q", b"AA\n\\\\q"),
        ("hexDecode", b"414243", b"ABC"),
        ("hexEncode", b"AZ\x00", b"415a00"),
        (
            "htmlEntityDecode",
            b"&lt;&#x41;&#66;&#67&AMP;&nbsp;&bogus;&#;",
            b"<ABC&\xa0&bogus;&#;",
        ),
        (
            "htmlEntityDecode",
            b"&#0000000000000000000000065;&#x00000000000000041",
            b"AA",
        ),
        ("jsDecode", b"\\x41\\u0042\\uff1c\\103\\n\\q\\'", b"AB<C\nq'"),
        ("jsDecode", b"\\777", b"\x3f7"),
        ("length", b"", b"0"),
        ("length", b"hello", b"5"),
        ("lowercase", b"AbC\xc4", b"abc\xc4"),
        ("normalizePath", b"/foo/bar/.//..///../baz/", b"/baz/"),
        ("normalizePath", b"../../a", b"../../a"),
        ("normalizePath", b"dir/../../foo", b"../foo"),
        ("normalizePath", b"/../../etc/passwd", b"/etc/passwd"),
        ("normalizePath", b"./a/./b", b"a/b"),
        ("normalizePath", b"/foo/..", b"/"),
        ("normalizePathWin", b"c:\\a\\..\\b", b"c:/b"),
        ("parityEven7bit", b"ac\xe1\x00", b"\xe1c\xe1\x00"),
        ("parityOdd7bit", b"ac\xe1\x00", b"a\xe3a\x80"),
        ("parityZero7bit", b"a\xe1\xff", b"aa\x7f"),
        ("removeComments", b"a/* x */b", b"ab"),
        ("removeComments", b"a<!-- x -->b", b"ab"),
        ("removeComments", b"a -- b", b"a "),
        ("removeComments", b"a#b", b"a"),
        ("removeComments", b"a/* b", b"a "),
        ("removeCommentsChar", b"a/*b*/c--d#e<!--f-->g", b"abcdefg"),
        ("removeNulls", b"a\0b", b"ab"),
        ("removeWhitespace", b" a\t b\xa0\n", b"ab"),
        ("replaceComments", b"a/* x */b/* c", b"a b "),
        ("replaceComments", b"a*/b", b"a*/b"),
        ("replaceNulls", b"a\0b", b"a b"),
        ("sqlHexDecode", b"select 0x414243 0xg", b"select ABC 0xg"),
        ("trim", b" \ta b\n", b"a b"),
        ("trimLeft", b" a ", b"a "),
        ("trimRight", b" a ", b" a"),
        ("uppercase", b"aBc", b"ABC"),
        ("urlDecode", b"a%20b+c%zz%4", b"a b c%zz%4"),
        ("urlDecodeUni", b"%u0041%uff1c%41+%u12", b"A<A %u12"),
        ("urlEncode", b"a b/*", b"a+b%2f*"),
        ("utf8toUnicode", "aé€😀".as_bytes(), b"a%u00e9%u20ac%u1f600"),
        ("utf8toUnicode", b"\xff\xc3", b"\xff\xc3"),
    ];

    #[test]
    fn the_table_holds() {
        for (name, input, output) in CASES {
            let transformation = &ALL[find(name).unwrap()];
            let result = match transformation.apply(input, &ByteSet::present_in(input), None) {
                Transformed::Unchanged => input.to_vec(),
                Transformed::Changed(result) => result,
            };
            assert_eq!(
                result.escape_ascii().to_string(),
                output.escape_ascii().to_string(),
                "{name} of {:?}",
                String::from_utf8_lossy(input)
            );
        }
    }

    #[test]
    fn the_digests_are_those_of_the_standards() {
        for (name, input, digest) in [
            ("sha1", "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            ("sha1", "", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
            ("md5", "abc", "900150983cd24fb0d6963f7d28e17f72"),
            ("md5", "", "d41d8cd98f00b204e9800998ecf8427e"),
        ] {
            let value = (ALL[find(name).unwrap()].apply)(input.as_bytes());
            assert_eq!(String::from_utf8(hex_encode::apply(&value)).unwrap(), digest, "{name}");
            // Around the block size, where padding goes wrong first.
            for length in 54..=66 {
                let width = if name == "sha1" { 20 } else { 16 };
                assert_eq!((ALL[find(name).unwrap()].apply)(&vec![b'a'; length]).len(), width);
            }
        }
    }

    #[test]
    fn every_transformation_has_a_case() {
        let digests = ["sha1", "md5"];
        for transformation in &ALL {
            let named = |(name, _, _): &(&str, _, _)| *name == transformation.name;
            assert!(
                digests.contains(&transformation.name) || CASES.iter().any(named),
                "{transformation:?}"
            );
        }
    }

    /// What `touches` promises is what makes the engine fast, so it must be true: a value without those bytes never changes.
    #[test]
    fn a_value_without_the_bytes_that_are_touched_is_unchanged() {
        let mut seed = 0x9e37_79b9_7f4a_7c15u64;
        for transformation in &ALL {
            let Touches::Bytes(touched) = transformation.touches else {
                continue;
            };
            let harmless: Vec<u8> = touched.complement().iter().collect();
            for _ in 0..2000 {
                let mut value = Vec::new();
                for _ in 0..(seed % 24) {
                    seed = seed
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    value.push(harmless[(seed >> 33) as usize % harmless.len()]);
                }
                seed = seed.wrapping_add(0x1357_9bdf).rotate_left(7);
                assert_eq!((transformation.apply)(&value), value, "{transformation:?}");
            }
        }
    }

    #[test]
    fn nothing_panics_on_random_bytes() {
        let mut seed = 42u64;
        let alphabet = b"\\/%&#xu0fF;-*<!>.'\" \0\xc3\xa9\xe2\xf0A7+=";
        for _ in 0..5000 {
            let mut value = Vec::new();
            for _ in 0..12 {
                seed = seed
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                value.push(alphabet[(seed >> 33) as usize % alphabet.len()]);
            }
            for transformation in &ALL {
                let _ = (transformation.apply)(&value);
            }
        }
    }

    #[test]
    fn names_compare_without_case_and_have_aliases() {
        assert_eq!(find("LOWERCASE"), find("lowercase"));
        assert_eq!(find("normalisePathWin"), find("normalizePathWin"));
        assert_eq!(find("nothing"), None);
    }
}
