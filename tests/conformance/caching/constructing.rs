//! RFC 9111 §4, §4.1 and §4.2: when a stored response answers a request.

use super::By::{Cache, Origin, Validation};
use super::{FUTURE, PAST, case, run};

const FRESH: (&str, &str) = ("Cache-Control", "max-age=60");
const TAG: (&str, &str) = ("ETag", "\"a\"");

#[test]
fn section_4_what_a_stored_response_answers() {
    run(vec![
        case("§4: HEAD is answered by a stored GET")
            .origin(&[FRESH])
            .ask("HEAD", &[], Cache)
            .header("content-length", "10")
            .body(""),
        case("§4: another method goes to the origin")
            .origin(&[FRESH])
            .ask("OPTIONS", &[], Origin)
            .get(Cache),
        case("§4: Age on what is stored")
            .origin(&[FRESH, ("Age", "30")])
            .header("age", "30")
            .get(Cache)
            .header("age", "3…"),
        case("§4: an unsafe method is written through")
            .origin(&[FRESH])
            .ask("DELETE", &[], Origin),
        case("§4: the latest of several answers")
            .origin(&[FRESH, ("x", "1")])
            .get_with(&[("Cache-Control", "no-cache")], Origin)
            .planned(200, &[FRESH, ("x", "2")])
            .get(Cache)
            .header("x", "2"),
    ]);
}

#[test]
fn section_4_1_vary() {
    let vary = |value: &'static str| [FRESH, ("Vary", value)];
    let row = |name: &str, header: &'static str, first: &'static str, second: &'static str, by| {
        case(format!("§4.1: {name}"))
            .get_with(&[(header, first)], Origin)
            .planned(200, &vary(header))
            .get_with(&[(header, second)], by)
    };
    run(vec![
        row("the same value", "Foo", "1", "1", Cache),
        row("another value", "Foo", "1", "2", Origin),
        row("case of unknown fields counts", "Foo", "a", "A", Origin),
        row("white space around commas does not", "Foo", "1,2", " 1, 2 ", Cache),
        row(
            "codings are a set",
            "Accept-Encoding",
            "gzip, br;q=0.5",
            "br,GZIP",
            Cache,
        ),
        row("another set of codings", "Accept-Encoding", "gzip", "gzip, br", Origin),
        row(
            "order of languages of one weight",
            "Accept-Language",
            "en, de",
            "de, en",
            Cache,
        ),
        row("case of languages", "Accept-Language", "en, de", "eN, De", Cache),
        row(
            "white space in languages",
            "Accept-Language",
            "en, de",
            " en ,   de",
            Cache,
        ),
        row(
            "order of languages by weight",
            "Accept-Language",
            "en, de;q=0.5",
            "de, en;q=0.5",
            Origin,
        ),
        case("§4.1: the language that a client likes best")
            .get_with(&[("Accept-Language", "en, de")], Origin)
            .planned(200, &[FRESH, ("Vary", "Accept-Language"), ("Content-Language", "de")])
            .get_with(&[("Accept-Language", "fr;q=0.5, de;q=1.0")], Cache)
            .get_with(&[("Accept-Language", "fr, de;q=0.5")], Origin),
        case("§4.1: absent now")
            .get_with(&[("Foo", "1")], Origin)
            .planned(200, &vary("Foo"))
            .get(Origin),
        case("§4.1: absent then")
            .get(Origin)
            .planned(200, &vary("Foo"))
            .get_with(&[("Foo", "1")], Origin),
        case("§4.1: absent both times")
            .get(Origin)
            .planned(200, &vary("Foo"))
            .get(Cache),
        case("§4.1: lines are combined")
            .get_with(&[("Foo", "1, 2")], Origin)
            .planned(200, &vary("Foo"))
            .get_with(&[("Foo", "1"), ("Foo", "2")], Cache),
        case("§4.1: all fields have to match")
            .get_with(&[("Foo", "1"), ("Bar", "2")], Origin)
            .planned(200, &vary("Foo, Bar"))
            .get_with(&[("Foo", "1"), ("Bar", "2"), ("Other", "3")], Cache)
            .get_with(&[("Foo", "1"), ("Bar", "3")], Origin),
        case("§4.1: variants live side by side")
            .get_with(&[("Foo", "1")], Origin)
            .planned_with(200, &vary("Foo"), "one")
            .get_with(&[("Foo", "2")], Origin)
            .planned_with(200, &vary("Foo"), "two")
            .get_with(&[("Foo", "1")], Cache)
            .body("one")
            .get_with(&[("Foo", "2")], Cache)
            .body("two"),
        case("§4.1: `*` among others").origin(&vary("Foo, *")).get(Origin),
        case("§4.1: `*` on a line of its own")
            .origin(&[FRESH, ("Vary", ""), ("Vary", "*")])
            .get(Origin),
        case("§4.1: an empty Vary")
            .origin(&vary(""))
            .get_with(&[("Foo", "1")], Cache),
        case("§2: the query is part of the key")
            .origin(&[FRESH])
            .at("?a")
            .get(Cache)
            .at("?a")
            .get(Origin)
            .at("?b"),
    ]);
}

#[test]
fn section_4_2_1_lifetimes() {
    let row = |name: &str, lines: super::Lines<'_>, by| case(format!("§4.2.1: {name}")).origin(lines).get(by);
    run(vec![
        row(
            "s-maxage before max-age",
            &[("Cache-Control", "max-age=0, s-maxage=60")],
            Cache,
        ),
        row(
            "s-maxage before max-age, the other way",
            &[("Cache-Control", "max-age=60, s-maxage=0")],
            Origin,
        ),
        row("max-age before Expires", &[FRESH, ("Expires", PAST)], Cache),
        row(
            "max-age before Expires, the other way",
            &[("Cache-Control", "max-age=0"), ("Expires", FUTURE)],
            Origin,
        ),
        row("Expires", &[("Expires", FUTURE)], Cache),
        row("Expires in the past", &[("Expires", PAST)], Origin),
        row(
            "Expires that equals Date",
            &[("Expires", FUTURE), ("Date", FUTURE)],
            Origin,
        ),
        row(
            "Expires with an invalid Date",
            &[("Expires", FUTURE), ("Date", "foo")],
            Cache,
        ),
        row(
            "the smaller of two",
            &[("Cache-Control", "max-age=60, max-age=0")],
            Origin,
        ),
        row("a quoted number", &[("Cache-Control", "max-age=\"60\"")], Cache),
        row(
            "what is within quotes is no directive",
            &[("Cache-Control", "x=\"max-age=60\", max-age=0")],
            Origin,
        ),
        row("leading zeroes", &[("Cache-Control", "max-age=0060")], Cache),
        row(
            "no number is stale",
            &[("Cache-Control", "max-age=60s"), ("Expires", FUTURE)],
            Origin,
        ),
        row("single quotes are stale", &[("Cache-Control", "max-age='60'")], Origin),
        row("negative is stale", &[("Cache-Control", "max-age=-60")], Origin),
        row("names know no case", &[("Cache-Control", "MaX-aGe=60")], Cache),
        row(
            "unknown directives are ignored",
            &[("Cache-Control", "foo, max-age=60, bar=\"baz\"")],
            Cache,
        ),
        row("§1.2.2: 2^31", &[("Cache-Control", "max-age=2147483648")], Cache),
        row(
            "§1.2.2: beyond 2^31",
            &[("Cache-Control", "max-age=99999999999")],
            Cache,
        ),
    ]);
}

#[test]
fn section_4_2_3_ages() {
    let row = |name: &str, age: super::Lines<'_>, by| {
        let lines: Vec<_> = [("Cache-Control", "max-age=3600")].iter().chain(age).copied().collect();
        case(format!("§4.2.3: {name}")).origin(&lines).get(by)
    };
    run(vec![
        row("older than its lifetime", &[("Age", "7200")], Origin),
        row("apparent age", &[("Date", PAST)], Origin),
        row("a Date in the future", &[("Date", FUTURE)], Cache),
        row("§5.1: no number is ignored", &[("Age", "abc")], Cache),
        row("§5.1: negative is ignored", &[("Age", "-7200")], Cache),
        row("§5.1: a fraction is ignored", &[("Age", "7200.0")], Cache),
        row("§5.1: the first of a list", &[("Age", "7200, 0")], Origin),
        row("§5.1: the first of a list, the other way", &[("Age", "0, 7200")], Cache),
        row("§5.1: the first line", &[("Age", "7200"), ("Age", "0")], Origin),
        row(
            "§5.1: the first line, the other way",
            &[("Age", "0"), ("Age", "7200")],
            Cache,
        ),
        row("§1.2.2: beyond 2^31", &[("Age", "2147483649")], Origin),
    ]);
}

#[test]
fn section_4_2_4_stale_responses() {
    let stale = |control: &'static str| [("Cache-Control", control), ("Age", "20"), TAG];
    let row = |control: &'static str| {
        case(format!("§4.2.4: {control}"))
            .origin(&stale(control))
            .get_with(&[("Cache-Control", "max-stale")], Validation)
    };
    run(vec![
        case("§4.2: stale is validated")
            .origin(&stale("max-age=10"))
            .get(Validation)
            .planned(304, &[])
            .status(200),
        case("§5.2.1.2: max-stale")
            .origin(&stale("max-age=10"))
            .get_with(&[("Cache-Control", "max-stale")], Cache),
        case("§5.2.1.2: max-stale of enough seconds")
            .origin(&stale("max-age=10"))
            .get_with(&[("Cache-Control", "max-stale=1000")], Cache),
        case("§5.2.1.2: max-stale of too few seconds")
            .origin(&stale("max-age=10"))
            .get_with(&[("Cache-Control", "max-stale=5")], Validation),
        row("max-age=10, must-revalidate"),
        row("max-age=10, proxy-revalidate"),
        row("s-maxage=10"),
        row("max-age=10, no-cache"),
    ]);
}
