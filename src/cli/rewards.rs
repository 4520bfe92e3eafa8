//! Expected returns, each reward's own; and what an environment's file claims of its rewards, held
//! against those of sampled episodes.

use super::progress::uncertain;
use crate::engine::Evaluation;
use crate::model::{BoundId, Model, Target, TargetVariable};
use crate::plan::Plan;
use crate::report::RewardSummary;

/// Of several rewards, the mean of each and its standard error.
pub fn sampled(plan: &Plan, returns: &[(f64, f64)]) -> Vec<RewardSummary> {
    let told = plan.reward_names().into_iter().zip(returns);
    told.map(|(name, &(expected_return, se))| RewardSummary {
        name: name.to_owned(),
        expected_return,
        return_se: Some(se),
    })
    .collect()
}

/// Of several rewards of the environment that a bound's actions are taken in, the exact ones.
pub fn exactly(model: &Model, returns: &[f64], bound: BoundId) -> Vec<RewardSummary> {
    let environment =
        model.bound(bound).posterior.iter().flat_map(|factor| &factor.targets).find_map(|target| {
            match target {
                Target::Variable { variable: TargetVariable::Variable(id), .. } => {
                    model.variable(*id).environment
                }
                Target::Variable { .. } | Target::Weights(_) => None,
            }
        });
    let rewards = environment.map_or(&[][..], |id| &model.environment(id).rewards);
    if rewards.len() < 2 {
        return Vec::new();
    }
    let told = rewards.iter().zip(returns);
    told.map(|(reward, &expected_return)| RewardSummary {
        name: reward.name.clone(),
        expected_return,
        return_se: None,
    })
    .collect()
}

/// A line for the one reward, or one for each.
pub fn print(
    indent: &str,
    (mean, se): (f64, f64),
    rewards: &[RewardSummary],
    trajectories: &str,
) -> String {
    let line = |mean: f64, se: f64, of: &str| {
        format!(
            "{:<17}{:>21}  {of}estimated from {trajectories}\n",
            format!("{indent}expected return"),
            uncertain(mean, se)
        )
    };
    if rewards.is_empty() {
        return line(mean, se, "");
    }
    let each = rewards.iter().map(|own| {
        line(own.expected_return, own.return_se.unwrap_or(0.0), &format!("of `{}`, ", own.name))
    });
    each.collect()
}

/// What arithmetic in 32 bits may be off by, relative to the bound.
const TOLERANCE: f64 = 1e-5;

/// A sentence for each reward that left its declared bounds in real episodes. What a model imagines
/// may leave them: it is no claim of the file's.
pub fn outside(plan: &Plan, evaluation: &Evaluation) -> Vec<String> {
    if !plan.is_real() {
        return Vec::new();
    }
    let rewards = plan.model.environment(plan.environment).rewards.iter().zip(&evaluation.rewards);
    let told = rewards.filter_map(|(reward, &(least, greatest))| {
        let (lo, hi) = reward.bounds?;
        let (low, high) = (lo - TOLERANCE * (1.0 + lo.abs()), hi + TOLERANCE * (1.0 + hi.abs()));
        let came =
            if greatest > high { greatest } else { Some(least).filter(|&least| least < low)? };
        let name = &reward.name;
        Some(format!(
            "warning: the reward `{name}` came to {came}, and is declared to lie in [{lo}, {hi}]: \
             that a likelihood cannot exceed 1 follows from such claims"
        ))
    });
    told.collect()
}
