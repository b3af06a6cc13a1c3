//! One JSON object a line, always with the same keys.
//!
//! Bytes that are not UTF-8 are written as the four characters `\xHH`, so that nothing that a client sent is lost or breaks a
//! reader.

use super::line::{
    Record, Stamp, TcpRecord, address, digits, header, micros, millis, number, target, thousandths, version,
};
use crate::exchange::subject::Scheme;

/// Appends a line.
pub fn line(out: &mut Vec<u8>, record: &Record<'_>, stamp: &Stamp) {
    let subject = record.subject;
    out.extend_from_slice(b"{\"time\":\"");
    out.extend_from_slice(stamp.iso.as_bytes());
    out.push(b'.');
    millis(out, stamp.millis);
    out.extend_from_slice(b"Z\",\"id\":\"");
    out.extend_from_slice(&subject.id.to_hex());
    out.extend_from_slice(b"\",\"client\":\"");
    address(out, subject.client_ip);
    out.extend_from_slice(b"\",\"peer\":\"");
    address(out, subject.peer.ip());
    out.push(b'"');
    text(out, ",\"listener\":", Some(record.listener.as_bytes()));
    text(out, ",\"scheme\":", Some(subject.scheme.as_str().as_bytes()));
    text(out, ",\"method\":", Some(subject.request.method.as_str().as_bytes()));
    text(out, ",\"host\":", Some(&subject.host));
    text(out, ",\"target\":", Some(target(subject).as_bytes()));
    text(
        out,
        ",\"upstream_target\":",
        subject
            .upstream_target
            .as_ref()
            .map(|target| target.as_str().as_bytes()),
    );
    text(out, ",\"version\":", Some(version(subject).as_bytes()));
    text(out, ",\"referer\":", header(subject, http::header::REFERER));
    text(out, ",\"user_agent\":", header(subject, http::header::USER_AGENT));
    integer(out, ",\"status\":", u64::from(record.status));
    integer(out, ",\"request_bytes\":", record.request_bytes);
    integer(out, ",\"response_bytes\":", record.response_bytes);
    out.extend_from_slice(b",\"duration_ms\":");
    thousandths(out, micros(record.duration));
    out.extend_from_slice(b",\"upstream_ms\":");
    match record.upstream_time {
        Some(time) => thousandths(out, micros(time)),
        None => out.extend_from_slice(b"null"),
    }
    text(
        out,
        ",\"route\":",
        (!subject.route.is_empty()).then_some(subject.route.as_bytes()),
    );
    text(out, ",\"server\":", record.server.map(str::as_bytes));
    text(
        out,
        ",\"cache\":",
        (record.cache != "-").then_some(record.cache.as_bytes()),
    );
    text(out, ",\"refusal\":", record.refusal.map(str::as_bytes));
    out.extend_from_slice(b",\"plugins\":[");
    for (index, trace) in record.plugins.iter().enumerate() {
        comma(out, index);
        text(out, "{\"plugin\":", Some(trace.plugin.as_bytes()));
        text(out, ",\"phase\":", Some(trace.phase.as_str().as_bytes()));
        text(out, ",\"verdict\":", Some(trace.verdict.as_bytes()));
        out.extend_from_slice(b",\"us\":");
        thousandths(out, trace.nanos);
        out.push(b'}');
    }
    out.extend_from_slice(b"],\"notes\":[");
    for (index, note) in subject.notes.iter().enumerate() {
        comma(out, index);
        text(out, "{\"plugin\":", Some(note.plugin.as_bytes()));
        text(out, ",\"key\":", Some(note.key.as_bytes()));
        text(out, ",\"value\":", Some(note.value.as_bytes()));
        out.push(b'}');
    }
    out.extend_from_slice(b"]}\n");
}

/// Appends the line of a connection that was balanced as bytes; its keys are its own.
pub fn tcp_line(out: &mut Vec<u8>, record: &TcpRecord<'_>, stamp: &Stamp) {
    out.extend_from_slice(b"{\"time\":\"");
    out.extend_from_slice(stamp.iso.as_bytes());
    out.push(b'.');
    millis(out, stamp.millis);
    out.extend_from_slice(b"Z\",\"client\":\"");
    address(out, record.client);
    out.push(b'"');
    text(out, ",\"listener\":", Some(record.listener.as_bytes()));
    let scheme = match record.scheme {
        Scheme::Http => "tcp",
        Scheme::Https => "tls",
    };
    text(out, ",\"scheme\":", Some(scheme.as_bytes()));
    text(out, ",\"server_name\":", record.server_name.map(str::as_bytes));
    text(out, ",\"route\":", record.route.map(str::as_bytes));
    text(out, ",\"server\":", record.server.map(str::as_bytes));
    integer(out, ",\"received_bytes\":", record.received_bytes);
    integer(out, ",\"sent_bytes\":", record.sent_bytes);
    out.extend_from_slice(b",\"duration_ms\":");
    thousandths(out, micros(record.duration));
    out.extend_from_slice(b",\"connect_ms\":");
    match record.connect_time {
        Some(time) => thousandths(out, micros(time)),
        None => out.extend_from_slice(b"null"),
    }
    text(out, ",\"result\":", Some(record.result.as_bytes()));
    out.extend_from_slice(b"}\n");
}

fn comma(out: &mut Vec<u8>, index: usize) {
    if index > 0 {
        out.push(b',');
    }
}

fn integer(out: &mut Vec<u8>, key: &str, value: u64) {
    out.extend_from_slice(key.as_bytes());
    number(out, value);
}

fn text(out: &mut Vec<u8>, key: &str, value: Option<&[u8]>) {
    out.extend_from_slice(key.as_bytes());
    let Some(value) = value else {
        return out.extend_from_slice(b"null");
    };
    out.push(b'"');
    escape(out, value);
    out.push(b'"');
}

/// Appends bytes as the inside of a JSON string (RFC 8259 §7).
fn escape(out: &mut Vec<u8>, value: &[u8]) {
    // Nearly every value is plain ASCII: one pass to see it, one to copy it.
    if value
        .iter()
        .all(|byte| matches!(byte, 0x20..=0x7e) && *byte != b'"' && *byte != b'\\')
    {
        return out.extend_from_slice(value);
    }
    for chunk in value.utf8_chunks() {
        for byte in chunk.valid().bytes() {
            match byte {
                b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\t' => out.extend_from_slice(b"\\t"),
                0..=0x1f => {
                    out.extend_from_slice(b"\\u00");
                    digits(out, byte);
                }
                _ => out.push(byte),
            }
        }
        for byte in chunk.invalid() {
            out.extend_from_slice(b"\\\\x");
            digits(out, *byte);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::super::tests::{note, record, stamp, subject, trace};
    use super::*;

    fn written(record: &Record<'_>) -> Value {
        let mut out = Vec::new();
        line(&mut out, record, &stamp());
        assert_eq!(
            out.iter().position(|byte| *byte == b'\n'),
            Some(out.len() - 1),
            "one line"
        );
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn a_line_has_every_field() {
        let mut subject = subject("/a?b=c", &[("user-agent", b"curl/8.5")]);
        subject.notes.push(note("waf", "rule", "942100"));
        let plugins = [trace("waf", "reply", 33_000)];
        assert_eq!(
            written(&record(&subject, &plugins)),
            json!({
                "time": "2026-01-31T23:59:59.007Z", "id": "0123456789abcdef0011223344556677",
                "client": "203.0.113.7", "peer": "192.0.2.9", "listener": "public", "scheme": "https",
                "method": "GET", "host": "example.org", "target": "/a?b=c", "upstream_target": null, "version": "1.1",
                "referer": null, "user_agent": "curl/8.5", "status": 200, "request_bytes": 0, "response_bytes": 512,
                "duration_ms": 1.234, "upstream_ms": 1.001, "route": "api", "server": "127.0.0.1:9001",
                "cache": "miss", "refusal": null,
                "plugins": [{"plugin": "waf", "phase": "on_request", "verdict": "reply", "us": 33.0}],
                "notes": [{"plugin": "waf", "key": "rule", "value": "942100"}],
            })
        );
    }

    #[test]
    fn what_is_absent_is_null() {
        let mut subject = subject("/", &[]);
        subject.route = "".into();
        let record = Record {
            upstream_time: None,
            server: None,
            cache: "-",
            refusal: Some("no-route"),
            ..record(&subject, &[])
        };
        let line = written(&record);
        for key in ["upstream_ms", "server", "cache", "route", "referer", "user_agent"] {
            assert_eq!(line[key], Value::Null, "{key}");
        }
        assert_eq!(line["refusal"], "no-route");
    }

    #[test]
    fn any_bytes_make_valid_json() {
        let every: Vec<u8> = (0..=255).collect();
        let mut out = vec![b'"'];
        escape(&mut out, &every);
        out.push(b'"');
        let read: String = serde_json::from_slice(&out).unwrap();
        let mut expected: String = (0..=0x7f_u8).map(char::from).collect();
        expected.extend((0x80..=0xff_u8).map(|byte| format!("\\x{byte:02x}")));
        assert_eq!(read, expected);

        let mut out = vec![b'"'];
        escape(&mut out, "größer \u{2028} 🦀".as_bytes());
        out.push(b'"');
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), "größer \u{2028} 🦀");
    }

    proptest::proptest! {
        #[test]
        fn text_comes_back_as_it_was(value: String) {
            let mut out = vec![b'"'];
            escape(&mut out, value.as_bytes());
            out.push(b'"');
            proptest::prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), value);
        }
    }
}
