//! The gradient of a bound from the rows of one shard:
//!
//! `∇L = E_q[ Σ_t ∇log π(a_t|·) · A_t + Σ_t ∇H_t − … ]`, the score-function part with credit and
//! baseline (see [`crate::engine::episode::credit`]), and the pathwise part of entropies and
//! divergences in closed form. What optimisers get is the gradient of `−L`.
//!
//! Where a batch is used again, a draw is weighed by the ratio `ρ = π(a|·) / π_b(a|·)` of the
//! present policy to the one that drew it, and `L` becomes the surrogate `E_b[Σ_t ρ_t A_t + …]`
//! (Schulman et al. 2015, eq. 14), with `clip_ratio` that of Schulman et al. (2017, eq. 7).

use super::enumerate::Enumeration;
use super::pathwise;
use crate::engine::episode::advantage::Advantages;
use crate::engine::episode::credit::{Given, Others, StepSums};
use crate::engine::family::{Draws, Family};
use crate::engine::network::forward::{Activations, Scratch};
use crate::engine::numeric::float::Float;
use crate::engine::numeric::kernels;
use crate::engine::numeric::moments::Sums;
use crate::engine::numeric::number::Number;
use crate::engine::program::compiled::{CompiledProgram, Source};
use crate::engine::program::density::{Density, DensityRows};
use crate::engine::program::draws::{DrawRows, KlReference};
use crate::engine::program::point::Point;
use crate::engine::sample::episodes::Episodes;
use crate::engine::sample::start::StartCredit;
use crate::engine::tape::parameters::Parameters;
use crate::engine::tape::tensor::{Matrix, Tape, values_of};
use crate::plan::Version;
use rand::Rng;
use rand::seq::SliceRandom;
use std::ops::Range;
use std::sync::{Arc, Mutex};

/// What a shard gives to a gradient step.
pub(in crate::engine) struct Objective<E> {
    /// The gradient of `−L` and of the baseline's squared error, flat.
    pub gradient: Vec<E>,
    /// Of the rows of the last gradient.
    pub told: Told,
    /// By draw: those of a step, and the next and the first state where its score is taken.
    pub draws: Vec<Advantages<E>>,
    /// What first states are credited with, of those that are scored.
    starts: Vec<StartCredit<E>>,
    /// The first that is credited: a learned value is that of what is to come before it.
    valued: usize,
    /// By draw that is summed out: what all draws are then credited with stands in the first of
    /// `draws`.
    summed: Vec<Enumeration<E>>,
    /// What the baseline's network said, in nats.
    values: Vec<E>,
    /// Of what the baseline is fitted to, in nats.
    pub returns: Sums,
    /// `t` of each row.
    times: Vec<u32>,
    /// The rows in the order in which minibatches take them.
    order: Vec<u32>,
    part: Part<E>,
    scratch: Arc<Mutex<Scratch<E>>>,
}

/// Sums over the rows of a gradient.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::engine) struct Told {
    /// Of the baseline's squared error.
    pub error: f64,
    /// Of `KL(π ‖ π_b)`, in nats, where the settings ask for it.
    pub divergence: f64,
    /// Of the surrogate of `L`, where a trust region asks for it.
    pub surrogate: f64,
    pub rows: usize,
}

/// How the baseline's network says a value: in deviations from the mean of what it was fitted to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::engine) struct ReturnScale {
    pub mean: f64,
    pub deviation: f64,
}

/// What a gradient is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Aim {
    Policy,
    Baseline,
    Both,
}

/// How the rows of a gradient are weighed.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Weighing {
    pub aim: Aim,
    /// What a row counts: one over the trajectories of the batch, times its rows over those of the
    /// gradient.
    pub share: f64,
    /// The parameters have moved since the rows were drawn.
    pub moved: bool,
}

/// The rows of a gradient.
struct Sample<'a, E> {
    network: &'a Arc<Activations<E>>,
    target: &'a [E],
    times: &'a [u32],
    /// Of each row its trajectory, and what each trajectory counts where not all count alike.
    trajectories: &'a [u32],
    weight: &'a [f64],
    /// By draw of a step.
    draws: Vec<Drawn<'a, E>>,
    /// Of the states that models draw, where their score is taken.
    scored: Vec<AtPoints<'a, E>>,
    /// What whole trajectories give, by density of the bound.
    densities: Vec<AtPoints<'a, E>>,
    summed: &'a [Enumeration<E>],
    /// What all draws are credited with where options are summed out.
    enumerated: Option<&'a Advantages<E>>,
    /// Whose rows they all are, where none is left out, and the advantages of all of its draws.
    episodes: Option<(&'a Episodes<E>, &'a [Advantages<E>])>,
    /// The parameters at the beginning of the round; `None` where they are the present ones.
    previous: Option<&'a [E]>,
}

/// The draws of one factor at the rows of a gradient.
#[derive(Clone, Copy)]
struct Drawn<'a, E> {
    draws: &'a Draws<E>,
    /// What each could stay at.
    last: &'a [u32],
    /// The distributions that they were drawn from, as numbers; empty where nobody asks.
    numbers: &'a [E],
    /// Those that their divergence is taken from, where they have no present parameters.
    reference: &'a [E],
    log_prob: &'a [E],
    advantage: &'a [E],
}

/// A kernel at points of whole trajectories.
#[derive(Clone, Copy)]
struct AtPoints<'a, E> {
    network: &'a Arc<Activations<E>>,
    draws: &'a Draws<E>,
    last: &'a [u32],
    /// Of what was drawn from it, and what it is worth; empty where it is not scored.
    log_prob: &'a [E],
    advantage: &'a [E],
    /// What a point counts.
    share: f64,
    /// Step and trajectory of each.
    points: &'a [(u32, u32)],
}

/// The draws of one factor at the rows of a minibatch.
#[derive(Default)]
struct PartDrawn<E> {
    draws: Draws<E>,
    last: Vec<u32>,
    numbers: Vec<E>,
    reference: Vec<E>,
    log_prob: Vec<E>,
    advantage: Vec<E>,
}

/// The points of a minibatch at which a kernel stands, gathered.
#[derive(Default)]
struct PartPoints<E> {
    /// All points, in the order in which minibatches take them.
    order: Vec<u32>,
    network: Arc<Activations<E>>,
    draws: Draws<E>,
    last: Vec<u32>,
    log_prob: Vec<E>,
    advantage: Vec<E>,
    points: Vec<(u32, u32)>,
}

/// The rows of a minibatch, gathered.
#[derive(Default)]
struct Part<E> {
    drawn: Vec<PartDrawn<E>>,
    scored: Vec<PartPoints<E>>,
    densities: Vec<PartPoints<E>>,
    network: Arc<Activations<E>>,
    target: Vec<E>,
    times: Vec<u32>,
    trajectories: Vec<u32>,
}

impl<E: Number> Objective<E> {
    pub fn new(program: &CompiledProgram<E>, parameters: &Parameters<E>) -> Objective<E> {
        Objective {
            gradient: parameters.zero_gradient(),
            told: Told::default(),
            draws: (0..program.credited()).map(|_| Advantages::new()).collect(),
            starts: (program.row_draws()..program.credited()).map(|_| StartCredit::new()).collect(),
            valued: (program.plan.unserved..program.row_draws())
                .filter(|&draw| program.is_served(draw))
                .find(|&draw| program.terms.iter().any(|term| term.credits[draw].is_some()))
                .unwrap_or(program.plan.unserved),
            summed: program.summed.iter().map(|_| Enumeration::default()).collect(),
            values: Vec::new(),
            returns: Sums::default(),
            times: Vec::new(),
            order: Vec::new(),
            part: Part::default(),
            scratch: Arc::new(Mutex::new(Scratch::of(&program.stop))),
        }
    }

    /// The credit of each row of each draw; after it the advantage, except with a leave-one-out
    /// baseline, which needs the sums of all shards.
    pub fn assess(
        &mut self,
        program: &CompiledProgram<E>,
        episodes: &Episodes<E>,
        point: Point<E>,
        scale: ReturnScale,
    ) {
        let rows = episodes.rows.len();
        self.times.clear();
        for (t, bounds) in episodes.rows.starts.windows(2).enumerate() {
            self.times.resize(bounds[1], t as u32 + 1);
        }
        let settings = &program.plan.settings;
        let mut values: &[E] = match program.learning.value {
            Some(root) => episodes.network.output(&program.learning.network, root, 0..rows),
            None => &[],
        };
        if !scale.is_one() {
            self.values.clear();
            self.values.extend(values.iter().map(|&v| scale.value_of(v)));
            values = &self.values;
        }
        let mut sampled = 0..program.row_draws();
        for (enumeration, enumerator) in self.summed.iter_mut().zip(&program.summed) {
            let draw = &mut self.draws[0];
            enumeration.assess(enumerator, program, episodes, point, &mut draw.credit);
            draw.assess_credit(
                settings,
                &episodes.rows,
                &episodes.after,
                (&episodes.totals.lengths, program.horizon),
                values,
            );
            sampled = 0..0;
        }
        for number in sampled {
            let draw = &mut self.draws[number];
            if !program.credits(number) {
                draw.clear(rows, program.horizon);
                continue;
            }
            let here = if program.keeps_ledger() {
                &episodes.ledger.given[number]
            } else {
                &episodes.here
            };
            let given = Given { here, before: &episodes.before, after: &episodes.after };
            draw.assess(
                (settings, program.is_served(number)),
                &episodes.rows,
                &given,
                (&episodes.totals.lengths, program.horizon),
                values,
            );
        }
        let ledger = (&episodes.ledger, &episodes.rows.weight[..]);
        for (at, start) in self.starts.iter_mut().enumerate() {
            let number = program.row_draws() + at;
            let after = (&episodes.after[..], &episodes.totals.lengths[..]);
            start.assess((program, number), ledger, after, &mut self.draws[number]);
        }
        self.returns.clear(1);
        if settings.normalize.returns {
            let target = &mut self.draws[self.valued].target;
            self.returns.add(0, target.iter().map(|g| g.as_f64()));
            self.returns.count = rows as f64;
            target.iter_mut().for_each(|g| *g = scale.prediction_of(*g));
        }
    }

    /// `Σ A²` over all draws that are credited, and how many these are.
    pub fn squared_advantages(
        &self,
        program: &CompiledProgram<E>,
        episodes: &Episodes<E>,
    ) -> (f64, usize) {
        let first_step = episodes.rows.starts.get(1).copied().unwrap_or(0);
        let credited = self.draws.iter().enumerate().filter(|(number, _)| program.credits(*number));
        let all = credited.map(|(number, draw)| match program.draws.get(number) {
            // what is drawn once is drawn at the first step, and what another begins at the others
            Some(of) if of.once => &draw.advantage[..first_step],
            Some(of) if of.from > 1 => &draw.advantage[first_step..],
            Some(_) | None => &draw.advantage[..],
        });
        let sum = all.clone().map(|advantage| kernels::sum_of_squares(advantage)).sum();
        (sum, all.map(<[E]>::len).sum())
    }

    /// `A` times `factor`.
    pub fn scale_advantages(&mut self, factor: f64) {
        self.draws
            .iter_mut()
            .for_each(|draw| kernels::scale(&mut draw.advantage, Float::of(factor)));
    }

    /// The advantage of each row where it needs the sums of credit over all shards.
    pub fn compare(
        &mut self,
        program: &CompiledProgram<E>,
        episodes: &Episodes<E>,
        (all, others): (&[StepSums], Others),
    ) {
        // summed out, all draws of a step are credited alike
        let credited = if !self.summed.is_empty() { 1 } else { program.row_draws() };
        for (draw, all) in self.draws.iter_mut().zip(all).take(credited) {
            draw.compare(&episodes.rows, (all, others));
        }
        for (at, start) in self.starts.iter().enumerate() {
            let number = program.row_draws() + at;
            let draw = &mut self.draws[number];
            start.compare(&program.plan.settings.baseline, (&all[number], others), draw);
        }
    }

    /// `t` of each row.
    pub fn times(&self) -> &[u32] {
        &self.times
    }

    /// The gradient from all rows, as the network computed them last; `previous` are the parameters
    /// at the beginning of the round, where they are others.
    pub fn differentiate(
        &mut self,
        program: &CompiledProgram<E>,
        (parameters, previous): (&Parameters<E>, Option<&[E]>),
        episodes: &Episodes<E>,
        weighing: Weighing,
    ) {
        self.gradient.fill(<E as Float>::ZERO);
        let sample = Sample {
            network: &episodes.network,
            target: &self.draws[self.valued].target,
            times: &self.times,
            trajectories: &episodes.rows.trajectory,
            weight: &episodes.rows.weight,
            draws: episodes.draws.iter().zip(&self.draws).map(Drawn::of).collect(),
            scored: program
                .scored
                .iter()
                .zip(&episodes.scored)
                .map(|(of, rows)| AtPoints::scored(rows, &self.draws[of.credit], weighing.share))
                .collect(),
            densities: densities(episodes, weighing.share),
            summed: &self.summed,
            enumerated: self.draws.first(),
            episodes: Some((episodes, &self.draws)),
            previous,
        };
        self.told =
            sample.add_gradient(program, parameters, weighing, &self.scratch, &mut self.gradient);
    }

    /// The gradient of the densities alone, as they were computed last.
    pub fn differentiate_densities(
        &mut self,
        program: &CompiledProgram<E>,
        parameters: &Parameters<E>,
        episodes: &Episodes<E>,
        weighing: Weighing,
    ) {
        self.gradient.fill(<E as Float>::ZERO);
        let mut tape = Tape::reusing(&self.scratch);
        let mut weighted = Vec::new();
        let all = densities(episodes, weighing.share);
        let weight = &episodes.rows.weight;
        weigh_densities(&all, program, (&mut tape, parameters, weight), &mut weighted);
        if !weighted.is_empty() {
            tape.backward(weighted, parameters, &mut self.gradient);
        }
    }

    /// Puts the rows in a new order, in which the minibatches of a pass take them; and the points
    /// of what whole trajectories give.
    pub fn shuffle(&mut self, episodes: &Episodes<E>, random: &mut impl Rng) {
        let mut anew = |order: &mut Vec<u32>, count: usize| {
            order.clear();
            order.extend(0..count as u32);
            order.shuffle(random);
        };
        anew(&mut self.order, self.times.len());
        let part = &mut self.part;
        part.scored.resize_with(episodes.scored.len(), PartPoints::default);
        for (part, of) in part.scored.iter_mut().zip(&episodes.scored) {
            anew(&mut part.order, of.points.len());
        }
        part.densities.resize_with(episodes.densities.len(), PartPoints::default);
        for (part, of) in part.densities.iter_mut().zip(&episodes.densities) {
            anew(&mut part.order, of.points.len());
        }
    }

    /// The gradient from the rows of minibatch `part` of `parts`.
    pub fn differentiate_part(
        &mut self,
        program: &CompiledProgram<E>,
        parameters: &Parameters<E>,
        episodes: &Episodes<E>,
        weighing: Weighing,
        (part, parts): (usize, usize),
    ) {
        self.gradient.fill(<E as Float>::ZERO);
        let rows = &self.order[part_of(self.order.len(), part, parts)];
        let mine = &mut self.part;
        let network = Arc::get_mut(&mut mine.network)
            .expect("objective: the tape of the last gradient is gone");
        program.learning.network.gather(&episodes.network, rows, network);
        program.learning.network.recompute(parameters.values(), 0..rows.len(), network);
        // what rows were drawn from is asked for by a target alone
        let with_numbers = program.plan.settings.kl_target.is_some();
        mine.drawn.resize_with(episodes.draws.len(), PartDrawn::default);
        let all = episodes.draws.iter().zip(&self.draws).zip(&program.draws);
        for (mine, ((from, worth), of)) in mine.drawn.iter_mut().zip(all) {
            let numbers = of.family.numbers();
            mine.draws.gather(&from.draws, rows, of.family.width());
            gather(&from.last, rows, 1, &mut mine.last);
            gather(&from.reference, rows, numbers, &mut mine.reference);
            gather(&from.log_prob, rows, 1, &mut mine.log_prob);
            gather(&worth.advantage, rows, 1, &mut mine.advantage);
            if with_numbers {
                gather(&from.numbers, rows, numbers, &mut mine.numbers);
            }
        }
        // a point stands in one minibatch of a pass
        let share = parts as f64 / program.plan.settings.trajectories as f64;
        let at = (parameters.values(), (part, parts), share);
        let scored = program.scored.iter().zip(&episodes.scored).zip(&mut mine.scored);
        let scored = scored.map(|((of, rows), part)| {
            part.gather((&of.density, rows), Some(&self.draws[of.credit].advantage), at)
        });
        let scored = scored.collect();
        let densities = program.densities.iter().zip(&episodes.densities).zip(&mut mine.densities);
        let densities = densities.map(|(of, part)| part.gather(of, None, at)).collect();
        gather(&self.draws[self.valued].target, rows, 1, &mut mine.target);
        gather(&self.times, rows, 1, &mut mine.times);
        gather(&episodes.rows.trajectory, rows, 1, &mut mine.trajectories);
        let sample = Sample {
            network: &mine.network,
            target: &mine.target,
            times: &mine.times,
            trajectories: &mine.trajectories,
            weight: &episodes.rows.weight,
            draws: mine.drawn.iter().map(PartDrawn::as_drawn).collect(),
            scored,
            densities,
            // the plan takes no minibatches where options are summed out
            summed: &[],
            enumerated: None,
            episodes: None,
            previous: None,
        };
        self.told =
            sample.add_gradient(program, parameters, weighing, &self.scratch, &mut self.gradient);
    }
}

impl ReturnScale {
    pub const ONE: ReturnScale = ReturnScale { mean: 0.0, deviation: 1.0 };

    fn is_one(&self) -> bool {
        *self == ReturnScale::ONE
    }

    fn value_of<E: Number>(&self, prediction: E) -> E {
        Float::of(Float::as_f64(prediction).mul_add(self.deviation, self.mean))
    }

    fn prediction_of<E: Number>(&self, value: E) -> E {
        Float::of((Float::as_f64(value) - self.mean) / self.deviation)
    }
}

/// The rows of part `part` of `parts`.
pub(in crate::engine) fn part_of(rows: usize, part: usize, parts: usize) -> std::ops::Range<usize> {
    part * rows / parts..(part + 1) * rows / parts
}

impl<E: Number> Sample<'_, E> {
    fn add_gradient(
        &self,
        program: &CompiledProgram<E>,
        parameters: &Parameters<E>,
        weighing: Weighing,
        scratch: &Arc<Mutex<Scratch<E>>>,
        gradient: &mut [E],
    ) -> Told {
        let rows = self.times.len();
        let mut told = Told { rows, ..Told::default() };
        let binding = &program.learning;
        let mut tape = Tape::reusing(scratch);
        let mut weighted = Vec::new();
        let through = self.episodes.filter(|_| program.is_pathwise());
        // the gradient through draws has them with what they read
        if weighing.aim != Aim::Baseline && through.is_none() {
            self.weigh_scored((program, true), (&mut tape, parameters), weighing, &mut weighted);
        }
        if rows == 0 {
            // all have ended where they started
            if !weighted.is_empty() {
                tape.backward(weighted, parameters, gradient);
            }
            return told;
        }
        // what goes through draws is on the tape step by step; the fit of a value is not a part of
        // it
        let is_needed = through.is_none() || binding.value.is_some() && weighing.aim != Aim::Policy;
        let roots = if is_needed {
            tape.network(&binding.network, parameters, self.network, 0..rows)
        } else {
            Vec::new()
        };
        if let Some((episodes, draws)) = through
            && weighing.aim != Aim::Baseline
        {
            let of_density = |density: &Density| density.version == Version::Previous;
            let reads_previous = program.reads_previous()
                || program.densities.iter().any(of_density)
                || program.simulators.iter().any(|simulator| simulator.previous);
            let previous = reads_previous.then(|| parameters.frozen_at(self.previous));
            let whole = pathwise::Trajectories {
                program,
                through: &program.through,
                parameters,
                previous: previous.as_ref(),
                episodes,
                advantages: draws.iter().map(|draw| &draw.advantage[..]).collect(),
                share: weighing.share,
            };
            whole.weigh(&mut tape, &mut weighted);
        } else if let (false, Some((episodes, _))) = (self.summed.is_empty(), self.episodes)
            && weighing.aim != Aim::Baseline
        {
            for (enumeration, enumerator) in self.summed.iter().zip(&program.summed) {
                enumeration.weigh(
                    (enumerator, program, episodes),
                    (&mut tape, parameters),
                    self.enumerated.expect("objective: what is summed out has its credit"),
                    self.times,
                    |trajectory| weighing.share * episodes.rows.weight_of(trajectory),
                    &mut weighted,
                );
            }
        } else if weighing.aim != Aim::Baseline {
            self.weigh_draws(program, &mut tape, &roots, weighing, &mut weighted);
            self.weigh_scored((program, false), (&mut tape, parameters), weighing, &mut weighted);
            let on = (&mut tape, parameters, self.weight);
            weigh_densities(&self.densities, program, on, &mut weighted);
            if program.plan.settings.kl_target.is_some() {
                told.divergence = self.divergence(program);
            }
        }
        if let Some(root) = binding.value.filter(|_| weighing.aim != Aim::Policy) {
            let value = &roots[root];
            told.error = values_of(value)
                .iter()
                .zip(self.target)
                .map(|(&v, &g)| Float::as_f64(v - g).powi(2))
                .sum();
            let squares = tape.squared_error(value, self.target);
            let weight =
                if program.plan.shared { program.plan.settings.baseline_weight } else { 1.0 };
            let mut weights = vec![Float::of(weight * weighing.share); rows];
            self.count(&mut weights);
            weighted.push((squares, weights));
        }
        tape.backward(weighted, parameters, gradient);
        told
    }

    /// The scores of what a step draws, and the gradients of entropies and divergences in closed
    /// form.
    fn weigh_draws(
        &self,
        program: &CompiledProgram<E>,
        tape: &mut Tape<E>,
        roots: &[Matrix<E>],
        weighing: Weighing,
        weighted: &mut Vec<(Matrix<E>, Vec<E>)>,
    ) {
        let binding = &program.learning;
        for (number, (draw, of)) in program.draws.iter().zip(&self.draws).enumerate() {
            // what has no density has no score, and moves by none
            if !draw.family.has_density() {
                continue;
            }
            let own = &roots[binding.draws[number].clone()];
            let terms = || program.terms.iter().filter(|term| term.pathwise);
            let (log_prob, entropy) =
                match terms().any(|term| term.source == Source::Entropy(number)) {
                    true => {
                        let (log_prob, entropy) = draw.family.score(tape, own, of.last, of.draws);
                        (log_prob, Some(entropy))
                    }
                    false => (draw.family.log_density(tape, own, of.last, of.draws), None),
                };
            let clip_ratio = program.plan.settings.clip_ratio;
            let worth = (of.log_prob, of.advantage);
            let mut weights = score_weights(&values_of(&log_prob), worth, clip_ratio, weighing);
            if draw.once || draw.from > 1 {
                let kept = weights.iter_mut().zip(self.times);
                let kept = kept.filter(|(_, t)| !draw.is_drawn_at(**t as usize));
                kept.for_each(|(weight, _)| *weight = <E as Float>::ZERO);
            }
            self.count(&mut weights);
            weighted.push((log_prob, weights));
            for term in terms() {
                let times = term.from as u32..=term.to as u32;
                let weights = || self.weights(term.sign, times, weighing.share);
                match (term.source, &entropy) {
                    (Source::Entropy(of), Some(entropy)) if of == number => {
                        weighted.push((entropy.clone(), weights()));
                    }
                    (Source::Divergence(by), _) if by == number => {
                        let prior = match draw.reference {
                            KlReference::Present => {
                                roots[binding.references[number].clone()].to_vec()
                            }
                            KlReference::None
                            | KlReference::Itself
                            | KlReference::Previous(_)
                            | KlReference::Expressions(_) => draw.family.frozen(tape, of.reference),
                        };
                        weighted.push((draw.family.divergence(tape, own, &prior), weights()));
                    }
                    // no parameter enters an exponent, a count, or the log-density of a prior
                    // without parameters; others stand elsewhere, the divergence of weights beside
                    // the batch
                    (
                        Source::Entropy(_)
                        | Source::Divergence(_)
                        | Source::Exponent(_)
                        | Source::Whole
                        | Source::LogRatio { .. }
                        | Source::LogCount(_)
                        | Source::WeightDivergence
                        | Source::Density
                        | Source::Ratio,
                        _,
                    ) => {}
                }
            }
        }
    }

    /// The scores of the first states that models draw, or of the next ones.
    fn weigh_scored(
        &self,
        (program, once): (&CompiledProgram<E>, bool),
        (tape, parameters): (&mut Tape<E>, &Parameters<E>),
        weighing: Weighing,
        weighted: &mut Vec<(Matrix<E>, Vec<E>)>,
    ) {
        for (of, at) in program.scored.iter().zip(&self.scored) {
            if of.once == once && !at.points.is_empty() {
                let on = (&mut *tape, parameters);
                self.weigh_points((program, &of.density, at), on, weighing, weighted);
            }
        }
    }

    /// The score of a state: of a next one one for each row, of a first one one for each
    /// trajectory.
    fn weigh_points(
        &self,
        (program, density, at): (&CompiledProgram<E>, &Density, &AtPoints<E>),
        (tape, parameters): (&mut Tape<E>, &Parameters<E>),
        weighing: Weighing,
        weighted: &mut Vec<(Matrix<E>, Vec<E>)>,
    ) {
        let points = 0..at.points.len();
        let roots = tape.network(&density.network, parameters, at.network, points);
        let log_prob = density.family.log_density(tape, &roots, at.last, at.draws);
        let weighing = Weighing { share: at.share, ..weighing };
        let clip_ratio = program.plan.settings.clip_ratio;
        // that of a squashed draw before the squashing, too
        let mut then = Vec::new();
        if weighing.moved && density.family.is_squashed() {
            let rows = at.log_prob.iter().enumerate();
            then.extend(rows.map(|(row, &l)| l - density.family.log_squash(at.draws, row)));
        }
        let then = if then.is_empty() { at.log_prob } else { &then };
        let worth = (then, at.advantage);
        let mut weights = score_weights(&values_of(&log_prob), worth, clip_ratio, weighing);
        count(&mut weights, at.points.iter().map(|point| point.1), self.weight);
        weighted.push((log_prob, weights));
    }

    /// The weight of each row in `−sign · Σ_{t of times} share`.
    fn weights(&self, sign: f64, times: std::ops::RangeInclusive<u32>, share: f64) -> Vec<E> {
        let weight: E = Float::of(-sign * share);
        let mut weights = self
            .times
            .iter()
            .map(|t| if times.contains(t) { weight } else { <E as Float>::ZERO })
            .collect::<Vec<E>>();
        self.count(&mut weights);
        weights
    }

    /// Multiplies the weights of rows by what their trajectories count.
    fn count(&self, weights: &mut [E]) {
        count(weights, self.trajectories.iter().copied(), self.weight);
    }

    /// `Σ KL(π ‖ π_b)` over the rows, of all that they draw.
    fn divergence(&self, program: &CompiledProgram<E>) -> f64 {
        let rows = 0..self.times.len();
        let mut divergences = vec![<E as Float>::ZERO; rows.len()];
        let mut of = |family: &Family, roots: &Range<usize>, last: &[u32], then: &[E]| {
            let mut present = vec![<E as Float>::ZERO; then.len()];
            let outputs = program.learning.outputs(self.network, roots, &rows);
            family.describe(outputs, last, &mut present);
            family.divergences(&present, then, &mut divergences);
            divergences.iter().map(|kl| kl.as_f64()).collect::<Vec<f64>>()
        };
        let mut sum = 0.0;
        for ((draw, drawn), roots) in
            program.draws.iter().zip(&self.draws).zip(&program.learning.draws)
        {
            let all = of(&draw.family, roots, drawn.last, drawn.numbers);
            let counts =
                |(kl, &t): (f64, &u32)| if draw.is_drawn_at(t as usize) { kl } else { 0.0 };
            sum += all.into_iter().zip(self.times).map(counts).sum::<f64>();
        }
        sum
    }
}

impl<'a, E: Number> Drawn<'a, E> {
    fn of((rows, worth): (&'a DrawRows<E>, &'a Advantages<E>)) -> Drawn<'a, E> {
        Drawn {
            draws: &rows.draws,
            last: &rows.last,
            numbers: &rows.numbers,
            reference: &rows.reference,
            log_prob: &rows.log_prob,
            advantage: &worth.advantage,
        }
    }
}

impl<E: Number> PartDrawn<E> {
    fn as_drawn(&self) -> Drawn<'_, E> {
        Drawn {
            draws: &self.draws,
            last: &self.last,
            numbers: &self.numbers,
            reference: &self.reference,
            log_prob: &self.log_prob,
            advantage: &self.advantage,
        }
    }
}

impl<'a, E: Number> AtPoints<'a, E> {
    fn scored(rows: &'a DensityRows<E>, worth: &'a Advantages<E>, share: f64) -> AtPoints<'a, E> {
        AtPoints { log_prob: &rows.log_prob, advantage: &worth.advantage, ..Self::of(rows, share) }
    }

    fn of(rows: &'a DensityRows<E>, share: f64) -> AtPoints<'a, E> {
        AtPoints {
            network: &rows.network,
            draws: &rows.draws,
            last: &rows.last,
            log_prob: &[],
            advantage: &[],
            share,
            points: &rows.points,
        }
    }
}

impl<E: Number> PartPoints<E> {
    /// Gathers the points of minibatch `part` of `parts`, and computes the kernel at `parameters`.
    fn gather(
        &mut self,
        (of, rows): (&Density, &DensityRows<E>),
        worth: Option<&Vec<E>>,
        (parameters, (part, parts), share): (&[E], (usize, usize), f64),
    ) -> AtPoints<'_, E> {
        let points = &self.order[part_of(self.order.len(), part, parts)];
        if !points.is_empty() {
            let network = Arc::get_mut(&mut self.network)
                .expect("objective: the tape of the last gradient is gone");
            of.network.gather(&rows.network, points, network);
            of.network.recompute(parameters, 0..points.len(), network);
        }
        gather(&rows.points, points, 1, &mut self.points);
        let width = rows.draws.reals.len() / rows.points.len().max(1);
        self.draws.gather(&rows.draws, points, width);
        gather(&rows.last, points, 1, &mut self.last);
        self.log_prob.clear();
        self.advantage.clear();
        if let Some(worth) = worth {
            gather(&rows.log_prob, points, 1, &mut self.log_prob);
            gather(worth, points, 1, &mut self.advantage);
        }
        AtPoints {
            network: &self.network,
            draws: &self.draws,
            last: &self.last,
            log_prob: &self.log_prob,
            advantage: &self.advantage,
            share,
            points: &self.points,
        }
    }
}

/// All points of the densities of a bound, as they were computed last.
fn densities<E: Number>(episodes: &Episodes<E>, share: f64) -> Vec<AtPoints<'_, E>> {
    episodes.densities.iter().map(|rows| AtPoints::of(rows, share)).collect()
}

/// The weight of each `log q` of a draw: `−A`, times the ratio where the parameters have moved; 0
/// where that is clipped.
fn score_weights<E: Number>(
    log_prob: &[E],
    (then, advantage): (&[E], &[E]),
    clip_ratio: Option<f64>,
    weighing: Weighing,
) -> Vec<E> {
    let down: E = Float::of(-weighing.share);
    if !weighing.moved {
        return advantage.iter().map(|&advantage| down * advantage).collect();
    }
    let clip = clip_ratio.unwrap_or(f64::INFINITY);
    let (low, high): (E, E) = (Float::of(1.0 - clip), Float::of(1.0 + clip));
    let mut weights = vec![<E as Float>::ZERO; log_prob.len()];
    pulp::Arch::new().dispatch(kernels::Inlined(
        #[inline(always)]
        || {
            let rows = weights.iter_mut().zip(log_prob).zip(then).zip(advantage);
            for (((weight, &present), &then), &advantage) in rows {
                let ratio = Float::exp(present - then);
                let clipped =
                    if advantage > <E as Float>::ZERO { ratio > high } else { ratio < low };
                *weight = if clipped { <E as Float>::ZERO } else { down * ratio * advantage };
            }
        },
    ));
    weights
}

/// The gradients of densities in their own parameters.
fn weigh_densities<E: Number>(
    densities: &[AtPoints<E>],
    program: &CompiledProgram<E>,
    (tape, parameters, weight): (&mut Tape<E>, &Parameters<E>, &[f64]),
    weighted: &mut Vec<(Matrix<E>, Vec<E>)>,
) {
    for (density, at) in program.densities.iter().zip(densities) {
        let term = &program.terms[density.term];
        if !term.pathwise || density.version != Version::Present || at.points.is_empty() {
            continue;
        }
        let points = at.points.len();
        let roots = tape.network(&density.network, parameters, at.network, 0..points);
        let log_prob = density.family.log_density(tape, &roots, at.last, at.draws);
        let mut weights = vec![Float::of(-term.sign * at.share); points];
        count(&mut weights, at.points.iter().map(|point| point.1), weight);
        weighted.push((log_prob, weights));
    }
}

/// Multiplies weights by what the trajectories count that they are of.
fn count<E: Number>(weights: &mut [E], trajectories: impl Iterator<Item = u32>, weight: &[f64]) {
    if !weight.is_empty() {
        let of = weights.iter_mut().zip(trajectories);
        of.for_each(|(by, trajectory)| *by *= Float::of(weight[trajectory as usize]));
    }
}

fn gather<T: Copy>(from: &[T], rows: &[u32], width: usize, into: &mut Vec<T>) {
    into.clear();
    if !from.is_empty() {
        into.extend(
            rows.iter().flat_map(|&row| &from[row as usize * width..(row as usize + 1) * width]),
        );
    }
}
