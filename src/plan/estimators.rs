//! The estimators that a model's gradient can be had by: the one that `infer` runs for the file as
//! it stands; beside it every baseline with nothing that biases, and the one bias that the
//! literature is used to.

use super::enumeration::{against_enumeration, against_exponents, value_whole};
use super::{Baseline, OptionGradient, Plan, StateDraw, Update, plan};
use crate::bound::{Derivation, derive};
use crate::diagnostic::Diagnostics;
use crate::model::{Model, Setting};

/// A plan whose gradient is estimated in one particular way.
#[derive(Clone, Debug)]
pub struct Alternative {
    /// As `infer` would say it: `baseline = leave_one_out`.
    pub name: String,
    pub claim: Claim,
    /// `infer` runs it for the file as it stands.
    pub is_own: bool,
    pub plan: Plan,
    /// The same bound by scores alone, where that can be had and the plan goes through draws: of
    /// real draws no oracle has the gradient, and two estimators have one mean.
    pub by_scores: Option<Plan>,
}

/// What theory says of an estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    Unbiased,
    /// By choice of the settings, which say so.
    Biased,
    /// It is no mean over trajectories drawn at the same parameters, for this reason: its bias
    /// cannot be measured batch by batch.
    BeyondOneBatch(&'static str),
}

/// Plans of the same model, for each bound that is maximised in turn. First those that claim to be
/// unbiased: without a baseline, with the leave-one-out mean, with the file's own network where it
/// has one, with options summed out where they can be; then `kl_to_go = false`, which drops the
/// later divergences (biased, except where the policy equals its prior); then what the file's own
/// settings make of it, where that is none of these.
///
/// # Errors
/// As [`plan`].
pub fn alternatives(
    model: &Model,
    derivation: &Derivation,
) -> Result<Vec<Alternative>, Diagnostics> {
    let own = plan(model, derivation)?;
    let mut plain = model.clone();
    plain.settings.retain(|setting| KEPT.contains(&setting.key.as_str()));
    for objective in &mut plain.objectives {
        objective.settings.retain(|setting| KEPT.contains(&setting.key.as_str()));
    }
    let plain = plan(&plain, &derive(&plain)?)?;
    // what only collects transitions has no bound
    let turns = |plan: &Plan| -> Vec<Plan> {
        let alone = |turn: &Plan| Plan { earlier: Vec::new(), watched: Vec::new(), ..turn.clone() };
        plan.turns().filter(|turn| !turn.terms.is_empty()).map(alone).collect()
    };
    let (plain, own) = (turns(&plain), turns(&own));
    let by_scores = match plain.iter().any(|turn| turn.is_pathwise()) {
        true => by_scores(model).map(|plan| turns(&plan)),
        false => None,
    };
    let by_scores = by_scores.filter(|scored| scored.len() == plain.len()).unwrap_or_default();
    let mut found = Vec::new();
    for (at, (plain, own)) in plain.iter().zip(own).enumerate() {
        let mut of_bound = of_bound(plain, own);
        for one in of_bound.iter_mut().filter(|one| one.plan.is_pathwise()) {
            let scored = by_scores.get(at).filter(|scored| !scored.is_pathwise());
            one.by_scores = scored.map(|plan| with_baseline(plan, Baseline::LeaveOneOut));
        }
        found.extend(of_bound);
    }
    Ok(found)
}

/// The plan of a file whose gradients are by scores alone, where there is one.
fn by_scores(model: &Model) -> Option<Plan> {
    let kept =
        |setting: &Setting| KEPT.contains(&setting.key.as_str()) && setting.key != "estimator";
    let mut scored = model.clone();
    scored.settings.retain(kept);
    for objective in &mut scored.objectives {
        objective.settings.retain(kept);
    }
    plan(&scored, &derive(&scored).ok()?).ok()
}

/// Keys of `infer` that say which terms a plan has, and what a bias would not come from.
const KEPT: [&str; 4] = ["baseline", "ratio", "estimator", "threads"];

fn of_bound(plain: &Plan, own: Plan) -> Vec<Alternative> {
    let mut found = unbiased(plain);
    if is_scored(plain)
        && !plain.is_pathwise()
        && let Some(plan) = without_kl_to_go(with_baseline(plain, Baseline::LeaveOneOut))
    {
        found.push(Alternative {
            name: "kl_to_go = false".into(),
            claim: Claim::Biased,
            is_own: false,
            plan,
            by_scores: None,
        });
    }
    let beyond = beyond_one_batch(&own);
    let replaced = own.settings.refits > 0 || matches!(own.settings.update, Update::Exact { .. });
    if !replaced {
        match found.iter_mut().find(|one| is_same(&one.plan, &own)) {
            Some(same) => same.is_own = true,
            None => found.push(Alternative {
                name: name(&own),
                claim: claim(&own),
                is_own: true,
                plan: own,
                by_scores: None,
            }),
        }
    }
    let plan = found[0].plan.clone();
    let beyond = beyond.into_iter().map(|(name, why)| Alternative {
        name,
        claim: Claim::BeyondOneBatch(why),
        is_own: true,
        plan: plan.clone(),
        by_scores: None,
    });
    found.extend(beyond);
    found
}

fn unbiased(plain: &Plan) -> Vec<Alternative> {
    let one = |name: &str, plan| Alternative {
        name: name.into(),
        claim: Claim::Unbiased,
        is_own: false,
        plan,
        by_scores: None,
    };
    let mut found = vec![one("baseline = none", with_baseline(plain, Baseline::None))];
    // where no draw is scored there is no credit to compare
    if !is_scored(plain) {
        return found;
    }
    found.push(one("baseline = leave_one_out", with_baseline(plain, Baseline::LeaveOneOut)));
    if plain.settings.has_learned_baseline() {
        let mut plan = plain.clone();
        // its fit moves nothing else
        plan.settings.baseline_weight = 0.0;
        found.push(one("baseline = a network", plan));
    }
    let moves_states = plain.states.iter().any(StateDraw::is_scored)
        || plain.outcomes.iter().any(|outcome| outcome.is_scored);
    let of = (&plain.draws[..], &plain.terms[..]);
    let states = (&plain.states[..], &plain.outcomes[..]);
    let against = against_enumeration(&plain.model, &plain.settings, of, states, (moves_states, 0))
        .or_else(|| {
            let on = (&plain.graph, &plain.model.inputs[..]);
            against_exponents(&plain.model, on, &plain.draws, &plain.terms)
        });
    // through draws, options are drawn
    if against.is_none() && !plain.is_pathwise() {
        let mut plan = with_baseline(plain, Baseline::LeaveOneOut);
        plan.settings.options = OptionGradient::Enumerated;
        let on = (&plain.graph, &plain.model.inputs[..]);
        value_whole(&plain.model, on, &plain.draws, &mut plan.terms);
        found.push(one("options = enumerate", plan));
    }
    found
}

fn is_scored(plan: &Plan) -> bool {
    plan.terms.iter().any(|term| term.credit.iter().any(Option::is_some))
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

/// The first gradient of a batch is the same, whatever else the settings say.
fn is_same(one: &Plan, other: &Plan) -> bool {
    let (a, b) = (&one.settings, &other.settings);
    let baseline = !is_scored(one)
        || a.baseline == b.baseline && one.fit_moves_bound() == other.fit_moves_bound();
    baseline
        && (&a.critics, a.discount, a.kl_to_go, a.options)
            == (&b.critics, b.discount, b.kl_to_go, b.options)
        && one.is_pathwise() == other.is_pathwise()
}

fn claim(own: &Plan) -> Claim {
    let settings = &own.settings;
    let shortened = !settings.critics.is_empty() || settings.discount < 1.0 || !settings.kl_to_go;
    if shortened || own.fit_moves_bound() { Claim::Biased } else { Claim::Unbiased }
}

/// The keys that make the first gradient of a batch what it is.
fn name(own: &Plan) -> String {
    let settings = &own.settings;
    let baseline = match &settings.baseline {
        Baseline::None => "none",
        Baseline::LeaveOneOut => "leave_one_out",
        Baseline::Network { .. } => "a network",
    };
    let mut keys = vec![format!("baseline = {baseline}")];
    if own.fit_moves_bound() {
        keys.push(format!("baseline_weight = {}", settings.baseline_weight));
    }
    keys.extend(settings.critics.iter().map(|chosen| format!("{} = {}", chosen.key, chosen.value)));
    if settings.discount < 1.0 {
        keys.push(format!("discount = {}", settings.discount));
    }
    if !settings.kl_to_go {
        keys.push("kl_to_go = false".into());
    }
    if settings.options == OptionGradient::Enumerated {
        keys.push("options = enumerate".into());
    }
    keys.join(", ")
}

/// What `infer` makes of a batch beyond its first gradient, as the keys say it, each with the
/// reason why a mean over batches does not judge it.
fn beyond_one_batch(own: &Plan) -> Vec<(String, &'static str)> {
    let settings = &own.settings;
    let mut found = Vec::new();
    if matches!(settings.update, Update::Exact { .. }) {
        return found;
    }
    if settings.refits > 0 {
        let why = "the model learns from kept transitions, of states that policies of earlier \
                   batches met";
        return vec![(format!("refits = {}", settings.refits), why)];
    }
    if settings.reuses_batches() && settings.update == Update::Gradient {
        let mut keys = vec![format!("epochs = {}", settings.epochs)];
        keys.extend(settings.minibatch.map(|size| format!("minibatch = {size}")));
        keys.extend(settings.clip_ratio.map(|clip| format!("clip_ratio = {clip}")));
        let why = "gradients after a batch's first are taken where the earlier ones led, so that \
                   they depend on the batch that they are estimated from";
        found.push((keys.join(", "), why));
    }
    if settings.normalize.advantages {
        let why = "advantages are divided by their root mean square over the batch, which couples \
                   its trajectories";
        found.push(("normalize = advantages".into(), why));
    }
    if let Some(norm) = settings.clip_norm {
        let why = "a gradient that is longer is scaled down as a whole, which couples the \
                   trajectories of its batch";
        found.push((format!("clip_norm = {norm}"), why));
    }
    found
}
