//! What networks read: formals as the engine encodes them, and other values as columns.

use super::super::Lowering;
use super::super::net_scope::{NetScope, Signal};
use super::super::value::{Type, Value, flatten};
use super::Call;
use crate::diagnostic::Diagnostic;
use crate::expr::{BinaryOp, ExprId, Node};
use crate::model::{Formal, FormalVariable, Input, Kind, LayerId, LayerOp};
use crate::source::Span;
use crate::syntax::ast::{self, ArgumentLabel, ExprKind};
use crate::syntax::our_argument;

impl Lowering<'_> {
    pub(super) fn demanded(&mut self, call: &Call<'_>) -> Option<usize> {
        let Call { name, width, span, .. } = *call;
        if width.is_none() {
            let told = Diagnostic::error(
                "width",
                span,
                format!("nothing says how many numbers `{name}` gives here"),
            );
            self.report(told.hint(
                "the width follows from a distribution; inside another network \
                                   use `mlp(…, hidden = [n])`",
            ));
        }
        width
    }

    /// The inputs of a network side by side; `settings` are the named arguments it has.
    pub(super) fn input_layers(&mut self, call: &Call<'_>, settings: &[&str]) -> Option<LayerId> {
        let Call { name, net, arguments, span, .. } = *call;
        let mut layers = Vec::new();
        for argument in arguments {
            match &argument.label {
                None => {
                    let layer = self.input_layer(net, &argument.value);
                    layers.push(layer);
                }
                Some(ArgumentLabel::Named(key)) if settings.contains(&key.text.as_str()) => {}
                Some(ArgumentLabel::Named(key)) => {
                    let known: Vec<String> = settings.iter().map(|key| (*key).to_owned()).collect();
                    let ours =
                        our_argument(&key.text, &known).map(|ours| format!("write `{ours} = …`"));
                    self.unknown_word(
                        &key.text,
                        key.span,
                        &format!("argument of `{name}`"),
                        &known,
                        ours,
                    );
                    layers.push(None);
                }
                Some(ArgumentLabel::Weight(weight)) => {
                    self.error(
                        "argument",
                        weight.span,
                        format!("an input of `{name}` has no weight"),
                    );
                    layers.push(None);
                }
            }
        }
        if layers.is_empty() {
            self.error("argument", span, format!("`{name}` has no input"));
            return None;
        }
        let layers = layers.into_iter().collect::<Option<Vec<_>>>()?;
        Some(self.concat(layers, span))
    }

    /// One input: a formal as the engine encodes it, other values as columns (one-hot where they
    /// are finite parts of a formal).
    fn input_layer(&mut self, net: &NetScope, expr: &ast::Expr) -> Option<LayerId> {
        match self.signal(net, expr, None)? {
            Signal::Layer(layer) => Some(layer),
            Signal::Formal(formal) => self.formal_layer(net, formal, expr.span),
            Signal::Value(value) => {
                let mut scalars = Vec::new();
                flatten(&value, &mut scalars);
                let mut columns = Vec::new();
                for scalar in &scalars {
                    self.columns(scalar, expr.span, &mut columns)?;
                }
                if columns.is_empty() {
                    let message = "an empty array is no input of a network: it has no numbers";
                    self.error("argument", expr.span, message);
                    return None;
                }
                self.scalars(net, columns, expr.span)
            }
        }
    }

    fn columns(&mut self, scalar: &Value, span: Span, out: &mut Vec<ExprId>) -> Option<()> {
        let (id, range) = match scalar {
            Value::Scalar(id, Type::Name(list)) => {
                (*id, Some((0, self.names[list.0 as usize].len() as i64)))
            }
            Value::Scalar(id, Type::Truth) => (*id, None),
            Value::Scalar(id, Type::Number) => (*id, self.range_of_input(*id)),
            Value::Scalar(_, Type::Character)
            | Value::Array(_)
            | Value::Record(_)
            | Value::Enumerator(_)
            | Value::Poison => (self.numeric(scalar, span)?, None),
        };
        match range {
            Some((lo, count)) => {
                for value in lo..lo + count {
                    let value = self.graph.constant(value as f64);
                    out.push(self.graph.binary(BinaryOp::Equal, id, value));
                }
            }
            None => out.push(id),
        }
        Some(())
    }

    /// The values of a finite component of a formal.
    fn range_of_input(&self, id: ExprId) -> Option<(i64, i64)> {
        let Node::Input(input) = self.graph.node(id) else { return None };
        let Input::Formal { kernel, formal, component } = self.inputs[input.0 as usize] else {
            return None;
        };
        let variable = self.kernel_slot(kernel).formal(formal)?.variable;
        let domain = self.formal_domain(variable)?;
        match &domain.components[component as usize % domain.width()].kind {
            Kind::Integer { lo, hi } => Some((*lo, hi - lo + 1)),
            Kind::Names(_) | Kind::Bool | Kind::Real { .. } => None,
        }
    }

    fn formal_layer(&mut self, net: &NetScope, at: u32, span: Span) -> Option<LayerId> {
        let formal = self.kernel_slot(net.kernel).formal(at)?.clone();
        let domain = self.formal_domain(formal.variable);
        if domain.is_none() && formal.variable != FormalVariable::Time {
            return None;
        }
        let Some(width) = formal.columns(domain.as_ref()) else {
            let told = Diagnostic::error(
                "network",
                span,
                format!("`{}` is a sequence of any length", formal.name),
            );
            self.report(told.hint(format!("sum it up with `gru({})`", formal.name)));
            return None;
        };
        Some(self.push_layer(LayerOp::Formal { kernel: net.kernel, formal: at }, width, span))
    }

    /// A formal given by its bare name, for `table`, `per`, `gru` and `imagine`.
    pub(super) fn bare_formal(
        &mut self,
        net: &NetScope,
        name: &str,
        argument: &ast::Argument,
    ) -> Option<(u32, Formal)> {
        let span = argument.value.span;
        if argument.label.is_none()
            && let ExprKind::Name(input) = &argument.value.kind
        {
            match net.signal(input) {
                Some(Signal::Formal(at)) => {
                    let at = *at;
                    return self
                        .kernel_slot(net.kernel)
                        .formal(at)
                        .map(|formal| (at, formal.clone()));
                }
                Some(Signal::Value(_) | Signal::Layer(_)) => {}
                None if self.lower(&argument.value, &net.scope).is_poisoned() => return None,
                None => {}
            }
        }
        if let ExprKind::Index { base, .. } = &argument.value.kind
            && let ExprKind::Name(input) = &base.kind
            && matches!(net.signal(input), Some(Signal::Formal(_)))
        {
            let told =
                Diagnostic::error("index", span, format!("inside a kernel `{input}` has no index"));
            self.report(told.hint(format!(
                "write `{input}`: the factor that uses the kernel says at which step it is read"
            )));
            return None;
        }
        let told = Diagnostic::error(
            "network",
            span,
            format!("`{name}` reads a given of the kernel as it is"),
        );
        self.report(told.hint(match &argument.value.kind {
            ExprKind::Name(input) if input == "t" => {
                "declare the time among the givens: `kernel pi(a | s, t)`"
            }
            _ => "name the given, without operations on it",
        }));
        None
    }
}
