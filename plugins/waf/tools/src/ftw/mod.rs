//! Regression tests in the format of go-ftw, which the OWASP Core Rule Set and others write theirs in: the current schema, and the
//! one of CRS 3.3.
//!
//! - [`schema`]: YAML to tests, both schemas to one form;
//! - [`overrides`]: what a certain server is known to do otherwise;
//! - [`request`]: a test's input to the bytes that a client sends; [`template`]: what may stand in its data;
//! - [`expectation`]: what became of the request against what the test says must become of it.

pub mod expectation;
pub mod overrides;
pub mod request;
pub mod schema;
pub mod template;

pub use expectation::Failure;
pub use overrides::Overrides;
pub use schema::{Input, Output, Stage, Test, TestFile};
