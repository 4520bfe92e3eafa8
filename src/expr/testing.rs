//! Random expressions, for tests.

use super::{BinaryOp, ExprId, Graph, InputId, ParamId, UnaryOp};

pub const UNARY: [UnaryOp; 18] = [
    UnaryOp::Negate,
    UnaryOp::Not,
    UnaryOp::Abs,
    UnaryOp::Sign,
    UnaryOp::Floor,
    UnaryOp::Round,
    UnaryOp::Exp,
    UnaryOp::Log,
    UnaryOp::Sqrt,
    UnaryOp::Sin,
    UnaryOp::Cos,
    UnaryOp::Tan,
    UnaryOp::Tanh,
    UnaryOp::Sigmoid,
    UnaryOp::Softplus,
    UnaryOp::LogGamma,
    UnaryOp::Polygamma(0),
    UnaryOp::Polygamma(1),
];
pub const BINARY: [BinaryOp; 15] = [
    BinaryOp::Add,
    BinaryOp::Subtract,
    BinaryOp::Multiply,
    BinaryOp::Divide,
    BinaryOp::Power,
    BinaryOp::Min,
    BinaryOp::Max,
    BinaryOp::Modulo,
    BinaryOp::Atan2,
    BinaryOp::Equal,
    BinaryOp::NotEqual,
    BinaryOp::Less,
    BinaryOp::LessEqual,
    BinaryOp::And,
    BinaryOp::Or,
];

/// A graph grown from random numbers: three inputs, a param, the time, constants, then one node for
/// each number.
pub fn grow(recipe: &[(u8, u8, u8, u8)]) -> (Graph, Vec<ExprId>) {
    let mut g = Graph::default();
    let mut pool: Vec<ExprId> = (0..3).map(|i| g.input(InputId(i))).collect();
    pool.push(g.param(ParamId(0)));
    pool.push(g.time());
    pool.extend([0.0, 1.0, -2.5, 2.0].map(|value| g.constant(value)));
    let table = g.intern_table(vec![3.0, -1.0, 0.5]);
    for &(kind, a, b, c) in recipe {
        let pick = |k: u8| pool[k as usize % pool.len()];
        let (a, b, c) = (pick(a), pick(b), pick(c));
        let node = match kind % 40 {
            k @ 0..=14 => g.unary(UNARY[k as usize], a),
            k @ 15..=29 => g.binary(BINARY[k as usize - 15], a, b),
            30..=32 => g.if_(a, b, c),
            33 | 34 => {
                let index = g.unary(UnaryOp::Floor, a);
                g.lookup(table, index)
            }
            35 | 36 => {
                let index = g.unary(UnaryOp::Round, c);
                g.choose([a, b, c], index)
            }
            37 => g.binary(BinaryOp::Multiply, a, b),
            38 => g.binary(BinaryOp::Add, a, b),
            _ => g.binary(BinaryOp::Subtract, a, b),
        };
        pool.push(node);
    }
    (g, pool)
}
