//! Bundles come and go by command; a bad one changes nothing and says why.

use weir_tests::bundle::Bundle;
use weir_tests::guests;
use weir_tests::message::Response;
use weir_tests::origin::Origin;
use weir_tests::proxy::{Proxy, in_front_of};

/// A bundle whose answers carry this mark.
fn marking(mark: &str) -> Bundle {
    Bundle::new("marking", mark).guest("mark", &format!("config = {{ mark = \"{mark}\" }}"))
}

fn mark(proxy: &Proxy) -> Option<String> {
    let response = proxy.get("/");
    assert_eq!(response.status, 200, "{response:?}");
    response.headers.get("x-mark").map(str::to_owned)
}

fn deploy(proxy: &Proxy, bundle: &Bundle) {
    let output = proxy.weir(&["deploy", &bundle.path()]);
    assert!(output.success, "{}{}", output.stdout, output.stderr);
}

fn pair() -> (Origin, Proxy) {
    let origin = Origin::start(|_| Response::text("ok"));
    let proxy = in_front_of(&origin).start();
    (origin, proxy)
}

#[test]
fn deploy_status_and_rollback() {
    let (_origin, proxy) = pair();
    assert_eq!(mark(&proxy), None);
    deploy(&proxy, &marking("one"));
    assert_eq!(mark(&proxy).as_deref(), Some("one"));
    deploy(&proxy, &marking("two"));
    assert_eq!(mark(&proxy).as_deref(), Some("two"));

    let status = proxy.weir(&["status"]);
    assert!(status.success, "{}", status.stderr);
    for needle in ["marking", "two", "mark", "on_request"] {
        assert!(
            status.stdout.contains(needle),
            "{needle} is missing in:\n{}",
            status.stdout
        );
    }

    let rollback = proxy.weir(&["rollback"]);
    assert!(rollback.success, "{}", rollback.stderr);
    assert_eq!(mark(&proxy).as_deref(), Some("one"));
}

#[test]
fn a_tar_is_a_bundle_too() {
    let (_origin, proxy) = pair();
    let tar = marking("tarred").tar();
    let output = proxy.weir(&["deploy", &tar.to_string_lossy()]);
    assert!(output.success, "{}{}", output.stdout, output.stderr);
    assert_eq!(mark(&proxy).as_deref(), Some("tarred"));
    std::fs::remove_file(tar).expect("remove the tar");
}

#[test]
fn the_active_generation_survives_a_restart() {
    let (_origin, proxy) = pair();
    deploy(&proxy, &marking("kept"));
    let proxy = proxy.restart();
    assert_eq!(mark(&proxy).as_deref(), Some("kept"));
}

#[test]
fn a_bundle_may_come_with_the_configuration() {
    let origin = Origin::text("ok");
    let bundle = marking("configured");
    let proxy = in_front_of(&origin)
        .plugins(&format!("bundle = \"{}\"", bundle.path()))
        .start();
    assert_eq!(mark(&proxy).as_deref(), Some("configured"));
}

/// One running generation survives everything that is wrong with its successors.
#[test]
fn a_bad_bundle_changes_nothing_and_says_why() {
    let (_origin, proxy) = pair();
    deploy(&proxy, &marking("good"));
    let good = std::fs::read(guests::guest("mark")).expect("a component");
    let marked = "config = { mark = \"bad\" }";
    let bad = [
        (
            "not Wasm",
            Bundle::new("bad", "1").bytes("mark", b"plain text", marked),
            "is not WebAssembly",
        ),
        (
            "a core module",
            Bundle::new("bad", "1").bytes("mark", b"\0asm\x01\0\0\0", marked),
            "weir plugin build",
        ),
        (
            "a component of another world",
            Bundle::new("bad", "1").bytes("mark", b"\0asm\x0d\0\x01\0", marked),
            "weir:plugin/handler",
        ),
        (
            "a newer contract",
            Bundle::new("bad", "1").bytes("mark", &newer_contract(&good), marked),
            "0.9.0",
        ),
        (
            "a component that is not there",
            Bundle::new("bad", "1").text("[[plugin]]\nname = \"gone\"\ncomponent = \"gone.wasm\""),
            "gone.wasm",
        ),
        (
            "a manifest that is no TOML",
            Bundle::new("bad", "1").text("[[plugin"),
            "bundle.toml:",
        ),
        (
            "an unknown key",
            Bundle::new("bad", "1").text("colour = \"red\""),
            "colour",
        ),
        (
            "an unknown capability",
            Bundle::new("bad", "1").guest("mark", &format!("capabilities = [\"files\"]\n{marked}")),
            "files",
        ),
        (
            "a path outside of the bundle",
            Bundle::new("bad", "1").text("[[plugin]]\nname = \"out\"\ncomponent = \"../out.wasm\""),
            "../out.wasm",
        ),
        (
            "a configuration that the plugin does not know",
            Bundle::new("bad", "1").guest("mark", "config = { mrk = \"typo\" }"),
            "mrk",
        ),
        (
            "a configuration that the plugin refuses",
            Bundle::new("bad", "1").guest("configure-error", ""),
            "the moon is in the wrong phase",
        ),
        (
            "a configuration that never ends",
            Bundle::new("bad", "1").guest("slow-configure", ""),
            "slow-configure",
        ),
        (
            "a capability that is not granted",
            Bundle::new("bad", "1").guest("ungranted", ""),
            "counters",
        ),
        (
            "a self-test that fails",
            Bundle::new("bad", "1").guest("mark", marked).text(
                "[[test]]\nname = \"the impossible\"\nrequest = { target = \"/\" }\n\
                 expect = { verdict = \"reply\", status = 418 }",
            ),
            "the impossible",
        ),
    ];
    let before = proxy.status();
    for (name, bundle, reason) in &bad {
        let output = proxy.weir(&["deploy", &bundle.path()]);
        assert!(!output.success, "{name}: was deployed");
        assert!(
            output.stderr.contains(reason),
            "{name}: {reason:?} is missing in\n{}",
            output.stderr
        );
        assert!(!output.stderr.contains("panicked"), "{name}: {}", output.stderr);
        assert_eq!(
            mark(&proxy).as_deref(),
            Some("good"),
            "{name}: the running generation changed"
        );
    }
    assert_eq!(proxy.status()["generation"]["number"], before["generation"]["number"]);
    let refused = proxy.metric("weir_activations_total", &[("change", "deploy"), ("result", "refused")]);
    assert_eq!(refused, bad.len() as f64);
}

#[test]
fn a_self_test_that_passes_lets_the_bundle_in() {
    let (_origin, proxy) = pair();
    let bundle = marking("tested").text(
        "[[test]]\nname = \"marks what goes upstream\"\nrequest = { target = \"/\" }\n\
         expect = { verdict = \"continue\", request_headers = [[\"x-mark\", \"tested\"]] }",
    );
    deploy(&proxy, &bundle);
    assert_eq!(mark(&proxy).as_deref(), Some("tested"));
}

#[test]
fn a_bundle_that_is_not_there() {
    let (_origin, proxy) = pair();
    let output = proxy.weir(&["deploy", "nowhere"]);
    assert!(
        !output.success && output.stderr.contains("nowhere"),
        "{}",
        output.stderr
    );
}

#[test]
fn nothing_to_roll_back_to() {
    let (_origin, proxy) = pair();
    let output = proxy.weir(&["rollback"]);
    assert!(!output.success, "{}", output.stdout);
    assert_eq!(mark(&proxy), None);
}

/// The same component, asking for a contract of the future.
fn newer_contract(component: &[u8]) -> Vec<u8> {
    let (now, future) = (b"@0.1.0", b"@0.9.0");
    let mut bytes = component.to_vec();
    let mut found = 0;
    for at in 0..bytes.len() - now.len() {
        if &bytes[at..at + now.len()] == now {
            bytes[at..at + now.len()].copy_from_slice(future);
            found += 1;
        }
    }
    assert!(found > 0, "no version of the contract in a component");
    bytes
}
