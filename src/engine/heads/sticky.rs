//! The sticky head `m = (1 − k) softmax(z) + k [· = last]`, the persistence of an option (Sutton,
//! Precup and Singh 1999), on plain slices: log-probabilities, and gradients back to the logits `z`
//! and to `k`. Where `last` is `none` (the number of outcomes) `m = softmax(z)`.

use crate::engine::heads::categorical;
use crate::engine::numeric::float::Float;

/// What a network computed, and where each row stays; `keep` has one number a row.
#[derive(Clone, Copy)]
pub struct Rows<'a, E> {
    pub fresh: &'a [E],
    pub keep: &'a [E],
    pub last: &'a [u32],
    pub outcomes: usize,
}

/// Rows that are worked on together.
const BLOCK: usize = 64;

/// `log m`, row by row.
pub fn log_probabilities<E: Float>(rows: Rows<E>, out: &mut [E]) {
    categorical::log_probabilities(rows.fresh, rows.outcomes, out);
    persist(rows, out);
}

/// Turns `log softmax(z)` into `log m`.
pub fn persist<E: Float>(rows: Rows<E>, out: &mut [E]) {
    categorical::vectorised(
        rows.outcomes,
        #[inline(always)]
        |n| {
            let blocks =
                rows.keep.chunks(BLOCK).zip(rows.last.chunks(BLOCK)).zip(out.chunks_mut(BLOCK * n));
            for ((keep, last), out) in blocks {
                // where nothing is held both are log 1
                let (mut leave, mut stays) = ([E::ONE; BLOCK], [E::ZERO; BLOCK]);
                for ((stays, &last), out) in stays.iter_mut().zip(last).zip(out.chunks_exact(n)) {
                    *stays = if (last as usize) < n { out[last as usize] } else { E::ZERO };
                }
                for stays in stays.iter_mut() {
                    *stays = stays.exp();
                }
                for (((leave, stays), &keep), &last) in
                    leave.iter_mut().zip(stays.iter_mut()).zip(keep).zip(last)
                {
                    *leave = if (last as usize) < n { E::ONE - keep } else { E::ONE };
                    *stays = keep + *leave * *stays;
                }
                for (leave, stays) in leave.iter_mut().zip(stays.iter_mut()) {
                    *leave = leave.ln();
                    *stays = stays.ln();
                }
                for (((out, &last), &leave), &stays) in
                    out.chunks_exact_mut(n).zip(last).zip(&leave).zip(&stays)
                {
                    for log_f in out.iter_mut() {
                        *log_f += leave;
                    }
                    if (last as usize) < n {
                        out[last as usize] = stays;
                    }
                }
            }
        },
    );
}

/// Adds the gradient of `Σ_rows w_log_prob · log m(drawn) + w_entropy · H(m)`. With `g_j` that of
/// `m_j`, `f = softmax(z)`: `∂/∂z_i = (1 − k) f_i (g_i − Σ_j f_j g_j)` and `∂/∂k = g_last − Σ_j f_j
/// g_j`. `w_entropy` may be empty: all 0. `log_f` is `log softmax(z)`.
pub fn add_score_gradient<E: Float>(
    rows: Rows<E>,
    (log_f, log_m): (&[E], &[E]),
    drawn: &[u32],
    (w_log_prob, w_entropy): (&[E], &[E]),
    (fresh_gradient, keep_gradient): (&mut [E], &mut [E]),
) {
    let mut f = vec![E::ZERO; rows.fresh.len()];
    // of what was drawn, `w / m`
    let mut of_drawn = vec![E::ZERO; drawn.len()];
    let mut g = vec![E::ZERO; rows.fresh.len()];
    categorical::vectorised(
        rows.outcomes,
        #[inline(always)]
        |n| {
            for (f, log_f) in f.iter_mut().zip(log_f) {
                *f = log_f.exp();
            }
            for ((of_drawn, &drawn), log_m) in
                of_drawn.iter_mut().zip(drawn).zip(log_m.chunks_exact(n))
            {
                *of_drawn = E::ZERO - log_m[drawn as usize];
            }
            for (of_drawn, &w) in of_drawn.iter_mut().zip(w_log_prob) {
                let inverse = of_drawn.exp();
                *of_drawn = if w != E::ZERO { w * inverse } else { E::ZERO };
            }
            // nothing to do where no entropy is weighed
            for ((g, log_m), &v) in g.chunks_exact_mut(n).zip(log_m.chunks_exact(n)).zip(w_entropy)
            {
                for (g, &log_m) in g.iter_mut().zip(log_m) {
                    // what cannot be drawn has no gradient
                    *g = if log_m > E::NEG_INFINITY {
                        E::ZERO - v * (log_m + E::ONE)
                    } else {
                        E::ZERO
                    };
                }
            }
            for ((g, &drawn), &of_drawn) in g.chunks_exact_mut(n).zip(drawn).zip(&of_drawn) {
                g[drawn as usize] += of_drawn;
            }
            let held = rows.keep.iter().zip(rows.last);
            let into = fresh_gradient.chunks_exact_mut(n).zip(keep_gradient.iter_mut());
            for (((f, g), (&keep, &last)), (into, keep_gradient)) in
                f.chunks_exact(n).zip(g.chunks_exact(n)).zip(held).zip(into)
            {
                let mut mean = E::ZERO;
                for (&f, &g) in f.iter().zip(g) {
                    mean += f * g;
                }
                let stays = (last as usize) < n;
                let leave = if stays { E::ONE - keep } else { E::ONE };
                for ((into, &f), &g) in into.iter_mut().zip(f).zip(g) {
                    *into += leave * f * (g - mean);
                }
                if stays {
                    *keep_gradient += g[last as usize] - mean;
                }
            }
        },
    );
}

/// The Fisher metric applied to tangents `(ż, k̇)`: with
/// `ṁ = (1 − k) f ∘ (ż − f·ż) + k̇ ([· = last] − f)` and `g = ṁ / m`, its parts are
/// `(1 − k) f ∘ (g − f·g)` and `g_last − f·g`. `log_m` are the rows of [`log_probabilities`].
pub fn metric<E: Float>(
    rows: Rows<E>,
    log_m: &[E],
    (of_fresh, of_keep): (&[E], &[E]),
    out: &mut [Vec<E>],
) {
    let n = rows.outcomes;
    let mut log_f = vec![E::ZERO; rows.fresh.len()];
    categorical::log_probabilities(rows.fresh, n, &mut log_f);
    out.iter_mut().for_each(Vec::clear);
    let mut g = vec![E::ZERO; n];
    for (row, (log_f, log_m)) in log_f.chunks_exact(n).zip(log_m.chunks_exact(n)).enumerate() {
        let (keep, last) = (rows.keep[row], rows.last[row] as usize);
        let stays = last < n;
        let (leave, of_keep) =
            if stays { (E::ONE - keep, of_keep[row]) } else { (E::ONE, E::ZERO) };
        let dot = |values: &[E]| {
            let mut sum = E::ZERO;
            log_f.iter().zip(values).for_each(|(&log_f, &value)| sum += log_f.exp() * value);
            sum
        };
        let tangent = &of_fresh[row * n..(row + 1) * n];
        let mean = dot(tangent);
        for (outcome, g) in g.iter_mut().enumerate() {
            let f = log_f[outcome].exp();
            let held = if outcome == last { E::ONE } else { E::ZERO };
            let moved = leave * f * (tangent[outcome] - mean) + of_keep * (held - f);
            let m = log_m[outcome].exp();
            // what cannot be drawn has no gradient
            *g = if m > E::ZERO { moved / m } else { E::ZERO };
        }
        let mean = dot(&g);
        out[0].extend(log_f.iter().zip(&g).map(|(&log_f, &g)| leave * log_f.exp() * (g - mean)));
        out[1].push(if stays { g[last] - mean } else { E::ZERO });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::testing::{assert_gradient, numbers};

    const ROWS: usize = 5;
    const N: usize = 3;
    const LAST: [u32; ROWS] = [0, 2, 3, 1, 3];
    const DRAWN: [u32; ROWS] = [0, 1, 2, 1, 0];

    fn value(fresh: &[f64], keep: &[f64], (w, v): (&[f64], &[f64])) -> f64 {
        let mut log_m = vec![0.0; ROWS * N];
        log_probabilities(Rows { fresh, keep, last: &LAST, outcomes: N }, &mut log_m);
        let mut entropies = vec![0.0; ROWS];
        categorical::entropies(&log_m, N, &mut entropies);
        (0..ROWS)
            .map(|row| w[row] * log_m[row * N + DRAWN[row] as usize] + v[row] * entropies[row])
            .sum()
    }

    #[test]
    fn probabilities_stay_and_sum_to_one() {
        let (fresh, keep) = (numbers(ROWS * N, 1), vec![0.75; ROWS]);
        let mut log_m = vec![0.0; ROWS * N];
        log_probabilities(
            Rows { fresh: &fresh, keep: &keep, last: &LAST, outcomes: N },
            &mut log_m,
        );
        for (row, log_m) in log_m.chunks_exact(N).enumerate() {
            assert!((log_m.iter().map(|l| l.exp()).sum::<f64>() - 1.0).abs() < 1e-12);
            assert!(LAST[row] as usize >= N || log_m[LAST[row] as usize].exp() > 0.75);
        }
    }

    #[test]
    fn gradients_are_differences() {
        let (fresh, weights) = (numbers(ROWS * N, 1), (numbers(ROWS, 3), numbers(ROWS, 4)));
        let keep: Vec<f64> =
            numbers(ROWS, 2).iter().map(|x| 0.5 + 0.4 * x.clamp(-1.0, 1.0)).collect();
        let weights = (&weights.0[..], &weights.1[..]);
        let mut log_m = vec![0.0; ROWS * N];
        let rows = Rows { fresh: &fresh, keep: &keep, last: &LAST, outcomes: N };
        log_probabilities(rows, &mut log_m);
        let (mut of_fresh, mut of_keep) = (vec![0.0; ROWS * N], vec![0.0; ROWS]);
        let mut log_f = vec![0.0; ROWS * N];
        categorical::log_probabilities(&fresh, N, &mut log_f);
        add_score_gradient(rows, (&log_f, &log_m), &DRAWN, weights, (&mut of_fresh, &mut of_keep));
        assert_gradient(&fresh, &of_fresh, |fresh| value(fresh, &keep, weights));
        assert_gradient(&keep, &of_keep, |keep| value(&fresh, keep, weights));
    }
}
