//! What the operating system knows about this process, under the names that Prometheus exporters share.

use std::fs;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use super::families::{Family, Kind, Unit};

/// Families of the process.
pub static ALL: &[&Family] = &[&CPU, &RESIDENT, &VIRTUAL, &FDS, &MAX_FDS, &THREADS, &START];

static CPU: Family = Family {
    name: "process_cpu_seconds_total",
    help: "User and system CPU time of the process.",
    kind: Kind::Counter,
    unit: Unit::Nanoseconds,
    labels: &[],
};
static RESIDENT: Family = Family {
    name: "process_resident_memory_bytes",
    help: "Memory that the process has in RAM.",
    kind: Kind::Gauge,
    unit: Unit::Bytes,
    labels: &[],
};
static VIRTUAL: Family = Family {
    name: "process_virtual_memory_bytes",
    help: "Address space of the process. Large with plugins: their instances reserve more than they use.",
    kind: Kind::Gauge,
    unit: Unit::Bytes,
    labels: &[],
};
static FDS: Family = Family {
    name: "process_open_fds",
    help: "Open file descriptors.",
    kind: Kind::Gauge,
    unit: Unit::None,
    labels: &[],
};
static MAX_FDS: Family = Family {
    name: "process_max_fds",
    help: "File descriptors that the process may open.",
    kind: Kind::Gauge,
    unit: Unit::None,
    labels: &[],
};
static THREADS: Family = Family {
    name: "process_threads",
    help: "Threads of the process.",
    kind: Kind::Gauge,
    unit: Unit::None,
    labels: &[],
};
static START: Family = Family {
    name: "process_start_time_seconds",
    help: "When the process started, in seconds since 1970.",
    kind: Kind::Gauge,
    unit: Unit::None,
    labels: &[],
};

/// Reads the process's figures; those that cannot be read are left out.
#[must_use]
pub fn sample() -> Vec<(&'static Family, f64)> {
    let stat = fs::read_to_string("/proc/self/stat").ok();
    let stat = stat.as_deref().and_then(Stat::parse);
    [
        (&CPU, cpu_seconds()),
        (&RESIDENT, stat.map(|stat| stat.resident_pages * page_size())),
        (&VIRTUAL, stat.map(|stat| stat.virtual_bytes)),
        // The directory that is being read is one of them.
        (
            &FDS,
            fs::read_dir("/proc/self/fd")
                .ok()
                .map(|entries| entries.count().saturating_sub(1) as f64),
        ),
        (&MAX_FDS, max_fds()),
        (&THREADS, stat.map(|stat| stat.threads)),
        (&START, stat.and_then(start_time)),
    ]
    .into_iter()
    .filter_map(|(family, value)| Some((family, value?)))
    .collect()
}

/// The fields of `/proc/self/stat` (proc(5)) that are shown.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stat {
    threads: f64,
    /// In clock ticks after the machine's start.
    start: f64,
    virtual_bytes: f64,
    resident_pages: f64,
}

impl Stat {
    fn parse(stat: &str) -> Option<Self> {
        // The command's name is in parentheses and may hold anything, parentheses and spaces included; field 3 follows it.
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse().ok();
        Some(Self {
            threads: field(20)?,
            start: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

fn cpu_seconds() -> Option<f64> {
    // SAFETY: all-zero bytes are a valid `rusage`, a struct of integers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live `rusage` that the call may write.
    let result = unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    (result == 0).then(|| seconds(usage.ru_utime) + seconds(usage.ru_stime))
}

fn max_fds() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_ascii_whitespace().next()? {
        "unlimited" => Some(f64::INFINITY),
        number => number.parse().ok(),
    }
}

/// Seconds since 1970; computed once, so that a clock that is set later does not move it.
fn start_time(stat: Stat) -> Option<f64> {
    static START: OnceLock<Option<f64>> = OnceLock::new();
    *START.get_or_init(|| {
        let uptime: f64 = fs::read_to_string("/proc/uptime")
            .ok()?
            .split_ascii_whitespace()
            .next()?
            .parse()
            .ok()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
        Some(now - uptime + stat.start / sysconf(libc::_SC_CLK_TCK)?)
    })
}

fn page_size() -> f64 {
    sysconf(libc::_SC_PAGESIZE).unwrap_or(4096.0)
}

fn sysconf(name: libc::c_int) -> Option<f64> {
    // SAFETY: `sysconf` takes any number and touches no memory of ours.
    let value = unsafe { libc::sysconf(name) };
    (value > 0).then_some(value as f64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp, reason = "small whole numbers are exact")]

    use super::*;

    #[test]
    fn a_command_name_may_hold_parentheses_and_spaces() {
        let stat = "42 (we) ir (x) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 9 0 5000 8192 77 18446744073709551615";
        let parsed = Stat::parse(stat).unwrap();
        assert_eq!(
            parsed,
            Stat {
                threads: 9.0,
                start: 5000.0,
                virtual_bytes: 8192.0,
                resident_pages: 77.0
            }
        );
        assert_eq!(Stat::parse("42 (weir"), None);
        assert_eq!(Stat::parse("42 (weir) S 1"), None);
    }

    #[test]
    fn every_figure_of_this_process_can_be_read() {
        let sampled: Vec<&str> = sample().iter().map(|(family, _)| family.name).collect();
        assert_eq!(sampled, ALL.iter().map(|family| family.name).collect::<Vec<_>>());
    }
}
