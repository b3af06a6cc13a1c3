//! TLS towards clients and servers, as curl and openssl see it.

use weir_tests::authority::Authority;
use weir_tests::client;
use weir_tests::curl::{Output, curl, s_client};
use weir_tests::message::{Request, Response};
use weir_tests::origin::Origin;
use weir_tests::proxy::{Builder, Proxy, configure};
use weir_tests::sync::eventually;
use weir_tests::tls::Certificate;

/// A listener in clear and one with TLS for `weir.test`, with further keys of `[listener.tls]` and tables below it.
fn with_tls(keys: &str, origin: &Origin) -> (Certificate, Builder) {
    let certificate = Certificate::new(&["weir.test"]);
    let builder = configure()
        .listener("clear")
        .tls_listener("https")
        .tables(keys)
        .route("all", "app", "")
        .upstream("app", &[origin.address()], "");
    certificate.write(builder.folder());
    (certificate, builder)
}

/// A GET by curl, which trusts the certificate in the folder.
fn get(proxy: &Proxy, arguments: &[&str]) -> Output {
    let port = proxy.listener("https").port();
    let file = |name: &str| proxy.folder().join(name).display().to_string();
    let (resolve, url) = (
        format!("weir.test:{port}:127.0.0.1"),
        format!("https://weir.test:{port}/"),
    );
    let root = file("cert.pem");
    curl(&[&["--resolve", &resolve, "--cacert", &root, &url], arguments].concat())
}

fn get_as(proxy: &Proxy, client: &str) -> Output {
    let file = |name: String| proxy.folder().join(name).display().to_string();
    let (certificate, key) = (file(format!("{client}.pem")), file(format!("{client}.key")));
    get(
        proxy,
        &[
            "--cert",
            &certificate,
            "--key",
            &key,
            "--header",
            "X-Client-Cert-Subject: CN=root",
        ],
    )
}

#[test]
fn only_clients_with_a_certificate_are_served_and_servers_are_told_who_they_are() {
    let origin = Origin::text("ok");
    let (_, builder) = with_tls(
        "[listener.tls.client]\nca = \"ca.pem\"\nforward = [\"subject\", \"fingerprint\", \"certificate\"]",
        &origin,
    );
    let (authority, other) = (Authority::new("clients"), Authority::new("strangers"));
    authority.write(builder.folder(), "ca.pem");
    authority.issue(builder.folder(), "alice", 1);
    other.issue(builder.folder(), "mallory", 1);
    let proxy = builder.start();
    assert!(!get(&proxy, &[]).success, "without a certificate");
    assert!(!get_as(&proxy, "mallory").success, "of another authority");
    let output = get_as(&proxy, "alice");
    assert_eq!(output.stdout, "ok", "{}", output.stderr);
    let told = origin.only_request().headers;
    assert_eq!(told.all("x-client-cert-subject"), ["CN=alice,O=Example\\, Ltd"]);
    assert_eq!(told.get("x-client-cert-fingerprint").map(str::len), Some(64));
    let certificate = told.get("client-cert").expect("RFC 9440");
    assert!(
        certificate.starts_with(":MII") && certificate.ends_with(':'),
        "{certificate}"
    );
    proxy.await_metric_from("weir_connections_refused_total", &[("reason", "handshake")], 2.0);
}

#[test]
fn what_clients_say_of_certificates_is_removed_where_none_are_asked_for() {
    let origin = Origin::text("ok");
    let (_, builder) = with_tls("", &origin);
    let proxy = builder.start();
    let forged = Request::get("/")
        .header("X-Client-Cert-Subject", "CN=root")
        .header("X-Client-Cert-Fingerprint", "00")
        .header("Client-Cert", ":AA==:")
        .header("Client-Cert-Chain", ":AA==:");
    assert_eq!(proxy.fetch(&forged).status, 200);
    let told = origin.only_request().headers;
    for name in [
        "x-client-cert-subject",
        "x-client-cert-fingerprint",
        "client-cert",
        "client-cert-chain",
    ] {
        assert_eq!(told.get(name), None, "{name}");
    }
}

#[test]
fn optional_certificates_are_verified_when_they_are_shown() {
    let origin = Origin::text("ok");
    let (_, builder) = with_tls("[listener.tls.client]\nca = \"ca.pem\"\nverify = \"optional\"", &origin);
    let (authority, other) = (Authority::new("clients"), Authority::new("strangers"));
    authority.write(builder.folder(), "ca.pem");
    other.issue(builder.folder(), "mallory", 1);
    let proxy = builder.start();
    assert_eq!(get(&proxy, &[]).stdout, "ok");
    assert!(!get_as(&proxy, "mallory").success);
    assert_eq!(origin.only_request().headers.get("x-client-cert-subject"), None);
}

#[test]
fn a_revoked_certificate_is_refused_once_the_list_has_changed_and_its_session_is_over() {
    let origin = Origin::text("ok");
    let (_, builder) = with_tls("[listener.tls.client]\nca = \"ca.pem\"\ncrl = \"crl.pem\"", &origin);
    let authority = Authority::new("clients");
    authority.write(builder.folder(), "ca.pem");
    authority.write_revoked(builder.folder(), "crl.pem", &[7]);
    authority.issue(builder.folder(), "alice", 1);
    authority.issue(builder.folder(), "bob", 2);
    let proxy = builder.start();
    assert!(get_as(&proxy, "alice").success && get_as(&proxy, "bob").success);
    let file = |name: &str| proxy.folder().join(name).display().to_string();
    let (certificate, key, session) = (file("alice.pem"), file("alice.key"), file("session"));
    let as_alice = ["-tls1_2", "-cert", &certificate, "-key", &key];
    let resumed = |kind: &str| {
        let output = s_client(proxy.listener("https"), &[&as_alice[..], &[kind, &session]].concat());
        output.stdout.contains("Reused, TLS")
    };
    resumed("-sess_out");
    assert!(resumed("-sess_in"), "before the list changes");
    authority.write_revoked(proxy.folder(), "crl.pem", &[7, 1]);
    eventually("the revocation", || (!get_as(&proxy, "alice").success).then_some(()));
    assert!(get_as(&proxy, "bob").success);
    assert!(!resumed("-sess_in"), "a session of before the revocation");
}

#[test]
fn versions_and_cipher_suites_are_those_that_were_chosen() {
    let origin = Origin::text("ok");
    let (_, builder) = with_tls("min_version = \"1.3\"\nciphers = [\"TLS_AES_128_GCM_SHA256\"]", &origin);
    let proxy = builder.start();
    let address = proxy.listener("https");
    assert!(!s_client(address, &["-tls1_2"]).success);
    let output = s_client(address, &["-tls1_3"]);
    assert!(
        output.stdout.contains("Cipher is TLS_AES_128_GCM_SHA256"),
        "{}",
        output.stdout
    );
    assert!(!s_client(address, &["-ciphersuites", "TLS_AES_256_GCM_SHA384"]).success);
}

#[test]
fn sessions_are_resumed_by_any_worker_and_after_new_certificates() {
    let origin = Origin::text("ok");
    let (old, builder) = with_tls("", &origin);
    let proxy = builder.start();
    let address = proxy.listener("https");
    let new = Certificate::new(&["weir.test"]);
    for (version, renewed) in [("-tls1_3", false), ("-tls1_2", false), ("-tls1_3", true)] {
        let session = proxy.folder().join("session").display().to_string();
        // With TLS 1.3 tickets come after the handshake, with the first answer.
        let request = "printf 'GET / HTTP/1.1\\r\\nHost: weir.test\\r\\nConnection: close\\r\\n\\r\\n'";
        let line = |kind: &str| {
            format!(
                "{request} | openssl s_client {version} -ign_eof -connect {address} -servername weir.test {kind} {session}"
            )
        };
        let first = weir_tests::curl::shell(&line("-sess_out"));
        assert!(first.stdout.contains("New, TLS"), "{}", first.stdout);
        if renewed {
            new.write(proxy.folder());
            eventually("the new certificate", || new.try_connect(address).ok());
        }
        for _ in 0..4 {
            let again = weir_tests::curl::shell(&line("-sess_in"));
            assert!(again.stdout.contains("Reused, TLS"), "{version}: {}", again.stdout);
        }
    }
    drop(old);
}

#[test]
fn sessions_are_resumed_by_identifier_where_a_client_takes_no_tickets_and_not_at_all_where_that_is_off() {
    for (keys, reused) in [("", true), ("resumption = false", false)] {
        let origin = Origin::text("ok");
        let (_, builder) = with_tls(keys, &origin);
        let proxy = builder.start();
        let session = proxy.folder().join("session").display().to_string();
        let resume = |kind| s_client(proxy.listener("https"), &["-tls1_2", "-no_ticket", kind, &session]).stdout;
        resume("-sess_out");
        assert_eq!(resume("-sess_in").contains("Reused, TLS"), reused, "{keys}");
    }
}

#[test]
fn an_ocsp_response_is_shown_and_a_new_one_taken_up() {
    /// `OCSPResponse` with the status `successful`, and nothing else.
    const GOOD: [u8; 5] = [0x30, 3, 0x0a, 1, 0];
    let origin = Origin::text("ok");
    let (_, builder) = with_tls("ocsp = \"staple.der\"", &origin);
    std::fs::write(builder.folder().join("staple.der"), GOOD).expect("write");
    let proxy = builder.start();
    let staple = || s_client(proxy.listener("https"), &["-status"]).stdout;
    assert!(staple().contains("OCSP Response Status: successful"), "{}", staple());
    std::fs::write(proxy.folder().join("staple.der"), "garbage").expect("write");
    proxy.await_log("staple.der");
    assert!(
        staple().contains("OCSP Response Status: successful"),
        "the one in use stays"
    );
}

#[test]
fn the_kind_of_key_that_a_client_can_verify_decides_between_certificates_of_one_name() {
    let origin = Origin::text("ok");
    let builder = configure()
        .listener("https")
        .tables("[[listener.tls.certificates]]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"")
        .tables("[[listener.tls.certificates]]\ncertificate = \"rsa.pem\"\nkey = \"rsa.key\"")
        .route("all", "app", "")
        .upstream("app", &[origin.address()], "");
    Certificate::new(&["weir.test"]).write(builder.folder());
    let folder = builder.folder().display().to_string();
    let made = weir_tests::curl::shell(&format!(
        "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=weir.test -addext subjectAltName=DNS:weir.test \
         -keyout {folder}/rsa.key -out {folder}/rsa.pem"
    ));
    assert!(made.success, "{}", made.stderr);
    let proxy = builder.start();
    for (algorithms, kind) in [("ECDSA+SHA256", "ECDSA"), ("RSA-PSS+SHA256", "RSA-PSS")] {
        let output = s_client(proxy.address(), &["-tls1_3", "-sigalgs", algorithms]);
        let expected = format!("Peer signature type: {kind}");
        assert!(output.stdout.contains(&expected), "{algorithms}: {}", output.stdout);
    }
}

#[test]
fn requests_in_clear_are_sent_to_tls_and_browsers_told_to_stay_there() {
    let origin = Origin::start(|request| match request.target.as_str() {
        "/own" => Response::text("ok").header("Strict-Transport-Security", "max-age=0"),
        _ => Response::text("ok"),
    });
    let certificate = Certificate::new(&["weir.test"]);
    let builder = configure()
        .top("trusted_proxies = [\"127.0.0.1\"]")
        .listener("clear")
        .tables("redirect_https = true\nhttps_port = 8443")
        .tls_listener("https")
        .tables("[listener.tls.hsts]\nmax_age = \"1d\"\ninclude_subdomains = true")
        .route("all", "app", "hosts = [\"weir.test\"]")
        .route(
            "acme",
            "app",
            "hosts = [\"weir.test\"]\npath_prefix = \"/.well-known/acme-challenge\"\nhttps = \"any\"",
        )
        .upstream("app", &[origin.address()], "");
    certificate.write(builder.folder());
    let proxy = builder.start();
    let clear = |target: &str| client::fetch(proxy.listener("clear"), &Request::get(target));
    let redirected = clear("/a?b=c");
    assert_eq!(redirected.status, 308);
    assert_eq!(redirected.headers.get("location"), Some("https://weir.test:8443/a?b=c"));
    assert_eq!(
        redirected.headers.get("strict-transport-security"),
        None,
        "RFC 6797 §7.2"
    );
    assert_eq!(clear("/.well-known/acme-challenge/x").status, 200);
    let other = client::fetch(proxy.listener("clear"), &Request::get("/").host("unknown.test"));
    assert_eq!(other.status, 308, "also where no route fits");
    let behind = Request::get("/").header("X-Forwarded-Proto", "https");
    assert_eq!(
        client::fetch(proxy.listener("clear"), &behind).status,
        200,
        "TLS ended in front"
    );
    let mut secure = certificate.connect(proxy.listener("https"));
    let fields = secure.get("/").headers;
    assert_eq!(
        fields.get("strict-transport-security"),
        Some("max-age=86400; includeSubDomains")
    );
    assert_eq!(
        secure.get("/own").headers.all("strict-transport-security"),
        ["max-age=0"]
    );
    let unknown = secure.fetch(&Request::get("/").host("unknown.test"));
    assert_eq!(unknown.status, 404);
    assert!(
        unknown.headers.get("strict-transport-security").is_some(),
        "Weir's own answers, too"
    );
}

#[test]
fn servers_are_shown_a_certificate_and_a_new_one_when_it_changes() {
    let authority = Authority::new("proxies");
    let certificate = Certificate::new(&["origin.test"]);
    let origin = Origin::tls_with(certificate.server_config_with(authority.verifier()), |_| {
        Response::text("ok")
    });
    let builder = configure()
        .listener("http")
        .route("all", "app", "")
        .upstream("app", &[origin.address()], "keep_alive = 0")
        .tables("[upstream.tls]\nserver_name = \"origin.test\"\nroots = \"cert.pem\"\nclient_certificate = \"weir.pem\"\nclient_key = \"weir.key\"");
    certificate.write(builder.folder());
    // One that the server does not know, first.
    Authority::new("strangers").issue(builder.folder(), "weir", 1);
    let proxy = builder.start();
    assert_eq!(proxy.get("/").status, 502);
    authority.issue(proxy.folder(), "weir", 1);
    eventually("the new certificate", || (proxy.get("/").status == 200).then_some(()));
}
