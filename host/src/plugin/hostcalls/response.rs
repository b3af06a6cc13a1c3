//! `response`: the response head, from `on-response` on.

use http::{HeaderMap, StatusCode};
use smallvec::SmallVec;
use wasmtime::Result;
use wasmtime::component::LinkerInstance;
use weir_sdk::{contract, head};

use super::headers::{self, Message};
use super::{Caller, Edited};
use crate::plugin::contract::EditError;
use crate::plugin::state::State;

pub(super) fn link(linker: &mut LinkerInstance<'_, State>) -> Result<()> {
    linker.func_wrap("head", |store: Caller<'_>, ()| Ok((head(store.data()),)))?;
    linker.func_wrap("status", |store: Caller<'_>, ()| {
        Ok((store
            .data()
            .subject
            .response
            .as_ref()
            .map_or(0, |response| response.status.as_u16()),))
    })?;
    linker.func_wrap("set-status", |mut store: Caller<'_>, (status,): (u16,)| {
        Ok((set_status(store.data_mut(), status),)) as Result<Edited>
    })?;
    headers::link::<Response>(linker)
}

fn head(state: &State) -> Vec<u8> {
    let Some(response) = &state.subject.response else {
        return head::encode_response(0, std::iter::empty());
    };
    let lines = response.headers.iter();
    let lines: SmallVec<[_; 32]> = lines.map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    head::encode_response(response.status.as_u16(), lines.iter().copied())
}

struct Response;

impl Message for Response {
    fn headers(state: &State) -> Option<&HeaderMap> {
        state.subject.response.as_ref().map(|response| &response.headers)
    }

    /// While the client has seen nothing of it.
    fn headers_mut(state: &mut State) -> Option<&mut HeaderMap> {
        if !state.response_is_open() {
            return None;
        }
        state.subject.response.as_mut().map(|response| &mut response.headers)
    }
}

fn set_status(state: &mut State, status: u16) -> std::result::Result<(), EditError> {
    if !state.response_is_open() {
        return Err(EditError::TooLate);
    }
    contract::check_status(status)?;
    let response = state.subject.response.as_mut().ok_or(EditError::TooLate)?;
    response.status = StatusCode::from_u16(status).map_err(|_| EditError::InvalidValue)?;
    Ok(())
}
