//! The values of one variable at the rows of a step.

/// The values of a step: numbers of a finite variable, columns of components of another.
#[derive(Clone, Debug, Default)]
pub(in crate::engine) struct Values<E> {
    pub numbers: Vec<u32>,
    pub columns: Vec<E>,
}

impl<E> Values<E> {
    pub fn clear(&mut self) {
        self.numbers.clear();
        self.columns.clear();
    }
}
