//! Any bytes are a body of any kind: they become arguments, or an error that rules see.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use weir_waf::compile::compile;
use weir_waf::evaluate::{Completeness, Engine, RequestHead, Transaction};
use weir_waf::seclang::{NoFiles, Source, parse};

const RULES: &str = r#"
SecRequestBodyJsonDepthLimit 50
SecRule REQUEST_METHOD "@streq J" "id:1,phase:1,nolog,pass,ctl:requestBodyProcessor=JSON"
SecRule REQUEST_METHOD "@streq X" "id:2,phase:1,nolog,pass,ctl:requestBodyProcessor=XML"
SecRule REQUEST_METHOD "@streq R" "id:3,phase:1,nolog,pass,ctl:requestBodyProcessor=RAW"
SecRule ARGS|ARGS_NAMES|FILES|MULTIPART_PART_HEADERS|XML:/*|XML://@*|REQUEST_BODY|REQBODY_ERROR_MSG|FILES_TMP_CONTENT "@rx ." \
    "id:4,phase:2,pass,t:urlDecodeUni,t:htmlEntityDecode"
"#;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let source = Source { name: "fuzz.conf".into(), text: RULES.into() };
    let directives = parse(&[source], &NoFiles).expect("the rules are right");
    Engine::new(compile(&directives, &Vec::new(), &NoFiles).expect("the rules are right"))
});

fuzz_target!(|input: (u8, &[u8], &[u8])| {
    let (kind, parameters, body) = input;
    let (method, media) = match kind % 5 {
        0 => ("J", &b"application/json"[..]),
        1 => ("X", &b"text/xml"[..]),
        2 => ("R", &b"text/plain"[..]),
        3 => ("F", &b"application/x-www-form-urlencoded"[..]),
        _ => ("M", &b"multipart/form-data"[..]),
    };
    let boundary: &[u8] = if kind < 128 { b"; boundary=x" } else { parameters };
    let head = RequestHead {
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        method: method.to_owned(),
        version: "1.1".to_owned(),
        host: "localhost".to_owned(),
        path: b"/".to_vec(),
        query: None,
        headers: vec![("content-type".to_owned(), [media, boundary].concat())],
        id: String::new(),
        target: None,
    };
    let mut transaction = Transaction::default();
    let _ = ENGINE.request_head(&mut transaction, head);
    let completeness = if kind % 2 == 0 { Completeness::Complete } else { Completeness::Cut };
    let _ = ENGINE.request_body(&mut transaction, body, completeness);
    ENGINE.finish(&mut transaction);
    let _ = ENGINE.audit_event(&transaction, 200);
});
