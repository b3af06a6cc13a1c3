//! Transformations against what the reference manual of ModSecurity says of them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;

/// Transformation, input, output.
const CASES: &[(&str, &[u8], &[u8])] = &[
    // Base64: strict, which ends at what is none, and forgiving, which reads over it.
    ("base64Decode", b"", b""),
    ("base64Decode", b"dGVz dA==", b"tes"),
    ("base64DecodeExt", b"dGVz dA==", b"test"),
    ("base64DecodeExt", b"dGVz.dA==", b"test"),
    ("base64Encode", b"", b""),
    ("base64Encode", b"ab", b"YWI="),
    ("base64Encode", b"\xff\xfe", b"//4="),
    // A command line as shells see it: without escapes and quotes, one blank for each gap and none before a slash or bracket.
    ("cmdLine", b"Foo,Bar;baz", b"foo bar baz"),
    ("cmdLine", b"c^at /etc/pass\"wd\"", b"cat/etc/passwd"),
    ("cmdLine", b"a  \t b", b"a b"),
    ("compressWhitespace", b"\x0b\x0c a", b" a"),
    ("compressWhitespace", b"abc", b"abc"),
    // CSS: one to six digits, and one blank behind them belongs to the escape.
    ("cssDecode", b"\\6a avascript", b"javascript"),
    ("cssDecode", b"\\00006aavascript", b"javascript"),
    ("cssDecode", b"abc", b"abc"),
    // ANSI C.
    (
        "escapeSeqDecode",
        b"\\a\\b\\f\\n\\r\\t\\v",
        b"\x07\x08\x0c\x0a\x0d\x09\x0b",
    ),
    ("escapeSeqDecode", b"\\?\\'\\\"\\\\", b"?'\"\\"),
    ("escapeSeqDecode", b"\\x3cscript\\x3E", b"<script>"),
    ("escapeSeqDecode", b"\\18", b"\x018"),
    ("hexDecode", b"", b""),
    ("hexDecode", b"4a4B", b"JK"),
    ("hexEncode", b"\xff", b"ff"),
    ("hexEncode", b"", b""),
    // HTML: named, decimal, hexadecimal, with and without a semicolon.
    ("htmlEntityDecode", b"&quot;&amp;&lt;&gt;&nbsp;", b"\"&<>\xa0"),
    ("htmlEntityDecode", b"&#60&#x3C", b"<<"),
    ("htmlEntityDecode", b"&", b"&"),
    ("htmlEntityDecode", b"&;&#;&#x;", b"&;&#;&#x;"),
    ("htmlEntityDecode", b"&LT;", b"<"),
    ("htmlEntityDecode", b"AT&T", b"AT&T"),
    // JavaScript.
    ("jsDecode", b"\\u003cscript\\u003e", b"<script>"),
    ("jsDecode", b"\\b\\f\\n\\r\\t\\v", b"\x08\x0c\x0a\x0d\x09\x0b"),
    ("jsDecode", b"\\0\\60", b"\x000"),
    ("jsDecode", b"\\'\\\"\\/", b"'\"/"),
    ("length", "é".as_bytes(), b"2"),
    ("lowercase", b"", b""),
    ("lowercase", b"@[`{", b"@[`{"),
    ("uppercase", b"@[`{\xe9", b"@[`{\xe9"),
    // Paths.
    ("normalizePath", b"/", b"/"),
    ("normalizePath", b"/./", b"/"),
    ("normalizePath", b"/dir//foo", b"/dir/foo"),
    ("normalizePath", b"/dir/foo", b"/dir/foo"),
    ("normalizePath", b"dir/foo/", b"dir/foo/"),
    ("normalizePath", b"dir/../foo", b"foo"),
    ("normalizePath", b"dir/./.././../../foo/bar", b"../../foo/bar"),
    ("normalizePath", b"a\\..\\b", b"a\\..\\b"),
    ("normalizePathWin", b"\\dir\\..\\foo", b"/foo"),
    ("normalizePathWin", b"c:\\dir\\\\foo", b"c:/dir/foo"),
    ("normalizePathWin", b"..\\..\\a", b"../../a"),
    // Comments: of C, of HTML, of SQL.
    ("removeComments", b"a/*b*/c/*d*/e", b"ace"),
    ("removeComments", b"/**/", b""),
    ("replaceComments", b"/* a */", b" "),
    ("replaceComments", b"a/* b */c/* d */e", b"a c e"),
    ("replaceComments", b"a /", b"a /"),
    ("removeCommentsChar", b"/*--#", b""),
    ("removeCommentsChar", b"a-b/c*d", b"a-b/c*d"),
    ("removeNulls", b"\0", b""),
    ("replaceNulls", b"\0\0", b"  "),
    ("removeWhitespace", b" \t\n\r\x0b\x0c", b""),
    ("sqlHexDecode", b"0x61", b"a"),
    ("sqlHexDecode", b"0x6", b"0x6"),
    ("sqlHexDecode", b"a0x6162 0x63", b"aab c"),
    ("trim", b"\x0b a \x0c", b"a"),
    ("trim", b" \t ", b""),
    ("trimLeft", b"\t\n a", b"a"),
    ("trimLeft", b"a ", b"a "),
    ("trimRight", b"a\t\n ", b"a"),
    ("trimRight", b" a", b" a"),
    // URL encodings: one level at a time, and what is none stays.
    ("urlDecode", b"%00", b"\0"),
    ("urlDecode", b"%2525", b"%25"),
    ("urlDecode", b"%", b"%"),
    ("urlDecode", b"%u0041", b"%u0041"),
    ("urlDecodeUni", b"%00+%2525", b"\0 %25"),
    ("urlDecodeUni", b"%u", b"%u"),
    ("urlDecodeUni", b"%uzzzz", b"%uzzzz"),
    ("urlDecodeUni", b"%U0041", b"A"),
    ("urlDecodeUni", b"%u2215", b"\x15"),
    ("urlEncode", b"-_.", b"%2d%5f%2e"),
    ("urlEncode", b"aZ09*", b"aZ09*"),
    ("urlEncode", b"\xe9", b"%e9"),
    ("utf8toUnicode", b"abc", b"abc"),
    ("utf8toUnicode", "ａ".as_bytes(), b"%uff41"),
];

#[test]
fn what_the_manual_says_holds() {
    let mut wrong = Vec::new();
    for (name, input, output) in CASES {
        let transformation = &ALL[find(name).unwrap()];
        let result = match transformation.apply(input, &ByteSet::present_in(input), None) {
            Transformed::Unchanged => input.to_vec(),
            Transformed::Changed(result) => result,
        };
        if result != *output {
            wrong.push(format!(
                "{name} of \"{}\": \"{}\"",
                input.escape_ascii(),
                result.escape_ascii()
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_map_says_what_wide_characters_become() {
    let map = UnicodeMap::parse(b"20127 (US-ASCII)\n2215:2f 2039:3c\n", 20127).unwrap();
    for (name, input, output) in [
        ("urlDecodeUni", &b"%u2215%u2039%uff1c%u0141+%41"[..], &b"/<<A A"[..]),
        ("jsDecode", b"\\u2215", b"\x15"),
        ("urlDecode", b"%u2215", b"%u2215"),
    ] {
        let result = match ALL[find(name).unwrap()].apply(input, &ByteSet::present_in(input), Some(&map)) {
            Transformed::Unchanged => input.to_vec(),
            Transformed::Changed(result) => result,
        };
        assert_eq!(
            result.escape_ascii().to_string(),
            output.escape_ascii().to_string(),
            "{name}"
        );
    }
}
