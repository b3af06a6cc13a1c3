//! The log that go-ftw reads: a request with a marker before and behind each test, and between them a line for each match.

use weir_tests::message::Request;
use weir_tests::origin::Origin;
use weir_tests::proxy::{Proxy, in_front_of};
use weir_tests::sync::eventually;

use super::waf;

const RULES: &str = r#"
SecRule REQUEST_HEADERS:X-CRS-Test "@rx ^.*$" "id:999999,phase:1,pass,t:none,log,msg:'X-CRS-Test %{MATCHED_VAR}',ctl:ruleRemoveById=1-999999"
SecRule ARGS "@contains attack" "id:2,phase:2,pass,log,msg:'An attack',logdata:'Matched Data: %{MATCHED_VAR} found within %{MATCHED_VAR_NAME}'"
SecRule REQUEST_HEADERS:Referer "@contains attack" "id:3,phase:1,pass,log,logdata:'found within %{MATCHED_VAR_NAME}'"
SecRule &REQUEST_HEADERS:Host "@eq 0" "id:4,phase:1,pass,log,msg:'No host'"
SecRule ARGS "@contains quiet" "id:5,phase:2,pass,nolog"
"#;

fn log(proxy: &Proxy) -> String {
    std::fs::read_to_string(proxy.folder().join("events")).unwrap_or_default()
}

/// Sends the marker until the log has it, as go-ftw does.
fn mark(proxy: &Proxy, id: &str) -> usize {
    eventually("the marker", || {
        proxy.fetch(&Request::get("/").header("X-CRS-Test", id));
        log(proxy).rfind(&format!("[msg \"X-CRS-Test {id}\"]"))
    })
}

/// The ids of the rules in the lines that a request adds, in order.
fn ids(proxy: &Proxy, name: &str, request: &str) -> (Vec<u32>, String) {
    let start = mark(proxy, &format!("{name}-start"));
    let mut client = proxy.connect();
    client.send(request);
    client.response();
    let end = mark(proxy, &format!("{name}-end"));
    let log = log(proxy);
    let between = log.get(start..end).expect("two places in order").to_owned();
    let ids = between.split("[id \"").skip(1);
    let ids = ids.filter_map(|rest| rest.split_once('"')?.0.parse().ok());
    (ids.filter(|id| *id != 999_999).collect(), between)
}

#[test]
fn each_match_has_a_line_between_the_markers() {
    let origin = Origin::text("served");
    let proxy = in_front_of(&origin)
        .top("workers = 1")
        .tables("[access_log]\nevents = \"events\"")
        .start();
    let bundle = waf("1", RULES).edited(|manifest| {
        let manifest = manifest.replace("limits = {", "limits = { refused = 100,");
        manifest.replace("[plugin.config]\n", "[plugin.config]\naudit_format = \"lines\"\n")
    });
    assert!(proxy.weir(&["deploy", &bundle.path()]).success);
    let head = "HTTP/1.1\r\nHost: a\r\n";
    let (found, lines) = ids(&proxy, "one", &format!("GET /?q=attack {head}Referer: attack\r\n\r\n"));
    assert_eq!(found, [3, 2], "{lines}");
    assert!(lines.contains("Matched Data: attack found within ARGS:q"), "{lines}");
    assert!(
        lines.contains("found within REQUEST_HEADERS:Referer"),
        "names as the client writes them: {lines}"
    );
    assert_eq!(ids(&proxy, "two", &format!("GET /?q=quiet {head}\r\n")).0, [0; 0]);
    let refused = ids(&proxy, "three", "GET /?q=attack HTTP/1.1\r\nX: y\r\n\r\n");
    assert_eq!(refused.0, [4, 2], "what Weir refuses: {}", refused.1);
}
