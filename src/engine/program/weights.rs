//! Weights drawn from a mean field, and its gradient.
//!
//! Each weight is `w = mean + sd·ε`, `ε ~ Normal(0, 1)`, drawn anew for each batch; `log sd` is
//! what is trained. From the batch's gradient in `w` that in the mean and in `log sd` follows by
//! the chain rule (Blundell et al. 2015, section 3.2):
//!
//! `∂L/∂mean = ∂L/∂w`, `∂L/∂log sd = ∂L/∂w · sd·ε`
//!
//! Where the trajectories do not depend on the weights, as those of the real world do not on a
//! learned one, the same batch has a gradient at the mirror image `mean − sd·ε`, too, and the mean
//! of both is taken (antithetic variates): in `log sd` the noise of the data cancels, which else is
//! much larger than the signal.
//!
//! The divergence from the prior has both derivatives in closed form. The weights are drawn once
//! for the whole run, so the bound of all its `N` trajectories holds `KL(q(w) ‖ p(w))` once, and
//! what is told and ascended, the bound a trajectory, holds `KL / N` (eq. 8 there, with equal
//! shares).

use crate::engine::network::layout::Layout;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::engine::numeric::stream::generator;
use crate::model::Model;
use crate::plan::{Plan, Quantity};
use rand_distr::{Distribution as _, StandardNormal};
use std::ops::Range;

/// The mean fields of a plan.
pub(in crate::engine) struct Weights {
    fields: Vec<Field>,
    /// Of a divergence, what one trajectory bears.
    share: f64,
}

struct Field {
    /// The term of the bound that is its divergence.
    term: Option<usize>,
    /// Where the means stand in the flat vector, and where the logarithms of the deviations do.
    parameters: Vec<(Range<usize>, Range<usize>)>,
    prior_mean: f64,
    prior_sd: f64,
    /// The trajectories do not depend on the draw, so that the same ones have a gradient at its
    /// mirror image, too.
    mirrors: bool,
}

/// A draw that stands in the place of the means.
#[derive(Default)]
pub(in crate::engine) struct Drawn<E> {
    means: Vec<E>,
    pub noise: Vec<E>,
    /// The batch's gradient in the weights where these are `mean − sd·ε`; nothing where no field is
    /// mirrored.
    pub mirrored: Vec<E>,
}

impl Weights {
    pub fn of(plan: &Plan) -> Weights {
        let model: &Model = &plan.model;
        let layout = Layout::of(&model.network);
        let fields = plan.weights.iter().map(|field| Field {
            term: plan
                .terms
                .iter()
                .position(|term| term.quantity == Quantity::WeightDivergence { of: field.factor }),
            parameters: field
                .parameters
                .iter()
                .map(|(mean, log_sd)| (layout.range(*mean), layout.range(*log_sd)))
                .collect(),
            prior_mean: field.prior_mean,
            prior_sd: field.prior_sd,
            mirrors: field.mirrors,
        });
        Weights { fields: fields.collect(), share: 1.0 / plan.trajectories_of_run() }
    }

    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Puts a draw in the place of the means in `values`, the flat vector; `stream` names the
    /// random numbers.
    pub fn draw<E: Number>(&self, stream: [u64; 3], values: &mut [E]) -> Drawn<E> {
        let mut drawn = Drawn { means: Vec::new(), noise: Vec::new(), mirrored: Vec::new() };
        if self.is_empty() {
            return drawn;
        }
        let mut random = generator(stream);
        for (mean, log_sd) in self.places() {
            let noise: f64 = StandardNormal.sample(&mut random);
            let noise: E = Float::of(noise);
            drawn.means.push(values[mean]);
            drawn.noise.push(noise);
            values[mean] += Float::exp(values[log_sd]) * noise;
        }
        drawn
    }

    /// Puts the draw of the same noise around the means that have moved in their place.
    pub fn redraw<E: Number>(&self, noise: Vec<E>, values: &mut [E]) -> Drawn<E> {
        let mut means = Vec::with_capacity(noise.len());
        for ((mean, log_sd), &noise) in self.places().zip(&noise) {
            means.push(values[mean]);
            values[mean] += Float::exp(values[log_sd]) * noise;
        }
        Drawn { means, noise, mirrored: Vec::new() }
    }

    /// Puts the means back in the place of a draw.
    pub fn put_back<E: Number>(&self, drawn: Drawn<E>, values: &mut [E]) {
        self.places().zip(drawn.means).for_each(|((mean, _), then)| values[mean] = then);
    }

    /// Whether the batch's gradient is asked for at the mirror image of the draw, too.
    pub fn mirror(&self) -> bool {
        self.fields.iter().any(|field| field.mirrors)
    }

    /// Puts the mirror image of a draw in its place.
    pub fn reflect<E: Number>(&self, drawn: &Drawn<E>, values: &mut [E]) {
        for ((mean, _), &then) in self.places().zip(&drawn.means) {
            values[mean] = then + then - values[mean];
        }
    }

    /// Puts the means back, and makes of the batch's `gradient` of `−L` a trajectory, without the
    /// divergence, that in means and `log sd` of all of it.
    pub fn settle<E: Number>(&self, drawn: Drawn<E>, values: &mut [E], gradient: &mut [E]) {
        let Drawn { means, noise, mirrored } = drawn;
        let half: E = Float::of(0.5);
        let mut of_draw = means.into_iter().zip(noise);
        for field in &self.fields {
            for ((mean, log_sd), (then, noise)) in field.places().zip(&mut of_draw) {
                values[mean] = then;
                let (mut even, mut odd) = (gradient[mean], gradient[mean]);
                if let (true, Some(&other)) = (field.mirrors, mirrored.get(mean)) {
                    (even, odd) = (half * (even + other), half * (odd - other));
                }
                gradient[mean] = even;
                gradient[log_sd] = odd * Float::exp(values[log_sd]) * noise;
            }
        }
        for field in &self.fields {
            let variance = field.prior_sd * field.prior_sd;
            for (mean, log_sd) in field.places() {
                let (m, log_s) = (values[mean].as_f64(), values[log_sd].as_f64());
                gradient[mean] += Float::of(self.share * (m - field.prior_mean) / variance);
                gradient[log_sd] += Float::of(self.share * ((2.0 * log_s).exp() / variance - 1.0));
            }
        }
    }

    /// What a trajectory bears of each divergence at means and deviations, nats, by the term of the
    /// bound that it is.
    pub fn shares<'a, E: Number>(
        &'a self,
        values: &'a [E],
    ) -> impl Iterator<Item = (usize, f64)> + 'a {
        self.fields
            .iter()
            .filter_map(|field| Some((field.term?, self.share * field.divergence(values))))
    }

    /// Of each weight, in order: where its mean stands, and its `log sd`.
    pub fn places(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.fields.iter().flat_map(Field::places)
    }
}

impl Field {
    fn places(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.parameters.iter().flat_map(|(means, log_sds)| means.clone().zip(log_sds.clone()))
    }

    /// `KL(q(w) ‖ p(w)) = Σ log(sd_p / sd) + (sd² + (mean − mean_p)²) / (2 sd_p²) − ½`
    fn divergence<E: Number>(&self, values: &[E]) -> f64 {
        let of_weight = |(mean, log_sd): (usize, usize)| {
            let (z, log_ratio) = (
                (values[mean].as_f64() - self.prior_mean) / self.prior_sd,
                values[log_sd].as_f64() - self.prior_sd.ln(),
            );
            0.5 * ((2.0 * log_ratio).exp() + z * z - 1.0) - log_ratio
        };
        self.places().map(of_weight).sum()
    }
}
