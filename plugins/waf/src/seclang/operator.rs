//! `!@within %{tx.allowed_methods}`: a rule's operator.

use super::syntax::{Operator, Polarity};

/// Takes an operator apart. Text without an `@` is a pattern for `@rx`.
pub(super) fn parse(text: &str) -> Result<Operator, String> {
    let text = text.trim_start();
    let (polarity, rest) = match text.strip_prefix('!') {
        Some(rest) => (Polarity::Negated, rest.trim_start()),
        None => (Polarity::Plain, text),
    };
    let Some(named) = rest.strip_prefix('@') else {
        return Ok(Operator {
            polarity,
            name: "rx".to_owned(),
            argument: rest.to_owned(),
        });
    };
    let end = named.find(char::is_whitespace).unwrap_or(named.len());
    let (name, argument) = named.split_at(end);
    if name.is_empty() {
        return Err("an operator's name is missing after @".to_owned());
    }
    Ok(Operator {
        polarity,
        name: name.to_owned(),
        argument: argument.trim_start().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn forms() {
        for (text, polarity, name, argument) in [
            ("@rx ^a b", Polarity::Plain, "rx", "^a b"),
            ("!@streq GET", Polarity::Negated, "streq", "GET"),
            ("^a$", Polarity::Plain, "rx", "^a$"),
            ("!^a$", Polarity::Negated, "rx", "^a$"),
            ("@unconditionalMatch", Polarity::Plain, "unconditionalMatch", ""),
        ] {
            let operator = parse(text).unwrap();
            assert_eq!(
                (operator.polarity, operator.name.as_str(), operator.argument.as_str()),
                (polarity, name, argument)
            );
        }
        assert!(parse("@ x").is_err());
    }
}
