//! Memory: what is counted is what is there, and never more than allowed.

use proptest::prelude::*;

use super::*;
use crate::telemetry::{Registry, families};

#[test]
fn the_least_recently_used_goes_first_and_a_smaller_limit_counts_at_once() {
    let cache = Cache::new(&config::Cache {
        size: 64 * 1024,
        ..config()
    });
    let target = |number: usize| format!("/{number}");
    for number in 0..200 {
        cache.store(get(&target(number), &[]), 200, &[FRESH], &[0; 1000], 0);
        assert!(cache.stats().bytes <= 64 * 1024);
    }
    let stats = cache.stats();
    assert!(stats.objects > 20 && stats.evicted == 200 - stats.objects, "{stats:?}");
    assert_eq!(cache.store.recount(), stats.bytes);
    cache.reconfigure(&config::Cache {
        size: 10_000,
        ..config()
    });
    assert!(cache.stats().bytes <= 10_000 && cache.stats().objects > 0);
    cache.reconfigure(&config::Cache { size: 0, ..config() });
    assert_eq!((cache.stats().bytes, cache.stats().objects), (0, 0));
}

#[test]
fn workers_share_one_cache_without_losing_count() {
    let cache = Cache::new(&config::Cache {
        size: 100_000,
        ..config()
    });
    std::thread::scope(|scope| {
        for worker in 0..4_u64 {
            let cache = &cache;
            scope.spawn(move || {
                for number in 0..500 {
                    let subject = get(&format!("/{}", (number * 7 + worker * 13) % 60), &[]);
                    match cache.lookup(&subject, at(number)) {
                        Lookup::Fetch(fetch) => {
                            if let Stored::Store(mut writer) =
                                fetch.answered(&with_response(subject, 200, &[FRESH]), at(number))
                            {
                                writer.push(&Bytes::from(vec![1; 3000]));
                                writer.finish(None);
                            }
                        }
                        Lookup::Hit(hit) => assert_eq!(hit.body().len(), 3000),
                        Lookup::Wait(_) => {}
                        other => panic!("{other:?}"),
                    }
                }
            });
        }
    });
    assert!(cache.stats().bytes <= 100_000);
    assert_eq!(cache.store.recount(), cache.stats().bytes);
}

#[test]
fn metrics_show_the_memory() {
    let metrics = Registry::new();
    let cache = cache();
    let _probes = cache.expose(&metrics);
    cache.store(get("/", &[]), 200, &[FRESH], b"hello", 0);
    assert_eq!(metrics.value(&families::CACHE_OBJECTS, &[]), Some(1.0));
    assert_eq!(
        metrics.value(&families::CACHE_BYTES, &[]),
        Some(cache.stats().bytes as f64)
    );
}

/// Something that happens to a cache.
#[derive(Debug, Clone)]
enum Event {
    Store { target: u8, length: usize, vary: u8 },
    Abandon { target: u8, length: usize },
    Invalidate { target: u8 },
    Resize { size: u64 },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..20_u8, 0..9000_usize, 0..4_u8).prop_map(|(target, length, vary)| Event::Store { target, length, vary }),
        1 => (0..20_u8, 0..9000_usize).prop_map(|(target, length)| Event::Abandon { target, length }),
        1 => (0..20_u8).prop_map(|target| Event::Invalidate { target }),
        1 => (5_000..60_000_u64).prop_map(|size| Event::Resize { size }),
    ]
}

proptest! {
    /// Whatever happens, the bytes that are counted are those that are there, and never more than allowed.
    #[test]
    fn bytes_are_accounted_for(events in prop::collection::vec(event(), 0..60)) {
        let cache = Cache::new(&config::Cache { size: 40_000, max_object: 8000, ..config() });
        for event in events {
            match event {
                Event::Store { target, length, vary } => {
                    let accept = format!("type/{vary}");
                    let subject = get(&format!("/{target}"), &[("accept", &accept)]);
                    if let Lookup::Fetch(fetch) = cache.lookup(&subject, at(0)) {
                        let answer = with_response(subject, 200, &[FRESH, ("vary", "accept")]);
                        if let Stored::Store(mut writer) = fetch.answered(&answer, at(0)) {
                            for chunk in vec![0_u8; length].chunks(1000) {
                                writer.push(&Bytes::copy_from_slice(chunk));
                                prop_assert!(cache.stats().bytes <= cache.stats().limit);
                            }
                            writer.finish(None);
                        }
                    }
                }
                Event::Abandon { target, length } => {
                    let subject = get(&format!("/{target}"), &[]);
                    if let Lookup::Fetch(fetch) = cache.lookup(&subject, at(0))
                        && let Stored::Store(mut writer) = fetch.answered(&with_response(subject, 200, &[FRESH]), at(0))
                    {
                        writer.push(&Bytes::from(vec![0; length]));
                    }
                }
                Event::Invalidate { target } => {
                    cache.invalidate(&with_response(request("POST", &format!("/{target}"), &[]), 200, &[]));
                }
                Event::Resize { size } => cache.reconfigure(&config::Cache { size, max_object: 8000, ..config() }),
            }
            let stats = cache.stats();
            prop_assert_eq!(cache.store.recount(), stats.bytes);
            prop_assert!(stats.bytes <= stats.limit);
        }
    }
}
