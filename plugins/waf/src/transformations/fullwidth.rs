//! What a code point of more than eight bits becomes where values are bytes: the full-width forms of ASCII (U+FF01 to U+FF5E)
//! fold to ASCII, because browsers and databases fold them; of all others the low byte stays.

pub(super) fn to_byte(code: u32) -> u8 {
    let low = (code & 0xff) as u8;
    if code & 0xffff_ff00 == 0xff00 && (0x01..0x5f).contains(&low) {
        low + 0x20
    } else {
        low
    }
}
