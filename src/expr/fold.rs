//! Constructors that fold: operations on constants are done now, and `x + 0`, `x * 1`, `if true
//! then …` leave no node. A `param` is no constant here, so that print keeps its name. Folding
//! never turns a NaN into a number.

use super::operation::{entry, whole};
use super::{BinaryOp, ExprId, Graph, InputId, Node, ParamId, TableId, UnaryOp};

impl Graph {
    pub fn param(&mut self, id: ParamId) -> ExprId {
        self.intern(Node::Param(id))
    }

    pub fn input(&mut self, id: InputId) -> ExprId {
        self.intern(Node::Input(id))
    }

    /// The time `t`, counted from 1.
    pub fn time(&mut self) -> ExprId {
        self.intern(Node::Time)
    }

    pub fn unary(&mut self, op: UnaryOp, x: ExprId) -> ExprId {
        if let Some(value) = self.as_constant(x) {
            return self.constant(op.apply(value));
        }
        match (op, self.node(x)) {
            (UnaryOp::Negate, &Node::Unary(UnaryOp::Negate, inner)) => inner,
            (UnaryOp::Not, &Node::Unary(UnaryOp::Not, inner)) if self.is_truth(inner) => inner,
            (UnaryOp::Abs | UnaryOp::Floor | UnaryOp::Round, &Node::Unary(inner, _))
                if inner == op =>
            {
                x
            }
            _ => self.intern(Node::Unary(op, x)),
        }
    }

    pub fn binary(&mut self, op: BinaryOp, x: ExprId, y: ExprId) -> ExprId {
        let (left, right) = (self.as_constant(x), self.as_constant(y));
        if let (Some(left), Some(right)) = (left, right) {
            return self.constant(op.apply(left, right));
        }
        let simpler = match op {
            BinaryOp::Add if right == Some(0.0) => Some(x),
            BinaryOp::Add if left == Some(0.0) => Some(y),
            BinaryOp::Subtract if right == Some(0.0) => Some(x),
            BinaryOp::Subtract if left == Some(0.0) => Some(self.unary(UnaryOp::Negate, y)),
            BinaryOp::Multiply if right == Some(1.0) => Some(x),
            BinaryOp::Multiply if left == Some(1.0) => Some(y),
            BinaryOp::Multiply if right == Some(-1.0) => Some(self.unary(UnaryOp::Negate, x)),
            BinaryOp::Multiply if left == Some(-1.0) => Some(self.unary(UnaryOp::Negate, y)),
            BinaryOp::Divide | BinaryOp::Power if right == Some(1.0) => Some(x),
            BinaryOp::Min | BinaryOp::Max if x == y => Some(x),
            BinaryOp::And | BinaryOp::Or if x == y && self.is_truth(x) => Some(x),
            BinaryOp::And if left == Some(0.0) || right == Some(0.0) => Some(self.constant(0.0)),
            BinaryOp::And if left.is_some() && self.is_truth(y) => Some(y),
            BinaryOp::And if right.is_some() && self.is_truth(x) => Some(x),
            BinaryOp::Or if left.is_some_and(|v| v != 0.0) || right.is_some_and(|v| v != 0.0) => {
                Some(self.constant(1.0))
            }
            BinaryOp::Or if left.is_some() && self.is_truth(y) => Some(y),
            BinaryOp::Or if right.is_some() && self.is_truth(x) => Some(x),
            BinaryOp::Add
            | BinaryOp::Subtract
            | BinaryOp::Multiply
            | BinaryOp::Divide
            | BinaryOp::Power
            | BinaryOp::Min
            | BinaryOp::Max
            | BinaryOp::Modulo
            | BinaryOp::Atan2
            | BinaryOp::Equal
            | BinaryOp::NotEqual
            | BinaryOp::Less
            | BinaryOp::LessEqual
            | BinaryOp::And
            | BinaryOp::Or => None,
        };
        simpler.unwrap_or_else(|| self.intern(Node::Binary(op, x, y)))
    }

    pub fn if_(&mut self, condition: ExprId, then: ExprId, otherwise: ExprId) -> ExprId {
        if let Some(value) = self.as_constant(condition) {
            return if value != 0.0 { then } else { otherwise };
        }
        if then == otherwise {
            return then;
        }
        match (self.as_constant(then), self.as_constant(otherwise)) {
            (Some(1.0), Some(0.0)) if self.is_truth(condition) => condition,
            (Some(0.0), Some(1.0)) => self.unary(UnaryOp::Not, condition),
            _ => self.intern(Node::If(condition, then, otherwise)),
        }
    }

    pub fn lookup(&mut self, table: TableId, index: ExprId) -> ExprId {
        match self.as_constant(index) {
            Some(at) => {
                let value = entry(self.table(table), at);
                self.constant(value)
            }
            None => self.intern(Node::Lookup(table, index)),
        }
    }

    /// `items[index]`; a table where all items are constant.
    pub fn choose(&mut self, items: impl Into<Box<[ExprId]>>, index: ExprId) -> ExprId {
        let items = items.into();
        if let Some(at) = self.as_constant(index) {
            return match whole(at).and_then(|at| items.get(at)) {
                Some(&item) => item,
                None => self.constant(f64::NAN),
            };
        }
        let constants: Option<Vec<f64>> =
            items.iter().map(|&item| self.as_constant(item)).collect();
        match constants {
            Some(values) => {
                let table = self.intern_table(values);
                self.lookup(table, index)
            }
            None => self.intern(Node::Choose(items, index)),
        }
    }

    /// The value is 0 or 1 whatever the inputs are.
    fn is_truth(&self, id: ExprId) -> bool {
        match self.node(id) {
            Node::Unary(UnaryOp::Not, _) => true,
            Node::Binary(op, _, _) => {
                matches!(
                    op,
                    BinaryOp::Equal
                        | BinaryOp::NotEqual
                        | BinaryOp::Less
                        | BinaryOp::LessEqual
                        | BinaryOp::And
                        | BinaryOp::Or
                )
            }
            Node::Constant(bits) => matches!(f64::from_bits(*bits), 0.0 | 1.0),
            Node::Unary(_, _)
            | Node::Param(_)
            | Node::Input(_)
            | Node::Time
            | Node::If(_, _, _)
            | Node::Lookup(_, _)
            | Node::Choose(_, _) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_fold_and_params_stay() {
        let mut g = Graph::default();
        let (two, three) = (g.constant(2.0), g.constant(3.0));
        let eight = g.binary(BinaryOp::Power, two, three);
        assert_eq!(g.as_constant(eight), Some(8.0));
        let alpha = g.param(ParamId(0));
        let scaled = g.binary(BinaryOp::Multiply, alpha, two);
        assert_eq!(g.node(scaled), &Node::Binary(BinaryOp::Multiply, alpha, two));
    }

    #[test]
    fn identities_leave_no_node() {
        let mut g = Graph::default();
        let x = g.input(InputId(0));
        let (zero, one) = (g.constant(0.0), g.constant(1.0));
        assert_eq!(g.binary(BinaryOp::Add, zero, x), x);
        assert_eq!(g.binary(BinaryOp::Subtract, x, zero), x);
        assert_eq!(g.binary(BinaryOp::Multiply, x, one), x);
        assert_eq!(g.binary(BinaryOp::Power, x, one), x);
        assert_eq!(g.if_(one, x, zero), x);
        let less = g.binary(BinaryOp::Less, x, one);
        assert_eq!(g.if_(less, one, zero), less);
        assert_eq!(g.binary(BinaryOp::And, one, less), less);
        // x may be 5: `true and x` is then 1, not 5
        assert_ne!(g.binary(BinaryOp::And, one, x), x);
        let minus = g.unary(UnaryOp::Negate, x);
        assert_eq!(g.unary(UnaryOp::Negate, minus), x);
    }

    #[test]
    fn arrays_fold() {
        let mut g = Graph::default();
        let x = g.input(InputId(0));
        let (zero, one, two) = (g.constant(0.0), g.constant(1.0), g.constant(2.0));
        assert_eq!(g.choose([x, one], zero), x);
        let outside = g.choose([x, one], two);
        assert!(g.as_constant(outside).is_some_and(f64::is_nan));
        let chosen = g.choose([one, two], x);
        assert!(matches!(g.node(chosen), Node::Lookup(_, _)));
    }
}
