//! A family over real numbers by its formulas: draws, densities, entropies, divergences and their
//! gradients, for families that have no nodes of their own.
//!
//! A row of numbers has the first argument of all components, then the second, and so on. Formulas
//! are computed in float64, whatever the precision of a run: differences of large logarithms, as
//! those of gamma functions, have no digits left in float32.

use super::choice::Choice;
use super::formulas::{Formulas, Inputs};
use crate::engine::numeric::float::Float;
use crate::engine::numeric::kernels;
use crate::engine::numeric::number::Number;
use crate::engine::tape::tensor::{Matrix, Tape, values_of};
use crate::expr::{Column, InputId, Program};
use crate::family::{Draw, Family, Path};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use std::sync::Arc;

/// A family over some components, compiled.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Real {
    family: Family,
    width: usize,
    compiled: Arc<Formulas>,
    /// Lowest and highest value of each component.
    bounds: Arc<[(f64, f64)]>,
}

/// What the elements of a batch are computed from.
struct Elements<'a> {
    of: &'a Real,
    /// How many: components of rows.
    count: usize,
    /// By input; empty where a formula does not read it.
    columns: Vec<Vec<f64>>,
}

impl<'a> Elements<'a> {
    fn new<E: Number>(of: &'a Real, rows: &[E]) -> Elements<'a> {
        let count = rows.len() / of.arguments();
        let mut columns = vec![Vec::new(); of.inputs().count()];
        let bounds = || of.bounds.iter().cycle().take(count);
        columns[of.inputs().lo()] = bounds().map(|&(lo, _)| lo).collect();
        columns[of.inputs().hi()] = bounds().map(|&(_, hi)| hi).collect();
        Elements { of, count, columns }.with_arguments(0, rows)
    }

    fn with_arguments<E: Number>(mut self, first: usize, rows: &[E]) -> Elements<'a> {
        let width = self.of.width;
        for at in 0..self.of.arguments() {
            let own = |row: &'_ [E]| in_double(&row[at * width..(at + 1) * width]);
            self.columns[first + at] = rows.chunks_exact(self.of.numbers()).flat_map(own).collect();
        }
        self
    }

    fn with<E: Number>(mut self, input: usize, values: &[E]) -> Elements<'a> {
        self.columns[input] = in_double(values);
        self
    }

    /// Output `k` of element `i` stands at `k · count + i`.
    fn run(&self, program: &Program<f64>) -> Vec<f64> {
        let mut out = vec![0.0; program.width() * self.count];
        let input = |InputId(at)| Column::Each(&self.columns[at as usize][..]);
        let none = Column::Same(0.0);
        program.run(&input, none, self.count, &mut out, self.count, &mut program.scratch());
        out
    }

    /// The sums over the components of each row of what the first output is.
    fn sums<E: Number>(&self, values: &[f64], out: &mut [E]) {
        for (out, own) in out.iter_mut().zip(values[..self.count].chunks_exact(self.of.width)) {
            *out = Float::of(own.iter().sum());
        }
    }

    /// Adds to `into`, argument by argument, `factor` of its row times the slope that stands at
    /// output `1 + first + at`.
    fn add_slopes<E: Number>(
        &self,
        values: &[f64],
        first: usize,
        factors: &[E],
        into: &mut [Vec<E>],
    ) {
        for (at, into) in into.iter_mut().enumerate() {
            let slopes = &values[(1 + first + at) * self.count..][..self.count];
            for ((into, slopes), &factor) in into
                .chunks_exact_mut(self.of.width)
                .zip(slopes.chunks_exact(self.of.width))
                .zip(factors)
            {
                into.iter_mut().zip(slopes).for_each(|(into, &slope)| {
                    *into += factor * <E as Float>::of(slope);
                });
            }
        }
    }
}

fn in_double<E: Number>(values: &[E]) -> Vec<f64> {
    values.iter().map(|&value| Float::as_f64(value)).collect()
}

/// What the plan and the derivation hold.
const NO_CLOSED_FORM: &str = "plan: a formula is asked for where the family has a closed form";

impl Real {
    pub fn new(family: Family, bounds: &[(f64, f64)]) -> Real {
        let compiled = Arc::new(Formulas::compile(family));
        Real { family, width: bounds.len(), compiled, bounds: bounds.into() }
    }

    pub fn width(&self) -> usize {
        self.width
    }

    fn arguments(&self) -> usize {
        self.family.arguments().len()
    }

    /// Numbers a row.
    pub fn numbers(&self) -> usize {
        self.arguments() * self.width
    }

    /// Each argument: its name, and whether it must be above 0.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, bool)> {
        self.family.arguments().iter().map(|argument| (argument.name, argument.positive))
    }

    pub fn has_entropy(&self) -> bool {
        self.compiled.entropy.is_some()
    }

    /// Draws are smooth functions of noise.
    pub fn has_path(&self) -> bool {
        self.family.has_path()
    }

    fn inputs(&self) -> Inputs {
        Inputs { arguments: self.arguments() }
    }

    /// Whether a row of numbers describes a distribution.
    pub fn describes<E: Number>(&self, row: &[E]) -> bool {
        row.chunks_exact(self.width).zip(self.named()).all(|(own, (_, positive))| {
            own.iter().all(|x| x.is_finite() && (!positive || *x > <E as Float>::ZERO))
        })
    }

    /// Writes the rows of numbers; the roots are the arguments.
    pub fn describe<'a, E: Number>(&self, root: impl Fn(usize) -> &'a [E], out: &mut [E]) {
        for at in 0..self.arguments() {
            for (out, own) in
                out.chunks_exact_mut(self.numbers()).zip(root(at).chunks_exact(self.width))
            {
                out[at * self.width..(at + 1) * self.width].copy_from_slice(own);
            }
        }
    }

    /// Appends a draw of each row.
    pub fn draw<E: Number>(
        &self,
        rows: &[E],
        choice: Choice,
        random: &mut impl Rng,
        into: &mut Vec<E>,
    ) {
        let elements = Elements::new(self, rows);
        let count = elements.count;
        if choice == Choice::Greedy {
            let centres = elements.run(&self.compiled.centre);
            into.extend(centres.into_iter().map(<E as Float>::of));
            return;
        }
        let noise: Vec<f64> = match self.family.draw() {
            Draw::OfNormal(_) => (0..count).map(|_| StandardNormal.sample(random)).collect(),
            Draw::OfUniform(_) => {
                (0..count).map(|_| <f64 as crate::expr::Real>::unit(random.next_u64())).collect()
            }
            Draw::Sampled(sample) => {
                let mut arguments = vec![0.0; self.arguments()];
                for at in 0..count {
                    for (argument, column) in arguments.iter_mut().zip(&elements.columns) {
                        *argument = column[at];
                    }
                    let bounds = self.bounds[at % self.width];
                    into.push(Float::of(sample(random, &arguments, bounds)));
                }
                return;
            }
        };
        let elements = elements.with(self.inputs().noise(), &noise);
        let program = self.compiled.draw.as_ref();
        let drawn = elements.run(program.expect("real: what is made of noise has a formula"));
        into.extend(drawn.into_iter().map(<E as Float>::of));
    }

    pub fn log_densities<E: Number>(&self, rows: &[E], x: &[E], out: &mut [E]) {
        let elements = Elements::new(self, rows).with(self.inputs().x(), x);
        elements.sums(&elements.run(&self.compiled.log_density), out);
    }

    /// `∂ log p(x) / ∂x`, component by component of each row.
    pub fn slopes_of_density<E: Number>(&self, rows: &[E], x: &[E]) -> Vec<E> {
        let elements = Elements::new(self, rows).with(self.inputs().x(), x);
        elements.run(&self.compiled.slope_in_x).into_iter().map(<E as Float>::of).collect()
    }

    /// How draws move with each argument while their noise stands still: argument by argument,
    /// element by element.
    fn paths<E: Number>(&self, rows: &[E], x: &[E]) -> Vec<Vec<E>> {
        let elements = Elements::new(self, rows).with(self.inputs().x(), x);
        let count = elements.count;
        let flat = match (self.family.path(), &self.compiled.path) {
            (Some(Path::Computed(path)), _) => {
                let mut flat = vec![0.0; self.arguments() * count];
                let mut arguments = vec![0.0; self.arguments()];
                for at in 0..count {
                    for (argument, column) in arguments.iter_mut().zip(&elements.columns) {
                        *argument = column[at];
                    }
                    let x = elements.columns[self.inputs().x()][at];
                    let moved = path(x, &arguments, self.bounds[at % self.width]);
                    moved.into_iter().enumerate().for_each(|(k, d)| flat[k * count + at] = d);
                }
                flat
            }
            (Some(Path::Formula(_)) | None, program) => {
                elements.run(program.as_ref().expect("plan: its draws are smooth"))
            }
        };
        flat.chunks_exact(count.max(1))
            .map(|own| own.iter().map(|&d| Float::of(d)).collect())
            .collect()
    }

    pub fn entropies<E: Number>(&self, rows: &[E], out: &mut [E]) {
        let elements = Elements::new(self, rows);
        let program = self.compiled.entropy.as_ref().expect(NO_CLOSED_FORM);
        elements.sums(&elements.run(program), out);
    }

    pub fn divergences<E: Number>(&self, q: &[E], p: &[E], out: &mut [E]) {
        let elements = Elements::new(self, q).with_arguments(self.inputs().of_p(), p);
        let program = self.compiled.divergence.as_ref().expect(NO_CLOSED_FORM);
        elements.sums(&elements.run(program), out);
    }

    /// Adds to the gradients of the arguments that of `Σ_rows factor · log p(x)`.
    pub fn add_score_gradient<E: Number>(
        &self,
        rows: &[E],
        x: &[E],
        factors: &[E],
        into: &mut [Vec<E>],
    ) {
        let elements = Elements::new(self, rows).with(self.inputs().x(), x);
        let values = elements.run(&self.compiled.log_density);
        elements.add_slopes(&values, 0, factors, into);
    }

    /// Likewise of `Σ_rows factor · entropy`.
    pub fn add_entropy_gradient<E: Number>(&self, rows: &[E], factors: &[E], into: &mut [Vec<E>]) {
        let elements = Elements::new(self, rows);
        let program = self.compiled.entropy.as_ref().expect(NO_CLOSED_FORM);
        elements.add_slopes(&elements.run(program), 0, factors, into);
    }

    /// Likewise of `Σ_rows factor · KL(q ‖ p)`, to the arguments of both.
    pub fn add_divergence_gradient<E: Number>(
        &self,
        (q, p): (&[E], &[E]),
        factors: &[E],
        (into_q, into_p): (&mut [Vec<E>], &mut [Vec<E>]),
    ) {
        let elements = Elements::new(self, q).with_arguments(self.inputs().of_p(), p);
        let program = self.compiled.divergence.as_ref().expect(NO_CLOSED_FORM);
        let values = elements.run(program);
        elements.add_slopes(&values, 0, factors, into_q);
        elements.add_slopes(&values, self.arguments(), factors, into_p);
    }

    /// The Fisher information of each row applied to tangents of its arguments.
    pub fn metric<'a, E: Number>(
        &self,
        rows: &[E],
        tangent: impl Fn(usize) -> &'a [E],
        out: &mut [Vec<E>],
    ) {
        let elements = Elements::new(self, rows);
        let program = self.compiled.fisher.as_ref().expect(NO_CLOSED_FORM);
        let values = elements.run(program);
        let count = self.arguments();
        for (i, out) in out.iter_mut().enumerate().take(count) {
            out.clear();
            out.resize(elements.count, <E as Float>::ZERO);
            for j in 0..count {
                let information = &values[(i * count + j) * elements.count..][..elements.count];
                out.iter_mut().zip(information).zip(tangent(j)).for_each(
                    |((out, &information), &t)| {
                        *out += <E as Float>::of(information) * t;
                    },
                );
            }
        }
    }
}

impl<E: Number> Tape<E> {
    /// `log p(x)` and the entropy of a family by its formulas, one number a row each; `x` is
    /// row-major.
    pub(in crate::engine) fn real(
        &mut self,
        of: &Real,
        roots: &[Matrix<E>],
        x: Vec<E>,
    ) -> (Matrix<E>, Matrix<E>) {
        let rows = rows_of(of, roots);
        let count = rows.len() / of.numbers();
        let (mut log_prob, mut entropy) =
            (vec![<E as Float>::ZERO; count], vec![<E as Float>::ZERO; count]);
        of.log_densities(&rows, &x, &mut log_prob);
        if of.has_entropy() {
            of.entropies(&rows, &mut entropy);
        }
        let (log_prob, entropy) = (self.constant(log_prob, 1), self.constant(entropy, 1));
        let (of, to, outputs) = (of.clone(), roots.to_vec(), (log_prob.clone(), entropy.clone()));
        self.record(move |flow| {
            let weights = (flow.take(&outputs.0), flow.take(&outputs.1));
            let mut gradient = vec![vec![<E as Float>::ZERO; count * of.width()]; to.len()];
            of.add_score_gradient(&rows, &x, &weights.0, &mut gradient);
            if of.has_entropy() {
                of.add_entropy_gradient(&rows, &weights.1, &mut gradient);
            }
            to.iter().zip(&gradient).for_each(|(to, d)| kernels::add(flow.of(to), d));
        });
        (log_prob, entropy)
    }

    /// Draws of a family, row-major, whose gradient goes on to its arguments.
    pub(in crate::engine) fn real_draw(
        &mut self,
        of: &Real,
        roots: &[Matrix<E>],
        x: &[E],
    ) -> Matrix<E> {
        let drawn = self.constant(x.to_vec(), of.width());
        let paths = of.paths(&rows_of(of, roots), x);
        let (to, output) = (roots.to_vec(), drawn.clone());
        self.record(move |flow| {
            let d = flow.take(&output);
            for (to, slopes) in to.iter().zip(&paths) {
                let into = flow.of(to).iter_mut();
                into.zip(&d).zip(slopes).for_each(|((to, &d), &slope)| *to += d * slope);
            }
        });
        drawn
    }

    /// `KL(q ‖ p)` of a family by its formula, one number a row. Gradient flows to both.
    pub(in crate::engine) fn real_divergence(
        &mut self,
        of: &Real,
        q: &[Matrix<E>],
        p: &[Matrix<E>],
    ) -> Matrix<E> {
        let (of_q, of_p) = (rows_of(of, q), rows_of(of, p));
        let count = of_q.len() / of.numbers();
        let mut kl = vec![<E as Float>::ZERO; count];
        of.divergences(&of_q, &of_p, &mut kl);
        let kl = self.constant(kl, 1);
        let (of, to_q, to_p, output) = (of.clone(), q.to_vec(), p.to_vec(), kl.clone());
        self.record(move |flow| {
            let w = flow.take(&output);
            let none = || vec![vec![<E as Float>::ZERO; count * of.width()]; to_q.len()];
            let (mut into_q, mut into_p) = (none(), none());
            of.add_divergence_gradient((&of_q, &of_p), &w, (&mut into_q, &mut into_p));
            to_q.iter().zip(&into_q).for_each(|(to, d)| kernels::add(flow.of(to), d));
            to_p.iter().zip(&into_p).for_each(|(to, d)| kernels::add(flow.of(to), d));
        });
        kl
    }
}

/// The arguments of a family as rows of numbers.
fn rows_of<E: Number>(of: &Real, roots: &[Matrix<E>]) -> Vec<E> {
    let values: Vec<Vec<E>> = roots.iter().map(values_of).collect();
    let mut rows = vec![<E as Float>::ZERO; values.iter().map(Vec::len).sum()];
    of.describe(|root| &values[root][..], &mut rows);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::FAMILIES;

    const BOUNDS: [(f64, f64); 2] = [(-2.0, 3.0), (0.0, 1.0)];
    /// Two components and two rows.
    const ROWS: [f64; 8] = [0.7, 0.4, 0.9, 1.2, 1.6, 0.8, 0.5, 2.3];
    const OTHER: [f64; 8] = [1.1, 0.6, 0.7, 1.5, 1.2, 1.3, 0.9, 1.8];
    const X: [f64; 4] = [0.3, 0.6, -0.8, 0.2];

    /// Central differences of what `of` says of rows, in every number.
    fn slopes(rows: &[f64], of: impl Fn(&[f64]) -> f64) -> Vec<f64> {
        let h = 1e-6;
        (0..rows.len())
            .map(|at| {
                let (mut more, mut less) = (rows.to_vec(), rows.to_vec());
                more[at] += h;
                less[at] -= h;
                (of(&more) - of(&less)) / (2.0 * h)
            })
            .collect()
    }

    /// Gradients by root in the order of the rows' numbers.
    fn in_rows(of: &Real, gradient: &[Vec<f64>]) -> Vec<f64> {
        let mut rows = vec![0.0; ROWS.len()];
        of.describe(|root| &gradient[root], &mut rows);
        rows
    }

    fn assert_close(found: &[f64], wanted: &[f64], what: &str) {
        for (found, wanted) in found.iter().zip(wanted) {
            assert!(
                (found - wanted).abs() < 1e-6 * wanted.abs().max(1.0),
                "{what}: {found} {wanted}"
            );
        }
    }

    #[test]
    fn gradients_are_the_slopes_of_what_is_computed() {
        let factors = [0.7, -1.3];
        let weighed = |values: &[f64]| values[0] * factors[0] + values[1] * factors[1];
        for family in FAMILIES {
            let of = Real::new(family, &BOUNDS);
            let none = || vec![vec![0.0; 4]; 2];
            let mut score = none();
            of.add_score_gradient(&ROWS, &X, &factors, &mut score);
            let wanted = slopes(&ROWS, |rows| {
                let mut out = [0.0; 2];
                of.log_densities(rows, &X, &mut out);
                weighed(&out)
            });
            assert_close(&in_rows(&of, &score), &wanted, family.name());
            if family.has_entropy() {
                let mut gradient = none();
                of.add_entropy_gradient(&ROWS, &factors, &mut gradient);
                let wanted = slopes(&ROWS, |rows| {
                    let mut out = [0.0; 2];
                    of.entropies(rows, &mut out);
                    weighed(&out)
                });
                assert_close(&in_rows(&of, &gradient), &wanted, family.name());
            }
            if family.has_divergence() {
                let (mut of_q, mut of_p) = (none(), none());
                of.add_divergence_gradient((&ROWS, &OTHER), &factors, (&mut of_q, &mut of_p));
                let kl = |q: &[f64], p: &[f64]| {
                    let mut out = [0.0; 2];
                    of.divergences(q, p, &mut out);
                    weighed(&out)
                };
                let (q, p) = (slopes(&ROWS, |q| kl(q, &OTHER)), slopes(&OTHER, |p| kl(&ROWS, p)));
                assert_close(&in_rows(&of, &of_q), &q, family.name());
                assert_close(&in_rows(&of, &of_p), &p, family.name());
            }
        }
    }

    /// What a draw and its density are where noise and rounding are at their ends.
    fn ends<E: Number>() {
        for family in FAMILIES {
            let of = Real::new(family, &[(100.0, 101.0)]);
            let rows: Vec<E> = [1.5, 0.8].map(Float::of).to_vec();
            let elements =
                |noise: f64| Elements::new(&of, &rows).with(of.inputs().noise(), &[noise]);
            if let Some(draw) = &of.compiled.draw {
                for noise in [0.0, 0.5, 1.0 - f64::from(f32::EPSILON)] {
                    let drawn = elements(noise).run(draw)[0];
                    assert!(drawn.is_finite(), "{family:?} of {noise}: {drawn}");
                }
            }
            for x in [100.0, 101.0] {
                let mut log = [<E as Float>::ZERO];
                of.log_densities(&rows, &[Float::of(x)], &mut log);
                assert!(log[0].is_finite(), "{family:?} at {x}: {}", log[0]);
            }
        }
    }

    #[test]
    fn draws_and_densities_are_numbers_at_the_ends() {
        ends::<f32>();
        ends::<f64>();
    }

    /// A Beta with both arguments 10⁶ is nearly a normal of deviation `1 / √(8 · 10⁶ + 4)`.
    #[test]
    fn what_is_concentrated_has_its_entropy_in_float32() {
        let of = Real::new(Family::named("Beta").unwrap(), &[(0.0, 1.0)]);
        let mut entropy = [0f32];
        of.entropies(&[1e6f32, 1e6], &mut entropy);
        let sd = 1.0 / (8e6f64 + 4.0).sqrt();
        let wanted = sd.ln() + 0.5 * (1.0 + std::f64::consts::TAU.ln());
        assert!((f64::from(entropy[0]) - wanted).abs() < 1e-5, "{} {wanted}", entropy[0]);
    }
}
