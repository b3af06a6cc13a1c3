//! `weir waf`: what rules do, before they ship.

mod through;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use regex::Regex;
use weir_waf_tools::check::Level;
use weir_waf_tools::crs::{self, Profile};
use weir_waf_tools::explain::Detail;
use weir_waf_tools::http::Source;
use weir_waf_tools::rules::{Rules, Unsupported};
use weir_waf_tools::{Error, Format, Outcome, bench, check, explain, test};

/// Check, test, explain and measure WAF rules.
#[derive(Debug, Subcommand)]
pub(crate) enum WafCommand {
    /// Say what is wrong with rules, and what is not wrong but does nothing.
    Check(Check),
    /// Run regression tests in go-ftw's YAML against rules, through the proxy or in this process.
    Test(Test),
    /// Say why a request is refused or not: what each rule saw, and what it answered.
    Explain(Explain),
    /// Measure what requests cost, and which rules cost it.
    Bench(Bench),
}

/// Rules, for a command that takes other things as well.
#[derive(Debug, Args)]
struct RuleSet {
    /// A file, a folder of *.conf files, a pattern like 'rules/*.conf', or an installation of the OWASP Core Rule Set
    #[arg(value_name = "RULES")]
    rules: PathBuf,
    /// Rules that are read before RULES; may be given several times
    #[arg(long = "before", value_name = "FILE")]
    before: Vec<PathBuf>,
    #[command(flatten)]
    loading: Loading,
}

#[derive(Debug, Args)]
struct Loading {
    /// How an installation of the Core Rule Set is set up
    #[arg(long, value_enum, value_name = "PROFILE")]
    profile: Option<ProfileName>,
    /// How eager the rules of such an installation are [default: 1, and 4 for its tests]
    #[arg(long, value_name = "1-4", value_parser = clap::value_parser!(u8).range(1..=4))]
    paranoia_level: Option<u8>,
    /// Leave out rules that cannot be loaded, instead of stopping there
    #[arg(long)]
    skip_unsupported: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProfileName {
    /// Paranoia level 1, requests are refused: what an installation begins with
    Blocking,
    /// Paranoia level 4, nothing is refused, and the limits that its own tests exceed
    Tests,
}

/// Say what is wrong with rules, and what is not wrong but does nothing.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Files, folders of *.conf files, patterns, or an installation of the OWASP Core Rule Set; read in this order
    #[arg(required = true, value_name = "RULES")]
    rules: Vec<PathBuf>,
    #[command(flatten)]
    loading: Loading,
    /// Also say what is only good to know, such as patterns that were translated
    #[arg(long)]
    notes: bool,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

/// Run regression tests in go-ftw's YAML against rules, through the proxy or in this process.
///
/// Through the proxy: a Weir with the WAF's component is started on loopback and stopped afterwards. Where no component is found, the
/// engine is asked in this process.
#[derive(Debug, Args)]
pub(crate) struct Test {
    #[command(flatten)]
    rules: RuleSet,
    /// Files and folders of tests
    #[arg(required = true, value_name = "TESTS")]
    tests: Vec<PathBuf>,
    /// What replaces expectations, in go-ftw's format
    #[arg(long, value_name = "FILE")]
    overrides: Option<PathBuf>,
    /// Only tests whose RULE-NUMBER has this pattern
    #[arg(long, value_name = "REGEX")]
    include: Option<Regex>,
    /// No tests whose RULE-NUMBER has this pattern
    #[arg(long, value_name = "REGEX")]
    exclude: Option<Regex>,
    /// Write a JUnit report to this file as well
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Ask the engine itself, without a proxy
    #[arg(long, conflicts_with = "component")]
    in_process: bool,
    /// The WAF's component, for the proxy [default: target/plugins/waf.wasm, or waf.wasm beside weir]
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

/// Say why a request is refused or not: what each rule saw, and what it answered.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    rules: RuleSet,
    /// A file that holds the request as it travels, a line that begins with curl, or, with --log, an audit event's id
    #[arg(value_name = "REQUEST")]
    request: String,
    /// The audit log that has the event
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Also show rules that only keep books
    #[arg(long)]
    all: bool,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

/// Measure what requests cost, and which rules cost it.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    #[command(flatten)]
    rules: RuleSet,
    /// Files that hold requests as they travel [default: four of daily life]
    #[arg(value_name = "REQUESTS")]
    requests: Vec<PathBuf>,
    /// Milliseconds for which each request is measured
    #[arg(long, default_value_t = 500, value_name = "MILLISECONDS")]
    time: u64,
    /// How many rules to show, the most expensive first
    #[arg(long, default_value_t = 20, value_name = "RULES")]
    most: usize,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

/// Does what a command says. Exit codes: 0 nothing found, 1 findings, 2 the work could not be done.
pub(crate) fn run(command: WafCommand) -> ExitCode {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let outcome = match command {
        WafCommand::Check(command) => command.run(&mut out),
        WafCommand::Test(command) => command.run(&mut out),
        WafCommand::Explain(command) => command.run(&mut out),
        WafCommand::Bench(command) => command.run(&mut out),
    };
    match outcome.and_then(|outcome| out.flush().map(|()| outcome).map_err(Error::from)) {
        Ok(Outcome::Clean) => ExitCode::SUCCESS,
        Ok(Outcome::Findings) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

impl Check {
    fn run(self, out: &mut impl Write) -> Result<Outcome, Error> {
        let options = check::Options {
            rules: self.loading.rules(self.rules, Profile::Blocking),
            least: if self.notes { Level::Note } else { Level::Warning },
            format: format(self.json),
        };
        check::run(&options, out)
    }
}

impl Test {
    fn run(self, out: &mut impl Write) -> Result<Outcome, Error> {
        let options = test::Options {
            rules: self.rules.load(Profile::Tests),
            tests: self.tests,
            overrides: self.overrides,
            include: self.include,
            exclude: self.exclude,
            junit: self.junit,
            format: format(self.json),
        };
        let component = match self.in_process {
            true => None,
            false => self.component.or_else(through::component),
        };
        match component {
            None => test::run(&options, out),
            Some(component) => {
                eprintln!("through the proxy, with {}", component.display());
                test::run_by(
                    &options,
                    |messages| through::judge(&options.rules, &component, messages),
                    out,
                )
            }
        }
    }
}

impl Explain {
    fn run(self, out: &mut impl Write) -> Result<Outcome, Error> {
        let request = match self.log {
            Some(log) => Source::Event { id: self.request, log },
            None if self.request.starts_with("curl ") => Source::Curl(self.request),
            None => Source::File(self.request.into()),
        };
        let options = explain::Options {
            rules: self.rules.load(Profile::Blocking),
            request,
            detail: if self.all { Detail::Everything } else { Detail::Relevant },
            format: format(self.json),
        };
        explain::run(&options, out)
    }
}

impl Bench {
    fn run(self, out: &mut impl Write) -> Result<Outcome, Error> {
        let options = bench::Options {
            rules: self.rules.load(Profile::Blocking),
            requests: self.requests,
            time: Duration::from_millis(self.time),
            most: self.most,
            format: format(self.json),
        };
        bench::run(&options, out)
    }
}

impl RuleSet {
    fn load(self, usual: Profile) -> Rules {
        let paths = self.before.into_iter().chain([self.rules]).collect();
        self.loading.rules(paths, usual)
    }
}

impl Loading {
    /// The rules of all paths; an installation of the Core Rule Set among them brings its setup along.
    fn rules(&self, paths: Vec<PathBuf>, usual: Profile) -> Rules {
        let profile = match self.profile {
            Some(ProfileName::Blocking) => Profile::Blocking,
            Some(ProfileName::Tests) => Profile::Tests,
            None => usual,
        };
        let mut rules = Rules::default();
        for path in paths {
            let more = crs::rules(&path, profile);
            // Only an installation has something to read before its files, and a configuration that goes with it.
            if !more.before.is_empty() {
                rules.before.extend(more.before);
                rules.config = more.config;
            }
            rules.paths.extend(more.paths);
        }
        if let Some(level) = self.paranoia_level {
            rules.config.paranoia_level = level;
        }
        if self.skip_unsupported {
            rules.unsupported = Unsupported::Skip;
        }
        rules
    }
}

fn format(json: bool) -> Format {
    if json { Format::Json } else { Format::Text }
}
