//! `max L`: the best bound of any time-dependent policy that keeps the posterior's other factors,
//! by soft value iteration: `V_t(z) = log Σ_a p(a|z) exp(E_q[Λ_t + log p(s'|·) − log q(s'|·) +
//! V_{t+1}(z')])`, an expectation in place of the log-sum-exp for what is kept. The policy may read
//! all that the posterior has drawn so far. The prior stays as it is, also where it shares the
//! kernel.

use super::exponentials::log_sums;
use super::reach::Reach;
use super::step::{expectations, start};
use super::trellis::{Level, Trellis, add_unless_impossible};
use crate::finite::NotFinite;

/// The best bound in nats.
pub(super) fn best_bound(trellis: &mut Trellis<'_>) -> Result<f64, NotFinite> {
    iterate(trellis, None)
}

/// The best bound, and the policy that attains it: `log π_t` of each choice at its node, at `((t
/// − 1) · memories + memory) · choices + choice`; −∞ where nothing is reached.
pub(super) fn best_policy_steps(
    trellis: &mut Trellis<'_>,
    log_policy: &mut [f64],
) -> Result<f64, NotFinite> {
    iterate(trellis, Some(log_policy))
}

fn iterate(
    trellis: &mut Trellis<'_>,
    mut log_policy: Option<&mut [f64]>,
) -> Result<f64, NotFinite> {
    let (memories, states, horizon) = (trellis.memories, trellis.states, trellis.horizon);
    let reach = Reach::new(trellis, trellis.posterior_dynamics());
    let rows = trellis.dynamics[0].table.transition.rows();
    let count = trellis.choices.count();
    let mut value = vec![0.0; trellis.nodes()];
    let mut ahead = vec![0.0; memories * rows];
    let groups: Vec<Vec<u32>> = trellis.levels.iter().map(members).collect();
    let mut above: Vec<Vec<f64>> = trellis.levels[1..]
        .iter()
        .map(|level| vec![0.0; 1 + level.parent[level.parent.len() - 1] as usize])
        .collect();
    let mut leaves = vec![0.0; count];
    let mut log_q = vec![0.0; memories * count];
    // `log p − log q` of all that is kept
    let mut weight = vec![0.0; memories * count];
    for t in (1..=horizon).rev() {
        trellis.arrive(t + 1, &mut value)?;
        expectations(trellis, Some(&reach), t, &value, &mut ahead)?;
        if t == horizon
            || trellis.weighs_anew(t)
            || trellis
                .levels
                .iter()
                .any(|level| level.sum.changes(t) || level.is_free(t) != level.is_free(t + 1))
        {
            log_q.fill(0.0);
            for level in &mut trellis.levels {
                let free = level.is_free(t);
                let terms = level.sum.at(t)?;
                if !free {
                    add_unless_impossible(&mut log_q, terms);
                }
            }
            trellis.weigh(t, &mut weight)?;
            let possible =
                weight.iter_mut().zip(&log_q).filter(|(weight, _)| **weight != f64::NEG_INFINITY);
            possible.for_each(|(weight, log_q)| *weight -= log_q);
        }
        let choices = &trellis.choices;
        for memory in 0..memories {
            let nodes = memory * states..(memory + 1) * states;
            let reached = &reach.node[nodes.clone()];
            let weight = &weight[memory * count..(memory + 1) * count];
            for ((choice, leaf), &weight) in leaves.iter_mut().enumerate().zip(weight) {
                let (next, row) = choices.leads(memory, choice);
                // where the prior cannot go, whatever follows may mean nothing
                *leaf = if weight == f64::NEG_INFINITY {
                    weight
                } else {
                    weight + ahead[next * rows + row]
                };
            }
            for (at, level) in trellis.levels.iter().enumerate().rev() {
                let (outer, inner) = above.split_at_mut(at);
                let out = outer
                    .last_mut()
                    .map_or(&mut value[nodes.clone()], |outer| outer.as_mut_slice());
                let inner = inner.first().unwrap_or(&leaves);
                if level.is_free(t) {
                    log_sums(inner, &groups[at], out);
                    continue;
                }
                let log_q = &level.sum.latest()[memory * count..(memory + 1) * count];
                for (out, bounds) in out.iter_mut().zip(groups[at].windows(2)) {
                    let group = bounds[0] as usize..bounds[1] as usize;
                    let first = &level.first[group.clone()];
                    let terms = first
                        .iter()
                        .zip(&inner[group])
                        .map(|(&first, value)| (log_q[first as usize].exp(), value));
                    *out = terms.filter(|(q, _)| *q != 0.0).map(|(q, value)| q * value).sum();
                }
            }
            if let Some(log_policy) = &mut log_policy {
                let at = ((t - 1) * memories + memory) * count;
                let values =
                    Values { leaves: &leaves, above: &above, nodes: &value[nodes.clone()] };
                values.write_policy(&trellis.levels, t, memory, &mut log_policy[at..at + count]);
            }
            // what is not reached must not set the scale of its neighbours, nor be a NaN
            let apart =
                value[nodes].iter_mut().zip(reached).filter(|(_, first)| **first > t as u32);
            apart.for_each(|(value, _)| *value = f64::NEG_INFINITY);
        }
    }
    Ok(start(trellis, &value))
}

/// The soft values of one memory at one step: of its choices, of the groups of each level but the
/// last (from the first on), of its states.
struct Values<'a> {
    leaves: &'a [f64],
    above: &'a [Vec<f64>],
    nodes: &'a [f64],
}

impl Values<'_> {
    /// Writes `log π` of each choice: what is free is drawn by its soft value, all else as the
    /// posterior has it.
    fn write_policy(&self, levels: &[Level<'_>], t: usize, memory: usize, out: &mut [f64]) {
        let count = out.len();
        for (choice, out) in out.iter_mut().enumerate() {
            *out = 0.0;
            let mut group = choice;
            for (at, level) in levels.iter().enumerate().rev() {
                let parent = level.parent[group] as usize;
                let inner = self.above.get(at).map_or(self.leaves, Vec::as_slice)[group];
                let outer = if at == 0 { self.nodes[parent] } else { self.above[at - 1][parent] };
                *out += match level.is_free(t) {
                    // nothing that the prior can do is worth anything
                    true if outer == f64::NEG_INFINITY => f64::NEG_INFINITY,
                    true => inner - outer,
                    false => level.sum.latest()[memory * count + level.first[group] as usize],
                };
                group = parent;
            }
        }
    }
}

/// The first group of each group one level up, and the end.
fn members(level: &Level<'_>) -> Vec<u32> {
    let mut first: Vec<u32> = (0..level.parent.len())
        .filter(|&at| at == 0 || level.parent[at] != level.parent[at - 1])
        .map(|at| at as u32)
        .collect();
    first.push(level.parent.len() as u32);
    first
}
