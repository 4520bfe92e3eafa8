//! `rlppl exact`: the exact answers of a finite model.

use super::{Failure, Format, console, eval, input};
use crate::engine::{self, Parameters};
use crate::exact;
use crate::finite::{KernelTables, NotFinite};
use crate::model::{BoundId, Model};
use crate::report::{ExactSummary, Folder, Gap, PolicySummary};
use std::path::PathBuf;

/// Compute the exact answers of a finite model.
///
/// Prints the log-evidence and the best bound of any policy that may depend on the time; with `--policy` also the bound of a trained
/// policy, its expected return, and how far it is from the evidence and why. All by sums over sparse tables in float64, in nats.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  rlppl exact models/reinforce.rlmodel
  rlppl exact models/reinforce.rlmodel --set alpha=1 --set T=20
  rlppl exact models/reinforce.rlmodel --policy runs/reinforce-0 --format json")]
pub struct Arguments {
    #[command(flatten)]
    model: input::ModelArguments,
    /// Evaluate the policy of a run
    #[arg(long, value_name = "RUN")]
    policy: Option<PathBuf>,
    /// Of which bound, where the file has several
    #[arg(long, value_name = "NAME")]
    bound: Option<String>,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let model = input::load(&arguments.model)?.model;
    let bound = bound(&model, arguments.bound.as_deref())?;
    let tables = match &arguments.policy {
        None => None,
        Some(path) => {
            let folder = Folder::open(path).map_err(|error| Failure::Usage(error.to_string()))?;
            let parameters = eval::parameters(&folder, &model)?;
            Some(tables(&model, bound, &parameters).map_err(|error| Failure::Wrong(error.to_string()))?)
        }
    };
    let exact = exact::exact(&model, bound, tables.as_ref()).map_err(|error| Failure::Wrong(error.to_string()))?;
    let result = summary(&exact);
    match arguments.format {
        Format::Text => console::result(&print(&result)),
        Format::Json => console::json(&result),
    }
}

fn bound(model: &Model, name: Option<&str>) -> Result<BoundId, Failure> {
    let names: Vec<&str> = model.bounds.iter().filter_map(|bound| bound.name.as_deref()).collect();
    let found = match name {
        None if model.bounds.len() == 1 => Some(0),
        None => None,
        Some(name) => model.bounds.iter().position(|bound| bound.name.as_deref() == Some(name)),
    };
    let of = || Failure::Usage(format!("say of which bound: `--bound NAME`, NAME one of {}", names.join(", ")));
    found.map(|at| BoundId(at as u32)).ok_or_else(of)
}

/// The only bound of a file that is trained.
const ONLY: BoundId = BoundId(0);

/// The oracle's numbers of a model.
pub fn of_model(model: &Model) -> Result<ExactSummary, NotFinite> {
    exact::exact(model, ONLY, None).map(|exact| summary(&exact))
}

/// The oracle's numbers of a trained policy; none where the model is not finite.
pub fn of_policy(model: &Model, parameters: &Parameters<f64>) -> Option<ExactSummary> {
    let tables = tables(model, ONLY, parameters).ok()?;
    exact::exact(model, ONLY, Some(&tables)).ok().map(|exact| summary(&exact))
}

/// After a round's last step `previous pi` is `pi` itself.
fn tables(model: &Model, bound: BoundId, parameters: &Parameters<f64>) -> Result<KernelTables, engine::Unsupported> {
    engine::kernel_tables(model, bound, parameters, parameters)
}

fn summary(exact: &exact::Exact) -> ExactSummary {
    let gap = exact.gap.as_ref().map(|gap| Gap {
        dynamics: gap.dynamics,
        family: None,
        optimisation: gap.family_and_optimisation,
        auxiliary: gap.auxiliary,
    });
    let policy = exact.evaluation.as_ref().map(|evaluation| PolicySummary {
        bound: evaluation.bound,
        expected_return: evaluation.expected_return,
        kl: evaluation.kl,
        gap,
    });
    ExactSummary { log_evidence: exact.log_evidence, best_bound: exact.best_bound, policy }
}

/// Float64 at full precision: each number is the shortest that reads back to the same bits.
pub fn print(exact: &ExactSummary) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: f64, what: &str| text += &format!("{name:<17} {:>20}  {what}\n", value.to_string());
    line("log evidence", exact.log_evidence, "log p(R̂), nats");
    line("best bound", exact.best_bound, "of any policy that may depend on t");
    if let Some(policy) = &exact.policy {
        line("bound", policy.bound, "of this policy, exact");
        line("expected return", policy.expected_return, "exact");
        line("KL from the prior", policy.kl, "of trajectories, nats");
        if let Some(gap) = &policy.gap {
            line("gap", exact.log_evidence - policy.bound, "log evidence − bound, which is");
            line("  dynamics", gap.dynamics, "the posterior keeps the world's chance");
            line("  policy", gap.optimisation + gap.family.unwrap_or(0.0), "what its family cannot reach, and what training has not");
            line("  auxiliary", gap.auxiliary, "what the reverse model loses");
        }
    }
    text
}
