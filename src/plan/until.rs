//! `until = expected_return >= 475`: the threshold that ends a run early.

use crate::diagnostic::Diagnostic;
use crate::model::{Model, SettingValue};

/// A threshold for the mean of a quantity over the last batches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Until {
    pub quantity: Watched,
    pub relation: Relation,
    pub value: f64,
    /// How many batches the mean is over: as many as hold 100 trajectories.
    pub batches: usize,
}

/// Trajectories of the mean, at least: those of a single batch may be few and reach a threshold by
/// chance.
pub const TRAJECTORIES: usize = 100;

/// What may be watched: means over a batch as it was sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// Sum of the rewards of a trajectory.
    ExpectedReturn,
    /// Of one of several rewards, by its number.
    Reward(usize),
    /// Nats.
    Bound,
    /// Of the policy, nats a live step.
    Entropy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    AtLeast,
    AtMost,
}

/// The names of what may be watched.
pub const WATCHED: &[&str] = &["expected_return", "bound", "entropy"];

/// Reads the key; `trajectories` are those of a batch.
pub fn read(model: &Model, trajectories: usize) -> Result<Option<Until>, Diagnostic> {
    let Some(setting) = model.setting("until") else { return Ok(None) };
    let rewards: Vec<&str> = match &model.environments[..] {
        [one] if one.rewards.len() > 1 => {
            one.rewards.iter().map(|reward| reward.name.as_str()).collect()
        }
        _ => Vec::new(),
    };
    let wrong = |message: String| {
        let error = Diagnostic::error("bad-setting", setting.span, message);
        error.hint("a mean of the last batches is watched, as in `until = expected_return >= 475`")
    };
    let SettingValue::Threshold { quantity, at_least, value } = &setting.value else {
        return Err(wrong("`until` is a quantity, `>=` or `<=`, and a number".to_string()));
    };
    let watched = match quantity.as_str() {
        "expected_return" if !rewards.is_empty() => {
            let message = format!(
                "this model pays {} rewards, and each has an expected return of its own",
                rewards.len()
            );
            let error = Diagnostic::error("bad-setting", setting.span, message);
            let sign = if *at_least { ">=" } else { "<=" };
            return Err(error.hint(format!(
                "name the one that is watched: `until = {} {sign} {value}`",
                rewards.join(&format!(" {sign} {value}` or `until = "))
            )));
        }
        "expected_return" => Watched::ExpectedReturn,
        name if rewards.contains(&name) => {
            Watched::Reward(rewards.iter().position(|reward| *reward == name).unwrap_or(0))
        }
        "bound" => Watched::Bound,
        "entropy" => Watched::Entropy,
        other => {
            return Err(wrong(format!(
                "`until` cannot watch `{other}`: it watches `{}`",
                WATCHED.join("`, `")
            )));
        }
    };
    let relation = if *at_least { Relation::AtLeast } else { Relation::AtMost };
    Ok(Some(Until {
        quantity: watched,
        relation,
        value: *value,
        batches: TRAJECTORIES.div_ceil(trajectories.max(1)),
    }))
}

impl Until {
    pub fn holds(&self, mean: f64) -> bool {
        match self.relation {
            Relation::AtLeast => mean >= self.value,
            Relation::AtMost => mean <= self.value,
        }
    }
}

impl Until {
    /// As a file writes it.
    pub fn written(&self, rewards: &[&str]) -> String {
        let quantity = match self.quantity {
            Watched::ExpectedReturn => "expected_return",
            Watched::Reward(at) => rewards.get(at).copied().unwrap_or_default(),
            Watched::Bound => "bound",
            Watched::Entropy => "entropy",
        };
        let relation = match self.relation {
            Relation::AtLeast => ">=",
            Relation::AtMost => "<=",
        };
        format!("{quantity} {relation} {}", self.value)
    }
}
