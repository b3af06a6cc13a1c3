//! RFC 9111 §4.4: invalidating stored responses.

use super::By::{Cache, Origin};
use super::{case, run};

const FRESH: (&str, &str) = ("Cache-Control", "max-age=60");
const EMPTY: (&str, &str) = ("Content-Length", "0");

#[test]
fn section_4_4_unsafe_methods() {
    let mut cases = Vec::new();
    for method in ["POST", "PUT", "DELETE", "PATCH", "M-SEARCH"] {
        for status in [200, 204, 303] {
            let case = case(format!("§4.4: {method} with {status}")).origin(&[FRESH]);
            cases.push(case.ask(method, &[EMPTY], Origin).planned(status, &[]).get(Origin));
        }
        for status in [403, 500] {
            let case = case(format!("§4.4: a failed {method} with {status}")).origin(&[FRESH]);
            cases.push(case.ask(method, &[EMPTY], Origin).planned(status, &[]).get(Cache));
        }
    }
    for method in ["OPTIONS", "HEAD"] {
        let case = case(format!("§4.4: {method} is safe")).origin(&[FRESH]);
        let by = if method == "HEAD" { Cache } else { Origin };
        cases.push(case.ask(method, &[], by).get(Cache));
    }
    run(cases);
}

#[test]
fn section_4_4_location_and_content_location() {
    let row = |field: &'static str, reference: &'static str, by| {
        case(format!("§4.4: {field}: {reference}"))
            .origin(&[FRESH])
            .at("?other")
            .ask("PUT", &[EMPTY], Origin)
            .planned(500, &[(field, reference)])
            .get(Cache)
            .at("?other")
            .ask("PUT", &[EMPTY], Origin)
            .planned(201, &[(field, reference)])
            .get(by)
            .at("?other")
    };
    let mut cases = Vec::new();
    for field in ["Location", "Content-Location"] {
        cases.push(row(field, "?other", Origin));
        cases.push(row(field, "?another", Cache));
        cases.push(row(field, "http://elsewhere.test/?other", Cache));
        cases.push(row(field, "https://weir.test/?other", Cache));
    }
    run(cases);
    for (reference, by) in [
        ("/0?other", Origin),
        ("//weir.test/0?other", Origin),
        ("http://WEIR.test:80/0?other#part", Origin),
        ("./x/../0?other", Origin),
        ("http://weir.test:8080/0?other", Cache),
    ] {
        run(vec![row("Location", reference, by)]);
    }
}
