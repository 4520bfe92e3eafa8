//! One shard of a batch: some trajectories, rolled out step by step with the policy, and what their
//! rows give to the bound's terms.
//!
//! Trajectories start at `s[1]` and run to the horizon or the end. Rows that have ended cost
//! nothing: only live rows go through the networks and are kept, all of `t = 1` first, then all of
//! `t = 2`, …

mod absorbed;
mod acted;
mod before_start;
mod collected;
mod drawn;
mod outcomes;
mod prior;
mod whole;

use super::episodes::Episodes;
use super::fault::{Arose, Fault};
use super::reached;
use crate::engine::episode::listing::Listed;
use crate::engine::episode::values::Values;
use crate::engine::family::choice::Choice;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::engine::numeric::stream::generator;
use crate::engine::program::binding::Feeds;
use crate::engine::program::compiled::CompiledProgram;
use crate::engine::program::expressions;
use crate::engine::program::gain::{GainRows, Transitions};
use crate::engine::program::outcome::Stage;
use crate::engine::program::point::{Frozen, Point};
use crate::engine::sample::tally::Tally;
use crate::world::{Actions, Batch, World};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::ops::Range;

/// Whether rows are kept for a gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Keep {
    Rows,
    Nothing,
}

/// Rolls out the trajectories of a shard, with buffers that are made once.
pub(in crate::engine) struct Rollout<E> {
    /// Those of the last run.
    pub episodes: Episodes<E>,
    batch: Batch<E>,
    /// Of the environment from outside that starts what a model imagines.
    starter: Option<Batch<E>>,
    gains: Vec<GainRows<E>>,
    /// What is drawn, where that is not sampled.
    pub listed: Option<Listed>,
    /// Counts what options are used for, where that is asked.
    pub tally: Option<Tally<E>>,
    /// The least and the greatest of each reward of a live step, where that is asked.
    pub extremes: Option<Vec<(f64, f64)>>,
    /// The first number of the last run that is none: it ended there, and what it left is of no
    /// use.
    pub fault: Option<Fault>,
    /// The step and the trajectory whose state is asked for, and the answer.
    sought: Option<(usize, usize)>,
    found: Option<String>,
    /// By term.
    absorbed: Vec<E>,
    exponents: expressions::Values<E>,
    wholes: Vec<expressions::Values<E>>,
    feeds: Feeds<E>,
    work: Work<E>,
}

/// Columns of one step.
struct Work<E> {
    uniforms: Vec<E>,
    values: Vec<E>,
    entropy: Vec<E>,
    prior: Vec<E>,
    /// What several actions make together, and a copy of what the world takes.
    joint: Values<E>,
    taken: Values<E>,
    origin: Vec<u32>,
}

impl<E: Number> Rollout<E> {
    pub fn new(program: &CompiledProgram<E>, trajectories: usize) -> Rollout<E> {
        let column = || vec![<E as Float>::ZERO; trajectories];
        Rollout {
            episodes: Episodes::new(program, trajectories),
            batch: Batch::new(&program.world, trajectories),
            starter: program.starter.as_ref().map(|world| Batch::new(world, trajectories)),
            gains: program.gains.iter().map(|_| GainRows::default()).collect(),
            listed: None,
            tally: None,
            extremes: None,
            fault: None,
            sought: None,
            found: None,
            absorbed: Vec::new(),
            exponents: program.exponents.values(trajectories),
            wholes: program.wholes.iter().map(|whole| whole.values(trajectories)).collect(),
            feeds: Feeds::of_draws(program.draws.len()),
            work: Work {
                uniforms: Vec::with_capacity(trajectories),
                values: column(),
                entropy: column(),
                prior: Vec::new(),
                joint: Values::default(),
                taken: Values::default(),
                origin: vec![0; trajectories],
            },
        }
    }

    /// How many trajectories it rolls out.
    pub fn size(&self) -> usize {
        self.batch.rows()
    }

    /// Moves what is scheduled to batch `batch`, counted from 0; before, it stands at its end.
    pub fn move_schedules(&mut self, program: &CompiledProgram<E>, batch: u64) {
        let batches = program.plan.settings.steps;
        program.exponents.move_schedules(batch, batches, &mut self.exponents);
        for (whole, values) in program.wholes.iter().zip(&mut self.wholes) {
            whole.move_schedules(batch, batches, values);
        }
        if program.is_pathwise() {
            self.episodes.slopes.move_schedules(&program.through, batch, batches);
        }
    }

    /// Rolls all trajectories out anew; `stream` names the random numbers. What whole trajectories
    /// give to the bound is added by [`Rollout::value`]. It ends midway if the run gives up, and at
    /// the first number that is none, with a [`Fault`].
    pub fn run(
        &mut self,
        program: &CompiledProgram<E>,
        point: Point<E>,
        stream: [u64; 3],
        choice: Choice,
        keep: Keep,
    ) {
        self.roll_out(program, point, stream, choice, keep);
        if let Some(fault) = self.fault.take_if(|fault| fault.arose != Arose::Outside) {
            let state = self.state_before(
                program,
                point,
                stream,
                (choice, keep),
                (fault.t, fault.trajectory),
            );
            self.fault = Some(Fault { state, ..fault });
        }
    }

    /// The state of a trajectory before step `t` of a run, which is made once more.
    pub fn state_before(
        &mut self,
        program: &CompiledProgram<E>,
        point: Point<E>,
        stream: [u64; 3],
        (choice, keep): (Choice, Keep),
        sought: (usize, usize),
    ) -> Option<String> {
        self.sought = Some(sought);
        self.roll_out(program, point, stream, choice, keep);
        self.sought = None;
        self.found.take()
    }

    fn roll_out(
        &mut self,
        program: &CompiledProgram<E>,
        point: Point<E>,
        stream: [u64; 3],
        choice: Choice,
        keep: Keep,
    ) {
        self.fault = None;
        let mut random = generator(stream);
        self.episodes.simulated.begin(stream);
        self.episodes.clear(program);
        self.gains.iter_mut().for_each(GainRows::clear);
        match (&self.listed, program.imagination(true)) {
            (Some(listed), _) => {
                let first = Actions::Numbers(listed.starts());
                self.batch.begin(&program.world, first, &mut random);
                see(listed, (&program.world, &mut self.batch), 1);
            }
            (None, None) => match (&program.starter, &mut self.starter) {
                (Some(world), Some(starter)) => {
                    starter.reset(world, &mut random);
                    let values = starter.state_columns(world).unwrap_or(&[]);
                    let first = Actions::Columns { values, stride: starter.rows() };
                    self.batch.begin(&program.world, first, &mut random);
                }
                _ => self.batch.reset(&program.world, &mut random),
            },
            (None, Some((at, start))) => {
                self.draw_before_start(program, point.present, &mut random);
                if !start.binding.traced.is_empty() {
                    let all = self.work.origin.len();
                    self.work.origin.iter_mut().zip(0..).for_each(|(origin, row)| *origin = row);
                    self.read_earlier((program, &start.binding, point.present), 1, all);
                }
                let on = (&program.world, &mut self.batch);
                start.begin(
                    on,
                    point.present,
                    &mut self.feeds,
                    &mut self.episodes.states[at],
                    &mut random,
                );
                self.work.origin.copy_from_slice(self.batch.origin());
                let broken = self.episodes.states[at].broken.take();
                self.is_broken(broken, Arose::Kernel, 1);
            }
        }
        self.work.origin.copy_from_slice(self.batch.origin());
        self.hold_outside(program, None);
        let started = reached::of_world(program, &self.batch, self.batch.front());
        self.is_broken(started, Arose::World, 1);
        if program.keeps_ledger() && keep == Keep::Rows {
            // one that has ended at its start has no row
            self.episodes.trace.record_next(&program.seen(), &self.batch, self.batch.origin());
        }
        self.value_absorbed_steps(program);
        let all = self.batch.front();
        self.batch.compact(&program.world);
        self.absorb(program, 0, self.batch.front()..all);
        for t in 1..=program.horizon {
            if self.batch.front() == 0 || self.fault.is_some() || program.stop.gives_up() {
                break;
            }
            self.step(program, point, &mut random, t, (choice, keep));
        }
    }

    /// Keeps the first fault that is found: a row of the present step, and what is wrong with it.
    fn is_broken(&mut self, found: Option<(usize, String)>, arose: Arose, t: usize) -> bool {
        if let (Some((row, what)), None) = (found, &self.fault) {
            let trajectory = self.work.origin[row] as usize;
            self.fault = Some(Fault { what, arose, t, trajectory, state: None, outside: None });
        }
        self.fault.is_some()
    }

    /// Keeps what an environment from outside could not do: start, or make step `t`. A row whose
    /// step cannot be used has not moved.
    fn hold_outside(&mut self, program: &CompiledProgram<E>, t: Option<usize>) {
        let starter = self.starter.as_ref().and_then(Batch::trouble);
        if let (Some(trouble), None) = (self.batch.trouble().or(starter), &self.fault) {
            let row = trouble.row;
            let is_of_row = trouble.cause.is_none() && t.is_some();
            self.fault = Some(Fault {
                what: trouble.what.clone(),
                arose: Arose::Outside,
                t: t.unwrap_or(1),
                trajectory: self.work.origin.get(row).map_or(0, |&origin| origin as usize),
                state: is_of_row.then(|| reached::state_of_row(program, &self.batch, row)),
                outside: Some(trouble.clone()),
            });
        }
    }

    /// The gains of the rows of a step, which has been made.
    fn evaluate_gains(
        &mut self,
        program: &CompiledProgram<E>,
        frozen: &Frozen<E>,
        t: usize,
        (live, keep): (usize, Keep),
    ) {
        let Rollout { episodes, gains, work, exponents, .. } = self;
        let Episodes { trace, draws, gains: kept, slopes, .. } = episodes;
        let drawn = |draw: usize| &draws[draw].draws.numbers[..];
        let rows = Transitions {
            trace,
            origin: &work.origin[..live],
            t,
            horizon: program.horizon,
            drawn: &drawn,
        };
        for (at, (gain, own)) in program.gains.iter().zip(gains).enumerate() {
            own.evaluate(gain, frozen, &rows);
            if program.is_pathwise() && keep == Keep::Rows {
                own.differentiate(gain, frozen, &rows);
                slopes.add_gain(at, &own.slopes);
            }
            program.exponents.put_gain(at, &own.values, exponents);
            if program.valued_whole().any(|whole| whole.reads_gain(at)) {
                kept[at].extend_from_slice(&own.values);
            }
        }
    }

    /// Draws all that the live rows draw at step `t`: which rows these are, unless a kernel has
    /// broken.
    fn decide(
        &mut self,
        program: &CompiledProgram<E>,
        point: Point<E>,
        random: &mut Xoshiro256PlusPlus,
        t: usize,
        (choice, keep): (Choice, Keep),
    ) -> Option<Range<usize>> {
        let live = self.batch.front();
        if keep == Keep::Nothing {
            self.episodes.clear_rows();
        }
        let first = self.episodes.rows.len();
        let rows = first..first + live;
        self.work.origin[..live].copy_from_slice(&self.batch.origin()[..live]);
        self.episodes.rows.trajectory.extend_from_slice(&self.work.origin[..live]);
        self.episodes.rows.close_step();
        if let Some((_, trajectory)) = self.sought.filter(|(at, _)| *at == t) {
            let row =
                self.work.origin[..live].iter().position(|&origin| origin as usize == trajectory);
            self.found = row.map(|row| reached::state_of_row(program, &self.batch, row));
        }

        let binding = if keep == Keep::Rows { &program.learning } else { &program.acting };
        if program.keeps_ledger() && keep == Keep::Rows {
            self.episodes.trace.record(
                &program.seen(),
                &self.batch,
                (t, first),
                &self.work.origin[..live],
            );
        }
        self.read_earlier((program, binding, point.present), t, live);
        let is_kept = keep == Keep::Rows && program.imagines_through();
        let kept = is_kept.then_some(first);
        let broken =
            self.draw_step(program, point, binding, random, (rows.clone(), kept), (t, choice));
        if self.is_broken(broken, Arose::Kernel, t) {
            return None;
        }
        if keep == Keep::Rows && program.learning.scaled_components() > 0 {
            binding.observe(&program.world, &self.batch, live, &mut self.episodes.inputs);
        }
        Some(rows)
    }

    /// Moves the live rows by the step `t`.
    fn step(
        &mut self,
        program: &CompiledProgram<E>,
        point: Point<E>,
        random: &mut Xoshiro256PlusPlus,
        t: usize,
        (choice, keep): (Choice, Keep),
    ) {
        let Some(rows) = self.decide(program, point, random, t, (choice, keep)) else { return };
        let binding = if keep == Keep::Rows { &program.learning } else { &program.acting };
        let (first, live) = (rows.start, rows.len());
        let last = program.draws.len() - 1;
        let (family, drawn) = (&program.draws[last].family, &self.episodes.draws[last]);
        let numbers = &drawn.numbers[first * family.numbers()..];
        let entropies = &mut self.work.entropy[..live];
        family.estimated_entropies(numbers, &drawn.log_prob[first..], entropies);
        self.divergences(program, point, t, rows.clone(), binding);

        if let Some(tally) = &mut self.tally {
            tally.add(
                program,
                &self.batch,
                (t, rows.clone()),
                (&self.episodes.draws, &self.feeds.last),
            );
        }
        program.exponents.read_before(&program.world, &self.batch, live, &mut self.exponents);
        if program.is_pathwise() && keep == Keep::Rows {
            let Rollout { batch, episodes, .. } = self;
            episodes.slopes.read(&program.through, |expressions, values| {
                expressions.read_before(&program.world, batch, live, values)
            });
        }
        if program.keeps_ledger() && keep == Keep::Rows {
            for (at, _) in program.draws.iter().enumerate().filter(|(_, of)| of.width > 0) {
                self.episodes.trace.record_drawn(at, &self.feeds.drawn[at].columns, live);
            }
        }
        let drawn = self.draw_outcomes(program, point, (t, &rows), random, Stage::Ahead);
        if self.is_broken(drawn, Arose::Kernel, t) {
            return;
        }
        if let Some((_, of)) =
            program.imagination(false).filter(|(_, of)| !of.binding.traced.is_empty())
        {
            self.read_earlier((program, &of.binding, point.present), t, live);
        }
        let Rollout { episodes, batch, feeds, work, exponents, listed, .. } = &mut *self;
        let Episodes { draws, slopes, states, .. } = episodes;
        let drawn = |at: usize| draws[at].taken(&program.draws[at], rows.clone(), &feeds.drawn[at]);
        let before = |at: usize| feeds.last[at].as_actions(live);
        program.exponents.read_drawn(live, drawn, before, exponents);
        if program.is_pathwise() && keep == Keep::Rows {
            slopes.read(&program.through, |expressions, values| {
                expressions.read_drawn(live, drawn, before, values)
            });
        }
        let Work { joint, taken, origin, .. } = work;
        let done = program.joint.actions(drawn, live, joint);
        match (listed, program.imagination(false)) {
            (Some(listed), _) => {
                let mut next = Vec::with_capacity(live);
                listed.read_states(t + 1, &origin[..live], &mut next);
                // of what is told beside the states only ends are listed
                let mut states = program.plan.states.iter();
                let told = match states.any(|of| !of.outcomes.is_empty()) {
                    true => listed.ends(t, &origin[..live]),
                    false => Vec::new(),
                };
                let next = (Actions::Numbers(&next), &told[..]);
                batch.follow(&program.world, done, next, random);
                see(listed, (&program.world, batch), t + 1);
            }
            (None, None) => batch.step(&program.world, done, random),
            (None, Some((at, imagination))) => {
                taken.copy(done, live);
                let done = taken.as_actions(live);
                let kept = if program.is_pathwise() { first } else { 0 };
                imagination.step(
                    (&program.world, batch),
                    (point.present, done, kept),
                    feeds,
                    &mut states[at],
                    random,
                );
            }
        }
        if self.batch.trouble().is_some() {
            self.hold_outside(program, Some(t));
            return;
        }
        let broken = self.episodes.states.iter_mut().find_map(|of| of.broken.take());
        let broken = broken.map(|found| (found, Arose::Kernel));
        let broken =
            broken.or_else(|| Some((reached::of_world(program, &self.batch, live)?, Arose::World)));
        if let Some((found, arose)) = broken {
            self.is_broken(Some(found), arose, t);
            return;
        }
        if program.keeps_ledger() && keep == Keep::Rows {
            self.episodes.trace.record_next(
                &program.seen(),
                &self.batch,
                &self.work.origin[..live],
            );
            let records = program.records_outcomes();
            for stage in [Stage::Made, Stage::Behind] {
                let drawn = self.draw_outcomes(program, point, (t, &rows), random, stage);
                if self.is_broken(drawn, Arose::Kernel, t) {
                    return;
                }
                if records && (stage == Stage::Made || !program.outcomes.is_empty()) {
                    let at = (first, live);
                    self.episodes.trace.record_outcomes(&program.seen(), &self.batch, at);
                }
            }
        }
        program.exponents.read_after(&program.world, &self.batch, live, &mut self.exponents);
        if program.is_pathwise() && keep == Keep::Rows {
            let Rollout { batch, episodes, .. } = self;
            episodes.slopes.read(&program.through, |expressions, values| {
                expressions.read_after(&program.world, batch, live, values)
            });
        }
        if !program.gains.is_empty() {
            self.evaluate_gains(program, point.frozen, t, (live, keep));
        }
        if program.is_pathwise() && keep == Keep::Rows {
            let Rollout { episodes: Episodes { slopes, .. }, gains, .. } = self;
            slopes.read(&program.through, |expressions, values| {
                let all = gains.iter().enumerate();
                all.for_each(|(at, own)| expressions.put_gain(at, &own.values, values));
            });
            slopes.add(&program.through, t, live);
        }
        program.exponents.run(t, 0..live, &mut self.exponents);
        for (density, rows) in program.densities.iter().zip(&mut self.episodes.densities) {
            if let Some(output) = density.written {
                rows.written.extend_from_slice(&self.exponents.output(output)[..live]);
            }
        }
        self.collect(program, t, rows, keep);
        self.batch.compact(&program.world);
        self.absorb(program, t, self.batch.front()..live);
    }
}

/// Shows the rows in front what is listed as seen at `t`, where that is drawn.
fn see<E: Number>(listed: &Listed, (world, batch): (&World<E>, &mut Batch<E>), t: usize) {
    if listed.sees() {
        let mut seen = Vec::with_capacity(batch.front());
        listed.read_observations(t, &batch.origin()[..batch.front()], &mut seen);
        batch.see(world, &seen);
    }
}
