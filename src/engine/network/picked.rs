//! Sums of picked columns: the logits of a joint value are the sums of those of its parts.

use crate::engine::numeric::float::Float;
use crate::model::NO_COLUMN;

/// Adds to each column of `out` the column of `x`, of `width` numbers a row, that it picks.
pub(super) fn add<E: Float>(x: &[E], width: usize, columns: &[u32], out: &mut [E]) {
    for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(columns.len())) {
        for (out, &column) in out.iter_mut().zip(columns) {
            if column != NO_COLUMN {
                *out += x[column as usize];
            }
        }
    }
}

/// Adds the gradient of each column to that of the one it picks.
pub(super) fn add_back<E: Float>(dz: &[E], columns: &[u32], dx: &mut [E], width: usize) {
    for (dz, dx) in dz.chunks_exact(columns.len()).zip(dx.chunks_exact_mut(width)) {
        for (&dz, &column) in dz.iter().zip(columns) {
            if column != NO_COLUMN {
                dx[column as usize] += dz;
            }
        }
    }
}
