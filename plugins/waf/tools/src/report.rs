//! How a run of tests went: for people, for programs, for CI.

use std::io::{self, Write};

use serde_json::json;

use crate::test::{Report, StageFailure, TestResult};

/// For people: each failure with its reason, then the sum.
///
/// # Errors
/// When it cannot be written.
pub fn text(report: &Report, out: &mut impl Write) -> io::Result<()> {
    for problem in &report.skipped_rules {
        writeln!(out, "skipped {problem}")?;
    }
    for result in report.failed() {
        writeln!(out, "FAIL {}  {}", result.id, result.file.display())?;
        if let Some(line) = result.description.lines().next() {
            writeln!(out, "     {line}")?;
        }
        for failure in &result.failures {
            for line in explained(result, failure) {
                writeln!(out, "     {line}")?;
            }
        }
    }
    let (passed, all) = (report.passed(), report.results.len());
    if !report.skipped_rules.is_empty() {
        writeln!(
            out,
            "{} rules could not be loaded and were left out",
            report.skipped_rules.len()
        )?;
    }
    if report.left_out > 0 {
        writeln!(out, "{} tests were left out by the filters", report.left_out)?;
    }
    if report.unasked > 0 {
        writeln!(
            out,
            "{} requests were refused by the proxy itself, so that no rule was asked about them",
            report.unasked
        )?;
    }
    writeln!(
        out,
        "{passed} passed, {} failed of {all} tests ({:.2} %) in {:.2} s",
        all - passed,
        percent(passed, all),
        report.took.as_secs_f64()
    )
}

fn percent(passed: usize, all: usize) -> f64 {
    100.0 * passed as f64 / all.max(1) as f64
}

/// What did not come as expected, and what came instead.
fn explained(result: &TestResult, failure: &StageFailure) -> Vec<String> {
    let mut lines = Vec::new();
    let stages = result.failures.iter().any(|other| other.stage > 0);
    let stage = if stages {
        format!("stage {}: ", failure.stage)
    } else {
        String::new()
    };
    lines.push(format!("{stage}{}", failure.failure));
    if let Some(refusal) = failure.refusal {
        lines.push(format!("the proxy refuses the request: {refusal}"));
    }
    if failure.matches.is_empty() {
        lines.push("no rule matched".to_owned());
    } else {
        let ids: Vec<String> = failure
            .matches
            .iter()
            .map(|found| format!("{} ({})", found.id, found.variable))
            .collect();
        lines.push(format!("matched: {}", ids.join(", ")));
    }
    lines
}

/// For programs.
///
/// # Errors
/// When it cannot be written.
pub fn json(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let results: Vec<_> = report
        .results
        .iter()
        .map(|result| {
            let failures: Vec<_> = result
                .failures
                .iter()
                .map(|failure| {
                    json!({
                        "stage": failure.stage,
                        "reason": failure.failure.to_string(),
                        "refused": failure.refusal,
                        "matched": failure.matches.iter().map(|found| json!({
                            "id": found.id, "variable": found.variable, "message": found.message, "data": found.data,
                        })).collect::<Vec<_>>(),
                    })
                })
                .collect();
            json!({
                "id": result.id,
                "file": result.file.display().to_string(),
                "description": result.description,
                "passed": result.failures.is_empty(),
                "microseconds": result.took.as_micros() as u64,
                "failures": failures,
            })
        })
        .collect();
    let whole = json!({
        "passed": report.passed(),
        "failed": report.results.len() - report.passed(),
        "left_out": report.left_out,
        "refused_by_the_proxy": report.unasked,
        "skipped_rules": report.skipped_rules,
        "seconds": report.took.as_secs_f64(),
        "tests": results,
    });
    writeln!(out, "{whole:#}")
}

/// For CI: one suite a file.
///
/// # Errors
/// When it cannot be written.
pub fn junit(report: &Report, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(
        out,
        "<testsuites tests=\"{}\" failures=\"{}\" time=\"{:.6}\">",
        report.results.len(),
        report.failed().count(),
        report.took.as_secs_f64()
    )?;
    for suite in report.results.chunk_by(|a, b| a.file == b.file) {
        let Some(first) = suite.first() else { continue };
        let failed = suite.iter().filter(|result| !result.failures.is_empty()).count();
        writeln!(
            out,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failed}\">",
            escaped(&first.file.display().to_string()),
            suite.len()
        )?;
        for result in suite {
            case(result, out)?;
        }
        writeln!(out, "  </testsuite>")?;
    }
    writeln!(out, "</testsuites>")
}

fn case(result: &TestResult, out: &mut impl Write) -> io::Result<()> {
    write!(
        out,
        "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.6}\"",
        result.id.split('-').next().unwrap_or_default(),
        escaped(&result.id),
        result.took.as_secs_f64()
    )?;
    let Some(first) = result.failures.first() else {
        return writeln!(out, "/>");
    };
    let all: Vec<String> = result
        .failures
        .iter()
        .flat_map(|failure| explained(result, failure))
        .collect();
    writeln!(
        out,
        ">\n      <failure message=\"{}\">{}</failure>\n    </testcase>",
        escaped(&first.failure.to_string()),
        escaped(&all.join("\n"))
    )
}

/// As XML text or attribute. Control characters have no place in XML 1.0.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
