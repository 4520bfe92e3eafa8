//! The information gain of a transition: how far a mean field moves that sees one more (VIME:
//! Houthooft et al. 2016, section 2.5).
//!
//! With `φ` the means and deviations and `ℓ(φ) = E_{w ~ q_φ}[log p(s'|s, a, w)]`, one step of
//! second order from the present `φ` on `KL(q_φ' ‖ q_φ) − ℓ(φ')` goes by `Δ = H⁻¹ ∇ℓ`, with `H` the
//! Hessian of the divergence at `φ' = φ`: its own gradient is zero there, and the Hessian of `ℓ` is
//! left out; the length of the step, λ there, is 1. To second order the divergence of that step is
//!
//! `KL ≈ ½ Δᵀ H Δ = ½ ∇ℓᵀ H⁻¹ ∇ℓ`
//!
//! For normals `H` is diagonal: `1/sd²` for a mean, and 2 for `log sd`, since `KL = −δ + (e^{2δ} −
//! 1)/2 = δ² + …` where `log sd` moves by `δ` (there the same in the coordinate ρ of `sd = log(1 +
//! exp(ρ))`). So
//!
//! `gain = ½ Σ_w (sd² (∂ℓ/∂mean)² + ½ (∂ℓ/∂log sd)²)`, `∂ℓ/∂mean = E[g]`, `∂ℓ/∂log sd = sd·E[g·ε]`,
//! `g = ∂log p/∂w` at `w = mean + sd·ε`.
//!
//! The expectations are means over [`PAIRS`] draws and their mirror images, the same for all
//! transitions of a batch. A finite transition is computed once a batch.

use super::density::Density;
use super::point::Frozen;
use crate::engine::episode::trace::Trace;
use crate::engine::episode::variable::{Variable, When};
use crate::engine::error::EngineError;
use crate::engine::family::{Draws, Family};
use crate::engine::heads::{categorical, mixture, normal, sticky};
use crate::engine::network::feed::Feed;
use crate::engine::network::forward::{Activations, Scratch};
use crate::engine::network::layout::Layout;
use crate::engine::network::plan::InputKind;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::engine::program::points::Source;
use crate::plan::Plan;
use std::collections::HashMap;
use std::ops::Range;

/// Draws of the weights that a gain is computed from, each with its mirror image.
pub(in crate::engine) const PAIRS: u64 = 4;

/// A gain of a plan, compiled.
pub(in crate::engine) struct Gain {
    /// One, or those of several values that are drawn independently.
    densities: Vec<Density>,
    /// Where the mean of each weight stands in the flat vector, and its `log sd`.
    weights: Vec<(usize, usize)>,
    at_most: f64,
    /// What it moves with where gradients go through draws: the variable, when and the component.
    pub moved: Vec<(Variable, When, usize)>,
}

/// The rows of one step, as a gain reads them.
pub(in crate::engine) struct Transitions<'a, 'd, E> {
    pub trace: &'a Trace<E>,
    /// The trajectory of each row.
    pub origin: &'a [u32],
    pub t: usize,
    pub horizon: usize,
    /// The numbers of what was drawn, by row of the batch.
    pub drawn: &'a dyn Fn(usize) -> &'d [u32],
}

/// The gains of a shard's rows.
#[derive(Default)]
pub(in crate::engine) struct GainRows<E> {
    /// By what a finite transition is made of.
    known: HashMap<Vec<u32>, E>,
    /// Of the rows of the last step.
    pub values: Vec<E>,
    /// By density and draw of the weights.
    activations: Vec<Vec<Activations<E>>>,
    scratch: Scratch<E>,
    gradient: Vec<E>,
    /// How the rows of the last step move, by [`Gain::moved`].
    pub slopes: Vec<Vec<E>>,
}

/// Rows that are to be computed: an index or real components by input, and what was drawn.
struct Fresh<E> {
    indices: Vec<Vec<u32>>,
    /// Row-major.
    reals_in: Vec<Vec<E>>,
    numbers: Vec<u32>,
    /// What a sticky draw may stay at.
    last: Vec<u32>,
    reals: Vec<E>,
}

impl Gain {
    /// The gains of a plan, in its order.
    ///
    /// # Errors
    /// One sentence, where a network cannot run.
    pub fn all(plan: &Plan) -> Result<Vec<Gain>, EngineError> {
        let layout = Layout::of(&plan.model.network);
        let gain = |gain: &crate::plan::Gain| {
            let pairs = plan.weights[gain.field].parameters.iter();
            let weights = pairs
                .flat_map(|(mean, log_sd)| layout.range(*mean).zip(layout.range(*log_sd)))
                .collect();
            let densities = gain.densities.iter().map(|density| Density::compile(plan, density));
            let densities = densities.collect::<Result<Vec<_>, _>>()?;
            let mut moved: Vec<(Variable, When, usize)> = Vec::new();
            for of in densities.iter().flat_map(Density::reals) {
                if of.0.is_followed(plan) && !moved.contains(&of) {
                    moved.push(of);
                }
            }
            Ok(Gain { densities, weights, at_most: gain.at_most, moved })
        };
        plan.gains.iter().map(gain).collect()
    }
}

impl<E: Number> GainRows<E> {
    /// Forgets what was known: the weights have moved.
    pub fn clear(&mut self) {
        self.known.clear();
    }

    /// Computes the gains of the rows of a step.
    pub fn evaluate(&mut self, gain: &Gain, frozen: &Frozen<E>, rows: &Transitions<E>) {
        let finite = gain.densities.iter().all(Density::is_finite);
        self.values.clear();
        let mut fresh: Vec<Fresh<E>> = gain.densities.iter().map(Fresh::new).collect();
        let push = |fresh: &mut [Fresh<E>], row: usize| {
            let of_each = fresh.iter_mut().zip(&gain.densities);
            of_each.for_each(|(fresh, density)| fresh.push(density, rows, row));
        };
        let mut waiting: Vec<Vec<u32>> = Vec::new();
        for row in 0..rows.origin.len() {
            if !finite {
                push(&mut fresh, row);
                continue;
            }
            let key = gain.key(rows, row);
            if !self.known.contains_key(&key) {
                push(&mut fresh, row);
                self.known.insert(key.clone(), <E as Float>::ZERO);
                waiting.push(key);
            }
        }
        let computed = self.compute(gain, frozen, &fresh);
        if !finite {
            self.values = computed;
            return;
        }
        self.known.extend(waiting.into_iter().zip(computed));
        self.values.extend((0..rows.origin.len()).map(|row| self.known[&gain.key(rows, row)]));
    }

    fn compute(&mut self, gain: &Gain, frozen: &Frozen<E>, fresh: &[Fresh<E>]) -> Vec<E> {
        let count = fresh[0].count(&gain.densities[0]);
        if count == 0 {
            return Vec::new();
        }
        self.activations.resize_with(gain.densities.len(), Vec::new);
        self.gradient.resize(frozen.values.len(), <E as Float>::ZERO);
        for ((density, fresh), activations) in
            gain.densities.iter().zip(fresh).zip(&mut self.activations)
        {
            activations.resize_with(frozen.draws.len(), Activations::default);
            let columns = fresh.columns(count);
            let feeds = fresh.feeds(density, &columns, count);
            for (draw, activations) in frozen.draws.iter().zip(activations) {
                density.network.forward(draw, &feeds, 0..count, activations);
            }
        }
        let share: E = Float::of(1.0 / frozen.draws.len() as f64);
        let mut along = vec![(<E as Float>::ZERO, <E as Float>::ZERO); gain.weights.len()];
        let of_row = |row: usize| {
            along.fill((<E as Float>::ZERO, <E as Float>::ZERO));
            for (at, (draw, noise)) in frozen.draws.iter().zip(&frozen.noise).enumerate() {
                for ((density, fresh), activations) in
                    gain.densities.iter().zip(fresh).zip(&self.activations)
                {
                    let roots = fresh.score(density, &activations[at], row);
                    let roots: Vec<&[E]> = roots.iter().map(|root| &root[..]).collect();
                    density.network.backward(
                        draw,
                        &activations[at],
                        row..row + 1,
                        &roots,
                        &mut self.scratch,
                        &mut self.gradient,
                    );
                }
                for ((of_mean, of_noise), &(mean, _)) in along.iter_mut().zip(&gain.weights) {
                    let g = std::mem::replace(&mut self.gradient[mean], <E as Float>::ZERO) * share;
                    *of_mean += g;
                    *of_noise += g * noise[mean];
                }
            }
            let moved =
                along.iter().zip(&gain.weights).map(|(&(of_mean, of_noise), &(_, log_sd))| {
                    let sd = frozen.values[log_sd].as_f64().exp();
                    let (of_mean, of_noise) = (sd * of_mean.as_f64(), sd * of_noise.as_f64());
                    of_mean * of_mean + 0.5 * of_noise * of_noise
                });
            Float::of((0.5 * moved.sum::<f64>()).min(gain.at_most))
        };
        (0..count).map(of_row).collect()
    }
}

/// A central difference of eighth order: what each of its steps counts, of either sign.
const STENCIL: [f64; 4] = [4.0 / 5.0, -1.0 / 5.0, 4.0 / 105.0, -1.0 / 280.0];

/// Its step: far below what a smooth network bends in, far above rounding.
const STEP: f64 = 1e-3;

impl<E: Number> GainRows<E> {
    /// Computes how the gains of the rows of a step move with what they read and are of.
    ///
    /// With `u = sd² E[g] + ½ sd² E[g·ε]·ε` held fixed, a gain moves as `Σ_draws u·∇_w log p` does,
    /// whose slope in what it reads is that of `∇ log p` along `u`. So it is taken: as a difference
    /// of eighth order along `u` of the gradient in what it reads, in double precision, which
    /// leaves of a smooth network no more than rounding does.
    pub fn differentiate(&mut self, gain: &Gain, frozen: &Frozen<E>, rows: &Transitions<E>) {
        self.slopes.clear();
        self.slopes.resize(gain.moved.len(), vec![<E as Float>::ZERO; rows.origin.len()]);
        if gain.moved.is_empty() {
            return;
        }
        let widened = |values: &Vec<E>| values.iter().map(|value| value.as_f64()).collect();
        let mut draws: Vec<Vec<f64>> = frozen.draws.iter().map(widened).collect();
        let noise: Vec<Vec<f64>> = frozen.noise.iter().map(widened).collect();
        let sds: Vec<f64> =
            gain.weights.iter().map(|&(_, log_sd)| frozen.values[log_sd].as_f64().exp()).collect();
        let mut work = Work::new(gain, frozen.values.len());
        let share = 1.0 / draws.len() as f64;
        for row in 0..rows.origin.len() {
            let fresh = gain.densities.iter().map(|density| {
                let mut fresh = Fresh::new(density);
                fresh.push(density, rows, row);
                fresh.widened()
            });
            let fresh: Vec<Fresh<f64>> = fresh.collect();
            let (mut of_mean, mut of_noise) = (vec![0.0; sds.len()], vec![0.0; sds.len()]);
            for (draw, noise) in draws.iter().zip(&noise) {
                work.differentiate(gain, &fresh, draw);
                for (at, &(mean, _)) in gain.weights.iter().enumerate() {
                    of_mean[at] += share * work.gradient[mean];
                    of_noise[at] += share * work.gradient[mean] * noise[mean];
                }
            }
            let moved = of_mean.iter().zip(&of_noise).zip(&sds);
            let moved = moved.map(|((of_mean, of_noise), sd)| {
                sd * sd * (of_mean * of_mean + 0.5 * of_noise * of_noise)
            });
            // beyond its bound it stands still
            if 0.5 * moved.sum::<f64>() >= gain.at_most {
                continue;
            }
            let mut slopes = vec![0.0; gain.moved.len()];
            for (draw, noise) in draws.iter_mut().zip(&noise) {
                let along: Vec<f64> = (gain.weights.iter().zip(&sds).enumerate())
                    .map(|(at, (&(mean, _), sd))| {
                        share * sd * sd * (of_mean[at] + 0.5 * of_noise[at] * noise[mean])
                    })
                    .collect();
                let length = along.iter().map(|u| u * u).sum::<f64>().sqrt();
                if length == 0.0 {
                    continue;
                }
                let from: Vec<f64> = gain.weights.iter().map(|&(mean, _)| draw[mean]).collect();
                for (steps, factor) in (1..).zip(STENCIL) {
                    for sign in [1.0, -1.0] {
                        let by = sign * f64::from(steps) * STEP / length;
                        for ((&(mean, _), from), u) in gain.weights.iter().zip(&from).zip(&along) {
                            draw[mean] = from + by * u;
                        }
                        work.differentiate(gain, &fresh, draw);
                        let weight = sign * factor * length / STEP;
                        slopes.iter_mut().zip(&work.moved).for_each(|(sum, d)| *sum += weight * d);
                    }
                }
                gain.weights.iter().zip(&from).for_each(|(&(mean, _), from)| draw[mean] = *from);
            }
            self.slopes.iter_mut().zip(&slopes).for_each(|(of, d)| of[row] = Float::of(*d));
        }
    }
}

/// The gradient of a log-density at one transition: in all weights, and in what a gain moves with.
struct Work {
    gradient: Vec<f64>,
    moved: Vec<f64>,
    activations: Vec<Activations<f64>>,
    scratch: Scratch<f64>,
}

impl Work {
    fn new(gain: &Gain, weights: usize) -> Work {
        Work {
            gradient: vec![0.0; weights],
            moved: vec![0.0; gain.moved.len()],
            activations: gain.densities.iter().map(|_| Activations::default()).collect(),
            scratch: Scratch::default(),
        }
    }

    /// At the weights `draw`.
    fn differentiate(&mut self, gain: &Gain, fresh: &[Fresh<f64>], draw: &[f64]) {
        let Work { gradient, moved, activations, scratch } = self;
        gradient.fill(0.0);
        moved.fill(0.0);
        for ((density, fresh), activations) in gain.densities.iter().zip(fresh).zip(activations) {
            let columns = fresh.columns(1);
            let feeds = fresh.feeds(density, &columns, 1);
            density.network.forward(draw, &feeds, 0..1, activations);
            let roots = fresh.score(density, activations, 0);
            let roots: Vec<&[f64]> = roots.iter().map(|root| &root[..]).collect();
            let mut inputs = density.network.input_gradients(1);
            density.network.backward_through(
                (draw, activations),
                0..1,
                &roots,
                scratch,
                (gradient, &mut inputs),
            );
            let of_target = match density.family.outcomes() {
                Some(_) => Vec::new(),
                None => {
                    let root = |at| activations.output(&density.network, at, 0..1).to_vec();
                    let values: Vec<Vec<f64>> = (0..roots.len()).map(root).collect();
                    density.family.slopes_in_draw(&values, &fresh.reals)
                }
            };
            let of_inputs = inputs.iter().flatten().copied();
            for (of, d) in density.reals().zip(of_inputs.chain(of_target)) {
                if let Some(at) = gain.moved.iter().position(|known| *known == of) {
                    moved[at] += d;
                }
            }
        }
    }
}

/// One transition: the indices of its finite inputs, what was drawn, finite or real, and what it
/// may have stayed at.
#[cfg(test)]
#[derive(Default)]
pub(in crate::engine) struct Transition<E> {
    pub indices: Vec<u32>,
    pub numbers: Vec<u32>,
    pub last: Vec<u32>,
    pub reals: Vec<E>,
}

#[cfg(test)]
impl<E: Number> GainRows<E> {
    /// The gain of a transition whose inputs are finite; of several values one of each.
    pub fn of_transition(
        &mut self,
        gain: &Gain,
        frozen: &Frozen<E>,
        transitions: Vec<Transition<E>>,
    ) -> E {
        let fresh = |(density, transition): (&Density, Transition<E>)| Fresh {
            indices: transition.indices.into_iter().map(|index| vec![index]).collect(),
            reals_in: vec![Vec::new(); density.inputs.0.len()],
            numbers: transition.numbers,
            last: transition.last,
            reals: transition.reals,
        };
        let fresh: Vec<Fresh<E>> = gain.densities.iter().zip(transitions).map(fresh).collect();
        self.compute(gain, frozen, &fresh)[0]
    }
}

#[cfg(test)]
impl<E: Number> Frozen<E> {
    /// Over the draws of the weight whose mean stands at `mean`.
    pub fn mean_square_noise(&self, mean: usize) -> f64 {
        self.noise.iter().map(|noise| noise[mean].as_f64().powi(2)).sum::<f64>()
            / self.noise.len() as f64
    }
}

impl Gain {
    fn key<E: Number>(&self, rows: &Transitions<E>, row: usize) -> Vec<u32> {
        self.densities.iter().flat_map(|density| density.key(rows, row)).collect()
    }

    /// By input of its network, whether it is the state.
    #[cfg(test)]
    pub fn inputs(&self) -> impl Iterator<Item = bool> {
        let is_state = |source: &Source| matches!(source, Source::Trajectory(Variable::State, _));
        self.densities[0].inputs.0.iter().map(move |(source, _)| is_state(source))
    }

    /// Whether it is of a reward or of the end, which trajectories are to keep.
    pub fn is_of_outcome(&self) -> bool {
        self.densities.iter().any(Density::is_of_outcome)
    }
}

impl Density {
    /// What it reads of real numbers, component by component, input by input, and then what it is
    /// the density of.
    fn reals(&self) -> impl Iterator<Item = (Variable, When, usize)> {
        let inputs = self.inputs.0.iter().filter_map(|&(source, kind)| match (source, kind) {
            (Source::Trajectory(variable, when), InputKind::Real { components }) => {
                Some((variable, when, components))
            }
            (Source::Time, _) | (_, InputKind::Finite { .. }) => None,
        });
        let target = (self.target.0, self.target.1, self.family.width());
        inputs.chain([target]).flat_map(|(variable, when, components)| {
            (0..components).map(move |component| (variable, when, component))
        })
    }

    /// Whether all that it reads, and what it is the density of, has finitely many values.
    fn is_finite(&self) -> bool {
        let finite = |(source, kind): &(Source, InputKind)| {
            matches!((source, kind), (Source::Time, _) | (_, InputKind::Finite { .. }))
        };
        self.family.outcomes().is_some() && self.inputs.0.iter().all(finite)
    }

    /// The numbers of a finite transition; that of an input that is `none` is the size of its
    /// domain.
    fn key<E: Number>(&self, rows: &Transitions<E>, row: usize) -> Vec<u32> {
        let inputs = self.inputs.0.iter().map(|&(source, kind)| rows.index(source, kind, row));
        let last = self.last.map(|last| rows.number(last, row).unwrap_or(u32::MAX));
        inputs.chain([rows.number(self.target, row).unwrap_or(u32::MAX)]).chain(last).collect()
    }
}

impl<E: Number> Transitions<'_, '_, E> {
    fn of(&self, row: usize) -> (usize, usize, usize) {
        (self.origin[row] as usize, self.t, self.horizon)
    }

    fn number(&self, what: (Variable, When), row: usize) -> Option<u32> {
        self.trace.number(what, self.t, self.of(row), |draw| (self.drawn)(draw))
    }

    fn index(&self, source: Source, kind: InputKind, row: usize) -> u32 {
        match (source, kind) {
            (Source::Time, _) => self.t as u32 - 1,
            (Source::Trajectory(variable, when), InputKind::Finite { size }) => {
                self.number((variable, when), row).unwrap_or(size as u32)
            }
            (Source::Trajectory(..), InputKind::Real { .. }) => 0,
        }
    }
}

impl<E: Number> Fresh<E> {
    fn new(density: &Density) -> Fresh<E> {
        let lists = density.inputs.0.len();
        Fresh {
            indices: vec![Vec::new(); lists],
            reals_in: vec![Vec::new(); lists],
            numbers: Vec::new(),
            last: Vec::new(),
            reals: Vec::new(),
        }
    }

    /// The same in double precision.
    fn widened(self) -> Fresh<f64> {
        let widened = |values: Vec<E>| values.into_iter().map(|value| value.as_f64()).collect();
        Fresh {
            indices: self.indices,
            reals_in: self.reals_in.into_iter().map(widened).collect(),
            numbers: self.numbers,
            last: self.last,
            reals: widened(self.reals),
        }
    }

    fn count(&self, density: &Density) -> usize {
        match density.family {
            Family::Categorical { .. } | Family::Bernoulli { .. } | Family::Sticky { .. } => {
                self.numbers.len()
            }
            Family::Normal { .. }
            | Family::Real(_)
            | Family::Mixture(_)
            | Family::Record(_)
            | Family::Blend(_)
            | Family::Implicit { .. } => self.reals.len() / density.family.width(),
        }
    }

    fn push(&mut self, density: &Density, rows: &Transitions<E>, row: usize) {
        for ((indices, column), &(source, kind)) in
            self.indices.iter_mut().zip(&mut self.reals_in).zip(&density.inputs.0)
        {
            match (source, kind) {
                (Source::Trajectory(variable, when), InputKind::Real { components }) => {
                    match rows.trace.reals((variable, when), rows.t, rows.of(row), components) {
                        Some(values) => column.extend_from_slice(values),
                        None => {
                            column.extend(std::iter::repeat_n::<E>(Float::of(f64::NAN), components))
                        }
                    }
                }
                (Source::Time, _) | (_, InputKind::Finite { .. }) => {
                    indices.push(rows.index(source, kind, row))
                }
            }
        }
        if let Some(last) = density.last {
            let none = density.family.numbers() as u32;
            self.last.push(rows.number(last, row).unwrap_or(none));
        }
        match density.family {
            Family::Categorical { .. } | Family::Bernoulli { .. } | Family::Sticky { .. } => {
                self.numbers
                    .push(rows.number(density.target, row).expect("gain: the step has been made"));
            }
            Family::Normal { .. }
            | Family::Real(_)
            | Family::Mixture(_)
            | Family::Record(_)
            | Family::Blend(_)
            | Family::Implicit { .. } => {
                let width = density.family.width();
                let target = rows.trace.reals(density.target, rows.t, rows.of(row), width);
                self.reals.extend_from_slice(target.expect("gain: the step has been made"));
            }
        }
    }

    /// The real inputs, component by component.
    fn columns(&self, count: usize) -> Vec<Vec<E>> {
        let turned = |rows: &Vec<E>| {
            let components = rows.len() / count;
            (0..components)
                .flat_map(|component| rows.iter().skip(component).step_by(components).copied())
                .collect()
        };
        self.reals_in.iter().map(turned).collect()
    }

    fn feeds<'a>(
        &'a self,
        density: &Density,
        columns: &'a [Vec<E>],
        count: usize,
    ) -> Vec<Feed<'a, E>> {
        let inputs = density.inputs.0.iter().zip(&self.indices).zip(columns);
        let feeds = inputs.map(|((&(source, kind), indices), columns)| match (source, kind) {
            (Source::Trajectory(..), InputKind::Real { .. }) => {
                Feed::Real { columns, stride: count }
            }
            (Source::Time, _) | (_, InputKind::Finite { .. }) => Feed::Finite(indices),
        });
        feeds.collect()
    }

    /// The gradient of `log p` of a row in the network's roots.
    fn score(&self, density: &Density, activations: &Activations<E>, row: usize) -> Vec<Vec<E>> {
        let root = |root| activations.output(&density.network, root, row..row + 1);
        let width = density.family.width();
        let drawn = match density.family.outcomes().is_some() {
            true => (&self.numbers[row..row + 1], &[][..]),
            false => (&[][..], &self.reals[row * width..(row + 1) * width]),
        };
        score(&density.family, &root, (drawn, self.last.get(row..row + 1).unwrap_or(&[])))
    }
}

/// The gradient of `log p` of one draw, a number or reals, in the roots of a row; `last` is what it
/// could stay at.
fn score<'a, E: Number>(
    family: &Family,
    root: &dyn Fn(usize) -> &'a [E],
    ((numbers, x), last): ((&[u32], &[E]), &[u32]),
) -> Vec<Vec<E>> {
    let (one, none): ([E; 1], [E; 1]) = ([Float::of(1.0)], [<E as Float>::ZERO]);
    match family {
        &Family::Sticky { outcomes } => {
            let rows = sticky::Rows { fresh: root(0), keep: root(1), last, outcomes };
            let zeros = || vec![<E as Float>::ZERO; outcomes];
            let (mut log_f, mut log_m, mut of_fresh) = (zeros(), zeros(), zeros());
            let mut of_keep = vec![<E as Float>::ZERO];
            categorical::log_probabilities(rows.fresh, outcomes, &mut log_f);
            sticky::log_probabilities(rows, &mut log_m);
            sticky::add_score_gradient(
                rows,
                (&log_f, &log_m),
                numbers,
                (&one, &[]),
                (&mut of_fresh, &mut of_keep),
            );
            vec![of_fresh, of_keep]
        }
        &Family::Categorical { outcomes } => {
            let (mut log_p, mut gradient) =
                (vec![<E as Float>::ZERO; outcomes], vec![<E as Float>::ZERO; outcomes]);
            categorical::log_probabilities(root(0), outcomes, &mut log_p);
            categorical::add_score_gradient(
                &log_p,
                outcomes,
                numbers,
                (&one, &none),
                &mut gradient,
            );
            vec![gradient]
        }
        &Family::Normal { width, .. } => {
            let (mut of_mean, mut of_sd) =
                (vec![<E as Float>::ZERO; width], vec![<E as Float>::ZERO; width]);
            normal::add_score_gradient(
                (root(0), root(1)),
                width,
                x,
                (&one, &none),
                (&mut of_mean, &mut of_sd),
            );
            vec![of_mean, of_sd]
        }
        Family::Real(real) => {
            let width = real.width();
            let mut numbers = vec![<E as Float>::ZERO; real.numbers()];
            real.describe(root, &mut numbers);
            let arguments = real.numbers() / width;
            let mut gradient = vec![vec![<E as Float>::ZERO; width]; arguments];
            real.add_score_gradient(&numbers, x, &one, &mut gradient);
            gradient
        }
        // the slope of log σ(z) is 1 − σ(z), that of log (1 − σ(z)) is −σ(z)
        Family::Bernoulli { .. } => {
            let drawn: E = Float::of(f64::from(numbers[0]));
            let rest = <E as Float>::of(1.0) + Float::exp(-root(0)[0]);
            vec![vec![drawn - <E as Float>::of(1.0) / rest]]
        }
        Family::Mixture(shape) => {
            let mut numbers = vec![<E as Float>::ZERO; shape.numbers()];
            mixture::describe(*shape, root, &mut numbers);
            let mut total = [<E as Float>::ZERO];
            (0..shape.parts).for_each(|part| total[0] += root(part)[0]);
            let mut gradient: Vec<Vec<E>> =
                (0..3 * shape.parts).map(|at| vec![<E as Float>::ZERO; root(at).len()]).collect();
            let of = (&numbers[..], &total[..]);
            mixture::add_score_gradient(*shape, of, x, &one, &mut gradient);
            gradient
        }
        Family::Record(record) => {
            let parts = record.parts().zip(record.drawn(x));
            let of_part = |((family, roots), drawn): ((&Family, Range<usize>), Draws<E>)| {
                let root: &dyn Fn(usize) -> &'a [E] = &|at| root(roots.start + at);
                score(family, root, ((&drawn.numbers, &drawn.reals), &[]))
            };
            parts.flat_map(of_part).collect()
        }
        Family::Blend(blend) => {
            let slopes = blend.slopes(root, x);
            let of_weights = slopes.iter().map(|(of_weight, _)| vec![*of_weight]);
            let of_parts = blend.parts().zip(&slopes).flat_map(|((family, roots), (_, share))| {
                let root: &dyn Fn(usize) -> &'a [E] = &|at| root(roots.start + at);
                let mut drawn = x.to_vec();
                family.unsquash(&mut drawn);
                let mut gradient = score(family, root, ((&[], &drawn), &[]));
                gradient.iter_mut().flatten().for_each(|d| *d *= *share);
                gradient
            });
            of_weights.chain(of_parts).collect()
        }
        Family::Implicit { .. } => panic!("plan: gains are of densities"),
    }
}
