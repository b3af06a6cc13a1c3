//! `[[listener]]`: where clients connect, and how they are spoken to.

use super::Fallback::{Described, Required, Value};
use super::Kind::{Choice, Duration, Flag, Integer, Path, Section as Table, Text, TextOrTexts, Texts};
use super::{Section, Shape, setting};

/// `[[listener]]`.
pub static LISTENER: Section = Section {
    path: "listener",
    shape: Shape::Array,
    prose: "A place where clients connect. At least one is needed.",
    settings: &[
        setting(
            "name",
            Text("a name"),
            Described("the address"),
            "Names the listener in logs and metrics. Unique.",
        ),
        setting(
            "address",
            TextOrTexts("an IP address and a port, `unix:` and a path, or `systemd:` and a name"),
            Required,
            "For example `0.0.0.0:80`, `[::]:443` or `unix:/run/weir.sock`; several as a list. Port 0 lets the system choose one. `systemd:NAME` takes the sockets that a systemd socket unit passes with `FileDescriptorName=NAME`. A client of a Unix socket has the address 127.0.0.1.",
        ),
        setting(
            "protocol",
            Choice(&["http", "tcp"]),
            Value("http"),
            "`http` sends requests to `[[route]]`, `tcp` bytes to the `[[tcp_route]]` that name this listener.",
        ),
        setting(
            "v6_only",
            Flag,
            Value("true"),
            "Whether `[::]` takes IPv6 alone. With `false` it takes IPv4 too.",
        ),
        setting(
            "unix_mode",
            Text("an octal number"),
            Value("0660"),
            "Permissions of the files of Unix sockets.",
        ),
        setting(
            "http2",
            Flag,
            Value("true"),
            "Offer HTTP/2: by ALPN through TLS; in clear to clients that begin with it (prior knowledge, RFC 9113 §3.3).",
        ),
        setting(
            "proxy_protocol",
            Texts("IP addresses and networks"),
            Described("none"),
            "Peers that begin each connection with a PROXY protocol header (version 1 or 2), for example load balancers. From them it is required, and its addresses stand for those of the connection; from everybody else it is not taken. A Unix socket's peer is 127.0.0.1. A version 2 header may be 4 KiB long.",
        ),
        setting(
            "redirect_https",
            Flag,
            Value("false"),
            "Answer requests in clear with 308 and the same URL through TLS, unless their route says `https = \"any\"`. A trusted proxy that says `X-Forwarded-Proto: https` has received them through TLS.",
        ),
        setting(
            "https_port",
            Integer(1, 65_535),
            Value("443"),
            "The port in those URLs.",
        ),
        setting("tls", Table("listener.tls"), Described("no TLS"), "Speak TLS here."),
    ],
};

/// `[listener.tls]`.
pub static LISTENER_TLS: Section = Section {
    path: "listener.tls",
    shape: Shape::Table,
    prose: "One certificate as `certificate` and `key`, or several as `[[listener.tls.certificates]]`. The files are watched and read again when they change.",
    settings: &[
        setting(
            "certificate",
            Path,
            Described("none"),
            "PEM file with the chain, leaf first.",
        ),
        setting(
            "key",
            Path,
            Described("none"),
            "PEM file with the key of `certificate`: PKCS#8, PKCS#1 or SEC1.",
        ),
        setting(
            "ocsp",
            Path,
            Described("none"),
            "An OCSP response for `certificate` in DER form, shown to clients (stapled).",
        ),
        setting(
            "certificates",
            Table("listener.tls.certificates"),
            Described("none"),
            "Several certificates, chosen by SNI. Where two have the same names, clients get the one whose kind of key they can verify.",
        ),
        setting(
            "min_version",
            Choice(&["1.2", "1.3"]),
            Value("1.2"),
            "The lowest version of TLS that is spoken.",
        ),
        setting(
            "ciphers",
            Texts("cipher suites by their registered names"),
            Described("all that are safe"),
            "For example `[\"TLS_AES_128_GCM_SHA256\", \"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256\"]`, preferred in this order where the client has no opinion.",
        ),
        setting(
            "resumption",
            Flag,
            Value("true"),
            "Whether clients may resume sessions: by tickets, whose keys change every 6 hours and which last at most 12, and with TLS 1.2 by identifiers (4,096 are kept a listener).",
        ),
        setting(
            "client",
            Table("listener.tls.client"),
            Described("none are asked for"),
            "Certificates of clients.",
        ),
        setting(
            "hsts",
            Table("listener.tls.hsts"),
            Described("no header"),
            "Tells browsers to use nothing but TLS.",
        ),
    ],
};

/// `[[listener.tls.certificates]]`.
pub static CERTIFICATE: Section = Section {
    path: "listener.tls.certificates",
    shape: Shape::Array,
    prose: "A certificate, chosen by the name that the client asks for (SNI). The first one serves clients that ask for none.",
    settings: &[
        setting("certificate", Path, Required, "PEM file with the chain, leaf first."),
        setting("key", Path, Required, "PEM file with its key: PKCS#8, PKCS#1 or SEC1."),
        setting("ocsp", Path, Described("none"), "An OCSP response for it, DER."),
    ],
};

/// `[listener.tls.client]`.
pub static CLIENT_CERTIFICATES: Section = Section {
    path: "listener.tls.client",
    shape: Shape::Table,
    prose: "Certificates that clients are asked for (mTLS). The section turns it on. Headers that tell servers of them are removed from what clients send, on every listener.",
    settings: &[
        setting("ca", Path, Required, "PEM file with the roots that vouch for clients."),
        setting(
            "verify",
            Choice(&["required", "optional"]),
            Value("required"),
            "Whether a client without a certificate is refused. One that is shown has to be valid in either case.",
        ),
        setting(
            "crl",
            Path,
            Described("none"),
            "PEM file with the revocation lists of those who sign clients' certificates. One that is out of date refuses all of them.",
        ),
        setting(
            "forward",
            Texts("`subject`, `fingerprint` and `certificate`"),
            Value("[\"subject\"]"),
            "What servers are told: the subject as `X-Client-Cert-Subject` (RFC 4514, `CN=client,O=Example`), SHA-256 over the certificate as `X-Client-Cert-Fingerprint`, the certificate itself as `Client-Cert` (RFC 9440).",
        ),
    ],
};

/// `[listener.tls.hsts]`.
pub static HSTS: Section = Section {
    path: "listener.tls.hsts",
    shape: Shape::Table,
    prose: "`Strict-Transport-Security` (RFC 6797) in every response that has none of its own. The section turns it on.",
    settings: &[
        setting(
            "max_age",
            Duration("1s", "3650d"),
            Value("365d"),
            "How long browsers keep to it.",
        ),
        setting(
            "include_subdomains",
            Flag,
            Value("false"),
            "Whether it counts for all hosts below, too.",
        ),
        setting(
            "preload",
            Flag,
            Value("false"),
            "Whether the host may be put on browsers' own lists.",
        ),
    ],
};
