//! What an environment's file claims of its rewards, held against those of sampled episodes.

use crate::engine::Evaluation;
use crate::plan::Plan;

/// What arithmetic in 32 bits may be off by, relative to the bound.
const TOLERANCE: f64 = 1e-5;

/// A sentence for each reward that left its declared bounds in real episodes. What a model imagines may leave them: it is no claim of the file's.
pub fn outside(plan: &Plan, evaluation: &Evaluation) -> Vec<String> {
    if !plan.is_real() {
        return Vec::new();
    }
    let rewards = plan.model.environment(plan.environment).rewards.iter().zip(&evaluation.rewards);
    let told = rewards.filter_map(|(reward, &(least, greatest))| {
        let (lo, hi) = reward.bounds?;
        let (low, high) = (lo - TOLERANCE * (1.0 + lo.abs()), hi + TOLERANCE * (1.0 + hi.abs()));
        let came = if greatest > high { greatest } else { Some(least).filter(|&least| least < low)? };
        let name = &reward.name;
        Some(format!(
            "warning: the reward `{name}` came to {came}, and is declared to lie in [{lo}, {hi}]: that a likelihood cannot exceed 1 follows from such claims"
        ))
    });
    told.collect()
}
