//! Flow control (RFC 9113 §5.2, §6.9): what may still be sent, and what the peer may still send.

use super::frame::LARGEST;

/// What the peer lets Weir send. Below zero after the peer has made it smaller (§6.9.2).
#[derive(Debug, Clone, Copy)]
pub(super) struct SendWindow(i64);

/// The window would be larger than the protocol lets it be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Overflow;

impl SendWindow {
    pub(super) fn new(size: u32) -> Self {
        Self(i64::from(size))
    }

    /// Bytes that may be sent now.
    pub(super) fn room(self) -> usize {
        usize::try_from(self.0).unwrap_or(0)
    }

    pub(super) fn take(&mut self, bytes: usize) {
        self.0 -= bytes as i64;
    }

    pub(super) fn grow(&mut self, by: i64) -> Result<(), Overflow> {
        self.0 += by;
        if self.0 > i64::from(LARGEST) {
            Err(Overflow)
        } else {
            Ok(())
        }
    }
}

/// What Weir lets the peer send.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReceiveWindow {
    left: u32,
    /// Taken by whoever wanted the bytes, and not told to the peer yet.
    owed: u32,
    /// The whole window.
    size: u32,
}

impl ReceiveWindow {
    pub(super) fn new(size: u32) -> Self {
        Self {
            left: size,
            owed: 0,
            size,
        }
    }

    /// Bytes have come.
    pub(super) fn receive(&mut self, bytes: usize) -> Result<(), Overflow> {
        let bytes = u32::try_from(bytes).map_err(|_| Overflow)?;
        self.left = self.left.checked_sub(bytes).ok_or(Overflow)?;
        Ok(())
    }

    /// Bytes have been taken on. The peer is told once it is worth a frame: that much is returned.
    pub(super) fn release(&mut self, bytes: usize) -> Option<u32> {
        self.owed = self.owed.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        if self.owed < self.size / 2 {
            return None;
        }
        let owed = std::mem::take(&mut self.owed);
        self.left = self.left.saturating_add(owed);
        Some(owed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_may_be_below_zero_and_not_over_the_largest() {
        let mut window = SendWindow::new(10);
        assert_eq!(window.grow(-30), Ok(()));
        assert_eq!(window.room(), 0);
        assert_eq!(window.grow(25), Ok(()));
        assert_eq!(window.room(), 5);
        assert_eq!(window.grow(i64::from(LARGEST)), Err(Overflow));
    }

    #[test]
    fn half_a_window_is_worth_a_frame() {
        let mut window = ReceiveWindow::new(100);
        assert_eq!(window.receive(90), Ok(()));
        assert_eq!(window.receive(11), Err(Overflow));
        assert_eq!(window.release(49), None);
        assert_eq!(window.release(1), Some(50));
        assert_eq!(window.receive(60), Ok(()));
    }
}
