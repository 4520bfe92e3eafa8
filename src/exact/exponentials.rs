//! Exponentials and logarithms of many numbers at once, in loops that vectorise. Within 2 units in the last place of the true value, and the same
//! bits on every machine: no fused multiply-add, no order of summation that follows the width of a vector. The loops are counted, since what
//! iterators call is not inlined into a function for other instructions.

use super::evidence::log_sum_exp;

/// Below this [`exp`] is 0: e^−700 is about 1e−304.
const LOWEST: f64 = -700.0;

/// `out = exp(x − shift)`, 0 below e^−700. A NaN stays.
pub(super) fn exponentials(values: &[f64], shift: f64, out: &mut [f64]) {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            let count = values.len().min(out.len());
            let (values, out) = (&values[..count], &mut out[..count]);
            for at in 0..count {
                out[at] = exp(values[at] - shift);
            }
        },
    );
}

/// The logarithms of numbers that are at least [`f64::MIN_POSITIVE`], in place. A NaN stays.
pub(super) fn logarithms(values: &mut [f64]) {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            for at in 0..values.len() {
                values[at] = log(values[at]);
            }
        },
    );
}

/// `log Σ exp` of many short lists, some hundred numbers at a time.
#[derive(Default)]
pub(super) struct LogSums {
    values: Vec<f64>,
    lists: Vec<List>,
    sums: Vec<f64>,
}

#[derive(Clone, Copy)]
struct List {
    to: usize,
    end: usize,
    high: f64,
}

/// Numbers that are computed at once: they fit the first cache.
const BLOCK: usize = 1024;

impl LogSums {
    /// Will write `log Σ exp` of a list to `out[to]`, at the latest at [`LogSums::finish`].
    #[inline]
    pub fn add(&mut self, to: usize, list: &[f64], out: &mut [f64]) {
        let mut high = f64::NEG_INFINITY;
        for &x in list {
            high = if x > high { x } else { high };
        }
        if !high.is_finite() {
            out[to] = log_sum_exp(list);
            return;
        }
        if self.values.len() + list.len() > BLOCK {
            self.finish(out);
        }
        self.values.extend(list.iter().map(|x| x - high));
        self.lists.push(List { to, end: self.values.len(), high });
    }

    pub fn finish(&mut self, out: &mut [f64]) {
        self.sums.resize(self.lists.len(), 0.0);
        let (values, lists, sums) = (&mut self.values[..], &self.lists[..], &mut self.sums[..]);
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                for at in 0..values.len() {
                    values[at] = exp(values[at]);
                }
                let mut from = 0;
                for at in 0..lists.len().min(sums.len()) {
                    let mut sum = 0.0;
                    while from < lists[at].end {
                        sum += values[from];
                        from += 1;
                    }
                    sums[at] = sum;
                }
                for at in 0..sums.len() {
                    sums[at] = log(sums[at]);
                }
            },
        );
        lists.iter().zip(sums).for_each(|(list, sum)| out[list.to] = list.high + *sum);
        self.values.clear();
        self.lists.clear();
    }
}

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
    for factorial in [479_001_600.0, 39_916_800.0, 3_628_800.0, 362_880.0, 40_320.0, 5_040.0, 720.0, 120.0, 24.0, 6.0, 2.0] {
        sum = sum * r + 1.0 / factorial;
    }
    let y = (sum * r) * r + r + 1.0;
    let power = f64::from_bits(shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(1023) << 52);
    if x < LOWEST { 0.0 } else { y * power }
}

// the polynomial of fdlibm's `e_log.c`
#[inline(always)]
fn log(x: f64) -> f64 {
    let bits = x.to_bits();
    // the exponent that leaves a mantissa in [√½, √2)
    let moved = bits.wrapping_sub(std::f64::consts::FRAC_1_SQRT_2.to_bits());
    let mantissa = f64::from_bits((moved & 0x000f_ffff_ffff_ffff) + std::f64::consts::FRAC_1_SQRT_2.to_bits());
    // an exponent from −1022 to 1024 as a number, by its place in that of 2⁵²
    let biased = (moved >> 52).wrapping_add(2048) & 0xfff;
    let k = f64::from_bits(biased | 4_503_599_627_370_496f64.to_bits()) - (4_503_599_627_370_496.0 + 2048.0);
    let f = mantissa - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let w = z * z;
    let even = w * (3.999_999_999_940_942e-1 + w * (2.222_219_843_214_978_4e-1 + w * 1.531_383_769_920_937_3e-1));
    let odd =
        z * (6.666_666_666_666_735e-1 + w * (2.857_142_874_366_239e-1 + w * (1.818_357_216_161_805e-1 + w * 1.479_819_860_511_658_6e-1)));
    let half = 0.5 * f * f;
    let y = k * LN_2[0] - ((half - (s * (half + odd + even) + k * LN_2[1])) - f);
    if x > 0.0 { y } else { f64::NAN }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest error in units in the last place.
    fn worst(points: impl Iterator<Item = f64>, f: impl Fn(f64) -> f64, truth: impl Fn(f64) -> f64) -> f64 {
        points.map(|x| (f(x) - truth(x)).abs() / (truth(x).abs() * f64::EPSILON).max(f64::MIN_POSITIVE)).fold(0.0, f64::max)
    }

    #[test]
    fn exp_and_log_are_within_two_units() {
        let spread = |lo: f64, hi: f64| (0..200_000).map(move |i| lo + (hi - lo) * (i as f64 / 199_999.0));
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
            .map(|i| (0..i % 5).map(|j| if (i + j) % 11 == 0 { f64::NEG_INFINITY } else { f64::from(i * j % 17) - 900.0 }).collect())
            .collect();
        let (mut sums, mut out) = (LogSums::default(), vec![0.0; lists.len()]);
        lists.iter().enumerate().for_each(|(to, list)| sums.add(to, list, &mut out));
        sums.finish(&mut out);
        for (list, sum) in lists.iter().zip(out) {
            let alone = log_sum_exp(list);
            assert!(alone == sum || (alone - sum).abs() < 1e-12, "{list:?}: {alone}, {sum}");
        }
        let mut out = [0.0; 2];
        sums.add(0, &[1.0, f64::NAN], &mut out);
        sums.add(1, &[f64::INFINITY, 1.0], &mut out);
        sums.finish(&mut out);
        assert!(out[0].is_nan() && !out[1].is_finite(), "{out:?}");
    }
}
