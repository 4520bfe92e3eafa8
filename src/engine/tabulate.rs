//! A learned kernel over finite variables as a table, and gradients of the table back to the parameters: what joins the networks to
//! the oracle.

use super::categorical;
use super::evaluate::{Activations, Feed, Scratch};
use super::network::{InputSpec, NetworkPlan, Unsupported};
use super::parameters::Parameters;
use crate::finite::{Axis, Conditions, KernelTable};
use crate::model::{Distribution, KernelId, LayerId, Model, Scores};

/// Conditions that go through the network together.
const CHUNK: usize = 4096;

/// Numbers a table may hold.
const LARGEST: usize = 1 << 28;

/// `log q(outcome | condition)` of `kernel` at every condition, numbered as [`KernelTable`] says.
///
/// # Errors
/// One sentence, where a variable of the kernel is not finite or its distribution is not `Categorical(logits = …)`.
pub fn tabulate(model: &Model, parameters: &Parameters<f64>, kernel: KernelId) -> Result<KernelTable, Unsupported> {
    let mut table = Table::of(model, kernel)?;
    let mut log_probability = vec![0.0; table.conditions * table.outcomes];
    let outcomes = table.outcomes;
    table.for_each_chunk(parameters, |plan, activations, rows, start| {
        let out = &mut log_probability[start * outcomes..(start + rows) * outcomes];
        categorical::log_probabilities(activations.output(plan, 0, 0..rows), outcomes, out);
    });
    Ok(KernelTable { conditions: table.conditions, outcomes, log_probability })
}

/// The gradient of the parameters (flat), from that of the logits at every condition (conditions × outcomes).
///
/// # Errors
/// As [`tabulate`].
pub fn pull_back(model: &Model, parameters: &Parameters<f64>, kernel: KernelId, logits_gradient: &[f64]) -> Result<Vec<f64>, Unsupported> {
    let mut table = Table::of(model, kernel)?;
    let mut gradient = parameters.zero_gradient();
    let mut scratch = Scratch::default();
    let outcomes = table.outcomes;
    table.for_each_chunk(parameters, |plan, activations, rows, start| {
        let of_outputs = [&logits_gradient[start * outcomes..(start + rows) * outcomes]];
        plan.backward(parameters.values(), activations, 0..rows, &of_outputs, &mut scratch, &mut gradient);
    });
    Ok(gradient)
}

/// The gradient of the logits, from that of the log-probabilities taken as free numbers: `∂/∂z_j = g_j − p_j Σ g`.
pub fn logits_gradient(table: &KernelTable, gradient: &[f64]) -> Vec<f64> {
    let rows = table.log_probability.chunks_exact(table.outcomes).zip(gradient.chunks_exact(table.outcomes));
    rows.flat_map(|(log_p, g)| {
        let total: f64 = g.iter().sum();
        log_p.iter().zip(g).map(move |(l, g)| g - l.exp() * total)
    })
    .collect()
}

/// The logits of a kernel.
///
/// # Errors
/// Where its distribution is another one.
pub fn logits_of(model: &Model, kernel: KernelId) -> Result<LayerId, Unsupported> {
    let kernel = model.kernel(kernel);
    let written = match &kernel.distribution {
        Distribution::Categorical(Scores::Logits(layer)) => return Ok(*layer),
        Distribution::Categorical(Scores::Probs(_)) => "Categorical(probs = …)",
        Distribution::Bernoulli(_) => "Bernoulli",
        Distribution::Uniform | Distribution::UniformBox { .. } | Distribution::UniformOver(_) => "Uniform",
        Distribution::Delta(_) => "Delta",
        Distribution::Normal { .. } => "Normal",
        Distribution::TanhNormal { .. } => "TanhNormal",
        Distribution::Beta { .. } => "Beta",
        Distribution::Mixture(_) => "Mixture",
        Distribution::If { .. } => "if … then … else …",
        Distribution::Record(_) => "a kernel of several outputs",
        Distribution::Sticky { .. } => "Sticky",
        Distribution::Implicit(_) => "Implicit",
    };
    let name = &kernel.name;
    Err(Unsupported(format!("kernel `{name}`: {written} is understood but cannot run yet; `Categorical(logits = …)` can")))
}

struct Table {
    plan: NetworkPlan,
    conditions: usize,
    outcomes: usize,
    /// For each input of the plan, the axis of the table that feeds it.
    axes: Vec<Axis>,
}

impl Table {
    fn of(model: &Model, kernel: KernelId) -> Result<Table, Unsupported> {
        let logits = logits_of(model, kernel)?;
        let plan = NetworkPlan::compile(model, &[logits], |_, formal| formal)?;
        let conditions = Conditions::of(model, kernel).map_err(|not_finite| Unsupported(not_finite.to_string()))?;
        let declared = model.kernel(kernel);
        let (count, outcomes) = (conditions.count(), plan.width(0));
        if count.checked_mul(outcomes).is_none_or(|entries| entries > LARGEST) {
            return Err(Unsupported(format!("the table of kernel `{}` would have more than {LARGEST} entries", declared.name)));
        }
        let axis = |input: &InputSpec| {
            let found =
                conditions.axes.iter().find(|axis| (declared.outputs.len() + axis.given, axis.step) == (input.source as usize, input.step));
            found.copied().ok_or_else(|| Unsupported(format!("the network of kernel `{}` reads its own output", declared.name)))
        };
        let axes = plan.inputs().iter().map(axis).collect::<Result<_, _>>()?;
        Ok(Table { plan, conditions: count, outcomes, axes })
    }

    /// Runs the network at all conditions and calls `visit` with the plan, its activations, the number of rows and the first condition.
    fn for_each_chunk(&mut self, parameters: &Parameters<f64>, mut visit: impl FnMut(&NetworkPlan, &Activations<f64>, usize, usize)) {
        let mut activations = Activations::new(&self.plan, CHUNK.min(self.conditions));
        let mut numbers: Vec<Vec<u32>> = vec![vec![]; self.axes.len()];
        for start in (0..self.conditions).step_by(CHUNK) {
            let rows = CHUNK.min(self.conditions - start);
            for (numbers, axis) in numbers.iter_mut().zip(&self.axes) {
                numbers.clear();
                numbers.extend((start..start + rows).map(|condition| (condition / axis.stride % axis.size) as u32));
            }
            let feeds: Vec<Feed<f64>> = numbers.iter().map(|numbers| Feed::Finite(numbers)).collect();
            self.plan.forward(parameters.values(), &feeds, 0..rows, &mut activations);
            visit(&self.plan, &activations, rows, start);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::model::{Activation, Formal, FormalVariable, LayerOp};

    /// `pi(a | s, last: a?, t) = Categorical(logits = mlp(s, last, t, hidden = [5]))`
    fn model() -> (Model, KernelId) {
        let mut model = empty_model(3);
        let s = model.add_variable("s", &[integers(2), integers(3)]);
        let a = model.add_variable("a", &[integers(2)]);
        let last = Formal { optional: true, ..formal(FormalVariable::Variable(a)) };
        let pi = model.add_kernel("pi", a, &[formal(FormalVariable::Variable(s)), last, formal(FormalVariable::Time)]);
        let parts = [(1, 5), (2, 3), (3, 1)].map(|(formal, width)| model.add_layer(LayerOp::Formal { kernel: pi, formal }, width));
        let x = model.add_layer(LayerOp::Concat(parts.to_vec()), 9);
        let logits = model.add_mlp("pi", x, &[5, 2], Activation::Tanh, None);
        model.set_logits(pi, logits);
        (model, pi)
    }

    fn parameters(model: &Model, values: &[f64]) -> Parameters<f64> {
        let mut parameters = Parameters::initial(model, 0);
        parameters.values_mut().copy_from_slice(values);
        parameters
    }

    #[test]
    fn conditions_count_with_the_last_given_fastest() {
        let (model, pi) = model();
        let values = numbers(9 * 5 + 5 + 5 * 2 + 2, 3);
        let table = tabulate(&model, &parameters(&model, &values), pi).expect("finite");
        assert_eq!((table.conditions, table.outcomes), (6 * 3 * 3, 2));
        // s = (1, 0) is number 3, last = none is 2, t = 2 is 1
        let condition = (3 * 3 + 2) * 3 + 1;
        let hidden = (0..5).map(|k| (values[5 + k] + values[10 + k] + values[35 + k] + values[40 + k] * 2.0 / 3.0 + values[45 + k]).tanh());
        let hidden: Vec<f64> = hidden.collect();
        let z = [0, 1].map(|a| (0..5).map(|k| hidden[k] * values[50 + 2 * k + a]).sum::<f64>() + values[60 + a]);
        let log_total = (z[0].exp() + z[1].exp()).ln();
        for (log_probability, z) in table.row(condition).iter().zip(z) {
            assert!((log_probability - (z - log_total)).abs() < 1e-12);
        }
    }

    #[test]
    fn gradients_of_the_table_reach_the_parameters() {
        let (model, pi) = model();
        let values = numbers(9 * 5 + 5 + 5 * 2 + 2, 3);
        let weights = numbers(54 * 2, 8);
        let value = |values: &[f64]| {
            let table = tabulate(&model, &parameters(&model, values), pi).expect("finite");
            table.log_probability.iter().zip(&weights).map(|(l, w)| l * w).sum()
        };
        let at = parameters(&model, &values);
        let table = tabulate(&model, &at, pi).expect("finite");
        let gradient = pull_back(&model, &at, pi, &logits_gradient(&table, &weights)).expect("finite");
        assert_gradient(&values, &gradient, value);
    }

    #[test]
    fn what_has_no_table_is_refused() {
        let (model, pi, _) = mlp_policy(2, &[3], 2);
        let refused = tabulate(&model, &Parameters::initial(&model, 0), pi).expect_err("real");
        assert_eq!(refused.0, "`s` is a real number: its values cannot be listed");
    }
}
