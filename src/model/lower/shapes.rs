//! Between domains and structured values: a domain's value as inputs, and a value as the components
//! of a domain.

use super::Lowering;
use super::value::{Type, Value};
use crate::diagnostic::Diagnostic;
use crate::expr::ExprId;
use crate::model::{Domain, Kind, Shape};
use crate::source::Span;

/// How an argument has to fit a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// A value of the domain.
    Value,
    /// A number per component; one number stands for all.
    PerComponent,
}

impl Lowering<'_> {
    /// A value of the domain whose component `i` is `leaf(i)`.
    pub fn structure(
        &mut self,
        domain: &Domain,
        leaf: &mut dyn FnMut(&mut Self, u32) -> ExprId,
    ) -> Value {
        let mut at = 0;
        self.structure_of(&domain.shape, domain, &mut at, leaf)
    }

    fn structure_of(
        &mut self,
        shape: &Shape,
        domain: &Domain,
        at: &mut u32,
        leaf: &mut dyn FnMut(&mut Self, u32) -> ExprId,
    ) -> Value {
        match shape {
            Shape::Scalar => {
                let kind = match &domain.components[*at as usize].kind {
                    Kind::Integer { .. } | Kind::Real { .. } => Type::Number,
                    Kind::Bool => Type::Truth,
                    Kind::Names(names) => Type::Name(self.names_id(names.clone())),
                };
                let id = leaf(self, *at);
                *at += 1;
                Value::Scalar(id, kind)
            }
            Shape::Vector(length) => {
                let items =
                    (0..*length).map(|_| self.structure_of(&Shape::Scalar, domain, at, leaf));
                Value::array(items.collect())
            }
            Shape::Record(fields) => {
                let fields = fields.iter().map(|(name, shape)| {
                    (name.clone(), self.structure_of(shape, domain, at, leaf))
                });
                Value::record(fields.collect())
            }
        }
    }

    /// The nodes of a value, one per component of the domain in its order.
    pub fn fit(
        &mut self,
        value: &Value,
        domain: &Domain,
        how: Fit,
        span: Span,
    ) -> Option<Vec<ExprId>> {
        let mut out = Vec::with_capacity(domain.width());
        self.fit_shape(value, &domain.shape, domain, how, span, &mut out).then_some(out)
    }

    fn fit_shape(
        &mut self,
        value: &Value,
        shape: &Shape,
        domain: &Domain,
        how: Fit,
        span: Span,
        out: &mut Vec<ExprId>,
    ) -> bool {
        match (shape, value) {
            (_, Value::Poison) => false,
            (Shape::Scalar, _) => {
                match self.fit_scalar(value, &domain.components[out.len()].kind, how, span) {
                    Some(id) => {
                        out.push(id);
                        true
                    }
                    None => false,
                }
            }
            (Shape::Vector(length), Value::Array(items)) if items.len() == *length => items
                .iter()
                .all(|item| self.fit_shape(item, &Shape::Scalar, domain, how, span, out)),
            (Shape::Record(fields), Value::Record(values))
                if values.len() == fields.len()
                    && fields.iter().all(|(name, _)| value.field(name).is_some()) =>
            {
                fields.iter().all(|(name, shape)| {
                    let value = value.field(name).cloned().unwrap_or(Value::Poison);
                    self.fit_shape(&value, shape, domain, how, span, out)
                })
            }
            (Shape::Vector(_) | Shape::Record(_), Value::Scalar(..) | Value::Enumerator(_))
                if how == Fit::PerComponent =>
            {
                let Some(id) = self.numeric(value, span) else { return false };
                out.extend(std::iter::repeat_n(id, shape.width()));
                true
            }
            (Shape::Vector(_) | Shape::Record(_), _) => {
                let (wanted, found) = (describe_shape(shape), value.describe(&self.names));
                let code = if matches!((shape, value), (Shape::Vector(_), Value::Array(_))) {
                    "width"
                } else {
                    "type"
                };
                let told =
                    Diagnostic::error(code, span, format!("expected {wanted}, found {found}"));
                let missing = match (shape, value) {
                    (Shape::Record(fields), Value::Record(_)) => {
                        fields.iter().find(|(name, _)| value.field(name).is_none())
                    }
                    _ => None,
                };
                self.report(match missing {
                    Some((name, _)) => told.hint(format!("the field `{name}` is missing")),
                    None => told,
                });
                false
            }
        }
    }

    fn fit_scalar(&mut self, value: &Value, kind: &Kind, how: Fit, span: Span) -> Option<ExprId> {
        if how == Fit::PerComponent {
            return self.numeric(value, span);
        }
        match kind {
            Kind::Integer { .. } | Kind::Real { .. } => self.numeric(value, span),
            Kind::Bool => match value {
                Value::Scalar(id, Type::Truth) => Some(*id),
                Value::Poison => None,
                Value::Scalar(..) | Value::Array(_) | Value::Record(_) | Value::Enumerator(_) => {
                    self.mismatch(span, "a truth value", value);
                    None
                }
            },
            Kind::Names(names) => {
                let list = self.names_id(names.clone());
                match self.resolve(value, list, span) {
                    Value::Scalar(_, Type::Name(other)) if other != list => {
                        let wanted = format!("a value of {{ {} }}", names.join(", "));
                        self.mismatch(span, &wanted, value);
                        None
                    }
                    value => self.numeric(&value, span),
                }
            }
        }
    }

    /// `count` numbers.
    pub fn fit_count(
        &mut self,
        value: &Value,
        count: usize,
        what: &str,
        span: Span,
    ) -> Option<Vec<ExprId>> {
        let items = match value {
            Value::Poison => return None,
            Value::Array(items) => items.clone(),
            Value::Scalar(..) | Value::Record(_) | Value::Enumerator(_) => {
                self.mismatch(span, &format!("an array of {count} {what}"), value);
                return None;
            }
        };
        if items.len() != count {
            self.error(
                "width",
                span,
                format!("expected {count} {what}, one per value, found {}", items.len()),
            );
            return None;
        }
        let ids: Vec<Option<ExprId>> = items.iter().map(|item| self.numeric(item, span)).collect();
        ids.into_iter().collect()
    }

    /// Whether values of `found` are values of `wanted`; tells where they are not. Bounds of reals
    /// may differ.
    pub fn check_same_domain(
        &mut self,
        found: &Domain,
        wanted: &Domain,
        what: &str,
        span: Span,
    ) -> bool {
        let kinds =
            |a: &Kind, b: &Kind| matches!((a, b), (Kind::Real { .. }, Kind::Real { .. })) || a == b;
        let fits = found.shape == wanted.shape
            && found.components.len() == wanted.components.len()
            && found
                .components
                .iter()
                .zip(&wanted.components)
                .all(|(a, b)| kinds(&a.kind, &b.kind))
            && found.finite == wanted.finite;
        if !fits {
            let (found, wanted) = (describe_domain(found), describe_domain(wanted));
            let told = Diagnostic::error(
                "domain",
                span,
                format!("{what} takes values of {wanted}, and this is of {found}"),
            );
            self.report(if found == wanted {
                told.here("`where` leaves out other values")
            } else {
                told
            });
        }
        fits
    }
}

/// `a record { x, y }`, for messages.
fn describe_shape(shape: &Shape) -> String {
    match shape {
        Shape::Scalar => "a number".to_owned(),
        Shape::Vector(length) => format!("an array of {length}"),
        Shape::Record(fields) => format!(
            "a record {{ {} }}",
            fields.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
        ),
    }
}

/// A domain as a file would have it: `{ y: 0..3, x: 0..3 }`.
pub fn describe_domain(domain: &Domain) -> String {
    let mut at = 0;
    describe_part(&domain.shape, domain, &mut at)
}

fn describe_part(shape: &Shape, domain: &Domain, at: &mut usize) -> String {
    match shape {
        Shape::Scalar => {
            let shown = describe_kind(&domain.components[*at].kind);
            *at += 1;
            shown
        }
        Shape::Vector(length) => {
            *at += length;
            format!("real[{length}]")
        }
        Shape::Record(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, shape)| format!("{name}: {}", describe_part(shape, domain, at)))
                .collect();
            format!("{{ {} }}", fields.join(", "))
        }
    }
}

fn describe_kind(kind: &Kind) -> String {
    match kind {
        Kind::Integer { lo, hi } => format!("{lo}..{hi}"),
        Kind::Names(names) => format!("{{ {} }}", names.join(", ")),
        Kind::Bool => "bool".to_owned(),
        Kind::Real { lo, hi } if lo.is_finite() && hi.is_finite() => {
            format!("real in [{lo}, {hi}]")
        }
        Kind::Real { .. } => "real".to_owned(),
    }
}
