//! Rule files that include others of the bundle, and the map of a code page.

use weir_tests::curl::Output;
use weir_tests::origin::Origin;
use weir_tests::proxy::{Proxy, in_front_of};

use super::waf;

const MAP: &str = "1250 (ANSI - Central Europe)\n00a1:21\n\n20127 (US-ASCII)\n2215:2f 2039:3c\n";

fn start(directives: &str) -> (Origin, Proxy, Output) {
    let origin = Origin::text("served");
    let proxy = in_front_of(&origin).start();
    let rule =
        |id: u32, word: &str| format!("SecRule ARGS \"@contains {word}\" \"id:{id},phase:2,deny,t:urlDecodeUni\"\n");
    let bundle = waf("1", directives)
        .file("a.conf", rule(1, "one").as_bytes())
        .file("b.conf", format!("Include more/*.conf\n{}", rule(2, "two")).as_bytes())
        .file("c.conf", rule(3, "a/b").as_bytes())
        .file("map", MAP.as_bytes())
        .text("[plugin.data]\n\"rules/a.conf\" = \"a.conf\"\n\"rules/b.conf\" = \"b.conf\"\n\"rules/more/c.conf\" = \"c.conf\"\n\"unicode.mapping\" = \"map\"\n");
    let deployed = proxy.weir(&["deploy", &bundle.path()]);
    (origin, proxy, deployed)
}

#[test]
fn a_bundle_includes_its_files_by_a_pattern() {
    let (_origin, proxy, deployed) =
        start("Include rules/*.conf\nSecUnicodeMapFile /etc/modsecurity/unicode.mapping 20127\n");
    assert!(deployed.success, "{}", deployed.stderr);
    for (target, status) in [
        ("/?q=one", 403),
        ("/?q=two", 403),
        ("/?q=a%25u2215b", 403),
        ("/?q=a%25u2216b", 200),
        ("/?q=three", 200),
    ] {
        assert_eq!(proxy.get(target).status, status, "{target}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (directives, expected) in [
        (
            "SecRuleEngine On\nInclude none/*.conf\n",
            "directives:2: Include \"none/*.conf\"",
        ),
        (
            "SecUnicodeMapFile unicode.mapping 437\n",
            "directives:1: SecUnicodeMapFile: unicode.mapping: it has no code page 437; it has 1250, 20127",
        ),
        (
            "SecUnicodeMapFile none 20127\n",
            "directives:1: SecUnicodeMapFile: there is no file \"none\"",
        ),
        (
            "SecUnicodeMapFile unicode.mapping\n",
            "directives:1: SecUnicodeMapFile takes a file and the number of a code page",
        ),
    ] {
        let (_origin, _proxy, deployed) = start(directives);
        assert!(
            !deployed.success && deployed.stderr.contains(expected),
            "{expected} in {}",
            deployed.stderr
        );
    }
}
