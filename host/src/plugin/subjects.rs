//! Exchanges that nobody sent: for instances between calls, for self-tests and for unit tests.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;

use crate::exchange::subject::{RequestId, Scheme, Subject};

/// An exchange about nothing, which an instance holds while it serves none.
pub(super) fn vacant() -> Box<Subject> {
    let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    Box::new(Subject {
        id: RequestId(0),
        peer: SocketAddr::new(nowhere, 0),
        client_ip: nowhere,
        scheme: Scheme::Http,
        host: Bytes::new(),
        request: http::Request::new(()).into_parts().0,
        response: None,
        upstream_target: None,
        route: Arc::default(),
        notes: Vec::new(),
    })
}

/// A request from 192.0.2.1 to example.org, for tests.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) fn subject(method: &str, target: &str, headers: &[(&'static str, &str)]) -> Box<Subject> {
    let mut subject = vacant();
    subject.client_ip = "192.0.2.1".parse().unwrap();
    subject.host = Bytes::from_static(b"example.org");
    let mut request = http::Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    subject.request = request.body(()).unwrap().into_parts().0;
    subject
}
