//! Looking what is there when Weir starts, while it serves already.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Instant;

use super::file::read_prefix;
use super::index::Known;
use super::{Disk, Name};

/// Whether to look at the next file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Continue,
    Stop,
}

/// Fills the index in the background. Until that is done, whoever misses something looks into its folder.
pub(super) fn start(disk: &Arc<Disk>) -> io::Result<()> {
    let disk = Arc::downgrade(disk);
    let thread = thread::Builder::new().name("cache-disk-scan".to_owned());
    thread.spawn(move || fill(&disk))?;
    Ok(())
}

fn fill(disk: &Weak<Disk>) {
    let begun = Instant::now();
    let Some(folder) = disk.upgrade().map(|disk| disk.folder.clone()) else {
        return;
    };
    each(&folder, |name, file| {
        let Some(disk) = disk.upgrade() else { return Then::Stop };
        match read_prefix(file) {
            Ok(prefix) => {
                let length = prefix.file_length();
                // One that was cut short by a power failure would be found damaged later; so near at hand it is found now.
                if file.metadata().is_ok_and(|metadata| metadata.len() == length) {
                    disk.index.add_found(Known {
                        name,
                        length,
                        identity: prefix.identity,
                    });
                } else {
                    disk.unlink(&[name]);
                }
            }
            Err(_) => disk.unlink(&[name]),
        }
        Then::Continue
    });
    if let Some(disk) = disk.upgrade() {
        disk.index.set_complete();
        disk.make_room();
        tracing::info!(
            objects = disk.index.files(), bytes = disk.index.bytes(), took = ?begun.elapsed(),
            "the cache's disk has been looked through",
        );
    }
}

/// Opens every file that has a name as ours have. What else lies in the folder is none of our business.
pub(super) fn each(folder: &Path, mut look: impl FnMut(Name, &File) -> Then) {
    let folders = fs::read_dir(folder).into_iter().flatten().flatten();
    for folder in folders.filter(|folder| folder.file_name().len() == 3) {
        for file in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
            let Some(name) = file.file_name().to_str().and_then(Name::parse) else {
                continue;
            };
            let Ok(open) = File::open(file.path()) else { continue };
            if look(name, &open) == Then::Stop {
                return;
            }
        }
    }
}
