//! `rlppl eval`: rolls a trained policy out.

use super::progress::{nats, sampled, uncertain};
use super::unchanged::verify_unchanged;
use super::{Failure, Format, console, exact, input, memory, options, output, rewards, trained};
use crate::bound;
use crate::engine::{self, Evaluation, Parameters};
use crate::plan::{self, Plan};
use crate::report::{self, ExactSummary, Folder, MODEL, OptionSummary, RewardSummary};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Roll a trained policy out.
///
/// Prints its return and its bound with their standard errors, and on finite models the exact
/// numbers. With options also how much of the live steps each is held, for how many at a time, and
/// how likely it is to give way at the next (`ends`); on finite models exactly, with what the
/// options tell of action and state (mutual information, nats).
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  rlppl eval runs/cartpole-0
  rlppl eval runs/cartpole-0 --greedy --episodes 100
  rlppl eval runs/cartpole-0 --episodes 5 --record expert.csv
  rlppl eval runs/world_chain-0 --bound truth
  rlppl eval runs/options_original-0
  rlppl eval runs/options_window-0 --maps
  rlppl eval runs/reinforce-0 --format json")]
pub struct Arguments {
    /// The folder of a run
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Trajectories to sample
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1000,
        value_parser = clap::value_parser!(u32).range(2..)
    )]
    episodes: u32,
    /// Take the most probable action instead of sampling; the bound is then not told, since a
    /// greedy policy is not the posterior
    #[arg(long)]
    greedy: bool,
    /// Seed of the trajectories [default: one more than the run's]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Draw maps of the options in a grid world (a state with integer components `y` and `x`):
    /// which is held most at each cell, the most probable action of each, and where it ends; walls
    /// are `#`, what is never reached is blank
    #[arg(long)]
    maps: bool,
    /// Of which bound, where the file has several [default: the one that is maximised last]
    #[arg(long, value_name = "NAME")]
    bound: Option<String>,
    /// Write the steps of the episodes to a CSV file, for a `data` declaration of another model
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Replace the file of `--record`
    #[arg(long, requires = "record")]
    overwrite: bool,
    #[command(flatten)]
    memory: memory::MemoryArguments,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    if let Some(path) = &arguments.record {
        output::verify_free("--record", path, "expert.csv", arguments.overwrite)?;
    }
    let mut trained = open(&arguments.run)?;
    if let Some(name) = &arguments.bound {
        let bound = exact::bound(&trained.plan.model, Some(name))?;
        trained.plan = trained
            .plan
            .of_bound(bound)
            .cloned()
            .ok_or_else(|| Failure::Wrong(why_not(&trained.plan, name)))?;
    }
    let plan = &trained.plan;
    let grid = match arguments.maps {
        false => None,
        true if !plan.has_options() => {
            let run = arguments.run.display();
            let text = format!(
                "`--maps` draws options, and this model has none: leave it out; `rlppl report \
                 {run}` draws policies in grid worlds"
            );
            return Err(Failure::Wrong(text));
        }
        true => {
            let what_to_do = "leave `--maps` out, or give the state such components, as `state s \
                              : { y: 0..4, x: 0..4 }`";
            let grid = options::grid(&plan.model, plan.environment);
            Some(grid.map_err(|error| Failure::Wrong(format!("{error}: {what_to_do}")))?)
        }
    };
    memory::verify(
        &arguments.memory,
        engine::memory_of_evaluation(plan, arguments.episodes as usize),
    )?;
    // Trajectories that training has not seen.
    let seed = arguments.seed.unwrap_or_else(|| trained.plan.settings.seed.wrapping_add(1));
    let evaluation = engine::evaluate(
        &trained.plan,
        &trained.parameters,
        arguments.episodes as usize,
        arguments.greedy,
        seed,
    );
    let evaluation = evaluation.map_err(|error| Failure::Run(error.to_string()))?;
    rewards::outside(plan, &evaluation).iter().for_each(|told| console::note(told));
    if let Some(path) = &arguments.record {
        let steps = engine::record(
            plan,
            &trained.parameters,
            arguments.episodes as usize,
            arguments.greedy,
            seed,
        );
        let steps = steps.map_err(|error| Failure::Run(error.to_string()))?;
        let bytes = report::csv_of(&plan.model, plan.environment, &steps).map_err(Failure::Run)?;
        report::write_atomic(path, &bytes).map_err(|error| Failure::Run(error.to_string()))?;
    }
    let exact = match arguments.greedy {
        true => exact::OfPolicy::default(),
        false => exact::of_policy(&trained.plan.model, plan.derivation.bound, &trained.parameters),
    };
    let told = if arguments.greedy {
        vec![]
    } else {
        options::of_policy(&plan.model, plan.derivation.bound, &trained.parameters)
    };
    let used: Vec<Used> = evaluation
        .options
        .iter()
        .map(|used| {
            let told = told.iter().find(|told| told.option == used.option);
            let sampled = options::of_use(&plan.model, used);
            let maps = grid.as_ref().map(|grid| match told {
                Some(told) => options::maps(grid, &told.summary, &told.visits),
                None => options::maps(grid, &sampled, &used.visits),
            });
            Used { sampled, exact: told.map(|told| told.summary.clone()), maps }
        })
        .collect();
    let result = Rollout {
        model: plan.model.name.clone(),
        name: plan
            .model
            .bound(plan.derivation.bound)
            .name
            .clone()
            .filter(|_| plan.model.bounds.len() > 1),
        imagined: !plan.is_real(),
        sampled: (!arguments.greedy).then(|| Sampled {
            bound: evaluation.bound,
            bound_se: evaluation.bound_se,
            up_to_entropy: plan.lacks_a_constant(),
            no_probability: !plan.derivation.bounds_a_probability(),
        }),
        expected_return: evaluation.expected_return,
        return_se: evaluation.return_se,
        rewards: rewards::sampled(plan, &evaluation.returns),
        episodes: evaluation.episodes,
        env_steps: evaluation.env_steps,
        greedy: arguments.greedy,
        seed,
        version: env!("CARGO_PKG_VERSION"),
        exact: exact.summary,
        options: used,
    };
    match arguments.format {
        Format::Text => console::result(&print(&result, exact.why_none.as_deref(), &evaluation)),
        Format::Json => console::json(&result),
    }
}

/// Why a bound cannot be evaluated, in a sentence.
fn why_not(plan: &Plan, name: &str) -> String {
    let told = plan.remarks.iter().find(|remark| remark.starts_with(&format!("bound `{name}`")));
    told.cloned().unwrap_or_else(|| format!("bound `{name}` has nothing to evaluate"))
}

/// A run as it was left.
pub struct Trained {
    pub plan: Plan,
    pub parameters: Parameters<f64>,
}

/// Reads a run's model and its parameters.
pub fn open(path: &Path) -> Result<Trained, Failure> {
    let folder = Folder::open(path).map_err(|error| Failure::Usage(error.to_string()))?;
    let input::Loaded { file, model } = input::load_with(&folder.file(MODEL), &Vec::new())?;
    verify_unchanged(&folder, &file)?;
    let derivation = bound::derive(&model).map_err(Failure::Model)?;
    let plan = plan::plan(&model, &derivation).map_err(Failure::Model)?;
    let parameters = trained::parameters(&folder, &plan.model)?;
    Ok(Trained { plan, parameters })
}

#[derive(Serialize)]
struct Rollout {
    model: String,
    /// The bound's name, where the file has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Absent if the policy is greedy, since that is not the posterior.
    #[serde(flatten)]
    sampled: Option<Sampled>,
    expected_return: f64,
    return_se: f64,
    /// Each of several rewards.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rewards: Vec<RewardSummary>,
    /// By trajectories that a learned model draws.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    imagined: bool,
    episodes: usize,
    /// Live steps.
    env_steps: u64,
    greedy: bool,
    seed: u64,
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exact: Option<ExactSummary>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    options: Vec<Used>,
}

/// The bound as trajectories of the posterior estimate it, nats.
#[derive(Serialize)]
struct Sampled {
    bound: f64,
    bound_se: f64,
    /// The bound is told up to the entropy of what can only be sampled.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    up_to_entropy: bool,
    /// The bound is an objective that lies below the logarithm of no probability.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    no_probability: bool,
}

/// An option.
#[derive(Serialize)]
struct Used {
    #[serde(flatten)]
    sampled: OptionSummary,
    /// Where the model is finite.
    #[serde(skip_serializing_if = "Option::is_none")]
    exact: Option<OptionSummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maps: Option<options::Maps>,
}

fn print(result: &Rollout, why_not_exact: Option<&str>, evaluation: &Evaluation) -> String {
    let acting = if result.greedy { "greedy" } else { "sampled" };
    let length = result.env_steps as f64 / evaluation.episodes.max(1) as f64;
    let of = result.name.as_ref().map_or(String::new(), |name| format!(", bound `{name}`"));
    let imagined = if result.imagined { "imagined " } else { "" };
    let mut text = format!(
        "{}{of}, {acting}: {} {imagined}episodes of {length:.1} live steps on average\n",
        result.model, result.episodes
    );
    let trajectories = sampled(result.imagined);
    if let Some(Sampled { bound, bound_se, up_to_entropy, no_probability }) = result.sampled {
        let nats = nats(up_to_entropy, no_probability);
        text += &format!(
            "{:<17}{:>21}  {nats}, estimated from {trajectories}\n",
            "bound",
            uncertain(bound, bound_se)
        );
    }
    text += &rewards::print(
        "",
        (result.expected_return, result.return_se),
        &result.rewards,
        trajectories,
    );
    if let Some(exact) = &result.exact {
        text += &exact::print(exact);
    }
    text += &why_not_exact.map_or(String::new(), exact::print_why_none);
    for option in &result.options {
        text += &options::print(&option.sampled, "estimated from trajectories");
        text +=
            &option.exact.as_ref().map_or(String::new(), |exact| options::print(exact, "exact"));
        text += &option.maps.as_ref().map_or(String::new(), options::print_maps);
    }
    text
}
