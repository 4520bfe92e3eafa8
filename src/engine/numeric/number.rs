//! What the engine computes with, in either precision.

use super::float::Float;
use crate::expr::Real;

/// Both what networks and what expressions compute with: `f32` or `f64`.
pub trait Number: Float + Real {}
impl Number for f32 {}
impl Number for f64 {}
