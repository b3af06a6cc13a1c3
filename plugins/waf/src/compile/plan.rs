//! The plan: rules as the evaluator runs them. Made once when the rules are loaded, and never changed.

use std::sync::Arc;

use regex::bytes::Regex;
use serde::{Deserialize, Serialize};

use super::names::{Names, Slot};
use super::prefilter::Needs;
use super::program::Program;
use super::screens::Screens;
use super::settings::Settings;
use crate::bytes::plain_number;
use crate::operators::Test;
use crate::problem::{Place, Problem};
use crate::transformations::Touches;
use crate::variables::Variable;

/// Everything that the evaluator needs to judge a transaction.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What the directives and the plugin's configuration set.
    pub settings: Settings,
    /// The rules, in the order of the files. A chain is one rule of several links.
    pub rules: Vec<Rule>,
    /// What to do in each phase, in order: indices of rules.
    pub phases: [Vec<usize>; 5],
    /// Which rules can be passed over.
    pub screens: Screens,
    /// What of the phases depends on the request; nothing where every rule is to be asked.
    pub program: Option<Program>,
    /// The distinct chains of transformations.
    pub transformations: Vec<TransformationChain>,
    /// The names in `TX` that rules mention, each with its slot.
    pub names: Names,
    /// What `TX` holds when a transaction starts.
    pub presets: Vec<(Slot, Preset)>,
    /// The sets of rules that `ctl` actions speak about.
    pub picks: Vec<RuleSet>,
    /// What `ctl` actions take away from rules.
    pub exclusions: Vec<Exclusion>,
    /// What is not wrong, but does nothing.
    pub warnings: Vec<Problem>,
}

impl Plan {
    /// Whether any rule opens a collection that outlives a transaction.
    #[must_use]
    pub fn keeps_collections(&self) -> bool {
        let opens = |effect: &Effect| matches!(effect, Effect::Open { .. });
        self.rules
            .iter()
            .flat_map(|rule| &rule.links)
            .any(|link| link.effects.iter().any(opens))
    }
}

/// The five phases of ModSecurity. Weir's own phases call them: request, request body, response, response body, finish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// 1: the request's head is known.
    RequestHeaders,
    /// 2: the request's body is known.
    RequestBody,
    /// 3: the response's head is known.
    ResponseHeaders,
    /// 4: the response's body is known.
    ResponseBody,
    /// 5: the exchange is over.
    Logging,
}

impl Phase {
    /// Every phase, in order.
    pub const ALL: [Self; 5] = [
        Self::RequestHeaders,
        Self::RequestBody,
        Self::ResponseHeaders,
        Self::ResponseBody,
        Self::Logging,
    ];

    /// From 0.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// A rule, or a chain of them.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Where it starts.
    pub place: Place,
    /// Its number, unique among the rules.
    pub id: u64,
    /// When it runs.
    pub phase: Phase,
    /// What must match, one after the other. At least one.
    pub links: Vec<Link>,
    /// What happens to the request when all links matched.
    pub disruption: Disruption,
    /// Where evaluation goes on when all links matched.
    pub flow: Flow,
    /// Whether a match is reported in the log.
    pub logging: Logging,
    /// Whether a match is reported in the audit event.
    pub auditing: Logging,
    /// What is said about a match.
    pub message: Option<Template>,
    /// How bad a match is.
    pub severity: Option<Severity>,
    /// Labels.
    pub tags: Vec<Arc<str>>,
    /// The rule set's version.
    pub version: Option<Arc<str>>,
    /// The rule's revision.
    pub revision: Option<Arc<str>>,
    /// 1 (new) to 9 (long proven).
    pub maturity: Option<u8>,
    /// 1 (many false alarms) to 9 (none known).
    pub accuracy: Option<u8>,
}

/// One rule of a chain.
#[derive(Debug, Clone)]
pub struct Link {
    /// What is looked at. A `SecAction` looks at nothing.
    pub targets: Vec<Target>,
    /// An index of [`Plan::transformations`]; nothing for values as they are.
    pub transformations: Option<usize>,
    /// The question.
    pub operator: Operator,
    /// Whether the groups of a match are kept in `TX:0` to `TX:9`.
    pub capture: Capture,
    /// Which forms of a value are looked at.
    pub forms: Forms,
    /// What each match does.
    pub effects: Vec<Effect>,
    /// What of the match is reported.
    pub data: Option<Template>,
}

/// What a link looks at.
#[derive(Debug, Clone)]
pub struct Target {
    /// The variable.
    pub variable: Variable,
    /// Which part of it.
    pub selector: Selector,
    /// Its values or their number.
    pub subject: Subject,
    /// Parts of it that are left out.
    pub excluded: Vec<Selector>,
}

/// Which part of a collection is meant.
#[derive(Debug, Clone)]
pub enum Selector {
    /// All of it.
    Whole,
    /// What has this name, compared without case.
    Name(Box<[u8]>),
    /// The name in `TX` with this slot.
    Slot(Slot),
    /// What has a name in which this is found.
    Pattern(NamePattern),
}

/// A pattern of names.
#[derive(Debug, Clone)]
pub struct NamePattern {
    regex: Regex,
    /// What names start with, in any case, where that is all that the pattern says.
    prefix: Option<Box<[u8]>>,
    /// The names in `TX` that rules mention and in which it is found. Filled in when all of them are known, for targets in `TX`.
    slots: Vec<Slot>,
}

impl NamePattern {
    /// A pattern, compiled and as written, of which no slots are known yet.
    #[must_use]
    pub fn new(regex: Regex, written: &str) -> Self {
        let plain = |text: &&str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        Self {
            regex,
            prefix: written
                .strip_prefix('^')
                .map(|text| {
                    text.strip_suffix('$')
                        .and_then(|text| text.strip_suffix(".*"))
                        .unwrap_or(text)
                })
                .filter(plain)
                .map(|text| text.as_bytes().into()),
            slots: Vec::new(),
        }
    }

    /// Looks through the names that rules mention.
    pub(super) fn find_slots(&mut self, names: &Names) {
        let found = |slot: &Slot| self.regex.is_match(names.name(*slot));
        self.slots = (0..names.len()).map(Slot::at).filter(found).collect();
    }

    /// Whether a name is one of these.
    #[must_use]
    pub fn is_match(&self, name: &[u8]) -> bool {
        match &self.prefix {
            Some(prefix) => name
                .get(..prefix.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix)),
            None => self.regex.is_match(name),
        }
    }

    /// The pattern as it was compiled.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.regex.as_str()
    }

    /// The slots of the names that rules mention.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }
}

/// Whether values are looked at, or how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The values.
    Values,
    /// Their number.
    Count,
}

/// An operator with its argument.
#[derive(Debug, Clone)]
pub struct Operator {
    /// Whether a match of the test is a match of the rule.
    pub wanted: crate::operators::Outcome,
    /// The question.
    pub test: Test,
    /// What values are compared with; empty for a test that has compiled its argument.
    pub argument: Template,
    /// What must be true of a value for which the test holds, where that is known.
    pub needs: Option<Needs>,
}

/// Whether groups are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capture {
    /// In `TX:0` to `TX:9`.
    Keep,
    /// No.
    Forget,
}

/// Which forms of a value an operator is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forms {
    /// The one after all transformations.
    Last,
    /// Every one on the way, the untransformed one included (`multiMatch`).
    Each,
}

/// What happens to the request when a rule matches.
#[derive(Debug, Clone, PartialEq)]
pub enum Disruption {
    /// Nothing.
    Pass,
    /// The rest of the rules is skipped.
    Allow(Allowance),
    /// An answer with this status.
    Deny(u16),
    /// The connection is closed.
    Drop,
    /// An answer that sends the client elsewhere.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// Where to.
        location: Template,
    },
}

/// How much `allow` skips.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Allowance {
    /// Every phase but the last.
    Transaction,
    /// What is left of this phase.
    Phase,
    /// What is left of the request phases.
    Request,
}

/// Where evaluation goes on after a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// With the next rule.
    Next,
    /// After so many rules more.
    Skip(usize),
    /// At this position of the phase.
    Jump(usize),
}

/// Whether a match is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logging {
    /// Yes.
    Report,
    /// No.
    Silent,
}

/// The severities of syslog, as rules name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Severity(pub u8);

impl Severity {
    /// In the order of their numbers, 0 to 7 (RFC 5424 §6.2.1).
    pub const NAMES: [&str; 8] = [
        "EMERGENCY",
        "ALERT",
        "CRITICAL",
        "ERROR",
        "WARNING",
        "NOTICE",
        "INFO",
        "DEBUG",
    ];
}

/// What a match does beside what happens to the request.
#[derive(Debug, Clone)]
pub enum Effect {
    /// `setvar`
    Set(SetVariable),
    /// `ctl`
    Control(Control),
    /// `initcol`, `setsid`, `setuid`, `setrsc`
    Open {
        /// Which collection.
        collection: Persistent,
        /// Whose values.
        key: Template,
    },
    /// `setvar`, `expirevar` and `deprecatevar` in a collection that is kept.
    Keep {
        /// Which collection.
        collection: Persistent,
        /// Which of its values.
        name: Template,
        /// What becomes of it.
        change: KeptChange,
    },
    /// `sanitiseArg` and its kin
    Sanitise(Sanitise),
    /// `setenv`
    SetEnvironment {
        /// Which name in `ENV`.
        name: Template,
        /// Its value; nothing removes it.
        value: Option<Template>,
    },
}

/// What must not be in the audit event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sanitise {
    /// The arguments of this name.
    Argument(Box<[u8]>),
    /// The value that matched, wherever it came from.
    Matched,
    /// The header of the request of this name.
    RequestHeader(Box<[u8]>),
    /// The header of the response of this name.
    ResponseHeader(Box<[u8]>),
}

/// What becomes of a value in a collection that is kept.
#[derive(Debug, Clone)]
pub enum KeptChange {
    /// `setvar`
    Set(Change),
    /// `expirevar`: it ends after so many seconds.
    Expire(Template),
    /// `deprecatevar`: it falls by so much in each period of so many seconds.
    Deprecate {
        /// By how much.
        amount: Template,
        /// In how many seconds.
        period: Template,
    },
}

/// A collection that outlives a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Persistent {
    /// Of a client.
    Ip,
    /// Of everybody.
    Global,
    /// Of a resource.
    Resource,
    /// Of a session.
    Session,
    /// Of a user.
    User,
}

impl Persistent {
    /// Every one, with its name in rules.
    pub const ALL: [(Self, &str); 5] = [
        (Self::Ip, "ip"),
        (Self::Global, "global"),
        (Self::Resource, "resource"),
        (Self::Session, "session"),
        (Self::User, "user"),
    ];

    /// As rules name it, in small letters.
    #[must_use]
    pub fn name(self) -> &'static str {
        let named = |(known, _): &&(Self, &str)| *known == self;
        Self::ALL.iter().find(named).map_or("", |(_, name)| name)
    }

    /// The one of that name, in any case.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        let named = |(_, known): &&(Self, &str)| known.eq_ignore_ascii_case(name);
        Self::ALL.iter().find(named).map(|(collection, _)| *collection)
    }
}

/// A change to `TX`.
#[derive(Debug, Clone)]
pub struct SetVariable {
    /// Which name.
    pub name: TxName,
    /// How it changes.
    pub change: Change,
}

/// A name in `TX`.
#[derive(Debug, Clone)]
pub enum TxName {
    /// Known when the rules are loaded.
    Slot(Slot),
    /// Made of macros.
    Dynamic(Template),
}

/// How a name in `TX` changes.
#[derive(Debug, Clone)]
pub enum Change {
    /// `=x`
    Assign(Template),
    /// `=+x`
    Add(Template),
    /// `=-x`
    Subtract(Template),
    /// `!name`
    Remove,
}

/// What some rules do not look at any more.
#[derive(Debug, Clone)]
pub struct Exclusion {
    /// The rules: an index of [`Plan::picks`].
    pub rules: usize,
    /// The variable.
    pub variable: Variable,
    /// Which part of it.
    pub selector: Selector,
}

/// A change to how this transaction is judged.
#[derive(Debug, Clone)]
pub enum Control {
    /// `ctl:ruleEngine`
    Engine(Mode),
    /// `ctl:auditEngine`
    AuditEngine(AuditMode),
    /// `ctl:ruleRemoveById`, `ByTag`, `ByMsg`: an index of [`Plan::picks`].
    RemoveRules(usize),
    /// `ctl:ruleRemoveTargetById`, `ByTag`, `ByMsg`: an index of [`Plan::exclusions`].
    RemoveTarget(usize),
    /// `ctl:requestBodyAccess`
    RequestBodyAccess(Access),
    /// `ctl:requestBodyProcessor`
    RequestBodyProcessor(BodyProcessor),
    /// `ctl:forceRequestBodyVariable`
    ForceRequestBodyVariable(Access),
    /// `ctl:requestBodyLimit`, in bytes
    RequestBodyLimit(u64),
    /// `ctl:responseBodyLimit`, in bytes
    ResponseBodyLimit(u64),
    /// `ctl:responseBodyAccess`
    ResponseBodyAccess(Access),
}

/// What a match of a disruptive rule leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Rules run and disrupt.
    On,
    /// Rules run, are reported, and disrupt nothing.
    DetectionOnly,
    /// Rules do not run.
    Off,
}

/// Which transactions have an audit event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AuditMode {
    /// Every one.
    On,
    /// None.
    Off,
    /// Those in which a rule matched that is to be audited, and those with a status that is relevant.
    RelevantOnly,
}

/// How matches are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditFormat {
    /// A line of JSON for each transaction that has an audit event.
    Json,
    /// A line for each match of a rule that logs.
    Lines,
}

/// Whether a body is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// Yes.
    On,
    /// No.
    Off,
}

/// How a request body becomes arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyProcessor {
    /// A form.
    UrlEncoded,
    /// JSON.
    Json,
    /// A form with files.
    Multipart,
    /// XML.
    Xml,
    /// It does not; rules see it as received.
    Raw,
}

/// What `TX` holds when a transaction starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Preset {
    /// A number.
    Number(i64),
    /// Text.
    Text(Box<[u8]>),
}

impl Preset {
    /// What a name holds to which this text was assigned: text that is exactly how a number is written becomes that number.
    #[must_use]
    pub fn assigned(text: &[u8]) -> Self {
        match plain_number(text) {
            Some(number) => Self::Number(number),
            None => Self::Text(text.into()),
        }
    }
}

/// Rules, by their index in [`Plan::rules`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RuleSet(Vec<u64>);

impl RuleSet {
    /// Adds one.
    pub fn insert(&mut self, rule: usize) {
        let word = rule / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if let Some(bits) = self.0.get_mut(word) {
            *bits |= 1 << (rule % 64);
        }
    }

    /// Adds all of another set.
    pub fn extend(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (bits, more) in self.0.iter_mut().zip(&other.0) {
            *bits |= more;
        }
    }

    /// Takes all out.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether a rule is in the set.
    #[must_use]
    pub fn contains(&self, rule: usize) -> bool {
        self.0.get(rule / 64).is_some_and(|bits| bits & (1 << (rule % 64)) != 0)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|&bits| bits == 0)
    }
}

/// Transformations after each other, as indices of [`crate::transformations::ALL`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransformationChain {
    /// In order; never empty.
    pub steps: Vec<usize>,
    /// What any of them can change.
    pub touches: Touches,
}

/// Text with macros.
#[derive(Debug, Clone, Default)]
pub struct Template {
    /// In order. No part for empty text.
    pub parts: Vec<Part>,
}

/// A part of a text with macros.
#[derive(Debug, Clone)]
pub enum Part {
    /// As it is.
    Literal(Box<[u8]>),
    /// `%{tx.score}`: the first value of a target.
    Macro(Target),
}

impl PartialEq for Template {
    /// Two templates are the same where they have no macros and the same text.
    fn eq(&self, other: &Self) -> bool {
        matches!((self.constant(), other.constant()), (Some(a), Some(b)) if a == b)
    }
}

impl Template {
    /// The text, where there are no macros in it.
    #[must_use]
    pub fn constant(&self) -> Option<&[u8]> {
        match self.parts.as_slice() {
            [] => Some(b""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }
}
