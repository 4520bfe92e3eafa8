//! `mlp(x, …, hidden = [n, …], activation = …)`: linear layers with an activation
//! between them.

use super::super::Lowering;
use super::arguments::{activation, hidden};
use super::{Call, NetworkLayer};
use crate::model::{LayerId, LayerOp};

pub(super) const LAYER: NetworkLayer = NetworkLayer { name: "mlp", build };

fn build(lowering: &mut Lowering<'_>, call: &Call<'_>) -> Option<LayerId> {
    let Call { net, arguments, width, span, .. } = *call;
    let input = lowering.input_layers(call, &["hidden", "activation"]);
    let hidden = hidden(lowering, call);
    let activation = activation(lowering, arguments);
    let (input, mut widths, activation) = (input?, hidden?, activation?);
    let last = match width {
        Some(width) => {
            widths.push(width);
            None
        }
        None if widths.is_empty() => {
            lowering.demanded(call)?;
            None
        }
        None => Some(activation),
    };
    let mut weights = Vec::with_capacity(widths.len());
    let mut rows = lowering.network.layer(input).width;
    for &width in &widths {
        let owner = net.next_name();
        weights.push(lowering.affine_of(&owner, rows, width, net.place(span))?);
        rows = width;
    }
    Some(lowering.push_layer(LayerOp::Mlp { input, activation, last, weights }, rows, span))
}
