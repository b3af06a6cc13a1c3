//! Requests with the payloads of the OWASP Core Rule Set's own tests.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use weir_waf::evaluate::RequestHead;

/// Where a payload stands in the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the value of an argument of a form, and in the query.
    Form,
    /// In a member of a JSON body.
    Json,
    /// In the path, a cookie and headers.
    Head,
}

impl Place {
    pub(crate) const ALL: [Self; 3] = [Self::Form, Self::Json, Self::Head];
}

/// A request with a payload: its head and its body.
pub(crate) fn request(place: Place, value: &[u8]) -> (RequestHead, Vec<u8>) {
    let (content_type, body) = match place {
        Place::Form => (
            &b"application/x-www-form-urlencoded"[..],
            [b"a=1&text=", value].concat(),
        ),
        Place::Json => (
            &b"application/json"[..],
            serde_json::to_vec(&serde_json::json!({"a": [1, {"text": String::from_utf8_lossy(value)}]})).unwrap(),
        ),
        Place::Head => (&b"text/plain"[..], Vec::new()),
    };
    let mut headers = vec![
        text("host", b"www.example.org"),
        text("content-type", content_type),
        text("content-length", body.len().to_string().as_bytes()),
    ];
    let mut path = b"/index.html".to_vec();
    if place == Place::Head {
        path = [b"/", value].concat();
        headers.extend(["user-agent", "referer", "x-file-name", "accept"].map(|name| text(name, value)));
        headers.push(text("cookie", &[b"name=", value].concat()));
    }
    let head = RequestHead {
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        method: "POST".to_owned(),
        version: "1.1".to_owned(),
        host: "www.example.org".to_owned(),
        path,
        target: None,
        query: (place == Place::Form).then(|| [b"q=", value].concat()),
        headers,
        id: "0".repeat(32),
    };
    (head, body)
}

/// The headers of a page with a payload.
pub(crate) fn response_headers(value: &[u8]) -> [(String, Vec<u8>); 2] {
    [text("content-type", b"text/html"), text("x-text", value)]
}

fn text(name: &str, value: &[u8]) -> (String, Vec<u8>) {
    (name.to_owned(), value.to_vec())
}

/// Every value of every line of the rule set's tests; of its rules, where the tests are not there.
pub(crate) fn all(folder: &Path) -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    for part in ["tests", "rules"] {
        files_below(&folder.join(part), &mut files);
        if !files.is_empty() {
            break;
        }
    }
    assert!(
        !files.is_empty(),
        "there are no tests and no rules in {}",
        folder.display()
    );
    let mut payloads = BTreeSet::new();
    for file in files {
        let text = std::fs::read(&file).unwrap();
        for line in text.split(|&byte| byte == b'\n') {
            let line = line.trim_ascii().trim_prefix_of(b"- ");
            let value = match line.windows(2).position(|pair| pair == b": ") {
                Some(at) if at < 40 => &line[at + 2..],
                _ => line,
            };
            let value = unquoted(value.trim_ascii());
            if (2..4000).contains(&value.len()) {
                payloads.insert(value.to_vec());
            }
        }
    }
    payloads.into_iter().collect()
}

trait TrimPrefix {
    fn trim_prefix_of(&self, prefix: &[u8]) -> &[u8];
}

impl TrimPrefix for [u8] {
    fn trim_prefix_of(&self, prefix: &[u8]) -> &[u8] {
        self.strip_prefix(prefix).unwrap_or(self)
    }
}

fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inside @ .., b'"'] | [b'\'', inside @ .., b'\''] => inside,
        _ => value,
    }
}

fn files_below(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut entries: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let extension = path.extension().and_then(|extension| extension.to_str());
        if path.is_dir() {
            files_below(&path, files);
        } else if matches!(extension, Some("yaml" | "conf")) {
            files.push(path);
        }
    }
}
