//! `per(o, x)`: one head for each value of `o`, of which its value takes one.

use super::super::Lowering;
use super::{Call, NetworkLayer};
use crate::diagnostic::Diagnostic;
use crate::model::{FormalLength, FormalVariable, LayerId, LayerOp};

pub(super) const LAYER: NetworkLayer = NetworkLayer { name: "per", build };

fn build(lowering: &mut Lowering<'_>, call: &Call<'_>) -> Option<LayerId> {
    let Call { net, arguments, span, .. } = *call;
    let [choice, body] = arguments else {
        let told = Diagnostic::error(
            "arity",
            span,
            format!("`per` takes 2 arguments, not {}", arguments.len()),
        );
        lowering.report(told.hint("write `per(o, linear(s))`: one head per value of `o`"));
        return None;
    };
    let formal = lowering.bare_formal(net, "per", choice);
    let width = lowering.demanded(call);
    let ((at, formal), width) = (formal?, width?);
    let count = match formal.variable {
        FormalVariable::Time => lowering.horizon.as_ref().map(|horizon| horizon.value),
        of => {
            lowering.formal_domain(of).and_then(|domain| domain.finite).map(|finite| finite.size())
        }
    };
    let heads = match count {
        Some(count) if formal.length == FormalLength::One && !formal.optional => count,
        Some(_) | None => {
            let told = Diagnostic::error(
                "network",
                choice.value.span,
                format!("`per` has a head per value of `{}`", formal.name),
            );
            lowering.report(told.hint(
                "the given must be finite or the time `t`, a single value, and never `none`",
            ));
            return None;
        }
    };
    let inner = lowering.layer(net, &body.value, Some(heads.saturating_mul(width)))?;
    if lowering.network.layer(inner).width != heads * width {
        lowering.error(
            "width",
            body.value.span,
            format!("`per` needs {heads} × {width} numbers here"),
        );
        return None;
    }
    Some(lowering.push_layer(
        LayerOp::Per { kernel: net.kernel, formal: at, heads: inner },
        width,
        span,
    ))
}
