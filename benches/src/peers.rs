//! The proxies, started as real processes with the configurations in `benches/peers/`.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use crate::bundles::{self, Plugins};
use crate::cpu;
use crate::scenarios::{Client, Scenario};

/// Bytes of the body that the origin answers with.
const BODY: usize = 1024;
/// What the origin has as files, by name and size.
const FILES: [(&str, usize); 3] = [("4k", 4096), ("64k", 64 * 1024), ("1m", 1024 * 1024)];
/// What caches may keep in memory, unless a measurement says otherwise.
const MEMORY: &str = "64MiB";
/// How long a proxy may take to listen; Weir compiles plugins the first time.
const START: Duration = Duration::from_secs(120);

/// A proxy to be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Weir(Plugins),
    Nginx,
    Haproxy,
    Varnish,
}

impl Peer {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Weir(Plugins::None) => "Weir",
            Self::Weir(Plugins::Policy) => "Weir + 4 plugins",
            Self::Weir(Plugins::All) => "Weir + 5 plugins",
            Self::Weir(Plugins::Mark(_)) => "Weir + mark",
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
            Self::Varnish => "Varnish",
        }
    }
}

/// The origin and the folder that all runs share.
pub(crate) struct Bench {
    dir: TempDir,
    weir: PathBuf,
    plugins: PathBuf,
    origin_port: u16,
    _origin: Running,
}

/// A proxy that listens. Dropping it stops it.
pub(crate) struct Proxy {
    process: Running,
    http: SocketAddr,
    /// Where HTTP/2 is spoken in clear.
    http2: SocketAddr,
    https: SocketAddr,
    admin: SocketAddr,
}

/// A process. Dropping it ends it.
pub(crate) struct Running(Child);

impl Bench {
    /// Starts the origin and makes a certificate.
    pub(crate) fn new(weir: &Path, plugins: &Path) -> anyhow::Result<Self> {
        if !weir.exists() {
            bail!(
                "{} is not there: build it with `cargo build --release -p weir`",
                weir.display()
            );
        }
        let dir = tempfile::tempdir()?;
        let certified = rcgen::generate_simple_self_signed(vec!["localhost".into(), "127.0.0.1".into()])?;
        let (cert, key) = (certified.cert.pem(), certified.signing_key.serialize_pem());
        fs::write(dir.path().join("cert.pem"), &cert)?;
        fs::write(dir.path().join("key.pem"), &key)?;
        fs::write(dir.path().join("both.pem"), format!("{cert}{key}"))?;
        let files = dir.path().join("www/cached");
        fs::create_dir_all(&files)?;
        for (name, size) in FILES {
            fs::write(files.join(name), "x".repeat(size))?;
        }
        // nginx reads them as another user.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
        let origin_port = free_port()?;
        let fill = |text: &str| {
            text.replace("{{dir}}", &dir.path().to_string_lossy())
                .replace("{{origin}}", &origin_port.to_string())
                .replace("{{body}}", &"x".repeat(BODY))
        };
        let config = dir.path().join("origin.conf");
        fs::write(&config, fill(include_str!("../peers/origin.conf")))?;
        let origin = spawn(cpu::LOAD_CORE, "nginx", &[Path::new("-c"), &config])?;
        wait_for(([127, 0, 0, 1], origin_port).into(), "the origin")?;
        let weir = weir.canonicalize()?;
        let plugins = plugins.canonicalize().unwrap_or_else(|_| plugins.to_path_buf());
        Ok(Self {
            dir,
            weir,
            plugins,
            origin_port,
            _origin: origin,
        })
    }

    /// Where everything of this run lies.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where the plugins' components are.
    pub(crate) fn plugins(&self) -> &Path {
        &self.plugins
    }

    /// The weir binary.
    pub(crate) fn weir(&self) -> &Path {
        &self.weir
    }

    /// Starts a proxy and waits until it answers.
    pub(crate) fn start(&self, peer: Peer, scenario: &Scenario) -> anyhow::Result<Proxy> {
        self.start_with(peer, scenario, MEMORY)
    }

    /// The same, with this much memory for what it caches.
    pub(crate) fn start_with(&self, peer: Peer, scenario: &Scenario, memory: &str) -> anyhow::Result<Proxy> {
        let ports = [free_port()?, free_port()?, free_port()?, free_port()?];
        let [http, http2, https, admin] = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let bundle = match peer {
            Peer::Weir(plugins) => bundles::make(self, plugins)?,
            _ => None,
        };
        let bundle = bundle.map_or_else(String::new, |path| format!("bundle = {:?}", path.to_string_lossy()));
        let fill = |text: &str| {
            text.replace("{{dir}}", &self.dir().to_string_lossy())
                .replace("{{origin}}", &self.origin_port.to_string())
                .replace("{{https}}", &https.port().to_string())
                .replace("{{http}}", &http.port().to_string())
                .replace("{{http2}}", &http2.port().to_string())
                .replace("{{admin}}", &admin.port().to_string())
                .replace("{{memory}}", memory)
                .replace("{{bundle}}", &bundle)
        };
        // A deployment of an earlier run would win over the bundle in the configuration.
        let _ = fs::remove_dir_all(self.dir().join("state/generations"));
        let (template, name, program) = match peer {
            Peer::Weir(_) => (include_str!("../peers/weir.toml"), "weir.toml", self.weir.as_path()),
            Peer::Nginx => (include_str!("../peers/nginx.conf"), "nginx.conf", Path::new("nginx")),
            Peer::Haproxy => (
                include_str!("../peers/haproxy.cfg"),
                "haproxy.cfg",
                Path::new("haproxy"),
            ),
            Peer::Varnish => (
                include_str!("../peers/varnish.vcl"),
                "varnish.vcl",
                Path::new("varnishd"),
            ),
        };
        let config = self.dir().join(name);
        fs::write(&config, fill(template))?;
        let program = program.to_string_lossy();
        let process = match peer {
            Peer::Weir(_) => spawn(cpu::PROXY_CORE, &program, &[Path::new("run"), Path::new("-c"), &config])?,
            Peer::Nginx => spawn(cpu::PROXY_CORE, &program, &[Path::new("-c"), &config])?,
            Peer::Haproxy => spawn(cpu::PROXY_CORE, &program, &[Path::new("-db"), Path::new("-f"), &config])?,
            Peer::Varnish => {
                let storage = format!("default,{}", memory.trim_end_matches("iB").to_lowercase());
                let (address, folder) = (http.to_string(), self.dir().join("varnish"));
                // In this process's place and without a user of its own, so that it can be pinned and ended like the others.
                let arguments = ["-F", "-j", "none", "-a", &address, "-s", &storage, "-n"].map(Path::new);
                let config = [folder.as_path(), Path::new("-f"), &config];
                spawn(cpu::PROXY_CORE, &program, &[&arguments[..], &config].concat())?
            }
        };
        let proxy = Proxy {
            process,
            http,
            http2,
            https,
            admin,
        };
        wait_for(proxy.address(scenario), peer.name())?;
        Ok(proxy)
    }

    /// Starts Weir with a configuration of the caller's and waits until it listens.
    pub(crate) fn run_weir(&self, config: &Path, address: SocketAddr) -> anyhow::Result<Running> {
        let program = self.weir.to_string_lossy();
        let process = spawn(cpu::PROXY_CORE, &program, &[Path::new("run"), Path::new("-c"), config])?;
        wait_for(address, "Weir")?;
        Ok(process)
    }

    /// Starts Varnish with so many bytes of memory in front of an origin, and waits until it listens.
    pub(crate) fn run_varnish(&self, origin: u16, room: usize, address: SocketAddr) -> anyhow::Result<Running> {
        let config = self.dir().join("hit-ratio.vcl");
        let text = include_str!("../peers/hit-ratio.vcl").replace("{{origin}}", &origin.to_string());
        fs::write(&config, text)?;
        let (folder, listen) = (self.dir().join("varnish"), address.to_string());
        let storage = format!("default=malloc,{room}");
        let arguments = [
            "-F",
            "-j",
            "none",
            "-T",
            "none",
            "-p",
            "timeout_idle=600",
            "-a",
            &listen,
            "-s",
            &storage,
            "-n",
        ];
        let arguments: Vec<_> = arguments
            .iter()
            .map(Path::new)
            .chain([&*folder, Path::new("-f"), &config])
            .collect();
        let process = spawn(cpu::PROXY_CORE, "varnishd", &arguments)?;
        wait_for(address, "varnish")?;
        Ok(process)
    }
}

impl Proxy {
    pub(crate) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    pub(crate) fn address(&self, scenario: &Scenario) -> SocketAddr {
        match scenario.client {
            _ if scenario.is_tls() => self.https,
            Client::Http1 => self.http,
            Client::Http2 => self.http2,
        }
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.http
    }

    pub(crate) fn admin(&self) -> SocketAddr {
        self.admin
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // nginx ends its workers when it is told to, not when it is killed.
        let _ = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        let limit = Instant::now() + Duration::from_secs(5);
        while Instant::now() < limit {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spawn(core: usize, program: &str, arguments: &[&Path]) -> anyhow::Result<Running> {
    let child = Command::new("taskset")
        .args(["-c", &core.to_string(), program])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .with_context(|| format!("cannot start {program} through taskset"))?;
    Ok(Running(child))
}

fn wait_for(address: SocketAddr, name: &str) -> anyhow::Result<()> {
    let limit = Instant::now() + START;
    while TcpStream::connect(address).is_err() {
        if Instant::now() > limit {
            bail!("{name} does not listen on {address}; is its package installed?");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
