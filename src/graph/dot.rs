//! DOT, the language of Graphviz: `rlppl graph FILE | dot -Tpdf -o graph.pdf`.

use super::legend::{colour, edge_colour, fills, name, parts, shortened};
use super::{FactorGraph, FactorNode, Kind, NodeId, Part, VariableNode};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// One `digraph` with a cluster per bound, in it one for the plate, and a legend.
pub fn dot(graphs: &[FactorGraph]) -> String {
    let mut out = String::new();
    put(&mut out, 0, "digraph factors {");
    put(
        &mut out,
        1,
        "rankdir=LR; newrank=true; fontname=\"Helvetica\"; fontsize=12; nodesep=0.3; ranksep=0.35",
    );
    put(
        &mut out,
        1,
        "node [fontname=\"Helvetica\", fontsize=12]; edge [fontname=\"Helvetica\", fontsize=10, \
         arrowsize=0.7]",
    );
    for (number, graph) in graphs.iter().enumerate() {
        put(&mut out, 1, &format!("subgraph cluster_bound_{number} {{"));
        put(&mut out, 2, &format!("label={}; labeljust=l; penwidth=0", quoted(&graph.title)));
        bound(&mut out, number, graph);
        put(&mut out, 1, "}");
    }
    legend(&mut out, graphs);
    put(&mut out, 0, "}");
    out
}

fn bound(out: &mut String, number: usize, graph: &FactorGraph) {
    let on_plate = |id: &NodeId| graph.variable(*id).place.is_step();
    let ids = || (0..graph.variables.len() as u32).map(NodeId);
    for id in ids().filter(|id| !on_plate(id)) {
        put(out, 2, &variable(number, id, graph.variable(id)));
    }
    for (at, factor) in
        graph.factors.iter().enumerate().filter(|(_, factor)| !factor.draws.iter().any(on_plate))
    {
        put(out, 2, &square(number, at, factor));
    }
    if ids().any(|id| on_plate(&id)) {
        put(out, 2, &format!("subgraph cluster_plate_{number} {{"));
        put(
            out,
            3,
            "label=\"t = 1..T\"; labeljust=r; labelloc=b; style=rounded; color=\"#808080\"; \
             penwidth=1",
        );
        for id in ids().filter(on_plate) {
            put(out, 3, &variable(number, id, graph.variable(id)));
        }
        for (at, factor) in
            graph.factors.iter().enumerate().filter(|(_, factor)| factor.draws.iter().any(on_plate))
        {
            put(out, 3, &square(number, at, factor));
        }
        put(out, 2, "}");
    }
    for (at, factor) in graph.factors.iter().enumerate() {
        let colour = edge_colour(&factor.parts);
        for read in &factor.reads {
            put(
                out,
                2,
                &format!(
                    "v{number}_{} -> f{number}_{at}:square [color=\"{colour}\", arrowhead=none]",
                    read.0
                ),
            );
        }
        for draw in &factor.draws {
            put(
                out,
                2,
                &format!("f{number}_{at}:square -> v{number}_{} [color=\"{colour}\"]", draw.0),
            );
        }
    }
    for (once, step) in &graph.same {
        put(
            out,
            2,
            &format!(
                "v{number}_{} -> v{number}_{} [style=dotted, arrowhead=none, constraint=false]",
                once.0, step.0
            ),
        );
    }
}

fn variable(number: usize, id: NodeId, node: &VariableNode) -> String {
    let look = match node.kind {
        Kind::Drawn => "",
        Kind::Elsewhere => ", style=dashed",
        Kind::Computed => ", peripheries=2",
        Kind::Event => ", style=filled, fillcolor=\"#d9d9d9\"",
    };
    format!("v{number}_{} [label={}, shape=ellipse{look}]", id.0, quoted(&node.label()))
}

/// A coloured square above the name of the factor; edges meet the square.
fn square(number: usize, at: usize, factor: &FactorNode) -> String {
    let label = format!(
        "<table border=\"0\" cellspacing=\"0\" \
         cellpadding=\"1\"><tr><td>{}</td></tr><tr><td>{}</td></tr></table>",
        patch(&factor.parts),
        markup(&shortened(&factor.law))
    );
    format!("f{number}_{at} [shape=plain, tooltip={}, label=<{label}>]", quoted(&factor.formula))
}

/// The colours of a factor's blocks side by side; an environment's own has its colour as the
/// border.
fn patch(parts: &BTreeSet<Part>) -> String {
    const INSIDE: usize = 14;
    let (border, width) = if parts.contains(&Part::Environment) {
        (colour(Part::Environment), 2)
    } else {
        ("#222222", 1)
    };
    let fills = fills(parts);
    let side = INSIDE / fills.len();
    let cell = |part: &Part| {
        format!(
            "<td fixedsize=\"true\" width=\"{side}\" height=\"{INSIDE}\" bgcolor=\"{}\"></td>",
            colour(*part)
        )
    };
    let cells: String = fills.iter().map(cell).collect();
    let outside = INSIDE + 2 * width;
    format!(
        "<table port=\"square\" fixedsize=\"true\" width=\"{outside}\" height=\"{outside}\" \
         border=\"{width}\" color=\"{border}\" \
         cellborder=\"0\" cellspacing=\"0\" cellpadding=\"0\"><tr>{cells}</tr></table>"
    )
}

fn legend(out: &mut String, graphs: &[FactorGraph]) {
    let row = |part: Part| {
        format!(
            "<tr><td>{}</td><td align=\"left\">{}</td></tr>",
            patch(&BTreeSet::from([part])),
            markup(name(part))
        )
    };
    let rows: String = parts(graphs).into_iter().map(row).collect();
    put(
        out,
        1,
        &format!(
            "legend [shape=plain, label=<<table border=\"0\" cellspacing=\"3\" \
             color=\"#c0c0c0\">{rows}</table>>]"
        ),
    );
}

fn put(out: &mut String, depth: usize, line: &str) {
    writeln!(out, "{:1$}{line}", "", 2 * depth).expect("a string can be written to");
}

/// A quoted string of DOT, in which only quotes and backslashes mean something.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            character if character.is_control() => out.push('\u{fffd}'),
            character => out.push(character),
        }
    }
    out.push('"');
    out
}

/// Text inside an HTML-like label.
fn markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            character if character.is_control() => out.push('\u{fffd}'),
            character => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_do_not_end_a_string() {
        assert_eq!(quoted(r#"map == "H" \n"#), r#""map == \"H\" \\n""#);
        assert_eq!(quoted("a\nb\u{0}"), "\"a\u{fffd}b\u{fffd}\"");
    }
}
