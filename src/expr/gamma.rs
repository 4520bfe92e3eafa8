//! `log Γ` and its derivatives, at positive numbers.

/// NaN where the argument is not positive.
pub fn log_gamma(x: f64) -> f64 {
    if x > 0.0 { libm::lgamma(x) } else { f64::NAN }
}

/// `ψ⁽ⁿ⁾(x)`, the derivative of `log Γ` of order `n + 1`: the recurrence in `x`, then the
/// asymptotic series (Abramowitz and Stegun 1964, 6.4.6 and 6.4.11). NaN where the argument is not
/// positive.
pub fn polygamma(order: u8, x: f64) -> f64 {
    if x.is_nan() || x <= 0.0 {
        return f64::NAN;
    }
    let n = i32::from(order);
    let sign = if n % 2 == 0 { -1.0 } else { 1.0 };
    let (mut x, mut sum) = (x, 0.0);
    // each step of the recurrence adds n! / xⁿ⁺¹, but for the sign
    while x < FAR {
        sum += x.powi(-n - 1);
        x += 1.0;
    }
    sum *= factorial(n);
    sum += 0.5 * factorial(n) * x.powi(-n - 1);
    // the first term of the series; of the digamma function it is a logarithm
    sum += if n == 0 { -x.ln() } else { factorial(n - 1) * x.powi(-n) };
    for (k, bernoulli) in (1i32..).zip(BERNOULLI) {
        // (2k + n − 1)! / (2k)!
        let ratio = if n == 0 {
            1.0 / f64::from(2 * k)
        } else {
            (2 * k + 1..2 * k + n).map(f64::from).product()
        };
        sum += bernoulli * ratio * x.powi(-2 * k - n);
    }
    sign * sum
}

/// From here on the series is exact to the last digits.
const FAR: f64 = 20.0;

/// The Bernoulli numbers of even order, from the second.
const BERNOULLI: [f64; 8] = [
    1.0 / 6.0,
    -1.0 / 30.0,
    1.0 / 42.0,
    -1.0 / 30.0,
    5.0 / 66.0,
    -691.0 / 2730.0,
    7.0 / 6.0,
    -3617.0 / 510.0,
];

fn factorial(n: i32) -> f64 {
    (1..=n).map(f64::from).product()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    #[test]
    fn known_values() {
        let euler = 0.577_215_664_901_532_9;
        let zeta_3 = 1.202_056_903_159_594_3;
        let known = [
            (0, 1.0, -euler),
            (0, 0.5, -euler - 2.0 * 2f64.ln()),
            (1, 1.0, PI * PI / 6.0),
            (1, 0.5, PI * PI / 2.0),
            (2, 1.0, -2.0 * zeta_3),
            (3, 1.0, PI.powi(4) / 15.0),
        ];
        for (order, x, wanted) in known {
            let found = polygamma(order, x);
            assert!((found - wanted).abs() < 1e-13 * wanted.abs(), "{order} {x}: {found} {wanted}");
        }
        assert!(log_gamma(-1.0).is_nan() && polygamma(0, 0.0).is_nan());
    }

    #[test]
    fn each_is_the_slope_of_the_one_before() {
        for x in [0.3, 1.0, 4.7, 19.99, 20.01, 300.0] {
            let h = 1e-5 * x;
            let slope = |f: &dyn Fn(f64) -> f64| (f(x + h) - f(x - h)) / (2.0 * h);
            let of_log = slope(&log_gamma);
            assert!((of_log - polygamma(0, x)).abs() < 1e-8 * of_log.abs().max(1.0), "{x}");
            for order in 0..3 {
                let (found, wanted) = (slope(&|x| polygamma(order, x)), polygamma(order + 1, x));
                assert!((found - wanted).abs() < 1e-7 * wanted.abs(), "{order} {x}");
            }
        }
    }
}
