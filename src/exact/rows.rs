//! Sums over the successors of each row of a transition table, `Σ_s' p(s'|row) v(s')`: the oracle's innermost loop.

use crate::finite::Environment;
use std::rc::Rc;

/// The rows of a table. Where the columns of a row follow each other, as where every state can follow, they are not read.
pub(super) struct Rows {
    table: Rc<Environment>,
    /// By row, its first column, or [`SCATTERED`].
    first: Vec<u32>,
}

const SCATTERED: u32 = u32::MAX;

impl Rows {
    pub fn new(table: Rc<Environment>) -> Rows {
        let sparse = &table.transition;
        let first = |bounds: &[usize]| match &sparse.column[bounds[0]..bounds[1]] {
            [] => 0,
            columns if columns.windows(2).all(|pair| pair[0] + 1 == pair[1]) => columns[0],
            _ => SCATTERED,
        };
        Rows { first: sparse.start.windows(2).map(first).collect(), table }
    }

    /// `out[row] = Σ weight(entry) · value(s')` at the rows whose `reached` is at most `slice`; `weight` is by entry of the table.
    pub fn sum(&self, weight: &[f64], value: &[f64], reached: &[u32], slice: u32, out: &mut [f64]) {
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || self.sum_here(weight, value, reached, slice, out),
        );
    }

    // counted loops: what iterators call is not inlined into a function for other instructions
    #[inline(always)]
    fn sum_here(&self, weight: &[f64], value: &[f64], reached: &[u32], slice: u32, out: &mut [f64]) {
        let sparse = &self.table.transition;
        let rows = out.len();
        let (first, reached, start) = (&self.first[..rows], &reached[..rows], &sparse.start[..rows + 1]);
        for row in 0..rows {
            if reached[row] > slice {
                continue;
            }
            let (from, to) = (start[row], start[row + 1]);
            let weight = &weight[from..to];
            out[row] = match first[row] {
                SCATTERED => scattered(weight, &sparse.column[from..to], value),
                first => consecutive(weight, &value[first as usize..][..weight.len()]),
            };
        }
    }
}

#[inline(always)]
fn consecutive(weight: &[f64], value: &[f64]) -> f64 {
    let mut sums = [0.0; 32];
    let ((weights, weight), (values, value)) = (weight.as_chunks::<32>(), value.as_chunks::<32>());
    for at in 0..weights.len().min(values.len()) {
        for lane in 0..32 {
            sums[lane] += weights[at][lane] * values[at][lane];
        }
    }
    let mut rest = 0.0;
    for at in 0..weight.len().min(value.len()) {
        rest += weight[at] * value[at];
    }
    if weights.is_empty() {
        return rest;
    }
    let mut half = 16;
    while half > 0 {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
        half /= 2;
    }
    sums[0] + rest
}

#[inline(always)]
fn scattered(weight: &[f64], column: &[u32], value: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let ((weights, weight), (columns, column)) = (weight.as_chunks::<4>(), column.as_chunks::<4>());
    for at in 0..weights.len().min(columns.len()) {
        for lane in 0..4 {
            sums[lane] += weights[at][lane] * value[columns[at][lane] as usize];
        }
    }
    let mut rest = 0.0;
    for at in 0..weight.len().min(column.len()) {
        rest += weight[at] * value[column[at] as usize];
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}
