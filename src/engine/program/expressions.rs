//! Expressions of a plan over columns of rows: the exponents of the likelihood, the numbers or the
//! log-density of a prior, and derivatives of them.

use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::expr::{Column, ExprId, Graph, InputId, Node, Program, Scratch};
use crate::model::{Domain, Index, Input, NONE};
use crate::plan::{ComparedWith, Extent, Plan, Quantity, Schedule, Term};
use crate::world::{Actions, Batch, World};
use std::ops::Range;

/// Which column an input of an expression reads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::engine) enum Place {
    State(usize),
    NextState(usize),
    Observation(usize),
    Reward(usize),
    /// A component of a draw, by its number: of the step, and of the step before.
    Drawn(usize, usize),
    LastDrawn(usize, usize),
    /// One of the plan's gains.
    Gain(usize),
    /// Of a whole trajectory, by the number of the input: what it reads, who fills it in knows.
    Trajectory(usize),
}

/// Compiled expressions; threads share them, each with [`Values`] of its own.
pub(in crate::engine) struct Expressions<E> {
    program: Program<E>,
    /// Per input of the graph, which of `reads` it is. Behind the model's inputs stand the
    /// schedules.
    columns: Vec<Option<usize>>,
    schedules: Vec<Schedule>,
    /// The columns that are read, each once.
    reads: Vec<Place>,
    /// Component `c` of value number `n` of a finite draw is `values_of_draws[draw][c][n]`; the
    /// number behind its last value is `none`.
    values_of_draws: Vec<Vec<Vec<E>>>,
    pub reads_time: bool,
}

/// The columns that expressions read, and what they computed: output `k` of row `i` at `k ·
/// stride + i`.
pub(in crate::engine) struct Values<E> {
    columns: Vec<Vec<E>>,
    /// The present value of each schedule.
    schedules: Vec<E>,
    scratch: Scratch<E>,
    out: Vec<E>,
    stride: usize,
}

impl<E: Number> Expressions<E> {
    /// What is sampled for the plan's terms, in their order: exponents, and the log-priors of
    /// log-ratios.
    pub fn sampled(plan: &Plan) -> Expressions<E> {
        Expressions::compile(plan, &plan.terms.iter().filter_map(sampled).collect::<Vec<_>>())
    }

    /// Which output of [`Expressions::sampled`] is of the term `at`.
    pub fn output_of(plan: &Plan, at: usize) -> Option<usize> {
        sampled(&plan.terms[at])?;
        Some(plan.terms[..at].iter().filter_map(sampled).count())
    }

    pub fn compile(plan: &Plan, roots: &[ExprId]) -> Expressions<E> {
        Expressions::placed(plan, roots, |input| place(plan, input))
    }

    /// Some that read whole trajectories, and their inputs in the order of their columns.
    pub fn of_inputs(plan: &Plan, roots: &[ExprId]) -> (Expressions<E>, Vec<Input>) {
        let ids = plan.graph.inputs_of(roots).into_iter();
        let inputs: Vec<Input> = ids.map(|id| plan.model.inputs[id.0 as usize]).collect();
        let place = |input| inputs.iter().position(|known| *known == input).map(Place::Trajectory);
        (Expressions::placed(plan, roots, place), inputs.clone())
    }

    fn placed(
        plan: &Plan,
        roots: &[ExprId],
        place: impl Fn(Input) -> Option<Place>,
    ) -> Expressions<E> {
        let (model, graph) = (&plan.model, &plan.graph);
        let mut columns = vec![None; model.inputs.len()];
        let mut reads: Vec<Place> = Vec::new();
        for id in graph.inputs_of(roots) {
            let Some(place) = place(model.inputs[id.0 as usize]) else { continue };
            let at = reads.iter().position(|&known| known == place).unwrap_or_else(|| {
                reads.push(place);
                reads.len() - 1
            });
            columns[id.0 as usize] = Some(at);
        }
        let first_schedule = model.inputs.len() as u32;
        let mut moving = Graph::default();
        let moving_roots = graph.copy_into(roots, &mut moving, &mut |target, leaf| match leaf {
            Node::Param(param) => {
                let at = plan.schedules.iter().position(|(scheduled, _)| scheduled == param)?;
                Some(target.input(InputId(first_schedule + at as u32)))
            }
            _ => None,
        });
        let values_of_draws = plan.draws.iter().map(|draw| {
            let domain = &model.variable(draw.variable).domain;
            if !domain.is_finite() {
                return Vec::new();
            }
            let mut values = values_of(domain);
            values.iter_mut().for_each(|values| values.push(Float::of(NONE)));
            values
        });
        let values_of_draws = values_of_draws.collect();
        Expressions {
            program: Program::compile(&moving, &moving_roots, &model.param_values()),
            columns,
            schedules: plan.schedules.iter().map(|(_, schedule)| *schedule).collect(),
            reads_time: graph
                .reach(roots)
                .into_iter()
                .any(|id| matches!(graph.node(id), Node::Time)),
            reads,
            values_of_draws,
        }
    }

    /// Number of outputs.
    pub fn width(&self) -> usize {
        self.program.width()
    }

    /// Room for `rows` rows; schedules have their last values.
    pub fn values(&self, rows: usize) -> Values<E> {
        Values {
            columns: self.reads.iter().map(|_| vec![<E as Float>::ZERO; rows]).collect(),
            schedules: self.schedules.iter().map(|schedule| Float::of(schedule.to)).collect(),
            scratch: self.program.scratch(),
            out: vec![<E as Float>::ZERO; rows * self.width()],
            stride: rows,
        }
    }

    /// Room for `rows` rows; schedules have these values.
    pub fn values_with(&self, schedules: &[E], rows: usize) -> Values<E> {
        Values { schedules: schedules.to_vec(), ..self.values(rows) }
    }

    /// Moves the schedules to batch `batch` (from 0) of `batches`.
    pub fn move_schedules(&self, batch: u64, batches: u64, values: &mut Values<E>) {
        values
            .schedules
            .iter_mut()
            .zip(&self.schedules)
            .for_each(|(value, schedule)| *value = Float::of(schedule.at(batch, batches)));
    }

    /// Reads what stands before a step: `s[t]` and `x[t]` of rows `0..rows`.
    pub fn read_before(
        &self,
        world: &World<E>,
        batch: &Batch<E>,
        rows: usize,
        values: &mut Values<E>,
    ) {
        for (place, column) in self.reads.iter().zip(&mut values.columns) {
            match *place {
                Place::State(component) => batch.read_state(world, component, &mut column[..rows]),
                Place::Observation(component) => {
                    batch.read_observation(world, component, &mut column[..rows])
                }
                Place::NextState(_)
                | Place::Reward(_)
                | Place::Gain(_)
                | Place::Drawn(..)
                | Place::LastDrawn(..)
                | Place::Trajectory(_) => {}
            }
        }
    }

    /// Whether a draw is read.
    pub fn reads_draws(&self) -> bool {
        let is_drawn = |place: &Place| matches!(place, Place::Drawn(..) | Place::LastDrawn(..));
        self.reads.iter().any(is_drawn)
    }

    /// Whether a draw of the step before is read: an absorbed step then gives something else than
    /// the one before it.
    pub fn reads_last_draws(&self) -> bool {
        self.reads.iter().any(|place| matches!(place, Place::LastDrawn(..)))
    }

    /// Reads what rows `0..rows` drew: `now` in their step, `last` in the one before, by draw.
    pub fn read_drawn<'v>(
        &self,
        rows: usize,
        now: impl Fn(usize) -> Actions<'v, E>,
        last: impl Fn(usize) -> Actions<'v, E>,
        values: &mut Values<E>,
    ) where
        E: 'v,
    {
        for (place, column) in self.reads.iter().zip(&mut values.columns) {
            let (drawn, draw, component) = match *place {
                Place::Drawn(draw, component) => (now(draw), draw, component),
                Place::LastDrawn(draw, component) => (last(draw), draw, component),
                Place::State(_)
                | Place::NextState(_)
                | Place::Observation(_)
                | Place::Reward(_)
                | Place::Gain(_)
                | Place::Trajectory(_) => continue,
            };
            let column = &mut column[..rows];
            match drawn {
                Actions::Numbers(numbers) => {
                    let table = &self.values_of_draws[draw][component];
                    column
                        .iter_mut()
                        .zip(numbers)
                        .for_each(|(value, &number)| *value = table[number as usize]);
                }
                Actions::Columns { values, stride } => {
                    column.copy_from_slice(&values[component * stride..][..rows])
                }
            }
        }
    }

    /// Reads what a step has made: `r[t]` and `s[t+1]`.
    pub fn read_after(
        &self,
        world: &World<E>,
        batch: &Batch<E>,
        rows: usize,
        values: &mut Values<E>,
    ) {
        for (place, column) in self.reads.iter().zip(&mut values.columns) {
            let column = &mut column[..rows];
            match *place {
                Place::NextState(component) => batch.read_state(world, component, column),
                Place::Reward(reward) => {
                    column.copy_from_slice(&batch.reward(world, reward)[..rows])
                }
                // read before the step, or put beside it
                Place::State(_)
                | Place::Observation(_)
                | Place::Gain(_)
                | Place::Drawn(..)
                | Place::LastDrawn(..)
                | Place::Trajectory(_) => {}
            }
        }
    }

    /// A component of a value of a finite draw.
    pub fn component(&self, draw: usize, component: usize, number: u32) -> E {
        self.values_of_draws[draw][component][number as usize]
    }

    /// Reads one transition, of a state that is not finite, into the first row.
    pub fn read_transition(
        &self,
        (state, next): (impl Fn(usize) -> E, impl Fn(usize) -> E),
        drawn: impl Fn(usize, usize) -> E,
        values: &mut Values<E>,
    ) {
        for (place, column) in self.reads.iter().zip(&mut values.columns) {
            column[0] = match *place {
                Place::State(component) => state(component),
                Place::NextState(component) => next(component),
                Place::Drawn(draw, component) => drawn(draw, component),
                // a transition reads none of these
                Place::Observation(_)
                | Place::Reward(_)
                | Place::Gain(_)
                | Place::LastDrawn(..)
                | Place::Trajectory(_) => Float::of(f64::NAN),
            };
        }
    }

    /// Fills in what is read of whole trajectories, by the number of the input.
    pub fn fill(&self, values: &mut Values<E>, rows: usize, mut of: impl FnMut(usize, &mut [E])) {
        for (place, column) in self.reads.iter().zip(&mut values.columns) {
            if let Place::Trajectory(at) = place {
                of(*at, &mut column[..rows]);
            }
        }
    }

    /// What one of the plan's gains is for the rows of a step.
    pub fn put_gain(&self, gain: usize, of_rows: &[E], values: &mut Values<E>) {
        let columns = self
            .reads
            .iter()
            .zip(&mut values.columns)
            .filter(|(place, _)| **place == Place::Gain(gain));
        columns.for_each(|(_, column)| column[..of_rows.len()].copy_from_slice(of_rows));
    }

    /// Reads what an absorbed step would: the present state as both `s[t]` and `s[t+1]`, rewards
    /// and gains 0.
    pub fn read_absorbed(
        &self,
        world: &World<E>,
        batch: &Batch<E>,
        rows: usize,
        values: &mut Values<E>,
    ) {
        for (place, column) in self.reads.iter().zip(&mut values.columns) {
            match *place {
                Place::State(component) | Place::NextState(component) => {
                    batch.read_state(world, component, &mut column[..rows])
                }
                Place::Reward(_) | Place::Gain(_) => column[..rows].fill(<E as Float>::ZERO),
                // the checks let an exponent that goes on after an end compare these, no more
                Place::Drawn(..) | Place::LastDrawn(..) | Place::Observation(_) => {
                    column[..rows].fill(Float::of(NONE))
                }
                Place::Trajectory(_) => {}
            }
        }
    }

    /// Computes `rows` at time `t`; output `k` of the first of them is then
    /// [`Values::output`]`(k)[0]`.
    pub fn run(&self, t: usize, rows: Range<usize>, values: &mut Values<E>) {
        if self.width() == 0 {
            return;
        }
        let Values { columns, schedules, scratch, out, stride } = values;
        let input = |InputId(id)| match self.columns.get(id as usize) {
            Some(Some(at)) => Column::Each(&columns[*at][rows.clone()]),
            // the plan refuses what an expression reads elsewhere
            Some(None) => Column::Same(Float::of(f64::NAN)),
            None => Column::Same(schedules[id as usize - self.columns.len()]),
        };
        self.program.run(
            &input,
            Column::Same(Float::of(t as f64)),
            rows.len(),
            out,
            *stride,
            scratch,
        );
    }
}

impl<E> Values<E> {
    /// The present value of each schedule.
    pub fn schedules(&self) -> &[E] {
        &self.schedules
    }

    pub fn output(&self, k: usize) -> &[E] {
        &self.out[k * self.stride..(k + 1) * self.stride]
    }
}

/// By component, that of each value of a finite domain.
pub(in crate::engine) fn values_of<E: Number>(domain: &Domain) -> Vec<Vec<E>> {
    let mut values = vec![Vec::new(); domain.width()];
    let mut value = vec![0.0; domain.width()];
    for number in 0..domain.finite.as_ref().map_or(0, |finite| finite.size()) {
        if let Some(finite) = &domain.finite {
            finite.value(number, &mut value);
        }
        values.iter_mut().zip(&value).for_each(|(column, &v)| column.push(Float::of(v)));
    }
    values
}

/// What a step has to compute for a term.
fn sampled(term: &Term) -> Option<ExprId> {
    match term.quantity {
        // it is valued when the trajectory is whole
        Quantity::Exponent(_) if term.extent == Extent::Trajectory => None,
        Quantity::Exponent(value)
        | Quantity::LogRatio { log_prior: value, .. }
        | Quantity::Density { compared_with: ComparedWith::Expression(value), .. } => Some(value),
        Quantity::Entropy { .. }
        | Quantity::Kl { .. }
        | Quantity::LogCount(_)
        | Quantity::WeightDivergence { .. }
        | Quantity::Ratio(_)
        | Quantity::Density {
            compared_with:
                ComparedWith::Nothing
                | ComparedWith::Itself
                | ComparedWith::Draw(_)
                | ComparedWith::Environment(_),
            ..
        } => None,
    }
}

/// Where an input of an expression stands that reads its own step alone: `[1]` and `[T]` are that
/// step there.
pub(in crate::engine) fn place(plan: &Plan, input: Input) -> Option<Place> {
    let environment = plan.environment;
    let of = plan.model.environment(environment);
    match input {
        Input::Variable { variable, component, index } => {
            let component = component as usize;
            let draw = plan.draw_of(variable);
            match index {
                Index::First | Index::Step(0) | Index::Last(0) if variable == of.state => {
                    Some(Place::State(component))
                }
                Index::Step(1) | Index::Last(1) if variable == of.state => {
                    Some(Place::NextState(component))
                }
                Index::First | Index::Step(0) | Index::Last(0)
                    if Some(variable) == of.observation =>
                {
                    Some(Place::Observation(component))
                }
                Index::First | Index::Step(0) | Index::Last(0) => {
                    draw.map(|at| Place::Drawn(at, component))
                }
                Index::Step(-1) | Index::Last(-1) => draw.map(|at| Place::LastDrawn(at, component)),
                Index::Step(_) | Index::Last(_) => None,
            }
        }
        Input::Reward {
            environment: at,
            reward,
            index: Index::First | Index::Step(0) | Index::Last(0),
        } if at == environment => Some(Place::Reward(reward as usize)),
        Input::Gain(id) => plan.gains.iter().position(|gain| gain.id == id).map(Place::Gain),
        Input::Reward { .. } | Input::Formal { .. } => None,
    }
}
