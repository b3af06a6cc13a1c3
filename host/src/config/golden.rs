//! Every file `tests/config/NAME.toml` is refused with exactly the words of `NAME.golden` beside it.
//!
//! `WEIR_UPDATE_GOLDEN=1 cargo test -p weir golden` writes the words down; read them before they are committed.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;

#[test]
fn bad_files_are_refused_in_these_words() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/config");
    let update = std::env::var_os("WEIR_UPDATE_GOLDEN").is_some();
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        seen += 1;
        let Err(report) = super::load(&path) else {
            panic!("{} is accepted", path.display())
        };
        // The folder is another one on every machine.
        let said = report
            .render(super::Style::Plain)
            .replace(&format!("{}/", folder.display()), "");
        let golden = path.with_extension("golden");
        if update {
            std::fs::write(&golden, &said).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(
            said,
            expected,
            "{}: run this test with WEIR_UPDATE_GOLDEN=1",
            golden.display()
        );
    }
    assert!(seen >= 10, "{seen} files in {}", folder.display());
}
