//! `id:1,phase:2,deny,setvar:'tx.score=+5'`: a list of actions.

use super::syntax::Action;

/// Takes a list of actions apart. A value in single quotes may hold commas, and `\'` for a quote.
pub(crate) fn parse(text: &str) -> Result<Vec<Action>, String> {
    let mut actions = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = rest.find([':', ',']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let name = name.trim().to_ascii_lowercase();
        if name.is_empty() {
            return Err(format!("an action is missing before \"{after}\""));
        }
        let value;
        (value, rest) = match after.strip_prefix(':') {
            Some(text) => {
                let (value, rest) = parse_value(text.trim_start())?;
                (Some(value), rest)
            }
            None => (None, after),
        };
        actions.push(Action { name, value });
        rest = match rest.trim_start().strip_prefix(',') {
            Some(next) => next.trim_start(),
            None if rest.trim().is_empty() => "",
            None => {
                return Err(format!(
                    "\"{}\" follows an action; actions are separated by commas",
                    rest.trim()
                ));
            }
        };
    }
    Ok(actions)
}

fn parse_value(text: &str) -> Result<(String, &str), String> {
    let Some(quoted) = text.strip_prefix('\'') else {
        let end = text.find(',').unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return Ok((value.trim_end().to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' => return Ok((value, quoted.get(at + 1..).unwrap_or_default())),
            '\\' => match chars.next() {
                Some((_, '\'')) => value.push('\''),
                Some((_, next)) => value.extend(['\\', next]),
                None => break,
            },
            _ => value.push(c),
        }
    }
    Err(format!("the quote in \"{text}\" is never closed"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_list_is_taken_apart() {
        let actions = parse(r"id:1, Deny,msg:'it\'s a, b',setvar:'tx.a=+%{tx.b}' ,logdata:x y").unwrap();
        let expected = [
            ("id", Some("1")),
            ("deny", None),
            ("msg", Some("it's a, b")),
            ("setvar", Some("tx.a=+%{tx.b}")),
            ("logdata", Some("x y")),
        ];
        let actions: Vec<_> = actions.iter().map(|a| (a.name.as_str(), a.value.as_deref())).collect();
        assert_eq!(actions, expected);
    }

    #[test]
    fn what_is_incomplete_is_an_error() {
        for text in [",deny", "deny,,log", "msg:'a", "msg:'a' b"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert!(parse("").unwrap().is_empty());
        assert_eq!(parse("deny,").unwrap().len(), 1);
    }
}
