//! What a peer may do that costs more than it asks for: counted, limited, and named.
//!
//! Every count is of one connection and of [`SPAN`]. Frames that carry something (a response, content) earn some of the small
//! ones back, so that a busy connection may update windows all day, while one that does nothing else is ended.

use std::time::Duration;

use crate::config::Http2;

/// How long events are counted before the counts begin anew.
pub const SPAN: Duration = Duration::from_secs(10);
/// Small frames that one useful frame pays for.
const EARNED: u32 = 4;
/// A list of fields so many times over `limits.header_bytes` is no mistake any more: below it the answer is 431.
pub const BOMB: usize = 4;

/// Why a connection is ended with ENHANCE_YOUR_CALM: a closed list, shown in logs and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abuse {
    /// Streams opened and reset by the client (CVE-2023-44487).
    RapidReset,
    /// Streams that the client made Weir reset (CVE-2025-8671).
    MadeYouReset,
    /// A header block in too many frames.
    ContinuationFlood,
    /// A header block, or what it decodes to, far over the limit.
    HeaderBomb,
    /// PING.
    PingFlood,
    /// SETTINGS.
    SettingsFlood,
    /// WINDOW_UPDATE.
    WindowUpdateFlood,
    /// PRIORITY, and frames of unknown types.
    PriorityFlood,
    /// DATA without data that ends nothing, and empty CONTINUATION.
    EmptyFrameFlood,
    /// Responses are asked for, and no window is given to send them.
    ZeroWindow,
}

impl Abuse {
    /// All of them, for the metrics.
    pub const ALL: [Self; 10] = [
        Self::RapidReset,
        Self::MadeYouReset,
        Self::ContinuationFlood,
        Self::HeaderBomb,
        Self::PingFlood,
        Self::SettingsFlood,
        Self::WindowUpdateFlood,
        Self::PriorityFlood,
        Self::EmptyFrameFlood,
        Self::ZeroWindow,
    ];

    /// The word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RapidReset => "rapid_reset",
            Self::MadeYouReset => "made_you_reset",
            Self::ContinuationFlood => "continuation_flood",
            Self::HeaderBomb => "header_bomb",
            Self::PingFlood => "ping_flood",
            Self::SettingsFlood => "settings_flood",
            Self::WindowUpdateFlood => "window_update_flood",
            Self::PriorityFlood => "priority_flood",
            Self::EmptyFrameFlood => "empty_frame_flood",
            Self::ZeroWindow => "zero_window",
        }
    }
}

/// One connection's counts.
#[derive(Debug)]
pub(super) struct Guard {
    limits: Http2,
    /// When the counts began, in the timer's milliseconds.
    since: u64,
    resets: u32,
    errors: u32,
    pings: u32,
    settings: u32,
    window_updates: u32,
    priorities: u32,
    empty_frames: u32,
}

impl Guard {
    pub(super) fn new(limits: Http2, now: u64) -> Self {
        Self {
            limits,
            since: now,
            resets: 0,
            errors: 0,
            pings: 0,
            settings: 0,
            window_updates: 0,
            priorities: 0,
            empty_frames: 0,
        }
    }

    /// Counts an event at a time.
    pub(super) fn note(&mut self, abuse: Abuse, now: u64) -> Result<(), Abuse> {
        if now.saturating_sub(self.since) > SPAN.as_millis() as u64 {
            *self = Self::new(self.limits.clone(), now);
        }
        let (count, limit) = match abuse {
            Abuse::RapidReset => (&mut self.resets, self.limits.resets),
            Abuse::MadeYouReset => (&mut self.errors, self.limits.stream_errors),
            Abuse::PingFlood => (&mut self.pings, self.limits.pings),
            Abuse::SettingsFlood => (&mut self.settings, self.limits.settings),
            Abuse::WindowUpdateFlood => (&mut self.window_updates, self.limits.window_updates),
            Abuse::PriorityFlood => (&mut self.priorities, self.limits.priorities),
            Abuse::EmptyFrameFlood => (&mut self.empty_frames, self.limits.empty_frames),
            // These are not counted over time.
            Abuse::ContinuationFlood | Abuse::HeaderBomb | Abuse::ZeroWindow => return Err(abuse),
        };
        *count += 1;
        if *count > limit { Err(abuse) } else { Ok(()) }
    }

    /// Something useful was sent or received.
    pub(super) fn useful(&mut self) {
        for count in [
            &mut self.pings,
            &mut self.window_updates,
            &mut self.priorities,
            &mut self.empty_frames,
        ] {
            *count = count.saturating_sub(EARNED);
        }
    }

    /// A response was sent to its end: who lets that happen may also change their mind.
    pub(super) fn finished(&mut self) {
        self.resets = self.resets.saturating_sub(1);
    }

    /// CONTINUATION frames that a header block may have.
    pub(super) fn continuations(&self) -> u32 {
        self.limits.continuations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn useful_frames_pay_for_small_ones_and_time_for_all() {
        let limits = Http2 {
            pings: 8,
            resets: 1,
            ..Http2::default()
        };
        let mut guard = Guard::new(limits, 0);
        for _ in 0..100 {
            guard.useful();
            for _ in 0..4 {
                assert_eq!(guard.note(Abuse::PingFlood, 5), Ok(()));
            }
        }
        for _ in 0..4 {
            assert_eq!(guard.note(Abuse::PingFlood, 5), Ok(()));
        }
        assert_eq!(guard.note(Abuse::PingFlood, 5), Err(Abuse::PingFlood));
        assert_eq!(guard.note(Abuse::PingFlood, 20_000), Ok(()));
        assert_eq!(guard.note(Abuse::RapidReset, 20_000), Ok(()));
        guard.useful();
        assert_eq!(guard.note(Abuse::RapidReset, 20_000), Err(Abuse::RapidReset));
    }
}
