//! The one place where what went wrong becomes an answer.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Method, StatusCode};

use super::subject::{Reply, RequestId};
use crate::http1::head::Malformed;
use crate::plugin;
use crate::upstream::{ClientFault, Fault};

/// Why Weir itself answers.
#[derive(Debug)]
pub enum Refusal {
    /// The request breaks HTTP.
    Malformed(Malformed),
    /// The request did not arrive in time.
    RequestTimeout,
    /// The client's network sends more requests a second than it may.
    TooManyRequests,
    /// Plugins hold as much of bodies as they may.
    Memory,
    /// The request's body is larger than the route allows.
    BodyTooLarge,
    /// The client went away before its answer began.
    ClientGone,
    /// No route fits.
    NotFound,
    /// A route fits for other methods.
    MethodNotAllowed(Vec<Method>),
    /// A PURGE from a client that may not.
    PurgeForbidden,
    /// The request has been here before (RFC 8586).
    Loop,
    /// CONNECT.
    Connect,
    /// A TRACE that ends here.
    NotImplemented,
    /// An expectation other than `100-continue` (RFC 9110 §10.1.1).
    Expectation,
    /// `only-if-cached`, and it is not (RFC 9111 §5.2.1.7).
    NotCached,
    /// A plugin whose policy is `closed` failed.
    Plugin(plugin::Failure),
    /// The origin has as many requests as it may from the cache, and none ended in time.
    OriginBusy,
    /// No server answered.
    Upstream(Fault),
}

/// When a refusal comes up in the life of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// Before plugins are asked, because of what the request is; some of these can come up later as well, with the body.
    BeforePlugins,
    /// Later, or because of something else.
    Elsewhere,
}

impl Refusal {
    /// The status that says it.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(fault) => match fault {
                Malformed::TargetTooLong => StatusCode::URI_TOO_LONG,
                Malformed::HeadTooLarge | Malformed::TooManyHeaders => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                Malformed::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
                Malformed::MethodTooLong => StatusCode::NOT_IMPLEMENTED,
                _ => StatusCode::BAD_REQUEST,
            },
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::Memory => StatusCode::SERVICE_UNAVAILABLE,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::ClientGone => client_closed_request(),
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::PurgeForbidden => StatusCode::FORBIDDEN,
            Self::Loop => StatusCode::LOOP_DETECTED,
            Self::Connect | Self::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::NotCached => StatusCode::GATEWAY_TIMEOUT,
            Self::Plugin(_) | Self::OriginBusy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Upstream(fault) => match fault {
                Fault::ConnectTimeout | Fault::Timeout => StatusCode::GATEWAY_TIMEOUT,
                Fault::NoServer | Fault::QueueFull | Fault::QueueTimeout | Fault::Memory => {
                    StatusCode::SERVICE_UNAVAILABLE
                }
                _ => StatusCode::BAD_GATEWAY,
            },
        }
    }

    /// The reason as a word from a closed list, for logs and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(fault) => fault.as_str(),
            Self::RequestTimeout => "request_timeout",
            Self::TooManyRequests => "client_request_rate",
            Self::Memory => "held_bodies",
            Self::BodyTooLarge => "body_too_large",
            Self::ClientGone => "client_gone",
            Self::NotFound => "no_route",
            Self::MethodNotAllowed(_) => "method",
            Self::Connect => "connect",
            Self::PurgeForbidden => "purge",
            Self::Loop => "loop",
            Self::NotImplemented => "not_implemented",
            Self::Expectation => "expectation",
            Self::NotCached => "not_cached",
            Self::Plugin(failure) => match failure.cause {
                plugin::Cause::Trap => "plugin_trap",
                plugin::Cause::Deadline => "plugin_deadline",
                plugin::Cause::Memory => "plugin_memory",
                plugin::Cause::Exhausted => "plugin_exhausted",
                plugin::Cause::Denied => "plugin_denied",
                plugin::Cause::Invalid => "plugin_invalid",
            },
            Self::OriginBusy => "origin_busy",
            Self::Upstream(fault) => match fault {
                Fault::Connect(_) => "upstream_connect",
                Fault::ConnectTimeout => "upstream_connect_timeout",
                Fault::Tls(_) => "upstream_tls",
                Fault::Stale | Fault::Closed | Fault::Refused => "upstream_closed",
                Fault::Io(_) => "upstream_io",
                Fault::Malformed(_) => "upstream_malformed",
                Fault::NoUpgrade => "upstream_no_upgrade",
                Fault::Timeout => "upstream_timeout",
                Fault::Client(_) => "client_gone",
                Fault::NoServer => "no_server",
                Fault::QueueFull => "queue_full",
                Fault::QueueTimeout => "queue_timeout",
                Fault::Memory => "held_bodies",
            },
        }
    }

    /// Whether plugins have had their say when this comes up. What says nothing of the request itself (it came too slowly, its
    /// client asks too much) is nothing to be shown to them.
    #[must_use]
    pub fn timing(&self) -> Timing {
        match self {
            Self::Malformed(_)
            | Self::BodyTooLarge
            | Self::NotFound
            | Self::MethodNotAllowed(_)
            | Self::Loop
            | Self::Connect
            | Self::NotImplemented
            | Self::Expectation => Timing::BeforePlugins,
            Self::RequestTimeout
            | Self::TooManyRequests
            | Self::Memory
            | Self::ClientGone
            | Self::PurgeForbidden
            | Self::NotCached
            | Self::Plugin(_)
            | Self::OriginBusy
            | Self::Upstream(_) => Timing::Elsewhere,
        }
    }

    /// Whether the client is gone that would read the answer.
    #[must_use]
    pub fn has_no_reader(&self) -> bool {
        self.status() == client_closed_request()
    }

    /// Whether the client may send another request on its connection after this answer.
    #[must_use]
    pub fn ends_connection(&self) -> bool {
        // Two parsers that disagree about one message may disagree about where the next one begins, and what follows a CONNECT is
        // meant for somebody else.
        matches!(
            self,
            Self::Malformed(_) | Self::Connect | Self::RequestTimeout | Self::ClientGone
        )
    }

    /// The whole answer: short, plain, and with the identifier that finds the log line.
    #[must_use]
    pub fn reply(&self, id: RequestId) -> Reply {
        let status = self.status();
        let title = status.canonical_reason().unwrap_or_default();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        match self {
            Self::MethodNotAllowed(methods) => {
                if let Ok(value) = HeaderValue::from_str(&allowed(methods)) {
                    headers.insert(ALLOW, value);
                }
            }
            Self::TooManyRequests => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Self::Plugin(_)
            | Self::OriginBusy
            | Self::Memory
            | Self::Upstream(Fault::NoServer | Fault::QueueFull | Fault::QueueTimeout) => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        let body = Bytes::from(format!("{} {title}\nrequest {id}\n", status.as_u16()));
        Reply { status, headers, body }
    }
}

/// What nginx writes down for a client that did not wait, and log readers know. Nobody is sent it.
fn client_closed_request() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST)
}

fn allowed(methods: &[Method]) -> String {
    let mut names: Vec<_> = methods.iter().map(Method::as_str).collect();
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

impl From<ClientFault> for Refusal {
    fn from(fault: ClientFault) -> Self {
        match fault {
            ClientFault::Malformed(fault) => Self::Malformed(fault),
            ClientFault::TooLarge => Self::BodyTooLarge,
            ClientFault::Timeout => Self::RequestTimeout,
            ClientFault::Gone => Self::ClientGone,
            ClientFault::Memory => Self::Memory,
        }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Client(fault) => fault.into(),
            Fault::Memory => Self::Memory,
            fault => Self::Upstream(fault),
        }
    }
}
