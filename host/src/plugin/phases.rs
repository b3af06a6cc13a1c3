//! Sets of phases.

use super::Phase;

/// Which phases a plugin wants to be called for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PhaseSet(u8);

impl PhaseSet {
    const fn bit(phase: Phase) -> u8 {
        1 << phase as u8
    }

    /// From the bits that [`PhaseSet::bits`] gave.
    #[must_use]
    pub fn from_bits(bits: u8) -> Self {
        Phase::ALL
            .into_iter()
            .filter(|phase| bits & Self::bit(*phase) != 0)
            .collect()
    }

    /// One bit a phase, for keeping.
    #[must_use]
    pub fn bits(self) -> u8 {
        self.0
    }

    /// Whether the phase is among them.
    #[must_use]
    pub fn has(self, phase: Phase) -> bool {
        self.0 & Self::bit(phase) != 0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those that come after this one in an exchange.
    #[must_use]
    pub fn after(self, phase: Phase) -> Self {
        Self(self.0 & !(Self::bit(phase) | (Self::bit(phase) - 1)))
    }

    /// The set without this one.
    #[must_use]
    pub fn without(self, phase: Phase) -> Self {
        Self(self.0 & !Self::bit(phase))
    }

    /// In the order of an exchange.
    pub fn iter(self) -> impl Iterator<Item = Phase> {
        Phase::ALL.into_iter().filter(move |phase| self.has(*phase))
    }
}

impl FromIterator<Phase> for PhaseSet {
    fn from_iter<I: IntoIterator<Item = Phase>>(phases: I) -> Self {
        Self(phases.into_iter().fold(0, |bits, phase| bits | Self::bit(phase)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_after_a_phase() {
        let all: PhaseSet = Phase::ALL.into_iter().collect();
        assert_eq!(all.after(Phase::OnRequest).iter().count(), 4);
        assert!(all.after(Phase::OnFinish).is_empty());
        assert!(!all.without(Phase::OnResponse).has(Phase::OnResponse));
        assert_eq!(PhaseSet::from_bits(all.bits()), all);
        assert_eq!(PhaseSet::from_bits(0xff), all);
    }
}
