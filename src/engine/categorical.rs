//! The categorical head: log-probability, entropy and divergence of `softmax(logits)`, with their gradients, on plain slices.
//!
//! `logits` is row-major, `outcomes` numbers a row. All results are in nats. A logit of −∞ is an outcome of probability 0: it
//! contributes 0 to entropies and divergences and gets gradient 0. The largest logit is subtracted before `exp`, so nothing overflows.

use super::float::Float;

/// `log softmax(logits)`, row by row.
pub fn log_probabilities<E: Float>(logits: &[E], outcomes: usize, out: &mut [E]) {
    for (z, out) in logits.chunks_exact(outcomes).zip(out.chunks_exact_mut(outcomes)) {
        log_softmax(z, out);
    }
}

/// `log p(action)` and `H(p) = −Σ p log p` of every row.
pub fn log_prob_and_entropy<E: Float>(log_p: &[E], outcomes: usize, actions: &[u32], log_prob: &mut [E], entropy: &mut [E]) {
    for (row, log_p) in log_p.chunks_exact(outcomes).enumerate() {
        log_prob[row] = log_p[actions[row] as usize];
        entropy[row] = row_entropy(log_p);
    }
}

/// Adds to `logits_gradient` the gradient of `Σ_rows w_log_prob · log p(action) + w_entropy · H(p)`:
/// `∂ log p(a) / ∂z_j = [j = a] − p_j` and `∂H / ∂z_j = −p_j (log p_j + H)`.
pub fn add_score_gradient<E: Float>(
    log_p: &[E],
    outcomes: usize,
    actions: &[u32],
    (w_log_prob, w_entropy): (&[E], &[E]),
    logits_gradient: &mut [E],
) {
    for (row, (log_p, dz)) in log_p.chunks_exact(outcomes).zip(logits_gradient.chunks_exact_mut(outcomes)).enumerate() {
        let (w, v) = (w_log_prob[row], w_entropy[row]);
        let entropy = row_entropy(log_p);
        for (&l, dz) in log_p.iter().zip(dz.iter_mut()) {
            let p = l.exp();
            if p > E::ZERO {
                *dz -= p * (w + v * (l + entropy));
            }
        }
        dz[actions[row] as usize] += w;
    }
}

/// `KL(p ‖ q) = Σ p (log p − log q)` of every row; +∞ where `q` rules out what `p` does not.
pub fn divergence<E: Float>(log_p: &[E], log_q: &[E], outcomes: usize, out: &mut [E]) {
    for ((log_p, log_q), out) in log_p.chunks_exact(outcomes).zip(log_q.chunks_exact(outcomes)).zip(out) {
        *out = row_divergence(log_p, log_q);
    }
}

/// Adds to `logits_gradient` (of `p`) the gradient of `Σ_rows w · KL(p ‖ q)`: `∂KL / ∂z_j = p_j (log p_j − log q_j − KL)`.
pub fn add_divergence_gradient<E: Float>(log_p: &[E], log_q: &[E], outcomes: usize, w: &[E], logits_gradient: &mut [E]) {
    let rows = log_p.chunks_exact(outcomes).zip(log_q.chunks_exact(outcomes));
    for (((log_p, log_q), dz), &w) in rows.zip(logits_gradient.chunks_exact_mut(outcomes)).zip(w) {
        let kl = row_divergence(log_p, log_q);
        for ((&l, &m), dz) in log_p.iter().zip(log_q).zip(dz) {
            let p = l.exp();
            if p > E::ZERO {
                *dz += w * p * (l - m - kl);
            }
        }
    }
}

/// Adds to `logits_gradient` (of `q`) the gradient of `Σ_rows w · KL(p ‖ q)`: `∂KL / ∂z_j = q_j − p_j`.
pub fn add_divergence_gradient_of_second<E: Float>(log_p: &[E], log_q: &[E], outcomes: usize, w: &[E], logits_gradient: &mut [E]) {
    let rows = log_p.chunks_exact(outcomes).zip(log_q.chunks_exact(outcomes));
    for (((log_p, log_q), dz), &w) in rows.zip(logits_gradient.chunks_exact_mut(outcomes)).zip(w) {
        for ((&l, &m), dz) in log_p.iter().zip(log_q).zip(dz) {
            *dz += w * (m.exp() - l.exp());
        }
    }
}

/// Draws an outcome per row by inversion; `uniforms` are in `[0, 1)`.
pub fn sample<E: Float>(logits: &[E], outcomes: usize, uniforms: &[E], actions: &mut [u32]) {
    if outcomes == 2 {
        // P(1) = 1 / (1 + exp(z₀ − z₁)); u < P(1), without a division
        for ((z, &u), action) in logits.chunks_exact(2).zip(uniforms).zip(actions) {
            *action = u32::from(u * (E::ONE + (z[0] - z[1]).exp()) < E::ONE);
        }
        return;
    }
    for ((z, &u), action) in logits.chunks_exact(outcomes).zip(uniforms).zip(actions) {
        let largest = row_max(z);
        let mut total = E::ZERO;
        for &z in z {
            total += (z - largest).exp();
        }
        let mut left = u * total;
        // rounding may leave a remainder after the last outcome: then the last possible one is drawn
        let mut drawn = 0;
        for (j, &z) in z.iter().enumerate() {
            let weight = (z - largest).exp();
            if weight > E::ZERO {
                drawn = j;
                if left < weight {
                    break;
                }
                left -= weight;
            }
        }
        *action = drawn as u32;
    }
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

fn log_softmax<E: Float>(z: &[E], out: &mut [E]) {
    let largest = row_max(z);
    let mut total = E::ZERO;
    for &z in z {
        total += (z - largest).exp();
    }
    let log_total = total.ln();
    for (&z, out) in z.iter().zip(out) {
        *out = z - largest - log_total;
    }
}

fn row_max<E: Float>(z: &[E]) -> E {
    z.iter().fold(E::NEG_INFINITY, |largest, &z| largest.max(z))
}

fn row_entropy<E: Float>(log_p: &[E]) -> E {
    let mut entropy = E::ZERO;
    for &l in log_p {
        let p = l.exp();
        if p > E::ZERO {
            entropy -= p * l;
        }
    }
    entropy
}

fn row_divergence<E: Float>(log_p: &[E], log_q: &[E]) -> E {
    let mut kl = E::ZERO;
    for (&l, &m) in log_p.iter().zip(log_q) {
        let p = l.exp();
        if p > E::ZERO {
            kl += p * (l - m);
        }
    }
    kl
}
