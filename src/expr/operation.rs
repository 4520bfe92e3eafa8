//! What each operation means for one `f64`. Everything that folds, evaluates or compiles an
//! expression agrees with this file.

use super::{BinaryOp, UnaryOp, gamma};

impl UnaryOp {
    pub fn apply(self, x: f64) -> f64 {
        match self {
            UnaryOp::Negate => -x,
            UnaryOp::Not => truth(x == 0.0),
            UnaryOp::Abs => x.abs(),
            UnaryOp::Sign => sign(x),
            UnaryOp::Floor => x.floor(),
            // halves go away from zero, as in C
            UnaryOp::Round => x.round(),
            UnaryOp::Exp => x.exp(),
            UnaryOp::Log => x.ln(),
            UnaryOp::Sqrt => x.sqrt(),
            UnaryOp::Sin => x.sin(),
            UnaryOp::Cos => x.cos(),
            UnaryOp::Tan => x.tan(),
            UnaryOp::Tanh => x.tanh(),
            UnaryOp::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            // log(1 + eˣ) = max(x, 0) + log(1 + e^−|x|), which does not overflow
            UnaryOp::Softplus => {
                x.max(0.0) + (-x.abs()).exp().ln_1p() + if x.is_nan() { x } else { 0.0 }
            }
            UnaryOp::LogGamma => gamma::log_gamma(x),
            UnaryOp::Polygamma(order) => gamma::polygamma(order, x),
        }
    }
}

impl BinaryOp {
    pub fn apply(self, x: f64, y: f64) -> f64 {
        match self {
            BinaryOp::Add => x + y,
            BinaryOp::Subtract => x - y,
            BinaryOp::Multiply => x * y,
            BinaryOp::Divide => x / y,
            BinaryOp::Power => power(x, y),
            BinaryOp::Min => min(x, y),
            BinaryOp::Max => max(x, y),
            BinaryOp::Modulo => modulo(x, y),
            BinaryOp::Atan2 => x.atan2(y),
            BinaryOp::Equal => truth(x == y),
            BinaryOp::NotEqual => truth(x != y),
            BinaryOp::Less => truth(x < y),
            BinaryOp::LessEqual => truth(x <= y),
            BinaryOp::And => truth(x != 0.0 && y != 0.0),
            BinaryOp::Or => truth(x != 0.0 || y != 0.0),
        }
    }
}

/// Entry `index` of `items`; NaN where the index is outside or not whole.
pub(super) fn entry(items: &[f64], index: f64) -> f64 {
    whole(index).and_then(|at| items.get(at)).copied().unwrap_or(f64::NAN)
}

/// The index, where it is a whole number that is not negative.
pub(super) fn whole(index: f64) -> Option<usize> {
    let at = index as usize; // saturates; NaN gives 0
    (at as f64 == index).then_some(at)
}

pub(super) fn truth(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

fn sign(x: f64) -> f64 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        x
    }
}

/// Squares and cubes are products: the rounding of `x * x`, also in compiled programs.
fn power(x: f64, y: f64) -> f64 {
    if y == 2.0 {
        x * x
    } else if y == 3.0 {
        x * x * x
    } else {
        x.powf(y)
    }
}

/// A NaN operand gives NaN, unlike [`f64::min`].
fn min(x: f64, y: f64) -> f64 {
    if x < y || x.is_nan() { x } else { y }
}

fn max(x: f64, y: f64) -> f64 {
    if x > y || x.is_nan() { x } else { y }
}

fn modulo(x: f64, y: f64) -> f64 {
    let remainder = x % y;
    if remainder != 0.0 && (remainder < 0.0) != (y < 0.0) { remainder + y } else { remainder }
}
