//! `weir demo`: what it tells people to try, tried.

use serde_json::Value;
use weir_tests::bundle::Bundle;
use weir_tests::curl::shell;
use weir_tests::proxy::demo;
use weir_tests::sync::eventually;

#[test]
fn every_line_shows_what_it_promises() {
    let bundle = Bundle::shipped("standard");
    let demo = demo(&bundle);
    let file = demo.folder().join("tries.json");
    let text = eventually("what to try", || std::fs::read_to_string(&file).ok());
    let tries: Vec<Value> = serde_json::from_str(&text).expect("a list of tries");
    assert_eq!(tries.len(), 5);
    let printed = demo.access_log();
    for attempt in &tries {
        let (title, command) = (&attempt["title"], attempt["command"].as_str().expect("a command"));
        assert!(
            printed.contains(command),
            "{title}: {command} is not printed:\n{printed}"
        );
        let output = shell(command);
        assert!(output.success, "{title}: {command}\n{}", output.stderr);
        let mut rest = output.stdout.as_str();
        for shown in attempt["shows"].as_array().expect("what it shows") {
            let shown = shown.as_str().expect("a text");
            let at = rest.find(shown);
            rest = &rest
                [at.unwrap_or_else(|| panic!("{title}: {shown:?} is not shown by {command}\n{}", output.stdout))..];
        }
    }
}

#[test]
fn it_speaks_tls_with_a_certificate_made_on_the_spot() {
    let bundle = Bundle::shipped("standard");
    let demo = demo(&bundle);
    let output = shell(&format!(
        "curl --silent --show-error --insecure --http2 https://{}/",
        demo.listener("https")
    ));
    assert!(
        output.success && output.stdout.contains("Behind Weir"),
        "{}{}",
        output.stdout,
        output.stderr
    );
}
