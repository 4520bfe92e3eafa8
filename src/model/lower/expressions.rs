//! Expressions: a tree in, a structured value out.

use super::Lowering;
use super::scope::{Meaning, Scope};
use super::value::Value;
use crate::diagnostic::Diagnostic;
use crate::expr::{BinaryOp, UnaryOp};
use crate::syntax::ast::{self, BinaryOperator, ExprKind, UnaryOperator};

/// Nesting of expressions, functions that are called inside included.
const DEEPEST: usize = 400;

impl Lowering<'_> {
    /// The value of an expression; [`Value::Poison`] where it has a mistake (which is then told).
    pub fn lower(&mut self, expr: &ast::Expr, scope: &Scope) -> Value {
        if self.depth >= DEEPEST {
            self.error("depth", expr.span, format!("expressions are nested more than {DEEPEST} deep here, functions included"));
            return Value::Poison;
        }
        self.depth += 1;
        let value = self.lower_kind(expr, scope);
        self.depth -= 1;
        value
    }

    fn lower_kind(&mut self, expr: &ast::Expr, scope: &Scope) -> Value {
        match &expr.kind {
            ExprKind::Number { value, text } => {
                if !value.is_finite() {
                    self.error("constant", expr.span, format!("the number {text} is too large"));
                    return Value::Poison;
                }
                Value::number(self.graph.constant(*value))
            }
            ExprKind::Text(text) => Value::text(&mut self.graph, text),
            ExprKind::Name(name) => self.name_value(name, expr.span, scope),
            ExprKind::Previous { kernel, .. } => {
                self.distribution_as_value(expr, &format!("previous {}", kernel.text));
                Value::Poison
            }
            ExprKind::Unary { operator, operand } => {
                let value = self.lower(operand, scope);
                match operator {
                    UnaryOperator::Minus => self.unary(UnaryOp::Negate, &value, operand.span),
                    UnaryOperator::Not => match self.truth(&value, operand.span, "the operand of `not`") {
                        Some(id) => Value::truth(self.graph.unary(UnaryOp::Not, id)),
                        None => Value::Poison,
                    },
                }
            }
            ExprKind::Binary { operator, left, right } => self.lower_binary(expr, *operator, left, right, scope),
            ExprKind::If { condition, then, otherwise } => {
                let condition_value = self.lower(condition, scope);
                let condition = self.truth(&condition_value, condition.span, "the condition of `if`");
                let branches = [self.lower(then, scope), self.lower(otherwise, scope)];
                let Some(condition) = condition else { return Value::Poison };
                self.merge(&branches, expr.span, &mut |lowering, ids| lowering.graph.if_(condition, ids[0], ids[1]))
            }
            ExprKind::Call { function, arguments, givens } => self.call(expr, function, arguments, givens.as_deref(), scope),
            ExprKind::Index { base, at } => self.index(expr, base, at, scope),
            ExprKind::Field { base, field } => self.lower_field(base, field, scope),
            ExprKind::Array(items) => Value::array(items.iter().map(|item| self.lower(item, scope)).collect()),
            ExprKind::Record(fields) => {
                let mut values: Vec<(String, Value)> = Vec::with_capacity(fields.len());
                for (at, (name, value)) in fields.iter().enumerate() {
                    if let Some((first, _)) = fields[..at].iter().find(|(first, _)| first.text == name.text) {
                        self.duplicate(name, first.span);
                        continue;
                    }
                    let value = self.lower(value, scope);
                    values.push((name.text.clone(), value));
                }
                Value::record(values)
            }
        }
    }

    fn lower_binary(&mut self, expr: &ast::Expr, operator: BinaryOperator, left: &ast::Expr, right: &ast::Expr, scope: &Scope) -> Value {
        let (a, b) = (self.lower(left, scope), self.lower(right, scope));
        match operator {
            BinaryOperator::Equal
            | BinaryOperator::NotEqual
            | BinaryOperator::Less
            | BinaryOperator::LessEqual
            | BinaryOperator::Greater
            | BinaryOperator::GreaterEqual => self.compare(operator, &a, &b, expr.span),
            BinaryOperator::And | BinaryOperator::Or => {
                let (op, what) = if operator == BinaryOperator::And {
                    (BinaryOp::And, "an operand of `and`")
                } else {
                    (BinaryOp::Or, "an operand of `or`")
                };
                match (self.truth(&a, left.span, what), self.truth(&b, right.span, what)) {
                    (Some(a), Some(b)) => Value::truth(self.graph.binary(op, a, b)),
                    _ => Value::Poison,
                }
            }
            BinaryOperator::Add | BinaryOperator::Subtract | BinaryOperator::Multiply | BinaryOperator::Divide | BinaryOperator::Power => {
                let op = arithmetic_op(operator).unwrap_or(BinaryOp::Add);
                self.arithmetic(op, &a, &b, expr.span)
            }
        }
    }

    fn lower_field(&mut self, base: &ast::Expr, field: &ast::Name, scope: &Scope) -> Value {
        if let ExprKind::Name(name) = &base.kind
            && scope.local(name).is_none()
            && matches!(self.meaning(scope.unit, name), Some(Meaning::Environment(_)))
        {
            let told = Diagnostic::error("type", base.span.to(field.span), format!("`{name}.{}` is a kernel, not a value", field.text));
            self.report(told.hint("a kernel stands alone to the right of `~`"));
            return Value::Poison;
        }
        let value = self.lower(base, scope);
        match &value {
            Value::Poison => Value::Poison,
            Value::Record(fields) => match value.field(&field.text) {
                Some(value) => value.clone(),
                None => {
                    let known: Vec<String> = fields.iter().map(|(name, _)| name.clone()).collect();
                    self.unknown(&field.text, field.span, "field", &known);
                    Value::Poison
                }
            },
            Value::Scalar(..) | Value::Array(_) | Value::Enumerator(_) => {
                let found = value.describe(&self.names);
                self.error("type", field.span, format!("{found} has no fields"));
                Value::Poison
            }
        }
    }

    pub fn distribution_as_value(&mut self, expr: &ast::Expr, name: &str) {
        let told = Diagnostic::error("type", expr.span, format!("`{name}(…)` is a distribution, not a value"));
        self.report(told.hint("a distribution stands alone to the right of `~` or of a kernel's `=`"));
    }
}

/// The operation of an arithmetic operator.
pub fn arithmetic_op(operator: BinaryOperator) -> Option<BinaryOp> {
    match operator {
        BinaryOperator::Add => Some(BinaryOp::Add),
        BinaryOperator::Subtract => Some(BinaryOp::Subtract),
        BinaryOperator::Multiply => Some(BinaryOp::Multiply),
        BinaryOperator::Divide => Some(BinaryOp::Divide),
        BinaryOperator::Power => Some(BinaryOp::Power),
        BinaryOperator::Equal
        | BinaryOperator::NotEqual
        | BinaryOperator::Less
        | BinaryOperator::LessEqual
        | BinaryOperator::Greater
        | BinaryOperator::GreaterEqual
        | BinaryOperator::And
        | BinaryOperator::Or => None,
    }
}
