//! Certificates and what else TLS reads (staples, roots, revocation lists) are read again when their files change.
//!
//! Folders are watched, not files, because tools replace files by renaming, and Kubernetes replaces whole folders by a
//! symbolic link.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::control::Control;

/// A renewal touches several files; they are read when nothing has changed for so long.
const SETTLE: Duration = Duration::from_millis(200);
/// They are read after so long in any case: something else in the folder, a log, may change all the time.
const RESTLESS: Duration = Duration::from_secs(2);
/// How often the set of folders is compared with what the listeners use now.
const REVIEW: Duration = Duration::from_secs(5);

/// Watches while it lives.
#[derive(Debug)]
pub struct Watch {
    _stop: mpsc::Sender<Event>,
}

#[derive(Debug, PartialEq, Eq)]
enum Event {
    Changed,
}

impl Watch {
    /// Starts watching what the listeners use; no change after the return is missed. Where the system cannot watch, certificates are read again on reload alone.
    #[must_use]
    pub fn start(control: Arc<Control>) -> Self {
        let (sender, events) = mpsc::channel();
        // The thread holds no sender, so that it ends when the watch is dropped and the watcher with it.
        let changes = sender.clone();
        let watching = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                let _ = changes.send(Event::Changed);
            }
        })
        .map_err(anyhow::Error::from)
        .and_then(|mut watcher| {
            let mut watched = BTreeSet::new();
            follow(&control, &mut watcher, &mut watched);
            let seen = contents(&control);
            let thread = std::thread::Builder::new().name("certificates".into());
            Ok(thread.spawn(move || watch(&control, watcher, watched, seen, &events))?)
        });
        if let Err(error) = watching {
            tracing::warn!(%error, "cannot watch certificates; they are read again on reload");
        }
        Self { _stop: sender }
    }
}

fn watch(
    control: &Control,
    mut watcher: RecommendedWatcher,
    mut watched: BTreeSet<PathBuf>,
    mut seen: (blake3::Hash, blake3::Hash),
    events: &mpsc::Receiver<Event>,
) {
    loop {
        match events.recv_timeout(REVIEW) {
            Ok(Event::Changed) => {
                let first = Instant::now();
                while events.recv_timeout(SETTLE).is_ok() && first.elapsed() < RESTLESS {}
                // Something else may have changed in a folder: a log that stands there, for one.
                let now = contents(control);
                let before = std::mem::replace(&mut seen, now);
                if before.0 != now.0 {
                    control.listeners().reload_certificates();
                }
                if before.1 != now.1 {
                    control.reload_upstream_tls();
                }
            }
            Err(RecvTimeoutError::Timeout) if !control.is_draining() => {}
            Err(_) => return,
        }
        follow(control, &mut watcher, &mut watched);
    }
}

/// Digests of what listeners and what upstreams read.
fn contents(control: &Control) -> (blake3::Hash, blake3::Hash) {
    (digest(&listener_files(control)), digest(&control.upstream_tls_files()))
}

fn listener_files(control: &Control) -> Vec<PathBuf> {
    let tls = control.listeners().tls();
    tls.iter().flat_map(|(_, tls)| tls.files()).collect()
}

/// Of what files hold; one that cannot be read counts as empty.
fn digest(files: &[PathBuf]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for file in files {
        hasher.update(&std::fs::read(file).unwrap_or_default());
    }
    hasher.finalize()
}

/// Watches the folders of all certificates in use, and no others.
fn follow(control: &Control, watcher: &mut RecommendedWatcher, watched: &mut BTreeSet<PathBuf>) {
    let folders: BTreeSet<_> = listener_files(control)
        .into_iter()
        .chain(control.upstream_tls_files())
        .filter_map(|file| Some(file.parent()?.to_path_buf()))
        .map(|folder| {
            if folder.as_os_str().is_empty() {
                PathBuf::from(".")
            } else {
                folder
            }
        })
        .collect();
    for folder in watched.difference(&folders) {
        let _ = watcher.unwatch(folder);
    }
    for folder in folders.difference(watched) {
        if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
            tracing::warn!(%error, folder = %folder.display(), "cannot watch certificates");
        }
    }
    *watched = folders;
}
