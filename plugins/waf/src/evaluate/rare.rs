//! Values that few rules ask for: the time, the rule itself, collections that are kept, what a multipart body looked like.

use std::time::Duration;

use super::body::multipart::{Flag, Flags};
use super::transaction::{Datum, Transaction};
use super::tx::Value;
use super::{collect, expand};
use crate::compile::plan::{Persistent, Plan};
use crate::operators::Outcome;
use crate::variables::Variable;

/// As a number of a build of ModSecurity is written: 3.0.14, a release.
const BUILD: i64 = 30_014_100;

const SECONDS_A_DAY: u64 = 86_400;

/// The names and values of a collection. Others than the one that is wanted may be left out.
pub(super) fn named(
    plan: &Plan,
    tx: &mut Transaction,
    variable: Variable,
    wanted: Option<&[u8]>,
) -> Vec<(Vec<u8>, Datum)> {
    let mut kept = |collection| kept(plan, tx, collection, wanted);
    match variable {
        Variable::Env => tx
            .environment
            .iter()
            .map(|(name, value)| (name.to_vec(), Datum::Text(*value)))
            .collect(),
        Variable::Global => kept(Persistent::Global),
        Variable::Ip => kept(Persistent::Ip),
        Variable::Resource => kept(Persistent::Resource),
        Variable::Session => kept(Persistent::Session),
        Variable::User => kept(Persistent::User),
        Variable::Rule => rule(plan, tx),
        _ => Vec::new(),
    }
}

/// The value of a variable that is one; nothing where it has none, or is not of these.
pub(super) fn value(plan: &Plan, tx: &mut Transaction, variable: Variable) -> Option<Datum> {
    match variable {
        Variable::AuthType => {
            let scheme = scheme_and_rest(authorization(tx)?).0.to_vec();
            Some(Datum::Text(tx.texts.push(&scheme)))
        }
        Variable::RemoteUser => {
            let user = user(authorization(tx)?)?;
            Some(Datum::Text(tx.texts.push(&user)))
        }
        Variable::Duration => {
            let passed = tx.services.now().saturating_sub(tx.started);
            Some(Datum::Number(i64::try_from(passed.as_micros()).unwrap_or(i64::MAX)))
        }
        Variable::FullRequest => {
            let request = full_request(tx);
            Some(Datum::Text(tx.texts.push(&request)))
        }
        Variable::FullRequestLength => Some(Datum::Number(full_request(tx).len() as i64)),
        Variable::ModsecBuild => Some(Datum::Number(BUILD)),
        Variable::MscPcreError | Variable::MscPcreLimitsExceeded => {
            Some(Datum::Number(i64::from(tx.pattern_limits == Outcome::Exceeded)))
        }
        Variable::MultipartUnmatchedBoundary => Some(Datum::Number(tx.body.files.flags.unmatched_boundary())),
        Variable::MultipartFilename => tx.body.files.files.last().map(|file| Datum::Text(file.value)),
        Variable::MultipartName => tx.body.files.files.last().map(|file| Datum::Text(file.name)),
        Variable::SessionId => tx.kept.key(Persistent::Session).map(Datum::Text),
        Variable::UserId => tx.kept.key(Persistent::User).map(Datum::Text),
        Variable::WebappId => Some(Datum::Text(tx.texts.push(plan.settings.application.as_bytes()))),
        Variable::StatusLine => {
            let line = format!("HTTP/1.1 {}", tx.response_status?);
            Some(Datum::Text(tx.texts.push(line.as_bytes())))
        }
        Variable::Time => {
            let (hours, minutes, seconds) = clock(tx.services.now());
            let time = format!("{hours:02}:{minutes:02}:{seconds:02}");
            Some(Datum::Text(tx.texts.push(time.as_bytes())))
        }
        Variable::TimeEpoch => number(tx.services.now().as_secs()),
        Variable::TimeHour => number(clock(tx.services.now()).0),
        Variable::TimeMin => number(clock(tx.services.now()).1),
        Variable::TimeSec => number(clock(tx.services.now()).2),
        Variable::TimeWday => number(weekday(tx.services.now())),
        Variable::TimeDay => number(date(tx.services.now()).2),
        Variable::TimeMon => number(date(tx.services.now()).1 - 1),
        Variable::TimeYear => number(date(tx.services.now()).0),
        _ => multipart_flag(tx.body.files.flags, variable).map(|set| Datum::Number(i64::from(set))),
    }
}

fn multipart_flag(flags: Flags, variable: Variable) -> Option<bool> {
    Some(match variable {
        Variable::MultipartBoundaryQuoted => flags.has(Flag::BoundaryQuoted),
        Variable::MultipartBoundaryWhitespace => flags.has(Flag::BoundaryWhitespace),
        Variable::MultipartDataAfter => flags.has(Flag::DataAfter),
        Variable::MultipartDataBefore => flags.has(Flag::DataBefore),
        Variable::MultipartFileLimitExceeded => flags.has(Flag::FileLimitExceeded),
        Variable::MultipartHeaderFolding => flags.has(Flag::HeaderFolding),
        Variable::MultipartInvalidHeaderFolding => flags.has(Flag::InvalidHeaderFolding),
        Variable::MultipartInvalidPart => flags.has(Flag::InvalidPart),
        Variable::MultipartInvalidQuoting => flags.has(Flag::InvalidQuoting),
        Variable::MultipartLfLine => flags.has(Flag::LfLine),
        Variable::MultipartMissingSemicolon => flags.has(Flag::MissingSemicolon),
        Variable::MultipartCrlfLfLines => flags.has_mixed_lines(),
        Variable::MultipartStrictError => flags.is_odd(),
        _ => return None,
    })
}

fn number(number: u64) -> Option<Datum> {
    i64::try_from(number).ok().map(Datum::Number)
}

fn kept(plan: &Plan, tx: &mut Transaction, collection: Persistent, wanted: Option<&[u8]>) -> Vec<(Vec<u8>, Datum)> {
    tx.kept.read(collection, tx.services, &mut tx.texts);
    let timeout = plan.settings.collection_timeout;
    let values = match wanted {
        Some(name) => {
            let value = tx.kept.value(collection, name, timeout, tx.services);
            value
                .map(|value| (name.to_ascii_lowercase(), value))
                .into_iter()
                .collect()
        }
        None => tx.kept.values(collection, timeout, tx.services),
    };
    let datum = |(name, value): (Vec<u8>, Value)| Some((name, value.datum()?));
    values.into_iter().filter_map(datum).collect()
}

/// What the rule that runs says about itself.
fn rule(plan: &Plan, tx: &mut Transaction) -> Vec<(Vec<u8>, Datum)> {
    // A message that mentions itself is empty in itself.
    let Some(rule) = tx.rule.take() else { return Vec::new() };
    let mut values = Vec::new();
    if let Some(running) = plan.rules.get(rule) {
        let mut text = |tx: &mut Transaction, name: &str, text: &[u8]| {
            let text = Datum::Text(tx.texts.push(text));
            values.push((name.as_bytes().to_vec(), text));
        };
        text(tx, "id", running.id.to_string().as_bytes());
        text(tx, "rev", running.revision.as_deref().unwrap_or_default().as_bytes());
        let severity = running.severity.map(|severity| severity.0.to_string());
        text(tx, "severity", severity.unwrap_or_default().as_bytes());
        let data = running.links.iter().rev().find_map(|link| link.data.as_ref());
        for (name, template) in [("msg", running.message.as_ref()), ("logdata", data)] {
            let said = template.map(|template| expand::bytes(plan, tx, template).into_owned());
            text(tx, name, &said.unwrap_or_default());
        }
    }
    tx.rule = Some(rule);
    values
}

fn full_request(tx: &Transaction) -> Vec<u8> {
    let mut request = collect::request_line(tx).unwrap_or_default();
    request.extend_from_slice(b"\r\n");
    for field in &tx.request_headers {
        request.extend_from_slice(tx.texts.get(field.name));
        request.extend_from_slice(b": ");
        request.extend_from_slice(tx.texts.get(field.value));
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    if let Some(body) = tx.body.text {
        request.extend_from_slice(tx.texts.get(body));
    }
    request
}

fn authorization(tx: &Transaction) -> Option<&[u8]> {
    tx.request_headers
        .iter()
        .find(|field| tx.texts.get(field.name).eq_ignore_ascii_case(b"authorization"))
        .map(|field| tx.texts.get(field.value))
}

/// The user of `Basic` (RFC 7617): what stands before the colon.
fn user(credentials: &[u8]) -> Option<Vec<u8>> {
    let (scheme, rest) = scheme_and_rest(credentials);
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let decoded = crate::transformations::base64(rest);
    let end = memchr::memchr(b':', &decoded)?;
    decoded.get(..end).map(<[u8]>::to_vec)
}

fn scheme_and_rest(credentials: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b' ', credentials).unwrap_or(credentials.len());
    let (scheme, rest) = credentials.split_at(end);
    (scheme, rest.trim_ascii())
}

/// 0 is Sunday; 1970-01-01 was a Thursday.
pub(super) fn weekday(now: Duration) -> u64 {
    (now.as_secs() / SECONDS_A_DAY + 4) % 7
}

/// Hours, minutes, seconds.
pub(super) fn clock(now: Duration) -> (u64, u64, u64) {
    let seconds = now.as_secs() % SECONDS_A_DAY;
    (seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Year, month from 1, day from 1 of the Gregorian calendar.
pub(super) fn date(now: Duration) -> (u64, u64, u64) {
    let mut days = now.as_secs() / SECONDS_A_DAY;
    let mut year = 1970;
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = |year| if leap(year) { 366 } else { 365 };
    while days >= length(year) {
        days -= length(year);
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, (1970, 1, 1)),
            (951_782_399, (2000, 2, 28)),
            (951_782_400, (2000, 2, 29)),
            (951_868_800, (2000, 3, 1)),
            (1_735_689_599, (2024, 12, 31)),
            (4_107_542_400, (2100, 3, 1)),
        ] {
            assert_eq!(date(Duration::from_secs(seconds)), expected, "{seconds}");
        }
        assert_eq!(clock(Duration::from_secs(951_782_399)), (23, 59, 59));
    }

    #[test]
    fn users_are_those_of_basic_authentication() {
        assert_eq!(user(b"Basic  YWxhZGRpbjpvcGVuIHNlc2FtZQ=="), Some(b"aladdin".to_vec()));
        assert_eq!(user(b"Bearer YWxhZGRpbjpvcGVu"), None);
        assert_eq!(user(b"Basic"), None);
    }
}
