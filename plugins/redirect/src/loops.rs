//! Following redirects until they come to rest, or do not.

use std::fmt;

/// Browsers give up after about twenty; nobody means to send a client on more than this.
pub const MOST_HOPS: usize = 10;

/// A chain of redirects that does not come to rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain<P> {
    /// Where it starts.
    pub start: P,
    /// What fired, and where that led, in order.
    pub hops: Vec<(String, P)>,
    /// Why it was given up.
    pub end: End,
}

/// Why a chain was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The last place has been seen before.
    Loop,
    /// There were more than [`MOST_HOPS`].
    TooLong,
}

/// Follows redirects from a place. `step` says what fires there and where it leads; nothing, where the client may rest.
pub fn find<P: PartialEq + Clone>(start: P, mut step: impl FnMut(&P) -> Option<(String, P)>) -> Option<Chain<P>> {
    let mut hops: Vec<(String, P)> = Vec::new();
    loop {
        let here = hops.last().map_or(&start, |(_, place)| place);
        let (rule, next) = step(here)?;
        let seen = next == start || hops.iter().any(|(_, place)| *place == next);
        hops.push((rule, next));
        let end = match hops.len() {
            _ if seen => End::Loop,
            MOST_HOPS => End::TooLong,
            _ => continue,
        };
        return Some(Chain { start, hops, end });
    }
}

impl<P: fmt::Display> fmt::Display for Chain<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.end {
            End::Loop => write!(f, "redirects in a loop: {}", self.start)?,
            End::TooLong => write!(
                f,
                "redirects {} times without coming to rest: {}",
                self.hops.len(),
                self.start
            )?,
        }
        self.hops
            .iter()
            .try_for_each(|(rule, place)| write!(f, " -({rule})-> {place}"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_loop_is_shown_from_its_start() {
        let chain = find('a', |place| match place {
            'a' => Some(("one".into(), 'b')),
            'b' => Some(("two".into(), 'c')),
            _ => Some(("three".into(), 'b')),
        });
        assert_eq!(
            chain.unwrap().to_string(),
            "redirects in a loop: a -(one)-> b -(two)-> c -(three)-> b"
        );
    }

    #[test]
    fn a_chain_that_rests_is_none() {
        assert_eq!(find(0, |place| (*place < 9).then(|| ("up".into(), place + 1))), None);
    }

    #[test]
    fn a_chain_that_grows_is_given_up() {
        let chain = find(0, |place| Some(("up".into(), place + 1))).unwrap();
        assert_eq!((chain.end, chain.hops.len()), (End::TooLong, MOST_HOPS));
    }
}
