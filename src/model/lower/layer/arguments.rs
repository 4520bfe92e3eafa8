//! The named arguments that several layers have.

use super::super::Lowering;
use super::super::value::Value;
use super::{Call, WIDEST};
use crate::diagnostic::Diagnostic;
use crate::model::Activation;
use crate::syntax::ast::{self, ArgumentLabel, ExprKind};

/// `hidden = [64, 64]`
pub fn hidden(lowering: &mut Lowering<'_>, call: &Call<'_>) -> Option<Vec<usize>> {
    let Call { name, net, arguments, span, .. } = *call;
    let Some(hidden) = named(arguments, "hidden") else {
        let told =
            Diagnostic::error("argument", span, format!("`{name}` needs the argument `hidden`"));
        lowering.report(told.hint(format!(
            "write `{name}(…, hidden = [64, 64])`, or `linear(…)` without hidden layers"
        )));
        return None;
    };
    let value = lowering.lower(hidden, &net.scope);
    let items = match &value {
        Value::Array(items) => items.clone(),
        Value::Poison => return None,
        Value::Scalar(..) | Value::Record(_) | Value::Enumerator(_) => {
            let told = Diagnostic::error(
                "type",
                hidden.span,
                "`hidden` is the list of the hidden layers' widths",
            );
            lowering.report(told.hint("write `hidden = [64]`"));
            return None;
        }
    };
    let mut widths = Vec::with_capacity(items.len());
    for item in items.iter() {
        let width = lowering.constant_of(item, hidden.span, "the width of a layer")?;
        if !(1.0..=WIDEST as f64).contains(&width) || width.fract() != 0.0 {
            lowering.error(
                "width",
                hidden.span,
                format!("the width of a layer is a whole number from 1 to {WIDEST}, not {width}"),
            );
            return None;
        }
        widths.push(width as usize);
    }
    Some(widths)
}

pub fn activation(lowering: &mut Lowering<'_>, arguments: &[ast::Argument]) -> Option<Activation> {
    let Some(activation) = named(arguments, "activation") else {
        return Some(Activation::Tanh);
    };
    let known = [
        ("tanh", Activation::Tanh),
        ("relu", Activation::Relu),
        ("sigmoid", Activation::Sigmoid),
        ("softplus", Activation::Softplus),
    ];
    let name = match &activation.kind {
        ExprKind::Name(name) => name.as_str(),
        ExprKind::Number { .. }
        | ExprKind::Text(_)
        | ExprKind::Previous { .. }
        | ExprKind::Unary { .. }
        | ExprKind::Binary { .. }
        | ExprKind::If { .. }
        | ExprKind::Call { .. }
        | ExprKind::Index { .. }
        | ExprKind::Field { .. }
        | ExprKind::Array(_)
        | ExprKind::Record(_) => "",
    };
    if let ExprKind::Text(text) = &activation.kind {
        let told = Diagnostic::error(
            "type",
            activation.span,
            format!("an activation is a word, and `\"{text}\"` stands in quotes"),
        );
        let word =
            known.iter().map(|(known, _)| *known).find(|known| text.eq_ignore_ascii_case(known));
        lowering.report(told.hint(match word {
            Some(word) => format!("write `activation = {word}`"),
            None => "write `activation = relu`, or `tanh`, `sigmoid`, `softplus`".to_owned(),
        }));
        return None;
    }
    match known.iter().find(|(known, _)| *known == name) {
        Some((_, activation)) => Some(*activation),
        None => {
            let known: Vec<String> = known.iter().map(|(name, _)| (*name).to_owned()).collect();
            lowering.unknown(name, activation.span, "activation", &known);
            None
        }
    }
}

/// The value of a named argument.
fn named<'e>(arguments: &'e [ast::Argument], key: &str) -> Option<&'e ast::Expr> {
    arguments
        .iter()
        .find(|argument| {
            matches!(&argument.label, Some(ArgumentLabel::Named(name)) if name.text == key)
        })
        .map(|argument| &argument.value)
}
