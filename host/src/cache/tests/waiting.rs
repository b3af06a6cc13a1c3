//! One exchange fetches, and the others wait for what it stores or follow it while it arrives.

use super::*;

#[tokio::test]
async fn one_fetches_and_the_others_get_what_it_stored() {
    let cache = cache();
    let fetch = cache.fetch(&get("/", &[]), 0);
    let waits: Vec<Wait> = (0..5).map(|_| cache.wait(&get("/", &[]))).collect();
    let waiting = tokio::spawn(futures_util::future::join_all(waits.into_iter().map(Wait::done)));
    let mut writer = writer(fetch, with_response(get("/", &[]), 200, &[FRESH]), 0);
    writer.push(&Bytes::from_static(b"hello"));
    assert!(matches!(cache.lookup(&get("/", &[]), at(0)), Lookup::Wait(_)));
    writer.finish(None);
    for waited in waiting.await.unwrap() {
        assert!(matches!(waited, Waited::LookUp), "{waited:?}");
    }
    cache.hit(&get("/", &[]), 0);
    assert_eq!(cache.stats().coalesced, 6);
}

#[tokio::test]
async fn a_shared_body_is_followed_while_it_arrives() {
    let cache = cache();
    let fetch = cache.fetch(&get("/", &[]), 0);
    let wait = cache.wait(&get("/", &[]));
    let mut writer = writer(fetch, with_response(get("/", &[]), 200, &[FRESH]), 0);
    writer.push(&Bytes::from_static(b"one "));
    let first = writer.share();
    assert!(matches!(wait.done().await, Waited::LookUp));
    let hit = cache.hit(&get("/", &[]), 0);
    assert_eq!((hit.bytes(), hit.reader().left()), (None, None));
    assert!(!hit.map().contains_key("content-length"));
    let readers = [first, hit.reader()];
    writer.push(&Bytes::from_static(b"two"));
    writer.finish(None);
    for reader in readers {
        assert_eq!(read(reader).await.unwrap(), "one two");
    }
    let stored = cache.hit(&get("/", &[]), 0);
    assert_eq!(
        (stored.body(), &stored.map()["content-length"]),
        (Bytes::from_static(b"one two"), &HeaderValue::from_static("7"))
    );
    let stats = cache.stats();
    assert_eq!((stats.objects, stats.stored, stats.replaced), (1, 1, 0));
    assert_eq!(cache.store.recount(), stats.bytes);
}

#[tokio::test]
async fn a_shared_body_that_breaks_off_leaves_what_was_there_before() {
    let cache = cache();
    cache.store(get("/", &[]), 200, &[FRESH, ("etag", "\"a\"")], b"old", 0);
    let mut writer = writer(
        cache.fetch(&get("/", &[]), 100),
        with_response(get("/", &[]), 200, &[FRESH, ("content-length", "9")]),
        100,
    );
    writer.push(&Bytes::from_static(b"new"));
    let first = writer.share();
    let follower = cache.hit(&get("/", &[]), 100).reader();
    writer.break_off(Broken::Timeout);
    for reader in [first, follower] {
        assert_eq!(read(reader).await, Err(Broken::Timeout));
    }
    assert_eq!(
        cache
            .fetch(&get("/", &[]), 100)
            .stale
            .as_ref()
            .unwrap()
            .body
            .bytes()
            .unwrap(),
        "old"
    );
    assert_eq!(cache.store.recount(), cache.stats().bytes);
}

#[tokio::test]
async fn a_shared_body_that_grows_too_large_is_passed_on_and_not_stored() {
    let cache = cache();
    let mut writer = writer(
        cache.fetch(&get("/", &[]), 0),
        with_response(get("/", &[]), 200, &[FRESH]),
        0,
    );
    let chunk = Bytes::from(vec![1; 40_000]);
    writer.push(&chunk);
    let first = writer.share();
    assert_eq!(writer.push(&chunk), Progress::GivenUp);
    assert_eq!(cache.stats().objects, 0);
    drop(cache.fetch(&get("/", &[]), 0));
    writer.push(&chunk);
    writer.finish(None);
    assert_eq!(read(first).await.unwrap().len(), 120_000);
    assert_eq!((cache.stats().objects, cache.stats().bytes), (0, 0));
}

#[tokio::test]
async fn those_who_wait_are_released_when_the_head_says_no_and_nobody_waits_for_it_again() {
    let cache = cache();
    let fetch = cache.fetch(&get("/", &[]), 0);
    let wait = cache.wait(&get("/", &[]));
    let answer = with_response(get("/", &[]), 200, &[("cache-control", "private")]);
    assert!(matches!(fetch.answered(&answer, at(0)), Stored::NotStored(_)));
    assert!(matches!(wait.done().await, Waited::Fetch(_)));
    let (one, other) = (cache.fetch(&get("/", &[]), 0), cache.fetch(&get("/", &[]), 0));
    drop((one, other));

    // Until it is found storable, or a minute has passed.
    let first = cache.fetch(&get("/", &[]), 61);
    assert!(matches!(cache.lookup(&get("/", &[]), at(61)), Lookup::Wait(_)));
    drop(first);
    cache.store(get("/", &[]), 200, &[FRESH], b"x", 1);
    drop(cache.fetch(&get("/", &[]), 62));
}

#[tokio::test]
async fn when_the_one_that_fetches_goes_away_another_one_takes_over() {
    let cache = cache();
    let fetch = cache.fetch(&get("/", &[]), 0);
    let wait = cache.wait(&get("/", &[]));
    drop(fetch);
    assert!(matches!(wait.done().await, Waited::LookUp));
    let fetch = cache.fetch(&get("/", &[]), 0);
    let wait = cache.wait(&get("/", &[]));
    let half = writer(fetch, with_response(get("/", &[]), 200, &[FRESH]), 0);
    drop(half);
    assert!(matches!(wait.done().await, Waited::LookUp));
    drop(cache.fetch(&get("/", &[]), 0));
}

#[tokio::test]
async fn those_who_wait_for_an_origin_in_trouble_get_the_stale_response_too() {
    let cache = cache();
    let now = SystemTime::now().duration_since(at(0)).unwrap().as_secs();
    cache.store(get("/", &[]), 200, &[FRESH], b"hello", now - 100);
    let fetch = cache.fetch(&get("/", &[]), now);
    let Lookup::Wait(wait) = cache.lookup(&get("/", &[]), at(now)) else {
        panic!("somebody fetches already")
    };
    assert!(fetch.on_failure().is_some());
    let waited = wait.done().await;
    assert!(
        matches!(&waited, Waited::Hit(hit) if hit.served() == Served::Stale),
        "{waited:?}"
    );
    let next = cache.lookup(&get("/", &[]), at(now));
    assert!(
        matches!(next, Lookup::Refresh(..)),
        "nobody waits for an origin in trouble: {next:?}"
    );
}

#[tokio::test]
async fn a_failure_is_everybodys_who_waited_where_nothing_is_stale() {
    let cache = cache();
    let fetch = cache.fetch(&get("/", &[]), 0);
    let wait = cache.wait(&get("/", &[]));
    assert!(fetch.on_failure().is_none());
    assert!(matches!(wait.done().await, Waited::Failed));
}

#[test]
fn an_error_does_not_keep_the_next_ones_from_waiting_for_each_other() {
    let cache = cache();
    let answer = with_response(get("/", &[]), 503, &[]);
    assert!(matches!(
        cache.fetch(&get("/", &[]), 0).answered(&answer, at(0)),
        Stored::NotStored(_)
    ));
    let _fetch = cache.fetch(&get("/", &[]), 0);
    drop(cache.wait(&get("/", &[])));
}

#[tokio::test]
async fn waiting_ends_after_its_timeout() {
    let cache = Cache::new(&config::Cache {
        coalesce_timeout: Duration::from_millis(1),
        ..config()
    });
    let fetch = cache.fetch(&get("/", &[]), 0);
    assert!(matches!(cache.wait(&get("/", &[])).done().await, Waited::Fetch(_)));
    drop(fetch);
}

async fn read(mut reader: Reader) -> Result<Bytes, Broken> {
    let mut all = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| reader.poll_next(cx)).await {
        all.extend_from_slice(&frame?.into_data().unwrap());
    }
    Ok(all.into())
}
