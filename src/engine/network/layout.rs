//! Where the numbers of a network's parameters stand.

use crate::model::{Network, ParameterId};
use std::ops::Range;

/// Where each parameter stands in the flat vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    pub(in crate::engine) names: Vec<String>,
    pub(in crate::engine) shapes: Vec<(usize, usize)>,
    /// One more than there are parameters; the last is the total.
    pub(in crate::engine) starts: Vec<usize>,
}

impl Layout {
    pub fn of(network: &Network) -> Layout {
        let mut starts = vec![0];
        for parameter in &network.parameters {
            starts.push(starts[starts.len() - 1] + parameter.rows * parameter.columns);
        }
        Layout {
            names: network.parameters.iter().map(|p| p.name.clone()).collect(),
            shapes: network.parameters.iter().map(|p| (p.rows, p.columns)).collect(),
            starts,
        }
    }

    /// Number of trainable numbers.
    pub fn len(&self) -> usize {
        self.starts[self.names.len()]
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn range(&self, id: ParameterId) -> Range<usize> {
        self.starts[id.0 as usize]..self.starts[id.0 as usize + 1]
    }

    pub fn name(&self, id: ParameterId) -> &str {
        &self.names[id.0 as usize]
    }

    /// Rows and columns.
    pub fn shape(&self, id: ParameterId) -> (usize, usize) {
        self.shapes[id.0 as usize]
    }

    pub fn ids(&self) -> impl Iterator<Item = ParameterId> + '_ {
        (0..self.names.len() as u32).map(ParameterId)
    }

    /// The parameter that holds number `at` of the flat vector.
    pub fn parameter_at(&self, at: usize) -> ParameterId {
        ParameterId((self.starts.partition_point(|&start| start <= at) - 1) as u32)
    }
}
