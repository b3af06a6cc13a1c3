//! Texts with macros, `%{tx.score}`, read once when the rules are loaded.

use super::names::Names;
use super::plan::{Part, Subject, Target, Template};
use super::target;
use crate::seclang::syntax::Selector as Written;
use crate::variables;

/// Reads a text with macros. A `%{` without its `}` is text.
pub(crate) fn compile(text: &str, names: &mut Names) -> Result<Template, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, inside, after)) = next_macro(rest) {
        push_literal(&mut parts, before);
        parts.push(Part::Macro(compile_macro(inside, names)?));
        rest = after;
    }
    push_literal(&mut parts, rest);
    Ok(Template { parts })
}

fn next_macro(text: &str) -> Option<(&str, &str, &str)> {
    let (before, opened) = text.split_once("%{")?;
    let (inside, after) = opened.split_once('}')?;
    Some((before, inside, after))
}

fn push_literal(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        parts.push(Part::Literal(text.as_bytes().into()));
    }
}

/// `name`, `name.key` or `name:key`.
fn compile_macro(text: &str, names: &mut Names) -> Result<Target, String> {
    let text = text.trim();
    let wrong = |message: String| format!("the macro \"%{{{text}}}\": {message}");
    let (name, key) = match text.split_once(['.', ':']) {
        Some((name, key)) => (name, Written::Name(key.to_owned())),
        None => (text, Written::Whole),
    };
    let variable = variables::find(name).map_err(wrong)?;
    let selector = target::selector(variable, &key, names).map_err(wrong)?;
    Ok(Target {
        variable,
        selector,
        subject: Subject::Values,
        excluded: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn macros_are_found() {
        let mut names = Names::default();
        let template = compile("a %{tx.score} of %{REQUEST_HEADERS.User-Agent}%{open", &mut names).unwrap();
        assert_eq!(template.parts.len(), 5);
        assert!(template.constant().is_none());
        assert_eq!(compile("plain", &mut names).unwrap().constant(), Some(&b"plain"[..]));
        assert_eq!(compile("", &mut names).unwrap().constant(), Some(&b""[..]));
    }

    #[test]
    fn unknown_macros_are_errors() {
        assert!(
            compile("%{txx.score}", &mut Names::default())
                .unwrap_err()
                .contains("%{txx.score}")
        );
    }
}
