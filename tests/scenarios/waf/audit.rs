//! Audit events: a line of JSON for each request in which a rule matched, however many there are, and no secrets.

use weir_tests::message::Request;
use weir_tests::origin::Origin;
use weir_tests::proxy::in_front_of;
use weir_tests::sync::eventually;

use super::{events, waf};

const RULES: &str = r#"
SecAction "id:1,phase:1,pass,nolog,sanitiseArg:password,sanitiseRequestHeader:X-Token"
SecRule ARGS "@contains attack" "id:2,phase:2,deny,status:403,msg:'An attack',logdata:'%{MATCHED_VAR}',severity:CRITICAL"
"#;

/// Far more than the plugin may log in a second.
const REQUESTS: usize = 300;

#[test]
fn every_match_is_written_down_in_a_file_of_its_own() {
    let origin = Origin::text("served");
    let proxy = in_front_of(&origin).tables("[access_log]\nevents = \"events\"").start();
    let bundle = waf("1", RULES).edited(|manifest| manifest.replace("limits = {", "limits = { log_lines = 1,"));
    assert!(proxy.weir(&["deploy", &bundle.path()]).success);
    let mut client = proxy.connect();
    for number in 0..REQUESTS {
        let attack = Request::get(&format!("/?n={number}&password=sesame&q=attack"))
            .header("X-Token", "opensesame")
            .header("Cookie", "id=sesame");
        assert_eq!(client.fetch(&attack).status, 403);
        assert_eq!(client.get("/?q=hello").status, 200);
    }
    let events = eventually("an event of each attack", || {
        Some(events(&proxy)).filter(|events| events.len() >= REQUESTS)
    });
    assert_eq!(events.len(), REQUESTS, "one of each attack, and none of the others");
    for event in &events {
        let transaction = &event["transaction"];
        let uri = transaction["request"]["uri"].as_str().expect("a target");
        assert!(!event.to_string().contains("sesame"), "{event}");
        assert_eq!(transaction["rules"], serde_json::json!([2]));
        assert_eq!(transaction["messages"][0]["message"], "An attack");
        assert_eq!(transaction["messages"][0]["details"]["ruleId"], "2");
        assert_eq!(transaction["action"]["intercepted"], true);
        assert_eq!(transaction["response"]["http_code"], 403);
        assert!(uri.contains("password=***"), "{uri}");
    }
    proxy.await_metric("weir_event_lines_total", &[], REQUESTS as f64);
    assert_eq!(proxy.metric("weir_event_dropped_total", &[]), 0.0);
}

#[test]
fn without_a_file_events_are_lines_of_the_access_log() {
    let origin = Origin::text("served");
    let proxy = in_front_of(&origin).start();
    assert!(proxy.weir(&["deploy", &waf("1", RULES).path()]).success);
    assert_eq!(proxy.get("/?q=attack").status, 403);
    let line = proxy.await_access("{\"transaction\":");
    let event: serde_json::Value = serde_json::from_str(&line).expect("a line of JSON");
    let id = event["transaction"]["unique_id"].as_str().expect("the request's id");
    assert!(proxy.await_access("waf.refused-by=\"2\"").contains(id));
}
