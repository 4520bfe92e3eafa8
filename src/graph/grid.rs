//! The grid of a picture: times as columns, variables as rows, and for each factor a slot just
//! before what it draws.

use super::legend::shortened;
use super::sizes::{LABEL_SIZE, Point, SQUARE};
use super::text::{node_half_width, text_width};
use super::{FactorGraph, FactorNode, NodeId, Place};
use std::collections::{BTreeMap, BTreeSet};

pub const ROW: f64 = 108.0;
/// Between the middles of two columns, at least.
const COLUMN: f64 = 92.0;
/// Half of what lies between two squares in one slot.
const TWINS: f64 = 20.0;
const CLEARANCE: f64 = 14.0;
pub const PLATE_PADDING: f64 = 20.0;
/// From a square's middle to the text beside it.
pub const ASIDE: f64 = SQUARE + 5.0;

/// What a factor stands before: its variable from above, or from the side where it reads the same
/// variable at another time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    Above {
        row: usize,
        column: usize,
    },
    /// In the gap between `column` and the next.
    Beside {
        row: usize,
        column: usize,
    },
}

pub struct Grid<'a> {
    graph: &'a FactorGraph,
    places: Vec<Place>,
    /// The factors of each slot: at most two, one of prior and auxiliary, one of the posterior.
    slots: BTreeMap<Slot, Vec<usize>>,
    pub half_widths: Vec<f64>,
    pub labels: Vec<String>,
    pub label_widths: Vec<f64>,
}

/// Where a factor stands in the grid.
#[derive(Clone, Copy, Debug)]
pub struct Seat {
    /// Its square's middle.
    pub at: Point,
    pub side: Side,
}

/// On which side of a square its label stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Above,
    Below,
    Left,
    Right,
}

impl<'a> Grid<'a> {
    pub fn of(graph: &'a FactorGraph) -> Grid<'a> {
        let places: BTreeSet<Place> = graph.variables.iter().map(|node| node.place).collect();
        let labels: Vec<String> =
            graph.factors.iter().map(|factor| shortened(&factor.law)).collect();
        let mut grid = Grid {
            graph,
            places: places.into_iter().collect(),
            slots: BTreeMap::new(),
            half_widths: graph
                .variables
                .iter()
                .map(|node| node_half_width(&node.name, &node.place.index()))
                .collect(),
            label_widths: labels.iter().map(|label| text_width(label, LABEL_SIZE)).collect(),
            labels,
        };
        for (at, factor) in graph.factors.iter().enumerate() {
            let slot = grid.slot(factor);
            grid.slots.entry(slot).or_default().push(at);
        }
        for (slot, factors) in &mut grid.slots {
            if let Slot::Beside { .. } = slot {
                // what reads from higher rows stands higher; sorting is stable: else the prior's
                // factor does
                factors.sort_by(|a, b| {
                    height(graph, &graph.factors[*a]).total_cmp(&height(graph, &graph.factors[*b]))
                });
            }
        }
        grid
    }

    fn column(&self, id: NodeId) -> usize {
        self.places
            .binary_search(&self.graph.variable(id).place)
            .expect("grid: every node's place is a column")
    }

    pub fn node(&self, id: NodeId, xs: &[f64]) -> Point {
        Point { x: xs[self.column(id)], y: ROW * f64::from(self.graph.variable(id).row) }
    }

    fn slot(&self, factor: &FactorNode) -> Slot {
        let target = factor.draws[0];
        let (row, at) = (self.graph.variable(target).row, self.column(target));
        let same_row = factor.reads.iter().filter(|read| self.graph.variable(**read).row == row);
        let along = same_row.map(|read| self.column(*read)).filter(|other| *other != at);
        // the nearest; of two as near the earlier
        let nearest = along.min_by_key(|other| (other.abs_diff(at), *other));
        let row = row as usize;
        match nearest {
            None => Slot::Above { row, column: at },
            Some(other) if other < at => Slot::Beside { row, column: at - 1 },
            Some(_) => Slot::Beside { row, column: at },
        }
    }

    /// The seats of all factors, in their order, for columns at `xs`.
    pub fn seats(&self, xs: &[f64]) -> Vec<Seat> {
        let mut seats: BTreeMap<usize, Seat> = BTreeMap::new();
        for (slot, factors) in &self.slots {
            for (position, factor) in factors.iter().enumerate() {
                let (shift, side) = self.within(*slot, factors, position);
                let middle = match *slot {
                    Slot::Above { row, column } => {
                        Point { x: xs[column], y: ROW * (row as f64 - 0.5) }
                    }
                    Slot::Beside { row, column } => {
                        Point { x: f64::midpoint(xs[column], xs[column + 1]), y: ROW * row as f64 }
                    }
                };
                seats.insert(
                    *factor,
                    Seat { at: Point { x: middle.x + shift.x, y: middle.y + shift.y }, side },
                );
            }
        }
        seats.into_values().collect()
    }

    /// How far a square stands from the middle of its slot, and the side of its label.
    fn within(&self, slot: Slot, factors: &[usize], position: usize) -> (Point, Side) {
        // −1 and 1 for two
        let turn = 2.0 * position as f64 - (factors.len() - 1) as f64;
        match slot {
            Slot::Above { .. } => {
                let reads_nothing = self.graph.factors[factors[position]].reads.is_empty();
                let side = match () {
                    () if turn < 0.0 => Side::Left,
                    () if turn == 0.0 && reads_nothing => Side::Above,
                    () => Side::Right,
                };
                (Point { x: turn * TWINS, y: 0.0 }, side)
            }
            // a little aside, so that edges from above reach the lower one and edges from below the
            // upper one
            Slot::Beside { .. } => (
                Point { x: 0.7 * turn * TWINS, y: turn * TWINS },
                if turn > 0.0 { Side::Below } else { Side::Above },
            ),
        }
    }

    /// The x of each column: each as far left as what stands in it allows, track by track.
    pub fn columns(&self) -> Vec<f64> {
        let mut edges: BTreeMap<Track, f64> = BTreeMap::new();
        let mut xs: Vec<f64> = Vec::with_capacity(self.places.len());
        // what stands beside the plate keeps clear of its border
        let mut fence = f64::NEG_INFINITY;
        for (column, place) in self.places.iter().enumerate() {
            let extents = self.extents(column);
            let mut x = 0.0;
            if column > 0 {
                if place.is_step() != self.places[column - 1].is_step() {
                    fence = edges.values().copied().fold(f64::NEG_INFINITY, f64::max)
                        + PLATE_PADDING
                        + CLEARANCE;
                }
                x = (xs[column - 1] + COLUMN).max(xs[column - 1] + self.gap(column - 1));
            }
            for (track, left, _) in &extents {
                x = x.max(fence + left);
                if let Some(edge) = edges.get(track) {
                    x = x.max(edge + CLEARANCE + left);
                }
            }
            for (track, _, right) in extents {
                edges.insert(track, x + right);
            }
            xs.push(x);
        }
        xs
    }

    /// How far what stands in a column reaches to the left and to the right of its middle.
    fn extents(&self, column: usize) -> Vec<(Track, f64, f64)> {
        let nodes = self
            .graph
            .variables
            .iter()
            .zip(&self.half_widths)
            .filter(|(node, _)| node.place == self.places[column]);
        let mut extents: Vec<(Track, f64, f64)> =
            nodes.map(|(node, half)| (Track::Nodes(node.row as usize), *half, *half)).collect();
        for (slot, factors) in &self.slots {
            if let Slot::Above { row, column: at } = *slot
                && at == column
            {
                for (position, factor) in factors.iter().enumerate() {
                    let (shift, side) = self.within(*slot, factors, position);
                    let width = self.label_widths[*factor];
                    let (left, right) = match side {
                        Side::Left => (ASIDE + width, SQUARE),
                        Side::Right => (SQUARE, ASIDE + width),
                        Side::Above | Side::Below => {
                            (SQUARE.max(width / 2.0), SQUARE.max(width / 2.0))
                        }
                    };
                    extents.push((Track::Above(row), left - shift.x, right + shift.x));
                }
            }
        }
        extents
    }

    /// From the middle of `column` to that of the next: nodes, and between them squares and labels.
    fn gap(&self, column: usize) -> f64 {
        let half_width = |column: usize, row: usize| {
            let nodes = self.graph.variables.iter().zip(&self.half_widths);
            let there = nodes
                .filter(|(node, _)| node.place == self.places[column] && node.row as usize == row);
            there.map(|(_, half)| *half).fold(0.0, f64::max)
        };
        let gaps = self.slots.iter().filter_map(|(slot, factors)| match *slot {
            Slot::Beside { row, column: at } if at == column => {
                let widest = factors
                    .iter()
                    .map(|factor| self.label_widths[*factor])
                    .fold(2.0 * SQUARE, f64::max);
                Some(
                    half_width(column, row)
                        + widest
                        + half_width(column + 1, row)
                        + 3.0 * CLEARANCE,
                )
            }
            Slot::Beside { .. } | Slot::Above { .. } => None,
        });
        gaps.fold(0.0, f64::max)
    }
}

/// What has to keep clear of each other: the nodes of a row, and the factors above them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Track {
    Above(usize),
    Nodes(usize),
}

/// The mean row of what a factor reads from other rows than its own.
fn height(graph: &FactorGraph, factor: &FactorNode) -> f64 {
    let own = graph.variable(factor.draws[0]).row;
    let rows: Vec<f64> = factor
        .reads
        .iter()
        .map(|read| graph.variable(*read).row)
        .filter(|row| *row != own)
        .map(f64::from)
        .collect();
    if rows.is_empty() { f64::from(own) } else { rows.iter().sum::<f64>() / rows.len() as f64 }
}
