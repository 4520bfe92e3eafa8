//! Whether an infinity is one that an expression means, as `log(0)`, or what is left of a number
//! that float64 does not reach.

use super::{BinaryOp, ExprId, Graph, InputId, Node, UnaryOp};

impl Graph {
    /// Whether `expr`, which is infinite at a point, is so because numbers overflow: an operation
    /// on finite numbers whose result is beyond the largest one, or an input that is infinite
    /// itself. `log(0)`, a division by 0 and the literal infinity are meant. The arguments are
    /// those of [`Graph::evaluate`].
    pub fn overflows(
        &self,
        expr: ExprId,
        params: &[f64],
        inputs: &dyn Fn(InputId) -> f64,
        t: f64,
    ) -> bool {
        let value = |id: ExprId| self.evaluate(id, params, inputs, t);
        let mut at = expr;
        // an operand stands before what reads it, so that this ends
        loop {
            let infinite = |id: &ExprId| value(*id).is_infinite();
            let below = match self.node(at) {
                Node::If(condition, then, otherwise) => {
                    Some(if value(*condition) != 0.0 { *then } else { *otherwise }).filter(infinite)
                }
                Node::Choose(items, index) => {
                    items.get(value(*index) as usize).copied().filter(infinite)
                }
                _ => {
                    let mut below = None;
                    self.operands(at, |id| below = below.or(Some(id).filter(infinite)));
                    below
                }
            };
            match below {
                Some(id) => at = id,
                None => return value(at).is_infinite() && self.exceeds(at, &value),
            }
        }
    }

    /// Of a node that is infinite and has no operand that is.
    fn exceeds(&self, at: ExprId, value: &dyn Fn(ExprId) -> f64) -> bool {
        match self.node(at) {
            Node::Input(_)
            | Node::Binary(BinaryOp::Add | BinaryOp::Subtract | BinaryOp::Multiply, ..) => true,
            Node::Unary(UnaryOp::Exp, _) => true,
            Node::Binary(BinaryOp::Divide, _, y) => value(*y) != 0.0,
            Node::Binary(BinaryOp::Power, x, _) => value(*x) != 0.0,
            Node::Constant(_)
            | Node::Param(_)
            | Node::Time
            | Node::Unary(..)
            | Node::Binary(..)
            | Node::If(..)
            | Node::Lookup(..)
            | Node::Choose(..) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ParamId;
    use super::*;

    #[test]
    fn what_overflows_is_told_from_what_is_meant() {
        let mut graph = Graph::default();
        let (alpha, reward) =
            (graph.intern(Node::Param(ParamId(0))), graph.intern(Node::Input(InputId(0))));
        let product = graph.intern(Node::Binary(BinaryOp::Multiply, alpha, reward));
        let zero = graph.constant(0.0);
        let log = graph.intern(Node::Unary(UnaryOp::Log, zero));
        let masked = graph.intern(Node::Binary(BinaryOp::Add, log, reward));
        let quotient = graph.intern(Node::Binary(BinaryOp::Divide, alpha, zero));
        let taken = graph.intern(Node::If(zero, product, log));
        let told =
            |expr, alpha: f64, reward: f64| graph.overflows(expr, &[alpha], &|_| reward, 1.0);
        assert!(told(product, 1e308, -10.0) && told(product, 1.0, f64::NEG_INFINITY));
        assert!(!told(product, 1e307, -10.0), "it is finite");
        assert!(!told(log, 1e308, -10.0) && !told(masked, 1.0, 1.0) && !told(quotient, 1e308, 1.0));
        assert!(!told(taken, 1e308, -10.0), "the other branch is not taken");
    }
}
