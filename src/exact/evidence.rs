//! `log p(R̂) = log E_P[exp ΣΛ]`, backwards: `β_t(z) = log Σ_u p(u|z) Σ_s' p(s'|s,a) exp(Λ_t +
//! β_{t+1}(z'))`.
//!
//! The sums are sums of products, over what is known once: with `w(z') = exp(β_{t+1}(z') − max
//! β_{t+1})`, `k(s'|s,a) = p(s'|s,a) exp(Λ_t − m(s,a))` and `c(u) = p(u|z) exp(m(s,a) − n(z))`, `m`
//! and `n` the largest exponents, it is `β_t(z) = max β_{t+1} + n(z) + log Σ_u c(u) Σ_s' k(s'|s,a)
//! w(z')`. Where that sum is so small that terms may have been lost in it, it is done again in
//! logarithms.

use super::exponentials::{SAFE, exponentials, log_sum_exp, logarithms, peak};
use super::reach::Reach;
use super::trellis::{Choices, Dynamics, Trellis};
use crate::finite::NotFinite;

/// The evidence in nats.
pub(super) fn log_evidence(trellis: &mut Trellis<'_>) -> Result<f64, NotFinite> {
    let (memories, states, horizon) = (trellis.memories, trellis.states, trellis.horizon);
    let side = trellis.prior_dynamics();
    let reach = Reach::new(trellis, side);
    let rows = trellis.dynamics[side].table.transition.rows();
    let count = trellis.choices.count();
    let mut kernel = RowKernel::default();
    let mut odds = Odds {
        weight: vec![0.0; memories * count],
        factor: vec![0.0; memories * count],
        high: vec![0.0; trellis.nodes()],
    };
    let mut after = vec![0.0; trellis.nodes()];
    let mut beta = vec![0.0; trellis.nodes()];
    let mut scaled = vec![0.0; trellis.nodes()];
    let mut sums = vec![0.0; memories * rows];
    let mut again = Vec::new();
    forget(&mut after, &reach, horizon + 1);
    for t in (1..=horizon).rev() {
        trellis.arrive(t + 1, &mut after)?;
        let moves = trellis.dynamics[side].probability.move_with_time();
        let stale = t == horizon || moves || trellis.dynamics[side].likelihood.changes(t);
        trellis.dynamics[side].likelihood.at(t)?;
        if stale {
            kernel.set(&trellis.dynamics[side], t);
        }
        if stale || trellis.weighs_anew(t) {
            trellis.weigh(t, &mut odds.weight)?;
            odds.set(&trellis.choices, &kernel);
        }

        let peak = peak(&after);
        exponentials(&after, peak, &mut scaled);
        let dynamics = &trellis.dynamics[side];
        for memory in 0..memories {
            let (nodes, rows) =
                (memory * states..(memory + 1) * states, memory * rows..(memory + 1) * rows);
            dynamics.rows.sum(
                kernel.weight(dynamics, t),
                &scaled[nodes],
                &reach.row[rows.clone()],
                t as u32,
                &mut sums[rows],
            );
        }
        let choices = &trellis.choices;
        again.clear();
        for memory in 0..memories {
            let nodes = memory * states..(memory + 1) * states;
            let factor = &odds.factor[memory * count..(memory + 1) * count];
            let product = |choice: usize| {
                let (next, row) = choices.leads(memory, choice);
                factor[choice] * sums[next * rows + row]
            };
            for ((state, beta), &first) in
                beta[nodes.clone()].iter_mut().enumerate().zip(&reach.node[nodes])
            {
                *beta = 1.0;
                if first <= t as u32 {
                    let mut sum = 0.0;
                    for choice in choices.start[state]..choices.start[state + 1] {
                        sum += product(choice);
                    }
                    if sum >= SAFE { *beta = sum } else { again.push(memory * states + state) }
                }
            }
        }
        logarithms(&mut beta);
        beta.iter_mut().zip(&odds.high).for_each(|(beta, high)| *beta += peak + high);
        for &node in &again {
            beta[node] = in_logarithms(trellis, (side, t), &odds.weight, node, &after);
        }
        forget(&mut beta, &reach, t);
        std::mem::swap(&mut beta, &mut after);
    }
    let initial = &trellis.dynamics[side].initial;
    let start = &after[trellis.first_memory * states..];
    let values: Vec<f64> = initial
        .iter()
        .zip(start)
        .filter(|(p, _)| **p > 0.0)
        .map(|(p, beta)| p.ln() + beta)
        .collect();
    Ok(log_sum_exp(&values))
}

/// Nodes that are not reached must not count for the largest.
fn forget(beta: &mut [f64], reach: &Reach, slice: usize) {
    let unknown = beta.iter_mut().zip(&reach.node).filter(|(_, first)| **first > slice as u32);
    unknown.for_each(|(beta, _)| *beta = f64::NEG_INFINITY);
}

/// `k` and `m`.
#[derive(Default)]
struct RowKernel {
    /// By entry; absent where the likelihood is the same at all entries of each row: there it is
    /// the table's probability.
    weight: Option<Vec<f64>>,
    /// By row.
    high: Vec<f64>,
}

impl RowKernel {
    /// Of the latest likelihood, at step `t`.
    fn set(&mut self, dynamics: &Dynamics<'_>, t: usize) {
        let sparse = &dynamics.table.transition;
        let likelihood = dynamics.likelihood.latest();
        self.high = vec![0.0; sparse.rows()];
        if likelihood.is_empty() {
            return;
        }
        let mut even = true;
        for (high, bounds) in self.high.iter_mut().zip(sparse.start.windows(2)) {
            let likelihood = &likelihood[bounds[0]..bounds[1]];
            let most = likelihood.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            *high = if most.is_finite() { most } else { 0.0 };
            even &= likelihood.iter().all(|l| l == high);
        }
        if even {
            self.weight = None;
            return;
        }
        let weight = self.weight.get_or_insert_with(|| vec![0.0; likelihood.len()]);
        for (high, bounds) in self.high.iter().zip(sparse.start.windows(2)) {
            let entries = bounds[0]..bounds[1];
            exponentials(&likelihood[entries.clone()], *high, &mut weight[entries]);
        }
        weight.iter_mut().zip(dynamics.probability.at(t)).for_each(|(weight, p)| *weight *= p);
    }

    fn weight<'a>(&'a self, dynamics: &'a Dynamics<'_>, t: usize) -> &'a [f64] {
        self.weight.as_deref().unwrap_or(dynamics.probability.at(t))
    }
}

/// `log p(u|z)` with all else that weighs a choice, `c` and `n`.
struct Odds {
    /// At `memory · choices + choice`.
    weight: Vec<f64>,
    factor: Vec<f64>,
    /// By node.
    high: Vec<f64>,
}

impl Odds {
    /// Of the latest weights.
    fn set(&mut self, choices: &Choices, kernel: &RowKernel) {
        let states = choices.start.len() - 1;
        for (node, high) in self.high.iter_mut().enumerate() {
            let (memory, state) = (node / states, node % states);
            let at = memory * choices.count() + choices.start[state]
                ..memory * choices.count() + choices.start[state + 1];
            let rows = &choices.row[choices.start[state]..choices.start[state + 1]];
            let (weight, factor) = (&self.weight[at.clone()], &mut self.factor[at]);
            for ((factor, weight), &row) in factor.iter_mut().zip(weight).zip(rows) {
                *factor = weight + kernel.high[row as usize];
            }
            let most = factor.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            *high = if most.is_finite() { most } else { 0.0 };
            factor.iter_mut().for_each(|factor| *factor = (*factor - *high).exp());
        }
    }
}

/// `β` of one node.
fn in_logarithms(
    trellis: &Trellis<'_>,
    (side, t): (usize, usize),
    weight: &[f64],
    node: usize,
    after: &[f64],
) -> f64 {
    let (states, choices) = (trellis.states, &trellis.choices);
    let (memory, state) = (node / states, node % states);
    let mut values = Vec::new();
    for choice in choices.start[state]..choices.start[state + 1] {
        let weight = weight[memory * choices.count() + choice];
        // the prior cannot go there: whatever follows, which may mean nothing
        if weight != f64::NEG_INFINITY {
            let (next, row) = choices.leads(memory, choice);
            let expected = log_expectation(
                &trellis.dynamics[side],
                (row, t),
                &after[next * states..(next + 1) * states],
            );
            values.push(weight + expected);
        }
    }
    log_sum_exp(&values)
}

/// `log Σ_s' p(s'|row) exp(Λ + next(s'))`
fn log_expectation(dynamics: &Dynamics<'_>, (row, t): (usize, usize), next: &[f64]) -> f64 {
    let sparse = &dynamics.table.transition;
    let (likelihood, probability) = (dynamics.likelihood.latest(), dynamics.probability.at(t));
    let entries = sparse.start[row]..sparse.start[row + 1];
    let log = |entry: usize| {
        probability[entry].ln()
            + next[sparse.column[entry] as usize]
            + likelihood.get(entry).copied().unwrap_or(0.0)
    };
    log_sum_exp(&entries.map(log).collect::<Vec<_>>())
}
