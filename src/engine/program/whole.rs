//! Exponents that read more of a trajectory than their own step: they are valued when it is whole,
//! at each step at which their term stands, those after an end included. So are their slopes.

use super::expressions::{Expressions, Values, values_of};
use super::points::EpisodeView;
use crate::engine::episode::variable::{Variable, When};
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::expr::ExprId;
use crate::model::{GainId, Index, Input, NONE, Role};
use crate::plan::{self, Extent, Plan, Quantity, Slope};

/// The exponent of a term, compiled.
pub(in crate::engine) struct Whole<E> {
    pub term: usize,
    /// Steps at which the term stands, both included.
    pub from: usize,
    pub to: usize,
    expressions: Expressions<E>,
    /// By input of the expression, what it reads.
    sources: Vec<Source<E>>,
}

/// What an exponent moves with.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) enum Moved {
    /// A component of a variable, when it is read.
    Drawn(Variable, When, usize),
    /// One of the plan's gains at the term's own step.
    Gain(usize),
}

impl Moved {
    fn of(plan: &Plan, input: Input) -> Moved {
        if let Input::Gain(id) = input {
            return Moved::Gain(number_of(plan, id));
        }
        let (variable, when, component) = place(plan, input);
        Moved::Drawn(variable, when, component)
    }
}

/// What an input reads of a trajectory.
enum Source<E> {
    /// A component of each value of a finite variable, that of `none` behind them.
    Finite { variable: Variable, when: When, values: Vec<E> },
    /// A component of a variable that has `width`, and what stands for `none`.
    Real { variable: Variable, when: When, component: usize, width: usize, none: E },
    /// 0 after the end.
    Reward { reward: usize, when: When },
    /// One of the plan's gains at the term's own step; 0 after the end.
    Gain(usize),
}

impl<E: Number> Whole<E> {
    /// Those of a plan, in the order of its terms.
    pub fn all(plan: &Plan) -> Vec<Whole<E>> {
        let whole = |(at, term): (usize, &plan::Term)| {
            (term.extent == Extent::Trajectory).then(|| Whole::of(plan, at)).flatten()
        };
        plan.terms.iter().enumerate().filter_map(whole).collect()
    }

    /// That of a term, where it is an exponent.
    pub fn of(plan: &Plan, at: usize) -> Option<Whole<E>> {
        let term = &plan.terms[at];
        let Quantity::Exponent(value) = term.quantity else { return None };
        Some(Whole::compile(plan, at, &[value]))
    }

    /// How those of a plan move with what they read, term by term: the slopes of each, and in what
    /// they are.
    pub fn slopes(plan: &Plan, slopes: &[Slope]) -> Vec<(Whole<E>, Vec<Moved>)> {
        let is_whole = |term: &&plan::Term| term.extent == Extent::Trajectory;
        let terms = (0..).zip(&plan.terms).filter(|(_, term)| is_whole(term));
        let of_term = |(at, _): (usize, &plan::Term)| {
            let own: Vec<&Slope> = slopes.iter().filter(|slope| slope.at == at).collect();
            let values: Vec<ExprId> = own.iter().map(|slope| slope.value).collect();
            let reads = own.iter().map(|slope| Moved::of(plan, slope.of)).collect();
            (!own.is_empty()).then(|| (Whole::compile(plan, at, &values), reads))
        };
        terms.filter_map(of_term).collect()
    }

    /// Expressions of the term `at`.
    fn compile(plan: &Plan, at: usize, roots: &[ExprId]) -> Whole<E> {
        let (expressions, inputs) = Expressions::of_inputs(plan, roots);
        let sources = inputs.into_iter().map(|input| Source::of(plan, input)).collect();
        let term = &plan.terms[at];
        Whole { term: at, from: term.from, to: term.to, expressions, sources }
    }

    /// Room for so many trajectories; schedules have their last values.
    pub fn values(&self, trajectories: usize) -> Values<E> {
        self.expressions.values(trajectories)
    }

    /// Room for so many points; schedules have these values.
    pub fn values_with(&self, schedules: &[E], points: usize) -> Values<E> {
        self.expressions.values_with(schedules, points)
    }

    /// Moves the schedules to batch `batch` (from 0) of `batches`.
    pub fn move_schedules(&self, batch: u64, batches: u64, values: &mut Values<E>) {
        self.expressions.move_schedules(batch, batches, values);
    }

    /// Whether it reads what steps pay.
    pub fn reads_rewards(&self) -> bool {
        self.sources.iter().any(|source| matches!(source, Source::Reward { .. }))
    }

    /// Numbers that are held for each trajectory.
    pub fn width(&self) -> usize {
        self.sources.len() + self.expressions.width()
    }

    /// Whether it reads that gain, which is then kept for all steps.
    pub fn reads_gain(&self, gain: usize) -> bool {
        self.sources.iter().any(|source| matches!(source, Source::Gain(at) if *at == gain))
    }

    /// The exponent of all trajectories at step `t`; of several expressions the first, and all of
    /// them stand in `values`.
    pub fn evaluate<'v>(
        &self,
        t: usize,
        on: &EpisodeView<E>,
        gains: &[Vec<E>],
        values: &'v mut Values<E>,
    ) -> &'v [E] {
        let drawn = |variable| on.drawn(variable);
        let number = |_: usize, what, t, of| on.trace.number(what, t, of, drawn);
        self.fill((t, on.lengths.len()), |at| at, (on, gains), number, values)
    }

    /// That of points of one step; `number` is the value of a finite variable as a point reads it.
    pub fn evaluate_at<'v>(
        &self,
        points: &[(u32, u32)],
        on: (&EpisodeView<E>, &[Vec<E>]),
        number: impl Fn(usize, (Variable, When), usize, (usize, usize, usize)) -> Option<u32>,
        values: &'v mut Values<E>,
    ) -> &'v [E] {
        let t = points.first().map_or(1, |point| point.0 as usize);
        self.fill((t, points.len()), |at| points[at].1 as usize, on, number, values)
    }

    fn fill<'v>(
        &self,
        (t, count): (usize, usize),
        trajectory: impl Fn(usize) -> usize,
        (on, gains): (&EpisodeView<E>, &[Vec<E>]),
        number: impl Fn(usize, (Variable, When), usize, (usize, usize, usize)) -> Option<u32>,
        values: &'v mut Values<E>,
    ) -> &'v [E] {
        self.expressions.fill(values, count, |input, column| {
            for (at, value) in column.iter_mut().enumerate() {
                let trajectory = trajectory(at);
                let of = (trajectory, on.lengths[trajectory] as usize, on.horizon);
                let number = |what| number(at, what, t, of);
                *value = self.sources[input].read(t, of, (on, gains), number);
            }
        });
        self.expressions.run(t, 0..count, values);
        &values.output(0)[..count]
    }
}

impl<E: Number> Source<E> {
    fn of(plan: &Plan, input: Input) -> Source<E> {
        match input {
            Input::Variable { variable: id, .. } => {
                let known = plan.model.variable(id);
                let (variable, when, component) = place(plan, input);
                let none = if known.role == Role::State { f64::NAN } else { NONE };
                let none = Float::of(none);
                if known.domain.is_finite() {
                    let mut values = values_of(&known.domain).swap_remove(component);
                    values.push(none);
                    return Source::Finite { variable, when, values };
                }
                Source::Real { variable, when, component, width: known.domain.width(), none }
            }
            Input::Reward { reward, .. } => {
                Source::Reward { reward: reward as usize, when: place(plan, input).1 }
            }
            Input::Gain(id) => Source::Gain(number_of(plan, id)),
            Input::Formal { .. } => panic!("check: an exponent reads no formals"),
        }
    }

    /// From step `t` of a trajectory, which comes with its length and the horizon.
    fn read(
        &self,
        t: usize,
        of: (usize, usize, usize),
        (on, gains): (&EpisodeView<E>, &[Vec<E>]),
        number: impl Fn((Variable, When)) -> Option<u32>,
    ) -> E {
        let (trajectory, length, horizon) = of;
        match self {
            Source::Finite { variable, when, values } => {
                let number = number((*variable, *when));
                values[number.map_or(values.len() - 1, |number| number as usize)]
            }
            Source::Real { variable, when, component, width, none } => {
                let value = on.trace.reals((*variable, *when), t, of, *width);
                value.map_or(*none, |value| value[*component])
            }
            Source::Reward { reward, when } => {
                let variable = Variable::Reward(*reward);
                match on.trace.reals((variable, *when), t, of, 1) {
                    Some(value) => value[0],
                    None if (1..=horizon as i64).contains(&when.from(t)) => Float::of(0.0),
                    None => Float::of(f64::NAN),
                }
            }
            Source::Gain(gain) if t <= length => gains[*gain][on.trace.row(t, trajectory)],
            Source::Gain(_) => Float::of(0.0),
        }
    }
}

fn number_of(plan: &Plan, id: GainId) -> usize {
    let gain = plan.gains.iter().position(|gain| gain.id == id);
    gain.expect("plan: it has each gain that an exponent reads")
}

/// Where a variable or a reward that an expression reads stands in a trajectory, and the component.
fn place(plan: &Plan, input: Input) -> (Variable, When, usize) {
    let when = |index: Index| match index {
        Index::First => When::At(1),
        Index::Step(k) => When::After(k),
        Index::Last(k) => {
            When::At((plan.model.horizon.value as i64 + i64::from(k)).max(0) as usize)
        }
    };
    match input {
        Input::Variable { variable, component, index } => {
            let of = Variable::of(plan, variable);
            let of = of.expect("check: a step draws what an exponent reads");
            (of, when(index), component as usize)
        }
        Input::Reward { reward, index, .. } => (Variable::Reward(reward as usize), when(index), 0),
        Input::Gain(_) | Input::Formal { .. } => {
            panic!("whole: it is neither a variable nor a reward")
        }
    }
}
