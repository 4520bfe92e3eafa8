//! The trajectory of a finite bound as a trellis: nodes at each step, choices between them, and the
//! terms that weigh both.
//!
//! A *node* is a state and what is remembered of the steps before it (`memory · states + state`).
//! At a live node the step's variables are drawn in the order of the posterior: a *choice* is one
//! joint value of them. A choice leads to a row of a transition table, and the next state to the
//! next node. What is kept of the bound is where each of its terms is evaluated: at a choice, at an
//! entry of the transition table, or at the node it arrives in.

use super::environments::Ask;
use super::read::Points;
use super::refuse::refuse;
use super::rows::Rows;
use super::term::Sum;
use super::transitions::{Entries, Slices};
use crate::finite::{Environment, NotFinite};
use crate::model::{KernelId, VariableId};
use std::ops::RangeInclusive;
use std::rc::Rc;

pub(super) struct Trellis<'m> {
    pub gives_up: Option<Ask>,
    pub horizon: usize,
    pub states: usize,
    /// How many values the memory has beside the state; 1 where nothing is remembered.
    pub memories: usize,
    /// The memory before the first step.
    pub first_memory: usize,
    pub choices: Choices,
    /// The prior's dynamics, then the posterior's where they differ.
    pub dynamics: Vec<Dynamics<'m>>,
    /// `log p` of the step's variables.
    pub prior: Part<'m>,
    /// `log q̃` of the reverse model.
    pub auxiliary: Part<'m>,
    /// Likelihood that is not at an entry of a transition table.
    pub likelihood: Part<'m>,
    /// The posterior's factors of the step's variables, in the order they are drawn.
    pub levels: Vec<Level<'m>>,
    /// By entry of the posterior's table: `log p(s'|s,a) − log q(s'|s,a)`; absent where the two are
    /// the same.
    pub log_ratio: Option<Slices>,
    /// Where learned kernels draw states: those of transitions by entry of the posterior's table,
    /// those of `s[1]` by state.
    pub transition: Pair,
    pub start: Pair,
    /// What is known at choices and at nodes.
    pub at_choices: Rc<Points>,
    pub at_nodes: Rc<Points>,
}

/// The terms of a block, each where all that it reads is known. What has no terms has no points
/// either.
pub(super) struct Part<'m> {
    /// At `memory · choices + choice`.
    pub choice: Sum<'m>,
    /// At the node where a step arrives, which is that of slice t + 1.
    pub arrival: Sum<'m>,
}

/// What moves with the learned kernels of a variable, on either side; absent where both sides share
/// one, in the prior.
pub(super) struct Pair {
    pub prior: Option<Entries>,
    pub posterior: Option<Entries>,
}

impl Pair {
    pub fn kernels(&self) -> impl Iterator<Item = KernelId> {
        [&self.prior, &self.posterior].into_iter().flatten().map(|entries| entries.kernel)
    }
}

/// `s[1]` and `s[t+1]` of one side.
pub(super) struct Dynamics<'m> {
    /// By state.
    pub initial: Vec<f64>,
    pub log_initial: Vec<f64>,
    pub table: Rc<Environment>,
    /// By entry of the table, its probability.
    pub probability: Slices,
    pub rows: Rows,
    /// Likelihood at an entry of the table.
    pub likelihood: Sum<'m>,
    /// By row, what the posterior expects of the likelihood (and the log-ratio) in one step; filled
    /// when it is first needed.
    pub expected_likelihood: Vec<f64>,
}

/// The choices at each state, sorted by the variables in the order they are drawn.
pub(super) struct Choices {
    pub variables: Vec<VariableId>,
    /// The choices of state `s` are `start[s]..start[s + 1]`.
    pub start: Vec<usize>,
    /// By variable: the number of its value in each choice.
    pub value: Vec<Vec<u32>>,
    pub state: Vec<u32>,
    /// The row of the transition table.
    pub row: Vec<u32>,
    /// By `memory · choices + choice`, the memory at the next step; empty where nothing is
    /// remembered.
    pub next: Vec<u32>,
}

/// One variable of the step, in the posterior.
pub(super) struct Level<'m> {
    /// `log q` of its factors, and where it is drawn at all.
    pub sum: Sum<'m>,
    /// The slices at which a learned kernel draws it: the best bound is over these.
    pub free: Vec<RangeInclusive<usize>>,
    /// Groups of choices that agree on the variables through this one: the first choice of each,
    /// and the group it belongs to one level up (at the first level, the state).
    pub first: Vec<u32>,
    pub parent: Vec<u32>,
}

impl Choices {
    /// The memory and the row that a choice leads to.
    #[inline]
    pub fn leads(&self, memory: usize, choice: usize) -> (usize, usize) {
        let next = if self.next.is_empty() {
            memory
        } else {
            self.next[memory * self.row.len() + choice] as usize
        };
        (next, self.row[choice] as usize)
    }
}

impl Level<'_> {
    pub fn is_free(&self, slice: usize) -> bool {
        self.free.iter().any(|slices| slices.contains(&slice))
    }
}

impl<'m> Trellis<'m> {
    pub fn prior_dynamics(&self) -> usize {
        0
    }

    pub fn posterior_dynamics(&self) -> usize {
        self.dynamics.len() - 1
    }

    /// A side's transitions read the time.
    pub fn moves_with_time(&self) -> bool {
        self.dynamics.iter().any(|dynamics| dynamics.probability.move_with_time())
    }

    /// Refuses transitions that read the time beside what does not follow them.
    pub fn refuse_time(&self, beside: &str) -> Result<(), NotFinite> {
        if self.moves_with_time() {
            refuse(&format!("{beside} beside transitions that read the time"))
        } else {
            Ok(())
        }
    }

    /// Nodes at one step.
    pub fn nodes(&self) -> usize {
        self.memories * self.states
    }

    /// Asked before each step.
    ///
    /// # Errors
    /// The answer is wanted no more.
    pub fn go_on(&self) -> Result<(), NotFinite> {
        match &self.gives_up {
            Some(gives_up) if gives_up() => Err(NotFinite("it was given up".to_owned())),
            Some(_) | None => Ok(()),
        }
    }

    /// Adds the arrival terms of slice `slice` (from 2) to the values of its nodes.
    pub fn arrive(&mut self, slice: usize, values: &mut [f64]) -> Result<(), NotFinite> {
        self.go_on()?;
        for part in [&mut self.prior, &mut self.auxiliary, &mut self.likelihood] {
            add_unless_impossible(values, part.arrival.at(slice)?);
        }
        Ok(())
    }

    /// `log q` of every choice of slice `slice`. What the posterior cannot draw stays so, whatever
    /// the later variables would read there.
    pub fn log_q(&mut self, slice: usize, out: &mut [f64]) -> Result<(), NotFinite> {
        out.fill(0.0);
        for level in &mut self.levels {
            add_unless_impossible(out, level.sum.at(slice)?);
        }
        Ok(())
    }

    /// `Λ_t + log p + log q̃` at every choice of slice `slice`; −∞ where the prior cannot go,
    /// whatever follows.
    pub fn weigh(&mut self, slice: usize, out: &mut [f64]) -> Result<(), NotFinite> {
        out.fill(0.0);
        for part in [&mut self.prior, &mut self.auxiliary, &mut self.likelihood] {
            add_unless_impossible(out, part.choice.at(slice)?);
        }
        Ok(())
    }

    /// Raises the likelihood to a positive power.
    pub fn temper(&mut self, power: f64) {
        let Part { choice, arrival } = &mut self.likelihood;
        let entries = self.dynamics.iter_mut().map(|dynamics| &mut dynamics.likelihood);
        [choice, arrival].into_iter().chain(entries).for_each(|sum| sum.raise(power));
    }

    /// [`Trellis::weigh`] would give other numbers than the last time.
    pub fn weighs_anew(&self, slice: usize) -> bool {
        self.parts().into_iter().any(|part| part.choice.changes(slice))
    }

    pub fn parts(&self) -> [&Part<'m>; 3] {
        [&self.prior, &self.auxiliary, &self.likelihood]
    }

    /// All that stands at choices or nodes.
    pub fn sums(&self) -> impl Iterator<Item = &Sum<'m>> {
        self.parts()
            .into_iter()
            .flat_map(|part| [&part.choice, &part.arrival])
            .chain(self.levels.iter().map(|level| &level.sum))
    }

    /// The name of the term by which a sum over a trajectory may exceed the largest number, if one
    /// may.
    pub fn overflowing(&self) -> Option<String> {
        let sums = self.dynamics.iter().map(|dynamics| &dynamics.likelihood).chain(self.sums());
        let all: Vec<(&str, f64)> = sums.flat_map(|sum| sum.most(1..=self.horizon + 1)).collect();
        let together: f64 = all.iter().map(|(_, most)| most).sum();
        let largest = all
            .into_iter()
            .max_by(|one, other| one.1.total_cmp(&other.1))
            .filter(|_| together.is_infinite());
        largest.map(|(name, _)| name.to_owned())
    }

    /// The name of a term that is not a number somewhere.
    pub fn undefined(&self) -> Option<String> {
        let sums = self.dynamics.iter().map(|dynamics| &dynamics.likelihood).chain(self.sums());
        sums.flat_map(|sum| (1..=self.horizon + 1).map(move |slice| sum.undefined(slice)))
            .flatten()
            .next()
            .map(str::to_owned)
    }
}

/// Adds, but leaves −∞ as it is.
pub(super) fn add_unless_impossible(out: &mut [f64], terms: &[f64]) {
    for (out, term) in out.iter_mut().zip(terms) {
        *out = if *out == f64::NEG_INFINITY { *out } else { *out + term };
    }
}
