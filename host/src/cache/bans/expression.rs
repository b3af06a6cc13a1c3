//! What a ban says: `obj.http.content-type ~ ^image/ && req.url ~ ^/covers/`, in the words that Varnish uses.

use std::fmt;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName};
use regex::bytes::{Regex, RegexBuilder};

use super::super::entry::Entry;
use super::super::tags;

/// Bytes of an expression, also of one that Weir writes for a purge.
const LONGEST: usize = 64 << 10;

/// Terms of an expression.
const MOST_TERMS: usize = 16;

/// Bytes of a compiled pattern. Many bans are kept at once, so one of them must not take much.
const LARGEST_PATTERN: usize = 1 << 20;

/// Terms that all have to hold for a stored response to be banned.
#[derive(Debug, Clone)]
pub struct Expression {
    text: Box<str>,
    terms: Box<[Term]>,
}

/// A stored response as expressions look at it.
#[derive(Debug, Clone, Copy)]
pub(in crate::cache) struct Object<'a> {
    /// As the store has it: `scheme://host:port target`.
    pub(in crate::cache) key: &'a [u8],
    pub(in crate::cache) entry: &'a Entry,
    pub(in crate::cache) now: SystemTime,
}

/// Whether an object is banned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cache) enum Judgement {
    Banned,
    Spared,
    /// It depends on the request that asks for it, and there is none.
    Open,
}

#[derive(Debug, Clone)]
enum Term {
    Text(Text, Polarity, Pattern),
    Number(Number, Comparison, u64),
}

/// Fields that are compared as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Text {
    /// `req.url`: path and query that the object is stored under.
    Url,
    /// `req.http.host`: host, and port where it is not the scheme's own.
    Host,
    /// `req.http.NAME` of the request that asks for the object.
    Asked(HeaderName),
    /// `obj.http.NAME`.
    Stored(HeaderName),
    /// `obj.tag`: any of its surrogate keys.
    Tag,
}

/// Fields that are compared as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    /// `obj.status`.
    Status,
    /// `obj.age`, in seconds.
    Age,
    /// `obj.ttl`: seconds of freshness that are left; 0 for what is stale.
    Ttl,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Polarity {
    Is,
    IsNot,
}

#[derive(Debug, Clone)]
enum Pattern {
    Equal(Box<[u8]>),
    Like(Regex),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Expression {
    /// Reads an expression: `FIELD OPERATOR VALUE`, several joined with `&&`. A value with white space stands in double
    /// quotes, where two of them are one.
    ///
    /// # Errors
    /// What is wrong and what would be right, for whoever wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("an expression has at most {LONGEST} bytes"));
        }
        let mut words = Words(text);
        let mut terms = Vec::new();
        loop {
            terms.push(term(&mut words)?);
            match words.next()? {
                None => break,
                Some(Word::Bare("&&")) if terms.len() < MOST_TERMS => {}
                Some(Word::Bare("&&")) => return Err(format!("an expression has at most {MOST_TERMS} terms")),
                Some(Word::Bare("||")) => return Err("there is no `||`: make two bans instead".to_owned()),
                Some(word) => return Err(format!("`{word}` stands where `&&` or the end was expected")),
            }
        }
        Ok(Self {
            text: text.trim().into(),
            terms: terms.into(),
        })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it looks at fields of the request that asks, so that only lookups can judge by it.
    #[must_use]
    pub fn asks_the_request(&self) -> bool {
        let asks = |term: &Term| matches!(term, Term::Text(Text::Asked(_), ..));
        self.terms.iter().any(asks)
    }

    /// Judges an object; `request` is that of a lookup.
    pub(in crate::cache) fn judge(&self, object: &Object<'_>, request: Option<&HeaderMap>) -> Judgement {
        let mut judgement = Judgement::Banned;
        for term in &self.terms {
            match term.holds(object, request) {
                Some(true) => {}
                Some(false) => return Judgement::Spared,
                None => judgement = Judgement::Open,
            }
        }
        judgement
    }
}

impl Term {
    /// Whether it holds; `None` where only a request could tell.
    fn holds(&self, object: &Object<'_>, request: Option<&HeaderMap>) -> Option<bool> {
        let (field, polarity, pattern) = match self {
            Self::Text(field, polarity, pattern) => (field, *polarity, pattern),
            Self::Number(field, comparison, value) => return Some(comparison.holds(field.of(object), *value)),
        };
        let fits = match field {
            Text::Url => pattern.fits(url(object.key)),
            Text::Host => pattern.fits(host(object.key)),
            Text::Asked(name) => any_fits(request?, name, pattern),
            Text::Stored(name) => object
                .entry
                .head
                .get_all(name.as_str())
                .any(|value| pattern.fits(value)),
            Text::Tag => tags::of(&object.entry.head).any(|tag| pattern.fits(tag)),
        };
        Some(fits == (polarity == Polarity::Is))
    }
}

fn any_fits(headers: &HeaderMap, name: &HeaderName, pattern: &Pattern) -> bool {
    headers.get_all(name).iter().any(|value| pattern.fits(value.as_bytes()))
}

impl Pattern {
    fn fits(&self, value: &[u8]) -> bool {
        match self {
            Self::Equal(wanted) => **wanted == *value,
            Self::Like(regex) => regex.is_match(value),
        }
    }
}

impl Number {
    fn of(self, object: &Object<'_>) -> u64 {
        let freshness = &object.entry.policy.freshness;
        match self {
            Self::Status => u64::from(object.entry.status.as_u16()),
            Self::Age => freshness.age(object.now).as_secs(),
            Self::Ttl => freshness.lifetime().saturating_sub(freshness.age(object.now)).as_secs(),
        }
    }
}

impl Comparison {
    fn holds(self, value: u64, wanted: u64) -> bool {
        match self {
            Self::Equal => value == wanted,
            Self::NotEqual => value != wanted,
            Self::Less => value < wanted,
            Self::LessOrEqual => value <= wanted,
            Self::Greater => value > wanted,
            Self::GreaterOrEqual => value >= wanted,
        }
    }
}

/// The target in a key.
fn url(key: &[u8]) -> &[u8] {
    let space = key.iter().position(|byte| *byte == b' ');
    space.and_then(|space| key.get(space + 1..)).unwrap_or_default()
}

/// Host and port in a key.
fn host(key: &[u8]) -> &[u8] {
    let origin = key.split(|byte| *byte == b' ').next().unwrap_or_default();
    origin
        .strip_prefix(b"http://")
        .or_else(|| origin.strip_prefix(b"https://"))
        .unwrap_or(origin)
}

const FIELDS: &str = "req.url, req.http.NAME, obj.http.NAME, obj.tag, obj.status, obj.age and obj.ttl";

fn term(words: &mut Words<'_>) -> Result<Term, String> {
    let field = match words.next()? {
        Some(Word::Bare(field)) => field,
        Some(word) => return Err(format!("`{word}` is no field; there are {FIELDS}")),
        None => return Err(format!("a field is missing; there are {FIELDS}")),
    };
    let operator = match words.next()? {
        Some(Word::Bare(operator)) => operator,
        _ => return Err(format!("an operator is missing after `{field}`")),
    };
    let value = match words.next()? {
        Some(Word::Bare("&&")) | None => return Err(format!("a value is missing after `{field} {operator}`")),
        Some(word) => word.into_text(),
    };
    let number = match field {
        "obj.status" => Number::Status,
        "obj.age" => Number::Age,
        "obj.ttl" => Number::Ttl,
        _ => return text_term(text_field(field)?, field, operator, &value),
    };
    let comparison = match operator {
        "==" => Comparison::Equal,
        "!=" => Comparison::NotEqual,
        "<" => Comparison::Less,
        "<=" => Comparison::LessOrEqual,
        ">" => Comparison::Greater,
        ">=" => Comparison::GreaterOrEqual,
        _ => {
            return Err(format!(
                "`{field}` is compared with ==, !=, <, <=, > or >=, not `{operator}`"
            ));
        }
    };
    let value = match number {
        Number::Status => value.parse().map_err(|_| format!("`{value}` is no status"))?,
        Number::Age | Number::Ttl => seconds(&value).ok_or_else(|| {
            format!("`{value}` is no duration: whole numbers with s, m, h, d or w, for example 90s, 2h or 7d")
        })?,
    };
    Ok(Term::Number(number, comparison, value))
}

fn text_field(field: &str) -> Result<Text, String> {
    let name = |name: &str| HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is no field name"));
    if let Some(asked) = field.strip_prefix("req.http.") {
        return Ok(match asked.to_ascii_lowercase().as_str() {
            "host" => Text::Host,
            asked => Text::Asked(name(asked)?),
        });
    }
    if let Some(stored) = field.strip_prefix("obj.http.") {
        return name(stored).map(Text::Stored);
    }
    match field {
        "req.url" => Ok(Text::Url),
        "obj.tag" => Ok(Text::Tag),
        _ => Err(format!("there is no field `{field}`; there are {FIELDS}")),
    }
}

fn text_term(text: Text, field: &str, operator: &str, value: &str) -> Result<Term, String> {
    let equal = || Pattern::Equal(value.as_bytes().into());
    let like = || {
        // Header values and paths are bytes, so a pattern that could match half a character is fine.
        let regex = RegexBuilder::new(value)
            .unicode(false)
            .size_limit(LARGEST_PATTERN)
            .dfa_size_limit(LARGEST_PATTERN)
            .build();
        regex.map(Pattern::Like).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => format!("the pattern after `{field} {operator}` is too large"),
            error => format!("the pattern after `{field} {operator}` cannot be read: {error}"),
        })
    };
    Ok(match operator {
        "==" => Term::Text(text, Polarity::Is, equal()),
        "!=" => Term::Text(text, Polarity::IsNot, equal()),
        "~" => Term::Text(text, Polarity::Is, like()?),
        "!~" => Term::Text(text, Polarity::IsNot, like()?),
        _ => return Err(format!("`{field}` is compared with ==, !=, ~ or !~, not `{operator}`")),
    })
}

/// A duration as Varnish writes it, in seconds; without a unit it is in seconds already.
fn seconds(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|char: char| char.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        "w" => 7 * 24 * 3600,
        _ => return None,
    };
    let seconds = digits.parse::<u64>().ok()?.checked_mul(unit)?;
    (seconds <= Duration::MAX.as_secs()).then_some(seconds)
}

/// What is left of an expression.
struct Words<'a>(&'a str);

enum Word<'a> {
    Bare(&'a str),
    Quoted(String),
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Result<Option<Word<'a>>, String> {
        let rest = self.0.trim_start();
        let Some(quoted) = rest.strip_prefix('"') else {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            let (word, rest) = rest.split_at(end);
            self.0 = rest;
            return Ok((!word.is_empty()).then_some(Word::Bare(word)));
        };
        let mut value = String::new();
        let mut chars = quoted.char_indices().peekable();
        while let Some((at, char)) = chars.next() {
            match char {
                '"' if chars.peek().is_some_and(|(_, next)| *next == '"') => {
                    value.push('"');
                    chars.next();
                }
                '"' => {
                    self.0 = quoted.get(at + 1..).unwrap_or_default();
                    return Ok(Some(Word::Quoted(value)));
                }
                char => value.push(char),
            }
        }
        Err("a quote is not closed".to_owned())
    }
}

impl Word<'_> {
    fn into_text(self) -> String {
        match self {
            Self::Bare(text) => text.to_owned(),
            Self::Quoted(text) => text,
        }
    }
}

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bare(text) => f.write_str(text),
            Self::Quoted(text) => write!(f, "\"{text}\""),
        }
    }
}

/// A value as it stands in an expression.
pub(in crate::cache) fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::super::super::tests::{at, header_map, stored_entry};
    use super::*;

    fn judged(expression: &str, headers: &[(&str, &str)]) -> Judgement {
        let entry = stored_entry(200, &[&[("cache-control", "max-age=60")], headers].concat());
        let object = Object {
            key: b"https://example.org:8443 /covers/1.jpg?x=1",
            entry: &entry,
            now: at(20),
        };
        Expression::parse(expression).unwrap().judge(&object, None)
    }

    #[test]
    fn every_field_and_operator() {
        let headers = [
            ("content-type", "image/jpeg"),
            ("surrogate-key", "cover  series-7"),
            ("cache-tag", "a,b , c"),
        ];
        for (expression, banned) in [
            ("req.url == /covers/1.jpg?x=1", true),
            ("req.url != /covers/1.jpg?x=1", false),
            ("req.url ~ ^/covers/", true),
            ("req.url !~ ^/covers/", false),
            ("req.url ~ \"[.]jpg[?]\"", true),
            ("req.http.host == example.org:8443", true),
            ("req.http.Host ~ example.org$", false),
            ("obj.http.Content-Type ~ ^image/", true),
            ("obj.http.content-type == image/jpeg && req.url ~ ^/a", false),
            ("obj.http.content-type == image/jpeg && req.url ~ ^/c", true),
            ("obj.http.x-absent == \"\"", false),
            ("obj.http.x-absent ~ .", false),
            ("obj.http.x-absent != x", true),
            ("obj.http.x-absent !~ x", true),
            ("obj.tag == series-7", true),
            ("obj.tag == series-77", false),
            ("obj.tag == b", true),
            ("obj.tag != c", false),
            ("obj.tag ~ ^ser", true),
            ("obj.status == 200", true),
            ("obj.status != 200", false),
            ("obj.status >= 400", false),
            ("obj.age > 10s", true),
            ("obj.age > 1m", false),
            ("obj.age <= 20", true),
            ("obj.ttl < 41s", true),
            ("obj.ttl < 40s", false),
        ] {
            assert_eq!(
                judged(expression, &headers) == Judgement::Banned,
                banned,
                "{expression}"
            );
        }
    }

    #[test]
    fn what_only_a_request_can_tell_stays_open() {
        assert_eq!(judged("req.http.x-user ~ .", &[]), Judgement::Open);
        assert_eq!(judged("req.http.x-user ~ . && req.url ~ ^/a", &[]), Judgement::Spared);
        let expression = Expression::parse("req.http.x-user == 7").unwrap();
        assert!(expression.asks_the_request());
        let entry = stored_entry(200, &[]);
        let object = Object {
            key: b"http://a /",
            entry: &entry,
            now: at(0),
        };
        let judge = |user| expression.judge(&object, Some(&header_map(&[("x-user", user)])));
        assert_eq!((judge("7"), judge("8")), (Judgement::Banned, Judgement::Spared));
    }

    #[test]
    fn mistakes_are_told() {
        for (expression, said) in [
            ("", "a field is missing"),
            ("req.url", "operator"),
            ("req.url ~", "value"),
            ("req.url ~ && obj.status == 1", "value"),
            ("req.url ~ ( ", "pattern"),
            ("req.url < a", "compared with"),
            ("obj.status ~ 2", "compared with"),
            ("obj.status == ok", "no status"),
            ("obj.age > 5y", "no duration"),
            ("obj.size > 5", "no field"),
            ("req.url ~ a || req.url ~ b", "two bans"),
            ("req.url ~ a b", "`b` stands"),
            ("req.url == \"a", "not closed"),
            ("\"req.url\" == a", "no field"),
        ] {
            let error = Expression::parse(expression).unwrap_err();
            assert!(error.contains(said), "{expression}: {error}");
        }
        let long = vec!["req.url ~ a"; MOST_TERMS + 1].join(" && ");
        assert!(Expression::parse(&long).unwrap_err().contains("terms"));
        assert!(
            Expression::parse(&"a".repeat(LONGEST + 1))
                .unwrap_err()
                .contains("bytes")
        );
    }

    #[test]
    fn a_quoted_value_is_read_back() {
        for value in ["", "a b", "\"", "\\", "a\\.b \"c\" \\d"] {
            let text = format!("req.url == {}", quoted(value));
            let mut words = Words(&text);
            let last = std::iter::from_fn(|| words.next().unwrap()).last().unwrap();
            assert_eq!(last.into_text(), value);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(req.url|obj.age|obj.http.x|&&|~|==|\"|\\\\| |[0-9]|.){0,12}") {
            let _ = Expression::parse(&text);
        }
    }
}
