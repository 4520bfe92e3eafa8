//! The shards of a batch, and the jobs that threads do on them. What a shard computes depends on
//! the job and on the shard alone.

use super::crew::Crew;
use crate::engine::episode::credit::{Others, StepSums};
use crate::engine::family::choice::Choice;
use crate::engine::gradient::objective::{Aim, Objective, ReturnScale, Told, Weighing, part_of};
use crate::engine::numeric::float::Float;
use crate::engine::numeric::kernels;
use crate::engine::numeric::number::Number;
use crate::engine::numeric::stream::{CLASSIFYING, REFITTING, SHUFFLING, TRAINING, generator};
use crate::engine::program::compiled::CompiledProgram;
use crate::engine::program::point::{Frozen, Point};
use crate::engine::program::weights::Drawn;
use crate::engine::sample::fault::Fault;
use crate::engine::sample::replay::Replay;
use crate::engine::sample::rollout::{Keep, Rollout};
use crate::engine::tape::parameters::Parameters;
use crate::engine::update::classify::{Classified, Classifying};
use crate::engine::update::refit::Refitting;
use crate::engine::update::trial::Trial;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// A crew that works for one of the bounds of a run, by its place among the turns.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Hands<'c, 'w> {
    pub crew: &'c Crew<'w, (usize, Job)>,
    pub turn: usize,
}

impl Hands<'_, '_> {
    /// Runs `job` on every shard and returns when all are done.
    pub fn run(&self, job: Job) {
        self.crew.run((self.turn, job));
    }
}

/// What the threads of a run share of one bound; the parameters are those of all bounds.
pub(in crate::engine) struct Shared<'a, E: Float> {
    pub program: &'a CompiledProgram<'a, E>,
    pub parameters: Arc<RwLock<Parameters<E>>>,
    pub previous: RwLock<Previous<E>>,
    pub shards: Vec<Mutex<Shard<E>>>,
    /// What a curvature is applied to, flat.
    pub direction: RwLock<Vec<E>>,
    /// What gains are computed from in this batch.
    pub frozen: RwLock<Frozen<E>>,
    /// How values are said in this batch.
    pub returns: RwLock<ReturnScale>,
    /// Real transitions, where a classifier tells them from imagined ones.
    pub replay: Option<Arc<RwLock<Replay<E>>>>,
    /// Over all shards, by draw.
    sums: RwLock<Vec<StepSums>>,
}

/// The parameters at the beginning of the round.
pub(in crate::engine) struct Previous<E> {
    pub values: Vec<E>,
    /// The present ones have moved since; until then `values` is not read.
    pub moved: bool,
}

pub(in crate::engine) struct Shard<E> {
    pub rollout: Rollout<E>,
    pub objective: Objective<E>,
    pub trial: Trial<E>,
    pub classifying: Classifying<E>,
    pub classified: Classified,
    pub refitting: Refitting<E>,
}

#[derive(Clone, Copy)]
pub(in crate::engine) enum Job {
    /// Roll out and find each row's credit.
    Assess {
        step: u64,
    },
    /// The first half of that, and the second.
    RollOut {
        step: u64,
    },
    Value,
    /// Compare the credit with that of the other shards.
    Compare,
    /// Multiply the advantages.
    Scale {
        factor: f64,
    },
    /// The gradient from all rows, as the rollout computed them.
    Differentiate {
        weighing: Weighing,
    },
    /// All of these, where no shard needs what the others found.
    All {
        step: u64,
        weighing: Weighing,
    },
    /// Put the rows in the order of a pass over the batch.
    Shuffle {
        step: u64,
        epoch: u64,
    },
    /// The gradient from a minibatch, at the present parameters.
    Part {
        part: usize,
        parts: usize,
        weighing: Weighing,
    },
    /// The gradient of the densities alone, at the present parameters.
    Mirror {
        weighing: Weighing,
    },
    /// The Fisher matrix of the policy times [`Shared::direction`].
    Curvature,
    /// What the rows say of the present parameters.
    Try,
    /// What the prior's divergence is at the present parameters.
    Diverge,
    /// The gradient of a step of a classifier, by the number of its ratio, counted from the run's
    /// first.
    Classify {
        of: usize,
        step: u64,
    },
    /// The gradient of a model from kept transitions, likewise.
    Refit {
        step: u64,
    },
}

impl<'a, E: Number> Shared<'a, E> {
    pub fn new(
        program: &'a CompiledProgram<'a, E>,
        all: Arc<RwLock<Parameters<E>>>,
    ) -> Shared<'a, E> {
        let parameters = read(&all);
        let settings = &program.plan.settings;
        let (trajectories, shards) = (settings.trajectories, settings.shards);
        let shards = (0..shards).map(|k| {
            let trajectories = part_of(trajectories, k, shards).len();
            Mutex::new(Shard {
                rollout: Rollout::new(program, trajectories),
                objective: Objective::new(program, &parameters),
                trial: Trial::of(&program.stop),
                classifying: Classifying::default(),
                classified: Classified::default(),
                refitting: Refitting::default(),
            })
        });
        let shards = shards.collect();
        let sums = vec![StepSums::default(); program.credited()];
        let previous = RwLock::new(Previous { values: parameters.values().to_vec(), moved: false });
        drop(parameters);
        Shared {
            program,
            parameters: all,
            previous,
            shards,
            direction: RwLock::default(),
            frozen: RwLock::default(),
            returns: RwLock::new(ReturnScale::ONE),
            replay: None,
            sums: RwLock::new(sums),
        }
    }

    pub fn work(&self, job: Job, at: usize) {
        if self.program.stop.gives_up() {
            return;
        }
        kernels::flush_denormals();
        let mut shard = locked(&self.shards[at]);
        let (program, parameters) = (self.program, read(&self.parameters));
        // another bound may have fewer trajectories than this run has shards
        let rolls_out = !matches!(job, Job::Classify { .. } | Job::Refit { .. });
        if rolls_out && shard.rollout.size() == 0 {
            return shard.rest(program);
        }
        match job {
            Job::Curvature => return shard.curve(program, &parameters, &read(&self.direction)),
            Job::Try => return shard.try_out(program, &parameters),
            Job::Diverge => return shard.diverge(program, &parameters),
            Job::Classify { of, step } => {
                return self.classify(&mut shard, &parameters, of, (step, at));
            }
            Job::Refit { step } => return self.refit(&mut shard, &parameters, (step, at)),
            Job::Assess { .. }
            | Job::RollOut { .. }
            | Job::Value
            | Job::Compare
            | Job::Scale { .. }
            | Job::Differentiate { .. }
            | Job::All { .. }
            | Job::Shuffle { .. }
            | Job::Mirror { .. }
            | Job::Part { .. } => {}
        }
        let Shard { rollout, objective, .. } = &mut *shard;
        let seed = program.plan.settings.seed;
        let previous = read(&self.previous);
        let frozen = read(&self.frozen);
        let point = Point {
            present: parameters.values(),
            previous: previous.moved.then_some(&previous.values[..]),
            frozen: &frozen,
        };
        if let Job::Assess { step } | Job::RollOut { step } | Job::All { step, .. } = job {
            rollout.move_schedules(program, step);
            rollout.run(program, point, stream(program, step, at), Choice::Sampled, Keep::Rows);
        }
        if let (Job::Assess { .. } | Job::Value | Job::All { .. }, None) = (job, &rollout.fault) {
            rollout.value(program, point);
        }
        // the run ends here: what is left of the job has no rows to work on
        if rolls_out && rollout.fault.is_some() {
            drop((previous, frozen));
            return shard.rest(program);
        }
        // what was rolled out in part is not to be read
        if program.stop.gives_up() {
            return;
        }
        if let Job::Assess { .. } | Job::Value | Job::All { .. } = job {
            objective.assess(program, &rollout.episodes, point, *read(&self.returns));
        }
        match job {
            Job::Assess { .. }
            | Job::RollOut { .. }
            | Job::Value
            | Job::Curvature
            | Job::Try
            | Job::Diverge
            | Job::Classify { .. }
            | Job::Refit { .. } => {}
            Job::Compare => {
                objective.compare(program, &rollout.episodes, (&read(&self.sums), Others::OfBatch));
            }
            Job::Scale { factor } => objective.scale_advantages(factor),
            Job::Differentiate { weighing } | Job::All { weighing, .. } => {
                objective.differentiate(
                    program,
                    (&parameters, point.previous),
                    &rollout.episodes,
                    weighing,
                );
            }
            Job::Shuffle { step, epoch } => {
                let mut random = generator([seed, SHUFFLING + epoch, step << 16 | at as u64]);
                objective.shuffle(&rollout.episodes, &mut random);
            }
            Job::Mirror { weighing } => {
                rollout.episodes.revalue_densities(
                    program,
                    Point {
                        present: parameters.values(),
                        previous: None,
                        frozen: &read(&self.frozen),
                    },
                );
                objective.differentiate_densities(
                    program,
                    &parameters,
                    &rollout.episodes,
                    weighing,
                );
            }
            Job::Part { part, parts, weighing } => objective.differentiate_part(
                program,
                &parameters,
                &rollout.episodes,
                weighing,
                (part, parts),
            ),
        }
    }

    /// The first number of the last batch that is none, in the shards' order.
    pub fn fault(&self) -> Option<Fault> {
        self.shards.iter().find_map(|shard| locked(shard).rollout.fault.clone())
    }

    /// Where the last batch has a value that the baseline's network made none of: the shard, its
    /// step and trajectory.
    pub fn broken_value(&self) -> Option<(usize, (usize, usize), f64)> {
        let root = self.program.learning.value?;
        self.shards.iter().enumerate().find_map(|(at, shard)| {
            let Shard { rollout, .. } = &*locked(shard);
            if rollout.episodes.rows.len() == 0 {
                return None;
            }
            let values = rollout.episodes.network.output(
                &self.program.learning.network,
                root,
                0..rollout.episodes.rows.len(),
            );
            let row = values.iter().position(|value| !Float::is_finite(*value))?;
            let t = rollout.episodes.rows.starts.partition_point(|&start| start <= row);
            Some((at, (t, rollout.episodes.rows.trajectory[row] as usize), values[row].as_f64()))
        })
    }

    /// The state of a trajectory of a shard before step `t` of batch `step`, which is rolled out
    /// once more with the present parameters.
    pub fn state_before(
        &self,
        step: u64,
        at: usize,
        place: (usize, usize),
        parameters: &Parameters<E>,
    ) -> Option<String> {
        let (previous, frozen) = (read(&self.previous), read(&self.frozen));
        let point = Point {
            present: parameters.values(),
            previous: previous.moved.then_some(&previous.values[..]),
            frozen: &frozen,
        };
        let keep = (Choice::Sampled, Keep::Rows);
        locked(&self.shards[at]).rollout.state_before(
            self.program,
            point,
            stream(self.program, step, at),
            keep,
            place,
        )
    }

    /// Adds the transitions of the last batch to `replay`, in the shards' order.
    pub fn keep_transitions(&self, replay: &mut Replay<E>) {
        self.shards
            .iter()
            .for_each(|shard| replay.append(self.program, &locked(shard).rollout.episodes));
    }

    /// A shard's part of the pairs of a step of the classifier.
    fn classify(
        &self,
        shard: &mut Shard<E>,
        parameters: &Parameters<E>,
        of: usize,
        (step, at): (u64, usize),
    ) {
        let settings = &self.program.plan.settings;
        let ratio = &self.program.ratios[of];
        let Shard { rollout, objective, classifying, classified, .. } = shard;
        let gradient = &mut objective.gradient;
        gradient.fill(<E as Float>::ZERO);
        let pairs = part_of(settings.ratio_batch, at, self.shards.len()).len();
        let weighed = (pairs, 1.0 / settings.ratio_batch as f64);
        let mut random = generator([
            settings.seed,
            CLASSIFYING | self.program.plan.number << 8 | (of as u64) << 32,
            step << 16 | at as u64,
        ]);
        *classified = match (&ratio.model, &self.replay, &ratio.recorded) {
            (Some(model), Some(replay), None) => classifying.add_gradient(
                (self.program.plan, ratio, model),
                (parameters.values(), &read(replay)),
                weighed,
                &mut random,
                gradient,
            ),
            (Some(model), _, Some(recorded)) => classifying.add_gradient_of_records(
                (ratio, model),
                (parameters.values(), recorded),
                weighed,
                &mut random,
                gradient,
            ),
            (None, _, Some(recorded)) => {
                let on = rollout.episodes.trajectories(self.program);
                classifying.add_gradient_of_actions(
                    ratio,
                    (parameters.values(), recorded),
                    &on,
                    weighed,
                    &mut random,
                    gradient,
                )
            }
            _ => Classified::default(),
        };
    }

    /// A shard's part of the transitions of a step of a model.
    fn refit(&self, shard: &mut Shard<E>, parameters: &Parameters<E>, (step, at): (u64, usize)) {
        let settings = &self.program.plan.settings;
        let Some(replay) = &self.replay else { return };
        let models =
            self.program.densities.iter().filter(|density| {
                density.is_of_step() && self.program.terms[density.term].pathwise
            });
        let gradient = &mut shard.objective.gradient;
        gradient.fill(<E as Float>::ZERO);
        let count = part_of(settings.refit_batch, at, self.shards.len()).len();
        let (on, weighed) =
            ((parameters, &*read(replay)), (count, 1.0 / settings.refit_batch as f64));
        let mut random = generator([
            settings.seed,
            REFITTING | self.program.plan.number << 8,
            step << 16 | at as u64,
        ]);
        shard.refitting.add_gradient(
            (self.program.plan, models),
            on,
            weighed,
            &mut random,
            gradient,
        );
    }

    /// Adds up what a step of the classifier told, in the shards' order.
    pub fn sum_classified(&self) -> Classified {
        let mut all = Classified::default();
        self.shards.iter().for_each(|shard| all.add(&locked(shard).classified));
        all
    }

    /// Adds up the credit of all shards, in their order.
    pub fn sum_credit(&self) {
        let mut sums = write(&self.sums);
        sums.iter_mut().for_each(|sums| sums.clear(self.program.horizon));
        for shard in &self.shards {
            let shard = locked(shard);
            sums.iter_mut()
                .zip(&shard.objective.draws)
                .for_each(|(sums, draw)| sums.add(&draw.sums));
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
        let each = self.shards.iter().map(|shard| {
            let shard = locked(shard);
            shard.objective.squared_advantages(self.program, &shard.rollout.episodes)
        });
        let (squares, draws) = each.fold((0.0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        let mean = squares / draws.max(1) as f64;
        if mean > 0.0 && mean.is_finite() { mean.sqrt() } else { 1.0 }
    }

    /// Live steps of the batch.
    pub fn rows(&self) -> usize {
        self.shards.iter().map(|shard| locked(shard).rollout.episodes.rows.len()).sum()
    }

    /// Live steps of minibatch `part` of `parts`.
    pub fn rows_of_part(&self, part: usize, parts: usize) -> usize {
        self.shards
            .iter()
            .map(|shard| part_of(locked(shard).rollout.episodes.rows.len(), part, parts).len())
            .sum()
    }

    /// The weighing of a gradient from all rows, at the parameters that drew them.
    pub fn whole(&self, aim: Aim) -> Weighing {
        Weighing { aim, share: 1.0 / self.program.plan.settings.trajectories as f64, moved: false }
    }
}

impl<E: Number> Shard<E> {
    /// What a shard without trajectories gives to any job on them.
    fn rest(&mut self, program: &CompiledProgram<E>) {
        self.rollout.episodes.clear(program);
        self.objective.gradient.fill(<E as Float>::ZERO);
        self.objective.told = Told::default();
    }
}

/// The random numbers of a shard of a batch.
fn stream<E>(program: &CompiledProgram<E>, step: u64, at: usize) -> [u64; 3] {
    [program.plan.settings.seed, TRAINING | program.plan.number << 8, step << 16 | at as u64]
}

pub(in crate::engine) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(in crate::engine) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

pub(in crate::engine) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

impl<E: Number> Shared<'_, E> {
    /// Takes the gradient of the batch at the mirror image of its draw, where that is asked for.
    pub fn mirror(&self, crew: Hands, drawn: &mut Drawn<E>) {
        let weights = &self.program.weights;
        if !weights.mirror() {
            return;
        }
        weights.reflect(drawn, write(&self.parameters).values_mut());
        crew.run(Job::Mirror { weighing: self.whole(Aim::Policy) });
        let mut gradient = vec![<E as Float>::ZERO; read(&self.parameters).values().len()];
        self.sum_gradients(&mut gradient);
        drawn.mirrored = gradient;
    }
}
