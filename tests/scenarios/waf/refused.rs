//! Attacks that break HTTP never reach a server, and the WAF knows of them all the same.

use serde_json::json;
use weir_tests::origin::Origin;
use weir_tests::proxy::in_front_of;
use weir_tests::sync::eventually;

use super::{events, waf};

const RULES: &str = r#"
SecRule &REQUEST_HEADERS:Host "@eq 0" "id:1,phase:1,deny,status:403,msg:'No host'"
SecRule REQUEST_LINE "@contains #" "id:2,phase:1,pass,msg:'A fragment'"
SecRule REQUEST_HEADERS:Content-Length "!@rx ^\d+$" "id:3,phase:1,pass,msg:'No length'"
SecRule ARGS "@contains attack" "id:4,phase:2,deny,status:403,msg:'An attack'"
"#;

#[test]
fn a_refused_request_has_an_audit_event() {
    let origin = Origin::text("served");
    let proxy = in_front_of(&origin).tables("[access_log]\nevents = \"events\"").start();
    let bundle = waf("1", RULES).edited(|manifest| manifest.replace("limits = {", "limits = { refused = 100,"));
    assert!(proxy.weir(&["deploy", &bundle.path()]).success);
    for (request, word, rules) in [
        ("GET /?q=attack HTTP/1.1\r\nX-A: b\r\n\r\n", "host", json!([1])),
        ("GET /a?q=attack#c HTTP/1.1\r\nHost: a\r\n\r\n", "target", json!([2, 4])),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3,4\r\n\r\nabc",
            "content_length",
            json!([3]),
        ),
    ] {
        let mut client = proxy.connect();
        client.send(request);
        assert_eq!(client.response().status, 400, "{request:?}");
        client.assert_closed();
        let event = eventually("the event", || {
            events(&proxy)
                .into_iter()
                .find(|event| event["transaction"]["action"]["refusal"] == word)
        });
        let transaction = &event["transaction"];
        assert_eq!(transaction["rules"], rules, "{event}");
        assert_eq!(transaction["response"]["http_code"], 400);
        assert_eq!(
            transaction["action"]["intercepted"], false,
            "it is Weir that refused it"
        );
        assert_eq!(transaction["action"]["reason"], "refused by the proxy");
    }
    assert_eq!(origin.requests(), 0);
}
