//! Exponentials and logarithms of many numbers at once, in loops that vectorise. Within 2 units in
//! the last place of the true value, and the same bits on every machine: no fused multiply-add, no
//! order of summation that follows the width of a vector. The loops are counted, since what
//! iterators call is not inlined into a function for other instructions.

#![expect(clippy::needless_range_loop, reason = "counted loops, see above")]

/// Below this [`exp`] is 0: e^−700 is about 1e−304.
const LOWEST: f64 = -700.0;

/// `out = exp(x − shift)`, 0 below e^−700. A NaN stays.
pub(super) fn exponentials(values: &[f64], shift: f64, out: &mut [f64]) {
    pulp::Arch::new().dispatch(Exponentials { values, shift, out });
}

/// The logarithms of numbers that are at least [`f64::MIN_POSITIVE`], in place. A NaN stays.
pub(super) fn logarithms(values: &mut [f64]) {
    pulp::Arch::new().dispatch(Logarithms(values));
}

struct Exponentials<'a> {
    values: &'a [f64],
    shift: f64,
    out: &'a mut [f64],
}

impl pulp::NullaryFnOnce for Exponentials<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let count = self.values.len().min(self.out.len());
        let (values, out) = (&self.values[..count], &mut self.out[..count]);
        for at in 0..count {
            out[at] = exp(values[at] - self.shift);
        }
    }
}

struct Logarithms<'a>(&'a mut [f64]);

impl pulp::NullaryFnOnce for Logarithms<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for at in 0..self.0.len() {
            self.0[at] = log(self.0[at]);
        }
    }
}

/// The largest number, a NaN aside; 0 where there is none but −∞. Relative to +∞ every exponential
/// is 0 or a NaN, and no sum is [`SAFE`].
pub(super) fn peak(values: &[f64]) -> f64 {
    let peak = pulp::Arch::new().dispatch(Peak(values));
    if peak == f64::NEG_INFINITY { 0.0 } else { peak }
}

struct Peak<'a>(&'a [f64]);

impl pulp::NullaryFnOnce for Peak<'_> {
    type Output = f64;

    #[inline(always)]
    fn call(self) -> f64 {
        let larger = |x: f64, y: f64| if x > y { x } else { y };
        let mut highs = [f64::NEG_INFINITY; 16];
        let (chunks, rest) = self.0.as_chunks::<16>();
        for at in 0..chunks.len() {
            for lane in 0..16 {
                highs[lane] = larger(chunks[at][lane], highs[lane]);
            }
        }
        let mut high = f64::NEG_INFINITY;
        for at in 0..rest.len() {
            high = larger(rest[at], high);
        }
        for lane in 0..16 {
            high = larger(highs[lane], high);
        }
        high
    }
}

/// What is lost of a sum of exponentials that are at most 1 is below 1e−300 for each of them:
/// nothing, beside this.
pub(super) const SAFE: f64 = 1e-270;

/// `out[i] = log Σ exp` of the values from `bounds[i]` to `bounds[i + 1]`, some hundred at a time.
pub(super) fn log_sums(values: &[f64], bounds: &[u32], out: &mut [f64]) {
    let mut scratch = [0.0; BLOCK];
    let mut from = 0;
    while from < out.len() {
        let first = bounds[from] as usize;
        let many =
            bounds[from..=out.len()].partition_point(|&bound| bound as usize - first <= BLOCK);
        let to = from + many - 1;
        if to == from {
            // one that is longer than a block
            out[from] = log_sum_exp(&values[first..bounds[from + 1] as usize]);
            from += 1;
            continue;
        }
        let (bounds, out) = (&bounds[from..=to], &mut out[from..to]);
        let values = &values[first..bounds[to - from] as usize];
        let high = peak(values);
        exponentials(values, high, &mut scratch);
        let mut again = false;
        for (out, bounds) in out.iter_mut().zip(bounds.windows(2)) {
            let mut sum = 0.0;
            for x in &scratch[bounds[0] as usize - first..bounds[1] as usize - first] {
                sum += x;
            }
            *out = sum;
            again |= sum < SAFE || sum.is_nan();
        }
        if again {
            for (out, bounds) in out.iter_mut().zip(bounds.windows(2)) {
                let values = &values[bounds[0] as usize - first..bounds[1] as usize - first];
                *out = if *out >= SAFE { high + out.ln() } else { log_sum_exp(values) };
            }
        } else {
            logarithms(out);
            out.iter_mut().for_each(|out| *out += high);
        }
        from = to;
    }
}

/// Numbers that are computed at once: they fit the first cache.
const BLOCK: usize = 1024;

/// 1.5 · 2⁵²: adding it rounds to a whole number, which then stands in the low bits.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// ln 2 in two parts; the first times a whole number below 2²⁰ is exact.
const LN_2: [f64; 2] = [6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10];

#[inline(always)]
fn exp(x: f64) -> f64 {
    let clamped = x.clamp(LOWEST, 709.0);
    let shifted = clamped * std::f64::consts::LOG2_E + ROUND;
    let k = shifted - ROUND;
    let r = (clamped - k * LN_2[0]) - k * LN_2[1];
    // Taylor through r¹³ for |r| ≤ ln 2 / 2: the rest is below 2⁻⁵⁷
    let mut sum = 1.0 / 6_227_020_800.0;
    for factorial in [
        479_001_600.0,
        39_916_800.0,
        3_628_800.0,
        362_880.0,
        40_320.0,
        5_040.0,
        720.0,
        120.0,
        24.0,
        6.0,
        2.0,
    ] {
        sum = sum * r + 1.0 / factorial;
    }
    let y = (sum * r) * r + r + 1.0;
    let power =
        f64::from_bits(shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(1023) << 52);
    if x < LOWEST { 0.0 } else { y * power }
}

// the polynomial of fdlibm's `e_log.c`
#[inline(always)]
fn log(x: f64) -> f64 {
    let bits = x.to_bits();
    // the exponent that leaves a mantissa in [√½, √2)
    let moved = bits.wrapping_sub(std::f64::consts::FRAC_1_SQRT_2.to_bits());
    let mantissa =
        f64::from_bits((moved & 0x000f_ffff_ffff_ffff) + std::f64::consts::FRAC_1_SQRT_2.to_bits());
    // an exponent from −1022 to 1024 as a number, by its place in that of 2⁵²
    let biased = (moved >> 52).wrapping_add(2048) & 0xfff;
    let k = f64::from_bits(biased | 4_503_599_627_370_496f64.to_bits())
        - (4_503_599_627_370_496.0 + 2048.0);
    let f = mantissa - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let w = z * z;
    let even = w
        * (3.999_999_999_940_942e-1
            + w * (2.222_219_843_214_978_4e-1 + w * 1.531_383_769_920_937_3e-1));
    let odd = z
        * (6.666_666_666_666_735e-1
            + w * (2.857_142_874_366_239e-1
                + w * (1.818_357_216_161_805e-1 + w * 1.479_819_860_511_658_6e-1)));
    let half = 0.5 * f * f;
    let y = k * LN_2[0] - ((half - (s * (half + odd + even) + k * LN_2[1])) - f);
    if x > 0.0 { y } else { f64::NAN }
}

/// `log Σ exp`; −∞ of nothing.
pub(super) fn log_sum_exp(values: &[f64]) -> f64 {
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if high == f64::NEG_INFINITY {
        return if values.iter().any(|v| v.is_nan()) { f64::NAN } else { high };
    }
    high + values.iter().map(|value| (value - high).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest error in units in the last place.
    fn worst(
        points: impl Iterator<Item = f64>,
        f: impl Fn(f64) -> f64,
        truth: impl Fn(f64) -> f64,
    ) -> f64 {
        points
            .map(|x| {
                (f(x) - truth(x)).abs() / (truth(x).abs() * f64::EPSILON).max(f64::MIN_POSITIVE)
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn exp_and_log_are_within_two_units() {
        let spread =
            |lo: f64, hi: f64| (0..200_000).map(move |i| lo + (hi - lo) * (i as f64 / 199_999.0));
        let e = worst(spread(-700.0, 709.0).chain(spread(-1.0, 1.0)), exp, f64::exp);
        let l = worst(spread(1e-3, 4.0).chain(spread(-700.0, 700.0).map(f64::exp)), log, f64::ln);
        assert!(e < 2.0 && l < 2.0, "exp {e}, log {l}");
        assert_eq!((exp(0.0), log(1.0), exp(-701.0), exp(f64::NEG_INFINITY)), (1.0, 0.0, 0.0, 0.0));
        assert!(exp(f64::NAN).is_nan() && log(f64::NAN).is_nan());
        assert_eq!(log(f64::MIN_POSITIVE), f64::MIN_POSITIVE.ln());
    }

    #[test]
    fn lists_have_the_sums_of_each_alone() {
        let lists: Vec<Vec<f64>> = (0..3000)
            .map(|i| {
                (0..i % 5)
                    .map(|j| {
                        if (i + j) % 11 == 0 {
                            f64::NEG_INFINITY
                        } else {
                            f64::from(i * j % 17) - 900.0
                        }
                    })
                    .collect()
            })
            .collect();
        let values = lists.concat();
        let mut bounds = vec![0];
        lists.iter().for_each(|list| bounds.push(bounds[bounds.len() - 1] + list.len() as u32));
        let mut out = vec![0.0; lists.len()];
        log_sums(&values, &bounds, &mut out);
        for (list, sum) in lists.iter().zip(out) {
            let alone = log_sum_exp(list);
            assert!(alone == sum || (alone - sum).abs() < 1e-12, "{list:?}: {alone}, {sum}");
        }
    }

    #[test]
    fn a_list_far_below_its_neighbours_keeps_its_sum() {
        let values = [0.0, 1.0, -2000.0, -2001.0, f64::NEG_INFINITY, f64::NAN, 1.0, f64::INFINITY];
        let mut out = [0.0; 5];
        log_sums(&values, &[0, 2, 4, 5, 7, 8], &mut out);
        let two = (1.0 + (-1.0f64).exp()).ln();
        assert!(
            (out[0] - 1.0 - two).abs() < 1e-15 && (out[1] + 2000.0 - two).abs() < 1e-12,
            "{out:?}"
        );
        assert!(out[2] == f64::NEG_INFINITY && out[3].is_nan() && !out[4].is_finite(), "{out:?}");
        let long: Vec<f64> = (0..5000).map(|i| f64::from(i % 7)).collect();
        let mut out = [0.0; 3];
        log_sums(&long, &[0, 10, 4000, 5000], &mut out);
        assert!(
            (out[1] - log_sum_exp(&long[10..4000])).abs() < 1e-12
                && (out[2] - log_sum_exp(&long[4000..])).abs() < 1e-12,
            "{out:?}"
        );
    }
}
