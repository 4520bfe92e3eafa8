//! Scalar expressions of a network's inputs, run row by row in `f64`. They read no parameter, so no gradient passes through them.

use super::network::{Unsupported, unsupported};
use crate::expr::{BinaryOp, ExprId, Node, UnaryOp};
use crate::model::{Input, KernelId, Model};

/// Instructions; each writes the value of its own place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Program {
    instructions: Vec<Instruction>,
    /// The places of the results.
    results: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq)]
enum Instruction {
    Constant(f64),
    Leaf(Leaf),
    Unary(UnaryOp, usize),
    Binary(BinaryOp, usize, usize),
    If(usize, usize, usize),
    Lookup(Vec<f64>, usize),
    Choose(Vec<usize>, usize),
}

/// A component of an input.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Leaf {
    /// `decode[number]`
    Decoded {
        input: usize,
        decode: Vec<f64>,
    },
    Real {
        input: usize,
        component: usize,
    },
}

impl Program {
    /// `leaf` gives the component of a kernel's formal that an expression reads.
    pub fn compile(
        model: &Model,
        values: &[ExprId],
        mut leaf: impl FnMut(KernelId, u32, u32) -> Result<Leaf, Unsupported>,
    ) -> Result<Program, Unsupported> {
        let params = model.param_values();
        let reached = model.graph.reach(values);
        let place = |id: &ExprId| reached.binary_search(id).expect("expr: `reach` lists every operand");
        let mut instructions = Vec::with_capacity(reached.len());
        for id in &reached {
            instructions.push(match model.graph.node(*id) {
                Node::Constant(bits) => Instruction::Constant(f64::from_bits(*bits)),
                Node::Param(param) => Instruction::Constant(params[param.0 as usize]),
                Node::Input(input) => match model.inputs[input.0 as usize] {
                    Input::Formal { kernel, formal, component } => Instruction::Leaf(leaf(kernel, formal, component)?),
                    Input::Variable { .. } | Input::Reward { .. } => {
                        return Err(unsupported("a network that reads a variable past its kernel's givens"));
                    }
                },
                Node::Time => return Err(unsupported("a network that reads `t` past its kernel's givens")),
                Node::Unary(op, x) => Instruction::Unary(*op, place(x)),
                Node::Binary(op, x, y) => Instruction::Binary(*op, place(x), place(y)),
                Node::If(condition, then, otherwise) => Instruction::If(place(condition), place(then), place(otherwise)),
                Node::Lookup(table, index) => Instruction::Lookup(model.graph.table(*table).to_vec(), place(index)),
                Node::Choose(items, index) => Instruction::Choose(items.iter().map(place).collect(), place(index)),
            });
        }
        Ok(Program { instructions, results: values.iter().map(place).collect() })
    }

    /// The results of one row. `leaf` gives the value of a leaf; `values` is scratch space.
    pub fn run(&self, leaf: impl Fn(&Leaf) -> f64, values: &mut Vec<f64>, mut result: impl FnMut(usize, f64)) {
        values.clear();
        for instruction in &self.instructions {
            let value = match instruction {
                Instruction::Constant(value) => *value,
                Instruction::Leaf(at) => leaf(at),
                Instruction::Unary(op, x) => op.apply(values[*x]),
                Instruction::Binary(op, x, y) => op.apply(values[*x], values[*y]),
                Instruction::If(condition, then, otherwise) => values[if values[*condition] != 0.0 { *then } else { *otherwise }],
                Instruction::Lookup(table, index) => at(values[*index]).and_then(|i| table.get(i)).copied().unwrap_or(f64::NAN),
                Instruction::Choose(items, index) => at(values[*index]).and_then(|i| items.get(i)).map_or(f64::NAN, |&item| values[item]),
            };
            values.push(value);
        }
        for (at, place) in self.results.iter().enumerate() {
            result(at, values[*place]);
        }
    }
}

/// The index, where it is a whole number that is not negative.
fn at(index: f64) -> Option<usize> {
    let whole = index as usize; // saturates; NaN gives 0
    (whole as f64 == index).then_some(whole)
}
