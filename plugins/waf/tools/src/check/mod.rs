//! `weir waf check`: what is wrong with rules, and what is not wrong but does nothing, before anything is deployed.
//!
//! What stops a deployment is an error. The rest is looked for one concern a file: [`scores`] that go nowhere or do not fit a
//! severity, rules that [`reach`] nothing, [`patterns`] that are run otherwise than they are written or on every value.

mod patterns;
mod reach;
mod scores;

use std::fmt;
use std::io::Write;

use serde_json::json;
use weir_waf::problem::Place;
use weir_waf::seclang::{Source, parse};

use crate::rules::{Rules, Unsupported};
use crate::{Error, Format, Outcome};

/// What to check.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The rules.
    pub rules: Rules,
    /// Findings below this are counted and not shown.
    pub least: Level,
    /// What to write to the output.
    pub format: Format,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Level {
    /// Good to know.
    Note,
    /// It is loaded and does not do what it looks to do.
    #[default]
    Warning,
    /// It stops a deployment.
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub place: Place,
    /// How bad it is.
    pub level: Level,
    /// What it is.
    pub message: String,
}

/// Everything that was found, in the order of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What was found.
    pub findings: Vec<Finding>,
    /// How many rules there are.
    pub rules: usize,
}

impl Report {
    /// How many findings are of a level.
    #[must_use]
    pub fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }
}

/// Checks and writes.
///
/// # Errors
/// A path that leads to no file; what cannot be written.
pub fn run(options: &Options, out: &mut impl Write) -> Result<Outcome, Error> {
    let report = check(&options.rules)?;
    let shown = report.findings.iter().filter(|finding| finding.level >= options.least);
    match options.format {
        Format::Text => {
            for finding in shown {
                writeln!(out, "{}: {}: {}", finding.place, finding.level, finding.message)?;
            }
            writeln!(
                out,
                "{} rules: {} errors, {} warnings, {} notes",
                report.rules,
                report.count(Level::Error),
                report.count(Level::Warning),
                report.count(Level::Note)
            )?;
        }
        Format::Json => {
            let findings: Vec<_> = shown
                .map(|finding| {
                    json!({
                        "file": &*finding.place.file,
                        "line": finding.place.line,
                        "level": finding.level.to_string(),
                        "message": finding.message,
                    })
                })
                .collect();
            writeln!(out, "{:#}", json!({"rules": report.rules, "findings": findings}))?;
        }
    }
    Ok(match report.count(Level::Error) {
        0 => Outcome::Clean,
        _ => Outcome::Findings,
    })
}

/// Checks.
///
/// # Errors
/// A path that leads to no file.
pub fn check(rules: &Rules) -> Result<Report, Error> {
    let (sources, files) = rules.sources()?;
    let mut findings = Vec::new();
    let directives = match parse(&sources, &files) {
        Ok(directives) => directives,
        Err(problems) => {
            add(
                &mut findings,
                Level::Error,
                problems.0.into_iter().map(|problem| (problem.place, problem.message)),
            );
            return Ok(Report { findings, rules: 0 });
        }
    };
    let lenient = Rules {
        unsupported: Unsupported::Skip,
        ..rules.clone()
    };
    let (plan, wrong) = lenient.plan()?;
    add(
        &mut findings,
        Level::Error,
        wrong.0.into_iter().map(|problem| (problem.place, problem.message)),
    );
    let warnings = plan
        .warnings
        .iter()
        .map(|problem| (problem.place.clone(), problem.message.clone()));
    add(&mut findings, Level::Warning, warnings);
    findings.extend(scores::check(&plan));
    findings.extend(reach::check(&plan));
    findings.extend(patterns::check(&directives, &plan));
    in_order(&mut findings, &sources);
    findings.dedup();
    Ok(Report {
        findings,
        rules: plan.rules.len(),
    })
}

fn add(findings: &mut Vec<Finding>, level: Level, found: impl Iterator<Item = (Place, String)>) {
    findings.extend(found.map(|(place, message)| Finding { place, level, message }));
}

/// By file, in the order in which they were given, and line.
fn in_order(findings: &mut [Finding], sources: &[Source]) {
    let position = |file: &str| {
        let given = sources.iter().position(|source| source.name == file);
        given.unwrap_or(sources.len())
    };
    findings.sort_by(|a, b| {
        let key = |finding: &Finding| (position(&finding.place.file), finding.place.line);
        key(a).cmp(&key(b)).then(b.level.cmp(&a.level))
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn checked(text: &str) -> Vec<(u32, Level, String)> {
        let rules = Rules {
            before: vec![("t.conf".to_owned(), text.to_owned())],
            ..Rules::default()
        };
        let report = check(&rules).unwrap();
        report
            .findings
            .into_iter()
            .map(|finding| (finding.place.line, finding.level, finding.message))
            .collect()
    }

    fn lines(text: &str, level: Level) -> Vec<u32> {
        let found = checked(text);
        found
            .iter()
            .filter(|found| found.1 == level)
            .map(|found| found.0)
            .collect()
    }

    #[test]
    fn what_stops_a_deployment_is_an_error_and_the_rest_is_still_checked() {
        let text = "SecRule NOWHERE \"@rx a\" \"id:1,phase:2\"\n\
                    SecAction \"id:2,phase:2,nolog,pass,ctl:ruleRemoveById=77\"\n\
                    SecRule ARGS \"@rx b\" \"id:3,phase:2,chain\"";
        assert_eq!(lines(text, Level::Error), [1, 3], "{:?}", checked(text));
        assert_eq!(lines(text, Level::Warning), [2], "{:?}", checked(text));
    }

    #[test]
    fn a_score_must_fit_its_severity() {
        let text = "SecAction \"id:1,phase:1,nolog,pass,setvar:tx.critical_anomaly_score=5,setvar:tx.error_anomaly_score=4\"\n\
                    SecRule ARGS \"@rx a\" \"id:2,phase:2,pass,severity:ERROR,setvar:tx.s=+%{tx.critical_anomaly_score}\"\n\
                    SecRule ARGS \"@rx a\" \"id:3,phase:2,pass,severity:CRITICAL,setvar:tx.s=+%{tx.critical_anomaly_score}\"\n\
                    SecRule TX:s|TX:error_anomaly_score \"@ge 5\" \"id:4,phase:2,deny\"";
        assert_eq!(lines(text, Level::Warning), [2], "{:?}", checked(text));
    }

    #[test]
    fn a_score_that_nobody_reads_goes_nowhere() {
        let text = "SecRule ARGS \"@rx a\" \"id:1,phase:2,pass,setvar:tx.my_score=+5\"";
        assert_eq!(lines(text, Level::Warning), [1], "{:?}", checked(text));
    }

    #[test]
    fn what_is_jumped_over_always_is_unreachable() {
        let text = "SecAction \"id:1,phase:2,nolog,pass,skipAfter:END\"\nSecRule ARGS \"@streq a\" \"id:2,phase:2,deny\"\n\
                    SecRule ARGS \"@streq a\" \"id:3,phase:1,deny\"\nSecMarker END\nSecRule ARGS \"@streq a\" \"id:4,phase:2,deny\"";
        assert_eq!(lines(text, Level::Warning), [2], "{:?}", checked(text));
    }

    #[test]
    fn a_pattern_that_every_value_runs_is_noted_with_its_cost() {
        let found = checked("SecRule ARGS \"@rx ^[a-z0-9 ]{3,}$\" \"id:1,phase:2,deny\"");
        assert!(
            found
                .iter()
                .any(|found| found.1 == Level::Note && found.2.contains("ns a value")),
            "{found:?}"
        );
    }
}
