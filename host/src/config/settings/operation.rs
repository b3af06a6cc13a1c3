//! `[access_log]`, `[admin]` and `[plugins]`: what the process does beside serving.

use super::Fallback::{Described, Value};
use super::Kind::{Choice, Integer, Path, Size, Text};
use super::{Section, Shape, setting};

/// `[access_log]`.
pub static ACCESS_LOG: Section = Section {
    path: "access_log",
    shape: Shape::Table,
    prose: "One line an exchange.",
    settings: &[
        setting(
            "format",
            Choice(&["text", "json", "off"]),
            Value("text"),
            "A readable line, a JSON object, or nothing.",
        ),
        setting(
            "file",
            Path,
            Described("standard output"),
            "Lines are appended. SIGHUP opens it again, so that it can be rotated.",
        ),
        setting(
            "events",
            Path,
            Described("among the lines"),
            "A file of their own for events of plugins, such as a WAF's audit events. Appended and opened again like `file`.",
        ),
    ],
};

/// `[admin]`.
pub static ADMIN: Section = Section {
    path: "admin",
    shape: Shape::Table,
    prose: "The operator's own port: health, metrics, and what `weir deploy`, `weir status`, `weir rollback` and `weir reload` speak to.",
    settings: &[
        setting(
            "address",
            Text("an IP address and a port, or `off`"),
            Value("127.0.0.1:9180"),
            "Where it listens. `off` turns it off.",
        ),
        setting(
            "token",
            Text("at least 16 characters"),
            Described("none"),
            "Bearer token asked of every call that changes something. Needed when the address is not loopback.",
        ),
        setting(
            "token_file",
            Path,
            Described("none"),
            "A file that holds the token, instead of `token`.",
        ),
    ],
};

/// `[plugins]`.
pub static PLUGINS: Section = Section {
    path: "plugins",
    shape: Shape::Table,
    prose: "Plugins and their state on disk.",
    settings: &[
        setting(
            "bundle",
            Path,
            Described("none"),
            "The bundle (a folder or its tar) that is activated at the start when no generation was deployed before.",
        ),
        setting(
            "state",
            Path,
            Value("/var/lib/weir"),
            "Folder of the generations kept for rollback and of compiled artefacts.",
        ),
        setting("keep", Integer(1, 1000), Value("5"), "Generations kept for rollback."),
        setting(
            "counters",
            Size("64KiB", "1TiB"),
            Value("64MiB"),
            "Counters of all plugins together.",
        ),
        setting(
            "kv",
            Size("64KiB", "1TiB"),
            Value("64MiB"),
            "Key-value data of all plugins together.",
        ),
    ],
};
