//! XML bodies (XML 1.0, fifth edition): the text of all elements as one value, `XML:/*`, and the value of each attribute,
//! `XML://@*`.
//!
//! The document is read once from left to right, and what is kept is bounded by its length: entities that a document declares
//! are never expanded, nothing outside of it is ever read, and elements nest only so deep. It must be well formed; whether it
//! is valid nobody asks.

use memchr::{memchr, memmem};

use crate::evaluate::texts::Texts;
use crate::evaluate::urlencoded::Field;

/// The name of all text.
pub(in crate::evaluate) const TEXT: &[u8] = b"/*";
/// The name of each attribute's value.
pub(in crate::evaluate) const ATTRIBUTES: &[u8] = b"//@*";

/// How deep elements may nest.
const MOST_DEPTH: usize = 256;

/// The attributes of one element, among which no name may occur twice.
const MOST_ATTRIBUTES: usize = 1000;

/// Adds the values of a document to a list that holds at most `most`.
pub(super) fn parse(body: &[u8], most: usize, texts: &mut Texts, fields: &mut Vec<Field>) -> Result<(), String> {
    let utf8 = match body {
        [0xff, 0xfe, rest @ ..] => Some(from_utf16(rest, u16::from_le_bytes)?),
        [0xfe, 0xff, rest @ ..] => Some(from_utf16(rest, u16::from_be_bytes)?),
        _ => None,
    };
    let body = utf8.as_deref().unwrap_or(body);
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let mut reader = Reader {
        rest: body,
        length: body.len(),
        open: Vec::new(),
        text: Vec::new(),
        entities: Entities::Predefined,
        most,
        fields,
    };
    let result = reader.document(texts);
    // What was read before a mistake is worth looking at, too.
    let text = std::mem::take(&mut reader.text);
    let field = Field {
        name: texts.push(TEXT),
        value: texts.push(&text),
    };
    fields.push(field);
    result
}

fn from_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<Vec<u8>, String> {
    let (pairs, odd) = bytes.as_chunks::<2>();
    let text = char::decode_utf16(pairs.iter().map(|pair| unit(*pair))).collect::<Result<String, _>>();
    match text {
        Ok(text) if odd.is_empty() => Ok(text.into_bytes()),
        _ => Err("XML: the body is not UTF-16, which its first bytes say".to_owned()),
    }
}

struct Reader<'a, 'f> {
    rest: &'a [u8],
    /// Of the document.
    length: usize,
    /// The names of the elements that are open.
    open: Vec<&'a [u8]>,
    /// The text so far.
    text: Vec<u8>,
    entities: Entities,
    most: usize,
    fields: &'f mut Vec<Field>,
}

/// Which entities a document may mention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entities {
    /// Those of XML itself.
    Predefined,
    /// There is a document type, which may declare any. A mention of one stays as it is written.
    Declared,
}

impl<'a> Reader<'a, '_> {
    fn document(&mut self, texts: &mut Texts) -> Result<(), String> {
        self.declaration()?;
        let mut root = Root::Awaited;
        loop {
            if self.open.is_empty() {
                self.skip_space();
                if self.rest.is_empty() {
                    return match root {
                        Root::Seen => Ok(()),
                        Root::Awaited => Err(self.wrong("there is no element")),
                    };
                }
                if !self.rest.starts_with(b"<") {
                    return Err(self.wrong("text stands outside of the root element"));
                }
            } else {
                self.characters()?;
            }
            match self.rest {
                [b'<', b'!', b'-', b'-', ..] => self.comment()?,
                [b'<', b'?', ..] => self.instruction()?,
                [b'<', b'/', ..] => self.end_tag()?,
                [b'<', b'!', b'[', ..] if !self.open.is_empty() => self.cdata()?,
                [b'<', b'!', ..] if root == Root::Awaited && self.entities == Entities::Predefined => {
                    self.document_type()?;
                }
                [b'<', ..] if !self.open.is_empty() || root == Root::Awaited => {
                    root = Root::Seen;
                    self.start_tag(texts)?;
                }
                [b'<', ..] => return Err(self.wrong("there is a second root element")),
                _ => return Err(self.wrong("the document ends inside of an element")),
            }
        }
    }

    /// `<?xml version="1.0" encoding="utf-8"?>`: only an encoding that is read right is accepted, because rules must see what
    /// the application sees.
    fn declaration(&mut self) -> Result<(), String> {
        if !matches!(self.rest, [b'<', b'?', b'x', b'm', b'l', after, ..] if is_space(*after)) {
            return Ok(());
        }
        let declared = self.until(b"?>", "the XML declaration is never closed")?;
        let Some(at) = memmem::find(declared, b"encoding") else {
            return Ok(());
        };
        let quoted = declared.get(at + b"encoding".len()..).unwrap_or_default();
        let name: Vec<u8> = quoted
            .iter()
            .copied()
            .skip_while(|&byte| is_space(byte) || byte == b'=')
            .skip(1)
            .take_while(|byte| !matches!(byte, b'"' | b'\''))
            .map(|byte| byte.to_ascii_lowercase())
            .collect();
        let known: [&[u8]; 5] = [b"utf-8", b"utf8", b"us-ascii", b"ascii", b"utf-16"];
        let latin: [&[u8]; 4] = [b"iso-8859-1", b"latin1", b"iso-8859-15", b"windows-1252"];
        if known.contains(&name.as_slice()) || latin.contains(&name.as_slice()) {
            Ok(())
        } else {
            Err(self.wrong(&format!(
                "the encoding \"{}\" is not known",
                String::from_utf8_lossy(&name)
            )))
        }
    }

    /// Text up to the next `<`.
    fn characters(&mut self) -> Result<(), String> {
        let end = memchr(b'<', self.rest).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        if memmem::find(text, b"]]>").is_some() {
            return Err(self.wrong("\"]]>\" stands in text"));
        }
        let mut out = std::mem::take(&mut self.text);
        let result = self.resolve(text, &mut out);
        self.text = out;
        self.rest = rest;
        result
    }

    /// Adds text with its references resolved.
    fn resolve(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        if text.iter().any(|&byte| byte < b' ' && !is_space(byte)) {
            return Err(self.wrong("a control character stands in text"));
        }
        let mut rest = text;
        while let Some(at) = memchr(b'&', rest) {
            let (before, reference) = rest.split_at(at);
            out.extend_from_slice(before);
            let end = memchr(b';', reference).ok_or_else(|| self.wrong("an & is not followed by a name and a ;"))?;
            let name = reference.get(1..end).unwrap_or_default();
            rest = reference.get(end + 1..).unwrap_or_default();
            match name {
                b"lt" => out.push(b'<'),
                b"gt" => out.push(b'>'),
                b"amp" => out.push(b'&'),
                b"apos" => out.push(b'\''),
                b"quot" => out.push(b'"'),
                [b'#', number @ ..] => {
                    let character = character(number).ok_or_else(|| self.wrong("a reference names no character"))?;
                    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ if self.entities == Entities::Declared && is_name(name) => {
                    out.extend_from_slice(reference.get(..=end).unwrap_or_default());
                }
                _ => return Err(self.wrong("an entity is mentioned that is not declared")),
            }
        }
        out.extend_from_slice(rest);
        Ok(())
    }

    fn start_tag(&mut self, texts: &mut Texts) -> Result<(), String> {
        self.skip(1);
        let name = self.name("an element has no name")?;
        let mut names: Vec<&[u8]> = Vec::new();
        loop {
            let spaced = self.skip_space();
            if matches!(self.rest, [b'>', ..] | [b'/', b'>', ..]) {
                names.sort_unstable();
                if names.windows(2).any(|pair| pair.first() == pair.last()) {
                    return Err(self.wrong("an element has an attribute twice"));
                }
            }
            match self.rest {
                [b'>', rest @ ..] => {
                    self.rest = rest;
                    if self.open.len() >= MOST_DEPTH {
                        return Err(self.wrong(&format!("elements nest deeper than {MOST_DEPTH}")));
                    }
                    self.open.push(name);
                    return Ok(());
                }
                [b'/', b'>', rest @ ..] => {
                    self.rest = rest;
                    return Ok(());
                }
                _ if spaced == 0 => return Err(self.wrong("a tag is not closed")),
                _ => {}
            }
            let attribute = self.name("an attribute has no name")?;
            if names.len() >= MOST_ATTRIBUTES {
                return Err(self.wrong(&format!("an element has more than {MOST_ATTRIBUTES} attributes")));
            }
            names.push(attribute);
            self.attribute(attribute, texts)?;
        }
    }

    /// `="value"`. What declares a name space is no attribute.
    fn attribute(&mut self, name: &[u8], texts: &mut Texts) -> Result<(), String> {
        self.skip_space();
        if !self.rest.starts_with(b"=") {
            return Err(self.wrong("an attribute has no value"));
        }
        self.skip(1);
        self.skip_space();
        let quote = match self.rest.first() {
            Some(quote @ (b'"' | b'\'')) => *quote,
            _ => return Err(self.wrong("the value of an attribute has no quotes")),
        };
        self.skip(1);
        let value = self.until(&[quote], "the value of an attribute is never closed")?;
        if value.contains(&b'<') {
            return Err(self.wrong("a < stands in the value of an attribute"));
        }
        if name == b"xmlns" || name.starts_with(b"xmlns:") {
            return Ok(());
        }
        if self.fields.len() >= self.most {
            return Err(super::too_many(self.most));
        }
        let mut resolved = Vec::with_capacity(value.len());
        self.resolve(value, &mut resolved)?;
        let field = Field {
            name: texts.push(ATTRIBUTES),
            value: texts.push(&resolved),
        };
        self.fields.push(field);
        Ok(())
    }

    fn end_tag(&mut self) -> Result<(), String> {
        self.skip(2);
        let name = self.name("an end tag has no name")?;
        self.skip_space();
        if !self.rest.starts_with(b">") {
            return Err(self.wrong("an end tag is not closed"));
        }
        self.skip(1);
        if self.open.pop() == Some(name) {
            Ok(())
        } else {
            Err(self.wrong(&format!(
                "</{}> closes an element that is not open",
                String::from_utf8_lossy(name.get(..40).unwrap_or(name))
            )))
        }
    }

    fn comment(&mut self) -> Result<(), String> {
        self.skip(4);
        self.until(b"--", "a comment is never closed")?;
        if !self.rest.starts_with(b">") {
            return Err(self.wrong("\"--\" stands in a comment"));
        }
        self.skip(1);
        Ok(())
    }

    fn instruction(&mut self) -> Result<(), String> {
        self.skip(2);
        let instruction = self.until(b"?>", "a processing instruction is never closed")?;
        match instruction {
            [b'x' | b'X', b'm' | b'M', b'l' | b'L'] => Err(self.wrong("the XML declaration is not at the start")),
            [b'x' | b'X', b'm' | b'M', b'l' | b'L', after, ..] if is_space(*after) => {
                Err(self.wrong("the XML declaration is not at the start"))
            }
            [first, ..] if is_name_start(*first) => Ok(()),
            _ => Err(self.wrong("a processing instruction has no name")),
        }
    }

    fn cdata(&mut self) -> Result<(), String> {
        if !self.rest.starts_with(b"<![CDATA[") {
            return Err(self.wrong("a <! starts neither a comment nor CDATA"));
        }
        self.skip(b"<![CDATA[".len());
        let text = self.until(b"]]>", "a CDATA section is never closed")?;
        self.text.extend_from_slice(text);
        Ok(())
    }

    /// `<!DOCTYPE name SYSTEM "..." [ ... ]>` is passed over: nothing that it declares or points to is read.
    fn document_type(&mut self) -> Result<(), String> {
        if !self.rest.starts_with(b"<!DOCTYPE") {
            return Err(self.wrong("a <! starts neither a comment nor a document type"));
        }
        self.skip(b"<!DOCTYPE".len());
        self.entities = Entities::Declared;
        let mut subset = 0usize;
        loop {
            let Some((&byte, rest)) = self.rest.split_first() else {
                return Err(self.wrong("the document type is never closed"));
            };
            self.rest = rest;
            match byte {
                b'"' | b'\'' => {
                    self.until(&[byte], "a quote in the document type is never closed")?;
                }
                b'<' if self.rest.starts_with(b"!--") => {
                    self.skip(3);
                    self.until(b"-->", "a comment in the document type is never closed")?;
                }
                b'<' if self.rest.starts_with(b"?") => {
                    self.until(b"?>", "an instruction in the document type is never closed")?;
                }
                b'[' => subset += 1,
                b']' => subset = subset.saturating_sub(1),
                b'>' if subset == 0 => return Ok(()),
                _ => {}
            }
        }
    }

    fn name(&mut self, missing: &str) -> Result<&'a [u8], String> {
        let end = self
            .rest
            .iter()
            .position(|&byte| !is_name_part(byte))
            .unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if !name.first().is_some_and(|&byte| is_name_start(byte)) {
            return Err(self.wrong(missing));
        }
        self.rest = rest;
        Ok(name)
    }

    /// Takes what comes before an end, and the end.
    fn until(&mut self, end: &[u8], missing: &str) -> Result<&'a [u8], String> {
        let at = memmem::find(self.rest, end).ok_or_else(|| self.wrong(missing))?;
        let (before, after) = self.rest.split_at(at);
        self.rest = after.get(end.len()..).unwrap_or_default();
        Ok(before)
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    /// How many bytes of white space there were.
    fn skip_space(&mut self) -> usize {
        let end = self
            .rest
            .iter()
            .position(|&byte| !is_space(byte))
            .unwrap_or(self.rest.len());
        self.skip(end);
        end
    }

    fn wrong(&self, what: &str) -> String {
        format!("XML: {what}, before byte {}", self.length - self.rest.len())
    }
}

/// Whether the root element has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Root {
    Awaited,
    Seen,
}

/// White space of XML (§2.3).
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Names may hold almost every character beyond ASCII; a check that takes all of them does not change what is read.
fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b'_' | b':' | 0x80..)
}

fn is_name_part(byte: u8) -> bool {
    is_name_start(byte) || byte.is_ascii_digit() || matches!(byte, b'-' | b'.')
}

fn is_name(text: &[u8]) -> bool {
    text.first().is_some_and(|&byte| is_name_start(byte)) && text.iter().all(|&byte| is_name_part(byte))
}

/// The character of `65` or `x41`, where it is one that may stand in a document.
fn character(number: &[u8]) -> Option<char> {
    let (digits, radix) = match number {
        [b'x', digits @ ..] => (digits, 16),
        digits => (digits, 10),
    };
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let code = u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()?;
    let allowed = code >= 0x20 || matches!(code, 0x9 | 0xa | 0xd);
    char::from_u32(code).filter(|_| allowed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(body: &[u8]) -> (Result<(), String>, String, Vec<String>) {
        let (mut texts, mut fields) = (Texts::default(), Vec::new());
        let result = parse(body, 10, &mut texts, &mut fields);
        let shown = |id| String::from_utf8_lossy(texts.get(id)).into_owned();
        let text = fields.pop().map(|field| shown(field.value)).unwrap_or_default();
        (result, text, fields.iter().map(|field| shown(field.value)).collect())
    }

    #[test]
    fn text_and_attributes_are_read() {
        let (result, text, attributes) = read(
            b"\xef\xbb\xbf<?xml version=\"1.0\" encoding='UTF-8'?>\n<!-- note --><a x='1&lt;2' xmlns:n=\"urn:x\">one \
              <n:b y = \"&#x41;&#66;\"/><![CDATA[<two>]]>&amp;<c>three</c ></a>\n<?end here?>",
        );
        assert_eq!(result, Ok(()));
        assert_eq!(text, "one <two>&three");
        assert_eq!(attributes, ["1<2", "AB"]);
    }

    #[test]
    fn declared_entities_stay_as_they_are_written() {
        let (result, text, attributes) =
            read(b"<!DOCTYPE a [<!ENTITY x \"lol]>\"><!ENTITY y SYSTEM 'file:///etc/passwd'>]><a b='&y;'>&x;&x;</a>");
        assert_eq!(result, Ok(()));
        assert_eq!(
            (text.as_str(), attributes.as_slice()),
            ("&x;&x;", &["&y;".to_owned()][..])
        );
    }

    #[test]
    fn utf16_is_read() {
        let text = "<a b=\"é\">ü</a>";
        let mut little = vec![0xff, 0xfe];
        little.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        let mut big = vec![0xfe, 0xff];
        big.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
        for body in [little, big] {
            assert_eq!(read(&body), (Ok(()), "ü".into(), vec!["é".into()]));
        }
        assert!(read(b"\xff\xfe<").0.is_err());
    }

    #[test]
    fn what_is_not_well_formed_is_said() {
        for (body, word) in [
            (&b""[..], "no element"),
            (b"text", "outside"),
            (b"<a>", "ends inside"),
            (b"<a></b>", "not open"),
            (b"<a/><b/>", "second root"),
            (b"<a></a>x", "outside"),
            (b"<a b>", "no value"),
            (b"<a b=c/>", "no quotes"),
            (b"<a b='c' b='d'/>", "twice"),
            (b"<a b='<'/>", "a <"),
            (b"<a b='1'c='2'/>", "not closed"),
            (b"<a>&x;</a>", "not declared"),
            (b"<a>& b</a>", "name and a ;"),
            (b"<a>&#0;</a>", "no character"),
            (b"<a>&#xd800;</a>", "no character"),
            (b"<a>]]></a>", "]]>"),
            (b"<a>\x01</a>", "control"),
            (b"<a><!-- -- --></a>", "--"),
            (b"<1/>", "no name"),
            (b"<a", "not closed"),
            (b" <?xml version='1.0'?><a/>", "not at the start"),
            (b"<?xml version='1.0' encoding='utf-7'?><a/>", "utf-7"),
            (b"<!DOCTYPE a [", "never closed"),
            (b"<a><!DOCTYPE a></a>", "no name"),
        ] {
            let message = read(body).0.unwrap_err();
            assert!(message.contains(word), "{}: {message}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn depth_and_number_are_bounded() {
        let deep = |levels: usize| [b"<a>".repeat(levels), b"</a>".repeat(levels)].concat();
        assert_eq!(read(&deep(MOST_DEPTH)).0, Ok(()));
        assert!(read(&deep(MOST_DEPTH + 1)).0.unwrap_err().contains("deeper"));
        let many = [&b"<a>"[..], &b"<b c='d'/>".repeat(11), b"</a>"].concat();
        assert!(read(&many).0.unwrap_err().contains("arguments"));
    }

    #[test]
    fn what_came_before_a_mistake_is_kept() {
        let (result, text, attributes) = read(b"<a b='c'>text<d></a>");
        assert!(result.is_err());
        assert_eq!((text.as_str(), attributes.len()), ("text", 1));
    }
}
