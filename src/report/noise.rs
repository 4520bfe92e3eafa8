//! Rounding noise of the oracle's sums.

/// Differences of sums in float64 are not told from 0 below this, nats.
const NOISE: f64 = 1e-12;

/// A gap or an information as it is told to people: 0 where it is below the noise of its
/// computation. JSON keeps all digits.
pub fn without_noise(nats: f64) -> f64 {
    if nats.abs() < NOISE { 0.0 } else { nats }
}

#[cfg(test)]
mod tests {
    use super::without_noise;

    #[test]
    fn noise_is_nothing_and_nothing_else_is() {
        assert_eq!(
            [-4.4e-16, 9e-13, 2e-12, -0.5, f64::INFINITY].map(without_noise),
            [0.0, 0.0, 2e-12, -0.5, f64::INFINITY]
        );
        assert!(without_noise(-4.4e-16).is_sign_positive() && without_noise(f64::NAN).is_nan());
    }
}
