//! Draws as smooth functions of what their kernels compute, and densities that move with what they
//! are of: the parts of a gradient through draws that a family knows.

use super::{Draws, Family, squashing};
use crate::engine::heads::mixture;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::kernels;
use crate::engine::numeric::number::Number;
use crate::engine::tape::tensor::{Matrix, Tape, values_of};

/// A draw on the tape.
pub(in crate::engine) struct OnPath<E: Float> {
    /// Before it is squashed.
    pub plain: Matrix<E>,
    pub value: Matrix<E>,
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
                let Some(bounds) = bounds else { return OnPath { value: plain.clone(), plain } };
                let one: E = Float::of(1.0);
                let slope = |(at, &u): (usize, &E)| {
                    let (tanh, half) = (Float::tanh(u), squashing::<E>(bounds[at % width]).1);
                    half * (one - tanh * tanh)
                };
                let slopes = reals.iter().enumerate().map(slope).collect();
                OnPath { value: tape.scaled(&plain, slopes), plain }
            }
            // it is what the network made of noise
            Family::Implicit { .. } => OnPath { plain: roots[0].clone(), value: roots[0].clone() },
            Family::Real(real) => {
                let value = tape.real_draw(real, roots, reals);
                OnPath { plain: value.clone(), value }
            }
            Family::Mixture(_)
            | Family::Record(_)
            | Family::Blend(_)
            | Family::Categorical { .. }
            | Family::Bernoulli { .. }
            | Family::Sticky { .. } => {
                unreachable!("plan: a gradient goes through draws that are smooth")
            }
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
        let slopes = self.slopes_in_draw(roots, reals);
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

    /// `∂ log p(x) / ∂x`, component by component of each row.
    fn slopes_in_draw<E: Number>(&self, roots: &[Matrix<E>], reals: &[E]) -> Vec<E> {
        let values: Vec<Vec<E>> = roots.iter().map(values_of).collect();
        match self {
            Family::Normal { .. } => {
                let of = values[0].iter().zip(&values[1]).zip(reals);
                of.map(|((&mean, &sd), &x)| (mean - x) / (sd * sd)).collect()
            }
            Family::Mixture(shape) => mixture::slopes(*shape, |root| &values[root][..], reals),
            Family::Real(real) => {
                let mut rows = vec![<E as Float>::ZERO; values.iter().map(Vec::len).sum()];
                self.describe(|root| &values[root][..], &[], &mut rows);
                real.slopes_of_density(&rows, reals)
            }
            Family::Implicit { .. }
            | Family::Record(_)
            | Family::Blend(_)
            | Family::Categorical { .. }
            | Family::Bernoulli { .. }
            | Family::Sticky { .. } => unreachable!("plan: it is the density of real numbers"),
        }
    }
}
