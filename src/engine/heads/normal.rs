//! The normal head: log-density, entropy and divergence of independent normals, with their
//! gradients, on plain slices.
//!
//! `mean` and `sd` are row-major, `width` numbers a row; `sd` is greater than 0. All results are in
//! nats. A squashed normal has the same gradients and divergences: its change of variables reads no
//! parameter.

use crate::engine::numeric::float::Float;
use std::f64::consts::PI;

/// `log N(x; mean, sd)` of every row.
pub fn log_densities<E: Float>((mean, sd): (&[E], &[E]), width: usize, x: &[E], out: &mut [E]) {
    let constant = E::of(-0.5 * (2.0 * PI).ln());
    let half = E::of(0.5);
    let rows = mean.chunks_exact(width).zip(sd.chunks_exact(width)).zip(x.chunks_exact(width));
    for (((mean, sd), x), out) in rows.zip(out) {
        *out = E::ZERO;
        for ((&mean, &sd), &x) in mean.iter().zip(sd).zip(x) {
            let z = (x - mean) / sd;
            *out += constant - half * z * z - sd.ln();
        }
    }
}

/// `H = Σ log sd + ½ log 2πe` of every row.
pub fn entropies<E: Float>(sd: &[E], width: usize, out: &mut [E]) {
    let constant = E::of(0.5 * (2.0 * PI * std::f64::consts::E).ln());
    for (sd, out) in sd.chunks_exact(width).zip(out) {
        *out = E::ZERO;
        sd.iter().for_each(|&sd| *out += constant + sd.ln());
    }
}

/// Adds to the gradients of means and deviations that of `Σ_rows w_log_prob · log N(x) + w_entropy
/// · H`: `∂ log N / ∂mean = z / sd`, `∂ log N / ∂sd = (z² − 1) / sd`, `∂H / ∂sd = 1 / sd`, where `z
/// = (x − mean) / sd`.
pub fn add_score_gradient<E: Float>(
    (mean, sd): (&[E], &[E]),
    width: usize,
    x: &[E],
    (w_log_prob, w_entropy): (&[E], &[E]),
    (mean_gradient, sd_gradient): (&mut [E], &mut [E]),
) {
    for (at, ((&mean, &sd), &x)) in mean.iter().zip(sd).zip(x).enumerate() {
        let (w, v) = (w_log_prob[at / width], w_entropy[at / width]);
        let z = (x - mean) / sd;
        mean_gradient[at] += w * z / sd;
        sd_gradient[at] += (w * (z * z - E::of(1.0)) + v) / sd;
    }
}

/// `KL(q ‖ p) = Σ log(sd_p / sd_q) + (sd_q² + (mean_q − mean_p)²) / (2 sd_p²) − ½` of every row.
pub fn divergences<E: Float>(q: (&[E], &[E]), p: (&[E], &[E]), width: usize, out: &mut [E]) {
    let half = E::of(0.5);
    for (row, out) in out.iter_mut().enumerate() {
        *out = E::ZERO;
        for at in row * width..(row + 1) * width {
            let (sd_q, sd_p, apart) = (q.1[at], p.1[at], q.0[at] - p.0[at]);
            *out +=
                (sd_p / sd_q).ln() + half * (sd_q * sd_q + apart * apart) / (sd_p * sd_p) - half;
        }
    }
}

/// Adds to the gradients of `q`'s means and deviations that of `Σ_rows w · KL(q ‖ p)`.
pub fn add_divergence_gradient<E: Float>(
    q: (&[E], &[E]),
    p: (&[E], &[E]),
    width: usize,
    w: &[E],
    (mean, sd): (&mut [E], &mut [E]),
) {
    for at in 0..q.0.len() {
        let (w, precision) = (w[at / width], E::of(1.0) / (p.1[at] * p.1[at]));
        mean[at] += w * (q.0[at] - p.0[at]) * precision;
        sd[at] += w * (q.1[at] * precision - E::of(1.0) / q.1[at]);
    }
}

/// Adds to the gradients of `p`'s means and deviations that of `Σ_rows w · KL(q ‖ p)`.
pub fn add_divergence_gradient_of_second<E: Float>(
    q: (&[E], &[E]),
    p: (&[E], &[E]),
    width: usize,
    w: &[E],
    (mean, sd): (&mut [E], &mut [E]),
) {
    for at in 0..q.0.len() {
        let (w, apart, precision) =
            (w[at / width], q.0[at] - p.0[at], E::of(1.0) / (p.1[at] * p.1[at]));
        mean[at] -= w * apart * precision;
        sd[at] += w * (E::of(1.0) - (q.1[at] * q.1[at] + apart * apart) * precision) / p.1[at];
    }
}

/// `log |d tanh(u) / du| = log(1 − tanh² u)`, without cancellation.
pub fn log_slope_of_tanh<E: Float>(u: E) -> E {
    let two = E::of(2.0);
    two * (E::of(std::f64::consts::LN_2) - u - (-(two * u)).softplus())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::testing::{assert_gradient, numbers};

    const ROWS: usize = 3;
    const WIDTH: usize = 2;

    fn deviations(seed: u64) -> Vec<f64> {
        numbers(ROWS * WIDTH, seed).iter().map(|x| 1.2 + x).collect()
    }

    /// A function of means and deviations, side by side, and its gradient.
    fn assert_both(
        mean: &[f64],
        sd: &[f64],
        gradient: (Vec<f64>, Vec<f64>),
        value: impl Fn((&[f64], &[f64])) -> f64,
    ) {
        let both = [mean, sd].concat();
        assert_gradient(&both, &[gradient.0, gradient.1].concat(), |both| {
            value(both.split_at(mean.len()))
        });
    }

    #[test]
    fn score_gradients_are_differences() {
        let (mean, sd, x) = (numbers(ROWS * WIDTH, 1), deviations(2), numbers(ROWS * WIDTH, 3));
        let (w, v) = (numbers(ROWS, 4), numbers(ROWS, 5));
        let mut gradient = (vec![0.0; mean.len()], vec![0.0; mean.len()]);
        add_score_gradient((&mean, &sd), WIDTH, &x, (&w, &v), (&mut gradient.0, &mut gradient.1));
        assert_both(&mean, &sd, gradient, |normal| {
            let (mut log_p, mut h) = (vec![0.0; ROWS], vec![0.0; ROWS]);
            log_densities(normal, WIDTH, &x, &mut log_p);
            entropies(normal.1, WIDTH, &mut h);
            (0..ROWS).map(|row| w[row] * log_p[row] + v[row] * h[row]).sum()
        });
    }

    #[test]
    fn divergence_gradients_are_differences() {
        let (mean, sd, w) = (numbers(ROWS * WIDTH, 1), deviations(2), numbers(ROWS, 3));
        let (other_mean, other_sd) = (numbers(ROWS * WIDTH, 4), deviations(5));
        let value = |q: (&[f64], &[f64]), p: (&[f64], &[f64])| {
            let mut kl = vec![0.0; ROWS];
            divergences(q, p, WIDTH, &mut kl);
            assert!(kl.iter().all(|&kl| kl > 0.0));
            kl.iter().zip(&w).map(|(kl, w)| kl * w).sum::<f64>()
        };
        let (q, p) = ((&mean[..], &sd[..]), (&other_mean[..], &other_sd[..]));
        let zeros = || (vec![0.0; mean.len()], vec![0.0; mean.len()]);
        let (mut first, mut second) = (zeros(), zeros());
        add_divergence_gradient(q, p, WIDTH, &w, (&mut first.0, &mut first.1));
        add_divergence_gradient_of_second(q, p, WIDTH, &w, (&mut second.0, &mut second.1));
        assert_both(&mean, &sd, first, |q| value(q, p));
        assert_both(&other_mean, &other_sd, second, |p| value(q, p));
    }

    #[test]
    fn the_entropy_is_the_mean_of_minus_the_log_density() {
        let (mean, sd) = ([0.3], [0.7]);
        // the midpoint rule over ten deviations
        let n = 20_000;
        let step = 14.0 / f64::from(n);
        let mut sum = 0.0;
        for i in 0..n {
            let x = [mean[0] - 7.0 + (f64::from(i) + 0.5) * step];
            let mut log_p = [0.0];
            log_densities((&mean, &sd), 1, &x, &mut log_p);
            sum -= log_p[0].exp() * log_p[0] * step;
        }
        let mut h = [0.0];
        entropies(&sd, 1, &mut h);
        assert!((h[0] - sum).abs() < 1e-9, "{} {sum}", h[0]);
    }

    #[test]
    fn the_slope_of_tanh_is_its_derivative() {
        for u in [-3.0, -0.4, 0.0, 1.7] {
            let slope: f64 = 1.0 - f64::tanh(u) * f64::tanh(u);
            assert!((log_slope_of_tanh(u) - slope.ln()).abs() < 1e-12);
        }
        // 1 − tanh² is 0 in f64 here
        assert!((log_slope_of_tanh(30.0f64) - (4f64.ln() - 60.0)).abs() < 1e-12);
    }
}
