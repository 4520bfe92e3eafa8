//! The exact reverse model: `q(o|x)` of the auxiliary variables `o` given all else `x` of whole
//! trajectories, by forward filtering over what they may be. How far the bound's own reverse model
//! `q̃(o|x)` is from it, trajectory by trajectory: `KL(q(o|x) ‖ q̃(o|x))`, which is at least 0 for
//! each.

use super::compile::{Scope, auxiliary_variables, compile};
use super::environments::Environments;
use super::refuse::refuse;
use super::term::Sum;
use super::trellis::Trellis;
use crate::finite::{KernelTables, NotFinite};
use crate::model::{BoundId, Model};
use std::collections::BTreeMap;

pub struct ReverseModel<'m> {
    pub(super) trellis: Trellis<'m>,
    /// By choice: which joint value, within its state, the variables have that are not auxiliary.
    pub(super) group: Vec<u32>,
    /// By `memory · choices + choice`, of the slice that was prepared last.
    pub(super) log_q: Vec<f64>,
}

/// A trajectory so far, and what is known of its auxiliary variables.
#[derive(Clone)]
pub(super) struct Path {
    pub probability: f64,
    pub state: usize,
    /// `log q` of what was drawn in its steps, auxiliary variables summed over.
    pub log_q: f64,
    /// By memory, in order.
    pub hidden: BTreeMap<u32, Hidden>,
}

/// The auxiliary variables that lead to a memory.
#[derive(Clone, Copy, Default)]
pub(super) struct Hidden {
    /// `q(memory | x so far)`
    pub weight: f64,
    /// `weight · E[log q(x, o) − log q̃(o|x) | memory, x so far]`
    log_ratio: f64,
}

/// What a path does next.
pub(super) struct Step {
    pub group: u32,
    pub probability: f64,
    pub row: usize,
    pub log_q: f64,
    pub hidden: BTreeMap<u32, Hidden>,
}

impl<'m> ReverseModel<'m> {
    /// # Errors
    /// As [`super::exact`]; where the action is an auxiliary variable.
    pub fn new(
        model: &'m Model,
        bound: BoundId,
        tables: &'m KernelTables,
    ) -> Result<ReverseModel<'m>, NotFinite> {
        ReverseModel::over(&Environments::new(model), bound, tables, Scope::Posterior)
    }

    /// Over all that the posterior draws.
    pub(super) fn over(
        environments: &Environments<'m>,
        bound: BoundId,
        tables: &'m KernelTables,
        scope: Scope,
    ) -> Result<ReverseModel<'m>, NotFinite> {
        let written = environments.model.bound(bound);
        let trellis = compile(environments, written, Some(tables), scope)?;
        trellis.refuse_time("a reverse model")?;
        let auxiliary = auxiliary_variables(written);
        let choices = &trellis.choices;
        let seen: Vec<usize> = (0..choices.variables.len())
            .filter(|&at| !auxiliary.contains(&choices.variables[at]))
            .collect();
        let mut group = Vec::with_capacity(choices.count());
        for state in 0..trellis.states {
            let mut known: BTreeMap<Vec<u32>, (u32, u32)> = BTreeMap::new();
            for choice in choices.start[state]..choices.start[state + 1] {
                let value: Vec<u32> = seen.iter().map(|&at| choices.value[at][choice]).collect();
                let next = known.len() as u32;
                let (number, row) = *known.entry(value).or_insert((next, choices.row[choice]));
                if row != choices.row[choice] {
                    return refuse("an action that is an auxiliary variable");
                }
                group.push(number);
            }
        }
        Ok(ReverseModel { log_q: vec![0.0; trellis.memories * choices.count()], group, trellis })
    }

    /// `E_q KL(q(o|x) ‖ q̃(o|x))` over all trajectories, nats; `None` where there are more than
    /// `limit`.
    ///
    /// # Errors
    /// As [`super::exact`].
    pub fn divergence(&mut self, limit: usize) -> Result<Option<f64>, NotFinite> {
        let mut paths = self.starts();
        for t in 1..=self.trellis.horizon {
            let Some(next) = self.after(t, &paths, limit)? else { return Ok(None) };
            paths = next;
        }
        Ok(Some(paths.iter().map(|path| path.probability * path.divergence()).sum()))
    }

    /// `KL(q(o|x) ‖ q̃(o|x))` of each of `count` trajectories `x` drawn from the posterior, nats.
    /// `uniform` gives numbers in [0, 1).
    ///
    /// # Errors
    /// As [`super::exact`].
    pub fn draw(
        &mut self,
        count: usize,
        uniform: &mut dyn FnMut() -> f64,
    ) -> Result<Vec<f64>, NotFinite> {
        let starts = self.starts();
        let mut paths: Vec<Path> = (0..count)
            .map(|_| starts[pick(starts.iter().map(|path| path.probability), uniform())].clone())
            .collect();
        for t in 1..=self.trellis.horizon {
            self.prepare(t)?;
            for path in &mut paths {
                let steps = self.steps(path);
                let step = &steps[pick(steps.iter().map(|step| step.probability), uniform())];
                let chosen =
                    pick(self.successors(step.row).map(|(_, probability)| probability), uniform());
                if let Some((state, _)) = self.successors(step.row).nth(chosen) {
                    *path = self.arrive(1.0, state, step);
                }
            }
        }
        Ok(paths.iter().map(Path::divergence).collect())
    }

    /// All that goes on from `paths`, which have come to slice `t`: path by path, step by step, in
    /// the order of the successors; `None` where that is more than `limit`.
    pub(super) fn after(
        &mut self,
        t: usize,
        paths: &[Path],
        limit: usize,
    ) -> Result<Option<Vec<Path>>, NotFinite> {
        self.prepare(t)?;
        let mut next = Vec::new();
        for path in paths {
            for step in self.steps(path) {
                for (state, probability) in self.successors(step.row) {
                    next.push(self.arrive(
                        path.probability * step.probability * probability,
                        state,
                        &step,
                    ));
                }
            }
            if next.len() > limit {
                return Ok(None);
            }
        }
        Ok(Some(next))
    }

    pub(super) fn starts(&self) -> Vec<Path> {
        let initial = &self.trellis.dynamics[self.trellis.posterior_dynamics()].initial;
        let hidden = BTreeMap::from([(
            self.trellis.first_memory as u32,
            Hidden { weight: 1.0, log_ratio: 0.0 },
        )]);
        let start = |(state, &probability): (usize, &f64)| Path {
            probability,
            state,
            log_q: 0.0,
            hidden: hidden.clone(),
        };
        initial.iter().enumerate().filter(|(_, p)| **p > 0.0).map(start).collect()
    }

    /// Evaluates the terms of slice `t` and of the nodes after it.
    pub(super) fn prepare(&mut self, t: usize) -> Result<(), NotFinite> {
        self.trellis.log_q(t, &mut self.log_q)?;
        self.trellis.auxiliary.choice.at(t)?;
        self.trellis.auxiliary.arrival.at(t + 1)?;
        Ok(())
    }

    /// All that a path can do next, in the order of the choices, with the filter one step on.
    pub(super) fn steps(&self, path: &Path) -> Vec<Step> {
        let choices = &self.trellis.choices;
        let (from, to) = (choices.start[path.state], choices.start[path.state + 1]);
        let mut steps: BTreeMap<u32, Step> = BTreeMap::new();
        for (&memory, hidden) in &path.hidden {
            for choice in from..to {
                let at = memory as usize * choices.count() + choice;
                let log_q = self.log_q[at];
                let q = log_q.exp();
                if q == 0.0 {
                    continue;
                }
                let (group, row) = (self.group[choice], choices.row[choice] as usize);
                let new = || Step {
                    group,
                    probability: 0.0,
                    row,
                    log_q: path.log_q,
                    hidden: BTreeMap::new(),
                };
                let step = steps.entry(group).or_insert_with(new);
                let next = if choices.next.is_empty() { memory } else { choices.next[at] };
                let after = step.hidden.entry(next).or_default();
                let weight = hidden.weight * q;
                step.probability += weight;
                after.weight += weight;
                after.log_ratio += q * hidden.log_ratio
                    + weight * (log_q - latest(&self.trellis.auxiliary.choice, at));
            }
        }
        // what is not a number stays, to be told
        let mut steps: Vec<Step> =
            steps.into_values().filter(|step| step.probability != 0.0).collect();
        for step in &mut steps {
            step.log_q += step.probability.ln();
            for hidden in step.hidden.values_mut() {
                hidden.weight /= step.probability;
                hidden.log_ratio /= step.probability;
            }
        }
        steps
    }

    /// A path after a step that led to a state.
    fn arrive(&self, probability: f64, state: usize, step: &Step) -> Path {
        let mut hidden = step.hidden.clone();
        for (&memory, hidden) in &mut hidden {
            hidden.log_ratio -= hidden.weight
                * latest(
                    &self.trellis.auxiliary.arrival,
                    memory as usize * self.trellis.states + state,
                );
        }
        Path { probability, state, log_q: step.log_q, hidden }
    }

    fn successors(&self, row: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.trellis.dynamics[self.trellis.posterior_dynamics()].table.transition.row(row)
    }
}

impl Path {
    /// `E[log q(x, o) − log q̃(o|x) | x] − log q(x)`
    fn divergence(&self) -> f64 {
        self.hidden.values().map(|hidden| hidden.log_ratio).sum::<f64>() - self.log_q
    }
}

/// The latest value of a sum at a point; 0 of one without terms.
fn latest(sum: &Sum<'_>, at: usize) -> f64 {
    sum.latest().get(at).copied().unwrap_or(0.0)
}

/// The first place at which the running sum of the probabilities exceeds `uniform`; the last one
/// that is possible where rounding leaves none.
fn pick(probabilities: impl Iterator<Item = f64>, uniform: f64) -> usize {
    let (mut sum, mut last) = (0.0, 0);
    for (at, probability) in probabilities.enumerate().filter(|(_, probability)| *probability > 0.0)
    {
        sum += probability;
        last = at;
        if uniform < sum {
            break;
        }
    }
    last
}
