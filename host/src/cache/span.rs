//! Durations and moments in as few bytes as they need, for what every stored response has several of.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A duration of at most 584 years, to the nanosecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span(u64);

/// A moment between 1970 and 2554; others count as the nearest of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(Span);

/// Seconds, where there are any: fewer than 136 years of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seconds(u32);

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl Span {
    pub(super) fn get(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// The duration, where there is any.
    pub(super) fn unless_zero(self) -> Option<Duration> {
        (self.0 != 0).then(|| self.get())
    }
}

impl Seconds {
    const NONE: Self = Self(u32::MAX);

    pub(super) fn get(self) -> Option<u32> {
        (self != Self::NONE).then_some(self.0)
    }

    pub(super) fn duration(self) -> Option<Duration> {
        self.get().map(|seconds| Duration::from_secs(seconds.into()))
    }
}

impl From<Option<u32>> for Seconds {
    fn from(seconds: Option<u32>) -> Self {
        seconds.map_or(Self::NONE, |seconds| Self(seconds.min(u32::MAX - 1)))
    }
}

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).unwrap_or_default().into())
    }
}

impl Moment {
    pub(super) fn get(self) -> SystemTime {
        UNIX_EPOCH + self.0.get()
    }
}

/// A time for the disk: whole seconds since 1970.
pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// What [`seconds`] gave. What is no time is before all of them.
pub(super) fn time(seconds: u64) -> SystemTime {
    UNIX_EPOCH
        .checked_add(Duration::from_secs(seconds))
        .unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_comes_back_and_what_does_not_is_the_most() {
        let duration = Duration::new(1 << 31, 999_999_999);
        assert_eq!(Span::from(duration).get(), duration);
        assert_eq!(Span::from(Duration::MAX).get(), Duration::from_nanos(u64::MAX));
        let now = UNIX_EPOCH + Duration::new(1_700_000_000, 1);
        assert_eq!(Moment::from(now).get(), now);
        assert_eq!(Moment::from(UNIX_EPOCH - duration).get(), UNIX_EPOCH);
        for seconds in [None, Some(0), Some(1 << 31)] {
            assert_eq!(Seconds::from(seconds).get(), seconds);
        }
        assert_eq!(Seconds::from(Some(u32::MAX)).get(), Some(u32::MAX - 1));
    }
}
