//! `SecUnicodeMapFile`: what a character becomes where values are bytes, by the best-fit table of a code page.
//!
//! A server that turns `%u2215` into a byte of its own code page turns it into a slash, and the rules have to see that slash. The
//! file is ModSecurity's `unicode.mapping`: for each code page a line with its number, and a line of `hhhh:hh` behind it, the
//! character and the byte that it becomes.

/// The table of one code page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnicodeMap {
    /// Characters of 16 bits and their bytes, in the order of the characters, each once.
    bytes: Box<[(u16, u8)]>,
}

impl UnicodeMap {
    /// Reads the table of a code page.
    ///
    /// # Errors
    /// What is wrong with the file, and where in it; which code pages there are, where this one is not among them.
    pub fn parse(text: &[u8], code_page: u32) -> Result<Self, String> {
        let text = String::from_utf8_lossy(text);
        let mut pages = Vec::new();
        let mut lines = (1..).zip(text.lines());
        while let Some((_, line)) = lines.next() {
            let Some(page) = heading(line) else { continue };
            if page != code_page {
                pages.push(page.to_string());
                continue;
            }
            let table = lines.by_ref().find(|(_, line)| !line.trim().is_empty());
            let Some((number, table)) = table.filter(|(_, table)| heading(table).is_none()) else {
                return Err(format!("code page {code_page} has no table"));
            };
            return Self::table(table).map_err(|word| {
                format!("line {number}: \"{word}\" is no character and byte, which are written as 00a1:21")
            });
        }
        Err(match pages.is_empty() {
            true => "it has no code page at all: a line with its number, and its table in the next".to_owned(),
            false => format!("it has no code page {code_page}; it has {}", pages.join(", ")),
        })
    }

    /// The word that is none, where there is one.
    fn table(line: &str) -> Result<Self, &str> {
        let pair = |word: &'_ str| {
            let (character, byte) = word.split_once(':')?;
            let digits = |text: &str, most| text.len() <= most && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            let sound = digits(character, 4) && digits(byte, 2);
            let pair = (
                u16::from_str_radix(character, 16).ok()?,
                u8::from_str_radix(byte, 16).ok()?,
            );
            sound.then_some(pair)
        };
        let mut bytes = Vec::new();
        for word in line.split_ascii_whitespace() {
            bytes.push(pair(word).ok_or(word)?);
        }
        bytes.sort_by_key(|(character, _)| *character);
        // Of two that are the same the last counts, as it does where a table is filled one by one.
        bytes.reverse();
        bytes.dedup_by_key(|(character, _)| *character);
        bytes.reverse();
        Ok(Self { bytes: bytes.into() })
    }

    /// What a character becomes; nothing where the table does not say.
    #[must_use]
    pub fn byte(&self, character: u16) -> Option<u8> {
        let at = self.bytes.binary_search_by_key(&character, |(known, _)| *known).ok()?;
        self.bytes.get(at).map(|(_, byte)| *byte)
    }
}

/// The number of a code page, in the line that begins its part of the file.
fn heading(line: &str) -> Option<u32> {
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const FILE: &str = "(MAC - Roman)\n\n\n1250  (ANSI - Central Europe)\n00a1:21 2215:2f\n\n\
                        20127 (US-ASCII)\n\n2215:5c 00a1:22 2215:2F \n437\n00a1:zz\n500\n";

    fn parse(code_page: u32) -> Result<UnicodeMap, String> {
        UnicodeMap::parse(FILE.as_bytes(), code_page)
    }

    #[test]
    fn a_code_page_has_its_own_table() {
        let (one, other) = (parse(1250).unwrap(), parse(20127).unwrap());
        assert_eq!((one.byte(0xa1), other.byte(0xa1)), (Some(0x21), Some(0x22)));
        assert_eq!((one.byte(0x2215), other.byte(0x2215)), (Some(b'/'), Some(b'/')));
        assert_eq!(one.byte(0xa2), None);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        assert_eq!(
            parse(1).unwrap_err(),
            "it has no code page 1; it has 1250, 20127, 437, 500"
        );
        assert!(parse(437).unwrap_err().starts_with("line 11: \"00a1:zz\" is no"));
        assert_eq!(parse(500).unwrap_err(), "code page 500 has no table");
        assert!(
            UnicodeMap::parse(b"nothing\n", 1)
                .unwrap_err()
                .contains("no code page at all")
        );
    }

    /// The file that Debian's package libnginx-mod-http-modsecurity brings, where it is installed.
    #[test]
    fn the_file_of_modsecurity_is_read() {
        let Ok(text) = std::fs::read("/etc/nginx/unicode.mapping") else {
            assert!(
                std::env::var_os("CI").is_none(),
                "there is no /etc/nginx/unicode.mapping; install libnginx-mod-http-modsecurity"
            );
            println!("SKIPPED: there is no /etc/nginx/unicode.mapping; install libnginx-mod-http-modsecurity");
            return;
        };
        let map = UnicodeMap::parse(&text, 20127).unwrap();
        assert_eq!(map.byte(0xff1c), Some(b'<'));
        assert_eq!(map.byte(0x2039), Some(b"<"[0]));
        for page in [
            1250, 1251, 1252, 1253, 1254, 1255, 1256, 1257, 1258, 28591, 437, 850, 874,
        ] {
            assert!(UnicodeMap::parse(&text, page).is_ok(), "{page}");
        }
    }
}
