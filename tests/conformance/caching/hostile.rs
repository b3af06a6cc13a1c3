//! Origins and clients that lie: nothing false is stored, and what is stored stays bounded.

use std::sync::atomic::{AtomicUsize, Ordering};

use weir_tests::message::{Request, Response};
use weir_tests::origin::Origin;
use weir_tests::proxy::{self, Proxy};

use super::By::{Cache, Origin as ByOrigin};
use super::{case, run};

const FRESH: (&str, &str) = ("Cache-Control", "max-age=60");

fn caching(origin: &Origin) -> Proxy {
    proxy::caching(origin).tables("[cache]\nsize = \"1MiB\"").start()
}

#[test]
fn requests_that_could_poison_what_others_get() {
    let mut cases = vec![
        case("a GET with content")
            .ask("GET", &[("Content-Length", "0")], ByOrigin)
            .planned(200, &[FRESH])
            .get(Cache),
    ];
    for name in [
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-HTTP-Method-Override",
        "X-HTTP-Method",
        "X-Method-Override",
    ] {
        let case = case(format!("{name} is not part of the key, so its answer is nobody else's"));
        cases.push(
            case.get_with(&[(name, "/admin")], ByOrigin)
                .planned(200, &[FRESH])
                .get(ByOrigin),
        );
    }
    run(cases);
}

#[test]
fn the_body_of_a_get_is_not_answered_to_others() {
    let origin = Origin::start(|request| Response::text(request.body.clone()).header("Cache-Control", "max-age=60"));
    let proxy = caching(&origin);
    let mut fat = Request::post("/", "poison");
    fat.method = "GET".into();
    assert_eq!(proxy.fetch(&fat).text_body(), "poison");
    assert_eq!(proxy.get("/").text_body(), "");
}

/// Fields that frameworks and servers build links, redirects and host names of, and that are in no key.
const UNKEYED: [&str; 18] = [
    "Forwarded",
    "Front-End-Https",
    "X-Forwarded",
    "X-Forwarded-By",
    "X-Forwarded-Host",
    "X-Forwarded-Path",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Proto",
    "X-Forwarded-Scheme",
    "X-Forwarded-Server",
    "X-Forwarded-Ssl",
    "X-Forwarded-Uri",
    "X-Host",
    "X-HTTP-Host-Override",
    "X-Original-Host",
    "X-Real-IP",
    "X-Url-Scheme",
];

#[test]
fn what_a_client_says_of_itself_is_written_into_nobody_elses_page() {
    let origin = Origin::start(|request| {
        let said: Vec<_> = UNKEYED
            .iter()
            .filter_map(|name| request.headers.get(name))
            .filter(|value| value.contains("evil"))
            .collect();
        Response::text(said.join(" ")).header("Cache-Control", "max-age=60")
    });
    let proxy = caching(&origin);
    for name in UNKEYED {
        let path = format!("/{name}");
        proxy.fetch(&Request::get(&path).header(name, "host=evil.test"));
        assert_eq!(proxy.get(&path).text_body(), "", "{name}");
    }
}

#[test]
fn range_bombs_get_the_whole_once() {
    let origin = Origin::counting(&[FRESH]);
    let proxy = caching(&origin);
    let whole = proxy.get("/").body;
    for ranges in [
        "bytes=0-,0-,0-,0-,0-,0-,0-,0-".to_owned(),
        format!("bytes={}", vec!["0-0"; 1000].join(",")),
        format!("bytes=0-{}", "9".repeat(4000)),
    ] {
        let answer = proxy.fetch(&Request::get("/").header("Range", &ranges));
        assert!(
            answer.body.len() <= whole.len(),
            "{} for {} bytes",
            answer.body.len(),
            whole.len()
        );
    }
    assert_eq!(origin.requests(), 1);
}

#[test]
fn an_origin_without_an_end_of_header_lines_is_given_up() {
    let origin = Origin::scripted(|connection| {
        connection.request()?;
        connection.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n")?;
        while connection
            .send(b"X-Endless: and so on and so forth, for as long as anybody listens\r\n")
            .is_ok()
        {}
        Ok(())
    });
    let proxy = caching(&origin);
    assert_eq!(proxy.get("/").status, 502);
    assert_eq!(proxy.metric("weir_cache_objects", &[]), 0.0);
}

#[test]
fn endless_variants_and_queries_stay_within_the_budget() {
    let count = AtomicUsize::new(0);
    let origin = Origin::start(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Response::text(vec![b'x'; 4096])
            .header("Cache-Control", "max-age=60")
            .header("Vary", "User-Agent")
    });
    let proxy = caching(&origin);
    for number in 0..100 {
        let agent = format!("agent {number}");
        assert_eq!(proxy.fetch(&Request::get("/").header("User-Agent", &agent)).status, 200);
    }
    let objects = proxy.metric("weir_cache_objects", &[]);
    assert!(objects <= 16.0, "{objects} variants of one URI");
    for number in 0..400 {
        assert_eq!(proxy.get(&format!("/?bust={number}")).status, 200);
    }
    let bytes = proxy.metric("weir_cache_bytes", &[]);
    assert!(bytes <= 1_048_576.0, "{bytes} bytes in a cache of 1 MiB");
}

#[test]
fn origins_that_lie_about_time_and_length() {
    let row = |name: &str, lines: super::Lines<'_>, by| case(name).origin(lines).get(by);
    run(vec![
        row(
            "a Date of tomorrow makes nothing older or younger",
            &[FRESH, ("Date", super::FUTURE)],
            Cache,
        ),
        row("a huge Age", &[FRESH, ("Age", "99999999999999999999")], ByOrigin),
        row("two ages", &[FRESH, ("Age", "0, 999999")], Cache),
        row(
            "a Vary of a hundred fields",
            &[FRESH, ("Vary", "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z")],
            ByOrigin,
        ),
        row("a Vary that is none", &[FRESH, ("Vary", "a b")], ByOrigin),
        row(
            "a Content-Location elsewhere",
            &[FRESH, ("Content-Location", "http://other.test/")],
            Cache,
        ),
    ]);
}
