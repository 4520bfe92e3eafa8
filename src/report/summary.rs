//! The numbers of a whole run.

use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// `summary.json`; `eval --format json` uses the same names. Bounds and evidence are in nats.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub model: String,
    /// Of the final parameters, estimated from trajectories of their own.
    #[serde(deserialize_with = "nan_for_null")]
    pub bound: f64,
    #[serde(deserialize_with = "nan_for_null")]
    pub bound_se: f64,
    #[serde(deserialize_with = "nan_for_null")]
    pub expected_return: f64,
    #[serde(deserialize_with = "nan_for_null")]
    pub return_se: f64,
    /// Of an environment with several rewards, each of them; `expected_return` is then that of all
    /// together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rewards: Vec<RewardSummary>,
    /// What the draws of actions and options cost, `E_q[log q − log p]` of a trajectory, nats: from
    /// the prior, or from the policy of the last round as the last batch moved it. `null` where a
    /// density is not known.
    #[serde(default)]
    pub kl: Option<f64>,
    /// `bound` is told up to the entropy of what can only be sampled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub up_to_entropy: bool,
    /// `bound` is an objective that lies below the logarithm of no probability.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_probability: bool,
    /// Both of these are of trajectories that a learned model imagines.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub imagined: bool,
    /// Batches done.
    pub steps: u64,
    /// Why there were no more.
    pub stopped: End,
    /// Live steps of the environment.
    pub env_steps: u64,
    /// Live steps of learned models in its place.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub imagined_steps: u64,
    pub wall_seconds: f64,
    pub seed: u64,
    /// Of rlppl.
    pub version: String,
    /// Where the model is finite and its prior is the policy of the last round.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rounds: Option<RoundsSummary>,
    /// Where the model is finite: what `rlppl exact --policy` says of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exact: Option<ExactSummary>,
    /// The file's other bounds at the final parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<OtherBound>,
    /// Where a classifier estimates a ratio of densities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classifier: Option<ClassifierSummary>,
    /// Where several do, by the name of each ratio.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub classifiers: BTreeMap<String, ClassifierSummary>,
}

/// A bound of a file with several, beside the one that is maximised last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OtherBound {
    pub name: String,
    pub bound: f64,
    pub bound_se: f64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub up_to_entropy: bool,
    /// `bound` lies below the logarithm of no probability.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_probability: bool,
    /// By trajectories that a learned model draws.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub imagined: bool,
    pub expected_return: f64,
    pub return_se: f64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rewards: Vec<RewardSummary>,
    /// Where it is finite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact: Option<ExactSummary>,
}

/// One of several rewards: the expected sum of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RewardSummary {
    pub name: String,
    #[serde(deserialize_with = "nan_for_null")]
    pub expected_return: f64,
    /// Absent where it is exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_se: Option<f64>,
}

/// What a classifier told at the last batch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassifierSummary {
    /// Mean logistic loss, nats; `log 2` where nothing can be told apart.
    pub loss: f64,
    /// What its logits are of the bound, nats a trajectory.
    #[serde(default)]
    pub correction: f64,
    /// The share of its logits beyond ±10: there it has no examples of one side.
    pub saturated: f64,
    /// The mean of `|logit − log p/q|` over real and imagined pairs, nats, where both densities are
    /// known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<f64>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What the oracle says of the rounds of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoundsSummary {
    pub done: u64,
    /// Rounds after which the expected log-likelihood was less than before.
    pub fell: u64,
    /// By how much a round's gain in expected log-likelihood was at most less than its KL, which
    /// its maximum is not; nats.
    pub largest_shortfall: f64,
}

/// Why a run came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// All its steps are done.
    Steps,
    /// The threshold of `until` was reached before.
    Until,
}

/// The oracle's numbers, in nats but for the return; float64.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExactSummary {
    /// `log p(R̂)`
    #[serde(deserialize_with = "nan_for_null")]
    pub log_evidence: f64,
    /// The greatest bound of any policy that may depend on the time and keeps the posterior's other
    /// factors.
    #[serde(deserialize_with = "nan_for_null")]
    pub best_bound: f64,
    /// That policy sees the state, and the model's own kernels see no more than an observation of
    /// it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub best_sees_hidden_state: bool,
    /// The learned kernels that draw starts and steps of the posterior's world, and stay as they
    /// are in the best bound.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub best_keeps: Vec<String>,
    /// The greatest bound that the parameters of the model's own kernels were found to reach, where
    /// it was sought.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family_bound: Option<f64>,
    /// The ascents that sought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family_ascents: Option<Ascents>,
    /// The same with the exact reverse model in the place of the model's own, where there is one
    /// and few enough trajectories to sum over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family_bound_exact_reverse: Option<f64>,
    /// The kernels whose parameters matter to these numbers and are the initial ones, since neither
    /// a run nor the bound's own optimum gives others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at_initial: Vec<String>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicySummary>,
}

impl ExactSummary {
    /// Holds that all numbers are some. A bound or the evidence may be −∞, and what it is below
    /// that, the divergence, ∞: a factor excludes what is drawn.
    ///
    /// # Errors
    /// One sentence that names the first number that is none.
    pub fn verify_numbers(&self) -> Result<(), String> {
        let mut told = vec![
            ("log evidence", Some(self.log_evidence), Side::Below),
            ("best bound", Some(self.best_bound), Side::Below),
        ];
        told.push(("family bound", self.family_bound, Side::Below));
        told.push((
            "family bound with the exact reverse model",
            self.family_bound_exact_reverse,
            Side::Below,
        ));
        if let Some(policy) = &self.policy {
            told.push(("bound", Some(policy.bound), Side::Below));
            told.push(("expected return", Some(policy.expected_return), Side::Neither));
            told.extend(
                policy
                    .rewards
                    .iter()
                    .map(|reward| ("expected return", Some(reward.expected_return), Side::Neither)),
            );
            told.push(("KL from the prior", Some(policy.kl), Side::Above));
            told.push(("KL per step", policy.kl_per_step, Side::Above));
            if let Some(gap) = &policy.gap {
                told.push(("gap", Some(self.log_evidence - policy.bound), Side::Neither));
                let parts = [
                    ("dynamics", Some(gap.dynamics)),
                    ("family", gap.family),
                    ("optimisation", Some(gap.optimisation)),
                ];
                let drawn = [gap.family_se, gap.optimisation_se, gap.auxiliary_se]
                    .map(|error| ("standard error of the gap", error));
                let parts =
                    parts.into_iter().chain([("auxiliary", Some(gap.auxiliary))]).chain(drawn);
                told.extend(parts.map(|(name, value)| (name, value, Side::Neither)));
            }
        }
        let is_none = |value: f64, may_be: Side| match may_be {
            Side::Below => value.is_nan() || value == f64::INFINITY,
            Side::Above => value.is_nan() || value == f64::NEG_INFINITY,
            Side::Neither => !value.is_finite(),
        };
        match told.into_iter().find_map(|(name, value, may_be)| {
            Some((name, value.filter(|&value| is_none(value, may_be))?))
        }) {
            None => Ok(()),
            Some((name, value)) => Err(format!(
                "the number `{name}` is {value}: what it is computed from exceeds 1.8e308, the \
                 largest float64; scale the rewards, or the param before \
                 them, down"
            )),
        }
    }
}

/// Where a number may be infinite.
#[derive(Clone, Copy)]
enum Side {
    Below,
    Above,
    Neither,
}

/// Ascents on a bound that is not concave, from different starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ascents {
    pub made: usize,
    /// Those that ended at the greatest bound that was found.
    pub agreed: usize,
}

/// The oracle's numbers of one policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicySummary {
    /// `L(q)`
    #[serde(deserialize_with = "nan_for_null")]
    pub bound: f64,
    #[serde(deserialize_with = "nan_for_null")]
    pub expected_return: f64,
    /// Where there are several rewards, each of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rewards: Vec<RewardSummary>,
    /// `KL(q ‖ p)` of trajectories.
    #[serde(deserialize_with = "nan_for_null")]
    pub kl: f64,
    /// `KL(q(s'|s,a) ‖ p(s'|s,a))` of the posterior's transitions from the prior's, a live step,
    /// where the two differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kl_per_step: Option<f64>,
    pub gap: Option<Gap>,
}

/// The parts of `log p(R̂) − L(q)`, each at least 0. Where the best policy of the family is not
/// sought, or the evidence moves with its parameters, `family` is absent and `optimisation` holds
/// both. With a reverse model and too many trajectories to list, `family_at_most` says that
/// `family` is an upper limit and `optimisation` a lower one. Standard errors are there where
/// trajectories were drawn, being too many to list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    pub dynamics: f64,
    pub family: Option<f64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub family_at_most: bool,
    pub optimisation: f64,
    pub auxiliary: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family_se: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optimisation_se: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auxiliary_se: Option<f64>,
}

/// JSON has no number that is not finite: it is written as `null`.
fn nan_for_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}
