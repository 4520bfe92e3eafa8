//! The values of one variable at the rows of a step.

use crate::engine::numeric::float::Float;
use crate::engine::numeric::number::Number;
use crate::model::FiniteDomain;
use crate::world::Actions;

/// The values of a step: numbers of a finite variable, columns of components of another.
#[derive(Clone, Debug, Default)]
pub(in crate::engine) struct Values<E> {
    pub numbers: Vec<u32>,
    pub columns: Vec<E>,
}

impl<E> Values<E> {
    /// A copy of what the `rows` rows of a step gave the world.
    pub fn copy(&mut self, actions: Actions<E>, rows: usize)
    where
        E: Copy,
    {
        self.clear();
        match actions {
            Actions::Numbers(numbers) => self.numbers.extend_from_slice(&numbers[..rows]),
            Actions::Columns { values, stride } => {
                let columns = values.chunks_exact(stride.max(1));
                columns.for_each(|column| self.columns.extend_from_slice(&column[..rows]));
            }
        }
    }

    /// Of the `rows` rows of a step, as a world takes them.
    pub fn as_actions(&self, rows: usize) -> Actions<'_, E> {
        match self.columns.is_empty() {
            true => Actions::Numbers(&self.numbers),
            false => Actions::Columns { values: &self.columns, stride: rows },
        }
    }

    pub fn clear(&mut self) {
        self.numbers.clear();
        self.columns.clear();
    }
}

/// The numbers of values, from columns of their components.
pub(in crate::engine) fn number_all<E: Number>(
    domain: Option<&FiniteDomain>,
    width: usize,
    rows: usize,
    (column, components, numbers): (&[E], &mut Vec<f64>, &mut Vec<u32>),
) {
    components.resize(width, 0.0);
    numbers.clear();
    for row in 0..rows {
        for (component, value) in components.iter_mut().enumerate() {
            *value = Float::as_f64(column[component * rows + row]);
        }
        let number =
            domain.and_then(|domain| domain.number(components).or(domain.size().checked_sub(1)));
        numbers.push(number.unwrap_or(0) as u32);
    }
}
