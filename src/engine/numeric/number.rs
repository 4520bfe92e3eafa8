//! What the engine computes with, in either precision.

use super::float::Float;
use crate::engine::numeric::formulas::{Both, Formulas};
use crate::expr::Real;

/// Both what networks and what expressions compute with: `f32` or `f64`.
pub trait Number: Float + Real {
    /// A family's formulas in this precision.
    fn formulas(of: &Both) -> &Formulas<Self>;
}

impl Number for f32 {
    fn formulas(of: &Both) -> &Formulas<f32> {
        &of.single
    }
}

impl Number for f64 {
    fn formulas(of: &Both) -> &Formulas<f64> {
        &of.double
    }
}
