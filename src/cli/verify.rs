//! `rlppl verify`: the derivation held against the truth.

use super::{Failure, Format, console, input};
use crate::bound::{self, BoundDerivation, Relation};
use crate::model::Model;
use crate::verify::{self, CheckedEstimator, TRAJECTORIES, Unverified, Verified};
use serde_json::json;
use std::fmt::Write as _;

/// Hold the derived bound and its gradient against all trajectories of a small finite model.
///
/// Both sides of every step are computed by listing every trajectory, with random tables in the place of the networks; so are the mean and the
/// variance of each gradient estimator, against the exact gradient. Where the horizon makes the list too long it is shortened, and that is said.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  rlppl verify models/reinforce.rlmodel
  rlppl verify models/options_window.rlmodel --tables 10
  rlppl verify models/vic.rlmodel --format json")]
pub struct Arguments {
    #[command(flatten)]
    model: input::ModelArguments,
    /// How many sets of random tables are tried
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    tables: u64,
    /// Seed of the first set of tables
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
    let mut model = loaded.model;
    let held = loop {
        match hold(&model, seeds.clone()) {
            Ok(held) => break held,
            Err(Refused::Unverified(Unverified::TooLarge { horizon })) if horizon > 1 => {
                // lists grow by a factor a step: long horizons come down fast
                let shorter = if horizon > 8 { 8 } else { horizon - 1 };
                let mut sets: input::Sets = sets.iter().filter(|(name, _)| *name != model.horizon.name).cloned().collect();
                sets.push((model.horizon.name.clone(), shorter.to_string()));
                model = input::check(&loaded.file, &sets)?;
            }
            Err(Refused::Unverified(error)) => return Err(Failure::Wrong(format!("`{}` cannot be verified: {error}", model.name))),
            Err(Refused::Underivable(failure)) => return Err(failure),
        }
    };
    let shortened = (model.horizon.value < asked).then_some(asked);
    match arguments.format {
        Format::Text => console::result(&text(&model, shortened, &held))?,
        Format::Json => console::json(&as_json(&model, shortened, &held))?,
    }
    if held.iter().all(|held| held.results.iter().all(Verified::holds)) { Ok(()) } else { Err(Failure::Told(1)) }
}

enum Refused {
    Unverified(Unverified),
    Underivable(Failure),
}

fn hold(model: &Model, seeds: std::ops::Range<u64>) -> Result<Vec<Held>, Refused> {
    let derivation = bound::derive(model).map_err(|found| Refused::Underivable(Failure::Model(found)))?;
    let held = derivation.bounds.into_iter().map(|derivation| {
        let results = seeds.clone().map(|seed| verify::verify(model, &derivation, seed)).collect::<Result<_, _>>();
        results.map(|results| Held { derivation, results }).map_err(Refused::Unverified)
    });
    held.collect()
}

fn text(model: &Model, shortened: Option<usize>, held: &[Held]) -> String {
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
    let failed = held.iter().any(|held| !held.results.iter().all(Verified::holds));
    writeln!(out, "{}", if failed { "FAILED" } else { "all steps hold" }).expect("a string");
    out
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

fn as_json(model: &Model, shortened: Option<usize>, held: &[Held]) -> serde_json::Value {
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
        "holds": held.iter().all(|held| held.results.iter().all(Verified::holds)),
        "bounds": held.iter().map(|held| json!({
            "name": held.derivation.name,
            "tables": held.results.iter().map(|verified| result(&held.derivation, verified)).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    })
}
