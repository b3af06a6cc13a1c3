//! Folding: what says nothing about the kind of a statement is left out, until five tokens are left.

use super::Letters;
use super::token::{Comments, Dialect, Quotes, Token, Tokens, kind};
use super::words::{self, LONGEST};

/// How many tokens a fingerprint has.
const MOST: usize = 5;

/// Room for one more, which tells the kind of the last.
const ROOM: usize = MOST + 3;

/// What is left of a value.
#[derive(Debug)]
pub(super) struct Folded {
    tokens: [Token; ROOM],
    left: usize,
    /// How many tokens there were before anything was folded.
    pub(super) seen: usize,
    pub(super) fingerprint: Letters,
    pub(super) comments: Comments,
}

impl Folded {
    /// The tokens that are left.
    pub(super) fn tokens(&self) -> &[Token] {
        self.tokens.get(..self.left).unwrap_or_default()
    }
}

/// Reads and folds a value.
pub(super) fn fold(value: &[u8], quotes: Quotes, dialect: Dialect) -> Folded {
    let mut folder = Folder {
        source: Tokens::new(value, quotes, dialect),
        tokens: [Token::NONE; ROOM],
        end: 0,
        left: 0,
        more: true,
        seen: 0,
        comment: None,
    };
    let left = folder.run();
    let mut folded = Folded {
        tokens: folder.tokens,
        left,
        seen: folder.seen,
        fingerprint: Letters::default(),
        comments: folder.source.comments,
    };
    let mut letters = Letters::default();
    for token in folded.tokens() {
        letters.push(token.kind);
    }
    if letters.as_bytes().contains(&kind::EVIL) {
        letters = Letters::default();
        letters.push(kind::EVIL);
    }
    folded.fingerprint = letters;
    folded
}

struct Folder<'v> {
    source: Tokens<'v>,
    tokens: [Token; ROOM],
    /// Where the next token goes.
    end: usize,
    /// How many tokens need no more looking at.
    left: usize,
    more: bool,
    seen: usize,
    /// The last token that was read, where it is a comment.
    comment: Option<Token>,
}

/// What a rule has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It changed something: look again.
    Again,
    /// It did not.
    On,
    /// The value is an attack; so many tokens are left.
    Evil(usize),
}

impl Folder<'_> {
    /// How many tokens are left.
    fn run(&mut self) -> usize {
        if !self.skip_start() {
            return 0;
        }
        loop {
            if self.end >= MOST {
                self.fold_five();
            }
            if !self.more || self.left >= MOST {
                self.left = self.end;
                break;
            }
            self.fetch(2);
            if self.end - self.left < 2 {
                self.left = self.end;
                continue;
            }
            match self.fold_two() {
                Step::Again => continue,
                Step::Evil(left) => return left,
                Step::On => {}
            }
            self.fetch(3);
            if self.end.saturating_sub(self.left) < 3 {
                self.left = self.end;
                continue;
            }
            if self.fold_three() == Step::Again {
                continue;
            }
            self.left += 1;
        }
        self.finish()
    }

    /// Comments, opening parentheses, types and signs at the start say nothing. False where there is nothing else.
    fn skip_start(&mut self) -> bool {
        for token in self.source.by_ref() {
            self.seen += 1;
            let skipped = matches!(token.kind, kind::COMMENT | kind::OPEN | kind::SQL_TYPE) || is_sign(&token);
            if !skipped {
                self.tokens[0] = token;
                self.end = 1;
                return true;
            }
        }
        false
    }

    /// Reads tokens until there are so many to look at, if there are.
    fn fetch(&mut self, wanted: usize) {
        while self.more && self.end <= MOST && self.end.saturating_sub(self.left) < wanted {
            match self.source.next() {
                None => self.more = false,
                Some(token) => {
                    self.seen += 1;
                    if token.kind == kind::COMMENT {
                        self.comment = Some(token);
                    } else {
                        self.comment = None;
                        self.put(self.end, token);
                        self.end += 1;
                    }
                }
            }
        }
    }

    fn at(&self, index: usize) -> Token {
        self.tokens.get(index).copied().unwrap_or(Token::NONE)
    }

    fn put(&mut self, index: usize, token: Token) {
        if let Some(place) = self.tokens.get_mut(index) {
            *place = token;
        }
    }

    fn set_kind(&mut self, index: usize, kind: u8) {
        if let Some(token) = self.tokens.get_mut(index) {
            token.kind = kind;
        }
    }

    /// Takes so many tokens off the end, and looks from the start again.
    fn drop_last(&mut self, tokens: usize) -> Step {
        self.end = self.end.saturating_sub(tokens);
        self.left = 0;
        Step::Again
    }

    /// An expression of five tokens that is one value, such as `1 + (2)`.
    fn fold_five(&mut self) {
        use kind::{BAREWORD, CLOSE, COMMA, NUMBER, OPEN, OPERATOR};
        let kinds = [0, 1, 2, 3, 4].map(|index| self.at(index).kind);
        let is_value = matches!(
            kinds,
            [NUMBER, OPERATOR | COMMA, OPEN, NUMBER, CLOSE]
                | [BAREWORD, OPERATOR, OPEN, BAREWORD | NUMBER, CLOSE]
                | [NUMBER, CLOSE, COMMA, OPEN, NUMBER]
                | [BAREWORD, CLOSE, OPERATOR, OPEN, BAREWORD]
        );
        if is_value {
            self.left = 0;
            self.end = if self.end > MOST {
                self.put(1, self.at(MOST));
                2
            } else {
                1
            };
        }
    }

    fn fold_two(&mut self) -> Step {
        let (left, next) = (self.left, self.left + 1);
        let (a, b) = (self.at(left), self.at(next));
        match (a.kind, b.kind) {
            (kind::STRING, kind::STRING) | (kind::SEMICOLON, kind::SEMICOLON) => {
                self.end -= 1;
                Step::Again
            }
            (kind::OPERATOR | kind::LOGIC, _) if is_sign(&b) || b.kind == kind::SQL_TYPE => self.drop_last(1),
            (kind::OPEN, _) if is_sign(&b) => self.step_back(),
            _ if self.merge(a, b) => self.step_back(),
            (kind::SEMICOLON, kind::FUNCTION) if starts_with(&b, b"IF") => {
                self.set_kind(next, kind::TSQL);
                Step::Again
            }
            (kind::BAREWORD | kind::VARIABLE, kind::OPEN) if is_any(&a, NAMES_OF_FUNCTIONS) => {
                self.set_kind(left, kind::FUNCTION);
                Step::Again
            }
            (kind::KEYWORD, after) if is_any(&a, &[b"IN", b"NOT IN"]) => {
                let kind = if after == kind::OPEN {
                    kind::OPERATOR
                } else {
                    kind::BAREWORD
                };
                self.set_kind(left, kind);
                Step::Again
            }
            (kind::OPERATOR, after) if is_any(&a, &[b"LIKE", b"NOT LIKE"]) => {
                if after == kind::OPEN {
                    self.set_kind(left, kind::FUNCTION);
                }
                Step::On
            }
            (
                kind::SQL_TYPE,
                kind::BAREWORD
                | kind::NUMBER
                | kind::SQL_TYPE
                | kind::OPEN
                | kind::FUNCTION
                | kind::VARIABLE
                | kind::STRING,
            ) => {
                self.put(left, b);
                self.drop_last(1)
            }
            (kind::COLLATE, kind::BAREWORD) => {
                // There are too many collations to know them all.
                if b.text().contains(&b'_') {
                    self.set_kind(next, kind::SQL_TYPE);
                    self.left = 0;
                }
                Step::On
            }
            (kind::BACKSLASH, _) if is_arithmetic(&b) => {
                self.set_kind(left, kind::NUMBER);
                self.drop_last(0)
            }
            (kind::BACKSLASH, _) => {
                self.put(left, b);
                self.drop_last(1)
            }
            (kind::OPEN, kind::OPEN) | (kind::CLOSE, kind::CLOSE) => self.drop_last(1),
            // {``.``.id} is a statement to MySQL, and nothing that a person writes.
            (kind::OPEN_BRACE, kind::BAREWORD) if b.text().is_empty() => {
                self.set_kind(next, kind::EVIL);
                Step::Evil(left + 2)
            }
            (kind::OPEN_BRACE, kind::BAREWORD) => self.drop_last(2),
            (_, kind::CLOSE_BRACE) => self.drop_last(1),
            _ => Step::On,
        }
    }

    /// Takes the last token off, and looks one token further back.
    fn step_back(&mut self) -> Step {
        self.end -= 1;
        self.left = self.left.saturating_sub(1);
        Step::Again
    }

    /// `UNION ALL` is one word.
    fn merge(&mut self, mut a: Token, b: Token) -> bool {
        let is_word = |kind| {
            matches!(
                kind,
                kind::KEYWORD
                    | kind::BAREWORD
                    | kind::OPERATOR
                    | kind::UNION
                    | kind::FUNCTION
                    | kind::EXPRESSION
                    | kind::TSQL
                    | kind::SQL_TYPE
            )
        };
        if !is_word(a.kind) || !(is_word(b.kind) || b.kind == kind::LOGIC) {
            return false;
        }
        let mut merged = [0; LONGEST + 1];
        let length = a.text().len() + 1 + b.text().len();
        if length > LONGEST {
            return false;
        }
        let bytes = a.text().iter().chain(b" ").chain(b.text());
        for (place, byte) in merged.iter_mut().zip(bytes) {
            *place = *byte;
        }
        let text = merged.get(..length).unwrap_or_default();
        let Some(kind) = words::table().kind(text).filter(|&kind| kind != kind::BAREWORD) else {
            return false;
        };
        a.kind = kind;
        a.set_text(text);
        self.put(self.left, a);
        true
    }

    fn fold_three(&mut self) -> Step {
        use kind::{
            BAREWORD, COMMA, DOT, EXPRESSION, FUNCTION, GROUP, KEYWORD, LOGIC, NUMBER, OPEN, OPERATOR, SQL_TYPE,
            STRING, VARIABLE,
        };
        let (left, next) = (self.left, self.left + 1);
        let (a, b, c) = (self.at(left), self.at(next), self.at(left + 2));
        match (a.kind, b.kind, c.kind) {
            (NUMBER, OPERATOR, NUMBER)
            | (LOGIC, _, LOGIC)
            | (VARIABLE, OPERATOR, VARIABLE | NUMBER | BAREWORD)
            | (BAREWORD | NUMBER, OPERATOR, NUMBER | BAREWORD)
            | (BAREWORD | NUMBER | STRING | VARIABLE, COMMA, NUMBER | BAREWORD | STRING | VARIABLE)
            | (BAREWORD, DOT, BAREWORD) => self.drop_last(2),
            (OPERATOR, middle, OPERATOR) if middle != OPEN => self.drop_last(2),
            (BAREWORD | NUMBER | VARIABLE | STRING, OPERATOR, SQL_TYPE) if b.text() == b"::" => self.drop_last(2),
            (EXPRESSION | GROUP | COMMA, _, OPEN) if is_sign(&b) => self.replace(next, c, 1),
            (KEYWORD | EXPRESSION | GROUP, _, NUMBER | BAREWORD | VARIABLE | STRING | FUNCTION) if is_sign(&b) => {
                self.replace(next, c, 1)
            }
            // `1,-1` is one value, so one token more is taken back.
            (COMMA, _, NUMBER | BAREWORD | VARIABLE | STRING) if is_sign(&b) => self.replace(next, c, 3),
            (COMMA, _, FUNCTION) if is_sign(&b) => self.replace(next, c, 1),
            (EXPRESSION, DOT, BAREWORD) => self.replace(next, c, 1),
            (FUNCTION, OPEN, after) if after != kind::CLOSE => {
                // USER() has no arguments.
                if is_any(&a, &[b"USER"]) {
                    self.set_kind(left, BAREWORD);
                }
                Step::On
            }
            _ => Step::On,
        }
    }

    fn replace(&mut self, index: usize, token: Token, dropped: usize) -> Step {
        self.put(index, token);
        self.drop_last(dropped)
    }

    /// How many tokens are left when nothing is folded any more.
    fn finish(&mut self) -> usize {
        let mut left = self.left.min(MOST);
        if left > 2 {
            // PHP's MySQL takes an open backtick at the end for a comment.
            let last = self.at(left - 1);
            if last.kind == kind::BAREWORD && last.open == b'`' && last.close == 0 && last.text().is_empty() {
                self.set_kind(left - 1, kind::COMMENT);
            }
        }
        if let Some(comment) = self.comment.filter(|_| left < MOST) {
            self.put(left, comment);
            left += 1;
        }
        left
    }
}

/// Words that are functions where a parenthesis follows, and names elsewhere.
const NAMES_OF_FUNCTIONS: &[&[u8]] = &[
    b"USER_ID",
    b"USER_NAME",
    b"DATABASE",
    b"PASSWORD",
    b"USER",
    b"CURRENT_USER",
    b"CURRENT_DATE",
    b"CURRENT_TIME",
    b"CURRENT_TIMESTAMP",
    b"LOCALTIME",
    b"LOCALTIMESTAMP",
];

/// An operator that may stand before a value.
fn is_sign(token: &Token) -> bool {
    token.kind == kind::OPERATOR
        && match token.text() {
            [b'+' | b'-' | b'!' | b'~'] | [b'!', b'!'] => true,
            text => text.eq_ignore_ascii_case(b"NOT"),
        }
}

fn is_arithmetic(token: &Token) -> bool {
    token.kind == kind::OPERATOR && matches!(token.text(), [b'*' | b'/' | b'-' | b'+' | b'%'])
}

fn is_any(token: &Token, words: &[&[u8]]) -> bool {
    words.iter().any(|word| token.text().eq_ignore_ascii_case(word))
}

fn starts_with(token: &Token, word: &[u8]) -> bool {
    token
        .text()
        .get(..word.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(word))
}
