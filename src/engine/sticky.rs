//! The sticky head `m = (1 − k) softmax(z) + k [· = last]`, the persistence of an option (Sutton, Precup and Singh 1999), on plain slices:
//! log-probabilities, and gradients back to the logits `z` and to `k`. Where `last` is `none` (the number of outcomes) `m = softmax(z)`.

use super::categorical;
use super::float::Float;
use super::kernels::Inlined;

/// What a network computed, and where each row stays; `keep` has one number a row.
#[derive(Clone, Copy)]
pub struct Rows<'a, E> {
    pub fresh: &'a [E],
    pub keep: &'a [E],
    pub last: &'a [u32],
    pub outcomes: usize,
}

/// `log m`, row by row.
pub fn log_probabilities<E: Float>(rows: Rows<E>, out: &mut [E]) {
    categorical::log_probabilities(rows.fresh, rows.outcomes, out);
    vectorised(
        #[inline(always)]
        || {
            for ((&keep, &last), out) in rows.keep.iter().zip(rows.last).zip(out.chunks_exact_mut(rows.outcomes)) {
                if last as usize >= rows.outcomes {
                    continue;
                }
                let leave = E::ONE - keep;
                let stays = keep + leave * out[last as usize].exp();
                let log_leave = leave.ln();
                for log_f in out.iter_mut() {
                    *log_f += log_leave;
                }
                out[last as usize] = stays.ln();
            }
        },
    );
}

/// Adds the gradient of `Σ_rows w_log_prob · log m(drawn) + w_entropy · H(m)`. With `g_j` that of `m_j`, `f = softmax(z)`:
/// `∂/∂z_i = (1 − k) f_i (g_i − Σ_j f_j g_j)` and `∂/∂k = g_last − Σ_j f_j g_j`.
pub fn add_score_gradient<E: Float>(
    rows: Rows<E>,
    log_m: &[E],
    drawn: &[u32],
    (w_log_prob, w_entropy): (&[E], &[E]),
    (fresh_gradient, keep_gradient): (&mut [E], &mut [E]),
) {
    let n = rows.outcomes;
    let mut f = vec![E::ZERO; rows.fresh.len()];
    categorical::log_probabilities(rows.fresh, n, &mut f);
    let mut g = vec![E::ZERO; n];
    vectorised(
        #[inline(always)]
        || {
            for f in f.iter_mut() {
                *f = f.exp();
            }
            for (row, (log_m, f)) in log_m.chunks_exact(n).zip(f.chunks_exact(n)).enumerate() {
                let (w, v) = (w_log_prob[row], w_entropy[row]);
                for (g, &log_m) in g.iter_mut().zip(log_m) {
                    // what cannot be drawn has no gradient
                    *g = if log_m > E::NEG_INFINITY { E::ZERO - v * (log_m + E::ONE) } else { E::ZERO };
                }
                if w != E::ZERO {
                    g[drawn[row] as usize] += w / log_m[drawn[row] as usize].exp();
                }
                let mut mean = E::ZERO;
                for (&f, &g) in f.iter().zip(&g) {
                    mean += f * g;
                }
                let stays = (rows.last[row] as usize) < n;
                let leave = if stays { E::ONE - rows.keep[row] } else { E::ONE };
                for ((into, &f), &g) in fresh_gradient[row * n..].iter_mut().zip(f).zip(&g) {
                    *into += leave * f * (g - mean);
                }
                if stays {
                    keep_gradient[row] += g[rows.last[row] as usize] - mean;
                }
            }
        },
    );
}

/// Runs the body with the processor's vector and multiply-add instructions.
#[inline(always)]
fn vectorised(body: impl FnMut()) {
    pulp::Arch::new().dispatch(Inlined(body));
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_gradient, numbers};
    use super::*;

    const ROWS: usize = 5;
    const N: usize = 3;
    const LAST: [u32; ROWS] = [0, 2, 3, 1, 3];
    const DRAWN: [u32; ROWS] = [0, 1, 2, 1, 0];

    fn value(fresh: &[f64], keep: &[f64], (w, v): (&[f64], &[f64])) -> f64 {
        let mut log_m = vec![0.0; ROWS * N];
        log_probabilities(Rows { fresh, keep, last: &LAST, outcomes: N }, &mut log_m);
        let mut entropies = vec![0.0; ROWS];
        categorical::entropies(&log_m, N, &mut entropies);
        (0..ROWS).map(|row| w[row] * log_m[row * N + DRAWN[row] as usize] + v[row] * entropies[row]).sum()
    }

    #[test]
    fn probabilities_stay_and_sum_to_one() {
        let (fresh, keep) = (numbers(ROWS * N, 1), vec![0.75; ROWS]);
        let mut log_m = vec![0.0; ROWS * N];
        log_probabilities(Rows { fresh: &fresh, keep: &keep, last: &LAST, outcomes: N }, &mut log_m);
        for (row, log_m) in log_m.chunks_exact(N).enumerate() {
            assert!((log_m.iter().map(|l| l.exp()).sum::<f64>() - 1.0).abs() < 1e-12);
            assert!(LAST[row] as usize >= N || log_m[LAST[row] as usize].exp() > 0.75);
        }
    }

    #[test]
    fn gradients_are_differences() {
        let (fresh, weights) = (numbers(ROWS * N, 1), (numbers(ROWS, 3), numbers(ROWS, 4)));
        let keep: Vec<f64> = numbers(ROWS, 2).iter().map(|x| 0.5 + 0.4 * x.clamp(-1.0, 1.0)).collect();
        let weights = (&weights.0[..], &weights.1[..]);
        let mut log_m = vec![0.0; ROWS * N];
        let rows = Rows { fresh: &fresh, keep: &keep, last: &LAST, outcomes: N };
        log_probabilities(rows, &mut log_m);
        let (mut of_fresh, mut of_keep) = (vec![0.0; ROWS * N], vec![0.0; ROWS]);
        add_score_gradient(rows, &log_m, &DRAWN, weights, (&mut of_fresh, &mut of_keep));
        assert_gradient(&fresh, &of_fresh, |fresh| value(fresh, &keep, weights));
        assert_gradient(&keep, &of_keep, |keep| value(&fresh, keep, weights));
    }
}
