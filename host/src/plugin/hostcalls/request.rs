//! `request`: the request head.

use std::borrow::Cow;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use smallvec::SmallVec;
use wasmtime::Result;
use wasmtime::component::{LinkerInstance, WasmList};
use weir_sdk::contract;
use weir_sdk::head::{self, Parts};

use super::headers::{self, Message};
use super::{Caller, Edited};
use crate::exchange::subject::Subject;
use crate::http1::head::range_in;
use crate::http1::salvage::Salvaged;
use crate::plugin::contract::{EditError, IpAddress};
use crate::plugin::state::State;

pub(super) fn link(linker: &mut LinkerInstance<'_, State>) -> Result<()> {
    linker.func_wrap("head", |store: Caller<'_>, ()| Ok((head(store.data()),)))?;
    linker.func_wrap("received", |store: Caller<'_>, ()| Ok((received(store.data()),)))?;
    linker.func_wrap("refused", |store: Caller<'_>, ()| {
        Ok((store.data().subject.refused.as_ref().map(|refused| refused.reason),))
    })?;
    linker.func_wrap("client-ip", |store: Caller<'_>, ()| {
        Ok((IpAddress::from(store.data().subject.client_ip),))
    })?;
    linker.func_wrap("method", |store: Caller<'_>, ()| {
        Ok((Words::of(&store.data().subject).method.into_owned(),))
    })?;
    linker.func_wrap("scheme", |store: Caller<'_>, ()| {
        Ok((store.data().subject.scheme.as_str(),))
    })?;
    linker.func_wrap("host", |store: Caller<'_>, ()| {
        Ok((String::from_utf8_lossy(&store.data().subject.host).into_owned(),))
    })?;
    linker.func_wrap("path", |store: Caller<'_>, ()| {
        Ok((Words::of(&store.data().subject).path.to_vec(),))
    })?;
    linker.func_wrap("query", |store: Caller<'_>, ()| {
        Ok((Words::of(&store.data().subject).query.map(<[u8]>::to_vec),))
    })?;
    linker.func_wrap("version", |store: Caller<'_>, ()| {
        Ok((Words::of(&store.data().subject).version.into_owned(),))
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

/// The words of a request line: those of the request that goes on, or what could be made out of one that Weir refuses.
struct Words<'a> {
    method: Cow<'a, str>,
    version: Cow<'a, str>,
    path: &'a [u8],
    query: Option<&'a [u8]>,
}

impl<'a> Words<'a> {
    fn of(subject: &'a Subject) -> Self {
        if let Some(refused) = &subject.refused {
            return Self {
                method: String::from_utf8_lossy(&refused.head.method),
                version: String::from_utf8_lossy(&refused.head.version),
                path: refused.head.path(),
                query: refused.head.query(),
            };
        }
        let uri = &subject.request.uri;
        Self {
            method: subject.request.method.as_str().into(),
            version: version(subject.request.version).into(),
            path: uri.path().as_bytes(),
            query: uri.query().map(str::as_bytes),
        }
    }
}

fn head(state: &State) -> Vec<u8> {
    let subject = &state.subject;
    if let Some(refused) = &subject.refused {
        return encode(subject, &salvaged_lines(&refused.head));
    }
    let lines = subject.request.headers.iter();
    let lines: SmallVec<[_; 32]> = lines
        .map(|(name, value)| (name.as_str().into(), value.as_bytes()))
        .collect();
    encode(subject, &lines)
}

/// As [`head`], with names as the client wrote them, and what else was received.
fn received(state: &State) -> Vec<u8> {
    let subject = &state.subject;
    let (mut out, target) = match &subject.refused {
        Some(refused) => (
            encode(subject, &salvaged_lines(&refused.head)),
            refused.head.whole_target(),
        ),
        None => {
            let lines = subject.request.headers.iter();
            let lines: SmallVec<[_; 32]> = lines
                .map(|(name, value)| {
                    (
                        name_as_received(&subject.request.received, name, value).into(),
                        value.as_bytes(),
                    )
                })
                .collect();
            (encode(subject, &lines), whole_target(subject))
        }
    };
    head::append_received(&mut out, target, subject.refused.as_ref().map(|refused| refused.reason));
    out
}

fn encode(subject: &Subject, lines: &[(Cow<'_, str>, &[u8])]) -> Vec<u8> {
    let words = Words::of(subject);
    let id = subject.id.to_hex();
    let parts = Parts {
        client: subject.client_ip,
        method: &words.method,
        version: &words.version,
        host: &String::from_utf8_lossy(&subject.host),
        id: &String::from_utf8_lossy(&id),
        path: words.path,
        query: words.query,
    };
    head::encode(&parts, lines.iter().map(|(name, value)| (&**name, *value)))
}

fn salvaged_lines(head: &Salvaged) -> SmallVec<[(Cow<'_, str>, &[u8]); 32]> {
    let lines = head.fields.iter();
    lines
        .map(|(name, value)| (String::from_utf8_lossy(name), &**value))
        .collect()
}

/// A header's name in the case in which it was received: a value that has not been changed lies in the head, behind its name. An
/// empty value lies nowhere.
fn name_as_received<'a>(received: &'a [u8], name: &'a HeaderName, value: &HeaderValue) -> &'a str {
    let known = name.as_str();
    let found = || {
        let before = received.get(..range_in(received, value.as_bytes()).start)?;
        let start = memchr::memrchr(b'\n', before)? + 1;
        let found = before.get(start..start + known.len())?;
        let found = str::from_utf8(found).ok()?;
        found.eq_ignore_ascii_case(known).then_some(found)
    };
    found().unwrap_or(known)
}

/// The target as received, where it is more than path and query: an absolute one (RFC 9112 §3.2.2).
fn whole_target(subject: &Subject) -> Option<&[u8]> {
    subject.request.uri.authority()?;
    let received = &subject.request.received;
    let (_, rest) = received.split_at_checked(memchr::memchr(b' ', received)? + 1)?;
    rest.get(..memchr::memchr(b' ', rest)?)
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

    fn salvaged(state: &State) -> Option<&Salvaged> {
        state.subject.refused.as_ref().map(|refused| &refused.head)
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
