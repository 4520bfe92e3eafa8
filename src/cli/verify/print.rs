//! What `verify` found, in words and as JSON.

use super::estimators::{Estimator, Judged, Listed, Look};
use super::{Found, Held};
use crate::bound::{BoundDerivation, Relation};
use crate::engine::{AGAIN, BATCHES, FALSE_ALARM, RESOLUTION, TRAJECTORIES as OF_A_BATCH};
use crate::verify::{CheckedEstimator, CheckedStep, TRAJECTORIES, Verified};
use serde_json::{Value, json};
use std::fmt::Write as _;

pub fn text(found: &Found) -> String {
    let mut out = String::new();
    let model = &found.model;
    if let Some(asked) = found.shortened {
        let now = model.horizon.value;
        writeln!(
            out,
            "T = {asked} has more than {TRAJECTORIES} trajectories; verified at {} = {now}",
            model.horizon.name
        )
        .expect("a string");
    }
    for Held { derivation, results } in &found.held {
        let name = derivation.name.as_ref();
        let title =
            name.map_or_else(|| model.name.clone(), |name| format!("{} of {}", name, model.name));
        match results {
            Ok(results) => write_held(&mut out, &title, derivation, results),
            Err(why) => {
                writeln!(out, "{title}: the derivation is not judged: {why}").expect("a string")
            }
        }
    }
    write_sampled(&mut out, found);
    writeln!(out, "{}", conclusion(found)).expect("a string");
    out
}

fn conclusion(found: &Found) -> String {
    if !found.holds() {
        return "FAILED".into();
    }
    if found.judged_nothing() {
        return "nothing was judged".into();
    }
    let mut open = Vec::new();
    match found.not_listed() {
        0 => {}
        _ if found.held.len() == 1 => open.push("the derivation was not judged".to_owned()),
        1 => open.push("1 derivation was not judged".to_owned()),
        count => open.push(format!("{count} derivations were not judged")),
    }
    if !found.all_steps_are_judged() {
        open.push("steps between infinities were not judged".to_owned());
    }
    match &found.sampled {
        Judged::NotRun(_) => open.push("no estimator was judged".into()),
        Judged::NothingMaximised | Judged::Estimators(_) => {
            match found.sampled.not_judged() {
                0 => {}
                1 => open.push("1 estimator was not judged".into()),
                count => open.push(format!("{count} estimators were not judged")),
            }
            match found.sampled.undecided() {
                0 => {}
                1 => open.push("1 estimator is undecided".into()),
                count => open.push(format!("{count} estimators are undecided")),
            }
        }
    }
    if open.is_empty() {
        "all steps hold".into()
    } else {
        format!("what was judged holds; {}", open.join(", and "))
    }
}

fn write_held(out: &mut String, title: &str, derivation: &BoundDerivation, results: &[Verified]) {
    let first = &results[0];
    writeln!(
        out,
        "{title}: {} trajectories, {} sets of random tables",
        first.trajectories,
        results.len()
    )
    .expect("a string");
    for (number, step) in derivation.steps.iter().enumerate() {
        let worst = results
            .iter()
            .map(|result| result.steps[number])
            .min_by_key(|step| (step.holds, step.is_judged()));
        let worst = worst.expect("verify: at least one set of tables");
        let (verdict, relation) = (verdict_of(&worst), relation(worst.relation));
        writeln!(
            out,
            "  {verdict} {:>3}. {:<13} {:>20.12} {relation} {:.12}",
            number + 1,
            step.rule.name(),
            worst.before,
            worst.after
        )
        .expect("a string");
    }
    let bound =
        results.iter().min_by_key(|result| (result.bound_holds(), result.bound.is_finite()));
    let bound = bound.expect("verify: at least one set of tables");
    let says = if bound.bound_holds() && bound.bound.is_infinite() {
        "--  "
    } else {
        verdict(bound.bound_holds())
    };
    writeln!(
        out,
        "  {says}      log p(R̂)      {:>20.12} ≥ {:.12}  (L)",
        bound.log_evidence, bound.bound
    )
    .expect("a string");
    if results.iter().any(|result| result.bound.is_infinite()) {
        writeln!(
            out,
            "  --   the posterior draws what a factor excludes: the bound is −∞, and \
                       its gradient is not judged"
        )
        .expect("a string");
    }
    let names =
        results.iter().map(|result| &result.estimators).find(|estimators| !estimators.is_empty());
    for (number, name) in names.into_iter().flatten().map(|estimator| estimator.name).enumerate() {
        let all: Vec<CheckedEstimator> =
            results.iter().filter_map(|result| result.estimators.get(number).copied()).collect();
        let beside = |one: &&CheckedEstimator| {
            if one.bias.is_nan() { f64::INFINITY } else { one.bias / one.tolerance }
        };
        let worst = all
            .iter()
            .max_by(|a, b| beside(a).total_cmp(&beside(b)))
            .expect("verify: at least one set of tables");
        let (says, known) = if worst.claims_unbiased {
            (verdict(worst.holds()), "unbiased")
        } else {
            ("    ", "biased  ")
        };
        writeln!(
            out,
            "  {says} ∇L: {name:<21} {known}  |bias| {:.1e} of {:.3}  variance {:.4}",
            worst.bias, worst.scale, worst.variance
        )
        .expect("a string");
    }
}

fn write_sampled(out: &mut String, found: &Found) {
    let estimators = match &found.sampled {
        Judged::NotRun(why) => {
            writeln!(
                out,
                "the estimators are not judged, since `infer` does not run the file: {why}"
            )
            .expect("a string");
            return;
        }
        Judged::NothingMaximised => {
            writeln!(out, "there is no estimator to judge: nothing maximises this bound")
                .expect("a string");
            return;
        }
        Judged::Estimators(estimators) => estimators,
    };
    let name = &found.model.horizon.name;
    if estimators.iter().any(|estimator| estimator.looks.is_ok()) {
        writeln!(
            out,
            "as `infer` samples it: {BATCHES} batches of {OF_A_BATCH} trajectories and {AGAIN} \
             more where they leave a doubt, \
             at random parameters of several scales; the worst look at each"
        )
        .expect("a string");
    } else {
        writeln!(out, "as `infer` samples it").expect("a string");
    }
    for (at, estimator) in estimators.iter().enumerate() {
        if let Some(bound) = estimator
            .bound
            .as_ref()
            .filter(|_| at == 0 || estimators[at - 1].bound != estimator.bound)
        {
            writeln!(out, "  {bound}").expect("a string");
        }
        write_estimator(out, estimator, name);
    }
    if estimators.iter().any(|estimator| estimator.is_beside_scores && estimator.looks.is_ok()) {
        writeln!(
            out,
            "       what goes through real draws is held against the same gradient by scores: \
             no oracle has it"
        )
        .expect("a string");
    }
    if estimators.iter().any(|estimator| estimator.is_own) {
        writeln!(out, "       * as the file's `infer` has it").expect("a string");
    }
    let looks = estimators.iter().filter_map(|estimator| estimator.looks.as_ref().ok()).flatten();
    if let Some(untested) =
        looks.map(|look| look.found.untested).max().filter(|untested| *untested > 0)
    {
        writeln!(out, "       up to {untested} parameters are met too seldom for a z-score")
            .expect("a string");
    }
}

fn write_estimator(out: &mut String, estimator: &Estimator, horizon: &str) {
    write_looks(out, estimator, horizon);
    let Some(Listed { horizon: at, bias, is_by_oracle, .. }) = estimator.worst_listed() else {
        return;
    };
    let beside = if *is_by_oracle { "" } else { ", beside every term credited to each draw" };
    let says = match (estimator.is_biased_by_design, bias.is_rounding()) {
        (true, _) => "    ",
        (false, holds) => verdict(holds),
    };
    writeln!(
        out,
        "  {says}   exactly: bias {:.1e} of {:.3}, by all {} trajectories at {horizon} = {at}\
         {beside}",
        bias.largest, bias.scale, bias.trajectories
    )
    .expect("a string");
}

fn write_looks(out: &mut String, estimator: &Estimator, horizon: &str) {
    let own = if estimator.is_own { "*" } else { " " };
    let name = format!("{}{own}", estimator.name);
    let Look { horizon: at, found, .. } = match estimator.worst() {
        Ok(look) => look,
        Err(why) => {
            let judged = if estimator.is_judged() { "sampled" } else { "judged" };
            writeln!(out, "  --   ∇L: {name:<25} not {judged}: {why}").expect("a string");
            return;
        }
    };
    let (says, known) = match (estimator.is_biased_by_design, estimator.is_undecided()) {
        (true, _) => ("    ", "biased  "),
        (false, true) => ("??  ", "undecided"),
        (false, false) => (verdict(estimator.samples_hold()), "unbiased"),
    };
    writeln!(
        out,
        "  {says} ∇L: {name:<25} {known}  max |z| {:.2} of {} (unbiased: ≤ {:.2}) at {horizon} = \
         {at}  bias {:.1e} ± {:.1e} of {:.3}  variance {:.4}",
        found.largest_z,
        found.components,
        found.threshold,
        found.bias,
        found.standard_error,
        found.scale,
        found.variance
    )
    .expect("a string");
    if estimator.is_undecided() {
        let more = estimator.trajectories_more();
        let more = if more.is_finite() {
            format!("some {} trajectories more would decide", rounded_up(more))
        } else {
            "there is no gradient that it could be compared with".to_owned()
        };
        writeln!(
            out,
            "         undecided: a bias as large as the gradient itself would not be noticed; \
             {more}"
        )
        .expect("a string");
    }
}

/// To two digits.
fn rounded_up(count: f64) -> String {
    let unit = 10f64.powf((count.max(1.0).log10().floor() - 1.0).max(0.0));
    let count = (count / unit).ceil() * unit;
    if count < 1e9 { format!("{count:.0}") } else { format!("{count:.1e}") }
}

fn verdict_of(step: &CheckedStep) -> &'static str {
    if step.is_judged() { verdict(step.holds) } else { "--  " }
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

pub fn json(found: &Found) -> Value {
    let bounds = found.held.iter().map(|held| {
        let tables =
            held.results.iter().flatten().map(|result| of_tables(&held.derivation, result));
        let mut told =
            json!({ "name": held.derivation.name, "tables": tables.collect::<Vec<_>>() });
        if let Err(why) = &held.results {
            told["not_judged"] = json!(why);
        }
        told
    });
    json!({
        "model": found.model.name,
        "horizon": found.model.horizon.value,
        "asked_horizon": found.shortened.unwrap_or(found.model.horizon.value),
        "holds": found.holds(),
        "conclusion": conclusion(found),
        "sampled": sampled_json(&found.sampled),
        "bounds": bounds.collect::<Vec<_>>(),
    })
}

fn of_tables(derivation: &BoundDerivation, result: &Verified) -> Value {
    let steps = derivation.steps.iter().zip(&result.steps).map(|(step, checked)| {
        json!({
            "rule": step.rule.name(),
            "relation": relation(checked.relation),
            "before": checked.before,
            "after": checked.after,
            "holds": checked.holds,
            "judged": checked.is_judged(),
        })
    });
    let estimators = result.estimators.iter().map(|estimator| {
        json!({
            "name": estimator.name,
            "claims_unbiased": estimator.claims_unbiased,
            "bias": estimator.bias,
            "tolerance": estimator.tolerance,
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
}

fn sampled_json(sampled: &Judged) -> Value {
    let estimators = match sampled {
        Judged::NotRun(why) => return json!({ "not_judged": why }),
        Judged::NothingMaximised => return json!({ "not_judged": "nothing maximises this bound" }),
        Judged::Estimators(estimators) => estimators,
    };
    let look = |Look { horizon, scale, found }: &Look| {
        json!({
            "horizon": horizon,
            "rarest": scale.rarest,
            "batches": found.batches,
            "largest_z": found.largest_z,
            "threshold": found.threshold,
            "components": found.components,
            "untested": found.untested,
            "bias": found.bias,
            "standard_error": found.standard_error,
            "coarsest_standard_error": found.coarsest,
            "decides": found.decides(),
            "scale": found.scale,
            "variance": found.variance,
            "holds": found.holds(),
        })
    };
    let listed = |Listed { horizon, scale, bias, is_by_oracle }: &Listed| {
        json!({
            "horizon": horizon,
            "rarest": scale.rarest,
            "trajectories": bias.trajectories,
            "bias": bias.largest,
            "scale": bias.scale,
            "tolerance": bias.tolerance(),
            "is_rounding": bias.is_rounding(),
            "against": if *is_by_oracle { "oracle" } else { "every term credited" },
        })
    };
    let of = |estimator: &Estimator| {
        let mut told = json!({
            "bound": estimator.bound,
            "name": estimator.name,
            "of_the_file": estimator.is_own,
            "claims_unbiased": !estimator.is_biased_by_design,
            "judged": estimator.is_judged(),
            "undecided": estimator.is_undecided(),
            "against": if estimator.is_beside_scores { "scores" } else { "oracle" },
            "listed": estimator.listed.iter().map(listed).collect::<Vec<_>>(),
        });
        if estimator.is_judged() {
            told["holds"] = json!(estimator.holds());
        } else if estimator.is_undecided() && estimator.trajectories_more().is_finite() {
            told["trajectories_more"] = json!(estimator.trajectories_more().ceil());
        }
        match &estimator.looks {
            Ok(looks) => told["looks"] = json!(looks.iter().map(look).collect::<Vec<_>>()),
            Err(why) if estimator.is_judged() => told["not_sampled"] = json!(why),
            Err(why) => told["not_judged"] = json!(why),
        }
        told
    };
    json!({
        "trajectories": OF_A_BATCH,
        "false_alarm": FALSE_ALARM,
        "resolution": RESOLUTION,
        "estimators": estimators.iter().map(of).collect::<Vec<_>>(),
    })
}
