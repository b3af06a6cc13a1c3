//! Arguments to configuration to workers; no logic.

fn main() {}
