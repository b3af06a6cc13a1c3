//! What a cache hit costs: nanoseconds of CPU for the lookup alone, and with the copy of the head that a response takes.
//!
//!     cargo run --release -p weir --example cache_cost
//!
//! With one thread, and with two on the same key, which is the worst that two workers can do to each other: they share one
//! shard's lock and the entry's reference counts.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response};
use weir::cache::{Cache, Lookup, Stored};
use weir::config;
use weir::exchange::subject::{RequestId, Scheme, Subject};

const ROUNDS: u32 = 2_000_000;

fn main() {
    let cache = Cache::new(&config::Cache {
        size: 64 << 20,
        max_object: 1 << 20,
        coalesce_timeout: Duration::from_secs(5),
    });
    store(&cache, subject());

    println!("{:<46} {:>10} {:>10}", "ns per hit", "1 thread", "2 threads");
    report("lookup", &cache, |hit| hit.body().len());
    report("lookup, head with Age, body", &cache, |hit| {
        hit.headers().len() + hit.body().len()
    });
    println!(
        "{:>57.0} bytes accounted for an object of 1024 bytes",
        cache.stats().bytes
    );
}

fn report(what: &str, cache: &Arc<Cache>, use_hit: fn(&weir::cache::Hit) -> usize) {
    let one = measure(1, cache, use_hit);
    let two = measure(2, cache, use_hit);
    println!("{what:<46} {one:>10.0} {two:>10.0}");
}

/// Nanoseconds that a hit takes on each of so many threads.
fn measure(threads: usize, cache: &Arc<Cache>, use_hit: fn(&weir::cache::Hit) -> usize) -> f64 {
    let start = Barrier::new(threads);
    let nanos: Vec<f64> = std::thread::scope(|scope| {
        let run = || {
            let subject = subject();
            let now = SystemTime::now();
            start.wait();
            let begin = cpu_nanos();
            for _ in 0..ROUNDS {
                match cache.lookup(black_box(&subject), now) {
                    Lookup::Hit(hit) => black_box(use_hit(&hit)),
                    other => panic!("no hit: {other:?}"),
                };
            }
            (cpu_nanos() - begin) as f64 / f64::from(ROUNDS)
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    nanos.iter().sum::<f64>() / threads as f64
}

/// CPU time of this thread, which a busy machine does not change as much as the time on the wall.
fn cpu_nanos() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split_whitespace().next().unwrap().parse().unwrap()
}

/// A request as a browser sends it.
fn subject() -> Subject {
    let request = Request::get("/covers/one-piece/1042.webp?size=small")
        .header("host", "img.example.org")
        .header(
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        )
        .header("accept", "image/avif,image/webp,*/*;q=0.8")
        .header("accept-language", "en-US,en;q=0.5")
        .header("accept-encoding", "gzip, deflate, br, zstd")
        .header("referer", "https://example.org/series/one-piece")
        .header("sec-fetch-dest", "image")
        .header("sec-fetch-mode", "no-cors")
        .header("sec-fetch-site", "same-site")
        .header("x-forwarded-for", "192.0.2.7")
        .body(())
        .unwrap();
    Subject {
        id: RequestId(1),
        peer: "192.0.2.7:40000".parse().unwrap(),
        client_ip: "192.0.2.7".parse().unwrap(),
        scheme: Scheme::Https,
        host: Bytes::from_static(b"img.example.org"),
        request: request.into_parts().0,
        response: None,
        upstream_target: None,
        route: "images".into(),
        notes: Vec::new(),
    }
}

fn store(cache: &Arc<Cache>, mut subject: Subject) {
    let response = Response::builder()
        .header("date", httpdate::fmt_http_date(SystemTime::now()))
        .header("server", "origin")
        .header("content-type", "image/webp")
        .header("content-length", "1024")
        .header("cache-control", "public, max-age=86400")
        .header("etag", "\"65f1c0de-400\"")
        .header("last-modified", "Tue, 14 Nov 2023 22:13:20 GMT")
        .header("vary", "accept-encoding")
        .header("access-control-allow-origin", "*")
        .header("x-content-type-options", "nosniff");
    subject.response = Some(response.body(()).unwrap().into_parts().0);
    let Lookup::Fetch(fetch) = cache.lookup(&subject, SystemTime::now()) else {
        panic!("the cache is empty")
    };
    let Stored::Store(mut writer) = fetch.on_response(&subject, SystemTime::now()) else {
        panic!("it is storable")
    };
    writer.push(&Bytes::from(vec![0; 1024]));
    writer.finish();
}
