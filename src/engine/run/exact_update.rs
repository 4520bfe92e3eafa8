//! A round without estimates: the policy moves to the maximum of its exact bound on a finite model.

use crate::engine::network::unsupported::Unsupported;
use crate::engine::numeric::stop::Stop;
use crate::engine::tables::kernels::kernel_tables;
use crate::engine::tape::parameters::Parameters;
use crate::engine::update::ascent::Objective;
use crate::engine::update::optimise::optimise_until;
use crate::exact::Evaluator;
use crate::model::{LayerOp, ParameterId};
use crate::plan::{Head, Plan};

/// A logit for what the best policy never does.
const NEVER: f64 = -700.0;

/// The parameters that maximise the bound whose `previous` is `present`. A table that sees the
/// state and the time becomes `π_j ∝ π_{j−1} exp(soft Q_t)` (Rawlik et al. 2012); any other policy
/// is the best of several ascents on the exact gradient, one of them from where it is, in at most
/// `iterations` steps of L-BFGS each, and so never falls.
///
/// # Errors
/// One sentence, where the oracle does not take the model, or where the run gives up meanwhile.
pub(in crate::engine) fn improve(
    plan: &Plan,
    present: &Parameters<f64>,
    iterations: u64,
    stop: &Stop,
) -> Result<Parameters<f64>, Unsupported> {
    let (model, bound) = (&plan.model, plan.derivation.bound);
    if let Some(weight) = whole_table(plan) {
        let tables = kernel_tables(model, bound, present, present)?;
        let evaluator = Evaluator::new(model, bound).asking(stop.asker());
        let best = evaluator
            .best_policy(&tables, plan.last_draw().kernel)
            .map_err(|not_finite| Unsupported(not_finite.to_string()))?;
        if let Some(table) = best {
            let mut improved = present.frozen();
            let range = improved.layout().range(weight);
            let logits = table.log_probability.iter().map(|log_p| log_p.max(NEVER));
            improved.values_mut()[range]
                .iter_mut()
                .zip(logits)
                .for_each(|(value, logit)| *value = logit);
            return Ok(improved);
        }
    }
    let starts = std::slice::from_ref(present);
    let found = optimise_until(
        (model, bound),
        Objective::Bound,
        starts,
        present,
        iterations,
        Some(stop.asker()),
    )?;
    // an ascent that was given up ends where it was, which nobody is to take for its end
    if stop.has_given_up() {
        Err(Unsupported("it was given up".to_owned()))
    } else {
        Ok(found.parameters)
    }
}

/// The parameter that holds all logits of the policy, a row for each joint value of its givens in
/// their order.
fn whole_table(plan: &Plan) -> Option<ParameterId> {
    let draw = plan.last_draw();
    let Head::Categorical { logits, .. } = draw.head else { return None };
    let kernel = plan.model.kernel(draw.kernel);
    let givens = kernel.outputs.len() as u32..(kernel.outputs.len() + kernel.givens.len()) as u32;
    match &plan.model.network.layer(logits).op {
        LayerOp::Table { kernel: of, formals, weight }
            if *of == draw.kernel && formals.iter().copied().eq(givens) =>
        {
            Some(*weight)
        }
        _ => None,
    }
}
