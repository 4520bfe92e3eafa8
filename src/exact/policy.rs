//! `L(q)` and `∇L(q)` of given tables: a forward pass of the node probabilities, a backward pass of
//! the values.

use super::size::verify_kept;
use super::step::{begin, choose, expectations, pass_on, start, started};
use super::term::{Sum, Term};
use super::trellis::Trellis;
use crate::finite::{KernelTable, KernelTables, NotFinite};
use std::collections::BTreeMap;

/// What the posterior with the given tables is worth.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// `L(q)`, nats.
    pub bound: f64,
    /// `E_q[Σ_t r[t]]`, all rewards of the posterior's environment.
    pub expected_return: f64,
    /// Of each of its rewards, in their order.
    pub returns: Vec<f64>,
    /// `E_q[ΣΛ]`, nats.
    pub expected_log_likelihood: f64,
    /// `E_q[Σ log Q − Σ log P]`, nats: what the bound pays, `bound = expected_log_likelihood − kl`.
    pub kl: f64,
    /// Steps before the end of an episode, expected.
    pub live_steps: f64,
    /// `E_q[Σ_t KL(q(s'|s,a) ‖ p(s'|s,a))]`, nats; absent where prior and posterior have the same
    /// transitions.
    pub transition_kl: Option<f64>,
    /// The probability of each state at each step, row `t − 1` for `s[t]`, `t = 1..T+1`.
    pub occupancy: Vec<Vec<f64>>,
    /// `V_t(s)`, the part of the bound from step `t` on given `s[t]`, nats, row `t − 1`; averaged
    /// over what else is remembered, and 0 where that has no probability. Row `T` is 0, or what a
    /// likelihood gives to the last state.
    pub value: Vec<Vec<f64>>,
    /// `∂L/∂logit` of every entry of the tables in use, a table per kernel as its log-probabilities
    /// are: the logits are unnormalised log-probabilities of each condition, so that each row sums
    /// to 0. Not a number where the bound is −∞.
    pub gradient: BTreeMap<crate::model::KernelId, Vec<f64>>,
}

/// Evaluates the posterior; the trellis was compiled with tables and over all that the posterior
/// draws.
pub(super) fn evaluate(
    trellis: &mut Trellis<'_>,
    tables: &KernelTables,
) -> Result<Evaluation, NotFinite> {
    let (states, horizon, nodes) = (trellis.states, trellis.horizon, trellis.nodes());
    verify_kept(nodes, horizon)?;
    let rows = trellis.dynamics[0].table.transition.rows();
    let count = trellis.choices.count();
    let points = trellis.memories * count;

    // forward: the probability of each node
    let mut visits = vec![0.0; nodes * (horizon + 1)];
    let q = trellis.posterior_dynamics();
    begin(trellis, &mut visits);
    let mut log_q = vec![0.0; points];
    let mut weight = vec![0.0; points];
    let mut flow = vec![0.0; trellis.memories * rows];
    let moves = trellis.moves_with_time();
    let mut rewards = expected_rewards(trellis, 1);
    let mut divergences = divergences(trellis, 1);
    let (mut returns, mut expected_log_likelihood) = (vec![0.0; rewards.len()], 0.0);
    let (mut live_steps, mut transition_kl) = (0.0, divergences.as_ref().map(|_| 0.0));
    for t in 1..=horizon {
        if moves {
            (rewards, divergences) = (expected_rewards(trellis, t), self::divergences(trellis, t));
        }
        trellis.go_on()?;
        trellis.log_q(t, &mut log_q)?;
        let (here, after) = visits[(t - 1) * nodes..].split_at_mut(nodes);
        let after = &mut after[..nodes];
        choose(trellis, here, &log_q, &mut weight, &mut flow);
        let likelihood = trellis.likelihood.choice.at(t)?;
        for (at, &weight) in weight.iter().enumerate().filter(|(_, weight)| **weight != 0.0) {
            expected_log_likelihood += weight * likelihood.get(at).copied().unwrap_or(0.0);
        }
        trellis.dynamics[q].likelihood.at(t)?;
        let dynamics = &trellis.dynamics[q];
        for (row, &weight) in flow.iter().enumerate().filter(|(_, weight)| **weight != 0.0) {
            let row = row % rows;
            returns
                .iter_mut()
                .zip(&rewards)
                .for_each(|(sum, rewards)| *sum += weight * rewards[row]);
            if !dynamics.table.ended[row / dynamics.table.actions] {
                live_steps += weight;
            }
            if let (Some(sum), Some(divergences)) = (&mut transition_kl, &divergences) {
                *sum += weight * divergences[row];
            }
        }
        let likelihood = dynamics.likelihood.latest();
        pass_on(trellis, t, &flow, after, |entry, weight| {
            expected_log_likelihood += weight * likelihood.get(entry).copied().unwrap_or(0.0);
        });
        let arrival = trellis.likelihood.arrival.at(t + 1)?;
        expected_log_likelihood += after
            .iter()
            .zip(arrival)
            .filter(|(w, _)| **w != 0.0)
            .map(|(w, term)| w * term)
            .sum::<f64>();
    }

    // backward: the values, and the gradient of the log-probabilities
    let mut gradient: BTreeMap<_, Vec<f64>> = used(trellis)
        .map(|id| (id, vec![0.0; tables.current[&id].log_probability.len()]))
        .collect();
    let (mut value, mut next_value) = (vec![0.0; nodes], vec![0.0; nodes]);
    let mut ahead = vec![0.0; trellis.memories * rows];
    let mut values = vec![Vec::new(); horizon + 1];
    let mut credit = vec![0.0; points];
    let mut log_p = vec![0.0; points];
    for t in (1..=horizon).rev() {
        trellis.arrive(t + 1, &mut value)?;
        for part in trellis.parts() {
            direct(&part.arrival, t + 1, &visits[t * nodes..(t + 1) * nodes], &mut gradient);
        }
        values[t] = marginal(&value, &visits[t * nodes..(t + 1) * nodes], states);
        expectations(trellis, None, t, &value, &mut ahead)?;
        trellis.log_q(t, &mut log_q)?;
        trellis.weigh(t, &mut log_p)?;
        let here = &visits[(t - 1) * nodes..t * nodes];
        next_value.copy_from_slice(&value);
        value.fill(0.0);
        weight.fill(0.0);
        // where something is remembered, what is not reached counts in no mean value either
        let counts = |visit: f64| visit != 0.0 || trellis.memories == 1;
        for (node, (value, &visit)) in
            value.iter_mut().zip(here).enumerate().filter(|(_, (_, visit))| counts(**visit))
        {
            let (memory, state) = (node / states, node % states);
            for choice in trellis.choices.start[state]..trellis.choices.start[state + 1] {
                let at = memory * count + choice;
                let q = log_q[at].exp();
                if q != 0.0 {
                    let (next, row) = trellis.choices.leads(memory, choice);
                    weight[at] = if visit == 0.0 { 0.0 } else { visit * q };
                    credit[at] = log_p[at] - log_q[at] + ahead[next * rows + row];
                    *value += q * credit[at];
                }
            }
        }
        for part in trellis.parts() {
            direct(&part.choice, t, &weight, &mut gradient);
        }
        if trellis.transition.kernels().next().is_some() {
            transitions(trellis, (t, &weight), (&next_value, &ahead), &mut gradient);
        }
        // the value of the node as a baseline: it cancels in exact arithmetic
        for (node, value) in value.iter().enumerate().filter(|(node, _)| here[*node] != 0.0) {
            let (memory, state) = (node / states, node % states);
            for at in memory * count + trellis.choices.start[state]
                ..memory * count + trellis.choices.start[state + 1]
            {
                weight[at] =
                    if weight[at] != 0.0 { weight[at] * (credit[at] - value) } else { 0.0 };
            }
        }
        for level in &trellis.levels {
            direct(&level.sum, t, &weight, &mut gradient);
        }
    }
    values[0] = marginal(&value, &visits[..nodes], states);
    let bound = start(trellis, &value);
    if let Some(prior) = &trellis.start.prior {
        prior.add(1, started(trellis, &value).map(|(state, q, _)| (state, q)), &mut gradient);
    }
    if let Some(posterior) = &trellis.start.posterior {
        posterior.add(
            1,
            started(trellis, &value).map(|(state, q, worth)| (state, q * (worth - bound))),
            &mut gradient,
        );
    }
    for (id, gradient) in &mut gradient {
        through_softmax(&tables.current[id], gradient);
        if bound == f64::NEG_INFINITY {
            gradient.fill(f64::NAN);
        }
    }
    let occupancy = visits.chunks(nodes).map(|visits| sum_memories(visits, states)).collect();
    Ok(Evaluation {
        bound,
        expected_return: returns.iter().sum(),
        returns,
        expected_log_likelihood,
        kl: expected_log_likelihood - bound,
        live_steps,
        transition_kl,
        occupancy,
        value: values,
        gradient,
    })
}

/// Adds the gradient of the transitions' own log-probabilities: as the prior's they stand in the
/// bound, as the posterior's they lead to what follows. `weight` is the probability of each choice;
/// the values are those of the nodes after the step, and of its rows.
fn transitions(
    trellis: &Trellis<'_>,
    (t, weight): (usize, &[f64]),
    (value, ahead): (&[f64], &[f64]),
    gradient: &mut BTreeMap<crate::model::KernelId, Vec<f64>>,
) {
    let dynamics = &trellis.dynamics[trellis.posterior_dynamics()];
    let (sparse, probability) = (&dynamics.table.transition, dynamics.probability.at(t));
    let (rows, count, states) = (sparse.rows(), trellis.choices.count(), trellis.states);
    let likelihood = dynamics.likelihood.latest();
    let mut flow = vec![0.0; trellis.memories * rows];
    for (at, &weight) in weight.iter().enumerate().filter(|(_, weight)| **weight != 0.0) {
        let (next, row) = trellis.choices.leads(at / count, at % count);
        flow[next * rows + row] += weight;
    }
    let (mut visits, mut credit) = (vec![0.0; sparse.column.len()], vec![0.0; sparse.column.len()]);
    for (at, &flow) in flow.iter().enumerate().filter(|(_, flow)| **flow != 0.0) {
        let (memory, row) = (at / rows, at % rows);
        for entry in
            (sparse.start[row]..sparse.start[row + 1]).filter(|&entry| probability[entry] != 0.0)
        {
            let weight = flow * probability[entry];
            let ratio = trellis.log_ratio.as_ref().map_or(0.0, |log_ratio| log_ratio.at(t)[entry]);
            let term = likelihood.get(entry).copied().unwrap_or(0.0) + ratio;
            visits[entry] += weight;
            // the mean of the row as a baseline: it cancels in exact arithmetic
            credit[entry] += weight
                * (term + value[memory * states + sparse.column[entry] as usize] - ahead[at]);
        }
    }
    if let Some(prior) = &trellis.transition.prior {
        prior.add(t, visits.into_iter().enumerate(), gradient);
    }
    if let Some(posterior) = &trellis.transition.posterior {
        posterior.add(t, credit.into_iter().enumerate(), gradient);
    }
}

/// By row of the posterior's table, `KL(q(s'|row) ‖ p(s'|row))`, where the two sides move
/// differently.
fn divergences(trellis: &Trellis<'_>, t: usize) -> Option<Vec<f64>> {
    let log_ratio = trellis.log_ratio.as_ref()?.at(t);
    let dynamics = &trellis.dynamics[trellis.posterior_dynamics()];
    let (sparse, probability) = (&dynamics.table.transition, dynamics.probability.at(t));
    let of_row = |bounds: &[usize]| {
        let possible = (bounds[0]..bounds[1]).filter(|&entry| probability[entry] != 0.0);
        possible.map(|entry| -probability[entry] * log_ratio[entry]).sum()
    };
    Some(sparse.start.windows(2).map(of_row).collect())
}

/// Adds to each entry of the current tables that `sum` reads the weight of the points which read
/// it.
pub(super) fn direct(
    sum: &Sum<'_>,
    slice: usize,
    weight: &[f64],
    gradient: &mut BTreeMap<crate::model::KernelId, Vec<f64>>,
) {
    for term in &sum.terms {
        let Term::Lookup(lookup) = term else { continue };
        let Some(gradient) = gradient
            .get_mut(&lookup.kernel)
            .filter(|_| !lookup.previous && lookup.standing.slices.contains(&slice))
        else {
            continue;
        };
        for (point, &weight) in weight.iter().enumerate() {
            if weight != 0.0
                && let Some(entry) = lookup.entry(point, slice)
            {
                gradient[entry] += sum.power * weight;
            }
        }
    }
}

/// The current kernels that the bound reads.
pub(super) fn used<'a>(
    trellis: &'a Trellis<'_>,
) -> impl Iterator<Item = crate::model::KernelId> + 'a {
    let of_steps = trellis.sums().flat_map(Sum::lookups);
    of_steps.chain(trellis.transition.kernels()).chain(trellis.start.kernels())
}

/// From `∂L/∂log q(o|c)` to `∂L/∂logit`: `g_o − q(o|c) Σ g`.
pub(super) fn through_softmax(table: &KernelTable, gradient: &mut [f64]) {
    for (row, log_q) in
        gradient.chunks_mut(table.outcomes).zip(table.log_probability.chunks(table.outcomes))
    {
        let sum: f64 = row.iter().sum();
        row.iter_mut().zip(log_q).for_each(|(g, log_q)| *g -= log_q.exp() * sum);
    }
}

/// The mean of each reward of the posterior's environment, by row of its table.
fn expected_rewards(trellis: &Trellis<'_>, t: usize) -> Vec<Vec<f64>> {
    let dynamics = &trellis.dynamics[trellis.posterior_dynamics()];
    let (table, probability) = (&dynamics.table, dynamics.probability.at(t));
    let sparse = &table.transition;
    let mean = |reward: &[f64]| {
        let of_row = |row: usize| {
            (sparse.start[row]..sparse.start[row + 1])
                .map(|entry| probability[entry] * reward[entry])
                .sum()
        };
        (0..sparse.rows()).map(of_row).collect()
    };
    table.rewards.iter().map(|reward| mean(reward)).collect()
}

fn sum_memories(visits: &[f64], states: usize) -> Vec<f64> {
    let mut sum = vec![0.0; states];
    visits
        .chunks(states)
        .for_each(|visits| sum.iter_mut().zip(visits).for_each(|(sum, v)| *sum += v));
    sum
}

/// The mean value of each state over what is remembered.
fn marginal(value: &[f64], visits: &[f64], states: usize) -> Vec<f64> {
    if value.len() == states {
        return value.to_vec();
    }
    let weights = sum_memories(visits, states);
    let mut mean = vec![0.0; states];
    for (value, visits) in value.chunks(states).zip(visits.chunks(states)) {
        for (s, (value, visits)) in
            value.iter().zip(visits).enumerate().filter(|(_, (_, visits))| **visits != 0.0)
        {
            mean[s] += value * visits / weights[s];
        }
    }
    mean
}
