//! What a kernel's distribution makes of its network's outputs: the log-probability of every
//! outcome, and gradients back to the outputs.

use crate::engine::heads::categorical;
use crate::engine::network::unsupported::Unsupported;
use crate::finite::{Axis, Conditions};
use crate::model::{Distribution, Kernel, LayerId, Scores};
use std::ops::Range;

/// Roots are counted in the order in which [`head`] lists them.
#[derive(Clone, Debug)]
pub(in crate::engine) enum Head {
    /// All outcomes alike.
    Uniform,
    /// `softmax` of a root.
    Categorical { logits: usize },
    /// The second of two outcomes has probability `sigmoid` of a root.
    Bernoulli { logit: usize },
    /// The value of the given at `last` with probability `keep`, else one of `fresh`.
    Sticky { last: Axis, keep: usize, fresh: Box<Head> },
}

/// The distribution of a kernel, and the layers it reads.
///
/// # Errors
/// One sentence, where it is one that cannot be tabulated yet.
pub(in crate::engine) fn head(
    kernel: &Kernel,
    conditions: &Conditions,
) -> Result<(Head, Vec<LayerId>), Unsupported> {
    let mut roots = Vec::new();
    let head = of(kernel, conditions, &kernel.distribution, &mut roots)?;
    Ok((head, roots))
}

fn of(
    kernel: &Kernel,
    conditions: &Conditions,
    distribution: &Distribution<LayerId>,
    roots: &mut Vec<LayerId>,
) -> Result<Head, Unsupported> {
    let mut root = |layer: &LayerId| {
        roots.push(*layer);
        roots.len() - 1
    };
    match distribution {
        Distribution::Uniform => Ok(Head::Uniform),
        Distribution::Categorical(Scores::Logits(layer)) => {
            Ok(Head::Categorical { logits: root(layer) })
        }
        Distribution::Bernoulli(Scores::Logits(layer)) => {
            Ok(Head::Bernoulli { logit: root(layer) })
        }
        Distribution::Sticky { last, keep, fresh } => {
            let given = *last as usize - kernel.outputs.len();
            let last = conditions.axes.iter().find(|axis| axis.given == given && axis.step == 0);
            let last = *last.expect("check: `Sticky` stays at a given of its kernel");
            Ok(Head::Sticky {
                last,
                keep: root(keep),
                fresh: Box::new(of(kernel, conditions, fresh, roots)?),
            })
        }
        Distribution::Categorical(Scores::Probs(_))
        | Distribution::Bernoulli(Scores::Probs(_))
        | Distribution::UniformBox { .. }
        | Distribution::UniformOver(_)
        | Distribution::Delta(_)
        | Distribution::Real { .. }
        | Distribution::Mixture(_)
        | Distribution::If { .. }
        | Distribution::Record(_)
        | Distribution::Implicit(_) => Err(cannot_run(
            kernel,
            distribution,
            "`Categorical(logits = …)`, `Bernoulli(logits = …)` and `Sticky`",
        )),
    }
}

/// The refusal of a distribution; `others` can run.
pub(in crate::engine) fn cannot_run(
    kernel: &Kernel,
    distribution: &Distribution<LayerId>,
    others: &str,
) -> Unsupported {
    let written = match distribution {
        Distribution::Categorical(Scores::Logits(_)) => "Categorical(logits = …)",
        Distribution::Categorical(Scores::Probs(_)) => "Categorical(probs = …)",
        Distribution::Bernoulli(_) => "Bernoulli",
        Distribution::Uniform | Distribution::UniformBox { .. } | Distribution::UniformOver(_) => {
            "Uniform"
        }
        Distribution::Delta(_) => "Delta",
        Distribution::Real { family, .. } => family.name(),
        Distribution::Mixture(_) => "Mixture",
        Distribution::If { .. } => "if … then … else …",
        Distribution::Record(_) => "a kernel of several outputs",
        Distribution::Sticky { .. } => "Sticky",
        Distribution::Implicit(_) => "Implicit",
    };
    Unsupported(format!(
        "kernel `{}`: {written} is understood but cannot run yet; {others} can",
        kernel.name
    ))
}

/// Rows of a table: conditions `range`, and at each of them the roots' values.
pub(in crate::engine) struct Rows<'a> {
    pub range: Range<usize>,
    pub outcomes: usize,
    /// By root, row-major.
    pub roots: Vec<&'a [f64]>,
}

impl Head {
    /// Writes `log q` of every outcome at every condition.
    pub fn log_probabilities(&self, rows: &Rows<'_>, out: &mut [f64]) {
        let n = rows.outcomes;
        match self {
            Head::Uniform => out.fill(-(n as f64).ln()),
            Head::Categorical { logits } => {
                categorical::log_probabilities(rows.roots[*logits], n, out)
            }
            Head::Bernoulli { logit } => {
                for (out, &z) in out.chunks_exact_mut(n).zip(rows.roots[*logit]) {
                    (out[0], out[1]) = (-softplus(z), -softplus(-z));
                }
            }
            Head::Sticky { last, keep, fresh } => {
                fresh.log_probabilities(rows, out);
                for ((condition, &keep), out) in
                    rows.range.clone().zip(rows.roots[*keep]).zip(out.chunks_exact_mut(n))
                {
                    let Some(last) = value(last, condition) else { continue };
                    let stays = keep + (1.0 - keep) * out[last].exp();
                    out.iter_mut().for_each(|log_f| *log_f += (-keep).ln_1p());
                    out[last] = stays.ln();
                }
            }
        }
    }

    /// From the gradient `g` of the log-probabilities to that of the roots, added to `into`.
    /// `log_q` are the log-probabilities; in each row `g` may be shifted by any multiple of `q`,
    /// since `Σ q ∇log q = 0`.
    pub fn pull_back(
        &self,
        rows: &Rows<'_>,
        log_q: &[f64],
        gradient: &[f64],
        into: &mut [Vec<f64>],
    ) {
        let n = rows.outcomes;
        let each = log_q.chunks_exact(n).zip(gradient.chunks_exact(n)).enumerate();
        match self {
            Head::Uniform => {}
            Head::Categorical { logits } => {
                for (row, (log_q, g)) in each {
                    let total: f64 = g.iter().sum();
                    let into = &mut into[*logits][row * n..(row + 1) * n];
                    into.iter_mut()
                        .zip(log_q.iter().zip(g))
                        .for_each(|(into, (log_q, g))| *into += g - log_q.exp() * total);
                }
            }
            Head::Bernoulli { logit } => {
                for (row, (log_q, g)) in each {
                    into[*logit][row] += g[1] * log_q[0].exp() - g[0] * log_q[1].exp();
                }
            }
            Head::Sticky { last, keep, fresh } => {
                let mut log_f = vec![0.0; log_q.len()];
                fresh.log_probabilities(rows, &mut log_f);
                let mut of_fresh = gradient.to_vec();
                for (row, (log_q, g)) in each {
                    let Some(last) = value(last, rows.range.start + row) else { continue };
                    let k = rows.roots[*keep][row];
                    for (outcome, (&log_q, &g)) in log_q.iter().zip(g).enumerate() {
                        // what cannot be drawn has no gradient
                        if g == 0.0 {
                            continue;
                        }
                        // q = k [outcome = last] + (1 − k) f
                        let (q, f) = (log_q.exp(), log_f[row * n + outcome].exp());
                        let stays = if outcome == last { 1.0 } else { 0.0 };
                        into[*keep][row] += g * (stays - f) / q;
                        of_fresh[row * n + outcome] = g * (1.0 - k) * f / q;
                    }
                }
                fresh.pull_back(rows, &log_f, &of_fresh, into);
            }
        }
    }
}

/// The value on an axis in a condition; `None` for `none`.
fn value(axis: &Axis, condition: usize) -> Option<usize> {
    let value = condition / axis.stride % axis.size;
    (Some(value) != axis.none).then_some(value)
}

/// `log(1 + e^z)`
fn softplus(z: f64) -> f64 {
    z.max(0.0) + (-z.abs()).exp().ln_1p()
}
