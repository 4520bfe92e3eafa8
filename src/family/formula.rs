//! Writing formulas as expressions of a graph.

use crate::expr::{BinaryOp, ExprId, Graph, UnaryOp};

/// Builds expressions in a graph, one operation a call.
pub struct Formula<'g> {
    graph: &'g mut Graph,
}

impl<'g> Formula<'g> {
    pub fn new(graph: &'g mut Graph) -> Formula<'g> {
        Formula { graph }
    }

    pub fn number(&mut self, value: f64) -> ExprId {
        self.graph.constant(value)
    }

    pub fn add(&mut self, x: ExprId, y: ExprId) -> ExprId {
        self.graph.binary(BinaryOp::Add, x, y)
    }

    pub fn subtract(&mut self, x: ExprId, y: ExprId) -> ExprId {
        self.graph.binary(BinaryOp::Subtract, x, y)
    }

    pub fn multiply(&mut self, x: ExprId, y: ExprId) -> ExprId {
        self.graph.binary(BinaryOp::Multiply, x, y)
    }

    pub fn divide(&mut self, x: ExprId, y: ExprId) -> ExprId {
        self.graph.binary(BinaryOp::Divide, x, y)
    }

    pub fn max(&mut self, x: ExprId, y: ExprId) -> ExprId {
        self.graph.binary(BinaryOp::Max, x, y)
    }

    /// `factor · x`
    pub fn times(&mut self, factor: f64, x: ExprId) -> ExprId {
        let factor = self.number(factor);
        self.multiply(factor, x)
    }

    /// `x + offset`
    pub fn plus(&mut self, x: ExprId, offset: f64) -> ExprId {
        let offset = self.number(offset);
        self.add(x, offset)
    }

    pub fn square(&mut self, x: ExprId) -> ExprId {
        self.multiply(x, x)
    }

    pub fn sum(&mut self, terms: &[ExprId]) -> ExprId {
        let first = self.number(0.0);
        terms.iter().fold(first, |sum, &term| self.add(sum, term))
    }

    pub fn negate(&mut self, x: ExprId) -> ExprId {
        self.graph.unary(UnaryOp::Negate, x)
    }

    pub fn abs(&mut self, x: ExprId) -> ExprId {
        self.graph.unary(UnaryOp::Abs, x)
    }

    pub fn sign(&mut self, x: ExprId) -> ExprId {
        self.graph.unary(UnaryOp::Sign, x)
    }

    pub fn exp(&mut self, x: ExprId) -> ExprId {
        self.graph.unary(UnaryOp::Exp, x)
    }

    pub fn log(&mut self, x: ExprId) -> ExprId {
        self.graph.unary(UnaryOp::Log, x)
    }

    pub fn tanh(&mut self, x: ExprId) -> ExprId {
        self.graph.unary(UnaryOp::Tanh, x)
    }

    pub fn softplus(&mut self, x: ExprId) -> ExprId {
        self.graph.unary(UnaryOp::Softplus, x)
    }

    /// `log Γ(x)` of a positive number.
    pub fn log_gamma(&mut self, x: ExprId) -> ExprId {
        self.graph.unary(UnaryOp::LogGamma, x)
    }

    /// `ψ(x)`, the slope of `log Γ`.
    pub fn digamma(&mut self, x: ExprId) -> ExprId {
        self.graph.unary(UnaryOp::Polygamma(0), x)
    }

    /// `ψ′(x)`, the slope of `ψ`.
    pub fn trigamma(&mut self, x: ExprId) -> ExprId {
        self.graph.unary(UnaryOp::Polygamma(1), x)
    }
}
