//! What options are used for, as it is told.

use crate::exact::{OptionInformation, OptionVisits};
use serde::Serialize;

/// An option of a trained policy, by the oracle or from sampled trajectories.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OptionSummary {
    pub option: String,
    /// Drawn at `t = 1` and kept.
    pub once: bool,
    /// The mean length of a segment in steps: one begins at `t = 1` and where the option changes.
    pub duration: Option<f64>,
    pub values: Vec<ValueSummary>,
    /// By the oracle alone.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub information: Option<Information>,
}

/// One value of an option.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ValueSummary {
    pub value: String,
    /// Its share of the live steps.
    pub usage: f64,
    /// The mean length of its segments in steps.
    pub duration: Option<f64>,
    /// How likely it gives way to another at a live step that follows one at which it was held.
    pub ends: Option<f64>,
}

/// Mutual information in nats.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Information {
    /// `I(o; a | s)`, mean over live steps.
    pub action_information: f64,
    /// `I(o; s, a)`, mean over live steps.
    pub state_action_information: f64,
    /// `I(o; s[T+1])` of an option drawn once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_information: Option<f64>,
}

impl OptionSummary {
    /// `shown` are the words of its values.
    pub fn new(
        option: &str,
        shown: &[String],
        once: bool,
        visits: &OptionVisits,
        information: Option<Information>,
    ) -> OptionSummary {
        let live = visits.live();
        let value = |(o, value): (usize, &String)| ValueSummary {
            value: value.clone(),
            usage: if live > 0.0 { visits.of(o) / live } else { 0.0 },
            duration: visits.duration_of(o),
            ends: visits.ends_of(o),
        };
        let values = shown.iter().enumerate().map(value).collect();
        OptionSummary {
            option: option.to_owned(),
            once,
            duration: visits.duration(),
            values,
            information,
        }
    }
}

impl Information {
    pub fn of(told: &OptionInformation) -> Information {
        Information {
            action_information: told.action,
            state_action_information: told.state_action,
            end_information: told.end,
        }
    }
}
