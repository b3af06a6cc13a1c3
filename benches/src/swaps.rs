//! Hot swaps under load: two bundles take turns, and every answer has to come from exactly one of them.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::bundles::{self, Plugins};
use crate::load;
use crate::peers::{Bench, Peer};
use crate::scenarios::{Client, Scenario};

pub(crate) const NAME: &str = "swap";
pub(crate) const TITLE: &str = "100 hot swaps during 30 s at half load";

const SWAPS: u32 = 100;
const CONNECTIONS: usize = 64;

const SCENARIO: Scenario = Scenario {
    name: NAME,
    title: TITLE,
    peers: &[],
    // The origin says which mark the request carried when it came.
    path: "/echo",
    scheme: "http",
    client: Client::Http1,
};

/// Runs it and tells what happened.
pub(crate) fn run(bench: &Bench, seconds: u64) -> anyhow::Result<String> {
    let folders = [
        bundles::make(bench, Plugins::Mark(1))?,
        bundles::make(bench, Plugins::Mark(2))?,
    ];
    let proxy = bench.start(Peer::Weir(Plugins::Mark(1)), &SCENARIO)?;
    let most = load::closed(&SCENARIO.url(&proxy), CONNECTIONS, Duration::from_secs(3))?;
    let rate = most.per_second / 2.0;

    let span = Duration::from_secs(seconds);
    let stop = AtomicBool::new(false);
    let swaps = AtomicU32::new(0);
    let open = thread::scope(|scope| {
        let swapper = scope.spawn(|| -> anyhow::Result<()> {
            let begun = Instant::now();
            for index in 0..SWAPS {
                // Spread over the run, and each one in the middle of its share.
                let due = span.mul_f64((f64::from(index) + 0.5) / f64::from(SWAPS));
                thread::sleep(due.saturating_sub(begun.elapsed()));
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let folder = folders[(index as usize + 1) % 2].as_ref().context("no bundle")?;
                let output = Command::new(bench.weir())
                    .args(["deploy", "--admin", &proxy.admin().to_string()])
                    .arg(folder)
                    .output()?;
                if !output.status.success() {
                    bail!("a deployment failed: {}", String::from_utf8_lossy(&output.stderr));
                }
                swaps.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        });
        let open = load::open_checked(proxy.http(), SCENARIO.path, rate, CONNECTIONS, span, one_generation);
        stop.store(true, Ordering::Relaxed);
        match swapper.join() {
            Ok(result) => result.and(open),
            Err(_) => bail!("the swapping thread panicked"),
        }
    })?;
    Ok(format!(
        "**Hot swap**: {} swaps during {seconds} s at {rate:.0} requests/s (half load): {} requests, {} failed, {} answered by \
         other than exactly one generation; p50 {} µs, p99 {} µs.",
        swaps.load(Ordering::Relaxed),
        open.latencies.len(),
        open.unexpected,
        open.wrong,
        open.quantile(0.50).as_micros(),
        open.quantile(0.99).as_micros(),
    ))
}

/// The mark on the response and the one that the origin saw on the request are one and the same.
fn one_generation(head: &str) -> bool {
    let values = |name: &str| {
        let name = name.to_owned();
        head.lines()
            .filter_map(|line| line.split_once(':'))
            .filter(move |(field, _)| field.eq_ignore_ascii_case(&name))
            .map(|(_, value)| value.trim().to_owned())
            .collect::<Vec<_>>()
    };
    let (response, request) = (values("x-mark"), values("x-echo"));
    response.len() == 1 && response == request && !response[0].is_empty()
}
