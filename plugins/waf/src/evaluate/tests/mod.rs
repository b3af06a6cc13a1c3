//! The engine as a whole, by what it decides.

#![allow(clippy::unwrap_used, clippy::panic)]

mod audit;
mod kept;
mod parked;

use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::compile::compile;
use crate::compile::plan::Preset;
use crate::seclang::{NoFiles, Source, parse};

fn engine(rules: &str) -> Engine {
    let directives = parse(
        &[Source {
            name: "t.conf".into(),
            text: rules.into(),
        }],
        &NoFiles,
    )
    .unwrap();
    let presets = vec![("level".to_owned(), Preset::Number(2))];
    Engine::new(compile(&directives, &presets, &NoFiles).unwrap_or_else(|problems| panic!("{problems}")))
}

fn head(target: &str, headers: &[(&str, &str)]) -> RequestHead {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query.as_bytes().to_vec())),
        None => (target, None),
    };
    RequestHead {
        client: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
        method: "GET".to_owned(),
        version: "1.1".to_owned(),
        host: "example.org".to_owned(),
        path: path.as_bytes().to_vec(),
        query,
        target: None,
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
            .collect(),
        id: "abc".to_owned(),
    }
}

/// Phases 1 and 2 of a request; the ids that matched, and the first decision. An engine that takes no short cut must say the
/// same, and so must a transaction in the memory of another one.
fn judged(rules: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> (Vec<u64>, Decision) {
    let judge = |engine: &Engine, transaction: &mut Transaction| {
        let mut decision = engine.request_head(transaction, head(target, headers));
        if decision == Decision::Pass {
            decision = engine.request_body(transaction, body, Completeness::Complete);
        }
        let ids: Vec<u64> = transaction.matches().iter().map(|found| found.id).collect();
        (ids, decision)
    };
    let (quick, mut plain) = (engine(rules), engine(rules));
    plain.remove_screens();
    let mut transaction = Transaction::default();
    let told = judge(&quick, &mut transaction);
    assert_eq!(
        told,
        judge(&plain, &mut Transaction::default()),
        "without short cuts: {rules}"
    );
    assert_eq!(told, judge(&quick, &mut transaction), "in used memory: {rules}");
    told
}

fn matched(rules: &str, target: &str) -> Vec<u64> {
    judged(rules, target, &[], b"").0
}

fn denied(id: u64, status: u16) -> Decision {
    Decision::Disrupt(Disruption {
        cause: Cause::Rule(id),
        answer: Answer::Status(status),
    })
}

#[test]
fn a_rule_denies_what_matches_after_its_transformations() {
    let rules = "SecRule ARGS \"@contains <script\" \"id:1,phase:1,deny,status:406,t:urlDecodeUni,t:lowercase\"";
    assert_eq!(judged(rules, "/?q=%253CSCRIPT", &[], b"").1, denied(1, 406));
    assert_eq!(judged(rules, "/?q=script", &[], b"").1, Decision::Pass);
}

#[test]
fn comparisons_with_which_rules_begin_hold_for_every_kind_of_value() {
    let rules = "SecRule ARGS:set \"@rx .\" \"id:1,phase:1,nolog,setvar:tx.a=%{ARGS.set}\"\n\
                 SecRule ARGS:limit \"@rx .\" \"id:2,phase:1,nolog,setvar:tx.limit=%{ARGS.limit}\"\n\
                 SecRule TX:a \"@ge 5\" \"id:3,phase:1\"\nSecRule &TX:a \"@eq 0\" \"id:4,phase:1\"\n\
                 SecRule TX:a \"!@eq 5\" \"id:5,phase:1\"\nSecRule TX:a \"@ge %{tx.limit}\" \"id:6,phase:1\"\n\
                 SecRule TX:a \"@ge 5\" \"id:7,phase:1,t:length\"\nSecRule TX:a|TX:limit \"@gt 8\" \"id:8,phase:1\"";
    assert_eq!(matched(rules, "/"), [4]);
    assert_eq!(matched(rules, "/?set=5"), [3, 6]);
    assert_eq!(matched(rules, "/?set=12x&limit=20"), [3, 5, 8]);
    assert_eq!(matched(rules, "/?set=x&limit=9"), [5, 8]);
    assert_eq!(matched(rules, "/?set=-5&limit=-6"), [5, 6]);
}

#[test]
fn every_variable_is_there() {
    for (variable, value) in [
        ("ARGS:q", "1"),
        ("ARGS_NAMES", "q"),
        ("&ARGS", "2"),
        ("ARGS_COMBINED_SIZE", "4"),
        ("QUERY_STRING", "q=1&r=%41"),
        ("ARGS_GET:r", "A"),
        ("REQUEST_URI", "/a/b.php?q=1&r=%41"),
        ("REQUEST_FILENAME", "/a/b.php"),
        ("REQUEST_BASENAME", "b.php"),
        ("REQUEST_LINE", "GET /a/b.php?q=1&r=%41 HTTP/1.1"),
        ("REQUEST_METHOD", "GET"),
        ("REQUEST_PROTOCOL", "HTTP/1.1"),
        ("REMOTE_ADDR", "192.0.2.7"),
        ("SERVER_NAME", "example.org"),
        ("UNIQUE_ID", "abc"),
        ("REQUEST_HEADERS:user-agent", "x"),
        ("REQUEST_HEADERS_NAMES:/^cook/", "Cookie"),
        ("REQUEST_COOKIES:sid", "z"),
        ("REQUEST_COOKIES_NAMES", "sid"),
        ("TX:LEVEL", "2"),
        ("REQBODY_ERROR", "0"),
        ("REQUEST_BODY_LENGTH", "0"),
        ("HIGHEST_SEVERITY", "255"),
        ("AUTH_TYPE", "Basic"),
        ("REMOTE_USER", "aladdin"),
        ("REMOTE_HOST", "192.0.2.7"),
        ("SERVER_PORT", "80"),
        ("PATH_INFO", "/a/b.php"),
        ("WEBAPPID", "default"),
        ("FULL_REQUEST_LENGTH", "116"),
        ("&GEO", "0"),
        ("&IP", "0"),
    ] {
        let rules = format!("SecRule {variable} \"@streq {value}\" \"id:1,phase:1,pass\"");
        let headers = [
            ("User-Agent", "x"),
            ("Cookie", "sid=z"),
            ("Authorization", "Basic YWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ];
        assert_eq!(judged(&rules, "/a/b.php?q=1&r=%41", &headers, b"").0, [1], "{variable}");
    }
}

#[test]
fn a_name_that_is_excluded_is_not_looked_at() {
    let rules = "SecRule ARGS|!ARGS:token|!ARGS:/^utm_/ \"@rx x\" \"id:1,phase:1,pass\"";
    assert!(matched(rules, "/?token=x&UTM_a=x").is_empty());
    assert_eq!(matched(rules, "/?token=x&a=x"), [1]);
}

#[test]
fn chains_match_when_every_link_does() {
    let rules = "SecRule ARGS:a \"@streq 1\" \"id:1,phase:1,deny,chain,setvar:tx.seen=1\"\n\
                 SecRule ARGS:b \"@streq 2\" \"chain\"\nSecRule MATCHED_VARS_NAMES \"@streq ARGS:b\" \"t:none\"\n\
                 SecRule TX:seen \"@eq 1\" \"id:2,phase:1,pass\"";
    assert_eq!(judged(rules, "/?a=1&b=2", &[], b"").1, denied(1, 403));
    assert_eq!(
        matched(rules, "/?a=1&b=3"),
        [2],
        "the first link's effects happen when it matches"
    );
    assert!(matched(rules, "/?a=0&b=2").is_empty());
}

#[test]
fn each_value_that_matches_adds_to_the_score() {
    let rules = "SecRule ARGS \"@rx x\" \"id:1,phase:1,pass,setvar:'tx.score=+%{tx.level}'\"\n\
                 SecRule TX:score \"@ge 6\" \"id:2,phase:1,deny,msg:'score %{tx.score} for %{REMOTE_ADDR}'\"";
    let engine = engine(rules);
    let mut transaction = Transaction::default();
    assert_eq!(
        engine.request_head(&mut transaction, head("/?a=x&b=x&c=y", &[])),
        Decision::Pass
    );
    assert_eq!(engine.tx_number(&transaction, "score"), Some(4));
    assert_eq!(
        engine.request_head(&mut transaction, head("/?a=x&b=x&c=x", &[])),
        denied(2, 403)
    );
    assert_eq!(transaction.matches()[1].message, "score 6 for 192.0.2.7");
    assert_eq!(transaction.matches()[1].variable, "TX:score");
}

#[test]
fn groups_are_captured_and_forgotten() {
    let rules = "SecRule ARGS:a \"@rx ^(x+)(y)?$\" \"id:1,phase:1,pass,capture,logdata:'%{TX.1}-%{TX.2}'\"";
    let engine = engine(rules);
    let mut transaction = Transaction::default();
    engine.request_head(&mut transaction, head("/?a=xxy&a=xxx", &[]));
    assert_eq!(
        transaction.matches()[0].data,
        "xxx-",
        "the last match counts, and its second group is unset"
    );
}

#[test]
fn skips_and_markers_jump() {
    let rules = "SecAction \"id:1,phase:1,nolog,pass,skipAfter:END\"\nSecAction \"id:2,phase:1\"\nSecMarker END\n\
                 SecAction \"id:3,phase:1,skip:1\"\nSecAction \"id:4,phase:1\"\nSecAction \"id:5,phase:1\"";
    assert_eq!(matched(rules, "/"), [3, 5]);
}

#[test]
fn allow_skips_what_it_says() {
    let rules = |allow: &str| {
        format!(
            "SecAction \"id:1,phase:1,{allow}\"\nSecAction \"id:2,phase:1\"\nSecAction \"id:3,phase:2\"\nSecAction \"id:4,phase:3\""
        )
    };
    for (allow, ids) in [
        ("allow", vec![1]),
        ("allow:phase", vec![1, 3, 4]),
        ("allow:request", vec![1, 4]),
    ] {
        let engine = engine(&rules(allow));
        let mut transaction = Transaction::default();
        engine.request_head(&mut transaction, head("/", &[]));
        engine.request_body(&mut transaction, b"", Completeness::Complete);
        engine.response_head(&mut transaction, 200, []);
        let matched: Vec<u64> = transaction.matches().iter().map(|found| found.id).collect();
        assert_eq!(matched, ids, "{allow}");
    }
}

#[test]
fn detection_only_reports_and_disrupts_nothing() {
    let rules = "SecRuleEngine DetectionOnly\nSecAction \"id:1,phase:1,deny\"\nSecAction \"id:2,phase:2,drop\"";
    assert_eq!(judged(rules, "/", &[], b""), (vec![1, 2], Decision::Pass));
}

#[test]
fn an_engine_that_is_off_does_nothing() {
    let rules = "SecRuleEngine Off\nSecAction \"id:1,phase:1,deny\"";
    assert_eq!(judged(rules, "/", &[], b""), (vec![], Decision::Pass));
}

#[test]
fn disruptions_answer_as_they_say() {
    assert_eq!(
        judged("SecAction \"id:1,phase:1,drop\"", "/", &[], b"").1,
        Decision::Disrupt(Disruption {
            cause: Cause::Rule(1),
            answer: Answer::Close
        })
    );
    assert_eq!(
        judged(
            "SecAction \"id:1,phase:1,redirect:'https://example.org/%{REQUEST_METHOD}',status:307\"",
            "/",
            &[],
            b""
        )
        .1,
        Decision::Disrupt(Disruption {
            cause: Cause::Rule(1),
            answer: Answer::Redirect {
                status: 307,
                location: b"https://example.org/GET".to_vec()
            }
        })
    );
}

#[test]
fn ctl_removes_rules_and_targets_and_switches_off() {
    let rules = |ctl: &str| {
        format!(
            "SecRule REQUEST_FILENAME \"@streq /safe\" \"id:1,phase:1,nolog,pass,ctl:{ctl}\"\n\
             SecRule ARGS|REQUEST_URI \"@rx x\" \"id:20,phase:1,tag:'attack-a',msg:'first'\"\n\
             SecAction \"id:21,phase:1,tag:'attack-b'\""
        )
    };
    for (ctl, ids) in [
        ("ruleRemoveById=20", vec![21]),
        ("ruleRemoveById=2-20", vec![21]),
        ("ruleRemoveByTag=attack-", vec![]),
        ("ruleRemoveByMsg=first", vec![21]),
        ("ruleRemoveTargetById=20;REQUEST_URI", vec![20, 21]),
        ("ruleEngine=Off", vec![]),
    ] {
        assert_eq!(matched(&rules(ctl), "/safe?q=x"), ids, "{ctl}");
        assert_eq!(matched(&rules(ctl), "/other?q=x"), [20, 21], "{ctl}");
    }
    let narrowed = "SecAction \"id:1,phase:1,nolog,pass,ctl:ruleRemoveTargetByTag=a;ARGS:q\"\nSecRule ARGS \"@rx x\" \"id:2,phase:1,tag:a\"";
    assert!(matched(narrowed, "/?q=x").is_empty());
    assert_eq!(matched(narrowed, "/?p=x"), [2]);
}

#[test]
fn multi_match_sees_every_form() {
    let rules = "SecRule ARGS \"@streq AB\" \"id:1,phase:1,t:lowercase,multiMatch\"\nSecRule ARGS \"@streq AB\" \"id:2,phase:1,t:lowercase\"\n\
                 SecRule ARGS \"@streq ab\" \"id:3,phase:1,t:lowercase,multiMatch\"";
    assert_eq!(matched(rules, "/?a=AB"), [1, 3]);
}

#[test]
fn negated_operators_match_what_does_not() {
    let rules = "SecRule REQUEST_METHOD \"!@within GET HEAD\" \"id:1,phase:1\"\nSecRule REQUEST_METHOD \"!@within POST\" \"id:2,phase:1\"\n\
                 SecRule ARGS:none \"!@streq x\" \"id:3,phase:1\"";
    assert_eq!(matched(rules, "/"), [2], "where there is no value there is no match");
}

#[test]
fn bodies_become_arguments() {
    let rules = "SecRule REQUEST_HEADERS:Content-Type \"@contains json\" \"id:1,phase:1,nolog,pass,ctl:requestBodyProcessor=JSON\"\n\
                 SecRule ARGS_POST:a \"@streq x y\" \"id:2,phase:2\"\nSecRule ARGS:json.a.b \"@streq 1\" \"id:3,phase:2\"\n\
                 SecRule REQBODY_ERROR \"@eq 1\" \"id:4,phase:2,deny,status:400,msg:'%{REQBODY_ERROR_MSG}'\"\n\
                 SecRule REQUEST_BODY \"@contains a=x\" \"id:5,phase:2\"\nSecRule REQBODY_PROCESSOR \"@streq MULTIPART\" \"id:6,phase:2\"";
    let form = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
    assert_eq!(judged(rules, "/", &form, b"a=x+y").0, [2, 5]);
    let json = [("content-type", "application/json")];
    assert_eq!(judged(rules, "/", &json, b"{\"a\":{\"b\":1}}").0, [3]);
    assert_eq!(judged(rules, "/", &json, b"{\"a\":").1, denied(4, 400));
    let multipart = [("content-type", "multipart/form-data; boundary=x")];
    let body = b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nx y\r\n--x--";
    assert_eq!(judged(rules, "/", &multipart, body).0, [2, 6]);
    assert_eq!(judged(rules, "/", &multipart, b"--x").1, denied(4, 400));
}

#[test]
fn files_are_named_and_counted() {
    let rules = "SecRule FILES \"@endsWith .php\" \"id:1,phase:2\"\nSecRule FILES_NAMES \"@streq f\" \"id:2,phase:2\"\n\
                 SecRule FILES_SIZES:f \"@eq 3\" \"id:3,phase:2\"\nSecRule FILES_COMBINED_SIZE \"@eq 3\" \"id:4,phase:2\"\n\
                 SecRule MULTIPART_PART_HEADERS:f \"@contains image/png\" \"id:5,phase:2\"\nSecRule &ARGS \"@eq 0\" \"id:6,phase:2\"";
    let multipart = [("content-type", "multipart/form-data; boundary=x")];
    let body =
        b"--x\r\nContent-Disposition: form-data; name=f; filename=a.php\r\nContent-Type: image/png\r\n\r\nabc\r\n--x--";
    assert_eq!(judged(rules, "/", &multipart, body).0, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_body_over_the_limit_is_refused_or_cut() {
    let rules = |action: &str| {
        format!(
            "SecRequestBodyLimit 10\nSecRequestBodyLimitAction {action}\nSecRule INBOUND_DATA_ERROR \"@eq 1\" \"id:1,phase:2\""
        )
    };
    let too_long = Decision::Disrupt(Disruption {
        cause: Cause::BodyLimit,
        answer: Answer::Status(413),
    });
    assert_eq!(judged(&rules("Reject"), "/", &[], b"01234567890").1, too_long);
    assert_eq!(
        judged(&rules("ProcessPartial"), "/", &[], b"01234567890"),
        (vec![1], Decision::Pass)
    );
    assert_eq!(
        judged(&rules("Reject"), "/", &[], b"0123456789"),
        (vec![], Decision::Pass)
    );
}

#[test]
fn a_document_that_is_cut_is_no_error() {
    let rules = "SecRequestBodyLimit 12\nSecRequestBodyLimitAction ProcessPartial\n\
                 SecAction \"id:1,phase:1,nolog,pass,ctl:requestBodyProcessor=JSON\"\nSecRule REQBODY_ERROR \"@eq 1\" \"id:2,phase:2\"\n\
                 SecRule ARGS:json.a \"@streq x\" \"id:3,phase:2\"\nSecRule INBOUND_DATA_ERROR \"@eq 1\" \"id:4,phase:2\"";
    assert_eq!(judged(rules, "/", &[], b"{\"a\":\"x\",\"b\":\"y\"}").0, [3, 4]);
    assert_eq!(judged(rules, "/", &[], b"{\"a\":\"x\",").0, [2, 3]);
}

#[test]
fn too_many_arguments_are_an_error_that_rules_see() {
    let rules = "SecArgumentsLimit 3\nSecRule REQBODY_ERROR \"@eq 1\" \"id:1,phase:1\"\nSecRule &ARGS \"@eq 3\" \"id:2,phase:1\"";
    assert_eq!(matched(rules, "/?a&b&c"), [2]);
    assert_eq!(matched(rules, "/?a&b&c&d"), [1, 2]);
}

#[test]
fn a_body_that_is_not_in_files_has_a_limit_of_its_own() {
    let rules = "SecRequestBodyNoFilesLimit 10\nSecRule ARGS:b \"@streq 2\" \"id:1,phase:2,pass\"\n\
                 SecRule REQBODY_ERROR \"@eq 1\" \"id:2,phase:2,pass\"";
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(judged(rules, "/", &form, b"a=12345&b=2").0, [2]);
    assert_eq!(judged(rules, "/", &form, b"a=1234&b=2").0, [1]);
    let file = [("content-type", "application/octet-stream")];
    assert!(
        judged(rules, "/", &file, &[b'a'; 100]).0.is_empty(),
        "no rule would look at it"
    );
}

#[test]
fn a_coded_body_is_an_error_where_rules_would_read_it() {
    let rules = "SecRule REQBODY_ERROR \"@eq 1\" \"id:1,phase:2,deny,status:400,msg:'%{REQBODY_ERROR_MSG}'\"\n\
                 SecRule ARGS_POST \"@rx .\" \"id:2,phase:2,pass\"";
    let with = |media, coding| {
        judged(
            rules,
            "/",
            &[("Content-Type", media), ("Content-Encoding", coding)],
            b"a=1",
        )
    };
    let form = "application/x-www-form-urlencoded";
    for coding in ["gzip", "br", "identity, gzip", "x"] {
        assert_eq!(with(form, coding).1, denied(1, 400), "{coding}");
    }
    for coding in ["identity", "", " Identity "] {
        assert_eq!(with(form, coding), (vec![2], Decision::Pass), "{coding}");
    }
    assert_eq!(
        with("image/svg+xml", "gzip").1,
        Decision::Pass,
        "no rule would look at it"
    );
}

#[test]
fn responses_are_judged() {
    let engine = engine(
        "SecResponseBodyAccess On\nSecRule RESPONSE_STATUS \"@ge 500\" \"id:1,phase:3\"\n\
         SecRule RESPONSE_HEADERS:X-Powered-By \"@rx .\" \"id:2,phase:3\"\n\
         SecRule RESPONSE_BODY \"@contains stack trace\" \"id:3,phase:4,deny,status:502\"\nSecRule RESPONSE_CONTENT_TYPE \"@streq text/html\" \"id:4,phase:4\"",
    );
    let mut transaction = Transaction::default();
    engine.request_head(&mut transaction, head("/", &[]));
    engine.request_body(&mut transaction, b"", Completeness::Complete);
    let headers = [("x-powered-by", "php"), ("content-type", "Text/HTML; charset=utf-8")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    assert_eq!(engine.response_head(&mut transaction, 500, headers), Decision::Pass);
    assert_eq!(engine.response_body_limit(&transaction), Some(512 << 10));
    assert_eq!(
        engine.response_body(&mut transaction, b"a stack trace", Completeness::Complete),
        denied(3, 502)
    );
    let matched: Vec<u64> = transaction.matches().iter().map(|found| found.id).collect();
    assert_eq!(matched, [1, 2, 3]);
    let json = ("content-type".to_owned(), b"application/json".to_vec());
    engine.response_head(&mut transaction, 200, [json]);
    assert_eq!(engine.response_body_limit(&transaction), None);
}

#[test]
fn memory_is_bounded() {
    let rules = "SecRule ARGS \"@rx x\" \"id:1,phase:1,pass,t:urlDecode,t:hexEncode\"";
    let directives = parse(
        &[Source {
            name: "t".into(),
            text: rules.into(),
        }],
        &NoFiles,
    )
    .unwrap();
    let mut plan = compile(&directives, &Vec::new(), &NoFiles).unwrap();
    plan.settings.memory_limit = 4096;
    let engine = Engine::new(plan);
    let mut transaction = Transaction::default();
    let decision = engine.request_head(&mut transaction, head(&format!("/?q={}", "a".repeat(3000)), &[]));
    assert_eq!(
        decision,
        Decision::Disrupt(Disruption {
            cause: Cause::MemoryLimit,
            answer: Answer::Status(413)
        })
    );
}

#[test]
fn names_may_be_made_of_macros() {
    let rules = "SecRule ARGS \"@rx (\\w+)\" \"id:1,phase:1,nolog,pass,capture,setvar:'tx.seen_%{TX.1}=%{MATCHED_VAR_NAME}'\"\n\
                 SecRule TX:/^seen_/ \"@streq ARGS:k\" \"id:2,phase:1\"\nSecRule TX:seen_abc \"@rx .\" \"id:3,phase:1\"";
    assert_eq!(matched(rules, "/?k=abc"), [2, 3]);
    assert_eq!(matched(rules, "/?k=abd"), [2]);
}

#[test]
fn oddities_of_a_multipart_body_are_variables() {
    let headers = [("Content-Type", "multipart/form-data; boundary=\"x\"")];
    let body = b"before\n--x\nContent-Disposition: form-data; name=f; filename=a.txt\n\ntext\n--y\n--x--\nafter";
    for (variable, value) in [
        ("MULTIPART_BOUNDARY_QUOTED", "1"),
        ("MULTIPART_BOUNDARY_WHITESPACE", "0"),
        ("MULTIPART_CRLF_LF_LINES", "0"),
        ("MULTIPART_DATA_AFTER", "1"),
        ("MULTIPART_DATA_BEFORE", "1"),
        ("MULTIPART_FILE_LIMIT_EXCEEDED", "0"),
        ("MULTIPART_FILENAME", "a.txt"),
        ("MULTIPART_HEADER_FOLDING", "0"),
        ("MULTIPART_INVALID_HEADER_FOLDING", "0"),
        ("MULTIPART_INVALID_PART", "0"),
        ("MULTIPART_INVALID_QUOTING", "0"),
        ("MULTIPART_LF_LINE", "1"),
        ("MULTIPART_MISSING_SEMICOLON", "0"),
        ("MULTIPART_NAME", "f"),
        ("MULTIPART_STRICT_ERROR", "1"),
        ("MULTIPART_UNMATCHED_BOUNDARY", "2"),
        ("FILES:f", "a.txt"),
        ("FILES_SIZES:f", "8"),
        ("FILES_COMBINED_SIZE", "8"),
        ("&FILES_TMP_CONTENT:f", "1"),
        ("REQBODY_ERROR", "0"),
    ] {
        let rules = format!("SecRule {variable} \"@streq {value}\" \"id:1,phase:2,pass\"");
        assert_eq!(judged(&rules, "/", &headers, body).0, [1], "{variable}");
    }
}

#[test]
fn xml_is_looked_at_where_a_rule_says_so() {
    let rules = "SecRule REQUEST_HEADERS:Content-Type \"@contains xml\" \"id:1,phase:1,nolog,pass,ctl:requestBodyProcessor=XML\"\n\
                 SecRule XML:/*|XML://@* \"@contains attack\" \"id:2,phase:2,pass\"\n\
                 SecRule &XML://@* \"@eq 2\" \"id:3,phase:2,pass\"\n\
                 SecRule REQBODY_ERROR \"@eq 1\" \"id:4,phase:2,pass\"\n\
                 SecRule REQBODY_PROCESSOR \"@streq XML\" \"id:5,phase:2,pass\"\n\
                 SecRule XML|!XML:/* \"@contains attack\" \"id:6,phase:2,pass\"";
    let headers = [("Content-Type", "text/xml")];
    let matched = |body: &[u8]| judged(rules, "/", &headers, body).0;
    assert_eq!(matched(b"<a b='1' c='2'>att<b/>ack</a>"), [2, 3, 5]);
    assert_eq!(matched(b"<a b='attack'/>"), [2, 5, 6]);
    assert_eq!(matched(b"<a>attack"), [2, 4, 5]);
}

#[test]
fn a_response_over_its_limit_is_withheld_or_cut() {
    let rules = |action: &str| {
        format!(
            "SecResponseBodyAccess On\nSecResponseBodyLimit 9\nSecResponseBodyLimitAction {action}\n\
             SecAction \"id:1,phase:1,nolog,pass,ctl:responseBodyLimit=3,ctl:requestBodyLimit=5\"\n\
             SecRule OUTBOUND_DATA_ERROR \"@eq 1\" \"id:2,phase:4,deny,status:502\""
        )
    };
    for (action, expected) in [("Reject", 500), ("ProcessPartial", 502)] {
        let engine = engine(&rules(action));
        let mut transaction = Transaction::default();
        let _ = engine.request_head(&mut transaction, head("/", &[]));
        assert_eq!(engine.request_body_limit(&transaction), Some(5));
        let headers = [("content-type".to_owned(), b"text/html".to_vec())];
        let _ = engine.response_head(&mut transaction, 200, headers);
        assert_eq!(engine.response_body_limit(&transaction), Some(3));
        let Decision::Disrupt(disruption) = engine.response_body(&mut transaction, b"tex", Completeness::Cut) else {
            panic!("{action}: it passes");
        };
        assert_eq!(disruption.answer, Answer::Status(expected), "{action}");
    }
}
