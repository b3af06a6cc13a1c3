//! Every setting of `weir.toml`: its kind, bounds, default and meaning, in one table.
//!
//! The readers take known keys, defaults and bounds from here, and `docs/configuration.md` is generated from it, so that
//! none of them can say something else than the others. Defaults and bounds are written as an operator would write them.
//!
//! Here is what a setting is; the sections have a file for each part of the configuration.

mod bounds;
mod cache;
mod compression;
mod listener;
mod operation;
mod route;
mod top;
mod upstream;

pub use self::bounds::{HTTP2, LIMITS, TIMEOUTS};
pub use self::cache::{CACHE, CACHE_DISK, CACHE_RULES, ROUTE_CACHE_RULES};
pub use self::compression::COMPRESSION;
pub use self::listener::{CERTIFICATE, CLIENT_CERTIFICATES, HSTS, LISTENER, LISTENER_TLS};
pub use self::operation::{ACCESS_LOG, ADMIN, PLUGINS};
pub use self::route::{ROUTE, ROUTE_TIMEOUTS, TCP_ROUTE};
pub use self::top::TOP;
pub use self::upstream::{EJECTION, HEALTH, SERVER, UPSTREAM, UPSTREAM_TLS};

/// All sections, in the order in which the reference shows them.
pub static SECTIONS: &[&Section] = &[
    &TOP,
    &LISTENER,
    &LISTENER_TLS,
    &CERTIFICATE,
    &CLIENT_CERTIFICATES,
    &HSTS,
    &ROUTE,
    &ROUTE_TIMEOUTS,
    &TCP_ROUTE,
    &ROUTE_CACHE_RULES,
    &UPSTREAM,
    &SERVER,
    &HEALTH,
    &EJECTION,
    &UPSTREAM_TLS,
    &CACHE,
    &CACHE_DISK,
    &CACHE_RULES,
    &COMPRESSION,
    &TIMEOUTS,
    &LIMITS,
    &HTTP2,
    &ACCESS_LOG,
    &ADMIN,
    &PLUGINS,
];

/// A table of the file.
#[derive(Debug)]
pub struct Section {
    /// As in the file, for example `listener.tls`; empty for the top level.
    pub path: &'static str,
    /// How often it may stand there.
    pub shape: Shape,
    /// What it is for.
    pub prose: &'static str,
    /// Its keys.
    pub settings: &'static [Setting],
}

/// How often a section may stand in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Once: `[cache]`.
    Table,
    /// Any number of times: `[[route]]`.
    Array,
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The key.
    pub key: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds when it is absent.
    pub default: Fallback,
    /// What it means.
    pub prose: &'static str,
}

/// What a setting takes.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A duration with unit, between two inclusive bounds.
    Duration(&'static str, &'static str),
    /// The same, or `"off"`.
    DurationOrOff(&'static str, &'static str),
    /// A number of bytes, between two inclusive bounds.
    Size(&'static str, &'static str),
    /// A whole number, between two inclusive bounds.
    Integer(i64, i64),
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A string, described.
    Text(&'static str),
    /// A list of strings, described.
    Texts(&'static str),
    /// A string or a list of strings, described.
    TextOrTexts(&'static str),
    /// A path; relative ones start at the folder of the configuration file.
    Path,
    /// Something with a reader of its own, described.
    Other(&'static str),
    /// A section of its own, with this path.
    Section(&'static str),
}

/// What holds when a setting is absent.
#[derive(Debug, Clone, Copy)]
pub enum Fallback {
    /// It has to be there.
    Required,
    /// This value, as it would stand in the file.
    Value(&'static str),
    /// Described.
    Described(&'static str),
}

impl Section {
    /// The setting of this key.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<&'static Setting> {
        self.settings.iter().find(|setting| setting.key == key)
    }

    /// How the section is written in a message: `[cache]`, `[[route]]`, `the top level`.
    #[must_use]
    pub fn title(&self) -> String {
        match (self.path, self.shape) {
            ("", _) => "the top level".to_owned(),
            (path, Shape::Table) => format!("[{path}]"),
            (path, Shape::Array) => format!("[[{path}]]"),
        }
    }
}

const fn setting(key: &'static str, kind: Kind, default: Fallback, prose: &'static str) -> Setting {
    Setting {
        key,
        kind,
        default,
        prose,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::Fallback::Value;
    use super::Kind::{
        Choice, Duration, DurationOrOff, Flag, Integer, Other, Path, Section as Table, Size, Text, TextOrTexts, Texts,
    };
    use super::*;
    use crate::config::units;

    #[test]
    fn every_default_lies_within_its_bounds() {
        let mut seen = 0;
        for section in SECTIONS {
            for setting in section.settings {
                let Value(default) = setting.default else { continue };
                seen += 1;
                let fits = match setting.kind {
                    Duration(low, high) | DurationOrOff(low, high) => {
                        let [low, value, high] = [low, default, high].map(|text| units::duration(text).unwrap());
                        low <= value && value <= high
                    }
                    Size(low, high) => {
                        let [low, value, high] = [low, default, high].map(|text| units::size(text).unwrap());
                        low <= value && value <= high
                    }
                    Integer(low, high) => (low..=high).contains(&default.parse().unwrap()),
                    Flag => default.parse::<bool>().is_ok(),
                    Choice(words) => words.contains(&default),
                    Text(_) | Texts(_) | TextOrTexts(_) | Path | Other(_) | Table(_) => true,
                };
                assert!(fits, "{}.{}", section.path, setting.key);
            }
        }
        assert!(seen > 30);
    }

    #[test]
    fn every_section_that_a_setting_names_exists_and_keys_are_unique() {
        for section in SECTIONS {
            for (index, setting) in section.settings.iter().enumerate() {
                assert!(
                    section.settings[..index]
                        .iter()
                        .all(|earlier| earlier.key != setting.key),
                    "{}",
                    setting.key
                );
                if let Table(path) = setting.kind {
                    assert!(SECTIONS.iter().any(|section| section.path == path), "{path}");
                }
            }
        }
    }
}
