//! `weir waf test`: regression tests against a rule set.

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use regex::Regex;
use weir_waf::evaluate::{Engine, Match, Transaction};

use crate::exchange::{self, Asked, Judged, LogLines};
use crate::ftw::expectation::{self, Failure};
use crate::ftw::{Overrides, Stage, Test, TestFile, request, schema};
use crate::http::wire;
use crate::rules::Rules;
use crate::{Error, Format, Outcome, report};

/// What to run, and where to say how it went.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The rules.
    pub rules: Rules,
    /// Files and folders of tests.
    pub tests: Vec<PathBuf>,
    /// What replaces expectations.
    pub overrides: Option<PathBuf>,
    /// Only tests whose `RULE-NUMBER` has this pattern.
    pub include: Option<Regex>,
    /// No tests whose `RULE-NUMBER` has this pattern.
    pub exclude: Option<Regex>,
    /// Where to write a report for CI in the format of `JUnit`.
    pub junit: Option<PathBuf>,
    /// What to write to the output.
    pub format: Format,
}

/// How a run went.
#[derive(Debug)]
pub struct Report {
    /// Each test that ran, in the order of the files.
    pub results: Vec<TestResult>,
    /// How many tests the filters left out.
    pub left_out: usize,
    /// The rules that could not be loaded and were left out.
    pub skipped_rules: Vec<String>,
    /// How many requests the proxy refused by itself, so that no rule was asked.
    pub unasked: usize,
    /// How long the tests took, without loading.
    pub took: Duration,
}

/// How a test went.
#[derive(Debug)]
pub struct TestResult {
    /// The file.
    pub file: PathBuf,
    /// `942100-3`.
    pub id: String,
    /// A sentence about it.
    pub description: String,
    /// How long it took.
    pub took: Duration,
    /// What did not come as expected; nothing where the test passed.
    pub failures: Vec<StageFailure>,
}

/// What did not come as expected of one request.
#[derive(Debug)]
pub struct StageFailure {
    /// The stage, from 0.
    pub stage: usize,
    /// What.
    pub failure: Failure,
    /// What matched instead.
    pub matches: Vec<Match>,
    /// Why the proxy refused the request by itself, where it did.
    pub refusal: Option<&'static str>,
}

impl Report {
    /// How many tests passed.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.results.iter().filter(|result| result.failures.is_empty()).count()
    }

    /// The tests that failed.
    pub fn failed(&self) -> impl Iterator<Item = &TestResult> {
        self.results.iter().filter(|result| !result.failures.is_empty())
    }
}

/// Runs the tests and writes the report.
///
/// # Errors
/// Rules or tests that cannot be read, and a report that cannot be written.
pub fn run(options: &Options, out: &mut impl Write) -> Result<Outcome, Error> {
    tell(options, &results(options)?, out)
}

/// The same, with somebody else than the engine of this process, who is given the requests of all tests at once.
///
/// # Errors
/// As [`run`], and whatever keeps the judge from answering.
pub fn run_by(
    options: &Options,
    judge: impl FnOnce(&[Vec<u8>]) -> Result<Vec<Judged>, Error>,
    out: &mut impl Write,
) -> Result<Outcome, Error> {
    tell(options, &results_by(options, judge)?, out)
}

fn tell(options: &Options, report: &Report, out: &mut impl Write) -> Result<Outcome, Error> {
    match options.format {
        Format::Text => report::text(report, out)?,
        Format::Json => report::json(report, out)?,
    }
    if let Some(path) = &options.junit {
        let mut file =
            std::fs::File::create(path).map_err(|error| Error::new(format!("{}: {error}", path.display())))?;
        report::junit(report, &mut file)?;
    }
    Ok(match report.failed().next() {
        None => Outcome::Clean,
        Some(_) => Outcome::Findings,
    })
}

/// Runs the tests.
///
/// # Errors
/// Rules or tests that cannot be read; no test at all, because a run of nothing proves nothing.
pub fn results(options: &Options) -> Result<Report, Error> {
    let loaded = options.rules.load()?;
    let files = tests(options)?;
    let chosen = chosen(options, &files)?;
    let started = Instant::now();
    let results = run_all(&loaded.engine, &chosen.tests);
    Ok(Report {
        results,
        left_out: chosen.left_out,
        skipped_rules: loaded.skipped.0.iter().map(ToString::to_string).collect(),
        unasked: 0,
        took: started.elapsed(),
    })
}

fn results_by(
    options: &Options,
    judge: impl FnOnce(&[Vec<u8>]) -> Result<Vec<Judged>, Error>,
) -> Result<Report, Error> {
    let loaded = options.rules.load()?;
    let log = LogLines::new(&loaded.engine);
    let files = tests(options)?;
    let chosen = chosen(options, &files)?;
    let stages = chosen.tests.iter().flat_map(|(_, test)| &test.stages);
    let sent: Vec<Vec<Vec<u8>>> = stages
        .map(|stage| request::messages(&stage.input).unwrap_or_default())
        .collect();
    let started = Instant::now();
    let judged = judge(&sent.concat())?;
    let took = started.elapsed();
    let unasked = judged.iter().filter(|judged| judged.asked == Asked::No).count();
    let (mut sent, mut judged) = (sent.iter(), judged.iter());
    let mut results = Vec::with_capacity(chosen.tests.len());
    for (file, test) in &chosen.tests {
        let mut failures = Vec::new();
        for (number, stage) in test.stages.iter().enumerate() {
            let messages = sent.next().map_or(0, Vec::len);
            match request::messages(&stage.input) {
                Ok(_) => failures.extend(
                    judged
                        .by_ref()
                        .take(messages)
                        .flat_map(|judged| stage_failures(stage, number, judged, &log)),
                ),
                Err(error) => failures.push(StageFailure::broken(number, &error)),
            }
        }
        results.push(TestResult {
            file: file.path.clone(),
            id: test.id(),
            description: test.description.trim().to_owned(),
            took: took / u32::try_from(chosen.tests.len()).unwrap_or(u32::MAX).max(1),
            failures,
        });
    }
    Ok(Report {
        results,
        left_out: chosen.left_out,
        skipped_rules: loaded.skipped.0.iter().map(ToString::to_string).collect(),
        unasked,
        took,
    })
}

fn tests(options: &Options) -> Result<Vec<TestFile>, Error> {
    let mut files = Vec::new();
    for path in &options.tests {
        files.extend(schema::load(path)?);
    }
    if let Some(path) = &options.overrides {
        Overrides::load(path)?.apply(&mut files);
    }
    Ok(files)
}

/// The tests that the filters leave.
struct Chosen<'f> {
    tests: Vec<(&'f TestFile, &'f Test)>,
    left_out: usize,
}

fn chosen<'f>(options: &Options, files: &'f [TestFile]) -> Result<Chosen<'f>, Error> {
    let wanted = |test: &Test| {
        let id = test.id();
        let included = options.include.as_ref().is_none_or(|pattern| pattern.is_match(&id));
        let excluded = options.exclude.as_ref().is_some_and(|pattern| pattern.is_match(&id));
        included && !excluded
    };
    let tests: Vec<_> = files
        .iter()
        .flat_map(|file| file.tests.iter().map(move |test| (file, test)))
        .filter(|(_, test)| wanted(test))
        .collect();
    let all: usize = files.iter().map(|file| file.tests.len()).sum();
    if tests.is_empty() {
        return Err(Error::new(format!("no test is left of {all}: nothing was run")));
    }
    let left_out = all - tests.len();
    Ok(Chosen { tests, left_out })
}

/// Every core takes the next test, so that a slow one holds up nobody.
fn run_all(engine: &Engine, tests: &[(&TestFile, &Test)]) -> Vec<TestResult> {
    let log = LogLines::new(engine);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some((file, test)) = tests.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push(run_test(engine, &log, file, test));
        }
        done
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut results: Vec<TestResult> = std::thread::scope(|scope| {
        let workers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut results = work();
        for worker in workers {
            match worker.join() {
                Ok(done) => results.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    });
    let position: std::collections::HashMap<(&PathBuf, String), usize> = tests
        .iter()
        .enumerate()
        .map(|(at, (file, test))| ((&file.path, test.id()), at))
        .collect();
    results.sort_by_key(|result| position.get(&(&result.file, result.id.clone())).copied());
    results
}

fn run_test(engine: &Engine, log: &LogLines<'_>, file: &TestFile, test: &Test) -> TestResult {
    let started = Instant::now();
    let failures = test
        .stages
        .iter()
        .enumerate()
        .flat_map(|(number, stage)| run_stage(engine, log, number, stage))
        .collect();
    TestResult {
        file: file.path.clone(),
        id: test.id(),
        description: test.description.trim().to_owned(),
        took: started.elapsed(),
        failures,
    }
}

fn run_stage(engine: &Engine, log: &LogLines<'_>, number: usize, stage: &Stage) -> Vec<StageFailure> {
    let messages = match request::messages(&stage.input) {
        Ok(messages) => messages,
        Err(error) => return vec![StageFailure::broken(number, &error)],
    };
    let mut failed = Vec::new();
    for message in messages {
        let received = wire::read(&message);
        let judged = exchange::judge(engine, &received, &mut Transaction::default());
        failed.extend(stage_failures(stage, number, &judged, log));
    }
    failed
}

fn stage_failures(stage: &Stage, number: usize, judged: &Judged, log: &LogLines<'_>) -> Vec<StageFailure> {
    expectation::failures(&stage.output, judged, log)
        .into_iter()
        .map(|failure| StageFailure {
            stage: number,
            failure,
            matches: judged.matches.clone(),
            refusal: judged.refusal.map(|refusal| refusal.0),
        })
        .collect()
}

impl StageFailure {
    fn broken(stage: usize, error: &Error) -> Self {
        Self {
            stage,
            failure: Failure::Broken(error.to_string()),
            matches: Vec::new(),
            refusal: None,
        }
    }
}
