//! The contract, as wit-bindgen writes it.

#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated")]

wit_bindgen::generate!({
    path: "wit",
    world: "plugin",
    ownership: Borrowing { duplicate_if_necessary: true },
    pub_export_macro: true,
    export_macro_name: "export_bindings",
    // The same structs on both sides: a list of limits goes to the host without being copied first.
    with: {
        "weir:plugin/counters@0.1.0/limit": crate::counters::Take,
        "weir:plugin/counters@0.1.0/outcome": crate::counters::Outcome,
    },
    runtime_path: "::weir_sdk::wit_bindgen::rt",
    default_bindings_module: "::weir_sdk::bindings",
});
