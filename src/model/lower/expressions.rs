//! Expressions: a tree in, a structured value out.

use super::Lowering;
use super::scope::Scope;
use super::unit::Meaning;
use super::value::{Type, Value};
use crate::diagnostic::Diagnostic;
use crate::expr::{BinaryOp, UnaryOp};
use crate::syntax::ast::{self, BinaryOperator, ExprKind, UnaryOperator};
use std::collections::HashMap;

/// Nesting of expressions, functions that are called inside included.
pub const DEEPEST: usize = 400;
/// Nesting and number of parts of an array or a record.
const DEEPEST_VALUE: usize = 64;
const LARGEST_VALUE: usize = 4_000_000;

impl Lowering<'_> {
    /// The value of an expression; [`Value::Poison`] where it has a mistake (which is then told).
    pub fn lower(&mut self, expr: &ast::Expr, scope: &Scope) -> Value {
        if self.depth >= DEEPEST {
            self.error(
                "depth",
                expr.span,
                format!("expressions are nested more than {DEEPEST} deep here, functions included"),
            );
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
                    UnaryOperator::Not => {
                        match self.truth(&value, operand.span, "the operand of `not`") {
                            Some(id) => Value::truth(self.graph.unary(UnaryOp::Not, id)),
                            None => Value::Poison,
                        }
                    }
                }
            }
            ExprKind::Binary { operator, left, right } => {
                self.lower_binary(expr, *operator, left, right, scope)
            }
            ExprKind::If { condition, then, otherwise } => {
                let condition_value = self.lower(condition, scope);
                let condition =
                    self.truth(&condition_value, condition.span, "the condition of `if`");
                let branches = [self.lower(then, scope), self.lower(otherwise, scope)];
                let Some(condition) = condition else { return Value::Poison };
                self.merge(&branches, expr.span, &mut |lowering, ids| {
                    lowering.graph.if_(condition, ids[0], ids[1])
                })
            }
            ExprKind::Call { function, arguments, givens } => {
                self.call(expr, function, arguments, givens.as_deref(), scope)
            }
            ExprKind::Index { base, at } => self.index(expr, base, at, scope),
            ExprKind::Field { base, field } => self.lower_field(base, field, scope),
            ExprKind::Array(items) => {
                let value =
                    Value::array(items.iter().map(|item| self.lower(item, scope)).collect());
                self.bounded(value, expr)
            }
            ExprKind::Record(fields) => {
                let mut values: Vec<(String, Value)> = Vec::with_capacity(fields.len());
                let mut firsts = HashMap::new();
                for (name, value) in fields {
                    if let Some(first) = firsts.insert(&name.text, name.span) {
                        self.duplicate(name, first);
                        continue;
                    }
                    let value = self.lower(value, scope);
                    values.push((name.text.clone(), value));
                }
                self.bounded(Value::record(values), expr)
            }
        }
    }

    /// The value, unless definitions have made it too deep or too large to work with.
    fn bounded(&mut self, value: Value, expr: &ast::Expr) -> Value {
        let mut left = LARGEST_VALUE;
        if value.fits(DEEPEST_VALUE, &mut left) {
            return value;
        }
        let message = format!(
            "a value has at most {LARGEST_VALUE} parts, nested at most {DEEPEST_VALUE} deep"
        );
        self.error("size", expr.span, message);
        Value::Poison
    }

    fn lower_binary(
        &mut self,
        expr: &ast::Expr,
        operator: BinaryOperator,
        left: &ast::Expr,
        right: &ast::Expr,
        scope: &Scope,
    ) -> Value {
        let (a, b) = (self.lower(left, scope), self.lower(right, scope));
        match operator {
            BinaryOperator::Equal
            | BinaryOperator::NotEqual
            | BinaryOperator::Less
            | BinaryOperator::LessEqual
            | BinaryOperator::Greater
            | BinaryOperator::GreaterEqual => {
                if let Some(told) = quoted_value((left, &a), (right, &b))
                    .or_else(|| quoted_value((right, &b), (left, &a)))
                {
                    self.report(told);
                    return Value::Poison;
                }
                self.compare(operator, &a, &b, expr.span)
            }
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
            BinaryOperator::Add
            | BinaryOperator::Subtract
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Power => {
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
            let told = Diagnostic::error(
                "type",
                base.span.to(field.span),
                format!("`{name}.{}` is a kernel, not a value", field.text),
            );
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
        let told = Diagnostic::error(
            "type",
            expr.span,
            format!("`{name}(…)` is a distribution, not a value"),
        );
        self.report(
            told.hint("a distribution stands alone to the right of `~` or of a kernel's `=`"),
        );
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

/// `a[t] == "right"`: a text beside one of a domain's names.
fn quoted_value(
    (text, _): (&ast::Expr, &Value),
    (_, other): (&ast::Expr, &Value),
) -> Option<Diagnostic> {
    let ExprKind::Text(word) = &text.kind else { return None };
    matches!(other, Value::Scalar(_, Type::Name(_))).then(|| {
        let message = format!("a text is no value of a domain: `\"{word}\"` stands in quotes");
        Diagnostic::error("type", text.span, message)
            .hint(format!("the names of values stand without quotes: `{word}`"))
    })
}
