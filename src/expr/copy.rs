//! Copies of expressions with other leaves.

use super::{ExprId, Graph, Node, TableId};
use std::collections::HashMap;

impl Graph {
    /// Copies `roots` into `target`, folding anew. `leaf` says what a param, an input or the time
    /// becomes there; `None` copies it as it is.
    pub fn copy_into(
        &self,
        roots: &[ExprId],
        target: &mut Graph,
        leaf: &mut dyn FnMut(&mut Graph, &Node) -> Option<ExprId>,
    ) -> Vec<ExprId> {
        let mut copies = Copies::default();
        for id in self.reach(roots) {
            let replaced = match self.node(id) {
                node @ (Node::Param(_) | Node::Input(_) | Node::Time) => leaf(target, node),
                _ => None,
            };
            match replaced {
                Some(new) => copies.insert(id, new),
                None => copies.copy(self, id, target),
            };
        }
        roots.iter().map(|&root| copies.of(root)).collect()
    }

    /// Copies `roots` into `target` with the values of the params in place of their names.
    pub fn specialise_into(
        &self,
        roots: &[ExprId],
        params: &[f64],
        target: &mut Graph,
    ) -> Vec<ExprId> {
        self.copy_into(roots, target, &mut |target, leaf| match leaf {
            Node::Param(param) => Some(target.constant(params[param.0 as usize])),
            _ => None,
        })
    }
}

/// Where nodes and tables of one graph stand in another.
#[derive(Default)]
pub(super) struct Copies {
    nodes: HashMap<ExprId, ExprId>,
    tables: HashMap<TableId, TableId>,
}

impl Copies {
    pub(super) fn of(&self, id: ExprId) -> ExprId {
        self.nodes[&id]
    }

    pub(super) fn insert(&mut self, id: ExprId, new: ExprId) {
        self.nodes.insert(id, new);
    }

    /// Copies one node whose operands have been copied.
    pub(super) fn copy(&mut self, graph: &Graph, id: ExprId, target: &mut Graph) {
        let new = match graph.node(id) {
            node @ (Node::Constant(_) | Node::Param(_) | Node::Input(_) | Node::Time) => {
                target.intern(node.clone())
            }
            Node::Unary(op, x) => target.unary(*op, self.of(*x)),
            Node::Binary(op, x, y) => target.binary(*op, self.of(*x), self.of(*y)),
            Node::If(condition, then, otherwise) => {
                target.if_(self.of(*condition), self.of(*then), self.of(*otherwise))
            }
            Node::Lookup(table, index) => {
                let table = *self
                    .tables
                    .entry(*table)
                    .or_insert_with(|| target.intern_table(graph.table(*table).to_vec()));
                target.lookup(table, self.of(*index))
            }
            Node::Choose(items, index) => {
                let items: Box<[ExprId]> = items.iter().map(|&item| self.of(item)).collect();
                target.choose(items, self.of(*index))
            }
        };
        self.insert(id, new);
    }
}
