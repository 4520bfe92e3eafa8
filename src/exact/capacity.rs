//! The channel capacity of an environment: how much an open-loop sequence of actions can tell of
//! where it leads. Blahut (1972), Arimoto (1972); Klyubin, Polani and Nehaniv (2005),
//! "Empowerment".

use super::compile::only_state;
use super::environments::Environments;
use super::place::{Source, place, state_factors};
use super::refuse::refuse;
use super::transitions::Start;
use crate::finite::{Environment, NotFinite};
use crate::model::{BoundId, Model, VariableId};
use std::collections::{BTreeMap, BTreeSet};

/// `max_p I(a[1..T]; s[T+1] | s[1])` from each start, nats.
#[derive(Clone, Debug, PartialEq)]
pub struct Capacity {
    pub state: VariableId,
    pub actions: Vec<VariableId>,
    /// Actions of a sequence: the horizon.
    pub length: usize,
    pub starts: Vec<StartCapacity>,
    /// Over the starts.
    pub mean: f64,
}

/// Of one start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StartCapacity {
    /// The number of `s[1]`.
    pub state: usize,
    pub probability: f64,
    /// A lower bound that is at most [`WITHIN`] below.
    pub capacity: f64,
}

/// What the bounds of a capacity differ by at the most, nats.
pub const WITHIN: f64 = 1e-9;
/// Probabilities of a channel at the most, 2^22.
const LARGEST: usize = 1 << 22;
/// Iterations at the most.
const ITERATIONS: usize = 1_000_000;
/// Probabilities that differ by less than this are the same but for rounding.
const GRAIN: f64 = 1e-13;

/// The capacities of the environment in which a bound's posterior acts. Only its start and its
/// transitions are read.
///
/// # Errors
/// One sentence: what is not finite or not an environment's, or that the sequences are too many.
pub fn capacity(model: &Model, bound: BoundId) -> Result<Capacity, NotFinite> {
    let environments = Environments::new(model);
    let posterior = place(model, &model.bound(bound).posterior, &BTreeSet::new())?;
    let state = only_state(model, &posterior)?;
    let factors = state_factors(model, state, &posterior)?;
    let Source::Environment(environment) = factors.source else {
        return refuse("the capacity of a learned model of the world");
    };
    let table = environments.table(environment)?;
    let length = model.horizon.value;
    let mut starts = vec![];
    let first = Start::new(&environments, None, state, &factors)?;
    for (start, &probability) in first.probability.iter().enumerate().filter(|(_, p)| **p > 0.0) {
        let capacity = of_channel(&channel(&table, start, length)?)?;
        starts.push(StartCapacity { state: start, probability, capacity });
    }
    let mean = starts.iter().map(|start| start.probability * start.capacity).sum();
    Ok(Capacity { state, actions: factors.actions, length, starts, mean })
}

/// A distribution over outputs for each input.
type Channel = Vec<Vec<f64>>;

/// The distributions of `s[n+1]` that sequences of `n` actions lead to. Sequences that lead to the
/// same one are one input, which changes no capacity.
fn channel(table: &Environment, start: usize, length: usize) -> Result<Channel, NotFinite> {
    let mut first = vec![0.0; table.states];
    first[start] = 1.0;
    let mut ends = vec![first];
    for n in 1..=length {
        let mut known: BTreeMap<Vec<u64>, Vec<f64>> = BTreeMap::new();
        for end in &ends {
            for action in 0..table.actions {
                let mut next = vec![0.0; table.states];
                for (state, &p) in end.iter().enumerate().filter(|(_, p)| **p > 0.0) {
                    table
                        .transition
                        .row(state * table.actions + action)
                        .for_each(|(to, probability)| next[to] += p * probability);
                }
                known
                    .entry(next.iter().map(|p| (p / GRAIN).round() as u64).collect())
                    .or_insert(next);
            }
            if known.len().saturating_mul(table.states) > LARGEST {
                return Err(NotFinite(format!(
                    "{n} of {length} actions lead to more than {} distributions over {} states: \
                     the capacity takes {LARGEST} probabilities at the most",
                    LARGEST / table.states,
                    table.states
                )));
            }
        }
        ends = known.into_values().collect();
    }
    Ok(ends)
}

/// `max_p Σ p D` with `D_x = KL(W(·|x) ‖ Σ p W)`, from below: `p ← p exp(μ D)` with `μ = 1` raises
/// it, and `max D` is above it. Steps `μ > 1` are kept while they raise it (Matz and Duhamel,
/// 2004).
fn of_channel(channel: &Channel) -> Result<f64, NotFinite> {
    let inputs = channel.len();
    let negative_entropy: Vec<f64> = channel
        .iter()
        .map(|row| row.iter().filter(|p| **p > 0.0).map(|p| p * p.ln()).sum())
        .collect();
    let mut p = vec![1.0 / inputs as f64; inputs];
    let mut divergence = vec![0.0; inputs];
    let (mut lower, mut step) = (divergences(channel, &negative_entropy, &p, &mut divergence), 1.0);
    let mut tried = p.clone();
    let mut of_tried = divergence.clone();
    for _ in 0..ITERATIONS {
        let upper = divergence.iter().copied().fold(0.0, f64::max);
        if upper - lower <= WITHIN {
            return Ok(lower);
        }
        tried
            .iter_mut()
            .zip(&p)
            .zip(&divergence)
            .for_each(|((new, p), d)| *new = p * (step * (d - upper)).exp());
        let total: f64 = tried.iter().sum();
        tried.iter_mut().for_each(|p| *p /= total);
        let reached = divergences(channel, &negative_entropy, &tried, &mut of_tried);
        if reached >= lower || step == 1.0 {
            std::mem::swap(&mut p, &mut tried);
            std::mem::swap(&mut divergence, &mut of_tried);
            lower = reached;
            step *= 1.5;
        } else {
            step = f64::max(1.0, 0.25 * step);
        }
    }
    let upper = divergence.iter().copied().fold(0.0, f64::max);
    Err(NotFinite(format!(
        "after {ITERATIONS} iterations the capacity is known to lie in {lower}..{upper} only, not \
         within {WITHIN:e}"
    )))
}

/// Writes `KL(W(·|x) ‖ Σ p W)` of each input, and gives their mean under `p`.
fn divergences(channel: &Channel, negative_entropy: &[f64], p: &[f64], out: &mut [f64]) -> f64 {
    let mut log_output = vec![0.0; channel[0].len()];
    for (row, &p) in channel.iter().zip(p).filter(|(_, p)| **p > 0.0) {
        log_output.iter_mut().zip(row).for_each(|(sum, w)| *sum += p * w);
    }
    log_output.iter_mut().for_each(|q| *q = q.ln());
    for ((row, entropy), out) in channel.iter().zip(negative_entropy).zip(out.iter_mut()) {
        *out = entropy
            - row
                .iter()
                .zip(&log_output)
                .filter(|(w, _)| **w > 0.0)
                .map(|(w, log_q)| w * log_q)
                .sum::<f64>();
    }
    p.iter().zip(out).filter(|(p, _)| **p > 0.0).map(|(p, d)| p * *d).sum()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{BOUND, read};
    use super::*;

    /// A 5×5 room, start at the centre; a move stays where it is with probability `slip`.
    fn room(slip: f64, horizon: usize) -> Model {
        read(&format!(
            "model room
             horizon T = {horizon}
             environment room {{
               state  s : {{ x: 0..4, y: 0..4 }}
               action a : {{ stay, left, right, up, down }}
               s[1]   ~ Delta({{ x: 2, y: 2 }})
               s[t+1] ~ Mixture(
                 {}: Delta({{ x: clamp(s[t].x + [0, -1, 1, 0, 0][a[t]], 0, 4), y: clamp(s[t].y + \
                 [0, 0, 0, 1, -1][a[t]], 0, 4) }}),
                 {slip}: Delta(s[t]))
             }}
             kernel pi(a | s) = Categorical(logits = table(s))
             prior {{ s[1] ~ room.initial; a[t] ~ Uniform; s[t+1] ~ room.transition(s[t], a[t]) }}
             posterior {{ s[1] ~ room.initial; a[t] ~ pi(s[t]); s[t+1] ~ room.transition(s[t], \
             a[t]) }}",
            1.0 - slip
        ))
    }

    #[test]
    fn a_room_without_slips_tells_where_it_can_lead() {
        for (horizon, cells) in [(1, 5.0f64), (2, 13.0), (3, 21.0), (4, 25.0), (9, 25.0)] {
            let found = capacity(&room(0.0, horizon), BOUND).unwrap();
            assert!((found.mean - cells.ln()).abs() < 1e-9, "{horizon}: {found:?}");
            assert!((found.starts[0].probability, found.length) == (1.0, horizon), "{found:?}");
        }
    }

    /// One action: four inputs that are erased to the centre with probability ε, and the centre
    /// itself. With mass m on the four, `I = m (1−ε) log 4 + h(m(1−ε)) − m h(ε)`, whose maximum is
    /// where the derivative is 0: the output mass z = m(1−ε) has `log((1−z)/z) = h(ε)/(1−ε) − log
    /// 4`, unless that takes more than all mass.
    #[test]
    fn a_slippery_room_has_the_capacity_of_a_z_channel() {
        let h = |p: f64| -p * p.ln() - (1.0 - p) * (1.0 - p).ln();
        for slip in [0.1, 0.3, 0.6] {
            let z = f64::min(1.0 - slip, 1.0 / (1.0 + (h(slip) / (1.0 - slip) - 4f64.ln()).exp()));
            let known = z * 4f64.ln() + h(z) - z / (1.0 - slip) * h(slip);
            let found = capacity(&room(slip, 1), BOUND).unwrap().mean;
            assert!((found - known).abs() < 2e-9 && found > 0.1, "{slip}: {found} {known}");
            let (two, three) = (
                capacity(&room(slip, 2), BOUND).unwrap().mean,
                capacity(&room(slip, 3), BOUND).unwrap().mean,
            );
            assert!(
                found < two && two < three && three < 25f64.ln(),
                "{slip}: {found} {two} {three}"
            );
        }
    }

    #[test]
    fn channels_of_the_textbooks() {
        let h = |p: f64| -p * p.ln() - (1.0 - p) * (1.0 - p).ln();
        for p in [0.01, 0.11, 0.4] {
            let symmetric = of_channel(&vec![vec![1.0 - p, p], vec![p, 1.0 - p]]).unwrap();
            assert!((symmetric - (2f64.ln() - h(p))).abs() < 2e-9, "{p}: {symmetric}");
            let erasure = of_channel(&vec![vec![1.0 - p, p, 0.0], vec![0.0, p, 1.0 - p]]).unwrap();
            assert!((erasure - (1.0 - p) * 2f64.ln()).abs() < 2e-9, "{p}: {erasure}");
            let z = of_channel(&vec![vec![1.0, 0.0], vec![p, 1.0 - p]]).unwrap();
            assert!((z - (1.0 + (1.0 - p) * p.powf(p / (1.0 - p))).ln()).abs() < 2e-9, "{p}: {z}");
        }
        // an input between two others is not used
        let between = of_channel(&vec![vec![0.9, 0.1], vec![0.1, 0.9], vec![0.4, 0.6]]).unwrap();
        assert!((between - (2f64.ln() - h(0.1))).abs() < 2e-9, "{between}");
        assert_eq!(of_channel(&vec![vec![0.3, 0.7]]).unwrap(), 0.0);
    }

    #[test]
    fn too_many_sequences_are_refused_in_one_sentence() {
        let refused = capacity(&room(0.1, 40), BOUND).unwrap_err().to_string();
        assert!(
            refused.contains("actions lead to more than") && !refused.contains('\n'),
            "{refused}"
        );
    }
}
