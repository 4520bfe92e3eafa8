//! `param` and `horizon`: numbers known before the run.

use super::Lowering;
use super::constants::show_number;
use super::scope::{FILE, Given, Meaning, Scope, UnitId};
use super::value::Value;
use crate::diagnostic::Diagnostic;
use crate::expr::ParamId;
use crate::model::{Horizon, Param};
use crate::source::Span;
use crate::syntax::ast;

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
        let declared = self.units[FILE.0].definitions.values().any(|d| matches!(d.meaning, Meaning::Horizon(_)));
        if !declared {
            let told = Diagnostic::error("horizon", Span::default(), "the model has no horizon");
            self.report(told.hint("say how many steps a trajectory has: `horizon T = 100`"));
        }
    }

    pub fn param_value(&mut self, unit: UnitId, param: &'a ast::Param, given: Given<'a>) -> Value {
        let name = &param.name.text;
        let what = format!("param `{name}`");
        let value = match given {
            Given::Written => self.constant(&param.value, &Scope::of(unit), &what),
            Given::Here(value) => self.constant(value, &Scope::of(FILE), &what),
            Given::Override(value) => self.overridden(name, value, &what, param.span),
        };
        // bounds are checked also where the value failed: their own mistakes count
        let bounds = self.param_bounds(unit, param);
        let Some(value) = value else { return Value::Poison };
        let place = match given {
            Given::Written => param.value.span,
            Given::Here(value) => value.span,
            Given::Override(_) => param.span,
        };
        match bounds {
            Some(Some((lo, hi, whole))) => {
                if !(lo..=hi).contains(&value) || (whole && value.fract() != 0.0) {
                    let range = if whole { format!("{lo}..{hi}") } else { format!("[{lo}, {hi}]") };
                    self.error("param", place, format!("param `{name}` is {}, outside {range}", show_number(value)));
                    return Value::Poison;
                }
            }
            Some(None) => {}
            None => return Value::Poison,
        }
        let prefix = self.environments.iter().find(|slot| slot.unit == unit).map(|slot| format!("{}.", slot.name)).unwrap_or_default();
        self.params.push(Param { name: format!("{prefix}{name}"), value, span: param.span });
        Value::number(self.graph.param(ParamId(self.params.len() as u32 - 1)))
    }

    /// `Some(None)` where there are none, `None` where they have a mistake.
    fn param_bounds(&mut self, unit: UnitId, param: &'a ast::Param) -> Option<Option<(f64, f64, bool)>> {
        let (lo, hi, whole) = match &param.bounds {
            None => return Some(None),
            Some(ast::ParamBounds::Integers(lo, hi)) => (lo, hi, true),
            Some(ast::ParamBounds::Reals(lo, hi)) => (lo, hi, false),
        };
        let scope = Scope::of(unit);
        let (low, high) = (self.constant(lo, &scope, "a bound"), self.constant(hi, &scope, "a bound"));
        let (low, high) = low.zip(high)?;
        if low > high {
            self.error("param", lo.span.to(hi.span), format!("no number lies between {low} and {high}"));
            return None;
        }
        Some(Some((low, high, whole)))
    }

    /// A value of `--set`, whose text is not in the file: what is wrong with it is told at the place it overrides.
    pub fn overridden(&mut self, name: &str, value: &ast::Expr, what: &str, place: Span) -> Option<f64> {
        let told = self.diagnostics.len();
        let result = self.constant(value, &Scope::of(FILE), what);
        for diagnostic in &mut self.diagnostics[told..] {
            diagnostic.message = format!("--set {name}=…: {}", diagnostic.message);
            diagnostic.labels.truncate(1);
            diagnostic.labels[0].span = place;
        }
        result
    }

    pub fn horizon_value(&mut self, index: usize, written: &'a ast::Expr) -> Value {
        let (name, definition) = self.units[FILE.0].definitions.get_index(index).expect("scope: a definition's index is valid");
        let (name, span) = (name.clone(), definition.span);
        let over = self.overrides.params.iter().rev().find(|(key, _)| *key == name);
        let (value, place) = match over {
            Some((_, value)) => (self.overridden(&name, value, "the horizon", span), span),
            None => (self.constant(written, &Scope::of(FILE), "the horizon"), written.span),
        };
        let Some(value) = value else { return Value::Poison };
        if !(1.0..=LONGEST).contains(&value) || value.fract() != 0.0 {
            self.error("horizon", place, format!("the horizon must be a whole number from 1 to {LONGEST}, not {value}"));
            return Value::Poison;
        }
        self.horizon = Some(Horizon { name, value: value as usize, span });
        Value::number(self.graph.constant(value))
    }
}
