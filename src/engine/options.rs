//! The options of a batch: what each step draws before its action, and what each trajectory holds.

use super::error::EngineError;
use super::evaluate::Activations;
use super::expressions::Number;
use super::family::{Choice, Draws, Family};
use super::float::Float;
use super::listed::Listed;
use super::wired::Wired;
use crate::plan::{Draw, Head, Plan, Read};
use rand::Rng;
use std::ops::Range;

/// How one option is drawn.
pub(super) struct OptionDraw {
    pub family: Family,
    /// Drawn at `t = 1` and kept.
    pub once: bool,
    /// Which option's last value it stays at.
    stays_at: Option<usize>,
}

/// The draws of one option, a row for each row of the batch.
#[derive(Default)]
pub(super) struct OptionRows<E> {
    /// Log-probabilities of all values, and the values drawn.
    pub numbers: Vec<E>,
    pub draws: Draws<E>,
    /// `log q` of what was drawn; 0 where it was kept.
    pub log_prob: Vec<E>,
    /// What it could stay at.
    pub last: Vec<u32>,
    /// Per trajectory, the value drawn last, and the one drawn at `t = 1`.
    latest: Vec<u32>,
    first: Vec<u32>,
}

impl OptionDraw {
    /// # Errors
    /// One sentence, where it stays at anything but an option of the step before.
    pub fn new(plan: &Plan, draw: &Draw) -> Result<OptionDraw, EngineError> {
        let stays_at = match draw.head {
            Head::Sticky { last, .. } => {
                let option = match draw.reads[last] {
                    Read::Step(variable, -1) => plan
                        .options
                        .iter()
                        .position(|other| other.variable == variable && !other.once),
                    _ => None,
                };
                let name = &plan.model.kernel(draw.kernel).name;
                let refusal = || {
                    EngineError::Unsupported(format!(
                        "`{name}` stays at what is not an option of the step before, and cannot \
                         run yet"
                    ))
                };
                Some(option.ok_or_else(refusal)?)
            }
            Head::Categorical { .. }
            | Head::Bernoulli { .. }
            | Head::Normal { .. }
            | Head::TanhNormal { .. }
            | Head::Mixture { .. }
            | Head::Implicit { .. } => None,
        };
        Ok(OptionDraw { family: Family::of(&draw.head), once: draw.once, stays_at })
    }

    /// Number of values; it stands for `none`, too.
    pub fn none(&self) -> u32 {
        self.family.numbers() as u32
    }
}

/// What the options draw from.
pub(super) struct Outputs<'a, E> {
    pub wired: &'a Wired,
    pub network: &'a Activations<E>,
    /// The rows of this step.
    pub rows: Range<usize>,
}

impl<E: Number> OptionRows<E> {
    pub fn new(trajectories: usize) -> OptionRows<E> {
        OptionRows {
            numbers: vec![],
            draws: Draws::default(),
            log_prob: vec![],
            last: vec![],
            latest: vec![0; trajectories],
            first: vec![0; trajectories],
        }
    }

    /// The value that a trajectory drew last, where it has drawn any.
    pub fn latest(&self, trajectory: u32) -> u32 {
        self.latest[trajectory as usize]
    }

    pub fn clear(&mut self) {
        self.draws.clear();
        self.numbers.clear();
        self.log_prob.clear();
        self.last.clear();
    }

    /// The values that the trajectories `origin` drew last; `none` at `t = 1`.
    pub fn read_last(&self, option: &OptionDraw, t: usize, origin: &[u32], out: &mut Vec<u32>) {
        out.clear();
        out.extend(origin.iter().map(|&trajectory| {
            if t == 1 { option.none() } else { self.latest[trajectory as usize] }
        }));
    }

    /// The values that the trajectories `origin` drew at `t = 1`, once that step has drawn.
    pub fn read_first(&self, origin: &[u32], out: &mut Vec<u32>) {
        out.clear();
        out.extend(origin.iter().map(|&trajectory| self.first[trajectory as usize]));
    }

    /// Draws at step `t`, or keeps what was drawn at 1; `last` are the values of the step before of
    /// each option. Writes the values to `out`.
    pub fn draw(
        &mut self,
        (option, number): (&OptionDraw, usize),
        outputs: Outputs<E>,
        (t, choice, listed): (usize, Choice, Option<&Listed>),
        (origin, last): (&[u32], &[Vec<u32>]),
        random: &mut impl Rng,
        (uniforms, out): (&mut Vec<E>, &mut Vec<u32>),
    ) {
        let Outputs { wired, network, rows } = outputs;
        let width = option.family.numbers();
        match option.stays_at {
            Some(at) => self.last.extend_from_slice(&last[at][..rows.len()]),
            None => self.last.resize(rows.end, option.none()),
        }
        self.numbers.resize(rows.end * width, <E as Float>::ZERO);
        self.log_prob.resize(rows.end, <E as Float>::ZERO);
        let numbers = &mut self.numbers[rows.start * width..];
        option.family.describe(
            wired.outputs(network, &wired.options[number], &rows),
            &self.last[rows.clone()],
            numbers,
        );
        if option.once && t > 1 {
            self.draws
                .numbers
                .extend(origin.iter().map(|&trajectory| self.latest[trajectory as usize]));
        } else {
            match listed {
                Some(listed) => listed.read_option(number, t, origin, &mut self.draws.numbers),
                None => option.family.draw(numbers, choice, random, uniforms, &mut self.draws),
            }
            option.family.log_probs(
                numbers,
                &self.draws,
                rows.clone(),
                &mut self.log_prob[rows.start..],
            );
        }
        out.clear();
        out.extend_from_slice(&self.draws.numbers[rows]);
        origin
            .iter()
            .zip(&*out)
            .for_each(|(&trajectory, &value)| self.latest[trajectory as usize] = value);
        if t == 1 {
            self.first.clone_from(&self.latest);
        }
    }
}
