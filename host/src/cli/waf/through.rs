//! `weir waf test` through the real proxy: a Weir of its own in this process, with the rules in the WAF's component and an origin that
//! answers as tests want. Requests travel over sockets, each from an address of its own on the loopback network, and that address
//! tells afterwards which audit event is about which request.

mod bundle;
mod client;
mod events;
mod origin;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use weir_waf::evaluate::Decision;
use weir_waf_tools::Error;
use weir_waf_tools::exchange::{Asked, Judged, Reply};
use weir_waf_tools::http::Refusal;
use weir_waf_tools::rules::Rules;

use crate::config::{self, Endpoint};
use crate::server::Server;
use crate::server::inherited::Inherited;
use client::Answer;
use events::Events;
use origin::Origin;

/// Where the WAF's component is, unless somebody says: where `make plugins` puts it, else beside the program.
pub(super) fn component() -> Option<PathBuf> {
    let beside = || Some(std::env::current_exe().ok()?.parent()?.join("waf.wasm"));
    [Some(PathBuf::from("target/plugins/waf.wasm")), beside()]
        .into_iter()
        .flatten()
        .find(|path| path.is_file())
}

/// Sends every request to a proxy with these rules, and says what became of each.
pub(super) fn judge(rules: &Rules, component: &Path, messages: &[Vec<u8>]) -> Result<Vec<Judged>, Error> {
    let folder = tempfile::tempdir()?;
    bundle::write(rules, component, &folder.path().join("bundle"))?;
    let origin = Origin::start()?;
    let file = folder.path().join("weir.toml");
    std::fs::write(&file, configuration(origin.address()))?;
    let config = config::load(&file).map_err(|report| Error::new(report.to_string()))?;
    let server = Server::start(config, Inherited::default()).map_err(|error| Error::new(format!("{error:#}")))?;
    let answers = match server.addresses().listeners.first() {
        Some((_, Endpoint::Tcp(address))) => send_all(*address, messages),
        _ => return Err(Error::new("the proxy listens nowhere")),
    };
    // It finishes what runs and writes down what it knows.
    server.stop();
    let events = Events::read(&folder.path().join("events"))?;
    let judged = answers.into_iter().enumerate().map(|(number, answer)| {
        let answer = answer?;
        Ok(judged(answer, &events, from(number)))
    });
    judged.collect()
}

fn configuration(origin: SocketAddr) -> String {
    // The limits are those of rules, not of the edge; a request that never ends is not waited for long.
    format!(
        "[[listener]]\nname = \"http\"\naddress = \"127.0.0.1:0\"\n\n[[route]]\nname = \"all\"\nupstream = \"origin\"\n\n\
         [[upstream]]\nname = \"origin\"\nservers = [\"{origin}\"]\n\n[timeouts]\nheader = \"5s\"\nbody = \"5s\"\n\n\
         [limits]\nheader_bytes = \"1MiB\"\nheaders = 256\ntarget = \"1MiB\"\n\n[admin]\naddress = \"off\"\n\n\
         [access_log]\nformat = \"off\"\nevents = \"events\"\n\n[plugins]\nbundle = \"bundle\"\nstate = \"state\"\n"
    )
}

/// The address that a request comes from.
fn from(number: usize) -> Ipv4Addr {
    let first = u32::from(Ipv4Addr::new(127, 1, 0, 1));
    // Sixteen million are more than there are tests.
    Ipv4Addr::from(first.wrapping_add((number & 0x00ef_ffff) as u32))
}

/// A few at a time: each waits for the others' turn at the proxy.
fn send_all(server: SocketAddr, messages: &[Vec<u8>]) -> Vec<Result<Answer, Error>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut answers = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(message) = messages.get(number) else {
                return answers;
            };
            answers.push((number, client::send(server, from(number), message)));
        }
    };
    let threads = 4 * std::thread::available_parallelism().map_or(1, usize::from);
    let mut answers = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut answers = Vec::with_capacity(messages.len());
        for client in clients {
            match client.join() {
                Ok(part) => answers.extend(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        answers
    });
    answers.sort_by_key(|(number, _)| *number);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Every request that reaches rules has an event: what has none did not.
fn judged(answer: Answer, events: &Events, from: Ipv4Addr) -> Judged {
    let found = events.of(from);
    let asked = match found {
        Some(_) => Asked::Yes,
        None => Asked::No,
    };
    Judged {
        asked,
        reply: answer
            .response
            .as_ref()
            .map_or(Reply::None, |response| Reply::Status(response.status)),
        decision: Decision::Pass,
        refusal: (asked == Asked::No).then_some(Refusal("before any rule was asked")),
        matches: found.map(|found| found.matches.clone()).unwrap_or_default(),
        unreported: found.map_or(0, |found| found.omitted),
        response: answer.response,
    }
}
