//! Any request can be judged: targets, cookies and bodies of every type become arguments or an error, operators answer, and an
//! engine that asks every rule about every value finds nothing that the one with screens does not, although that is parked after each
//! phase. What was parked can be cut and changed anywhere, and is refused or read, but never a panic.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use weir_waf::compile::compile;
use weir_waf::evaluate::{Completeness, Engine, RequestHead, Transaction};
use weir_waf::seclang::{NoFiles, Source, parse};

const RULES: &str = r#"
SecRequestBodyAccess On
SecRule REQUEST_HEADERS:Content-Type "@contains json" "id:10,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule REQUEST_HEADERS:Content-Type "@contains xml" "id:11,phase:1,pass,nolog,ctl:requestBodyProcessor=XML"
SecRule ARGS|ARGS_NAMES|REQUEST_COOKIES|FILES|FILES_NAMES|XML:/*|XML://@* "@detectSQLi" "id:1,phase:2,pass,msg:'%{MATCHED_VAR}'"
SecRule ARGS|ARGS_NAMES|REQUEST_COOKIES|FILES|FILES_NAMES|XML:/*|XML://@* "@detectXSS" "id:2,phase:2,pass,msg:'%{MATCHED_VAR}'"
SecRule REQUEST_URI|REQUEST_BODY "@validateUrlEncoding" "id:3,phase:2,pass,msg:'%{MATCHED_VAR}'"
SecRule ARGS|REQUEST_BODY "@validateUtf8Encoding" "id:4,phase:2,pass,msg:'%{MATCHED_VAR}'"
SecRule ARGS "@rx ^(\w+)\W(.*)$" "id:5,phase:2,pass,capture,t:urlDecodeUni,t:htmlEntityDecode,setvar:'tx.last=%{TX.2}'"
"#;

const TYPES: [&[u8]; 4] = [
    b"application/x-www-form-urlencoded",
    b"multipart/form-data; boundary=b",
    b"application/json",
    b"text/xml",
];

static ENGINES: LazyLock<[Engine; 2]> = LazyLock::new(|| {
    let mut thorough = engine();
    thorough.remove_screens();
    [engine(), thorough]
});

fn engine() -> Engine {
    let source = Source { name: "fuzz.conf".into(), text: RULES.into() };
    let directives = parse(&[source], &NoFiles).expect("rules that parse");
    Engine::new(compile(&directives, &Vec::new(), &NoFiles).expect("rules that compile"))
}

fuzz_target!(|data: (u8, bool, &[u8], &[u8], &[u8])| {
    let (content_type, cut, query, cookie, body) = data;
    let content_type = TYPES[usize::from(content_type) % TYPES.len()];
    let head = RequestHead {
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        method: "POST".into(),
        version: "1.1".into(),
        host: "example.org".into(),
        target: None,
        path: b"/".to_vec(),
        query: Some(query.to_vec()),
        headers: vec![("content-type".into(), content_type.to_vec()), ("cookie".into(), cookie.to_vec())],
        id: String::new(),
    };
    let completeness = if cut { Completeness::Cut } else { Completeness::Complete };
    let judge = |engine: &Engine, between: &dyn Fn(&mut Transaction)| {
        let mut transaction = Transaction::default();
        let _ = engine.request_head(&mut transaction, head.clone());
        between(&mut transaction);
        let _ = engine.request_body(&mut transaction, body, completeness);
        between(&mut transaction);
        engine.finish(&mut transaction);
        between(&mut transaction);
        let _ = engine.audit_event(&transaction, 200);
        transaction.matches().to_vec()
    };
    let [screened, thorough] = &*ENGINES;
    let moved = judge(screened, &|transaction| {
        let Some(mut parked) = screened.park(transaction) else { return };
        let mut resumed = Transaction::default();
        screened.resume(&mut resumed, &parked).expect("what was parked can be read");
        *transaction = resumed;
        if let (Some(at), Some(&change)) = (parked.len().checked_sub(1 + query.len()), cookie.first()) {
            parked[at] ^= change;
            let _ = screened.resume(&mut Transaction::default(), &parked);
            let _ = screened.resume(&mut Transaction::default(), &parked[..at]);
        }
    });
    assert_eq!(moved, judge(thorough, &|_| {}));
});
