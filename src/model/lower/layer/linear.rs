//! `linear(x, …)`: `W x + b`.

use super::super::Lowering;
use super::{Call, NetworkLayer};
use crate::model::{LayerId, LayerOp};

pub(super) const LAYER: NetworkLayer = NetworkLayer { name: "linear", build };

fn build(lowering: &mut Lowering<'_>, call: &Call<'_>) -> Option<LayerId> {
    let Call { net, span, .. } = *call;
    let input = lowering.input_layers(call, &[]);
    let (input, width) = (input?, lowering.demanded(call)?);
    let owner = net.next_name();
    let rows = lowering.network.layer(input).width;
    let (weight, bias) = lowering.affine_of(&owner, rows, width, net.place(span))?;
    Some(lowering.push_layer(LayerOp::Linear { input, weight, bias }, width, span))
}
