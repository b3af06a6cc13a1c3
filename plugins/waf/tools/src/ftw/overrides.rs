//! Overrides: what a certain server is known to do otherwise than tests expect, in the format of go-ftw.

use std::path::Path;

use serde::Deserialize;

use super::schema::{Output, Test, TestFile};
use crate::Error;

/// A file of overrides.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Overrides {
    #[serde(default, rename = "test_overrides")]
    list: Vec<Override>,
}

/// What replaces the expectations of some tests.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Override {
    rule_id: u64,
    /// All tests of the rule where there are none.
    #[serde(default)]
    test_ids: Vec<u64>,
    /// All stages where there are none; the first is 0.
    #[serde(default)]
    stage_ids: Vec<usize>,
    #[serde(default, rename = "reason")]
    _reason: String,
    #[serde(default, rename = "retry_once")]
    _retry_once: Option<bool>,
    #[serde(default)]
    output: Output,
}

impl Overrides {
    /// Reads a file.
    ///
    /// # Errors
    /// What cannot be read, with its place.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let wrong = |error: &dyn std::fmt::Display| Error::new(format!("{}: {error}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
        serde_saphyr::from_str(&text).map_err(|error| wrong(&error))
    }

    /// Whether a test is one that a server is known to fail.
    #[must_use]
    pub fn names(&self, test: &Test) -> bool {
        self.list.iter().any(|over| over.concerns(test))
    }

    /// Replaces what tests expect.
    pub fn apply(&self, files: &mut [TestFile]) {
        for test in files.iter_mut().flat_map(|file| &mut file.tests) {
            for over in &self.list {
                if !over.concerns(test) {
                    continue;
                }
                for (index, stage) in test.stages.iter_mut().enumerate() {
                    if over.stage_ids.is_empty() || over.stage_ids.contains(&index) {
                        stage.output = over.output.clone();
                    }
                }
            }
        }
    }
}

impl Override {
    fn concerns(&self, test: &Test) -> bool {
        self.rule_id == test.rule && (self.test_ids.is_empty() || self.test_ids.contains(&test.number))
    }
}
