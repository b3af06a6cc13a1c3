//! A request from an audit log: the event with its id. Events hold the head of a request, without secrets, and Weir's hold no body.

use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::Value;

use super::Received;
use super::wire;
use crate::Error;

/// The request of the event with this id. The log has one JSON document a line, which is an event or holds one.
///
/// # Errors
/// When the log cannot be read or has no such event.
pub fn find(log: &Path, id: &str) -> Result<Received, Error> {
    let cannot = |error: std::io::Error| Error::new(format!("{}: {error}", log.display()));
    let file = std::fs::File::open(log).map_err(cannot)?;
    for line in BufReader::new(file).split(b'\n') {
        let line = line.map_err(cannot)?;
        let Ok(document) = serde_json::from_slice::<Value>(&line) else {
            continue;
        };
        if let Some(transaction) = transaction(&document, id) {
            return message(&transaction)
                .map(|message| wire::read(&message))
                .ok_or_else(|| Error::new(format!("{}: the event {id} holds no request", log.display())));
        }
    }
    Err(Error::new(format!(
        "{}: there is no event with unique_id \"{id}\"",
        log.display()
    )))
}

/// The event of this id, wherever in a document it stands; also in text, as an access log quotes it.
fn transaction(value: &Value, id: &str) -> Option<Value> {
    match value {
        Value::Object(members) => {
            let event = members.get("transaction").filter(|event| {
                let known = event.get("unique_id").or_else(|| event.get("id"));
                known.and_then(Value::as_str) == Some(id)
            });
            event
                .cloned()
                .or_else(|| members.values().find_map(|member| transaction(member, id)))
        }
        Value::Array(items) => items.iter().find_map(|item| transaction(item, id)),
        Value::String(text) if text.contains("\"transaction\"") => {
            transaction(&serde_json::from_str::<Value>(text).ok()?, id)
        }
        _ => None,
    }
}

fn message(transaction: &Value) -> Option<Vec<u8>> {
    let request = transaction.get("request")?;
    let text = |name: &str| request.get(name).and_then(Value::as_str);
    let version = match &request.get("http_version") {
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text.trim_start_matches("HTTP/").to_owned(),
        _ => "1.1".to_owned(),
    };
    // What is left of an exchange over HTTP/2 is written as the one of HTTP/1.1 that rules see.
    let version = if version.starts_with('1') {
        version
    } else {
        "1.1".to_owned()
    };
    let body = text("body").unwrap_or_default();
    let mut message = format!("{} {} HTTP/{version}\r\n", text("method")?, text("uri")?);
    let mut lines = Vec::new();
    if let Some(Value::Object(headers)) = request.get("headers") {
        for (name, value) in headers {
            match value {
                Value::String(value) => lines.push((name.as_str(), value.as_str())),
                Value::Array(values) => {
                    lines.extend(values.iter().filter_map(Value::as_str).map(|v| (name.as_str(), v)))
                }
                _ => {}
            }
        }
    }
    // The framing that was, is not the framing of what is left of the body.
    let framing = ["content-length", "transfer-encoding"];
    lines.retain(|(name, _)| !framing.iter().any(|known| name.eq_ignore_ascii_case(known)));
    for (name, value) in &lines {
        message.push_str(&format!("{name}: {value}\r\n"));
    }
    if !lines.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"))
        && let Some(host) = text("hostname")
    {
        message.push_str(&format!("Host: {host}\r\n"));
    }
    message.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    Some(message.into_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_event_is_found_wherever_it_stands() {
        let event = r#"{"transaction":{"unique_id":"7","request":{"method":"GET","http_version":"1.1","hostname":"h","uri":"/a?b=c","headers":{"X":"y"}}}}"#;
        let quoted = serde_json::json!({"plugins": {"waf": {"audit": event}}}).to_string();
        for document in [event, &quoted] {
            let value: Value = serde_json::from_str(document).unwrap();
            let message = message(&transaction(&value, "7").unwrap()).unwrap();
            let request = wire::read(&message).request.unwrap();
            assert_eq!(request.head.query.as_deref(), Some(&b"b=c"[..]));
            assert_eq!(request.head.host, "h");
            assert!(transaction(&value, "8").is_none());
        }
    }
}
