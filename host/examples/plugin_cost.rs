//! What a plugin call costs, in nanoseconds: the whole way from the exchange to the plugin and back.
//!
//! ```sh
//! scripts/wasm-cargo build --profile plugin --target wasm32-unknown-unknown -p weir-bench-guest
//! weir plugin build --wasm target/wasm32-unknown-unknown/plugin/weir_bench_guest.wasm --out target/cost.wasm
//! cargo run --release -p weir --example plugin_cost target/cost.wasm
//! ```
//!
//! Given a bundle's folder instead, it measures whole exchanges of four kinds, those of `benches/waf.py`: the median time of
//! each phase of each plugin, and the CPU time of all of them together.

#![allow(clippy::expect_used, reason = "a bench that cannot run stops")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use weir::bundle::{self, Bundle};
use weir::exchange::subject::{RequestId, Scheme, Subject};
use weir::plugin::{Chain, Decision, Runtime, Summary};

const CALLS: u32 = 100_000;
const ROUNDS: usize = 7;
/// Exchanges in a round of a bundle.
const EXCHANGES: usize = 300;

fn main() {
    let path = PathBuf::from(
        std::env::args()
            .nth(1)
            .expect("the component of weir-bench-guest, or a bundle"),
    );
    let runtime = Runtime::in_memory().expect("start the runtime");
    println!("{:28} {:>10}", "work", "ns a call");
    if path.is_dir() {
        let bundle = bundle::read(&path).expect("read the bundle");
        return exchanges(&runtime, &bundle);
    }
    let component = Bytes::from(std::fs::read(path).expect("read the component"));
    let measure = |name: &str, work: &str, plugins: usize, reuse: u32| {
        let files: BTreeMap<String, Bytes> = [
            ("bundle.toml".to_owned(), manifest(work, plugins, reuse).into()),
            ("cost.wasm".to_owned(), component.clone()),
            ("cost.csv".to_owned(), table().into()),
        ]
        .into();
        let bundle = bundle::parse(&files, "bundle.toml", BTreeMap::new()).expect("parse the bundle");
        measure(&runtime, name, &bundle, if reuse == 1 { CALLS / 20 } else { CALLS });
    };
    measure("no plugin", "nothing", 0, 0);
    measure("nothing", "nothing", 1, 0);
    measure("nothing, four plugins", "nothing", 4, 0);
    measure("path and one header", "path-and-header", 1, 0);
    measure("all headers (13)", "headers", 1, 0);
    measure("take", "take", 1, 0);
    measure("table lookup (1,000,000)", "lookup", 1, 0);
    measure("nothing, fresh instance", "nothing", 1, 1);
}

/// Prints the median of the rounds.
fn measure(runtime: &Runtime, name: &str, bundle: &Bundle, calls: u32) {
    let tokio = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("start tokio");
    let generation = runtime.load(bundle, 1).expect("load the bundle");
    let chain = Chain::new(&generation).expect("make instances");
    let mut rounds: Vec<u128> = (0..ROUNDS)
        .map(|_| {
            tokio.block_on(async {
                let mut subject = subject();
                let begin = Instant::now();
                for _ in 0..calls {
                    let mut session = chain.begin(&subject);
                    let (back, decision) = session.on_request(subject).await;
                    assert_eq!(decision, Decision::Continue);
                    subject = back;
                }
                begin.elapsed().as_nanos() / u128::from(calls)
            })
        })
        .collect();
    rounds.sort_unstable();
    println!("{name:28} {:>10}", rounds.get(ROUNDS / 2).copied().unwrap_or_default());
}

/// Prints what whole exchanges cost, and each phase of them.
fn exchanges(runtime: &Runtime, bundle: &Bundle) {
    let tokio = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("start tokio");
    let generation = runtime.load(bundle, 1).expect("load the bundle");
    let chain = Chain::new(&generation).expect("make instances");
    let only = std::env::args().nth(2);
    for (name, head, body) in requests() {
        if only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        let mut phases: Vec<(String, Vec<u64>)> = Vec::new();
        let mut rounds: Vec<u64> = Vec::new();
        for _ in 0..ROUNDS {
            let before = cpu_nanos();
            for _ in 0..EXCHANGES {
                tokio.block_on(exchange(&chain, &head, &body, &mut phases));
            }
            rounds.push((cpu_nanos() - before) / EXCHANGES as u64);
        }
        // The least is the one that was interrupted least.
        println!("{name:28} {:>10}", rounds.iter().min().copied().unwrap_or_default());
        for (phase, nanos) in &mut phases {
            nanos.sort_unstable();
            println!(
                "    {phase:24} {:>10}",
                nanos.get(nanos.len() / 2).copied().unwrap_or_default()
            );
        }
    }
}

async fn exchange(chain: &Rc<Chain>, head: &Subject, body: &Bytes, phases: &mut Vec<(String, Vec<u64>)>) {
    let mut subject = copy(head);
    let mut session = chain.begin(&subject);
    let (back, mut decision) = session.on_request(subject).await;
    subject = back;
    if matches!(decision, Decision::Hold(_)) {
        (subject, decision) = session.on_request_body(subject, body, true).await;
    }
    assert_eq!(decision, Decision::Continue, "an ordinary request passes");
    let response = http::Response::builder()
        .header("content-type", "text/plain")
        .header("content-length", "1024")
        .header("server", "nginx/1.22.1");
    subject.response = Some(response.body(()).expect("a response").into());
    let (back, decision) = session.on_response(subject).await;
    subject = back;
    if matches!(decision, Decision::Hold(_)) {
        let content = Bytes::from_static(&[b'x'; 1024]);
        (subject, _) = session.on_response_body(subject, &content, true).await;
    }
    let summary = Summary {
        status: 200,
        duration: 100,
        request_bytes: body.len() as u64,
        response_bytes: 1024,
    };
    black_box(session.on_finish(subject, summary).await);
    for trace in session.traces() {
        let of = |(name, _): &&mut (String, _)| {
            name.strip_prefix(&*trace.plugin)
                .is_some_and(|rest| rest.strip_prefix(' ') == Some(trace.phase.as_str()))
        };
        match phases.iter_mut().find(of) {
            Some((_, nanos)) => nanos.push(trace.nanos),
            None => phases.push((format!("{} {}", trace.plugin, trace.phase.as_str()), vec![trace.nanos])),
        }
    }
}

/// Another exchange like this one.
fn copy(head: &Subject) -> Box<Subject> {
    Box::new(Subject {
        host: head.host.clone(),
        request: head.request.clone(),
        route: head.route.clone(),
        client_ip: head.client_ip,
        ..Subject::vacant()
    })
}

fn requests() -> Vec<(&'static str, Box<Subject>, Bytes)> {
    const SMALL: &[(&str, &str)] = &[("host", "www.example.org"), ("user-agent", "wrk/4"), ("accept", "*/*")];
    const BROWSER: &[(&str, &str)] = &[
        ("host", "www.example.org"),
        (
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        ),
        (
            "accept",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        ),
        ("accept-language", "en-US,en;q=0.5"),
        ("accept-encoding", "gzip, deflate, br"),
        ("referer", "https://www.example.org/library/list"),
        ("cookie", "session=0f3a9c1b2d4e5f60718293a4b5c6d7e8; theme=dark"),
        ("upgrade-insecure-requests", "1"),
        ("sec-fetch-dest", "document"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-user", "?1"),
        ("cache-control", "max-age=0"),
    ];
    const WORDS: [&str; 12] = [
        "the", "quick", "manga", "chapter", "volume", "reader", "page", "title", "search", "summer", "house", "river",
    ];
    let words = |from: usize, count: usize, by: &str| {
        let word = |n: usize| WORDS.get((from * 7 + n * 5) % WORDS.len()).copied().unwrap_or_default();
        (0..count).map(word).collect::<Vec<_>>().join(by)
    };
    let fields: Vec<String> = (0..60).map(|n| format!("field_{n}={}", words(n, 9, "+"))).collect();
    let mut form = fields.join("&");
    form.truncate(2048);
    let item = |n: usize| {
        let tags = words(n, 3, "\", \"");
        format!(
            "{{\"id\": {n}, \"title\": \"{}\", \"tags\": [\"{tags}\"], \"price\": {n}.5}}",
            words(n + 3, 3, " ")
        )
    };
    let json = format!("{{\"items\": [{}]}}", (0..110).map(item).collect::<Vec<_>>().join(", "));
    let head = |method: &str, target: &str, lines: &[(&str, &str)], more: &[(&str, String)]| {
        let mut request = http::Request::builder().method(method).uri(target);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        for (name, value) in more {
            request = request.header(*name, value);
        }
        Box::new(Subject {
            client_ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            host: Bytes::from_static(b"www.example.org"),
            request: Box::new(request.body(()).expect("a request").into()),
            route: "default".into(),
            ..Subject::vacant()
        })
    };
    let post = |content_type: &str, body: &str| {
        let typed = [
            ("content-type", content_type.to_owned()),
            ("content-length", body.len().to_string()),
        ];
        head("POST", "/", SMALL, &typed)
    };
    let series = "/library/series/one-summer-house?page=3&sort=title&lang=en&view=grid";
    vec![
        ("a small GET", head("GET", "/", SMALL, &[]), Bytes::new()),
        ("a browser's GET", head("GET", series, BROWSER, &[]), Bytes::new()),
        (
            "a form of 2 KiB",
            post("application/x-www-form-urlencoded", &form),
            form.into(),
        ),
        ("10 KiB of JSON", post("application/json", &json), json.into()),
    ]
}

/// CPU time of this thread (Linux tells it; elsewhere there is nothing to print).
fn cpu_nanos() -> u64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    told.split(' ')
        .next()
        .and_then(|nanos| nanos.parse().ok())
        .unwrap_or_default()
}

fn manifest(work: &str, plugins: usize, reuse: u32) -> String {
    let mut manifest = "name = \"cost\"\nversion = \"1\"\n".to_owned();
    for index in 0..plugins {
        let _ = write!(
            manifest,
            "[[plugin]]\nname = \"cost-{index}\"\ncomponent = \"cost.wasm\"\ncapabilities = [\"counters\", \"tables\"]\n\
             [plugin.limits]\nreuse = {reuse}\n[plugin.config]\nwork = \"{work}\"\n[[plugin.counters]]\nname = \"cost\"\n\
             [[plugin.table]]\nname = \"cost\"\nkind = \"exact\"\nfile = \"cost.csv\"\n"
        );
    }
    manifest
}

fn table() -> String {
    (0..1_000_000).fold(String::new(), |mut table, line| {
        let _ = writeln!(table, "/old/page/number/{line},/new/page/number/{line}");
        table
    })
}

fn subject() -> Box<Subject> {
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let mut request = http::Request::builder().uri("/some/page?with=a&query=b");
    for index in 0..13 {
        request = request.header(format!("x-header-{index}"), "a value of the usual length");
    }
    Box::new(Subject {
        id: RequestId(1),
        peer: SocketAddr::new(address, 1),
        client_ip: address,
        scheme: Scheme::Http,
        host: Bytes::from_static(b"example.org"),
        request: Box::new(request.body(()).expect("a request").into()),
        route: "default".into(),
        ..Subject::vacant()
    })
}
