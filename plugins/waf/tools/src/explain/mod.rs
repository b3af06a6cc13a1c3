//! `weir waf explain`: why a request is refused or not. For every rule that matched, or nearly did: what it looked at, what each
//! transformation made of that, which bytes matched, and what it added to the score.
//!
//! - [`watch`]: what the engine does, as it does it, to a record;
//! - [`text`] and [`json`]: the record, for people and for programs.

pub mod json;
pub mod text;
pub mod watch;

use std::io::Write;

use weir_waf::evaluate::{Engine, Transaction};

use crate::exchange::{Judged, judge_observed};
use crate::http::{Received, Source};
use crate::rules::Rules;
use crate::{Error, Format, Outcome};
use watch::{Asked, Watch};

/// How much room the forms of values get beyond what the engine gives them, because all of them are kept.
const MORE_ROOM: usize = 16;

/// What to explain.
#[derive(Debug, Clone)]
pub struct Options {
    /// The rules.
    pub rules: Rules,
    /// The request.
    pub request: Source,
    /// How much to show.
    pub detail: Detail,
    /// What to write to the output.
    pub format: Format,
}

/// How much to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detail {
    /// Rules that are reported or decide, and those that nearly matched.
    #[default]
    Relevant,
    /// Also rules that only keep books: defaults, jumps, sums.
    Everything,
    /// Only rules that are reported or decide.
    Matched,
}

/// What became of the request, and why.
#[derive(Debug)]
pub struct Explanation<'e> {
    /// The rules and their settings.
    pub engine: &'e Engine,
    /// What became of it.
    pub judged: Judged,
    /// Every rule that matched or nearly matched, in order.
    pub asked: Vec<Asked>,
    /// The scores in the end, and the thresholds: names in `TX` and what they hold.
    pub scores: Vec<(String, String)>,
}

/// Explains and writes.
///
/// # Errors
/// Rules or a request that cannot be read; what cannot be written.
pub fn run(options: &Options, out: &mut impl Write) -> Result<Outcome, Error> {
    let received = options.request.read()?;
    let Some(request) = &received.request else {
        let reason = received.refusal.map_or("it is no HTTP message", |refusal| refusal.0);
        return Err(Error::new(format!("the request cannot be judged: {reason}")));
    };
    let engine = engine(&options.rules)?;
    let explanation = explain(&engine, &received);
    match options.format {
        Format::Text => text::write(&explanation, request, options.detail, out)?,
        Format::Json => json::write(&explanation, options.detail, out)?,
    }
    Ok(Outcome::Clean)
}

/// The engine of these rules, with room for an observer.
///
/// # Errors
/// Rules that cannot be read.
pub fn engine(rules: &Rules) -> Result<Engine, Error> {
    let mut plan = rules.plan()?.0;
    plan.settings.memory_limit = plan.settings.memory_limit.saturating_mul(MORE_ROOM);
    let mut engine = Engine::new(plan);
    // What is passed over cannot be shown.
    engine.remove_screens();
    Ok(engine)
}

/// Judges a request and keeps what happened.
#[must_use]
pub fn explain<'e>(engine: &'e Engine, received: &Received) -> Explanation<'e> {
    let mut watch = Watch::default();
    let judged = judge_observed(engine, received, &mut Transaction::default(), &mut watch);
    let Watch { asked, variables, .. } = watch;
    let given = ["critical_", "error_", "warning_", "notice_"];
    let telling = |name: &str| name.contains("anomaly_score") && !given.iter().any(|start| name.starts_with(start));
    let scores = variables.into_iter().filter(|(name, _)| telling(name)).collect();
    Explanation {
        engine,
        judged,
        asked,
        scores,
    }
}

impl Explanation<'_> {
    /// The rules to show, in order.
    pub fn shown(&self, detail: Detail) -> impl Iterator<Item = &Asked> {
        self.asked.iter().filter(move |asked| match detail {
            Detail::Everything => true,
            Detail::Relevant => asked.is_relevant() || asked.is_near(),
            Detail::Matched => asked.is_relevant(),
        })
    }
}
