//! The audit event: what is in it, and what is never.

use serde_json::Value;

use super::*;

/// A request with these headers, judged from its head to its end; its audit event.
fn event(rules: &str, target: &str, headers: &[(&str, &str)]) -> Option<Value> {
    let engine = engine(rules);
    let mut transaction = Transaction::default();
    let decision = engine.request_head(&mut transaction, head(target, headers));
    if decision == Decision::Pass {
        let _ = engine.request_body(&mut transaction, b"", Completeness::Complete);
    }
    engine.finish(&mut transaction);
    let line = engine.audit_event(&transaction, 403)?;
    assert!(line.len() <= 16 << 10 && !line.contains('\n'), "{line}");
    Some(serde_json::from_str(&line).unwrap())
}

#[test]
fn an_event_has_the_fields_of_modsecurity() {
    let event = event(
        "SecComponentSignature \"OWASP_CRS/4.25.1\"\nSecSensorId edge-1\n\
         SecRule ARGS \"@contains <script\" \"id:941100,phase:2,deny,status:403,msg:'XSS in %{MATCHED_VAR_NAME}',\
         logdata:'%{MATCHED_VAR}',severity:CRITICAL,tag:attack-xss,tag:OWASP_CRS,ver:'x/1',rev:2,\
         setvar:tx.blocking_inbound_anomaly_score=+5\"",
        "/a?q=%3Cscript%3E",
        &[("User-Agent", "x")],
    )
    .unwrap();
    let transaction = &event["transaction"];
    assert_eq!(transaction["client_ip"], "192.0.2.7");
    assert_eq!(transaction["unique_id"], "abc");
    assert_eq!(transaction["server_id"], "edge-1");
    assert_eq!(transaction["request"]["method"], "GET");
    assert_eq!(transaction["request"]["uri"], "/a?q=%3Cscript%3E");
    assert_eq!(transaction["request"]["headers"]["User-Agent"], "x");
    assert_eq!(transaction["response"]["http_code"], 403);
    assert_eq!(transaction["producer"]["components"][0], "OWASP_CRS/4.25.1");
    assert_eq!(transaction["action"]["intercepted"], true);
    assert_eq!(transaction["action"]["rule"], 941_100);
    assert_eq!(transaction["scores"][0]["value"], 5);
    let message = &transaction["messages"][0];
    assert_eq!(message["message"], "XSS in ARGS:q");
    let details = &message["details"];
    for (name, value) in [
        ("ruleId", "941100"),
        ("data", "<script>"),
        ("severity", "2"),
        ("ver", "x/1"),
        ("rev", "2"),
        ("file", "t.conf"),
        ("lineNumber", "3"),
        ("match", "Matched against variable ARGS:q (Value: <script>)"),
    ] {
        assert_eq!(details[name], value, "{name}");
    }
    assert_eq!(details["tags"], serde_json::json!(["attack-xss", "OWASP_CRS"]));
}

#[test]
fn there_is_one_where_something_matched_and_rules_do_not_object() {
    let rule = |actions: &str| format!("SecRule ARGS:q \"@streq x\" \"id:1,phase:1,pass,{actions}\"");
    for (rules, target, expected) in [
        (rule("log"), "/?q=x", true),
        (rule("log"), "/?q=y", false),
        (rule("nolog"), "/?q=x", false),
        (rule("nolog,auditlog"), "/?q=x", true),
        (rule("log,noauditlog"), "/?q=x", false),
        (rule("log,ctl:auditEngine=Off"), "/?q=x", false),
        (format!("SecAuditEngine On\n{}", rule("log")), "/?q=y", true),
        (format!("SecAuditEngine Off\n{}", rule("log")), "/?q=x", false),
        (format!("SecAuditLogRelevantStatus ^4\n{}", rule("log")), "/?q=y", true),
    ] {
        assert_eq!(event(&rules, target, &[]).is_some(), expected, "{rules} {target}");
    }
}

#[test]
fn secrets_are_never_in_it() {
    let rules = "SecRule ARGS|ARGS_NAMES|REQUEST_HEADERS|REQUEST_COOKIES|REQUEST_URI|QUERY_STRING \"@rx s3cret\" \
                 \"id:1,phase:1,pass,msg:'%{MATCHED_VAR}',logdata:'found %{MATCHED_VAR} in %{MATCHED_VAR_NAME}',t:lowercase,\
                 sanitiseArg:password\"\n\
                 SecRule REQUEST_HEADERS:X-Token \"@rx .\" \"id:2,phase:1,pass,logdata:'%{MATCHED_VAR}',sanitiseMatched\"\n\
                 SecRule REQUEST_URI \"@rx .\" \"id:3,phase:1,pass,logdata:'%{MATCHED_VAR}'\"\n\
                 SecRule ARGS:password \"@rx .\" \"id:4,phase:1,pass,logdata:'%{TX.0} %{MATCHED_VAR}',capture\"";
    let event = event(
        rules,
        "/login?user=bob&p%61ssword=S3cret%2B1&x=1",
        &[
            ("Authorization", "Basic S3cretbasic"),
            ("Proxy-Authorization", "S3cretproxy"),
            ("Cookie", "sid=S3cretcookie; theme=dark"),
            ("X-Token", "S3cretheader"),
            ("Accept", "text/html"),
        ],
    )
    .unwrap();
    let text = event.to_string();
    assert!(!text.to_ascii_lowercase().contains("s3cret"), "{text}");
    assert!(text.contains("text/html") && text.contains("user=bob"), "{text}");
}

#[test]
fn an_event_is_bounded_and_says_what_is_left_out() {
    let rules: String = (1..=60)
        .map(|id| {
            format!(
                "SecRule ARGS \"@rx x\" \"id:{id},phase:1,pass,tag:'{0}',msg:'{0}',logdata:'%{{MATCHED_VAR}}'\"\n",
                "t".repeat(90)
            )
        })
        .collect();
    let target = format!("/?q={}", "x".repeat(5000));
    let event = event(&rules, &target, &[("User-Agent", "y")]).unwrap();
    let transaction = &event["transaction"];
    let shown = transaction["messages"].as_array().unwrap().len();
    assert!(shown > 0);
    assert_eq!(transaction["messages_omitted"], 60 - shown);
}

#[test]
fn bytes_that_are_no_text_are_escaped() {
    let event = event(
        "SecRule ARGS \"@rx \\x01\" \"id:1,phase:1,pass,logdata:'%{MATCHED_VAR}'\"",
        "/?q=%01%22%0a%ff",
        &[],
    )
    .unwrap();
    assert_eq!(
        event["transaction"]["messages"][0]["details"]["data"],
        "\u{1}\"\n\u{fffd}"
    );
}

/// The lines of a request, in the format of ModSecurity's error log.
fn lines(rules: &str, target: &str, refused: Option<&str>) -> Vec<String> {
    let mut engine = engine(rules);
    engine.plan.settings.audit_format = AuditFormat::Lines;
    let mut transaction = Transaction::default();
    if engine.request_head(&mut transaction, head(target, &[])) == Decision::Pass {
        let _ = engine.request_body(&mut transaction, b"", Completeness::Complete);
    }
    if let Some(word) = refused {
        engine.refuse(&mut transaction, word.to_owned());
    }
    engine.finish(&mut transaction);
    engine.audit_events(&transaction, 403)
}

#[test]
fn lines_are_those_of_an_error_log() {
    let rules = "SecAuditEngine Off\nSecRule ARGS \"@contains \\\"\" \"id:7,phase:2,deny,status:403,msg:'A quote',logdata:'%{MATCHED_VAR}',\
                 severity:CRITICAL,tag:a,tag:b,ver:'x/1'\"";
    let expected = "[client 192.0.2.7] ModSecurity: Access denied. Matched at ARGS:q. [file \"t.conf\"] [line \"2\"] [id \"7\"] \
                    [msg \"A quote\"] [data \"\\\\\\\"\"] [severity \"CRITICAL\"] [ver \"x/1\"] [tag \"a\"] [tag \"b\"] \
                    [hostname \"example.org\"] [uri \"/a\"] [unique_id \"abc\"]";
    assert_eq!(lines(rules, "/a?q=%5C%22", None), [expected]);
    assert_eq!(
        lines(rules, "/a?q=%5C%22", Some("host")),
        [expected.replace("Access denied", "Warning")]
    );
    assert_eq!(lines(rules, "/a?q=b", None), [""; 0]);
    assert_eq!(
        lines("SecAction \"id:1,phase:1,pass,nolog\"", "/", None),
        [""; 0],
        "what does not log has no line"
    );
}

#[test]
fn more_lines_than_the_host_keeps_stand_together() {
    let rules: String = (1..=40)
        .map(|id| format!("SecAction \"id:{id},phase:1,pass,log,msg:'number {id}'\"\n"))
        .collect();
    let lines = lines(&rules, "/", None);
    assert!(lines.len() <= weir_sdk::contract::EVENTS);
    for id in 1..=40 {
        assert!(
            lines.iter().any(|line| line.contains(&format!("[id \"{id}\"]"))),
            "{id}"
        );
    }
}

#[test]
fn a_secret_is_in_no_line() {
    let rules = "SecAction \"id:1,phase:1,pass,nolog,sanitiseArg:password\"\n\
                 SecRule ARGS \"@contains sesame\" \"id:2,phase:2,pass,log,msg:'found %{MATCHED_VAR}',logdata:'%{MATCHED_VAR}'\"";
    let lines = lines(rules, "/?password=opensesame", None);
    assert!(lines.len() == 1 && !lines[0].contains("sesame"), "{lines:?}");
}

#[test]
fn what_the_proxy_refuses_was_not_intercepted() {
    let engine = engine("SecRule ARGS \"@contains attack\" \"id:2,phase:2,deny,status:403\"");
    let mut transaction = Transaction::default();
    let _ = engine.request_head(&mut transaction, head("/?q=attack", &[]));
    let _ = engine.request_body(&mut transaction, b"", Completeness::Complete);
    engine.refuse(&mut transaction, "host".to_owned());
    engine.finish(&mut transaction);
    let event: Value = serde_json::from_str(&engine.audit_event(&transaction, 400).unwrap()).unwrap();
    let action = &event["transaction"]["action"];
    assert_eq!(action["intercepted"], false);
    assert_eq!(
        (&action["reason"], &action["refusal"]),
        (&"refused by the proxy".into(), &"host".into())
    );
    assert_eq!(event["transaction"]["rules"], serde_json::json!([2]));
}
