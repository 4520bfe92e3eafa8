//! What a caller feeds to a network.

/// Values of one input for a batch.
#[derive(Clone, Copy, Debug)]
pub enum Feed<'a, E> {
    /// A number per row; the size of the domain stands for `none`.
    Finite(&'a [u32]),
    /// Structure of arrays: component `c` of row `i` is `columns[c * stride + i]`; NaN stands for
    /// `none`.
    Real { columns: &'a [E], stride: usize },
}

impl<'a, E> Feed<'a, E> {
    pub(in crate::engine) fn numbers(&self) -> &'a [u32] {
        match self {
            Feed::Finite(numbers) => numbers,
            Feed::Real { .. } => {
                panic!("forward: this input is finite: the plan's `inputs` say so")
            }
        }
    }

    pub(in crate::engine) fn component(&self, component: usize) -> &'a [E] {
        match self {
            Feed::Real { columns, stride } => &columns[component * stride..],
            Feed::Finite(_) => panic!("forward: this input is real: the plan's `inputs` say so"),
        }
    }
}
