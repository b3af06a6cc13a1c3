//! Which of two representations a client would rather have (RFC 9110 §12.5.1).

/// What the page can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// For people.
    Html,
    /// For programs.
    Json,
}

/// Reads the values of all `Accept` lines. The higher quality wins; with equal ones the more exact range, so that
/// `application/json, */*` is a program; and HTML where nothing tells them apart, also where neither is acceptable: a 503 in
/// the wrong form says more than a 406.
pub fn preferred(lines: &[impl AsRef<[u8]>]) -> Kind {
    let (mut html, mut json) = (Wish::default(), Wish::default());
    for range in lines.iter().flat_map(|line| line.as_ref().split(|byte| *byte == b',')) {
        let mut parts = range.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let Some(media_type) = parts.next() else { continue };
        let quality = parts.find_map(quality).unwrap_or(1000);
        html.consider(exactness_html(media_type), quality);
        json.consider(exactness_json(media_type), quality);
    }
    if (json.quality, json.exactness) > (html.quality, html.exactness) {
        Kind::Json
    } else {
        Kind::Html
    }
}

/// How exactly a range names a media type: the most exact range that does decides its quality.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Exactness {
    #[default]
    Not,
    Anything,
    Type,
    Subtype,
}

#[derive(Debug, Default, Clone, Copy)]
struct Wish {
    exactness: Exactness,
    /// In thousandths.
    quality: u16,
}

impl Wish {
    fn consider(&mut self, exactness: Exactness, quality: u16) {
        if exactness > self.exactness
            || (exactness == self.exactness && exactness > Exactness::Not && quality > self.quality)
        {
            *self = Self { exactness, quality };
        }
    }
}

fn exactness_html(range: &[u8]) -> Exactness {
    if range.eq_ignore_ascii_case(b"text/html") || range.eq_ignore_ascii_case(b"application/xhtml+xml") {
        Exactness::Subtype
    } else if range.eq_ignore_ascii_case(b"text/*") {
        Exactness::Type
    } else {
        exactness_any(range)
    }
}

/// A client that asks for any `+json` reads JSON.
fn exactness_json(range: &[u8]) -> Exactness {
    let is_suffixed = range
        .len()
        .checked_sub(5)
        .and_then(|start| range.get(start..))
        .is_some_and(|end| end.eq_ignore_ascii_case(b"+json"));
    if range.eq_ignore_ascii_case(b"application/json") || is_suffixed {
        Exactness::Subtype
    } else if range.eq_ignore_ascii_case(b"application/*") {
        Exactness::Type
    } else {
        exactness_any(range)
    }
}

fn exactness_any(range: &[u8]) -> Exactness {
    if range == b"*/*" {
        Exactness::Anything
    } else {
        Exactness::Not
    }
}

/// `q=0.8` in thousandths; nothing for any other parameter. A weight that is none counts as 0: the client meant to say less.
fn quality(parameter: &[u8]) -> Option<u16> {
    let [b'q' | b'Q', b'=', weight @ ..] = parameter else {
        return None;
    };
    let thousandths = |digits: &[u8]| {
        let digit = |index: usize| {
            digits
                .get(index)
                .map_or(Some(0), |digit| digit.is_ascii_digit().then(|| u16::from(digit - b'0')))
        };
        (digits.len() <= 3).then_some(())?;
        Some(digit(0)? * 100 + digit(1)? * 10 + digit(2)?)
    };
    Some(match *weight {
        [b'1'] => 1000,
        [b'1', b'.', ref zeros @ ..] if thousandths(zeros) == Some(0) => 1000,
        [b'0', b'.', ref digits @ ..] => thousandths(digits).unwrap_or(0),
        _ => 0,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_wish_is_understood() {
        for (accept, kind) in [
            ("", Kind::Html),
            ("*/*", Kind::Html),
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                Kind::Html,
            ),
            ("application/json", Kind::Json),
            ("application/json, text/plain, */*", Kind::Json),
            ("APPLICATION/JSON", Kind::Json),
            ("application/problem+json", Kind::Json),
            ("application/*", Kind::Json),
            ("text/html;q=0.5, application/json;q=0.6", Kind::Json),
            ("text/html;q=0.6, application/json;q=0.5", Kind::Html),
            ("text/html; q=0.9 , application/json;q=0.9", Kind::Html),
            ("*/*;q=0.9, application/json;q=0.1", Kind::Html),
            ("application/json;q=0, */*", Kind::Html),
            ("text/html;q=0, */*", Kind::Json),
            ("image/png", Kind::Html),
            ("application/json;v=1;q=0.2, text/*;q=0.1", Kind::Json),
            ("application/json;q=x, text/html;q=0.1", Kind::Html),
            ("application/json;q=1.000, text/html;q=0.999", Kind::Json),
        ] {
            assert_eq!(preferred(&[accept]), kind, "{accept}");
        }
    }

    #[test]
    fn lines_are_read_together() {
        assert_eq!(preferred(&["text/html;q=0.1", "application/json"]), Kind::Json);
        assert_eq!(preferred(&[] as &[&[u8]]), Kind::Html);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..3)) {
            let _ = preferred(&lines);
        }

        #[test]
        fn nearly_right_text_is_read_without_a_panic(line in "[a-z*/+;=q.,01 ]{0,60}") {
            let _ = preferred(&[line]);
        }
    }
}
