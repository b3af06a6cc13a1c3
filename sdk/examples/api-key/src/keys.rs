//! Which key belongs to whom. Knows nothing of requests.

/// Keys and the names of those who have them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Keys(Vec<(String, String)>);

impl Keys {
    /// Reads lines of a key and a name; empty ones and those that start with `#` are skipped.
    pub(crate) fn parse(file: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(file).map_err(|error| format!("not UTF-8 ({error})"))?;
        let mut keys = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            match line.split_whitespace().collect::<Vec<_>>().as_slice() {
                [] => {}
                [first, ..] if first.starts_with('#') => {}
                [key, name] => keys.push(((*key).to_owned(), (*name).to_owned())),
                _ => return Err(format!("line {number}: a key, white space and a name")),
            }
        }
        if keys.is_empty() {
            return Err("no key in it: nobody could pass".to_owned());
        }
        Ok(Self(keys))
    }

    /// Compares with every key to its end, so that the time it takes says nothing about how much of a guess was right.
    pub(crate) fn name_of(&self, shown: &[u8]) -> Option<&str> {
        self.0.iter().fold(
            None,
            |found, (key, name)| if same(key.as_bytes(), shown) { Some(name) } else { found },
        )
    }
}

fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_name() {
        let keys = Keys::parse(b"# comment\n\nabc one\n  abd\ttwo  \r\n");
        assert_eq!(keys.as_ref().map(|keys| keys.name_of(b"abd")), Ok(Some("two")));
        assert_eq!(keys.as_ref().map(|keys| keys.name_of(b"ab")), Ok(None));
        assert_eq!(keys.as_ref().map(|keys| keys.name_of(b"")), Ok(None));
        assert_eq!(keys.as_ref().map(|keys| keys.name_of(b"#")), Ok(None));
    }

    #[test]
    fn a_line_that_is_neither_is_named() {
        assert_eq!(
            Keys::parse(b"abc one\nabd"),
            Err("line 2: a key, white space and a name".to_owned())
        );
        assert_eq!(
            Keys::parse(b"abc one two"),
            Err("line 1: a key, white space and a name".to_owned())
        );
    }

    #[test]
    fn a_file_without_keys_or_of_other_bytes_is_refused() {
        assert!(Keys::parse(b"# nobody\n").is_err());
        assert!(Keys::parse(b"\xff k").is_err());
    }
}
