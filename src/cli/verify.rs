//! `rlppl verify`: the derivation held against the truth.

use super::{Failure, Format, console, exact, input};
use crate::bound::{self, BoundDerivation, Relation};
use crate::engine::{self, Assessment, BATCHES, FALSE_ALARM, RESOLUTION};
use crate::model::{BoundId, Model};
use crate::plan;
use crate::verify::{self, CheckedEstimator, TRAJECTORIES, Unverified, Verified};
use serde_json::json;
use std::fmt::Write as _;

/// Hold the derived bound and its gradient against all trajectories of a small finite model.
///
/// Both sides of every step are computed by listing every trajectory, with random tables in the place of the networks; so are the mean and the
/// variance of each gradient estimator, against the exact gradient. Where the horizon makes the list too long it is shortened, and that is said.
///
/// Then the estimator that `infer` runs is sampled at random parameters and the file's own horizon, with each baseline, and its mean compared with the
/// oracle's gradient: the bias in standard errors, against a threshold that an unbiased estimator exceeds once in 10 000 seeds at the most. Of a file
/// with several bounds each that is maximised has its own. In the place of a classifier stands the log-ratio that it estimates.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  rlppl verify models/reinforce.rlmodel
  rlppl verify models/options_window.rlmodel --tables 10
  rlppl verify models/predicted.rlmodel --bound truth
  rlppl verify models/vic.rlmodel --format json")]
pub struct Arguments {
    #[command(flatten)]
    model: input::ModelArguments,
    /// How many sets of random tables are tried
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    tables: u64,
    /// Of which bound, where the file has several [default: all]
    #[arg(long, value_name = "NAME")]
    bound: Option<String>,
    /// Seed of the first set of tables, and of the parameters at which the estimator is sampled
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// One bound, and what it was held against: a result for each set of tables.
struct Held {
    derivation: BoundDerivation,
    results: Vec<Verified>,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let sets = input::sets(&arguments.model.set)?;
    let loaded = input::load_with(&arguments.model.file, &sets)?;
    let asked = loaded.model.horizon.value;
    let seeds = arguments.seed..arguments.seed.saturating_add(arguments.tables);
    let whole = loaded.model.clone();
    let only = arguments.bound.as_deref().map(|name| exact::bound(&whole, Some(name))).transpose()?;
    let mut model = loaded.model;
    let held = loop {
        match hold(&model, only, seeds.clone()) {
            Ok(held) => break held,
            Err(Refused::Unverified(Unverified::TooLarge { horizon })) if horizon > 1 => {
                // lists grow by a factor a step: long horizons come down fast
                let shorter = if horizon > 8 { 8 } else { horizon - 1 };
                let mut sets: input::Sets = sets.iter().filter(|(name, _)| *name != model.horizon.name).cloned().collect();
                sets.push((model.horizon.name.clone(), shorter.to_string()));
                model = input::check(&loaded.file, &sets)?;
            }
            Err(Refused::Unverified(error)) => {
                let several = if model.bounds.len() > 1 && only.is_none() { "; `--bound NAME` verifies one bound alone" } else { "" };
                return Err(Failure::Wrong(format!("`{}` cannot be verified: {error}{several}", model.name)));
            }
            Err(Refused::Underivable(failure)) => return Err(failure),
        }
    };
    let shortened = (model.horizon.value < asked).then_some(asked);
    let sampled = sample(&whole, only, arguments.seed)?;
    match arguments.format {
        Format::Text => console::result(&text(&model, shortened, &held, &sampled))?,
        Format::Json => console::json(&as_json(&model, shortened, &held, &sampled))?,
    }
    if all_hold(&held, &sampled) { Ok(()) } else { Err(Failure::Told(1)) }
}

fn all_hold(held: &[Held], sampled: &Sampled) -> bool {
    let estimators = match sampled {
        Sampled::Refused(_) => true,
        Sampled::At { estimators, .. } => estimators.iter().all(Estimator::holds),
    };
    estimators && held.iter().all(|held| held.results.iter().all(Verified::holds))
}

/// The engine's own estimators, or why this version does not run them.
enum Sampled {
    Refused(String),
    At { horizon: usize, estimators: Vec<Estimator> },
}

struct Estimator {
    /// Of which bound.
    bound: Option<String>,
    name: &'static str,
    claims_unbiased: bool,
    /// One sentence, where the oracle does not take the bound.
    found: Result<Assessment, String>,
}

impl Estimator {
    fn holds(&self) -> bool {
        !self.claims_unbiased || self.found.as_ref().map_or(true, Assessment::holds)
    }
}

fn sample(model: &Model, only: Option<BoundId>, seed: u64) -> Result<Sampled, Failure> {
    let derivation = bound::derive(model).map_err(Failure::Model)?;
    let alternatives = match plan::alternatives(model, &derivation) {
        Ok(alternatives) => alternatives,
        Err(refused) => return Ok(Sampled::Refused(refused.list[0].message.clone())),
    };
    let assess = |alternative: plan::Alternative| {
        let plan::Alternative { name, claims_unbiased, plan } = alternative;
        let found = engine::random_parameters(&plan, seed).and_then(|parameters| engine::assess(&plan, &parameters));
        let bound = plan.derivation.name.clone();
        Estimator { bound, name, claims_unbiased, found: found.map_err(|refused| refused.to_string()) }
    };
    let wanted = |alternative: &plan::Alternative| only.is_none_or(|bound| alternative.plan.derivation.bound == bound);
    let estimators: Vec<Estimator> = alternatives.into_iter().filter(wanted).map(assess).collect();
    if estimators.is_empty() {
        return Ok(Sampled::Refused("nothing maximises this bound".into()));
    }
    let refused = estimators.iter().map(|estimator| estimator.found.as_ref().err());
    // one sentence is enough where nothing can be sampled
    match refused.collect::<Option<Vec<_>>>().as_deref() {
        Some([first, ..]) => Ok(Sampled::Refused((*first).clone())),
        Some([]) | None => Ok(Sampled::At { horizon: model.horizon.value, estimators }),
    }
}

enum Refused {
    Unverified(Unverified),
    Underivable(Failure),
}

fn hold(model: &Model, only: Option<BoundId>, seeds: std::ops::Range<u64>) -> Result<Vec<Held>, Refused> {
    let derivation = bound::derive(model).map_err(|found| Refused::Underivable(Failure::Model(found)))?;
    let wanted = derivation.bounds.into_iter().filter(|derivation| only.is_none_or(|bound| derivation.bound == bound));
    let held = wanted.map(|derivation| {
        let results = seeds.clone().map(|seed| verify::verify(model, &derivation, seed)).collect::<Result<_, _>>();
        results.map(|results| Held { derivation, results }).map_err(Refused::Unverified)
    });
    held.collect()
}

fn text(model: &Model, shortened: Option<usize>, held: &[Held], sampled: &Sampled) -> String {
    let mut out = String::new();
    if let Some(asked) = shortened {
        let now = model.horizon.value;
        writeln!(out, "T = {asked} has more than {TRAJECTORIES} trajectories; verified at {} = {now}", model.horizon.name)
            .expect("a string");
    }
    for Held { derivation, results } in held {
        let title = derivation.name.as_ref().map_or_else(|| model.name.clone(), |name| format!("{} of {}", name, model.name));
        let first = &results[0];
        writeln!(out, "{title}: {} trajectories, {} sets of random tables", first.trajectories, results.len()).expect("a string");
        for (number, step) in derivation.steps.iter().enumerate() {
            let worst = results
                .iter()
                .map(|result| result.steps[number])
                .min_by_key(|step| step.holds)
                .expect("verify: at least one set of tables");
            let relation = relation(worst.relation);
            let verdict = verdict(worst.holds);
            writeln!(out, "  {verdict} {:>3}. {:<13} {:>20.12} {relation} {:.12}", number + 1, step.rule.name(), worst.before, worst.after)
                .expect("a string");
        }
        let bound = results.iter().min_by_key(|result| result.bound_holds()).expect("verify: at least one set of tables");
        writeln!(out, "  {}      log p(R̂)      {:>20.12} ≥ {:.12}  (L)", verdict(bound.bound_holds()), bound.log_evidence, bound.bound)
            .expect("a string");
        for (number, name) in first.estimators.iter().map(|estimator| estimator.name).enumerate() {
            let all: Vec<CheckedEstimator> = results.iter().map(|result| result.estimators[number]).collect();
            let worst = all.iter().max_by(|a, b| a.bias.total_cmp(&b.bias)).expect("verify: at least one set of tables");
            let (says, known) = if worst.claims_unbiased { (verdict(worst.holds()), "unbiased") } else { ("    ", "biased  ") };
            writeln!(
                out,
                "  {says} ∇L: {name:<21} {known}  |bias| {:.1e} of {:.3}  variance {:.4}",
                worst.bias, worst.scale, worst.variance
            )
            .expect("a string");
        }
    }
    write_sampled(&mut out, model, sampled);
    writeln!(out, "{}", if all_hold(held, sampled) { "all steps hold" } else { "FAILED" }).expect("a string");
    out
}

fn write_sampled(out: &mut String, model: &Model, sampled: &Sampled) {
    let (horizon, estimators) = match sampled {
        Sampled::Refused(why) => {
            writeln!(out, "the sampled estimator of ∇L is not run: {why}").expect("a string");
            return;
        }
        Sampled::At { horizon, estimators } => (horizon, estimators),
    };
    let trajectories = engine::TRAJECTORIES;
    writeln!(
        out,
        "as `infer` samples it: {BATCHES} batches of {trajectories} trajectories, {} = {horizon}, random parameters",
        model.horizon.name
    )
    .expect("a string");
    for (at, estimator) in estimators.iter().enumerate() {
        if let Some(bound) = estimator.bound.as_ref().filter(|_| at == 0 || estimators[at - 1].bound != estimator.bound) {
            writeln!(out, "  {bound}").expect("a string");
        }
        let found = match &estimator.found {
            Ok(found) => found,
            Err(why) => {
                writeln!(out, "       ∇L: {:<24} is not sampled: {why}", estimator.name).expect("a string");
                continue;
            }
        };
        let (says, known) = if estimator.claims_unbiased { (verdict(found.holds()), "unbiased") } else { ("    ", "biased  ") };
        writeln!(
            out,
            "  {says} ∇L: {:<24} {known}  max |z| {:.2} of {} (unbiased: ≤ {:.2})  bias {:.1e} ± {:.1e} of {:.3}  variance {:.4}",
            estimator.name,
            found.largest_z,
            found.components,
            found.threshold,
            found.bias,
            found.standard_error,
            found.scale,
            found.variance
        )
        .expect("a string");
    }
    let untested = estimators.iter().filter_map(|estimator| estimator.found.as_ref().ok()).map(|found| found.untested).max();
    if let Some(untested) = untested.filter(|untested| *untested > 0) {
        writeln!(out, "       up to {untested} parameters are met too seldom for a z-score").expect("a string");
    }
}

fn verdict(holds: bool) -> &'static str {
    if holds { "ok  " } else { "FAIL" }
}

fn relation(relation: Relation) -> &'static str {
    match relation {
        Relation::Equal => "=",
        Relation::AtLeast => "≥",
        Relation::Approximately => "≈",
    }
}

fn as_json(model: &Model, shortened: Option<usize>, held: &[Held], sampled: &Sampled) -> serde_json::Value {
    let result = |derivation: &BoundDerivation, result: &Verified| {
        let steps = derivation.steps.iter().zip(&result.steps).map(|(step, checked)| {
            json!({ "rule": step.rule.name(), "relation": relation(checked.relation), "before": checked.before, "after": checked.after, "holds": checked.holds })
        });
        let estimators = result.estimators.iter().map(|estimator| {
            json!({
                "name": estimator.name,
                "claims_unbiased": estimator.claims_unbiased,
                "bias": estimator.bias,
                "scale": estimator.scale,
                "variance": estimator.variance,
                "holds": estimator.holds(),
            })
        });
        json!({
            "trajectories": result.trajectories,
            "log_evidence": result.log_evidence,
            "bound": result.bound,
            "holds": result.holds(),
            "steps": steps.collect::<Vec<_>>(),
            "estimators": estimators.collect::<Vec<_>>(),
        })
    };
    json!({
        "model": model.name,
        "horizon": model.horizon.value,
        "asked_horizon": shortened.unwrap_or(model.horizon.value),
        "holds": all_hold(held, sampled),
        "sampled": sampled_json(sampled),
        "bounds": held.iter().map(|held| json!({
            "name": held.derivation.name,
            "tables": held.results.iter().map(|verified| result(&held.derivation, verified)).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    })
}

fn sampled_json(sampled: &Sampled) -> serde_json::Value {
    let (horizon, estimators) = match sampled {
        Sampled::Refused(why) => return json!({ "refused": why }),
        Sampled::At { horizon, estimators } => (horizon, estimators),
    };
    let estimators = estimators.iter().map(|estimator| {
        let (bound, name, claims_unbiased) = (&estimator.bound, estimator.name, estimator.claims_unbiased);
        match &estimator.found {
            Err(why) => json!({ "bound": bound, "name": name, "claims_unbiased": claims_unbiased, "refused": why }),
            Ok(found) => json!({
                "bound": bound,
                "name": name,
                "claims_unbiased": claims_unbiased,
                "largest_z": found.largest_z,
                "threshold": found.threshold,
                "components": found.components,
                "untested": found.untested,
                "bias": found.bias,
                "standard_error": found.standard_error,
                "scale": found.scale,
                "variance": found.variance,
                "holds": estimator.holds(),
            }),
        }
    });
    json!({
        "batches": BATCHES,
        "trajectories": engine::TRAJECTORIES,
        "horizon": horizon,
        "false_alarm": FALSE_ALARM,
        "resolution": RESOLUTION,
        "estimators": estimators.collect::<Vec<_>>(),
    })
}
