//! What the leading thread of a run keeps: optimisers, counts, and how a batch moves the
//! parameters.

mod ended;
mod kept;

use super::judge::{BatchParameters, Judge};
use super::outcome::Metrics;
use super::verdict::{Calibration, Improvement, Rounds};
use super::watch::Watch;
use crate::engine::error::EngineError;
use crate::engine::fleet::shards::{Hands, Job, Shared, locked, read, write};
use crate::engine::gradient::objective::{Aim, ReturnScale, Told, Weighing};
use crate::engine::numeric::float::Float;
use crate::engine::numeric::moments::Moments;
use crate::engine::numeric::number::Number;
use crate::engine::numeric::stream::WEIGHTS;
use crate::engine::program::weights::Drawn;
use crate::engine::run::exact_update::improve;
use crate::engine::run::trust_region::TrustRegion;
use crate::engine::sample::fault::term_is;
use crate::engine::tape::parameters::Parameters;
use crate::engine::update::classify::Classified;
use crate::engine::update::optimiser::{Optimiser, OptimiserConfig};
use crate::model::parameters_of;
use crate::plan::{self, Plan, Update};
use std::time::Instant;

pub(in crate::engine) struct BoundTrainer<'a, E: Float> {
    plan: &'a Plan,
    /// Of the bound's gradient, and of the baseline's fit where that moves parameters of its own.
    optimiser: Optimiser<E>,
    /// Of which a trust region asks what it moves.
    region: Optimiser<E>,
    fit: Optimiser<E>,
    /// Of the classifiers, by the numbers of their ratios, and what the last step of each told.
    classifiers: Vec<Optimiser<E>>,
    classified: Vec<Option<Classified>>,
    gradient: Vec<E>,
    /// The parameters with which the last batch was good, and after how many batches that was; and
    /// whether they are those from which this batch moves them.
    good: Vec<E>,
    good_step: u64,
    has_moved: bool,
    /// The weights of the batch, where there is one, and what its divergences were: each by its
    /// term, the share of a trajectory.
    drawn: Drawn<E>,
    divergences: Vec<(usize, f64)>,
    /// Batches done.
    pub step: u64,
    pub env_steps: u64,
    /// Of the last batch: the norm of its first gradient, and the baseline's error then.
    norm: f64,
    error: f64,
    /// Of the inputs and of the returns, where they are normalised.
    inputs: Moments,
    returns: Moments,
    judge: Box<dyn Judge + 'a>,
    /// What it found of the last batch.
    improvement: Option<Improvement>,
    /// How far the step has moved a policy from its prior, that of the last round; nats a
    /// trajectory.
    moved: Option<f64>,
    /// Whether the run has come to its early end.
    pub watch: Watch,
    pub start: Instant,
}

impl<'a, E: Number> BoundTrainer<'a, E> {
    pub fn new(
        plan: &'a Plan,
        parameters: &Parameters<E>,
        judge: Box<dyn Judge + 'a>,
    ) -> BoundTrainer<'a, E> {
        let config = config(plan.settings.optimizer);
        BoundTrainer {
            plan,
            optimiser: Optimiser::new(
                config,
                parameters.layout(),
                plan.trained.difference(&plan.region).copied(),
            ),
            region: Optimiser::new(config, parameters.layout(), plan.region.iter().copied()),
            fit: Optimiser::new(config, parameters.layout(), plan.fitted.iter().copied()),
            classifiers: plan
                .ratios()
                .map(|(_, ratio)| {
                    let own = parameters_of(&plan.model.network, ratio.layer);
                    Optimiser::new(config, parameters.layout(), own)
                })
                .collect(),
            classified: vec![None; plan.ratios().count()],
            gradient: parameters.zero_gradient(),
            good: parameters.values().to_vec(),
            good_step: 0,
            has_moved: false,
            drawn: Drawn::default(),
            divergences: Vec::new(),
            step: 0,
            env_steps: 0,
            norm: 0.0,
            error: 0.0,
            inputs: Moments::new(
                plan.normalizers.iter().map(|n| parameters.layout().range(n.mean).len()).sum(),
            ),
            returns: Moments::new(1),
            judge,
            improvement: None,
            moved: None,
            watch: Watch::new(plan.settings.until),
            start: Instant::now(),
        }
    }

    /// Samples a batch and moves the parameters by it. If the run gives up meanwhile, what is left
    /// is neither the state before nor after.
    pub fn batch(&mut self, crew: Hands, shared: &Shared<E>) -> Result<(), EngineError> {
        let settings = &self.plan.settings;
        self.has_moved = false;
        let begins = self.step.is_multiple_of(settings.steps_in_round());
        if begins {
            write(&shared.previous).moved = false;
        }
        // where nothing is compared with the beginning of a round, each batch is one
        if begins || settings.rounds == 1 && !shared.program.reads_previous() {
            self.normalise(shared);
        }
        // imagined steps are told from real ones before the batch, the policy's actions from
        // recorded ones in it
        self.classify(crew, shared, Learns::Before)?;
        self.draw(shared)?;
        match settings.update {
            Update::Gradient if settings.refits > 0 => self.refit(crew, shared)?,
            Update::Gradient if !settings.reuses_batches() && !settings.normalize.advantages => {
                self.one_gradient(crew, shared)?
            }
            Update::Gradient => {
                self.assess(crew, shared)?;
                self.passes(crew, shared, Aim::Both)?;
            }
            // the batch tells how it goes; what moves is exact
            Update::Exact { iterations } => {
                crew.run(Job::Assess { step: self.step });
                self.hold_batch(shared)?;
                let present = read(&shared.parameters).to_f64();
                let improved = improve(self.plan, &present, iterations, &shared.program.stop)
                    .map_err(|error| EngineError::Unsupported(error.to_string()))?;
                let mut parameters = write(&shared.parameters);
                self.keep(parameters.values());
                shared.leave_previous(parameters.values());
                parameters
                    .values_mut()
                    .iter_mut()
                    .zip(improved.values())
                    .for_each(|(mine, &best)| *mine = Float::of(best));
            }
            Update::TrustRegion { kl, damping, iterations } => {
                self.assess(crew, shared)?;
                crew.run(Job::Differentiate { weighing: shared.whole(Aim::Policy) });
                shared.sum_gradients(&mut self.gradient);
                self.norm = self.settle_beside(shared)?;
                let region = TrustRegion { kl, damping, iterations };
                region.step(crew, shared, &self.region, &mut self.gradient);
                if !self.plan.fitted.is_empty() {
                    self.passes(crew, shared, Aim::Baseline)?;
                }
            }
        }
        if shared.program.stop.has_given_up() {
            return Ok(());
        }
        self.hold_parameters(shared)?;
        self.observe(shared);
        self.env_steps += shared.rows() as u64;
        self.step += 1;
        self.improvement = self.judge.batch(self.step, &|| {
            let present = read(&shared.parameters).to_f64();
            BatchParameters { previous: shared.previous_parameters(&present), present }
        });
        if self.plan.settings.until.is_some() {
            let metrics = self.metrics(shared);
            self.watch.observe(&metrics);
        }
        Ok(())
    }

    /// A batch whose transitions are kept, and steps of the model from all that are.
    fn refit(&mut self, crew: Hands, shared: &Shared<E>) -> Result<(), EngineError> {
        let refits = self.plan.settings.refits;
        crew.run(Job::Assess { step: self.step });
        if shared.program.stop.has_given_up() {
            return Ok(());
        }
        self.hold_batch(shared)?;
        if let Some(replay) = &shared.replay {
            shared.keep_transitions(&mut write(replay));
        }
        for k in 0..refits {
            crew.run(Job::Refit { step: self.step * refits + k });
            if shared.program.stop.has_given_up() {
                return Ok(());
            }
            shared.sum_gradients(&mut self.gradient);
            self.norm = self.update(shared, Aim::Policy)?;
        }
        Ok(())
    }

    /// Some steps of the classifiers that learn then.
    fn classify(
        &mut self,
        crew: Hands,
        shared: &Shared<E>,
        learns: Learns,
    ) -> Result<(), EngineError> {
        let settings = &self.plan.settings;
        let rate = rate(settings.optimizer).at(self.step, settings.steps);
        let ratios = &shared.program.ratios;
        for (of, ratio) in ratios.iter().enumerate() {
            let is_known = ratios[..of].iter().any(|other| other.apart == ratio.apart);
            if is_known || ratio.learns_within() != (learns == Learns::Within) {
                continue;
            }
            let mut all = Classified::default();
            for k in 0..settings.ratio_steps {
                crew.run(Job::Classify { of, step: self.step * settings.ratio_steps + k });
                if shared.program.stop.has_given_up() {
                    return Ok(());
                }
                shared.sum_gradients(&mut self.gradient);
                let mut parameters = write(&shared.parameters);
                let norm = self.classifiers[of].norm(&self.gradient);
                if !norm.is_finite() {
                    let what = "the classifier's gradient";
                    return Err(self.not_finite(shared, &mut parameters, what));
                }
                self.classifiers[of].step(parameters.values_mut(), &self.gradient, rate);
                self.hold_optimiser(&self.classifiers[of], norm, &parameters)?;
                all.add(&shared.sum_classified());
            }
            self.classified[of] = (all.pairs > 0).then_some(all);
        }
        Ok(())
    }

    /// What networks see is normalised by what was seen before.
    fn normalise(&self, shared: &Shared<E>) {
        // of several bounds the last one's moments are those that all see
        let normalizes = self.plan.settings.normalize.observations && self.plan.number == 0;
        if self.step > 0 && normalizes {
            shared.program.learning.normalise(&self.inputs, write(&shared.parameters).values_mut());
        }
    }

    /// Draws the weights of this batch, where they are drawn.
    fn draw(&mut self, shared: &Shared<E>) -> Result<(), EngineError> {
        let weights = &shared.program.weights;
        if weights.is_empty() {
            return Ok(());
        }
        let mut parameters = write(&shared.parameters);
        self.divergences = weights.shares(parameters.values()).collect();
        if let Some((term, share)) = self.divergences.iter().find(|(_, share)| !share.is_finite()) {
            let hint = "the means or the deviations of the weights have grown too far: a smaller \
                        `rate` holds them back";
            let kept = (self.good_step, parameters.frozen_at(Some(&self.good)).to_f64());
            return Err(self.ended(term_is(self.plan, *term, *share), hint, kept));
        }
        *write(&shared.frozen) =
            shared.program.freeze(parameters.values(), (self.plan.settings.seed, self.step));
        self.drawn =
            weights.draw([self.plan.settings.seed, WEIGHTS, self.step], parameters.values_mut());
        Ok(())
    }

    /// Finds what `KL(π ‖ previous π)` has become by the step, at the states of the batch: where a
    /// round has one batch, it is 0 before. It costs a pass over the batch, and only a step that is
    /// logged shows it.
    pub fn measure_divergence(&mut self, crew: Hands, shared: &Shared<E>) {
        let program = shared.program;
        let plan = self.plan;
        let is_plain = program.draws.len() == 1
            && !program.is_pathwise()
            && plan.weights.is_empty()
            && plan.simulations.is_empty();
        if !is_plain || !program.reads_previous() {
            return;
        }
        crew.run(Job::Diverge);
        self.moved = Some(shared.sum_told().divergence / self.plan.settings.trajectories as f64);
    }

    /// Adds the batch to the running moments.
    fn observe(&mut self, shared: &Shared<E>) {
        let normalize = self.plan.settings.normalize;
        for shard in &shared.shards {
            let shard = locked(shard);
            if normalize.observations {
                self.inputs.add(&shard.rollout.episodes.inputs);
            }
            if normalize.returns {
                self.returns.add(&shard.objective.returns);
            }
        }
        if normalize.returns {
            *write(&shared.returns) = self.return_scale();
        }
    }

    fn return_scale(&self) -> ReturnScale {
        ReturnScale { mean: self.returns.mean(0), deviation: self.returns.deviation(0) }
    }

    /// Samples a batch and finds the advantage of each row.
    fn assess(&mut self, crew: Hands, shared: &Shared<E>) -> Result<(), EngineError> {
        if shared.program.learns_within() {
            crew.run(Job::RollOut { step: self.step });
            self.hold_batch(shared)?;
            self.classify(crew, shared, Learns::Within)?;
            crew.run(Job::Value);
        } else {
            crew.run(Job::Assess { step: self.step });
        }
        self.hold_batch(shared)?;
        if shared.program.compares() {
            shared.sum_credit();
            crew.run(Job::Compare);
        }
        if self.plan.settings.normalize.advantages {
            crew.run(Job::Scale { factor: 1.0 / shared.advantage_size() });
        }
        Ok(())
    }

    /// One gradient step from a new batch.
    fn one_gradient(&mut self, crew: Hands, shared: &Shared<E>) -> Result<(), EngineError> {
        let weighing = shared.whole(Aim::Both);
        if shared.program.compares() || shared.program.learns_within() {
            self.assess(crew, shared)?;
            crew.run(Job::Differentiate { weighing });
        } else {
            crew.run(Job::All { step: self.step, weighing });
            self.hold_batch(shared)?;
        }
        self.error = shared.sum_gradients(&mut self.gradient).error;
        shared.mirror(crew, &mut self.drawn);
        self.norm = self.update(shared, Aim::Both)?;
        Ok(())
    }

    /// Passes over a batch that has been assessed, until its policy has gone too far.
    fn passes(&mut self, crew: Hands, shared: &Shared<E>, aim: Aim) -> Result<(), EngineError> {
        let settings = &self.plan.settings;
        let rows = shared.rows();
        let parts = settings.minibatch.map_or(1, |size| rows.div_ceil(size)).max(1);
        let weights = &shared.program.weights;
        let noise = self.drawn.noise.clone();
        for epoch in 0..settings.epochs {
            if shared.program.stop.has_given_up() {
                return Ok(());
            }
            crew.run(Job::Shuffle { step: self.step, epoch });
            for part in 0..parts {
                let first = epoch == 0 && part == 0;
                if !first && !noise.is_empty() {
                    let mut parameters = write(&shared.parameters);
                    self.drawn = weights.redraw(noise.clone(), parameters.values_mut());
                }
                let told = self.gradient_of_part(crew, shared, (part, parts), (aim, first));
                if let Some(target) = settings.kl_target
                    && told.divergence > target * told.rows as f64
                {
                    let drawn = std::mem::take(&mut self.drawn);
                    weights.put_back(drawn, write(&shared.parameters).values_mut());
                    return Ok(());
                }
                let norm = self.update(shared, aim)?;
                if first {
                    self.error = told.error * rows as f64 / told.rows.max(1) as f64;
                    self.norm = if aim == Aim::Both { norm } else { self.norm };
                }
            }
        }
        Ok(())
    }

    fn gradient_of_part(
        &mut self,
        crew: Hands,
        shared: &Shared<E>,
        (part, parts): (usize, usize),
        (aim, first): (Aim, bool),
    ) -> Told {
        if first && parts == 1 {
            // as the network was computed last
            crew.run(Job::Differentiate { weighing: shared.whole(aim) });
        } else {
            let rows = shared.rows() as f64 / shared.rows_of_part(part, parts).max(1) as f64;
            let share = rows / self.plan.settings.trajectories as f64;
            crew.run(Job::Part { part, parts, weighing: Weighing { aim, share, moved: !first } });
        }
        shared.sum_gradients(&mut self.gradient)
    }

    /// Before a trust region moves the policy by a gradient: the optimiser moves what no draw of
    /// the batch was drawn from. Returns the norm of all of the gradient.
    fn settle_beside(&mut self, shared: &Shared<E>) -> Result<f64, EngineError> {
        let mut parameters = write(&shared.parameters);
        let settings = &self.plan.settings;
        let drawn = std::mem::take(&mut self.drawn);
        shared.program.weights.settle(drawn, parameters.values_mut(), &mut self.gradient);
        self.keep(parameters.values());
        let of_region = self.region.norm(&self.gradient);
        let beside = self.optimiser.clip(&mut self.gradient, settings.clip_norm);
        let norm = beside.hypot(of_region);
        if !norm.is_finite() {
            return Err(self.not_finite(shared, &mut parameters, "the gradient"));
        }
        shared.leave_previous(parameters.values());
        if beside > 0.0 {
            let rate = rate(settings.optimizer).at(self.step, settings.steps);
            self.optimiser.step(parameters.values_mut(), &self.gradient, rate);
            let of_step = self.optimiser.norm_of_step(beside, settings.clip_norm);
            self.hold_optimiser(&self.optimiser, of_step, &parameters)?;
        }
        Ok(norm)
    }

    /// Keeps what the batch was good with, before its first step moves it.
    fn keep(&mut self, present: &[E]) {
        if !self.has_moved {
            self.good.copy_from_slice(present);
            (self.good_step, self.has_moved) = (self.step, true);
        }
    }

    /// Moves the parameters by the gradient; returns the norm of the policy's part before clipping.
    fn update(&mut self, shared: &Shared<E>, aim: Aim) -> Result<f64, EngineError> {
        let mut parameters = write(&shared.parameters);
        let settings = &self.plan.settings;
        let rate = rate(settings.optimizer).at(self.step, settings.steps);
        shared.program.weights.settle(
            std::mem::take(&mut self.drawn),
            parameters.values_mut(),
            &mut self.gradient,
        );
        self.keep(parameters.values());
        let mut norm = 0.0;
        if aim != Aim::Baseline {
            norm = self.optimiser.clip(&mut self.gradient, settings.clip_norm);
            if !norm.is_finite() {
                return Err(self.not_finite(shared, &mut parameters, "the gradient"));
            }
            shared.leave_previous(parameters.values());
            self.optimiser.step(parameters.values_mut(), &self.gradient, rate);
            self.hold_optimiser(
                &self.optimiser,
                self.optimiser.norm_of_step(norm, settings.clip_norm),
                &parameters,
            )?;
        }
        if aim != Aim::Policy && !self.plan.fitted.is_empty() {
            let of_fit = self.fit.clip(&mut self.gradient, settings.clip_norm);
            if !of_fit.is_finite() {
                return Err(self.not_finite(shared, &mut parameters, "the baseline's gradient"));
            }
            self.fit.step(parameters.values_mut(), &self.gradient, rate);
            self.hold_optimiser(
                &self.fit,
                self.fit.norm_of_step(of_fit, settings.clip_norm),
                &parameters,
            )?;
        }
        Ok(norm)
    }

    /// What each classifier told last, by the name of its ratio.
    pub fn told(&self) -> Vec<(String, Classified)> {
        let told = self.plan.ratios().zip(&self.classified);
        told.filter_map(|((_, ratio), told)| Some((ratio.name.clone(), (*told)?))).collect()
    }

    /// The rounds that were judged.
    pub fn rounds(&self) -> Option<Rounds> {
        self.judge.rounds()
    }

    /// How good the bound's classifiers are, by its judge.
    ///
    /// # Errors
    /// A construct that cannot run.
    pub fn calibrations(
        &self,
        parameters: &Parameters<f64>,
        trajectories: usize,
    ) -> Result<Vec<(String, Calibration)>, EngineError> {
        self.judge.classifiers(parameters, trajectories)
    }

    pub fn metrics(&self, shared: &Shared<E>) -> Metrics {
        let mut terms = vec![0.0; self.plan.terms.len()];
        let (mut returns, mut entropy, mut rows) = (0.0, 0.0, 0);
        let mut each: Vec<f64> = Vec::new();
        for shard in &shared.shards {
            let shard = locked(shard);
            let totals = &shard.rollout.episodes.totals;
            terms.iter_mut().zip(&totals.terms).for_each(|(sum, term)| *sum += term);
            returns += totals.returns.iter().sum::<f64>();
            each.resize(totals.rewards.len(), 0.0);
            each.iter_mut()
                .zip(&totals.rewards)
                .for_each(|(sum, own)| *sum += own.iter().sum::<f64>());
            entropy += totals.entropy;
            rows += shard.rollout.episodes.rows.len();
        }
        let trajectories = self.plan.settings.trajectories as f64;
        terms.iter_mut().for_each(|term| *term /= trajectories);
        self.divergences
            .iter()
            .for_each(|&(term, share)| terms[term] += self.plan.terms[term].sign * share);
        let per_row = |sum: f64| if rows == 0 { 0.0 } else { sum / rows as f64 };
        Metrics {
            step: self.step,
            bound: terms.iter().sum(),
            expected_return: returns / trajectories,
            returns: each.iter().map(|sum| sum / trajectories).collect(),
            kl: self.moved.or_else(|| self.plan.divergence_of(&terms)),
            entropy: per_row(entropy),
            gradient_norm: self.norm,
            baseline_error: self.plan.settings.has_learned_baseline().then(|| per_row(self.error)),
            improvement: self.improvement,
            env_steps: self.env_steps,
            imagined_steps: 0,
            classified: self.told(),
            earlier: Vec::new(),
            terms,
            wall_seconds: self.start.elapsed().as_secs_f64(),
        }
    }
}

/// When classifiers learn.
#[derive(Clone, Copy, PartialEq)]
enum Learns {
    /// Before the batch, from kept transitions.
    Before,
    /// From what it has drawn.
    Within,
}

fn rate(optimizer: plan::Optimizer) -> plan::Schedule {
    match optimizer {
        plan::Optimizer::Adam { rate, .. }
        | plan::Optimizer::Sgd { rate, .. }
        | plan::Optimizer::RmsProp { rate, .. } => rate,
    }
}

fn config(optimizer: plan::Optimizer) -> OptimiserConfig {
    match optimizer {
        plan::Optimizer::Adam { beta1, beta2, epsilon, .. } => {
            OptimiserConfig::Adam { beta1, beta2, epsilon }
        }
        plan::Optimizer::Sgd { momentum, .. } => OptimiserConfig::Sgd { momentum },
        plan::Optimizer::RmsProp { decay, epsilon, .. } => {
            OptimiserConfig::RmsProp { decay, epsilon }
        }
    }
}
