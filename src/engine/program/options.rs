//! The options of a batch: what each step draws before its action, and what each trajectory holds.

use super::wired::Wired;
use crate::engine::episode::listing::Listed;
use crate::engine::episode::values::Values;
use crate::engine::error::EngineError;
use crate::engine::family::choice::Choice;
use crate::engine::family::{Draws, Family};
use crate::engine::network::forward::Activations;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::plan::{Draw, Head, Plan, Read};
use rand::Rng;
use std::ops::Range;

/// How one option is drawn.
pub(in crate::engine) struct OptionDraw {
    pub family: Family,
    /// Drawn at `t = 1` and kept.
    pub once: bool,
    /// Which option's last value it stays at.
    pub stays_at: Option<usize>,
    /// Components of a value that is real; 0 of a finite one.
    pub width: usize,
}

/// The draws of one option, a row for each row of the batch.
#[derive(Default)]
pub(in crate::engine) struct OptionRows<E> {
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
    /// The same of real ones, a row for each trajectory, and the last draw before it is squashed.
    latest_reals: Vec<E>,
    first_reals: Vec<E>,
    latest_draw: Vec<E>,
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
            | Head::Real { .. }
            | Head::Mixture { .. }
            | Head::Implicit { .. } => None,
        };
        let family = Family::of(&draw.head);
        let domain = &plan.model.variable(draw.variable).domain;
        let width = if family.outcomes().is_some() { 0 } else { domain.width() };
        Ok(OptionDraw { family, once: draw.once, stays_at, width })
    }

    /// Number of values; it stands for `none`, too.
    pub fn none(&self) -> u32 {
        self.family.numbers() as u32
    }
}

/// What the options draw from.
pub(in crate::engine) struct Outputs<'a, E> {
    pub wired: &'a Wired,
    pub network: &'a Activations<E>,
    /// The rows of this step.
    pub rows: Range<usize>,
}

impl<E: Number> OptionRows<E> {
    pub fn new(option: &OptionDraw, trajectories: usize) -> OptionRows<E> {
        let reals = || vec![<E as Float>::ZERO; trajectories * option.width];
        OptionRows {
            numbers: vec![],
            draws: Draws::default(),
            log_prob: vec![],
            last: vec![],
            latest: vec![0; trajectories],
            first: vec![0; trajectories],
            latest_reals: reals(),
            first_reals: reals(),
            latest_draw: reals(),
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

    /// A component of the real value that a trajectory drew last.
    pub fn latest_real(&self, option: &OptionDraw, trajectory: u32, component: usize) -> E {
        self.latest_reals[trajectory as usize * option.width + component]
    }

    /// The values that the trajectories `origin` drew last; `none` at `t = 1`, NaN of real ones.
    pub fn read_last(&self, option: &OptionDraw, t: usize, origin: &[u32], out: &mut Values<E>) {
        out.numbers.clear();
        out.numbers.extend(origin.iter().map(|&trajectory| match t {
            1 => option.none(),
            _ => self.latest[trajectory as usize],
        }));
        columns_of(&self.latest_reals, option.width, origin, &mut out.columns);
        if t == 1 {
            out.columns.fill(Float::of(f64::NAN));
        }
    }

    /// The values that the trajectories `origin` drew at `t = 1`, once that step has drawn.
    pub fn read_first(&self, option: &OptionDraw, origin: &[u32], out: &mut Values<E>) {
        out.numbers.clear();
        out.numbers.extend(origin.iter().map(|&trajectory| self.first[trajectory as usize]));
        columns_of(&self.first_reals, option.width, origin, &mut out.columns);
    }

    /// Draws at step `t`, or keeps what was drawn at 1; `last` are the values of the step before of
    /// each option. Writes the values to `out`.
    pub fn draw(
        &mut self,
        (option, number): (&OptionDraw, usize),
        outputs: Outputs<E>,
        (t, choice, listed): (usize, Choice, Option<&Listed>),
        (origin, last): (&[u32], &[Values<E>]),
        random: &mut impl Rng,
        (uniforms, out): (&mut Vec<E>, &mut Values<E>),
    ) {
        let Outputs { wired, network, rows } = outputs;
        let width = option.family.numbers();
        match option.stays_at {
            Some(at) => self.last.extend_from_slice(&last[at].numbers[..rows.len()]),
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
            match option.width {
                0 => self
                    .draws
                    .numbers
                    .extend(origin.iter().map(|&trajectory| self.latest[trajectory as usize])),
                width => self.draws.reals.extend(origin.iter().flat_map(|&trajectory| {
                    &self.latest_draw[trajectory as usize * width..][..width]
                })),
            }
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
        match option.width {
            0 => {
                out.numbers.extend_from_slice(&self.draws.numbers[rows]);
                let drawn = origin.iter().zip(&out.numbers);
                drawn.for_each(|(&trajectory, &value)| self.latest[trajectory as usize] = value);
            }
            width => {
                option.family.actions(&self.draws, rows.clone(), &mut out.columns);
                let count = rows.len();
                for (row, &trajectory) in origin.iter().enumerate() {
                    let own = trajectory as usize * width..(trajectory as usize + 1) * width;
                    let from = (rows.start + row) * width;
                    self.latest_draw[own.clone()]
                        .copy_from_slice(&self.draws.reals[from..from + width]);
                    for (component, latest) in self.latest_reals[own].iter_mut().enumerate() {
                        *latest = out.columns[component * count + row];
                    }
                }
            }
        }
        if t == 1 {
            self.first.clone_from(&self.latest);
            self.first_reals.clone_from(&self.latest_reals);
        }
    }
}

/// Component by component the values of some trajectories, which are kept side by side.
fn columns_of<E: Number>(values: &[E], width: usize, origin: &[u32], out: &mut Vec<E>) {
    out.clear();
    for component in 0..width {
        let of = |&trajectory: &u32| values[trajectory as usize * width + component];
        out.extend(origin.iter().map(of));
    }
}
