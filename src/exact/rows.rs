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
        let sparse = &self.table.transition;
        pulp::Arch::new().dispatch(|| {
            for (((bounds, &first), &reached), out) in sparse.start.windows(2).zip(&self.first).zip(reached).zip(out) {
                if reached > slice {
                    continue;
                }
                let weight = &weight[bounds[0]..bounds[1]];
                *out = match first {
                    SCATTERED => scattered(weight, &sparse.column[bounds[0]..bounds[1]], value),
                    first => consecutive(weight, &value[first as usize..][..weight.len()]),
                };
            }
        });
    }
}

#[inline(always)]
fn consecutive(weight: &[f64], value: &[f64]) -> f64 {
    let mut sums = [0.0; 32];
    let ((weights, weight), (values, value)) = (weight.as_chunks::<32>(), value.as_chunks::<32>());
    for (weight, value) in weights.iter().zip(values) {
        for lane in 0..32 {
            sums[lane] += weight[lane] * value[lane];
        }
    }
    let mut half = 16;
    while half > 0 {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
        half /= 2;
    }
    let rest: f64 = weight.iter().zip(value).map(|(w, v)| w * v).sum();
    sums[0] + rest
}

#[inline(always)]
fn scattered(weight: &[f64], column: &[u32], value: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let ((weights, weight), (columns, column)) = (weight.as_chunks::<4>(), column.as_chunks::<4>());
    for (weight, column) in weights.iter().zip(columns) {
        for lane in 0..4 {
            sums[lane] += weight[lane] * value[column[lane] as usize];
        }
    }
    let rest: f64 = weight.iter().zip(column).map(|(w, &c)| w * value[c as usize]).sum();
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}
