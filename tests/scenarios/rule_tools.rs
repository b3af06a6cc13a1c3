//! What a rule author sees before rules ship.

use std::fs;
use std::path::Path;

use weir_tests::proxy::weir;

const RULES: &str = "SecRuleEngine On
SecRule ARGS \"@contains secret\" \"id:1001,phase:2,deny,status:403,msg:'A secret',t:lowercase\"
";

fn folder(rules: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("rules.conf"), rules).expect("a rule file");
    folder
}

fn output(arguments: &[&str], folder: &Path) -> (bool, String) {
    let output = weir(arguments, folder);
    (output.success, output.stdout + &output.stderr)
}

#[test]
fn check_names_file_and_line() {
    let folder =
        folder("SecRule ARGS \"@contains a\" \"id:1,phase:2,pass\"\nSecRule ARGS \"@rx (\" \"id:2,phase:2,deny\"\n");
    let (good, text) = output(&["waf", "check", "rules.conf"], folder.path());
    assert!(!good, "{text}");
    assert!(text.contains("rules.conf:2: error"), "{text}");
}

#[test]
fn check_accepts_what_is_right() {
    let folder = folder(RULES);
    let (good, text) = output(&["waf", "check", "rules.conf"], folder.path());
    assert!(good, "{text}");
}

#[test]
fn tests_pass_and_fail() {
    let folder = folder(RULES);
    let test = |id: u32, data: &str| {
        format!(
            "  - test_id: {id}\n    stages:\n      - input: {{ uri: '/?q={data}', headers: {{ Host: a }} }}\n        output: {{ log: {{ \
             expect_ids: [1001] }} }}\n"
        )
    };
    let write = |tests: String| {
        let text = format!("rule_id: 1001\ntests:\n{tests}");
        fs::write(folder.path().join("1001.yaml"), text).expect("a test file");
    };
    write(test(1, "SECRET"));
    let (good, text) = output(&["waf", "test", "rules.conf", "1001.yaml"], folder.path());
    assert!(good, "{text}");
    write(test(1, "SECRET") + &test(2, "nothing"));
    let (good, text) = output(&["waf", "test", "rules.conf", "1001.yaml"], folder.path());
    assert!(!good, "{text}");
    assert!(text.contains("1001-2") && !text.contains("FAIL 1001-1"), "{text}");
}

/// The same verdicts through the proxy as in this process: phases of the request and of the response, and what the proxy refuses itself.
#[test]
fn tests_run_through_the_proxy() {
    let folder = folder(&format!(
        "{RULES}SecResponseBodyAccess On\nSecRule RESPONSE_BODY \"@contains leak\" \"id:1002,phase:4,pass,msg:'A leak'\"\n"
    ));
    let tests = r#"
rule_id: 1001
tests:
  - test_id: 1
    stages:
      - input: { uri: '/?q=SECRET', headers: { Host: a } }
        output: { status: 403, log: { expect_ids: [1001], match_regex: 'A secret' } }
  - test_id: 2
    stages:
      - input: { uri: '/?q=nothing', headers: { Host: a } }
        output: { status: 200, log: { no_expect_ids: [1001, 1002] } }
  - test_id: 3
    stages:
      - input: { method: POST, uri: /reflect, headers: { Host: a, Content-Type: application/json }, data: '{"status": 201, "body": "a leak"}' }
        output: { status: 201, response_contains: a leak, log: { expect_ids: [1002] } }
  - test_id: 4
    stages:
      - input: { uri: '/?q=secret', headers: { Host: a, Transfer-Encoding: chunked, Content-Length: '3' }, stop_magic: true }
        output: { status: 400, log: { expect_ids: [1001] } }
  - test_id: 5
    stages:
      - input: { uri: '/?q=nothing', headers: { Host: a } }
        output: { log: { expect_ids: [1001] } }
"#;
    fs::write(folder.path().join("1001.yaml"), tests).expect("a test file");
    let component = weir_tests::guests::plugin("waf");
    let arguments = ["waf", "test", "rules.conf", "1001.yaml", "--component"];
    let (good, text) = output(
        &[&arguments[..], &[&component.to_string_lossy()]].concat(),
        folder.path(),
    );
    assert!(!good, "{text}");
    assert!(
        text.contains("FAIL 1001-5") && text.contains("4 passed, 1 failed"),
        "{text}"
    );
}

#[test]
fn explain_shows_what_matched_and_why() {
    let folder = folder(RULES);
    let request = "curl 'http://a/?q=a+SECRET'";
    let (_, text) = output(&["waf", "explain", "rules.conf", request], folder.path());
    assert!(text.contains("1001") && text.contains("refused by rule 1001"), "{text}");
    assert!(text.contains("ARGS:q"), "{text}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = folder(RULES);
    let (good, text) = output(&["waf", "check", "missing.conf"], folder.path());
    assert!(!good && text.contains("missing.conf"), "{text}");
}
