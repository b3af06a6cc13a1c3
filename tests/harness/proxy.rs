//! The real `weir`, as a process of its own.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::SystemTime;

use tempfile::TempDir;

use crate::bundle::Bundle;
use crate::client::{self, fetch};
use crate::curl::Output;
use crate::message::{Request, Response};
use crate::origin::Origin;
use crate::sync::eventually;

/// A configuration being written, in the syntax of `weir.toml`.
///
/// The harness adds what no test is about: ports that the system picks, a state folder of its own, two workers, logs.
#[derive(Debug)]
pub struct Builder {
    folder: TempDir,
    top: String,
    tables: String,
    plugins: String,
    admin: String,
    log: String,
    passed: Option<Passed>,
    environment: Vec<(String, String)>,
    descriptors: Option<u32>,
}

/// A listening socket that Weir does not bind itself.
#[derive(Debug)]
enum Passed {
    /// One of the test's, under a name, as systemd passes it.
    Socket(String, TcpListener),
    /// One that systemd's own program binds, which starts Weir with its first client.
    BySystemd(String, SocketAddr),
}

/// Starts from an empty configuration.
pub fn configure() -> Builder {
    let folder = tempfile::Builder::new()
        .prefix("weir-test-")
        .tempdir()
        .expect("a temporary folder");
    Builder {
        folder,
        top: "workers = 2\n".into(),
        tables: String::new(),
        plugins: "state = \"state\"\n".into(),
        admin: String::new(),
        log: "info".into(),
        passed: None,
        environment: Vec::new(),
        descriptors: None,
    }
}

/// One listener in clear, one route for everything, one upstream with this origin as its server.
pub fn in_front_of(origin: &Origin) -> Builder {
    routing(origin, "")
}

/// As [`in_front_of`], with the shared cache in between.
pub fn caching(origin: &Origin) -> Builder {
    routing(origin, "cache = true")
}

fn routing(origin: &Origin, route: &str) -> Builder {
    configure()
        .listener("http")
        .route("all", "app", route)
        .upstream("app", &[origin.address()], "")
}

impl Builder {
    /// The folder of the configuration; files that it names may be put there.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Keys of the top level, instead of the harness's `workers = 2` where they say the same.
    pub fn top(mut self, text: &str) -> Self {
        let replaces = |line: &str| text.lines().any(|new| new.split('=').next() == line.split('=').next());
        self.top = self
            .top
            .lines()
            .filter(|line| !replaces(line))
            .map(|line| format!("{line}\n"))
            .collect();
        self.top.push_str(text);
        self.top.push('\n');
        self
    }

    /// Any tables.
    pub fn tables(mut self, text: &str) -> Self {
        self.tables.push_str(text);
        self.tables.push('\n');
        self
    }

    /// A listener in clear.
    pub fn listener(self, name: &str) -> Self {
        self.tables(&format!("[[listener]]\nname = \"{name}\"\naddress = \"127.0.0.1:0\""))
    }

    /// A listener with the certificate in `cert.pem` and `key.pem` of the folder.
    pub fn tls_listener(self, name: &str) -> Self {
        self.listener(name)
            .tables("[listener.tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"")
    }

    /// A route to an upstream, with further keys.
    pub fn route(self, name: &str, upstream: &str, keys: &str) -> Self {
        self.tables(&format!(
            "[[route]]\nname = \"{name}\"\nupstream = \"{upstream}\"\n{keys}"
        ))
    }

    /// An upstream with these servers, and further keys.
    pub fn upstream(self, name: &str, servers: &[SocketAddr], keys: &str) -> Self {
        let servers: Vec<_> = servers.iter().map(|address| format!("\"{address}\"")).collect();
        self.tables(&format!(
            "[[upstream]]\nname = \"{name}\"\nservers = [{}]\n{keys}",
            servers.join(", ")
        ))
    }

    /// Keys of `[plugins]`, where the harness says only where the state is.
    pub fn plugins(mut self, keys: &str) -> Self {
        self.plugins.push_str(keys);
        self.plugins.push('\n');
        self
    }

    /// Keys of `[admin]`, where the harness says only the address.
    pub fn admin(mut self, keys: &str) -> Self {
        self.admin.push_str(keys);
        self.admin.push('\n');
        self
    }

    /// How many file descriptors Weir may have.
    pub fn descriptors(mut self, count: u32) -> Self {
        self.descriptors = Some(count);
        self
    }

    /// What `WEIR_LOG` says; default `info`.
    pub fn log(mut self, filter: &str) -> Self {
        self.log = filter.into();
        self
    }

    /// Passes a listening socket under a name, as systemd does for a socket unit.
    pub fn socket(mut self, name: &str, socket: TcpListener) -> Self {
        self.passed = Some(Passed::Socket(name.to_owned(), socket));
        self
    }

    /// Has `systemd-socket-activate` listen at an address, under a name, and start Weir when a client comes.
    pub fn by_systemd(mut self, name: &str, address: SocketAddr) -> Self {
        self.passed = Some(Passed::BySystemd(name.to_owned(), address));
        self
    }

    /// Sets a variable of the environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts Weir and returns when it is ready.
    pub fn start(self) -> Proxy {
        let text = self.render();
        let config = self.folder.path().join("weir.toml");
        std::fs::write(&config, text).expect("write weir.toml");
        let mut command = match (self.passed, self.descriptors) {
            (None, None) => program(),
            (None, Some(count)) => with_descriptors(count),
            (Some(Passed::Socket(name, socket)), _) => activated(&name, socket),
            (Some(Passed::BySystemd(name, address)), _) => by_systemd(&name, address, &self.log),
        };
        command.args(RUN).envs(self.environment);
        Proxy::launch(self.folder, command, &self.log)
    }

    /// Runs Weir with a configuration that it has to refuse, and returns what it said.
    pub fn refused(self) -> Output {
        std::fs::write(self.folder.path().join("weir.toml"), self.render()).expect("write weir.toml");
        let output = weir(&["check", "-c", "weir.toml"], self.folder.path());
        assert!(
            !output.success,
            "weir check accepted the configuration: {}",
            output.stdout
        );
        output
    }

    /// Runs Weir with a valid configuration with which it cannot start, and returns what it said.
    pub fn fails_to_start(self) -> Output {
        std::fs::write(self.folder.path().join("weir.toml"), self.render()).expect("write weir.toml");
        let output = weir(&RUN, self.folder.path());
        assert!(!output.success, "weir started: {}", output.stderr);
        output
    }

    fn render(&self) -> String {
        let Self {
            top,
            tables,
            plugins,
            admin,
            ..
        } = self;
        format!("{top}\n{tables}\n[admin]\naddress = \"127.0.0.1:0\"\n{admin}\n[plugins]\n{plugins}")
    }
}

/// A running Weir. Dropping it stops it and fails the test when it did not end as it should.
#[derive(Debug)]
pub struct Proxy {
    folder: TempDir,
    child: Child,
    /// The process that has replaced it.
    successor: Option<u32>,
    listeners: Vec<(String, SocketAddr)>,
    admin: SocketAddr,
    end: End,
}

/// How it is going to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Orderly,
    /// It has been killed: there is nothing left to be stopped.
    Killed,
}

/// `weir run` with the configuration in its folder.
const RUN: [&str; 5] = ["run", "-c", "weir.toml", "--addresses", ADDRESSES];

/// Where Weir says what it has bound.
const ADDRESSES: &str = "addresses";

/// `weir` with so many file descriptors, and no way to get more.
fn with_descriptors(count: u32) -> Command {
    let mut command = Command::new("sh");
    let script = format!("ulimit -n {count}; exec \"$0\" \"$@\"");
    command.args(["-c", &script]).arg(binary()).stdin(Stdio::null());
    command
}

/// Starts `weir demo` on ports of its own with a bundle, and returns when it is ready.
pub fn demo(bundle: &Bundle) -> Proxy {
    let folder = tempfile::Builder::new()
        .prefix("weir-demo-")
        .tempdir()
        .expect("a temporary folder");
    let ports = ["--http-port", "0", "--tls-port", "0", "--admin-port", "0"];
    let places = ["--state", ".", "--tries", "tries.json"];
    let bundle = bundle.path();
    let mut command = program();
    command.arg("demo").args(ports).args(places).args(["--bundle", &bundle]);
    Proxy::launch(folder, command, "info")
}

impl Proxy {
    fn launch(folder: TempDir, mut command: Command, log: &str) -> Self {
        let path = folder.path();
        let _ = std::fs::remove_file(path.join(ADDRESSES));
        let output = |name: &str| {
            let file = File::options()
                .create(true)
                .append(true)
                .open(path.join(name))
                .expect("a log file");
            Stdio::from(file)
        };
        let child = command
            .current_dir(path)
            .env("WEIR_LOG", log)
            .stdout(output("stdout"))
            .stderr(output("stderr"))
            .spawn()
            .expect("start weir");
        // From here on the child ends with the value, also when the wait for it fails.
        let mut proxy = Self {
            folder,
            child,
            successor: None,
            listeners: Vec::new(),
            admin: SocketAddr::from(([127, 0, 0, 1], 0)),
            end: End::Orderly,
        };
        proxy.await_ready();
        proxy
    }

    fn await_ready(&mut self) {
        let file = self.folder.path().join(ADDRESSES);
        let text = eventually("weir's addresses", || {
            if let Some(status) = self.child.try_wait().expect("the state of a child") {
                panic!("weir ended before it was ready: {status}");
            }
            std::fs::read_to_string(&file).ok()
        });
        for line in text.lines() {
            let mut words = line.splitn(3, ' ');
            let (kind, address) = (words.next(), words.next().unwrap_or_default());
            // Unix sockets are where the test has put them.
            if address.starts_with("unix:") {
                continue;
            }
            match (kind, address.parse().ok(), words.next()) {
                (Some("listener"), Some(address), Some(name)) => self.listeners.push((name.to_owned(), address)),
                (Some("admin"), Some(address), None) => self.admin = address,
                _ => panic!("an odd line in weir's addresses: {line:?}"),
            }
        }
        eventually("/readyz", || (self.ask("/readyz").status == 200).then_some(()));
    }

    /// The address of the first listener.
    pub fn address(&self) -> SocketAddr {
        self.listeners.first().expect("a listener").1
    }

    /// The address of a listener by its name.
    pub fn listener(&self, name: &str) -> SocketAddr {
        let found = self.listeners.iter().find(|(listener, _)| listener == name);
        found
            .unwrap_or_else(|| panic!("no listener {name} in {:?}", self.listeners))
            .1
    }

    /// The address of the admin API.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The folder of the configuration, where Weir runs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.successor.unwrap_or(self.child.id())
    }

    /// A GET at the first listener, on a connection of its own.
    pub fn get(&self, target: &str) -> Response {
        client::get(self.address(), target)
    }

    /// Any request at the first listener, on a connection of its own.
    pub fn fetch(&self, request: &Request) -> Response {
        fetch(self.address(), request)
    }

    /// A connection to the first listener.
    pub fn connect(&self) -> client::Client {
        client::Client::connect(self.address())
    }

    /// A GET at the admin API, under the name that it answers to.
    pub fn ask(&self, target: &str) -> Response {
        fetch(self.admin, &Request::get(target).host(&self.admin.to_string()))
    }

    /// What `GET /v1/status` says.
    pub fn status(&self) -> serde_json::Value {
        let response = self.ask("/v1/status");
        assert_eq!(response.status, 200, "{response:?}");
        response.json()
    }

    /// The sum of a metric's series that have all of these labels; 0 where there is none.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let text = self.ask("/metrics").text_body();
        let has = |line: &str| {
            labels
                .iter()
                .all(|(key, value)| line.contains(&format!("{key}=\"{value}\"")))
        };
        text.lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])) && has(line))
            .map(|line| {
                line.rsplit(' ')
                    .next()
                    .and_then(|value| value.parse::<f64>().ok())
                    .expect("a number")
            })
            .fold(0.0, |sum, value| sum + value)
    }

    /// Waits until a metric is what it should be: a request is counted when all of it is over, and its client can know first.
    pub fn await_metric(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        eventually(&format!("{name} {labels:?} to be {value}"), || {
            (self.metric(name, labels) == value).then_some(())
        });
    }

    /// Like [`await_metric`](Self::await_metric), with the least that it may be.
    pub fn await_metric_from(&self, name: &str, labels: &[(&str, &str)], least: f64) {
        eventually(&format!("{name} {labels:?} to be {least} or more"), || {
            (self.metric(name, labels) >= least).then_some(())
        });
    }

    /// Resident memory in bytes.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).expect("a running process");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("kilobytes") * 1024
    }

    /// Runs one of Weir's other commands (`deploy`, `status`, `rollback`, `reload`) against this one.
    pub fn weir(&self, arguments: &[&str]) -> Output {
        let admin = self.admin.to_string();
        weir(&[arguments, &["--admin", &admin]].concat(), self.folder())
    }

    /// Replaces the configuration file; nothing is told to reload.
    pub fn edit_config(&self, edit: impl FnOnce(String) -> String) {
        let file = self.folder().join("weir.toml");
        let text = std::fs::read_to_string(&file).expect("read weir.toml");
        let edited = edit(text.clone());
        assert_ne!(edited, text, "the edit of weir.toml changes nothing");
        std::fs::write(&file, edited).expect("write weir.toml");
    }

    /// Sends a signal by its name (`HUP`, `TERM`).
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.id().to_string()])
            .status();
        assert!(status.expect("run kill").success(), "kill -{name}");
    }

    /// Has Weir replace itself by a new process, and returns once that one serves. The old one may still serve what it has begun.
    pub fn replace(&mut self) {
        const REPLACED: &str = "replaced by a new process";
        let said = self.log().matches(REPLACED).count();
        self.signal("USR2");
        let line = eventually("a new process", || {
            let log = self.log();
            log.lines()
                .filter(|line| line.contains(REPLACED))
                .nth(said)
                .map(str::to_owned)
        });
        let process = line
            .split("\"process\":")
            .nth(1)
            .and_then(|rest| rest.split([',', '}']).next());
        let process = process.and_then(|process| process.trim().parse().ok());
        self.successor = Some(process.expect("the new process's number"));
    }

    /// Whether a process still runs.
    pub fn runs(process: u32) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        stat.rsplit(") ")
            .next()
            .is_some_and(|state| !state.is_empty() && !state.starts_with('Z'))
    }

    /// What Weir logged so far (standard error).
    pub fn log(&self) -> String {
        read_lossy(&self.folder().join("stderr"))
    }

    /// Waits for a line in the log.
    pub fn await_log(&self, needle: &str) {
        eventually(&format!("{needle:?} in weir's log"), || {
            self.log().contains(needle).then_some(())
        });
    }

    /// The access log so far (standard output).
    pub fn access_log(&self) -> String {
        read_lossy(&self.folder().join("stdout"))
    }

    /// Waits until the access log has a line with this, and returns the line.
    pub fn await_access(&self, needle: &str) -> String {
        eventually(&format!("{needle:?} in the access log"), || {
            let log = self.access_log();
            // Only whole lines: the last one may be half written.
            let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
            whole.lines().find(|line| line.contains(needle)).map(str::to_owned)
        })
    }

    /// Waits for the end of a process that was told to end.
    pub fn await_end(&mut self) -> ExitStatus {
        eventually("weir's end", || self.child.try_wait().expect("the state of a child"))
    }

    /// Stops Weir as an operator does and starts it again in the same folder.
    pub fn restart(mut self) -> Self {
        self.stop();
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().expect("a temporary folder"));
        drop(self);
        let mut command = program();
        command.args(RUN);
        Self::launch(folder, command, "info")
    }

    /// Kills Weir where it stands (SIGKILL) and starts it again in the same folder.
    pub fn crash(mut self) -> Self {
        self.child.kill().expect("kill -KILL");
        self.child.wait().expect("the end of a child");
        self.end = End::Killed;
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().expect("a temporary folder"));
        drop(self);
        let mut command = program();
        command.args(RUN);
        Self::launch(folder, command, "info")
    }

    /// SIGTERM; exit 0, no panic.
    pub fn stop(&mut self) {
        if let Some(successor) = self.successor.take() {
            let _ = Command::new("kill").args(["-TERM", &successor.to_string()]).status();
            eventually("the new process's end", || (!Self::runs(successor)).then_some(()));
        }
        if self.child.try_wait().expect("the state of a child").is_none() {
            self.signal("TERM");
        }
        let status = self.await_end();
        let log = self.log();
        assert!(status.success(), "weir ended with {status}\n{log}");
        assert!(!log.contains("panicked at"), "weir panicked\n{log}");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = self.child.kill();
            if let Some(successor) = self.successor {
                let _ = Command::new("kill").args(["-KILL", &successor.to_string()]).status();
            }
            let _ = self.child.wait();
            eprintln!(
                "--- weir's log\n{}--- access log\n{}",
                tail(&self.log()),
                tail(&self.access_log())
            );
        } else if self.end == End::Orderly {
            self.stop();
        }
    }
}

fn program() -> Command {
    let mut command = Command::new(binary());
    command.stdin(Stdio::null());
    command
}

/// `weir` as systemd starts it for a socket unit: the socket is descriptor 3, and the environment says so to this very process
/// (sd_listen_fds(3)).
fn activated(name: &str, socket: TcpListener) -> Command {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg("exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=$1; export LISTEN_PID LISTEN_FDS LISTEN_FDNAMES; shift; exec \"$@\"")
        .args(["sh", name])
        .arg(binary())
        .stdin(OwnedFd::from(socket));
    command
}

/// systemd's program for activation by socket. It becomes Weir, in an environment of its own.
fn by_systemd(name: &str, address: SocketAddr, log: &str) -> Command {
    let mut command = Command::new("systemd-socket-activate");
    command
        .arg(format!("--listen={address}"))
        .arg(format!("--fdname={name}"))
        .arg(format!("--setenv=WEIR_LOG={log}"))
        .arg(binary())
        .stdin(Stdio::null());
    command
}

/// Runs `weir` with these arguments to its end.
pub fn weir(arguments: &[&str], folder: &Path) -> Output {
    let output = Command::new(binary())
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("run weir");
    Output {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The `weir` that cargo built beside this test, asserted to be no older than its sources.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let test = std::env::current_exe().expect("the test's own path");
        let weir = test.ancestors().nth(2).expect("target/PROFILE/deps/TEST").join("weir");
        let built = std::fs::metadata(&weir).and_then(|file| file.modified());
        let built = built.unwrap_or_else(|error| panic!("{}: {error}; run `cargo build` first", weir.display()));
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src");
        if let Some(newer) = newer_source(&sources, built) {
            panic!(
                "{} is older than {}; run `cargo build` first",
                weir.display(),
                newer.display()
            );
        }
        weir
    })
}

fn newer_source(folder: &Path, built: SystemTime) -> Option<PathBuf> {
    std::fs::read_dir(folder)
        .expect("the host's sources")
        .flatten()
        .find_map(|entry| {
            let (path, file) = (entry.path(), entry.metadata().expect("metadata of a source"));
            let stale = path.extension().is_some_and(|extension| extension == "rs") && file.modified().ok()? > built;
            if file.is_dir() {
                newer_source(&path, built)
            } else {
                stale.then_some(path)
            }
        })
}

fn read_lossy(file: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()).into_owned()
}

fn tail(text: &str) -> &str {
    let start = text.len().saturating_sub(8 * 1024);
    text.get(start..).unwrap_or(text)
}
