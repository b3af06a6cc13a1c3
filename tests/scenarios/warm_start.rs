//! A start with known plugins compiles nothing.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use weir_tests::bundle::Bundle;
use weir_tests::origin::Origin;
use weir_tests::proxy::{Proxy, in_front_of};

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

#[test]
fn a_large_table_is_built_once_and_again_when_it_was_damaged() {
    let origin = Origin::text("ok");
    let proxy = in_front_of(&origin).start();
    let rows: String = (0..10_000).map(|row| format!("/old/{row},/new/{row}\n")).collect();
    let bundle = Bundle::new("warm", "1")
        .file("moved.csv", rows.as_bytes())
        .plugin("redirect", "capabilities = [\"tables\"]")
        .text("[[plugin.table]]\nname = \"moved\"\nkind = \"exact\"\nfile = \"moved.csv\"")
        .text("[[plugin.config.tables]]\nname = \"moved\"");
    let output = proxy.weir(&["deploy", &bundle.path()]);
    assert!(output.success, "{}{}", output.stdout, output.stderr);
    let moves = |proxy: &Proxy| {
        for row in [0, 5000, 9999] {
            let response = proxy.get(&format!("/old/{row}"));
            assert_eq!(response.headers.get("location"), Some(&*format!("/new/{row}")));
        }
    };
    let kept = |proxy: &Proxy| -> PathBuf {
        let tables: Vec<_> = files(&proxy.folder().join("state/tables")).into_keys().collect();
        assert_eq!(tables.len(), 1, "{tables:?}");
        tables[0].clone()
    };
    // A file that is written again is another one under the same name.
    let number = |file: &Path| std::fs::metadata(file).expect("the table").ino();
    moves(&proxy);
    let built = number(&kept(&proxy));

    let proxy = proxy.restart();
    moves(&proxy);
    let file = kept(&proxy);
    assert_eq!(number(&file), built, "the second start built the table again");

    let whole = std::fs::read(&file).expect("the table");
    // Not in place: this Weir has it mapped.
    std::fs::remove_file(&file).expect("take the table away");
    std::fs::write(&file, &whole[..whole.len() / 2]).expect("a table cut short");
    let proxy = proxy.restart();
    moves(&proxy);
    assert_eq!(std::fs::read(kept(&proxy)).expect("the table").len(), whole.len());
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
