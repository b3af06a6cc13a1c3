//! The state of one exchange: what is known of it, what rules have kept in `TX`, what matched, and what `ctl` has changed.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::answers::Answers;
use super::body::{self, Completeness, Declared, ReqBody};
use super::kept::Kept;
use super::screen::{Origin, Screening};
use super::services::{Services, Standalone};
use super::texts::{TextId, Texts};
use super::tx::{Tx, Value};
use super::urlencoded::{self, Field, Parsed};
use super::withheld::Withheld;
use super::{Disruption, cookies, effects};
use crate::compile::names::Slot;
use crate::compile::plan::{Access, Allowance, AuditMode, Logging, Mode, Plan, RuleSet};
use crate::operators::Outcome;
use crate::variables::Variable;

/// How many reported matches are kept with what they say; further ones are counted.
const MOST_MATCHES: usize = 64;

/// How many matched values `MATCHED_VARS` holds.
const MOST_MATCHED: usize = 1000;

/// The head of a request, as the client sent it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RequestHead {
    /// After trusted proxies were believed.
    pub client: IpAddr,
    /// For example `GET`.
    pub method: String,
    /// `1.0`, `1.1` or `2`.
    pub version: String,
    /// In small letters, without port.
    pub host: String,
    /// As received, without the query.
    #[serde(with = "serde_bytes")]
    pub path: Vec<u8>,
    /// As received, without the `?`.
    #[serde(with = "serde_bytes")]
    pub query: Option<Vec<u8>>,
    /// The request target as received, where it is more than path and query: a URL, or one with a fragment.
    #[serde(with = "serde_bytes")]
    pub target: Option<Vec<u8>>,
    /// In order. A transaction keeps them among its texts.
    #[serde(skip)]
    pub headers: Vec<(String, Vec<u8>)>,
    /// Identifies the request in logs.
    pub id: String,
}

/// A rule that matched and is reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// The rule's id.
    pub id: u64,
    /// What the rule says about it.
    pub message: String,
    /// What of it the rule reports.
    pub data: String,
    /// The variable that matched, for example `ARGS:q`.
    pub variable: String,
    /// The start of the value that matched, which may be a secret.
    pub value: String,
    /// The rule, an index of [`Plan::rules`].
    pub rule: usize,
}

/// Everything that is particular to one exchange. The default is one that has not started.
#[derive(Debug, Serialize, Deserialize)]
pub struct Transaction {
    pub(super) head: Option<RequestHead>,
    pub(super) mode: Mode,
    pub(super) audit: AuditMode,
    pub(super) request_body: Access,
    pub(super) response_body: Access,
    /// What `ctl:requestBodyLimit` has set, in bytes.
    pub(super) request_limit: Option<u64>,
    /// What `ctl:responseBodyLimit` has set, in bytes.
    pub(super) response_limit: Option<u64>,
    pub(super) allowed: Option<Allowance>,
    #[serde(skip)]
    pub(super) texts: Texts,
    pub(super) args_get: Vec<Field>,
    pub(super) args_post: Vec<Field>,
    pub(super) request_headers: Vec<Field>,
    pub(super) request_cookies: Vec<Field>,
    pub(super) response_headers: Vec<Field>,
    pub(super) response_status: Option<u16>,
    pub(super) response_text: Option<TextId>,
    pub(super) outbound_error: Parsed,
    pub(super) body: ReqBody,
    /// Texts of variables that are made when they are first asked for.
    pub(super) made: Vec<(Variable, TextId)>,
    #[serde(skip)]
    pub(super) tx: Tx,
    pub(super) removed: RuleSet,
    /// What rules do not look at any more, as indices of [`Plan::exclusions`].
    pub(super) excluded: Vec<usize>,
    pub(super) matched: Vec<Item>,
    pub(super) highest_severity: u8,
    /// The rule that runs, an index of [`Plan::rules`].
    pub(super) rule: Option<usize>,
    /// When it started, where rules ask for that.
    pub(super) started: Duration,
    /// [`Outcome::Exceeded`] where a pattern reached its limit of steps.
    pub(super) pattern_limits: Outcome,
    #[serde(skip, default = "standalone")]
    pub(super) services: &'static dyn Services,
    pub(super) kept: Kept,
    pub(super) environment: Vec<(Box<[u8]>, TextId)>,
    pub(super) state: State,
    #[serde(skip)]
    pub(super) screening: Screening,
    #[serde(skip)]
    pub(super) answers: Answers,
    /// Kept between rules, so that collecting allocates once.
    #[serde(skip)]
    pub(super) scratch: Vec<Item>,
    /// Where values in `scratch` come from.
    #[serde(skip)]
    pub(super) origins: Vec<Origin>,
    /// The same for the values of macros.
    #[serde(skip)]
    pub(super) expansion: Vec<Item>,
    /// What `sanitise` actions have named.
    pub(super) withheld: Withheld,
    pub(super) disruption: Option<Disruption>,
    /// Why the proxy refused the request by itself, where it did.
    pub(super) refused: Option<String>,
    matches: Vec<Match>,
    /// Matches that are in the audit event only.
    quiet: Vec<Match>,
    unreported: usize,
}

/// How far a transaction has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum State {
    /// Rules run.
    Running,
    /// A rule has disrupted it; only the last phase runs.
    Disrupted,
}

/// A value that a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Item {
    pub(super) variable: Variable,
    pub(super) key: Key,
    pub(super) value: Datum,
}

impl Item {
    /// The same, with another form of its value.
    pub(super) fn with(self, text: TextId) -> Self {
        Self {
            value: Datum::Text(text),
            ..self
        }
    }
}

/// The name of a value in its collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Key {
    /// The variable is one value.
    None,
    /// The value's name.
    Text(TextId),
    /// A name in `TX`.
    Slot(Slot),
}

/// A value: text, or a number that is not written out before something needs it to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Datum {
    Text(TextId),
    Number(i64),
}

fn standalone() -> &'static dyn Services {
    &Standalone
}

impl Default for Transaction {
    fn default() -> Self {
        Self {
            head: None,
            mode: Mode::Off,
            audit: AuditMode::RelevantOnly,
            request_body: Access::Off,
            response_body: Access::Off,
            request_limit: None,
            response_limit: None,
            allowed: None,
            texts: Texts::default(),
            args_get: Vec::new(),
            args_post: Vec::new(),
            request_headers: Vec::new(),
            request_cookies: Vec::new(),
            response_headers: Vec::new(),
            response_status: None,
            response_text: None,
            outbound_error: Parsed::Clean,
            body: ReqBody::default(),
            made: Vec::new(),
            tx: Tx::default(),
            removed: RuleSet::default(),
            excluded: Vec::new(),
            matched: Vec::new(),
            highest_severity: u8::MAX,
            rule: None,
            started: Duration::ZERO,
            pattern_limits: Outcome::NoMatch,
            services: &Standalone,
            kept: Kept::default(),
            environment: Vec::new(),
            state: State::Running,
            screening: Screening::default(),
            answers: Answers::default(),
            scratch: Vec::new(),
            origins: Vec::new(),
            expansion: Vec::new(),
            withheld: Withheld::default(),
            disruption: None,
            refused: None,
            matches: Vec::new(),
            quiet: Vec::new(),
            unreported: 0,
        }
    }
}

impl Transaction {
    /// The reported matches, in order.
    #[must_use]
    pub fn matches(&self) -> &[Match] {
        &self.matches
    }

    /// The matches of rules with `nolog,auditlog`, in order.
    pub(super) fn quiet(&self) -> &[Match] {
        &self.quiet
    }

    /// As a transaction that has not started. Its memory serves the next one, unless that is a lot.
    pub fn clear(&mut self) {
        /// Elements of a list that are kept.
        const MOST_KEPT: usize = 1024;
        fn empty<T>(list: &mut Vec<T>) {
            list.clear();
            list.shrink_to(MOST_KEPT);
        }
        let Self {
            // What lists of the next one will take.
            texts,
            args_get,
            args_post,
            request_headers,
            request_cookies,
            response_headers,
            made,
            tx,
            excluded,
            matched,
            environment,
            scratch,
            origins,
            expansion,
            matches,
            quiet,
            // What is known from this one and those before.
            screening,
            answers: _,
            // What begins anew.
            head,
            mode,
            audit,
            request_body,
            response_body,
            request_limit,
            response_limit,
            allowed,
            response_status,
            response_text,
            outbound_error,
            body,
            removed,
            highest_severity,
            rule,
            started,
            pattern_limits,
            services,
            kept,
            state,
            withheld,
            disruption,
            refused,
            unreported,
        } = self;
        texts.clear();
        for list in [args_get, args_post, request_headers, request_cookies, response_headers] {
            empty(list);
        }
        for list in [matched, scratch, expansion] {
            empty(list);
        }
        empty(origins);
        made.clear();
        tx.clear();
        excluded.clear();
        environment.clear();
        matches.clear();
        quiet.clear();
        screening.outdate();
        *head = None;
        *mode = Mode::Off;
        *audit = AuditMode::RelevantOnly;
        *request_body = Access::Off;
        *response_body = Access::Off;
        *request_limit = None;
        *response_limit = None;
        *allowed = None;
        *response_status = None;
        *response_text = None;
        *outbound_error = Parsed::Clean;
        *body = ReqBody::default();
        removed.clear();
        *highest_severity = u8::MAX;
        *rule = None;
        *started = Duration::ZERO;
        *pattern_limits = Outcome::NoMatch;
        *services = &Standalone;
        *kept = Kept::default();
        *state = State::Running;
        *withheld = Withheld::default();
        *disruption = None;
        *refused = None;
        *unreported = 0;
    }

    /// How many more matches there were than are kept.
    #[must_use]
    pub fn unreported(&self) -> usize {
        self.unreported
    }

    /// Takes what is known of the request before its body.
    pub(super) fn start(&mut self, plan: &Plan, services: &'static dyn Services, mut head: RequestHead) {
        let settings = &plan.settings;
        self.clear();
        self.mode = settings.mode;
        self.audit = settings.audit;
        self.request_body = settings.request_body;
        self.response_body = settings.response_body;
        self.texts.set_limit(settings.memory_limit);
        self.texts.set_unicode_map(settings.unicode_map.as_ref());
        self.tx.begin(&plan.names);
        self.services = services;
        if self.mode == Mode::Off {
            return;
        }
        if plan.names.mentions(Variable::Duration) {
            self.started = services.now();
        }
        if plan.names.mentions(Variable::FullRequest) || plan.names.mentions(Variable::FullRequestLength) {
            self.body.force();
        }
        if plan.names.mentions(Variable::FilesTmpContent) {
            self.body.keep_contents();
        }
        effects::preset(plan, self);
        for (name, value) in &std::mem::take(&mut head.headers) {
            let field = Field {
                name: self.texts.push(name.as_bytes()),
                value: self.texts.push(value),
            };
            self.request_headers.push(field);
            if name.eq_ignore_ascii_case("cookie") {
                cookies::parse(
                    value,
                    settings.cookie_separator,
                    settings.arguments_limit,
                    &mut self.texts,
                    &mut self.request_cookies,
                );
            }
            if name.eq_ignore_ascii_case("content-type") {
                self.body.processor = body::Processor::of(value);
            }
        }
        if let Some(query) = &head.query {
            let separator = settings.argument_separator;
            let most = settings.arguments_limit;
            if urlencoded::parse(query, separator, most, &mut self.texts, &mut self.args_get) == Parsed::TooMany {
                self.body.fail(&mut self.texts, &body::too_many(most));
            }
        }
        self.head = Some(head);
    }

    /// Takes the head of the response.
    pub(super) fn take_response(&mut self, status: u16, headers: impl IntoIterator<Item = (String, Vec<u8>)>) {
        self.screening.outdate();
        self.response_status = Some(status);
        self.response_headers.clear();
        for (name, value) in headers {
            let field = Field {
                name: self.texts.push(name.as_bytes()),
                value: self.texts.push(&value),
            };
            self.response_headers.push(field);
        }
    }

    /// Takes the body of the response, or its start.
    pub(super) fn take_response_body(&mut self, body: &[u8], completeness: Completeness) {
        self.screening.outdate();
        self.response_text = Some(self.texts.push(body));
        if completeness == Completeness::Cut {
            self.outbound_error = Parsed::TooMany;
        }
    }

    /// Takes the body of the request, or its start, and makes arguments of it.
    pub(super) fn take_body(&mut self, plan: &Plan, body: &[u8], completeness: Completeness) {
        let text = self.body.text;
        let declared = match body {
            [] => Declared::default(),
            _ => self.declared(),
        };
        self.body.take(
            &plan.settings,
            body,
            completeness,
            &declared,
            self.args_get.len(),
            &mut self.texts,
            &mut self.args_post,
        );
        if !body.is_empty() || self.body.text != text {
            self.screening.outdate();
        }
    }

    /// What the request's head says about a body.
    fn declared(&self) -> Declared {
        let is_coding = |coding: &&[u8]| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity");
        let mut codings = self.request_header(b"content-encoding").map(<[u8]>::trim_ascii);
        Declared {
            media: self.request_header(b"content-type").next().map(<[u8]>::to_vec),
            coding: codings.find(is_coding).map(<[u8]>::to_vec),
        }
    }

    /// The values of a header of the request, in order.
    pub(super) fn request_header(&self, wanted: &[u8]) -> impl Iterator<Item = &[u8]> {
        let named = move |field: &&Field| self.texts.get(field.name).eq_ignore_ascii_case(wanted);
        self.request_headers
            .iter()
            .filter(named)
            .map(|field| self.texts.get(field.value))
    }

    /// Writes back the collections that outlive the transaction.
    pub(super) fn write_back(&mut self, plan: &Plan) {
        self.kept
            .write_back(plan.settings.collection_timeout, self.services, &self.texts);
    }

    /// Whether the response has one of these media types.
    pub(super) fn response_is_one_of(&self, types: &[String]) -> bool {
        self.response_type()
            .is_some_and(|media| types.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(media)))
    }

    /// The media type of the response, without parameters.
    pub(super) fn response_type(&self) -> Option<&[u8]> {
        let named = |field: &&Field| self.texts.get(field.name).eq_ignore_ascii_case(b"content-type");
        let value = self.texts.get(self.response_headers.iter().find(named)?.value);
        value.split(|&b| b == b';').next().map(<[u8]>::trim_ascii)
    }

    /// Reports a match, or counts it where many were reported.
    pub(super) fn report(&mut self, logging: Logging, make: impl FnOnce(&mut Self) -> Match) {
        if self.matches.len() + self.quiet.len() >= MOST_MATCHES {
            self.unreported += 1;
            return;
        }
        let found = make(self);
        match logging {
            Logging::Report => self.matches.push(found),
            Logging::Silent => self.quiet.push(found),
        }
    }

    /// Remembers a value that matched.
    pub(super) fn remember(&mut self, item: Item) {
        if self.matched.len() >= MOST_MATCHED {
            self.matched.pop();
        }
        self.matched.push(item);
    }

    pub(super) fn tx_number(&self, plan: &Plan, name: &str) -> Option<i64> {
        match self.tx.get_named(&plan.names, name.as_bytes(), &self.texts) {
            Value::Unset => None,
            Value::Number(number) => Some(number),
            Value::Text(text) => Some(crate::bytes::leading_number(self.texts.get(text))),
        }
    }
}
