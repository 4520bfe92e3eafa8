//! Operations on structured values: element by element on arrays, field by field in `==` and `if`.

use super::Lowering;
use super::value::{Enumerator, NamesId, Type, Value};
use crate::diagnostic::Diagnostic;
use crate::expr::{BinaryOp, ExprId, UnaryOp};
use crate::source::Span;
use crate::syntax::ast::BinaryOperator;

impl Lowering<'_> {
    /// The node of a number; names of a domain count from 0, `false` and `true` are 0 and 1.
    pub fn numeric(&mut self, value: &Value, span: Span) -> Option<ExprId> {
        match value {
            Value::Scalar(id, Type::Number | Type::Name(_) | Type::Truth) => Some(*id),
            Value::Poison => None,
            Value::Enumerator(enumerator) => {
                let position = enumerator.candidates[0].1;
                if enumerator.candidates.iter().all(|(_, at)| *at == position) {
                    return Some(self.graph.constant(position as f64));
                }
                self.ambiguous(enumerator, span);
                None
            }
            Value::Scalar(_, Type::Character) | Value::Array(_) | Value::Record(_) => {
                self.mismatch(span, "a number", value);
                None
            }
        }
    }

    /// The node of a truth value.
    pub fn truth(&mut self, value: &Value, span: Span, what: &str) -> Option<ExprId> {
        match value {
            Value::Scalar(id, Type::Truth) => Some(*id),
            Value::Poison => None,
            Value::Scalar(..) | Value::Array(_) | Value::Record(_) | Value::Enumerator(_) => {
                let found = value.describe(&self.names);
                let told = Diagnostic::error(
                    "type",
                    span,
                    format!("{what} must be a truth value, not {found}"),
                );
                self.report(told.hint("compare it with something: `… == 1`"));
                None
            }
        }
    }

    pub fn mismatch(&mut self, span: Span, wanted: &str, found: &Value) {
        let found = found.describe(&self.names);
        self.error("type", span, format!("expected {wanted}, found {found}"));
    }

    pub fn ambiguous(&mut self, enumerator: &Enumerator, span: Span) {
        let lists: Vec<String> = enumerator
            .candidates
            .iter()
            .map(|(list, _)| format!("{{ {} }}", self.names[list.0 as usize].join(", ")))
            .collect();
        let told = Diagnostic::error(
            "ambiguous-name",
            span,
            format!("`{}` is a value of several domains", enumerator.text),
        );
        self.report(
            told.here(format!("of {}", lists.join(" and of ")))
                .hint("compare it with a variable of the domain that is meant, or rename one"),
        );
    }

    /// A value name in the domain that its surroundings want.
    pub fn resolve(&mut self, value: &Value, list: NamesId, span: Span) -> Value {
        let Value::Enumerator(enumerator) = value else { return value.clone() };
        match enumerator.candidates.iter().find(|(known, _)| *known == list) {
            Some((_, position)) => {
                Value::Scalar(self.graph.constant(*position as f64), Type::Name(list))
            }
            None => {
                let names = self.names[list.0 as usize].join(", ");
                self.error(
                    "type",
                    span,
                    format!("`{}` is not a value of {{ {names} }}", enumerator.text),
                );
                Value::Poison
            }
        }
    }

    pub fn unary(&mut self, op: UnaryOp, value: &Value, span: Span) -> Value {
        match value {
            Value::Array(items) => {
                Value::array(items.iter().map(|item| self.unary(op, item, span)).collect())
            }
            Value::Record(_) => self.no_records(span),
            Value::Scalar(..) | Value::Enumerator(_) | Value::Poison => {
                match self.numeric(value, span) {
                    Some(x) => Value::number(self.graph.unary(op, x)),
                    None => Value::Poison,
                }
            }
        }
    }

    fn no_records(&mut self, span: Span) -> Value {
        let told = Diagnostic::error("type", span, "there is no arithmetic of whole records");
        self.report(told.hint("work field by field: `{ x: s[t].x + 1, y: s[t].y }`"));
        Value::Poison
    }

    /// Arithmetic: arrays of equal length element by element, a number with each element.
    pub fn arithmetic(&mut self, op: BinaryOp, left: &Value, right: &Value, span: Span) -> Value {
        match (left, right) {
            (Value::Poison, other) | (other, Value::Poison) => {
                if matches!(other, Value::Scalar(..)) {
                    self.numeric(other, span);
                }
                Value::Poison
            }
            (Value::Record(_), _) | (_, Value::Record(_)) => self.no_records(span),
            (Value::Array(a), Value::Array(b)) => {
                if a.len() != b.len() {
                    self.error(
                        "width",
                        span,
                        format!("arrays of {} and of {} do not fit", a.len(), b.len()),
                    );
                    return Value::Poison;
                }
                Value::array(
                    a.iter().zip(b.iter()).map(|(a, b)| self.arithmetic(op, a, b, span)).collect(),
                )
            }
            (Value::Array(a), b) => {
                Value::array(a.iter().map(|a| self.arithmetic(op, a, b, span)).collect())
            }
            (a, Value::Array(b)) => {
                Value::array(b.iter().map(|b| self.arithmetic(op, a, b, span)).collect())
            }
            (a, b) => match (self.numeric(a, span), self.numeric(b, span)) {
                (Some(a), Some(b)) => Value::number(self.graph.binary(op, a, b)),
                _ => Value::Poison,
            },
        }
    }

    pub fn compare(
        &mut self,
        operator: BinaryOperator,
        left: &Value,
        right: &Value,
        span: Span,
    ) -> Value {
        let order = |op, a: Value, b: Value| (op, a, b);
        let (op, a, b) = match operator {
            BinaryOperator::Equal => {
                return self.equal(left, right, span).map_or(Value::Poison, Value::truth);
            }
            BinaryOperator::NotEqual => {
                return self
                    .equal(left, right, span)
                    .map_or(Value::Poison, |id| Value::truth(self.graph.unary(UnaryOp::Not, id)));
            }
            BinaryOperator::Less => order(BinaryOp::Less, left.clone(), right.clone()),
            BinaryOperator::LessEqual => order(BinaryOp::LessEqual, left.clone(), right.clone()),
            BinaryOperator::Greater => order(BinaryOp::Less, right.clone(), left.clone()),
            BinaryOperator::GreaterEqual => order(BinaryOp::LessEqual, right.clone(), left.clone()),
            BinaryOperator::Add
            | BinaryOperator::Subtract
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Power
            | BinaryOperator::And
            | BinaryOperator::Or => return Value::Poison,
        };
        match (self.numeric(&a, span), self.numeric(&b, span)) {
            (Some(a), Some(b)) => Value::truth(self.graph.binary(op, a, b)),
            _ => Value::Poison,
        }
    }

    /// Whether two values are the same: scalars, arrays of equal length, records of equal fields.
    fn equal(&mut self, left: &Value, right: &Value, span: Span) -> Option<ExprId> {
        match (left, right) {
            (Value::Poison, _) | (_, Value::Poison) => None,
            (Value::Enumerator(_), Value::Scalar(_, Type::Name(list))) => {
                let left = self.resolve(left, *list, span);
                self.equal(&left, right, span)
            }
            (Value::Scalar(_, Type::Name(list)), Value::Enumerator(_)) => {
                let right = self.resolve(right, *list, span);
                self.equal(left, &right, span)
            }
            (Value::Scalar(_, Type::Name(a)), Value::Scalar(_, Type::Name(b))) if a != b => {
                let (left, right) = (left.describe(&self.names), right.describe(&self.names));
                self.error("type", span, format!("{left} is never {right}"));
                None
            }
            (Value::Scalar(a, Type::Character), Value::Scalar(b, Type::Character))
            | (Value::Scalar(a, Type::Truth), Value::Scalar(b, Type::Truth)) => {
                Some(self.graph.binary(BinaryOp::Equal, *a, *b))
            }
            (Value::Scalar(_, Type::Character), Value::Array(text)) if text.len() == 1 => {
                self.equal(left, &text[0], span)
            }
            (Value::Array(text), Value::Scalar(_, Type::Character)) if text.len() == 1 => {
                self.equal(&text[0], right, span)
            }
            (Value::Scalar(_, Type::Character), _) | (_, Value::Scalar(_, Type::Character)) => {
                self.incomparable(left, right, span)
            }
            (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
                let pairs: Vec<(Value, Value)> = a.iter().cloned().zip(b.iter().cloned()).collect();
                self.all_equal(&pairs, span)
            }
            (Value::Record(a), Value::Record(b))
                if a.len() == b.len() && a.iter().all(|(name, _)| right.field(name).is_some()) =>
            {
                let pairs: Vec<(Value, Value)> = a
                    .iter()
                    .map(|(name, value)| {
                        (value.clone(), right.field(name).cloned().unwrap_or(Value::Poison))
                    })
                    .collect();
                self.all_equal(&pairs, span)
            }
            (Value::Array(_) | Value::Record(_), _) | (_, Value::Array(_) | Value::Record(_)) => {
                self.incomparable(left, right, span)
            }
            (
                Value::Scalar(..) | Value::Enumerator(_),
                Value::Scalar(..) | Value::Enumerator(_),
            ) => {
                let (a, b) = (self.numeric(left, span)?, self.numeric(right, span)?);
                Some(self.graph.binary(BinaryOp::Equal, a, b))
            }
        }
    }

    fn all_equal(&mut self, pairs: &[(Value, Value)], span: Span) -> Option<ExprId> {
        let mut all = Some(self.graph.constant(1.0));
        for (a, b) in pairs {
            let same = self.equal(a, b, span);
            all = all.zip(same).map(|(all, same)| self.graph.binary(BinaryOp::And, all, same));
        }
        all
    }

    fn incomparable(&mut self, left: &Value, right: &Value, span: Span) -> Option<ExprId> {
        let (left, right) = (left.describe(&self.names), right.describe(&self.names));
        self.error("type", span, format!("{left} cannot be compared with {right}"));
        None
    }

    /// Joins values of one structure scalar by scalar: the branches of an `if`, the items an index
    /// chooses from.
    pub fn merge(
        &mut self,
        items: &[Value],
        span: Span,
        join: &mut dyn FnMut(&mut Self, Vec<ExprId>) -> ExprId,
    ) -> Value {
        let known = items.iter().find_map(|item| match item {
            Value::Scalar(_, Type::Name(list)) => Some(*list),
            Value::Scalar(..)
            | Value::Array(_)
            | Value::Record(_)
            | Value::Enumerator(_)
            | Value::Poison => None,
        });
        let items: Vec<Value> = match known {
            Some(list) => items.iter().map(|item| self.resolve(item, list, span)).collect(),
            None => items.to_vec(),
        };
        if items.iter().any(|item| matches!(item, Value::Poison)) {
            return Value::Poison;
        }
        match &items[0] {
            Value::Array(first)
                if items.iter().all(
                    |item| matches!(item, Value::Array(other) if other.len() == first.len()),
                ) =>
            {
                let columns = (0..first.len()).map(|at| {
                    let column: Vec<Value> = items
                        .iter()
                        .map(|item| {
                            if let Value::Array(item) = item {
                                item[at].clone()
                            } else {
                                Value::Poison
                            }
                        })
                        .collect();
                    self.merge(&column, span, join)
                });
                Value::array(columns.collect())
            }
            Value::Record(first)
                if items.iter().all(|item| {
                    matches!(item, Value::Record(other) if other.len() == first.len())
                        && first.iter().all(|(name, _)| item.field(name).is_some())
                }) =>
            {
                let fields = first.iter().map(|(name, _)| {
                    let column: Vec<Value> = items
                        .iter()
                        .map(|item| item.field(name).cloned().unwrap_or(Value::Poison))
                        .collect();
                    (name.clone(), self.merge(&column, span, join))
                });
                Value::record(fields.collect())
            }
            // an undecided value name stays one where all items are that name
            Value::Enumerator(_) if items.iter().all(|item| *item == items[0]) => items[0].clone(),
            Value::Scalar(..)
            | Value::Enumerator(_)
            | Value::Array(_)
            | Value::Record(_)
            | Value::Poison => self.merge_scalars(&items, span, join),
        }
    }

    fn merge_scalars(
        &mut self,
        items: &[Value],
        span: Span,
        join: &mut dyn FnMut(&mut Self, Vec<ExprId>) -> ExprId,
    ) -> Value {
        let mut ids = Vec::with_capacity(items.len());
        let mut kind: Option<Type> = None;
        for item in items {
            let (id, found) = match item {
                Value::Scalar(id, found) => (*id, *found),
                Value::Enumerator(_) => match self.numeric(item, span) {
                    Some(id) => (id, Type::Number),
                    None => return Value::Poison,
                },
                Value::Array(_) | Value::Record(_) | Value::Poison => {
                    return self.unlike(items, span);
                }
            };
            kind = Some(match (kind, found) {
                (None, found) => found,
                (Some(known), found) if known == found => known,
                (
                    Some(Type::Number | Type::Name(_) | Type::Truth),
                    Type::Number | Type::Name(_) | Type::Truth,
                ) => Type::Number,
                (Some(_), _) => return self.unlike(items, span),
            });
            ids.push(id);
        }
        Value::Scalar(join(self, ids), kind.unwrap_or(Type::Number))
    }

    fn unlike(&mut self, items: &[Value], span: Span) -> Value {
        let mut forms: Vec<String> = Vec::new();
        for item in items {
            let form = item.describe(&self.names);
            if !forms.contains(&form) {
                forms.push(form);
            }
        }
        self.error("type", span, format!("the parts differ: {}", forms.join(", ")));
        Value::Poison
    }
}
