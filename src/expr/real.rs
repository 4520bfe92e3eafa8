//! The numbers a compiled program computes with: `f32`, with functions that vectorise, and `f64`,
//! bit for bit as [`super::Graph::evaluate`] computes.

use super::elementary;
use std::fmt::Debug;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// Rows of a block are filled up to a multiple of this.
pub(super) const LANES: usize = 32;

/// `f32` or `f64`.
pub trait Real:
    Copy
    + Debug
    + Default
    + PartialOrd
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    const ZERO: Self;
    const ONE: Self;
    const NAN: Self;
    /// Products may be fused with sums and division by a constant may be a product: a unit in the
    /// last place, for speed.
    const CONTRACTS: bool;

    fn from_f64(value: f64) -> Self;
    fn to_f64(self) -> f64;
    /// An index, saturating.
    fn to_usize(self) -> usize;
    fn from_u32(value: u32) -> Self;
    /// Uniform in [0, 1) from 64 random bits.
    fn unit(bits: u64) -> Self;

    fn is_nan(self) -> bool;
    fn abs(self) -> Self;
    fn floor(self) -> Self;
    fn trunc(self) -> Self;
    fn sqrt(self) -> Self;
    /// `self · factor + term`; rounded once where [`Real::CONTRACTS`].
    fn multiply_add(self, factor: Self, term: Self) -> Self;
    fn exp(self) -> Self;
    fn log(self) -> Self;
    fn tan(self) -> Self;
    fn tanh(self) -> Self;
    fn softplus(self) -> Self;
    fn power(self, exponent: Self) -> Self;
    fn modulo(self, divisor: Self) -> Self;
    fn atan2(self, x: Self) -> Self;
    /// Sines and cosines of a few numbers.
    fn sin_cos(sin: &mut [Self; LANES], cos: &mut [Self; LANES], x: &[Self; LANES]);
}

impl Real for f32 {
    const ZERO: f32 = 0.0;
    const ONE: f32 = 1.0;
    const NAN: f32 = f32::NAN;
    const CONTRACTS: bool = true;

    #[inline(always)]
    fn from_f64(value: f64) -> f32 {
        value as f32
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn to_usize(self) -> usize {
        self as usize
    }
    #[inline(always)]
    fn from_u32(value: u32) -> f32 {
        value as f32
    }
    #[inline(always)]
    fn unit(bits: u64) -> f32 {
        (bits >> 40) as f32 * (1.0 / (1u64 << 24) as f32)
    }
    #[inline(always)]
    fn is_nan(self) -> bool {
        f32::is_nan(self)
    }
    #[inline(always)]
    fn abs(self) -> f32 {
        f32::abs(self)
    }
    #[inline(always)]
    fn floor(self) -> f32 {
        f32::floor(self)
    }
    #[inline(always)]
    fn trunc(self) -> f32 {
        f32::trunc(self)
    }
    #[inline(always)]
    fn sqrt(self) -> f32 {
        f32::sqrt(self)
    }
    #[inline(always)]
    fn multiply_add(self, factor: f32, term: f32) -> f32 {
        f32::mul_add(self, factor, term)
    }
    #[inline(always)]
    fn exp(self) -> f32 {
        elementary::exp(self)
    }
    #[inline(always)]
    fn log(self) -> f32 {
        elementary::log(self)
    }
    #[inline(always)]
    fn tan(self) -> f32 {
        f32::tan(self)
    }
    #[inline(always)]
    fn tanh(self) -> f32 {
        elementary::tanh(self)
    }
    #[inline(always)]
    fn softplus(self) -> f32 {
        let larger = if self > 0.0 { self } else { 0.0 };
        larger + elementary::log_1p(elementary::exp(-self.abs()))
    }
    #[inline(always)]
    fn power(self, exponent: f32) -> f32 {
        f32::powf(self, exponent)
    }
    #[inline(always)]
    fn modulo(self, divisor: f32) -> f32 {
        let remainder = (-f32::floor(self / divisor)).mul_add(divisor, self);
        // where the rounded quotient is a whole number too far
        let remainder = if remainder * divisor < 0.0 { remainder + divisor } else { remainder };
        if f32::abs(remainder) >= f32::abs(divisor) { remainder - divisor } else { remainder }
    }
    #[inline(always)]
    fn atan2(self, x: f32) -> f32 {
        f32::atan2(self, x)
    }
    #[inline(always)]
    fn sin_cos(sin: &mut [f32; LANES], cos: &mut [f32; LANES], x: &[f32; LANES]) {
        let mut large = 0;
        for i in 0..LANES {
            (sin[i], cos[i]) = elementary::sin_cos(x[i]);
            large |= u32::from(f32::abs(x[i]) > elementary::SIN_COS_LIMIT);
        }
        if large != 0 {
            (0..LANES).for_each(|i| (sin[i], cos[i]) = x[i].sin_cos());
        }
    }
}

impl Real for f64 {
    const ZERO: f64 = 0.0;
    const ONE: f64 = 1.0;
    const NAN: f64 = f64::NAN;
    const CONTRACTS: bool = false;

    #[inline(always)]
    fn from_f64(value: f64) -> f64 {
        value
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
    #[inline(always)]
    fn to_usize(self) -> usize {
        self as usize
    }
    #[inline(always)]
    fn from_u32(value: u32) -> f64 {
        f64::from(value)
    }
    #[inline(always)]
    fn unit(bits: u64) -> f64 {
        (bits >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }
    #[inline(always)]
    fn is_nan(self) -> bool {
        f64::is_nan(self)
    }
    #[inline(always)]
    fn abs(self) -> f64 {
        f64::abs(self)
    }
    #[inline(always)]
    fn floor(self) -> f64 {
        f64::floor(self)
    }
    #[inline(always)]
    fn trunc(self) -> f64 {
        f64::trunc(self)
    }
    #[inline(always)]
    fn sqrt(self) -> f64 {
        f64::sqrt(self)
    }
    #[inline(always)]
    fn multiply_add(self, factor: f64, term: f64) -> f64 {
        self * factor + term
    }
    #[inline(always)]
    fn exp(self) -> f64 {
        f64::exp(self)
    }
    #[inline(always)]
    fn log(self) -> f64 {
        f64::ln(self)
    }
    #[inline(always)]
    fn tan(self) -> f64 {
        f64::tan(self)
    }
    #[inline(always)]
    fn tanh(self) -> f64 {
        f64::tanh(self)
    }
    #[inline(always)]
    fn softplus(self) -> f64 {
        super::UnaryOp::Softplus.apply(self)
    }
    #[inline(always)]
    fn power(self, exponent: f64) -> f64 {
        super::BinaryOp::Power.apply(self, exponent)
    }
    #[inline(always)]
    fn modulo(self, divisor: f64) -> f64 {
        super::BinaryOp::Modulo.apply(self, divisor)
    }
    #[inline(always)]
    fn atan2(self, x: f64) -> f64 {
        f64::atan2(self, x)
    }
    #[inline(always)]
    fn sin_cos(sin: &mut [f64; LANES], cos: &mut [f64; LANES], x: &[f64; LANES]) {
        for ((sin, cos), x) in sin.iter_mut().zip(cos).zip(x) {
            (*sin, *cos) = (x.sin(), x.cos());
        }
    }
}
