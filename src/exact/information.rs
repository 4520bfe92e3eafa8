//! What options are used for: how long each is held, where it gives way, and what it tells of the
//! action and of the state, by one forward pass.

use super::compile::{Scope, compile, held};
use super::environments::Environments;
use super::place::place;
use super::read::NONE;
use super::step::{begin, choose, pass_on};
use super::trellis::Trellis;
use crate::finite::{KernelTables, NotFinite, finite_domain};
use crate::model::{BoundId, Index, Model, VariableId};
use std::collections::BTreeSet;

/// An option of the posterior with given tables; expectations are over `q`.
#[derive(Clone, Debug, PartialEq)]
pub struct OptionInformation {
    pub option: VariableId,
    /// Drawn at `t = 1` and kept.
    pub once: bool,
    pub visits: OptionVisits,
    /// `Σ_t P(live at t) I(o[t]; a[t] | s[t])` over the expected live steps, nats.
    pub action: f64,
    /// `Σ_t P(live at t) I(o[t]; s[t], a[t])` over the expected live steps, both given that step
    /// `t` is live, nats.
    pub state_action: f64,
    /// `I(o[1]; s[T+1])` of an option drawn once, nats.
    pub end: Option<f64>,
}

/// Expected numbers of live steps of an episode.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OptionVisits {
    pub values: usize,
    pub actions: usize,
    /// At `(state · values + o) · actions + a`: `s[t] = state, o[t] = o, a[t] = a`.
    pub steps: Vec<f64>,
    /// By `o`: it is held since this step, the first included.
    pub starts: Vec<f64>,
    /// At `state · values + o`: `o[t-1] = o`, and step `t` in `state` is live, too.
    pub held: Vec<f64>,
    /// Of these, those at which `o[t] ≠ o`: the option gives way.
    pub ends: Vec<f64>,
}

/// Each option that the posterior draws.
///
/// # Errors
/// As [`super::exact`], but for what only the prior, the likelihood and the reverse model read.
pub fn information(
    model: &Model,
    bound: BoundId,
    tables: &KernelTables,
) -> Result<Vec<OptionInformation>, NotFinite> {
    let environments = Environments::new(model);
    let options = held(model, &place(model, &model.bound(bound).posterior, &BTreeSet::new())?);
    if options.is_empty() {
        return Ok(vec![]);
    }
    let mut trellis = compile(&environments, model.bound(bound), Some(tables), Scope::Options)?;
    trellis.refuse_time("options")?;
    let mut sums = options
        .iter()
        .map(|&option| Sums::new(model, &trellis, option))
        .collect::<Result<Vec<_>, _>>()?;
    let last = forward(&mut trellis, |trellis, t, weight| {
        sums.iter_mut().for_each(|sums| sums.add(trellis, t, weight))
    })?;
    Ok(sums.into_iter().map(|sums| sums.finish(&trellis, &last)).collect())
}

/// Expected numbers of live steps at each state and action, told as of an option with one value
/// that is always held.
///
/// # Errors
/// As [`information`].
pub fn visits(
    model: &Model,
    bound: BoundId,
    tables: &KernelTables,
) -> Result<OptionVisits, NotFinite> {
    let environments = Environments::new(model);
    let mut trellis = compile(&environments, model.bound(bound), Some(tables), Scope::Options)?;
    trellis.refuse_time("options")?;
    let mut visits = OptionVisits::none(trellis.states, 1, trellis.dynamics[0].table.actions);
    forward(&mut trellis, |trellis, t, weight| {
        for (at, &weight) in weight.iter().enumerate() {
            let choice = at % trellis.choices.count();
            let (state, row) =
                (trellis.choices.state[choice] as usize, trellis.choices.row[choice] as usize);
            if trellis.dynamics[0].table.ended[state] {
                continue;
            }
            visits.steps[state * visits.actions + row % visits.actions] += weight;
            match t {
                1 => visits.starts[0] += weight,
                _ => visits.held[state] += weight,
            }
        }
    })?;
    Ok(visits)
}

/// Goes forward under `q` and tells `each` step `t` and the probability of each choice at each
/// memory; returns that of each node at `T + 1`.
fn forward(
    trellis: &mut Trellis<'_>,
    mut each: impl FnMut(&Trellis<'_>, usize, &[f64]),
) -> Result<Vec<f64>, NotFinite> {
    let (memories, rows, count) =
        (trellis.memories, trellis.dynamics[0].table.transition.rows(), trellis.choices.count());
    let mut here = vec![0.0; trellis.nodes()];
    begin(trellis, &mut here);
    let (mut log_q, mut weight, mut flow) =
        (vec![0.0; memories * count], vec![0.0; memories * count], vec![0.0; memories * rows]);
    for t in 1..=trellis.horizon {
        trellis.log_q(t, &mut log_q)?;
        choose(trellis, &here, &log_q, &mut weight, &mut flow);
        each(trellis, t, &weight);
        here.fill(0.0);
        pass_on(trellis, t, &flow, &mut here, |_, _| {});
    }
    Ok(here)
}

impl OptionVisits {
    /// No step yet.
    pub fn none(states: usize, values: usize, actions: usize) -> OptionVisits {
        OptionVisits {
            values,
            actions,
            steps: vec![0.0; states * values * actions],
            starts: vec![0.0; values],
            held: vec![0.0; states * values],
            ends: vec![0.0; states * values],
        }
    }

    pub fn states(&self) -> usize {
        self.held.len() / self.values.max(1)
    }

    /// Expected live steps.
    pub fn live(&self) -> f64 {
        self.steps.iter().sum()
    }

    /// Live steps in `state` with option `o`.
    pub fn at(&self, state: usize, o: usize) -> &[f64] {
        &self.steps[(state * self.values + o) * self.actions..][..self.actions]
    }

    /// Live steps with option `o`.
    pub fn of(&self, o: usize) -> f64 {
        (0..self.states()).flat_map(|state| self.at(state, o)).sum()
    }

    /// Adds those of other episodes.
    pub fn add(&mut self, other: &OptionVisits) {
        let lists = [
            (&mut self.steps, &other.steps),
            (&mut self.starts, &other.starts),
            (&mut self.held, &other.held),
            (&mut self.ends, &other.ends),
        ];
        lists.into_iter().for_each(|(sum, list)| {
            sum.iter_mut().zip(list).for_each(|(sum, count)| *sum += count)
        });
    }

    /// Divides counts by a number of episodes.
    pub fn divide(&mut self, episodes: f64) {
        let lists = [&mut self.steps, &mut self.starts, &mut self.held, &mut self.ends];
        lists.into_iter().flatten().for_each(|count| *count /= episodes);
    }

    /// The mean length of a segment, in steps: from where any option begins to where it gives way
    /// or the episode ends.
    pub fn duration(&self) -> Option<f64> {
        ratio(self.live(), self.starts.iter().sum())
    }

    /// The mean length of a segment of `o`.
    pub fn duration_of(&self, o: usize) -> Option<f64> {
        ratio(self.of(o), self.starts[o])
    }

    /// How likely `o` is to give way at a live step after one at which it was held.
    pub fn ends_of(&self, o: usize) -> Option<f64> {
        let over_states = |list: &[f64]| list.iter().skip(o).step_by(self.values).sum();
        ratio(over_states(&self.ends), over_states(&self.held))
    }
}

fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

/// The sums of one option.
struct Sums {
    option: VariableId,
    kept: Index,
    visits: OptionVisits,
    /// Of one step, as [`OptionVisits::steps`].
    step: Vec<f64>,
    action: f64,
    state_action: f64,
}

impl Sums {
    fn new(
        model: &Model,
        trellis: &Trellis<'_>,
        (option, kept): (VariableId, Index),
    ) -> Result<Sums, NotFinite> {
        let values = finite_domain(model, option)?.size();
        let (states, actions) = (trellis.states, trellis.dynamics[0].table.actions);
        let visits = OptionVisits::none(states, values, actions);
        Ok(Sums {
            option,
            kept,
            step: vec![0.0; visits.steps.len()],
            visits,
            action: 0.0,
            state_action: 0.0,
        })
    }

    /// Adds step `t`; `weight` is the probability of each choice.
    fn add(&mut self, trellis: &Trellis<'_>, t: usize, weight: &[f64]) {
        let once = self.kept == Index::First;
        let numbers = &trellis.at_choices.numbers;
        let (now, before) = (
            &numbers[&(self.option, if once { Index::First } else { Index::Step(0) })],
            &numbers[&(self.option, self.kept)],
        );
        let table = &trellis.dynamics[0].table;
        let (values, actions) = (self.visits.values, self.visits.actions);
        self.step.fill(0.0);
        for (at, &weight) in weight.iter().enumerate().filter(|(_, weight)| **weight != 0.0) {
            let choice = at % trellis.choices.count();
            let (state, row) =
                (trellis.choices.state[choice] as usize, trellis.choices.row[choice] as usize);
            if table.ended[state] || now[at] == NONE {
                continue;
            }
            let o = now[at] as usize;
            self.step[(state * values + o) * actions + row % actions] += weight;
            if t == 1 || before[at] == NONE {
                self.visits.starts[o] += weight;
                continue;
            }
            let before = before[at] as usize;
            self.visits.held[state * values + before] += weight;
            if before != o {
                self.visits.ends[state * values + before] += weight;
                self.visits.starts[o] += weight;
            }
        }
        self.visits.steps.iter_mut().zip(&self.step).for_each(|(sum, step)| *sum += step);
        let mut over_states = vec![0.0; values * trellis.states * actions];
        for (state, step) in self.step.chunks(values * actions).enumerate() {
            self.action += weighted_information(step, actions);
            for (at, &p) in step.iter().enumerate() {
                over_states[(at / actions * trellis.states + state) * actions + at % actions] = p;
            }
        }
        self.state_action += weighted_information(&over_states, trellis.states * actions);
    }

    fn finish(self, trellis: &Trellis<'_>, last: &[f64]) -> OptionInformation {
        let live = self.visits.live();
        let per_step = |sum: f64| ratio(sum, live).unwrap_or(0.0);
        let once = self.kept == Index::First;
        let end = once.then(|| {
            let option = &trellis.at_nodes.numbers[&(self.option, Index::First)];
            let mut joint = vec![0.0; self.visits.values * trellis.states];
            // where the episode was over before it began, nothing was drawn
            for (node, &p) in last.iter().enumerate().filter(|(node, _)| option[*node] != NONE) {
                joint[option[node] as usize * trellis.states + node % trellis.states] += p;
            }
            ratio(weighted_information(&joint, trellis.states), joint.iter().sum()).unwrap_or(0.0)
        });
        OptionInformation {
            option: self.option,
            once,
            action: per_step(self.action),
            state_action: per_step(self.state_action),
            end,
            visits: self.visits,
        }
    }
}

/// `W · I(row; column)` of the joint distribution `w / W`, `W = Σ w`, in rows of `columns` weights.
fn weighted_information(weights: &[f64], columns: usize) -> f64 {
    let total: f64 = weights.iter().sum();
    let mut of_column = vec![0.0; columns];
    for row in weights.chunks(columns) {
        of_column.iter_mut().zip(row).for_each(|(sum, w)| *sum += w);
    }
    let mut sum = 0.0;
    for row in weights.chunks(columns) {
        let of_row: f64 = row.iter().sum();
        let told = row
            .iter()
            .zip(&of_column)
            .filter(|(w, _)| **w > 0.0)
            .map(|(w, column)| w * (w * total / (of_row * column)).ln());
        sum += told.sum::<f64>();
    }
    // rounding may fall below 0
    sum.max(0.0)
}
