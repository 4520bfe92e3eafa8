//! The estimators that a model's gradient can be had by: every baseline with nothing that biases, and the one bias that the literature is used to.

use super::enumeration::against_enumeration;
use super::{Baseline, OptionGradient, Plan, plan};
use crate::bound::Derivation;
use crate::diagnostic::Diagnostics;
use crate::model::Model;

/// A plan whose gradient is estimated in one particular way.
#[derive(Clone, Debug)]
pub struct Alternative {
    /// As `infer` would say it: `baseline = leave_one_out`.
    pub name: &'static str,
    /// Whether theory says that the estimate is unbiased.
    pub claims_unbiased: bool,
    pub plan: Plan,
}

/// Plans of the same model, for each bound that is maximised in turn: without a baseline, with the leave-one-out mean, with the file's own network
/// where it has one, each with the exact credit; and `kl_to_go = false`, which drops the later divergences (biased, except where the policy equals
/// its prior). Of the file's `infer` only the networks of the baseline and of the classifier count: what else biases (`lambda`, `discount`) is left
/// at the value that does not.
///
/// # Errors
/// As [`plan`].
pub fn alternatives(model: &Model, derivation: &Derivation) -> Result<Vec<Alternative>, Diagnostics> {
    let mut model = model.clone();
    model.settings.retain(|setting| ["baseline", "ratio"].contains(&setting.key.as_str()));
    for objective in &mut model.objectives {
        objective.settings.retain(|setting| setting.key == "baseline");
    }
    let planned = plan(&model, derivation)?;
    // what only collects transitions has no bound
    Ok(planned.turns().filter(|turn| !turn.terms.is_empty()).flat_map(of_bound).collect())
}

fn of_bound(turn: &Plan) -> Vec<Alternative> {
    let written = Plan { earlier: Vec::new(), watched: Vec::new(), ..turn.clone() };
    let unbiased = |name, plan| Alternative { name, claims_unbiased: true, plan };
    let mut found = vec![unbiased("baseline = none", with_baseline(&written, Baseline::None))];
    // where no draw is scored there is no credit to compare
    if !written.terms.iter().any(|term| term.credit.iter().any(Option::is_some)) {
        return found;
    }
    found.push(unbiased("baseline = leave_one_out", with_baseline(&written, Baseline::LeaveOneOut)));
    if written.settings.has_learned_baseline() {
        found.push(unbiased("baseline = a network", written.clone()));
    }
    let (draws, moves_model) = ((&written.options[..], &written.policy), written.scored_model.is_some());
    if against_enumeration(&written.model, &written.settings, draws, &written.terms, moves_model).is_none() {
        let mut plan = with_baseline(&written, Baseline::LeaveOneOut);
        plan.settings.options = OptionGradient::Enumerated;
        found.push(unbiased("options = enumerate", plan));
    }
    if let Some(plan) = without_kl_to_go(with_baseline(&written, Baseline::LeaveOneOut)) {
        found.push(Alternative { name: "kl_to_go = false", claims_unbiased: false, plan });
    }
    found
}

fn with_baseline(plan: &Plan, baseline: Baseline) -> Plan {
    let mut plan = plan.clone();
    plan.settings.baseline = baseline;
    plan.baseline_reads = Vec::new();
    plan.fitted.clear();
    plan.shared = false;
    plan
}

/// `None` where there is no later action term to drop.
fn without_kl_to_go(mut plan: Plan) -> Option<Plan> {
    plan.settings.kl_to_go = false;
    let mut dropped = false;
    // what the settings say to leave out is left out of the plan
    for term in plan.terms.iter_mut().filter(|term| term.of_action) {
        term.credit.iter_mut().for_each(|credit| dropped |= credit.take().is_some());
    }
    dropped.then_some(plan)
}
