//! What responses are called on the disk: the hash of a URI, and the name of a file.

use std::path::{Path, PathBuf};

/// The hash of a URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::cache) struct Id(u128);

impl Id {
    /// Of the key's bytes. Stable, and nobody can choose URIs that share it.
    pub(in crate::cache) fn of(key: &[u8]) -> Self {
        let mut half = [0; 16];
        for (to, from) in half.iter_mut().zip(blake3::hash(key).as_bytes()) {
            *to = *from;
        }
        Self(u128::from_be_bytes(half))
    }

    /// What the index finds it by.
    pub(super) fn short(self) -> u64 {
        self.0 as u64
    }

    pub(super) fn removals(self) -> usize {
        (self.0 >> 64) as usize % 64
    }
}

/// A file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) id: Id,
    pub(super) variant: u64,
}

impl Name {
    pub(super) fn path(self, folder: &Path) -> PathBuf {
        folder
            .join(self.folder())
            .join(format!("{:032x}-{:016x}", self.id.0, self.variant))
    }

    /// One of 4096.
    pub(super) fn folder(self) -> String {
        format!("{:03x}", self.id.0 >> 116)
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        let (id, variant) = name.split_once('-')?;
        if id.len() != 32 || variant.len() != 16 {
            return None;
        }
        Some(Self {
            id: Id(u128::from_str_radix(id, 16).ok()?),
            variant: u64::from_str_radix(variant, 16).ok()?,
        })
    }
}

/// Which responses to a URI are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cache) enum Which {
    All,
    Variant(u64),
}

impl Which {
    pub(super) fn picks(self, name: Name) -> bool {
        match self {
            Self::All => true,
            Self::Variant(variant) => name.variant == variant,
        }
    }
}
