//! What may be stored (RFC 9111 §3) and what stored may be served (§4.2), in two functions without side effects.

use std::time::{Duration, SystemTime};

use http::header::{AUTHORIZATION, ETAG, LAST_MODIFIED, SET_COOKIE, VARY};
use http::{HeaderMap, StatusCode};

use super::directives::{self, FOR_EVER};
use super::freshness::{Freshness, heuristically_cacheable, is_explicit, is_negative};
use super::span::{Seconds, Span};
use super::targeted;
use crate::config::{CacheRules, SetCookie};

/// What a cache may do with a response that it stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) control: directives::Kept,
    pub(super) freshness: Freshness,
    /// How long after its freshness it is served in trouble or while it is asked about, where it says nothing itself.
    pub(super) leeway: Leeway,
    /// Seconds of freshness, where a plugin has decided it: what the origin says when it is asked again does not change it.
    pub(super) decided: Seconds,
}

/// The operator's word on stale responses; zero where they are not to be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leeway {
    revalidating: Span,
    error: Span,
    unreachable: Span,
}

impl Leeway {
    fn of(rules: &CacheRules) -> Self {
        Self {
            revalidating: rules.grace.into(),
            error: rules.stale_if_error.into(),
            unreachable: rules.stale_if_unreachable.into(),
        }
    }
}

/// What the storing rules look at in a request, kept because plugins and the spine change the head on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) control: directives::Request,
    pub(super) authorized: bool,
    /// Seconds of freshness, where a plugin has decided it.
    pub(super) lifetime: Option<u32>,
}

impl Asked {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self {
            control: directives::Request::of(headers),
            authorized: headers.contains_key(AUTHORIZATION),
            lifetime: None,
        }
    }
}

/// Why a response is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// The client or the origin says no-store.
    NoStore,
    /// For one user only.
    Private,
    /// It sets a cookie. Not the RFC's rule but Weir's: a response that was made for one user and says so with nothing but a
    /// cookie is the commonest way to give one user's session to another.
    SetsCookie,
    /// The request had credentials and the response does not say that it may be shared (§3.5).
    Authorized,
    /// A status whose meaning for caches Weir does not know, or part of a representation.
    Status,
    /// `Vary: *`.
    Varies,
    /// Neither lifetime nor validator: it could never be served.
    Useless,
    /// A plugin says so.
    Plugin,
    /// Larger than what is stored, or of a length that it lies about.
    TooLarge,
}

impl Refused {
    /// A word for `Cache-Status`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::SetsCookie => "set-cookie",
            Self::Authorized => "authorization",
            Self::Status => "status",
            Self::Varies => "vary",
            Self::Useless => "not-fresh",
            Self::Plugin => "plugin",
            Self::TooLarge => "too-large",
        }
    }
}

/// Whether the response to a GET may be stored, and what may be done with it then (§3).
pub(super) fn store(
    asked: Asked,
    status: StatusCode,
    headers: &HeaderMap,
    rules: &CacheRules,
    (requested, received): (SystemTime, SystemTime),
) -> Result<Policy, Refused> {
    let mut control = targeted::directives(headers, &rules.targeted);
    if asked.lifetime.is_some() {
        control.max_age = asked.lifetime;
        control.s_maxage = None;
    }
    // 1xx are no answers, 206 is a part, 304 is about another response.
    if status.is_informational() || matches!(status.as_u16(), 206 | 304) {
        return Err(Refused::Status);
    }
    let understood = is_understood(status);
    if control.must_understand && !understood {
        return Err(Refused::Status);
    }
    // §5.2.2.3: a cache that understands the status may overlook a no-store that comes with must-understand.
    if asked.control.no_store || (control.no_store && !control.must_understand) {
        return Err(Refused::NoStore);
    }
    if control.private {
        return Err(Refused::Private);
    }
    if rules.set_cookie == SetCookie::Pass
        && headers.contains_key(SET_COOKIE)
        && !directives::withheld(headers).contains(&SET_COOKIE)
    {
        return Err(Refused::SetsCookie);
    }
    if asked.authorized && !(control.public || control.must_revalidate || control.s_maxage.is_some()) {
        return Err(Refused::Authorized);
    }
    let by_rule = is_negative(status) && !rules.negative.is_zero();
    if !(is_explicit(headers, &control) || control.public || heuristically_cacheable(status) || by_rule) {
        return Err(Refused::Status);
    }
    if headers.get_all(VARY).iter().any(|value| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|name| name.trim_ascii() == b"*")
    }) {
        return Err(Refused::Varies);
    }
    let freshness = Freshness::new(status, headers, &control, rules, (requested, received));
    // Where it is not fresh any more, those who wait for it get it all the same.
    let can_be_fresh = !control.no_cache && freshness.was_fresh_when_sent(requested);
    if !(can_be_fresh || headers.contains_key(ETAG) || headers.contains_key(LAST_MODIFIED)) {
        return Err(Refused::Useless);
    }
    Ok(Policy {
        control: control.kept(),
        freshness,
        leeway: Leeway::of(rules),
        decided: asked.lifetime.into(),
    })
}

/// Statuses whose caching Weir does what RFC 9110 says about.
fn is_understood(status: StatusCode) -> bool {
    heuristically_cacheable(status)
        || matches!(
            status.as_u16(),
            302 | 303 | 307 | 400 | 403 | 421 | 500 | 502 | 503 | 504
        )
}

/// What may be done with a stored response for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It answers the request.
    Serve,
    /// It is stale, and the client said that it takes it all the same.
    ServeStale,
    /// It is stale, and may be served while somebody else asks the origin.
    ServeWhileRevalidating,
    /// The origin has to be asked.
    Validate,
}

impl Policy {
    /// Whether the response may be served at `now` to a client with these wishes (§4.2, §5.2.1).
    pub(super) fn verdict(&self, wishes: &directives::Request, now: SystemTime) -> Verdict {
        self.verdict_at(wishes, self.freshness.age(now))
    }

    /// The same at an age that is known.
    pub(super) fn verdict_at(&self, wishes: &directives::Request, age: Duration) -> Verdict {
        if self.control.no_cache || wishes.no_cache {
            return Verdict::Validate;
        }
        if wishes.max_age.is_some_and(|most| age > seconds(most)) && wishes.max_stale.is_none() {
            return Verdict::Validate;
        }
        let lifetime = self.freshness.lifetime();
        let left = lifetime.saturating_sub(age);
        if age < lifetime {
            return if wishes.min_fresh.is_some_and(|least| left < seconds(least)) {
                Verdict::Validate
            } else {
                Verdict::Serve
            };
        }
        if self.control.forbids_stale || wishes.min_fresh.is_some() {
            return Verdict::Validate;
        }
        let stale = age - lifetime;
        if wishes
            .max_stale
            .is_some_and(|most| most == FOR_EVER || stale <= seconds(most))
        {
            return Verdict::ServeStale;
        }
        let revalidating = self.control.stale_while_revalidate.duration();
        if revalidating
            .or(self.leeway.revalidating.unless_zero())
            .is_some_and(|most| stale <= most)
            && wishes.max_age.is_none()
        {
            return Verdict::ServeWhileRevalidating;
        }
        Verdict::Validate
    }

    /// Whether the response answers a request that has been waiting since then, and so since before it was made, although its
    /// lifetime passed on the way. No client could get it any fresher: each of those who wait would have to ask alone, of an origin
    /// that is already slower than what it allows.
    pub(super) fn answers_who_waited(&self, wishes: &directives::Request, since: SystemTime) -> bool {
        let wants_more = wishes.no_cache || wishes.max_age.is_some() || wishes.min_fresh.is_some();
        !wants_more && !self.control.no_cache && self.freshness.received() >= since
    }

    /// Whether the response may be served although it is stale, because of `trouble` (§4.2.4, RFC 5861 §4).
    pub(super) fn serves_in_trouble(&self, wishes: &directives::Request, trouble: Trouble, now: SystemTime) -> bool {
        if self.control.forbids_stale {
            return false;
        }
        let stale = self.freshness.age(now).saturating_sub(self.freshness.lifetime());
        let allowed = match (self.control.stale_if_error.get(), wishes.stale_if_error) {
            (Some(origin), Some(client)) => Some(seconds(origin.max(client))),
            (origin, client) => origin.or(client).map(seconds),
        };
        let ours = match trouble {
            Trouble::Unreachable => self.leeway.unreachable,
            Trouble::ServerError => self.leeway.error,
        };
        let ours = ours.unless_zero();
        allowed.or(ours).is_some_and(|allowed| stale <= allowed)
    }
}

/// Why the origin did not answer as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// No valid response came.
    Unreachable,
    /// 500, 502, 503 or 504 came.
    ServerError,
}

/// The statuses that RFC 5861 §4 counts as errors.
pub(super) fn is_server_error(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504)
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use http::header::CACHE_CONTROL;
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&str, &str)| {
            (
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            )
        };
        lines.iter().map(line).collect()
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
    }

    fn stored(request: &[(&str, &str)], status: u16, response: &[(&str, &str)]) -> Result<Policy, Refused> {
        let status = StatusCode::from_u16(status).unwrap();
        store_by(&CacheRules::default(), request, status, response)
    }

    fn store_by(
        rules: &CacheRules,
        request: &[(&str, &str)],
        status: StatusCode,
        response: &[(&str, &str)],
    ) -> Result<Policy, Refused> {
        let asked = Asked::of(&headers(request));
        store(asked, status, &headers(response), rules, (at(0), at(0)))
    }

    fn refused(request: &[(&str, &str)], status: u16, response: &[(&str, &str)]) -> Option<Refused> {
        stored(request, status, response).err()
    }

    const FRESH: (&str, &str) = ("cache-control", "max-age=60");

    #[test]
    fn rfc9111_3_directives_that_forbid_storing() {
        assert_eq!(refused(&[], 200, &[FRESH]), None);
        assert_eq!(
            refused(&[], 200, &[FRESH, ("cache-control", "no-store")]),
            Some(Refused::NoStore)
        );
        assert_eq!(
            refused(&[], 200, &[FRESH, ("cache-control", "private")]),
            Some(Refused::Private)
        );
        assert_eq!(
            refused(&[], 200, &[FRESH, ("cache-control", "private=\"x\"")]),
            None,
            "§5.2.2.7: only the field is"
        );
        assert_eq!(
            refused(&[("cache-control", "no-store")], 200, &[FRESH]),
            Some(Refused::NoStore)
        );
    }

    #[test]
    fn rfc9111_3_statuses() {
        for status in [
            200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501, 302, 307, 503, 299, 599,
        ] {
            assert_eq!(
                refused(&[], status, &[FRESH]),
                None,
                "{status} with an explicit lifetime"
            );
        }
        for status in [206, 304, 101] {
            assert_eq!(refused(&[], status, &[FRESH]), Some(Refused::Status), "{status}");
        }
        let validator = ("etag", "\"1\"");
        assert_eq!(refused(&[], 404, &[validator]), None);
        assert_eq!(refused(&[], 302, &[validator]), Some(Refused::Status));
        assert_eq!(refused(&[], 302, &[validator, ("cache-control", "public")]), None);
    }

    #[test]
    fn rfc9111_3_5_credentials() {
        let authorized = [("authorization", "Basic eA==")];
        assert_eq!(refused(&authorized, 200, &[FRESH]), Some(Refused::Authorized));
        for control in ["public", "must-revalidate", "s-maxage=10"] {
            assert_eq!(
                refused(&authorized, 200, &[FRESH, ("cache-control", control)]),
                None,
                "{control}"
            );
        }
    }

    #[test]
    fn responses_that_set_cookies_are_not_stored_whatever_they_allow() {
        let lines = [("cache-control", "public, max-age=60"), ("set-cookie", "session=1")];
        assert_eq!(refused(&[], 200, &lines), Some(Refused::SetsCookie));
        let withheld = [("cache-control", "no-cache=\"set-cookie\", max-age=60"), lines[1]];
        assert_eq!(refused(&[], 200, &withheld), None, "the cookie is not stored");
        let rules = CacheRules {
            set_cookie: SetCookie::Store,
            ..CacheRules::default()
        };
        assert!(
            store_by(&rules, &[], StatusCode::OK, &lines).is_ok(),
            "where the operator says so"
        );
    }

    #[test]
    fn errors_are_stored_where_the_operator_says_so() {
        let rules = CacheRules {
            negative: Duration::from_secs(5),
            ..CacheRules::default()
        };
        for (status, stored) in [(404, true), (503, true), (403, false), (429, false)] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(store_by(&rules, &[], status, &[]).is_ok(), stored, "{status}");
            assert!(store_by(&CacheRules::default(), &[], status, &[]).is_err(), "{status}");
            assert!(
                store_by(&rules, &[], status, &[("cache-control", "no-store")]).is_err(),
                "{status}"
            );
        }
    }

    #[test]
    fn the_operator_allows_stale_responses_where_they_do_not_forbid_it() {
        let rules = CacheRules {
            grace: Duration::from_secs(10),
            stale_if_error: Duration::from_secs(20),
            stale_if_unreachable: Duration::ZERO,
            ..CacheRules::default()
        };
        let wishes = directives::Request::default();
        for (control, revalidating, error) in [
            ("max-age=60", true, true),
            ("max-age=60, stale-while-revalidate=0, stale-if-error=0", false, false),
            ("max-age=60, must-revalidate", false, false),
        ] {
            let policy = store_by(&rules, &[], StatusCode::OK, &[("cache-control", control)]).unwrap();
            let verdict = policy.verdict(&wishes, at(65));
            assert_eq!(verdict == Verdict::ServeWhileRevalidating, revalidating, "{control}");
            assert_eq!(
                policy.serves_in_trouble(&wishes, Trouble::ServerError, at(75)),
                error,
                "{control}"
            );
            assert!(
                !policy.serves_in_trouble(&wishes, Trouble::Unreachable, at(65)),
                "{control}"
            );
            assert_eq!(policy.verdict(&wishes, at(71)), Verdict::Validate, "{control}");
        }
    }

    #[test]
    fn rfc9213_2_2_a_targeted_field_decides_alone() {
        let targeted = |value| [("cache-control", "no-store"), ("cdn-cache-control", value)];
        assert_eq!(refused(&[], 200, &targeted("max-age=60")), None);
        assert_eq!(refused(&[], 200, &targeted("&&&")), Some(Refused::NoStore));
        let private = [FRESH, ("cdn-cache-control", "private")];
        assert_eq!(refused(&[], 200, &private), Some(Refused::Private));
    }

    #[test]
    fn rfc9111_4_1_vary_on_everything() {
        assert_eq!(refused(&[], 200, &[FRESH, ("vary", "*")]), Some(Refused::Varies));
        assert_eq!(
            refused(&[], 200, &[FRESH, ("vary", "accept, *")]),
            Some(Refused::Varies)
        );
        assert_eq!(refused(&[], 200, &[FRESH, ("vary", "accept")]), None);
    }

    #[test]
    fn rfc9111_5_2_2_3_must_understand() {
        let lines = [("cache-control", "max-age=60, no-store, must-understand")];
        assert_eq!(refused(&[], 200, &lines), None);
        assert_eq!(refused(&[], 299, &lines), Some(Refused::Status));
    }

    #[test]
    fn what_could_never_be_served_is_not_stored() {
        assert_eq!(refused(&[], 200, &[]), Some(Refused::Useless));
        assert_eq!(
            refused(&[], 200, &[("cache-control", "max-age=0")]),
            Some(Refused::Useless)
        );
        assert_eq!(
            refused(&[], 200, &[("cache-control", "no-cache, max-age=60")]),
            Some(Refused::Useless)
        );
        assert_eq!(
            refused(&[], 200, &[("cache-control", "no-cache"), ("etag", "\"1\"")]),
            None
        );
        assert_eq!(refused(&[], 200, &[FRESH, ("age", "60")]), Some(Refused::Useless));
    }

    #[test]
    fn rfc9111_4_2_and_5_2_1_what_may_be_served_when() {
        use Verdict::{Serve, ServeStale, ServeWhileRevalidating, Validate};
        for (response, request, age, expected) in [
            ("max-age=60", "", 0, Serve),
            ("max-age=60", "", 59, Serve),
            ("max-age=60", "", 60, Validate),
            ("s-maxage=60, max-age=10", "", 30, Serve),
            // The client's wishes.
            ("max-age=60", "no-cache", 0, Validate),
            ("max-age=60", "max-age=30", 30, Serve),
            ("max-age=60", "max-age=30", 31, Validate),
            ("max-age=60", "max-age=0", 1, Validate),
            ("max-age=60", "min-fresh=20", 40, Serve),
            ("max-age=60", "min-fresh=20", 41, Validate),
            ("max-age=60", "max-stale", 1000, ServeStale),
            ("max-age=60", "max-stale=10", 70, ServeStale),
            ("max-age=60", "max-stale=10", 71, Validate),
            ("max-age=60", "max-age=10, max-stale=10", 40, Serve),
            // What overrules them.
            ("no-cache, max-age=60", "max-stale", 0, Validate),
            ("max-age=60, must-revalidate", "max-stale", 61, Validate),
            ("max-age=60, proxy-revalidate", "max-stale", 61, Validate),
            ("s-maxage=60", "max-stale", 61, Validate),
            // RFC 5861 §3.
            ("max-age=60, stale-while-revalidate=30", "", 90, ServeWhileRevalidating),
            ("max-age=60, stale-while-revalidate=30", "", 91, Validate),
            (
                "max-age=60, stale-while-revalidate=30, must-revalidate",
                "",
                61,
                Validate,
            ),
        ] {
            let validator = ("etag", "\"1\"");
            let policy = stored(&[], 200, &[("cache-control", response), validator]).unwrap();
            let wishes = directives::Request::of(&headers(&[(CACHE_CONTROL.as_str(), request)]));
            assert_eq!(
                policy.verdict(&wishes, at(age)),
                expected,
                "{response} | {request} | {age}"
            );
        }
    }

    #[test]
    fn rfc9111_4_2_4_and_rfc5861_4_stale_in_trouble() {
        use Trouble::{ServerError, Unreachable};
        let day = 24 * 3600;
        for (response, request, trouble, age, expected) in [
            ("max-age=60", "", Unreachable, 61, true),
            ("max-age=60", "", Unreachable, 60 + day, true),
            ("max-age=60", "", Unreachable, 61 + day, false),
            ("max-age=60", "", ServerError, 61, false),
            ("max-age=60, stale-if-error=10", "", ServerError, 70, true),
            ("max-age=60, stale-if-error=10", "", ServerError, 71, false),
            ("max-age=60, stale-if-error=10", "", Unreachable, 71, false),
            ("max-age=60", "stale-if-error=10", ServerError, 70, true),
            (
                "max-age=60, must-revalidate, stale-if-error=10",
                "",
                Unreachable,
                61,
                false,
            ),
            ("s-maxage=60, stale-if-error=10", "", ServerError, 61, false),
        ] {
            let policy = stored(&[], 200, &[("cache-control", response)]).unwrap();
            let wishes = directives::Request::of(&headers(&[(CACHE_CONTROL.as_str(), request)]));
            let served = policy.serves_in_trouble(&wishes, trouble, at(age));
            assert_eq!(served, expected, "{response} | {request} | {trouble:?} | {age}");
        }
    }
}
