//! `reply`: the answer that goes with the verdict `reply`.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use wasmtime::Result;
use wasmtime::component::{LinkerInstance, WasmList};
use weir_sdk::contract;

use super::Caller;
use crate::exchange::subject::Reply;
use crate::plugin::contract::GivenHeader;
use crate::plugin::state::State;

pub(super) fn link(linker: &mut LinkerInstance<'_, State>) -> Result<()> {
    linker.func_wrap(
        "set",
        |mut store: Caller<'_>, (status, headers, body): (u16, Vec<GivenHeader>, WasmList<u8>)| {
            let reply = reply(&store, status, &headers, &body)?;
            store.data_mut().reply = Some(reply);
            Ok(())
        },
    )
}

/// The reply, or why it makes no sense. It is an error only when the plugin also answers `reply`.
fn reply(
    store: &Caller<'_>,
    status: u16,
    given: &[GivenHeader],
    body: &WasmList<u8>,
) -> Result<std::result::Result<Reply, String>> {
    if contract::check_status(status).is_err() {
        let range = contract::STATUSES;
        return Ok(Err(format!(
            "the reply has status {status}; it has to be {} to {}",
            range.start(),
            range.end()
        )));
    }
    let Ok(status) = StatusCode::from_u16(status) else {
        return Ok(Err(format!("{status} is not a status")));
    };
    let mut headers = HeaderMap::with_capacity(given.len());
    for header in given {
        let name = header.name.to_str(store)?;
        if contract::is_reserved(&name) {
            continue;
        }
        let value = header.value.as_le_slice(store);
        let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value)) else {
            return Ok(Err(format!("the reply has a header that cannot be sent: {:?}", &*name)));
        };
        headers.append(name, value);
    }
    Ok(Ok(Reply {
        status,
        headers,
        body: Bytes::copy_from_slice(body.as_le_slice(store)),
    }))
}
