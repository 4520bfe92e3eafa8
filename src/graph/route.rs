//! Edges as curves that keep clear of what they do not belong to.

use super::layout::Layout;
use super::sizes::{Point, RADIUS, Rect, SQUARE};

/// A quadratic Bézier curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Curve {
    pub from: Point,
    pub control: Point,
    pub to: Point,
}

/// An end of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Node(usize),
    Square(usize),
}

/// How far from the straight line the middle of a curve may be pulled, in the order tried.
const BENDS: [f64; 23] = [
    0.0, 12.0, -12.0, 24.0, -24.0, 36.0, -36.0, 48.0, -48.0, 64.0, -64.0, 80.0, -80.0, 100.0,
    -100.0, 125.0, -125.0, 155.0, -155.0, 190.0, -190.0, 230.0, -230.0,
];
const SAMPLES: u32 = 24;
/// Between an edge and what it passes.
const MARGIN: f64 = 5.0;

/// The least bent curve that crosses the fewest nodes, squares and labels.
pub fn route(layout: &Layout, from: End, to: End) -> Curve {
    let (a, b) = (centre(layout, from), centre(layout, to));
    let (dx, dy) = (b.x - a.x, b.y - a.y);
    let length = (dx * dx + dy * dy).sqrt().max(1.0);
    let bent = |bend: f64| {
        // a curve passes half way between the straight line and its control point
        let control = Point {
            x: f64::midpoint(a.x, b.x) - 2.0 * bend * dy / length,
            y: f64::midpoint(a.y, b.y) + 2.0 * bend * dx / length,
        };
        Curve { from: leave(layout, from, control), control, to: leave(layout, to, control) }
    };
    let curves = BENDS.iter().map(|bend| (bent(*bend), *bend));
    let priced =
        curves.map(|(curve, bend)| (cost(layout, &curve, from, to) + bend.abs() / 100.0, curve));
    let best = priced.reduce(|best, next| if next.0 < best.0 { next } else { best });
    best.expect("route: there is a straight line").1
}

impl Curve {
    pub fn at(&self, s: f64) -> Point {
        let (p, q, r) = ((1.0 - s) * (1.0 - s), 2.0 * s * (1.0 - s), s * s);
        Point {
            x: p * self.from.x + q * self.control.x + r * self.to.x,
            y: p * self.from.y + q * self.control.y + r * self.to.y,
        }
    }
}

fn centre(layout: &Layout, end: End) -> Point {
    match end {
        End::Node(at) => layout.nodes[at].0,
        End::Square(at) => layout.squares[at].0,
    }
}

/// Where the way from the middle of `end` to `towards` leaves its outline, by halving.
fn leave(layout: &Layout, end: End, towards: Point) -> Point {
    let middle = centre(layout, end);
    let at = |s: f64| Point {
        x: middle.x + s * (towards.x - middle.x),
        y: middle.y + s * (towards.y - middle.y),
    };
    let (mut inside, mut outside) = (0.0, 1.0);
    for _ in 0..24 {
        let half = f64::midpoint(inside, outside);
        if covers(layout, end, at(half), 0.0) { inside = half } else { outside = half }
    }
    at(outside)
}

/// Whether a point lies within `margin` of a node or a square.
fn covers(layout: &Layout, end: End, point: Point, margin: f64) -> bool {
    match end {
        End::Node(at) => {
            let (middle, half) = layout.nodes[at];
            // a box with round ends: the distance from the segment between their middles
            let reach = half - RADIUS;
            let x = (point.x - middle.x).abs() - reach;
            let (x, y) = (x.max(0.0), point.y - middle.y);
            x * x + y * y < (RADIUS + margin) * (RADIUS + margin)
        }
        End::Square(at) => {
            let middle = layout.squares[at].0;
            (point.x - middle.x).abs().max((point.y - middle.y).abs()) < SQUARE + margin
        }
    }
}

fn cost(layout: &Layout, curve: &Curve, from: End, to: End) -> f64 {
    let points: Vec<Point> =
        (1..SAMPLES).map(|k| curve.at(f64::from(k) / f64::from(SAMPLES))).collect();
    let ends =
        (0..layout.nodes.len()).map(End::Node).chain((0..layout.squares.len()).map(End::Square));
    let passed = ends.filter(|end| *end != from && *end != to);
    let blocked = passed
        .filter(|end| points.iter().any(|point| covers(layout, *end, *point, MARGIN)))
        .count();
    let written = layout
        .squares
        .iter()
        .filter(|(_, label)| points.iter().any(|point| label.area().contains(*point)))
        .count();
    let page = Rect { left: 0.0, top: 0.0, right: layout.width, bottom: layout.height };
    let outside = points.iter().filter(|point| !page.contains(**point)).count();
    // a node in the way is worse than any bend, the edge of the page than most, a label than a
    // slight one
    10.0 * blocked as f64 + 2.0 * outside as f64 + 0.25 * written as f64
}
