//! One run, from its plan to its summary.

use super::arguments::Arguments;
use super::follow::Follower;
use super::signals;
use super::start::{Start, failed};
use crate::cli::progress::{nats, sampled, short, uncertain};
use crate::cli::rewards::outside;
use crate::cli::{Failure, console, exact, rewards};
use crate::engine::{self, Classified, EngineError, Evaluation, Run, Stopped};
use crate::model::BoundId;
use crate::plan::{self, Plan};
use crate::report::{
    ClassifierSummary, End, ExactSummary, Folder, OtherBound, RoundsSummary, SUMMARY, Summary,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// Trains what `start` says, from a checkpoint where there is one, and leaves all that is kept of
/// the run in its folder.
pub fn train(arguments: &Arguments, start: Start) -> Result<Done, Failure> {
    let Start { plan, folder, origin } = start;
    let from = origin.checkpoint.clone();
    let mut follower = Follower::new(&plan, folder, origin, arguments.quiet)?;
    let outcome = signals::train(|| match &from {
        None => engine::infer(&plan, &mut follower),
        Some(checkpoint) => engine::resume(&plan, checkpoint, &mut follower),
    });
    follower.progress.end();
    if let Some(failure) = follower.failure.take() {
        return Err(with_what_is_kept(failure, &follower));
    }
    let run = match outcome {
        Ok(run) => run,
        Err(EngineError::Interrupted { .. }) => return Err(interrupted(&plan, &follower)),
        // The optimiser's moments may be spoilt as well, so that there is nothing to go on from;
        // the parameters are kept.
        Err(error) => {
            if let EngineError::NotFinite { kept, .. } = &error {
                follower.keep_parameters(kept)?;
            }
            return Err(Failure::Run(error.to_string()));
        }
    };
    let end = match run.stopped {
        Stopped::Steps => End::Steps,
        Stopped::Until => End::Until,
    };
    let others = run.others.iter().filter_map(|(bound, told)| Some((plan.of_bound(*bound)?, told)));
    let mut told: Vec<String> = [(&plan, &run.evaluation)]
        .into_iter()
        .chain(others)
        .flat_map(|(plan, told)| outside(plan, told))
        .collect();
    told.dedup();
    told.iter().for_each(|told| console::note(told));
    let exact = exact::of_policy(&plan.model, plan.derivation.bound, &run.parameters);
    let summary = summary(&plan, &run, end, follower.seconds_before, exact.summary);
    let text =
        serde_json::to_string_pretty(&summary).expect("infer: a summary is plain data") + "\n";
    let folder = &follower.folder;
    folder.write(SUMMARY, text.as_bytes()).map_err(failed)?;
    Ok(Done { summary, folder: folder.path().display().to_string(), why_not_exact: exact.why_none })
}

/// How a run that did not come to its end is taken up again.
fn goes_on(folder: &Folder) -> String {
    format!("`rlppl infer --resume {}` goes on", folder.path().display())
}

fn interrupted(plan: &Plan, follower: &Follower) -> Failure {
    let (all, goes_on) = (plan.settings.steps, goes_on(&follower.folder));
    Failure::Interrupted(match follower.kept.or(follower.began_at) {
        Some(step) if step == all => {
            format!("interrupted after its last step, before its summary; {goes_on}")
        }
        Some(step) => format!("interrupted after step {step} of {all}; {goes_on}"),
        None if follower.folder.replaces() => {
            "interrupted before its first checkpoint; the run that it was to replace is as it was"
                .to_owned()
        }
        None => format!("interrupted before its first checkpoint; {goes_on}, from the beginning"),
    })
}

/// The failure of a write, and what is left of the run.
fn with_what_is_kept(failure: Failure, follower: &Follower) -> Failure {
    let kept = match follower.kept.or(follower.began_at) {
        Some(step) => format!(
            "; its checkpoint of step {step} is kept, and when that is mended {}",
            goes_on(&follower.folder)
        ),
        None if follower.folder.replaces() => {
            "; the run that it was to replace is as it was".to_owned()
        }
        None => "; it has left no checkpoint".to_owned(),
    };
    match failure {
        Failure::Run(text) => Failure::Run(text + &kept),
        other => other,
    }
}

fn summary(
    plan: &Plan,
    run: &Run,
    stopped: End,
    seconds_before: f64,
    exact: Option<ExactSummary>,
) -> Summary {
    Summary {
        model: plan.model.name.clone(),
        bound: run.evaluation.bound,
        bound_se: run.evaluation.bound_se,
        expected_return: run.evaluation.expected_return,
        return_se: run.evaluation.return_se,
        rewards: rewards::sampled(plan, &run.evaluation.returns),
        kl: kl(plan, run),
        up_to_entropy: plan.lacks_a_constant(),
        no_probability: !plan.derivation.bounds_a_probability(),
        imagined: !plan.is_real(),
        steps: run.steps,
        stopped,
        env_steps: run.env_steps,
        imagined_steps: run.imagined_steps,
        wall_seconds: seconds_before + run.wall_seconds,
        seed: plan.settings.seed,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        rounds: run.rounds.map(|rounds| RoundsSummary {
            done: rounds.done,
            fell: rounds.fell,
            largest_shortfall: rounds.largest_shortfall,
        }),
        exact,
        others: run
            .others
            .iter()
            .map(|(bound, evaluation)| other(plan, run, *bound, evaluation))
            .collect(),
        classifier: (run.classified.len() == 1).then(|| classifier(plan, run, &run.classified[0])),
        classifiers: match &run.classified[..] {
            [] | [_] => BTreeMap::new(),
            several => {
                several.iter().map(|told| (told.0.clone(), classifier(plan, run, told))).collect()
            }
        },
    }
}

/// Where the prior is the policy of the last round, new trajectories tell nothing: at the run's end
/// it is the policy itself.
fn kl(plan: &Plan, run: &Run) -> Option<f64> {
    let follows = plan.terms.iter().any(plan::Term::reads_previous);
    if follows { run.kl } else { plan.divergence_of(&run.evaluation.terms) }
}

fn classifier(plan: &Plan, run: &Run, (name, told): &(String, Classified)) -> ClassifierSummary {
    let calibration = run.calibrations.iter().find(|(known, _)| known == name);
    ClassifierSummary {
        loss: told.loss,
        correction: correction(plan, run, name),
        saturated: told.saturated,
        error: calibration.map(|(_, found)| found.error),
    }
}

/// The logits of the bound that has a classifier, nats a trajectory.
fn correction(plan: &Plan, run: &Run, name: &str) -> f64 {
    let ratio_of = |plan: &Plan| {
        let (term, _) = plan.ratios().find(|(_, ratio)| ratio.name == name)?;
        Some((plan.derivation.bound, term))
    };
    let Some((of, at)) = plan.turns().find_map(ratio_of) else {
        return 0.0;
    };
    let other = run.others.iter().find(|(bound, _)| *bound == of && of != plan.derivation.bound);
    other.map_or(&run.evaluation, |(_, evaluation)| evaluation).terms[at]
}

fn other(plan: &Plan, run: &Run, bound: BoundId, evaluation: &Evaluation) -> OtherBound {
    let of_bound = plan.of_bound(bound);
    OtherBound {
        name: plan.model.bound(bound).name.clone().unwrap_or_default(),
        bound: evaluation.bound,
        bound_se: evaluation.bound_se,
        up_to_entropy: of_bound.is_some_and(Plan::lacks_a_constant),
        no_probability: of_bound.is_some_and(|plan| !plan.derivation.bounds_a_probability()),
        imagined: of_bound.is_some_and(|plan| !plan.is_real()),
        expected_return: evaluation.expected_return,
        return_se: evaluation.return_se,
        rewards: of_bound.map_or(vec![], |plan| rewards::sampled(plan, &evaluation.returns)),
        exact: exact::of_policy(&plan.model, bound, &run.parameters).summary,
    }
}

/// A summary and where its run is kept.
#[derive(Debug, Serialize)]
pub struct Done {
    #[serde(flatten)]
    pub summary: Summary,
    pub folder: String,
    /// Of a finite model: one sentence.
    #[serde(skip)]
    pub why_not_exact: Option<String>,
}

pub fn print(Done { summary, folder, why_not_exact }: &Done) -> String {
    let Summary { model, steps, env_steps, wall_seconds, seed, .. } = summary;
    let stopped = match summary.stopped {
        End::Steps => "",
        End::Until => " (until its threshold)",
    };
    let imagined = match summary.imagined_steps {
        0 => String::new(),
        count => format!(" and {} imagined ones", short(count as f64)),
    };
    let env_steps = short(*env_steps as f64);
    let mut text = format!(
        "{model}, seed {seed}: {steps} steps{stopped}, {env_steps} environment steps{imagined}, \
         {wall_seconds:.2} s\n"
    );
    let trajectories = sampled(summary.imagined);
    let (bound, of) = (
        uncertain(summary.bound, summary.bound_se),
        nats(summary.up_to_entropy, summary.no_probability),
    );
    text += &format!("{:<17}{bound:>21}  {of}, estimated from {trajectories}\n", "bound");
    text += &rewards::print(
        "",
        (summary.expected_return, summary.return_se),
        &summary.rewards,
        trajectories,
    );
    if let Some(rounds) = &summary.rounds {
        let (done, fell, shortfall) = (rounds.done, rounds.fell, rounds.largest_shortfall);
        text += &format!(
            "{:<17}{done:>21}  of which {fell} fell; \
             largest shortfall {shortfall:.4} nats, exact\n",
            "rounds"
        );
    }
    if let Some(exact) = &summary.exact {
        text += &exact::print(exact);
    }
    text += &why_not_exact.as_deref().map_or(String::new(), exact::print_why_none);
    let alone = summary.classifier.iter().map(|told| ("classifier".to_owned(), told));
    let named = summary.classifiers.iter().map(|(name, told)| (format!("ratio {name}"), told));
    for (name, told) in alone.chain(named) {
        let ClassifierSummary { loss, correction, saturated, error } = *told;
        let warning = if saturated > 0.01 {
            ": the model goes where real transitions do not, or the reverse"
        } else {
            ""
        };
        text += &format!(
            "{name:<17}{loss:>21.4}  nats, its last loss (log 2 where nothing can be told apart)\n"
        );
        text += &format!(
            "{:<17}{correction:>21.4}  nats of the bound are its logits\n",
            "  correction"
        );
        if let Some(error) = error {
            text += &format!(
                "{:<17}{error:>21.4}  nats, mean |logit − log-ratio| over real and imagined \
                 pairs that both sides can draw\n",
                "  error"
            );
        }
        text += &format!(
            "{:<17}{:>20.1}%  of its logits beyond ±10{warning}\n",
            "  saturated",
            100.0 * saturated
        );
    }
    for other in &summary.others {
        text += &format!("bound {}\n", other.name);
        let (bound, of) = (
            uncertain(other.bound, other.bound_se),
            nats(other.up_to_entropy, other.no_probability),
        );
        let trajectories = sampled(other.imagined);
        text += &format!("{:<17}{bound:>21}  {of}, estimated from {trajectories}\n", "  bound");
        text += &rewards::print(
            "  ",
            (other.expected_return, other.return_se),
            &other.rewards,
            trajectories,
        );
        if let Some(exact) = &other.exact {
            text +=
                &exact::print(exact).lines().map(|line| format!("  {line}\n")).collect::<String>();
        }
    }
    text + &format!("{:<17}{folder}\n", "folder")
}
