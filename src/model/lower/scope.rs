//! Which names an expression sees, and what they stand for.
//!
//! A unit is a text with names of its own: the file, an environment's body, an `.rlenv` file. An
//! environment's body sees the file's names behind its own; an `.rlenv` file sees its own only.

use super::Lowering;
use super::unit::{FILE, Meaning, State, UnitId};
use super::value::{Enumerator, NamesId, Value};
use crate::diagnostic::{Diagnostic, Label};
use crate::source::Span;
use crate::syntax::{Place, ours};
use std::collections::HashSet;
use std::rc::Rc;

/// Unknown names whose nearest known name is looked for.
const MOST_SEARCHES: usize = 200;

/// Places of one unknown name that are told.
const MOST_PLACES: usize = 6;

/// What an expression sees: the names of a unit, and before them its own.
#[derive(Clone, Debug)]
pub struct Scope {
    pub unit: UnitId,
    pub locals: Vec<(String, Local)>,
}

#[derive(Clone, Debug)]
pub enum Local {
    Value(Value),
    /// A name that has no value in an expression: why.
    Opaque(String),
}

impl Scope {
    pub fn of(unit: UnitId) -> Scope {
        Scope { unit, locals: Vec::new() }
    }

    pub fn local(&self, name: &str) -> Option<&Local> {
        self.locals.iter().rev().find(|(local, _)| local == name).map(|(_, value)| value)
    }
}

impl<'a> Lowering<'a> {
    /// The unit and place of a name.
    pub fn find(&self, unit: UnitId, name: &str) -> Option<(UnitId, usize)> {
        let mut at = Some(unit);
        while let Some(unit) = at {
            if let Some(index) = self.units[unit.0].definitions.get_index_of(name) {
                return Some((unit, index));
            }
            at = self.units[unit.0].parent;
        }
        None
    }

    pub fn meaning(&self, unit: UnitId, name: &str) -> Option<Meaning<'a>> {
        self.find(unit, name).map(|(unit, index)| self.units[unit.0].definitions[index].meaning)
    }

    /// A param, `let` without arguments or horizon as a value; lowered when it is first asked for.
    pub fn definition(&mut self, unit: UnitId, index: usize, used: Span) -> Value {
        let definition = &mut self.units[unit.0].definitions[index];
        let (span, meaning) = (definition.span, definition.meaning);
        match std::mem::replace(&mut definition.state, State::Working) {
            State::Done(value) => {
                definition.state = State::Done(value.clone());
                return value;
            }
            State::Working => {
                let name = self.units[unit.0]
                    .definitions
                    .get_index(index)
                    .map_or("", |(name, _)| name)
                    .to_owned();
                let told =
                    Diagnostic::error("recursion", used, format!("`{name}` is defined by itself"))
                        .also(span, "defined here");
                self.report(
                    told.hint("a definition may only use others that do not lead back to it"),
                );
                return Value::Poison;
            }
            State::Untouched => {}
        }
        let value = match meaning {
            Meaning::Let(definition) => self.lower(&definition.value, &Scope::of(unit)),
            Meaning::Param(param, given) => self.param_value(unit, param, given),
            Meaning::Horizon(value) => self.horizon_value(index, value),
            Meaning::Variable(_)
            | Meaning::Reward(..)
            | Meaning::Environment(_)
            | Meaning::Kernel(_)
            | Meaning::Net(_)
            | Meaning::Data(_)
            | Meaning::Bound
            | Meaning::Mistake => Value::Poison,
        };
        self.units[unit.0].definitions[index].state = State::Done(value.clone());
        value
    }

    /// A bare name as a value.
    pub fn name_value(&mut self, name: &str, span: Span, scope: &Scope) -> Value {
        match scope.local(name) {
            Some(Local::Value(value)) => return value.clone(),
            Some(Local::Opaque(why)) => {
                let message = format!("`{name}` cannot be used here: {why}");
                self.report(Diagnostic::error("type", span, message));
                return Value::Poison;
            }
            None => {}
        }
        match name {
            "true" => return Value::truth(self.graph.constant(1.0)),
            "false" => return Value::truth(self.graph.constant(0.0)),
            "t" => return self.time_value(span, scope),
            "none" => {
                let told = Diagnostic::error("none", span, "`none` is no value of an expression");
                self.report(told.hint(
                    "it can only be given to a kernel whose formal admits it: `pick(s[t], none)`",
                ));
                return Value::Poison;
            }
            _ => {}
        }
        let Some((unit, index)) = self.find(scope.unit, name) else {
            return self.enumerator(name, span, scope);
        };
        let meaning = self.units[unit.0].definitions[index].meaning;
        let problem = match meaning {
            Meaning::Mistake => return Value::Poison,
            Meaning::Param(..) | Meaning::Horizon(_) => return self.definition(unit, index, span),
            Meaning::Let(definition) if definition.formals.is_none() => {
                return self.definition(unit, index, span);
            }
            Meaning::Let(definition) => {
                let formals: Vec<&str> = definition
                    .formals
                    .iter()
                    .flatten()
                    .map(|formal| formal.text.as_str())
                    .collect();
                (
                    "arity",
                    format!("`{name}` is a function"),
                    format!("give it its arguments: `{name}({})`", formals.join(", ")),
                )
            }
            Meaning::Variable(_) | Meaning::Reward(..) if self.has_enumerator(scope.unit, name) => {
                return self.enumerator(name, span, scope);
            }
            Meaning::Variable(_) => (
                "index",
                format!("`{name}` has a value at each step"),
                match scope.locals.is_empty() {
                    true => format!("say at which: `{name}[t]`"),
                    false => format!(
                        "add `{name}` to what the head reads, and give it where the kernel is used"
                    ),
                },
            ),
            Meaning::Reward(..) => (
                "index",
                format!("`{name}` has a value at each step"),
                format!("say at which: `{name}[t]`"),
            ),
            Meaning::Environment(_) => (
                "type",
                format!("`{name}` is an environment, not a value"),
                format!(
                    "its kernels are `{name}.initial`, `{name}.transition` and `{name}.observation`"
                ),
            ),
            Meaning::Kernel(_) | Meaning::Data(_) => (
                "type",
                format!("`{name}` is a kernel, not a value"),
                "a kernel stands alone to the right of `~`".to_owned(),
            ),
            Meaning::Net(_) => (
                "type",
                format!("`{name}` is a network, not a value"),
                "networks are used inside kernels".to_owned(),
            ),
            Meaning::Bound => (
                "type",
                format!("`{name}` is a bound, not a value"),
                "a bound is named by `maximize`".to_owned(),
            ),
        };
        self.report(Diagnostic::error(problem.0, span, problem.1).hint(problem.2));
        Value::Poison
    }

    fn time_value(&mut self, span: Span, scope: &Scope) -> Value {
        if self.timeless(scope.unit) {
            let told = Diagnostic::error("time", span, "an environment does not read the time `t`");
            self.report(
                told.hint("make the time a part of the state: `state s : { …, clock: 1..T+1 }`"),
            );
            return Value::Poison;
        }
        Value::number(self.graph.time())
    }

    fn timeless(&self, unit: UnitId) -> bool {
        unit != FILE
    }

    fn enumerators_of(&self, unit: UnitId, name: &str) -> Vec<(NamesId, usize)> {
        let mut at = Some(unit);
        while let Some(unit) = at {
            if let Some(found) = self.units[unit.0].enumerators.get(name) {
                return found.clone();
            }
            at = self.units[unit.0].parent;
        }
        Vec::new()
    }

    pub fn has_enumerator(&self, unit: UnitId, name: &str) -> bool {
        !self.enumerators_of(unit, name).is_empty()
    }

    fn enumerator(&mut self, name: &str, span: Span, scope: &Scope) -> Value {
        let candidates = self.enumerators_of(scope.unit, name);
        match candidates.as_slice() {
            [] => {
                let known = self.visible(scope);
                self.unknown_word(name, span, "name", &known, ours(Place::Value, name));
                Value::Poison
            }
            [(list, position)] => Value::Scalar(
                self.graph.constant(*position as f64),
                super::value::Type::Name(*list),
            ),
            _ => Value::Enumerator(Rc::new(Enumerator { text: name.to_owned(), candidates })),
        }
    }

    /// All names an expression may use, for the nearest to a misspelt one; none where the file has
    /// had its share of them.
    pub fn visible(&self, scope: &Scope) -> Vec<String> {
        if self.diagnostics.len() >= MOST_SEARCHES {
            return Vec::new();
        }
        let mut names: Vec<String> = scope.locals.iter().map(|(name, _)| name.clone()).collect();
        let mut at = Some(scope.unit);
        while let Some(unit) = at {
            let unit = &self.units[unit.0];
            names.extend(unit.definitions.keys().cloned());
            let mut values: Vec<String> = unit.enumerators.keys().cloned().collect();
            values.sort_unstable();
            names.extend(values);
            at = unit.parent;
        }
        let mut seen = HashSet::new();
        names.retain(|name| seen.insert(name.clone()));
        names
    }

    /// Tells of an unknown name, with the nearest known one; `what` is its kind, or its kind of its
    /// owner: ``argument of `mlp` ``.
    pub fn unknown(&mut self, name: &str, span: Span, what: &str, known: &[String]) {
        self.unknown_word(name, span, what, known, None);
    }

    /// An unknown name for which other tools may have a word of their own: `ours` says how it is
    /// written here.
    pub fn unknown_word(
        &mut self,
        name: &str,
        span: Span,
        what: &str,
        known: &[String],
        ours: Option<String>,
    ) {
        let message = match what.split_once(" of ") {
            Some((what, owner)) => format!("unknown {what} `{name}` of {owner}"),
            None => format!("unknown {what} `{name}`"),
        };
        // one cause, one message: with the other places of the name
        if let Some(first) =
            self.unknowns.get(&message).and_then(|at| self.diagnostics.get_mut(*at))
            && first.message == message
        {
            if first.labels.len() < MOST_PLACES
                && first.labels.iter().all(|label| label.span != span)
            {
                first.labels.push(Label { span, text: "and here".to_owned() });
            }
            return;
        }
        self.unknowns.insert(message.clone(), self.diagnostics.len());
        let told = Diagnostic::error("unknown-name", span, message);
        // the search is for people; nobody reads that many
        let near = if self.diagnostics.len() < MOST_SEARCHES { nearest(name, known) } else { None };
        self.report(match (ours, near) {
            (Some(ours), _) => told.hint(ours),
            (None, Some(near)) => told.hint(format!("did you mean `{near}`?")),
            (None, None) if known.is_empty() || known.len() > 12 => told,
            (None, None) => told.hint(format!(
                "known: {}",
                known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
            )),
        });
    }
}

/// The known name that a misspelt one most resembles.
pub fn nearest<'k>(name: &str, known: &'k [String]) -> Option<&'k str> {
    // a name of one letter resembles every other
    let most = match name.chars().count() {
        0 | 1 => 0,
        2..=5 => 1,
        6..=8 => 2,
        more => more / 3,
    };
    let distance = |known: &str| {
        strsim::damerau_levenshtein(name, known).min(if name.eq_ignore_ascii_case(known) {
            0
        } else {
            usize::MAX
        })
    };
    known
        .iter()
        .filter(|known| *known != name)
        .map(|known| (distance(known), known.as_str()))
        .filter(|(d, _)| *d <= most)
        .min_by_key(|(d, _)| *d)
        .map(|(_, known)| known)
}
