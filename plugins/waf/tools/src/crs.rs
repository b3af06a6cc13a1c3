//! The OWASP Core Rule Set: where it is found on this machine, and how its own tests want it configured.

use std::path::{Path, PathBuf};

use weir_waf::config::{Config, EngineMode, Value};

use crate::rules::{Rules, Unsupported};

/// What rule sets expect of ModSecurity's own configuration, read before their files.
pub const MODSECURITY_SETUP: &str = include_str!("../setup/modsecurity.conf");

/// Where Debian's package `modsecurity-crs` puts the rules.
const DEBIAN: &str = "/usr/share/modsecurity-crs";

/// An installation of the rule set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crs {
    /// The folder with `rules`, and `tests` where there are any.
    pub root: PathBuf,
}

/// How much of a request the rules are eager about, and what a match leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// What the rule set's own tests run with: everything is reported and nothing refused, paranoia level 4, and the limits of
    /// arguments and files that the tests exceed.
    Tests,
    /// What an installation begins with: paranoia level 1, and requests are refused.
    Blocking,
}

impl Crs {
    /// The one that the environment variable `WEIR_CRS` names, else the one in `shared/crs` beside the repository, else Debian's.
    #[must_use]
    pub fn find() -> Option<Self> {
        let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../../shared/crs");
        std::env::var_os("WEIR_CRS")
            .map(PathBuf::from)
            .into_iter()
            .chain([PathBuf::from(beside), PathBuf::from(DEBIAN)])
            .map(|root| Self { root })
            .find(|crs| crs.rules_folder().is_dir())
    }

    /// Debian's, where it is installed.
    #[must_use]
    pub fn debian() -> Option<Self> {
        let crs = Self {
            root: PathBuf::from(DEBIAN),
        };
        crs.rules_folder().is_dir().then_some(crs)
    }

    /// The folder with the rule files.
    #[must_use]
    pub fn rules_folder(&self) -> PathBuf {
        self.root.join("rules")
    }

    /// The folder with go-ftw tests, where there is one.
    #[must_use]
    pub fn tests_folder(&self) -> Option<PathBuf> {
        ["tests/regression/tests", "tests"]
            .map(|name| self.root.join(name))
            .into_iter()
            .find(|folder| folder.is_dir())
    }

    /// The rules, set up.
    #[must_use]
    pub fn rules(&self, profile: Profile) -> Rules {
        let mut paths: Vec<PathBuf> = self.setup().into_iter().collect();
        paths.push(self.rules_folder());
        Rules {
            paths,
            before: vec![("modsecurity.conf".to_owned(), MODSECURITY_SETUP.to_owned())],
            config: profile.config(),
            unsupported: Unsupported::Refuse,
        }
    }

    fn setup(&self) -> Option<PathBuf> {
        let beside = ["crs-setup.conf", "crs-setup.conf.example"].map(|name| self.root.join(name));
        beside
            .into_iter()
            .chain([PathBuf::from("/etc/modsecurity/crs/crs-setup.conf")])
            .find(|path| path.is_file())
    }
}

/// The rules that a path on a command line means: an installation of the rule set, set up, where it is the folder of one; else the
/// files, as they are.
#[must_use]
pub fn rules(path: &Path, profile: Profile) -> Rules {
    let crs = Crs {
        root: path.to_path_buf(),
    };
    if crs.rules_folder().join("REQUEST-901-INITIALIZATION.conf").is_file() {
        return crs.rules(profile);
    }
    Rules {
        paths: vec![path.to_path_buf()],
        ..Rules::default()
    }
}

impl Profile {
    /// As `[plugin.config]`.
    #[must_use]
    pub fn config(self) -> Config {
        match self {
            Self::Blocking => Config::default(),
            Self::Tests => Config {
                engine: Some(EngineMode::DetectionOnly),
                paranoia_level: 4,
                variables: TEST_LIMITS
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), Value::Number(*value)))
                    .collect(),
                ..Config::default()
            },
        }
    }
}

/// The limits that the tests are written for, as names in `TX`.
const TEST_LIMITS: &[(&str, i64)] = &[
    ("max_num_args", 255),
    ("arg_name_length", 100),
    ("arg_length", 400),
    ("total_arg_length", 6400),
    ("max_file_size", 64_100),
    ("combined_file_sizes", 65_535),
    ("crs_validate_utf8_encoding", 1),
    // Off in the long-term branch unless an operator turns it on; its tests need it.
    ("crs_xml_attr_inspect", 1),
];
