//! curl and openssl: clients that nobody here wrote.

use std::process::Command;

/// What curl said.
#[derive(Debug)]
pub struct Output {
    /// Its exit status was 0.
    pub success: bool,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs curl with these arguments.
pub fn curl(arguments: &[&str]) -> Output {
    run(Command::new("curl")
        .arg("--silent")
        .arg("--show-error")
        .arg("--max-time")
        .arg("30")
        .args(arguments))
}

/// Runs `openssl s_client` against an address, with nothing to say, and these further arguments.
pub fn s_client(address: std::net::SocketAddr, arguments: &[&str]) -> Output {
    let address = address.to_string();
    run(Command::new("openssl")
        .args(["s_client", "-connect", &address, "-servername", "weir.test"])
        .args(arguments)
        .stdin(std::process::Stdio::null()))
}

/// Runs a line as a user would paste it into a shell.
pub fn shell(line: &str) -> Output {
    assert!(installed(), "{MISSING}");
    run(Command::new("sh").arg("-c").arg(line))
}

const MISSING: &str = "curl is not installed: apt-get install curl";

fn installed() -> bool {
    Command::new("curl")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

fn run(command: &mut Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; .ci/run installs what tests need"));
    Output {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
