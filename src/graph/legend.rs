//! Colours and words that both drawings share.

use super::{FactorGraph, Part};
use std::collections::BTreeSet;

/// The palette of Okabe and Ito (2008), which colour-blind readers tell apart.
pub fn colour(part: Part) -> &'static str {
    match part {
        Part::Prior => "#0072b2",
        Part::Auxiliary => "#cc79a7",
        Part::Posterior => "#e69f00",
        Part::Likelihood => "#d55e00",
        Part::Environment => "#009e73",
    }
}

pub fn name(part: Part) -> &'static str {
    match part {
        Part::Prior => "prior",
        Part::Auxiliary => "auxiliary",
        Part::Posterior => "posterior",
        Part::Likelihood => "likelihood",
        Part::Environment => "of the environment",
    }
}

/// Of edges of a factor in several blocks.
pub const SHARED: &str = "#5a5a5a";

/// What a factor is filled with: its blocks, or the environment where it stands in none.
pub fn fills(parts: &BTreeSet<Part>) -> Vec<Part> {
    let blocks: Vec<Part> =
        parts.iter().copied().filter(|part| *part != Part::Environment).collect();
    if blocks.is_empty() { vec![Part::Environment] } else { blocks }
}

/// The colour of a factor's edges.
pub fn edge_colour(parts: &BTreeSet<Part>) -> &'static str {
    match fills(parts)[..] {
        [part] => colour(part),
        _ => SHARED,
    }
}

/// The parts that occur, in order.
pub fn parts(graphs: &[FactorGraph]) -> BTreeSet<Part> {
    graphs
        .iter()
        .flat_map(|graph| &graph.factors)
        .flat_map(|factor| factor.parts.iter().copied())
        .collect()
}

/// `text` cut to what a picture has room for.
pub fn shortened(text: &str) -> String {
    const LONGEST: usize = 28;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}
