//! Caching as RFC 9111 and its neighbours write it, through the real proxy: a row for every requirement and every behaviour
//! that they leave to a cache, with what the origin answers, what it is asked, and what the client gets.
//!
//! Time does not pass in these tests: a response is made old by the `Age` that its origin sends.
//!
//! - [`storing`]: RFC 9111 §3, what may be stored and what of it.
//! - [`constructing`]: §4, §4.1 and §4.2, when what is stored answers.
//! - [`validating`]: §4.3, conditions in both directions.
//! - [`invalidating`]: §4.4, what unsafe methods remove.
//! - [`directives`]: §5, `Cache-Control` of requests and responses, `Age`, `Expires`, `Pragma`.
//! - [`ranges`]: RFC 9110 §14, parts of stored wholes.
//! - [`neighbours`]: RFC 5861, RFC 9211, RFC 9213.
//! - [`hostile`]: origins and clients that lie.

mod constructing;
mod directives;
mod hostile;
mod invalidating;
mod neighbours;
mod ranges;
mod storing;
mod validating;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use weir_tests::message::{Request, Response};
use weir_tests::origin::Origin;
use weir_tests::proxy::{Proxy, configure};

pub(super) const PAST: &str = "Thu, 01 Jan 2015 00:00:00 GMT";
pub(super) const LATER: &str = "Fri, 02 Jan 2015 00:00:00 GMT";
pub(super) const FUTURE: &str = "Fri, 01 Jan 2100 00:00:00 GMT";

/// Header lines, as tests write them.
pub(super) type Lines<'a> = &'a [(&'a str, &'a str)];

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// The origin, asked as if nothing were stored.
    Origin,
    /// The origin was asked whether what is stored still holds.
    Validation,
    /// The cache alone.
    Cache,
}

/// A requirement: exchanges for one URI, one after the other.
pub(super) struct Case {
    name: String,
    steps: Vec<Step>,
}

struct Step {
    request: Request,
    planned: Option<Response>,
    by: By,
    expected: Vec<Expected>,
}

enum Expected {
    Status(u16),
    Body(&'static str),
    Header(String, String),
    Without(String),
    Upstream(String, String),
    UpstreamWithout(String),
}

/// Begins a case.
pub(super) fn case(name: impl Into<String>) -> Case {
    Case {
        name: name.into(),
        steps: Vec::new(),
    }
}

impl Case {
    /// A GET that the origin answers with 200 and these lines.
    pub(super) fn origin(self, answer: Lines<'_>) -> Self {
        self.ask("GET", &[], By::Origin).planned(200, answer)
    }

    /// A plain GET, answered so.
    pub(super) fn get(self, by: By) -> Self {
        self.ask("GET", &[], by)
    }

    /// A GET with these lines.
    pub(super) fn get_with(self, lines: Lines<'_>, by: By) -> Self {
        self.ask("GET", lines, by)
    }

    /// Any request.
    pub(super) fn ask(mut self, method: &str, lines: Lines<'_>, by: By) -> Self {
        let mut request = Request::new(method, "");
        for (name, value) in lines {
            request = request.header(name, value);
        }
        self.steps.push(Step {
            request,
            planned: None,
            by,
            expected: Vec::new(),
        });
        self
    }

    /// With this behind the case's path.
    pub(super) fn at(mut self, query: &str) -> Self {
        self.last().request.target = query.into();
        self
    }

    /// What the origin answers, if it is asked; 200 without lines otherwise.
    pub(super) fn planned(self, status: u16, lines: Lines<'_>) -> Self {
        let body = if status == 304 || status == 204 {
            ""
        } else {
            "0123456789"
        };
        self.planned_with(status, lines, body)
    }

    pub(super) fn planned_with(mut self, status: u16, lines: Lines<'_>, body: &str) -> Self {
        let mut response = Response::new(status).body(body);
        for (name, value) in lines {
            response = response.header(name, value);
        }
        self.last().planned = Some(response);
        self
    }

    pub(super) fn status(self, status: u16) -> Self {
        self.expect(Expected::Status(status))
    }

    pub(super) fn body(self, body: &'static str) -> Self {
        self.expect(Expected::Body(body))
    }

    /// The answer has this line; `…` stands for anything.
    pub(super) fn header(self, name: &str, value: &str) -> Self {
        self.expect(Expected::Header(name.into(), value.into()))
    }

    pub(super) fn without(self, name: &str) -> Self {
        self.expect(Expected::Without(name.into()))
    }

    /// The origin's request has this line.
    pub(super) fn upstream(self, name: &str, value: &str) -> Self {
        self.expect(Expected::Upstream(name.into(), value.into()))
    }

    pub(super) fn upstream_without(self, name: &str) -> Self {
        self.expect(Expected::UpstreamWithout(name.into()))
    }

    fn expect(mut self, expected: Expected) -> Self {
        self.last().expected.push(expected);
        self
    }

    fn last(&mut self) -> &mut Step {
        self.steps.last_mut().expect("a step before what is said of it")
    }
}

type Plans = Arc<Mutex<HashMap<String, VecDeque<Response>>>>;

/// Runs cases, each on a URI of its own, and says all that went wrong.
pub(super) fn run(cases: Vec<Case>) {
    run_with("", cases);
}

/// The same with other tables in the configuration.
pub(super) fn run_with(tables: &str, cases: Vec<Case>) {
    let plans = Plans::default();
    let planned = plans.clone();
    let origin = Origin::start(move |request| {
        let path = request.target.split('?').next().unwrap_or_default();
        let next = planned.lock().unwrap().get_mut(path).and_then(VecDeque::pop_front);
        next.unwrap_or_else(|| Response::new(200).body("0123456789"))
    });
    let proxy = configure()
        .listener("http")
        .route("all", "app", "cache = true")
        .upstream("app", &[origin.address()], "")
        .tables(tables)
        .start();
    let wrong: Vec<String> = cases
        .into_iter()
        .enumerate()
        .flat_map(|(index, case)| case.run(&format!("/{index}"), &origin, &proxy, &plans))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

impl Case {
    fn run(self, path: &str, origin: &Origin, proxy: &Proxy, plans: &Plans) -> Vec<String> {
        let mut wrong = Vec::new();
        for (index, step) in self.steps.into_iter().enumerate() {
            let before = origin.requests();
            let plan: VecDeque<_> = step.planned.into_iter().collect();
            plans.lock().unwrap().insert(path.to_owned(), plan);
            let request = Request {
                target: format!("{path}{}", step.request.target),
                ..step.request
            };
            let answer = proxy.fetch(&request);
            let asked = origin.seen().split_off(before);
            let by = match asked.last() {
                None => By::Cache,
                Some(asked) if is_validation(asked, &request) => By::Validation,
                Some(_) => By::Origin,
            };
            let mut note = |what: String| wrong.push(format!("{} (request {}): {what}", self.name, index + 1));
            if by != step.by {
                note(format!("answered by {by:?}, not by {:?}: {answer:?}", step.by));
            }
            for expected in step.expected {
                if let Err(what) = expected.check(&answer, asked.last()) {
                    note(what);
                }
            }
        }
        wrong
    }
}

/// Whether the proxy asks on its own account.
fn is_validation(asked: &Request, client: &Request) -> bool {
    ["if-none-match", "if-modified-since"]
        .iter()
        .any(|name| asked.headers.get(name).is_some() && asked.headers.get(name) != client.headers.get(name))
}

impl Expected {
    fn check(&self, answer: &Response, asked: Option<&Request>) -> Result<(), String> {
        let fits = |found: Option<&str>, wanted: &str| match wanted.split_once('…') {
            Some((start, end)) => found.is_some_and(|found| found.starts_with(start) && found.ends_with(end)),
            None => found == Some(wanted),
        };
        let asked = |name: &str| asked.and_then(|asked| asked.headers.get(name));
        let right = match self {
            Self::Status(status) => answer.status == *status,
            Self::Body(body) => answer.text_body() == *body,
            Self::Header(name, value) => fits(answer.headers.get(name), value),
            Self::Without(name) => answer.headers.get(name).is_none(),
            Self::Upstream(name, value) => fits(asked(name), value),
            Self::UpstreamWithout(name) => asked(name).is_none(),
        };
        if right {
            Ok(())
        } else {
            Err(format!("{}: {answer:?}", self.words()))
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Status(status) => format!("status is not {status}"),
            Self::Body(body) => format!("body is not {body:?}"),
            Self::Header(name, value) => format!("{name} is not {value:?}"),
            Self::Without(name) => format!("{name} is there"),
            Self::Upstream(name, value) => format!("the origin saw another {name} than {value:?}"),
            Self::UpstreamWithout(name) => format!("the origin saw {name}"),
        }
    }
}
