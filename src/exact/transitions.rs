//! The states of one side of a bound: an environment's own, or those of a learned kernel in its
//! place. Where a kernel stands for the environment, it stands for the chance alone: which states
//! end an episode, and what a step pays, is the environment's still.

use super::build::table_of;
use super::environments::Environments;
use super::place::{Source, StateFactors};
use super::read::NONE;
use super::refuse::refuse;
use crate::finite::{
    Conditions, Environment, KernelTable, KernelTables, Masses, NotFinite, Sparse, finite_domain,
};
use crate::model::{EnvironmentId, EnvironmentKernel, KernelId, KernelRef, Value, VariableId};
use std::rc::Rc;

/// `s[t+1]` given `s[t]` and the action.
pub(super) struct Transitions<'m> {
    pub table: Rc<Environment>,
    /// By entry of the table, its probability.
    pub probability: Vec<Vec<f64>>,
    /// The environment whose table it is.
    pub environment: Option<EnvironmentId>,
    learned: Option<Learned<'m>>,
}

/// `s[1]`
pub(super) struct Start<'m> {
    /// By state.
    pub probability: Vec<f64>,
    pub log_probability: Vec<f64>,
    learned: Option<Learned<'m>>,
}

/// A learned kernel, and the condition of its table that each row reads.
struct Learned<'m> {
    kernel: KernelId,
    previous: bool,
    table: &'m KernelTable,
    /// By row, at the first step; [`NONE`] where the episode is over.
    condition: Vec<u32>,
    /// What a step adds to it.
    time_stride: u32,
}

/// What moves with a learned kernel: by point, the entry of the kernel's table that the point
/// reads, or [`NONE`].
pub(super) struct Entries {
    pub kernel: KernelId,
    pub entry: Vec<u32>,
    /// What a step adds to it.
    time_stride: u32,
}

impl<'m> Transitions<'m> {
    /// # Errors
    /// One sentence: what is not finite, a kernel without a table, or one that reads more than the
    /// state and the action.
    pub fn new(
        environments: &Environments<'m>,
        tables: Option<&'m KernelTables>,
        state: VariableId,
        side: &StateFactors<'m>,
    ) -> Result<Transitions<'m>, NotFinite> {
        let (kernel, previous) = match side.source {
            Source::Environment(environment) => {
                let table = environments.table(environment)?;
                let probability = vec![table.transition.probability.clone()];
                return Ok(Transitions {
                    table,
                    probability,
                    environment: Some(environment),
                    learned: None,
                });
            }
            Source::Kernel { kernel, previous } => (kernel, previous),
        };
        let model = environments.model;
        let home = environments.home(state)?;
        let (name, table, numbering) = table_of(model, tables, kernel, previous)?;
        let strides = strides(environments, &numbering, &name, &side.transition.arguments, state)?;
        let row = |row: usize| match home.ended[row / home.actions] {
            true => NONE,
            false => {
                let mut joint = row % home.actions;
                let mut condition = strides.fixed + row / home.actions * strides.state;
                for &(size, stride) in strides.actions.iter().rev() {
                    condition += joint % size * stride;
                    joint /= size;
                }
                condition as u32
            }
        };
        let condition = (0..home.states * home.actions).map(row).collect();
        let learned =
            Learned { kernel, previous, table, condition, time_stride: strides.time as u32 };
        let steps = if strides.time > 0 { model.horizon.value } else { 1 };
        let mut transition = Sparse { start: vec![0], ..Sparse::default() };
        let mut probability = vec![Vec::new(); steps];
        for (row, &condition) in learned.condition.iter().enumerate() {
            match condition {
                NONE => {
                    transition.push(row / home.actions, 1.0);
                    probability.iter_mut().for_each(|slice| slice.push(1.0));
                }
                condition => {
                    let at = |t: usize, next: usize| {
                        table.row((condition + (t as u32 - 1) * learned.time_stride) as usize)[next]
                            .exp()
                    };
                    // what is never possible must not be weighed: 0 · −∞ is no number
                    for next in
                        (0..table.outcomes).filter(|&next| (1..=steps).any(|t| at(t, next) != 0.0))
                    {
                        transition.push(next, at(1, next));
                        (1..).zip(&mut probability).for_each(|(t, slice)| slice.push(at(t, next)));
                    }
                }
            }
            transition.start.push(transition.column.len());
        }
        let mut table = Environment { transition, rewards: vec![], ..home.without_transitions() };
        let own = environments.own(state)?;
        for reward in 0..model.environment(own).rewards.len() as u32 {
            table.rewards.push(environments.reward_at(own, reward, &table)?);
        }
        Ok(Transitions {
            table: Rc::new(table),
            probability,
            environment: None,
            learned: Some(learned),
        })
    }

    /// A reward at each entry of the table.
    pub fn reward(
        &self,
        environments: &Environments<'m>,
        environment: EnvironmentId,
        reward: u32,
    ) -> Result<Vec<f64>, NotFinite> {
        if self.environment == Some(environment) {
            return Ok(self.table.rewards[reward as usize].clone());
        }
        environments.reward_at(environment, reward, &self.table)
    }

    /// The entries of its kernel's table at the entries of the transitions `at`, where a gradient
    /// moves them.
    pub fn entries(&self, at: &Sparse) -> Option<Entries> {
        let learned = self.learned.as_ref().filter(|learned| !learned.previous)?;
        let mut entry = Vec::with_capacity(at.column.len());
        for (row, &condition) in learned.condition.iter().enumerate() {
            let place = |next: usize| {
                if condition == NONE {
                    NONE
                } else {
                    condition * learned.table.outcomes as u32 + next as u32
                }
            };
            entry.extend(at.row(row).map(|(next, _)| place(next)));
        }
        let time_stride = learned.time_stride * learned.table.outcomes as u32;
        Some(Entries { kernel: learned.kernel, entry, time_stride })
    }

    /// `log` of the probabilities of a row at step `t`, by state.
    fn write_logs(&self, (row, t): (usize, usize), out: &mut [f64]) {
        match self.learned.as_ref().map(|learned| (learned, learned.condition[row])) {
            Some((Learned { table, time_stride, .. }, condition)) if condition != NONE => {
                out.copy_from_slice(table.row((condition + (t as u32 - 1) * time_stride) as usize));
            }
            Some(_) | None => {
                self.table.transition.row(row).for_each(|(next, p)| out[next] = p.ln())
            }
        }
    }

    /// Undoes [`Transitions::write_logs`].
    fn clear_logs(&self, row: usize, out: &mut [f64]) {
        match self.learned {
            Some(_) => out.fill(f64::NEG_INFINITY),
            None => {
                self.table.transition.row(row).for_each(|(next, _)| out[next] = f64::NEG_INFINITY)
            }
        }
    }
}

/// `log p(s'|s,a) − log q(s'|s,a)` at each entry of `q`: −∞ where `q` goes and `p` cannot.
pub(super) fn log_ratio(p: &Transitions<'_>, q: &Transitions<'_>) -> Slices {
    let steps = p.probability.len().max(q.probability.len());
    Slices((1..=steps).map(|t| log_ratio_at(p, q, t)).collect())
}

fn log_ratio_at(p: &Transitions<'_>, q: &Transitions<'_>, t: usize) -> Vec<f64> {
    let states = q.table.states;
    let (mut of_p, mut of_q) = (vec![f64::NEG_INFINITY; states], vec![f64::NEG_INFINITY; states]);
    let mut ratios = Vec::with_capacity(q.table.transition.column.len());
    for row in 0..q.table.transition.rows() {
        p.write_logs((row, t), &mut of_p);
        q.write_logs((row, t), &mut of_q);
        ratios.extend(q.table.transition.row(row).map(|(next, _)| of_p[next] - of_q[next]));
        p.clear_logs(row, &mut of_p);
        q.clear_logs(row, &mut of_q);
    }
    ratios
}

/// What each value that a kernel reads adds to its condition.
struct Strides {
    state: usize,
    /// By action of the environment, the last the fastest: its number of values, and its stride.
    actions: Vec<(usize, usize)>,
    time: usize,
    /// Of what is `none`.
    fixed: usize,
}

fn strides(
    environments: &Environments<'_>,
    numbering: &Conditions,
    name: &str,
    arguments: &[Value],
    state: VariableId,
) -> Result<Strides, NotFinite> {
    let model = environments.model;
    let own = &model.environment(environments.own(state)?).actions;
    let sizes = own.iter().map(|&action| Ok((finite_domain(model, action)?.size(), 0)));
    let actions = sizes.collect::<Result<Vec<_>, NotFinite>>()?;
    let mut strides = Strides { state: 0, actions, time: 0, fixed: 0 };
    for axis in &numbering.axes {
        match (&arguments[axis.given], axis.none) {
            (Value::Variable { variable, .. }, _) if *variable == state => {
                strides.state += axis.stride
            }
            (Value::Variable { variable, .. }, _) if own.contains(variable) => {
                let at = own.iter().position(|action| action == variable);
                strides.actions[at.expect("strides: it is among them")].1 += axis.stride
            }
            (Value::Time, _) => strides.time += axis.stride,
            (Value::Absent, Some(none)) => strides.fixed += none * axis.stride,
            _ => {
                return refuse(&format!(
                    "the learned transitions `{name}`, which read more than the state, the action \
                     and the time at `t`,"
                ));
            }
        }
    }
    Ok(strides)
}

impl<'m> Start<'m> {
    /// # Errors
    /// As [`Transitions::new`].
    pub fn new(
        environments: &Environments<'m>,
        tables: Option<&'m KernelTables>,
        state: VariableId,
        side: &StateFactors<'m>,
    ) -> Result<Start<'m>, NotFinite> {
        let model = environments.model;
        let variable = model.variable(state);
        let mut probability = vec![0.0; finite_domain(model, state)?.size()];
        match &side.initial.kernel {
            KernelRef::Environment(environment, EnvironmentKernel::Initial) => {
                environments
                    .table(*environment)?
                    .initial
                    .row(0)
                    .for_each(|(s, p)| probability[s] += p);
            }
            KernelRef::InPlace(distribution) => {
                let mut masses =
                    Masses::new(model, &variable.name, &variable.domain, distribution)?;
                if masses.inputs().next().is_some() {
                    return refuse(&format!(
                        "a start `{}[1]` that reads a variable",
                        variable.name
                    ));
                }
                masses
                    .list(0..1, 1.0, &|_, _, out| out.fill(f64::NAN), &|_| false, |_, s, p| {
                        probability[s] += p
                    })
                    .map_err(|bad| {
                        NotFinite(format!("the start `{}[1]`: {}", variable.name, bad.what))
                    })?;
            }
            KernelRef::Learned(kernel) | KernelRef::Previous(kernel) => {
                let previous = matches!(side.initial.kernel, KernelRef::Previous(_));
                let (_, table, numbering) = table_of(model, tables, *kernel, previous)?;
                let mut condition = 0;
                for axis in &numbering.axes {
                    condition += axis.stride
                        * match (&side.initial.arguments[axis.given], axis.none) {
                            // the first step is the number 0
                            (Value::Time, _) => 0,
                            (Value::Absent, Some(none)) => none,
                            _ => {
                                return refuse(&format!(
                                    "a start `{}[1]` that reads a variable",
                                    variable.name
                                ));
                            }
                        };
                }
                let log_probability = table.row(condition).to_vec();
                let learned = Some(Learned {
                    kernel: *kernel,
                    previous,
                    table,
                    condition: vec![condition as u32],
                    time_stride: 0,
                });
                return Ok(Start {
                    probability: log_probability.iter().map(|log_p| log_p.exp()).collect(),
                    log_probability,
                    learned,
                });
            }
            KernelRef::Data(_) | KernelRef::Environment(..) => {
                return refuse(&format!(
                    "a start `{}[1]` that is not an environment's",
                    variable.name
                ));
            }
        }
        Ok(Start {
            log_probability: probability.iter().map(|p| p.ln()).collect(),
            probability,
            learned: None,
        })
    }

    /// The entries of its kernel's table, by state, where a gradient moves them.
    pub fn entries(&self) -> Option<Entries> {
        let learned = self.learned.as_ref().filter(|learned| !learned.previous)?;
        let first = learned.condition[0] * learned.table.outcomes as u32;
        let entry = (0..learned.table.outcomes as u32).map(|state| first + state).collect();
        Some(Entries { kernel: learned.kernel, entry, time_stride: 0 })
    }
}

impl Entries {
    /// Adds what each point weighs at step `t` to the entry that it reads.
    pub fn add(
        &self,
        t: usize,
        weights: impl Iterator<Item = (usize, f64)>,
        gradient: &mut std::collections::BTreeMap<KernelId, Vec<f64>>,
    ) {
        let Some(gradient) = gradient.get_mut(&self.kernel) else { return };
        for (point, weight) in weights {
            if weight != 0.0 && self.entry[point] != NONE {
                gradient[(self.entry[point] + (t as u32 - 1) * self.time_stride) as usize] +=
                    weight;
            }
        }
    }
}

/// Numbers by entry of a transition table: the same at all steps, or others at each.
pub(super) struct Slices(pub Vec<Vec<f64>>);

impl Slices {
    /// At step `t`, counted from 1.
    pub fn at(&self, t: usize) -> &[f64] {
        &self.0[if self.move_with_time() { t - 1 } else { 0 }]
    }

    pub fn move_with_time(&self) -> bool {
        self.0.len() > 1
    }
}

impl Sparse {
    fn push(&mut self, column: usize, probability: f64) {
        self.column.push(column as u32);
        self.probability.push(probability);
    }
}
