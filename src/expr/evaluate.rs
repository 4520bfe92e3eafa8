//! The value of an expression at one point, in `f64`.

use super::operation::{entry, whole};
use super::{ExprId, Graph, InputId, Node};
use std::collections::HashSet;

impl Graph {
    /// The value of `expr`. `params` is indexed by [`super::ParamId`]; `t` counts from 1. Every
    /// shared node is computed once, without recursion. Inputs of a branch that is not taken are
    /// read as well.
    pub fn evaluate(
        &self,
        expr: ExprId,
        params: &[f64],
        inputs: &dyn Fn(InputId) -> f64,
        t: f64,
    ) -> f64 {
        // what is read, and nothing else: a graph may hold many more nodes than one expression
        // reads
        let reached = self.reach(&[expr]);
        let mut values: Vec<f64> = Vec::with_capacity(reached.len());
        for &id in &reached {
            let value = |of: ExprId| {
                values[reached
                    .binary_search(&of)
                    .expect("evaluate: operands are reached, and stand before")]
            };
            let result = match self.node(id) {
                Node::Constant(bits) => f64::from_bits(*bits),
                Node::Param(param) => params[param.0 as usize],
                Node::Input(input) => inputs(*input),
                Node::Time => t,
                Node::Unary(op, x) => op.apply(value(*x)),
                Node::Binary(op, x, y) => op.apply(value(*x), value(*y)),
                Node::If(condition, then, otherwise) => {
                    if value(*condition) != 0.0 {
                        value(*then)
                    } else {
                        value(*otherwise)
                    }
                }
                Node::Lookup(table, index) => entry(self.table(*table), value(*index)),
                Node::Choose(items, index) => whole(value(*index))
                    .and_then(|at| items.get(at))
                    .map_or(f64::NAN, |&item| value(item)),
            };
            values.push(result);
        }
        values[values.len() - 1]
    }

    /// All nodes that `roots` read, themselves included, operands first.
    pub fn reach(&self, roots: &[ExprId]) -> Vec<ExprId> {
        let mut seen = HashSet::new();
        let mut stack = roots.to_vec();
        let mut reached = Vec::new();
        while let Some(id) = stack.pop() {
            if seen.insert(id) {
                reached.push(id);
                self.operands(id, |operand| stack.push(operand));
            }
        }
        reached.sort_unstable();
        reached
    }

    /// The inputs that `roots` read, each once, ascending.
    pub fn inputs_of(&self, roots: &[ExprId]) -> Vec<InputId> {
        let mut inputs: Vec<InputId> = self
            .reach(roots)
            .into_iter()
            .filter_map(|id| match self.node(id) {
                Node::Input(input) => Some(*input),
                Node::Constant(_)
                | Node::Param(_)
                | Node::Time
                | Node::Unary(_, _)
                | Node::Binary(_, _, _)
                | Node::If(_, _, _)
                | Node::Lookup(_, _)
                | Node::Choose(_, _) => None,
            })
            .collect();
        inputs.sort_unstable();
        inputs
    }

    /// Calls `visit` with each node that `id` reads directly.
    pub fn operands(&self, id: ExprId, mut visit: impl FnMut(ExprId)) {
        match self.node(id) {
            Node::Constant(_) | Node::Param(_) | Node::Input(_) | Node::Time => {}
            Node::Unary(_, x) | Node::Lookup(_, x) => visit(*x),
            Node::Binary(_, x, y) => [*x, *y].into_iter().for_each(visit),
            Node::If(condition, then, otherwise) => {
                [*condition, *then, *otherwise].into_iter().for_each(visit)
            }
            Node::Choose(items, index) => items.iter().chain([index]).copied().for_each(visit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::{BinaryOp, UnaryOp};

    #[test]
    fn deep_graphs_need_no_stack() {
        let mut g = Graph::default();
        let (x, one) = (g.input(InputId(0)), g.constant(1.0));
        let mut sum = x;
        for _ in 0..300_000 {
            sum = g.binary(BinaryOp::Add, sum, one);
        }
        assert_eq!(g.evaluate(sum, &[], &|_| 0.5, 1.0), 300_000.5);
    }

    #[test]
    fn the_branch_not_taken_has_no_effect() {
        let mut g = Graph::default();
        let (x, one, zero) = (g.input(InputId(0)), g.constant(1.0), g.constant(0.0));
        let inverse = g.binary(BinaryOp::Divide, one, x);
        let is_zero = g.binary(BinaryOp::Equal, x, zero);
        let safe = g.if_(is_zero, zero, inverse);
        assert_eq!(g.evaluate(safe, &[], &|_| 0.0, 1.0), 0.0);
        assert_eq!(g.evaluate(safe, &[], &|_| 4.0, 1.0), 0.25);
    }

    #[test]
    fn operations_mean_what_the_language_says() {
        assert_eq!(BinaryOp::Modulo.apply(-1.0, 4.0), 3.0);
        assert_eq!(BinaryOp::Modulo.apply(1.0, -4.0), -3.0);
        assert_eq!(BinaryOp::Modulo.apply(8.0, 4.0), 0.0);
        assert_eq!(UnaryOp::Sign.apply(-0.3), -1.0);
        assert!(
            BinaryOp::Min.apply(f64::NAN, 1.0).is_nan()
                && BinaryOp::Min.apply(1.0, f64::NAN).is_nan()
        );
        assert_eq!(UnaryOp::Softplus.apply(1000.0), 1000.0);
        assert!((UnaryOp::Softplus.apply(0.0) - std::f64::consts::LN_2).abs() < 1e-15);
        assert!(UnaryOp::Softplus.apply(f64::NAN).is_nan());
    }
}
