//! The contract of `sdk/wit` as the host knows it: names, the types that cross the border, and what a component has to be.

use wasmparser::{Parser, Payload};
use wasmtime::component::{ComponentType, Lift, Lower, WasmList, WasmStr, flags};

use super::phases::PhaseSet;
use crate::bundle::{Capabilities, Capability, Manifest};

/// The package's name.
const PACKAGE: &str = "weir:plugin";
/// The contract's version.
pub(super) const VERSION: &str = "0.1.0";
/// The interface that plugins export.
pub(super) const HANDLER: &str = "weir:plugin/handler@0.1.0";

/// The full name of an interface that plugins import.
pub(super) fn interface(name: &str) -> String {
    format!("{PACKAGE}/{name}@{VERSION}")
}

/// What is wrong with a component, and which line of the manifest is about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) line: usize,
    pub(super) message: String,
}

/// Checks that bytes are a component that exports the handler and imports nothing but what it was granted.
pub(super) fn check(manifest: &Manifest) -> Result<(), Vec<Refusal>> {
    let bytes = &manifest.component;
    let path = &manifest.component_path;
    let wrong = |message: String| {
        vec![Refusal {
            line: manifest.places.component,
            message: format!("`{path}` {message}"),
        }]
    };
    if Parser::is_core_wasm(bytes) {
        return Err(wrong(
            "is a core WebAssembly module, not a component; `weir plugin build` makes a component of it".into(),
        ));
    }
    if !Parser::is_component(bytes) {
        return Err(wrong("is not WebAssembly".into()));
    }
    let names = names(bytes).map_err(|error| wrong(format!("is not valid WebAssembly: {error}")))?;

    let mut refusals: Vec<Refusal> = names
        .imports
        .iter()
        .filter_map(|import| {
            let (line, message) = import_problem(import, &manifest.capabilities, manifest)?;
            Some(Refusal {
                line,
                message: format!("`{path}` {message}"),
            })
        })
        .collect();
    let handler = names
        .exports
        .iter()
        .find_map(|export| export.strip_prefix("weir:plugin/handler@"));
    match handler {
        None => refusals.extend(wrong(format!("is not a plugin: it does not export {HANDLER}"))),
        Some(version) if !compatible(version) => refusals.extend(wrong(contract_message(version))),
        Some(_) => {}
    }
    if refusals.is_empty() { Ok(()) } else { Err(refusals) }
}

fn import_problem(import: &str, granted: &Capabilities, manifest: &Manifest) -> Option<(usize, String)> {
    let component = manifest.places.component;
    let Some((interface, version)) = import
        .strip_prefix("weir:plugin/")
        .and_then(|rest| rest.split_once('@'))
    else {
        let message =
            format!("imports {import}, which Weir does not have; plugins are built for wasm32-unknown-unknown");
        return Some((component, message));
    };
    if !compatible(version) {
        return Some((component, contract_message(version)));
    }
    let capability = Capability::from_name(interface)?;
    if granted.has(capability) {
        return None;
    }
    let name = capability.as_str();
    Some((
        manifest.places.capabilities,
        format!(
            "uses `{name}`, which it was not granted; add \"{name}\" to the `capabilities` of plugin `{}`",
            manifest.name
        ),
    ))
}

/// Before 1.0 the second number counts: 0.1.7 has what 0.1.0 has, and perhaps more.
fn compatible(version: &str) -> bool {
    let first_two = |version: &str| {
        let mut numbers = version.split(['.', '-', '+']).map(str::to_owned);
        (numbers.next(), numbers.next())
    };
    first_two(version) == first_two(VERSION)
}

fn contract_message(version: &str) -> String {
    format!(
        "was built for version {version} of the plugin contract; this Weir has {VERSION}: build it with the SDK of this version, \
         or use a Weir that has the other one"
    )
}

/// The outermost names of a component.
#[derive(Debug, Default)]
struct Names {
    imports: Vec<String>,
    exports: Vec<String>,
}

fn names(component: &[u8]) -> wasmparser::Result<Names> {
    let mut names = Names::default();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    names.imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(exports) if depth == 0 => {
                for export in exports {
                    names.exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(names)
}

/// `verdict`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ComponentType, Lift)]
#[allow(dead_code, reason = "plugins make them")]
#[component(enum)]
#[repr(u8)]
pub(super) enum Verdict {
    #[component(name = "continue")]
    Continue,
    #[component(name = "hold")]
    Hold,
    #[component(name = "reply")]
    Reply,
    #[component(name = "close")]
    Close,
}

flags! {
    Phases {
        #[component(name = "on-request")]
        const ON_REQUEST;
        #[component(name = "on-request-body")]
        const ON_REQUEST_BODY;
        #[component(name = "on-response")]
        const ON_RESPONSE;
        #[component(name = "on-response-body")]
        const ON_RESPONSE_BODY;
        #[component(name = "on-finish")]
        const ON_FINISH;
    }
}

impl Phases {
    pub(super) fn set(self) -> PhaseSet {
        use super::Phase;
        [
            (Self::ON_REQUEST, Phase::OnRequest),
            (Self::ON_REQUEST_BODY, Phase::OnRequestBody),
            (Self::ON_RESPONSE, Phase::OnResponse),
            (Self::ON_RESPONSE_BODY, Phase::OnResponseBody),
            (Self::ON_FINISH, Phase::OnFinish),
        ]
        .into_iter()
        .filter(|(flag, _)| self & *flag == *flag)
        .map(|(_, phase)| phase)
        .collect()
    }
}

/// `edit-error`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
pub(super) enum EditError {
    #[component(name = "invalid-name")]
    InvalidName,
    #[component(name = "invalid-value")]
    InvalidValue,
    #[component(name = "reserved")]
    Reserved,
    #[component(name = "too-late")]
    TooLate,
}

impl From<weir_sdk::contract::EditError> for EditError {
    fn from(error: weir_sdk::contract::EditError) -> Self {
        use weir_sdk::contract::EditError as Sdk;
        match error {
            Sdk::InvalidName => Self::InvalidName,
            Sdk::InvalidValue => Self::InvalidValue,
            Sdk::Reserved => Self::Reserved,
            Sdk::TooLate => Self::TooLate,
        }
    }
}

/// `ip-address`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub(super) struct IpAddress {
    pub(super) high: u64,
    pub(super) low: u64,
}

impl From<std::net::IpAddr> for IpAddress {
    fn from(address: std::net::IpAddr) -> Self {
        let bits = match address {
            std::net::IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
            std::net::IpAddr::V6(v6) => v6.to_bits(),
        };
        Self {
            high: (bits >> 64) as u64,
            low: bits as u64,
        }
    }
}

impl From<IpAddress> for std::net::Ipv6Addr {
    fn from(address: IpAddress) -> Self {
        Self::from_bits(u128::from(address.high) << 64 | u128::from(address.low))
    }
}

impl From<IpAddress> for std::net::IpAddr {
    fn from(address: IpAddress) -> Self {
        Self::V6(address.into())
    }
}

/// `condition`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ComponentType, Lift)]
#[allow(dead_code, reason = "plugins make them")]
#[component(variant)]
pub(super) enum Condition {
    #[component(name = "client-in-table")]
    ClientInTable(u32),
    #[component(name = "client-between")]
    ClientBetween((IpAddress, IpAddress)),
    #[component(name = "path-in-table")]
    PathInTable(u32),
    #[component(name = "host-and-path-in-table")]
    HostAndPathInTable(u32),
}

/// `header-line`, towards the plugin.
#[derive(Debug, ComponentType, Lower)]
#[component(record)]
pub(super) struct HeaderLine {
    pub(super) name: String,
    pub(super) value: Vec<u8>,
}

/// `header-line`, from the plugin.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct GivenHeader {
    pub(super) name: WasmStr,
    pub(super) value: WasmList<u8>,
}

/// `kv.replacement`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
pub(super) enum Replacement {
    #[component(name = "kept")]
    Kept,
    #[component(name = "changed")]
    Changed,
    #[component(name = "full")]
    Full,
}

impl From<weir_sdk::kv::Replaced> for Replacement {
    fn from(replaced: weir_sdk::kv::Replaced) -> Self {
        use weir_sdk::kv::Replaced as Sdk;
        match replaced {
            Sdk::Kept => Self::Kept,
            Sdk::Changed => Self::Changed,
            Sdk::Full => Self::Full,
        }
    }
}

/// `log.level`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ComponentType, Lift)]
#[allow(dead_code, reason = "plugins make them")]
#[component(enum)]
#[repr(u8)]
pub(super) enum Level {
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
}

/// `counters.limit`
#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct Limit {
    pub(super) space: u32,
    pub(super) key: WasmList<u8>,
    pub(super) interval: u64,
    pub(super) burst: u32,
    pub(super) cost: u32,
}

/// `counters.outcome`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ComponentType, Lower)]
#[component(record)]
pub(super) struct Outcome {
    pub(super) allowed: bool,
    pub(super) remaining: u32,
    #[component(name = "reset-after")]
    pub(super) reset_after: u64,
    #[component(name = "retry-after")]
    pub(super) retry_after: u64,
}

/// `handler.summary`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ComponentType, Lower)]
#[component(record)]
pub(super) struct Summary {
    pub(super) status: u16,
    pub(super) duration: u64,
    #[component(name = "request-bytes")]
    pub(super) request_bytes: u64,
    #[component(name = "response-bytes")]
    pub(super) response_bytes: u64,
}

impl From<super::Summary> for Summary {
    fn from(summary: super::Summary) -> Self {
        let super::Summary {
            status,
            duration,
            request_bytes,
            response_bytes,
        } = summary;
        Self {
            status,
            duration,
            request_bytes,
            response_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use bytes::Bytes;

    use super::*;
    use crate::bundle;

    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    fn messages(component: &[u8]) -> Vec<String> {
        let manifest =
            "name = \"b\"\nversion = \"1\"\n[[plugin]]\nname = \"p\"\ncomponent = \"p.wasm\"\ncapabilities = []\n";
        let files: BTreeMap<String, Bytes> = [
            ("bundle.toml".to_owned(), Bytes::from_static(manifest.as_bytes())),
            ("p.wasm".to_owned(), Bytes::copy_from_slice(component)),
        ]
        .into();
        let bundle = bundle::parse(&files, "bundle.toml", BTreeMap::new()).unwrap();
        let refusals = check(&bundle.plugins[0]).err().unwrap_or_default();
        refusals
            .into_iter()
            .map(|refusal| format!("{}: {}", refusal.line, refusal.message))
            .collect()
    }

    /// A component that exports or imports an empty instance under a name.
    fn component(import: Option<&str>, export: Option<&str>) -> Vec<u8> {
        let mut bytes = COMPONENT.to_vec();
        let named = |name: &str| [&[0, name.len() as u8], name.as_bytes()].concat();
        let mut section = |id: u8, content: Vec<u8>| {
            bytes.extend([id, content.len() as u8]);
            bytes.extend(content);
        };
        if let Some(name) = import {
            // An instance type without anything in it, and an import of that type.
            section(7, vec![1, 0x42, 0]);
            section(10, [vec![1], named(name), vec![5, 0]].concat());
        }
        if let Some(name) = export {
            // An instance without anything in it, and an export of that instance.
            section(5, vec![1, 1, 0]);
            let index = u8::from(import.is_some());
            section(11, [vec![1], named(name), vec![5, index, 0]].concat());
        }
        bytes
    }

    #[test]
    fn what_is_not_a_plugin_is_told_what_it_is() {
        for (bytes, expected) in [
            (&b"hello"[..], "5: `p.wasm` is not WebAssembly"),
            (
                b"\0asm\x01\0\0\0",
                "5: `p.wasm` is a core WebAssembly module, not a component; `weir plugin build`",
            ),
            (b"\0asm\x0d\0\x01\0\xff\xff", "5: `p.wasm` is not valid WebAssembly"),
            (
                COMPONENT,
                "5: `p.wasm` is not a plugin: it does not export weir:plugin/handler@0.1.0",
            ),
        ] {
            let found = messages(bytes);
            assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?}");
        }
    }

    #[test]
    fn versions_are_compatible_up_to_the_second_number() {
        let exports = |version: &str| messages(&component(None, Some(&format!("weir:plugin/handler@{version}"))));
        assert_eq!(exports("0.1.0"), [""; 0]);
        assert_eq!(exports("0.1.7"), [""; 0]);
        assert!(exports("0.2.0")[0].starts_with("5: `p.wasm` was built for version 0.2.0 of the plugin contract"));
    }

    #[test]
    fn a_service_that_was_not_granted_is_named_with_the_line_to_change() {
        let handler = Some(HANDLER);
        assert_eq!(
            messages(&component(Some("weir:plugin/request@0.1.0"), handler)),
            [""; 0]
        );
        assert_eq!(
            messages(&component(Some("weir:plugin/kv@0.1.0"), handler)),
            ["6: `p.wasm` uses `kv`, which it was not granted; add \"kv\" to the `capabilities` of plugin `p`"]
        );
        assert!(
            messages(&component(Some("wasi:cli/environment@0.2.0"), handler))[0]
                .starts_with("5: `p.wasm` imports wasi:cli/environment@0.2.0, which Weir does not have")
        );
    }
}
