//! What was odd about a multipart body: the variables `MULTIPART_*`.

use serde::{Deserialize, Serialize};

/// One oddity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::evaluate) enum Flag {
    /// It could not be read.
    Error,
    /// Quotes stand around the boundary in `Content-Type`.
    BoundaryQuoted,
    /// White space stands around the boundary in `Content-Type`.
    BoundaryWhitespace,
    /// A line ends in CR LF, which is right.
    CrlfLine,
    /// A line ends in LF alone.
    LfLine,
    /// Data follow the last boundary.
    DataAfter,
    /// Data precede the first boundary.
    DataBefore,
    /// There are more files than are read.
    FileLimitExceeded,
    /// A header of a part is folded.
    HeaderFolding,
    /// With other bytes than spaces and tabs.
    InvalidHeaderFolding,
    /// A part ends before its headers do.
    InvalidPart,
    /// Single quotes stand around a value.
    InvalidQuoting,
    /// No semicolon precedes the boundary in `Content-Type`.
    MissingSemicolon,
}

/// What was odd about one body.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(in crate::evaluate) struct Flags {
    bits: u16,
    unmatched: Unmatched,
}

/// Lines that look like a boundary and are none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Unmatched {
    #[default]
    None,
    /// There was one, and no boundary after it.
    Open,
    /// There was one, and a boundary after it: so it was data.
    Inside,
}

impl Flags {
    pub(super) fn set(&mut self, flag: Flag) {
        self.bits |= 1 << flag as u16;
    }

    /// A line looks like a boundary and is none.
    pub(super) fn boundary_unmatched(&mut self) {
        self.unmatched = Unmatched::Open;
    }

    /// A boundary has come.
    pub(super) fn boundary_matched(&mut self) {
        if self.unmatched == Unmatched::Open {
            self.unmatched = Unmatched::Inside;
        }
    }

    pub(in crate::evaluate) fn has(self, flag: Flag) -> bool {
        self.bits & 1 << flag as u16 != 0
    }

    /// `MULTIPART_CRLF_LF_LINES`: lines end in both ways.
    pub(in crate::evaluate) fn has_mixed_lines(self) -> bool {
        self.has(Flag::CrlfLine) && self.has(Flag::LfLine)
    }

    /// `MULTIPART_UNMATCHED_BOUNDARY`
    pub(in crate::evaluate) fn unmatched_boundary(self) -> i64 {
        match self.unmatched {
            Unmatched::None => 0,
            Unmatched::Open => 1,
            Unmatched::Inside => 2,
        }
    }

    /// `MULTIPART_STRICT_ERROR`: any of them.
    pub(in crate::evaluate) fn is_odd(self) -> bool {
        self.bits & !(1 << Flag::CrlfLine as u16) != 0
    }
}
