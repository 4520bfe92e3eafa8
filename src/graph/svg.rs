//! SVG, drawn by ourselves: one picture with all the graphs one below the other, and a legend.

use super::layout::{Anchor, Label, Layout, layout};
use super::legend::{colour, edge_colour, fills, name, parts};
use super::route::{Curve, End, route};
use super::sizes::{INDEX_SIZE, LABEL_SIZE, NAME_SIZE, Point, RADIUS, SQUARE};
use super::text::{is_symbol, text_width};
use super::{FactorGraph, FactorNode, Kind, Part, VariableNode};
use std::collections::BTreeSet;
use std::fmt::Write as _;

const MARGIN: f64 = 28.0;
const TITLE: f64 = 30.0;
const INK: &str = "#222";
const STYLE: &str = "text{font-family:'Helvetica Neue',Helvetica,Arial,'DejaVu \
                     Sans',sans-serif;fill:#222}\
.v{font-family:'STIX Two Text','Latin Modern Roman',Georgia,'Times New Roman',serif}\
.l{paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}";

/// The drawing of the graphs of a model's bounds, on white, with its own fonts' fall-backs; the
/// same bytes for the same graphs.
pub fn svg(graphs: &[FactorGraph]) -> String {
    let layouts: Vec<Layout> = graphs.iter().map(layout).collect();
    let legend = Legend::of(graphs);
    let width =
        layouts.iter().map(|layout| layout.width).fold(legend.narrowest(), f64::max) + 2.0 * MARGIN;
    let mut body = String::new();
    let mut y = MARGIN;
    for (graph, layout) in graphs.iter().zip(&layouts) {
        let _ = writeln!(
            body,
            "<text x=\"{}\" y=\"{}\" font-size=\"15\" font-weight=\"bold\">{}</text>",
            number(MARGIN),
            number(y + 6.0),
            escape(&graph.title)
        );
        y += TITLE;
        let _ = writeln!(
            body,
            "<g transform=\"translate({} {})\">",
            number((width - layout.width) / 2.0),
            number(y)
        );
        draw(&mut body, graph, layout);
        body.push_str("</g>\n");
        y += layout.height + MARGIN;
    }
    y += legend.draw(&mut body, y, width);
    let title = graphs.iter().map(|graph| graph.title.as_str()).collect::<Vec<_>>().join(", ");
    let (width, height) = (number(width), number(y + MARGIN / 2.0));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\">\n\
         <title>factor graph of {}</title>\n<style>{STYLE}</style>\n<rect width=\"100%\" \
         height=\"100%\" fill=\"#fff\"/>\n{body}</svg>\n",
        escape(&title)
    )
}

fn draw(out: &mut String, graph: &FactorGraph, layout: &Layout) {
    if let Some(plate) = layout.plate {
        let _ = writeln!(
            out,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"14\" fill=\"none\" \
             stroke=\"#999\" stroke-width=\"1.2\"/>",
            number(plate.left),
            number(plate.top),
            number(plate.right - plate.left),
            number(plate.bottom - plate.top)
        );
        let _ = writeln!(
            out,
            "<text class=\"v\" x=\"{}\" y=\"{}\" font-size=\"14\" text-anchor=\"end\"><tspan \
             font-style=\"italic\">t</tspan> = 1..<tspan font-style=\"italic\">T</tspan></text>",
            number(plate.right - 12.0),
            number(plate.bottom - 10.0)
        );
    }
    for (once, step) in &graph.same {
        let curve = route(layout, End::Node(once.0 as usize), End::Node(step.0 as usize));
        let _ = writeln!(out, "<path d=\"{}\" {}/>", path(&curve), DOTTED);
    }
    for (at, factor) in graph.factors.iter().enumerate() {
        let colour = edge_colour(&factor.parts);
        for read in &factor.reads {
            let curve = route(layout, End::Node(read.0 as usize), End::Square(at));
            let _ = writeln!(
                out,
                "<path d=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.3\"/>",
                path(&curve)
            );
        }
        for draw in &factor.draws {
            let curve = route(layout, End::Square(at), End::Node(draw.0 as usize));
            let _ = writeln!(
                out,
                "<path d=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.3\"/>",
                path(&curve)
            );
            let _ = writeln!(out, "<path d=\"{}\" fill=\"{colour}\"/>", arrow(&curve));
        }
    }
    for (node, (at, half)) in graph.variables.iter().zip(&layout.nodes) {
        variable(out, node, *at, *half);
    }
    for (factor, (at, label)) in graph.factors.iter().zip(&layout.squares) {
        square(out, &factor.parts, *at, Some(factor));
        text(out, label);
    }
}

const DOTTED: &str = "fill=\"none\" stroke=\"#888\" stroke-width=\"1.6\" stroke-linecap=\"round\" \
                      stroke-dasharray=\"0 5\"";
const DASHED: &str = "stroke-dasharray=\"5 3\"";

fn variable(out: &mut String, node: &VariableNode, at: Point, half: f64) {
    let outline = |inset: f64, look: &str| {
        format!(
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"{}\" {look}/>",
            number(at.x - half + inset),
            number(at.y - RADIUS + inset),
            number(2.0 * (half - inset)),
            number(2.0 * (RADIUS - inset)),
            number(RADIUS - inset)
        )
    };
    let shape = match node.kind {
        Kind::Drawn => {
            outline(0.0, &format!("fill=\"#fff\" stroke=\"{INK}\" stroke-width=\"1.4\""))
        }
        Kind::Elsewhere => {
            outline(0.0, &format!("fill=\"#fff\" stroke=\"#777\" stroke-width=\"1.3\" {DASHED}"))
        }
        Kind::Computed => {
            let line = format!("fill=\"#fff\" stroke=\"{INK}\" stroke-width=\"1.2\"");
            outline(0.0, &line) + &outline(3.0, &line)
        }
        Kind::Event => {
            outline(0.0, &format!("fill=\"#d9d9d9\" stroke=\"{INK}\" stroke-width=\"1.4\""))
        }
    };
    let name = if is_symbol(&node.name) { italic(&node.name) } else { escape(&node.name) };
    let _ = writeln!(
        out,
        "{shape}<text class=\"v\" x=\"{}\" y=\"{}\" font-size=\"{NAME_SIZE}\" \
         text-anchor=\"middle\">{name}{}</text>",
        number(at.x),
        number(at.y + 4.5),
        index(&node.place.index())
    );
}

/// A subscript in which letters stand in italics.
fn index(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let marks = text.chars().map(|mark| match mark {
        '-' => "−".to_owned(),
        't' | 'T' => italic(&mark.to_string()),
        mark => mark.to_string(),
    });
    format!(
        "<tspan dy=\"4\" dx=\"1\" font-size=\"{INDEX_SIZE}\">{}</tspan>",
        marks.collect::<String>()
    )
}

fn italic(text: &str) -> String {
    format!("<tspan font-style=\"italic\">{}</tspan>", escape(text))
}

/// Filled with the colours of its blocks side by side; an environment's own has a border of its
/// colour.
fn square(out: &mut String, parts: &BTreeSet<Part>, at: Point, factor: Option<&FactorNode>) {
    let fills = fills(parts);
    let side = 2.0 * SQUARE / fills.len() as f64;
    out.push_str("<g>");
    if let Some(factor) = factor {
        let blocks: Vec<&str> = factor.parts.iter().map(|part| name(*part)).collect();
        let _ = write!(out, "<title>{} ({})</title>", escape(&factor.formula), blocks.join(", "));
    }
    for (number_of, part) in fills.iter().enumerate() {
        let _ = write!(
            out,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\"/>",
            number(at.x - SQUARE + number_of as f64 * side),
            number(at.y - SQUARE),
            number(side),
            number(2.0 * SQUARE),
            colour(*part)
        );
    }
    let (border, thick) = if parts.contains(&Part::Environment) {
        (colour(Part::Environment), 3.0)
    } else {
        (INK, 1.0)
    };
    let _ = writeln!(
        out,
        "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"{border}\" \
         stroke-width=\"{thick}\"/></g>",
        number(at.x - SQUARE),
        number(at.y - SQUARE),
        number(2.0 * SQUARE),
        number(2.0 * SQUARE)
    );
}

fn text(out: &mut String, label: &Label) {
    let anchor = match label.anchor {
        Anchor::Start => "start",
        Anchor::Middle => "middle",
        Anchor::End => "end",
    };
    let _ = writeln!(
        out,
        "<text class=\"l\" x=\"{}\" y=\"{}\" font-size=\"{LABEL_SIZE}\" \
         text-anchor=\"{anchor}\">{}</text>",
        number(label.at.x),
        number(label.at.y),
        escape(&label.text)
    );
}

fn path(curve: &Curve) -> String {
    let point = |at: Point| format!("{} {}", number(at.x), number(at.y));
    format!("M{} Q{} {}", point(curve.from), point(curve.control), point(curve.to))
}

/// A triangle at the end of a curve, along its last stretch.
fn arrow(curve: &Curve) -> String {
    let (dx, dy) = (curve.to.x - curve.control.x, curve.to.y - curve.control.y);
    let length = (dx * dx + dy * dy).sqrt().max(1.0);
    let (dx, dy) = (dx / length, dy / length);
    let corner = |side: f64| {
        format!(
            "{} {}",
            number(curve.to.x - 8.0 * dx - side * dy),
            number(curve.to.y - 8.0 * dy + side * dx)
        )
    };
    format!("M{} {} L{} L{} Z", number(curve.to.x), number(curve.to.y), corner(3.5), corner(-3.5))
}

/// What the marks mean: only those that occur.
struct Legend {
    entries: Vec<(Mark, &'static str)>,
}

#[derive(Clone, Debug)]
enum Mark {
    Parts(BTreeSet<Part>),
    Elsewhere,
    Computed,
    Event,
    Same,
}

impl Legend {
    fn of(graphs: &[FactorGraph]) -> Legend {
        let mut entries: Vec<(Mark, &'static str)> = Vec::new();
        for part in parts(graphs) {
            entries.push((Mark::Parts(BTreeSet::from([part])), name(part)));
        }
        let shared: BTreeSet<Vec<Part>> = graphs
            .iter()
            .flat_map(|graph| &graph.factors)
            .map(|factor| fills(&factor.parts))
            .collect();
        for parts in shared.into_iter().filter(|parts| parts.len() > 1) {
            // two of the blocks above
            entries.push((Mark::Parts(parts.into_iter().collect()), "in both: it cancels"));
        }
        let kinds = [
            (Kind::Elsewhere, Mark::Elsewhere, "drawn at another step"),
            (Kind::Computed, Mark::Computed, "computed"),
            (Kind::Event, Mark::Event, "observed event"),
        ];
        for (kind, mark, words) in kinds {
            if graphs.iter().flat_map(|graph| &graph.variables).any(|node| node.kind == kind) {
                entries.push((mark, words));
            }
        }
        if graphs.iter().any(|graph| !graph.same.is_empty()) {
            entries.push((Mark::Same, "the same variable"));
        }
        Legend { entries }
    }

    fn entry_width(words: &str) -> f64 {
        26.0 + text_width(words, LABEL_SIZE) + 20.0
    }

    /// Three entries fit beside each other.
    fn narrowest(&self) -> f64 {
        self.entries.iter().map(|(_, words)| Legend::entry_width(words)).fold(0.0, f64::max) * 3.0
    }

    /// Draws the entries in lines as wide as the picture; returns their height.
    fn draw(&self, out: &mut String, top: f64, width: f64) -> f64 {
        const LINE: f64 = 26.0;
        let (mut x, mut y) = (MARGIN, top);
        let _ = writeln!(
            out,
            "<path d=\"M{} {} H{}\" stroke=\"#ddd\"/>",
            number(MARGIN),
            number(top - 8.0),
            number(width - MARGIN)
        );
        y += LINE / 2.0;
        for (mark, words) in &self.entries {
            let wide = Legend::entry_width(words);
            if x > MARGIN && x + wide - 20.0 > width - MARGIN {
                x = MARGIN;
                y += LINE;
            }
            let at = Point { x: x + 10.0, y };
            let round = |look: &str| {
                format!(
                    "<circle cx=\"{}\" cy=\"{}\" r=\"8\" {look}/>\n",
                    number(at.x),
                    number(at.y)
                )
            };
            match mark {
                Mark::Parts(parts) => square(out, parts, at, None),
                Mark::Elsewhere => out.push_str(&round(&format!(
                    "fill=\"#fff\" stroke=\"#777\" stroke-width=\"1.3\" {DASHED}"
                ))),
                Mark::Computed => {
                    out.push_str(&round(&format!(
                        "fill=\"#fff\" stroke=\"{INK}\" stroke-width=\"1.2\""
                    )));
                    let _ = writeln!(
                        out,
                        "<circle cx=\"{}\" cy=\"{}\" r=\"5\" fill=\"#fff\" stroke=\"{INK}\" \
                         stroke-width=\"1.2\"/>",
                        number(at.x),
                        number(at.y)
                    );
                }
                Mark::Event => out.push_str(&round(&format!(
                    "fill=\"#d9d9d9\" stroke=\"{INK}\" stroke-width=\"1.4\""
                ))),
                Mark::Same => {
                    let _ = writeln!(
                        out,
                        "<path d=\"M{} {} h20\" {DOTTED}/>",
                        number(at.x - 10.0),
                        number(at.y)
                    );
                }
            }
            text(
                out,
                &Label {
                    text: (*words).to_owned(),
                    at: Point { x: x + 26.0, y: y + LABEL_SIZE / 3.0 },
                    anchor: Anchor::Start,
                    width: text_width(words, LABEL_SIZE),
                },
            );
            x += wide;
        }
        y + LINE / 2.0 - top
    }
}

/// To a tenth of a unit, without trailing zeros.
fn number(value: f64) -> String {
    let tenths = (value * 10.0).round() as i64;
    match tenths % 10 {
        0 => (tenths / 10).to_string(),
        _ => format!(
            "{}{}.{}",
            if tenths < 0 { "-" } else { "" },
            tenths.abs() / 10,
            tenths.abs() % 10
        ),
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML has no way to write one
            character if character.is_control() => out.push('\u{fffd}'),
            character => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::legend::SHARED;

    #[test]
    fn numbers_are_short_and_names_cannot_end_an_element() {
        assert_eq!([12.0, 0.04, -0.04, -0.5, 3.25].map(number), ["12", "0", "0", "-0.5", "3.3"]);
        assert_eq!(
            escape("a < \"b\" & </text>\u{1}"),
            "a &lt; &quot;b&quot; &amp; &lt;/text&gt;\u{fffd}"
        );
    }

    #[test]
    fn a_shared_factor_has_no_blocks_colour_on_its_edges() {
        assert_eq!(
            edge_colour(&BTreeSet::from([Part::Prior, Part::Posterior, Part::Environment])),
            SHARED
        );
        assert_eq!(
            edge_colour(&BTreeSet::from([Part::Posterior, Part::Environment])),
            colour(Part::Posterior)
        );
        assert_eq!(edge_colour(&BTreeSet::from([Part::Environment])), colour(Part::Environment));
    }
}
