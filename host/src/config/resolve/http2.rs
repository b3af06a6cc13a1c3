//! `[http2]`.

use super::super::Http2;
use super::super::raw::Table;

pub(super) fn http2(table: &Table<'_>) -> Http2 {
    let bytes = |key| u32::try_from(table.size(key)).unwrap_or(u32::MAX);
    Http2 {
        stream_window: bytes("stream_window"),
        connection_window: bytes("connection_window"),
        stall: table.duration("stall"),
        resets: table.integer("resets"),
        stream_errors: table.integer("stream_errors"),
        continuations: table.integer("continuations"),
        pings: table.integer("pings"),
        settings: table.integer("settings"),
        window_updates: table.integer("window_updates"),
        priorities: table.integer("priorities"),
        empty_frames: table.integer("empty_frames"),
    }
}
