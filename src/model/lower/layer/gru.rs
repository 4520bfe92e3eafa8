//! `gru(x, hidden = n)`: a gated recurrent unit over a sequence (Cho et al. 2014).

use super::super::Lowering;
use super::{Call, NetworkLayer, WIDEST};
use crate::diagnostic::Diagnostic;
use crate::model::{FormalLength, LayerId, LayerOp};
use crate::syntax::ast::ArgumentLabel;

/// Its width if `hidden` is not given.
const GRU_WIDTH: usize = 64;

pub(super) const LAYER: NetworkLayer = NetworkLayer { name: "gru", build };

fn build(lowering: &mut Lowering<'_>, call: &Call<'_>) -> Option<LayerId> {
    let Call { net, arguments, width, span, .. } = *call;
    let [sequence, rest @ ..] = arguments else {
        lowering.error("argument", span, "`gru` has no input");
        return None;
    };
    let (at, formal) = lowering.bare_formal(net, "gru", sequence)?;
    let mut hidden = GRU_WIDTH;
    for argument in rest {
        match &argument.label {
            Some(ArgumentLabel::Named(key)) if key.text == "hidden" => {
                hidden = lowering.constant_count(
                    &argument.value,
                    &net.scope,
                    "the width of `gru`",
                    WIDEST,
                )?;
            }
            Some(ArgumentLabel::Named(key)) => {
                lowering.unknown(&key.text, key.span, "argument of `gru`", &["hidden".to_owned()]);
                return None;
            }
            Some(ArgumentLabel::Weight(_)) | None => {
                lowering.error("argument", argument.value.span, "`gru` reads one sequence");
                return None;
            }
        }
    }
    if formal.length != FormalLength::Sequence {
        let told = Diagnostic::error(
            "network",
            sequence.value.span,
            format!("`gru` reads a sequence, and `{}` is none", formal.name),
        );
        lowering.report(told.hint(format!("declare it as one: `{}[..]`", formal.name)));
        return None;
    }
    if width.is_some_and(|width| width != hidden) {
        let told = Diagnostic::error(
            "width",
            span,
            format!("`gru` gives {hidden} numbers, and {} are needed", width.unwrap_or(0)),
        );
        lowering.report(told.hint("put a layer after it: `linear(gru(…))`"));
        return None;
    }
    let columns: usize = lowering
        .formal_domain(formal.variable)?
        .components
        .iter()
        .map(|component| component.kind.columns(formal.optional))
        .sum();
    let owner = net.next_name();
    let mut parameters = Vec::with_capacity(4);
    for (part, rows) in
        [("input", columns), ("recurrent", hidden), ("bias", 1), ("recurrent_bias", 1)]
    {
        parameters.push(lowering.parameter(
            &format!("{owner}.{part}"),
            rows,
            3 * hidden,
            net.place(span),
        )?);
    }
    // which way it runs follows from the factors that use the kernel
    Some(lowering.push_layer(
        LayerOp::Gru { kernel: net.kernel, formal: at, backward: false, parameters },
        hidden,
        span,
    ))
}
