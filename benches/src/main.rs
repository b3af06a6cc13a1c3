//! Weir beside nginx, HAProxy and Varnish.
//!
//! How it measures is in `benches/README.md`: each proxy has one worker pinned to one core, the load generator and the origin
//! share another; what counts is the CPU time that the proxy's process used, divided by the requests that it answered. The
//! peers take turns within a round, so that a machine whose speed drifts treats them alike, and the table shows medians.

mod bundles;
mod cpu;
mod footprint;
mod handshakes;
mod hit_ratio;
mod load;
mod origin;
mod peers;
mod scenarios;
mod stampede;
mod swaps;
mod table;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Parser;

use crate::peers::Bench;
use crate::scenarios::{Client, SCENARIOS, Scenario};
use crate::table::{Row, Table};

/// Weir beside nginx, HAProxy and Varnish: CPU per request, latency, memory, hot swaps.
#[derive(Debug, Parser)]
struct Arguments {
    /// Scenarios to run, by name; all of them when none is given
    scenarios: Vec<String>,
    /// Rounds: each peer is measured once a round, in turn
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of load for each measurement
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Connections of the load generator
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// The weir binary to measure
    #[arg(long, env = "WEIR_BIN", default_value = "target/release/weir")]
    weir: PathBuf,
    /// Where the plugins' components are
    #[arg(long, env = "WEIR_PLUGINS", default_value = "target/plugins")]
    plugins: PathBuf,
    /// Write the table as Markdown to this file as well
    #[arg(long)]
    markdown: Option<PathBuf>,
    /// List the scenarios
    #[arg(long)]
    list: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if arguments.list {
        for scenario in SCENARIOS {
            println!("{:<14} {}", scenario.name, scenario.title);
        }
        println!("{:<14} {}", swaps::NAME, swaps::TITLE);
        println!("{:<14} {}", handshakes::NAME, handshakes::TITLE);
        println!("{:<14} {}", footprint::NAME, footprint::TITLE);
        println!("{:<14} {}", hit_ratio::NAME, hit_ratio::TITLE);
        println!("{:<14} {}", stampede::NAME, stampede::TITLE);
        return Ok(());
    }
    let wanted = |name: &str| arguments.scenarios.is_empty() || arguments.scenarios.iter().any(|wanted| wanted == name);
    for name in &arguments.scenarios {
        if ![
            swaps::NAME,
            handshakes::NAME,
            footprint::NAME,
            hit_ratio::NAME,
            stampede::NAME,
        ]
        .contains(&name.as_str())
            && !SCENARIOS.iter().any(|scenario| scenario.name == name)
        {
            bail!("there is no scenario {name:?}; --list names them");
        }
    }
    cpu::pin_this_process(cpu::LOAD_CORE)?;
    let bench = Bench::new(&arguments.weir, &arguments.plugins)?;
    let mut table = Table::new(
        &arguments.weir,
        arguments.rounds,
        arguments.seconds,
        arguments.connections,
    )?;
    for scenario in SCENARIOS.iter().filter(|scenario| wanted(scenario.name)) {
        let rows = run(&bench, scenario, &arguments).with_context(|| format!("scenario {}", scenario.name))?;
        table.add(scenario, rows);
        // What has been measured is not lost when a later scenario fails.
        eprintln!("\n{}", table.markdown());
    }
    if wanted(swaps::NAME) {
        table.note(swaps::run(&bench, arguments.seconds.max(30)).context("scenario swap")?);
    }
    if wanted(handshakes::NAME) {
        let span = Duration::from_secs(arguments.seconds);
        table.note(handshakes::run(&bench, arguments.rounds, span).context("scenario handshakes")?);
    }
    if wanted(footprint::NAME) {
        table.note(footprint::run(&bench).context("scenario cache-memory")?);
    }
    if wanted(hit_ratio::NAME) {
        table.note(hit_ratio::run(&bench).context("scenario hit-ratio")?);
    }
    if wanted(stampede::NAME) {
        table.note(stampede::run(&bench).context("scenario stampede")?);
    }
    let markdown = table.markdown();
    println!("{markdown}");
    if let Some(file) = &arguments.markdown {
        std::fs::write(file, &markdown).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// All rounds of one scenario.
fn run(bench: &Bench, scenario: &Scenario, arguments: &Arguments) -> anyhow::Result<Vec<Row>> {
    let span = Duration::from_secs(arguments.seconds);
    let mut rows: Vec<_> = scenario.peers.iter().map(|peer| Row::new(*peer)).collect();
    for round in 1..=arguments.rounds {
        for row in &mut rows {
            eprintln!(
                "{}: round {round} of {}: {}",
                scenario.name,
                arguments.rounds,
                row.peer.name()
            );
            let proxy = bench.start(row.peer, scenario)?;
            let url = scenario.url(&proxy);
            let load = |span| match scenario.client {
                Client::Http1 => load::closed(&url, arguments.connections, span),
                Client::Http2 => load::closed_http2(&url, span),
            };
            load(Duration::from_secs(1))?;
            let before = cpu::of_tree(proxy.pid())?;
            let load = load(span)?;
            let used = cpu::of_tree(proxy.pid())? - before;
            if load.unexpected > 0 {
                bail!(
                    "{} gave {} unexpected answers: the run is void",
                    row.peer.name(),
                    load.unexpected
                );
            }
            row.sample(used, &load);
        }
    }
    if !scenario.has_open_loop() {
        return Ok(rows);
    }
    // Latency at one rate for all: half of what the slowest of them can do.
    let slowest = rows.iter().map(Row::rate).fold(f64::INFINITY, f64::min);
    for row in &mut rows {
        let proxy = bench.start(row.peer, scenario)?;
        // What a proxy does once, when it starts and meets its first requests, would be the slowest hundredth of so short a run.
        load::closed(&scenario.url(&proxy), arguments.connections, Duration::from_secs(1))?;
        let open = load::open(
            proxy.address(scenario),
            scenario.path,
            slowest / 2.0,
            arguments.connections,
            span,
        )?;
        if open.unexpected > 0 {
            bail!(
                "{} gave {} unexpected answers at half load",
                row.peer.name(),
                open.unexpected
            );
        }
        row.latency(&open);
    }
    Ok(rows)
}
