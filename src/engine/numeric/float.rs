//! The two precisions of the engine, `f32` and `f64`: what a number must offer to stand in a
//! tensor, a product and a kernel.
//!
//! Elementary functions are those of [`Real`]: in `f32` free of branches, so that loops vectorise,
//! in `f64` the library's.

use crate::expr::{Column, InputId, Program, Real, Scratch};
use dfdx::dtypes::Dtype;
use std::ops::Neg;
use std::sync::Arc;

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// Compiled expressions in both precisions.
#[derive(Clone, Debug)]
pub struct Programs {
    pub single: Arc<Program<f32>>,
    pub double: Arc<Program<f64>>,
}

/// A run of a program, as [`Float::run_program`] passes it on.
pub struct ProgramRun<'a, E> {
    pub leaves: &'a dyn Fn(InputId) -> Column<'a, E>,
    pub rows: usize,
    pub out: &'a mut [E],
    pub scratch: &'a mut Option<Scratch<E>>,
}

/// `f32` or `f64`.
pub trait Float: sealed::Sealed + Dtype + Neg<Output = Self> + std::fmt::Display {
    const ZERO: Self;
    const NEG_INFINITY: Self;
    /// The largest finite number.
    const LARGEST: Self;
    /// `float32`, `float64`
    const NAME: &'static str;
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
    fn is_nan(self) -> bool;
    fn tanh(self) -> Self;
    /// `log(1 + exp(self))`, without overflow.
    fn softplus(self) -> Self;
    /// Runs an expression program in this precision.
    /// Runs the program of this precision.
    fn run_program(programs: &Programs, run: ProgramRun<Self>);
    /// Appends the little-endian bytes.
    fn write_le(self, bytes: &mut Vec<u8>);
    /// Reads little-endian bytes of `size_of::<Self>()`.
    fn read_le(bytes: &[u8]) -> Self;
}

macro_rules! float {
    ($type:ident, $name:literal, $safetensors:ident, $program:ident) => {
        impl Float for $type {
            const ZERO: Self = 0.0;
            const NEG_INFINITY: Self = $type::NEG_INFINITY;
            const LARGEST: Self = $type::MAX;
            const NAME: &'static str = $name;
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
                Real::exp(self)
            }
            #[inline(always)]
            fn ln(self) -> Self {
                Real::log(self)
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
            fn is_nan(self) -> bool {
                $type::is_nan(self)
            }
            #[inline(always)]
            fn tanh(self) -> Self {
                Real::tanh(self)
            }
            #[inline(always)]
            fn softplus(self) -> Self {
                Real::softplus(self)
            }
            fn run_program(programs: &Programs, run: ProgramRun<Self>) {
                let program = &programs.$program;
                let scratch = run.scratch.get_or_insert_with(|| program.scratch());
                program.run(
                    run.leaves,
                    Column::Same($type::NAN),
                    run.rows,
                    run.out,
                    run.rows,
                    scratch,
                );
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
float!(f32, "float32", F32, single);
float!(f64, "float64", F64, double);
