//! `rlppl graph`: the factor graph of a model.

use super::{Failure, console, exact, input};
use crate::graph;
use crate::model::BoundId;
use clap::ValueEnum;

/// Draw the factor graph of a model.
///
/// Variables, and the factors of all blocks in their colours, with a plate over the steps: as DOT
/// for Graphviz, or as an SVG picture. A file with several bounds has a graph for each.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  rlppl graph models/reinforce.rlmodel | dot -Tpdf -o reinforce.pdf
  rlppl graph models/reinforce.rlmodel --format svg > reinforce.svg
  rlppl graph models/learning_from_model.rlmodel --bound dream")]
pub struct Arguments {
    #[command(flatten)]
    model: input::ModelArguments,
    /// Of which bound, where the file has several; of all if absent
    #[arg(long, value_name = "NAME")]
    bound: Option<String>,
    #[arg(long, value_enum, default_value = "dot")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For Graphviz
    Dot,
    /// A picture
    Svg,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let model = input::load(&arguments.model)?.model;
    let bounds: Vec<BoundId> = match &arguments.bound {
        Some(name) => vec![exact::bound(&model, Some(name))?],
        None => (0..model.bounds.len()).map(|number| BoundId(number as u32)).collect(),
    };
    let graphs: Vec<graph::FactorGraph> =
        bounds.into_iter().map(|bound| graph::factor_graph(&model, bound)).collect();
    match arguments.format {
        Format::Dot => console::verbatim(&graph::dot(&graphs)),
        Format::Svg => console::verbatim(&graph::svg(&graphs)),
    }
}
