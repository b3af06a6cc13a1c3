//! Transactions that are parked between their phases.

use super::*;

/// The same transaction in another place.
fn moved(engine: &Engine, from: &Transaction) -> Transaction {
    let parked = engine.park(from).unwrap();
    let mut to = Transaction::default();
    engine.resume(&mut to, &parked).unwrap();
    to
}

#[test]
fn a_transaction_goes_on_where_it_was_parked() {
    let engine = engine(
        "SecRequestBodyAccess On\nSecAuditEngine On\n\
         SecRule ARGS:q \"@rx ^(b)c\" \"id:1,phase:1,pass,capture,msg:'%{tx.1}',setvar:tx.score=+5,setvar:tx.%{tx.1}=x,sanitiseArg:q\"\n\
         SecRule ARGS_POST:p \"@streq 1\" \"id:2,phase:2,pass,ctl:ruleRemoveById=4\"\n\
         SecRule TX:score \"@eq 5\" \"id:3,phase:3,pass,chain\"\n\
         SecRule TX:b|REQUEST_HEADERS:a \"@within xy\" \"\"\n\
         SecRule TX:score \"@eq 5\" \"id:4,phase:3,pass\"\n\
         SecRule MULTIPART_STRICT_ERROR|REQBODY_ERROR \"@eq 0\" \"id:5,phase:4,pass\"\n\
         SecRule RESPONSE_HEADERS:s \"@streq t\" \"id:6,phase:5,pass,msg:'%{REQUEST_HEADERS.a}'\"\n\
         SecRule ARGS|REQUEST_COOKIES|REQUEST_LINE \"@rx .\" \"id:7,phase:5,pass\"",
    );
    let run = |next: fn(&Engine, Transaction) -> Transaction| {
        let mut transaction = Transaction::default();
        let headers = [
            ("a", "y"),
            ("cookie", "c=d"),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let _ = engine.request_head(&mut transaction, head("/?q=bcd", &headers));
        transaction = next(&engine, transaction);
        let _ = engine.request_body(&mut transaction, b"p=1", Completeness::Complete);
        transaction = next(&engine, transaction);
        let _ = engine.response_head(&mut transaction, 200, [("s".to_owned(), b"t".to_vec())]);
        transaction = next(&engine, transaction);
        let _ = engine.response_body(&mut transaction, b"body", Completeness::Complete);
        transaction = next(&engine, transaction);
        engine.finish(&mut transaction);
        transaction = next(&engine, transaction);
        (transaction.matches().to_vec(), engine.audit_event(&transaction, 200))
    };
    let stayed = run(|_, transaction| transaction);
    let ids: Vec<u64> = stayed.0.iter().map(|found| found.id).collect();
    assert_eq!(ids, [1, 2, 3, 5, 6, 7]);
    assert_eq!(run(|engine, transaction| moved(engine, &transaction)), stayed);
}

#[test]
fn what_is_no_transaction_is_refused() {
    let engine = engine("SecAction \"id:1,phase:1,pass\"");
    let mut transaction = Transaction::default();
    let _ = engine.request_head(&mut transaction, head("/?q=bcd", &[("a", "b")]));
    let parked = engine.park(&transaction).unwrap();
    for length in 0..parked.len() {
        let _ = engine.resume(&mut Transaction::default(), &parked[..length]);
    }
    assert!(engine.resume(&mut Transaction::default(), b"").is_none());
    assert!(engine.resume(&mut Transaction::default(), &[0xff; 64]).is_none());
}
