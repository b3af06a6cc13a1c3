//! Rule sets as an installation begins with them, paranoia level 1 and refusing: ordinary requests pass, each class of attacks does
//! not. With CRS 4 where it is found, and with Debian's CRS 3.3 where that is installed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod requests;

use weir_waf::evaluate::{Decision, Engine, Transaction};
use weir_waf_tools::crs::{Crs, Profile};
use weir_waf_tools::exchange::judge;
use weir_waf_tools::http::wire;

/// CRS 4. Where only Debian's is there, its own test judges it.
fn newer() -> Option<Crs> {
    Crs::find().filter(|crs| Some(crs) != Crs::debian().as_ref())
}

fn engine(found: Option<Crs>, which: &str) -> Option<Engine> {
    let Some(crs) = found else {
        assert!(
            std::env::var_os("CI").is_none() || Crs::find().is_some(),
            "no rule set: install modsecurity-crs, or set WEIR_CRS"
        );
        println!("NOT RUN: {which} is not installed");
        return None;
    };
    let loaded = crs.rules(Profile::Blocking).load();
    Some(loaded.unwrap_or_else(|error| panic!("{which}: {error}")).engine)
}

/// What a request leads to, for a message; nothing where it passes.
fn refused(engine: &Engine, message: &[u8]) -> Option<String> {
    let received = wire::read(message);
    assert!(received.request.is_some(), "{}", String::from_utf8_lossy(message));
    let judged = judge(engine, &received, &mut Transaction::default());
    let matched: Vec<String> = judged
        .matches
        .iter()
        .map(|found| format!("{} {} {}", found.id, found.variable, found.data))
        .collect();
    (judged.decision != Decision::Pass).then(|| matched.join("; "))
}

fn ordinary_requests_pass(engine: &Engine) {
    let wrong: Vec<String> = requests::ordinary()
        .iter()
        .filter_map(|(name, message)| Some(format!("{name}: {}", refused(engine, message)?)))
        .collect();
    assert!(wrong.is_empty(), "{} are refused:\n{}", wrong.len(), wrong.join("\n"));
}

fn attacks_are_refused(engine: &Engine, unknown: &[&str]) {
    let missed: Vec<&str> = requests::attacks()
        .iter()
        .filter(|(_, message)| refused(engine, message).is_none())
        .map(|(name, _)| *name)
        .filter(|name| !unknown.contains(name))
        .collect();
    assert!(missed.is_empty(), "{} pass:\n{}", missed.len(), missed.join("\n"));
}

#[test]
fn crs_refuses_attacks_and_nothing_else() {
    let Some(engine) = engine(newer(), "CRS") else {
        return;
    };
    ordinary_requests_pass(&engine);
    attacks_are_refused(&engine, &[]);
}

#[test]
fn debians_crs_refuses_attacks_and_nothing_else() {
    let Some(engine) = engine(Crs::debian(), "Debian's CRS") else {
        return;
    };
    ordinary_requests_pass(&engine);
    // Version 3.3.4 has no rule for it.
    attacks_are_refused(&engine, &["Java: Log4Shell"]);
}
