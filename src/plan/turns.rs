//! The plans of a file's bounds: those that `maximize` names, in turns, and those that are only
//! evaluated.

use super::critic::{self, CRITICS};
use super::{DrawGradient, Plan, Settings, assemble, conflicts};
use crate::bound::{BoundDerivation, Derivation};
use crate::diagnostic::Diagnostic;
use crate::model::{BoundId, Model, Objective, Setting, SettingValue};
use std::collections::BTreeSet;

/// Keys that a run has once.
const OF_THE_RUN: [&str; 10] = [
    "rounds",
    "precision",
    "threads",
    "seed",
    "shards",
    "checkpoint_every",
    "log_every",
    "until",
    "normalize",
    "ratio",
];

/// The plan of the bound that is maximised last, which holds those of the others.
pub(super) fn turns(
    model: &Model,
    derivation: &Derivation,
    run: &Settings,
) -> Result<Plan, Vec<Diagnostic>> {
    let mut errors = Vec::new();
    let mut planned = Vec::new();
    // all plans have the same parameters
    let mut with_deviations = model.clone();
    for bound in &derivation.bounds {
        // what is wrong is told with the plan of the bound
        let _ = super::weights::mean_fields(&mut with_deviations, model.bound(bound.bound), bound);
    }
    let model = &with_deviations;
    errors.extend(two_estimators(model));
    for objective in &model.objectives {
        match turn(model, derived(derivation, objective.bound), run, objective) {
            Ok(plan) => planned.push(plan),
            Err(found) => errors.extend(found),
        }
    }
    let mut watched = Vec::new();
    let mut unwatched = Vec::new();
    for bound in &derivation.bounds {
        if !model.objectives.iter().any(|objective| objective.bound == bound.bound) {
            match assemble(model, bound, run.clone(), &[]) {
                Ok(plan) if plan.ratios().next().is_some() => {
                    let message = "it has a density ratio, and only a bound that is maximised \
                                   teaches its classifier";
                    unwatched.push((
                        bound.bound,
                        vec![super::refused(model.bound(bound.bound).span, message)],
                    ));
                }
                Ok(plan) => watched.push(plan),
                Err(found) => unwatched.push((bound.bound, found)),
            }
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    verify_ratio(model, &planned)?;
    verify_estimator(model, &planned)?;
    verify_rounds(model, run, &planned)?;
    verify_credit(model, &planned)?;
    // of each environment whose transitions are told apart, and which no bound is rolled out in
    let is_real = |of: &Plan, planned: &[Plan]| {
        planned.iter().any(|plan| plan.is_real() && plan.environment == of.environment)
    };
    while let Some(imagined) =
        planned.iter().find(|plan| plan.tells_transitions_apart() && !is_real(plan, &planned))
    {
        let scout = imagined.scout();
        planned.insert(0, scout);
    }
    let last = planned.pop().expect("plan: a checked model maximises a bound");
    planned.iter_mut().zip(1..).for_each(|(plan, number)| plan.number = number);
    let mut plan = Plan { earlier: planned, watched, ..last };
    for (bound, found) in unwatched {
        let name = model.bound(bound).name.as_deref().unwrap_or("");
        let why = found.first().map_or("", |diagnostic| diagnostic.message.as_str());
        plan.remarks.push(format!("bound `{name}` is not evaluated: {why}"));
    }
    // those of the bound that can use most; where another has fewer trajectories, some of its
    // shards have none
    let shards = plan
        .turns()
        .map(|plan| plan.settings.shards.min(plan.settings.trajectories))
        .max()
        .unwrap_or(1);
    plan.settings.shards = shards;
    plan.earlier.iter_mut().for_each(|plan| plan.settings.shards = shards);
    Ok(plan)
}

impl Plan {
    /// Its policy in the environment itself, so that there are real transitions; nothing moves by
    /// it.
    pub fn scout(&self) -> Plan {
        let settings = Settings { baseline: super::Baseline::None, ..self.settings.clone() };
        let nothing = BTreeSet::new;
        Plan {
            states: Vec::new(),
            outcomes: Vec::new(),
            paths: super::Pathwise::default(),
            terms: Vec::new(),
            trained: nothing(),
            region: nothing(),
            unserved: 0,
            fitted: nothing(),
            classified: nothing(),
            remarks: Vec::new(),
            earlier: Vec::new(),
            watched: Vec::new(),
            own_settings: Vec::new(),
            settings,
            ..self.clone()
        }
    }
}

/// A classifier that tells nothing apart is refused.
fn verify_ratio(model: &Model, planned: &[Plan]) -> Result<(), Vec<Diagnostic>> {
    let has_ratio = planned.iter().any(|plan| plan.ratios().next().is_some());
    let refits = planned.iter().any(|plan| plan.settings.refits > 0);
    let keys = ["ratio", "ratio_steps", "ratio_batch"]
        .iter()
        .chain(["replay"].iter().filter(|_| !refits))
        .filter_map(|key| model.setting(key));
    let idle = model.setting("refit_batch").filter(|_| !refits).map(|setting| {
        let told = Diagnostic::error(
            "bad-setting",
            setting.span,
            "`refit_batch` belongs to `refits`, and no bound of this file has any",
        );
        told.hint("leave it away")
    });
    let errors: Vec<Diagnostic> = keys
        .filter(|_| !has_ratio)
        .map(|setting| {
            let message = format!(
                "`{}` belongs to the classifier of a density ratio, and no \
                                   bound that is maximised has one",
                setting.key
            );
            Diagnostic::error("bad-setting", setting.span, message).hint("leave it away")
        })
        .chain(idle)
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Rounds that move nothing are refused.
fn verify_rounds(model: &Model, run: &Settings, planned: &[Plan]) -> Result<(), Vec<Diagnostic>> {
    let reads_previous = |plan: &Plan| {
        plan.terms.iter().any(super::Term::reads_previous)
            || super::simulation::reads_previous(model, &plan.simulations)
    };
    match model.setting("rounds") {
        Some(setting) if run.rounds > 1 && !planned.iter().any(reads_previous) => {
            let message = "`rounds` move `previous`, and no prior of this model reads it";
            let error = Diagnostic::error("bad-setting", setting.span, message);
            Err(vec![error.hint(
                "write `steps` for the number of batches, or the prior `a[t] ~ previous pi(s[t])`",
            )])
        }
        Some(_) | None => Ok(()),
    }
}

/// What shapes the credit of draws is refused where no draw is credited.
fn verify_credit(model: &Model, planned: &[Plan]) -> Result<(), Vec<Diagnostic>> {
    const OF_BASELINES: [&str; 2] = ["baseline", "baseline_weight"];
    // of a bound alone, also what draws that are followed have
    let shapes = |setting: &&Setting, plan: &Plan| {
        OF_BASELINES.contains(&setting.key.as_str())
            || critic::is_key(&setting.key)
            || setting.key == "kl_to_go"
            || setting.key == "discount" && !plan.is_pathwise()
    };
    let is_scored =
        |plan: &&Plan| plan.terms.iter().any(|term| term.credit.iter().any(Option::is_some));
    let wrong = |setting: &Setting| {
        let message = format!(
            "`{}` shapes the credit of scored draws, and here no draw is scored",
            setting.key
        );
        Diagnostic::error("bad-setting", setting.span, message).hint("leave it away")
    };
    let critics = CRITICS.iter().map(|critic| critic.key.name);
    let of_all = OF_BASELINES
        .into_iter()
        .chain(critics)
        .filter_map(|key| model.setting(key))
        .filter(|_| !planned.iter().any(|plan| is_scored(&plan)));
    let own = model.objectives.iter().zip(planned).filter(|(_, plan)| !is_scored(plan));
    let own = own.flat_map(|(objective, plan)| {
        objective.settings.iter().filter(move |setting| shapes(setting, plan))
    });
    let mut errors: Vec<Diagnostic> = of_all.chain(own).map(wrong).collect();
    let untaught =
        model.objectives.iter().zip(planned).filter(|(_, plan)| plan.ratios().next().is_none());
    let of_ratio = untaught
        .flat_map(|(objective, _)| &objective.settings)
        .filter(|setting| setting.key.starts_with("ratio"));
    errors.extend(of_ratio.map(|setting| {
        let message = format!(
            "`{}` belongs to the classifier of a density ratio, and this bound has none",
            setting.key
        );
        Diagnostic::error("bad-setting", setting.span, message).hint("leave it away")
    }));
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// A bound has one gradient, whichever of its kernels a line moves.
fn two_estimators(model: &Model) -> Vec<Diagnostic> {
    let key = |settings: &[Setting]| {
        settings
            .iter()
            .find(|setting| setting.key == "estimator")
            .map(|setting| setting.value.clone())
    };
    let score = SettingValue::Word("score".into());
    let of = |objective: &Objective| {
        key(&objective.settings).or_else(|| key(&model.settings)).unwrap_or_else(|| score.clone())
    };
    let mut errors = Vec::new();
    for (at, objective) in model.objectives.iter().enumerate() {
        let others = model.objectives[..at].iter().filter(|other| other.bound == objective.bound);
        if others.map(of).any(|other| other != of(objective)) {
            let name = model.bound(objective.bound).name.as_deref().unwrap_or("");
            let told = Diagnostic::error(
                "bad-setting",
                objective.span,
                format!("bound `{name}` is maximised with two estimators"),
            );
            errors.push(told.hint("write one `estimator` for all its lines"));
        }
    }
    errors
}

/// A gradient through draws of which there are none is refused.
fn verify_estimator(model: &Model, planned: &[Plan]) -> Result<(), Vec<Diagnostic>> {
    let asked = |plan: &&Plan| plan.settings.estimator == DrawGradient::Pathwise;
    let own = |plan: &Plan| plan.own_settings.iter().any(|key| key == "estimator");
    let idle = planned.iter().filter(asked).filter(|plan| !plan.is_pathwise());
    let lines =
        model.objectives.iter().flat_map(|objective| &objective.settings).chain(&model.settings);
    let Some(setting) = lines.into_iter().find(|setting| setting.key == "estimator") else {
        return Ok(());
    };
    if idle.clone().any(own) || idle.count() > 0 && planned.iter().all(|plan| !plan.is_pathwise()) {
        let (message, hint) = match planned.iter().any(|plan| !plan.is_real()) {
            true => (
                "`estimator = pathwise` goes through draws that are smooth functions of noise, and \
                 here nothing that moves is drawn so or stands before such a draw",
                "leave it away, or let this bound move the model, or a real action's kernel",
            ),
            false => (
                "`estimator = pathwise` goes through the states that a learned model draws, and \
                 this bound's are the environment's",
                "leave it away, or let a learned kernel draw `s[t+1]` in the posterior",
            ),
        };
        return Err(vec![Diagnostic::error("bad-setting", setting.span, message).hint(hint)]);
    }
    Ok(())
}

fn derived(derivation: &Derivation, bound: BoundId) -> &BoundDerivation {
    let found = derivation.bounds.iter().find(|derived| derived.bound == bound);
    found.expect("plan: every bound of a checked model is derived")
}

/// The plan of one objective, with what it sets for itself.
fn turn(
    model: &Model,
    derivation: &BoundDerivation,
    run: &Settings,
    objective: &Objective,
) -> Result<Plan, Vec<Diagnostic>> {
    if objective.settings.is_empty() {
        return assemble(model, derivation, run.clone(), &objective.over);
    }
    let wrong = |setting: &Setting| {
        let told = Diagnostic::error(
            "bad-setting",
            setting.span,
            format!("`{}` is the whole run's, not one bound's", setting.key),
        );
        told.hint("write it as a line of its own in `infer`")
    };
    let errors: Vec<Diagnostic> = objective
        .settings
        .iter()
        .filter(|setting| OF_THE_RUN.contains(&setting.key.as_str()))
        .map(wrong)
        .collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    let per_turn = match objective.settings.iter().find(|setting| setting.key == "steps") {
        None => 1,
        Some(Setting { value: SettingValue::Number(steps), .. })
            if steps.fract() == 0.0 && (1.0..1e6).contains(steps) =>
        {
            *steps as u64
        }
        Some(setting) => {
            let message =
                "`steps` of a bound are the gradient steps of its turn: a whole number, at least 1";
            return Err(vec![Diagnostic::error("bad-setting", setting.span, message)]);
        }
    };
    let own =
        |key: &str| key != "steps" && objective.settings.iter().any(|setting| setting.key == key);
    let kept = model.settings.iter().filter(|setting| !own(&setting.key));
    let added = objective.settings.iter().filter(|setting| setting.key != "steps");
    let model = Model { settings: kept.chain(added).cloned().collect(), ..model.clone() };
    let read = conflicts::read(&model)?;
    if let (Some(setting), 0) =
        (objective.settings.iter().find(|setting| setting.key == "refit_batch"), read.refits)
    {
        let told = Diagnostic::error(
            "bad-setting",
            setting.span,
            "`refit_batch` belongs to `refits`, and this bound has none",
        );
        return Err(vec![told.hint("write `refits = N` beside it, or leave it away")]);
    }
    let steps = run.steps.saturating_mul(per_turn);
    let (shards, log_every, ratios) = (run.shards, run.log_every, run.ratios.clone());
    let settings = Settings { steps, shards, log_every, ratios, ..read };
    let own_settings = objective
        .settings
        .iter()
        .map(|setting| setting.key.clone())
        .filter(|key| key != "steps")
        .collect();
    Ok(Plan { per_turn, own_settings, ..assemble(&model, derivation, settings, &objective.over)? })
}
