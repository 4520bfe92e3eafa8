//! Optimiser steps over the flat vector of parameters: Adam, SGD with momentum, RMSprop; and
//! clipping.
//!
//! The formulas are those of dfdx's `AdamConfig`, `SgdConfig` and `RMSpropConfig` (a test holds
//! them equal), fused into one vectorised loop. They descend: the gradient is that of a loss.

use crate::engine::network::layout::Layout;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::kernels::{self, AdamStep};
use crate::model::ParameterId;
use std::ops::Range;

/// Which rule, with everything but its rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OptimiserConfig {
    /// Kingma and Ba (2015).
    Adam { beta1: f64, beta2: f64, epsilon: f64 },
    /// `v ← momentum · v + g`, `x ← x − rate · v`.
    Sgd { momentum: f64 },
    /// Tieleman and Hinton (2012); `s ← decay · s + (1 − decay) · g²` from `s = 1`, `x ← x − rate ·
    /// g / √(s + ε)`.
    RmsProp { decay: f64, epsilon: f64 },
}

/// A rule and its memory, for some of the parameters.
#[derive(Clone, Debug)]
pub struct Optimiser<E> {
    config: OptimiserConfig,
    /// The ranges of the flat vector that move, merged.
    moving: Vec<Range<usize>>,
    first: Vec<E>,
    second: Vec<E>,
    steps: u64,
}

/// The memory of an optimiser, as a checkpoint keeps it: step count and the two moments (empty
/// where the rule has none).
#[derive(Clone, Debug, PartialEq)]
pub struct OptimiserState<E> {
    pub steps: u64,
    pub first: Vec<E>,
    pub second: Vec<E>,
}

impl<E: Float> Optimiser<E> {
    /// Moves the parameters `ids` and no other.
    pub fn new(
        config: OptimiserConfig,
        layout: &Layout,
        ids: impl IntoIterator<Item = ParameterId>,
    ) -> Optimiser<E> {
        let mut ranges: Vec<Range<usize>> = ids.into_iter().map(|id| layout.range(id)).collect();
        ranges.sort_by_key(|range| range.start);
        ranges.dedup();
        let mut moving: Vec<Range<usize>> = Vec::new();
        for range in ranges {
            match moving.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => moving.push(range),
            }
        }
        let count = moving.iter().map(|range| range.len()).sum();
        let (first, second) = match config {
            OptimiserConfig::Adam { .. } => (vec![E::ZERO; count], vec![E::ZERO; count]),
            OptimiserConfig::Sgd { .. } => (vec![E::ZERO; count], vec![]),
            OptimiserConfig::RmsProp { .. } => (vec![], vec![E::ONE; count]),
        };
        Optimiser { config, moving, first, second, steps: 0 }
    }

    /// One step down `gradient` (flat, of all parameters).
    pub fn step(&mut self, values: &mut [E], gradient: &[E], rate: f64) {
        self.steps += 1;
        let mut at = 0;
        for range in &self.moving {
            let (values, gradient) = (&mut values[range.clone()], &gradient[range.clone()]);
            let own = at..at + range.len();
            match self.config {
                OptimiserConfig::Adam { beta1, beta2, epsilon } => {
                    let t = self.steps.min(i32::MAX as u64) as i32;
                    let step = AdamStep {
                        rate: E::of(rate),
                        beta1: E::of(beta1),
                        beta2: E::of(beta2),
                        epsilon: E::of(epsilon),
                        unbias1: E::of(1.0 / (1.0 - beta1.powi(t))),
                        unbias2: E::of(1.0 / (1.0 - beta2.powi(t))),
                    };
                    kernels::adam(
                        values,
                        &mut self.first[own.clone()],
                        &mut self.second[own.clone()],
                        gradient,
                        &step,
                    );
                }
                OptimiserConfig::Sgd { momentum } => {
                    kernels::sgd(
                        values,
                        &mut self.first[own.clone()],
                        gradient,
                        (E::of(rate), E::of(momentum)),
                    );
                }
                OptimiserConfig::RmsProp { decay, epsilon } => {
                    let factors = (E::of(rate), E::of(decay), E::of(epsilon));
                    kernels::rmsprop(values, &mut self.second[own.clone()], gradient, factors);
                }
            }
            at = own.end;
        }
    }

    /// Scales the part of `gradient` that this rule moves along so that its Euclidean norm is at
    /// most `largest`; returns the norm before.
    pub fn clip(&self, gradient: &mut [E], largest: Option<f64>) -> f64 {
        let norm = self.norm(gradient);
        if let Some(largest) = largest.filter(|&largest| norm.is_finite() && norm > largest) {
            self.moving.iter().for_each(|range| {
                kernels::scale(&mut gradient[range.clone()], E::of(largest / norm))
            });
        }
        norm
    }

    /// The Euclidean norm of the part of `gradient` that this rule moves along.
    pub fn norm(&self, gradient: &[E]) -> f64 {
        self.moving
            .iter()
            .map(|range| kernels::sum_of_squares(&gradient[range.clone()]))
            .sum::<f64>()
            .sqrt()
    }

    /// The norm of what a step is made along, of a gradient that had this one before it was
    /// clipped.
    pub fn norm_of_step(&self, norm: f64, largest: Option<f64>) -> f64 {
        largest.map_or(norm, |largest| norm.min(largest))
    }

    /// The first number of the memory that is not finite: what it is, and of which number of the
    /// flat vector.
    pub fn overflow(&self) -> Option<(&'static str, usize)> {
        let first =
            if let OptimiserConfig::Sgd { .. } = self.config { "velocity" } else { "first moment" };
        let broken = |(name, values): (&'static str, &[E])| {
            Some((name, values.iter().position(|x| !x.is_finite())?))
        };
        let (name, mut at) = [(first, &self.first[..]), ("second moment", &self.second[..])]
            .into_iter()
            .find_map(broken)?;
        for range in &self.moving {
            if at < range.len() {
                return Some((name, range.start + at));
            }
            at -= range.len();
        }
        None
    }

    /// Makes `gradient` 0 where this rule does not move.
    pub fn keep_moving(&self, gradient: &mut [E]) {
        let mut from = 0;
        for range in &self.moving {
            gradient[from..range.start].fill(E::ZERO);
            from = range.end;
        }
        gradient[from..].fill(E::ZERO);
    }

    pub fn state(&self) -> OptimiserState<E> {
        OptimiserState { steps: self.steps, first: self.first.clone(), second: self.second.clone() }
    }

    /// Goes on from a state; `false`, and nothing is changed, where it belongs to another rule or
    /// other parameters.
    #[must_use]
    pub fn restore(&mut self, state: OptimiserState<E>) -> bool {
        let fits = state.first.len() == self.first.len() && state.second.len() == self.second.len();
        if fits {
            (self.steps, self.first, self.second) = (state.steps, state.first, state.second);
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::testing::{mlp_policy, numbers};
    use dfdx::optim::{AdamConfig, Momentum, RMSpropConfig, SgdConfig};
    use dfdx::tensor::{Cpu, Gradients, Tensor, TensorFromVec};

    const COUNT: usize = 37;
    const RATE: f64 = 0.01;

    /// Twenty steps of both, along gradients that change.
    fn assert_same(
        config: OptimiserConfig,
        mut theirs: impl FnMut(i32, &mut Tensor<(usize,), f64, Cpu>, &Gradients<f64, Cpu>),
    ) {
        let (model, _, _) = mlp_policy(2, &[3], 2);
        let layout = Layout::of(&model.network);
        assert_eq!(layout.len(), 17);
        let mut own = Optimiser::<f64>::new(config, &layout, layout.ids());
        let mut x = numbers(COUNT, 1)[..17].to_vec();
        let cpu = Cpu::default();
        let mut tensor: Tensor<(usize,), f64, Cpu> = cpu.tensor_from_vec(x.clone(), (17,));
        for t in 1..=20 {
            let g = &numbers(17, t as u64 + 10);
            own.step(&mut x, g, RATE);
            let mut gradients = Gradients::leaky();
            gradients.get_or_alloc_mut(&tensor).expect("allocated").copy_from_slice(g);
            theirs(t, &mut tensor, &gradients);
            for (a, b) in x.iter().zip(tensor.as_vec()) {
                assert!((a - b).abs() < 1e-14, "step {t}: {a} and {b}");
            }
        }
    }

    #[test]
    fn adam_is_dfdx_adam() {
        let (mut m, mut v) = (Gradients::leaky(), Gradients::leaky());
        let config = AdamConfig { lr: RATE, ..AdamConfig::default() };
        assert_same(
            OptimiserConfig::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
            |t, x, g| {
                let (m, v) = (m.get_or_alloc_mut(x).expect("m"), v.get_or_alloc_mut(x).expect("v"));
                let g = g.clone().get_or_alloc_mut(x).expect("g").clone();
                config.try_update(t, x, m, v, &g).expect("updated");
            },
        );
    }

    #[test]
    fn sgd_is_dfdx_sgd() {
        let mut velocity = Gradients::leaky();
        let config =
            SgdConfig { lr: RATE, momentum: Some(Momentum::Classic(0.9)), weight_decay: None };
        assert_same(OptimiserConfig::Sgd { momentum: 0.9 }, |_, x, g| {
            let g = g.clone().get_or_alloc_mut(x).expect("g").clone();
            config.try_update(x, velocity.get_or_alloc_mut(x).expect("v"), &g).expect("updated");
        });
    }

    #[test]
    fn rmsprop_is_dfdx_rmsprop() {
        let (mut momentum, mut square, mut mean) =
            (Gradients::leaky(), Gradients::leaky(), Gradients::leaky());
        let config = RMSpropConfig { lr: RATE, alpha: 0.9, ..RMSpropConfig::default() };
        assert_same(OptimiserConfig::RmsProp { decay: 0.9, epsilon: 1e-8 }, |t, x, g| {
            let g = g.clone().get_or_alloc_mut(x).expect("g").clone();
            let square = square.get_or_alloc_mut(x).expect("s");
            if t == 1 {
                square.fill(1.0); // as dfdx's own optimiser starts
            }
            let (momentum, mean) =
                (momentum.get_or_alloc_mut(x).expect("m"), mean.get_or_alloc_mut(x).expect("a"));
            config.try_update(x, momentum, square, mean, &g).expect("updated");
        });
    }

    #[test]
    fn only_its_own_parameters_move_and_a_state_goes_on() {
        let (model, _, _) = mlp_policy(2, &[3], 2);
        let layout = Layout::of(&model.network);
        let adam = OptimiserConfig::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
        let ids = [ParameterId(3), ParameterId(0)];
        let mut one = Optimiser::<f32>::new(adam, &layout, ids);
        let gradient: Vec<f32> = numbers(17, 2).iter().map(|&g| g as f32).collect();
        let mut x = vec![0.0f32; 17];
        one.step(&mut x, &gradient, 0.1);
        assert_eq!(x.iter().filter(|x| **x != 0.0).count(), 6 + 2);
        let mut two = Optimiser::<f32>::new(adam, &layout, ids);
        assert!(two.restore(one.state()));
        let mut y = x.clone();
        one.step(&mut x, &gradient, 0.1);
        two.step(&mut y, &gradient, 0.1);
        assert_eq!(x, y);
        assert!(!Optimiser::<f32>::new(adam, &layout, layout.ids()).restore(one.state()));
    }

    #[test]
    fn clipping_keeps_the_direction_of_what_moves() {
        let (model, _, _) = mlp_policy(1, &[1], 1);
        let layout = Layout::of(&model.network);
        // two weights and two biases; the first weight and its bias move
        let optimiser = Optimiser::<f32>::new(
            OptimiserConfig::Sgd { momentum: 0.0 },
            &layout,
            layout.ids().take(2),
        );
        let mut gradient = vec![3.0f32, 4.0, 100.0, 100.0];
        assert_eq!(optimiser.clip(&mut gradient, None), 5.0);
        assert_eq!(optimiser.clip(&mut gradient, Some(10.0)), 5.0);
        assert_eq!(gradient, [3.0, 4.0, 100.0, 100.0]);
        assert_eq!(optimiser.clip(&mut gradient, Some(1.0)), 5.0);
        assert!(
            (gradient[0] - 0.6).abs() < 1e-6
                && (gradient[1] - 0.8).abs() < 1e-6
                && gradient[2..] == [100.0, 100.0]
        );
        optimiser.keep_moving(&mut gradient);
        assert_eq!(gradient[2..], [0.0, 0.0]);
    }
}
