//! The exponent of a likelihood is a number, or −∞, at every joint value of what it reads.

use super::arrays::Arrays;
use super::probabilities::{cause_of_nan, reads_unbounded};
use super::space::{BATCH, Evaluator, Space};
use crate::diagnostic::{Diagnostic, Severity};
use crate::expr::ExprId;
use crate::model::{Bound, Dynamics, Index, Input, LikelihoodForm, Model};

pub fn faults(model: &Model, bound: &Bound) -> Vec<Diagnostic> {
    let exponents = bound.likelihood.iter().filter_map(|likelihood| match &likelihood.form {
        LikelihoodForm::Exponential { value, written } => {
            fault(model, &likelihood.name, *value, written.span)
        }
        LikelihoodForm::Density { .. } => None,
    });
    exponents.collect()
}

/// The first live row at which an exponent is no number.
fn fault(model: &Model, name: &str, value: ExprId, at: crate::source::Span) -> Option<Diagnostic> {
    let mut roots = vec![value];
    roots.extend(ends(model));
    let (params, space) = (model.param_values(), Space::of(model, &roots)?);
    let mut evaluator = Evaluator::new(model, &params, &roots);
    let mut arrays = Arrays::of(model, &params, &[value]);
    for (first, inputs) in space.batches(BATCH) {
        let values = evaluator.run(&inputs);
        let live = |row: usize| values[1..].iter().all(|end| end[row] == 0.0);
        let stray = arrays
            .as_mut()
            .and_then(|arrays| arrays.outside(model, &inputs, &|_, row| live(row), &[value]));
        let none = (0..inputs.time.len())
            .find(|&row| live(row) && values[0][row].is_nan())
            .map(|row| (row, value));
        let Some((row, from)) = stray.into_iter().chain(none).min() else { continue };
        let cause = cause_of_nan(model, &params, from, &inputs, row)
            .unwrap_or_else(|| "its value is NaN".to_owned());
        let hint = match cause.contains("index") {
            true => "keep the index inside the array, with `clamp` or `mod`, say",
            false => {
                "guard the operation with `if … then … else …`, or keep its argument in range \
                 with `max`"
            }
        };
        let message = format!("the exponent of `{name}` is not a number");
        let mut fault = Diagnostic::error("not-a-number", at, message)
            .witness(super::probabilities::witness(&space.show_indexed(model, first + row), &cause))
            .hint(hint);
        if may_never_meet(model, value) {
            fault.severity = Severity::Warning;
        }
        return Some(fault);
    }
    None
}

/// The conditions at which episodes end: beyond them nothing is counted.
fn ends(model: &Model) -> impl Iterator<Item = ExprId> {
    model.environments.iter().filter_map(|environment| match &environment.dynamics {
        Dynamics::Written { end, .. } => *end,
        Dynamics::External { .. } => None,
    })
}

/// Whether nobody says that all the joint values looked at are met: values of several times,
/// rewards, reals without bounds.
fn may_never_meet(model: &Model, value: ExprId) -> bool {
    let mut indices: Vec<Index> = Vec::new();
    for input in model.graph.inputs_of(&[value]) {
        match model.inputs[input.0 as usize] {
            Input::Variable { index, .. } => indices.push(index),
            Input::Reward { .. } | Input::Formal { .. } | Input::Gain(_) => return true,
        }
    }
    indices.dedup();
    indices.len() > 1 || reads_unbounded(model, &[value])
}
