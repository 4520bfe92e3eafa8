//! `param` and `horizon`: numbers known before the run.

use super::Lowering;
use super::constants::show_number;
use super::scope::Scope;
use super::unit::{FILE, Given, Meaning, UnitId};
use super::value::Value;
use crate::diagnostic::Diagnostic;
use crate::expr::ParamId;
use crate::model::{Horizon, Param};
use crate::source::Span;
use crate::syntax::ast::{self, ArgumentLabel, ExprKind};

/// The longest horizon.
const LONGEST: f64 = 1e9;

impl<'a> Lowering<'a> {
    /// Lowers every param and the horizon, in the order written.
    pub fn lower_params(&mut self) {
        for unit in 0..self.units.len() {
            for index in 0..self.units[unit].definitions.len() {
                let definition = &self.units[unit].definitions[index];
                if matches!(definition.meaning, Meaning::Param(..) | Meaning::Horizon(_)) {
                    let span = definition.span;
                    self.definition(UnitId(unit), index, span);
                }
            }
        }
        let declared = self.units[FILE.0]
            .definitions
            .values()
            .any(|d| matches!(d.meaning, Meaning::Horizon(_)));
        if !declared {
            let told = Diagnostic::error("horizon", Span::default(), "the model has no horizon");
            self.report(told.hint("say how many steps a trajectory has: `horizon T = 100`"));
        }
    }

    pub fn param_value(&mut self, unit: UnitId, param: &'a ast::Param, given: Given<'a>) -> Value {
        let name = &param.name.text;
        let what = format!("param `{name}`");
        let value = match given {
            Given::Written => self.first_and_last(&param.value, &Scope::of(unit), &what),
            Given::Here(value) => self.first_and_last(value, &Scope::of(FILE), &what),
            Given::Override(value) => self.overridden(name, value, param.span, |lowering| {
                lowering.first_and_last(value, &Scope::of(FILE), &what)
            }),
        };
        // bounds are checked also where the value failed: their own mistakes count
        let bounds = self.param_bounds(unit, param);
        let Some((first, last)) = value else { return Value::Poison };
        let place = match given {
            Given::Written => param.value.span,
            Given::Here(value) => value.span,
            Given::Override(value) => place_of_set(value).unwrap_or(param.span),
        };
        match bounds {
            Some(Some((lo, hi, whole))) => {
                let outside =
                    |value: &f64| !(lo..=hi).contains(value) || (whole && value.fract() != 0.0);
                if let Some(value) = [first, last].into_iter().find(outside) {
                    let range = if whole { format!("{lo}..{hi}") } else { format!("[{lo}, {hi}]") };
                    self.error(
                        "param",
                        place,
                        format!("param `{name}` is {}, outside {range}", show_number(value)),
                    );
                    return Value::Poison;
                }
            }
            Some(None) => {}
            None => return Value::Poison,
        }
        let prefix = self
            .environments
            .iter()
            .find(|slot| slot.unit == unit)
            .map(|slot| format!("{}.", slot.name))
            .unwrap_or_default();
        let from = (first != last).then_some(first);
        self.params.push(Param {
            name: format!("{prefix}{name}"),
            value: last,
            from,
            span: param.span,
        });
        Value::number(self.graph.param(ParamId(self.params.len() as u32 - 1)))
    }

    /// A number, which is both, or a schedule `ramp(from = …, to = …)`.
    fn first_and_last(
        &mut self,
        written: &ast::Expr,
        scope: &Scope,
        what: &str,
    ) -> Option<(f64, f64)> {
        let ExprKind::Call { function, arguments, givens: None } = &written.kind else {
            return self.constant(written, scope, what).map(|value| (value, value));
        };
        if !matches!(&function.kind, ExprKind::Name(name) if name == "ramp")
            || self.meaning(scope.unit, "ramp").is_some()
        {
            return self.constant(written, scope, what).map(|value| (value, value));
        }
        let named = |wanted: &str| {
            let found = |argument: &&ast::Argument| {
                matches!(&argument.label, Some(ArgumentLabel::Named(name))
                    if name.text == wanted)
            };
            arguments.iter().find(found)
        };
        let (Some(from), Some(to), 2) = (named("from"), named("to"), arguments.len()) else {
            let told = Diagnostic::error(
                "argument",
                written.span,
                "a schedule goes from one number to another",
            );
            self.report(told.hint("write `ramp(from = 0.1, to = 1)`"));
            return None;
        };
        self.constant(&from.value, scope, what).zip(self.constant(&to.value, scope, what))
    }

    /// `Some(None)` where there are none, `None` where they have a mistake.
    fn param_bounds(
        &mut self,
        unit: UnitId,
        param: &'a ast::Param,
    ) -> Option<Option<(f64, f64, bool)>> {
        let (lo, hi, whole) = match &param.bounds {
            None => return Some(None),
            Some(ast::ParamBounds::Integers(lo, hi)) => (lo, hi, true),
            Some(ast::ParamBounds::Reals(lo, hi)) => (lo, hi, false),
        };
        let scope = Scope::of(unit);
        let (low, high) =
            (self.constant(lo, &scope, "a bound"), self.constant(hi, &scope, "a bound"));
        let (low, high) = low.zip(high)?;
        if low > high {
            self.error(
                "param",
                lo.span.to(hi.span),
                format!("no number lies between {low} and {high}"),
            );
            return None;
        }
        Some(Some((low, high, whole)))
    }

    /// A value of `--set`: what is wrong with it is told at its text if that is a source, else at
    /// `place`, which it overrides.
    fn overridden<T>(
        &mut self,
        name: &str,
        value: &ast::Expr,
        place: Span,
        lower: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        let told = self.diagnostics.len();
        let result = lower(self);
        for diagnostic in &mut self.diagnostics[told..] {
            diagnostic.message = format!("--set {name}=…: {}", diagnostic.message);
            if place_of_set(value).is_none() {
                diagnostic.labels.truncate(1);
                diagnostic.labels[0].span = place;
            }
        }
        result
    }

    pub fn horizon_value(&mut self, index: usize, written: &'a ast::Expr) -> Value {
        let (name, definition) = self.units[FILE.0]
            .definitions
            .get_index(index)
            .expect("scope: a definition's index is valid");
        let (name, span) = (name.clone(), definition.span);
        let over = self.overrides.params.iter().rev().find(|(key, _)| *key == name);
        let (value, place) = match over {
            Some((_, value)) => {
                let lower =
                    |lowering: &mut Self| lowering.constant(value, &Scope::of(FILE), "the horizon");
                (self.overridden(&name, value, span, lower), place_of_set(value).unwrap_or(span))
            }
            None => (self.constant(written, &Scope::of(FILE), "the horizon"), written.span),
        };
        let Some(value) = value else { return Value::Poison };
        if !(1.0..=LONGEST).contains(&value) || value.fract() != 0.0 {
            self.error(
                "horizon",
                place,
                format!("the horizon must be a whole number from 1 to {LONGEST}, not {value}"),
            );
            return Value::Poison;
        }
        self.horizon = Some(Horizon { name, value: value as usize, span });
        Value::number(self.graph.constant(value))
    }
}

/// Where an override is written, if its text is one of the sources; the text of the model is the
/// first of them.
pub fn place_of_set(value: &ast::Expr) -> Option<Span> {
    (value.span.file > 0).then_some(value.span)
}
