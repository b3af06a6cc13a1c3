//! What a change that the admin API made looks like on the command line.

use std::process::ExitCode;

use serde_json::Value;

/// Says what is active now.
pub(super) fn show(done: &str, answer: &Value) -> ExitCode {
    println!("{}", line(done, answer));
    ExitCode::SUCCESS
}

fn line(done: &str, answer: &Value) -> String {
    let text = |key: &str| match answer.get(key) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let mut line = done.to_owned();
    if let Some(number) = text("generation").or_else(|| text("number")) {
        line.push_str(&format!(": generation {number}"));
    }
    if let Some(bundle) = text("bundle") {
        line.push_str(&format!(", {bundle}"));
        if let Some(version) = text("version") {
            line.push_str(&format!(" {version}"));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::line;

    #[test]
    fn what_is_known_is_said() {
        let answer = json!({ "generation": 4, "bundle": "standard", "version": "1.0.0" });
        assert_eq!(line("deployed", &answer), "deployed: generation 4, standard 1.0.0");
        assert_eq!(line("reloaded", &json!(null)), "reloaded");
    }
}
