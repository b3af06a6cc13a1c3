//! The tools on a command line of their own, without the proxy:
//! `cargo run -p weir-waf-tools --example weir-waf -- test RULES TESTS`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use regex::Regex;
use weir_waf_tools::check::{self, Level};
use weir_waf_tools::crs::{self, Profile};
use weir_waf_tools::explain::{self, Detail};
use weir_waf_tools::http::Source;
use weir_waf_tools::rules::Rules;
use weir_waf_tools::{Error, Format, Outcome, bench, test};

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Subcommand)]
enum Tool {
    /// Says what is wrong with rules, and what does nothing.
    Check {
        /// Files, folders, patterns with *, or the folder of an OWASP Core Rule Set.
        #[arg(required = true)]
        rules: Vec<PathBuf>,
        /// Also what is only good to know.
        #[arg(long)]
        notes: bool,
        #[command(flatten)]
        shown: Shown,
    },
    /// Runs go-ftw tests.
    Test {
        /// A file, a folder, a pattern with *, or the folder of an OWASP Core Rule Set, which is set up as its tests want it.
        rules: PathBuf,
        /// Files and folders of tests.
        #[arg(required = true)]
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
        #[command(flatten)]
        shown: Shown,
    },
    /// Says why a request is refused or not.
    Explain {
        /// As for check, one.
        rules: PathBuf,
        /// A file that holds the request as it travels, a line that begins with curl, or an event's id beside --log.
        request: String,
        /// The audit log in which the event is.
        #[arg(long)]
        log: Option<PathBuf>,
        /// Also rules that only keep books, and every detail of those that nearly matched.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        level: ParanoiaLevel,
        #[command(flatten)]
        shown: Shown,
    },
    /// Measures what requests and rules cost.
    Bench {
        /// As for check, one.
        rules: PathBuf,
        /// Files that each hold a request as it travels; four of daily life unless said.
        requests: Vec<PathBuf>,
        /// How long each request is measured, in milliseconds.
        #[arg(long, default_value_t = 500)]
        time: u64,
        /// How many rules are shown.
        #[arg(long, default_value_t = 20)]
        most: usize,
        #[command(flatten)]
        level: ParanoiaLevel,
        #[command(flatten)]
        shown: Shown,
    },
}

#[derive(Args)]
struct ParanoiaLevel {
    /// How eager rules are, 1 to 4.
    #[arg(long, default_value_t = 1)]
    paranoia_level: u8,
}

impl ParanoiaLevel {
    fn rules(&self, path: &std::path::Path) -> Rules {
        let mut rules = crs::rules(path, Profile::Blocking);
        rules.config.paranoia_level = self.paranoia_level;
        rules
    }
}

#[derive(Args)]
struct Shown {
    /// JSON instead of text.
    #[arg(long)]
    json: bool,
}

impl Shown {
    fn format(&self) -> Format {
        if self.json { Format::Json } else { Format::Text }
    }
}

fn run(tool: Tool) -> Result<Outcome, Error> {
    let mut out = std::io::stdout().lock();
    match tool {
        Tool::Check { rules, notes, shown } => {
            let rules = match rules.as_slice() {
                [one] => crs::rules(one, Profile::Blocking),
                many => Rules {
                    paths: many.to_vec(),
                    ..Rules::default()
                },
            };
            let options = check::Options {
                rules,
                least: if notes { Level::Note } else { Level::Warning },
                format: shown.format(),
            };
            check::run(&options, &mut out)
        }
        Tool::Test {
            rules,
            tests,
            overrides,
            include,
            exclude,
            junit,
            shown,
        } => {
            let options = test::Options {
                rules: crs::rules(&rules, Profile::Tests),
                tests,
                overrides,
                include,
                exclude,
                junit,
                format: shown.format(),
            };
            test::run(&options, &mut out)
        }
        Tool::Explain {
            rules,
            request,
            log,
            all,
            level,
            shown,
        } => {
            let request = match log {
                Some(log) => Source::Event { id: request, log },
                None if request.starts_with("curl ") => Source::Curl(request),
                None => Source::File(request.into()),
            };
            let options = explain::Options {
                rules: level.rules(&rules),
                request,
                detail: if all { Detail::Everything } else { Detail::Relevant },
                format: shown.format(),
            };
            explain::run(&options, &mut out)
        }
        Tool::Bench {
            rules,
            requests,
            time,
            most,
            level,
            shown,
        } => {
            let options = bench::Options {
                rules: level.rules(&rules),
                requests,
                time: Duration::from_millis(time),
                most,
                format: shown.format(),
            };
            bench::run(&options, &mut out)
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
