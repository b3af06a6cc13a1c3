//! Operators (`@rx`, `@within`): the question that a rule asks about a value. One file each.

mod begins_with;
mod byte_range;
mod contains;
mod contains_word;
mod detect_sqli;
mod detect_xss;
mod ends_with;
mod eq;
mod ge;
mod gt;
mod ip_match;
mod ip_match_from_file;
mod le;
mod lt;
mod no_match;
mod pm;
mod pm_from_file;
mod rx;
mod streq;
mod unconditional_match;
mod validate_url_encoding;
mod validate_utf8_encoding;
mod verify;
mod within;

use serde::{Deserialize, Serialize};

use crate::bytes::{ByteSet, leading_number};
use crate::compile::prefilter::Needs;
use crate::problem::unknown;
use crate::seclang::Files;

/// An operator as rules name it.
struct Kind {
    /// Names compare without case.
    name: &'static str,
    argument: Argument,
    build: fn(&str, &dyn Files) -> Result<Test, String>,
}

/// What an operator does with the text after its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Argument {
    /// It is compared with values and may hold macros, which are expanded for each transaction.
    Compared,
    /// It is compiled when the rules are loaded.
    Compiled,
    /// There is none.
    Absent,
}

static KINDS: &[Kind] = &[
    Kind {
        name: "beginsWith",
        argument: Argument::Compared,
        build: begins_with::build,
    },
    Kind {
        name: "contains",
        argument: Argument::Compared,
        build: contains::build,
    },
    Kind {
        name: "containsWord",
        argument: Argument::Compared,
        build: contains_word::build,
    },
    Kind {
        name: "detectSQLi",
        argument: Argument::Absent,
        build: detect_sqli::build,
    },
    Kind {
        name: "detectXSS",
        argument: Argument::Absent,
        build: detect_xss::build,
    },
    Kind {
        name: "endsWith",
        argument: Argument::Compared,
        build: ends_with::build,
    },
    Kind {
        name: "eq",
        argument: Argument::Compared,
        build: eq::build,
    },
    Kind {
        name: "ge",
        argument: Argument::Compared,
        build: ge::build,
    },
    Kind {
        name: "gt",
        argument: Argument::Compared,
        build: gt::build,
    },
    Kind {
        name: "ipMatch",
        argument: Argument::Compiled,
        build: ip_match::build,
    },
    Kind {
        name: "ipMatchFromFile",
        argument: Argument::Compiled,
        build: ip_match_from_file::build,
    },
    Kind {
        name: "ipMatchF",
        argument: Argument::Compiled,
        build: ip_match_from_file::build,
    },
    Kind {
        name: "le",
        argument: Argument::Compared,
        build: le::build,
    },
    Kind {
        name: "lt",
        argument: Argument::Compared,
        build: lt::build,
    },
    Kind {
        name: "noMatch",
        argument: Argument::Absent,
        build: no_match::build,
    },
    Kind {
        name: "pm",
        argument: Argument::Compiled,
        build: pm::build,
    },
    Kind {
        name: "pmFromFile",
        argument: Argument::Compiled,
        build: pm_from_file::build,
    },
    Kind {
        name: "pmF",
        argument: Argument::Compiled,
        build: pm_from_file::build,
    },
    Kind {
        name: "rx",
        argument: Argument::Compiled,
        build: rx::build,
    },
    Kind {
        name: "rxGlobal",
        argument: Argument::Compiled,
        build: rx::build,
    },
    Kind {
        name: "streq",
        argument: Argument::Compared,
        build: streq::build,
    },
    Kind {
        name: "strmatch",
        argument: Argument::Compared,
        build: contains::build,
    },
    Kind {
        name: "unconditionalMatch",
        argument: Argument::Absent,
        build: unconditional_match::build,
    },
    Kind {
        name: "validateByteRange",
        argument: Argument::Compiled,
        build: byte_range::build,
    },
    Kind {
        name: "validateUrlEncoding",
        argument: Argument::Absent,
        build: validate_url_encoding::build,
    },
    Kind {
        name: "validateUtf8Encoding",
        argument: Argument::Absent,
        build: validate_utf8_encoding::build,
    },
    Kind {
        name: "verifyCC",
        argument: Argument::Compiled,
        build: verify::build_cc,
    },
    Kind {
        name: "verifyCPF",
        argument: Argument::Compiled,
        build: verify::build_cpf,
    },
    Kind {
        name: "verifySSN",
        argument: Argument::Compiled,
        build: verify::build_ssn,
    },
    Kind {
        name: "verifySVNR",
        argument: Argument::Compiled,
        build: verify::build_svnr,
    },
    Kind {
        name: "within",
        argument: Argument::Compared,
        build: within::build,
    },
];

/// Operators that always answer no, and why.
const ANSWER_NO: &[(&str, &str)] = &[
    ("fuzzyHash", "@fuzzyHash answers no: there are no fuzzy hashes"),
    ("geoLookup", "@geoLookup answers no: there is no database of countries"),
    ("gsbLookup", "@gsbLookup answers no: there is no database of malware"),
    (
        "rbl",
        "@rbl answers no: names are not looked up while a request waits; keep addresses in a file for @ipMatchFromFile",
    ),
    ("validateHash", "@validateHash answers no: links are not signed"),
];

/// Operators that Weir does not have, because answering no would let pass what a rule means to stop, and what to do.
const REFUSED: &[(&str, &str)] = &[
    ("inspectFile", "programs are not run; look at FILES_TMP_CONTENT"),
    ("rsub", "bodies are not changed"),
    (
        "validateDTD",
        "documents are not validated; that they are well formed, REQBODY_ERROR tells",
    ),
    (
        "validateSchema",
        "documents are not validated; that they are well formed, REQBODY_ERROR tells",
    ),
];

/// Why an operator always answers no; nothing for those that do not.
#[must_use]
pub fn caveat(name: &str) -> Option<&'static str> {
    let named = |(known, _): &&(&str, &'static str)| known.eq_ignore_ascii_case(name);
    ANSWER_NO.iter().find(named).map(|(_, why)| *why)
}

/// An operator that is ready to be asked.
#[derive(Debug, Clone)]
pub enum Test {
    /// Is the pattern found?
    Pattern(rx::Rx),
    /// Is one of many phrases found?
    Phrases(pm::Phrases),
    /// A comparison of the value (first) with the expanded argument.
    Text(fn(&[u8], &[u8]) -> bool),
    /// A comparison of numbers: the value (first) with the expanded argument.
    Number(fn(i64, i64) -> bool),
    /// Is the address in one of these networks?
    Networks(ip_match::Networks),
    /// Is there a byte outside of this set?
    Outside(ByteSet),
    /// A question about the value alone.
    Value(fn(&[u8]) -> bool),
    /// Is there a number with the right check digits?
    Numbers(verify::Numbers),
    /// Is the value a part of an SQL statement?
    Sqli,
    /// Is the value HTML that runs a script?
    Xss,
    /// `@unconditionalMatch`
    Always,
    /// `@noMatch`
    Never,
}

/// Where the groups of a match stand in the value: the whole match first. What `capture` keeps in `TX:0` to `TX:9`.
pub type Groups = [Option<(u32, u32)>; 10];

/// Whether a test holds for a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It does.
    Match,
    /// It does not.
    NoMatch,
    /// A pattern reached its limit of steps, and nobody knows. Neither a rule nor its negation matches.
    Exceeded,
}

impl Outcome {
    /// A match where it is true.
    #[must_use]
    pub const fn of(matched: bool) -> Self {
        if matched { Self::Match } else { Self::NoMatch }
    }
}

/// The operator of that name, made for that argument, and what the argument is to it.
///
/// # Errors
/// When there is no such operator, or the argument is not one for it.
pub fn build(name: &str, argument: &str, files: &dyn Files) -> Result<(Test, Argument), String> {
    if caveat(name).is_some() {
        return Ok((Test::Never, Argument::Compiled));
    }
    let Some(kind) = KINDS.iter().find(|kind| kind.name.eq_ignore_ascii_case(name)) else {
        return Err(
            match REFUSED.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
                Some((known, advice)) => format!("there is no operator @{known}: {advice}"),
                None => unknown("operator", name, KINDS.iter().map(|kind| kind.name)),
            },
        );
    };
    if kind.argument == Argument::Absent && !argument.trim().is_empty() {
        return Err(format!("@{} takes no argument and has \"{argument}\"", kind.name));
    }
    let test = (kind.build)(argument, files).map_err(|message| format!("@{}: {message}", kind.name))?;
    Ok((test, kind.argument))
}

impl Test {
    /// Asks about a value. `argument` is the expanded one of a comparison.
    #[must_use]
    pub fn ask(&self, value: &[u8], present: &ByteSet, argument: &[u8]) -> Outcome {
        let matched = match self {
            Self::Pattern(rx) => return rx.ask(value),
            Self::Phrases(phrases) => phrases.is_found(value),
            Self::Text(compare) => compare(value, argument),
            Self::Number(compare) => compare(leading_number(value), leading_number(argument)),
            Self::Networks(networks) => networks.contain(value),
            Self::Outside(allowed) => allowed.complement().intersects(present),
            Self::Value(ask) => ask(value),
            Self::Numbers(numbers) => numbers.is_found(value),
            Self::Sqli => detect_sqli::is_found(value, present),
            Self::Xss => detect_xss::is_found(value, present),
            Self::Always => true,
            Self::Never => false,
        };
        Outcome::of(matched)
    }

    /// Whether to find an answer costs more than to recognise a short value and a text that it is compared with.
    #[must_use]
    pub fn is_dear(&self, argument: &[u8]) -> bool {
        const SHORT: usize = 32;
        match self {
            Self::Pattern(rx) => !rx.takes_everything(),
            Self::Text(_) => argument.len() > SHORT,
            Self::Phrases(_) | Self::Networks(_) | Self::Numbers(_) | Self::Value(_) | Self::Sqli | Self::Xss => true,
            Self::Number(_) | Self::Outside(_) | Self::Always | Self::Never => false,
        }
    }

    /// What must be true of a value for which the test holds, where something is known. Of a comparison, the operator's name
    /// and the argument, if it has no macros, are needed.
    #[must_use]
    pub fn needs(&self, name: &str, argument: Option<&[u8]>) -> Option<Needs> {
        /// Comparisons that hold only where the argument occurs in the value.
        const SEARCHES: [&str; 6] = [
            "beginsWith",
            "contains",
            "containsWord",
            "endsWith",
            "streq",
            "strmatch",
        ];
        match self {
            Self::Pattern(rx) => Some(rx.needs().clone()),
            Self::Phrases(phrases) => Some(phrases.needs().clone()),
            Self::Outside(allowed) => Some(Needs::a_byte_of(allowed.complement())),
            Self::Sqli => Some(Needs::a_byte_of(detect_sqli::NEEDED)),
            Self::Xss => Some(Needs::a_byte_of(detect_xss::NEEDED)),
            Self::Text(_) if SEARCHES.iter().any(|known| known.eq_ignore_ascii_case(name)) => {
                argument.map(|argument| Needs::one_of([argument.to_vec()]))
            }
            _ => None,
        }
    }

    /// Where the groups of a match stand in a value that matched. Apart from [`Test::ask`], because few values match and finding
    /// groups costs several times as much as finding out that there is a match.
    #[must_use]
    pub fn groups(&self, value: &[u8]) -> Groups {
        match self {
            Self::Pattern(rx) => rx.groups(value),
            Self::Phrases(phrases) => phrases.groups(value),
            Self::Numbers(numbers) => numbers.groups(value),
            Self::Xss => whole(value),
            _ => Groups::default(),
        }
    }

    /// What `capture` keeps in `TX:0` of a value that matched, where that is no part of the value.
    #[must_use]
    pub fn says(&self, value: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Sqli => detect_sqli::fingerprint(value),
            _ => None,
        }
    }
}

/// The whole value is the match.
fn whole(value: &[u8]) -> Groups {
    let mut groups = Groups::default();
    groups[0] = Some((0, u32::try_from(value.len()).unwrap_or(u32::MAX)));
    groups
}

#[cfg(test)]
mod cases;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use Outcome::{Exceeded, Match, NoMatch};

    struct TwoFiles;
    impl Files for TwoFiles {
        fn read(&self, name: &str) -> Option<Vec<u8>> {
            match name {
                "phrases" => Some(b"# comment\nfoo bar\n\n".to_vec()),
                "networks" => Some(b"10.0.0.0/8\n::1\n".to_vec()),
                _ => None,
            }
        }
    }

    /// Operator, argument, value, outcome: what the reference manual of ModSecurity describes, and the edges of it.
    pub(super) const CASES: &[(&str, &str, &[u8], Outcome)] = &[
        ("beginsWith", "/admin", b"/admin/x", Match),
        ("beginsWith", "/admin", b"/Admin", NoMatch),
        ("contains", "../", b"a/../b", Match),
        ("contains", "../", b"a/./b", NoMatch),
        ("containsWord", "select", b"a select b", Match),
        ("containsWord", "select", b"selector reselect select", Match),
        ("containsWord", "select", b"selector", NoMatch),
        ("detectSQLi", "", b"1' or '1'='1", Match),
        ("detectSQLi", "", b"-1 union all select 1,2 from users--", Match),
        ("detectSQLi", "", b"the union of select committees", NoMatch),
        ("detectSQLi", "", b"O'Reilly", NoMatch),
        ("detectSQLi", "", b"plain", NoMatch),
        ("detectSQLi", "", b"", NoMatch),
        ("detectXSS", "", b"<script>alert(1)</script>", Match),
        ("detectXSS", "", b"x\" onerror=alert(1) y=\"", Match),
        ("detectXSS", "", b"<a href=\"jav&#x61;script:x\">", Match),
        ("detectXSS", "", b"<b>a = b</b>", NoMatch),
        ("detectXSS", "", b"1 < 2 & 3 > 2", NoMatch),
        ("endsWith", ".php", b"x.php", Match),
        ("endsWith", ".php", b".php5", NoMatch),
        ("eq", "15", b"15", Match),
        ("eq", "15", b"1", NoMatch),
        ("ge", "15", b"15", Match),
        ("ge", "15", b"14", NoMatch),
        ("gt", "15", b"16", Match),
        ("gt", "15", b"15", NoMatch),
        ("ipMatch", "10.0.0.0/8, ::1", b"10.9.8.7", Match),
        ("ipMatch", "10.0.0.0/8, ::1", b"::1", Match),
        ("ipMatch", "10.0.0.0/8, ::1", b"11.0.0.1", NoMatch),
        ("ipMatch", "10.0.0.0/8", b"not an address", NoMatch),
        ("ipMatchFromFile", "networks", b"10.1.1.1", Match),
        ("ipMatchF", "networks", b"11.1.1.1", NoMatch),
        ("le", "15", b"15", Match),
        ("le", "15", b"16", NoMatch),
        ("lt", "15", b"14", Match),
        ("lt", "15", b"15", NoMatch),
        ("noMatch", "", b"x", NoMatch),
        ("pm", "sqlmap nikto", b"Mozilla SQLMap/1", Match),
        ("pm", "sqlmap nikto", b"Mozilla", NoMatch),
        ("pm", "a|3a 62|c", b"xa:bcx", Match),
        ("pmFromFile", "phrases", b"a FOO BAR b", Match),
        ("pmF", "phrases", b"foo", NoMatch),
        ("rx", "^a.b$", b"a\nb", Match),
        ("rx", "^a.b$", b"a\nb\n", NoMatch),
        ("rx", "(?i)union\\s+select", b"1 UNION\tSELECT 2", Match),
        ("rx", "(?i)union\\s+select", b"credit union, select committee", NoMatch),
        ("rx", "\\xff", b"\xff", Match),
        ("rx", "<\\?(?!xml)", b"<?php", Match),
        ("rx", "<\\?(?!xml)", b"<?xml", NoMatch),
        ("rx", "(?=(a+))a*b\\1", b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", NoMatch),
        ("streq", "GET", b"GET", Match),
        ("streq", "GET", b"get", NoMatch),
        ("strmatch", "WebZIP", b"a WebZIP b", Match),
        ("unconditionalMatch", "", b"", Match),
        ("validateByteRange", "32-126, 9", b"a\tb", NoMatch),
        ("validateByteRange", "32-126", b"a\tb", Match),
        ("validateUrlEncoding", "", b"a%20b", NoMatch),
        ("validateUrlEncoding", "", b"a%2", Match),
        ("validateUrlEncoding", "", b"a%zz", Match),
        ("validateUtf8Encoding", "", "é".as_bytes(), NoMatch),
        ("validateUtf8Encoding", "", b"\xc0\xaf", Match),
        ("rxGlobal", "a", b"bab", Match),
        (
            "rx",
            "^(?:a|a)*(?=b)c?",
            b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac",
            Exceeded,
        ),
        ("rbl", "dnsbl.example", b"192.0.2.1", NoMatch),
        ("verifyCC", "\\d{13,16}", b"card 4111111111111111 ok", Match),
        ("verifyCC", "\\d{13,16}", b"card 4111111111111112", NoMatch),
        (
            "verifyCC",
            "\\d{4}-?\\d{4}-?\\d{4}-?\\d{4}",
            b"5500-0000-0000-0004",
            Match,
        ),
        (
            "verifyCPF",
            "\\d{3}\\.?\\d{3}\\.?\\d{3}-?\\d{2}",
            b"529.982.247-25",
            Match,
        ),
        ("verifyCPF", "[\\d.-]+", b"529.982.247-26", NoMatch),
        ("verifyCPF", "[\\d.-]+", b"111.111.111-11", NoMatch),
        ("verifySSN", "\\d{3}-?\\d{2}-?\\d{4}", b"ssn 078-05-1120", Match),
        ("verifySSN", "\\d{3}-?\\d{2}-?\\d{4}", b"666-05-1120", NoMatch),
        ("verifySSN", "\\d{3}-?\\d{2}-?\\d{4}", b"123-45-6789", NoMatch),
        ("verifySVNR", "\\d{4} ?\\d{6}", b"1237 010180", Match),
        ("verifySVNR", "\\d{4} ?\\d{6}", b"1236 010180", NoMatch),
        ("within", "GET,POST", b"POST", Match),
        ("within", "GET,POST", b"PUT", NoMatch),
    ];

    #[test]
    fn the_table_holds() {
        for (name, argument, value, outcome) in CASES {
            let (test, _) = build(name, argument, &TwoFiles).unwrap();
            let asked = test.ask(value, &ByteSet::present_in(value), argument.as_bytes());
            assert_eq!(
                asked,
                *outcome,
                "@{name} {argument} of {:?}",
                String::from_utf8_lossy(value)
            );
        }
    }

    #[test]
    fn every_operator_has_a_case() {
        for kind in KINDS {
            assert!(CASES.iter().any(|(name, ..)| *name == kind.name), "{}", kind.name);
        }
    }

    #[test]
    fn groups_are_told() {
        let value = b"xx key=value";
        let (test, _) = build("rx", "(\\w+)=(\\w+)(;)?", &TwoFiles).unwrap();
        assert_eq!(
            test.groups(value)[..4],
            [Some((3, 12)), Some((3, 6)), Some((7, 12)), None]
        );
        let (test, _) = build("pm", "ALU key", &TwoFiles).unwrap();
        assert_eq!(test.groups(value)[..2], [Some((3, 6)), None]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (name, argument, expected) in [
            ("contans", "x", "nearest known one is \"contains\""),
            ("rsub", "", "not changed"),
            ("inspectFile", "/x.lua", "FILES_TMP_CONTENT"),
            ("verifyCC", "(", "pattern"),
            ("rx", "(a", "pattern"),
            ("rx", "(?R)", "recursion"),
            ("ipMatch", "10.0.0.0/33", "10.0.0.0/33"),
            ("validateByteRange", "300", "300"),
            ("pmFromFile", "none", "none"),
            ("pm", "", "phrase"),
            ("noMatch", "x", "no argument"),
        ] {
            let message = build(name, argument, &TwoFiles).unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
    }
}
