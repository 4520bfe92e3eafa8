//! What a step draws, one after the other, and what each trajectory holds of it.

use super::binding::InputBinding;
use super::expressions::{self, Expressions};
use crate::engine::episode::listing::Listed;
use crate::engine::episode::values::Values;
use crate::engine::error::EngineError;
use crate::engine::family::choice::Choice;
use crate::engine::family::{Draws, Family};
use crate::engine::network::forward::Activations;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::plan::{Draw, Head, Plan, Read};
use crate::world::Actions;
use rand::Rng;
use std::ops::Range;
use std::sync::Arc;

/// How one variable of a step is drawn.
pub(in crate::engine) struct StepDraw<E> {
    pub family: Family,
    /// Drawn at `t = 1` and kept.
    pub once: bool,
    /// The first step that draws it, and which draw has drawn it before.
    pub from: usize,
    pub begins: Option<usize>,
    /// Which draw's last value it stays at.
    pub stays_at: Option<usize>,
    /// Components of a value that is real; 0 of a finite one.
    pub width: usize,
    /// Others read it, in its step or later: its values are kept beside the rows.
    pub shared: bool,
    /// What its divergence is taken from, where that has a closed form.
    pub reference: KlReference<E>,
}

/// What a draw's divergence is taken from.
pub(in crate::engine) enum KlReference<E> {
    /// The bound has no such term.
    None,
    /// A kernel with the present parameters: [`InputBinding::references`].
    Present,
    /// The draw's own kernel at the beginning of the round.
    Itself,
    /// Another kernel at the beginning of the round.
    Previous(InputBinding),
    /// The rows of numbers, as expressions.
    Expressions(Expressions<E>),
}

/// One variable as it was drawn, a row for each row of the batch.
pub(in crate::engine) struct DrawRows<E> {
    /// The distributions that it was drawn from: log-probabilities of all values, or arguments.
    pub numbers: Vec<E>,
    /// Those that its divergence is taken from, where they have no present parameters.
    pub reference: Vec<E>,
    pub reference_values: Option<expressions::Values<E>>,
    /// What a kernel of the last round computed of them: of the last step, or where the gradient
    /// goes through draws, of all rows.
    pub previous: Arc<Activations<E>>,
    /// By row of the last step, nats.
    pub divergence: Vec<E>,
    pub draws: Draws<E>,
    /// `log q` of what was drawn, of a squashed normal before `tanh`; 0 where it was kept.
    pub log_prob: Vec<E>,
    /// What it could stay at; empty where it stays nowhere.
    pub last: Vec<u32>,
    /// Per trajectory, the value drawn last, and the one drawn at `t = 1`.
    latest: Vec<u32>,
    first: Vec<u32>,
    /// The same of real ones, a row for each trajectory, and the last draw before it is squashed.
    latest_reals: Vec<E>,
    first_reals: Vec<E>,
    latest_draw: Vec<E>,
}

impl<E> StepDraw<E> {
    /// # Errors
    /// One sentence, where it stays at anything but what the step before drew.
    pub fn new(
        plan: &Plan,
        draw: &Draw,
        reference: KlReference<E>,
    ) -> Result<StepDraw<E>, EngineError> {
        let stays_at = match draw.head {
            Head::Sticky { last, .. } => {
                let option = match draw.reads[last] {
                    Read::Step(variable, -1) => plan
                        .draws
                        .iter()
                        .position(|other| other.variable == variable && !other.once),
                    _ => None,
                };
                let name = &plan.model.kernel(draw.kernel).name;
                let refusal = || {
                    EngineError::Unsupported(format!(
                        "`{name}` is a `Sticky` that stays at what is no draw of the step before"
                    ))
                };
                Some(option.ok_or_else(refusal)?)
            }
            Head::Categorical { .. }
            | Head::Bernoulli { .. }
            | Head::Real { .. }
            | Head::Mixture { .. }
            | Head::Record(_)
            | Head::Blend { .. }
            | Head::Implicit { .. } => None,
        };
        let family = Family::of(&draw.head);
        let domain = &plan.model.variable(draw.variable).domain;
        let width = if family.outcomes().is_some() { 0 } else { domain.width() };
        let is_begun = |other: &Draw| other.once && other.variable == draw.variable;
        let begins = plan.draws.iter().position(is_begun).filter(|_| draw.from > 1);
        let shared = plan.draws.len() > 1 || plan.next_state().is_some() || stays_at.is_some();
        let (once, from) = (draw.once, draw.from);
        Ok(StepDraw { family, once, from, begins, stays_at, width, shared, reference })
    }

    /// Number of values; it stands for `none`, too.
    pub fn none(&self) -> u32 {
        self.family.numbers() as u32
    }

    /// Whether step `t` draws it.
    pub fn is_drawn_at(&self, t: usize) -> bool {
        (!self.once || t == 1) && t >= self.from
    }
}

/// What has drawn a variable at the first step in the place of a draw, and its values there.
pub(in crate::engine) type Begun<'a, E> = (&'a DrawRows<E>, &'a Values<E>);

/// What is drawn, where that is not sampled.
#[derive(Clone, Copy)]
pub(in crate::engine) enum Known<'a, E> {
    Listed(&'a Listed),
    /// It was drawn before the first state; by trajectory.
    Made(&'a Draws<E>),
}

/// What a variable is drawn from.
pub(in crate::engine) struct Outputs<'a, E> {
    pub binding: &'a InputBinding,
    pub network: &'a Activations<E>,
    /// The rows of this step.
    pub rows: Range<usize>,
}

impl<E: Number> DrawRows<E> {
    pub fn new(of: &StepDraw<E>, trajectories: usize) -> DrawRows<E> {
        let kept = if of.shared { trajectories } else { 0 };
        let reals = || vec![<E as Float>::ZERO; kept * of.width];
        DrawRows {
            numbers: vec![],
            reference: vec![],
            reference_values: match &of.reference {
                KlReference::Expressions(expressions) => Some(expressions.values(trajectories)),
                KlReference::None
                | KlReference::Present
                | KlReference::Itself
                | KlReference::Previous(_) => None,
            },
            previous: Arc::default(),
            divergence: vec![],
            draws: Draws::default(),
            log_prob: vec![],
            last: vec![],
            latest: vec![0; kept],
            first: vec![0; kept],
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
        self.reference.clear();
        self.log_prob.clear();
        self.last.clear();
    }

    /// A component of the real value that a trajectory drew last.
    pub fn latest_real(&self, of: &StepDraw<E>, trajectory: u32, component: usize) -> E {
        self.latest_reals[trajectory as usize * of.width + component]
    }

    /// The values that the trajectories `origin` drew last; `none` at `t = 1`, NaN of real ones.
    pub fn read_last(&self, of: &StepDraw<E>, t: usize, origin: &[u32], out: &mut Values<E>) {
        out.numbers.clear();
        out.numbers.extend(origin.iter().map(|&trajectory| match t {
            1 => of.none(),
            _ => self.latest[trajectory as usize],
        }));
        columns_of(&self.latest_reals, of.width, origin, &mut out.columns);
        if t == 1 {
            out.columns.fill(Float::of(f64::NAN));
        }
    }

    /// The values that the trajectories `origin` drew at `t = 1`, once that step has drawn.
    pub fn read_first(&self, of: &StepDraw<E>, origin: &[u32], out: &mut Values<E>) {
        out.numbers.clear();
        out.numbers.extend(origin.iter().map(|&trajectory| self.first[trajectory as usize]));
        columns_of(&self.first_reals, of.width, origin, &mut out.columns);
    }

    /// The distributions of step `t`, from what the network computed; the first row of what is no
    /// distribution, and what is wrong with it.
    pub fn describe(
        &mut self,
        (of, number, name): (&StepDraw<E>, usize, &str),
        outputs: &Outputs<E>,
        (t, last): (usize, &[Values<E>]),
    ) -> Option<(usize, String)> {
        let Outputs { binding, network, ref rows } = *outputs;
        let width = of.family.numbers();
        if let Some(at) = of.stays_at {
            self.last.extend_from_slice(&last[at].numbers[..rows.len()]);
        }
        self.numbers.resize(rows.end * width, <E as Float>::ZERO);
        let numbers = &mut self.numbers[rows.start * width..];
        let last = if of.stays_at.is_some() { &self.last[rows.clone()] } else { &[] };
        of.family.describe(binding.outputs(network, &binding.draws[number], rows), last, numbers);
        // what is drawn once is not drawn from later rows
        if !of.is_drawn_at(t) {
            return None;
        }
        of.family.fault(name, numbers, binding.outputs(network, &binding.draws[number], rows))
    }

    /// Draws at step `t` from the distributions of `rows`, or keeps what was drawn at 1, by itself
    /// or by the draw that `begun` is; `known` is what is drawn, where that is not sampled.
    /// Writes the values of what is shared to `out`, and those of what is real.
    pub fn draw(
        &mut self,
        (of, number, begun): (&StepDraw<E>, usize, Option<Begun<E>>),
        rows: Range<usize>,
        (t, choice, known): (usize, Choice, Option<Known<E>>),
        origin: &[u32],
        random: &mut impl Rng,
        (uniforms, out): (&mut Vec<E>, &mut Values<E>),
    ) {
        let numbers = &self.numbers[rows.start * of.family.numbers()..];
        self.log_prob.resize(rows.end, <E as Float>::ZERO);
        if of.is_drawn_at(t) {
            match known {
                Some(Known::Listed(listed)) => {
                    listed.read_draws(number, t, origin, &mut self.draws.numbers)
                }
                Some(Known::Made(made)) => self.draws.append(made, origin, of.family.width()),
                None => of.family.draw(numbers, choice, random, uniforms, &mut self.draws),
            }
            if of.family.has_density() {
                of.family.log_probs(
                    numbers,
                    &self.draws,
                    rows.clone(),
                    &mut self.log_prob[rows.start..],
                );
            }
        } else if let Some((begun, values)) = begun {
            let first = self.draws.reals.len();
            self.draws.numbers.extend(begun.draws.numbers.iter().skip(rows.start));
            for row in 0..if of.width > 0 { rows.len() } else { 0 } {
                let components = values.columns.iter().skip(row).step_by(rows.len());
                self.draws.reals.extend(components);
            }
            of.family.unsquash(&mut self.draws.reals[first..]);
        } else {
            match of.width {
                0 => self
                    .draws
                    .numbers
                    .extend(origin.iter().map(|&trajectory| self.latest[trajectory as usize])),
                width => self.draws.reals.extend(origin.iter().flat_map(|&trajectory| {
                    &self.latest_draw[trajectory as usize * width..][..width]
                })),
            }
        }
        out.clear();
        if of.width > 0 {
            of.family.actions(&self.draws, rows.clone(), &mut out.columns);
        }
        if of.shared {
            self.keep(of, rows, (t, origin), out);
        }
    }

    /// Keeps what each trajectory drew last.
    fn keep(
        &mut self,
        of: &StepDraw<E>,
        rows: Range<usize>,
        (t, origin): (usize, &[u32]),
        out: &mut Values<E>,
    ) {
        match of.width {
            0 => {
                out.numbers.extend_from_slice(&self.draws.numbers[rows]);
                let drawn = origin.iter().zip(&out.numbers);
                drawn.for_each(|(&trajectory, &value)| self.latest[trajectory as usize] = value);
            }
            width => {
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

    /// What `rows` drew, as the world takes it; `values` are the real ones of a step.
    pub fn taken<'a>(
        &'a self,
        of: &StepDraw<E>,
        rows: Range<usize>,
        values: &'a Values<E>,
    ) -> Actions<'a, E> {
        match of.width {
            0 => Actions::Numbers(&self.draws.numbers[rows]),
            _ => Actions::Columns { values: &values.columns, stride: rows.len() },
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
