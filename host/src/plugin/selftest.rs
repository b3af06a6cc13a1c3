//! Cases through the real plugins: a bundle's self-tests, and `weir plugin test`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use weir_sdk::testing::case::{Case, Observed};
use weir_sdk::testing::time;

use super::chain::{Chain, Session};
use super::generation::Generation;
use super::instance::drive;
use super::shared::clock::Clock;
use super::{Decision, Phase, Summary, subjects};
use crate::bundle::{Bundle, Problems};
use crate::exchange::subject::{Reply, Scheme, Subject};
use crate::http1::head::ResponseHead;

/// Runs the bundle's self-tests, each with counters, values and a clock of its own.
pub(super) fn run(generation: &Arc<Generation>, bundle: &Bundle) -> Result<(), Problems> {
    let mut problems = Problems::default();
    for test in &bundle.tests {
        let name = &test.case.name;
        if test.case.config.is_some() {
            problems.push(bundle.problem(
                test.line,
                format!("self-test \"{name}\": `config` is for case files, not for bundles"),
            ));
            continue;
        }
        match run_case(generation, &test.case) {
            Ok(differences) if differences.is_empty() => {}
            Ok(differences) => {
                problems.push(bundle.problem(
                    test.line,
                    format!("self-test \"{name}\" failed: {}", differences.join("; ")),
                ));
            }
            Err(message) => problems.push(bundle.problem(test.line, format!("self-test \"{name}\": {message}"))),
        }
    }
    problems.into_result()
}

/// Sends a case's request through the plugins, and says what is not as expected.
///
/// # Errors
/// When the case makes no sense, or no instance can be made.
pub fn run_case(generation: &Arc<Generation>, case: &Case) -> Result<Vec<String>, String> {
    if let Some(problem) = case.problem() {
        return Err(problem);
    }
    let clock = match &case.now {
        Some(now) => Clock::Fixed(
            time::parse(now)
                .map(Duration::from_nanos)
                .map_err(|error| format!("`now`: {error}"))?,
        ),
        None => Clock::System,
    };
    let chain = Chain::apart(generation, clock).map_err(|error| error.to_string())?;
    let mut observed = Observed::default();
    for _ in 0..case.repeat {
        let subject = subject(case)?;
        observed = drive(exchange(&chain, case, subject))?;
    }
    Ok(case.expect.differences(&observed))
}

/// The spine in small: what of it plugins can see.
async fn exchange(chain: &std::rc::Rc<Chain>, case: &Case, subject: Box<Subject>) -> Result<Observed, String> {
    let mut session = chain.begin(&subject);
    let (subject, end) = request_phases(&mut session, subject, case).await;
    let (mut subject, end, body) = match end {
        End::Continue => response_phases(&mut session, subject, case).await?,
        end => (subject, end, Bytes::new()),
    };

    let (verdict, status, headers, body) = match end {
        End::Continue => {
            let response = subject.response.as_ref();
            let headers = response.map(|response| response.headers.clone()).unwrap_or_default();
            (
                "continue".to_owned(),
                response.map_or(0, |response| response.status.as_u16()),
                headers,
                body,
            )
        }
        End::Reply(reply) => ("reply".to_owned(), reply.status.as_u16(), reply.headers, reply.body),
        End::Close => ("close".to_owned(), 0, HeaderMap::new(), Bytes::new()),
        End::Failed(why) => (why, 0, HeaderMap::new(), Bytes::new()),
    };
    let summary = Summary {
        status,
        duration: 0,
        request_bytes: case.request.body.len() as u64,
        response_bytes: body.len() as u64,
    };
    subject = session.on_finish(subject, summary).await;
    let target = match &subject.upstream_target {
        Some(target) => target.as_str(),
        None => subject
            .request
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str()),
    };
    Ok(Observed {
        verdict,
        status,
        headers: lines(&headers),
        body: body.to_vec(),
        target: target.as_bytes().to_vec(),
        request_headers: lines(&subject.request.headers),
        notes: subject
            .notes
            .iter()
            .map(|note| (note.key.clone(), note.value.clone()))
            .collect(),
    })
}

/// How an exchange ends.
enum End {
    Continue,
    Reply(Reply),
    Close,
    Failed(String),
}

impl End {
    fn of(decision: Decision) -> Self {
        match decision {
            Decision::Continue | Decision::Hold(_) => Self::Continue,
            Decision::Reply(reply) => Self::Reply(reply),
            Decision::Close => Self::Close,
            Decision::Fail(failure) => {
                Self::Failed(format!("failure of `{}` ({})", failure.plugin, failure.cause.as_str()))
            }
        }
    }
}

async fn request_phases(session: &mut Session, subject: Box<Subject>, case: &Case) -> (Box<Subject>, End) {
    let (mut subject, mut decision) = session.on_request(subject).await;
    if let Decision::Hold(limit) = decision
        && session.wants(Phase::OnRequestBody)
    {
        let (body, complete) = held(&case.request.body, limit);
        (subject, decision) = session.on_request_body(subject, &body, complete).await;
    }
    (subject, End::of(decision))
}

async fn response_phases(
    session: &mut Session,
    mut subject: Box<Subject>,
    case: &Case,
) -> Result<(Box<Subject>, End, Bytes), String> {
    let mut response = ResponseHead::default();
    response.status =
        http::StatusCode::from_u16(case.response.status).map_err(|_| "`response.status` is not a status".to_owned())?;
    response.headers = header_map(&case.response.headers)?;
    subject.response = Some(response);
    let (mut subject, mut decision) = session.on_response(subject).await;
    if let Decision::Hold(limit) = decision
        && session.wants(Phase::OnResponseBody)
    {
        let (body, complete) = held(&case.response.body, limit);
        (subject, decision) = session.on_response_body(subject, &body, complete).await;
    }
    Ok((
        subject,
        End::of(decision),
        Bytes::copy_from_slice(case.response.body.as_bytes()),
    ))
}

fn held(body: &str, limit: u64) -> (Bytes, bool) {
    let length = usize::try_from(limit).unwrap_or(usize::MAX).min(body.len());
    (
        Bytes::copy_from_slice(body.as_bytes().get(..length).unwrap_or_default()),
        length == body.len(),
    )
}

fn subject(case: &Case) -> Result<Box<Subject>, String> {
    let request = &case.request;
    let mut subject = subjects::vacant();
    subject.client_ip = request.client;
    subject.peer.set_ip(request.client);
    subject.scheme = match request.scheme.as_str() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => return Err(format!("`request.scheme` is {other:?}; it has to be http or https")),
    };
    subject.host = Bytes::copy_from_slice(request.host.as_bytes());
    let head = http::Request::builder()
        .method(request.method.as_str())
        .uri(request.target.as_str())
        .body(());
    *subject.request = head.map_err(|error| format!("`request`: {error}"))?.into();
    subject.request.headers = header_map(&request.headers)?;
    // A client names the host in a header as well, and the proxy hands it on.
    if !subject.request.headers.contains_key(http::header::HOST) {
        let host = HeaderValue::from_str(&request.host).map_err(|error| format!("`request.host`: {error}"))?;
        subject.request.headers.insert(http::header::HOST, host);
    }
    Ok(subject)
}

fn header_map(lines: &[(String, String)]) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::with_capacity(lines.len());
    for (name, value) in lines {
        let wrong = |error: &dyn std::fmt::Display| format!("header {name:?}: {error}");
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| wrong(&error))?;
        headers.append(
            name,
            HeaderValue::from_bytes(value.as_bytes()).map_err(|error| wrong(&error))?,
        );
    }
    Ok(headers)
}

fn lines(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect()
}
