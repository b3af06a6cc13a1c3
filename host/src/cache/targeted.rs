//! Cache directives for caches like this one alone: `CDN-Cache-Control` and its kin (RFC 9213), and the older
//! `Surrogate-Control` (W3C Edge Architecture, 2001).
//!
//! The first field of the configured list that is there and can be read says everything: `Cache-Control` and `Expires` then
//! count as absent (RFC 9213 §2.2). The fields are passed on, as caches between here and the client may read them too.

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

use super::directives::{self, FOR_EVER, Response, Source};

const SURROGATE_CONTROL: HeaderName = HeaderName::from_static("surrogate-control");

/// Who is meant by a directive of `Surrogate-Control` that names its target.
const OWN_NAME: &[u8] = b"weir";

/// What a response allows this cache: by the first of the targeted fields that says something, else by `Cache-Control`.
pub(super) fn directives(headers: &HeaderMap, targeted: &[HeaderName]) -> Response {
    let said = targeted.iter().filter(|name| headers.contains_key(*name));
    let mut read = said.filter_map(|name| {
        if *name == SURROGATE_CONTROL {
            surrogate(headers)
        } else {
            structured(headers, name)
        }
    });
    read.next().unwrap_or_else(|| Response::of(headers))
}

/// A targeted field, which is a dictionary of RFC 9651; `None` where it is not, or empty (RFC 9213 §2.1).
fn structured(headers: &HeaderMap, name: &HeaderName) -> Option<Response> {
    let lines: Vec<_> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    let dictionary: Dictionary = Parser::new(&lines.join(&b", "[..])).parse().ok()?;
    if dictionary.is_empty() {
        return None;
    }
    let flag = |name: &str| {
        let value = dictionary.get(name);
        // An argument that nobody knows, field names among them, takes nothing from what is forbidden.
        value.is_some_and(|value| !matches!(value, ListEntry::Item(item) if item.bare_item == BareItem::Boolean(false)))
    };
    let seconds = |name: &str| match dictionary.get(name)? {
        ListEntry::Item(item) => match &item.bare_item {
            BareItem::Integer(seconds) => Some(u32::try_from(i64::from(*seconds).clamp(0, FOR_EVER.into())).ok()?),
            _ => Some(0),
        },
        ListEntry::InnerList(_) => Some(0),
    };
    Some(Response {
        source: Source::Targeted,
        no_cache: flag("no-cache"),
        no_store: flag("no-store"),
        private: flag("private"),
        public: flag("public"),
        must_revalidate: flag("must-revalidate"),
        proxy_revalidate: flag("proxy-revalidate"),
        must_understand: flag("must-understand"),
        max_age: seconds("max-age"),
        s_maxage: seconds("s-maxage"),
        stale_while_revalidate: seconds("stale-while-revalidate"),
        stale_if_error: seconds("stale-if-error"),
    })
}

/// `no-store`, `max-age=FRESH+STALE`, each for everybody or for `;target`; `None` where nothing in it is for caching here.
fn surrogate(headers: &HeaderMap) -> Option<Response> {
    let mut response = Response {
        source: Source::Targeted,
        ..Response::default()
    };
    let lines = headers.get_all(SURROGATE_CONTROL).iter();
    for directive in lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')) {
        let mut parts = directive.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let Some(directive) = parts.next() else { continue };
        if !parts.all(|target| target.eq_ignore_ascii_case(OWN_NAME)) {
            continue;
        }
        let lower = directive.to_ascii_lowercase();
        if lower == b"no-store" {
            response.no_store = true;
        } else if let Some(times) = lower.strip_prefix(b"max-age=") {
            let mut times = times.split(|byte| *byte == b'+').map(directives::seconds);
            response.max_age = Some(times.next().flatten().unwrap_or(0));
            response.stale_while_revalidate = times.next().flatten();
        }
    }
    (response.no_store || response.max_age.is_some()).then_some(response)
}

#[cfg(test)]
mod tests {
    use super::super::tests::header_map;
    use super::*;

    const LIST: [HeaderName; 3] = [
        HeaderName::from_static("weir-cache-control"),
        HeaderName::from_static("cdn-cache-control"),
        SURROGATE_CONTROL,
    ];

    fn read(lines: &[(&str, &str)]) -> Response {
        directives(&header_map(lines), &LIST)
    }

    #[test]
    fn rfc9213_2_2_the_first_valid_field_of_the_list_counts_alone() {
        let lines = [
            ("cache-control", "no-store"),
            ("surrogate-control", "max-age=1"),
            ("cdn-cache-control", "max-age=2"),
        ];
        let response = read(&lines);
        assert_eq!(
            (response.max_age, response.no_store, response.source),
            (Some(2), false, Source::Targeted)
        );
        let own = read(&[lines.as_slice(), &[("weir-cache-control", "max-age=3, private")]].concat());
        assert_eq!((own.max_age, own.private), (Some(3), true));
        assert_eq!(read(&[("cache-control", "max-age=5")]).source, Source::CacheControl);
    }

    #[test]
    fn rfc9213_2_1_what_is_no_dictionary_is_ignored() {
        for invalid in [
            "",
            "max-age=10000, &&&&&",
            "MaX-aGe=3600",
            "max-age =100",
            "max-age= 100",
            "max-age=1;",
        ] {
            let response = read(&[("cdn-cache-control", invalid), ("cache-control", "max-age=7")]);
            assert_eq!(
                (response.max_age, response.source),
                (Some(7), Source::CacheControl),
                "{invalid}"
            );
        }
    }

    #[test]
    fn rfc9213_2_1_values_and_their_types() {
        for (value, max_age) in [
            ("max-age=60", Some(60)),
            ("foobar, max-age=60;x", Some(60)),
            ("max-age=99999999999", Some(FOR_EVER)),
            ("max-age=-1", Some(0)),
            ("max-age=\"60\"", Some(0)),
            ("max-age=60.0", Some(0)),
            ("max-age=(60)", Some(0)),
            ("max-age", Some(0)),
            ("max-age=1, max-age=60", Some(60)),
            ("public", None),
        ] {
            let response = read(&[("cdn-cache-control", value)]);
            assert_eq!(
                (response.max_age, response.source),
                (max_age, Source::Targeted),
                "{value}"
            );
        }
        let flags = read(&[("cdn-cache-control", "no-store=?0, private=\"x\", no-cache=1")]);
        assert_eq!((flags.no_store, flags.private, flags.no_cache), (false, true, true));
        let two = read(&[("cdn-cache-control", "max-age=60"), ("cdn-cache-control", "no-store")]);
        assert_eq!(
            (two.max_age, two.no_store),
            (Some(60), true),
            "lines are one dictionary"
        );
    }

    #[test]
    fn surrogate_control_has_targets_and_two_times() {
        for (value, max_age, stale) in [
            ("max-age=60", Some(60), None),
            ("MAX-AGE=60+30", Some(60), Some(30)),
            ("max-age=60;weir", Some(60), None),
            ("content=\"ESI/1.0\", max-age=60", Some(60), None),
            ("max-age=x", Some(0), None),
        ] {
            let response = read(&[("surrogate-control", value), ("cache-control", "no-store")]);
            let expected = (max_age, stale, Source::Targeted);
            assert_eq!(
                (response.max_age, response.stale_while_revalidate, response.source),
                expected,
                "{value}"
            );
        }
        for others in ["max-age=60;squid", "content=\"ESI/1.0\"", "no-store-remote", ""] {
            let response = read(&[("surrogate-control", others), ("cache-control", "max-age=7")]);
            assert_eq!(response.max_age, Some(7), "{others}");
        }
    }
}
