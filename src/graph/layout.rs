//! Where nodes, factors and labels of a factor graph stand, and its plate. Lengths are in SVG's
//! user units.
//!
//! Written for this picture: a general layout library knows neither plates nor the order of time.

use super::grid::{ASIDE, Grid, PLATE_PADDING, Seat, Side};
use super::sizes::{LABEL_SIZE, Point, RADIUS, Rect, SQUARE};
use super::{FactorGraph, NodeId};

/// Where a text begins, or its middle, or its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

#[derive(Clone, Debug)]
pub struct Label {
    pub text: String,
    /// On the base line.
    pub at: Point,
    pub anchor: Anchor,
    pub width: f64,
}

#[derive(Clone, Debug)]
pub struct Layout {
    /// Centre and half width of each variable's node, whose height is `2 · RADIUS`.
    pub nodes: Vec<(Point, f64)>,
    /// Centres of the factors' squares, and their labels.
    pub squares: Vec<(Point, Label)>,
    /// Of the steps; none where everything is drawn once.
    pub plate: Option<Rect>,
    pub width: f64,
    pub height: f64,
}

/// Lays a graph out; its upper left corner is the origin.
pub fn layout(graph: &FactorGraph) -> Layout {
    let grid = Grid::of(graph);
    let xs = grid.columns();
    let ids = (0..graph.variables.len() as u32).map(NodeId);
    let mut nodes: Vec<(Point, f64)> =
        ids.zip(&grid.half_widths).map(|(id, half)| (grid.node(id, &xs), *half)).collect();
    let seats = grid.seats(&xs);
    let labelled = seats
        .iter()
        .enumerate()
        .map(|(at, seat)| (seat.at, label(seat, &grid.labels[at], grid.label_widths[at])));
    let mut squares: Vec<(Point, Label)> = labelled.collect();
    let mut plate = plate(graph, &nodes, &squares);

    let boxes =
        nodes.iter().map(node_box).chain(squares.iter().flat_map(factor_boxes)).chain(plate);
    let whole =
        boxes.reduce(Rect::joined).unwrap_or(Rect { left: 0.0, top: 0.0, right: 0.0, bottom: 0.0 });
    let move_to_origin =
        |point: &mut Point| *point = Point { x: point.x - whole.left, y: point.y - whole.top };
    nodes.iter_mut().for_each(|(at, _)| move_to_origin(at));
    for (at, label) in &mut squares {
        move_to_origin(at);
        move_to_origin(&mut label.at);
    }
    if let Some(plate) = &mut plate {
        *plate = plate.moved(-whole.left, -whole.top);
    }
    Layout {
        nodes,
        squares,
        plate,
        width: whole.right - whole.left,
        height: whole.bottom - whole.top,
    }
}

fn label(seat: &Seat, text: &str, width: f64) -> Label {
    let Point { x, y } = seat.at;
    // text that is centred on a line has its base line a third of its size below
    let level = y + LABEL_SIZE / 3.0;
    let (at, anchor) = match seat.side {
        Side::Above => (Point { x, y: y - ASIDE }, Anchor::Middle),
        Side::Below => (Point { x, y: y + ASIDE + 0.7 * LABEL_SIZE }, Anchor::Middle),
        Side::Left => (Point { x: x - ASIDE, y: level }, Anchor::End),
        Side::Right => (Point { x: x + ASIDE, y: level }, Anchor::Start),
    };
    Label { text: text.to_owned(), at, anchor, width }
}

/// Around all that stands on steps, with room for its caption at the bottom.
fn plate(graph: &FactorGraph, nodes: &[(Point, f64)], squares: &[(Point, Label)]) -> Option<Rect> {
    let on_plate = |id: NodeId| graph.variable(id).place.is_step();
    let of_nodes = nodes
        .iter()
        .enumerate()
        .filter(|(at, _)| on_plate(NodeId(*at as u32)))
        .map(|(_, node)| node_box(node));
    let of_factors =
        graph.factors.iter().zip(squares).filter(|(factor, _)| on_plate(factor.draws[0]));
    let inside = of_nodes
        .chain(of_factors.flat_map(|(_, square)| factor_boxes(square)))
        .reduce(Rect::joined)?;
    Some(Rect {
        left: inside.left - PLATE_PADDING,
        top: inside.top - PLATE_PADDING,
        right: inside.right + PLATE_PADDING,
        bottom: inside.bottom + PLATE_PADDING + LABEL_SIZE,
    })
}

fn node_box((at, half): &(Point, f64)) -> Rect {
    Rect { left: at.x - half, top: at.y - RADIUS, right: at.x + half, bottom: at.y + RADIUS }
}

fn factor_boxes((at, label): &(Point, Label)) -> [Rect; 2] {
    [
        Rect {
            left: at.x - SQUARE,
            top: at.y - SQUARE,
            right: at.x + SQUARE,
            bottom: at.y + SQUARE,
        },
        label.area(),
    ]
}

impl Label {
    pub fn area(&self) -> Rect {
        let left = match self.anchor {
            Anchor::Start => self.at.x,
            Anchor::Middle => self.at.x - self.width / 2.0,
            Anchor::End => self.at.x - self.width,
        };
        Rect {
            left,
            top: self.at.y - LABEL_SIZE,
            right: left + self.width,
            bottom: self.at.y + LABEL_SIZE / 3.0,
        }
    }
}

impl Rect {
    fn joined(self, other: Rect) -> Rect {
        Rect {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }

    fn moved(self, dx: f64, dy: f64) -> Rect {
        Rect {
            left: self.left + dx,
            top: self.top + dy,
            right: self.right + dx,
            bottom: self.bottom + dy,
        }
    }

    pub fn contains(&self, point: Point) -> bool {
        self.left < point.x && point.x < self.right && self.top < point.y && point.y < self.bottom
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::factor_graph;
    use crate::model::{BoundId, check};
    use crate::source::Source;
    use crate::syntax::parse;

    fn overlap(one: &Rect, other: &Rect) -> bool {
        one.left < other.right
            && other.left < one.right
            && one.top < other.bottom
            && other.top < one.bottom
    }

    #[test]
    fn nothing_lies_on_anything_else_in_any_model() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/models");
        let mut graphs = 0;
        for entry in std::fs::read_dir(folder).expect("models/ can be read") {
            let path = entry.expect("models/ can be read").path();
            if path.extension().is_none_or(|extension| extension != "rlmodel") {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("the model can be read");
            let file = parse(&Source::at(&path, text)).unwrap_or_else(|found| panic!("{found}"));
            let model = check(&file, &Default::default()).unwrap_or_else(|found| panic!("{found}"));
            for number in 0..model.bounds.len() {
                let graph = factor_graph(&model, BoundId(number as u32));
                let laid = layout(&graph);
                let nodes = laid
                    .nodes
                    .iter()
                    .map(node_box)
                    .zip(graph.variables.iter().map(|node| node.label()));
                let factors = laid
                    .squares
                    .iter()
                    .flat_map(factor_boxes)
                    .zip(graph.factors.iter().flat_map(|factor| [&factor.law; 2]));
                let boxes: Vec<(Rect, String)> =
                    nodes.chain(factors.map(|(area, law)| (area, law.clone()))).collect();
                for (at, (one, name)) in boxes.iter().enumerate() {
                    for (other, other_name) in &boxes[at + 1..] {
                        assert!(
                            !overlap(one, other),
                            "{}: {name} lies on {other_name}",
                            graph.title
                        );
                    }
                    let inside = one.left >= 0.0
                        && one.top >= 0.0
                        && one.right <= laid.width
                        && one.bottom <= laid.height;
                    assert!(inside, "{}: {name} leaves the picture", graph.title);
                }
                graphs += 1;
            }
        }
        assert!(graphs >= 17, "only {graphs} graphs");
    }
}
