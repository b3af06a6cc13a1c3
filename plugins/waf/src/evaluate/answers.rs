//! What operators said about short values: methods, protocols and names of headers are the same in request after request, and to
//! recognise one is cheaper than to ask again. An answer is kept by the link that asked, by every byte of the value, and where the
//! operator compares with text that holds macros, by every byte of that text.

use super::memo::Memo;
use crate::bytes::same;
use crate::compile::plan::Plan;
use crate::operators::Outcome;

/// Longer values are asked about each time, in bytes: most of them are new.
const LONGEST: usize = 64;

/// Texts that values are compared with are kept up to this length, in bytes.
const LONGEST_ARGUMENT: usize = 2048;

/// How many links with such texts are known. Rule sets have some dozens.
const MOST_ARGUMENTS: usize = 128;

/// Links of a rule up to this number have answers.
const LINKS: usize = 16;

/// Classes of answers to a question that depends on a text, as opposed to one that is always the same.
const VARYING: u32 = 1 << 31;

/// Answers from this and earlier transactions.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// The plan that they are about; see [`crate::compile::screens::Screens::serial`].
    serial: u64,
    known: Memo,
    arguments: Vec<Argument>,
    /// How many different texts there were.
    classes: u32,
}

/// What a link last compared values with.
#[derive(Debug)]
struct Argument {
    question: u32,
    text: Vec<u8>,
    /// The class of the answers that belong to it.
    class: u32,
}

/// Which link of which rule asks, and with what, where that is not always the same.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) rule: usize,
    pub(super) link: usize,
    pub(super) argument: Option<&'a [u8]>,
}

impl Answers {
    /// The answer to a question about a value; `ask` finds it where it is not known.
    pub(super) fn ask(
        &mut self,
        plan: &Plan,
        question: Question<'_>,
        value: &[u8],
        ask: impl FnOnce() -> Outcome,
    ) -> Outcome {
        if value.len() > LONGEST || !plan.screens.remember() {
            return ask();
        }
        if self.serial != plan.screens.serial {
            self.serial = plan.screens.serial;
            self.forget();
        }
        let Some(class) = self.class(question) else {
            return ask();
        };
        match self.known.find(class, value) {
            Some((_, [1])) => return Outcome::Match,
            Some((_, [0])) => return Outcome::NoMatch,
            _ => {}
        }
        let answer = ask();
        // A pattern that reached its limit said nothing.
        if answer != Outcome::Exceeded {
            self.known.keep(class, value, &[u64::from(answer == Outcome::Match)]);
        }
        answer
    }

    fn forget(&mut self) {
        self.known.reset(1);
        self.arguments.clear();
        self.classes = 0;
    }

    fn class(&mut self, question: Question<'_>) -> Option<u32> {
        let number = question.rule.checked_mul(LINKS)?.checked_add(question.link)?;
        let number = u32::try_from(number).ok().filter(|number| *number < VARYING)?;
        if question.link >= LINKS {
            return None;
        }
        let Some(text) = question.argument else {
            return Some(number);
        };
        if text.len() > LONGEST_ARGUMENT {
            return None;
        }
        let known = self.arguments.iter().position(|known| known.question == number);
        if let Some(known) = known.and_then(|at| self.arguments.get(at))
            && same(&known.text, text)
        {
            return Some(known.class);
        }
        if self.classes >= VARYING - 1 {
            self.forget();
            return None;
        }
        self.classes += 1;
        let class = VARYING | self.classes;
        let place = known.unwrap_or(self.arguments.len());
        if let Some(known) = self.arguments.get_mut(place) {
            known.text.clear();
            known.text.extend_from_slice(text);
            known.class = class;
        } else if place < MOST_ARGUMENTS {
            self.arguments.push(Argument {
                question: number,
                text: text.to_vec(),
                class,
            });
        } else {
            return None;
        }
        Some(class)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::seclang::{NoFiles, Source, parse};

    fn plan() -> Plan {
        let source = Source {
            name: "t.conf".into(),
            text: "SecRule ARGS \"@rx a\" \"id:1,phase:2\"".into(),
        };
        crate::compile::compile(&parse(&[source], &NoFiles).unwrap(), &Vec::new(), &NoFiles).unwrap()
    }

    fn question(rule: usize, argument: Option<&[u8]>) -> Question<'_> {
        Question {
            rule,
            link: 0,
            argument,
        }
    }

    /// What is answered where it has to be asked.
    fn asked(
        answers: &mut Answers,
        plan: &Plan,
        question: Question<'_>,
        value: &[u8],
        answer: Outcome,
    ) -> Option<Outcome> {
        let mut asked = None;
        let said = answers.ask(plan, question, value, || {
            asked = Some(answer);
            answer
        });
        assert!(asked.is_none_or(|asked| asked == said));
        asked
    }

    #[test]
    fn an_answer_belongs_to_its_link_its_value_and_its_text() {
        use Outcome::{Exceeded, Match, NoMatch};
        let (mut answers, plan) = (Answers::default(), plan());
        let mut ask = |question, value: &[u8], answer| asked(&mut answers, &plan, question, value, answer);
        assert_eq!(ask(question(1, None), b"GET", Match), Some(Match));
        assert_eq!(ask(question(1, None), b"GET", NoMatch), None);
        assert_eq!(ask(question(1, None), b"get", NoMatch), Some(NoMatch));
        assert_eq!(ask(question(2, None), b"GET", NoMatch), Some(NoMatch));
        assert_eq!(ask(question(1, Some(b"GET POST")), b"GET", Match), Some(Match));
        assert_eq!(ask(question(1, Some(b"GET POST")), b"GET", NoMatch), None);
        assert_eq!(ask(question(1, Some(b"POST")), b"GET", NoMatch), Some(NoMatch));
        assert_eq!(ask(question(1, Some(b"GET POST")), b"GET", Match), Some(Match));
        assert_eq!(ask(question(3, None), b"x", Exceeded), Some(Exceeded));
        assert_eq!(ask(question(3, None), b"x", Match), Some(Match));
        let long = [b'a'; LONGEST + 1];
        assert_eq!(ask(question(1, None), &long, Match), Some(Match));
        assert_eq!(ask(question(1, None), &long, NoMatch), Some(NoMatch));
    }

    #[test]
    fn another_plan_knows_nothing_of_it() {
        let mut answers = Answers::default();
        let (first, second) = (plan(), plan());
        asked(&mut answers, &first, question(1, None), b"GET", Outcome::Match);
        let told = asked(&mut answers, &second, question(1, None), b"GET", Outcome::NoMatch);
        assert_eq!(told, Some(Outcome::NoMatch));
    }
}
