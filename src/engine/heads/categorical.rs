//! The categorical head: log-probability, entropy and divergence of `softmax(logits)`, with their
//! gradients, on plain slices.
//!
//! `logits` is row-major, `outcomes` numbers a row. All results are in nats. A logit of −∞ is an
//! outcome of probability 0: it contributes 0 to entropies and divergences and gets gradient 0. The
//! largest logit is subtracted before `exp`, so nothing overflows.

use crate::engine::numeric::float::Float;
use crate::engine::numeric::kernels::Inlined;

/// `log softmax(logits)`, row by row.
pub fn log_probabilities<E: Float>(logits: &[E], outcomes: usize, out: &mut [E]) {
    vectorised(
        outcomes,
        #[inline(always)]
        |n| {
            for (z, out) in logits.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
                let mut largest = E::NEG_INFINITY;
                for &z in z {
                    largest = if z > largest { z } else { largest };
                }
                for (out, &z) in out.iter_mut().zip(z) {
                    *out = z - largest;
                }
            }
            let mut totals = [E::ZERO; BUFFER];
            let mut buffer = Buffer::new(n);
            for out in out.chunks_mut(buffer.len()) {
                let weights = buffer.exp(out);
                let totals = &mut totals[..weights.len() / n];
                for (total, weights) in totals.iter_mut().zip(weights.chunks_exact(n)) {
                    *total = E::ZERO;
                    for &weight in weights {
                        *total += weight;
                    }
                }
                for total in totals.iter_mut() {
                    *total = total.ln();
                }
                for (out, &log_total) in out.chunks_exact_mut(n).zip(totals.iter()) {
                    for out in out {
                        *out -= log_total;
                    }
                }
            }
        },
    );
}

/// `log p(action)` and `H(p) = −Σ p log p` of every row.
pub fn log_prob_and_entropy<E: Float>(
    log_p: &[E],
    outcomes: usize,
    actions: &[u32],
    log_prob: &mut [E],
    entropy: &mut [E],
) {
    log_probs(log_p, outcomes, actions, log_prob);
    entropies(log_p, outcomes, entropy);
}

/// `log p(action)` of every row.
pub fn log_probs<E: Float>(log_p: &[E], outcomes: usize, actions: &[u32], out: &mut [E]) {
    for ((log_p, &action), log_prob) in log_p.chunks_exact(outcomes).zip(actions).zip(out) {
        *log_prob = log_p[action as usize];
    }
}

/// `H(p) = −Σ p log p` of every row.
pub fn entropies<E: Float>(log_p: &[E], outcomes: usize, out: &mut [E]) {
    vectorised(
        outcomes,
        #[inline(always)]
        |n| {
            let mut buffer = Buffer::new(n);
            for (log_p, out) in log_p.chunks(buffer.len()).zip(out.chunks_mut(buffer.rows)) {
                let p = buffer.exp(log_p);
                for ((log_p, p), out) in log_p.chunks_exact(n).zip(p.chunks_exact(n)).zip(out) {
                    *out = row_entropy(log_p, p);
                }
            }
        },
    );
}

/// Adds to `logits_gradient` the gradient of `Σ_rows w_log_prob · log p(action) + w_entropy ·
/// H(p)`: `∂ log p(a) / ∂z_j = [j = a] − p_j` and `∂H / ∂z_j = −p_j (log p_j + H)`.
pub fn add_score_gradient<E: Float>(
    log_p: &[E],
    outcomes: usize,
    actions: &[u32],
    (w_log_prob, w_entropy): (&[E], &[E]),
    logits_gradient: &mut [E],
) {
    vectorised(
        outcomes,
        #[inline(always)]
        |n| {
            let mut buffer = Buffer::new(n);
            let rows = buffer.rows;
            let weights = w_log_prob.chunks(rows).zip(w_entropy.chunks(rows));
            for ((log_p, dz), (w, v)) in
                log_p.chunks(rows * n).zip(logits_gradient.chunks_mut(rows * n)).zip(weights)
            {
                let p = buffer.exp(log_p);
                let rows = log_p.chunks_exact(n).zip(p.chunks_exact(n)).zip(dz.chunks_exact_mut(n));
                for (((log_p, p), dz), (&w, &v)) in rows.zip(w.iter().zip(v)) {
                    let entropy = row_entropy(log_p, p);
                    for ((&l, &p), dz) in log_p.iter().zip(p).zip(dz) {
                        *dz -= if p > E::ZERO { p * (w + v * (l + entropy)) } else { E::ZERO };
                    }
                }
            }
        },
    );
    for ((dz, &action), &w) in
        logits_gradient.chunks_exact_mut(outcomes).zip(actions).zip(w_log_prob)
    {
        dz[action as usize] += w;
    }
}

/// `KL(p ‖ q) = Σ p (log p − log q)` of every row; +∞ where `q` rules out what `p` does not.
pub fn divergence<E: Float>(log_p: &[E], log_q: &[E], outcomes: usize, out: &mut [E]) {
    vectorised(
        outcomes,
        #[inline(always)]
        |n| {
            let mut buffer = Buffer::new(n);
            let (rows, size) = (buffer.rows, buffer.len());
            for ((log_p, log_q), out) in
                log_p.chunks(size).zip(log_q.chunks(size)).zip(out.chunks_mut(rows))
            {
                let p = buffer.exp(log_p);
                let rows = log_p.chunks_exact(n).zip(p.chunks_exact(n)).zip(log_q.chunks_exact(n));
                for (((log_p, p), log_q), out) in rows.zip(out) {
                    *out = row_divergence(log_p, p, log_q);
                }
            }
        },
    );
}

/// Adds to `logits_gradient` (of `p`) the gradient of `Σ_rows w · KL(p ‖ q)`: `∂KL / ∂z_j = p_j
/// (log p_j − log q_j − KL)`.
pub fn add_divergence_gradient<E: Float>(
    log_p: &[E],
    log_q: &[E],
    outcomes: usize,
    w: &[E],
    logits_gradient: &mut [E],
) {
    vectorised(
        outcomes,
        #[inline(always)]
        |n| {
            let mut buffer = Buffer::new(n);
            let (rows, size) = (buffer.rows, buffer.len());
            let blocks =
                log_p.chunks(size).zip(log_q.chunks(size)).zip(logits_gradient.chunks_mut(size));
            for (((log_p, log_q), dz), w) in blocks.zip(w.chunks(rows)) {
                let p = buffer.exp(log_p);
                let rows = log_p.chunks_exact(n).zip(p.chunks_exact(n)).zip(log_q.chunks_exact(n));
                for ((((log_p, p), log_q), dz), &w) in rows.zip(dz.chunks_exact_mut(n)).zip(w) {
                    let kl = row_divergence(log_p, p, log_q);
                    for (((&l, &p), &m), dz) in log_p.iter().zip(p).zip(log_q).zip(dz) {
                        *dz += if p > E::ZERO { w * p * (l - m - kl) } else { E::ZERO };
                    }
                }
            }
        },
    );
}

/// Adds to `logits_gradient` (of `q`) the gradient of `Σ_rows w · KL(p ‖ q)`: `∂KL / ∂z_j = q_j −
/// p_j`.
pub fn add_divergence_gradient_of_second<E: Float>(
    log_p: &[E],
    log_q: &[E],
    outcomes: usize,
    w: &[E],
    logits_gradient: &mut [E],
) {
    vectorised(
        outcomes,
        #[inline(always)]
        |n| {
            let mut buffer = Buffer::new(n);
            let (rows, size) = (buffer.rows, buffer.len());
            let blocks =
                log_p.chunks(size).zip(log_q.chunks(size)).zip(logits_gradient.chunks_mut(size));
            for (((log_p, log_q), dz), w) in blocks.zip(w.chunks(rows)) {
                let difference = buffer.map(log_q.iter().zip(log_p).map(
                    #[inline(always)]
                    |(&m, &l)| m.exp() - l.exp(),
                ));
                for ((difference, dz), &w) in
                    difference.chunks_exact(n).zip(dz.chunks_exact_mut(n)).zip(w)
                {
                    for (&difference, dz) in difference.iter().zip(dz) {
                        *dz += w * difference;
                    }
                }
            }
        },
    );
}

/// Draws an outcome per row of log-probabilities by inversion; `uniforms` are in `[0, 1)`.
pub fn sample<E: Float>(log_p: &[E], outcomes: usize, uniforms: &[E], actions: &mut [u32]) {
    vectorised(
        outcomes,
        #[inline(always)]
        |n| {
            if n == 2 {
                // P(1) = 1 / (1 + exp(l₀ − l₁)), and u < P(1) without a division
                let one = E::of(1.0);
                for ((l, &u), action) in log_p.chunks_exact(2).zip(uniforms).zip(actions.iter_mut())
                {
                    *action = u32::from(u * (one + (l[0] - l[1]).exp()) < one);
                }
                return;
            }
            let mut buffer = Buffer::new(n);
            let (rows, size) = (buffer.rows, buffer.len());
            for ((log_p, u), actions) in
                log_p.chunks(size).zip(uniforms.chunks(rows)).zip(actions.chunks_mut(rows))
            {
                let p = buffer.exp(log_p);
                for ((p, &u), action) in p.chunks_exact(n).zip(u).zip(actions) {
                    let (mut sum, mut passed) = (E::ZERO, 0);
                    for &p in p {
                        sum += p;
                        passed += usize::from(sum <= u);
                    }
                    *action = if passed < n { passed } else { last_possible(p) } as u32;
                }
            }
        },
    );
}

/// The most probable outcome of every row, the first of equals.
pub fn greedy<E: Float>(logits: &[E], outcomes: usize, actions: &mut [u32]) {
    for (z, action) in logits.chunks_exact(outcomes).zip(actions) {
        let mut best = 0;
        for j in 1..outcomes {
            if z[j] > z[best] {
                best = j;
            }
        }
        *action = best as u32;
    }
}

/// Numbers that are exponentiated together, in one vectorised loop.
const BUFFER: usize = 256;

/// Room for some whole rows.
struct Buffer<E> {
    rows: usize,
    few: [E; BUFFER],
    /// A row that is longer.
    many: Vec<E>,
    outcomes: usize,
}

impl<E: Float> Buffer<E> {
    #[inline(always)]
    fn new(outcomes: usize) -> Buffer<E> {
        let many = if outcomes > BUFFER { vec![E::ZERO; outcomes] } else { Vec::new() };
        Buffer { rows: (BUFFER / outcomes).max(1), few: [E::ZERO; BUFFER], many, outcomes }
    }

    /// Numbers that fit.
    #[inline(always)]
    fn len(&self) -> usize {
        self.rows * self.outcomes
    }

    #[inline(always)]
    fn exp(&mut self, values: &[E]) -> &[E] {
        self.map(values.iter().map(
            #[inline(always)]
            |value| value.exp(),
        ))
    }

    #[inline(always)]
    fn map(&mut self, values: impl ExactSizeIterator<Item = E>) -> &[E] {
        let count = values.len();
        let into =
            if self.many.is_empty() { &mut self.few[..count] } else { &mut self.many[..count] };
        for (into, value) in into.iter_mut().zip(values) {
            *into = value;
        }
        into
    }
}

/// Runs the body with vector instructions. For few outcomes their number is a constant inside, so
/// that loops over rows vectorise.
#[inline(always)]
pub(in crate::engine) fn vectorised(outcomes: usize, mut body: impl FnMut(usize)) {
    pulp::Arch::new().dispatch(Inlined(
        #[inline(always)]
        || match outcomes {
            2 => body(2),
            3 => body(3),
            4 => body(4),
            n => body(n),
        },
    ));
}

#[inline(always)]
fn row_entropy<E: Float>(log_p: &[E], p: &[E]) -> E {
    let mut entropy = E::ZERO;
    for (&l, &p) in log_p.iter().zip(p) {
        entropy -= if p > E::ZERO { p * l } else { E::ZERO };
    }
    entropy
}

#[inline(always)]
fn row_divergence<E: Float>(log_p: &[E], p: &[E], log_q: &[E]) -> E {
    let mut kl = E::ZERO;
    for ((&l, &p), &m) in log_p.iter().zip(p).zip(log_q) {
        kl += if p > E::ZERO { p * (l - m) } else { E::ZERO };
    }
    kl
}

/// What is drawn where rounding leaves a remainder after the last outcome.
fn last_possible<E: Float>(p: &[E]) -> usize {
    p.iter().rposition(|&p| p > E::ZERO).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::testing::{assert_gradient, numbers};

    const ROWS: usize = 5;

    fn log_p(logits: &[f64], outcomes: usize) -> Vec<f64> {
        let mut out = vec![0.0; logits.len()];
        log_probabilities(logits, outcomes, &mut out);
        out
    }

    #[test]
    fn score_gradients_are_differences() {
        for outcomes in [1, 2, 3, 7] {
            let logits: Vec<f64> = numbers(ROWS * outcomes, 1).iter().map(|x| 3.0 * x).collect();
            let actions: Vec<u32> = (0..ROWS).map(|row| (row * 3 % outcomes) as u32).collect();
            let (w, v) = (numbers(ROWS, 2), numbers(ROWS, 3));
            let value = |logits: &[f64]| {
                let (mut a, mut h) = (vec![0.0; ROWS], vec![0.0; ROWS]);
                log_prob_and_entropy(&log_p(logits, outcomes), outcomes, &actions, &mut a, &mut h);
                (0..ROWS).map(|row| w[row] * a[row] + v[row] * h[row]).sum()
            };
            let mut gradient = vec![0.0; logits.len()];
            add_score_gradient(
                &log_p(&logits, outcomes),
                outcomes,
                &actions,
                (&w, &v),
                &mut gradient,
            );
            assert_gradient(&logits, &gradient, value);
        }
    }

    #[test]
    fn divergence_gradients_are_differences() {
        let outcomes = 3;
        let (p, q, w) =
            (numbers(ROWS * outcomes, 1), numbers(ROWS * outcomes, 2), numbers(ROWS, 3));
        let value = |p: &[f64], q: &[f64]| {
            let mut kl = vec![0.0; ROWS];
            divergence(&log_p(p, outcomes), &log_p(q, outcomes), outcomes, &mut kl);
            assert!(kl.iter().all(|&kl| kl > 0.0));
            kl.iter().zip(&w).map(|(kl, w)| kl * w).sum()
        };
        let (log_p, log_q) = (log_p(&p, outcomes), log_p(&q, outcomes));
        let (mut first, mut second) = (vec![0.0; p.len()], vec![0.0; p.len()]);
        add_divergence_gradient(&log_p, &log_q, outcomes, &w, &mut first);
        add_divergence_gradient_of_second(&log_p, &log_q, outcomes, &w, &mut second);
        assert_gradient(&p, &first, |p| value(p, &q));
        assert_gradient(&q, &second, |q| value(&p, q));
    }

    #[test]
    fn impossible_outcomes_and_large_logits_are_safe() {
        let logits = [0.0, f64::NEG_INFINITY, 0.0, 1e4, -1e4, 1e4];
        let log_p = log_p(&logits, 3);
        assert!(
            (log_p[0] + 2f64.ln()).abs() < 1e-12
                && log_p[1] == f64::NEG_INFINITY
                && (log_p[3] + 2f64.ln()).abs() < 1e-12
        );
        let (mut a, mut h) = ([0.0; 2], [0.0; 2]);
        log_prob_and_entropy(&log_p, 3, &[0, 2], &mut a, &mut h);
        assert!(h.iter().all(|h| (h - 2f64.ln()).abs() < 1e-12));
        let mut gradient = [0.0; 6];
        add_score_gradient(&log_p, 3, &[0, 2], (&[1.0, 1.0], &[1.0, 1.0]), &mut gradient);
        assert!(gradient.iter().all(|g| g.is_finite()) && gradient[1] == 0.0);
        let mut kl = [0.0; 2];
        divergence(&log_p, &[-3f64.ln(); 6], 3, &mut kl);
        assert!(kl.iter().all(|kl| (kl - 1.5f64.ln()).abs() < 1e-12));
        divergence(&[-3f64.ln(); 6], &log_p, 3, &mut kl);
        assert_eq!(kl[0], f64::INFINITY);
    }

    #[test]
    fn draws_have_the_probabilities() {
        let many: Vec<f64> = numbers(150, 7);
        for logits in
            [vec![0.3, -0.5], vec![0.3, f64::NEG_INFINITY, -0.5, 1.0, f64::NEG_INFINITY], many]
        {
            let outcomes = logits.len();
            let log_p = log_p(&logits, outcomes);
            // uniforms on a grid: frequencies are exact to the grid's width
            let n = 10_000;
            let uniforms: Vec<f64> = (0..n).map(|i| (f64::from(i) + 0.5) / f64::from(n)).collect();
            let mut actions = vec![0; uniforms.len()];
            sample(&log_p.repeat(uniforms.len()), outcomes, &uniforms, &mut actions);
            for (j, l) in log_p.iter().enumerate() {
                let frequency =
                    actions.iter().filter(|&&a| a as usize == j).count() as f64 / f64::from(n);
                assert!(
                    (frequency - l.exp()).abs() <= 1.5 / f64::from(n),
                    "outcome {j}: {frequency}"
                );
            }
            let mut best = [9];
            greedy(&logits, outcomes, &mut best);
            let best = best[0] as usize;
            assert!(logits.iter().enumerate().all(|(j, &z)| z < logits[best] || j >= best));
        }
    }
}
