//! `rlppl test`: a model file as its own regression test.

use super::bound::{snapshot, snapshot_path};
use super::difference::difference;
use super::{Failure, Format, console, exact, input, memory, rewards};
use crate::model::{BoundId, Claim, ClaimRelation, Expectation, Model};
use crate::report::{ExactSummary, Gap, RewardSummary};
use crate::syntax::ast;
use crate::{bound, engine, model, plan};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Hold model files to what they claim.
///
/// Checks each file, compares its bound with the snapshot beside it where there is one, and
/// computes the numbers that its `expect` blocks name. With `--infer` it trains, too, and holds the
/// trained numbers to their claims: exact ones where the model is finite.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  rlppl test models/*.rlmodel
  rlppl test --infer models/reinforce.rlmodel
  rlppl test --infer --seed 3 models/cartpole.rlmodel")]
pub struct Arguments {
    /// Model files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Train, and hold the trained numbers to their claims
    #[arg(long)]
    infer: bool,
    /// Seed of the training; wins over `infer.seed`
    #[arg(long, value_name = "N", requires = "infer")]
    seed: Option<u64>,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// One thing that was held against what the file says.
#[derive(Debug, Serialize)]
struct Item {
    file: String,
    /// `check`, `bound.snap`, or the claim as it stands in the file.
    claim: String,
    outcome: Outcome,
    /// The number it came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    /// What else there is to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Passed,
    Failed,
    /// A claim about training, and nobody asked to train.
    Skipped,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut items = Vec::new();
    for path in &arguments.files {
        let source = input::read(path)?;
        let mut tested = Tested { arguments, path, items: Vec::new() };
        if arguments.format == Format::Text {
            console::result(&format!("{}\n", path.display()))?;
        }
        tested.file(&source)?;
        items.extend(tested.items);
    }
    let count = |outcome| items.iter().filter(|item| item.outcome == outcome).count();
    let (passed, failed, skipped) =
        (count(Outcome::Passed), count(Outcome::Failed), count(Outcome::Skipped));
    match arguments.format {
        Format::Json => console::json(&serde_json::json!({
            "passed": passed, "failed": failed, "skipped": skipped, "items": items,
        }))?,
        Format::Text => {
            let why = if skipped == 0 { "" } else { " (claims about training: add --infer)" };
            console::result(&format!(
                "\n{passed} passed, {failed} failed, {skipped} skipped{why}\n"
            ))?;
        }
    }
    if failed > 0 { Err(Failure::Told(1)) } else { Ok(()) }
}

/// A file under test.
struct Tested<'a> {
    arguments: &'a Arguments,
    path: &'a Path,
    items: Vec<Item>,
}

impl Tested<'_> {
    fn file(&mut self, source: &crate::source::Source) -> Result<(), Failure> {
        let file = match input::parse(source) {
            Ok(file) => file,
            Err(failure) => return self.mistakes(&failure),
        };
        let model = match input::check(&file, &Vec::new()) {
            Ok(model) => model,
            Err(failure) => return self.mistakes(&failure),
        };
        self.tell("check".to_owned(), Outcome::Passed, None, None)?;
        self.snapshot(&model)?;
        for expectation in &model.expectations {
            self.expectation(&file, expectation)?;
        }
        Ok(())
    }

    fn mistakes(&mut self, failure: &Failure) -> Result<(), Failure> {
        failure.tell();
        self.tell("check".to_owned(), Outcome::Failed, None, None)
    }

    /// The bound as it was when its snapshot was taken.
    fn snapshot(&mut self, model: &Model) -> Result<(), Failure> {
        let path = snapshot_path(self.path);
        if !path.exists() {
            return Ok(());
        }
        let kept = input::read(&path)?;
        let now = match bound::derive(model) {
            Ok(derivation) => snapshot(&derivation),
            Err(found) => {
                Failure::Model(found).tell();
                return self.tell("bound.snap".to_owned(), Outcome::Failed, None, None);
            }
        };
        if *kept.text == now {
            return self.tell("bound.snap".to_owned(), Outcome::Passed, None, None);
        }
        console::note(&difference(&kept.name, &kept.text, &now, "as derived now"));
        self.tell(
            "bound.snap".to_owned(),
            Outcome::Failed,
            None,
            Some("the derived bound has changed".to_owned()),
        )
    }

    fn expectation(&mut self, file: &ast::File, expectation: &Expectation) -> Result<(), Failure> {
        let mut overrides = expectation.overrides.clone();
        if let Some(seed) = self.arguments.seed {
            let seed = vec![("infer.seed".to_owned(), seed.to_string())];
            overrides.settings.extend(input::overrides(&seed, &mut file.sources.clone())?.settings);
        }
        let model = match model::check(file, &overrides) {
            Ok(model) => model,
            Err(found) => return self.mistakes(&Failure::Model(found)),
        };
        let (trained, known): (Vec<&Claim>, Vec<&Claim>) =
            expectation.claims.iter().partition(|claim| {
                !["log_evidence", "best_bound", FAMILY_BOUND].contains(&claim.quantity.as_str())
            });
        if !known.is_empty() {
            memory::verify_parameters(&model)?;
            let sought = known.iter().any(|claim| claim.quantity == FAMILY_BOUND);
            let bound = expectation.bound.unwrap_or_else(|| last_objective(&model));
            let exact = if sought {
                exact::of_family(&model, bound)
            } else {
                exact::of_model(&model, bound)
            };
            for claim in known {
                self.claim(claim, exact.as_ref().map(Numbers::of_exact).map_err(String::clone))?;
            }
        }
        if trained.is_empty() {
            return Ok(());
        }
        if !self.arguments.infer {
            return trained
                .iter()
                .try_for_each(|claim| self.tell(written(claim), Outcome::Skipped, None, None));
        }
        let numbers = train(&model, expectation.bound.unwrap_or_else(|| last_objective(&model)))?;
        trained.iter().try_for_each(|claim| self.claim(claim, numbers.clone()))
    }

    fn claim(&mut self, claim: &Claim, numbers: Result<Numbers, String>) -> Result<(), Failure> {
        let value = numbers.and_then(|numbers| numbers.get(&claim.quantity));
        match value {
            Err(why) => self.tell(written(claim), Outcome::Failed, None, Some(why)),
            Ok(value) => {
                let outcome =
                    if holds(claim.relation, value) { Outcome::Passed } else { Outcome::Failed };
                self.tell(written(claim), outcome, Some(value), None)
            }
        }
    }

    fn tell(
        &mut self,
        claim: String,
        outcome: Outcome,
        value: Option<f64>,
        note: Option<String>,
    ) -> Result<(), Failure> {
        let item = Item { file: self.path.display().to_string(), claim, outcome, value, note };
        if self.arguments.format == Format::Text {
            let word = match outcome {
                Outcome::Passed => "ok     ",
                Outcome::Failed => "FAILED ",
                Outcome::Skipped => "skipped",
            };
            let value = item.value.map_or(String::new(), |value| format!("   is {value}"));
            let note = item.note.as_ref().map_or(String::new(), |note| format!("   {note}"));
            console::result(&format!("  {word}  {}{value}{note}\n", item.claim))?;
        }
        self.items.push(item);
        Ok(())
    }
}

/// Sought by ascent, where a claim is about it.
const FAMILY_BOUND: &str = "family_bound";

/// The numbers that claims are about.
#[derive(Clone, Default)]
struct Numbers {
    bound: Option<f64>,
    expected_return: Option<f64>,
    /// Of each of several rewards.
    rewards: Vec<RewardSummary>,
    exact: Option<ExactSummary>,
}

impl Numbers {
    fn of_exact(exact: &ExactSummary) -> Numbers {
        Numbers { exact: Some(exact.clone()), ..Numbers::default() }
    }

    /// Exact where it can be.
    fn get(&self, quantity: &str) -> Result<f64, String> {
        let policy = self.exact.as_ref().and_then(|exact| exact.policy.as_ref());
        let gap = |part: fn(&Gap) -> f64| policy.and_then(|policy| policy.gap.as_ref()).map(part);
        let value = match quantity {
            "log_evidence" => self.exact.as_ref().map(|exact| exact.log_evidence),
            "best_bound" => self.exact.as_ref().map(|exact| exact.best_bound),
            FAMILY_BOUND => self.exact.as_ref().and_then(|exact| exact.family_bound),
            "bound" => policy.map(|policy| policy.bound).or(self.bound),
            "expected_return" => {
                policy.map(|policy| policy.expected_return).or(self.expected_return)
            }
            "kl" => policy.map(|policy| policy.kl),
            "dynamics" => gap(|gap| gap.dynamics),
            "optimisation" => gap(|gap| gap.optimisation),
            "auxiliary" => gap(|gap| gap.auxiliary),
            reward => {
                let exactly = policy.map_or(&[][..], |policy| &policy.rewards);
                let found = exactly
                    .iter()
                    .chain(&self.rewards)
                    .find(|own| own.name == reward)
                    .map(|own| own.expected_return);
                let value = found.or_else(|| {
                    self.get("expected_return")
                        .ok()
                        .filter(|_| exactly.is_empty() && self.rewards.is_empty())
                });
                return value.ok_or_else(|| {
                    format!("the expected return of `{reward}` is known after training")
                });
            }
        };
        value.ok_or_else(|| format!("`{quantity}` is known only where the model is finite"))
    }
}

/// The bound that is maximised last.
fn last_objective(model: &Model) -> BoundId {
    model.objectives.last().map_or(BoundId(0), |objective| objective.bound)
}

/// Trains without a folder. What cannot be trained is a failed claim, not the end of the tests.
fn train(model: &Model, bound: BoundId) -> Result<Result<Numbers, String>, Failure> {
    let told = |found| {
        Failure::Model(found).tell();
        "the model cannot be trained".to_owned()
    };
    let plan = match bound::derive(model).and_then(|derivation| plan::plan(model, &derivation)) {
        Ok(plan) => plan,
        Err(found) => return Ok(Err(told(found))),
    };
    let run = match engine::infer(&plan, &mut ()) {
        Ok(run) => run,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let exact = exact::of_policy(model, bound, &run.parameters).summary;
    let other = run.others.iter().find(|(of, _)| *of == bound && bound != plan.derivation.bound);
    let evaluation = other.map_or(&run.evaluation, |(_, evaluation)| evaluation);
    let of = plan.of_bound(bound).unwrap_or(&plan);
    let rewards = rewards::sampled(of, &evaluation.returns);
    Ok(Ok(Numbers {
        bound: Some(evaluation.bound),
        expected_return: Some(evaluation.expected_return),
        rewards,
        exact,
    }))
}

/// NaN holds to no claim.
fn holds(relation: ClaimRelation, value: f64) -> bool {
    match relation {
        ClaimRelation::Within { value: claimed, tolerance } => (value - claimed).abs() <= tolerance,
        ClaimRelation::AtLeast(least) => value >= least,
        ClaimRelation::AtMost(most) => value <= most,
    }
}

fn written(claim: &Claim) -> String {
    let quantity = &claim.quantity;
    match claim.relation {
        ClaimRelation::Within { value, tolerance } => {
            format!("{quantity} = {value} within {tolerance:e}")
        }
        ClaimRelation::AtLeast(least) => format!("{quantity} >= {least}"),
        ClaimRelation::AtMost(most) => format!("{quantity} <= {most}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_holds_of_a_number_that_is_none() {
        let relations = [
            ClaimRelation::Within { value: 0.0, tolerance: 1e300 },
            ClaimRelation::AtLeast(-1e300),
            ClaimRelation::AtMost(1e300),
        ];
        assert!(
            relations.iter().all(|&relation| holds(relation, 0.0) && !holds(relation, f64::NAN))
        );
    }
}
