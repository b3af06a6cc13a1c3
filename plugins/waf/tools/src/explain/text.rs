//! The explanation for people.

use std::io::{self, Write};
use std::ops::Range;

use weir_waf::compile::plan::Rule;
use weir_waf::evaluate::observe::{Answer, Seen};
use weir_waf::evaluate::{self, Cause, Decision, Disruption};

use super::watch::{Asked, End, LinkAsked};
use super::{Detail, Explanation};
use crate::http::Request;

/// How much of a value is shown around what matched, in bytes.
const AROUND: usize = 60;
/// How many values of one link are shown.
const MOST_VALUES: usize = 5;

/// Writes it.
///
/// # Errors
/// When it cannot be written.
pub fn write(explanation: &Explanation<'_>, request: &Request, detail: Detail, out: &mut impl Write) -> io::Result<()> {
    let head = &request.head;
    writeln!(
        out,
        "{} {}{}  ({} bytes of body)",
        head.method,
        printable(&head.path),
        head.query
            .as_ref()
            .map_or(String::new(), |query| format!("?{}", printable(query))),
        request.body.len()
    )?;
    let mut silent = 0;
    for asked in &explanation.asked {
        silent += usize::from(!asked.is_relevant() && !asked.is_near());
    }
    let whole = |asked: &&Asked| !asked.is_near() || detail == Detail::Everything;
    for asked in explanation.shown(detail).filter(whole) {
        writeln!(out)?;
        rule(explanation, asked, out)?;
    }
    near(explanation, detail, out)?;
    if silent > 0 && detail != Detail::Everything {
        writeln!(out, "\n{silent} rules that only keep books are not shown.")?;
    }
    writeln!(out)?;
    verdict(explanation, out)
}

/// Rules of which the first link matched and a later one did not, in two lines each: most are chains that begin with a method.
fn near(explanation: &Explanation<'_>, detail: Detail, out: &mut impl Write) -> io::Result<()> {
    let listed: Vec<&Asked> = explanation.shown(detail).filter(|asked| asked.is_near()).collect();
    if listed.is_empty() || detail == Detail::Everything {
        return Ok(());
    }
    writeln!(out, "\nNearly matched:")?;
    for asked in listed {
        let Some(rule) = explanation.engine.plan().rules.get(asked.index) else {
            continue;
        };
        let stop = match &asked.end {
            End::StoppedAt(stop) => *stop,
            End::HasLiteral(found) => {
                literal(rule, found, asked, out)?;
                continue;
            }
            End::Matched => continue,
        };
        let message = constant_message(rule);
        writeln!(
            out,
            "{}  link {} of {} did not match: {}",
            asked.id,
            stop + 1,
            rule.links.len(),
            printable(message)
        )?;
        let first = asked.links.first().and_then(|link| link.seen.first());
        if let Some(Seen {
            name,
            answer: Answer::Match { form, part },
            ..
        }) = first
        {
            write!(out, "    {} = {}", printable(name.as_bytes()), cut(form, part))?;
            match asked.links.get(stop).and_then(|link| link.seen.first()) {
                None => writeln!(out, ", but there is nothing to look at after that")?,
                Some(seen) => {
                    let form = seen.steps.last().map_or(&seen.value, |(_, form)| form);
                    writeln!(
                        out,
                        ", but {} = {}",
                        printable(seen.name.as_bytes()),
                        cut(form, &(0..0))
                    )?;
                }
            }
        }
    }
    Ok(())
}

/// What a rule says whatever it looks at; nothing where that depends on the request.
fn constant_message(rule: &Rule) -> &[u8] {
    rule.message
        .as_ref()
        .and_then(|message| message.constant())
        .unwrap_or_default()
}

fn literal(rule: &Rule, found: &str, asked: &Asked, out: &mut impl Write) -> io::Result<()> {
    let message = constant_message(rule);
    writeln!(
        out,
        "{}  its pattern did not match, although {found} is there: {}",
        asked.id,
        printable(message)
    )?;
    match asked.links.first().and_then(|link| link.seen.first()) {
        Some(seen) => {
            let form = seen.steps.last().map_or(&seen.value, |(_, form)| form);
            writeln!(out, "    {} = {}", printable(seen.name.as_bytes()), cut(form, &(0..0)))
        }
        None => Ok(()),
    }
}

fn rule(explanation: &Explanation<'_>, asked: &Asked, out: &mut impl Write) -> io::Result<()> {
    let plan = explanation.engine.plan();
    let Some(rule) = plan.rules.get(asked.index) else {
        return Ok(());
    };
    let found = explanation.judged.matches.iter().find(|found| found.id == asked.id);
    let message = found.map(|found| found.message.as_str()).unwrap_or_default();
    let how = match &asked.end {
        End::HasLiteral(found) => format!("nearly matched: {} is there", printable(found.as_bytes())),
        End::Matched => "matched".to_owned(),
        End::StoppedAt(link) => format!("nearly matched: link {} of {} did not", link + 1, rule.links.len()),
    };
    writeln!(
        out,
        "{}  {how}  (phase {}, {})",
        asked.id,
        asked.phase.index() + 1,
        rule.place
    )?;
    if !message.is_empty() {
        writeln!(out, "    {message}")?;
    }
    for (number, link) in asked.links.iter().enumerate() {
        let stopped = asked.end == End::StoppedAt(number);
        self::link(number, link, rule.links.len() > 1, stopped, out)?;
    }
    for (name, before, after) in &asked.changes {
        match (before.parse::<i64>(), after.parse::<i64>()) {
            (Ok(before), Ok(after)) => writeln!(out, "    {:+} {name} (now {after})", after - before)?,
            _ if before.is_empty() => writeln!(out, "    {name} = {}", cut(after.as_bytes(), &(0..0)))?,
            _ => writeln!(
                out,
                "    {name} = {} (was {})",
                cut(after.as_bytes(), &(0..0)),
                cut(before.as_bytes(), &(0..0))
            )?,
        }
    }
    Ok(())
}

fn link(number: usize, link: &LinkAsked, chained: bool, stopped: bool, out: &mut impl Write) -> io::Result<()> {
    let prefix = if chained {
        format!("link {}: ", number + 1)
    } else {
        String::new()
    };
    if stopped && link.seen.is_empty() {
        return writeln!(out, "    {prefix}there is nothing to look at");
    }
    for seen in link.seen.iter().take(MOST_VALUES) {
        value(&prefix, seen, link, out)?;
    }
    if link.seen.len() > MOST_VALUES {
        writeln!(out, "    {prefix}and {} values more", link.seen.len() - MOST_VALUES)?;
    }
    Ok(())
}

fn value(prefix: &str, seen: &Seen, link: &LinkAsked, out: &mut impl Write) -> io::Result<()> {
    let name = printable(seen.name.as_bytes());
    let compared = match link.argument.as_str() {
        "" => String::new(),
        argument => format!("  compared with {}", cut(argument.as_bytes(), &(0..0))),
    };
    match &seen.answer {
        Answer::Match { form, part } => {
            if seen.steps.is_empty() || *form == seen.value {
                return writeln!(out, "    {prefix}{name} = {}{compared}", cut(form, part));
            }
            writeln!(out, "    {prefix}{name} = {}{compared}", cut(&seen.value, &(0..0)))?;
            for (step, result) in &seen.steps {
                let shown = if result == form {
                    cut(result, part)
                } else {
                    cut(result, &(0..0))
                };
                writeln!(out, "        t:{step} -> {shown}")?;
                if result == form {
                    break;
                }
            }
            Ok(())
        }
        Answer::NoMatch => {
            let last = seen.steps.last().map_or(&seen.value, |(_, form)| form);
            writeln!(
                out,
                "    {prefix}{name} = {} does not match{compared}",
                cut(last, &(0..0))
            )
        }
        Answer::Excluded => writeln!(out, "    {prefix}{name} is taken away from this rule by ctl"),
    }
}

fn verdict(explanation: &Explanation<'_>, out: &mut impl Write) -> io::Result<()> {
    for (name, value) in &explanation.scores {
        if value != "0" {
            writeln!(out, "{name} = {value}")?;
        }
    }
    if let Some(refusal) = explanation.judged.refusal {
        writeln!(out, "The proxy refuses the request by itself: {}.", refusal.0)?;
    }
    match &explanation.judged.decision {
        Decision::Pass => {
            let mode = explanation.engine.plan().settings.mode;
            let deciding = explanation.asked.iter().find(|asked| decides(explanation, asked));
            match (mode, deciding) {
                (weir_waf::compile::plan::Mode::DetectionOnly, Some(asked)) => writeln!(
                    out,
                    "Verdict: it passes, because rules only detect; rule {} would have refused it.",
                    asked.id
                ),
                _ => match scored(explanation) {
                    Some((score, threshold)) => {
                        writeln!(
                            out,
                            "Verdict: it passes; the score {score} stays below the threshold of {threshold}."
                        )
                    }
                    None => writeln!(out, "Verdict: it passes; no rule that decides matched."),
                },
            }
        }
        Decision::Disrupt(Disruption { cause, answer }) => {
            let answer = match answer {
                evaluate::Answer::Status(status) => format!("answered with {status}"),
                evaluate::Answer::Redirect { status, location } => {
                    format!("redirected with {status} to {}", printable(location))
                }
                evaluate::Answer::Close => "its connection is closed".to_owned(),
            };
            match cause {
                Cause::Rule(id) => writeln!(out, "Verdict: refused by rule {id}, {answer}."),
                Cause::BodyLimit => writeln!(out, "Verdict: refused because its body is too long, {answer}."),
                Cause::ResponseBodyLimit => {
                    writeln!(
                        out,
                        "Verdict: refused because the response's body is too long, {answer}."
                    )
                }
                Cause::MemoryLimit => writeln!(
                    out,
                    "Verdict: refused because its values take too much memory, {answer}."
                ),
            }
        }
    }
}

/// What rules in the manner of the Core Rule Set decide by, in requests.
fn scored<'x>(explanation: &'x Explanation<'_>) -> Option<(&'x str, &'x str)> {
    let held = |name: &str| {
        let found = explanation.scores.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    };
    Some((
        held("blocking_inbound_anomaly_score")?,
        held("inbound_anomaly_score_threshold")?,
    ))
}

/// Whether a rule matched that would refuse the request.
fn decides(explanation: &Explanation<'_>, asked: &Asked) -> bool {
    use weir_waf::compile::plan::Disruption::{Deny, Drop, Redirect};
    let rule = explanation.engine.plan().rules.get(asked.index);
    asked.end == End::Matched && rule.is_some_and(|rule| matches!(rule.disruption, Deny(_) | Drop | Redirect { .. }))
}

/// A part of a value, with what matched between `[[` and `]]` and a limited surrounding.
fn cut(value: &[u8], part: &Range<usize>) -> String {
    let marked = !part.is_empty();
    let from = if marked { part.start.saturating_sub(AROUND) } else { 0 };
    let to = part.end.max(from).saturating_add(AROUND).min(value.len());
    let shown = |range: Range<usize>| printable(value.get(range).unwrap_or_default());
    let mut text = String::new();
    text.push_str(if from > 0 { "..." } else { "" });
    if marked {
        text.push_str(&shown(from..part.start));
        text.push_str("[[");
        text.push_str(&shown(part.clone()));
        text.push_str("]]");
        text.push_str(&shown(part.end..to));
    } else {
        text.push_str(&shown(from..to));
    }
    text.push_str(if to < value.len() { "..." } else { "" });
    if text.is_empty() { "(empty)".to_owned() } else { text }
}

/// Bytes as text: UTF-8 stays, everything that a terminal would not show is `\xHH`.
#[must_use]
pub fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                c if c.is_control() => text.push_str(&format!("\\x{:02x}", u32::from(c))),
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matched_is_marked() {
        assert_eq!(cut(b"a<script>b", &(1..9)), "a[[<script>]]b");
        assert_eq!(cut(b"", &(0..0)), "(empty)");
        let long = [b'x'; 200];
        let shown = cut(&long, &(100..101));
        assert!(shown.starts_with("...xxx") && shown.ends_with("xxx...") && shown.contains("[[x]]"));
    }

    #[test]
    fn what_no_terminal_shows_is_escaped() {
        assert_eq!(printable("é\n\u{1b}".as_bytes()), "é\\n\\x1b");
        assert_eq!(printable(b"\xff\0"), "\\xff\\x00");
    }
}
