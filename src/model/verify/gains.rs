//! A gain is that of a mean field, so the posterior has to have one over the weights of its kernel.

use crate::diagnostic::Diagnostic;
use crate::model::{Bound, KernelRef, Model, Target};

pub fn faults(model: &Model, bound: &Bound) -> Vec<Diagnostic> {
    let gains = model.gains_of(bound).into_iter().map(|id| model.gain(id));
    let missing = gains.filter(|gain| {
        !bound.posterior.iter().any(|factor| {
            factor.targets == [Target::Weights(gain.kernel)]
                && matches!(&factor.kernel, KernelRef::InPlace(field) if field.is_mean_field())
        })
    });
    let told = missing.map(|gain| {
        let name = &model.kernel(gain.kernel).name;
        let message = format!(
            "the gain of `{name}` is that of a distribution over its weights, \
                               and the posterior has none"
        );
        Diagnostic::error("no-mean-field", gain.span, message).hint(format!(
            "add `weights({name}) ~ Normal(mean = 0, sd = 1)` to `prior` and \
                           `weights({name}) ~ Normal` to `posterior`"
        ))
    });
    told.collect()
}
