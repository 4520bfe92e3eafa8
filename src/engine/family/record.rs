//! What records of independent parts and mixtures hold of each part.

use crate::model::FiniteDomain;
use std::ops::Range;
use std::sync::Arc;

/// The parts in the order of their components, each of a family `F`.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Record<F> {
    pub(super) parts: Arc<[Part<F>]>,
    /// Components of a draw.
    pub(super) width: usize,
    /// Numbers a row.
    pub(super) numbers: usize,
}

#[derive(Debug)]
pub(super) struct Part<F> {
    pub family: F,
    /// Of the record's.
    pub components: Range<usize>,
    /// Of a row of numbers.
    pub numbers: Range<usize>,
    /// Of the network's.
    pub roots: Range<usize>,
    /// Where its values are finite.
    pub values: Option<FiniteDomain>,
}

/// A mixture over real numbers, or over records of them, of parts of whatever families `F`.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Blend<F> {
    pub(super) parts: Arc<[Share<F>]>,
    /// Components of a draw.
    pub(super) width: usize,
    /// Numbers a row: the logarithms of all weights, then those of the parts.
    pub(super) numbers: usize,
}

/// A family of a mixture, where its numbers stand in a row and where its roots do.
pub(super) type Share<F> = (F, Range<usize>, Range<usize>);
