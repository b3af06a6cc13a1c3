//! The generator: every payload is put together from parts of which it is known whether RFC 9112 allows them, so that what has to
//! happen to the whole is known too.

use std::fmt;

/// What has to happen to a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// An error, and the connection closed.
    Refused,
    /// One request with this content.
    Forwarded {
        /// Without its framing.
        content: Vec<u8>,
    },
}

/// A request as bytes. `{id}` in it stands for its number.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Payload {
    text: Vec<u8>,
    pub(super) verdict: Verdict,
}

impl Payload {
    fn refused(text: impl AsRef<[u8]>) -> Self {
        Self {
            text: text.as_ref().to_vec(),
            verdict: Verdict::Refused,
        }
    }

    fn forwarded(text: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        Self {
            text: text.as_ref().to_vec(),
            verdict: Verdict::Forwarded {
                content: content.as_ref().to_vec(),
            },
        }
    }

    fn if_valid(valid: bool, text: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        if valid {
            Self::forwarded(text, content)
        } else {
            Self::refused(text)
        }
    }

    /// The bytes of the payload with this number.
    pub(super) fn bytes(&self, id: usize) -> Vec<u8> {
        replace(&self.text, b"{id}", id.to_string().as_bytes())
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.text.escape_ascii(), self.verdict)
    }
}

/// Replaces every occurrence.
fn replace(text: &[u8], what: &[u8], with: &[u8]) -> Vec<u8> {
    match text.windows(what.len()).position(|window| window == what) {
        Some(at) => [&text[..at], with, &replace(&text[at + what.len()..], what, with)].concat(),
        None => text.to_vec(),
    }
}

/// Content that is five bytes long, and as chunks.
const CONTENT: &str = "hello";
const CHUNKS: &str = "5\r\nhello\r\n0\r\n\r\n";

/// A part, and whether it is as the RFC says.
type Part = (&'static str, bool);

const LENGTHS: &[Part] = &[
    ("5", true),
    ("  5", true),
    ("\t5 \t", true),
    ("", false),
    ("05", false),
    ("0000000000000000000005", false),
    ("+5", false),
    ("-5", false),
    ("-0", false),
    ("5,5", false),
    ("5, 5", false),
    ("5,", false),
    (",5", false),
    ("5,6", false),
    ("5 5", false),
    ("5;", false),
    ("5.0", false),
    ("5e0", false),
    ("0x5", false),
    ("5h", false),
    ("five", false),
    ("\"5\"", false),
    ("5_0", false),
    ("\u{665}", false),
    ("\u{ff15}", false),
    ("5\0", false),
    ("\x0b5", false),
    ("5\x0c", false),
    ("5\r", false),
    ("\r\n 5", false),
    ("5\r\n 0", false),
    ("9223372036854775808", false),
    ("18446744073709551615", false),
    ("18446744073709551616", false),
    ("18446744073709551621", false),
    ("340282366920938463463374607431768211461", false),
];

const CODINGS: &[Part] = &[
    ("chunked", true),
    ("Chunked", true),
    ("CHUNKED \t", true),
    ("", false),
    ("chunked,", false),
    (",chunked", false),
    ("chunked, chunked", false),
    ("chunked,chunked", false),
    ("gzip, chunked", false),
    ("chunked, gzip", false),
    ("identity", false),
    ("identity, chunked", false),
    ("chunked, identity", false),
    ("gzip", false),
    ("xchunked", false),
    ("chunkedx", false),
    ("chunk", false),
    ("chunked;q=1", false),
    ("chunked; a=b", false),
    ("\"chunked\"", false),
    ("'chunked'", false),
    ("chunked\0", false),
    ("\0chunked", false),
    ("\x0bchunked", false),
    ("chunked\x0b", false),
    ("\x0cchunked", false),
    ("chunked\x7f", false),
    ("chunked\u{a0}", false),
    ("\u{feff}chunked", false),
    ("ch\u{fb}nked", false),
    ("chunked\r", false),
    ("\rchunked", false),
    ("\r\n chunked", false),
    ("\r\n\tchunked", false),
    ("identity\r\n , chunked", false),
    ("\nchunked", false),
    ("chunked\n", false),
    ("tRANSFER-eNCODING: chunked", false),
];

/// Another way to write a field's name.
type Writing = fn(&str) -> String;

/// How a framing field's name is written, `-` standing for itself.
const NAMES: &[(Writing, bool)] = &[
    (str::to_owned, true),
    (|name| name.to_ascii_lowercase(), true),
    (|name| name.to_ascii_uppercase(), true),
    (|name| format!("{name} "), false),
    (|name| format!("{name}\t"), false),
    (|name| format!(" {name}"), false),
    (|name| format!("\t{name}"), false),
    (|name| format!("{name}\0"), false),
    (|name| format!("\0{name}"), false),
    (|name| format!("{name}\x0b"), false),
    (|name| format!("{name}\r"), false),
    (|name| format!("\r{name}"), false),
    (|name| format!("{name}\u{a0}"), false),
    (|name| format!("\"{name}\""), false),
    (|name| format!("{name}:"), false),
    (|name| name.replace('-', "_"), false),
    (|name| name.replace('-', "_").to_ascii_lowercase(), false),
    (|name| name.replace('-', " "), false),
    (|name| name.replace('-', "\u{2010}"), false),
    (|name| name.replace('-', "\r\n-"), false),
];

/// Lengths, codings and both, in all their spellings and both orders, in both versions.
pub(super) fn framing() -> Vec<Payload> {
    let mut payloads = Vec::new();
    let head = |version: &str, fields: &[&str]| {
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        format!("POST /payload/{{id}} HTTP/{version}\r\nHost: a\r\nConnection: keep-alive\r\n{fields}\r\n")
    };
    for (name, name_valid) in NAMES {
        for (length, valid) in LENGTHS {
            let field = format!("{}: {length}", name("Content-Length"));
            for version in ["1.1", "1.0"] {
                let text = head(version, &[&field]) + CONTENT;
                payloads.push(Payload::if_valid(*name_valid && *valid, text, CONTENT));
            }
        }
        for (coding, valid) in CODINGS {
            let field = format!("{}: {coding}", name("Transfer-Encoding"));
            let text = head("1.1", &[&field]) + CHUNKS;
            payloads.push(Payload::if_valid(*name_valid && *valid, text, CONTENT));
            payloads.push(Payload::refused(head("1.0", &[&field]) + CHUNKS));
        }
    }
    // Two framing fields are one too many, whatever they say.
    for (length, _) in LENGTHS {
        let length = format!("Content-Length: {length}");
        for (coding, _) in CODINGS {
            let coding = format!("Transfer-Encoding: {coding}");
            payloads.push(Payload::refused(head("1.1", &[&length, &coding]) + CHUNKS));
            payloads.push(Payload::refused(head("1.1", &[&coding, &length]) + CHUNKS));
        }
        for (other, _) in LENGTHS {
            payloads.push(Payload::refused(
                head("1.1", &[&length, &format!("Content-Length: {other}")]) + CONTENT,
            ));
        }
    }
    for (one, _) in CODINGS {
        for (other, _) in CODINGS {
            let fields = [
                &*format!("Transfer-Encoding: {one}"),
                &*format!("Transfer-Encoding: {other}"),
            ];
            payloads.push(Payload::refused(head("1.1", &fields) + CHUNKS));
        }
    }
    // A field in `Connection` is not thereby gone.
    for named in ["Content-Length", "content-length, close", "Transfer-Encoding"] {
        let fields = [
            &*format!("Connection: {named}"),
            "Content-Length: 5",
            "Transfer-Encoding: chunked",
        ];
        payloads.push(Payload::refused(head("1.1", &fields) + CHUNKS));
    }
    payloads
}

/// Each byte that there is, at each place of a head.
pub(super) fn bytes() -> Vec<Payload> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let value = |byte: u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
    let mut payloads = Vec::new();
    for byte in 0..=u8::MAX {
        let mut add = |valid: bool, text: &str| {
            let text = replace(text.as_bytes(), b"{byte}", &[byte]);
            payloads.push(Payload::if_valid(valid, text, b""));
        };
        add(token(byte), "G{byte}ET /payload/{id} HTTP/1.1\r\nHost: a\r\n\r\n");
        add(byte == b' ', "GET{byte}/payload/{id}{byte}HTTP/1.1\r\nHost: a\r\n\r\n");
        add(byte == b'.', "GET /payload/{id} HTTP/1{byte}1\r\nHost: a\r\n\r\n");
        add(false, "GET /payload/{id} HTTP/1.1{byte}\r\nHost: a\r\n\r\n");
        // Bytes that RFC 3986 has no place for and browsers send are left to the proxy.
        if !b"\"<>[\\]^`{|}".contains(&byte) {
            let query = byte.is_ascii_graphic() && byte != b'#';
            add(query, "GET /payload/{id}?a{byte}b HTTP/1.1\r\nHost: a\r\n\r\n");
        }
        // A colon there ends the name, and the rest is a value.
        let name = token(byte) || byte == b':';
        add(name, "GET /payload/{id} HTTP/1.1\r\nHost: a\r\nX-A{byte}B: c\r\n\r\n");
        add(name, "GET /payload/{id} HTTP/1.1\r\nHost: a\r\nX{byte}: c\r\n\r\n");
        add(
            token(byte),
            "GET /payload/{id} HTTP/1.1\r\nHost: a\r\n{byte}X: c\r\n\r\n",
        );
        for text in [
            "GET /payload/{id} HTTP/1.1\r\nHost: a\r\nX:{byte}c\r\n\r\n",
            "GET /payload/{id} HTTP/1.1\r\nHost: a\r\nX: b{byte}c\r\n\r\n",
            "GET /payload/{id} HTTP/1.1\r\nHost: a\r\nX: b{byte}\r\n\r\n",
            "GET /payload/{id} HTTP/1.1\r\nHost: a\r\nX: {byte}\r\n\r\n",
        ] {
            add(value(byte), text);
        }
        // A Host is a name and perhaps a port.
        let name = byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        let port = byte == b':' || matches!(byte, b' ' | b'\t');
        add(name || port, "GET /payload/{id} HTTP/1.1\r\nHost: a{byte}\r\n\r\n");
    }
    payloads
}

/// The ends of lines replaced, one at a time and all at once.
pub(super) fn line_ends() -> Vec<Payload> {
    const ENDS: &[&str] = &[
        "\n",
        "\r",
        "",
        "\r\r\n",
        "\n\r",
        "\r\n\n",
        "\n\n",
        "\0\r\n",
        "\x0b\r\n",
        "\x0c\r\n",
        "\r\0\n",
        "\u{85}",
        "\u{2028}",
        "\r \n",
        "\u{a}\u{d}\u{a}",
        "\\r\\n",
        "%0d%0a",
    ];
    const TEXTS: &[&str] = &[
        "GET /payload/{id} HTTP/1.1|Host: a|X: y||",
        "POST /payload/{id} HTTP/1.1|Host: a|Content-Length: 5||hello",
        "POST /payload/{id} HTTP/1.1|Host: a|Content-Length: 5|X: y||hello",
        "POST /payload/{id} HTTP/1.1|Host: a|Transfer-Encoding: chunked|X: y||5|hello|0||",
        "POST /payload/{id} HTTP/1.1|Host: a|Transfer-Encoding: chunked||5;a=b|hello|0|T: u||",
    ];
    let mut payloads = Vec::new();
    for text in TEXTS {
        let parts: Vec<_> = text.split('|').collect();
        let content = if text.starts_with("POST") { CONTENT } else { "" };
        payloads.push(Payload::forwarded(parts.join("\r\n"), content));
        for end in ENDS {
            for at in 0..parts.len() - 1 {
                let mut bytes = String::new();
                for (index, part) in parts.iter().enumerate() {
                    bytes.push_str(part);
                    match index {
                        _ if index == at => bytes.push_str(end),
                        _ if index + 1 < parts.len() => bytes.push_str("\r\n"),
                        _ => {}
                    }
                }
                // Behind the last line of a message such an end begins the next one, which is another payload's concern.
                let begins_next = *end == "\r\n\n" && parts[at].is_empty() && at + 2 == parts.len();
                if !begins_next {
                    payloads.push(Payload::refused(bytes));
                }
            }
            payloads.push(Payload::refused(parts.join(end)));
        }
        for start in [
            "\r\n\r\n", "\n", "\r", "\r\n\n", " ", "\t", "\0", "\r\n ", "\u{feff}", "\x0b\r\n",
        ] {
            payloads.push(Payload::refused(start.to_owned() + &parts.join("\r\n")));
        }
        payloads.push(Payload::forwarded(format!("\r\n{}", parts.join("\r\n")), content));
    }
    payloads
}

/// Chunked bodies.
pub(super) fn chunks() -> Vec<Payload> {
    const SIZES: &[Part] = &[
        ("5", true),
        ("05", true),
        ("0000005", true),
        ("5;a", true),
        ("5;a=b", true),
        ("5;a=\"b;c\"", true),
        ("5 ; a = b", true),
        ("5;a;b=c;d", true),
        ("", false),
        ("+5", false),
        ("-5", false),
        ("0x5", false),
        ("0X5", false),
        ("x5", false),
        ("5h", false),
        ("5_", false),
        ("5.", false),
        ("5,5", false),
        ("5 5", false),
        (" 5", false),
        ("\t5", false),
        ("5 ", false),
        ("5\t", false),
        ("5\0", false),
        ("\x005", false),
        ("5\x0b", false),
        ("5\x0c", false),
        ("5\r", false),
        ("\r5", false),
        ("five", false),
        ("\u{665}", false),
        ("\u{ff15}", false),
        ("100000000000000005", false),
        ("10000000000000005", false),
        ("ffffffffffffffff", false),
        ("fffffffffffffffb", false),
        ("5;", false),
        ("5;;a", false),
        ("5;=b", false),
        ("5;a=", false),
        ("5;a=\"b", false),
        ("5;a=b\"c", false),
        ("5;a\nb", false),
        ("5;a\rb", false),
        ("5;a\0b", false),
        ("5;a\u{e9}", false),
        ("5;a b", false),
        ("5;a\r\r", false),
        ("5:a", false),
        ("5#", false),
    ];
    const DATA: &[Part] = &[
        ("hello\r\n", true),
        ("hello", false),
        ("hello\n", false),
        ("hello\r", false),
        ("hello\r\r\n", false),
        ("hello \r\n", false),
        ("hell\r\n", false),
        ("helloo\r\n", false),
        ("hello\n\r", false),
        ("hello\0\n", false),
        ("helloXX", false),
    ];
    const LASTS: &[Part] = &[
        ("0\r\n\r\n", true),
        ("000\r\n\r\n", true),
        ("0;a=b\r\n\r\n", true),
        ("0\r\nX-Sum: 1\r\n\r\n", true),
        ("0\r\nX-Sum: 1\r\nX-Other: 2\r\n\r\n", true),
        ("0\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n", true),
        ("0\r\nAuthorization: x\r\n\r\n", true),
        ("0\n\r\n", false),
        ("0\r\n\n", false),
        ("0\r\r\n\r\n", false),
        ("0\r\n\r\r\n", false),
        ("-0\r\n\r\n", false),
        ("0x0\r\n\r\n", false),
        ("00000000000000000\r\n\r\n", false),
        (" 0\r\n\r\n", false),
        ("0 \r\n\r\n", false),
        ("0\r\nContent-Length: 5\r\n\r\n", false),
        ("0\r\nContent_Length 5\r\n\r\n", false),
        ("0\r\nTransfer-Encoding: chunked\r\n\r\n", false),
        ("0\r\nHost: b\r\n\r\n", false),
        ("0\r\nX-Sum : 1\r\n\r\n", false),
        ("0\r\n X-Sum: 1\r\n\r\n", false),
        ("0\r\nX-Sum: 1\r\n 2\r\n\r\n", false),
        ("0\r\nX-Sum: 1\n\r\n", false),
        ("0\r\nX-Sum: 1\r\n\n", false),
        ("0\r\nX-Sum: \0\r\n\r\n", false),
        ("0\r\nX-Sum\r\n\r\n", false),
        ("0\r\n: 1\r\n\r\n", false),
        ("0\r\nX-S\u{fc}m: 1\r\n\r\n", false),
        ("0\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", false),
    ];
    let head = "POST /payload/{id} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut payloads = Vec::new();
    for (size, size_valid) in SIZES {
        for (data, data_valid) in DATA {
            let text = format!("{head}{size}\r\n{data}0\r\n\r\n");
            payloads.push(Payload::if_valid(*size_valid && *data_valid, text, CONTENT));
        }
        for (last, valid) in LASTS {
            let text = format!("{head}{size}\r\nhello\r\n{last}");
            payloads.push(Payload::if_valid(*size_valid && *valid, text, CONTENT));
        }
    }
    let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(300));
    payloads.push(Payload::refused(format!("{head}{long}")));
    let many = format!("1;{}\r\na\r\n", "a".repeat(200)).repeat(60);
    payloads.push(Payload::refused(format!("{head}{many}0\r\n\r\n")));
    let trailers = format!("X-Filler: {}\r\n", "a".repeat(1000)).repeat(20);
    payloads.push(Payload::refused(
        format!("{head}{CHUNKS}").replace("0\r\n\r\n", &format!("0\r\n{trailers}\r\n")),
    ));
    payloads
}

/// Methods, targets, versions and hosts.
pub(super) fn request_lines() -> Vec<Payload> {
    let mut payloads = Vec::new();
    for (line, valid) in [
        ("GET /payload/{id} HTTP/1.1", true),
        ("M-SEARCH /payload/{id} HTTP/1.1", true),
        ("get /payload/{id} HTTP/1.1", true),
        ("GET http://a/payload/{id} HTTP/1.1", true),
        ("GET HTTP://A/payload/{id} HTTP/1.1", true),
        ("GET http://a:80/payload/{id} HTTP/1.1", true),
        ("GET https://a:443/payload/{id} HTTP/1.1", true),
        ("GET http://a:81/payload/{id} HTTP/1.1", false),
        ("GET http://b/payload/{id} HTTP/1.1", false),
        ("GET http://a.b/payload/{id} HTTP/1.1", false),
        ("GET http://u@a/payload/{id} HTTP/1.1", false),
        ("GET http://a@b/payload/{id} HTTP/1.1", false),
        ("GET http:///payload/{id} HTTP/1.1", false),
        ("GET http:/payload/{id} HTTP/1.1", false),
        ("GET ftp://a/payload/{id} HTTP/1.1", false),
        ("GET file:///payload/{id} HTTP/1.1", false),
        ("GET a/payload/{id} HTTP/1.1", false),
        ("GET a:80 HTTP/1.1", false),
        ("GET payload/{id} HTTP/1.1", false),
        ("GET ?/payload/{id} HTTP/1.1", false),
        ("GET * HTTP/1.1", false),
        ("GET *{id} HTTP/1.1", false),
        ("OPTIONS *{id} HTTP/1.1", false),
        ("POST * HTTP/1.1", false),
        ("GET \\payload\\{id} HTTP/1.1", false),
        ("GET /payload\\{id} HTTP/1.1", false),
        ("GET /payload/{id}#fragment HTTP/1.1", false),
        ("GET /payload/{id} /x HTTP/1.1", false),
        ("GET /payload/{id}\u{e9} HTTP/1.1", false),
        ("GET  /payload/{id} HTTP/1.1", false),
        ("GET /payload/{id}  HTTP/1.1", false),
        ("GET\t/payload/{id} HTTP/1.1", false),
        ("GET /payload/{id}\tHTTP/1.1", false),
        (" GET /payload/{id} HTTP/1.1", false),
        ("GET /payload/{id} HTTP/1.1 ", false),
        ("GET /payload/{id} HTTP/1.1\t", false),
        ("GET /payload/{id} HTTP/1.1 HTTP/1.1", false),
        ("GET /payload/{id}", false),
        ("/payload/{id} HTTP/1.1", false),
        ("GET HTTP/1.1", false),
        ("GET", false),
        ("GET /payload/{id} HTTP/1.1,HTTP/1.1", false),
        ("GET /payload/{id} HTTP/0.9", false),
        ("GET /payload/{id} HTTP/1", false),
        ("GET /payload/{id} HTTP/1.", false),
        ("GET /payload/{id} HTTP/1.10", false),
        ("GET /payload/{id} HTTP/1.01", false),
        ("GET /payload/{id} HTTP/01.1", false),
        ("GET /payload/{id} HTTP/+1.1", false),
        ("GET /payload/{id} HTTP/1.1.1", false),
        ("GET /payload/{id} HTTP/1,1", false),
        ("GET /payload/{id} HTTP/1.2", false),
        ("GET /payload/{id} HTTP/1.9", false),
        ("GET /payload/{id} HTTP/2.0", false),
        ("GET /payload/{id} HTTP/3", false),
        ("GET /payload/{id} HTTP 1.1", false),
        ("GET /payload/{id} HTTP /1.1", false),
        ("GET /payload/{id} HTTP/ 1.1", false),
        ("GET /payload/{id} http/1.1", false),
        ("GET /payload/{id} Http/1.1", false),
        ("GET /payload/{id} HTTPS/1.1", false),
        ("GET /payload/{id} XHTTP/1.1", false),
        ("GET /payload/{id} HTTP\\1.1", false),
        ("GET /payload/{id} HTTP/x.y", false),
        ("GET /payload/{id} HTTP/\u{ff11}.1", false),
        ("CONNECT a:80 HTTP/1.1", false),
        ("CONNECT a: HTTP/1.1", false),
        ("CONNECT a HTTP/1.1", false),
        ("CONNECT /payload/{id} HTTP/1.1", false),
        ("CONNECT http://a/payload/{id} HTTP/1.1", false),
        ("PRI * HTTP/1.1", false),
    ] {
        payloads.push(Payload::if_valid(valid, format!("{line}\r\nHost: a\r\n\r\n"), ""));
    }
    for (hosts, valid) in [
        ("Host: a\r\n", true),
        ("HOST:a:80\r\n", true),
        ("host: A.b-c_d.\r\n", true),
        ("Host: [::1]:80\r\n", true),
        ("Host: 127.0.0.1\r\n", true),
        ("Host: a:\r\n", true),
        ("", false),
        ("Host:\r\n", false),
        ("Host: \r\n", false),
        ("Host: a\r\nHost: a\r\n", false),
        ("Host: a\r\nhost: b\r\n", false),
        ("Host: a\r\nX: y\r\nHOST:\r\n", false),
        ("Host: a, b\r\n", false),
        ("Host: a,b\r\n", false),
        ("Host: a b\r\n", false),
        ("Host: a/b\r\n", false),
        ("Host: a?b\r\n", false),
        ("Host: a#b\r\n", false),
        ("Host: u@a\r\n", false),
        ("Host: a@\r\n", false),
        ("Host: http://a\r\n", false),
        ("Host: a:b\r\n", false),
        ("Host: a:80:80\r\n", false),
        ("Host: a:+80\r\n", false),
        ("Host: a:65536\r\n", false),
        ("Host: a:80a\r\n", false),
        ("Host: :80\r\n", false),
        ("Host: [::1\r\n", false),
        ("Host: ::1\r\n", false),
        ("Host: [::g]\r\n", false),
        ("Host: [a]\r\n", false),
        ("Host: [::1]a\r\n", false),
        ("Host: a%00\r\n", false),
        ("Host: a;b\r\n", false),
        ("Host: \"a\"\r\n", false),
        ("Host: a\0\r\n", false),
        ("Host: \u{e9}\r\n", false),
        ("Host : a\r\n", false),
        (" Host: a\r\n", false),
        ("Host: a\r\n b\r\n", false),
        ("X: y\r\n Host: a\r\n", false),
    ] {
        for target in ["/payload/{id}", "http://a/payload/{id}"] {
            let named = matches!(hosts, "Host: a\r\n" | "HOST:a:80\r\n" | "Host: a:\r\n");
            let valid = valid && (target.starts_with('/') || named);
            payloads.push(Payload::if_valid(
                valid,
                format!("GET {target} HTTP/1.1\r\n{hosts}\r\n"),
                "",
            ));
        }
    }
    let trace = "TRACE /payload/{id} HTTP/1.1\r\nHost: a\r\n";
    payloads.push(Payload::forwarded(format!("{trace}\r\n"), ""));
    payloads.push(Payload::refused(format!("{trace}Content-Length: 5\r\n\r\nhello")));
    let long = "A".repeat(65);
    payloads.push(Payload::refused(format!(
        "{long} /payload/{{id}} HTTP/1.1\r\nHost: a\r\n\r\n"
    )));
    payloads
}
