//! Asking the origin on nobody's behalf: the client has had a stale response already (RFC 5861 §3), and what is fetched now is
//! for those who come later: the whole, whatever part the client asked for.

use std::future::poll_fn;

use http::Method;

use super::body::{Content, RequestBody, ResponseBody};
use super::subject::Subject;
use super::{Exchange, Interim};
use crate::cache::Fetch;
use crate::http1::head::RequestHead;

/// Begins it. The request is the one that found the stale response, as the plugins have left it.
pub(super) fn start(exchange: &Exchange, fetch: Box<Fetch>) {
    let mut refresh = in_background(exchange, Some(fetch));
    tokio::task::spawn_local(async move {
        // A failure has been counted by the upstream and noted by the cache, and there is nobody to tell.
        let Ok(mut body) = refresh.forward().await else { return };
        refresh.compress(&mut body);
        refresh.store(&mut body).await;
        drain(body).await;
    });
}

/// An exchange without a client: it is neither logged nor counted as a request, because it is none.
pub(super) fn in_background(exchange: &Exchange, fetch: Option<Box<Fetch>>) -> Exchange {
    let subject = Box::new(copy(&exchange.subject));
    Exchange {
        state: exchange.state.clone(),
        route: exchange.route,
        fetch,
        ..Exchange::of(
            &exchange.worker,
            exchange.busy.again(),
            subject,
            RequestBody::none(),
            Interim::Nowhere,
        )
    }
}

fn copy(subject: &Subject) -> Subject {
    let request = RequestHead {
        method: Method::GET,
        uri: subject.request.uri.clone(),
        version: subject.request.version,
        headers: subject.request.headers.clone(),
        ..RequestHead::default()
    };
    Subject {
        id: subject.id,
        peer: subject.peer,
        client_ip: subject.client_ip,
        scheme: subject.scheme,
        host: subject.host.clone(),
        request: Box::new(request),
        refused: None,
        response: None,
        upstream_target: subject.upstream_target.clone(),
        route: subject.route.clone(),
        notes: Vec::new(),
        events: Vec::new(),
        caching: subject.caching.clone(),
    }
}

/// Reads what is being stored to its end, so that somebody does. What is not stored is of no use to anybody.
async fn drain(mut body: ResponseBody) {
    let mut content = body.take_content();
    if let Content::Stored(_) = content {
        while let Some(Ok(_)) = poll_fn(|cx| content.poll_next(cx)).await {}
    }
}
