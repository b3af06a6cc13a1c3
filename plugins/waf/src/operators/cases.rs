//! Operators against what the reference manual of ModSecurity says of them: for each one what is on either side of its border.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::seclang::NoFiles;
use Outcome::{Match, NoMatch};

/// Operator, argument, value, outcome.
const CASES: &[(&str, &str, &[u8], Outcome)] = &[
    // Texts: the whole of the argument, in its own case.
    ("beginsWith", "/admin", b"/admin", Match),
    ("beginsWith", "/admin", b"/adm", NoMatch),
    ("beginsWith", "/admin", b"x/admin", NoMatch),
    ("beginsWith", "/admin", b"", NoMatch),
    ("contains", "../", b"../", Match),
    ("contains", "../", b"..", NoMatch),
    ("contains", "UNION", b"union", NoMatch),
    ("containsWord", "word", b"word", Match),
    ("containsWord", "word", b"a word.", Match),
    ("containsWord", "word", b"(word)", Match),
    ("containsWord", "word", b"passwords", NoMatch),
    ("containsWord", "word", b"wordy sword", NoMatch),
    ("endsWith", ".php", b".php", Match),
    ("endsWith", ".php", b"php", NoMatch),
    ("endsWith", ".php", b"x.PHP", NoMatch),
    ("streq", "GET", b"GETS", NoMatch),
    ("streq", "GET", b"", NoMatch),
    ("strmatch", "WebZIP", b"webzip", NoMatch),
    // The value has to lie in the argument.
    ("within", "GET,POST,HEAD", b"GET", Match),
    ("within", "GET,POST,HEAD", b"get", NoMatch),
    ("within", "GET,POST,HEAD", b"OPTIONS", NoMatch),
    ("within", "GET", b"GETS", NoMatch),
    // Numbers: what is no number is 0, and what follows one does not count.
    ("eq", "0", b"", Match),
    ("eq", "0", b"abc", Match),
    ("eq", "5", b"5abc", Match),
    ("eq", "-1", b"-1", Match),
    ("eq", "5", b"50", NoMatch),
    ("ge", "5", b"6", Match),
    ("ge", "0", b"abc", Match),
    ("gt", "0", b"abc", NoMatch),
    ("gt", "-2", b"-1", Match),
    ("le", "5", b"4", Match),
    ("lt", "1", b"abc", Match),
    ("lt", "0", b"0", NoMatch),
    // Addresses and networks, of both families.
    ("ipMatch", "192.0.2.1", b"192.0.2.1", Match),
    ("ipMatch", "192.0.2.1", b"192.0.2.10", NoMatch),
    ("ipMatch", "192.0.2.0/24", b"192.0.2.255", Match),
    ("ipMatch", "192.0.2.0/24", b"192.0.3.0", NoMatch),
    ("ipMatch", "2001:db8::/32", b"2001:db8:ffff::1", Match),
    ("ipMatch", "2001:db8::/32", b"2001:db9::1", NoMatch),
    ("ipMatch", "192.0.2.1,2001:db8::1", b"2001:DB8:0::1", Match),
    // Phrases, in any case and anywhere.
    ("pm", "abc bcd", b"xBCDx", Match),
    ("pm", "abc bcd", b"ab cd", NoMatch),
    ("pm", "|00|evil", b"\0evil", Match),
    // Patterns: bytes, a dot for any of them, in the case in which they are written.
    ("rx", "^$", b"", Match),
    ("rx", "b", b"abc", Match),
    ("rx", "^b", b"abc", NoMatch),
    ("rx", "ABC", b"abc", NoMatch),
    ("rx", "^.$", b"\xe9", Match),
    ("rx", "\\bunion\\b", b"a union b", Match),
    ("rx", "\\bunion\\b", b"reunion", NoMatch),
    ("rx", "[\\x00-\\x08]", b"a\x01", Match),
    ("rxGlobal", "a", b"b", NoMatch),
    ("unconditionalMatch", "", b"anything", Match),
    ("noMatch", "", b"", NoMatch),
    // What validates matches where something is wrong.
    ("validateByteRange", "1-255", b"\0", Match),
    ("validateByteRange", "1-255", b"\xff", NoMatch),
    ("validateByteRange", "10,13,32-126", b"a\r\nb", NoMatch),
    ("validateByteRange", "10,13,32-126", b"a\x7f", Match),
    ("validateByteRange", "65-90", b"", NoMatch),
    ("validateUrlEncoding", "", b"", NoMatch),
    ("validateUrlEncoding", "", b"a+b", NoMatch),
    ("validateUrlEncoding", "", b"%41%zz", Match),
    ("validateUrlEncoding", "", b"100%", Match),
    ("validateUtf8Encoding", "", b"", NoMatch),
    ("validateUtf8Encoding", "", "😀".as_bytes(), NoMatch),
    ("validateUtf8Encoding", "", b"\x80", Match),
    ("validateUtf8Encoding", "", b"\xe2\x82", Match),
    ("validateUtf8Encoding", "", b"\xe0\x80\xaf", Match),
    ("validateUtf8Encoding", "", b"\xed\xa0\x80", Match),
    ("validateUtf8Encoding", "", b"\xf5\x80\x80\x80", Match),
    // Numbers with check digits.
    ("verifyCC", "\\d{15,16}", b"378282246310005", Match),
    ("verifyCC", "\\d{15,16}", b"1234567890123456", NoMatch),
    ("verifyCC", "\\d{15,16}", b"no card", NoMatch),
    ("verifyCPF", "\\d{11}", b"52998224725", Match),
    ("verifySSN", "\\d{9}", b"000051120", NoMatch),
    // What somebody else would have to be asked.
    ("geoLookup", "", b"192.0.2.1", NoMatch),
    ("gsbLookup", "", b"http://example.org/", NoMatch),
    ("rbl", "dnsbl.example", b"not an address", NoMatch),
    // SQL as it is injected: out of a string, out of a number, after a comment.
    ("detectSQLi", "", b"' OR 1=1 --", Match),
    ("detectSQLi", "", b"' or ''='", Match),
    ("detectSQLi", "", b"\" or \"\"=\"", Match),
    ("detectSQLi", "", b"admin'--", Match),
    ("detectSQLi", "", b"1 OR 1=1", Match),
    ("detectSQLi", "", b"1; DROP TABLE users", Match),
    ("detectSQLi", "", b"x' UNION SELECT NULL,NULL--", Match),
    ("detectSQLi", "", b"1/**/union/**/select/**/1", Match),
    ("detectSQLi", "", b"1' AND SLEEP(5)#", Match),
    (
        "detectSQLi",
        "",
        b"1 union select load_file(0x2f6574632f706173737764)",
        Match,
    ),
    ("detectSQLi", "", b"1;waitfor delay '0:0:5'--", Match),
    ("detectSQLi", "", b"hello world", NoMatch),
    ("detectSQLi", "", b"john@example.org", NoMatch),
    ("detectSQLi", "", b"2026-01-31", NoMatch),
    ("detectSQLi", "", b"Please select a union from the list", NoMatch),
    ("detectSQLi", "", b"42", NoMatch),
    // Markup as it is injected: into text, into a value in either kind of quotes or none.
    ("detectXSS", "", b"<img src=x onerror=alert(1)>", Match),
    ("detectXSS", "", b"<svg onload=alert(1)>", Match),
    ("detectXSS", "", b"<SCRIPT SRC=//x></SCRIPT>", Match),
    ("detectXSS", "", b"<iframe src=//x>", Match),
    ("detectXSS", "", b"<a href=javascript:alert(1)>", Match),
    ("detectXSS", "", b"<style>a</style>", Match),
    ("detectXSS", "", b"' onmouseover=alert(1) '", Match),
    ("detectXSS", "", b"\" onmouseover=alert(1) \"", Match),
    ("detectXSS", "", b"x onmouseover=alert(1) ", Match),
    ("detectXSS", "", b"<!doctype html>", Match),
    ("detectXSS", "", b"", NoMatch),
    ("detectXSS", "", b"<p>text</p>", NoMatch),
    ("detectXSS", "", b"<a href=\"https://example.org/\">x</a>", NoMatch),
    ("detectXSS", "", b"javascript is a language", NoMatch),
    ("detectXSS", "", b"if a < b then c > d", NoMatch),
];

#[test]
fn what_the_manual_says_holds() {
    let mut wrong = Vec::new();
    for (name, argument, value, outcome) in CASES {
        let (test, _) = build(name, argument, &NoFiles).unwrap();
        let asked = test.ask(value, &ByteSet::present_in(value), argument.as_bytes());
        if asked != *outcome {
            wrong.push(format!("@{name} {argument} of \"{}\": {asked:?}", value.escape_ascii()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Each operator has a value that it matches and one that it does not, here or in the table beside it, but those that always answer
/// the same.
#[test]
fn both_answers_of_each_operator_are_shown() {
    let constant = [
        "unconditionalMatch",
        "noMatch",
        "rbl",
        "geoLookup",
        "gsbLookup",
        "fuzzyHash",
    ];
    for kind in KINDS {
        for outcome in [Match, NoMatch] {
            let cases = || CASES.iter().chain(super::tests::CASES);
            let shown = cases().any(|(name, _, _, shown)| (*name, *shown) == (kind.name, outcome));
            let alike = cases().any(|(name, _, _, shown)| same_test(name, kind.name) && *shown == outcome);
            assert!(
                constant.contains(&kind.name) || shown || alike,
                "@{} {outcome:?}",
                kind.name
            );
        }
    }
}

/// Two names of one operator.
fn same_test(one: &str, other: &str) -> bool {
    [("pmF", "pmFromFile"), ("ipMatchF", "ipMatchFromFile")]
        .iter()
        .any(|pair| [(one, other), (other, one)].contains(pair))
}
