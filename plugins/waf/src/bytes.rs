//! Sets of bytes: the cheapest question that can be asked about a value before anything expensive is done with it.

/// From this length on it pays to note the bytes of a value in a table.
const LONG: usize = 128;

/// A set of byte values, 256 bits.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct ByteSet([u64; 4]);

impl ByteSet {
    /// No byte.
    pub const EMPTY: Self = Self([0; 4]);
    /// Every byte.
    pub const ALL: Self = Self([u64::MAX; 4]);

    /// The bytes of a list.
    #[must_use]
    pub const fn of(bytes: &[u8]) -> Self {
        let mut set = Self::EMPTY;
        let mut index = 0;
        while index < bytes.len() {
            set = set.with(bytes[index]);
            index += 1;
        }
        set
    }

    /// The bytes from `first` to `last`, both included.
    #[must_use]
    pub const fn range(first: u8, last: u8) -> Self {
        let mut set = Self::EMPTY;
        let mut byte = first as u16;
        while byte <= last as u16 {
            set = set.with(byte as u8);
            byte += 1;
        }
        set
    }

    /// The bytes that occur in a value.
    #[must_use]
    pub fn present_in(value: &[u8]) -> Self {
        if value.len() >= LONG {
            return Self::present_in_long(value);
        }
        let mut set = Self::EMPTY;
        for &byte in value {
            set.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
        }
        set
    }

    /// Notes bytes in a table first, because no such note waits for the one before it, as bits of one word do.
    fn present_in_long(value: &[u8]) -> Self {
        let mut seen = [0u8; 256];
        for &byte in value {
            seen[usize::from(byte)] = 1;
        }
        let (eights, _) = seen.as_chunks::<8>();
        let mut set = Self::EMPTY;
        for (at, eight) in eights.iter().enumerate() {
            // Byte `i` of the eight, which is 0 or 1, comes to stand at bit 56 + i, and nothing else comes there.
            let bits = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
            set.0[at / 8] |= bits << (at % 8 * 8);
        }
        set
    }

    /// This set and one byte more.
    #[must_use]
    pub const fn with(mut self, byte: u8) -> Self {
        self.0[(byte >> 6) as usize] |= 1 << (byte & 63);
        self
    }

    /// The bytes of either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        let (a, b) = (self.0, other.0);
        Self([a[0] | b[0], a[1] | b[1], a[2] | b[2], a[3] | b[3]])
    }

    /// The bytes of both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        let (a, b) = (self.0, other.0);
        Self([a[0] & b[0], a[1] & b[1], a[2] & b[2], a[3] & b[3]])
    }

    /// The bytes that are not in the set.
    #[must_use]
    pub const fn complement(self) -> Self {
        let a = self.0;
        Self([!a[0], !a[1], !a[2], !a[3]])
    }

    /// Whether a byte is in the set.
    #[must_use]
    pub const fn contains(&self, byte: u8) -> bool {
        self.0[(byte >> 6) as usize] & (1 << (byte & 63)) != 0
    }

    /// Whether the sets share a byte.
    #[must_use]
    pub const fn intersects(&self, other: &Self) -> bool {
        let both = self.intersection(*other).0;
        both[0] | both[1] | both[2] | both[3] != 0
    }

    /// How many bytes are in the set.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.0[0].count_ones() + self.0[1].count_ones() + self.0[2].count_ones() + self.0[3].count_ones()
    }

    /// Whether the set has no byte.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        let mut words = self.0;
        let mut word = 0;
        std::iter::from_fn(move || {
            while word < 4 {
                let bits = words[word];
                if bits != 0 {
                    words[word] = bits & (bits - 1);
                    return Some((word as u8) << 6 | bits.trailing_zeros() as u8);
                }
                word += 1;
            }
            None
        })
    }
}

impl std::fmt::Debug for ByteSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes: Vec<u8> = self.iter().collect();
        write!(f, "ByteSet({:?})", String::from_utf8_lossy(&bytes))
    }
}

/// Whether two texts are the same. Compiled to WebAssembly, the library's comparison goes byte by byte.
#[must_use]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let word = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
    a.len() == b.len()
        && a_rest.len() == b_rest.len()
        && a.iter().zip(b).all(|(a, b)| word(a) == word(b))
        && a_rest.iter().zip(b_rest).all(|(a, b)| a == b)
}

/// Where two bytes first stand after each other. Quicker to begin with than a search for any text, which matters where the next find
/// is a few bytes away.
#[must_use]
pub fn find_pair(text: &[u8], [first, second]: [u8; 2]) -> Option<usize> {
    let mut from = 1;
    while let Some(found) = memchr::memchr(second, text.get(from..)?) {
        let at = from + found;
        if text.get(at - 1) == Some(&first) {
            return Some(at - 1);
        }
        from = at + 1;
    }
    None
}

/// Where a text first stands in another. For short texts the searcher that [`memchr::memmem`] would build costs more than it finds.
#[must_use]
pub fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    const SHORT: usize = 512;
    let Some((first, rest)) = part.split_first().filter(|_| text.len() <= SHORT) else {
        return memchr::memmem::find(text, part);
    };
    let mut from = 0;
    while let Some(found) = memchr::memchr(*first, text.get(from..)?) {
        let at = from + found;
        if text.get(at + 1..)?.starts_with(rest) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

/// The white space that C's `isspace` knows, which is what SecLang means by it.
pub const SPACE: ByteSet = ByteSet::of(b" \t\n\r\x0b\x0c");

/// Whether a byte is white space as C's `isspace` sees it.
#[must_use]
pub const fn is_space(byte: u8) -> bool {
    SPACE.contains(byte)
}

/// A number as C's `atoi` reads it: optional white space and sign, then digits, then anything; 0 where there is no digit.
#[must_use]
pub fn leading_number(text: &[u8]) -> i64 {
    let start = text.iter().position(|&b| !is_space(b)).unwrap_or(text.len());
    let text = text.get(start..).unwrap_or_default();
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let mut number = 0i64;
    for &digit in digits.iter().take_while(|b| b.is_ascii_digit()) {
        number = number.saturating_mul(10).saturating_add(i64::from(digit - b'0'));
    }
    if negative { number.saturating_neg() } else { number }
}

/// The number that a text is, where it is exactly how that number is written: no sign, no leading zero.
#[must_use]
pub fn plain_number(text: &[u8]) -> Option<i64> {
    match text {
        [b'0'] => Some(0),
        [b'1'..=b'9', digits @ ..] if digits.len() < 18 && digits.iter().all(u8::is_ascii_digit) => {
            Some(leading_number(text))
        }
        _ => None,
    }
}

/// The value of a hexadecimal digit.
#[must_use]
pub const fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// The byte that two hexadecimal digits stand for.
#[must_use]
pub const fn hex_pair(high: u8, low: u8) -> Option<u8> {
    match (hex_digit(high), hex_digit(low)) {
        (Some(high), Some(low)) => Some(high << 4 | low),
        _ => None,
    }
}

/// A path with its `%HH` resolved, once; what is not a valid escape stays (RFC 3986 §2.1).
#[must_use]
pub fn percent_decoded(path: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [byte, after @ ..] = rest {
        let escaped = match (byte, after) {
            (b'%', [high, low, tail @ ..]) => hex_pair(*high, *low).map(|byte| (byte, tail)),
            _ => None,
        };
        let (byte, tail) = escaped.unwrap_or((*byte, after));
        decoded.push(byte);
        rest = tail;
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_what_was_put_in() {
        let set = ByteSet::of(b"a\xff\0");
        assert_eq!(set.iter().collect::<Vec<_>>(), vec![0, b'a', 0xff]);
        assert_eq!(set.complement().len(), 253);
        assert_eq!(ByteSet::range(0, 255), ByteSet::ALL);
        assert!(ByteSet::present_in(b"banana").intersects(&ByteSet::of(b"n")));
    }

    #[test]
    fn long_values_hold_the_bytes_that_they_hold() {
        for length in [LONG - 1, LONG, 1000] {
            for byte in 0..=u8::MAX {
                let mut value = vec![b'x'; length];
                value[usize::from(byte) % length] = byte;
                assert_eq!(
                    ByteSet::present_in(&value),
                    ByteSet::of(&[b'x', byte]),
                    "{length} {byte}"
                );
            }
        }
        let all: Vec<u8> = (0..=u8::MAX).collect();
        assert_eq!(ByteSet::present_in(&all), ByteSet::ALL);
    }

    #[test]
    fn texts_are_the_same_where_every_byte_is() {
        let text: Vec<u8> = (0..40).collect();
        for length in 0..text.len() {
            let part = &text[..length];
            let copy = part.to_vec();
            assert!(same(part, &copy));
            assert!(!same(part, &text[..length + 1]) && !same(&text[..length + 1], part));
            for at in 0..length {
                let mut other = part.to_vec();
                other[at] ^= 0x80;
                assert!(!same(part, &other), "{length} {at}");
            }
        }
    }

    #[test]
    fn pairs_are_found_where_they_stand() {
        for (text, at) in [
            ("*/", Some(0)),
            ("/**//*/", Some(2)),
            ("a*b/*c*/", Some(6)),
            ("*", None),
            ("/", None),
            ("", None),
            ("/ /", None),
        ] {
            assert_eq!(find_pair(text.as_bytes(), *b"*/"), at, "{text}");
        }
        assert_eq!(find_pair(b"a))", *b"))"), Some(1));
    }

    #[test]
    fn escapes_of_a_path_are_resolved_once() {
        assert_eq!(percent_decoded(b"/a%20b%2541%zz+%"), b"/a b%41%zz+%");
    }

    #[test]
    fn numbers_are_read_like_atoi() {
        for (text, number) in [
            ("12", 12),
            (" -3x", -3),
            ("+7", 7),
            ("", 0),
            ("x", 0),
            ("99999999999999999999", i64::MAX),
        ] {
            assert_eq!(leading_number(text.as_bytes()), number, "{text:?}");
        }
    }
}
