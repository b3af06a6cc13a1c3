//! (to come)

pub mod addresses;
