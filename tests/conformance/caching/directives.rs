//! RFC 9111 §5: fields and directives that the other sections do not have.

use super::By::{Cache, Origin, Validation};
use super::{FUTURE, PAST, case, run};

const FRESH: (&str, &str) = ("Cache-Control", "max-age=60");
const TAG: (&str, &str) = ("ETag", "\"a\"");

#[test]
fn section_5_2_1_request_directives() {
    let row = |name: &str, stored: super::Lines<'_>, wish: &'static str, by| {
        case(format!("§5.2.1: {name}"))
            .origin(stored)
            .get_with(&[("Cache-Control", wish)], by)
    };
    let aged = [("Cache-Control", "max-age=3600"), ("Age", "1800")];
    let stale = [("Cache-Control", "max-age=10"), ("Age", "20"), TAG];
    run(vec![
        row("max-age that is exceeded", &aged, "max-age=600", Origin),
        row("max-age that is kept", &aged, "max-age=2000", Cache),
        row("min-fresh that is not there", &aged, "min-fresh=2000", Origin),
        row("min-fresh that is there", &aged, "min-fresh=1000", Cache),
        row("no-cache", &[FRESH], "no-cache", Origin),
        row("no-cache validates", &[FRESH, TAG], "no-cache", Validation),
        row("no-store", &[FRESH], "no-store", Origin),
        row("only-if-cached, and it is", &[FRESH], "only-if-cached", Cache),
        case("§5.2.1.7: only-if-cached, and it is not")
            .get_with(&[("Cache-Control", "only-if-cached")], Cache)
            .status(504),
        row("only-if-cached, and it is stale", &stale, "only-if-cached", Cache).status(504),
        row(
            "only-if-cached, stale will do",
            &stale,
            "only-if-cached, max-stale",
            Cache,
        )
        .status(200)
        .body("0123456789"),
        row(
            "max-age that is exceeded, validated",
            &[FRESH, TAG],
            "max-age=0",
            Validation,
        ),
        row("a quoted number", &aged, "max-age=\"600\"", Origin),
        row("on two lines", &aged, "foo", Cache)
            .get_with(&[("Cache-Control", "foo"), ("Cache-Control", "no-cache")], Origin),
        row("unknown directives", &[FRESH], "foo=bar", Cache),
        case("§5.4: Pragma: no-cache")
            .origin(&[FRESH])
            .get_with(&[("Pragma", "no-cache")], Origin),
        case("§5.4: Pragma beside Cache-Control")
            .origin(&[FRESH])
            .get_with(&[("Pragma", "no-cache"), ("Cache-Control", "max-age=60")], Cache),
        case("§5.4: Pragma in a response")
            .origin(&[FRESH, ("Pragma", "no-cache")])
            .get(Cache),
    ]);
}

#[test]
fn section_5_2_2_response_directives() {
    let row = |control: &'static str, by| {
        case(format!("§5.2.2: {control}"))
            .origin(&[("Cache-Control", control), ("Expires", FUTURE), TAG])
            .get(by)
    };
    run(vec![
        row("no-cache, max-age=60", Validation),
        row("No-CaChE, max-age=60", Validation),
        row("nO-StOrE", Origin),
        row("must-revalidate, max-age=60", Cache),
        row("proxy-revalidate, max-age=60", Cache),
        row("no-transform, max-age=60", Cache),
        row("immutable, max-age=60", Cache),
        row("no-cache=\"\", max-age=60", Validation),
        row("no-cache=\"a b\", max-age=60", Validation),
        row("x=\"abc, no-store", Origin),
        row(", ,no-store,, ", Origin),
    ]);
}

#[test]
fn section_5_3_expires() {
    let row = |value: &'static str, by| {
        case(format!("§5.3: {value}"))
            .origin(&[("Expires", value), ("Last-Modified", PAST)])
            .get(by)
    };
    run(vec![
        row("Tue, 19 Jan 2038 14:14:08 GMT", Cache),
        row("Sun, 21 Nov 2286 04:46:39 GMT", Cache),
        row("Thursday, 18-Aug-50 02:01:18 GMT", Cache),
        row("Thu Aug 18 02:01:18 2050", Cache),
        // §4.2: the formats in any case, and no zone but GMT.
        row("THU, 18 Aug 2050 02:01:18 GMT", Cache),
        row("Thu, 18 AUG 2050 02:01:18 GMT", Cache),
        row("Thu, 18 Aug 2050 02:01:18 gMT", Cache),
        row("thursday, 18-aug-50 02:01:18 gmt", Cache),
        row("thu aug 18 02:01:18 2050", Cache),
        // The 18th is a Thursday. What the name of the day says, the rest says better.
        row("Mon, 18 Aug 2050 02:01:18 GMT", Cache),
        row("Thu Aug  8 02:01:18 2050", Cache),
        row("Thu, 31 Jun 2050 02:01:18 GMT", Validation),
        row("0", Validation),
        row("-1", Validation),
        row("", Validation),
        row("soon", Validation),
        row("Thu, 18 Aug 2050 02:01:18 UTC", Validation),
        row("Thu, 18 Aug 2050 02:01:18 AEST", Validation),
        row("Thu, 18 Aug 50 02:01:18 GMT", Validation),
        row("Thu 18 Aug 2050 02:01:18 GMT", Validation),
        row("Thu, 18  Aug  2050 02:01:18 GMT", Validation),
        row("Thu, 18-Aug-2050 02:01:18 GMT", Validation),
        row("Thu, 18 Aug 2050 02.01.18 GMT", Validation),
        row("Thu, 18 Aug 2050 2:01:18 GMT", Validation),
        case("§5.3: two lines, one of them invalid")
            .origin(&[("Expires", FUTURE), ("Expires", "0"), TAG])
            .get(Validation),
    ]);
}
