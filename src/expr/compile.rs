//! Graph in, [`Program`] out: folds the params, leaves out what no output reads, fuses, and gives
//! each value a register.

use super::copy::Copies;
use super::instruction::{Instruction, Register, Ternary};
use super::{BinaryOp, ExprId, Graph, Node, Program, Real, UnaryOp};
use std::collections::HashMap;

impl<E: Real> Program<E> {
    /// A program whose outputs are `roots`, in that order.
    pub fn compile(graph: &Graph, roots: &[ExprId], params: &[f64]) -> Program<E> {
        let mut folded = Graph::default();
        let roots = graph.specialise_into(roots, params, &mut folded);
        let (folded, roots) = if E::CONTRACTS { cheaper(&folded, &roots) } else { (folded, roots) };
        Compiler::new(&folded, &roots).run()
    }
}

/// What is cheaper and differs by roundings alone: division by a constant becomes multiplication,
/// small whole powers become products.
fn cheaper(graph: &Graph, roots: &[ExprId]) -> (Graph, Vec<ExprId>) {
    let mut target = Graph::default();
    let mut copies = Copies::default();
    for id in graph.reach(roots) {
        let operation = match graph.node(id) {
            Node::Binary(op, x, y) => graph.as_constant(*y).map(|y| (*op, copies.of(*x), y)),
            _ => None,
        };
        match operation {
            Some((BinaryOp::Divide, x, divisor)) if divisor.recip().is_normal() => {
                let factor = target.constant(divisor.recip());
                copies.insert(id, target.binary(BinaryOp::Multiply, x, factor));
            }
            Some((BinaryOp::Power, x, 0.5)) => copies.insert(id, target.unary(UnaryOp::Sqrt, x)),
            Some((BinaryOp::Power, x, exponent @ (2.0 | 3.0 | 4.0 | 5.0 | 6.0))) => {
                let product = (1..exponent as u32)
                    .fold(x, |product, _| target.binary(BinaryOp::Multiply, product, x));
                copies.insert(id, product);
            }
            _ => copies.copy(graph, id, &mut target),
        }
    }
    let roots = roots.iter().map(|&root| copies.of(root)).collect();
    (target, roots)
}

struct Compiler<'g> {
    graph: &'g Graph,
    order: Vec<ExprId>,
    roots: &'g [ExprId],
    /// How often each node is still to be read.
    uses: HashMap<ExprId, usize>,
    register: HashMap<ExprId, Register>,
    free: Vec<Register>,
    registers: u32,
    instructions: Vec<Instruction>,
}

/// What is computed for a node, in terms of other nodes.
enum Form {
    Leaf,
    Unary(UnaryOp, ExprId),
    /// The sine and the cosine of the node, with the sine's and the cosine's own node where
    /// somebody reads them.
    SinCos(ExprId),
    Square(ExprId),
    Binary(BinaryOp, ExprId, ExprId),
    Ternary(Ternary, ExprId, ExprId, ExprId),
    Lookup(u32, ExprId),
    Choose(Vec<ExprId>, ExprId),
}

impl<'g> Compiler<'g> {
    fn new(graph: &'g Graph, roots: &'g [ExprId]) -> Compiler<'g> {
        let order = graph.reach(roots);
        Compiler {
            graph,
            order,
            roots,
            uses: HashMap::new(),
            register: HashMap::new(),
            free: Vec::new(),
            registers: 0,
            instructions: Vec::new(),
        }
    }

    fn run<E: Real>(mut self) -> Program<E> {
        let mut reads: HashMap<ExprId, usize> = HashMap::new();
        for &root in self.roots {
            *reads.entry(root).or_default() += 1;
        }
        for &id in &self.order {
            self.graph.operands(id, |operand| *reads.entry(operand).or_default() += 1);
        }
        let forms: HashMap<ExprId, Form> = self
            .order
            .iter()
            .map(|&id| (id, form(self.graph, id, E::CONTRACTS, &|of| reads[&of] == 1)))
            .collect();
        self.count_uses(&forms);

        let order = std::mem::take(&mut self.order);
        let mut constants = Vec::new();
        for &id in &order {
            if let Some(value) = self.graph.as_constant(id).filter(|_| self.uses.contains_key(&id))
            {
                constants.push(E::from_f64(value));
                let register = self.new_register();
                self.register.insert(id, register);
            }
        }
        let mut tables = Tables::default();
        for id in order {
            if self.uses.contains_key(&id) && !self.register.contains_key(&id) {
                self.emit(id, &forms[&id], &mut tables);
            }
        }
        Program {
            instructions: self.instructions,
            constants,
            registers: self.registers as usize,
            tables: tables
                .list
                .iter()
                .map(|&table| {
                    self.graph
                        .table(super::TableId(table))
                        .iter()
                        .map(|&v| E::from_f64(v))
                        .collect()
                })
                .collect(),
            outputs: self.roots.iter().map(|root| self.register[root]).collect(),
        }
    }

    /// Counts how often a register will be read, from the outputs down: operands of fused nodes
    /// have no register of their own.
    fn count_uses(&mut self, forms: &HashMap<ExprId, Form>) {
        for &root in self.roots {
            // one more than is ever read, so that outputs stay to the end
            *self.uses.entry(root).or_default() += 1;
        }
        for id in self.order.iter().rev() {
            if self.uses.contains_key(id) {
                forms[id].operands(|operand| *self.uses.entry(operand).or_default() += 1);
            }
        }
    }

    fn emit(&mut self, id: ExprId, form: &Form, tables: &mut Tables) {
        let target = self.take_register();
        let at = |of: &ExprId| self.register[of];
        match form {
            Form::Leaf => match self.graph.node(id) {
                Node::Input(input) => {
                    self.instructions.push(Instruction::Input { target, input: *input })
                }
                _ => self.instructions.push(Instruction::Time { target }),
            },
            Form::Unary(op, x) => {
                self.instructions.push(Instruction::Unary { op: *op, target, x: at(x) })
            }
            Form::Square(x) => self.instructions.push(Instruction::Square { target, x: at(x) }),
            Form::Binary(op, x, y) => {
                self.instructions.push(Instruction::Binary { op: *op, target, x: at(x), y: at(y) })
            }
            Form::Ternary(op, x, y, z) => {
                self.instructions.push(Instruction::Ternary {
                    op: *op,
                    target,
                    x: at(x),
                    y: at(y),
                    z: at(z),
                });
            }
            Form::Lookup(table, index) => {
                self.instructions.push(Instruction::Lookup {
                    target,
                    table: tables.position(*table),
                    index: at(index),
                });
            }
            Form::Choose(items, index) => {
                let index = at(index);
                let items: Vec<Register> = items.iter().map(at).collect();
                self.instructions.push(Instruction::Nothing { target });
                self.instructions.extend(
                    items.into_iter().zip(0..).map(|(item, position)| Instruction::Pick {
                        target,
                        item,
                        index,
                        position,
                    }),
                );
            }
            Form::SinCos(x) => return self.emit_sin_cos(id, *x, target),
        }
        self.register.insert(id, target);
        self.release(form);
    }

    /// The partner is often wanted too, and costs little.
    fn emit_sin_cos(&mut self, id: ExprId, x: ExprId, first: Register) {
        let second = self.take_register();
        let is_sin = matches!(self.graph.node(id), Node::Unary(UnaryOp::Sin, _));
        let (sin, cos) = if is_sin { (first, second) } else { (second, first) };
        self.instructions.push(Instruction::SinCos { sin, cos, x: self.register[&x] });
        self.register.insert(id, first);
        self.release(&Form::SinCos(x));
        let partner =
            self.graph.find(&Node::Unary(if is_sin { UnaryOp::Cos } else { UnaryOp::Sin }, x));
        match partner.filter(|partner| self.uses.contains_key(partner)) {
            Some(partner) => {
                self.register.insert(partner, second);
                self.release(&Form::SinCos(x));
            }
            None => self.free.push(second),
        }
    }

    /// Registers that are read for the last time here are free from now on.
    fn release(&mut self, form: &Form) {
        form.operands(|operand| {
            let left = self.uses.get_mut(&operand).expect("compile: counted above");
            *left -= 1;
            if *left == 0 && self.graph.as_constant(operand).is_none() {
                self.free.push(self.register[&operand]);
            }
        });
    }

    fn take_register(&mut self) -> Register {
        self.free.pop().unwrap_or_else(|| self.new_register())
    }

    fn new_register(&mut self) -> Register {
        self.registers += 1;
        Register(self.registers - 1)
    }
}

fn form(graph: &Graph, id: ExprId, contract: bool, read_once: &dyn Fn(ExprId) -> bool) -> Form {
    let product = |of: ExprId| match graph.node(of) {
        Node::Binary(BinaryOp::Multiply, x, y) if contract && read_once(of) => Some((*x, *y)),
        _ => None,
    };
    match graph.node(id) {
        Node::Constant(_) | Node::Param(_) | Node::Input(_) | Node::Time => Form::Leaf,
        Node::Unary(UnaryOp::Sin | UnaryOp::Cos, x) => Form::SinCos(*x),
        Node::Unary(op, x) => Form::Unary(*op, *x),
        Node::Binary(BinaryOp::Multiply, x, y) if x == y => Form::Square(*x),
        Node::Binary(BinaryOp::Power, x, y) if graph.as_constant(*y) == Some(2.0) => {
            Form::Square(*x)
        }
        Node::Binary(BinaryOp::Add, x, y) => match (product(*x), product(*y)) {
            (Some((a, b)), _) => Form::Ternary(Ternary::MultiplyAdd, a, b, *y),
            (None, Some((a, b))) => Form::Ternary(Ternary::MultiplyAdd, a, b, *x),
            (None, None) => Form::Binary(BinaryOp::Add, *x, *y),
        },
        Node::Binary(BinaryOp::Subtract, x, y) => match (product(*x), product(*y)) {
            (Some((a, b)), _) => Form::Ternary(Ternary::MultiplySubtract, a, b, *y),
            (None, Some((a, b))) => Form::Ternary(Ternary::NegateMultiplyAdd, a, b, *x),
            (None, None) => Form::Binary(BinaryOp::Subtract, *x, *y),
        },
        Node::Binary(op, x, y) => Form::Binary(*op, *x, *y),
        Node::If(condition, then, otherwise) => {
            Form::Ternary(Ternary::If, *condition, *then, *otherwise)
        }
        Node::Lookup(table, index) => Form::Lookup(table.0, *index),
        Node::Choose(items, index) => Form::Choose(items.to_vec(), *index),
    }
}

impl Form {
    fn operands(&self, mut visit: impl FnMut(ExprId)) {
        match self {
            Form::Leaf => {}
            Form::Unary(_, x) | Form::SinCos(x) | Form::Square(x) | Form::Lookup(_, x) => visit(*x),
            Form::Binary(_, x, y) => [*x, *y].into_iter().for_each(visit),
            Form::Ternary(_, x, y, z) => [*x, *y, *z].into_iter().for_each(visit),
            Form::Choose(items, index) => items.iter().chain([index]).copied().for_each(visit),
        }
    }
}

/// The tables that the program reads, in the order of their first use.
#[derive(Default)]
struct Tables {
    list: Vec<u32>,
}

impl Tables {
    fn position(&mut self, table: u32) -> u32 {
        let known = self.list.iter().position(|&t| t == table);
        known.unwrap_or_else(|| {
            self.list.push(table);
            self.list.len() - 1
        }) as u32
    }
}
