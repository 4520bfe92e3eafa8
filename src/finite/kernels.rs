//! A kernel's probabilities at every value of its givens.

use crate::model::KernelId;
use std::collections::BTreeMap;

/// `log q(outcome | condition)`, row-major. Conditions count the joint values of the kernel's
/// givens in order, the last one fastest: a finite variable has its domain's values, and one more
/// (the last) where the given admits `none`; `t` has the values 1..T; a window its steps in order.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelTable {
    pub conditions: usize,
    pub outcomes: usize,
    pub log_probability: Vec<f64>,
}

/// A table for each learned kernel that a bound uses, and one for each `previous` copy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KernelTables {
    pub current: BTreeMap<KernelId, KernelTable>,
    pub previous: BTreeMap<KernelId, KernelTable>,
}

impl KernelTable {
    pub fn row(&self, condition: usize) -> &[f64] {
        &self.log_probability[condition * self.outcomes..(condition + 1) * self.outcomes]
    }

    /// Every outcome equally likely.
    pub fn uniform(conditions: usize, outcomes: usize) -> KernelTable {
        KernelTable {
            conditions,
            outcomes,
            log_probability: vec![-(outcomes as f64).ln(); conditions * outcomes],
        }
    }
}
