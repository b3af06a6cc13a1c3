//! Plugins decide what the cache does: its key, lifetimes, tags, and what passes by it.

use weir_tests::bundle::Bundle;
use weir_tests::message::Request;
use weir_tests::origin::Origin;
use weir_tests::proxy::{Proxy, caching};

fn deciding(origin: &Origin) -> Proxy {
    let proxy = caching(origin).start();
    let bundle = Bundle::new("caching", "1").guest("cache-policy", "");
    let output = proxy.weir(&["deploy", &bundle.path()]);
    assert!(output.success, "{}{}", output.stdout, output.stderr);
    proxy
}

const FRESH: (&str, &str) = ("Cache-Control", "max-age=60");

#[test]
fn a_plugin_says_what_the_key_is() {
    let origin = Origin::counting(&[FRESH]);
    let proxy = deciding(&origin);
    let get = |target: &str, device: &str| {
        let request = Request::get(target)
            .host("example.org")
            .header("X-Cache-Device", device);
        proxy.fetch(&request).text_body()
    };
    assert_eq!(get("/a?x=1", "phone"), "answer 1");
    assert_eq!(get("/a?x=2", "phone"), "answer 1", "the query is not in the key");
    assert_eq!(get("/a?x=1", "tablet"), "answer 2", "the device is");
    assert_eq!(
        origin.seen()[1].target,
        "/a?x=1",
        "the origin gets what the client sent"
    );
    let purged = proxy.weir(&["cache", "purge", "example.org/a?device=phone"]);
    assert!(
        purged.stdout.contains("1 response removed"),
        "{}{}",
        purged.stdout,
        purged.stderr
    );
    assert_eq!(
        (get("/a", "phone").as_str(), get("/a", "tablet").as_str()),
        ("answer 3", "answer 2")
    );
}

#[test]
fn a_plugin_lets_requests_and_responses_pass_by() {
    let origin = Origin::counting(&[FRESH]);
    let proxy = deciding(&origin);
    assert_eq!(proxy.get("/").text_body(), "answer 1");
    let bypassing = Request::get("/").header("X-Cache-Bypass", "1");
    assert_eq!(proxy.fetch(&bypassing).text_body(), "answer 2");
    assert_eq!(proxy.get("/").text_body(), "answer 1", "what is stored stays");

    let origin = Origin::counting(&[FRESH, ("X-Cache-Never", "1")]);
    let proxy = deciding(&origin);
    let answers = [proxy.get("/").text_body(), proxy.get("/").text_body()];
    assert_eq!(answers, ["answer 1", "answer 2"]);
}

#[test]
fn a_plugin_says_how_long_a_response_is_fresh() {
    let origin = Origin::counting(&[("Cache-Control", "max-age=0"), ("X-Cache-Lifetime", "60")]);
    let proxy = deciding(&origin);
    let answers = [proxy.get("/"), proxy.get("/")];
    assert!(answers.iter().all(|answer| answer.text_body() == "answer 1"));
    assert_eq!(
        answers[1].headers.get("cache-control"),
        Some("max-age=0"),
        "clients are told what the origin says"
    );

    let origin = Origin::counting(&[FRESH, ("X-Cache-Lifetime", "0")]);
    let proxy = deciding(&origin);
    assert_eq!(
        [proxy.get("/").text_body(), proxy.get("/").text_body()],
        ["answer 1", "answer 2"]
    );

    let origin = Origin::counting(&[("Cache-Control", "no-store"), ("X-Cache-Lifetime", "60")]);
    let proxy = deciding(&origin);
    let answers = [proxy.get("/").text_body(), proxy.get("/").text_body()];
    assert_eq!(answers, ["answer 1", "answer 2"], "what must not be stored is not");
}

#[test]
fn a_plugin_adds_tags() {
    let origin = Origin::counting(&[FRESH, ("X-Cache-Kind", "cover"), ("Surrogate-Key", "own")]);
    let proxy = deciding(&origin);
    for (tag, answer) in [("every", "answer 1"), ("cover", "answer 2"), ("own", "answer 3")] {
        for _ in 0..2 {
            let response = proxy.get("/");
            assert_eq!(
                (response.text_body().as_str(), response.headers.get("surrogate-key")),
                (answer, None)
            );
        }
        let purged = proxy.weir(&["cache", "purge", "--tag", tag]);
        assert!(purged.stdout.contains("1 response removed"), "{tag}: {}", purged.stdout);
    }
}
