//! The bytes that a client sends for a test, completed and encoded as go-ftw does it, because tests are written for that.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::schema::Input;
use super::template;
use crate::Error;

const FORM: &str = "application/x-www-form-urlencoded";

/// The request, or several where the test names several targets.
///
/// # Errors
/// What is not base64, or contradicts itself.
pub fn messages(input: &Input) -> Result<Vec<Vec<u8>>, Error> {
    if input.response.is_some() {
        return Err(Error::new(
            "input.response needs a network: describe the response in the body of a POST to /reflect",
        ));
    }
    if input.follow_redirect == Some(true) {
        return Err(Error::new(
            "input.follow_redirect needs a network: name the target of the redirect in uri",
        ));
    }
    if let Some(encoded) = input.encoded_request.as_deref().filter(|text| !text.is_empty()) {
        if input.data.is_some() || input.encoded_data.is_some() {
            return Err(Error::new(
                "encoded_request is the whole request: leave out data and encoded_data",
            ));
        }
        return Ok(vec![decode("encoded_request", encoded)?]);
    }
    let one = [input.uri.clone().unwrap_or_else(|| "/".to_owned())];
    let targets = if input.uris.is_empty() { &one[..] } else { &input.uris };
    targets.iter().map(|target| message(input, target)).collect()
}

fn message(input: &Input, target: &str) -> Result<Vec<u8>, Error> {
    let method = input.method.as_deref().unwrap_or("GET");
    let version = input.version.as_deref().unwrap_or("HTTP/1.1");
    let mut headers: Vec<(String, String)> = input
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), value.0.clone()))
        .collect();
    let mut data = match (&input.data, &input.encoded_data) {
        (Some(_), Some(_)) => return Err(Error::new("data and encoded_data exclude each other")),
        (Some(data), None) => template::fill(&data.0).into_bytes(),
        (None, Some(encoded)) => decode("encoded_data", encoded)?,
        (None, None) => Vec::new(),
    };
    let complete = input
        .autocomplete_headers
        .or(input.stop_magic.map(|stop| !stop))
        .unwrap_or(true);
    if complete && !data.is_empty() {
        add(&mut headers, "Content-Type", FORM);
        if input.encoded_data.is_none() && value(&headers, "Content-Type") == FORM {
            data = form_encoded(data);
        }
    }
    // YAML writes lines with a line feed; parts of a form are lines of HTTP.
    if input.encoded_data.is_none() && value(&headers, "Content-Type").starts_with("multipart/form-data;") {
        data = with_crlf(&data);
    }
    if complete {
        add(&mut headers, "Connection", "close");
        if !data.is_empty() || ["POST", "PUT", "PATCH", "DELETE"].contains(&method) {
            add(&mut headers, "Content-Length", &data.len().to_string());
        }
    }
    headers.sort();
    let mut message = format!("{method} {target} {version}\r\n").into_bytes();
    for (name, value) in &headers {
        message.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    message.extend_from_slice(b"\r\n");
    message.extend_from_slice(&data);
    Ok(message)
}

fn value<'h>(headers: &'h [(String, String)], wanted: &str) -> &'h str {
    headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
        .map_or("", |(_, value)| value)
}

/// Adds a header that is not there, or empty.
fn add(headers: &mut Vec<(String, String)>, name: &str, value: &str) {
    match headers.iter_mut().find(|(other, _)| other.eq_ignore_ascii_case(name)) {
        Some((_, empty)) if empty.is_empty() => value.clone_into(empty),
        Some(_) => {}
        None => headers.push((name.to_owned(), value.to_owned())),
    }
}

fn decode(key: &str, text: &str) -> Result<Vec<u8>, Error> {
    let compact: String = text.split_ascii_whitespace().collect();
    STANDARD
        .decode(compact)
        .map_err(|error| Error::new(format!("{key} is not base64: {error}")))
}

fn with_crlf(data: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(data.len() + 64);
    for (index, line) in data.split(|&b| b == b'\n').enumerate() {
        if index > 0 {
            lines.extend_from_slice(b"\r\n");
        }
        lines.extend_from_slice(line);
    }
    lines
}

/// Encodes a form that is not: one in which decoding would change nothing.
fn form_encoded(data: Vec<u8>) -> Vec<u8> {
    if data.iter().any(|b| matches!(b, b'%' | b'+')) {
        return data;
    }
    let mut encoded = Vec::with_capacity(data.len() + 64);
    for (index, pair) in data.split(|&b| b == b'&').enumerate() {
        if index > 0 {
            encoded.push(b'&');
        }
        match pair.iter().position(|&b| b == b'=') {
            None => escape(pair, &mut encoded),
            Some(at) => {
                let (name, value) = pair.split_at(at);
                escape(name, &mut encoded);
                encoded.push(b'=');
                escape(value.get(1..).unwrap_or_default(), &mut encoded);
            }
        }
    }
    encoded
}

fn escape(text: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in text {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte),
            b' ' => out.push(b'+'),
            _ => out.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ftw::schema::Text;

    fn sent(input: &Input) -> String {
        String::from_utf8(messages(input).unwrap().remove(0)).unwrap()
    }

    fn with(data: &str) -> Input {
        Input {
            data: Some(Text(data.to_owned())),
            headers: [("Host".to_owned(), Text("a".to_owned()))].into(),
            ..Input::default()
        }
    }

    #[test]
    fn what_is_missing_is_added_and_a_form_encoded() {
        assert_eq!(
            sent(&with("a=1 OR 1=1&b")),
            "GET / HTTP/1.1\r\nConnection: close\r\nContent-Length: 16\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Host: a\r\n\r\na=1+OR+1%3D1&b"
                .replace("16", "14")
        );
        assert!(sent(&with("a=%31 b")).ends_with("a=%31 b"), "it is encoded already");
    }

    #[test]
    fn nothing_is_added_where_the_test_says_so() {
        let input = Input {
            stop_magic: Some(true),
            ..with("a b")
        };
        assert_eq!(sent(&input), "GET / HTTP/1.1\r\nHost: a\r\n\r\na b");
    }

    #[test]
    fn a_post_says_that_its_body_is_empty() {
        let input = Input {
            method: Some("POST".to_owned()),
            ..Input::default()
        };
        assert!(sent(&input).contains("Content-Length: 0\r\n"));
    }

    #[test]
    fn a_whole_request_is_sent_as_it_is() {
        let input = Input {
            encoded_request: Some("R0VUIC8g\nSFRUUC8xLjANCg0K".to_owned()),
            ..Input::default()
        };
        assert_eq!(sent(&input), "GET / HTTP/1.0\r\n\r\n");
        let both = Input {
            encoded_request: Some("AA==".to_owned()),
            ..with("a")
        };
        assert!(messages(&both).is_err());
    }
}
