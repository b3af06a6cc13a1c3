//! A rule's variable list, resolved: known variables, compiled selectors, and each exclusion with what it takes away from.

use super::names::Names;
use super::pattern::{self, Case};
use super::plan::{NamePattern, Selector, Subject, Target};
use crate::seclang::syntax;
use crate::variables::{self, Shape, Variable};

/// Resolves a variable list. Exclusions count wherever in the list they stand.
pub(crate) fn compile(written: &[syntax::Target], names: &mut Names) -> Result<Vec<Target>, String> {
    let mut targets = Vec::new();
    let mut exclusions = Vec::new();
    for target in written {
        let variable = variables::find(&target.variable)?;
        let selector = selector(variable, &target.selector, names)?;
        let subject = match target.role {
            syntax::Role::Exclude => {
                exclusions.push((variable, selector));
                continue;
            }
            syntax::Role::Inspect => Subject::Values,
            syntax::Role::Count => Subject::Count,
        };
        targets.push(Target {
            variable,
            selector,
            subject,
            excluded: Vec::new(),
        });
    }
    if targets.is_empty() {
        return Err("the variable list only excludes; it must name something to look at".to_owned());
    }
    for (variable, selector) in exclusions {
        exclude(&mut targets, variable, &selector);
    }
    Ok(targets)
}

/// Whether two targets name the same values.
pub(crate) fn is_same(a: &Target, b: &Target) -> bool {
    let selector = match (&a.selector, &b.selector) {
        (Selector::Whole, Selector::Whole) => true,
        (Selector::Name(a), Selector::Name(b)) => a.eq_ignore_ascii_case(b),
        (Selector::Slot(a), Selector::Slot(b)) => a == b,
        (Selector::Pattern(a), Selector::Pattern(b)) => a.as_str() == b.as_str(),
        _ => false,
    };
    selector && a.variable == b.variable && a.subject == b.subject
}

/// Takes a part of a variable away from the targets that look at it.
pub(crate) fn exclude(targets: &mut Vec<Target>, variable: Variable, selector: &Selector) {
    if matches!(selector, Selector::Whole) {
        targets.retain(|target| target.variable != variable);
    }
    for target in targets.iter_mut().filter(|target| target.variable == variable) {
        target.excluded.push(selector.clone());
    }
}

/// Compiles which part of a variable is meant.
pub(crate) fn selector(variable: Variable, written: &syntax::Selector, names: &mut Names) -> Result<Selector, String> {
    if variable.shape() == Shape::Single && *written != syntax::Selector::Whole {
        return Err(format!(
            "{} is one value and takes no part after a colon",
            variable.name()
        ));
    }
    names.mention(variable);
    if let (Variable::Xml, syntax::Selector::Name(path)) = (variable, written)
        && !matches!(path.as_str(), "/*" | "//@*")
    {
        return Err(format!(
            "XML:{path} is not supported; XML:/* (all text) and XML://@* (the values of all attributes) are"
        ));
    }
    Ok(match written {
        syntax::Selector::Whole => Selector::Whole,
        syntax::Selector::Name(name) if variable == Variable::Tx => Selector::Slot(names.intern(name.as_bytes())),
        syntax::Selector::Name(name) => Selector::Name(name.as_bytes().into()),
        syntax::Selector::Pattern(text) => {
            Selector::Pattern(NamePattern::new(pattern::compile_linear(text, Case::Ignored)?, text))
        }
    })
}
