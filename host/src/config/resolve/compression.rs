//! `[compression]`.

use super::super::raw::{At, Table};
use super::super::{Coding, Compression, MediaType};

pub(super) fn compression(table: &Table<'_>) -> Compression {
    let default = Compression::default();
    let or = |given: Vec<_>, default| if given.is_empty() { default } else { given };
    Compression {
        codings: or(codings(table), default.codings),
        types: if table.has("types") {
            types(table)
        } else {
            default.types
        },
        min_size: table.size("min_size"),
        gzip_level: table.integer("gzip_level"),
        brotli_level: table.integer("brotli_level"),
        zstd_level: table.integer("zstd_level"),
    }
}

fn codings(table: &Table<'_>) -> Vec<Coding> {
    let mut codings = Vec::new();
    for At { value, span } in table.texts("codings") {
        match Coding::ALL.into_iter().find(|coding| coding.as_str() == value) {
            Some(coding) if codings.contains(&coding) => {
                table.problem(span, format!("\"{value}\" is listed twice"), "remove it");
            }
            Some(coding) => codings.push(coding),
            None => table.problem(
                span,
                format!("Weir has no content coding \"{value}\""),
                "\"zstd\", \"br\" or \"gzip\"",
            ),
        }
    }
    codings
}

fn types(table: &Table<'_>) -> Vec<MediaType> {
    let mut types = Vec::new();
    for At { value, span } in table.texts("types") {
        match MediaType::parse(value) {
            Some(media_type) => types.push(media_type),
            None => table.problem(
                span,
                format!("\"{value}\" is no media type"),
                "\"text/html\", \"text/*\" or \"*+json\"",
            ),
        }
    }
    types
}
