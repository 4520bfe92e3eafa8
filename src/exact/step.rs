//! One step along a trellis under the posterior: forward, how likely each choice and each node is;
//! backward, what is expected of what follows.

use super::reach::Reach;
use super::trellis::Trellis;
use crate::finite::NotFinite;

/// The probability of each node at the first step.
pub(super) fn begin(trellis: &Trellis<'_>, visits: &mut [f64]) {
    let initial = &trellis.dynamics[trellis.posterior_dynamics()].initial;
    visits[trellis.first_memory * trellis.states..][..trellis.states].copy_from_slice(initial);
}

/// From the probability of each node to that of each choice, by `log_policy` of it, and of each row
/// that leads on, at `memory · rows + row`.
pub(super) fn choose(
    trellis: &Trellis<'_>,
    visits: &[f64],
    log_policy: &[f64],
    weight: &mut [f64],
    flow: &mut [f64],
) {
    let (states, count) = (trellis.states, trellis.choices.count());
    let rows = flow.len() / trellis.memories;
    weight.fill(0.0);
    flow.fill(0.0);
    // a node that is not reached may have no policy
    for (node, &visit) in visits.iter().enumerate().filter(|(_, visit)| **visit != 0.0) {
        let (memory, state) = (node / states, node % states);
        for choice in trellis.choices.start[state]..trellis.choices.start[state + 1] {
            let at = memory * count + choice;
            weight[at] = visit * log_policy[at].exp();
            if weight[at] != 0.0 {
                let (next, row) = trellis.choices.leads(memory, choice);
                flow[next * rows + row] += weight[at];
            }
        }
    }
}

/// From the probability of each row at step `t` to that of each node after it, which is added to
/// `visits`; `each` is told every entry of the posterior's table that is met, with its probability.
pub(super) fn pass_on(
    trellis: &Trellis<'_>,
    t: usize,
    flow: &[f64],
    visits: &mut [f64],
    mut each: impl FnMut(usize, f64),
) {
    let dynamics = &trellis.dynamics[trellis.posterior_dynamics()];
    let (sparse, probability) = (&dynamics.table.transition, dynamics.probability.at(t));
    let rows = sparse.rows();
    for (at, &flow) in flow.iter().enumerate().filter(|(_, flow)| **flow != 0.0) {
        let (memory, row) = (at / rows, at % rows);
        let entries = sparse.start[row]..sparse.start[row + 1];
        for entry in entries.filter(|&entry| probability[entry] != 0.0) {
            let weight = flow * probability[entry];
            visits[memory * trellis.states + sparse.column[entry] as usize] += weight;
            each(entry, weight);
        }
    }
}

/// `E_q[Λ_t + log p(s'|·) − log q(s'|·) + value(memory, s')]` of every row of the posterior's
/// table, at `memory · rows + row`; of those that are reached, where it is known which.
pub(super) fn expectations(
    trellis: &mut Trellis<'_>,
    reach: Option<&Reach>,
    t: usize,
    value: &[f64],
    out: &mut [f64],
) -> Result<(), NotFinite> {
    let states = trellis.states;
    let at = trellis.posterior_dynamics();
    let moves = trellis.moves_with_time();
    let dynamics = &mut trellis.dynamics[at];
    let (sparse, probability) = (&dynamics.table.transition, dynamics.probability.at(t));
    let rows = sparse.rows();
    if moves || !(dynamics.likelihood.is_stationary() && dynamics.expected_likelihood.len() == rows)
    {
        let likelihood = dynamics.likelihood.at(t)?;
        let log_ratio = trellis.log_ratio.as_ref().map(|log_ratio| log_ratio.at(t));
        let term = |entry: usize| {
            // what is impossible at this step alone may have no ratio
            if probability[entry] == 0.0 {
                return 0.0;
            }
            likelihood.get(entry).copied().unwrap_or(0.0)
                + log_ratio.map_or(0.0, |log_ratio| log_ratio[entry])
        };
        let row = |row: usize| {
            (sparse.start[row]..sparse.start[row + 1])
                .map(|entry| probability[entry] * term(entry))
                .sum::<f64>()
        };
        dynamics.expected_likelihood.clear();
        dynamics.expected_likelihood.extend((0..rows).map(row));
    }
    let everywhere = vec![0; if reach.is_none() { rows } else { 0 }];
    for (memory, (value, out)) in value.chunks(states).zip(out.chunks_mut(rows)).enumerate() {
        let reached =
            reach.map_or(&everywhere[..], |reach| &reach.row[memory * rows..(memory + 1) * rows]);
        if dynamics.probability.move_with_time() {
            for (row, out) in
                out.iter_mut().enumerate().filter(|(row, _)| reached[*row] <= t as u32)
            {
                let possible = (sparse.start[row]..sparse.start[row + 1])
                    .filter(|&entry| probability[entry] != 0.0);
                *out = possible
                    .map(|entry| probability[entry] * value[sparse.column[entry] as usize])
                    .sum();
            }
        } else {
            dynamics.rows.sum(probability, value, reached, t as u32, out);
        }
        out.iter_mut()
            .zip(&dynamics.expected_likelihood)
            .for_each(|(out, expected)| *out += expected);
    }
    Ok(())
}

/// `E_q[log p(s[1]) − log q(s[1]) + value(s[1])]`
pub(super) fn start(trellis: &Trellis<'_>, value: &[f64]) -> f64 {
    started(trellis, value).map(|(_, q, worth)| q * worth).sum()
}

/// Where the posterior starts: the state, its probability, and `log p(s[1]) − log q(s[1]) +
/// value(s[1])`.
pub(super) fn started<'t>(
    trellis: &'t Trellis<'_>,
    value: &'t [f64],
) -> impl Iterator<Item = (usize, f64, f64)> + 't {
    let (p, q) = (
        &trellis.dynamics[trellis.prior_dynamics()],
        &trellis.dynamics[trellis.posterior_dynamics()],
    );
    let value = &value[trellis.first_memory * trellis.states..];
    let worth = |state: usize| p.log_initial[state] - q.log_initial[state] + value[state];
    (0..trellis.states)
        .filter(|&state| q.initial[state] > 0.0)
        .map(move |state| (state, q.initial[state], worth(state)))
}
