//! Sums that know how far rounding may have moved them.

use crate::finite::NotFinite;
use std::ops::{Add, AddAssign, Mul};

/// How far two sides that should be equal may lie apart, relative to their size.
pub const TOLERANCE: f64 = 1e-9;
/// And relative to the sizes of what they were summed from: large rewards may cancel, and their
/// rounding does not.
const ROUNDING: f64 = 1e-13;

/// A sum, and that of its parts' sizes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    pub value: f64,
    pub size: f64,
    /// Finite parts have come to more than the largest number. An infinite part alone has not.
    pub overflows: bool,
}

impl Sum {
    pub fn of(value: f64) -> Sum {
        Sum { value, size: value.abs(), overflows: false }
    }

    /// What may lie between this sum and another that should be equal.
    pub fn tolerance(self, other: Sum, least: f64) -> f64 {
        TOLERANCE * self.value.abs().max(other.value.abs()).max(least)
            + ROUNDING * self.size
            + ROUNDING * other.size
    }

    pub fn equals(self, other: Sum) -> bool {
        let apart = (self.value - other.value).abs();
        self.value == other.value || apart.is_finite() && apart <= self.tolerance(other, 1.0)
    }

    pub fn is_at_least(self, other: Sum) -> bool {
        self.value >= other.value || self.equals(other)
    }
}

impl Add for Sum {
    type Output = Sum;

    fn add(self, other: Sum) -> Sum {
        let size = self.size + other.size;
        let exceeds = size.is_infinite() && self.size.is_finite() && other.size.is_finite();
        Sum {
            value: self.value + other.value,
            size,
            overflows: self.overflows || other.overflows || exceeds,
        }
    }
}

impl AddAssign for Sum {
    fn add_assign(&mut self, other: Sum) {
        *self = *self + other;
    }
}

impl Mul<f64> for Sum {
    type Output = Sum;

    fn mul(self, factor: f64) -> Sum {
        let size = self.size * factor.abs();
        let exceeds = size.is_infinite() && self.size.is_finite() && factor.is_finite();
        Sum { value: self.value * factor, size, overflows: self.overflows || exceeds }
    }
}

impl std::iter::Sum for Sum {
    fn sum<I: Iterator<Item = Sum>>(parts: I) -> Sum {
        parts.fold(Sum::default(), Add::add)
    }
}

/// Why a sum is not judged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unjudged {
    #[error("{0}")]
    NotFinite(#[from] NotFinite),
    /// A quantity that exceeds all floats, in one sentence.
    #[error("{0}")]
    Overflows(String),
}

/// What is not judged, since it is no number, and what to do.
pub fn overflows(what: &str) -> Unjudged {
    Unjudged::Overflows(format!(
        "{what} overflows: it exceeds 1.8e308, the largest float64; scale the rewards, or the \
         param before them, down"
    ))
}
