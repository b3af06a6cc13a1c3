//! The disk tier outlives the process, however that ends, and never gives what its origin did not.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use weir_tests::client::Client;
use weir_tests::message::{Request, Response, chunk};
use weir_tests::origin::Origin;
use weir_tests::proxy::{self, Proxy};
use weir_tests::sync::{Gate, eventually};

/// A number from the environment, for runs that are larger than everyday's.
fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

fn caching(origin: &Origin, keys: &str) -> Proxy {
    proxy::caching(origin)
        .tables(&format!(
            "[cache]\nsize = \"16MiB\"\n[cache.disk]\npath = \"disk\"\n{keys}"
        ))
        .start()
}

/// What an origin has under a target: bytes that say where they belong, of a length that it depends on.
fn content(target: &str) -> Vec<u8> {
    let seed = target.bytes().fold(7_u64, |seed, byte| {
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(u64::from(byte))
    });
    let length = (seed >> 40) as usize % 300_000;
    let mut bytes = format!("{target} of {length}\n").into_bytes();
    let mut state = seed | 1;
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes
}

fn library() -> Origin {
    Origin::start(|request| {
        Response::text(content(&request.target))
            .header("Cache-Control", "max-age=3600")
            .header("ETag", "\"1\"")
    })
}

#[test]
fn what_is_stored_is_there_after_a_restart() {
    let origin = library();
    let proxy = caching(&origin, "");
    for target in ["/a", "/b", "/c"] {
        assert_eq!(proxy.get(target).body, content(target));
    }
    let proxy = proxy.restart();
    for target in ["/a", "/b", "/c"] {
        let response = proxy.get(target);
        assert_eq!(response.body, content(target));
        assert!(
            response.headers.get("age").is_some(),
            "{target} did not come from the cache"
        );
    }
    assert_eq!(origin.requests(), 3);
    proxy.await_metric("weir_cache_disk_hits_total", &[], 3.0);
    // What came from the disk is in memory now.
    assert_eq!(proxy.get("/a").body, content("/a"));
    proxy.await_metric("weir_cache_disk_hits_total", &[], 3.0);
}

#[test]
fn variants_and_ranges_come_from_the_disk_too() {
    let origin = Origin::start(|request| {
        let language = request.headers.get("accept-language").unwrap_or("none");
        Response::text(language.repeat(1000))
            .header("Cache-Control", "max-age=3600")
            .header("Vary", "Accept-Language")
    });
    let proxy = caching(&origin, "");
    let ask = |proxy: &Proxy, language: &str| proxy.fetch(&Request::get("/").header("Accept-Language", language));
    for language in ["de", "ja"] {
        assert_eq!(ask(&proxy, language).text_body(), language.repeat(1000));
    }
    let proxy = proxy.restart();
    for language in ["ja", "de"] {
        assert_eq!(ask(&proxy, language).text_body(), language.repeat(1000));
    }
    let part = Request::get("/")
        .header("Accept-Language", "ja")
        .header("Range", "bytes=1-2");
    let part = proxy.fetch(&part);
    assert_eq!((part.status, part.text_body().as_str()), (206, "aj"));
    assert_eq!(origin.requests(), 2);
}

#[test]
fn what_was_purged_or_invalidated_stays_away() {
    let origin = library();
    let proxy = caching(&origin, "");
    for target in ["/posted", "/purged", "/banned", "/kept"] {
        proxy.get(target);
    }
    let proxy = proxy.restart();
    assert_eq!(proxy.fetch(&Request::post("/posted", "x")).status, 200);
    for arguments in [
        &["cache", "purge", "http://weir.test/purged"][..],
        &["cache", "ban", "req.url == /banned"],
    ] {
        let said = proxy.weir(arguments);
        assert!(said.success, "{}{}", said.stdout, said.stderr);
    }
    let before = origin.requests();
    let proxy = proxy.restart();
    proxy.get("/kept");
    assert_eq!(origin.requests(), before);
    for (count, target) in ["/posted", "/purged"].iter().enumerate() {
        assert_eq!(proxy.get(target).body, content(target));
        assert_eq!(origin.requests(), before + count + 1, "{target} came from the disk");
    }
}

#[test]
fn large_bodies_stay_on_the_disk_and_stream_from_there() {
    const MIB: usize = 1024 * 1024;
    let origin = Origin::start(|_| Response::text(vec![b'x'; 3 * MIB]).header("Cache-Control", "max-age=3600"));
    let proxy = caching(&origin, "");
    assert_eq!(proxy.get("/").body.len(), 3 * MIB);
    eventually("the object to have left memory", || {
        (proxy.metric("weir_cache_objects", &[]) == 0.0).then_some(())
    });
    let part = proxy.fetch(&Request::get("/").header("Range", "bytes=2000000-2000003"));
    assert_eq!((part.status, part.text_body().as_str()), (206, "xxxx"));
    let parts = proxy.fetch(&Request::get("/").header("Range", "bytes=3000000-,5-1000004"));
    let expected = [
        ("bytes 3000000-3145727/3145728".to_owned(), vec![b'x'; 145_728]),
        ("bytes 5-1000004/3145728".to_owned(), vec![b'x'; 1_000_000]),
    ];
    assert!(parts.status == 206 && parts.byteranges() == expected);
    let before = proxy.memory();
    // Clients that do not read: what they are owed stays on the disk.
    let mut slow: Vec<_> = (0..40).map(|_| proxy.connect()).collect();
    for client in &mut slow {
        client.send(Request::get("/").to_bytes());
        assert_eq!(client.response_head().headers.get("content-length"), Some("3145728"));
    }
    let grown = proxy.memory().saturating_sub(before);
    assert!(grown < 60 * MIB as u64, "{grown} bytes for 40 clients that do not read");
    for client in &mut slow {
        assert!(client.read_exact(3 * MIB).iter().all(|byte| *byte == b'x'));
    }
    assert_eq!(origin.requests(), 1);
}

/// Larger than memory: it goes to the disk while it arrives, and whoever is behind reads it from there.
#[test]
fn what_is_larger_than_memory_is_stored_on_its_way() {
    const MIB: usize = 1024 * 1024;
    const LARGE: usize = 64 * MIB;
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::scripted(move |connection| {
        let chunked = connection
            .request()?
            .is_some_and(|request| request.target == "/chunked");
        let framing = if chunked {
            "Transfer-Encoding: chunked".to_owned()
        } else {
            format!("Content-Length: {LARGE}")
        };
        connection.send(format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\n{framing}\r\n\r\n").as_bytes())?;
        for part in 0..64_u8 {
            // The last part comes when the crowd has had what is before it.
            if part == 63 {
                held.pass();
            }
            let data = vec![part; MIB];
            connection.send(&if chunked { chunk(&data) } else { data })?;
        }
        if chunked { connection.send(&chunk(b"")) } else { Ok(()) }
    });
    let proxy = caching(&origin, "max_object = \"100MiB\"");
    let is_whole = |body: &[u8]| {
        let mut parts = body.chunks(MIB).zip(0_u8..);
        body.len() == LARGE && parts.all(|(part, number)| part.iter().all(|byte| *byte == number))
    };
    let before = proxy.memory();
    for target in ["/known", "/chunked"] {
        let mut slow = proxy.connect();
        slow.send(Request::get(target).to_bytes());
        slow.response_head();
        // Neither the one that asked first nor one that comes later holds the others up.
        let mut quick = proxy.connect();
        quick.send(Request::get(target).to_bytes());
        let chunked = quick.response_head().headers.get("content-length").is_none();
        assert_eq!(chunked, target == "/chunked");
        assert_eq!(quick.read_exact(60 * MIB).len(), 60 * MIB);
        let grown = proxy.memory().saturating_sub(before);
        // The cache's 16 MiB, what the disk is behind, and what the allocator has not given back.
        assert!(grown < 32 * MIB as u64, "{grown} bytes for a body of 64 MiB");
        gate.open();
        assert!(is_whole(&proxy.get(target).body), "{target} while it arrives");
        if !chunked {
            assert!(is_whole(&slow.read_exact(LARGE)), "{target} for who is far behind");
        }
    }
    eventually("the objects to have left memory", || {
        (proxy.metric("weir_cache_objects", &[]) == 0.0).then_some(())
    });
    let asked = origin.requests();
    let proxy = proxy.restart();
    for target in ["/known", "/chunked"] {
        let response = proxy.get(target);
        assert!(is_whole(&response.body), "{target}");
        assert_eq!(response.headers.get("content-length"), Some("67108864"));
        let part = proxy.fetch(&Request::get(target).header("Range", "bytes=1048575-1048576"));
        assert_eq!((part.status, part.body.as_slice()), (206, &[0, 1][..]));
    }
    assert_eq!((origin.requests(), asked), (2, 2));
}

#[test]
fn a_large_body_that_breaks_off_leaves_nothing() {
    const MIB: usize = 1024 * 1024;
    let origin = Origin::scripted(|connection| {
        connection.request()?;
        let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nContent-Length: 8388608\r\n\r\n";
        connection.send(head.as_bytes())?;
        connection.send(&vec![b'x'; 5 * MIB])
    });
    let proxy = caching(&origin, "");
    let mut client = proxy.connect();
    client.send(Request::get("/").to_bytes());
    client.response_head();
    let got = client.rest().len();
    assert!(
        (4 * MIB..8 * MIB).contains(&got),
        "{got} bytes of the five MiB that came"
    );
    eventually("the half of a file to go", || {
        let left = std::fs::read_dir(proxy.folder().join("disk/new")).expect("the folder of new files");
        (left.count() == 0).then_some(())
    });
    for nothing in ["weir_cache_disk_objects", "weir_cache_objects", "weir_cache_bytes"] {
        proxy.await_metric(nothing, &[], 0.0);
    }
}

/// A disk that fails on the way costs the stored object, and none of its clients a byte.
#[test]
fn a_disk_that_fails_under_a_large_body_is_done_without() {
    const MIB: usize = 1024 * 1024;
    let origin = Origin::start(|_| Response::text(vec![b'x'; 12 * MIB]).header("Cache-Control", "max-age=3600"));
    let proxy = caching(&origin, "");
    let folder = proxy.folder().join("disk");
    std::fs::remove_dir_all(&folder).expect("remove the disk's folder");
    std::fs::write(&folder, "in the way").expect("a file in its place");
    for _ in 0..2 {
        assert_eq!(proxy.get("/").body.len(), 12 * MIB);
    }
    proxy.await_metric_from("weir_cache_disk_errors_total", &[("operation", "write")], 1.0);
    assert_eq!(origin.requests(), 2);
}

#[test]
fn limits_of_bytes_and_files_are_kept() {
    let origin = Origin::start(|_| Response::text(vec![b'x'; 20_000]).header("Cache-Control", "max-age=3600"));
    let proxy = caching(&origin, "size = \"1MiB\"\nmax_files = 30");
    for number in 0..100 {
        assert_eq!(proxy.get(&format!("/{number}")).status, 200);
    }
    eventually("the limits to be kept", || {
        let files = proxy.metric("weir_cache_disk_objects", &[]);
        (files <= 30.0 && proxy.metric("weir_cache_disk_bytes", &[]) <= 1_048_576.0).then_some(())
    });
    proxy.await_metric_from("weir_cache_disk_evicted_total", &[], 70.0);
}

#[test]
fn a_disk_that_fails_means_misses_and_a_metric() {
    let origin = library();
    let proxy = caching(&origin, "");
    assert_eq!(proxy.get("/a").body, content("/a"));
    let folder = proxy.folder().join("disk");
    std::fs::remove_dir_all(&folder).expect("remove the disk's folder");
    std::fs::write(&folder, "in the way").expect("a file in its place");
    for number in 0..20 {
        let target = format!("/{number}");
        assert_eq!(proxy.get(&target).body, content(&target));
    }
    proxy.await_metric_from("weir_cache_disk_errors_total", &[("operation", "write")], 1.0);
    // A start without a usable disk is a start all the same.
    let proxy = proxy.restart();
    assert_eq!(proxy.get("/a").body, content("/a"));
}

/// Clients that ask for what nobody has asked for yet until the proxy is gone, and write down what they got whole.
fn storm(address: SocketAddr, round: u64, done: &Arc<Mutex<BTreeSet<String>>>) -> Vec<thread::JoinHandle<()>> {
    (0..8)
        .map(|client| {
            let done = done.clone();
            thread::spawn(move || {
                for number in 0_u64.. {
                    let target = format!("/{round}/{client}/{number}");
                    let Some(response) = ask(address, &target) else { return };
                    assert_eq!(response.body, content(&target), "{target} during the storm");
                    done.lock().unwrap().insert(target);
                }
            })
        })
        .collect()
}

fn ask(address: SocketAddr, target: &str) -> Option<Response> {
    let mut client = Client::over(Box::new(TcpStream::connect(address).ok()?));
    client.try_send(Request::get(target).to_bytes()).ok()?;
    client.try_response().ok().filter(|response| response.status == 200)
}

/// `WEIR_KILLS` sets how often.
#[test]
fn a_kill_in_a_storm_of_stores_loses_and_changes_nothing() {
    let origin = library();
    let mut proxy = caching(&origin, "");
    let mut total = 0;
    for round in 0..number("WEIR_KILLS", 3) {
        let done = Arc::new(Mutex::new(BTreeSet::new()));
        let clients = storm(proxy.address(), round, &done);
        let enough = 20 + (round as usize * 7) % 40;
        eventually("some objects in the storm", || {
            (done.lock().unwrap().len() >= enough).then_some(())
        });
        proxy = proxy.crash();
        for client in clients {
            client.join().expect("a client of the storm");
        }
        let completed = done.lock().unwrap().clone();
        let asked = origin.requests();
        for target in &completed {
            assert_eq!(proxy.get(target).body, content(target), "{target} after kill {round}");
        }
        assert_eq!(
            origin.requests(),
            asked,
            "something of {} was lost in kill {round}",
            completed.len()
        );
        total += completed.len();
    }
    eprintln!("{total} objects were complete before a kill, and served after it");
}

/// `WEIR_OBJECTS` sets how many; the time to the first hit is printed.
#[test]
fn a_start_with_many_objects_answers_at_once() {
    let objects = number("WEIR_OBJECTS", 300);
    let origin =
        Origin::start(|request| Response::text(request.target.clone()).header("Cache-Control", "max-age=36000"));
    let proxy = caching(&origin, "");
    let next = Arc::new(AtomicU64::new(0));
    let address = proxy.address();
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let next = next.clone();
            thread::spawn(move || {
                let mut client = Client::connect(address);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= objects {
                        return;
                    }
                    let target = format!("/{number}");
                    assert_eq!(client.get(&target).text_body(), target);
                }
            })
        })
        .collect();
    for client in clients {
        client.join().expect("a client");
    }
    let asked = origin.requests();
    let begun = Instant::now();
    let proxy = proxy.crash();
    assert_eq!(proxy.get("/7").text_body(), "/7");
    let took: Duration = begun.elapsed();
    eprintln!("from the kill to the first hit of the next process, with {objects} objects: {took:?}");
    assert_eq!(origin.requests(), asked);
    proxy.await_metric_from("weir_cache_disk_objects", &[], objects as f64);
}

/// Bodies that are too large for memory are read and checked once, and then sent from their files, which stay open. Neither is to
/// show: not in the bytes, and not after what is in them was purged.
#[test]
fn large_bodies_go_from_their_open_files_and_not_after_a_purge() {
    let whole: Vec<u8> = (0..3_000_000_u32).map(|at| (at ^ (at >> 8)) as u8).collect();
    let body = whole.clone();
    let origin = Origin::start(move |_| Response::text(body.clone()).header("Cache-Control", "max-age=3600"));
    let proxy = caching(&origin, "");
    let part = Request::get("/large").header("Range", "bytes=262100-1048600");
    for turn in 0..4 {
        assert!(proxy.get("/large").body == whole, "turn {turn}");
        let part = proxy.fetch(&part);
        assert_eq!(part.status, 206);
        assert!(part.body == whole[262_100..=1_048_600], "turn {turn}");
    }
    assert_eq!(origin.requests(), 1);
    let said = proxy.weir(&["cache", "purge", "http://weir.test/large"]);
    assert!(said.success, "{}{}", said.stdout, said.stderr);
    assert!(proxy.get("/large").body == whole);
    assert_eq!(origin.requests(), 2, "a purged response was served from an open file");
    let proxy = proxy.restart();
    for turn in 0..3 {
        assert!(proxy.get("/large").body == whole, "turn {turn} after the restart");
    }
    assert_eq!(origin.requests(), 2);
}
