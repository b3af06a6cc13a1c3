//! Finding and loading the OWASP Core Rule Set, which is not part of this repository.

use std::path::{Path, PathBuf};

use weir_waf::config::Config;
use weir_waf::evaluate::Engine;
use weir_waf::seclang::Files;

/// What `modsecurity.conf-recommended` sets up before the rule set.
const SETUP: &str = r#"
SecRequestBodyAccess On
SecRule REQUEST_HEADERS:Content-Type "^(?:application(?:/soap\+|/)|text/)xml" "id:200000,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=XML"
SecRule REQUEST_HEADERS:Content-Type "^application/json" "id:200001,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
"#;

/// The rule set's folder: `WEIR_CRS`, or `shared/crs` beside the repository, or where Debian's package puts it.
fn folder() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/crs");
    let named = std::env::var_os("WEIR_CRS").map(PathBuf::from);
    named
        .into_iter()
        .chain([beside, PathBuf::from("/usr/share/modsecurity-crs")])
        .find(|folder| folder.join("rules").is_dir())
}

/// The same; says so where there is none, and fails in CI.
pub(crate) fn folder_or_skip() -> Option<PathBuf> {
    const MISSING: &str = "the OWASP Core Rule Set is not here; set WEIR_CRS to its folder";
    let folder = folder();
    if folder.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{MISSING}");
        println!("SKIPPED: {MISSING}");
    }
    folder
}

/// All request and response rules, blocking, at a paranoia level.
pub(crate) fn engine(folder: &Path, paranoia_level: u8, detection: u8) -> Result<Engine, String> {
    let mut rules: Vec<String> = std::fs::read_dir(folder.join("rules"))
        .map_err(|error| format!("{}: {error}", folder.display()))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".conf"))
        .collect();
    rules.sort();
    rules.splice(..0, ["before".to_owned(), "crs-setup.conf.example".to_owned()]);
    let config = Config {
        rules,
        paranoia_level,
        detection_paranoia_level: Some(detection),
        arguments_limit: Some(1_000_000),
        request_body_limit: Some(16 << 20),
        ..Config::default()
    };
    config.engine(&Folder(folder.to_owned()))
}

struct Folder(PathBuf);

impl Files for Folder {
    fn read(&self, name: &str) -> Option<Vec<u8>> {
        if name == "before" {
            return Some(SETUP.into());
        }
        let text = std::fs::read(self.0.join("rules").join(name))
            .or_else(|_| std::fs::read(self.0.join(name)))
            .or_else(|_| std::fs::read(Path::new("/etc/modsecurity/crs").join(name.trim_end_matches(".example"))))
            .or_else(|_| std::fs::read(Path::new("/etc/modsecurity/crs").join(name.trim_end_matches(".example"))))
            .ok()?;
        Some(text)
    }
}
