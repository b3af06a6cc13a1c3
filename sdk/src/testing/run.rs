//! Runs a case file against a plugin, natively.

use std::path::{Path, PathBuf};

use super::case::{Case, Counters, File, Kind, Observed, Request, Response, Table};
use super::{ClientRequest, Host, Outcome, Sandbox, TestTable, UpstreamResponse, time};
use crate::Plugin;

/// Runs every case of a file; the path is relative to the crate's root.
///
/// # Panics
/// Once, at the end, with every case that failed: its name, what was expected and what came. Also when there is no case.
#[allow(clippy::panic, reason = "this is how a test fails")]
pub fn run_cases<P: Plugin>(path: impl AsRef<Path>) {
    let path = in_crate(path.as_ref());
    match failures::<P>(&path) {
        Ok(failures) if failures.is_empty() => {}
        Ok(failures) => panic!(
            "{}: {} failed\n{}",
            path.display(),
            count(failures.len()),
            failures.join("\n")
        ),
        Err(problem) => panic!("{}: {problem}", path.display()),
    }
}

/// The cases that failed, in words.
fn failures<P: Plugin>(path: &Path) -> Result<Vec<String>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let file: File = toml::from_str(&text).map_err(|error| error.to_string())?;
    if file.cases.is_empty() {
        return Err("there is no [[case]] in it".to_owned());
    }
    Ok(file.cases.iter().filter_map(|case| failure::<P>(&file, case)).collect())
}

fn failure<P: Plugin>(file: &File, case: &Case) -> Option<String> {
    let differences = match observe::<P>(file, case) {
        Ok(observed) => case.expect.differences(&observed),
        Err(problem) => vec![problem],
    };
    (!differences.is_empty()).then(|| format!("  {:?}\n    {}", case.name, differences.join("\n    ")))
}

fn observe<P: Plugin>(file: &File, case: &Case) -> Result<Observed, String> {
    if let Some(problem) = case.problem() {
        return Err(problem);
    }
    let config = case.config.as_ref().unwrap_or(&file.config).to_string();
    let mut sandbox = Sandbox::<P>::new(host(file, case)?, &config)
        .map_err(|error| format!("the plugin does not configure: {error}"))?;
    let request = client_request(&case.request);
    let response = upstream_response(&case.response);
    for _ in 1..case.repeat {
        sandbox.exchange(&request, &response);
    }
    Ok(observed(sandbox.exchange(&request, &response)))
}

fn host(file: &File, case: &Case) -> Result<Host, String> {
    let mut host = Host::new();
    if let Some(now) = &case.now {
        host = host.at(time::parse(now)?);
    }
    for (name, declared) in &file.tables {
        host = host.with_table(
            name,
            table(declared).map_err(|error| format!("table {name:?}: {error}"))?,
        );
    }
    for (name, Counters { .. }) in &file.counters {
        host = host.with_counters(name);
    }
    for (name, content) in &file.data {
        host = host.with_data(name, content.as_str());
    }
    Ok(host)
}

fn table(declared: &Table) -> Result<TestTable, String> {
    let entries = declared
        .entries
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    match declared.kind {
        Kind::Exact => Ok(TestTable::exact(entries)),
        Kind::Prefix => Ok(TestTable::prefix(entries)),
        Kind::Ip => TestTable::ip(entries),
    }
}

fn client_request(request: &Request) -> ClientRequest {
    let mut client = ClientRequest::new(&request.method, request.target.as_str())
        .client(request.client)
        .scheme(&request.scheme)
        .host(&request.host)
        .body(request.body.as_str());
    // A client names the host in a header as well, and the proxy hands it on.
    if !request
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        client = client.header("host", request.host.as_str());
    }
    request
        .headers
        .iter()
        .fold(client, |client, (name, value)| client.header(name, value.as_str()))
}

fn upstream_response(response: &Response) -> UpstreamResponse {
    let upstream = UpstreamResponse::new(response.status).body(response.body.as_str());
    response.headers.iter().fold(upstream, |upstream, (name, value)| {
        upstream.header(name, value.as_str())
    })
}

fn observed(outcome: Outcome) -> Observed {
    Observed {
        verdict: outcome.end.to_string(),
        status: outcome.status,
        headers: outcome.headers.to_vec(),
        body: outcome.body,
        target: outcome.target,
        request_headers: outcome.request_headers.to_vec(),
        notes: outcome.notes,
    }
}

/// Tests run in the crate's root under cargo, but not in every debugger.
fn in_crate(path: &Path) -> PathBuf {
    match std::env::var_os("CARGO_MANIFEST_DIR") {
        Some(root) => Path::new(&root).join(path),
        None => path.to_owned(),
    }
}

fn count(failures: usize) -> String {
    if failures == 1 {
        "1 case".to_owned()
    } else {
        format!("{failures} cases")
    }
}
