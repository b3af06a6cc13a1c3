//! The names that rules mention. Those in `TX` have each a slot, so that `TX:paranoia_level` is an index when rules run.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use std::hash::{BuildHasherDefault, Hasher};

use crate::variables::Variable;

/// Where a name's value stands. The first ten are the groups of captures, `TX:0` to `TX:9`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Slot(u32);

impl Slot {
    /// The slot of a captured group, 0 to 9.
    #[must_use]
    pub fn group(index: usize) -> Self {
        Self(index.min(9) as u32)
    }

    /// The slot with this index.
    #[must_use]
    pub(crate) fn at(index: usize) -> Self {
        Self(index as u32)
    }

    /// As an index.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Names and their slots.
#[derive(Debug, Clone)]
pub struct Names {
    names: Vec<Box<[u8]>>,
    slots: HashMap<Box<[u8]>, Slot, BuildHasherDefault<Fnv>>,
    mentioned: Vec<Variable>,
}

impl Names {
    /// The slot of a name, a new one if it has none. Names compare without case.
    pub fn intern(&mut self, name: &[u8]) -> Slot {
        let name: Box<[u8]> = name.to_ascii_lowercase().into();
        if let Some(slot) = self.slots.get(&name) {
            return *slot;
        }
        let slot = Slot(self.names.len() as u32);
        self.names.push(name.clone());
        self.slots.insert(name, slot);
        slot
    }

    /// The slot of a name in small letters, if it has one.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<Slot> {
        self.slots.get(name).copied()
    }

    /// The name of a slot, in small letters.
    #[must_use]
    pub fn name(&self, slot: Slot) -> &[u8] {
        self.names.get(slot.index()).map(AsRef::as_ref).unwrap_or_default()
    }

    /// Remembers that rules look at a variable.
    pub(crate) fn mention(&mut self, variable: Variable) {
        if !self.mentions(variable) {
            self.mentioned.push(variable);
        }
    }

    /// Whether rules look at a variable.
    #[must_use]
    pub fn mentions(&self, variable: Variable) -> bool {
        self.mentioned.contains(&variable)
    }

    /// The variables that rules look at, in the order in which they were first mentioned.
    #[must_use]
    pub fn mentioned(&self) -> &[Variable] {
        &self.mentioned
    }

    /// How many slots there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Never: the groups are always there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// The hash of Fowler, Noll and Vo (FNV-1a, 64 bits): cheap for short names. The names are those of the rules, so nobody can choose
/// them to collide.
#[derive(Debug, Clone)]
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Default for Names {
    fn default() -> Self {
        let mut names = Self {
            names: Vec::new(),
            slots: HashMap::default(),
            mentioned: Vec::new(),
        };
        for group in b'0'..=b'9' {
            names.intern(&[group]);
        }
        names
    }
}
