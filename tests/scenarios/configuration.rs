//! A configuration that is wrong is refused before anything binds, with everything that is wrong about it.

use weir_tests::origin::refusing;
use weir_tests::proxy::configure;

#[test]
fn every_error_is_told_at_once_with_its_place() {
    let output = configure()
        .tables("[[listener]]\naddress = \"nowhere\"")
        .route("all", "nobody", "pth = \"/\"")
        .upstream("app", &[refusing()], "balance = \"best\"")
        .tables("[timeouts]\nconnect = \"fast\"")
        .refused();
    for needle in ["nowhere", "nobody", "pth", "best", "fast"] {
        assert!(
            output.stderr.contains(needle),
            "{needle} is not mentioned:\n{}",
            output.stderr
        );
    }
    let places = output.stderr.matches("weir.toml:").count();
    assert!(places >= 5, "{places} places for 5 errors:\n{}", output.stderr);
}

#[test]
fn an_unknown_key_is_refused_and_the_right_one_suggested() {
    let output = configure()
        .listener("http")
        .route("all", "app", "retrys = 2")
        .upstream("app", &[refusing()], "")
        .refused();
    assert!(
        output.stderr.contains("retrys") && output.stderr.contains("retries"),
        "{}",
        output.stderr
    );
}

#[test]
fn text_that_is_no_toml() {
    let output = configure().tables("[[listener").refused();
    assert!(output.stderr.contains("weir.toml:"), "{}", output.stderr);
}

#[test]
fn a_file_that_is_not_there() {
    let output = weir_tests::proxy::weir(&["check", "-c", "missing.toml"], configure().folder());
    assert!(
        !output.success && output.stderr.contains("missing.toml"),
        "{}",
        output.stderr
    );
}

#[test]
fn check_accepts_what_is_right_and_binds_nothing() {
    let origin = weir_tests::origin::Origin::text("ok");
    let proxy = weir_tests::proxy::in_front_of(&origin).start();
    let output = weir_tests::proxy::weir(&["check", "-c", "weir.toml"], proxy.folder());
    assert!(output.success, "{}", output.stderr);
}
