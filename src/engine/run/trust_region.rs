//! A natural-gradient step with a line search (Schulman et al. 2015): along `x = F⁻¹ ∇L`, as far as
//! the divergence from the policy that drew the batch stays within the trust region and the
//! surrogate rises.
//!
//! `F` is the Fisher matrix of the policy, the mean over the batch's states; `F v` is the
//! directional derivative of what the network computes, weighed by the metric of the family and
//! passed back. It is also the curvature of `KL(π ‖ previous π)`, so that where the bound has that
//! term the step `x` itself is the maximum of its quadratic model, and no longer step is tried.

use crate::engine::family::{Draws, Family};
use crate::engine::fleet::shards::{Hands, Job, Shard, Shared, read, write};
use crate::engine::gradient::objective::Told;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::engine::program::compiled::{CompiledProgram, Source};
use crate::engine::program::draws::{KlReference, StepDraw};
use crate::engine::sample::rollout::Rollout;
use crate::engine::tape::parameters::Parameters;
use crate::engine::update::optimiser::Optimiser;
use argmin::core::{Error, Executor, Operator, State};
use argmin::solver::conjugategradient::ConjugateGradient;
use std::ops::Range;
use std::sync::Arc;

/// How much shorter each step of the line search is than the last.
const SHRINK: f64 = 0.8;
const TRIES: i32 = 15;

/// The radius, in nats a live step, and how the natural gradient is found.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct TrustRegion {
    pub kl: f64,
    pub damping: f64,
    pub iterations: usize,
}

/// Rows of a shard at which a divergence is measured at the most, all but one.
const MEASURED: usize = 1024;

impl TrustRegion {
    /// Moves the parameters that `optimiser` moves by the batch, of whose `−∇L` `gradient` is the
    /// flat vector. Where no step helps they stay.
    pub fn step<E: Number>(
        &self,
        crew: Hands,
        shared: &Shared<E>,
        optimiser: &Optimiser<E>,
        gradient: &mut [E],
    ) {
        let start = read(&shared.parameters).values().to_vec();
        let before = surrogate(crew, shared);
        if before.rows == 0 {
            return;
        }
        // per state, as the Fisher matrix is
        let scale = shared.program.plan.settings.trajectories as f64 / before.rows as f64;
        optimiser.keep_moving(gradient);
        let ascent: Vec<f64> = gradient.iter().map(|g| -g.as_f64() * scale).collect();
        let curvature = |damping| Curvature { crew, shared, optimiser, damping };
        let Some(direction) = self.natural(curvature(self.damping), ascent) else { return };
        let curvature = curvature(0.0);
        let square: f64 =
            curvature.product(&direction).iter().zip(&direction).map(|(f, x)| f * x).sum();
        let radius = (2.0 * self.kl / square).sqrt();
        let longest = if has_divergence(shared.program) { radius.min(1.0) } else { radius };
        if !(longest.is_finite() && longest > 0.0) {
            return;
        }
        for tried in 0..TRIES {
            let length = longest * SHRINK.powi(tried);
            let moved =
                start.iter().zip(&direction).map(|(&at, d)| E::of(at.as_f64() + length * d));
            write(&shared.parameters)
                .values_mut()
                .iter_mut()
                .zip(moved)
                .for_each(|(value, moved)| *value = moved);
            let after = surrogate(crew, shared);
            if after.divergence <= self.kl * after.rows as f64 && after.surrogate > before.surrogate
            {
                return;
            }
        }
        write(&shared.parameters).values_mut().copy_from_slice(&start);
    }

    /// `(F + damping)⁻¹ ∇L` by conjugate gradients (Hestenes and Stiefel 1952); none where the
    /// gradient vanishes.
    fn natural<E: Number>(&self, curvature: Curvature<E>, ascent: Vec<f64>) -> Option<Vec<f64>> {
        if ascent.iter().all(|&g| g == 0.0) {
            return None;
        }
        let start = vec![0.0; ascent.len()];
        let run = Executor::new(curvature, ConjugateGradient::new(ascent))
            .configure(|state| {
                state.param(start).target_cost(1e-10).max_iters(self.iterations as u64)
            })
            .timer(false)
            .run();
        let found = run.ok()?.state().get_best_param().cloned()?;
        found.iter().all(|x| x.is_finite()).then_some(found)
    }
}

/// `F + damping` as an operator on the parameters that move.
struct Curvature<'a, 'b, E: Float> {
    crew: Hands<'a, 'b>,
    shared: &'a Shared<'a, E>,
    optimiser: &'a Optimiser<E>,
    damping: f64,
}

impl<E: Number> Curvature<'_, '_, E> {
    fn product(&self, direction: &[f64]) -> Vec<f64> {
        {
            let mut shared = write(&self.shared.direction);
            shared.clear();
            shared.extend(direction.iter().map(|&d| <E as Float>::of(d)));
        }
        self.crew.run(Job::Curvature);
        let mut product = vec![<E as Float>::ZERO; direction.len()];
        let told = self.shared.sum_gradients(&mut product);
        let share = 1.0 / told.rows.max(1) as f64;
        self.optimiser.keep_moving(&mut product);
        product.iter().zip(direction).map(|(p, d)| p.as_f64() * share + self.damping * d).collect()
    }
}

impl<E: Number> Operator for Curvature<'_, '_, E> {
    type Param = Vec<f64>;
    type Output = Vec<f64>;

    fn apply(&self, direction: &Vec<f64>) -> Result<Vec<f64>, Error> {
        Ok(self.product(direction))
    }
}

/// What the batch says of the present parameters: the surrogate of `L` and the divergence, summed
/// over its rows.
fn surrogate<E: Number>(crew: Hands, shared: &Shared<E>) -> Told {
    crew.run(Job::Try);
    shared.sum_told()
}

fn has_divergence<E>(program: &CompiledProgram<E>) -> bool {
    program.terms.iter().any(|term| match term.source {
        Source::Divergence(draw) => {
            term.pathwise && matches!(program.draws[draw].reference, KlReference::Itself)
        }
        _ => false,
    })
}

impl<E: Number> Shard<E> {
    /// `Σ_rows Jᵀ M J direction`, with the network as its rows were computed last, into the shard's
    /// gradient.
    pub fn curve(
        &mut self,
        program: &CompiledProgram<E>,
        parameters: &Parameters<E>,
        direction: &[E],
    ) {
        let Shard { rollout, objective, trial, .. } = self;
        let rows = 0..rollout.episodes.rows.len();
        objective.gradient.fill(<E as Float>::ZERO);
        objective.told = Told { rows: rows.len(), ..Told::default() };
        if rows.is_empty() {
            return;
        }
        let binding = &program.learning;
        binding.network.tangent(
            parameters.values(),
            direction,
            &rollout.episodes.network,
            rows.clone(),
            &mut trial.tangents,
        );
        let draws: Vec<Region<E>> = regions(program, rollout).collect();
        trial.metric.resize_with(draws.len(), Default::default);
        for (draw, metric) in draws.iter().zip(&mut trial.metric) {
            let tangent =
                |root: usize| trial.tangents.output(&binding.network, draw.roots.start + root);
            let outputs = binding.outputs(&rollout.episodes.network, draw.roots, &rows);
            metric.resize_with(draw.roots.len(), Vec::new);
            draw.family.metric((draw.numbers, draw.last), outputs, tangent, metric);
            if draw.of.once || draw.of.from > 1 {
                let first_step = rollout.episodes.rows.starts.get(1).copied().unwrap_or(0);
                for (root, of) in draw.roots.clone().zip(metric) {
                    let kept = first_step * binding.network.width(root);
                    let kept = if draw.of.once { kept..of.len() } else { 0..kept };
                    of[kept].fill(<E as Float>::ZERO);
                }
            }
        }
        let mut outputs: Vec<&[E]> = vec![&[]; binding.network.outputs()];
        for (draw, metric) in draws.iter().zip(&trial.metric) {
            for (at, root) in draw.roots.clone().enumerate() {
                outputs[root] = &metric[at];
            }
        }
        binding.network.backward(
            parameters.values(),
            &rollout.episodes.network,
            rows,
            &outputs,
            &mut trial.scratch,
            &mut objective.gradient,
        );
    }

    /// `Σ KL(π ‖ p)` over the rows, at the present parameters, of a prior that was drawn from
    /// before they moved: from all rows, or from [`MEASURED`] of them, evenly apart, as one of many
    /// numbers of a log is not to cost what a step does.
    pub fn diverge(&mut self, program: &CompiledProgram<E>, parameters: &Parameters<E>) {
        let Shard { rollout, objective, trial, .. } = self;
        let rows = rollout.episodes.rows.len();
        objective.told = Told { rows, ..Told::default() };
        if rows == 0 {
            return;
        }
        // an odd distance meets other trajectories at each step
        let apart = rows.div_ceil(MEASURED) | 1;
        let of: Vec<u32> = (0..rows as u32).step_by(apart).collect();
        let binding = &program.learning;
        binding.network.gather(&rollout.episodes.network, &of, &mut trial.network);
        binding.network.recompute(parameters.values(), 0..of.len(), &mut trial.network);
        let Some(number) =
            (0..program.draws.len()).find(|&draw| program.previous_of(draw).is_some())
        else {
            return;
        };
        let (family, drawn) = (&program.draws[number].family, &rollout.episodes.draws[number]);
        let width = family.numbers();
        trial.present.resize(of.len() * width, <E as Float>::ZERO);
        trial.column.resize(of.len(), <E as Float>::ZERO);
        let measured = 0..of.len();
        let outputs = binding.outputs(&trial.network, &binding.draws[number], &measured);
        family.describe(outputs, &[], &mut trial.present);
        let prior = of.iter().flat_map(|&row| {
            drawn.reference[row as usize * width..(row as usize + 1) * width].iter().copied()
        });
        let prior: Vec<E> = prior.collect();
        family.divergences(&trial.present, &prior, &mut trial.column);
        let sum: f64 = trial.column.iter().map(|kl| kl.as_f64()).sum();
        objective.told.divergence = sum * rows as f64 / of.len() as f64;
    }

    /// The surrogate `Σ ρ A + …` and `Σ KL(π ‖ π_b)` at the present parameters, for which the
    /// network is computed anew.
    pub fn try_out(&mut self, program: &CompiledProgram<E>, parameters: &Parameters<E>) {
        let Shard { rollout, objective, trial, .. } = self;
        let rows = 0..rollout.episodes.rows.len();
        if rows.is_empty() {
            objective.told = Told::default();
            return;
        }
        let binding = &program.learning;
        let network = Arc::get_mut(&mut rollout.episodes.network)
            .expect("trust region: the tape of the last gradient is gone");
        binding.network.recompute(parameters.values(), rows.clone(), network);
        trial.log_prob.resize(rows.len(), <E as Float>::ZERO);
        trial.column.resize(rows.len(), <E as Float>::ZERO);
        let (mut surrogate, mut divergence) = (0.0, 0.0);
        let times = objective.times().to_vec();
        let draws: Vec<Region<E>> = regions(program, rollout).collect();
        for (number, draw) in draws.iter().enumerate() {
            trial.present.resize(draw.numbers.len(), <E as Float>::ZERO);
            let outputs = binding.outputs(&rollout.episodes.network, draw.roots, &rows);
            draw.family.describe(outputs, draw.last, &mut trial.present);
            draw.family.log_probs(&trial.present, draw.draws, rows.clone(), &mut trial.log_prob);
            let counts = |t: u32| draw.of.is_drawn_at(t as usize);
            let worth = &objective.draws[number].advantage;
            let weighed = trial.log_prob.iter().zip(draw.log_prob).zip(worth).zip(&times);
            surrogate += weighed
                .filter(|(_, t)| counts(**t))
                .map(|(((&now, &then), &advantage), _)| {
                    (now - then).as_f64().exp() * advantage.as_f64()
                })
                .sum::<f64>();
            for term in program.terms.iter().filter(|term| term.pathwise) {
                match term.source {
                    Source::Entropy(of) if of == number => {
                        draw.family.entropies(&trial.present, &mut trial.column)
                    }
                    Source::Divergence(of) if of == number => {
                        let mut present = Vec::new();
                        let reference = match program.draws[number].reference {
                            KlReference::Present => {
                                present.resize(trial.present.len(), <E as Float>::ZERO);
                                let roots = &binding.references[number];
                                let outputs =
                                    binding.outputs(&rollout.episodes.network, roots, &rows);
                                draw.family.describe(outputs, &[], &mut present);
                                &present
                            }
                            KlReference::None
                            | KlReference::Itself
                            | KlReference::Previous(_)
                            | KlReference::Expressions(_) => {
                                &rollout.episodes.draws[number].reference
                            }
                        };
                        draw.family.divergences(&trial.present, reference, &mut trial.column);
                    }
                    Source::Entropy(_)
                    | Source::Divergence(_)
                    | Source::Exponent(_)
                    | Source::Whole
                    | Source::LogRatio { .. }
                    | Source::LogCount(_)
                    | Source::WeightDivergence
                    | Source::Density
                    | Source::Ratio => continue,
                }
                let counted = trial
                    .column
                    .iter()
                    .zip(&times)
                    .filter(|(_, t)| (term.from..=term.to).contains(&(**t as usize)));
                surrogate += term.sign * counted.map(|(value, _)| value.as_f64()).sum::<f64>();
            }
            draw.family.divergences(&trial.present, draw.numbers, &mut trial.column);
            let apart = trial.column.iter().zip(&times).filter(|(_, t)| counts(**t));
            divergence += apart.map(|(kl, _)| kl.as_f64()).sum::<f64>();
        }
        objective.told = Told { surrogate, divergence, rows: rows.len(), ..Told::default() };
    }
}

/// What a trust region holds of one draw: the distributions that the batch was drawn from.
struct Region<'a, E> {
    family: &'a Family,
    roots: &'a Range<usize>,
    numbers: &'a [E],
    last: &'a [u32],
    draws: &'a Draws<E>,
    log_prob: &'a [E],
    of: &'a StepDraw<E>,
}

/// All draws of a step, in their order.
fn regions<'a, E: Number>(
    program: &'a CompiledProgram<E>,
    rollout: &'a Rollout<E>,
) -> impl Iterator<Item = Region<'a, E>> {
    let of = program.draws.iter().zip(&rollout.episodes.draws).zip(&program.learning.draws);
    of.map(|((of, rows), roots)| Region {
        family: &of.family,
        roots,
        numbers: &rows.numbers,
        last: &rows.last,
        draws: &rows.draws,
        log_prob: &rows.log_prob,
        of,
    })
}
