//! What a plugin call costs, in nanoseconds: the whole way from the exchange to the plugin and back.
//!
//! ```sh
//! scripts/wasm-cargo build --profile plugin --target wasm32-unknown-unknown -p weir-bench-guest
//! weir plugin build --wasm target/wasm32-unknown-unknown/plugin/weir_bench_guest.wasm --out target/cost.wasm
//! cargo run --release -p weir --example plugin_cost target/cost.wasm
//! ```
//!
//! Given a bundle's folder instead, it measures `on_request` of all its plugins together.

#![allow(clippy::expect_used, reason = "a bench that cannot run stops")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Instant;

use bytes::Bytes;
use weir::bundle::{self, Bundle};
use weir::exchange::subject::{RequestId, Scheme, Subject};
use weir::plugin::{Chain, Decision, Runtime};

const CALLS: u32 = 100_000;
const ROUNDS: usize = 7;

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
        return measure(&runtime, "all plugins of the bundle", &bundle, CALLS);
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
        request: request.body(()).expect("a request").into_parts().0,
        response: None,
        upstream_target: None,
        route: "default".into(),
        notes: Vec::new(),
    })
}
