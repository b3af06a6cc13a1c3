//! From header blocks to fields.

use bytes::{Bytes, BytesMut};
use http::header::{HeaderName, HeaderValue};

use super::huffman;
pub use super::table::{Field, Pseudo};
use super::table::{Name, Named, Table, size};

/// The size of the table before anybody says otherwise (RFC 9113 §6.5.2); Weir does not.
const TABLE: usize = 4096;
/// Strings of a block are decoded into pieces of this size, so that few of them cost an allocation.
const SCRATCH: usize = 1024;

/// One direction's decoder: its table lives as long as the connection.
#[derive(Debug)]
pub struct Decoder {
    table: Table,
    scratch: BytesMut,
}

/// The block is not what RFC 7541 says: the connection cannot go on, since the tables of both ends differ from here on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken;

impl Default for Decoder {
    fn default() -> Self {
        Self {
            table: Table::new(TABLE),
            scratch: BytesMut::new(),
        }
    }
}

/// What a literal does to the table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Indexing {
    Added,
    NotAdded,
    /// Not to be added by anybody on the way (RFC 7541 §6.2.3).
    Never,
}

impl Decoder {
    /// Decodes a whole block; each field comes with its size in a list (RFC 9113 §6.5.2).
    ///
    /// # Errors
    /// [`Broken`].
    pub fn decode(&mut self, block: &[u8], mut each: impl FnMut(Field, usize)) -> Result<(), Broken> {
        let mut input = Input(block);
        let mut at_start = true;
        while let Some(first) = input.peek() {
            if first & 0b1000_0000 != 0 {
                let (field, size) = self.table.field(input.integer(7)?).ok_or(Broken)?;
                each(field, size);
            } else if first & 0b1110_0000 == 0b0010_0000 {
                let most = input.integer(5)?;
                // Only before the first field, and never over what was allowed (RFC 7541 §4.2, §6.3).
                if !at_start || most > TABLE {
                    return Err(Broken);
                }
                self.table.resize(most);
                continue;
            } else {
                let (prefix, indexing) = match first {
                    0b0100_0000.. => (6, Indexing::Added),
                    0b0001_0000.. => (4, Indexing::Never),
                    _ => (4, Indexing::NotAdded),
                };
                let (field, size) = self.literal(&mut input, prefix, indexing)?;
                each(field, size);
            }
            at_start = false;
        }
        Ok(())
    }

    fn literal(&mut self, input: &mut Input<'_>, prefix: u32, indexing: Indexing) -> Result<(Field, usize), Broken> {
        let (name, name_length): Named = match input.integer(prefix)? {
            0 => {
                let name = self.string(input, Indexing::NotAdded)?;
                (name_of(&name), name.len())
            }
            index => self.table.name(index).ok_or(Broken)?,
        };
        let value = self.string(input, indexing)?;
        let size = size(name_length, value.len());
        let field = match &name {
            Name::Pseudo(pseudo) => Field::Pseudo(*pseudo, value),
            Name::Regular(name) => regular(name, value, indexing),
            Name::Malformed => Field::Malformed,
        };
        if indexing == Indexing::Added {
            self.table.insert(field.clone(), (name, name_length), size);
        }
        Ok((field, size))
    }

    fn string(&mut self, input: &mut Input<'_>, indexing: Indexing) -> Result<Bytes, Broken> {
        let coded = input.peek().ok_or(Broken)? & 0b1000_0000 != 0;
        let length = input.integer(7)?;
        let string = input.take(length)?;
        if indexing == Indexing::Added {
            // What stays in the table must not keep a larger buffer alive.
            return if coded {
                let mut decoded = Vec::with_capacity(huffman::expanded(length));
                huffman::decode(string, &mut decoded).map_err(|_| Broken)?;
                Ok(Bytes::copy_from_slice(&decoded))
            } else {
                Ok(Bytes::copy_from_slice(string))
            };
        }
        let room = if coded { huffman::expanded(length) } else { length };
        if self.scratch.capacity() < room {
            self.scratch = BytesMut::with_capacity(room.max(SCRATCH));
        }
        if coded {
            huffman::decode(string, &mut self.scratch).map_err(|_| Broken)?;
        } else {
            self.scratch.extend_from_slice(string);
        }
        Ok(self.scratch.split().freeze())
    }
}

fn name_of(name: &[u8]) -> Name {
    if name.first() == Some(&b':') {
        return Pseudo::named(name).map_or(Name::Malformed, Name::Pseudo);
    }
    // Upper case is refused here (RFC 9113 §8.2.1), and so is what no token has: `HeaderName` lets quotes pass.
    if !name.iter().all(|&byte| is_lower_token(byte)) {
        return Name::Malformed;
    }
    HeaderName::from_lowercase(name).map_or(Name::Malformed, Name::Regular)
}

/// RFC 9110 §5.6.2, without upper case.
fn is_lower_token(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A field of a message, unless its value holds what RFC 9113 §8.2.1 forbids.
fn regular(name: &HeaderName, value: Bytes, indexing: Indexing) -> Field {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    if blank(value.first()) || blank(value.last()) {
        return Field::Malformed;
    }
    match HeaderValue::from_maybe_shared(value) {
        Ok(mut value) => {
            value.set_sensitive(indexing == Indexing::Never);
            Field::Regular(name.clone(), value)
        }
        Err(_) => Field::Malformed,
    }
}

/// What is left of a block.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn byte(&mut self) -> Result<u8, Broken> {
        let (first, rest) = self.0.split_first().ok_or(Broken)?;
        self.0 = rest;
        Ok(*first)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Broken> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Broken)?;
        self.0 = rest;
        Ok(taken)
    }

    /// An integer with a prefix of so many bits (RFC 7541 §5.1); more than 28 bits behind the prefix are nobody's.
    fn integer(&mut self, prefix: u32) -> Result<usize, Broken> {
        let mask = (1_u8 << prefix) - 1;
        let first = self.byte()? & mask;
        let mut value = usize::from(first);
        if first < mask {
            return Ok(value);
        }
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            value += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Broken)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn fields(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<String>, Broken> {
        let mut fields = Vec::new();
        decoder.decode(block, |field, _| {
            fields.push(match field {
                Field::Pseudo(pseudo, value) => format!("{pseudo:?} {}", String::from_utf8_lossy(&value)),
                Field::Regular(name, value) => format!("{name} {}", value.to_str().unwrap()),
                Field::Malformed => "malformed".into(),
            });
        })?;
        Ok(fields)
    }

    #[test]
    fn requests_that_follow_each_other_share_the_table() {
        // RFC 7541 C.4.
        let mut decoder = Decoder::default();
        let first = [
            0x82, 0x86, 0x84, 0x41, 0x8c, 0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff,
        ];
        let expected = ["Method GET", "Scheme http", "Path /", "Authority www.example.com"];
        assert_eq!(fields(&mut decoder, &first).unwrap(), expected);
        let second = [0x82, 0x86, 0x84, 0xbe, 0x58, 0x86, 0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf];
        assert_eq!(
            fields(&mut decoder, &second).unwrap()[3..],
            ["Authority www.example.com", "cache-control no-cache"]
        );
        let third = [
            0x82, 0x87, 0x85, 0xbf, 0x40, 0x88, 0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xa9, 0x7d, 0x7f, 0x89, 0x25, 0xa8, 0x49,
            0xe9, 0x5b, 0xb8, 0xe8, 0xb4, 0xbf,
        ];
        assert_eq!(
            fields(&mut decoder, &third).unwrap()[3..],
            ["Authority www.example.com", "custom-key custom-value"]
        );
    }

    #[test]
    fn what_breaks_a_message_does_not_break_the_table() {
        let mut decoder = Decoder::default();
        let upper = b"\x40\x01A\x01b";
        assert_eq!(fields(&mut decoder, upper).unwrap(), ["malformed"]);
        assert_eq!(fields(&mut decoder, &[0xbe]).unwrap(), ["malformed"]);
        for block in [
            &b"\x00\x01a\x03b\0c"[..],
            b"\x00\x01a\x02 b",
            b"\x00\x04:foo\x01b",
            b"\x00\x01a\x02b\r",
        ] {
            assert_eq!(fields(&mut decoder, block).unwrap(), ["malformed"], "{block:?}");
        }
    }

    #[test]
    fn what_breaks_the_table_is_told() {
        for (what, block) in [
            ("index 0", &[0x80][..]),
            ("an index beyond the table", &[0xbe]),
            ("a name beyond the table", &[0x7f, 0x00, 0x00]),
            ("a size over the limit", &[0x3f, 0xe2, 0x1f]),
            ("a size after a field", &[0x82, 0x20]),
            ("an integer that does not end", &[0xff, 0x80, 0x80, 0x80, 0x80, 0x80]),
            ("a string longer than the block", &[0x00, 0x05, b'a']),
        ] {
            assert_eq!(fields(&mut Decoder::default(), block), Err(Broken), "{what}");
        }
        assert!(
            fields(&mut Decoder::default(), &[0x20, 0x3f, 0xe1, 0x1f, 0x82]).is_ok(),
            "two updates at the start"
        );
    }
}
