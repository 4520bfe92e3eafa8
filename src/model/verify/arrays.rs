//! Arrays are read inside. A place outside gives no number, which a comparison would swallow, so
//! look-ups are watched one by one, where the expression goes there: not in the branch of an `if`
//! that is not taken, nor to the right of an `and` that is false.

use super::space::{Columns, Evaluator};
use crate::expr::{BinaryOp, ExprId, Node};
use crate::model::Model;

/// The look-ups within some expressions.
pub struct Arrays {
    /// Operands first.
    nodes: Vec<ExprId>,
    lookups: Vec<ExprId>,
    /// Look-ups and the conditions on the way to them, evaluated.
    watched: Vec<ExprId>,
    evaluator: Evaluator,
}

impl Arrays {
    /// `None` where no array is read.
    pub fn of(model: &Model, params: &[f64], roots: &[ExprId]) -> Option<Arrays> {
        let nodes = model.graph.reach(roots);
        let is_lookup =
            |id: &ExprId| matches!(model.graph.node(*id), Node::Lookup(..) | Node::Choose(..));
        let lookups: Vec<ExprId> = nodes.iter().copied().filter(is_lookup).collect();
        if lookups.is_empty() {
            return None;
        }
        let mut watched = lookups.clone();
        watched.extend(nodes.iter().filter_map(|&id| match model.graph.node(id) {
            Node::If(condition, ..) => Some(*condition),
            Node::Binary(BinaryOp::And | BinaryOp::Or, left, _) => Some(*left),
            Node::Choose(_, index) => Some(*index),
            _ => None,
        }));
        watched.sort_unstable();
        watched.dedup();
        let evaluator = Evaluator::new(model, params, &watched);
        Some(Arrays { nodes, lookups, watched, evaluator })
    }

    /// The first row at which an expression reads outside an array, and the look-up. `used` says at
    /// which rows it starts from a root.
    pub fn outside(
        &mut self,
        model: &Model,
        columns: &Columns,
        used: &dyn Fn(ExprId, usize) -> bool,
        roots: &[ExprId],
    ) -> Option<(usize, ExprId)> {
        let rows = columns.time.len();
        let values = self.evaluator.run(columns);
        let at = |id: ExprId| {
            &values[self.watched.binary_search(&id).expect("arrays: every condition is watched")]
        };
        if self.lookups.iter().all(|&lookup| at(lookup).iter().all(|value| !value.is_nan())) {
            return None;
        }
        let place =
            |id: ExprId| self.nodes.binary_search(&id).expect("arrays: operands are reached");
        let mut reached: Vec<Vec<bool>> = vec![vec![false; rows]; self.nodes.len()];
        for &root in roots {
            let mask = &mut reached[place(root)];
            mask.iter_mut().enumerate().for_each(|(row, reached)| *reached |= used(root, row));
        }
        for from in (0..self.nodes.len()).rev() {
            let mask = std::mem::take(&mut reached[from]);
            let mut go = |to: ExprId, when: &dyn Fn(usize) -> bool| {
                let target = &mut reached[place(to)];
                (0..rows).filter(|&row| mask[row] && when(row)).for_each(|row| target[row] = true);
            };
            match model.graph.node(self.nodes[from]) {
                Node::If(condition, then, otherwise) => {
                    go(*condition, &|_| true);
                    go(*then, &|row| at(*condition)[row] != 0.0);
                    go(*otherwise, &|row| at(*condition)[row] == 0.0);
                }
                Node::Binary(BinaryOp::And, left, right) => {
                    go(*left, &|_| true);
                    go(*right, &|row| at(*left)[row] != 0.0);
                }
                Node::Binary(BinaryOp::Or, left, right) => {
                    go(*left, &|_| true);
                    go(*right, &|row| at(*left)[row] == 0.0);
                }
                Node::Choose(items, index) => {
                    go(*index, &|_| true);
                    for (item, &to) in items.iter().enumerate() {
                        go(to, &|row| at(*index)[row] == item as f64);
                    }
                }
                _ => model.graph.operands(self.nodes[from], |to| go(to, &|_| true)),
            }
            reached[from] = mask;
        }
        let strays = self.lookups.iter().flat_map(|&lookup| {
            let (values, mask) = (at(lookup), &reached[place(lookup)]);
            (0..rows).find(|&row| mask[row] && values[row].is_nan()).map(|row| (row, lookup))
        });
        strays.min()
    }
}
