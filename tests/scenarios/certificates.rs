//! Certificates change on disk, and connections notice.

use weir_tests::client::Client;
use weir_tests::origin::Origin;
use weir_tests::proxy::{Proxy, configure};
use weir_tests::sync::eventually;
use weir_tests::tls::Certificate;

fn behind(certificate: &Certificate) -> (Origin, Proxy) {
    let origin = Origin::text("ok");
    let builder = configure()
        .tls_listener("https")
        .route("all", "app", "")
        .upstream("app", &[origin.address()], "");
    certificate.write(builder.folder());
    let proxy = builder.start();
    (origin, proxy)
}

#[test]
fn a_new_certificate_is_used_and_old_connections_live_on() {
    let (old, new) = (Certificate::new(&["weir.test"]), Certificate::new(&["weir.test"]));
    let (_origin, proxy) = behind(&old);
    let mut before: Client = old.connect(proxy.address());
    assert_eq!(before.get("/").status, 200);
    assert!(
        new.try_connect(proxy.address()).is_err(),
        "the new certificate is shown before it is there"
    );

    new.write(proxy.folder());
    let mut after = eventually("the new certificate", || new.try_connect(proxy.address()).ok());
    assert_eq!(after.get("/").status, 200);
    assert_eq!(before.get("/").status, 200, "a connection made before");
}

#[test]
fn a_broken_certificate_changes_nothing() {
    let certificate = Certificate::new(&["weir.test"]);
    let (_origin, proxy) = behind(&certificate);
    std::fs::write(proxy.folder().join("cert.pem"), "not a certificate").expect("write");
    proxy.await_log("cert.pem");
    assert_eq!(certificate.connect(proxy.address()).get("/").status, 200);
}

#[test]
fn the_name_that_is_asked_for_chooses() {
    let (one, other) = (Certificate::new(&["one.test"]), Certificate::new(&["other.test"]));
    let origin = Origin::text("ok");
    let builder = configure()
        .route("all", "app", "")
        .upstream("app", &[origin.address()], "");
    for (folder, certificate) in [("one", &one), ("other", &other)] {
        std::fs::create_dir(builder.folder().join(folder)).expect("a folder");
        certificate.write(&builder.folder().join(folder));
    }
    let proxy = builder
        .listener("https")
        .tables("[[listener.tls.certificates]]\ncertificate = \"one/cert.pem\"\nkey = \"one/key.pem\"")
        .tables("[[listener.tls.certificates]]\ncertificate = \"other/cert.pem\"\nkey = \"other/key.pem\"")
        .start();
    assert_eq!(one.connect(proxy.address()).get("/").status, 200);
    assert_eq!(other.connect(proxy.address()).get("/").status, 200);
}
