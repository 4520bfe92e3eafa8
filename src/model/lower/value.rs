//! What an expression is while a model is lowered: structure is known, scalars are nodes of the
//! graph.

use crate::expr::{ExprId, Graph};
use std::rc::Rc;

/// A list of value names, `{ left, right }`; equal lists share an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NamesId(pub u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    Number,
    Truth,
    Character,
    /// A position in a list of names; where a number is wanted it is that position.
    Name(NamesId),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    Scalar(ExprId, Type),
    Array(Rc<Vec<Value>>),
    Record(Rc<Vec<(String, Value)>>),
    /// A value name that several domains have; the other operand, or the target's domain, decides.
    Enumerator(Rc<Enumerator>),
    /// What is left of an expression with a mistake that has been told: it raises no further one.
    Poison,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Enumerator {
    pub text: String,
    /// The lists that have the name, and its position there.
    pub candidates: Vec<(NamesId, usize)>,
}

impl Value {
    pub fn number(id: ExprId) -> Value {
        Value::Scalar(id, Type::Number)
    }

    pub fn truth(id: ExprId) -> Value {
        Value::Scalar(id, Type::Truth)
    }

    pub fn array(items: Vec<Value>) -> Value {
        Value::Array(Rc::new(items))
    }

    pub fn record(fields: Vec<(String, Value)>) -> Value {
        Value::Record(Rc::new(fields))
    }

    pub fn text(graph: &mut Graph, text: &str) -> Value {
        Value::array(
            text.chars()
                .map(|c| Value::Scalar(graph.constant(f64::from(u32::from(c))), Type::Character))
                .collect(),
        )
    }

    pub fn field(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Record(fields) => {
                fields.iter().find(|(field, _)| field == name).map(|(_, value)| value)
            }
            Value::Scalar(..) | Value::Array(_) | Value::Enumerator(_) | Value::Poison => None,
        }
    }

    /// Whether a mistake hides anywhere inside.
    pub fn is_poisoned(&self) -> bool {
        match self {
            Value::Poison => true,
            Value::Scalar(..) | Value::Enumerator(_) => false,
            Value::Array(items) => items.iter().any(Value::is_poisoned),
            Value::Record(fields) => fields.iter().any(|(_, value)| value.is_poisoned()),
        }
    }

    /// Whether the value is nested at most `depth` deep and has at most `left` parts, which are
    /// counted down.
    pub fn fits(&self, depth: usize, left: &mut usize) -> bool {
        if depth == 0 || *left == 0 {
            return false;
        }
        *left -= 1;
        match self {
            Value::Scalar(..) | Value::Enumerator(_) | Value::Poison => true,
            Value::Array(items) => items.iter().all(|item| item.fits(depth - 1, left)),
            Value::Record(fields) => fields.iter().all(|(_, value)| value.fits(depth - 1, left)),
        }
    }

    /// In words: `a number`, `an array of 3`.
    pub fn describe(&self, names: &[Vec<String>]) -> String {
        match self {
            Value::Scalar(_, Type::Number) => "a number".to_owned(),
            Value::Scalar(_, Type::Truth) => "a truth value".to_owned(),
            Value::Scalar(_, Type::Character) => "a character".to_owned(),
            Value::Scalar(_, Type::Name(list)) => {
                format!("a value of {{ {} }}", names[list.0 as usize].join(", "))
            }
            Value::Array(items)
                if items.iter().all(|item| matches!(item, Value::Scalar(_, Type::Character)))
                    && !items.is_empty() =>
            {
                "a text".to_owned()
            }
            Value::Array(items) => format!("an array of {}", items.len()),
            Value::Record(fields) => {
                format!(
                    "a record {{ {} }}",
                    fields.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
                )
            }
            Value::Enumerator(enumerator) => format!("the value name `{}`", enumerator.text),
            Value::Poison => "an expression with a mistake".to_owned(),
        }
    }
}

/// The scalars of a value as values, in order.
pub fn flatten(value: &Value, out: &mut Vec<Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| flatten(item, out)),
        Value::Record(fields) => fields.iter().for_each(|(_, value)| flatten(value, out)),
        Value::Scalar(..) | Value::Enumerator(_) | Value::Poison => out.push(value.clone()),
    }
}
