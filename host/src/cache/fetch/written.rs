//! A response on its way to the disk, and how long whoever fetches waits for that.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::super::disk::Open;
use super::super::entry::Entry;
use super::super::store::Store;

/// The longest time for which the end of a response waits for the disk. After it, nobody waits for a while.
pub(super) const COMMIT: Duration = Duration::from_secs(1);

/// A response on its way to the disk.
#[derive(Debug)]
pub(in crate::cache) struct Written {
    pub(super) done: oneshot::Receiver<Option<Open>>,
    pub(super) store: Arc<Store>,
    pub(super) hash: u64,
    /// The entry of a body that goes there alone, by which it is found until it is there.
    pub(super) arriving: Option<Arc<Entry>>,
}

impl Written {
    pub(super) async fn wait(mut self) {
        let patience = match self.store.disk() {
            Some(disk) if !disk.is_behind() => COMMIT,
            _ => Duration::ZERO,
        };
        let done = tokio::time::timeout(patience, &mut self.done).await;
        if let (Err(_), Some(disk), false) = (&done, self.store.disk(), patience.is_zero()) {
            disk.fall_behind();
        }
        let Some(arriving) = self.arriving.take() else { return };
        if done.is_ok() {
            self.store.withdraw(self.hash, &arriving);
            return;
        }
        tokio::spawn(async move {
            let _ = self.done.await;
            self.store.withdraw(self.hash, &arriving);
        });
    }
}
