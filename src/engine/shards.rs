//! The shards of a batch, and the jobs that threads do on them. What a shard computes depends on the job and on the shard alone.

use super::credit::StepSums;
use super::expressions::Number;
use super::family::Choice;
use super::float::Float;
use super::gain::Frozen;
use super::kernels;
use super::objective::{Aim, Objective, ReturnScale, Told, Weighing, part_of};
use super::parameters::Parameters;
use super::rollout::{Keep, Point, Rollout, generator};
use super::stage::Stage;
use super::trust_region::Trial;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Streams of random numbers, by what they are for.
const TRAINING: u64 = 1;
pub(super) const EVALUATION: u64 = 2;
const SHUFFLING: u64 = 3;
/// Behind all passes of [`SHUFFLING`].
pub(super) const WEIGHTS: u64 = 1 << 32;
/// Behind the two of [`WEIGHTS`].
pub(super) const GAINS: u64 = WEIGHTS + 2;

/// What the threads of a run share.
pub(super) struct Shared<'a, E: Float> {
    pub stage: &'a Stage<'a, E>,
    pub parameters: RwLock<Parameters<E>>,
    pub previous: RwLock<Previous<E>>,
    pub shards: Vec<Mutex<Shard<E>>>,
    /// What a curvature is applied to, flat.
    pub direction: RwLock<Vec<E>>,
    /// What gains are computed from in this batch.
    pub frozen: RwLock<Frozen<E>>,
    /// How values are said in this batch.
    pub returns: RwLock<ReturnScale>,
    /// Over all shards, by draw.
    sums: RwLock<Vec<StepSums>>,
}

/// The parameters at the beginning of the round.
pub(super) struct Previous<E> {
    pub values: Vec<E>,
    /// The present ones have moved since; until then `values` is not read.
    pub moved: bool,
}

pub(super) struct Shard<E> {
    pub rollout: Rollout<E>,
    pub objective: Objective<E>,
    pub trial: Trial<E>,
}

#[derive(Clone, Copy)]
pub(super) enum Job {
    /// Roll out and find each row's credit.
    Assess { step: u64 },
    /// Compare the credit with that of the other shards.
    Compare,
    /// Multiply the advantages.
    Scale { factor: f64 },
    /// The gradient from all rows, as the rollout computed them.
    Differentiate { weighing: Weighing },
    /// All of these, where no shard needs what the others found.
    All { step: u64, weighing: Weighing },
    /// Put the rows in the order of a pass over the batch.
    Shuffle { step: u64, epoch: u64 },
    /// The gradient from a minibatch, at the present parameters.
    Part { part: usize, parts: usize, weighing: Weighing },
    /// The gradient of the densities alone, at the present parameters.
    Mirror { weighing: Weighing },
    /// The Fisher matrix of the policy times [`Shared::direction`].
    Curvature,
    /// What the rows say of the present parameters.
    Try,
}

impl<'a, E: Number> Shared<'a, E> {
    pub fn new(stage: &'a Stage<'a, E>, parameters: Parameters<E>) -> Shared<'a, E> {
        let settings = &stage.plan.settings;
        let (all, shards) = (settings.trajectories, settings.shards);
        let shards = (0..shards).map(|k| {
            let trajectories = part_of(all, k, shards).len();
            Mutex::new(Shard {
                rollout: Rollout::new(stage, trajectories),
                objective: Objective::new(stage, &parameters),
                trial: Trial::default(),
            })
        });
        let shards = shards.collect();
        let sums = vec![StepSums::default(); stage.draws()];
        let previous = RwLock::new(Previous { values: parameters.values().to_vec(), moved: false });
        Shared {
            stage,
            parameters: RwLock::new(parameters),
            previous,
            shards,
            direction: RwLock::default(),
            frozen: RwLock::default(),
            returns: RwLock::new(ReturnScale::ONE),
            sums: RwLock::new(sums),
        }
    }

    pub fn work(&self, job: Job, at: usize) {
        kernels::flush_denormals();
        let mut shard = locked(&self.shards[at]);
        let (stage, parameters) = (self.stage, read(&self.parameters));
        match job {
            Job::Curvature => return shard.curve(stage, &parameters, &read(&self.direction)),
            Job::Try => return shard.try_out(stage, &parameters),
            Job::Assess { .. }
            | Job::Compare
            | Job::Scale { .. }
            | Job::Differentiate { .. }
            | Job::All { .. }
            | Job::Shuffle { .. }
            | Job::Mirror { .. }
            | Job::Part { .. } => {}
        }
        let Shard { rollout, objective, .. } = &mut *shard;
        let seed = stage.plan.settings.seed;
        if let Job::Assess { step } | Job::All { step, .. } = job {
            let previous = read(&self.previous);
            let point = Point {
                present: parameters.values(),
                previous: previous.moved.then_some(&previous.values[..]),
                frozen: &read(&self.frozen),
            };
            rollout.move_schedules(stage, step);
            rollout.run(stage, point, [seed, TRAINING, step << 16 | at as u64], Choice::Sampled, Keep::Rows);
            objective.assess(stage, rollout, point, *read(&self.returns));
        }
        match job {
            Job::Assess { .. } | Job::Curvature | Job::Try => {}
            Job::Compare => objective.compare(stage, rollout, &read(&self.sums)),
            Job::Scale { factor } => objective.scale_advantages(factor),
            Job::Differentiate { weighing } | Job::All { weighing, .. } => objective.differentiate(stage, &parameters, rollout, weighing),
            Job::Shuffle { step, epoch } => objective.shuffle(&mut generator([seed, SHUFFLING + epoch, step << 16 | at as u64])),
            Job::Mirror { weighing } => {
                rollout.revalue_densities(stage, Point { present: parameters.values(), previous: None, frozen: &read(&self.frozen) });
                objective.differentiate_densities(stage, &parameters, rollout, weighing);
            }
            Job::Part { part, parts, weighing } => objective.differentiate_part(stage, &parameters, rollout, weighing, (part, parts)),
        }
    }

    /// Adds up the credit of all shards, in their order.
    pub fn sum_credit(&self) {
        let mut sums = write(&self.sums);
        sums.iter_mut().for_each(|sums| sums.clear(self.stage.horizon));
        for shard in &self.shards {
            let shard = locked(shard);
            sums.iter_mut().zip(&shard.objective.draws).for_each(|(sums, draw)| sums.add(&draw.sums));
        }
    }

    /// Adds up the gradients of all shards, in their order, and what they tell.
    pub fn sum_gradients(&self, gradient: &mut [E]) -> Told {
        gradient.fill(<E as Float>::ZERO);
        for shard in &self.shards {
            kernels::add(gradient, &locked(shard).objective.gradient);
        }
        self.sum_told()
    }

    /// Adds up what the last job of all shards told, in their order.
    pub fn sum_told(&self) -> Told {
        let mut all = Told::default();
        for shard in &self.shards {
            let told = locked(shard).objective.told;
            all.error += told.error;
            all.divergence += told.divergence;
            all.surrogate += told.surrogate;
            all.rows += told.rows;
        }
        all
    }

    /// The root mean square of the batch's advantages; 1 where all are 0.
    pub fn advantage_size(&self) -> f64 {
        let squares: f64 = self.shards.iter().map(|shard| locked(shard).objective.squared_advantages()).sum();
        let mean = squares / self.rows().max(1) as f64;
        if mean > 0.0 && mean.is_finite() { mean.sqrt() } else { 1.0 }
    }

    /// Live steps of the batch.
    pub fn rows(&self) -> usize {
        self.shards.iter().map(|shard| locked(shard).rollout.rows.len()).sum()
    }

    /// Live steps of minibatch `part` of `parts`.
    pub fn rows_of_part(&self, part: usize, parts: usize) -> usize {
        self.shards.iter().map(|shard| part_of(locked(shard).rollout.rows.len(), part, parts).len()).sum()
    }

    /// The weighing of a gradient from all rows, at the parameters that drew them.
    pub fn whole(&self, aim: Aim) -> Weighing {
        Weighing { aim, share: 1.0 / self.stage.plan.settings.trajectories as f64, moved: false }
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
