//! The early end of a run: the mean of a quantity over the last batches, held against a threshold.

use super::outcome::Metrics;
use crate::plan::{Until, Watched};
use std::collections::VecDeque;

/// The quantity in the last batches, the oldest first. Each batch was sampled by the policy of its
/// time, so the mean trails behind the present one.
pub(in crate::engine) struct Watch {
    until: Option<Until>,
    recent: VecDeque<f64>,
}

impl Watch {
    pub fn new(until: Option<Until>) -> Watch {
        let recent = VecDeque::with_capacity(until.map_or(0, |until| until.batches));
        Watch { until, recent }
    }

    /// Takes note of a batch.
    pub fn observe(&mut self, batch: &Metrics) {
        let Some(until) = self.until else { return };
        if self.recent.len() == until.batches {
            self.recent.pop_front();
        }
        self.recent.push_back(match until.quantity {
            Watched::ExpectedReturn => batch.expected_return,
            Watched::Reward(at) => batch.returns[at],
            Watched::Bound => batch.bound,
            Watched::Entropy => batch.entropy,
        });
    }

    /// There are batches enough, and their mean has reached the threshold.
    pub fn reached(&self) -> bool {
        self.until.is_some_and(|until| {
            let mean = self.recent.iter().sum::<f64>() / until.batches as f64;
            self.recent.len() == until.batches && until.holds(mean)
        })
    }

    /// What a checkpoint keeps.
    pub fn recent(&self) -> Vec<f64> {
        self.recent.iter().copied().collect()
    }

    /// Goes on from what a checkpoint kept; `false` where it is of another threshold.
    #[must_use]
    pub fn restore(&mut self, recent: &[f64]) -> bool {
        let fits = recent.len() <= self.until.map_or(0, |until| until.batches);
        if fits {
            self.recent = recent.iter().copied().collect();
        }
        fits
    }
}
