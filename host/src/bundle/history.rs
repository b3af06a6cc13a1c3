//! The last good generations on disk, for rollback and for the next start.
