//! `noise(n)`: independent standard normal numbers, drawn anew each time.

use super::super::Lowering;
use super::{Call, NetworkLayer, WIDEST};
use crate::diagnostic::Diagnostic;
use crate::model::{Layer, LayerId, LayerOp};
use crate::syntax::ast;

pub(super) const LAYER: NetworkLayer = NetworkLayer { name: "noise", build };

fn build(lowering: &mut Lowering<'_>, call: &Call<'_>) -> Option<LayerId> {
    let Call { net, arguments, span, .. } = *call;
    let [ast::Argument { label: None, value }] = arguments else {
        lowering.error("arity", span, "`noise` takes the number of draws: `noise(4)`");
        return None;
    };
    let width = lowering.constant_count(value, &net.scope, "the number of draws", WIDEST)?;
    if !net.noise {
        let told = Diagnostic::error(
            "network",
            span,
            "`noise` stands inside `Implicit(…)` only: with it a kernel has no density",
        );
        lowering.report(told.hint("write `Implicit(mlp(s, a, noise(4), hidden = [64]))`"));
        return None;
    }
    // draws are independent, so equal layers stay apart
    lowering.network.layers.push(Layer { op: LayerOp::Noise, width, span });
    Some(LayerId(lowering.network.layers.len() as u32 - 1))
}
