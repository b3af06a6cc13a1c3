//! File descriptors, the first thing that a busy proxy runs out of, and how some are kept back.
//!
//! The kernel gives the lowest free number, so the number of a new descriptor says how many are in use without counting them. A
//! client is turned away while there are still some for servers, and a server while there are still some for the operator's port,
//! logs and certificates.

use std::io;
use std::sync::atomic::{AtomicI32, Ordering};

/// More than this is never asked of the system.
const MOST: u64 = 1 << 20;
/// Kept for everything but clients and servers.
const KEPT: i32 = 32;

/// How many the process may have; no limit is known before [`raise`].
static LIMIT: AtomicI32 = AtomicI32::new(i32::MAX);

/// Raises the process's limit to what the system lets it have, and gives that.
///
/// # Errors
/// When the system tells no limit.
pub fn raise() -> io::Result<i32> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is to a live `rlimit` that this call fills in.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let wanted = limit.rlim_max.min(MOST).max(limit.rlim_cur);
    let raised = libc::rlimit {
        rlim_cur: wanted,
        rlim_max: limit.rlim_max,
    };
    // SAFETY: the pointer is to a live `rlimit` that this call only reads.
    let now = match unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) } {
        0 => wanted,
        _ => limit.rlim_cur,
    };
    let now = i32::try_from(now).unwrap_or(i32::MAX);
    LIMIT.store(now, Ordering::Relaxed);
    Ok(now)
}

/// Whether a client's connection with this number leaves enough for others.
#[must_use]
pub fn have_room_for_client(descriptor: i32) -> bool {
    let limit = LIMIT.load(Ordering::Relaxed);
    descriptor < limit - (limit / 8).max(KEPT * 2)
}

/// Whether a server's connection with this number leaves enough for others.
#[must_use]
pub fn have_room_for_server(descriptor: i32) -> bool {
    descriptor < LIMIT.load(Ordering::Relaxed) - KEPT
}
