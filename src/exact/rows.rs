//! Sums over the successors of each row of a transition table, `Σ_s' p(s'|row) v(s')`: the oracle's
//! innermost loop.

use crate::finite::Environment;
use std::rc::Rc;

/// The rows of a table. Where the columns of a row follow each other, as where every state can
/// follow, they are not read.
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

    /// `out[row] = Σ weight(entry) · value(s')` at the rows whose `reached` is at most `slice`;
    /// `weight` is by entry of the table.
    pub fn sum(&self, weight: &[f64], value: &[f64], reached: &[u32], slice: u32, out: &mut [f64]) {
        pulp::Arch::new().dispatch(Sum { rows: self, weight, value, reached, slice, out });
    }
}

struct Sum<'a> {
    rows: &'a Rows,
    weight: &'a [f64],
    value: &'a [f64],
    reached: &'a [u32],
    slice: u32,
    out: &'a mut [f64],
}

// counted loops: what iterators call is not always inlined into a function for other instructions
impl pulp::NullaryFnOnce for Sum<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let sparse = &self.rows.table.transition;
        let count = self.out.len();
        let (first, reached, start) =
            (&self.rows.first[..count], &self.reached[..count], &sparse.start[..count + 1]);
        for row in 0..count {
            if reached[row] > self.slice {
                continue;
            }
            let (from, to) = (start[row], start[row + 1]);
            let weight = &self.weight[from..to];
            self.out[row] = match first[row] {
                SCATTERED => scattered(weight, &sparse.column[from..to], self.value),
                first => consecutive(weight, &self.value[first as usize..][..weight.len()]),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finite::Sparse;

    #[test]
    fn a_row_whose_columns_follow_each_other_has_the_sum_of_any_other_order() {
        let states = 150;
        let number = |i: usize| (i * 7919 % 1013) as f64 / 506.5 - 1.0;
        let value: Vec<f64> = (0..states).map(number).collect();
        let table = |turned: bool| {
            let mut sparse = Sparse { start: vec![0], ..Sparse::default() };
            for length in 0..states {
                let columns = (length as u32 / 3..).take(length.min(states - length / 3));
                let mut entries: Vec<(u32, f64)> =
                    columns.map(|column| (column, number(length + 31 * column as usize))).collect();
                if turned {
                    entries.reverse();
                }
                sparse.column.extend(entries.iter().map(|entry| entry.0));
                sparse.probability.extend(entries.iter().map(|entry| entry.1));
                sparse.start.push(sparse.column.len());
            }
            let rows = sparse.rows();
            let initial = Sparse::default();
            Environment {
                states,
                actions: 1,
                initial,
                transition: sparse,
                observation: None,
                rewards: vec![],
                ended: vec![false; rows],
            }
        };
        let sums = |turned: bool| {
            let rows = Rows::new(Rc::new(table(turned)));
            let scattered = rows.first.iter().filter(|&&first| first == SCATTERED).count();
            assert_eq!(scattered, if turned { states - 2 } else { 0 });
            let (mut out, mut reached) = (vec![0.5; states], vec![1; states]);
            reached[7] = 3;
            rows.sum(&rows.table.transition.probability, &value, &reached, 2, &mut out);
            out
        };
        let (dense, sparse) = (sums(false), sums(true));
        for row in 0..states {
            let plain: f64 =
                table(true).transition.row(row).map(|(column, p)| p * value[column]).sum();
            let expected = if row == 7 { 0.5 } else { plain };
            assert!(
                (dense[row] - expected).abs() < 1e-13 && (sparse[row] - expected).abs() < 1e-13,
                "row {row}"
            );
        }
    }
}
