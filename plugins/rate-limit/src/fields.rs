//! What a client is told: `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-11, both structured fields of
//! RFC 9651), `Retry-After` (RFC 9110 §10.2.3), and the draft's problem document (RFC 9457).

use std::fmt::Write;
use std::time::Duration;

use weir_sdk::counters::Outcome;

use crate::limit::{Applying, Limit, Limits, PartitionKey};

/// An item of `RateLimit-Policy`: the quota `q`, the window `w` in seconds, and, where it is not the quota, the burst. The
/// draft has no parameter for that; one of our own carries our name, as it asks.
#[must_use]
pub fn policy_item(name: &str, quota: u32, period: Duration, burst: u32) -> String {
    let mut item = format!("\"{name}\";q={quota};w={}", period.as_secs());
    if burst != quota {
        let _ = write!(item, ";weir-burst={burst}");
    }
    item
}

/// The values of `RateLimit-Policy` and `RateLimit`, or nothing when no limit applies: an empty list is no field.
#[must_use]
pub fn rate_limit(limits: &Limits, applying: &Applying, outcomes: &[Outcome]) -> Option<[String; 2]> {
    if outcomes.is_empty() {
        return None;
    }
    let (mut policy, mut limit_field) = (String::with_capacity(64), String::with_capacity(64));
    for (index, ((limit, key), outcome)) in limits.of(applying).zip(outcomes).enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        let _ = write!(policy, "{separator}{}", limit.policy);
        let _ = write!(
            limit_field,
            "{separator}\"{}\";r={};t={}",
            limit.name,
            outcome.remaining,
            effective_window(limit, outcome)
        );
        if limits.partition_key == PartitionKey::Hashed {
            let hash = hash(key);
            push_byte_sequence(&mut policy, hash);
            push_byte_sequence(&mut limit_field, hash);
        }
    }
    Some([policy, limit_field])
}

/// Seconds until a request would be allowed by all limits: the longest wait, and never 0, which would invite a loop.
#[must_use]
pub fn retry_after(outcomes: &[Outcome]) -> u64 {
    ceil_seconds(outcomes.iter().map(|outcome| outcome.retry_after).max().unwrap_or(0)).max(1)
}

/// The problem document `quota-exceeded`. The names need no escape: the configuration allows letters, digits and `-_.` only.
#[must_use]
pub fn problem(status: u16, violated: &[&str]) -> String {
    let names = violated
        .iter()
        .map(|name| format!("\"{name}\""))
        .collect::<Vec<_>>()
        .join(",");
    format!(
        "{{\"type\":\"https://iana.org/assignments/http-problem-types#quota-exceeded\",\
         \"title\":\"Too many requests\",\"status\":{status},\"violated-policies\":[{names}]}}\n"
    )
}

/// `t`, the seconds for which no more than `r` requests should be sent. A limit that refuses says the same as `Retry-After`;
/// one with nothing left, when the next request comes free; any other, when the whole burst is there again.
fn effective_window(limit: &Limit, outcome: &Outcome) -> u64 {
    ceil_seconds(match (outcome.allowed, outcome.remaining) {
        (false, _) => outcome.retry_after,
        (true, 0) => outcome
            .reset_after
            .saturating_sub(limit.interval.saturating_mul(u64::from(limit.burst.saturating_sub(1)))),
        (true, _) => outcome.reset_after,
    })
}

fn ceil_seconds(nanos: u64) -> u64 {
    nanos.div_ceil(1_000_000_000)
}

/// FNV-1a: names a partition without showing what it is made of. A client knows its own key, so nothing is given away to it.
fn hash(key: &[u8]) -> u64 {
    key.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// `;pk=:…:`, a Byte Sequence (RFC 9651 §3.3.5): eight bytes are eleven digits of base64 and one `=`.
fn push_byte_sequence(item: &mut String, bytes: u64) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    // Two zero bits behind the 64 make 66, eleven groups of six.
    let padded = u128::from(bytes) << 2;
    item.push_str(";pk=:");
    for group in (0..11).rev() {
        let digit = (padded >> (group * 6)) & 63;
        item.push(char::from(DIGITS[digit as usize]));
    }
    item.push_str("=:");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::net::IpAddr;

    use weir_plugin_common::ScopeFacts;

    use super::*;
    use crate::config::Config;
    use crate::limit::{KeyFacts, Mode};

    const SECOND: u64 = 1_000_000_000;

    struct Client;

    impl ScopeFacts for Client {
        fn host(&mut self) -> &str {
            "example.org"
        }
        fn path(&mut self) -> &[u8] {
            b"/"
        }
        fn method(&mut self) -> &str {
            "GET"
        }
    }

    impl KeyFacts for Client {
        fn client_ip(&mut self) -> IpAddr {
            IpAddr::from([192, 0, 2, 1])
        }
        fn header(&mut self, _: &str) -> Option<Vec<u8>> {
            None
        }
        fn cookie(&mut self, _: &str) -> Option<Vec<u8>> {
            None
        }
    }

    fn two_limits(more: &str) -> Limits {
        let json = format!(
            r#"{{{more} "limits": [
                {{"name": "burst", "quota": 10, "period": "1s"}},
                {{"name": "daily", "quota": 1000, "period": "1d", "burst": 100}}
            ]}}"#
        );
        serde_json::from_str::<Config>(&json)
            .unwrap()
            .resolve(|_| Ok(0))
            .unwrap()
    }

    fn outcome(allowed: bool, remaining: u32, reset_after: u64, retry_after: u64) -> Outcome {
        Outcome {
            allowed,
            remaining,
            reset_after,
            retry_after,
        }
    }

    #[test]
    fn the_fields_are_lists_of_strings_with_parameters() {
        let limits = two_limits("");
        let applying = limits.applying(Mode::Enforce, &mut Client);
        let outcomes = [outcome(true, 9, SECOND / 10, 0), outcome(true, 99, 86_400_000_001, 0)];
        let [policy, limit] = rate_limit(&limits, &applying, &outcomes).unwrap();
        assert_eq!(policy, r#""burst";q=10;w=1, "daily";q=1000;w=86400;weir-burst=100"#);
        assert_eq!(limit, r#""burst";r=9;t=1, "daily";r=99;t=87"#);
    }

    #[test]
    fn a_partition_key_is_a_byte_sequence() {
        let limits = two_limits(r#""partition_key": "hashed","#);
        let applying = limits.applying(Mode::Enforce, &mut Client);
        let [policy, limit] = rate_limit(&limits, &applying, &[outcome(true, 9, 0, 0)]).unwrap();
        let key = limit
            .strip_prefix(r#""burst";r=9;t=0;pk=:"#)
            .unwrap()
            .strip_suffix(":")
            .unwrap();
        assert_eq!(policy, format!(r#""burst";q=10;w=1;pk=:{key}:"#));
        assert_eq!(key.len(), 12);
    }

    #[test]
    fn base64_agrees_with_known_values() {
        for (bytes, encoded) in [
            (*b"trial121", "dHJpYWwxMjE="),
            ([0; 8], "AAAAAAAAAAA="),
            ([0xff; 8], "//////////8="),
        ] {
            let mut item = String::new();
            push_byte_sequence(&mut item, u64::from_be_bytes(bytes));
            assert_eq!(item, format!(";pk=:{encoded}:"));
        }
    }

    #[test]
    fn no_limit_is_no_field() {
        let limits = two_limits("");
        assert_eq!(rate_limit(&limits, &Applying::default(), &[]), None);
    }

    #[test]
    fn a_limit_that_refuses_says_what_retry_after_says() {
        let limits = two_limits("");
        let applying = limits.applying(Mode::Enforce, &mut Client);
        let outcomes = [
            outcome(true, 5, SECOND / 2, 0),
            outcome(false, 0, 8_640 * SECOND, 80 * SECOND + 1),
        ];
        assert_eq!(retry_after(&outcomes), 81);
        assert_eq!(
            rate_limit(&limits, &applying, &outcomes).unwrap()[1],
            r#""burst";r=5;t=1, "daily";r=0;t=81"#
        );
        assert_eq!(limits.violated(&applying, &outcomes).collect::<Vec<_>>(), ["daily"]);
    }

    #[test]
    fn with_nothing_left_the_window_ends_when_a_request_comes_free() {
        let limits = two_limits("");
        let applying = limits.applying(Mode::Enforce, &mut Client);
        // The burst of 100 is used up: it takes 8640 s to come back, and the first request 86.4 s.
        let outcomes = [outcome(true, 9, 0, 0), outcome(true, 0, 8_640 * SECOND, 0)];
        assert_eq!(
            rate_limit(&limits, &applying, &outcomes).unwrap()[1],
            r#""burst";r=9;t=0, "daily";r=0;t=87"#
        );
    }

    #[test]
    fn retry_after_is_never_zero() {
        assert_eq!(retry_after(&[outcome(false, 0, 1, 1)]), 1);
        assert_eq!(retry_after(&[]), 1);
    }

    #[test]
    fn the_problem_names_the_violated_policies() {
        let problem: serde_json::Value = serde_json::from_str(&problem(429, &["a", "b-c.d"])).unwrap();
        assert_eq!(problem["violated-policies"], serde_json::json!(["a", "b-c.d"]));
        assert_eq!(problem["status"], 429);
    }
}
