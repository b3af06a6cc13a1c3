//! The syntax tree of SecLang.

use crate::problem::Place;

/// One directive and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// Where.
    pub place: Place,
    /// What.
    pub kind: Kind,
}

/// The forms of directives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `SecRule VARIABLES OPERATOR ACTIONS`
    Rule(Rule),
    /// `SecAction ACTIONS`
    Action(Vec<Action>),
    /// `SecDefaultAction ACTIONS`
    DefaultAction(Vec<Action>),
    /// `SecMarker NAME`
    Marker(String),
    /// `Include FILE`; the parser replaces it by the file.
    Include {
        /// A name, or a pattern of names.
        file: String,
        /// What it means when there is none.
        missing: Missing,
    },
    /// Any other directive: its name as written, and its arguments.
    Setting {
        /// As written.
        name: String,
        /// Unquoted.
        arguments: Vec<String>,
    },
}

/// What it means when an included file is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// `Include`
    IsAnError,
    /// `IncludeOptional`
    IsFine,
}

/// A `SecRule`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// `ARGS|!ARGS:token|&REQUEST_HEADERS:Host`
    pub targets: Vec<Target>,
    /// `!@rx ^[a-z]+$`
    pub operator: Operator,
    /// `id:1,phase:2,deny`
    pub actions: Vec<Action>,
}

/// One entry of a rule's variable list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What the entry asks for.
    pub role: Role,
    /// The variable's or collection's name, in upper case.
    pub variable: String,
    /// Which part of a collection.
    pub selector: Selector,
}

/// What an entry of a variable list asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `ARGS`: look at the values.
    Inspect,
    /// `&ARGS`: look at their number.
    Count,
    /// `!ARGS:x`: leave these out.
    Exclude,
}

/// Which part of a collection an entry means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// All of it.
    Whole,
    /// `ARGS:name`: what has this name, compared without case.
    Name(String),
    /// `ARGS:/pattern/`: what has a name in which the pattern is found, without case.
    Pattern(String),
}

/// A rule's operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// Whether the rule wants it to match.
    pub polarity: Polarity,
    /// Without the `@`; `rx` where the rule names none.
    pub name: String,
    /// What follows the name.
    pub argument: String,
}

/// Whether a rule matches where its operator does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polarity {
    /// `@op`
    Plain,
    /// `!@op`
    Negated,
}

/// One action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// In lower case.
    pub name: String,
    /// What follows the colon, without its quotes.
    pub value: Option<String>,
}
