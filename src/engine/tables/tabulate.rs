//! A learned kernel over finite variables as a table, and gradients of the table back to the
//! parameters: what joins the networks to the oracle.

use crate::engine::network::feed::Feed;
use crate::engine::network::forward::{Activations, Scratch};
use crate::engine::network::plan::{InputSpec, NetworkPlan};
use crate::engine::network::unsupported::Unsupported;
use crate::engine::numeric::kernels::none_nan;
use crate::engine::numeric::said::said;
use crate::engine::tables::head::{Head, Rows, cannot_run, head};
use crate::engine::tape::parameters::Parameters;
use crate::finite::{Axis, Conditions, KernelTable};
use crate::model::{
    Distribution, FormalVariable, Kernel, KernelId, LayerId, Model, Scores, normalise_kernel,
};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Conditions that go through the network together.
const CHUNK: usize = 4096;

/// Numbers a table may hold.
const LARGEST: usize = 1 << 28;

/// `log q(outcome | condition)` of `kernel` at every condition, numbered as [`KernelTable`] says.
///
/// # Errors
/// One sentence, where a variable of the kernel is not finite or its distribution is none of
/// `Categorical(logits = …)`, `Bernoulli(logits = …)`, `Sticky` and `Uniform`; or where a NaN or an
/// infinity is in the place of a distribution.
pub fn tabulate(
    model: &Model,
    parameters: &Parameters<f64>,
    kernel: KernelId,
) -> Result<KernelTable, Unsupported> {
    let normal = in_normal_form(model, kernel);
    let table = Table::of(&normal, kernel)?;
    let mut log_probability = vec![0.0; table.conditions * table.outcomes];
    let mut broken = None;
    table.for_each_chunk(parameters, |_, rows| {
        let (from, to) = (rows.range.start * rows.outcomes, rows.range.end * rows.outcomes);
        let written = &mut log_probability[from..to];
        table.head.log_probabilities(rows, written);
        if broken.is_none() && !none_nan(written) {
            broken = written
                .chunks_exact(rows.outcomes)
                .position(|row| !none_nan(row))
                .map(|row| table.no_distribution(row, rows));
        }
    });
    if let Some(broken) = broken {
        return Err(broken);
    }
    Ok(KernelTable { conditions: table.conditions, outcomes: table.outcomes, log_probability })
}

/// The gradient of the parameters (flat), from that of the log-probabilities at every condition
/// (conditions × outcomes), which may be that of free logits: in each row `g − q Σ g` has the same
/// effect as `g`.
///
/// # Errors
/// As [`tabulate`].
pub fn pull_back(
    model: &Model,
    parameters: &Parameters<f64>,
    kernel: KernelId,
    gradient: &[f64],
) -> Result<Vec<f64>, Unsupported> {
    let normal = in_normal_form(model, kernel);
    let table = Table::of(&normal, kernel)?;
    let mut of_parameters = parameters.zero_gradient();
    let mut scratch = Scratch::default();
    let mut log_q = Vec::new();
    let mut of_roots: Vec<Vec<f64>> = vec![vec![]; table.plan.outputs()];
    table.for_each_chunk(parameters, |activations, rows| {
        log_q.resize(rows.range.len() * rows.outcomes, 0.0);
        table.head.log_probabilities(rows, &mut log_q);
        for (of_root, root) in of_roots.iter_mut().zip(&rows.roots) {
            of_root.clear();
            of_root.resize(root.len(), 0.0);
        }
        let gradient = &gradient[rows.range.start * rows.outcomes..rows.range.end * rows.outcomes];
        table.head.pull_back(rows, &log_q, gradient, &mut of_roots);
        let of_outputs: Vec<&[f64]> = of_roots.iter().map(Vec::as_slice).collect();
        table.plan.backward(
            parameters.values(),
            activations,
            0..rows.range.len(),
            &of_outputs,
            &mut scratch,
            &mut of_parameters,
        );
    });
    Ok(of_parameters)
}

/// As [`pull_back`], of several tables together.
pub(in crate::engine) fn pull_back_all(
    model: &Model,
    parameters: &Parameters<f64>,
    of_tables: &BTreeMap<KernelId, Vec<f64>>,
) -> Result<Vec<f64>, Unsupported> {
    let mut gradient = parameters.zero_gradient();
    for (&kernel, of_table) in of_tables {
        let part = pull_back(model, parameters, kernel, of_table)?;
        gradient.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
    Ok(gradient)
}

/// What some layers of a kernel come to: `visit(condition, the values of each)`, conditions
/// numbered as [`KernelTable`] says.
///
/// # Errors
/// As [`tabulate`], of the variables.
pub(in crate::engine) fn layers_at(
    (model, parameters): (&Model, &Parameters<f64>),
    (kernel, layers): (KernelId, Vec<LayerId>),
    mut visit: impl FnMut(usize, &[&[f64]]),
) -> Result<(), Unsupported> {
    let conditions =
        Conditions::of(model, kernel).map_err(|not_finite| Unsupported(not_finite.to_string()))?;
    let table = Table::with(model, kernel, conditions, (Head::Uniform, layers))?;
    table.for_each_chunk(parameters, |_, rows| {
        let count = rows.range.len();
        for row in 0..count {
            let of_row = |root: &&[f64]| -> std::ops::Range<usize> {
                root.len() / count * row..root.len() / count * (row + 1)
            };
            let values: Vec<&[f64]> = rows.roots.iter().map(|root| &root[of_row(root)]).collect();
            visit(rows.range.start + row, &values);
        }
    });
    Ok(())
}

/// The logits of a kernel.
///
/// # Errors
/// Where its distribution is another one.
pub fn logits_of(model: &Model, kernel: KernelId) -> Result<LayerId, Unsupported> {
    let kernel = model.kernel(kernel);
    let Distribution::Categorical(Scores::Logits(layer)) = &kernel.distribution else {
        return Err(cannot_run(kernel, &kernel.distribution, "`Categorical(logits = …)`"));
    };
    Ok(*layer)
}

struct Table<'m> {
    model: &'m Model,
    kernel: &'m Kernel,
    list: Conditions,
    plan: NetworkPlan,
    head: Head,
    conditions: usize,
    outcomes: usize,
    /// For each input of the plan, the axis of the table that feeds it.
    axes: Vec<Axis>,
}

impl<'m> Table<'m> {
    fn of(model: &'m Model, kernel: KernelId) -> Result<Table<'m>, Unsupported> {
        let conditions = Conditions::of(model, kernel)
            .map_err(|not_finite| Unsupported(not_finite.to_string()))?;
        let (head, roots) = head(model.kernel(kernel), &conditions)?;
        Table::with(model, kernel, conditions, (head, roots))
    }

    fn with(
        model: &'m Model,
        kernel: KernelId,
        conditions: Conditions,
        (head, roots): (Head, Vec<LayerId>),
    ) -> Result<Table<'m>, Unsupported> {
        let declared = model.kernel(kernel);
        let plan = NetworkPlan::compile(model, &roots, |_, formal| formal)?;
        let (count, outcomes) = (conditions.count(), conditions.outcomes());
        if count.checked_mul(outcomes).is_none_or(|entries| entries > LARGEST) {
            return Err(Unsupported(format!(
                "the table of kernel `{}` would have more than {LARGEST} entries",
                declared.name
            )));
        }
        let axis = |input: &InputSpec| {
            let found = conditions.axes.iter().find(|axis| {
                (declared.outputs.len() + axis.given, axis.step)
                    == (input.source as usize, input.step)
            });
            found.copied().ok_or_else(|| {
                Unsupported(format!(
                    "the network of kernel `{}` reads its own output",
                    declared.name
                ))
            })
        };
        let axes = plan.inputs().iter().map(axis).collect::<Result<_, _>>()?;
        Ok(Table {
            model,
            kernel: declared,
            list: conditions,
            plan,
            head,
            conditions: count,
            outcomes,
            axes,
        })
    }

    /// What stands in the place of a distribution at row `row` of some conditions.
    fn no_distribution(&self, row: usize, rows: &Rows<'_>) -> Unsupported {
        let of_row = |root: &&[f64]| {
            let width = root.len() / rows.range.len();
            root[row * width..(row + 1) * width].to_vec()
        };
        let made: Vec<f64> = rows.roots.iter().flat_map(of_row).collect();
        let condition = rows.range.start + row;
        let given: Vec<String> = self
            .list
            .axes
            .iter()
            .map(|axis| self.shown(axis, condition / axis.stride % axis.size))
            .collect();
        let at = if given.is_empty() { String::new() } else { format!(" at {}", given.join(", ")) };
        Unsupported(format!("{}{at}: no distribution", said("network", &self.kernel.name, &made)))
    }

    /// A given in a condition: `s = 3`.
    fn shown(&self, axis: &Axis, number: usize) -> String {
        let formal = &self.kernel.givens[axis.given];
        let value = match formal.variable {
            _ if Some(number) == axis.none => "none".to_owned(),
            FormalVariable::Variable(variable) => {
                let domain = &self.model.variable(variable).domain;
                let mut value = vec![0.0; domain.width()];
                domain
                    .finite
                    .as_ref()
                    .expect("conditions: a given of a table is finite")
                    .value(number, &mut value);
                domain.show(&value)
            }
            // counted from 1
            FormalVariable::Time => (number + 1).to_string(),
            FormalVariable::End | FormalVariable::Reward(..) => number.to_string(),
        };
        format!("{} = {value}", formal.name)
    }

    /// Runs the network at all conditions and calls `visit` with its activations and what they hold
    /// of the roots.
    fn for_each_chunk(
        &self,
        parameters: &Parameters<f64>,
        mut visit: impl FnMut(&Activations<f64>, &Rows<'_>),
    ) {
        let mut activations = Activations::new(&self.plan, CHUNK.min(self.conditions));
        let mut numbers: Vec<Vec<u32>> = vec![vec![]; self.axes.len()];
        for start in (0..self.conditions).step_by(CHUNK) {
            let rows = CHUNK.min(self.conditions - start);
            for (numbers, axis) in numbers.iter_mut().zip(&self.axes) {
                numbers.clear();
                numbers.extend(
                    (start..start + rows)
                        .map(|condition| (condition / axis.stride % axis.size) as u32),
                );
            }
            let feeds: Vec<Feed<f64>> =
                numbers.iter().map(|numbers| Feed::Finite(numbers)).collect();
            self.plan.forward(parameters.values(), &feeds, 0..rows, &mut activations);
            let roots = (0..self.plan.outputs())
                .map(|root| activations.output(&self.plan, root, 0..rows))
                .collect();
            visit(
                &activations,
                &Rows { range: start..start + rows, outcomes: self.outcomes, roots },
            );
        }
    }
}

/// The model with a kernel in its normal form, also one that has no parameters.
fn in_normal_form(model: &Model, kernel: KernelId) -> Cow<'_, Model> {
    let written = model.kernel(kernel);
    if written.outputs.len() != 1 || is_normal(&written.distribution) {
        return Cow::Borrowed(model);
    }
    let mut rewritten = model.clone();
    normalise_kernel(&mut rewritten, kernel);
    Cow::Owned(rewritten)
}

/// Whether a distribution over finite values is one that tables and draws know.
fn is_normal(distribution: &Distribution<LayerId>) -> bool {
    match distribution {
        Distribution::Categorical(Scores::Logits(_))
        | Distribution::Bernoulli(Scores::Logits(_)) => true,
        Distribution::Sticky { fresh, .. } => {
            matches!(**fresh, Distribution::Categorical(Scores::Logits(_)))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::testing::*;
    use crate::model::{Activation, Formal, FormalVariable, LayerOp};

    /// `pi(a | s, last: a?, t) = Categorical(logits = mlp(s, last, t, hidden = [5]))`
    fn model() -> (Model, KernelId) {
        let mut model = empty_model(3);
        let s = model.add_variable("s", &[integers(2), integers(3)]);
        let a = model.add_variable("a", &[integers(2)]);
        let last = Formal { optional: true, ..formal(FormalVariable::Variable(a)) };
        let pi = model.add_kernel(
            "pi",
            a,
            &[formal(FormalVariable::Variable(s)), last, formal(FormalVariable::Time)],
        );
        let parts = [(1, 5), (2, 3), (3, 1)]
            .map(|(formal, width)| model.add_layer(LayerOp::Formal { kernel: pi, formal }, width));
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

    /// The gradient of the logits, from that of the log-probabilities taken as free numbers:
    /// `∂/∂z_j = g_j − p_j Σ g`.
    fn logits_gradient(table: &KernelTable, gradient: &[f64]) -> Vec<f64> {
        let rows = table
            .log_probability
            .chunks_exact(table.outcomes)
            .zip(gradient.chunks_exact(table.outcomes));
        rows.flat_map(|(log_p, g)| {
            let total: f64 = g.iter().sum();
            log_p.iter().zip(g).map(move |(l, g)| g - l.exp() * total)
        })
        .collect()
    }

    #[test]
    fn conditions_count_with_the_last_given_fastest() {
        let (model, pi) = model();
        let values = numbers(9 * 5 + 5 + 5 * 2 + 2, 3);
        let table = tabulate(&model, &parameters(&model, &values), pi).expect("finite");
        assert_eq!((table.conditions, table.outcomes), (6 * 3 * 3, 2));
        // s = (1, 0) is number 3, last = none is 2, t = 2 is 1
        let condition = (3 * 3 + 2) * 3 + 1;
        let hidden = (0..5).map(|k| {
            (values[5 + k]
                + values[10 + k]
                + values[35 + k]
                + values[40 + k] * 2.0 / 3.0
                + values[45 + k])
                .tanh()
        });
        let hidden: Vec<f64> = hidden.collect();
        let z = [0, 1].map(|a| {
            (0..5).map(|k| hidden[k] * values[50 + 2 * k + a]).sum::<f64>() + values[60 + a]
        });
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
        let gradient =
            pull_back(&model, &at, pi, &logits_gradient(&table, &weights)).expect("finite");
        assert_gradient(&values, &gradient, value);
    }

    /// `pick(a | s, last: a?) = Sticky(last, keep = sigmoid(linear(s)), fresh = Categorical(logits
    /// = linear(s)))`
    fn sticky() -> (Model, KernelId) {
        let mut model = empty_model(3);
        let s = model.add_variable("s", &[integers(4)]);
        let a = model.add_variable("a", &[integers(3)]);
        let last = Formal { optional: true, ..formal(FormalVariable::Variable(a)) };
        let pick = model.add_kernel("pick", a, &[formal(FormalVariable::Variable(s)), last]);
        let x = model.add_layer(LayerOp::Formal { kernel: pick, formal: 1 }, 4);
        let keep = model.add_linear("keep", x, 1);
        let keep = model.add_layer(LayerOp::Unary(crate::expr::UnaryOp::Sigmoid, keep), 1);
        let logits = model.add_linear("fresh", x, 3);
        let fresh = Box::new(Distribution::Categorical(Scores::Logits(logits)));
        model.kernels[pick.0 as usize].distribution = Distribution::Sticky { last: 2, keep, fresh };
        (model, pick)
    }

    #[test]
    fn options_that_stay() {
        let (model, pick) = sticky();
        let values = numbers(4 + 1 + 12 + 3, 5);
        let table = tabulate(&model, &parameters(&model, &values), pick).expect("finite");
        assert_eq!((table.conditions, table.outcomes), (16, 3));
        let s = 2;
        let keep = 1.0 / (1.0 + (-values[s] - values[4]).exp());
        let z = [0, 1, 2].map(|o| (values[5 + 3 * s + o] + values[17 + o]).exp());
        let total: f64 = z.iter().sum();
        let fresh = z.map(|z| z / total);
        for (o, &f) in fresh.iter().enumerate() {
            for last in 0..4 {
                let expected = if last == 3 {
                    f
                } else {
                    (1.0 - keep) * f + if o == last { keep } else { 0.0 }
                };
                assert!(
                    (table.row(4 * s + last)[o] - expected.ln()).abs() < 1e-12,
                    "{o} after {last}"
                );
            }
        }

        let weights = numbers(16 * 3, 8);
        let value = |values: &[f64]| {
            let table = tabulate(&model, &parameters(&model, values), pick).expect("finite");
            table.log_probability.iter().zip(&weights).map(|(l, w)| l * w).sum()
        };
        let at = parameters(&model, &values);
        for weights in [weights.clone(), logits_gradient(&table, &weights)] {
            assert_gradient(
                &values,
                &pull_back(&model, &at, pick, &weights).expect("finite"),
                value,
            );
        }
    }

    #[test]
    fn truth_values() {
        let (mut model, pi) = model();
        let logits = logits_of(&model, pi).expect("it has some");
        let one = model.add_linear("one", logits, 1);
        model.kernels[pi.0 as usize].distribution = Distribution::Bernoulli(Scores::Logits(one));
        let values = numbers(9 * 5 + 5 + 5 * 2 + 2 + 2 + 1, 3);
        let weights = numbers(54 * 2, 8);
        let at =
            |values: &[f64]| tabulate(&model, &parameters(&model, values), pi).expect("finite");
        assert!(
            at(&values)
                .log_probability
                .chunks(2)
                .all(|row| (row[0].exp() + row[1].exp() - 1.0).abs() < 1e-12)
        );
        let value = |values: &[f64]| {
            at(values).log_probability.iter().zip(&weights).map(|(l, w)| l * w).sum()
        };
        assert_gradient(
            &values,
            &pull_back(&model, &parameters(&model, &values), pi, &weights).expect("finite"),
            value,
        );
    }

    #[test]
    fn what_has_no_table_is_refused() {
        let (model, pi, _) = mlp_policy(2, &[3], 2);
        let refused = tabulate(&model, &Parameters::initial(&model, 0), pi).expect_err("real");
        assert_eq!(refused.0, "`s` is a real number: its values cannot be listed");
    }
}
