//! How a collection stands in the store: a version, three numbers, and each value with its name and its end.

use serde::{Deserialize, Serialize};

/// Of the form below. An entry with another is as good as none.
const VERSION: u8 = 1;

/// A collection as the store has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Form {
    /// In seconds since 1970, as all times here.
    pub(super) created: u64,
    pub(super) updated: u64,
    pub(super) updates: u64,
    pub(super) items: Vec<Item>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Item {
    pub(super) name: Box<[u8]>,
    pub(super) value: Vec<u8>,
    pub(super) end: Option<u64>,
}

impl Form {
    /// Reads an entry, without the values that have ended. Nothing where it is none.
    pub(super) fn read(bytes: &[u8], now: u64) -> Option<Self> {
        let mut rest = bytes.strip_prefix(&[VERSION])?;
        let mut form = Self {
            created: number(&mut rest)?,
            updated: number(&mut rest)?,
            updates: number(&mut rest)?,
            items: Vec::new(),
        };
        while !rest.is_empty() {
            let end = number(&mut rest)?;
            let item = Item {
                name: text(&mut rest)?.into(),
                value: text(&mut rest)?.to_vec(),
                end: (end != 0).then_some(end),
            };
            if item.end.is_none_or(|end| end > now) {
                form.items.push(item);
            }
        }
        Some(form)
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        for number in [self.created, self.updated, self.updates] {
            out.extend(number.to_le_bytes());
        }
        for item in &self.items {
            out.extend(item.end.unwrap_or(0).to_le_bytes());
            for text in [&*item.name, &item.value] {
                out.extend((text.len() as u64).to_le_bytes());
                out.extend(text);
            }
        }
        out
    }
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let (number, after) = rest.split_first_chunk::<8>()?;
    *rest = after;
    Some(u64::from_le_bytes(*number))
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(number(rest)?).ok()?;
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let item = |name: &str, end| Item {
            name: name.as_bytes().into(),
            value: b"a\0b".to_vec(),
            end,
        };
        let mut form = Form {
            created: 1,
            updated: 2,
            updates: 3,
            items: vec![item("x", None), item("y", Some(10)), item("z", Some(11))],
        };
        let written = form.write();
        form.items.remove(1);
        assert_eq!(Form::read(&written, 10), Some(form));
        for length in 0..written.len() {
            // A part of an entry is read as far as it goes or not at all, and never more than there is.
            if let Some(part) = written.get(..length) {
                let _ = Form::read(part, 0);
            }
        }
        assert_eq!(Form::read(b"\x02", 0), None);
    }
}
