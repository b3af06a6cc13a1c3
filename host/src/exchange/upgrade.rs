//! WebSocket towards servers that speak HTTP/2 (RFC 8441): an extended CONNECT where they take it, else the upgrade of HTTP/1.1
//! on a connection of its own.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE,
};
use http::{Method, StatusCode, Version};

use super::subject::Subject;
use crate::http1::head::ResponseHead;
use crate::upstream::Fault;

/// Whether a request that asks for an upgrade asks for WebSocket (RFC 6455 §4.1), which is all that HTTP/2 has a form for.
pub(super) fn is_websocket(subject: &Subject) -> bool {
    let headers = &subject.request.headers;
    let protocol = headers.get(UPGRADE).map(HeaderValue::as_bytes).unwrap_or_default();
    subject.request.method == Method::GET
        && protocol.eq_ignore_ascii_case(b"websocket")
        && headers.contains_key(SEC_WEBSOCKET_KEY)
}

/// Makes a 2xx to an extended CONNECT into the 101 that it stands for (RFC 8441 §5.1). `request` asked for it.
pub(super) fn switch(head: &mut ResponseHead, request: &HeaderMap) {
    head.status = StatusCode::SWITCHING_PROTOCOLS;
    head.version = Version::HTTP_11;
    head.headers.remove(CONTENT_LENGTH);
    head.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    head.headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Some(key) = request.get(SEC_WEBSOCKET_KEY) {
        head.headers.insert(SEC_WEBSOCKET_ACCEPT, accept(key.as_bytes()));
    }
}

/// What proves to a client that its key was read by somebody who knows WebSocket (RFC 6455 §4.2.2).
fn accept(key: &[u8]) -> HeaderValue {
    const KNOWN: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key, KNOWN].concat());
    HeaderValue::from_str(&STANDARD.encode(hash)).unwrap_or(HeaderValue::from_static(""))
}

/// What it means that an upgrade of HTTP/1.1 failed at a server that is known to speak HTTP/2: nothing about its health.
pub(super) fn blameless(fault: Fault) -> Fault {
    match fault {
        Fault::Tls(_) | Fault::Closed | Fault::Io(_) | Fault::Malformed(_) => Fault::NoUpgrade,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_answered_as_the_rfc_has_it() {
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
