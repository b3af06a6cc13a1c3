//! A set of phases.

use std::fmt;
use std::ops::BitOr;

/// The phases in which a plugin has a say. Weir calls a plugin for no other.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Phases(u8);

impl Phases {
    /// No phase: the plugin costs nothing.
    pub const NONE: Self = Self(0);
    /// The request head is complete and routed.
    pub const ON_REQUEST: Self = Self(1);
    /// The held request body is there.
    pub const ON_REQUEST_BODY: Self = Self(1 << 1);
    /// The response head is there.
    pub const ON_RESPONSE: Self = Self(1 << 2);
    /// The held response body is there.
    pub const ON_RESPONSE_BODY: Self = Self(1 << 3);
    /// The exchange is over.
    pub const ON_FINISH: Self = Self(1 << 4);
    /// Every phase.
    pub const ALL: Self = Self(0b1_1111);

    const NAMES: [(Self, &'static str); 5] = [
        (Self::ON_REQUEST, "on_request"),
        (Self::ON_REQUEST_BODY, "on_request_body"),
        (Self::ON_RESPONSE, "on_response"),
        (Self::ON_RESPONSE_BODY, "on_response_body"),
        (Self::ON_FINISH, "on_finish"),
    ];

    /// The phases of either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The phases of both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether every phase of the other set is in this one.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// One bit a phase, in the order of an exchange: what the contract's `phases` carries.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }
}

impl BitOr for Phases {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

impl fmt::Debug for Phases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(
                Self::NAMES
                    .iter()
                    .filter(|(phase, _)| self.contains(*phase))
                    .map(|(_, name)| name),
            )
            .finish()
    }
}
