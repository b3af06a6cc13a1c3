//! From syntax to plan: names are looked up, patterns compiled, chains put together, markers turned into jumps.
//!
//! [`compile`] goes through the directives once and reports every mistake. What rules share is kept once: names in `TX` get
//! slots ([`names`]), chains of transformations are interned, sets of rules that `ctl` speaks about are bit sets. [`pattern`]
//! translates PCRE, [`prefilter`] reads off a pattern what must be true of every value that it matches, [`sieve`] asks that for
//! all rules at once, and [`screens`] says which rules need not look at any value. [`foresight`] finds the rules that can never
//! match and those that are certain to, and [`program`] is what is left to do.

mod foresight;
mod literals;
pub mod names;
pub mod pattern;
pub(crate) mod pick;
pub mod plan;
pub mod prefilter;
pub mod program;
pub mod screens;
pub mod settings;
pub mod sieve;
pub(crate) mod target;
pub(crate) mod template;
mod update;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use names::Names;
use pick::{By, Pick, Picks};
use plan::{
    Capture, Disruption, Exclusion, Flow, Forms, Link, Logging, Operator, Phase, Plan, Preset, Rule, RuleSet, Selector,
    Template, TransformationChain,
};
use program::Program;
use screens::Screens;
use settings::Settings;

use crate::actions::{self, Chained, Draft, Role, Scope, Verb, WrittenFlow};
use crate::operators::{self, Argument, Outcome};
use crate::problem::{Place, Problem, Problems};
use crate::seclang::syntax::{self, Action, Directive, Kind, Polarity};
use crate::seclang::{Files, parse_targets};
use crate::transformations::unicode_map::UnicodeMap;
use crate::transformations::{self, Touches};
use crate::variables::Variable;

/// The status of `deny` where nothing says another.
const DENIED: u16 = 403;

/// What a configuration adds to the rules: names in `TX` and what they hold when a transaction starts.
pub type Presets = Vec<(String, Preset)>;

/// Makes the plan.
///
/// # Errors
/// Every mistake in the directives.
pub fn compile(directives: &[Directive], presets: &Presets, files: &dyn Files) -> Result<Plan, Problems> {
    let mut compiler = Compiler::new(files);
    let directives = update::apply(directives, &mut compiler.problems);
    for directive in &directives {
        compiler.directive(directive);
    }
    compiler.finish(presets)
}

struct Compiler<'a> {
    files: &'a dyn Files,
    problems: Problems,
    warnings: Vec<Problem>,
    settings: Settings,
    names: Names,
    picks: Picks,
    exclusions: Vec<Exclusion>,
    /// Where each `ctl` pick was written.
    pick_places: Vec<Place>,
    transformations: Vec<TransformationChain>,
    defaults: [Option<Vec<Action>>; 5],
    rules: Vec<Rule>,
    /// The messages of the rules as written, by index.
    messages: Vec<String>,
    removed: RuleSet,
    ids: HashMap<u64, Place>,
    /// Markers and the index of the rule that comes after them.
    markers: Vec<(String, usize)>,
    /// Rules that jump, and the name of the marker.
    jumps: Vec<(usize, String)>,
    open: Option<OpenChain>,
    /// What has been said once.
    said: HashSet<&'static str>,
}

/// A chain that waits for its next rule.
struct OpenChain {
    place: Place,
    /// Nothing where the first rule had a mistake, so that the rules after it are still read as its links.
    rule: Option<usize>,
}

impl<'a> Compiler<'a> {
    fn new(files: &'a dyn Files) -> Self {
        Self {
            files,
            problems: Problems::default(),
            warnings: Vec::new(),
            settings: Settings::default(),
            names: Names::default(),
            picks: Picks::default(),
            exclusions: Vec::new(),
            pick_places: Vec::new(),
            transformations: Vec::new(),
            defaults: [const { None }; 5],
            rules: Vec::new(),
            messages: Vec::new(),
            removed: RuleSet::default(),
            ids: HashMap::new(),
            markers: Vec::new(),
            jumps: Vec::new(),
            open: None,
            said: HashSet::new(),
        }
    }

    fn directive(&mut self, directive: &Directive) {
        let mentioned = self.names.mentioned().len();
        self.read(directive);
        let new = self.names.mentioned().get(mentioned..).unwrap_or_default();
        let caveats: Vec<&str> = new.iter().filter_map(|variable| variable.caveat()).collect();
        for caveat in caveats {
            self.say_once(&directive.place, caveat);
        }
    }

    /// Warns, where it is the first time.
    fn say_once(&mut self, place: &Place, message: &'static str) {
        if self.said.insert(message) {
            self.warnings.push(Problem {
                place: place.clone(),
                message: message.to_owned(),
            });
        }
    }

    fn read(&mut self, directive: &Directive) {
        let place = &directive.place;
        match &directive.kind {
            Kind::Rule(rule) => return self.rule(place, Some(rule), &rule.actions),
            Kind::Action(actions) => return self.rule(place, None, actions),
            _ => self.close_chain(),
        }
        let result = match &directive.kind {
            Kind::Rule(_) | Kind::Action(_) => Ok(()),
            Kind::DefaultAction(actions) => self.default_action(actions),
            Kind::Marker(name) => {
                self.markers.push((name.clone(), self.rules.len()));
                Ok(())
            }
            Kind::Include { file, .. } => Err(format!("Include \"{file}\" was not resolved")),
            Kind::Setting { name, arguments } => self.setting(place, name, arguments),
        };
        self.problems.keep(place, result);
    }

    /// `SecUnicodeMapFile unicode.mapping 20127`
    fn unicode_map(&self, name: &str, arguments: &[String]) -> Result<UnicodeMap, String> {
        let [file, code_page] = arguments else {
            return Err(format!(
                "{name} takes a file and the number of a code page, for example unicode.mapping 20127"
            ));
        };
        let Ok(code_page) = code_page.parse() else {
            return Err(format!(
                "{name}: \"{code_page}\" is not the number of a code page, for example 20127"
            ));
        };
        // Configurations name it by where ModSecurity's package puts it.
        let last = file.rsplit('/').next().unwrap_or(file);
        let Some(text) = self.files.read(file).or_else(|| self.files.read(last)) else {
            return Err(format!(
                "{name}: there is no file \"{file}\"; list it under [plugin.data] in bundle.toml by this name"
            ));
        };
        UnicodeMap::parse(&text, code_page).map_err(|message| format!("{name}: {file}: {message}"))
    }

    /// Directives that change rules which stand before them, and settings.
    fn setting(&mut self, place: &Place, name: &str, arguments: &[String]) -> Result<(), String> {
        let lower = name.to_ascii_lowercase();
        let by = |text: &str| match text {
            "byid" => Some(By::Id),
            "bytag" => Some(By::Tag),
            "bymsg" => Some(By::Message),
            _ => None,
        };
        if let Some(by) = lower.strip_prefix("secruleremove").and_then(by) {
            if arguments.is_empty() {
                return Err(format!("{name} needs to know which rules"));
            }
            for argument in arguments {
                let rules = self.pick(place, name, &Pick::parse(by, argument)?);
                self.removed.extend(&rules);
            }
            return Ok(());
        }
        if let Some(by) = lower.strip_prefix("secruleupdatetarget").and_then(by) {
            return match arguments {
                [rules, targets] => self.update_targets(place, name, &Pick::parse(by, rules)?, targets, None),
                [rules, targets, replaced] => {
                    self.update_targets(place, name, &Pick::parse(by, rules)?, targets, Some(replaced))
                }
                _ => Err(format!(
                    "{name} takes rules, variables, and variables that these replace"
                )),
            };
        }
        if lower == "secunicodemapfile" {
            self.settings.unicode_map = Some(Arc::new(self.unicode_map(name, arguments)?));
            return Ok(());
        }
        if let Some(caveat) = self.settings.apply(name, arguments)? {
            self.warnings.push(Problem {
                place: place.clone(),
                message: caveat,
            });
        }
        Ok(())
    }

    fn pick(&mut self, place: &Place, what: &str, pick: &Pick) -> RuleSet {
        let set = self.picked(pick);
        if set.is_empty() {
            let message = format!("{what} concerns no rule that stands before it");
            self.warnings.push(Problem {
                place: place.clone(),
                message,
            });
        }
        set
    }

    fn picked(&self, pick: &Pick) -> RuleSet {
        let mut set = RuleSet::default();
        for (index, (rule, message)) in self.rules.iter().zip(&self.messages).enumerate() {
            if pick.takes(rule.id, message, rule.tags.iter().map(AsRef::as_ref)) {
                set.insert(index);
            }
        }
        set
    }

    /// Adds and excludes variables, in place of others where there are any.
    fn update_targets(
        &mut self,
        place: &Place,
        name: &str,
        pick: &Pick,
        text: &str,
        replaced: Option<&str>,
    ) -> Result<(), String> {
        let written = parse_targets(text)?;
        let replaced = match replaced {
            Some(replaced) => target::compile(&parse_targets(replaced)?, &mut self.names)?,
            None => Vec::new(),
        };
        let (excluded, added): (Vec<_>, Vec<_>) = written
            .into_iter()
            .partition(|target| target.role == syntax::Role::Exclude);
        let rules = self.pick(place, name, pick);
        let names = &mut self.names;
        for (_, rule) in self
            .rules
            .iter_mut()
            .enumerate()
            .filter(|(index, _)| rules.contains(*index))
        {
            let Some(first) = rule.links.first_mut() else { continue };
            first
                .targets
                .retain(|target| !replaced.iter().any(|replaced| target::is_same(target, replaced)));
            if !added.is_empty() {
                first.targets.extend(target::compile(&added, names)?);
            }
            for exclusion in &excluded {
                let variable = crate::variables::find(&exclusion.variable)?;
                let selector = target::selector(variable, &exclusion.selector, names)?;
                target::exclude(&mut first.targets, variable, &selector);
            }
        }
        Ok(())
    }

    fn default_action(&mut self, list: &[Action]) -> Result<(), String> {
        let mut draft = Draft::default();
        let mut scope = Scope {
            names: &mut self.names,
            picks: &mut self.picks,
            exclusions: &mut self.exclusions,
        };
        for action in list {
            actions::apply(action, Role::Default, &mut draft, &mut scope)?;
        }
        let Some(phase) = draft.phase else {
            return Err("SecDefaultAction needs a phase".to_owned());
        };
        if draft.verb.is_none() {
            return Err("SecDefaultAction needs to say what happens to the request: pass, deny, ...".to_owned());
        }
        if let Some(default) = self.defaults.get_mut(phase.index()) {
            *default = Some(list.iter().filter(|action| action.name != "phase").cloned().collect());
        }
        Ok(())
    }

    /// A `SecRule`, or a `SecAction` where there is nothing to look at.
    fn rule(&mut self, place: &Place, rule: Option<&syntax::Rule>, list: &[Action]) {
        let chain = self.open.take();
        let role = if chain.is_some() { Role::Link } else { Role::Starter };
        let errors = self.problems.0.len();
        let picks = self.picks.0.len();
        let (draft, default) = self.draft(place, role, list);
        self.pick_places
            .resize(self.pick_places.len() + self.picks.0.len() - picks, place.clone());
        for caveat in &draft.caveats {
            self.say_once(place, caveat);
        }
        let chained = draft.chained;
        let message = draft.message_text.clone();
        let link = self.link(place, rule, &draft);
        let index = match (&chain, link) {
            (Some(chain), Some(link)) => {
                let index = chain.rule;
                if let Some(rule) = index.and_then(|index| self.rules.get_mut(index)) {
                    rule.links.push(finish_link(link, draft));
                }
                index
            }
            (None, Some(link)) => {
                let built = self.finish_rule(place, draft, default, link);
                // A rule with a mistake is not kept; the problem is.
                built.filter(|_| self.problems.0.len() == errors).map(|rule| {
                    self.rules.push(rule);
                    self.messages.push(message);
                    self.rules.len() - 1
                })
            }
            (_, None) => None,
        };
        if chained == Chained::ToNext {
            let place = chain.map_or_else(|| place.clone(), |chain| chain.place);
            self.open = Some(OpenChain { place, rule: index });
        }
    }

    /// The rule's own actions on top of its phase's defaults; apart, what the defaults say about the request.
    fn draft(&mut self, place: &Place, role: Role, list: &[Action]) -> (Draft, Draft) {
        let mut draft = Draft::default();
        let mut default = Draft::default();
        let mut scope = Scope {
            names: &mut self.names,
            picks: &mut self.picks,
            exclusions: &mut self.exclusions,
        };
        if role == Role::Starter {
            // The phase decides which defaults there are, so it is read first. Its mistakes are reported below.
            for action in list.iter().filter(|action| action.name == "phase") {
                let _ = actions::apply(action, role, &mut draft, &mut scope);
            }
            let phase = *draft.phase.get_or_insert(Phase::RequestBody);
            for action in self.defaults.get(phase.index()).into_iter().flatten().flatten() {
                let _ = actions::apply(action, Role::Default, &mut draft, &mut scope);
            }
            default.verb = draft.verb.take();
            default.status = draft.status.take();
        }
        for action in list {
            let result = actions::apply(action, role, &mut draft, &mut scope);
            self.problems.keep(place, result);
        }
        (draft, default)
    }

    fn link(&mut self, place: &Place, rule: Option<&syntax::Rule>, draft: &Draft) -> Option<Link> {
        let transformations = self.intern(&draft.transformations);
        let (targets, operator) = match rule {
            Some(rule) => {
                let targets = target::compile(&rule.targets, &mut self.names);
                let targets = self.problems.keep(place, targets);
                if let Some(caveat) = operators::caveat(&rule.operator.name) {
                    self.say_once(place, caveat);
                }
                let operator = self.operator(&rule.operator);
                let operator = self.problems.keep(place, operator);
                (targets?, operator?)
            }
            None => {
                let always = Operator {
                    wanted: Outcome::Match,
                    test: operators::Test::Always,
                    argument: Template::default(),
                    needs: None,
                };
                (Vec::new(), always)
            }
        };
        Some(Link {
            targets,
            transformations,
            operator,
            capture: Capture::Forget,
            forms: Forms::Last,
            effects: Vec::new(),
            data: None,
        })
    }

    fn operator(&mut self, written: &syntax::Operator) -> Result<Operator, String> {
        let (test, argument) = operators::build(&written.name, &written.argument, self.files)?;
        let argument = match argument {
            Argument::Compared => template::compile(&written.argument, &mut self.names)?,
            Argument::Compiled | Argument::Absent => Template::default(),
        };
        let needs = test.needs(&written.name, argument.constant());
        let wanted = match written.polarity {
            Polarity::Plain => Outcome::Match,
            Polarity::Negated => Outcome::NoMatch,
        };
        Ok(Operator {
            wanted,
            test,
            argument,
            needs,
        })
    }

    fn intern(&mut self, steps: &[usize]) -> Option<usize> {
        if steps.is_empty() {
            return None;
        }
        if let Some(index) = self.transformations.iter().position(|chain| chain.steps == steps) {
            return Some(index);
        }
        let touches = steps
            .iter()
            .filter_map(|&step| transformations::ALL.get(step))
            .fold(Touches::Bytes(crate::bytes::ByteSet::EMPTY), |touches, step| {
                touches.union(step.touches)
            });
        self.transformations.push(TransformationChain {
            steps: steps.to_vec(),
            touches,
        });
        Some(self.transformations.len() - 1)
    }

    fn finish_rule(&mut self, place: &Place, mut draft: Draft, default: Draft, link: Link) -> Option<Rule> {
        let Some(id) = draft.id else {
            self.problems
                .add(place, "the rule has no id; add id:NUMBER to its actions");
            return None;
        };
        if let Some(first) = self.ids.insert(id, place.clone()) {
            self.problems
                .add(place, format!("the id {id} is taken by the rule at {first}"));
        }
        let status = draft.status.or(default.status);
        let disruption = disruption(draft.verb.take(), default.verb, status);
        let flow = match std::mem::take(&mut draft.flow) {
            WrittenFlow::Next => Flow::Next,
            WrittenFlow::Skip(rules) => Flow::Skip(rules),
            WrittenFlow::After(marker) => {
                self.jumps.push((self.rules.len(), marker));
                Flow::Next
            }
        };
        Some(Rule {
            place: place.clone(),
            id,
            phase: draft.phase.unwrap_or(Phase::RequestBody),
            disruption,
            flow,
            logging: draft.logging.unwrap_or(Logging::Report),
            auditing: draft.auditing.or(draft.logging).unwrap_or(Logging::Report),
            message: draft.message.take(),
            severity: draft.severity,
            tags: std::mem::take(&mut draft.tags),
            version: draft.version.take(),
            revision: draft.revision.take(),
            maturity: draft.maturity,
            accuracy: draft.accuracy,
            links: vec![finish_link(link, draft)],
        })
    }

    fn close_chain(&mut self) {
        if let Some(chain) = self.open.take() {
            self.problems.add(
                &chain.place,
                "the chain has no next rule; remove \"chain\" from its last rule",
            );
        }
    }

    fn finish(mut self, presets: &Presets) -> Result<Plan, Problems> {
        self.close_chain();
        self.resolve_jumps();
        let picks: Vec<RuleSet> = self.picks.0.iter().map(|pick| self.picked(pick)).collect();
        for ((set, pick), place) in picks.iter().zip(&self.picks.0).zip(&self.pick_places) {
            if set.is_empty() {
                self.warnings.push(Problem {
                    place: place.clone(),
                    message: format!("a ctl action concerns rules with {pick}, and there is none"),
                });
            }
        }
        if !self.problems.0.is_empty() {
            return Err(self.problems);
        }
        let phases = Phase::ALL.map(|phase| {
            let runs = |(index, rule): &(usize, &Rule)| rule.phase == phase && !self.removed.contains(*index);
            self.rules
                .iter()
                .enumerate()
                .filter(runs)
                .map(|(index, _)| index)
                .collect()
        });
        let presets: Vec<(names::Slot, Preset)> = presets
            .iter()
            .map(|(name, preset)| (self.names.intern(name.as_bytes()), preset.clone()))
            .collect();
        let mut foresight = foresight::of(&foresight::Known {
            rules: &self.rules,
            phases: &phases,
            names: &self.names,
            presets: &presets,
            picks: &picks,
            exclusions: &self.exclusions,
        });
        foresight.never.extend(&self.removed);
        let screens = Screens::new(&self.rules, &foresight.never);
        let program = Program::new(&self.rules, &phases, &screens, &foresight);
        self.find_names();
        Ok(Plan {
            screens,
            program: Some(program),
            settings: self.settings,
            rules: self.rules,
            phases,
            transformations: self.transformations,
            names: self.names,
            presets,
            picks,
            exclusions: self.exclusions,
            warnings: self.warnings,
        })
    }

    /// Tells patterns of names in `TX` which of the names that rules mention they mean.
    fn find_names(&mut self) {
        let links = self.rules.iter_mut().flat_map(|rule| &mut rule.links);
        let targets = links.flat_map(|link| &mut link.targets);
        let selectors = targets.map(|target| (target.variable, &mut target.selector)).chain(
            self.exclusions
                .iter_mut()
                .map(|exclusion| (exclusion.variable, &mut exclusion.selector)),
        );
        for selector in selectors {
            if let (Variable::Tx, Selector::Pattern(pattern)) = selector {
                pattern.find_slots(&self.names);
            }
        }
    }

    /// A marker is a position in the files; for a rule that jumps to it, the position in its own phase.
    fn resolve_jumps(&mut self) {
        for (index, name) in std::mem::take(&mut self.jumps) {
            let Some(rule) = self.rules.get(index) else { continue };
            let marker = self.markers.iter().find(|(marker, at)| *marker == name && *at > index);
            let Some((_, at)) = marker else {
                let place = rule.place.clone();
                self.problems.add(
                    &place,
                    format!("skipAfter:{name}: no SecMarker \"{name}\" stands after the rule"),
                );
                continue;
            };
            let phase = rule.phase;
            let runs = |(index, rule): &(usize, &Rule)| rule.phase == phase && !self.removed.contains(*index);
            let position = self.rules.iter().enumerate().take(*at).filter(runs).count();
            if let Some(rule) = self.rules.get_mut(index) {
                rule.flow = Flow::Jump(position);
            }
        }
    }
}

/// Moves what belongs to the link itself out of the draft.
fn finish_link(link: Link, draft: Draft) -> Link {
    Link {
        capture: draft.capture.unwrap_or(Capture::Forget),
        forms: draft.forms.unwrap_or(Forms::Last),
        effects: draft.effects,
        data: draft.data,
        ..link
    }
}

fn disruption(verb: Option<Verb>, default: Option<Verb>, status: Option<u16>) -> Disruption {
    match verb {
        None | Some(Verb::Block) => match default {
            None | Some(Verb::Block) => Disruption::Pass,
            default => disruption(default, None, status),
        },
        Some(Verb::Pass) => Disruption::Pass,
        Some(Verb::Deny) => Disruption::Deny(status.unwrap_or(DENIED)),
        Some(Verb::Drop) => Disruption::Drop,
        Some(Verb::Allow(allowance)) => Disruption::Allow(allowance),
        Some(Verb::Redirect(location)) => {
            let status = status
                .filter(|status| matches!(status, 301 | 302 | 303 | 307 | 308))
                .unwrap_or(302);
            Disruption::Redirect { status, location }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::seclang::{NoFiles, Source, parse};

    fn compiled(text: &str) -> Result<Plan, Problems> {
        let directives = parse(
            &[Source {
                name: "t.conf".into(),
                text: text.into(),
            }],
            &NoFiles,
        )
        .unwrap();
        compile(&directives, &Vec::new(), &NoFiles)
    }

    #[test]
    fn rules_are_grouped_by_phase_and_chained() {
        let plan = compiled(
            "SecRule ARGS \"@rx a\" \"id:1,phase:1,deny,chain\"\n SecRule ARGS \"@rx b\" \"t:lowercase\"\n\
             SecRule ARGS \"@rx c\" \"id:2,phase:2,t:lowercase\"\nSecAction \"id:3,phase:1,nolog\"",
        )
        .unwrap();
        assert_eq!(plan.phases[0], [0, 2]);
        assert_eq!(plan.phases[1], [1]);
        assert_eq!(plan.rules[0].links.len(), 2);
        assert_eq!(plan.transformations.len(), 1, "equal chains are kept once");
    }

    #[test]
    fn markers_are_positions_in_the_phase_of_the_rule_that_jumps() {
        let plan = compiled(
            "SecAction \"id:1,phase:2,skipAfter:END\"\nSecAction \"id:2,phase:1\"\nSecAction \"id:3,phase:2\"\n\
             SecMarker END\nSecAction \"id:4,phase:2\"",
        )
        .unwrap();
        assert_eq!(plan.rules[0].flow, Flow::Jump(2));
        assert_eq!(plan.phases[1], [0, 2, 3]);
    }

    #[test]
    fn block_is_what_the_default_of_the_phase_says() {
        let plan = compiled(
            "SecDefaultAction \"phase:1,log,deny,status:406\"\nSecAction \"id:1,phase:1,block\"\nSecAction \"id:2,phase:2,block\"\n\
             SecAction \"id:3,phase:1,pass\"",
        )
        .unwrap();
        let disruptions: Vec<_> = plan.rules.iter().map(|rule| &rule.disruption).collect();
        assert_eq!(
            disruptions,
            [&Disruption::Deny(406), &Disruption::Pass, &Disruption::Pass]
        );
    }

    #[test]
    fn rules_before_a_directive_are_removed_and_narrowed() {
        let plan = compiled(
            "SecRule ARGS|REQUEST_URI \"@rx a\" \"id:1,tag:'x/y'\"\nSecAction \"id:2\"\nSecRuleRemoveById 2-5\n\
             SecRuleUpdateTargetByTag x \"!REQUEST_URI|!ARGS:z|REQUEST_HEADERS\"\nSecRuleRemoveById 77",
        )
        .unwrap();
        assert_eq!(plan.phases[1], [0]);
        let targets = &plan.rules[0].links[0].targets;
        assert_eq!(targets.len(), 2);
        assert_eq!(targets[0].excluded.len(), 1);
        assert_eq!(plan.warnings.len(), 1);
    }

    #[test]
    fn every_mistake_is_reported_with_its_line() {
        let problems = compiled(
            "SecRule ARGZ \"@rx (\" \"id:1,denny\"\nSecRule ARGS \"@rx a\" \"phase:2\"\nSecAction \"id:5\"\nSecAction \"id:5\"\n\
             SecAction \"id:6,skipAfter:NOWHERE\"\nSecRuleEngin On\nSecAction \"id:7,chain\"",
        )
        .unwrap_err();
        let mut lines: Vec<u32> = problems.0.iter().map(|problem| problem.place.line).collect();
        lines.sort_unstable();
        assert_eq!(lines, [1, 1, 1, 2, 4, 5, 6, 7], "{problems}");
        for text in ["ARGZ", "denny", "no id", "t.conf:3", "NOWHERE", "SecRuleEngin", "chain"] {
            assert!(problems.to_string().contains(text), "{text} in {problems}");
        }
    }
}
