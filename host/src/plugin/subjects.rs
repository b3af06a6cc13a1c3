//! Exchanges that nobody sent: for instances between calls, for self-tests and for unit tests.

#[cfg(test)]
use bytes::Bytes;

use crate::exchange::subject::Subject;

/// An exchange about nothing, which an instance holds while it serves none.
pub(super) fn vacant() -> Box<Subject> {
    Box::new(Subject::vacant())
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
    *subject.request = request.body(()).unwrap().into();
    subject
}
