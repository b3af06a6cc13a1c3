//! The readable line: the Combined Log Format that every log tool knows, then what Weir knows besides.
//!
//! ```text
//! 203.0.113.7 - - [31/Jan/2026:23:59:59 +0000] "GET /a?b=c HTTP/1.1" 200 512 "-" "curl/8.5" id=0123456789abcdef0011223344556677
//! host=example.org listener=public route=api server=127.0.0.1:9001 cache=miss time=1.234ms upstream=1.001ms refusal=-
//! plugins=access:on_request:continue:1.250us waf.rule="942100"
//! ```
//! (one line, without the breaks). Bytes outside printable ASCII, quotes and backslashes are written `\xHH`, in values without
//! quotes spaces too.

use super::line::{Record, Stamp, TcpRecord, address, digits, header, micros, number, target, thousandths, version};

/// Appends a line.
pub fn line(out: &mut Vec<u8>, record: &Record<'_>, stamp: &Stamp) {
    let subject = record.subject;
    address(out, subject.client_ip);
    out.extend_from_slice(b" - - [");
    out.extend_from_slice(stamp.common.as_bytes());
    out.extend_from_slice(b"] \"");
    out.extend_from_slice(subject.request.method.as_str().as_bytes());
    out.push(b' ');
    escape(out, target(subject).as_bytes(), Spaces::Escaped);
    out.extend_from_slice(b" HTTP/");
    out.extend_from_slice(version(subject).as_bytes());
    out.extend_from_slice(b"\" ");
    number(out, u64::from(record.status));
    out.push(b' ');
    number(out, record.response_bytes);
    for name in [http::header::REFERER, http::header::USER_AGENT] {
        out.extend_from_slice(b" \"");
        escape(out, header(subject, name).unwrap_or(b"-"), Spaces::Kept);
        out.push(b'"');
    }
    out.extend_from_slice(b" id=");
    out.extend_from_slice(&subject.id.to_hex());
    word(out, " host=", Some(&subject.host));
    word(out, " listener=", Some(record.listener.as_bytes()));
    word(out, " route=", Some(subject.route.as_bytes()));
    word(out, " server=", record.server.map(str::as_bytes));
    word(out, " cache=", Some(record.cache.as_bytes()));
    out.extend_from_slice(b" time=");
    thousandths(out, micros(record.duration));
    out.extend_from_slice(b"ms upstream=");
    match record.upstream_time {
        Some(time) => {
            thousandths(out, micros(time));
            out.extend_from_slice(b"ms");
        }
        None => out.push(b'-'),
    }
    word(out, " refusal=", record.refusal.map(str::as_bytes));
    if let Some(target) = &subject.upstream_target {
        word(out, " upstream_target=", Some(target.as_str().as_bytes()));
    }
    plugins(out, record);
    for note in &subject.notes {
        out.push(b' ');
        escape(out, note.plugin.as_bytes(), Spaces::Escaped);
        out.push(b'.');
        escape(out, note.key.as_bytes(), Spaces::Escaped);
        out.extend_from_slice(b"=\"");
        escape(out, note.value.as_bytes(), Spaces::Kept);
        out.push(b'"');
    }
    out.push(b'\n');
}

/// Appends the line of a connection that was balanced as bytes: no status, and the name in the TLS handshake for a target.
pub fn tcp_line(out: &mut Vec<u8>, record: &TcpRecord<'_>, stamp: &Stamp) {
    address(out, record.client);
    out.extend_from_slice(b" - - [");
    out.extend_from_slice(stamp.common.as_bytes());
    out.extend_from_slice(b"] \"TCP ");
    escape(out, record.server_name.unwrap_or("-").as_bytes(), Spaces::Escaped);
    out.extend_from_slice(b"\" - ");
    number(out, record.sent_bytes);
    out.extend_from_slice(b" \"-\" \"-\" received=");
    number(out, record.received_bytes);
    word(out, " listener=", Some(record.listener.as_bytes()));
    word(out, " route=", record.route.map(str::as_bytes));
    word(out, " server=", record.server.map(str::as_bytes));
    out.extend_from_slice(b" time=");
    thousandths(out, micros(record.duration));
    out.extend_from_slice(b"ms connect=");
    match record.connect_time {
        Some(time) => {
            thousandths(out, micros(time));
            out.extend_from_slice(b"ms");
        }
        None => out.push(b'-'),
    }
    word(out, " result=", Some(record.result.as_bytes()));
    out.push(b'\n');
}

fn plugins(out: &mut Vec<u8>, record: &Record<'_>) {
    out.extend_from_slice(b" plugins=");
    if record.plugins.is_empty() {
        out.push(b'-');
    }
    for (index, trace) in record.plugins.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        for part in [&trace.plugin, trace.phase.as_str(), trace.verdict] {
            out.extend_from_slice(part.as_bytes());
            out.push(b':');
        }
        thousandths(out, trace.nanos);
        out.extend_from_slice(b"us");
    }
}

fn word(out: &mut Vec<u8>, key: &str, value: Option<&[u8]>) {
    out.extend_from_slice(key.as_bytes());
    match value {
        Some(value) if !value.is_empty() => escape(out, value, Spaces::Escaped),
        _ => out.push(b'-'),
    }
}

/// What becomes of spaces: within quotes they stand for themselves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spaces {
    Kept,
    Escaped,
}

fn escape(out: &mut Vec<u8>, mut rest: &[u8], spaces: Spaces) {
    let plain = |byte: u8| match byte {
        b'"' | b'\\' => false,
        b' ' => spaces == Spaces::Kept,
        _ => byte.is_ascii_graphic(),
    };
    while let Some(at) = rest.iter().position(|byte| !plain(*byte)) {
        let (head, tail) = rest.split_at(at);
        out.extend_from_slice(head);
        let Some((byte, tail)) = tail.split_first() else { return };
        out.extend_from_slice(b"\\x");
        digits(out, *byte);
        rest = tail;
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::tests::{note, record, stamp, subject, trace};
    use super::*;

    fn written(record: &Record<'_>) -> String {
        let mut out = Vec::new();
        line(&mut out, record, &stamp());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_is_combined_log_format_and_what_weir_knows_besides() {
        let mut subject = subject("/a?b=c", &[("user-agent", b"curl/8.5")]);
        subject.notes.push(note("waf", "rule", "942100"));
        let plugins = [trace("access", "continue", 1250), trace("waf", "reply", 33_000)];
        assert_eq!(
            written(&record(&subject, &plugins)),
            "203.0.113.7 - - [31/Jan/2026:23:59:59 +0000] \"GET /a?b=c HTTP/1.1\" 200 512 \"-\" \"curl/8.5\" \
             id=0123456789abcdef0011223344556677 host=example.org listener=public route=api server=127.0.0.1:9001 \
             cache=miss time=1.234ms upstream=1.001ms refusal=- \
             plugins=access:on_request:continue:1.250us,waf:on_request:reply:33.000us waf.rule=\"942100\"\n"
        );
    }

    #[test]
    fn what_is_absent_is_a_dash() {
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
        assert!(
            line.ends_with(" route=- server=- cache=- time=1.234ms upstream=- refusal=no-route plugins=-\n"),
            "{line}"
        );
    }

    #[test]
    fn a_client_cannot_forge_a_field_or_a_line() {
        let mut subject = subject("/", &[("user-agent", b"a\" 200 \xff\\\tb")]);
        subject.host = bytes::Bytes::from_static("a b=ü".as_bytes());
        subject.notes.push(note("waf", "data", "x\"\nid=1"));
        let line = written(&record(&subject, &[]));
        assert!(line.contains(r#" "a\x22 200 \xff\x5c\x09b" id="#), "{line}");
        assert!(line.contains(r" host=a\x20b=\xc3\xbc listener="), "{line}");
        assert!(line.contains(r#"waf.data="x\x22\x0aid=1""#), "{line}");
        assert_eq!(line.matches('\n').count(), 1);
    }
}
