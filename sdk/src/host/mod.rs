//! The host as plain functions: the imports of the contract on `wasm32`, the thread's fake host everywhere else. Both files
//! have the same functions, in the order of `wit/weir-plugin.wit`.

#[cfg(target_arch = "wasm32")]
mod wasm;
#[cfg(target_arch = "wasm32")]
pub(crate) use wasm::*;

#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native::*;
