//! (to come)

pub mod balance;
pub mod health;
