//! The layers of the language, one file each: what they read, which parameters they make, and which
//! layers of the engine they are. To add one that is made of others, write its file and give it a
//! row in [`NETWORKS`].

mod arguments;
mod gru;
mod imagine;
mod inputs;
mod linear;
mod mlp;
mod noise;
mod parameters;
mod per;
mod residual;
mod table;

use super::Lowering;
use super::net_scope::NetScope;
use crate::model::LayerId;
use crate::source::Span;
use crate::syntax::ast;

/// Every layer, in the order in which messages list them.
const NETWORKS: [NetworkLayer; 8] = [
    linear::LAYER,
    mlp::LAYER,
    residual::LAYER,
    table::LAYER,
    per::LAYER,
    gru::LAYER,
    noise::LAYER,
    imagine::LAYER,
];

/// A layer of the language.
struct NetworkLayer {
    name: &'static str,
    build: fn(&mut Lowering<'_>, &Call<'_>) -> Option<LayerId>,
}

/// A use of a layer.
pub struct Call<'a> {
    name: &'static str,
    net: &'a NetScope,
    arguments: &'a [ast::Argument],
    /// How many numbers are asked for; a layer may know by itself.
    width: Option<usize>,
    span: Span,
}

/// Units of one layer, and entries of one parameter.
const WIDEST: usize = 1 << 20;
const LARGEST: usize = 1 << 28;

/// The names of all layers.
pub fn networks() -> impl Iterator<Item = &'static str> {
    NETWORKS.iter().map(|layer| layer.name)
}

pub fn is_network(name: &str) -> bool {
    networks().any(|known| known == name)
}

impl Lowering<'_> {
    /// The layer of that name, applied; `None` within where no layer has it.
    pub fn primitive(
        &mut self,
        net: &NetScope,
        name: &str,
        (arguments, width, span): (&[ast::Argument], Option<usize>, Span),
    ) -> Option<LayerId> {
        let layer = NETWORKS.iter().find(|layer| layer.name == name)?;
        (layer.build)(self, &Call { name: layer.name, net, arguments, width, span })
    }
}
