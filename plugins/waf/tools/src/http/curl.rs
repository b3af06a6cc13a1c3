//! A command line of curl, as browsers copy it and people write it, to the request that curl would send.

use std::iter::Peekable;
use std::str::Chars;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Error;

const BOUNDARY: &str = "------------------------d74496d66958873e";

/// Options that change nothing about the request and take no value.
const IGNORED: &[&str] = &[
    "-k",
    "--insecure",
    "-s",
    "--silent",
    "-S",
    "--show-error",
    "-v",
    "--verbose",
    "-i",
    "--include",
    "-L",
    "--location",
    "-f",
    "--fail",
    "-N",
    "--no-buffer",
    "-#",
    "--progress-bar",
    "--globoff",
    "-g",
    "--path-as-is",
    "--http1.1",
    "--http2",
    "-4",
    "-6",
];

/// Options that change nothing about the request and take a value.
const IGNORED_WITH_VALUE: &[&str] = &[
    "-o",
    "--output",
    "-w",
    "--write-out",
    "-m",
    "--max-time",
    "--connect-timeout",
    "--resolve",
    "--cacert",
    "--cert",
    "--key",
    "-x",
    "--proxy",
    "--retry",
    "-D",
    "--dump-header",
    "-c",
    "--cookie-jar",
];

/// The bytes of the request.
///
/// # Errors
/// An option that is not known here, a file that cannot be read, a line that makes no sense.
pub fn message(line: &str) -> Result<Vec<u8>, Error> {
    let mut words = words(line)?.into_iter();
    match words.next().as_deref() {
        Some("curl") => {}
        _ => return Err(Error::new("a curl command line begins with curl")),
    }
    let mut call = Call::default();
    while let Some(word) = words.next() {
        let (option, mut glued) = split_option(&word);
        let mut value = || {
            glued
                .take()
                .or_else(|| words.next())
                .ok_or_else(|| Error::new(format!("curl: {option} needs a value")))
        };
        match option {
            "-X" | "--request" => call.method = Some(value()?),
            "-H" | "--header" => call.header(&value()?),
            "-d" | "--data" | "--data-ascii" => call.data(text_of(&value()?, Lines::Joined)?),
            "--data-binary" => call.data(text_of(&value()?, Lines::Kept)?),
            "--data-raw" => call.data(value()?.into_bytes()),
            "--data-urlencode" => call.data(url_encoded(&value()?)?),
            "--json" => {
                call.json = true;
                call.pieces.push(text_of(&value()?, Lines::Kept)?);
            }
            "-F" | "--form" => call.forms.push(value()?),
            "-b" | "--cookie" => call.headers.push(("Cookie".to_owned(), value()?)),
            "-A" | "--user-agent" => call.headers.push(("User-Agent".to_owned(), value()?)),
            "-e" | "--referer" => call.headers.push(("Referer".to_owned(), value()?)),
            "-u" | "--user" => {
                let credentials = STANDARD.encode(value()?);
                call.headers
                    .push(("Authorization".to_owned(), format!("Basic {credentials}")));
            }
            "--url" => call.url = Some(value()?),
            "-G" | "--get" => call.in_query = true,
            "-I" | "--head" => call.method = Some("HEAD".to_owned()),
            "-0" | "--http1.0" => call.version = "HTTP/1.0",
            "--compressed" => call
                .headers
                .push(("Accept-Encoding".to_owned(), "deflate, gzip, br, zstd".to_owned())),
            known if IGNORED.contains(&known) => {}
            known if IGNORED_WITH_VALUE.contains(&known) => drop(value()?),
            unknown if unknown.starts_with('-') => {
                return Err(Error::new(format!(
                    "curl: the option {unknown} is not known here; leave it out"
                )));
            }
            _ => call.url = Some(word.clone()),
        }
    }
    call.message()
}

/// `-XPOST` and `--request=POST` carry their values with them.
fn split_option(word: &str) -> (&str, Option<String>) {
    if word.starts_with("--") {
        return (word, None);
    }
    let glued = ["-X", "-H", "-d", "-F", "-b", "-A", "-e", "-u", "-o"];
    match word.get(..2) {
        Some(short) if word.len() > 2 && glued.contains(&short) => (short, word.get(2..).map(str::to_owned)),
        _ => (word, None),
    }
}

#[derive(Debug)]
struct Call {
    method: Option<String>,
    url: Option<String>,
    headers: Vec<(String, String)>,
    pieces: Vec<Vec<u8>>,
    forms: Vec<String>,
    json: bool,
    in_query: bool,
    version: &'static str,
}

impl Default for Call {
    fn default() -> Self {
        Self {
            method: None,
            url: None,
            headers: Vec::new(),
            pieces: Vec::new(),
            forms: Vec::new(),
            json: false,
            in_query: false,
            version: "HTTP/1.1",
        }
    }
}

impl Call {
    fn data(&mut self, piece: Vec<u8>) {
        self.pieces.push(piece);
    }

    fn header(&mut self, line: &str) {
        let (name, value) = line.split_once([':', ';']).unwrap_or((line, ""));
        self.headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }

    fn message(mut self) -> Result<Vec<u8>, Error> {
        let url = self.url.take().ok_or_else(|| Error::new("curl: the URL is missing"))?;
        let (host, mut target) = split_url(&url);
        let joiner: &[u8] = if self.json { b"" } else { b"&" };
        let mut body = self.pieces.join(joiner);
        let mut media = "application/x-www-form-urlencoded".to_owned();
        if self.json {
            media = "application/json".to_owned();
            self.default_header("Accept", "application/json");
        }
        if !self.forms.is_empty() {
            media = format!("multipart/form-data; boundary={BOUNDARY}");
            body = multipart(&self.forms)?;
        }
        if self.in_query && !body.is_empty() {
            target.push(if target.contains('?') { '&' } else { '?' });
            target.push_str(&String::from_utf8_lossy(&std::mem::take(&mut body)));
        }
        let has_body = !body.is_empty();
        let method = match &self.method {
            Some(method) => method.clone(),
            None if has_body => "POST".to_owned(),
            None => "GET".to_owned(),
        };
        self.default_header("Host", &host);
        self.default_header("User-Agent", "curl/8.14.1");
        self.default_header("Accept", "*/*");
        if has_body {
            self.default_header("Content-Type", &media);
            self.headers
                .retain(|(name, _)| !name.eq_ignore_ascii_case("content-length"));
            self.headers.push(("Content-Length".to_owned(), body.len().to_string()));
        }
        let mut message = format!("{method} {target} {}\r\n", self.version).into_bytes();
        // As curl does, a header with an empty value is one that is not sent.
        for (name, value) in self.headers.iter().filter(|(_, value)| !value.is_empty()) {
            message.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        message.extend_from_slice(b"\r\n");
        message.extend_from_slice(&body);
        Ok(message)
    }

    fn default_header(&mut self, name: &str, value: &str) {
        if !self.headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
            self.headers.push((name.to_owned(), value.to_owned()));
        }
    }
}

/// Host, with port, and target.
fn split_url(url: &str) -> (String, String) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let target = target.split('#').next().unwrap_or_default();
    let target = if target.starts_with('/') {
        target.to_owned()
    } else {
        format!("/{target}")
    };
    (host.to_owned(), target)
}

/// What becomes of the lines of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lines {
    /// Their ends are removed.
    Joined,
    /// They stay.
    Kept,
}

/// The value itself, or the file that `@` names.
fn text_of(value: &str, lines: Lines) -> Result<Vec<u8>, Error> {
    let Some(file) = value.strip_prefix('@') else {
        return Ok(value.as_bytes().to_vec());
    };
    let mut text = read(file)?;
    if lines == Lines::Joined {
        text.retain(|b| !matches!(b, b'\r' | b'\n' | 0));
    }
    Ok(text)
}

fn read(file: &str) -> Result<Vec<u8>, Error> {
    std::fs::read(file).map_err(|error| Error::new(format!("curl: {file}: {error}")))
}

/// `content`, `=content`, `name=content`, `@file`, `name@file`.
fn url_encoded(value: &str) -> Result<Vec<u8>, Error> {
    let (name, content) = match value.find(['=', '@']) {
        None => ("", value.as_bytes().to_vec()),
        Some(at) => {
            let (name, rest) = value.split_at(at);
            let content = rest.get(1..).unwrap_or_default();
            if rest.starts_with('@') {
                (name, read(content)?)
            } else {
                (name, content.as_bytes().to_vec())
            }
        }
    };
    let mut encoded = name.as_bytes().to_vec();
    if !name.is_empty() {
        encoded.push(b'=');
    }
    for byte in content {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(byte),
            _ => encoded.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    Ok(encoded)
}

/// `name=content`, `name=@file;type=text/plain;filename=x`.
fn multipart(forms: &[String]) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    for form in forms {
        let (name, content) = form
            .split_once('=')
            .ok_or_else(|| Error::new(format!("curl: -F {form} has no =")))?;
        let mut header = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"");
        let content = match content.strip_prefix('@') {
            None => content.as_bytes().to_vec(),
            Some(file) => {
                let mut parts = file.split(';');
                let path = parts.next().unwrap_or_default();
                let (mut shown, mut media) = (path.rsplit('/').next().unwrap_or(path), "application/octet-stream");
                for part in parts {
                    match part.trim().split_once('=') {
                        Some(("filename", value)) => shown = value.trim_matches('"'),
                        Some(("type", value)) => media = value,
                        _ => {}
                    }
                }
                header.push_str(&format!("; filename=\"{shown}\"\r\nContent-Type: {media}"));
                read(path)?
            }
        };
        body.extend_from_slice(header.as_bytes());
        body.extend_from_slice(b"\r\n\r\n");
        body.extend_from_slice(&content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    Ok(body)
}

/// Splits as a shell does: quotes of three kinds, backslashes, continued lines.
fn words(line: &str) -> Result<Vec<String>, Error> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' => word
                .get_or_insert_default()
                .push_str(&until(&mut chars, '\'', quoted_plain)?),
            '"' => word
                .get_or_insert_default()
                .push_str(&until(&mut chars, '"', quoted_double)?),
            '$' if chars.peek() == Some(&'\'') => {
                chars.next();
                word.get_or_insert_default()
                    .push_str(&until(&mut chars, '\'', quoted_c)?);
            }
            '\\' => match chars.next() {
                Some('\n') | None => {}
                Some(next) => word.get_or_insert_default().push(next),
            },
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

type Unescape = fn(&mut Peekable<Chars<'_>>) -> Option<String>;

fn until(chars: &mut Peekable<Chars<'_>>, end: char, unescape: Unescape) -> Result<String, Error> {
    let mut text = String::new();
    while let Some(c) = chars.next() {
        if c == end {
            return Ok(text);
        }
        match (c, if c == '\\' { unescape(chars) } else { None }) {
            ('\\', Some(escaped)) => text.push_str(&escaped),
            _ => text.push(c),
        }
    }
    Err(Error::new(format!("curl: a quote {end} is never closed")))
}

fn quoted_plain(_: &mut Peekable<Chars<'_>>) -> Option<String> {
    None
}

fn quoted_double(chars: &mut Peekable<Chars<'_>>) -> Option<String> {
    match chars.peek()? {
        '"' | '\\' | '$' | '`' => chars.next().map(String::from),
        '\n' => chars.next().map(|_| String::new()),
        _ => None,
    }
}

/// The escapes of `$'...'`, which browsers write.
fn quoted_c(chars: &mut Peekable<Chars<'_>>) -> Option<String> {
    let digits = |chars: &mut Peekable<Chars<'_>>, most: usize| {
        let mut number = 0;
        for _ in 0..most {
            let Some(digit) = chars.peek().and_then(|c| c.to_digit(16)) else {
                break;
            };
            number = number * 16 + digit;
            chars.next();
        }
        char::from_u32(number).map(String::from)
    };
    match chars.next()? {
        'n' => Some("\n".to_owned()),
        'r' => Some("\r".to_owned()),
        't' => Some("\t".to_owned()),
        'x' => digits(chars, 2),
        'u' => digits(chars, 4),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sent(line: &str) -> String {
        String::from_utf8(message(line).unwrap()).unwrap()
    }

    #[test]
    fn a_plain_call_is_a_get() {
        assert_eq!(
            sent(
                "curl -sk 'http://shop.example.org:8080/a?b=c#d'"
                    .replace("-sk", "-s -k")
                    .as_str()
            ),
            "GET /a?b=c HTTP/1.1\r\nHost: shop.example.org:8080\r\nUser-Agent: curl/8.14.1\r\nAccept: */*\r\n\r\n"
        );
    }

    #[test]
    fn data_makes_a_post() {
        let sent = sent("curl example.org -d a=1 --data-urlencode 'b=x y&z' -H 'X-A: 1' -b s=1 -A me");
        assert!(
            sent.starts_with("POST / HTTP/1.1\r\nX-A: 1\r\nCookie: s=1\r\nUser-Agent: me\r\nHost: example.org\r\n")
        );
        assert!(sent.ends_with("Content-Length: 15\r\n\r\na=1&b=x%20y%26z"), "{sent}");
    }

    #[test]
    fn json_forms_and_queries_are_built() {
        assert!(sent("curl --json '{\"a\":1}' h").contains("Content-Type: application/json\r\n"));
        assert!(sent("curl -G -d q=1 -d r=2 'h/s?p=0'").starts_with("GET /s?p=0&q=1&r=2 "));
        let form = sent("curl -F name=value h");
        assert!(form.contains("name=\"name\"\r\n\r\nvalue\r\n--"), "{form}");
    }

    #[test]
    fn words_are_split_as_a_shell_does() {
        let split = words("a 'b c' \"d\\\"e\\x\" $'f\\n\\x41' g\\ h \\\n i").unwrap();
        assert_eq!(split, ["a", "b c", "d\"e\\x", "f\nA", "g h", "i"]);
        assert!(words("'a").is_err());
    }

    #[test]
    fn what_is_not_known_is_named() {
        assert!(
            message("curl --upload-file x h")
                .unwrap_err()
                .to_string()
                .contains("--upload-file")
        );
        assert!(message("wget h").is_err());
    }
}
