//! `[compression]`.

use super::Fallback::{Described, Value};
use super::Kind::{Integer, Size, Texts};
use super::{Section, Shape, setting};

/// `[compression]`.
pub static COMPRESSION: Section = Section {
    path: "compression",
    shape: Shape::Table,
    prose: "How responses are compressed, on the routes with `compress = true`. Left as they are: what has a `Content-Encoding` already, parts (206, and whatever a `Range` asked for), and what says `no-transform`. A cache keeps one response for each coding, compressed once.",
    settings: &[
        setting(
            "codings",
            Texts("`zstd`, `br`, `gzip`"),
            Described("`[\"zstd\", \"br\", \"gzip\"]`"),
            "What is offered. A client that likes several as much gets the first of them.",
        ),
        setting(
            "types",
            Texts("media types: `text/html`, `text/*`, `*+json`"),
            Described("text, JSON, XML, JavaScript, Wasm, SVG and uncompressed fonts"),
            "What is compressed, by `Content-Type`.",
        ),
        setting(
            "min_size",
            Size("0", "1GiB"),
            Value("1KiB"),
            "Smaller responses are left as they are. One that does not tell its length is compressed.",
        ),
        setting("gzip_level", Integer(1, 9), Value("5"), "From fast to small."),
        setting(
            "brotli_level",
            Integer(0, 11),
            Value("4"),
            "From fast to small. From 10 on it is many times slower, and keeps a worker from its other requests.",
        ),
        setting("zstd_level", Integer(1, 19), Value("3"), "From fast to small."),
    ],
};
