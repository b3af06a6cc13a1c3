//! CPU time and memory of a process, from the kernel's own account, and which core it runs on.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;

/// Where the proxy under test runs.
pub(crate) const PROXY_CORE: usize = 0;
/// Where the load generator and the origin run.
pub(crate) const LOAD_CORE: usize = 1;

/// User and system time of a process, its threads and its children, to the nanosecond.
pub(crate) fn of_tree(pid: u32) -> anyhow::Result<Duration> {
    let mut nanos = 0;
    let mut children = Vec::new();
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).with_context(|| format!("process {pid} is gone"))?;
    for task in tasks.flatten() {
        let path = task.path();
        let account = fs::read_to_string(path.join("schedstat")).unwrap_or_default();
        nanos += account
            .split_whitespace()
            .next()
            .and_then(|first| first.parse::<u64>().ok())
            .unwrap_or(0);
        let listed = fs::read_to_string(path.join("children")).unwrap_or_default();
        children.extend(listed.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
    }
    let mut total = Duration::from_nanos(nanos);
    for child in children {
        total += of_tree(child)?;
    }
    Ok(total)
}

/// Anonymous memory of a process and its children that is resident, in bytes.
pub(crate) fn memory_of_tree(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("process {pid} is gone"))?;
    let kibibytes = status.lines().find_map(|line| {
        line.strip_prefix("RssAnon:")?
            .trim()
            .strip_suffix(" kB")?
            .parse::<u64>()
            .ok()
    });
    let mut total = kibibytes.context("no RssAnon")? * 1024;
    let listed = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    for child in listed.split_whitespace().filter_map(|child| child.parse().ok()) {
        total += memory_of_tree(child)?;
    }
    Ok(total)
}

/// Pins this process, and what it starts without saying otherwise.
pub(crate) fn pin_this_process(core: usize) -> anyhow::Result<()> {
    // SAFETY: `set` is a plain bit set, made by CPU_ZERO and CPU_SET, and outlives the call.
    let status = unsafe {
        let mut set = std::mem::zeroed::<libc::cpu_set_t>();
        libc::CPU_ZERO(&mut set);
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    anyhow::ensure!(
        status == 0,
        "cannot pin to core {core}: {}",
        std::io::Error::last_os_error()
    );
    Ok(())
}
