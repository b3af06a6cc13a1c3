//! A logical line to its words, as httpd's configuration reader and libmodsecurity split them.

/// Splits at white space outside of quotes. Inside quotes, a backslash before the quote keeps the quote and goes away; before
/// anything else it stays, because it belongs to the pattern.
pub(super) fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let word;
        (word, rest) = match first {
            '"' | '\'' => quoted(rest, first)?,
            _ => bare(rest),
        };
        words.push(word);
        rest = rest.trim_start();
    }
    Ok(words)
}

fn bare(text: &str) -> (String, &str) {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    (word.to_owned(), rest)
}

fn quoted(text: &str, quote: char) -> Result<(String, &str), String> {
    let mut word = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            let rest = text.get(at + quote.len_utf8()..).unwrap_or_default();
            if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
                return Err(format!(
                    "text follows the closing {quote}; write \\{quote} for a quote inside of quotes"
                ));
            }
            return Ok((word, rest));
        }
        if c == '\\' && chars.next_if(|&(_, next)| next == quote).is_some() {
            word.push(quote);
            continue;
        }
        word.push(c);
        if c == '\\' {
            // The byte after a backslash is the pattern's, even if it is another backslash: `"\\"` is a whole word.
            if let Some((_, next)) = chars.next() {
                word.push(next);
            }
        }
    }
    Err(format!("the quote {quote} is never closed"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn words_are_split_and_unquoted() {
        let cases: [(&str, &[&str]); 5] = [
            (
                "SecRule ARGS \"@rx a b\" 'id:1'",
                &["SecRule", "ARGS", "@rx a b", "id:1"],
            ),
            (r#"a "say \"x\"" b"#, &["a", "say \"x\"", "b"]),
            (r#""\d\\" c"#, &[r"\d\\", "c"]),
            ("  a\tb  ", &["a", "b"]),
            ("\"\"", &[""]),
        ];
        for (line, words) in cases {
            assert_eq!(split(line).unwrap(), words, "{line}");
        }
    }

    #[test]
    fn unbalanced_quotes_are_errors() {
        assert!(split("a \"b").is_err());
        assert!(split("\"a\"b").is_err());
    }
}
