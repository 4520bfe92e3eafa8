//! The two precisions of the engine, `f32` and `f64`: what a number must offer to stand in a tensor, a product and a kernel.

use dfdx::dtypes::Dtype;
use std::ops::Neg;

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// `f32` or `f64`.
pub trait Float: sealed::Sealed + Dtype + Neg<Output = Self> + std::fmt::Display {
    const ZERO: Self;
    const NEG_INFINITY: Self;
    /// How it is written in a safetensors file.
    const SAFETENSORS: safetensors::Dtype;

    fn of(value: f64) -> Self;
    fn as_f64(self) -> f64;
    fn exp(self) -> Self;
    fn ln(self) -> Self;
    fn sqrt(self) -> Self;
    fn abs(self) -> Self;
    /// `self · a + b`, rounded once.
    fn mul_add(self, a: Self, b: Self) -> Self;
    fn max(self, other: Self) -> Self;
    fn min(self, other: Self) -> Self;
    fn is_finite(self) -> bool;
    /// The scalar hyperbolic tangent that the network kernels apply: within 5 ulp of the true one in `f32`, the library's in `f64`.
    /// `FMA` says that the surroundings have fused multiply-add instructions.
    fn tanh<const FMA: bool>(self) -> Self;
    /// Appends the little-endian bytes.
    fn write_le(self, bytes: &mut Vec<u8>);
    /// Reads little-endian bytes of `size_of::<Self>()`.
    fn read_le(bytes: &[u8]) -> Self;
}

/// `a · b + c`, fused where that is one instruction.
#[inline(always)]
pub(super) fn multiply_add<E: Float, const FMA: bool>(a: E, b: E, c: E) -> E {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Rational approximation of degree 13/6, the coefficients of Eigen and XLA; free of branches, so that loops over it vectorise.
#[inline(always)]
fn tanh_rational<const FMA: bool>(x: f32) -> f32 {
    const LIMIT: f32 = 7.905_311;
    const NUMERATOR: [f32; 7] =
        [-2.760_768_5e-16, 2.000_187_9e-13, -8.604_672e-11, 5.122_297e-8, 1.485_722_4e-5, 6.372_619_3e-4, 4.893_524_6e-3];
    const DENOMINATOR: [f32; 4] = [1.198_258_4e-6, 1.185_347_1e-4, 2.268_434_6e-3, 4.893_525e-3];
    // written so that NaN passes through: a comparison with NaN is false
    let x = if x > LIMIT {
        LIMIT
    } else if x < -LIMIT {
        -LIMIT
    } else {
        x
    };
    let square = x * x;
    let polynomial = |coefficients: &[f32]| {
        let mut value = coefficients[0];
        for &c in &coefficients[1..] {
            value = multiply_add::<f32, FMA>(value, square, c);
        }
        value
    };
    x * polynomial(&NUMERATOR) / polynomial(&DENOMINATOR)
}

macro_rules! float {
    ($type:ident, $safetensors:ident, |$x:ident| $tanh:expr) => {
        impl Float for $type {
            const ZERO: Self = 0.0;
            const NEG_INFINITY: Self = $type::NEG_INFINITY;
            const SAFETENSORS: safetensors::Dtype = safetensors::Dtype::$safetensors;

            #[inline(always)]
            fn of(value: f64) -> Self {
                value as $type
            }
            #[inline(always)]
            fn as_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn exp(self) -> Self {
                $type::exp(self)
            }
            #[inline(always)]
            fn ln(self) -> Self {
                $type::ln(self)
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                $type::sqrt(self)
            }
            #[inline(always)]
            fn abs(self) -> Self {
                $type::abs(self)
            }
            #[inline(always)]
            fn mul_add(self, a: Self, b: Self) -> Self {
                $type::mul_add(self, a, b)
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                $type::max(self, other)
            }
            #[inline(always)]
            fn min(self, other: Self) -> Self {
                $type::min(self, other)
            }
            #[inline(always)]
            fn is_finite(self) -> bool {
                $type::is_finite(self)
            }
            #[inline(always)]
            fn tanh<const FMA: bool>(self) -> Self {
                let $x = self;
                $tanh
            }
            fn write_le(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }
            fn read_le(bytes: &[u8]) -> Self {
                let mut exact = [0; size_of::<$type>()];
                exact.copy_from_slice(bytes);
                $type::from_le_bytes(exact)
            }
        }
    };
}
float!(f32, F32, |x| tanh_rational::<FMA>(x));
float!(f64, F64, |x| x.tanh());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rational_tangent_is_within_a_few_ulp() {
        let mut worst: f64 = 0.0;
        for i in -90_000..=90_000 {
            let x = i as f32 * 1e-4;
            let exact = f64::from(x).tanh();
            let ulp = f64::from(f32::EPSILON) * exact.abs().max(f64::from(f32::MIN_POSITIVE)) / 2.0;
            for value in [tanh_rational::<true>(x), tanh_rational::<false>(x)] {
                worst = worst.max((f64::from(value) - exact).abs() / ulp);
                assert!(value.abs() <= 1.0, "|tanh({x})| = {value}");
            }
        }
        assert!(worst < 10.0, "{worst} half-ulp");
        assert!(tanh_rational::<true>(f32::NAN).is_nan());
    }
}
