//! One shard of a batch: some trajectories, rolled out step by step with the policy, and what their
//! rows give to the bound's terms.
//!
//! Trajectories start at `s[1]` and run to the horizon or the end. Rows that have ended cost
//! nothing: only live rows go through the networks and are kept, all of `t = 1` first, then all of
//! `t = 2`, …

use super::credit::Rows;
use super::density::{Density, DensityRows};
use super::evaluate::Activations;
use super::expressions::{Number, Values};
use super::family::{Choice, Draws};
use super::fault::{self, Arose, Fault};
use super::float::Float;
use super::gain::{Frozen, GainRows, Transitions};
use super::imagine::Imagined;
use super::kernels;
use super::ledger::Ledger;
use super::listed::Listed;
use super::moments::Sums;
use super::options::{OptionRows, Outputs};
use super::pathwise::SlopeRows;
use super::points::Trajectories;
use super::ratio::RatioRows;
use super::simulation::Simulated;
use super::stage::{Anchor, Credit, Source, Stage};
use super::start;
use super::tally::Tally;
use super::trace::{Trace, Variable};
use super::wired::{Feeds, Wired};
use crate::world::{Actions, Batch};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use std::ops::Range;
use std::sync::Arc;

/// Whether rows are kept for a gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    Rows,
    Nothing,
}

/// The parameters a rollout reads.
#[derive(Clone, Copy)]
pub(super) struct Point<'a, E> {
    pub present: &'a [E],
    /// Those of the beginning of the round; `None` where they are the present ones.
    pub previous: Option<&'a [E]>,
    /// What gains are computed from.
    pub frozen: &'a Frozen<E>,
}

/// The trajectories of a shard and all buffers of their rollout, which are made once.
pub(super) struct Rollout<E> {
    batch: Batch<E>,
    pub rows: Rows,
    pub draws: Draws<E>,
    /// What each row gives to the terms credited to its own draw, and to those credited to earlier
    /// draws only.
    pub here: Vec<E>,
    pub before: Vec<E>,
    /// Per trajectory, what its steps after the end give to credited terms.
    pub after: Vec<E>,
    /// The policy's numbers, and those of a prior without present parameters, a row for each row.
    pub policy: Vec<E>,
    pub anchor: Vec<E>,
    /// `log π` of each draw, of a squashed normal before `tanh`.
    pub log_prob: Vec<E>,
    pub network: Arc<Activations<E>>,
    pub options: Vec<OptionRows<E>>,
    pub densities: Vec<DensityRows<E>>,
    /// Of the next and of the first states, where their score is taken.
    pub scored_model: DensityRows<E>,
    pub scored_start: DensityRows<E>,
    pub ratio: RatioRows<E>,
    pub imagined_start: Imagined<E>,
    pub imagined: Imagined<E>,
    pub slopes: SlopeRows<E>,
    simulated: Simulated<E>,
    gains: Vec<GainRows<E>>,
    pub ledger: Ledger<E>,
    pub totals: Totals,
    pub trace: Trace<E>,
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
    /// Of the inputs that are normalised, over the rows kept.
    pub inputs: Sums,
    exponents: Values<E>,
    anchor_values: Option<Values<E>>,
    /// What a prior of the last round computed: of the last step, or where the gradient goes
    /// through draws, of all rows.
    pub previous: Arc<Activations<E>>,
    feeds: Feeds<E>,
    work: Work<E>,
}

/// Sums over the trajectories of a shard.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    /// Per term of the plan, with its sign.
    pub terms: Vec<f64>,
    pub entropy: f64,
    /// Per trajectory: the bound's sample, the sum of rewards, the live steps.
    pub bound: Vec<f64>,
    pub returns: Vec<f64>,
    /// Of an environment with several rewards, the sum of each, by reward and trajectory.
    pub rewards: Vec<Vec<f64>>,
    pub lengths: Vec<u32>,
}

/// Columns of one step.
struct Work<E> {
    uniforms: Vec<E>,
    values: Vec<E>,
    entropy: Vec<E>,
    divergence: Vec<E>,
    prior: Vec<E>,
    actions: Vec<E>,
    origin: Vec<u32>,
}

impl<E: Number> Rollout<E> {
    pub fn new(stage: &Stage<E>, trajectories: usize) -> Rollout<E> {
        let column = || vec![<E as Float>::ZERO; trajectories];
        Rollout {
            batch: Batch::new(&stage.world, trajectories),
            rows: Rows::default(),
            draws: Draws::default(),
            here: Vec::new(),
            before: Vec::new(),
            after: column(),
            policy: Vec::new(),
            anchor: Vec::new(),
            log_prob: Vec::new(),
            network: Arc::new(Activations::default()),
            options: stage.options.iter().map(|_| OptionRows::new(trajectories)).collect(),
            densities: stage.densities.iter().map(|_| DensityRows::default()).collect(),
            scored_model: DensityRows::default(),
            scored_start: DensityRows::default(),
            ratio: RatioRows::default(),
            imagined_start: Imagined::default(),
            imagined: Imagined::default(),
            slopes: SlopeRows::new(stage.through.as_ref(), trajectories),
            simulated: Simulated::new(),
            gains: stage.gains.iter().map(|_| GainRows::default()).collect(),
            ledger: Ledger::default(),
            totals: Totals::default(),
            trace: Trace::default(),
            listed: None,
            tally: None,
            extremes: None,
            fault: None,
            sought: None,
            found: None,
            absorbed: Vec::new(),
            inputs: Sums::default(),
            exponents: stage.exponents.values(trajectories),
            anchor_values: match &stage.anchor {
                Anchor::Expressions(expressions) => Some(expressions.values(trajectories)),
                Anchor::None | Anchor::Present | Anchor::PreviousPolicy | Anchor::Previous(_) => {
                    None
                }
            },
            previous: Arc::default(),
            feeds: Feeds::of_options(stage.options.len()),
            work: Work {
                uniforms: Vec::with_capacity(trajectories),
                values: column(),
                entropy: column(),
                divergence: column(),
                prior: Vec::new(),
                actions: Vec::new(),
                origin: vec![0; trajectories],
            },
        }
    }

    /// How many trajectories it rolls out.
    pub fn size(&self) -> usize {
        self.batch.rows()
    }

    /// Moves what is scheduled to batch `batch`, counted from 0; before, it stands at its end.
    pub fn move_schedules(&mut self, stage: &Stage<E>, batch: u64) {
        let batches = stage.plan.settings.steps;
        stage.exponents.move_schedules(batch, batches, &mut self.exponents);
        if let Some(through) = &stage.through {
            self.slopes.move_schedules(through, batch, batches);
        }
    }

    /// Rolls all trajectories out anew; `stream` names the random numbers. What whole trajectories
    /// give to the bound is added by [`Rollout::value`]. It ends midway if the run gives up, and at
    /// the first number that is none, with a [`Fault`].
    pub fn run(
        &mut self,
        stage: &Stage<E>,
        point: Point<E>,
        stream: [u64; 3],
        choice: Choice,
        keep: Keep,
    ) {
        self.roll_out(stage, point, stream, choice, keep);
        if let Some(fault) = self.fault.take() {
            let state = self.state_before(
                stage,
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
        stage: &Stage<E>,
        point: Point<E>,
        stream: [u64; 3],
        (choice, keep): (Choice, Keep),
        sought: (usize, usize),
    ) -> Option<String> {
        self.sought = Some(sought);
        self.roll_out(stage, point, stream, choice, keep);
        self.sought = None;
        self.found.take()
    }

    fn roll_out(
        &mut self,
        stage: &Stage<E>,
        point: Point<E>,
        stream: [u64; 3],
        choice: Choice,
        keep: Keep,
    ) {
        self.fault = None;
        let mut random = generator(stream);
        self.simulated.begin(stream);
        self.clear(stage);
        self.gains.iter_mut().for_each(GainRows::clear);
        match (&self.listed, &stage.start) {
            (Some(listed), _) => {
                self.batch.begin(&stage.world, Actions::Numbers(listed.starts()), &mut random)
            }
            (None, None) => self.batch.reset(&stage.world, &mut random),
            (None, Some(start)) => {
                let on = (&stage.world, &mut self.batch);
                start.begin(
                    on,
                    point.present,
                    &mut self.feeds,
                    &mut self.imagined_start,
                    &mut random,
                );
                self.work.origin.copy_from_slice(self.batch.origin());
                let broken = self.imagined_start.broken.take();
                self.is_broken(broken, Arose::Kernel, 1);
            }
        }
        self.work.origin.copy_from_slice(self.batch.origin());
        let started = fault::of_world(stage, &self.batch, self.batch.front());
        self.is_broken(started, Arose::World, 1);
        if stage.keeps_ledger() && keep == Keep::Rows {
            // one that has ended at its start has no row
            self.trace.record_next(stage, &self.batch, self.batch.origin());
        }
        self.value_absorbed_steps(stage);
        let all = self.batch.front();
        self.batch.compact(&stage.world);
        self.absorb(stage, 0, self.batch.front()..all);
        for t in 1..=stage.horizon {
            if self.batch.front() == 0 || self.fault.is_some() || stage.stop.gives_up() {
                break;
            }
            self.step(stage, point, &mut random, t, (choice, keep));
        }
    }

    /// Keeps the first fault that is found: a row of the present step, and what is wrong with it.
    fn is_broken(&mut self, found: Option<(usize, String)>, arose: Arose, t: usize) -> bool {
        if let (Some((row, what)), None) = (found, &self.fault) {
            let trajectory = self.work.origin[row] as usize;
            self.fault = Some(Fault { what, arose, t, trajectory, state: None });
        }
        self.fault.is_some()
    }

    /// Adds what whole trajectories give, and credits the draws with it, where rows were kept for
    /// that.
    pub fn value(&mut self, stage: &Stage<E>, point: Point<E>) {
        if stage.keeps_ledger() {
            self.evaluate_densities(stage, point);
            let terms = (&stage.terms[..], stage.plan.settings.discount);
            self.ledger.credit(
                terms,
                stage.row_draws(),
                self.rows.len(),
                &self.totals.lengths,
                &self.trace,
            );
        }
    }

    /// The trajectories of the last run, where they were recorded.
    pub fn trajectories(&self, stage: &Stage<E>) -> Trajectories<'_, E> {
        let Rollout { rows, totals, trace, draws, options, .. } = self;
        Trajectories {
            rows,
            lengths: &totals.lengths,
            horizon: stage.horizon,
            trace,
            actions: &draws.numbers,
            options,
        }
    }

    /// What whole trajectories give to the densities of the bound, and to its density ratio.
    fn evaluate_densities(&mut self, stage: &Stage<E>, point: Point<E>) {
        let Rollout {
            rows,
            totals,
            trace,
            draws,
            options,
            densities,
            ledger,
            ratio,
            scored_model,
            scored_start,
            fault,
            ..
        } = self;
        let lengths = totals.lengths.clone();
        let on = Trajectories {
            rows,
            lengths: &lengths,
            horizon: stage.horizon,
            trace,
            actions: &draws.numbers,
            options,
        };
        if let Some(of) = &stage.scored_model {
            scored_model.evaluate(of, point, &on);
        }
        if let Some(of) = &stage.scored_start {
            start::evaluate(scored_start, of, point, &on);
        }
        let mut hold = |term: usize, value: E, point: (u32, u32)| {
            if !Float::is_finite(value) && fault.is_none() {
                let what = fault::term_is(stage.plan, term, value.as_f64());
                let (t, trajectory) = (point.0 as usize, point.1 as usize);
                *fault = Some(Fault {
                    what,
                    arose: Arose::Kernel,
                    t,
                    trajectory,
                    state: fault::state_at(stage, &on, point),
                });
            }
        };
        if let Some(of) = &stage.ratio {
            ratio.evaluate(of, point.present, &on);
            let sign = stage.terms[of.term].sign;
            for (&(t, trajectory), &logit) in ratio.points.iter().zip(ratio.logits(of)) {
                let value = <E as Float>::of(sign) * logit;
                hold(of.term, value, (t, trajectory));
                ledger.add(of.term, t as usize, trajectory, value);
                totals.terms[of.term] += value.as_f64();
                totals.bound[trajectory as usize] += value.as_f64();
            }
            let discount = stage.plan.settings.discount;
            for &(trajectory, steps) in &ratio.absorbed {
                let logit = ratio.logit_of_absorbed(of).as_f64() * sign;
                hold(of.term, <E as Float>::of(logit), (lengths[trajectory as usize], trajectory));
                // from the step at which the ledger has them
                let faded: f64 = if discount == 1.0 {
                    f64::from(steps)
                } else {
                    (0..steps).map(|k| discount.powi(k as i32)).sum()
                };
                ledger.add(
                    of.term,
                    lengths[trajectory as usize] as usize + 1,
                    trajectory,
                    <E as Float>::of(logit * faded),
                );
                totals.terms[of.term] += logit * f64::from(steps);
                totals.bound[trajectory as usize] += logit * f64::from(steps);
            }
        }
        for (density, out) in stage.densities.iter().zip(densities) {
            out.evaluate(density, point, &on);
            let sign = stage.terms[density.term].sign;
            for (at, (&(t, trajectory), &log_p)) in out.points.iter().zip(&out.log_prob).enumerate()
            {
                let of_draw = |draw: usize, row: usize| match options.get(draw) {
                    Some(option) => option.log_prob[row],
                    None => self.log_prob[row],
                };
                let log_q =
                    out.compared(at, density, &on, (of_draw, |row: usize| out.written[row]));
                let value = <E as Float>::of(sign) * (log_p - log_q);
                hold(density.term, value, (t, trajectory));
                ledger.add(density.term, t as usize, trajectory, value);
                totals.terms[density.term] += value.as_f64();
                totals.bound[trajectory as usize] += value.as_f64();
            }
        }
    }

    /// Evaluates the densities anew at `point`; what the trajectories gave stays.
    pub fn revalue_densities(&mut self, stage: &Stage<E>, point: Point<E>) {
        let Rollout { rows, totals, trace, draws, options, densities, .. } = self;
        let on = Trajectories {
            rows,
            lengths: &totals.lengths,
            horizon: stage.horizon,
            trace,
            actions: &draws.numbers,
            options,
        };
        stage
            .densities
            .iter()
            .zip(densities)
            .for_each(|(density, out)| out.evaluate(density, point, &on));
    }

    /// The gains of the rows of a step, which has been made.
    fn evaluate_gains(&mut self, stage: &Stage<E>, frozen: &Frozen<E>, t: usize, live: usize) {
        let Rollout { trace, draws, options, gains, work, exponents, .. } = self;
        let drawn = |variable| match variable {
            Variable::Option(option) => &options[option].draws.numbers[..],
            Variable::Action
            | Variable::State
            | Variable::Observation
            | Variable::Reward(_)
            | Variable::End => &draws.numbers[..],
        };
        let rows = Transitions {
            trace,
            origin: &work.origin[..live],
            t,
            horizon: stage.horizon,
            drawn: &drawn,
        };
        for (at, (gain, own)) in stage.gains.iter().zip(gains).enumerate() {
            own.evaluate(gain, frozen, &rows);
            stage.exponents.put_gain(at, &own.values, exponents);
        }
    }

    /// What an absorbed step gives to each term that is credited relative to it.
    fn value_absorbed_steps(&mut self, stage: &Stage<E>) {
        self.absorbed.clear();
        self.absorbed.resize(stage.terms.len(), <E as Float>::ZERO);
        if self.size() == 0 || !stage.terms.iter().any(|term| term.relative) {
            return;
        }
        stage.exponents.read_absorbed(&stage.world, &self.batch, 1, &mut self.exponents);
        stage.exponents.run(1, 0..1, &mut self.exponents);
        for (value, term) in self.absorbed.iter_mut().zip(&stage.terms) {
            if let (true, Source::Exponent(at)) = (term.relative, term.source) {
                *value = self.exponents.output(at)[0];
            }
        }
    }

    /// Forgets the last run.
    pub fn clear(&mut self, stage: &Stage<E>) {
        let trajectories = self.size();
        self.clear_rows();
        self.after.fill(<E as Float>::ZERO);
        let totals = &mut self.totals;
        self.inputs.clear(stage.learning.scaled_components());
        totals.terms.clear();
        totals.terms.resize(stage.terms.len(), 0.0);
        totals.entropy = 0.0;
        for list in [&mut totals.bound, &mut totals.returns] {
            list.clear();
            list.resize(trajectories, 0.0);
        }
        let several = if stage.world.rewards() > 1 { stage.world.rewards() } else { 0 };
        totals.rewards.resize_with(several, Vec::new);
        for list in &mut totals.rewards {
            list.clear();
            list.resize(trajectories, 0.0);
        }
        totals.lengths.clear();
        totals.lengths.resize(trajectories, 0);
        if stage.keeps_ledger() {
            self.ledger.clear(stage.terms.len());
            self.trace.clear(stage.horizon, trajectories);
        }
    }

    fn clear_rows(&mut self) {
        self.rows.clear();
        self.draws.clear();
        let lists = [
            &mut self.here,
            &mut self.before,
            &mut self.policy,
            &mut self.anchor,
            &mut self.log_prob,
        ];
        lists.into_iter().for_each(Vec::clear);
        self.options.iter_mut().for_each(OptionRows::clear);
        self.densities.iter_mut().for_each(|density| density.written.clear());
        self.slopes.clear();
    }

    /// Moves the live rows by the step `t`.
    fn step(
        &mut self,
        stage: &Stage<E>,
        point: Point<E>,
        random: &mut Xoshiro256PlusPlus,
        t: usize,
        (choice, keep): (Choice, Keep),
    ) {
        let live = self.batch.front();
        if keep == Keep::Nothing {
            self.clear_rows();
        }
        let first = self.rows.len();
        let rows = first..first + live;
        self.work.origin[..live].copy_from_slice(&self.batch.origin()[..live]);
        self.rows.trajectory.extend_from_slice(&self.work.origin[..live]);
        self.rows.close_step();
        if let Some((_, trajectory)) = self.sought.filter(|(at, _)| *at == t) {
            let row =
                self.work.origin[..live].iter().position(|&origin| origin as usize == trajectory);
            self.found = row.map(|row| fault::state_of_row(stage, &self.batch, row));
        }

        let wired = if keep == Keep::Rows { &stage.learning } else { &stage.acting };
        if stage.keeps_ledger() && keep == Keep::Rows {
            self.trace.record(stage, &self.batch, (t, first), &self.work.origin[..live]);
        }
        self.read_earlier(stage, wired, t, live);
        self.simulated.draw(
            &stage.simulators,
            point,
            (&stage.world, &self.batch),
            &mut self.feeds.simulated,
        );
        if stage.options.is_empty() {
            let network = Arc::get_mut(&mut self.network)
                .expect("rollout: the tape of the last gradient is gone");
            wired.feed(
                point.present,
                (&stage.world, &self.batch),
                live,
                &mut self.feeds,
                |inputs| {
                    wired.network.forward(point.present, inputs, rows.clone(), network);
                },
            );
        } else {
            let broken = self.draw_options(stage, point, wired, random, rows.clone(), (t, choice));
            if self.is_broken(broken, Arose::Kernel, t) {
                return;
            }
        }
        if keep == Keep::Rows && stage.learning.scaled_components() > 0 {
            wired.observe(&stage.world, &self.batch, live, &mut self.inputs);
        }
        let width = stage.family.numbers();
        let grown = |list: &mut Vec<E>, width: usize| {
            list.resize((first + live) * width, <E as Float>::ZERO)
        };
        grown(&mut self.policy, width);
        grown(&mut self.log_prob, 1);
        stage.family.describe(
            wired.outputs(&self.network, &wired.policy, &rows),
            &[],
            &mut self.policy[first * width..],
        );
        let policy = &self.policy[first * width..];
        let name = &stage.plan.model.kernel(stage.plan.policy.kernel).name;
        let broken =
            stage.family.fault(name, policy, wired.outputs(&self.network, &wired.policy, &rows));
        if broken.is_some() {
            self.is_broken(broken, Arose::Kernel, t);
            return;
        }
        match &self.listed {
            Some(listed) => {
                listed.read_actions(t, &self.work.origin[..live], &mut self.draws.numbers)
            }
            None => {
                stage.family.draw(policy, choice, random, &mut self.work.uniforms, &mut self.draws)
            }
        }
        stage.family.log_probs(policy, &self.draws, rows.clone(), &mut self.log_prob[first..]);
        stage.family.entropies(policy, &mut self.work.entropy[..live]);
        self.divergences(stage, point, t, rows.clone(), wired);

        if let Some(tally) = &mut self.tally {
            tally.add(
                stage,
                &self.batch,
                (t, rows.clone()),
                (&self.options, &self.feeds.last),
                &self.draws,
            );
        }
        stage.exponents.read_before(&stage.world, &self.batch, live, &mut self.exponents);
        if !stage.options.is_empty() {
            let Rollout { options, feeds, exponents, .. } = self;
            let (now, last) = (
                |option: usize, row: usize| options[option].draws.numbers[first + row],
                |option: usize, row: usize| feeds.last[option][row],
            );
            stage.exponents.read_options(live, now, last, exponents);
        }
        if let (Some(through), Keep::Rows) = (&stage.through, keep) {
            let Rollout { batch, slopes, .. } = self;
            slopes.read(through, |expressions, values| {
                expressions.read_before(&stage.world, batch, live, values)
            });
        }
        let actions = stage.family.actions(&self.draws, rows.clone(), &mut self.work.actions);
        match (&self.listed, &stage.imagination) {
            (Some(listed), _) => {
                let mut next = Vec::with_capacity(live);
                listed.read_states(t + 1, &self.work.origin[..live], &mut next);
                self.batch.follow(&stage.world, actions, (Actions::Numbers(&next), &[]), random);
            }
            (None, None) => self.batch.step(&stage.world, actions, random),
            (None, Some(imagination)) => {
                let on = (&stage.world, &mut self.batch);
                let kept = if stage.through.is_some() { first } else { 0 };
                imagination.step(
                    on,
                    (point.present, actions, kept),
                    &mut self.feeds,
                    &mut self.imagined,
                    random,
                );
            }
        }
        let broken = self.imagined.broken.take().map(|found| (found, Arose::Kernel));
        let broken =
            broken.or_else(|| Some((fault::of_world(stage, &self.batch, live)?, Arose::World)));
        if let Some((found, arose)) = broken {
            self.is_broken(Some(found), arose, t);
            return;
        }
        if stage.keeps_ledger() && keep == Keep::Rows {
            self.trace.record_next(stage, &self.batch, &self.work.origin[..live]);
            self.trace.record_actions(actions, live);
            if stage.collects || stage.densities.iter().any(Density::is_of_outcome) {
                self.trace.record_outcomes(stage, &self.batch, live);
            }
        }
        stage.exponents.read_after(&stage.world, &self.batch, actions, live, &mut self.exponents);
        if let (Some(through), Keep::Rows) = (&stage.through, keep) {
            let Rollout { batch, slopes, .. } = self;
            slopes.read(through, |expressions, values| {
                expressions.read_after(&stage.world, batch, actions, live, values)
            });
            slopes.add(through, t, live);
        }
        if !stage.gains.is_empty() {
            self.evaluate_gains(stage, point.frozen, t, live);
        }
        stage.exponents.run(t, 0..live, &mut self.exponents);
        for (density, rows) in stage.densities.iter().zip(&mut self.densities) {
            if let Some(output) = density.written {
                rows.written.extend_from_slice(&self.exponents.output(output)[..live]);
            }
        }
        self.collect(stage, t, rows, keep);
        self.batch.compact(&stage.world);
        self.absorb(stage, t, self.batch.front()..live);
    }

    /// What networks read of earlier steps.
    fn read_earlier(&mut self, stage: &Stage<E>, wired: &Wired, t: usize, live: usize) {
        self.feeds.traced.resize_with(wired.traced.len(), Vec::new);
        let drawn = |variable| match variable {
            Variable::Option(option) => &self.options[option].draws.numbers[..],
            Variable::Action
            | Variable::State
            | Variable::Observation
            | Variable::Reward(_)
            | Variable::End => &self.draws.numbers[..],
        };
        for (&(variable, when, size), numbers) in wired.traced.iter().zip(&mut self.feeds.traced) {
            numbers.clear();
            numbers.extend(self.work.origin[..live].iter().map(|&trajectory| {
                let of = (trajectory as usize, t, stage.horizon);
                self.trace.number((variable, when), t, of, drawn).unwrap_or(size as u32)
            }));
        }
    }

    /// Draws each option in turn, each from what the network makes of the draws before it; then
    /// computes the rest of the network.
    fn draw_options(
        &mut self,
        stage: &Stage<E>,
        point: Point<E>,
        wired: &Wired,
        random: &mut Xoshiro256PlusPlus,
        rows: Range<usize>,
        (t, choice): (usize, Choice),
    ) -> Option<(usize, String)> {
        let live = rows.len();
        let mut broken = None;
        let origin = &self.work.origin[..live];
        for ((option, own), last) in
            stage.options.iter().zip(&self.options).zip(&mut self.feeds.last)
        {
            own.read_last(option, t, origin, last);
        }
        self.feeds.drawn.iter_mut().chain(&mut self.feeds.first).for_each(Vec::clear);
        // one for each option, one for the action
        for pass in 0..=stage.options.len() {
            let network = Arc::get_mut(&mut self.network)
                .expect("rollout: the tape of the last gradient is gone");
            wired.feed(
                point.present,
                (&stage.world, &self.batch),
                live,
                &mut self.feeds,
                |inputs| {
                    wired.network.forward_pass(pass, point.present, inputs, rows.clone(), network);
                },
            );
            if let Some(option) = stage.options.get(pass) {
                let outputs = Outputs { wired, network: &self.network, rows: rows.clone() };
                let Feeds { drawn, last, first, .. } = &mut self.feeds;
                let buffers = (&mut self.work.uniforms, &mut drawn[pass]);
                self.options[pass].draw(
                    (option, pass),
                    outputs,
                    (t, choice, self.listed.as_ref()),
                    (origin, last),
                    random,
                    buffers,
                );
                self.options[pass].read_first(origin, &mut first[pass]);
                // what is drawn once is not drawn from later rows
                if !option.once || t == 1 {
                    let numbers =
                        &self.options[pass].numbers[rows.start * option.family.numbers()..];
                    let name = &stage.plan.model.kernel(stage.plan.options[pass].kernel).name;
                    let root = wired.outputs(&self.network, &wired.options[pass], &rows);
                    broken = broken.or_else(|| option.family.fault(name, numbers, root));
                }
            }
        }
        broken
    }

    /// `KL(π ‖ p)` of each row, where the bound has that term.
    fn divergences(
        &mut self,
        stage: &Stage<E>,
        point: Point<E>,
        t: usize,
        rows: Range<usize>,
        wired: &Wired,
    ) {
        let live = rows.len();
        let width = stage.family.numbers();
        let first = self.anchor.len();
        let Rollout { batch, feeds, anchor, work, previous, policy, .. } = self;
        let policy = &policy[rows.start * width..rows.end * width];
        let prior = match (&stage.anchor, point.previous) {
            (Anchor::None, _) => return,
            (Anchor::Present, _) => {
                work.prior.resize(live * width, <E as Float>::ZERO);
                stage.family.describe(
                    wired.outputs(&self.network, &wired.prior, &rows),
                    &[],
                    &mut work.prior,
                );
                &work.prior[..]
            }
            (Anchor::PreviousPolicy, None) if stage.through.is_none() => {
                anchor.extend_from_slice(policy);
                &anchor[first..]
            }
            (Anchor::PreviousPolicy | Anchor::Previous(_), _) => {
                let wired =
                    stage.previous_prior().expect("rollout: the prior is one of the last round");
                let at = if stage.through.is_some() { rows.clone() } else { 0..live };
                let previous =
                    Arc::get_mut(previous).expect("rollout: the tape of the last gradient is gone");
                let parameters = point.previous.unwrap_or(point.present);
                wired.feed(parameters, (&stage.world, batch), live, feeds, |inputs| {
                    wired.network.forward(parameters, inputs, at.clone(), previous);
                });
                anchor.resize(first + live * width, <E as Float>::ZERO);
                stage.family.describe(
                    wired.outputs(previous, &wired.policy, &at),
                    &[],
                    &mut anchor[first..],
                );
                &anchor[first..]
            }
            (Anchor::Expressions(expressions), _) => {
                let Some(values) = &mut self.anchor_values else { return };
                expressions.read_before(&stage.world, batch, live, values);
                expressions.run(t, 0..live, values);
                anchor.resize(first + live * width, <E as Float>::ZERO);
                for (row, out) in anchor[first..].chunks_exact_mut(width).enumerate() {
                    out.iter_mut()
                        .enumerate()
                        .for_each(|(number, out)| *out = values.output(number)[row]);
                }
                &anchor[first..]
            }
        };
        stage.family.divergences(policy, prior, &mut work.divergence[..live]);
    }

    /// Adds up what the rows of a step gave.
    fn collect(&mut self, stage: &Stage<E>, t: usize, rows: Range<usize>, keep: Keep) {
        let (first, live) = (rows.start, rows.len());
        self.here.resize(rows.end, <E as Float>::ZERO);
        self.before.resize(rows.end, <E as Float>::ZERO);
        let Work { origin, entropy, divergence, values: scratch, .. } = &mut self.work;
        let (origin, entropy) = (&origin[..live], &entropy[..live]);
        self.totals.entropy += entropy.iter().map(|h| h.as_f64()).sum::<f64>();
        let mut broken = None;
        for (k, term) in
            stage.terms.iter().enumerate().filter(|(_, term)| (term.from..=term.to).contains(&t))
        {
            let values = match term.source {
                Source::Exponent(at) => &self.exponents.output(at)[..live],
                Source::LogRatio(at) => {
                    let log_q = self.log_prob[first..]
                        .iter()
                        .enumerate()
                        .map(|(k, &l)| l + stage.family.log_squash(&self.draws, first + k));
                    let values =
                        scratch.iter_mut().zip(&self.exponents.output(at)[..live]).zip(log_q);
                    values.for_each(|((value, &log_p), log_q)| *value = log_p - log_q);
                    &scratch[..live]
                }
                Source::Entropy => entropy,
                Source::OptionEntropy(option) => {
                    let numbers = &self.options[option].numbers;
                    let width = numbers.len() / rows.end;
                    stage.options[option]
                        .family
                        .entropies(&numbers[first * width..], &mut scratch[..live]);
                    &scratch[..live]
                }
                // evaluated when the trajectories are whole, or of no trajectory
                Source::Density(_) | Source::Ratio | Source::WeightDivergence => continue,
                Source::Divergence => &divergence[..live],
                Source::LogCount(value) => {
                    scratch[..live].fill(Float::of(value));
                    &scratch[..live]
                }
            };
            let sign: E = Float::of(term.sign);
            let keeps_ledger = stage.keeps_ledger();
            if keeps_ledger && keep == Keep::Rows {
                let absorbed = self.absorbed[k];
                for (&value, &trajectory) in values.iter().zip(origin) {
                    self.ledger.add(k, t, trajectory, sign * (value - absorbed));
                }
            }
            let credit = match term.credit {
                Credit::Here | Credit::Before if keeps_ledger => None,
                Credit::Here => Some(&mut self.here[first..]),
                Credit::Before => Some(&mut self.before[first..]),
                Credit::Nowhere => None,
            };
            if let Some(credit) = credit {
                let absorbed = self.absorbed[k];
                credit
                    .iter_mut()
                    .zip(values)
                    .for_each(|(credit, &value)| *credit += sign * (value - absorbed));
            }
            let mut total = 0.0;
            for (&value, &trajectory) in values.iter().zip(origin) {
                let value = term.sign * value.as_f64();
                total += value;
                self.totals.bound[trajectory as usize] += value;
            }
            self.totals.terms[k] += total;
            if !total.is_finite() && broken.is_none() {
                broken = fault::of_term(stage.plan, k, values);
            }
        }
        for reward in 0..stage.world.rewards() {
            for (&value, &trajectory) in self.batch.reward(&stage.world, reward).iter().zip(origin)
            {
                self.totals.returns[trajectory as usize] += value.as_f64();
                if let Some(own) = self.totals.rewards.get_mut(reward) {
                    own[trajectory as usize] += value.as_f64();
                }
            }
        }
        if let Some(extremes) = &mut self.extremes {
            extremes.resize(stage.world.rewards(), (f64::INFINITY, f64::NEG_INFINITY));
            for (reward, (least, greatest)) in extremes.iter_mut().enumerate() {
                let values = &self.batch.reward(&stage.world, reward)[..live];
                let (low, high) = kernels::extremes(values);
                (*least, *greatest) = (least.min(low.as_f64()), greatest.max(high.as_f64()));
            }
        }
        for &trajectory in origin {
            self.totals.lengths[trajectory as usize] = t as u32;
        }
        self.is_broken(broken, Arose::World, t);
    }

    /// Adds what the steps after `last` give for the rows `ended`, whose state is absorbed: their
    /// exponents with rewards 0, to the horizon. The factors of actions have stopped. A discount
    /// fades them from the last live step on; where there is none, from the first step.
    fn absorb(&mut self, stage: &Stage<E>, last: usize, ended: std::ops::Range<usize>) {
        if ended.is_empty() || last == stage.horizon {
            return;
        }
        let expressions = &stage.exponents;
        expressions.read_absorbed(&stage.world, &self.batch, ended.end, &mut self.exponents);
        let discount = stage.plan.settings.discount;
        let undiscounted = last.max(1);
        let mut t = last + 1;
        while t <= stage.horizon {
            let Rollout { options, batch, exponents, .. } = &mut *self;
            let drawn = |option: usize, row: usize| match last {
                0 => stage.options[option].none(),
                _ => options[option].latest(batch.origin()[row]),
            };
            let none = |option: usize, _: usize| stage.options[option].none();
            let kept = |option: usize, row: usize| {
                if stage.options[option].once { drawn(option, row) } else { none(option, row) }
            };
            let is_first = t == last + 1;
            if is_first {
                expressions.read_options(ended.end, kept, drawn, exponents);
            } else {
                expressions.read_options(ended.end, kept, none, exponents);
            }
            // all steps to come are one where the exponents do not read the time, nor the option of
            // a step that was live
            let alone = expressions.reads_time || is_first && expressions.reads_last_options();
            let until = if alone { t } else { stage.horizon };
            expressions.run(t, ended.clone(), &mut self.exponents);
            for (k, term) in stage.terms.iter().enumerate() {
                let Source::Exponent(at) = term.source else { continue };
                let (from, to) = (term.from.max(t), term.to.min(until));
                if from > to {
                    continue;
                }
                let count = (to - from + 1) as f64;
                let faded = if discount == 1.0 {
                    count
                } else {
                    (from..=to).map(|k| discount.powi((k - undiscounted) as i32)).sum()
                };
                let values = &self.exponents.output(at)[..ended.len()];
                for (&value, &trajectory) in values.iter().zip(&self.batch.origin()[ended.clone()])
                {
                    let value = term.sign * value.as_f64();
                    if !value.is_finite() && self.fault.is_none() {
                        let what = format!(
                            "{} in steps after the end",
                            fault::term_is(stage.plan, k, value)
                        );
                        let (t, trajectory) = (last.max(1), trajectory as usize);
                        self.fault =
                            Some(Fault { what, arose: Arose::World, t, trajectory, state: None });
                    }
                    self.totals.terms[k] += value * count;
                    self.totals.bound[trajectory as usize] += value * count;
                    let credited = term.credits.iter().any(Option::is_some);
                    if is_first && expressions.reads_last_options() {
                        // it reads a draw of the last live step: whose credit it is depends on how
                        // far it looks
                        self.ledger.add(k, t, trajectory, E::of(value));
                    } else if credited && !term.relative {
                        self.after[trajectory as usize] += E::of(value * faded);
                    }
                }
            }
            t = until + 1;
        }
    }
}

/// The generator of a stream: SplitMix64 over its words, so that neighbouring streams share
/// nothing.
pub(super) fn generator(stream: [u64; 3]) -> Xoshiro256PlusPlus {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for word in stream {
        state = mix(state ^ word.wrapping_mul(0xd129_42f8_6d1e_59cb));
    }
    Xoshiro256PlusPlus::seed_from_u64(state)
}

fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
