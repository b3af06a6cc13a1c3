//! The audit event: one line of JSON about a transaction in which rules matched, with the fields of ModSecurity's own JSON log, so
//! that what reads that reads this. Secrets are never in it (see `withheld`), and it is bounded: what does not fit is left out
//! in the order in which it is missed least, and counted.

use serde::Serialize;

use super::services::Services;
use super::transaction::{Match, Transaction};
use super::withheld::{self, STARS};
use super::{Answer, Cause, Engine, RequestHead, rare};
use crate::compile::plan::{AuditMode, Logging, Mode, Plan, Rule, Template};

/// The longest event, in bytes: the longest that the host keeps.
const MOST_BYTES: usize = weir_sdk::contract::EVENT_BYTES;
/// How much of a value is shown, in bytes.
const EXCERPT: usize = 200;
/// How many headers are shown.
const MOST_HEADERS: usize = 32;

/// Names in `TX` where rule sets keep scores.
const SCORES: &[&str] = &[
    "blocking_inbound_anomaly_score",
    "detection_inbound_anomaly_score",
    "blocking_outbound_anomaly_score",
    "detection_outbound_anomaly_score",
    "anomaly_score",
    "inbound_anomaly_score",
    "outbound_anomaly_score",
];

#[derive(Debug, Serialize)]
struct Event<'a> {
    transaction: Body<'a>,
}

#[derive(Debug, Serialize)]
struct Body<'a> {
    client_ip: String,
    time_stamp: String,
    server_id: &'a str,
    unique_id: &'a str,
    request: Request<'a>,
    response: Response,
    producer: Producer<'a>,
    action: Action<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scores: Vec<Score>,
    /// The ids of all rules that are reported, here or in the access log, each once. Never left out.
    rules: Vec<u64>,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    messages_omitted: usize,
}

#[derive(Debug, Serialize)]
struct Request<'a> {
    method: &'a str,
    http_version: &'a str,
    hostname: &'a str,
    uri: String,
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_map")]
    headers: Vec<(String, String)>,
}

#[derive(Debug, Serialize)]
struct Response {
    http_code: u16,
}

#[derive(Debug, Serialize)]
struct Producer<'a> {
    modsecurity: &'static str,
    connector: &'static str,
    secrules_engine: &'static str,
    components: &'a [String],
}

/// What happened to the request.
#[derive(Debug, Serialize)]
struct Action<'a> {
    intercepted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<u64>,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'static str,
    /// Why the proxy refused the request by itself: a word of its access log.
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Score {
    name: &'static str,
    value: i64,
}

#[derive(Debug, Serialize)]
struct Message<'a> {
    message: String,
    details: Details<'a>,
}

/// Every value is text, as ModSecurity writes it.
#[derive(Debug, Serialize)]
struct Details<'a> {
    #[serde(rename = "match")]
    matched: String,
    #[serde(rename = "ruleId")]
    rule_id: String,
    file: &'a str,
    #[serde(rename = "lineNumber")]
    line_number: String,
    data: String,
    severity: String,
    ver: &'a str,
    rev: &'a str,
    tags: Vec<&'a str>,
    maturity: String,
    accuracy: String,
}

/// The event of a transaction that is over, where there is to be one. `status` is what the client got.
pub(super) fn event(engine: &Engine, tx: &Transaction, status: u16) -> Option<String> {
    let plan = engine.plan();
    let messages = messages(plan, tx);
    let relevant = !messages.is_empty()
        || tx.disruption.is_some()
        || plan
            .settings
            .audit_status
            .as_ref()
            .is_some_and(|statuses| statuses.contain(status));
    let wanted = match tx.audit {
        AuditMode::On => true,
        AuditMode::Off => false,
        AuditMode::RelevantOnly => relevant,
    };
    let head = tx.head.as_ref().filter(|_| wanted)?;
    let secrets = withheld::values(tx);
    let uri = withheld::without(&secrets, tx.withheld.in_target(&target(tx)));
    let mut event = Event {
        transaction: Body {
            client_ip: head.client.to_canonical().to_string(),
            time_stamp: time_stamp(tx.services),
            server_id: &plan.settings.sensor,
            unique_id: &head.id,
            request: Request {
                method: &head.method,
                http_version: &head.version,
                hostname: &head.host,
                uri: excerpt(uri.as_bytes(), 4 * EXCERPT),
                headers: headers(tx),
            },
            response: Response { http_code: status },
            producer: Producer {
                modsecurity: concat!("Weir ", env!("CARGO_PKG_VERSION")),
                connector: "Weir",
                secrules_engine: match plan.settings.mode {
                    Mode::On => "Enabled",
                    Mode::DetectionOnly => "DetectionOnly",
                    Mode::Off => "Disabled",
                },
                components: &plan.settings.signatures,
            },
            action: action(tx),
            scores: scores(plan, tx),
            rules: rules(tx),
            messages: Vec::new(),
            messages_omitted: tx.unreported(),
        },
    };
    event.transaction.messages = messages
        .into_iter()
        .map(|(found, rule)| message(tx, found, rule, &secrets))
        .collect();
    Some(bounded(event))
}

/// The event as text, with less and less in it until it fits.
fn bounded(mut event: Event<'_>) -> String {
    loop {
        let text = serde_json::to_string(&event).unwrap_or_default();
        let body = &mut event.transaction;
        if text.len() <= MOST_BYTES {
            return text;
        }
        if !body.request.headers.is_empty() {
            body.request.headers.clear();
        } else if body.messages.len() > 1 {
            // The last ones only sum up; but the first say what was found.
            let kept = body.messages.len() * 3 / 4;
            body.messages_omitted += body.messages.len() - kept;
            body.messages.truncate(kept);
        } else if body.request.uri.len() > EXCERPT {
            body.request.uri = excerpt(body.request.uri.as_bytes(), EXCERPT);
        } else {
            return text;
        }
    }
}

fn rules(tx: &Transaction) -> Vec<u64> {
    let mut ids = Vec::new();
    for found in tx.matches().iter().chain(tx.quiet()) {
        if !ids.contains(&found.id) {
            ids.push(found.id);
        }
    }
    ids
}

/// The matches that are to be audited, with their rules.
fn messages<'a>(plan: &'a Plan, tx: &'a Transaction) -> Vec<(&'a Match, &'a Rule)> {
    let all = tx.matches().iter().chain(tx.quiet());
    let with_rule = all.filter_map(|found| Some((found, plan.rules.get(found.rule)?)));
    with_rule.filter(|(_, rule)| rule.auditing == Logging::Report).collect()
}

/// A match as it may be shown: short, and without secrets.
pub(super) struct Shown<'a> {
    pub(super) found: &'a Match,
    pub(super) rule: &'a Rule,
    pub(super) message: String,
    pub(super) data: String,
    value: String,
}

/// The matches of rules that log, in order, whatever is audited.
pub(super) fn logged<'a>(plan: &'a Plan, tx: &'a Transaction) -> impl Iterator<Item = Shown<'a>> {
    let secrets = withheld::values(tx);
    let with_rule = tx
        .matches()
        .iter()
        .filter_map(|found| Some((found, plan.rules.get(found.rule)?)));
    with_rule.map(move |(found, rule)| shown(tx, found, rule, &secrets))
}

fn shown<'a>(tx: &Transaction, found: &'a Match, rule: &'a Rule, secrets: &[String]) -> Shown<'a> {
    // What rules make of a secret is one, too: its small letters, its decoded form.
    let secret = tx.withheld.is_variable(&found.variable);
    let without = |text: &str, made: bool| match secret && made && !text.is_empty() {
        true => STARS.to_owned(),
        false => withheld::without(secrets, text.to_owned()),
    };
    let short = |text: String| excerpt(text.as_bytes(), EXCERPT);
    let is_made = |template: Option<&Template>| template.is_some_and(|template| template.constant().is_none());
    Shown {
        found,
        rule,
        message: short(without(&found.message, is_made(rule.message.as_ref()))),
        data: short(without(&found.data, true)),
        value: short(without(&found.value, true)),
    }
}

fn message<'a>(tx: &Transaction, found: &Match, rule: &'a Rule, secrets: &[String]) -> Message<'a> {
    let number = |number: Option<u8>| number.map(|number| number.to_string()).unwrap_or_default();
    let Shown {
        message, data, value, ..
    } = shown(tx, found, rule, secrets);
    Message {
        message,
        details: Details {
            matched: format!(
                "Matched against variable {} (Value: {})",
                excerpt(found.variable.as_bytes(), EXCERPT),
                value,
            ),
            rule_id: found.id.to_string(),
            file: &rule.place.file,
            line_number: rule.place.line.to_string(),
            data,
            severity: number(rule.severity.map(|severity| severity.0)),
            ver: rule.version.as_deref().unwrap_or_default(),
            rev: rule.revision.as_deref().unwrap_or_default(),
            tags: rule.tags.iter().map(AsRef::as_ref).collect(),
            maturity: number(rule.maturity),
            accuracy: number(rule.accuracy),
        },
    }
}

fn headers(tx: &Transaction) -> Vec<(String, String)> {
    let shown = |text: &[u8]| excerpt(text, EXCERPT);
    tx.request_headers
        .iter()
        .take(MOST_HEADERS)
        .map(|field| {
            let name = tx.texts.get(field.name);
            let value = match tx.withheld.is_header(name) {
                true => STARS.to_owned(),
                false => shown(tx.texts.get(field.value)),
            };
            (shown(name), value)
        })
        .collect()
}

fn action(tx: &Transaction) -> Action<'_> {
    let refusal = tx.refused.as_deref();
    // What the proxy refuses is not intercepted by a rule, whatever rules would have liked.
    let Some(disruption) = tx.disruption.as_ref().filter(|_| refusal.is_none()) else {
        return Action {
            intercepted: false,
            rule: None,
            reason: refusal.map_or("", |_| "refused by the proxy"),
            refusal,
        };
    };
    let (rule, reason) = match (disruption.cause, &disruption.answer) {
        (Cause::Rule(id), Answer::Status(_)) => (Some(id), "denied"),
        (Cause::Rule(id), Answer::Redirect { .. }) => (Some(id), "redirected"),
        (Cause::Rule(id), Answer::Close) => (Some(id), "dropped"),
        (Cause::BodyLimit, _) => (None, "body limit"),
        (Cause::ResponseBodyLimit, _) => (None, "response body limit"),
        (Cause::MemoryLimit, _) => (None, "memory limit"),
    };
    Action {
        intercepted: true,
        rule,
        reason,
        refusal,
    }
}

fn scores(plan: &Plan, tx: &Transaction) -> Vec<Score> {
    let score = |name: &&'static str| tx.tx_number(plan, name).map(|value| Score { name, value });
    SCORES.iter().filter_map(score).collect()
}

/// The path of a request, for logs.
pub(super) fn path(head: &RequestHead) -> String {
    excerpt(&head.path, 4 * EXCERPT)
}

fn target(tx: &Transaction) -> String {
    let Some(head) = &tx.head else { return String::new() };
    let mut target = String::from_utf8_lossy(&head.path).into_owned();
    if let Some(query) = &head.query {
        target.push('?');
        target.push_str(&String::from_utf8_lossy(query));
    }
    target
}

/// As C's `asctime` writes it, in UTC.
fn time_stamp(services: &dyn Services) -> String {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let now = services.now();
    let ((year, month, day), (hours, minutes, seconds)) = (rare::date(now), rare::clock(now));
    let weekday = DAYS.get(rare::weekday(now) as usize).copied().unwrap_or_default();
    let month = MONTHS
        .get(month.saturating_sub(1) as usize)
        .copied()
        .unwrap_or_default();
    format!("{weekday} {month} {day:>2} {hours:02}:{minutes:02}:{seconds:02} {year}")
}

/// The start of a text, which may be cut inside of a character.
pub(super) fn excerpt(text: &[u8], most: usize) -> String {
    match text.get(..most) {
        Some(start) if start.len() < text.len() => format!("{}...", String::from_utf8_lossy(start)),
        _ => String::from_utf8_lossy(text).into_owned(),
    }
}

/// How much of a value a match keeps.
pub(super) fn value_excerpt(value: &[u8]) -> String {
    excerpt(value, EXCERPT)
}

fn as_map<S: serde::Serializer>(headers: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(headers.iter().map(|(name, value)| (name, value)))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}
