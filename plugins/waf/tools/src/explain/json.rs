//! The explanation for programs.

use std::io::{self, Write};

use serde_json::{Value, json};
use weir_waf::evaluate::observe::{Answer, Seen};
use weir_waf::evaluate::{self, Cause, Decision, Disruption};

use super::text::printable;
use super::watch::{Asked, End};
use super::{Detail, Explanation};

/// Writes it.
///
/// # Errors
/// When it cannot be written.
pub fn write(explanation: &Explanation<'_>, detail: Detail, out: &mut impl Write) -> io::Result<()> {
    let rules: Vec<Value> = explanation
        .shown(detail)
        .map(|asked| rule(explanation, asked))
        .collect();
    let scores: serde_json::Map<String, Value> = explanation
        .scores
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    let whole = json!({
        "verdict": verdict(&explanation.judged.decision),
        "refused_by_proxy": explanation.judged.refusal.map(|refusal| refusal.0),
        "scores": scores,
        "rules": rules,
    });
    writeln!(out, "{whole:#}")
}

fn verdict(decision: &Decision) -> Value {
    match decision {
        Decision::Pass => json!({"decision": "pass"}),
        Decision::Disrupt(Disruption { cause, answer }) => {
            let (rule, reason) = match cause {
                Cause::Rule(id) => (Some(*id), "rule"),
                Cause::BodyLimit => (None, "body-limit"),
                Cause::ResponseBodyLimit => (None, "response-body-limit"),
                Cause::MemoryLimit => (None, "memory-limit"),
            };
            let status = match answer {
                evaluate::Answer::Status(status) | evaluate::Answer::Redirect { status, .. } => Some(*status),
                evaluate::Answer::Close => None,
            };
            json!({"decision": "refuse", "cause": reason, "rule": rule, "status": status})
        }
    }
}

fn rule(explanation: &Explanation<'_>, asked: &Asked) -> Value {
    let rule = explanation.engine.plan().rules.get(asked.index);
    let found = explanation.judged.matches.iter().find(|found| found.id == asked.id);
    let links: Vec<Value> = asked
        .links
        .iter()
        .map(|link| json!({"compared_with": link.argument, "values": link.seen.iter().map(seen).collect::<Vec<_>>()}))
        .collect();
    let changes: Vec<Value> = asked
        .changes
        .iter()
        .map(|(name, before, after)| json!({"name": name, "before": before, "after": after}))
        .collect();
    json!({
        "id": asked.id,
        "phase": asked.phase.index() + 1,
        "place": rule.map(|rule| rule.place.to_string()),
        "matched": asked.end == End::Matched,
        "stopped_at_link": match asked.end {
            End::StoppedAt(link) => Some(link + 1),
            End::Matched | End::HasLiteral(_) => None,
        },
        "literal": match &asked.end {
            End::HasLiteral(found) => Some(found),
            End::Matched | End::StoppedAt(_) => None,
        },
        "message": found.map(|found| found.message.as_str()),
        "data": found.map(|found| found.data.as_str()),
        "links": links,
        "changes": changes,
    })
}

fn seen(seen: &Seen) -> Value {
    let steps: Vec<Value> = seen
        .steps
        .iter()
        .map(|(name, form)| json!({"transformation": name, "result": printable(form)}))
        .collect();
    let mut value = json!({"name": seen.name, "value": printable(&seen.value), "transformed": steps});
    let answer = match &seen.answer {
        Answer::Match { form, part } => json!({
            "matched": true,
            "part": printable(form.get(part.clone()).unwrap_or_default()),
            "start": part.start,
            "end": part.end,
        }),
        Answer::NoMatch => json!({"matched": false}),
        Answer::Excluded => json!({"matched": false, "excluded": true}),
    };
    if let (Value::Object(value), Value::Object(answer)) = (&mut value, answer) {
        value.extend(answer);
    }
    value
}
