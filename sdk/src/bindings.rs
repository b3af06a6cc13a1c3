//! The contract, as wit-bindgen writes it.

#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated")]

wit_bindgen::generate!({
    path: "wit",
    world: "plugin",
    ownership: Borrowing { duplicate_if_necessary: true },
    pub_export_macro: true,
    export_macro_name: "export_bindings",
    runtime_path: "::weir_sdk::wit_bindgen::rt",
    default_bindings_module: "::weir_sdk::bindings",
});
