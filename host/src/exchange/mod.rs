//! The spine: what happens to one request, from its head to its last byte.

pub mod subject;
