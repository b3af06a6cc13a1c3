//! `request`: the request head.

use http::uri::PathAndQuery;
use http::{HeaderMap, Version};
use smallvec::SmallVec;
use wasmtime::Result;
use wasmtime::component::{LinkerInstance, WasmList};
use weir_sdk::contract;
use weir_sdk::head::{self, Parts};

use super::headers::{self, Message};
use super::{Caller, Edited};
use crate::plugin::contract::{EditError, IpAddress};
use crate::plugin::state::State;

pub(super) fn link(linker: &mut LinkerInstance<'_, State>) -> Result<()> {
    linker.func_wrap("head", |store: Caller<'_>, ()| Ok((head(store.data()),)))?;
    linker.func_wrap("client-ip", |store: Caller<'_>, ()| {
        Ok((IpAddress::from(store.data().subject.client_ip),))
    })?;
    linker.func_wrap("method", |store: Caller<'_>, ()| {
        Ok((store.data().subject.request.method.as_str().to_owned(),))
    })?;
    linker.func_wrap("scheme", |store: Caller<'_>, ()| {
        Ok((store.data().subject.scheme.as_str(),))
    })?;
    linker.func_wrap("host", |store: Caller<'_>, ()| {
        Ok((String::from_utf8_lossy(&store.data().subject.host).into_owned(),))
    })?;
    linker.func_wrap("path", |store: Caller<'_>, ()| {
        Ok((store.data().subject.request.uri.path().as_bytes().to_vec(),))
    })?;
    linker.func_wrap("query", |store: Caller<'_>, ()| {
        Ok((store
            .data()
            .subject
            .request
            .uri
            .query()
            .map(|query| query.as_bytes().to_vec()),))
    })?;
    linker.func_wrap("version", |store: Caller<'_>, ()| {
        Ok((version(store.data().subject.request.version),))
    })?;
    linker.func_wrap("id", |store: Caller<'_>, ()| {
        let id = store.data().subject.id.to_hex();
        Ok((String::from_utf8_lossy(&id).into_owned(),))
    })?;
    linker.func_wrap("route", |store: Caller<'_>, ()| {
        Ok(((*store.data().subject.route).to_owned(),))
    })?;

    headers::link::<Request>(linker)?;
    linker.func_wrap("set-target", set_target)
}

fn head(state: &State) -> Vec<u8> {
    let subject = &state.subject;
    let id = subject.id.to_hex();
    let uri = &subject.request.uri;
    let parts = Parts {
        client: subject.client_ip,
        method: subject.request.method.as_str(),
        version: version(subject.request.version),
        host: &String::from_utf8_lossy(&subject.host),
        id: &String::from_utf8_lossy(&id),
        path: uri.path().as_bytes(),
        query: uri.query().map(str::as_bytes),
    };
    let lines: SmallVec<[_; 32]> = subject
        .request
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    head::encode(&parts, lines.iter().copied())
}

struct Request;

impl Message for Request {
    fn headers(state: &State) -> Option<&HeaderMap> {
        Some(&state.subject.request.headers)
    }

    /// While nothing has gone upstream.
    fn headers_mut(state: &mut State) -> Option<&mut HeaderMap> {
        state.request_is_open().then_some(&mut state.subject.request.headers)
    }
}

fn set_target(mut store: Caller<'_>, (target,): (WasmList<u8>,)) -> Result<Edited> {
    if !store.data().request_is_open() {
        return Ok((Err(EditError::TooLate),));
    }
    let target = target.as_le_slice(&store);
    if let Err(error) = contract::check_target(target) {
        return Ok((Err(error.into()),));
    }
    let Ok(target) = PathAndQuery::try_from(target) else {
        return Ok((Err(EditError::InvalidValue),));
    };
    store.data_mut().subject.upstream_target = Some(target);
    Ok((Ok(()),))
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    }
}
