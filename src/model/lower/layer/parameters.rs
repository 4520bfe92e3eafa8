//! The parameters of networks, and layers side by side.

use super::super::Lowering;
use super::LARGEST;
use crate::diagnostic::Diagnostic;
use crate::expr::{BinaryOp, UnaryOp};
use crate::model::{Layer, LayerId, LayerOp, Parameter, ParameterId};
use crate::source::Span;

impl Lowering<'_> {
    /// A weight and a bias from `rows` numbers to `width`.
    pub(super) fn affine_of(
        &mut self,
        owner: &str,
        rows: usize,
        width: usize,
        span: Span,
    ) -> Option<(ParameterId, ParameterId)> {
        let weight = self.parameter(&format!("{owner}.weight"), rows, width, span)?;
        let bias = self.parameter(&format!("{owner}.bias"), 1, width, span)?;
        Some((weight, bias))
    }

    /// The parameter of this name, made if it is new; a net that is used again must fit the
    /// parameters it has.
    pub(super) fn parameter(
        &mut self,
        name: &str,
        rows: usize,
        columns: usize,
        span: Span,
    ) -> Option<ParameterId> {
        if rows.checked_mul(columns).is_none_or(|entries| entries > LARGEST) {
            self.error(
                "size",
                span,
                format!("the parameter `{name}` would have more than {LARGEST} entries"),
            );
            return None;
        }
        if let Some(&(id, first)) = self.parameters.get(name) {
            let known = self.network.parameter(id);
            if (known.rows, known.columns) != (rows, columns) {
                let owner = name.split('.').next().unwrap_or(name);
                let message = format!(
                    "the net `{owner}` cannot be shared: its parameter `{name}` is {} × {} in one \
                     place and {rows} × {columns} in another",
                    known.rows, known.columns
                );
                let told = Diagnostic::error("width", span, message).also(first, "first used here");
                self.report(told.hint(
                    "use it with inputs and outputs of the same widths, or declare a second net",
                ));
                return None;
            }
            return Some(id);
        }
        let id = ParameterId(self.network.parameters.len() as u32);
        self.network.parameters.push(Parameter {
            name: name.to_owned(),
            rows,
            columns,
            start: 0.0,
        });
        self.parameters.insert(name.to_owned(), (id, span));
        Some(id)
    }

    pub fn unary_layer(&mut self, op: UnaryOp, input: LayerId, span: Span) -> LayerId {
        let width = self.network.layer(input).width;
        self.push_layer(LayerOp::Unary(op, input), width, span)
    }

    pub fn binary_layer(
        &mut self,
        op: BinaryOp,
        left: LayerId,
        right: LayerId,
        span: Span,
    ) -> Option<LayerId> {
        let (a, b) = (self.network.layer(left).width, self.network.layer(right).width);
        if a != b && a != 1 && b != 1 {
            self.error("width", span, format!("{a} numbers and {b} numbers do not fit"));
            return None;
        }
        Some(self.push_layer(LayerOp::Binary(op, left, right), a.max(b), span))
    }

    pub fn concat(&mut self, layers: Vec<LayerId>, span: Span) -> LayerId {
        if let [one] = layers.as_slice() {
            return *one;
        }
        let width = layers.iter().map(|layer| self.network.layer(*layer).width).sum();
        self.push_layer(LayerOp::Concat(layers), width, span)
    }

    /// The layer; an equal one is made once.
    pub fn push_layer(&mut self, op: LayerOp, width: usize, span: Span) -> LayerId {
        let same =
            self.network.layers.iter().position(|layer| layer.op == op && layer.width == width);
        let at = same.unwrap_or_else(|| {
            self.network.layers.push(Layer { op, width, span });
            self.network.layers.len() - 1
        });
        LayerId(at as u32)
    }
}
