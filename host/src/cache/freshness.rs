//! How old a response is and how long it stays fresh (RFC 9111 §4.2).

use std::time::{Duration, SystemTime};

use http::header::{AGE, DATE, EXPIRES, HeaderName, LAST_MODIFIED};
use http::{HeaderMap, StatusCode};

use super::dates;
use super::directives::{self, Response, Source};
use super::span::{Moment, Span};
use crate::config::CacheRules;

/// The arithmetic of one stored response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Freshness {
    /// When its head came.
    received: Moment,
    /// How old it was then (§4.2.3, corrected_initial_age).
    initial_age: Span,
    /// How long it is fresh, from its creation.
    lifetime: Span,
}

impl Freshness {
    /// The freshness of a response that was asked for at `requested` and whose head came at `received`.
    pub(super) fn new(
        status: StatusCode,
        headers: &HeaderMap,
        control: &Response,
        rules: &CacheRules,
        (requested, received): (SystemTime, SystemTime),
    ) -> Self {
        let date = date(headers, DATE).unwrap_or(received);
        let apparent_age = since(date, received);
        let corrected_age = age(headers) + since(requested, received);
        Self {
            received: received.into(),
            initial_age: apparent_age.max(corrected_age).into(),
            lifetime: lifetime(status, headers, control, rules, date).into(),
        }
    }

    /// How old the response is (§4.2.3, current_age). A clock that was set back makes it no younger than it came.
    pub(super) fn age(&self, now: SystemTime) -> Duration {
        self.initial_age.get() + since(self.received.get(), now)
    }

    /// How long it is fresh, from its creation.
    pub(super) fn lifetime(&self) -> Duration {
        self.lifetime.get()
    }

    /// Whether it was fresh when the origin sent it, however long it then took to come.
    pub(super) fn was_fresh_when_sent(&self, requested: SystemTime) -> bool {
        let on_its_way = since(requested, self.received());
        self.initial_age().saturating_sub(on_its_way) < self.lifetime()
    }

    /// When its head came.
    pub(super) fn received(&self) -> SystemTime {
        self.received.get()
    }

    /// How old it was when it came (§4.2.3, corrected_initial_age).
    pub(super) fn initial_age(&self) -> Duration {
        self.initial_age.get()
    }

    /// The same, stale from `now` on.
    pub(super) fn expired(self, now: SystemTime) -> Self {
        Self {
            lifetime: self.lifetime().min(self.age(now)).into(),
            ..self
        }
    }
}

/// Whether a status says by itself that its response may be stored (RFC 9110 §15.1; 206 is not stored at all).
pub(super) fn heuristically_cacheable(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501
    )
}

/// A date of a header: the first line.
pub(super) fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    dates::parse(headers.get(name)?.as_bytes())
}

/// Whether a response says itself how long it is fresh (§4.2.1).
pub(super) fn is_explicit(headers: &HeaderMap, control: &Response) -> bool {
    control.s_maxage.is_some() || control.max_age.is_some() || counts_expires(headers, control)
}

/// RFC 9213 §2.2: beside a targeted field, Expires says nothing.
fn counts_expires(headers: &HeaderMap, control: &Response) -> bool {
    control.source == Source::CacheControl && headers.contains_key(EXPIRES)
}

/// freshness_lifetime (§4.2.1): s-maxage, max-age, Expires, and where none of them is there heuristics and the operator's
/// rules.
fn lifetime(
    status: StatusCode,
    headers: &HeaderMap,
    control: &Response,
    rules: &CacheRules,
    date: SystemTime,
) -> Duration {
    if let Some(seconds) = control.s_maxage.or(control.max_age) {
        return Duration::from_secs(seconds.into());
    }
    if counts_expires(headers, control) {
        // An invalid date, `0` above all, is a time in the past (§5.3); the earliest of several counts.
        let expires = headers
            .get_all(EXPIRES)
            .iter()
            .map(|value| Some(since(date, dates::parse(value.as_bytes())?)));
        return expires.min().flatten().unwrap_or_default();
    }
    if is_negative(status) && !rules.negative.is_zero() {
        return rules.negative;
    }
    if !heuristically_cacheable(status) && !control.public {
        return Duration::ZERO;
    }
    match self::date(headers, LAST_MODIFIED) {
        // §4.2.2 suggests a part of the time since the last modification.
        Some(modified) => (since(modified, date) * rules.heuristic / 100).min(rules.heuristic_most),
        None if status.is_success() || status.is_redirection() => rules.lifetime,
        None => Duration::ZERO,
    }
}

/// Errors that the operator may have stored for a while, so that an origin is not asked for each of them.
pub(super) fn is_negative(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        404 | 405 | 410 | 414 | 451 | 500 | 501 | 502 | 503 | 504
    )
}

/// The Age field: its first member, ignored where it is no number (§5.1).
fn age(headers: &HeaderMap) -> Duration {
    let first = headers
        .get(AGE)
        .and_then(|value| value.as_bytes().split(|byte| *byte == b',').next());
    Duration::from_secs(
        first
            .and_then(|digits| directives::seconds(digits.trim_ascii()))
            .unwrap_or(0)
            .into(),
    )
}

fn since(earlier: SystemTime, later: SystemTime) -> Duration {
    later.duration_since(earlier).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use http::HeaderValue;
    use http::header::CACHE_CONTROL;

    use super::*;

    /// 2023-11-14 22:13:20.
    fn noon() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn http_date(offset: i64) -> String {
        let base = 1_700_000_000_i64 + offset;
        httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(base as u64))
    }

    fn freshness(lines: &[(HeaderName, String)], status: u16, delay: u64) -> Freshness {
        let headers: HeaderMap = lines
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()))
            .collect();
        let status = StatusCode::from_u16(status).unwrap();
        Freshness::new(
            status,
            &headers,
            &Response::of(&headers),
            &CacheRules::default(),
            (noon() - seconds(delay), noon()),
        )
    }

    fn life(lines: &[(HeaderName, String)]) -> u64 {
        freshness(lines, 200, 0).lifetime().as_secs()
    }

    fn control(value: &str) -> (HeaderName, String) {
        (CACHE_CONTROL, value.to_owned())
    }

    #[test]
    fn rfc9111_4_2_1_s_maxage_before_max_age_before_expires() {
        let expires = (EXPIRES, http_date(30));
        assert_eq!(life(&[control("s-maxage=10, max-age=20"), expires.clone()]), 10);
        assert_eq!(life(&[control("max-age=20"), expires.clone()]), 20);
        assert_eq!(life(&[expires]), 30);
    }

    #[test]
    fn rfc9111_4_2_1_expires_counts_from_date() {
        assert_eq!(life(&[(DATE, http_date(-100)), (EXPIRES, http_date(30))]), 130);
        assert_eq!(life(&[(DATE, "nonsense".to_owned()), (EXPIRES, http_date(30))]), 30);
    }

    #[test]
    fn rfc9111_5_3_an_invalid_expires_is_in_the_past() {
        for value in ["0", "-1", "soon", "", &http_date(-5)] {
            let lines = [(EXPIRES, value.to_owned()), (LAST_MODIFIED, http_date(-1000))];
            assert_eq!(life(&lines), 0, "{value}");
        }
        assert_eq!(
            life(&[(EXPIRES, http_date(30)), (EXPIRES, "0".to_owned())]),
            0,
            "one of two is invalid"
        );
    }

    #[test]
    fn rfc9110_5_6_7_all_three_date_formats() {
        for value in [
            "Tue, 14 Nov 2023 22:14:20 GMT",
            "Tuesday, 14-Nov-23 22:14:20 GMT",
            "Tue Nov 14 22:14:20 2023",
        ] {
            assert_eq!(life(&[(EXPIRES, value.to_owned())]), 60, "{value}");
        }
    }

    #[test]
    fn rfc9111_4_2_2_heuristic_only_where_it_is_allowed() {
        let modified = (LAST_MODIFIED, http_date(-1000));
        let of = |status, lines: &[_]| freshness(lines, status, 0).lifetime().as_secs();
        assert_eq!(of(200, std::slice::from_ref(&modified)), 100);
        assert_eq!(of(404, std::slice::from_ref(&modified)), 100);
        assert_eq!(of(302, std::slice::from_ref(&modified)), 0);
        assert_eq!(of(302, &[modified.clone(), control("public")]), 100);
        assert_eq!(
            of(200, &[modified, control("max-age=0")]),
            0,
            "explicit beats heuristic"
        );
        assert_eq!(of(200, &[(LAST_MODIFIED, http_date(-100_000_000))]), 24 * 3600);
        assert_eq!(
            of(200, &[(LAST_MODIFIED, http_date(1000))]),
            0,
            "modified in the future"
        );
        assert_eq!(of(200, &[]), 0);
    }

    #[test]
    fn the_operator_sets_lifetimes_where_responses_do_not() {
        let rules = CacheRules {
            heuristic: 50,
            heuristic_most: seconds(300),
            lifetime: seconds(30),
            negative: seconds(5),
            ..CacheRules::default()
        };
        let modified = |ago: i64| (LAST_MODIFIED, http_date(-ago));
        for (status, lines, expected) in [
            (200, vec![], 30),
            (301, vec![], 30),
            (200, vec![modified(100)], 50),
            (200, vec![modified(10_000)], 300),
            (200, vec![control("max-age=7")], 7),
            (404, vec![], 5),
            (503, vec![], 5),
            (404, vec![modified(100)], 5),
            (404, vec![control("max-age=7")], 7),
            (404, vec![(EXPIRES, "0".to_owned())], 0),
            (302, vec![], 0),
            (403, vec![], 0),
        ] {
            let headers: HeaderMap = lines
                .iter()
                .map(|(name, value): &(HeaderName, String)| (name.clone(), HeaderValue::from_str(value).unwrap()))
                .collect();
            let status = StatusCode::from_u16(status).unwrap();
            let freshness = Freshness::new(status, &headers, &Response::of(&headers), &rules, (noon(), noon()));
            assert_eq!(freshness.lifetime(), seconds(expected), "{status} {lines:?}");
        }
    }

    #[test]
    fn rfc9213_2_2_expires_says_nothing_beside_a_targeted_field() {
        let headers: HeaderMap = [(EXPIRES, HeaderValue::from_str(&http_date(30)).unwrap())]
            .into_iter()
            .collect();
        let control = Response {
            source: Source::Targeted,
            ..Response::default()
        };
        let times = (noon(), noon());
        let freshness = Freshness::new(StatusCode::OK, &headers, &control, &CacheRules::default(), times);
        assert_eq!(freshness.lifetime(), Duration::ZERO);
    }

    #[test]
    fn rfc9111_4_2_3_age_is_the_larger_of_apparent_and_corrected() {
        let age = |lines: &[_], delay| freshness(lines, 200, delay).age(noon()).as_secs();
        assert_eq!(age(&[], 0), 0);
        assert_eq!(age(&[], 3), 3, "the delay of the response counts");
        assert_eq!(age(&[(DATE, http_date(-10))], 3), 10);
        assert_eq!(age(&[(DATE, http_date(10))], 0), 0, "a Date in the future");
        assert_eq!(age(&[(AGE, "20".to_owned()), (DATE, http_date(-10))], 3), 23);
        assert_eq!(
            freshness(&[(AGE, "20".to_owned())], 200, 0)
                .age(noon() + seconds(5))
                .as_secs(),
            25
        );
        assert_eq!(
            freshness(&[], 200, 0).age(noon() - seconds(5)).as_secs(),
            0,
            "the clock was set back"
        );
    }

    #[test]
    fn rfc9111_5_1_age_that_is_no_number() {
        for (value, expected) in [
            ("7", 7),
            (" 7 ", 7),
            ("7, 9", 7),
            ("-7", 0),
            ("7.5", 0),
            ("x", 0),
            ("", 0),
            ("99999999999", 1 << 31),
        ] {
            let age = freshness(&[(AGE, value.to_owned())], 200, 0).age(noon());
            assert_eq!(age.as_secs(), expected, "{value}");
        }
    }
}
