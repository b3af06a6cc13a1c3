//! Large objects in slices: a range takes from the origin only what it touches and is not there, and no two versions are mixed.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use weir_tests::message::{Request, Response};
use weir_tests::origin::Origin;
use weir_tests::proxy::{Proxy, configure};

const SLICE: u64 = 65_536;
/// 64 MiB and a little more, so that the last slice is not whole.
const TOTAL: u64 = 64 * 1024 * 1024 + 1000;

/// Bytes of a version of the object, each of which depends on where it is.
fn bytes(version: u64, range: std::ops::Range<u64>) -> Vec<u8> {
    range
        .map(|at| (at ^ (at >> 8) ^ (at >> 16) ^ (version * 101)) as u8)
        .collect()
}

/// `bytes=a-b` as it is asked for by Weir and by these tests.
fn range_of(request: &Request) -> Option<std::ops::Range<u64>> {
    let (first, last) = request.headers.get("range")?.strip_prefix("bytes=")?.split_once('-')?;
    let first = first.parse().ok()?;
    let last = last.parse().map_or(TOTAL - 1, |last: u64| last.min(TOTAL - 1));
    (first <= last).then(|| first..last + 1)
}

fn part(version: u64, range: std::ops::Range<u64>) -> Response {
    Response::new(206)
        .header("Cache-Control", "max-age=600")
        .header("ETag", &format!("\"{version}\""))
        .header(
            "Content-Range",
            &format!("bytes {}-{}/{TOTAL}", range.start, range.end - 1),
        )
        .body(bytes(version, range))
}

/// An origin that sends parts of the version that it has at the moment.
fn origin(version: &Arc<AtomicU64>) -> Origin {
    let version = Arc::clone(version);
    Origin::start(move |request| match range_of(request) {
        Some(range) => part(version.load(Ordering::SeqCst), range),
        None => Response::new(400),
    })
}

fn slicing(origin: &Origin) -> Proxy {
    configure()
        .listener("http")
        .route("all", "app", "cache = true\nslice = \"64KiB\"")
        .upstream("app", &[origin.address()], "")
        .tables("[cache]\nsize = \"16MiB\"")
        .start()
}

fn ask(proxy: &Proxy, range: &str) -> Response {
    proxy.fetch(&Request::get("/film").header("Range", range))
}

/// The slices that the origin was asked for, in order.
fn asked_for(origin: &Origin) -> Vec<u64> {
    let ranges = origin.seen();
    let ranges = ranges.iter().map(|request| range_of(request).expect("a range"));
    ranges
        .map(|range| {
            assert!(
                range.start % SLICE == 0 && range.end == (range.start + SLICE).min(TOTAL),
                "{range:?}"
            );
            range.start / SLICE
        })
        .collect()
}

#[test]
fn a_range_fetches_only_the_slices_that_it_touches_and_that_are_missing() {
    let version = Arc::new(AtomicU64::new(1));
    let origin = origin(&version);
    let proxy = slicing(&origin);
    let (start, end) = (10 * SLICE + 5, 12 * SLICE + 7);
    let first = ask(&proxy, &format!("bytes={start}-{}", end - 1));
    assert_eq!(first.status, 206);
    let said = format!("bytes {start}-{}/{TOTAL}", end - 1);
    assert_eq!(first.headers.get("content-range"), Some(said.as_str()));
    assert!(first.body == bytes(1, start..end));
    assert_eq!(asked_for(&origin), [10, 11, 12]);

    let second = ask(&proxy, &format!("bytes={}-{}", 12 * SLICE, 14 * SLICE - 1));
    assert!(second.body == bytes(1, 12 * SLICE..14 * SLICE));
    assert!(second.headers.get("age").is_some());
    assert_eq!(asked_for(&origin), [10, 11, 12, 13], "only what was missing");

    // The end, of which nobody knew where it begins, and a range that is not there.
    assert!(ask(&proxy, "bytes=-10").body == bytes(1, TOTAL - 10..TOTAL));
    assert_eq!(ask(&proxy, &format!("bytes={TOTAL}-")).status, 416);
    let known = Request::get("/film").header("If-None-Match", "\"1\"");
    assert_eq!(proxy.fetch(&known).status, 304);
    let last = TOTAL / SLICE;
    assert_eq!(asked_for(&origin), [10, 11, 12, 13, last]);
    let said = proxy.weir(&["cache", "inspect", "http://weir.test/film"]);
    assert!(said.stdout.contains("5 of 1025 in memory"), "{}", said.stdout);
}

#[test]
fn several_ranges_take_the_slices_that_they_touch_and_no_others() {
    let version = Arc::new(AtomicU64::new(1));
    let origin = origin(&version);
    let proxy = slicing(&origin);
    // Within a slice and backwards in it, over an edge, and the end.
    let wanted = [
        3 * SLICE + 500..3 * SLICE + 510,
        3 * SLICE + 5..3 * SLICE + 10,
        12 * SLICE - 3..12 * SLICE + 4,
        TOTAL - 10..TOTAL,
    ];
    let list = wanted.iter().map(|range| format!("{}-{}", range.start, range.end - 1));
    let list = format!("bytes={}", list.collect::<Vec<_>>().join(","));
    let expected = wanted.map(|range| {
        let said = format!("bytes {}-{}/{TOTAL}", range.start, range.end - 1);
        (said, bytes(1, range))
    });
    for _ in 0..2 {
        let several = ask(&proxy, &list);
        assert_eq!((several.status, several.headers.get("etag")), (206, Some("\"1\"")));
        assert_eq!(several.byteranges(), expected);
        assert_eq!(asked_for(&origin), [3, 11, 12, TOTAL / SLICE]);
    }
}

#[test]
fn the_whole_is_put_together_of_slices() {
    let version = Arc::new(AtomicU64::new(3));
    let origin = origin(&version);
    let proxy = slicing(&origin);
    ask(&proxy, &format!("bytes={}-{}", 5 * SLICE, 5 * SLICE + 9));
    let whole = proxy.get("/film");
    assert_eq!((whole.status, whole.headers.get("content-range")), (200, None));
    assert!(whole.body == bytes(3, 0..TOTAL));
    let mut asked = asked_for(&origin);
    assert_eq!(asked.len() as u64, TOTAL / SLICE + 1, "no slice twice");
    asked.sort_unstable();
    asked.dedup();
    assert_eq!(asked.len() as u64, TOTAL / SLICE + 1);
}

#[test]
fn many_who_want_one_slice_have_it_fetched_once() {
    let version = Arc::new(AtomicU64::new(1));
    let origin = origin(&version);
    let proxy = slicing(&origin);
    ask(&proxy, "bytes=0-0");
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let part = ask(&proxy, &format!("bytes={}-{}", 7 * SLICE + 1, 7 * SLICE + 100));
                assert!(part.body == bytes(1, 7 * SLICE + 1..7 * SLICE + 101));
            });
        }
    });
    assert_eq!(asked_for(&origin), [0, 7]);
}

#[test]
fn another_version_in_between_is_never_mixed_in() {
    let version = Arc::new(AtomicU64::new(1));
    let origin = origin(&version);
    let proxy = slicing(&origin);
    assert!(ask(&proxy, "bytes=0-99").body == bytes(1, 0..100));
    version.store(2, Ordering::SeqCst);
    // What is stored is fresh. What is not stored of it cannot be had any more, which starts everything over.
    assert!(ask(&proxy, "bytes=0-99").body == bytes(1, 0..100));
    let range = 3 * SLICE..3 * SLICE + 50;
    let changed = ask(&proxy, &format!("bytes={}-{}", range.start, range.end - 1));
    assert_eq!(changed.headers.get("etag"), Some("\"2\""));
    assert!(changed.body == bytes(2, range));
    assert!(ask(&proxy, "bytes=0-99").body == bytes(2, 0..100));
}

#[test]
fn a_slice_that_is_cut_off_is_neither_passed_off_as_whole_nor_stored() {
    let cut = Arc::new(AtomicU64::new(1));
    let counted = Arc::clone(&cut);
    let origin = Origin::scripted(move |connection| {
        while let Some(request) = connection.request()? {
            let range = range_of(&request).expect("a range");
            let first = range.start;
            let mut answer = part(1, range).to_bytes();
            if first == SLICE && counted.swap(0, Ordering::SeqCst) == 1 {
                answer.truncate(answer.len() - 100);
                connection.send(&answer)?;
                return Ok(());
            }
            connection.send(&answer)?;
        }
        Ok(())
    });
    let proxy = slicing(&origin);
    assert!(ask(&proxy, "bytes=0-99").body == bytes(1, 0..100));
    let wanted = Request::get("/film").header("Range", &format!("bytes=0-{}", 2 * SLICE - 1));
    let mut socket = TcpStream::connect(proxy.address()).unwrap();
    socket.write_all(&wanted.to_bytes()).unwrap();
    let mut answer = Vec::new();
    // Closed or reset: either way it ends before its Content-Length says.
    let _ = socket.read_to_end(&mut answer);
    assert!(answer.starts_with(b"HTTP/1.1 206"));
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
    assert!(((answer.len() - head) as u64) < 2 * SLICE, "the part looks whole");
    assert!(proxy.fetch(&wanted).body == bytes(1, 0..2 * SLICE));
}

#[test]
fn an_origin_that_knows_no_ranges_or_no_strong_validators_is_asked_for_the_whole() {
    for (name, sliced) in [("no ranges", false), ("weak", true)] {
        let origin = Origin::start(move |request| {
            let whole = Response::text("a small whole").header("Cache-Control", "max-age=600");
            match range_of(request).filter(|_| sliced) {
                Some(_) => Response::new(206)
                    .header("Cache-Control", "max-age=600")
                    .header("ETag", "W/\"1\"")
                    .header("Content-Range", "bytes 0-12/13")
                    .body("a small whole"),
                None => whole,
            }
        });
        let proxy = slicing(&origin);
        assert_eq!(proxy.get("/film").text_body(), "a small whole", "{name}");
        assert_eq!(proxy.get("/film").text_body(), "a small whole", "{name}");
        if !sliced {
            assert_eq!(origin.requests(), 1, "the whole was stored");
            assert_eq!(ask(&proxy, "bytes=2-6").text_body(), "small");
        }
    }
}

#[test]
fn a_purge_takes_all_slices_away() {
    let version = Arc::new(AtomicU64::new(1));
    let origin = origin(&version);
    let proxy = slicing(&origin);
    ask(&proxy, &format!("bytes=0-{}", 4 * SLICE - 1));
    assert_eq!(asked_for(&origin).len(), 4);
    let said = proxy.weir(&["cache", "purge", "http://weir.test/film"]);
    assert!(said.success, "{}{}", said.stdout, said.stderr);
    proxy.await_metric("weir_cache_objects", &[], 0.0);
    ask(&proxy, &format!("bytes=0-{}", 4 * SLICE - 1));
    assert_eq!(asked_for(&origin), [0, 1, 2, 3, 0, 1, 2, 3]);
}

#[test]
fn slices_on_the_disk_are_found_by_the_next_process() {
    let version = Arc::new(AtomicU64::new(1));
    let origin = origin(&version);
    let proxy = configure()
        .listener("http")
        .route("all", "app", "cache = true\nslice = \"64KiB\"")
        .upstream("app", &[origin.address()], "")
        .tables("[cache]\nsize = \"16MiB\"\n[cache.disk]\npath = \"disk\"")
        .start();
    let (start, end) = (10 * SLICE + 5, 12 * SLICE + 7);
    let range = format!("bytes={start}-{}", end - 1);
    assert!(ask(&proxy, &range).body == bytes(1, start..end));
    // The head and three slices.
    proxy.await_metric("weir_cache_disk_objects", &[], 4.0);
    let proxy = proxy.restart();
    let again = ask(&proxy, &range);
    assert_eq!(again.status, 206);
    assert!(again.body == bytes(1, start..end));
    assert!(ask(&proxy, &format!("bytes={}-{}", 13 * SLICE, 13 * SLICE)).body == bytes(1, 13 * SLICE..13 * SLICE + 1));
    assert_eq!(asked_for(&origin), [10, 11, 12, 13], "only what was missing");
    // A purge leaves no way to what the disk has of it.
    let purged = proxy.weir(&["cache", "purge", "http://weir.test/film"]);
    assert!(purged.success, "{}", purged.stderr);
    version.store(2, Ordering::SeqCst);
    let proxy = proxy.restart();
    assert!(ask(&proxy, &range).body == bytes(2, start..end));
}
