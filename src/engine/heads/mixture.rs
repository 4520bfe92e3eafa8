//! The mixture of normals `Σ_k w_k N(x; mean_k, sd_k)`, weights relative to their sum, on plain
//! slices: its log-density, draws, and gradients back to weights, means and deviations.
//!
//! A row of numbers has the logarithms of the weights, then all means, part by part, then all
//! deviations.

use crate::engine::heads::normal;
use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

/// How many normals there are, and components of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub parts: usize,
    pub width: usize,
}

impl Shape {
    /// Numbers a row.
    pub fn numbers(self) -> usize {
        self.parts * (1 + 2 * self.width)
    }

    /// The logarithms of the weights, the means and the deviations of a row.
    fn split<E>(self, row: &[E]) -> (&[E], &[E], &[E]) {
        let (log_weights, rest) = row.split_at(self.parts);
        let (means, sds) = rest.split_at(self.parts * self.width);
        (log_weights, means, sds)
    }

    /// Where the means and deviations of a part stand.
    fn of_part(self, part: usize) -> std::ops::Range<usize> {
        part * self.width..(part + 1) * self.width
    }

    /// `log N_k(x)` of every part of a row.
    fn log_parts<E: Float>(self, (means, sds): (&[E], &[E]), x: &[E], out: &mut [E]) {
        for (part, out) in out.iter_mut().enumerate() {
            let of = self.of_part(part);
            normal::log_densities(
                (&means[of.clone()], &sds[of]),
                self.width,
                x,
                std::slice::from_mut(out),
            );
        }
    }
}

/// Writes the rows of numbers; the roots are a column for each weight, then the means of each part,
/// then its deviations.
pub fn describe<'a, E: Float>(shape: Shape, root: impl Fn(usize) -> &'a [E], out: &mut [E]) {
    let Shape { parts, width } = shape;
    for (row, out) in out.chunks_exact_mut(shape.numbers()).enumerate() {
        let (log_weights, rest) = out.split_at_mut(parts);
        let mut total = E::ZERO;
        for (part, log_weight) in log_weights.iter_mut().enumerate() {
            *log_weight = root(part)[row];
            total += *log_weight;
        }
        for log_weight in log_weights {
            *log_weight = (*log_weight / total).ln();
        }
        for (at, out) in rest.chunks_exact_mut(width).enumerate() {
            out.copy_from_slice(&root(parts + at)[row * width..(row + 1) * width]);
        }
    }
}

/// `log Σ_k w_k N_k(x)` of every row.
pub fn log_densities<E: Float>(shape: Shape, rows: &[E], x: &[E], out: &mut [E]) {
    let mut joint = vec![E::ZERO; shape.parts];
    for ((row, x), out) in
        rows.chunks_exact(shape.numbers()).zip(x.chunks_exact(shape.width)).zip(out)
    {
        let (log_weights, means, sds) = shape.split(row);
        shape.log_parts((means, sds), x, &mut joint);
        *out = log_sum(log_weights, &mut joint);
    }
}

/// Adds the weights' logarithms to those of the parts' densities; the logarithm of the sum of both.
fn log_sum<E: Float>(log_weights: &[E], joint: &mut [E]) -> E {
    let mut greatest = E::NEG_INFINITY;
    for (joint, &log_weight) in joint.iter_mut().zip(log_weights) {
        *joint += log_weight;
        greatest = Float::max(greatest, *joint);
    }
    let mut sum = E::ZERO;
    for &joint in joint.iter() {
        sum += (joint - greatest).exp();
    }
    greatest + sum.ln()
}

/// Adds to the gradients of the roots, in the order of [`describe`], that of `Σ_rows factor · log
/// p(x)`. With `r_k = w_k N_k / p` a mean and a deviation have `r_k` times what they have in a
/// normal, and a weight has `(N_k / p − 1) / Σ w`; `totals` are the sums of the weights.
pub fn add_score_gradient<E: Float>(
    shape: Shape,
    (rows, totals): (&[E], &[E]),
    x: &[E],
    factors: &[E],
    of_roots: &mut [Vec<E>],
) {
    let (of_weights, rest) = of_roots.split_at_mut(shape.parts);
    let (of_means, of_sds) = rest.split_at_mut(shape.parts);
    let mut log_parts = vec![E::ZERO; shape.parts];
    let mut joint = vec![E::ZERO; shape.parts];
    let width = shape.width;
    for (at, (row, x)) in rows.chunks_exact(shape.numbers()).zip(x.chunks_exact(width)).enumerate()
    {
        let (log_weights, means, sds) = shape.split(row);
        shape.log_parts((means, sds), x, &mut log_parts);
        joint.copy_from_slice(&log_parts);
        let log_p = log_sum(log_weights, &mut joint);
        let of_parts = of_weights.iter_mut().zip(&mut *of_means).zip(&mut *of_sds);
        for (part, ((of_weight, of_mean), of_sd)) in of_parts.enumerate() {
            of_weight[at] +=
                factors[at] * ((log_parts[part] - log_p).exp() - E::of(1.0)) / totals[at];
            let share = [factors[at] * (joint[part] - log_p).exp()];
            let (of, own) = (shape.of_part(part), at * width..(at + 1) * width);
            let into = (&mut of_mean[own.clone()], &mut of_sd[own]);
            normal::add_score_gradient(
                (&means[of.clone()], &sds[of]),
                width,
                x,
                (&share, &[E::ZERO]),
                into,
            );
        }
    }
}

/// `∂ log p(x) / ∂x` of every row, component by component: `Σ_k r_k (mean_k − x) / sd_k²`;
/// the roots are those of [`describe`].
pub fn slopes<'a, E: Float>(shape: Shape, root: impl Fn(usize) -> &'a [E], x: &[E]) -> Vec<E> {
    let width = shape.width;
    let mut rows = vec![E::ZERO; x.len() / width * shape.numbers()];
    describe(shape, root, &mut rows);
    let mut joint = vec![E::ZERO; shape.parts];
    let mut slopes = vec![E::ZERO; x.len()];
    for ((row, x), slopes) in rows
        .chunks_exact(shape.numbers())
        .zip(x.chunks_exact(width))
        .zip(slopes.chunks_exact_mut(width))
    {
        let (log_weights, means, sds) = shape.split(row);
        shape.log_parts((means, sds), x, &mut joint);
        let log_p = log_sum(log_weights, &mut joint);
        for (part, &joint) in joint.iter().enumerate() {
            let (share, of) = ((joint - log_p).exp(), shape.of_part(part));
            let parts = means[of.clone()].iter().zip(&sds[of]).zip(x);
            for (slope, ((&mean, &sd), &x)) in slopes.iter_mut().zip(parts) {
                *slope += share * (mean - x) / (sd * sd);
            }
        }
    }
    slopes
}

/// Of each part, its share `r_k` of the density of every row.
pub fn shares<'a, E: Float>(shape: Shape, root: impl Fn(usize) -> &'a [E], x: &[E]) -> Vec<Vec<E>> {
    let mut rows = vec![E::ZERO; x.len() / shape.width * shape.numbers()];
    describe(shape, root, &mut rows);
    let mut joint = vec![E::ZERO; shape.parts];
    let mut shares = vec![Vec::with_capacity(x.len() / shape.width); shape.parts];
    for (row, x) in rows.chunks_exact(shape.numbers()).zip(x.chunks_exact(shape.width)) {
        let (log_weights, means, sds) = shape.split(row);
        shape.log_parts((means, sds), x, &mut joint);
        let log_p = log_sum(log_weights, &mut joint);
        shares.iter_mut().zip(&joint).for_each(|(shares, &joint)| {
            shares.push((joint - log_p).exp());
        });
    }
    shares
}

/// Appends a draw of each row: a part by its weight, then its normal.
pub fn draw<E: Number>(shape: Shape, rows: &[E], random: &mut impl Rng, into: &mut Vec<E>) {
    for row in rows.chunks_exact(shape.numbers()) {
        let (log_weights, means, sds) = shape.split(row);
        let mut left = E::unit(random.next_u64());
        // rounding may leave something after the last one that has a weight
        let mut drawn = heaviest(log_weights);
        for (part, &log_weight) in log_weights.iter().enumerate() {
            let weight = Float::exp(log_weight);
            if left < weight {
                drawn = part;
                break;
            }
            left -= weight;
        }
        for at in shape.of_part(drawn) {
            let normal: f64 = StandardNormal.sample(random);
            into.push(means[at] + sds[at] * Float::of(normal));
        }
    }
}

/// Appends the mean of the heaviest part of each row.
pub fn greedy<E: Float>(shape: Shape, rows: &[E], into: &mut Vec<E>) {
    for row in rows.chunks_exact(shape.numbers()) {
        let (log_weights, means, _) = shape.split(row);
        into.extend_from_slice(&means[shape.of_part(heaviest(log_weights))]);
    }
}

fn heaviest<E: Float>(log_weights: &[E]) -> usize {
    let mut best = 0;
    for (part, &log_weight) in log_weights.iter().enumerate() {
        if log_weight > log_weights[best] {
            best = part;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::numeric::stream::generator;
    use crate::engine::tests::testing::{assert_gradient, numbers};

    const SHAPE: Shape = Shape { parts: 3, width: 2 };

    #[test]
    fn slopes_in_what_is_drawn_are_differences() {
        let (roots, x) = (roots(4, 3), numbers(8, 5));
        let found = slopes(SHAPE, |root| &roots[root][..], &x);
        assert_gradient(&x, &found, |x| {
            let mut log_p = vec![0.0; 4];
            log_densities(SHAPE, &described(SHAPE, &roots), x, &mut log_p);
            log_p.iter().sum()
        });
    }

    /// Weights that do not sum to 1, means and deviations of some rows, root by root.
    fn roots(rows: usize, seed: u64) -> Vec<Vec<f64>> {
        let positive = |n: usize, seed: u64| numbers(n, seed).iter().map(|x| 0.3 + x * x).collect();
        let Shape { parts, width } = SHAPE;
        let weights = (0..parts).map(|k| positive(rows, seed + k as u64));
        let means = (0..parts).map(|k| numbers(rows * width, seed + 10 + k as u64));
        let sds = (0..parts).map(|k| positive(rows * width, seed + 20 + k as u64));
        weights.chain(means).chain(sds).collect()
    }

    fn described(shape: Shape, roots: &[Vec<f64>]) -> Vec<f64> {
        let mut out = vec![0.0; roots[0].len() * shape.numbers()];
        describe(shape, |root| &roots[root][..], &mut out);
        out
    }

    #[test]
    fn the_density_integrates_to_one() {
        let shape = Shape { parts: 2, width: 1 };
        let rows =
            described(shape, &[vec![3.0], vec![1.0], vec![-1.5], vec![2.0], vec![0.2], vec![0.7]]);
        let n = 40_000;
        let step = 16.0 / f64::from(n);
        let x: Vec<f64> = (0..n).map(|i| -8.0 + (f64::from(i) + 0.5) * step).collect();
        let all: Vec<f64> = std::iter::repeat_n(&rows, x.len()).flatten().copied().collect();
        let mut log_p = vec![0.0; x.len()];
        log_densities(shape, &all, &x, &mut log_p);
        let moment = |power: i32| {
            x.iter().zip(&log_p).map(|(x, l)| x.powi(power) * l.exp() * step).sum::<f64>()
        };
        assert!((moment(0) - 1.0).abs() < 1e-9, "{}", moment(0));
        assert!((moment(1) - (0.75 * -1.5 + 0.25 * 2.0)).abs() < 1e-9, "{}", moment(1));
    }

    #[test]
    fn the_gradient_is_that_of_the_log_density() {
        let rows = 7;
        let (x, factors) = (numbers(rows * SHAPE.width, 3), numbers(rows, 4));
        let all = roots(rows, 50);
        let lengths: Vec<usize> = all.iter().map(Vec::len).collect();
        let flat = all.concat();
        let unflat = |flat: &[f64]| {
            let mut rest = flat;
            let take = |&n: &usize| {
                let (own, other) = rest.split_at(n);
                rest = other;
                own.to_vec()
            };
            lengths.iter().map(take).collect::<Vec<_>>()
        };
        let value = |flat: &[f64]| {
            let mut log_p = vec![0.0; rows];
            log_densities(SHAPE, &described(SHAPE, &unflat(flat)), &x, &mut log_p);
            log_p.iter().zip(&factors).map(|(l, f)| l * f).sum::<f64>()
        };
        let mut gradient: Vec<Vec<f64>> = lengths.iter().map(|&n| vec![0.0; n]).collect();
        let totals: Vec<f64> =
            (0..rows).map(|row| (0..SHAPE.parts).map(|part| all[part][row]).sum()).collect();
        add_score_gradient(SHAPE, (&described(SHAPE, &all), &totals), &x, &factors, &mut gradient);
        assert_gradient(&flat, &gradient.concat(), value);
    }

    #[test]
    fn far_from_all_parts_the_density_is_small_and_known() {
        let shape = Shape { parts: 2, width: 1 };
        let rows = described(
            shape,
            &[vec![0.5f64], vec![0.5], vec![0.0], vec![1.0], vec![0.01], vec![0.01]],
        );
        let mut log_p = [0.0];
        log_densities(shape, &rows, &[101.0], &mut log_p);
        let nearer =
            0.5f64.ln() - 0.5 * (2.0 * std::f64::consts::PI).ln() - 0.01f64.ln() - 0.5 * 1e8;
        assert!((log_p[0] - nearer).abs() < 1e-6, "{} {nearer}", log_p[0]);
    }

    #[test]
    fn draws_have_the_moments_of_the_mixture() {
        let shape = Shape { parts: 2, width: 1 };
        let rows =
            described(shape, &[vec![0.3], vec![0.7], vec![-2.0], vec![1.0], vec![0.5], vec![0.2]]);
        let n = 40_000;
        let all: Vec<f64> = std::iter::repeat_n(&rows, n).flatten().copied().collect();
        let mut drawn = Vec::new();
        draw(shape, &all, &mut generator([1, 2, 3]), &mut drawn);
        let mean = drawn.iter().sum::<f64>() / n as f64;
        let variance = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
        let wanted_mean = 0.3 * -2.0 + 0.7;
        let wanted_variance = 0.3 * (0.25 + 4.0) + 0.7 * (0.04 + 1.0) - wanted_mean * wanted_mean;
        assert!(
            (mean - wanted_mean).abs() < 4.0 * (wanted_variance / n as f64).sqrt(),
            "{mean} {wanted_mean}"
        );
        // the fourth central moment is below 6 variances squared here
        assert!(
            (variance - wanted_variance).abs() < 4.0 * wanted_variance * (5.0 / n as f64).sqrt(),
            "{variance} {wanted_variance}"
        );
        let left = drawn.iter().filter(|x| **x < -0.5).count() as f64 / n as f64;
        assert!((left - 0.3).abs() < 4.0 * (0.21 / n as f64).sqrt() + 0.001, "{left}");
        let mut best = Vec::new();
        greedy(shape, &rows, &mut best);
        assert_eq!(best, [1.0]);
    }
}
