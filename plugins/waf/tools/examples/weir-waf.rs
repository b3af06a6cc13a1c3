//! The tools on a command line of their own, without the proxy: `cargo run -p weir-waf-tools --example weir-waf -- test --help`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use regex::Regex;
use weir_waf_tools::check::{self, Level};
use weir_waf_tools::crs::{Crs, Profile};
use weir_waf_tools::explain::{self, Detail};
use weir_waf_tools::http::Source;
use weir_waf_tools::rules::{Rules, Unsupported};
use weir_waf_tools::{Error, Format, Outcome, bench, test};

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Subcommand)]
enum Tool {
    /// Says what is wrong with rules.
    Check {
        #[command(flatten)]
        rules: RuleArguments,
        /// Also what is only good to know.
        #[arg(long)]
        notes: bool,
        /// JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Measures what requests and rules cost.
    Bench {
        #[command(flatten)]
        rules: RuleArguments,
        /// A file that holds a request as it travels; four of daily life unless said.
        #[arg(long)]
        request: Vec<PathBuf>,
        /// How long each request is measured, in milliseconds.
        #[arg(long, default_value_t = 500)]
        time: u64,
        /// How many rules are shown.
        #[arg(long, default_value_t = 20)]
        most: usize,
        /// JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Runs go-ftw tests.
    Test {
        #[command(flatten)]
        rules: RuleArguments,
        /// Files and folders of tests; those of the rule set unless said.
        #[arg(long)]
        tests: Vec<PathBuf>,
        /// What replaces expectations.
        #[arg(long)]
        overrides: Option<PathBuf>,
        /// Only tests whose RULE-NUMBER has this pattern.
        #[arg(long)]
        include: Option<Regex>,
        /// No tests whose RULE-NUMBER has this pattern.
        #[arg(long)]
        exclude: Option<Regex>,
        /// Where to write a report for CI.
        #[arg(long)]
        junit: Option<PathBuf>,
        /// JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Says why a request is refused or not.
    Explain {
        #[command(flatten)]
        rules: RuleArguments,
        /// The request: a file that holds it as it travels, a line that begins with curl, or an event's id beside --log.
        #[arg(long)]
        request: String,
        /// The audit log in which the event is.
        #[arg(long)]
        log: Option<PathBuf>,
        /// Also rules that only keep books.
        #[arg(long)]
        all: bool,
        /// JSON instead of text.
        #[arg(long)]
        json: bool,
    },
}

#[derive(clap::Args)]
struct RuleArguments {
    /// Files, folders and patterns; the OWASP Core Rule Set unless said.
    rules: Vec<PathBuf>,
    /// Leave out rules that cannot be loaded.
    #[arg(long)]
    skip_unsupported: bool,
    /// Refuse requests, at paranoia level 1, instead of what the tests of the rule set want.
    #[arg(long)]
    blocking: bool,
}

impl RuleArguments {
    fn rules(&self) -> Result<Rules, Error> {
        let profile = if self.blocking {
            Profile::Blocking
        } else {
            Profile::Tests
        };
        let mut rules = if self.rules.is_empty() {
            crs()?.rules(profile)
        } else {
            Rules {
                paths: self.rules.clone(),
                ..Rules::default()
            }
        };
        if self.skip_unsupported {
            rules.unsupported = Unsupported::Skip;
        }
        Ok(rules)
    }
}

fn crs() -> Result<Crs, Error> {
    Crs::find().ok_or_else(|| Error::new("name rules, or say in WEIR_CRS where the OWASP Core Rule Set is"))
}

fn format(json: bool) -> Format {
    if json { Format::Json } else { Format::Text }
}

fn run(tool: Tool) -> Result<Outcome, Error> {
    let mut out = std::io::stdout().lock();
    match tool {
        Tool::Check { rules, notes, json } => {
            let options = check::Options {
                rules: rules.rules()?,
                least: if notes { Level::Note } else { Level::Warning },
                format: format(json),
            };
            check::run(&options, &mut out)
        }
        Tool::Bench {
            rules,
            request,
            time,
            most,
            json,
        } => {
            let options = bench::Options {
                rules: rules.rules()?,
                requests: request,
                time: Duration::from_millis(time),
                most,
                format: format(json),
            };
            bench::run(&options, &mut out)
        }
        Tool::Test {
            rules,
            tests,
            overrides,
            include,
            exclude,
            junit,
            json,
        } => {
            let tests = if tests.is_empty() {
                crs()?.tests_folder().into_iter().collect()
            } else {
                tests
            };
            let options = test::Options {
                rules: rules.rules()?,
                tests,
                overrides,
                include,
                exclude,
                junit,
                format: format(json),
            };
            test::run(&options, &mut out)
        }
        Tool::Explain {
            rules,
            request,
            log,
            all,
            json,
        } => {
            let request = match log {
                Some(log) => Source::Event { id: request, log },
                None if request.starts_with("curl ") => Source::Curl(request),
                None => Source::File(request.into()),
            };
            let options = explain::Options {
                rules: rules.rules()?,
                request,
                detail: if all { Detail::Everything } else { Detail::Relevant },
                format: format(json),
            };
            explain::run(&options, &mut out)
        }
    }
}

fn main() -> ExitCode {
    match run(Arguments::parse().tool) {
        Ok(Outcome::Clean) => ExitCode::SUCCESS,
        Ok(Outcome::Findings) => ExitCode::from(1),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
