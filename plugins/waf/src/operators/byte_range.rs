//! `@validateByteRange 9,10,32-126`: the value holds a byte *outside* of the ranges.

use super::Test;
use crate::bytes::ByteSet;
use crate::seclang::Files;

pub(super) fn build(argument: &str, _files: &dyn Files) -> Result<Test, String> {
    let mut allowed = ByteSet::EMPTY;
    for range in argument.split(',').map(str::trim) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        match (first.trim().parse::<u8>(), last.trim().parse::<u8>()) {
            (Ok(first), Ok(last)) if first <= last => allowed = allowed.union(ByteSet::range(first, last)),
            _ => {
                return Err(format!(
                    "\"{range}\" is not a byte (0 to 255) or a range of them (32-126)"
                ));
            }
        }
    }
    Ok(Test::Outside(allowed))
}
