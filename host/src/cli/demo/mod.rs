//! `weir demo`: Weir at work on one machine, without a file to write first.
//!
//! It starts an [origin] of three servers, writes a configuration and a certificate into a private folder, and serves as
//! `weir run` would with them. When everything listens it says [what to try](tries).

mod origin;
mod tries;
mod websocket;

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;

use super::addresses::Addresses;
use super::{check, fail, logging};
use crate::{config, server};
use origin::Origin;
use tries::{Places, Try};

/// How often the demo looks whether Weir listens.
const LOOK: Duration = Duration::from_millis(20);

/// Starts three small servers and Weir in front of them, with the standard bundle, and prints what to try. Ctrl-C ends it.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Port for plain HTTP; 0 lets the system choose one
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    http_port: u16,
    /// Port for HTTPS; 0 lets the system choose one
    #[arg(long, value_name = "PORT", default_value_t = 8443)]
    tls_port: u16,
    /// Port of the admin API; 0 lets the system choose one
    #[arg(long, value_name = "PORT", default_value_t = 9180)]
    admin_port: u16,
    /// The bundle of plugins
    #[arg(long, value_name = "FOLDER", default_value = "target/bundles/standard")]
    bundle: PathBuf,
    /// Where the demo keeps its configuration, certificate, generations and compiled plugins
    #[arg(long, value_name = "FOLDER", default_value = ".weir/demo")]
    state: PathBuf,
    /// Write what to try to this file too, as JSON, once everything listens
    #[arg(long, value_name = "FILE")]
    tries: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    if let Err(error) = logging::init(None) {
        return fail(error);
    }
    let (origin, file) = match prepare(arguments) {
        Ok(prepared) => prepared,
        Err(error) => return fail(format!("{error:#}")),
    };
    let config = match config::load(&file) {
        Ok(config) => config,
        Err(report) => return check::refuse(&report),
    };
    let addresses = arguments.state.join("addresses");
    let told = Told {
        addresses: addresses.clone(),
        tries: arguments.tries.clone(),
        file,
        origin,
    };
    let teller = std::thread::Builder::new()
        .name("demo".to_owned())
        .spawn(move || told.tell());
    match teller
        .map_err(anyhow::Error::from)
        .and_then(|_| server::run(config, Some(&addresses)))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(format!("{error:#}")),
    }
}

/// Everything that has to be there before Weir starts: the origin, and the configuration file that is returned.
fn prepare(arguments: &Arguments) -> anyhow::Result<(Origin, PathBuf)> {
    let bundle = fs::canonicalize(&arguments.bundle)
        .ok()
        .filter(|bundle| bundle.join("bundle.toml").exists());
    let Some(bundle) = bundle else {
        bail!(
            "{} is no bundle: there is no bundle.toml in it. `make plugins` builds the standard one; --bundle names another",
            arguments.bundle.display()
        );
    };
    for (port, option) in [
        (arguments.http_port, "--http-port"),
        (arguments.tls_port, "--tls-port"),
        (arguments.admin_port, "--admin-port"),
    ] {
        check_free(port, option)?;
    }
    let state = &arguments.state;
    let in_state = || format!("{} cannot be used; --state names another folder", state.display());
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(state)
        .with_context(in_state)?;
    // A demo shows the bundle that it was given, not what was deployed the last time. Compiled plugins are kept.
    for stale in ["generations", "files", "addresses"] {
        remove(&state.join(stale)).with_context(in_state)?;
    }
    write_certificate(state).with_context(in_state)?;
    let origin = Origin::start().context("the origin cannot be started")?;
    let file = state.join("weir.toml");
    fs::write(&file, configuration(arguments, &bundle, origin.addresses())).with_context(in_state)?;
    Ok((origin, file))
}

/// Weir's listeners share their port among workers, and so would silently share it with another Weir. Nobody wants that here.
fn check_free(port: u16, option: &str) -> anyhow::Result<()> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            bail!(
                "port {port} on 127.0.0.1 is taken: is another demo running? {option} takes another port, 0 any free one"
            )
        }
        Err(error) => bail!("port {port} on 127.0.0.1 cannot be used: {error}; {option} takes another one"),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A self-signed certificate for loopback, new at every start.
fn write_certificate(folder: &Path) -> anyhow::Result<()> {
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names)?;
    fs::write(folder.join("certificate.pem"), made.cert.pem())?;
    let key = folder.join("key.pem");
    remove(&key)?;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(key)?;
    io::Write::write_all(&mut file, made.signing_key.serialize_pem().as_bytes())?;
    Ok(())
}

fn configuration(arguments: &Arguments, bundle: &Path, servers: &[SocketAddr]) -> String {
    let servers: Vec<String> = servers.iter().map(|server| format!("\"{server}\"")).collect();
    let (http, tls, admin) = (arguments.http_port, arguments.tls_port, arguments.admin_port);
    let servers = servers.join(", ");
    // Debug notation of a string without control characters is a TOML string.
    let bundle = bundle.display().to_string();
    format!(
        "# Written by `weir demo` at every start.

[[listener]]
name = \"http\"
address = \"127.0.0.1:{http}\"

[[listener]]
name = \"https\"
address = \"127.0.0.1:{tls}\"
[listener.tls]
certificate = \"certificate.pem\"
key = \"key.pem\"

[[route]]
name = \"assets\"
path_prefix = \"/assets\"
upstream = \"origin\"
cache = true

[[route]]
name = \"api\"
path_prefix = \"/api\"
upstream = \"origin\"

[[route]]
name = \"site\"
upstream = \"origin\"

[[upstream]]
name = \"origin\"
servers = [{servers}]
[upstream.health]
path = \"/healthz\"

[admin]
address = \"127.0.0.1:{admin}\"

[plugins]
bundle = {bundle:?}
state = \".\"
"
    )
}

/// Says what to try, once there is something to try.
struct Told {
    addresses: PathBuf,
    tries: Option<PathBuf>,
    file: PathBuf,
    /// Lives as long as the process.
    origin: Origin,
}

impl Told {
    fn tell(self) {
        let places = loop {
            // Weir writes the file whole or not at all, and ends the process where it cannot listen.
            match Addresses::read(&self.addresses)
                .ok()
                .and_then(|addresses| Places::of(&addresses))
            {
                Some(places) => break places,
                None => std::thread::sleep(LOOK),
            }
        };
        let tries = tries::all(&places);
        print!("{}", self.greeting(&places, &tries));
        if let Some(file) = &self.tries
            && let Err(error) = tries::write(file, &tries)
        {
            eprintln!("error: {} cannot be written: {error}", file.display());
        }
    }

    fn greeting(&self, places: &Places, tries: &[Try]) -> String {
        let servers: Vec<String> = self.origin.addresses().iter().map(ToString::to_string).collect();
        let mut text = format!(
            "\nWeir stands in front of three servers ({}).\n\n  http://{}   https://{} (self-signed: curl -k)\n  \
             admin page and API: http://{}\n  configuration: {}\n\nTry, in another terminal:\n",
            servers.join(", "),
            places.http,
            places.https,
            places.admin,
            self.file.display()
        );
        for attempt in tries {
            // A string takes any text.
            let _ = writeln!(text, "\n# {}\n{}", attempt.title, attempt.command);
        }
        text.push_str("\nCtrl-C ends the demo. Requests, as they come:\n\n");
        text
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn arguments(folder: &Path) -> Arguments {
        let bundle = folder.join("bundle");
        fs::create_dir_all(&bundle).unwrap();
        fs::write(bundle.join("bundle.toml"), "name = \"x\"\nversion = \"1\"\n").unwrap();
        Arguments {
            http_port: 0,
            tls_port: 0,
            admin_port: 0,
            bundle,
            state: folder.join("state"),
            tries: None,
        }
    }

    #[test]
    fn the_configuration_that_it_writes_is_valid() {
        let folder = tempfile::tempdir().unwrap();
        let (origin, file) = prepare(&arguments(folder.path())).unwrap();
        let config = config::load(&file)
            .map_err(|report| report.render(config::Style::Plain))
            .unwrap();
        assert_eq!(config.upstreams[0].servers.len(), origin.addresses().len());
        assert_eq!(config.listeners.len(), 2);
        assert!(config.plugins.bundle.unwrap().ends_with("bundle"));
    }

    #[test]
    fn only_the_owner_reads_the_key() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let arguments = arguments(folder.path());
        prepare(&arguments).unwrap();
        // The second start replaces what the first has left.
        prepare(&arguments).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(&arguments.state), mode(&arguments.state.join("key.pem"))),
            (0o700, 0o600)
        );
    }

    #[test]
    fn a_taken_port_is_named_with_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = prepare(&Arguments {
            tls_port: port,
            ..arguments(folder.path())
        })
        .err()
        .unwrap()
        .to_string();
        assert!(
            error.contains(&format!("port {port}")) && error.contains("--tls-port"),
            "{error}"
        );
    }

    #[test]
    fn a_missing_bundle_is_named_with_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let absent = Arguments {
            bundle: folder.path().join("absent"),
            ..arguments(folder.path())
        };
        let error = prepare(&absent).err().unwrap().to_string();
        assert!(error.contains("absent") && error.contains("--bundle"), "{error}");
    }
}
