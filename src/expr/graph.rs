//! The graph of scalar expressions.

use std::collections::HashMap;

/// A node of a [`Graph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExprId(pub u32);

/// A leaf whose value the surroundings give: a component of a variable at some time. The model
/// keeps what it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InputId(pub u32);

/// A `param` of the model: a leaf that is known before the run and keeps its name in print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParamId(pub u32);

/// A constant array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableId(pub u32);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Node {
    /// The bits of an `f64`; −0 is stored as 0.
    Constant(u64),
    Param(ParamId),
    Input(InputId),
    /// The time `t`, counted from 1.
    Time,
    Unary(UnaryOp, ExprId),
    Binary(BinaryOp, ExprId, ExprId),
    /// `if condition then … else …`; the branch not taken has no effect, also where it divides by
    /// zero.
    If(ExprId, ExprId, ExprId),
    /// `table[index]`, counted from 0; outside the table the value is NaN.
    Lookup(TableId, ExprId),
    /// `[a, b, c][index]` of values that are not constant; outside the value is NaN.
    Choose(Box<[ExprId]>, ExprId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    Negate,
    Not,
    Abs,
    Sign,
    Floor,
    Round,
    Exp,
    Log,
    Sqrt,
    Sin,
    Cos,
    Tan,
    Tanh,
    Sigmoid,
    Softplus,
    /// `log Γ` of a positive number.
    LogGamma,
    /// The derivative of `log Γ` of this order plus 1: 0 is the digamma function.
    Polygamma(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    Min,
    Max,
    /// Takes the divisor's sign.
    Modulo,
    Atan2,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    And,
    Or,
}

#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    tables: Vec<Vec<f64>>,
    interned: HashMap<Node, ExprId>,
}

impl Graph {
    pub fn node(&self, id: ExprId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// Nodes stand after the nodes they read.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub fn table(&self, id: TableId) -> &[f64] {
        &self.tables[id.0 as usize]
    }

    /// The node, made if it is new. [`Graph::unary`] and its siblings fold; this one stores what it
    /// is given.
    pub fn intern(&mut self, node: Node) -> ExprId {
        if let Some(&id) = self.interned.get(&node) {
            return id;
        }
        let id = ExprId(u32::try_from(self.nodes.len()).expect("graph: fewer than 2^32 nodes"));
        self.nodes.push(node.clone());
        self.interned.insert(node, id);
        id
    }

    /// The node, if the graph has it.
    pub fn find(&self, node: &Node) -> Option<ExprId> {
        self.interned.get(node).copied()
    }

    pub fn intern_table(&mut self, values: Vec<f64>) -> TableId {
        let same = |known: &Vec<f64>| {
            known.len() == values.len()
                && known.iter().zip(&values).all(|(a, b)| a.to_bits() == b.to_bits())
        };
        let position = self.tables.iter().position(same).unwrap_or_else(|| {
            self.tables.push(values.clone());
            self.tables.len() - 1
        });
        TableId(position as u32)
    }

    pub fn constant(&mut self, value: f64) -> ExprId {
        self.intern(Node::Constant((value + 0.0).to_bits()))
    }

    /// The value of a node that is a literal constant (params are not: they keep their names).
    pub fn as_constant(&self, id: ExprId) -> Option<f64> {
        match self.node(id) {
            Node::Constant(bits) => Some(f64::from_bits(*bits)),
            _ => None,
        }
    }
}
