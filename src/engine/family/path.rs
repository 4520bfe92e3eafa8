//! Draws as smooth functions of what their kernels compute, and densities that move with what they
//! are of: the parts of a gradient through draws that a family knows.

use super::{Draws, Family, squashing};
use crate::engine::heads::mixture;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::kernels;
use crate::engine::numeric::number::Number;
use crate::engine::tape::tensor::{Matrix, Tape, shape_of, values_of};

/// A draw on the tape.
pub(in crate::engine) struct OnPath<E: Float> {
    /// Before it is squashed.
    pub plain: Matrix<E>,
    pub value: Matrix<E>,
    /// Of a record, its parts.
    pub parts: Vec<OnPath<E>>,
}

impl<E: Float> OnPath<E> {
    pub fn new(plain: Matrix<E>, value: Matrix<E>) -> OnPath<E> {
        OnPath { plain, value, parts: Vec::new() }
    }
}

impl Family {
    /// The draws of some rows, whose gradient goes on to what the network computed: `roots`.
    pub fn follow<E: Number>(
        &self,
        tape: &mut Tape<E>,
        roots: &[Matrix<E>],
        reals: &[E],
    ) -> OnPath<E> {
        match self {
            Family::Normal { width, bounds } => {
                let plain = tape.reparameterised((&roots[0], &roots[1]), reals);
                let Some(bounds) = bounds else { return OnPath::new(plain.clone(), plain) };
                let one: E = Float::of(1.0);
                let slope = |(at, &u): (usize, &E)| {
                    let (tanh, half) = (Float::tanh(u), squashing::<E>(bounds[at % width]).1);
                    half * (one - tanh * tanh)
                };
                let slopes = reals.iter().enumerate().map(slope).collect();
                let value = tape.scaled(&plain, slopes);
                OnPath::new(plain, value)
            }
            // it is what the network made of noise
            Family::Implicit { .. } => OnPath::new(roots[0].clone(), roots[0].clone()),
            Family::Real(real) => {
                let value = tape.real_draw(real, roots, reals);
                OnPath::new(value.clone(), value)
            }
            Family::Record(record) => record.follow(tape, roots, reals),
            // of the part that drew it, which each was as likely as it is likely there
            Family::Mixture(shape) => {
                let values: Vec<Vec<E>> = roots.iter().map(values_of).collect();
                let shares = mixture::shares(*shape, |root| &values[root][..], reals);
                let parts = (0..shape.parts).map(|part| {
                    let (mean, sd) = (&roots[shape.parts + part], &roots[2 * shape.parts + part]);
                    tape.reparameterised((mean, sd), reals)
                });
                let parts: Vec<Matrix<E>> = parts.collect();
                let value = tape.shared(parts, shares, reals);
                OnPath::new(value.clone(), value)
            }
            Family::Blend(blend) => {
                let values: Vec<Vec<E>> = roots.iter().map(values_of).collect();
                let shares = blend.shares(&values, reals);
                let parts = blend.follow(tape, roots, reals);
                let value = tape.shared(parts, shares, reals);
                OnPath::new(value.clone(), value)
            }
            Family::Categorical { .. } | Family::Bernoulli { .. } | Family::Sticky { .. } => {
                unreachable!("plan: a gradient goes through draws that are smooth")
            }
        }
    }

    /// The chance of the parts of mixtures that drew, as a logarithm, a number a row: its gradient
    /// is the mean over all parts that may have drawn, `E[∇log w_k | x] = Σ_k r_k ∇log w_k`, with
    /// `r_k` the share that a part has of the density at what was drawn. `None` where no part is
    /// drawn.
    pub fn log_choice<E: Number>(
        &self,
        tape: &mut Tape<E>,
        roots: &[Matrix<E>],
        reals: &[E],
    ) -> Option<Matrix<E>> {
        let mut weighs = vec![false; roots.len()];
        self.mark_weights(&mut weighs);
        if !weighs.contains(&true) {
            return None;
        }
        // that of the density, in which the parts stand still
        let still = |(root, &weighs): (&Matrix<E>, &bool)| match weighs {
            true => root.clone(),
            false => tape.constant(values_of(root), shape_of(root).1),
        };
        let roots: Vec<Matrix<E>> = roots.iter().zip(&weighs).map(still).collect();
        let draws = Draws { numbers: vec![], reals: reals.to_vec() };
        Some(self.log_density(tape, &roots, &[], &draws))
    }

    /// Marks those of its roots that weigh the parts of a mixture.
    fn mark_weights(&self, roots: &mut [bool]) {
        match self {
            Family::Mixture(shape) => roots[..shape.parts].fill(true),
            Family::Blend(blend) => {
                roots[..blend.parts().count()].fill(true);
                blend.parts().for_each(|(part, own)| part.mark_weights(&mut roots[own]));
            }
            Family::Record(record) => {
                record.parts().for_each(|(part, own)| part.mark_weights(&mut roots[own]));
            }
            Family::Normal { .. }
            | Family::Implicit { .. }
            | Family::Real(_)
            | Family::Categorical { .. }
            | Family::Bernoulli { .. }
            | Family::Sticky { .. } => {}
        }
    }

    /// Weighs `−log q` of draws that are [followed](Family::follow). That of a normal moves as
    /// its entropy does, since its noise stands still.
    pub fn weigh_own<E: Number>(
        &self,
        tape: &mut Tape<E>,
        (roots, entropy, drawn): (&[Matrix<E>], &Matrix<E>, &OnPath<E>),
        reals: &[E],
        weight: E,
        weighted: &mut Vec<(Matrix<E>, Vec<E>)>,
    ) {
        let rows = values_of(entropy).len();
        if let Family::Record(record) = self {
            return record.weigh_own(tape, (roots, drawn), reals, weight, weighted);
        }
        let Family::Normal { bounds, .. } = self else {
            let draws = Draws { numbers: vec![], reals: reals.to_vec() };
            let log_density = self.log_density(tape, roots, &[], &draws);
            self.pass_to_draw(tape, (&log_density, roots), reals, &drawn.plain);
            weighted.push((log_density, vec![-weight; rows]));
            return;
        };
        weighted.push((entropy.clone(), vec![weight; rows]));
        if bounds.is_some() {
            // −log q of a squashed draw has log |da/du| in it, whose slope is −2 tanh(u)
            let twice = -weight - weight;
            let of_plain = drawn.plain.clone();
            let flows: Vec<E> = reals.iter().map(|&u| twice * Float::tanh(u)).collect();
            tape.record(move |flow| kernels::add(flow.of(&of_plain), &flows));
        }
    }

    /// Passes the gradient of `log_density`, the tensor that [`Family::log_density`] has made of
    /// `reals`, on to what it is the density of.
    pub fn pass_to_draw<E: Number>(
        &self,
        tape: &mut Tape<E>,
        (log_density, roots): (&Matrix<E>, &[Matrix<E>]),
        reals: &[E],
        to: &Matrix<E>,
    ) {
        let values: Vec<Vec<E>> = roots.iter().map(values_of).collect();
        let slopes = self.slopes_in_draw(&values, reals);
        let (width, from, to) = (self.width(), log_density.clone(), to.clone());
        tape.record(move |flow| {
            // the node of the density takes it
            let factors: Vec<E> = flow.of(&from).to_vec();
            for ((to, slopes), &factor) in
                flow.of(&to).chunks_exact_mut(width).zip(slopes.chunks_exact(width)).zip(&factors)
            {
                to.iter_mut().zip(slopes).for_each(|(to, &slope)| *to += factor * slope);
            }
        });
    }

    /// `∂ log p(x) / ∂x`, component by component of each row; of what is squashed, `x` is what that
    /// has made.
    pub(in crate::engine) fn slopes_in_draw<E: Number>(
        &self,
        values: &[Vec<E>],
        reals: &[E],
    ) -> Vec<E> {
        match self {
            Family::Normal { width, bounds } => {
                let of = values[0].iter().zip(&values[1]).zip(reals);
                let plain = of.map(|((&mean, &sd), &x)| (mean - x) / (sd * sd));
                let Some(bounds) = bounds else { return plain.collect() };
                // of what `tanh` has made, whose density is that before it over da/du
                let one: E = Float::of(1.0);
                let of_value = |(at, (slope, &u)): (usize, (E, &E))| {
                    let (tanh, half) = (Float::tanh(u), squashing::<E>(bounds[at % width]).1);
                    (slope + tanh + tanh) / (half * (one - tanh * tanh))
                };
                plain.zip(reals).enumerate().map(of_value).collect()
            }
            Family::Mixture(shape) => mixture::slopes(*shape, |root| &values[root][..], reals),
            Family::Real(real) => {
                let mut rows = vec![<E as Float>::ZERO; values.iter().map(Vec::len).sum()];
                self.describe(|root| &values[root][..], &[], &mut rows);
                real.slopes_of_density(&rows, reals)
            }
            Family::Record(record) => record.slopes_in_draw(values, reals),
            Family::Blend(blend) => blend.slopes_in_draw(values, reals),
            // what has finitely many values does not move
            Family::Categorical { .. } | Family::Bernoulli { .. } | Family::Sticky { .. } => {
                Vec::new()
            }
            Family::Implicit { .. } => unreachable!("plan: it is the density of real numbers"),
        }
    }
}
