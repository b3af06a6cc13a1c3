//! `ARGS|!ARGS:/^utm_/|&REQUEST_HEADERS:Host`: a rule's variable list.

use super::syntax::{Role, Selector, Target};

/// Takes a variable list apart. A `|` inside of a `/pattern/` belongs to the pattern.
pub(crate) fn parse(text: &str) -> Result<Vec<Target>, String> {
    let mut targets = Vec::new();
    let mut rest = text.trim();
    loop {
        let target;
        (target, rest) = parse_one(rest)?;
        targets.push(target);
        match rest.strip_prefix(['|', ',']) {
            Some(next) => rest = next.trim_start(),
            None if rest.trim().is_empty() => return Ok(targets),
            None => return Err(format!("\"{rest}\" follows a variable; variables are separated by |")),
        }
    }
}

fn parse_one(text: &str) -> Result<(Target, &str), String> {
    let (role, text) = match text.chars().next() {
        Some('!') => (Role::Exclude, text.get(1..).unwrap_or_default()),
        Some('&') => (Role::Count, text.get(1..).unwrap_or_default()),
        _ => (Role::Inspect, text),
    };
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        return Err(format!("a variable name is missing before \"{text}\""));
    }
    let variable = name.to_ascii_uppercase();
    let (selector, rest) = match rest.strip_prefix([':', '.']) {
        Some(key) if variable == "XML" => plain_key(key),
        Some(key) => parse_selector(key)?,
        None => (Selector::Whole, rest),
    };
    Ok((
        Target {
            role,
            variable,
            selector,
        },
        rest,
    ))
}

fn parse_selector(text: &str) -> Result<(Selector, &str), String> {
    if let Some(quoted) = text.strip_prefix('\'') {
        let end = closing(quoted, '\'').ok_or_else(|| format!("the quote in \"{text}\" is never closed"))?;
        let (inside, rest) = quoted.split_at(end);
        let selector = match inside.strip_prefix('/').and_then(|pattern| pattern.strip_suffix('/')) {
            Some(pattern) => Selector::Pattern(pattern.to_owned()),
            None => Selector::Name(inside.to_owned()),
        };
        return Ok((selector, rest.get(1..).unwrap_or_default()));
    }
    if let Some(pattern) = text.strip_prefix('/') {
        let end = closing(pattern, '/').ok_or_else(|| format!("the pattern \"{text}\" has no closing /"))?;
        let (pattern, rest) = pattern.split_at(end);
        return Ok((
            Selector::Pattern(pattern.replace("\\/", "/")),
            rest.get(1..).unwrap_or_default(),
        ));
    }
    let (selector, rest) = plain_key(text);
    match &selector {
        Selector::Name(name) if name.is_empty() => Err("a name is missing after the colon of a variable".to_owned()),
        _ => Ok((selector, rest)),
    }
}

fn plain_key(text: &str) -> (Selector, &str) {
    let end = text.find(['|', ',']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    (Selector::Name(name.trim_end().to_owned()), rest)
}

/// Where the next delimiter stands that no backslash protects.
fn closing(text: &str, delimiter: char) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let found = c == delimiter && !escaped;
        escaped = c == '\\' && !escaped;
        found.then_some(at)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_list_is_taken_apart() {
        let targets = parse("args|!ARGS:/^a|b\\/c$/|&REQUEST_HEADERS:User-Agent|TX:'/x y/'|XML:/*").unwrap();
        let expected = [
            (Role::Inspect, "ARGS", Selector::Whole),
            (Role::Exclude, "ARGS", Selector::Pattern("^a|b/c$".into())),
            (Role::Count, "REQUEST_HEADERS", Selector::Name("User-Agent".into())),
            (Role::Inspect, "TX", Selector::Pattern("x y".into())),
            (Role::Inspect, "XML", Selector::Name("/*".into())),
        ];
        assert_eq!(targets.len(), expected.len());
        for (target, (role, variable, selector)) in targets.iter().zip(expected) {
            assert_eq!(
                (target.role, target.variable.as_str(), &target.selector),
                (role, variable, &selector)
            );
        }
    }

    #[test]
    fn what_is_incomplete_is_an_error() {
        for text in ["", "ARGS|", "ARGS:", "ARGS:/a", "ARGS:'a", "ARGS ARGS", "|ARGS"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
