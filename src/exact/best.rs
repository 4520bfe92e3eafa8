//! `max L`: the best bound of any time-dependent policy that keeps the posterior's other factors, by soft value iteration:
//! `V_t(z) = log Σ_a p(a|z) exp(E_q[Λ_t + log p(s'|·) − log q(s'|·) + V_{t+1}(z')])`, an expectation in place of the log-sum-exp for what is kept.
//! The policy may read all that the posterior has drawn so far. The prior stays as it is, also where it shares the kernel.

use super::evidence::log_sum_exp;
use super::policy::expectations;
use super::trellis::{Trellis, add_unless_impossible};
use crate::finite::NotFinite;

/// The best bound in nats.
pub(super) fn best_bound(trellis: &mut Trellis<'_>) -> Result<f64, NotFinite> {
    let (memories, states, horizon) = (trellis.memories, trellis.states, trellis.horizon);
    let rows = trellis.dynamics[0].table.transition.rows();
    let count = trellis.choices.count();
    let mut value = vec![0.0; trellis.nodes()];
    let mut ahead = vec![0.0; memories * rows];
    let mut buffers: Vec<Vec<f64>> = trellis.levels.iter().map(|level| vec![0.0; level.first.len()]).collect();
    let mut members = Vec::new();
    let mut log_q = vec![0.0; memories * count];
    let mut weight = vec![0.0; memories * count];
    for t in (1..=horizon).rev() {
        trellis.arrive(t + 1, &mut value)?;
        expectations(trellis, t, &value, &mut ahead)?;
        // what is kept of the posterior is subtracted at the choices
        log_q.fill(0.0);
        for level in &mut trellis.levels {
            let terms = level.sum.at(t)?;
            if !level.free.iter().any(|slices| slices.contains(&t)) {
                add_unless_impossible(&mut log_q, terms);
            }
        }
        trellis.weigh(t, &mut weight)?;
        for memory in 0..memories {
            let leaf = |choice: usize| {
                let at = memory * count + choice;
                // the prior cannot go there: whatever follows, which may mean nothing
                if weight[at] == f64::NEG_INFINITY {
                    return f64::NEG_INFINITY;
                }
                let next = if trellis.choices.next.is_empty() { memory } else { trellis.choices.next[at] as usize };
                let row = next * rows + trellis.choices.row[choice] as usize;
                weight[at] - log_q[at] + ahead[row]
            };
            let last = trellis.levels.len() - 1;
            buffers[last].iter_mut().enumerate().for_each(|(choice, value)| *value = leaf(choice));
            for (at, level) in trellis.levels.iter().enumerate().rev() {
                let free = level.is_free(t);
                let weights = level.sum.latest();
                let (above, here) = buffers.split_at_mut(at);
                let here = &here[0];
                let out = above.last_mut().map_or(&mut value[memory * states..(memory + 1) * states], |above| above.as_mut_slice());
                let mut group = 0;
                while group < level.parent.len() {
                    let parent = level.parent[group];
                    members.clear();
                    let mut expected = 0.0;
                    while group < level.parent.len() && level.parent[group] == parent {
                        if free {
                            members.push(here[group]);
                        } else {
                            let weight = weights[memory * count + level.first[group] as usize].exp();
                            if weight != 0.0 {
                                expected += weight * here[group];
                            }
                        }
                        group += 1;
                    }
                    out[parent as usize] = if free { log_sum_exp(&members) } else { expected };
                }
            }
        }
    }
    start(trellis, &value)
}

/// `E_q[log p(s[1]) − log q(s[1]) + value(s[1])]`
pub(super) fn start(trellis: &Trellis<'_>, value: &[f64]) -> Result<f64, NotFinite> {
    let p = &trellis.dynamics[trellis.prior_dynamics()].initial;
    let q = &trellis.dynamics[trellis.posterior_dynamics()].initial;
    let value = &value[trellis.first_memory * trellis.states..];
    let terms = p.iter().zip(q).zip(value).filter(|((_, q), _)| **q > 0.0);
    Ok(terms.map(|((p, q), value)| q * ((p / q).ln() + value)).sum())
}
