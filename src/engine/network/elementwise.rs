//! Operations on layers element by element, with their derivatives. An operand of width 1 is
//! repeated over the columns.
//!
//! The meaning of each operation is that of [`crate::expr`], in `f64`; these layers are narrow, so
//! nothing here is tuned.

use crate::engine::numeric::float::Float;
use crate::engine::numeric::kernels::Write;
use crate::expr::{BinaryOp, UnaryOp};

/// Rows of `width` numbers.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Wide<'a, E> {
    data: &'a [E],
    width: usize,
}

/// An operand of a binary operation.
#[derive(Clone, Copy)]
pub(in crate::engine) enum Side {
    Left,
    Right,
}

impl<'a, E: Float> Wide<'a, E> {
    pub fn new(data: &'a [E], width: usize) -> Wide<'a, E> {
        Wide { data, width }
    }

    fn at(&self, row: usize, column: usize) -> f64 {
        self.data[self.place(row, column)].as_f64()
    }

    fn place(&self, row: usize, column: usize) -> usize {
        row * self.width + if self.width == 1 { 0 } else { column }
    }
}

pub(in crate::engine) fn unary<E: Float>(op: UnaryOp, x: &[E], out: &mut [E]) {
    for (out, x) in out.iter_mut().zip(x) {
        *out = E::of(op.apply(x.as_f64()));
    }
}

pub(in crate::engine) fn unary_back<E: Float>(
    op: UnaryOp,
    x: &[E],
    dy: &[E],
    dx: &mut [E],
    write: Write,
) {
    for ((dx, x), dy) in dx.iter_mut().zip(x).zip(dy) {
        let d = E::of(unary_derivative(op, x.as_f64()) * dy.as_f64());
        *dx = if write == Write::Store { d } else { *dx + d };
    }
}

/// `dz = op'(x) dx`
pub(in crate::engine) fn unary_along<E: Float>(op: UnaryOp, x: &[E], dx: &[E], dz: &mut [E]) {
    for ((dz, x), dx) in dz.iter_mut().zip(x).zip(dx) {
        *dz = E::of(unary_derivative(op, x.as_f64()) * dx.as_f64());
    }
}

/// `dz = ∂op/∂x dx + ∂op/∂y dy`
pub(in crate::engine) fn binary_along<E: Float>(
    op: BinaryOp,
    (x, y): (Wide<E>, Wide<E>),
    (dx, dy): (Wide<E>, Wide<E>),
    dz: &mut [E],
    width: usize,
) {
    for (at, dz) in dz.iter_mut().enumerate() {
        let (row, column) = (at / width, at % width);
        let (left, right) = binary_derivative(op, x.at(row, column), y.at(row, column));
        // an operand that does not move may have an infinite slope
        let part = |slope: f64, d: f64| if d == 0.0 { 0.0 } else { slope * d };
        *dz = E::of(part(left, dx.at(row, column)) + part(right, dy.at(row, column)));
    }
}

pub(in crate::engine) fn binary<E: Float>(
    op: BinaryOp,
    x: Wide<E>,
    y: Wide<E>,
    out: &mut [E],
    width: usize,
) {
    for (at, out) in out.iter_mut().enumerate() {
        let (row, column) = (at / width, at % width);
        *out = E::of(op.apply(x.at(row, column), y.at(row, column)));
    }
}

/// Adds the gradient of one operand; a repeated operand collects that of all columns.
pub(in crate::engine) fn add_binary_back<E: Float>(
    (op, side): (BinaryOp, Side),
    x: Wide<E>,
    y: Wide<E>,
    dz: Wide<E>,
    d: &mut [E],
) {
    for (at, dz_at) in dz.data.iter().enumerate() {
        let (row, column) = (at / dz.width, at % dz.width);
        let (left, right) = binary_derivative(op, x.at(row, column), y.at(row, column));
        let (slope, place) = match side {
            Side::Left => (left, x.place(row, column)),
            Side::Right => (right, y.place(row, column)),
        };
        d[place] += E::of(slope * dz_at.as_f64());
    }
}

pub(in crate::engine) fn write<E: Float>(write: Write, to: &mut [E], from: &[E]) {
    match write {
        Write::Store => to.copy_from_slice(from),
        Write::Add => to.iter_mut().zip(from).for_each(|(to, from)| *to += *from),
    }
}

/// `d op(x) / dx`; 0 where the operation is flat or has a step.
fn unary_derivative(op: UnaryOp, x: f64) -> f64 {
    match op {
        UnaryOp::Negate => -1.0,
        UnaryOp::Not | UnaryOp::Sign | UnaryOp::Floor | UnaryOp::Round => 0.0,
        UnaryOp::Abs => UnaryOp::Sign.apply(x),
        UnaryOp::Exp => x.exp(),
        UnaryOp::Log => 1.0 / x,
        UnaryOp::Sqrt => 0.5 / x.sqrt(),
        UnaryOp::Sin => x.cos(),
        UnaryOp::Cos => -x.sin(),
        UnaryOp::Tan => 1.0 + x.tan() * x.tan(),
        UnaryOp::Tanh => 1.0 - x.tanh() * x.tanh(),
        UnaryOp::Sigmoid => {
            let y = UnaryOp::Sigmoid.apply(x);
            y * (1.0 - y)
        }
        UnaryOp::Softplus => UnaryOp::Sigmoid.apply(x),
        UnaryOp::LogGamma => UnaryOp::Polygamma(0).apply(x),
        UnaryOp::Polygamma(order) => UnaryOp::Polygamma(order + 1).apply(x),
    }
}

/// `(∂ op(x, y) / ∂x, ∂ op(x, y) / ∂y)`; of equal operands of `min` and `max` the left one counts.
fn binary_derivative(op: BinaryOp, x: f64, y: f64) -> (f64, f64) {
    match op {
        BinaryOp::Add => (1.0, 1.0),
        BinaryOp::Subtract => (1.0, -1.0),
        BinaryOp::Multiply => (y, x),
        BinaryOp::Divide => (1.0 / y, -x / (y * y)),
        BinaryOp::Power => {
            let by_exponent = if x > 0.0 { x.powf(y) * x.ln() } else { 0.0 };
            (if y == 0.0 { 0.0 } else { y * x.powf(y - 1.0) }, by_exponent)
        }
        BinaryOp::Min => {
            if x <= y {
                (1.0, 0.0)
            } else {
                (0.0, 1.0)
            }
        }
        BinaryOp::Max => {
            if x >= y {
                (1.0, 0.0)
            } else {
                (0.0, 1.0)
            }
        }
        BinaryOp::Modulo => (1.0, -(x / y).floor()),
        BinaryOp::Atan2 => {
            let square = x * x + y * y;
            (y / square, -x / square)
        }
        BinaryOp::Equal
        | BinaryOp::NotEqual
        | BinaryOp::Less
        | BinaryOp::LessEqual
        | BinaryOp::And
        | BinaryOp::Or => (0.0, 0.0),
    }
}
