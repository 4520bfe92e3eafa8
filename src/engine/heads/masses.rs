//! Mixtures of categoricals `m = Σ_k w_k softmax(z_k) / Σ_k w_k` on plain slices:
//! log-probabilities, gradients back to the weights `w` and the logits `z`, and derivatives along a
//! direction.
//!
//! A part whose weight is 0 is not looked at, so that its logits may be none. What has no mass has
//! the log-probability −∞ and no gradient.

use crate::engine::heads::categorical;
use crate::engine::numeric::float::Float;

/// What a network computed, part by part: a weight a row, and `outcomes` logits a row.
#[derive(Clone, Copy)]
pub struct Parts<'a, E> {
    pub weights: &'a [&'a [E]],
    pub logits: &'a [&'a [E]],
    pub outcomes: usize,
}

/// What is known of the parts of a row.
struct Row<E> {
    /// `w`
    weights: Vec<E>,
    total: E,
    /// `log softmax(z)`, part by part; of a part without weight −∞.
    log_parts: Vec<E>,
}

impl<E: Float> Row<E> {
    fn new(of: Parts<E>) -> Row<E> {
        let count = of.weights.len();
        Row {
            weights: vec![E::ZERO; count],
            total: E::ZERO,
            log_parts: vec![E::ZERO; count * of.outcomes],
        }
    }

    fn read(&mut self, of: Parts<E>, row: usize) {
        let n = of.outcomes;
        self.total = E::ZERO;
        let parts = self.weights.iter_mut().zip(self.log_parts.chunks_exact_mut(n));
        for ((weight, log_part), (weights, logits)) in parts.zip(of.weights.iter().zip(of.logits)) {
            *weight = weights[row];
            self.total += *weight;
            if *weight == E::ZERO {
                log_part.fill(E::NEG_INFINITY);
            } else {
                categorical::log_probabilities(&logits[row * n..(row + 1) * n], n, log_part);
            }
        }
    }

    /// `log softmax(z)` of a part.
    fn log_part(&self, part: usize) -> &[E] {
        let n = self.log_parts.len() / self.weights.len();
        &self.log_parts[part * n..(part + 1) * n]
    }
}

/// `log m`, row by row; NaN where weights are none, or are all 0.
pub fn mix<E: Float>(of: Parts<E>, out: &mut [E]) {
    let mut row = Row::new(of);
    let mut joint = vec![E::ZERO; of.weights.len()];
    for (at, out) in out.chunks_exact_mut(of.outcomes).enumerate() {
        row.read(of, at);
        let log_total = row.total.ln();
        for (outcome, out) in out.iter_mut().enumerate() {
            let mut greatest = E::NEG_INFINITY;
            for (part, (joint, &weight)) in joint.iter_mut().zip(&row.weights).enumerate() {
                *joint = if weight == E::ZERO {
                    E::NEG_INFINITY
                } else {
                    weight.ln() + row.log_part(part)[outcome]
                };
                greatest = Float::max(greatest, *joint);
            }
            if joint.iter().all(|&joint| joint == E::NEG_INFINITY) {
                *out = E::NEG_INFINITY - log_total;
                continue;
            }
            let mut sum = E::ZERO;
            for &joint in &joint {
                sum += (joint - greatest).exp();
            }
            *out = greatest + sum.ln() - log_total;
        }
    }
}

/// Adds to the gradients of all weights, then of all logits, that of `Σ dz · log m`. With `f_k` a
/// part and `r_k = w_k f_k / Σ w f` its share of an outcome,
/// `∂/∂w_k = Σ_j dz_j f_kj / Σ w f_j − Σ_j dz_j / Σ w` and
/// `∂/∂z_ki = dz_i r_ki − f_ki Σ_j dz_j r_kj`.
pub fn add_gradient<E: Float>(of: Parts<E>, log_m: &[E], dz: &[E], into: &mut [Vec<E>]) {
    let (n, count) = (of.outcomes, of.weights.len());
    let (of_weights, of_logits) = into.split_at_mut(count);
    let mut row = Row::new(of);
    let mut shares = vec![E::ZERO; n];
    for (at, (log_m, dz)) in log_m.chunks_exact(n).zip(dz.chunks_exact(n)).enumerate() {
        row.read(of, at);
        let log_total = row.total.ln();
        let mut sum = E::ZERO;
        for (&log_m, &dz) in log_m.iter().zip(dz) {
            sum += if log_m > E::NEG_INFINITY { dz } else { E::ZERO };
        }
        let parts = of_weights.iter_mut().zip(of_logits.iter_mut());
        for (part, (of_weight, of_logits)) in parts.enumerate() {
            let weight = row.weights[part];
            // a weight of 0 is one by what is known before the run, or has underflowed
            if weight == E::ZERO {
                continue;
            }
            let log_part = row.log_part(part);
            let mut of_shares = E::ZERO;
            for (((share, &log_part), &log_m), &dz) in
                shares.iter_mut().zip(log_part).zip(log_m).zip(dz)
            {
                // f / Σ w f
                *share = if log_m > E::NEG_INFINITY && dz != E::ZERO {
                    dz * (log_part - log_m - log_total).exp()
                } else {
                    E::ZERO
                };
                of_shares += *share;
            }
            of_weight[at] += of_shares - sum / row.total;
            let into = &mut of_logits[at * n..(at + 1) * n];
            for ((into, &share), &log_part) in into.iter_mut().zip(&shares).zip(log_part) {
                *into += weight * (share - log_part.exp() * of_shares);
            }
        }
    }
}

/// `d log m` along `tangents`: those of all weights, then of all logits.
pub fn along<E: Float>(of: Parts<E>, log_m: &[E], tangents: &[&[E]], out: &mut [E]) {
    let (n, count) = (of.outcomes, of.weights.len());
    let (of_weights, of_logits) = tangents.split_at(count);
    let mut row = Row::new(of);
    for (at, (log_m, out)) in log_m.chunks_exact(n).zip(out.chunks_exact_mut(n)).enumerate() {
        row.read(of, at);
        let log_total = row.total.ln();
        // as the gradient has it, a part without weight does not move
        let mut moved = E::ZERO;
        for (of_weight, &weight) in of_weights.iter().zip(&row.weights) {
            moved += if weight == E::ZERO { E::ZERO } else { of_weight[at] };
        }
        out.fill(E::ZERO - moved / row.total);
        for part in 0..count {
            let weight = row.weights[part];
            if weight == E::ZERO {
                continue;
            }
            let (log_part, along) = (row.log_part(part), &of_logits[part][at * n..(at + 1) * n]);
            let mut mean = E::ZERO;
            for (&log_part, &along) in log_part.iter().zip(along) {
                mean += log_part.exp() * along;
            }
            for (((out, &log_part), &log_m), &along) in
                out.iter_mut().zip(log_part).zip(log_m).zip(along)
            {
                let ratio = (log_part - log_m - log_total).exp();
                *out += ratio * (of_weights[part][at] + weight * (along - mean));
            }
        }
        for (out, &log_m) in out.iter_mut().zip(log_m) {
            if log_m == E::NEG_INFINITY {
                *out = E::ZERO;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::testing::{assert_gradient, numbers};

    const ROWS: usize = 4;
    const N: usize = 3;

    /// The weights of two parts, then their logits, flat.
    fn values(seed: u64) -> Vec<f64> {
        let weights = numbers(2 * ROWS, seed).into_iter().map(|x| 0.2 + x * x);
        weights.chain(numbers(2 * ROWS * N, seed + 1)).collect()
    }

    fn parts(values: &[f64]) -> Vec<&[f64]> {
        let (weights, logits) = values.split_at(2 * ROWS);
        weights.chunks_exact(ROWS).chain(logits.chunks_exact(ROWS * N)).collect()
    }

    fn log_m(values: &[f64]) -> Vec<f64> {
        let all = parts(values);
        let (weights, logits) = all.split_at(2);
        let mut out = vec![0.0; ROWS * N];
        mix(Parts { weights, logits, outcomes: N }, &mut out);
        out
    }

    #[test]
    fn probabilities_are_those_of_the_parts() {
        let values = values(3);
        let all = parts(&values);
        let log_m = log_m(&values);
        for row in 0..ROWS {
            let softmax = |part: usize, outcome: usize| {
                let z = &all[2 + part][row * N..(row + 1) * N];
                z[outcome].exp() / z.iter().map(|z| z.exp()).sum::<f64>()
            };
            let (a, b) = (all[0][row], all[1][row]);
            for outcome in 0..N {
                let wanted = (a * softmax(0, outcome) + b * softmax(1, outcome)) / (a + b);
                assert!((log_m[row * N + outcome] - wanted.ln()).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn gradients_are_differences_and_agree_with_derivatives_along() {
        let (values, dz) = (values(3), numbers(ROWS * N, 9));
        let value = |values: &[f64]| log_m(values).iter().zip(&dz).map(|(l, d)| l * d).sum();
        let all = parts(&values);
        let of = Parts { weights: &all[..2], logits: &all[2..], outcomes: N };
        let mut gradient: Vec<Vec<f64>> = all.iter().map(|part| vec![0.0; part.len()]).collect();
        add_gradient(of, &log_m(&values), &dz, &mut gradient);
        assert_gradient(&values, &gradient.concat(), value);
        let direction = numbers(values.len(), 5);
        let mut out = vec![0.0; ROWS * N];
        along(of, &log_m(&values), &parts(&direction), &mut out);
        let forward: f64 = out.iter().zip(&dz).map(|(o, d)| o * d).sum();
        let backward: f64 = gradient.concat().iter().zip(&direction).map(|(g, d)| g * d).sum();
        assert!((forward - backward).abs() < 1e-12, "{forward} {backward}");
    }

    #[test]
    fn what_has_no_mass_and_what_has_no_weight_is_safe() {
        let (no, none) = (f64::NEG_INFINITY, f64::NAN);
        let of = Parts {
            weights: &[&[0.5, 0.0], &[0.5, 1.0]],
            logits: &[&[no, 0.0, no, none, none, none], &[no, 1.0, 1.0, 0.0, 0.0, no]],
            outcomes: N,
        };
        let mut log_m = [0.0; 2 * N];
        mix(of, &mut log_m);
        let wanted = [0.0, 0.75, 0.25, 0.5, 0.5, 0.0];
        assert!(log_m.iter().zip(wanted).all(|(l, p)| (l.exp() - p).abs() < 1e-12), "{log_m:?}");
        let mut gradient = vec![vec![0.0; 2], vec![0.0; 2], vec![0.0; 6], vec![0.0; 6]];
        let dz = [0.3, -0.7, 0.2, 0.9, 0.4, -0.1];
        add_gradient(of, &log_m, &dz, &mut gradient);
        assert!(gradient.concat().iter().all(|d| d.is_finite()), "{gradient:?}");
        let mut out = [0.0; 6];
        let direction: Vec<&[f64]> = vec![&[1.0; 2], &[0.5; 2], &[1.0; 6], &[-1.0; 6]];
        along(of, &log_m, &direction, &mut out);
        assert!(out.iter().all(|d| d.is_finite()), "{out:?}");
        // the one is the transpose of the other there, too
        let forward: f64 = out.iter().zip(&dz).map(|(o, d)| o * d).sum();
        let backward: f64 =
            gradient.concat().iter().zip(direction.concat()).map(|(g, d)| g * d).sum();
        assert!((forward - backward).abs() < 1e-12, "{forward} {backward}");
    }
}
