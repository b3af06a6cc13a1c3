//! A start with known plugins compiles nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use weir_tests::bundle::Bundle;
use weir_tests::origin::Origin;
use weir_tests::proxy::in_front_of;

#[test]
fn artefacts_are_kept_and_used_again() {
    let origin = Origin::text("ok");
    let proxy = in_front_of(&origin).start();
    let bundle = Bundle::new("warm", "1").guest("mark", "config = { mark = \"warm\" }");
    let output = proxy.weir(&["deploy", &bundle.path()]);
    assert!(output.success, "{}{}", output.stdout, output.stderr);
    let before = files(&proxy.folder().join("state"));
    assert!(!before.is_empty(), "nothing was kept in the state folder");

    let proxy = proxy.restart();
    assert_eq!(proxy.get("/").headers.get("x-mark"), Some("warm"));
    let after = files(&proxy.folder().join("state"));
    let compiled: Vec<_> = after.keys().filter(|file| !before.contains_key(*file)).collect();
    assert!(compiled.is_empty(), "the second start made {compiled:?}");
    // An artefact's record remembers when it was last used, in its own time.
    let rewritten: Vec<_> = before
        .iter()
        .filter(|(file, time)| after.get(*file) != Some(time) && file.extension().is_none_or(|end| end != "json"))
        .collect();
    assert!(rewritten.is_empty(), "the second start wrote {rewritten:?} again");
}

#[test]
fn an_artefact_that_was_damaged_is_made_again() {
    let origin = Origin::text("ok");
    let proxy = in_front_of(&origin).start();
    let bundle = Bundle::new("warm", "1").guest("mark", "config = { mark = \"warm\" }");
    assert!(proxy.weir(&["deploy", &bundle.path()]).success);
    let state = proxy.folder().join("state");
    let artefacts: Vec<_> = files(&state).into_keys().filter(|file| is_artefact(file)).collect();
    assert!(!artefacts.is_empty(), "no artefact in {:?}", files(&state));
    for artefact in &artefacts {
        std::fs::write(artefact, b"damaged").expect("damage an artefact");
    }
    let proxy = proxy.restart();
    assert_eq!(proxy.get("/").headers.get("x-mark"), Some("warm"));
}

fn is_artefact(file: &Path) -> bool {
    file.components()
        .any(|part| part.as_os_str().to_string_lossy().contains("artefact"))
}

fn files(folder: &Path) -> BTreeMap<PathBuf, SystemTime> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let metadata = entry.metadata().expect("metadata");
        if metadata.is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.insert(entry.path(), metadata.modified().expect("a time"));
        }
    }
    found
}
