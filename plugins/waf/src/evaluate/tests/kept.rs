//! Collections that outlive a transaction, and what rules see of the world.

use super::*;
use crate::evaluate::kept::world::World;

fn world() -> &'static World {
    Box::leak(Box::default())
}

/// One request from its head to its end; the ids that matched.
fn request(engine: &Engine, target: &str) -> Vec<u64> {
    let mut transaction = Transaction::default();
    let _ = engine.request_head(&mut transaction, head(target, &[]));
    let _ = engine.request_body(&mut transaction, b"", Completeness::Complete);
    engine.finish(&mut transaction);
    transaction.matches().iter().map(|found| found.id).collect()
}

#[test]
fn a_client_is_counted_and_forgiven() {
    let world = world();
    let engine = engine(
        "SecAction \"id:1,phase:1,pass,nolog,initcol:ip=%{REMOTE_ADDR},setvar:ip.count=+1,expirevar:ip.count=60\"\n\
         SecRule IP:COUNT \"@gt 2\" \"id:2,phase:1,pass,setvar:ip.blocked=1,msg:'%{ip.count} of %{ip.key}'\"\n\
         SecRule &IP:blocked \"@eq 1\" \"id:3,phase:1,pass\"\n\
         SecRule IP:is_new \"@eq 1\" \"id:4,phase:1,pass\"",
    )
    .with_services(world);
    assert_eq!(request(&engine, "/"), [4]);
    assert!(request(&engine, "/").is_empty());
    assert_eq!(request(&engine, "/"), [2, 3]);
    *world.now.lock().unwrap() = 61;
    assert_eq!(request(&engine, "/"), [3], "the count has ended, the block has not");
}

#[test]
fn sessions_are_told_apart() {
    let engine = engine(
        "SecWebAppId shop\n\
         SecRule ARGS:s \"@rx .\" \"id:1,phase:1,pass,nolog,setsid:%{ARGS.s},setuid:me,setvar:session.seen=+1\"\n\
         SecRule SESSION:seen \"@eq 2\" \"id:2,phase:1,pass\"\n\
         SecRule SESSIONID \"@streq b\" \"id:3,phase:1,pass\"\n\
         SecRule USERID|WEBAPPID \"@within me shop\" \"id:4,phase:1,pass\"",
    )
    .with_services(world());
    assert_eq!(request(&engine, "/?s=a"), [4]);
    assert_eq!(request(&engine, "/?s=b"), [3, 4]);
    assert_eq!(request(&engine, "/?s=a"), [2, 4]);
    assert_eq!(request(&engine, "/"), [4]);
}

#[test]
fn time_is_that_of_the_services() {
    let world = world();
    // 2024-02-29T13:14:15Z, a Thursday.
    *world.now.lock().unwrap() = 1_709_212_455;
    for (variable, value) in [
        ("TIME", "13:14:15"),
        ("TIME_EPOCH", "1709212455"),
        ("TIME_YEAR", "2024"),
        ("TIME_MON", "1"),
        ("TIME_DAY", "29"),
        ("TIME_WDAY", "4"),
        ("TIME_HOUR", "13"),
        ("TIME_MIN", "14"),
        ("TIME_SEC", "15"),
        ("DURATION", "0"),
    ] {
        let rules = format!("SecRule {variable} \"@streq {value}\" \"id:1,phase:1,pass\"");
        assert_eq!(request(&engine(&rules).with_services(world), "/"), [1], "{variable}");
    }
}

#[test]
fn rules_can_mention_themselves_and_the_environment() {
    let rules = "SecAction \"id:7,phase:1,pass,nolog,rev:3,severity:2,msg:'m %{rule.msg}',logdata:d,\
                 setenv:a=%{rule.id},setenv:b=%{rule.msg}%{rule.logdata}%{rule.severity}%{rule.rev}\"\n\
                 SecRule ENV:a \"@streq 7\" \"id:1,phase:1,pass\"\n\
                 SecRule ENV:b \"@streq m d23\" \"id:2,phase:1,pass\"\n\
                 SecRule &ENV \"@eq 2\" \"id:3,phase:1,pass\"";
    assert_eq!(matched(rules, "/"), [1, 2, 3]);
}
