//! The share of hits of Weir's memory beside Varnish's and that of plain LRU with the same room.
//!
//! Two traces, made anew by each run from a fixed seed: requests after Zipf's law, and the same with a crawler among them that
//! asks for one object after the other and for each of them once. They are replayed over HTTP; what reaches the origin was no
//! hit. LRU is worked out beside them: all of its room is for bodies, while the others have to keep heads and lists in theirs.

use std::cell::RefCell;
use std::fs;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::ensure;
use lru::LruCache;
use tokio::task::LocalSet;

use crate::load;
use crate::origin::{Answer, Origin};
use crate::peers::{self, Bench};

pub(crate) const NAME: &str = "hit-ratio";
pub(crate) const TITLE: &str = "share of hits on Zipf and scan-mixed traces beside Varnish and plain LRU";

/// Objects that people ask for.
const OBJECTS: usize = 60_000;
/// The exponent of their popularity; 0.7 to 1 is what studies of web traffic find.
const EXPONENT: f64 = 0.9;
/// One request in so many is the crawler's, in the trace that has one.
const CRAWL: u64 = 3;
/// Bytes of memory: about one in eighteen of all the bytes that there are.
const ROOM: usize = 32 << 20;
const WARM_UP: usize = 60_000;
/// Chance moves a share of hits of so many requests by less than 0.2 points, and all replay the same trace.
const REQUESTS: usize = 80_000;
const CONNECTIONS: usize = 8;

/// Replays both traces against each, and tells it as a table.
pub(crate) fn run(bench: &Bench) -> anyhow::Result<String> {
    let mut text = format!(
        "**Hit ratio**: {REQUESTS} requests after {WARM_UP}, {OBJECTS} objects of 512 B to 48 KiB, {} MiB of memory.\n\n\
         | trace | Weir | Varnish | plain LRU | Weir - LRU |\n|---|---:|---:|---:|---:|\n",
        ROOM >> 20
    );
    for (name, crawl) in [("Zipf", None), ("Zipf with a scan", Some(CRAWL))] {
        eprintln!("{NAME}: {name}");
        let weir = replay(bench, Cache::Weir, crawl)?;
        let varnish = replay(bench, Cache::Varnish, crawl)?;
        let lru = plain_lru(crawl);
        text.push_str(&format!(
            "| {name} | {:.1} % | {:.1} % | {:.1} % | {:+.1} points |\n",
            weir * 100.0,
            varnish * 100.0,
            lru * 100.0,
            (weir - lru) * 100.0
        ));
    }
    Ok(text)
}

#[derive(Debug, Clone, Copy)]
enum Cache {
    Weir,
    Varnish,
}

/// The share of hits after the warm-up.
fn replay(bench: &Bench, cache: Cache, crawl: Option<u64>) -> anyhow::Result<f64> {
    let origin = Origin::start(|path| Answer {
        after: Duration::ZERO,
        fields: "Content-Type: image/jpeg\r\nCache-Control: max-age=36000\r\nETag: \"5f3a\"\r\n".to_owned(),
        body: vec![b'x'; path.get(1..).and_then(|object| object.parse().ok()).map_or(0, size)],
    })?;
    let address = SocketAddr::from(([127, 0, 0, 1], peers::free_port()?));
    let _proxy = match cache {
        Cache::Weir => {
            let config = bench.dir().join("hit-ratio.toml");
            let text = format!(
                "workers = 1\n[[listener]]\naddress = \"{address}\"\n[cache]\nsize = {ROOM}\n[[upstream]]\nname = \"origin\"\n\
                 servers = [\"127.0.0.1:{}\"]\n[[route]]\nname = \"all\"\nupstream = \"origin\"\ncache = true\n\
                 [access_log]\nformat = \"off\"\n",
                origin.port()
            );
            fs::write(&config, text)?;
            bench.run_weir(&config, address)?
        }
        Cache::Varnish => bench.run_varnish(origin.port(), ROOM, address)?,
    };
    let trace = Rc::new(RefCell::new(Trace::new(crawl)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    local.block_on(&runtime, ask(address, &trace, WARM_UP))?;
    let before = origin.asked();
    local.block_on(&runtime, ask(address, &trace, REQUESTS))?;
    Ok(1.0 - (origin.asked() - before) as f64 / REQUESTS as f64)
}

/// So many requests of the trace, over some connections that take turns as they are answered.
async fn ask(address: SocketAddr, trace: &Rc<RefCell<Trace>>, requests: usize) -> anyhow::Result<()> {
    let left = Rc::new(RefCell::new(requests));
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (trace, left) = (Rc::clone(trace), Rc::clone(&left));
            tokio::task::spawn_local(async move {
                let (mut stream, mut buffer) = (None, Vec::new());
                loop {
                    if *left.borrow() == 0 {
                        return anyhow::Ok(());
                    }
                    *left.borrow_mut() -= 1;
                    let object = trace.borrow_mut().next();
                    let request = format!("GET /{object} HTTP/1.1\r\nHost: bench\r\n\r\n");
                    let head = load::exchange(&mut stream, address, &request, &mut buffer).await?;
                    ensure!(head.starts_with("HTTP/1.1 200"), "an unexpected answer: {head}");
                }
            })
        })
        .collect();
    for client in clients {
        client.await??;
    }
    Ok(())
}

fn plain_lru(crawl: Option<u64>) -> f64 {
    let mut trace = Trace::new(crawl);
    let mut lru = LruCache::unbounded();
    let (mut used, mut hits) = (0, 0);
    for number in 0..WARM_UP + REQUESTS {
        let object = trace.next();
        if lru.get(&object).is_some() {
            hits += u32::from(number >= WARM_UP);
            continue;
        }
        lru.put(object, ());
        used += size(object);
        while used > ROOM
            && let Some((gone, ())) = lru.pop_lru()
        {
            used -= size(gone);
        }
    }
    f64::from(hits) / REQUESTS as f64
}

/// Bytes of an object's body: as many objects of each power of two, and nothing in common with its popularity.
fn size(object: u64) -> usize {
    let hash = (object + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let least = 512 << (hash % 7);
    least + (hash >> 8) as usize % (least / 2)
}

/// Numbers of objects, in the order in which they are asked for.
struct Trace {
    /// The share of the first so many objects.
    shares: Vec<f64>,
    state: u64,
    crawl: Option<u64>,
    crawled: u64,
}

impl Trace {
    fn new(crawl: Option<u64>) -> Self {
        let mut sum = 0.0;
        let mut shares: Vec<f64> = (1..=OBJECTS)
            .map(|rank| {
                sum += (rank as f64).powf(-EXPONENT);
                sum
            })
            .collect();
        shares.iter_mut().for_each(|share| *share /= sum);
        Self {
            shares,
            state: 0x2545_f491_4f6c_dd1d,
            crawl,
            crawled: 0,
        }
    }

    fn next(&mut self) -> u64 {
        if self.crawl.is_some_and(|one_in| self.random().is_multiple_of(one_in)) {
            self.crawled += 1;
            return OBJECTS as u64 + self.crawled;
        }
        let point = (self.random() >> 11) as f64 / (1_u64 << 53) as f64;
        self.shares.partition_point(|share| *share < point) as u64
    }

    fn random(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }
}
