//! When there is maintenance.

/// The plan. Times are nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// Never.
    Off,
    /// Until somebody switches it off. The announced end only tells clients when to come back.
    On {
        /// When it is meant to be over.
        announced_end: Option<u64>,
    },
    /// From one time, inclusive, to another, exclusive; one of them may be missing.
    Window {
        /// 0 where it has begun already.
        from: u64,
        /// Nothing where it ends by hand.
        until: Option<u64>,
    },
}

/// What the plan says about one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// The site is open.
    Resting,
    /// It is not.
    UnderWay {
        /// When it will be, where that is known.
        ends: Option<u64>,
    },
}

impl Schedule {
    /// Whether there is maintenance at a time.
    #[must_use]
    pub fn at(self, now: u64) -> Work {
        match self {
            Self::Off => Work::Resting,
            Self::On { announced_end } => Work::UnderWay { ends: announced_end },
            Self::Window { from, until } => {
                if from <= now && until.is_none_or(|until| now < until) {
                    Work::UnderWay { ends: until }
                } else {
                    Work::Resting
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_begins_with_its_start_and_ends_before_its_end() {
        let window = Schedule::Window {
            from: 10,
            until: Some(20),
        };
        for (now, work) in [
            (9, Work::Resting),
            (10, Work::UnderWay { ends: Some(20) }),
            (19, Work::UnderWay { ends: Some(20) }),
            (20, Work::Resting),
        ] {
            assert_eq!(window.at(now), work, "{now}");
        }
    }

    #[test]
    fn a_window_may_be_open() {
        assert_eq!(
            Schedule::Window { from: 10, until: None }.at(u64::MAX),
            Work::UnderWay { ends: None }
        );
        assert_eq!(
            Schedule::Window {
                from: 0,
                until: Some(5)
            }
            .at(0),
            Work::UnderWay { ends: Some(5) }
        );
    }

    #[test]
    fn on_and_off_do_not_look_at_the_time() {
        assert_eq!(Schedule::Off.at(7), Work::Resting);
        assert_eq!(
            Schedule::On { announced_end: Some(5) }.at(7),
            Work::UnderWay { ends: Some(5) }
        );
    }
}
