//! `rlppl exact`: the exact answers of a finite model.

use super::unchanged::{is_of_another, verify_unchanged};
use super::{Failure, Format, console, input, memory, options, rewards, trained};
use crate::engine::{self, Parameters};
use crate::exact::{self, Size};
use crate::finite::{KernelTables, finite_domain};
use crate::model::{BoundId, KernelId, Model, Role, kernel_parameters};
use crate::report::{
    Ascents, ExactSummary, Folder, Gap, MODEL, OptionSummary, PolicySummary, without_noise,
};
use crate::syntax::ast;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Compute the exact answers of a finite model.
///
/// Prints the log-evidence and the best bound of any policy that may depend on the time; with
/// `--policy` also the bound of a trained policy, its expected return, and how far it is from the
/// evidence and why; with `--optimise` the best that the model's own kernels can reach, and with a
/// reverse model also with the exact one in its place. Of a trained policy with options: how they
/// are used, and what they tell of action and state. With `--capacity`, of the environment alone:
/// how much a sequence of T actions can tell of where it leads. All by sums over sparse tables in
/// float64, in nats.
///
/// Where a learned model of the world stands in the prior or in the posterior, its transitions are
/// summed over as they are, and a classifier's logit is the exact log-ratio: `KL per step` says how
/// far the two sides' transitions are apart. What neither the run nor the optimum says of other
/// kernels is taken at their initial parameters, and told.
///
/// With a reverse model and more than 20,000 trajectories of all that is not auxiliary, what the
/// exact one would win is the mean over drawn trajectories, and the family's part of the gap is
/// told at most.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  rlppl exact models/reinforce.rlmodel
  rlppl exact models/reinforce.rlmodel --set alpha=1 --set T=20
  rlppl exact models/reinforce.rlmodel --optimise
  rlppl exact models/empowerment.rlmodel --capacity --set T=3
  rlppl exact models/reinforce.rlmodel --policy runs/reinforce-0 --optimise --format json")]
pub struct Arguments {
    #[command(flatten)]
    model: input::ModelArguments,
    /// Evaluate the policy of a run
    #[arg(long, value_name = "RUN")]
    policy: Option<PathBuf>,
    /// Find the best parameters of the model's own kernels, by ascent on the exact gradient: from
    /// the initial parameters of some seeds (and from those of the run), at once and with a
    /// likelihood that grows to what it is, and from what is closest to the best policy that may
    /// depend on t; how many of them agree is told
    #[arg(long)]
    optimise: bool,
    /// Instead, the channel capacity max I(a[1..T]; s[T+1] | s[1]) of the posterior's environment
    /// from each start, over sequences of actions chosen in advance, by Blahut–Arimoto to 1e-9
    #[arg(long, conflicts_with_all = ["policy", "optimise"])]
    capacity: bool,
    /// Of which bound, where the file has several
    #[arg(long, value_name = "NAME")]
    bound: Option<String>,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let input::Loaded { file, model } = input::load(&arguments.model)?;
    let bound = bound(&model, arguments.bound.as_deref())?;
    if arguments.capacity {
        tell_length(&model, bound);
        return tell_capacity(&model, bound, arguments.format);
    }
    memory::verify_parameters(&model)?;
    let parameters = match &arguments.policy {
        None => None,
        Some(path) => {
            let folder = Folder::open(path).map_err(|error| Failure::Usage(error.to_string()))?;
            hold_model(arguments, &file, &folder)?;
            Some(trained::parameters(&folder, &model)?)
        }
    };
    let question = Question { model: &model, bound, parameters: parameters.as_ref() };
    let result = match (arguments.optimise, &parameters) {
        (true, _) => question.with_optimum(),
        (false, Some(_)) => question.answers(),
        (false, None) => question.at_initial(),
    };
    let result = result.map_err(|error| {
        Failure::Wrong(where_to_look(error, &model, arguments.policy.as_deref()))
    })?;
    let told =
        parameters.map_or(vec![], |parameters| options::of_policy(&model, bound, &parameters));
    let options: Vec<OptionSummary> = told.into_iter().map(|told| told.summary).collect();
    match arguments.format {
        Format::Text => {
            let tables: String =
                options.iter().map(|option| options::print(option, "exact")).collect();
            console::result(&(print(&result) + &tables))
        }
        Format::Json => console::json(&Answers { exact: result, options }),
    }
}

/// The model of a run is to be as it was run. Of another one the answers are true as well, and it
/// is told that the run was not trained with it.
fn hold_model(arguments: &Arguments, file: &ast::File, folder: &Folder) -> Result<(), Failure> {
    let given = &arguments.model.file;
    let place = |path: &Path| path.canonicalize().ok();
    if place(given).is_some_and(|given| place(&folder.file(MODEL)) == Some(given)) {
        return verify_unchanged(folder, file);
    }
    if folder.file(MODEL).is_file() {
        let own = input::load_with(&folder.file(MODEL), &Vec::new())?;
        verify_unchanged(folder, &own.file)?;
    }
    if is_of_another(folder, file, given, &input::sets(&arguments.model.set)?) {
        let (run, given) = (folder.path().display(), given.display());
        console::note(&format!(
            "note: `{run}` was trained with another model than `{given}`, in which its policy is \
             judged here"
        ));
    }
    Ok(())
}

/// `eval` reads the posterior alone, so that it tells of options where the oracle cannot take all
/// of the model.
fn where_to_look(error: String, model: &Model, policy: Option<&Path>) -> String {
    match policy {
        Some(run)
            if model
                .variables
                .iter()
                .any(|variable| variable.role == Role::Option && variable.domain.is_finite()) =>
        {
            format!(
                "{error}\nhint: `rlppl eval {}` tells how the options are used, and estimates the \
                 bound from trajectories",
                run.display()
            )
        }
        _ => error,
    }
}

/// What is printed.
#[derive(Serialize)]
struct Answers {
    #[serde(flatten)]
    exact: ExactSummary,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    options: Vec<OptionSummary>,
}

/// The capacity of the environment, nats.
#[derive(Serialize)]
struct CapacityAnswers {
    /// Actions of a sequence.
    length: usize,
    starts: Vec<StartAnswers>,
    mean: f64,
}

#[derive(Serialize)]
struct StartAnswers {
    state: String,
    probability: f64,
    capacity: f64,
}

fn tell_capacity(model: &Model, bound: BoundId, format: Format) -> Result<(), Failure> {
    let wrong = |error: crate::finite::NotFinite| Failure::Wrong(error.to_string());
    let found = exact::capacity(model, bound).map_err(wrong)?;
    let state = model.variable(found.state);
    let actions =
        found.actions.iter().map(|id| format!("{}[1..{}]", model.variable(*id).name, found.length));
    let actions = actions.collect::<Vec<_>>().join(", ");
    let finite = finite_domain(model, found.state).map_err(wrong)?;
    let mut value = vec![0.0; state.domain.width()];
    let mut starts = vec![];
    for start in &found.starts {
        finite.value(start.state, &mut value);
        starts.push(StartAnswers {
            state: state.domain.show(&value),
            probability: start.probability,
            capacity: start.capacity,
        });
    }
    if format == Format::Json {
        return console::json(&CapacityAnswers { length: found.length, starts, mean: found.mean });
    }
    let (s, end) = (&state.name, found.length + 1);
    let mut text = format!(
        "channel capacity  max I({actions}; {s}[{end}] | {s}[1]), nats, within {:e}\n",
        exact::WITHIN
    );
    let width =
        starts.iter().map(|start| start.state.chars().count()).chain([5]).max().unwrap_or(5);
    text += &format!("{:<width$}  {:>22}  {:>22}\n", format!("{s}[1]"), "probability", "capacity");
    for start in &starts {
        text += &format!(
            "{:<width$}  {:>22}  {:>22}\n",
            start.state,
            start.probability.to_string(),
            start.capacity.to_string()
        );
    }
    text += &format!("{:<width$}  {:>22}  {:>22}\n", "mean", "", found.mean.to_string());
    console::result(&text)
}

/// The bound that `--bound` names; the only one where it is absent.
pub fn bound(model: &Model, name: Option<&str>) -> Result<BoundId, Failure> {
    let names: Vec<&str> = model.bounds.iter().filter_map(|bound| bound.name.as_deref()).collect();
    let found = match name {
        None if model.bounds.len() == 1 => Some(0),
        None => None,
        Some(name) => model.bounds.iter().position(|bound| bound.name.as_deref() == Some(name)),
    };
    let of = || match names[..] {
        [] => Failure::Usage(
            "the only bound of this file has no name: leave `--bound` out".to_owned(),
        ),
        _ => Failure::Usage(format!(
            "say of which bound: `--bound NAME`, NAME one of {}",
            names.join(", ")
        )),
    };
    found.map(|at| BoundId(at as u32)).ok_or_else(of)
}

/// The oracle's numbers of a model.
pub fn of_model(model: &Model, bound: BoundId) -> Result<ExactSummary, String> {
    Question { model, bound, parameters: None }.answers()
}

/// The oracle's numbers of a model, and the best of its family.
pub fn of_family(model: &Model, bound: BoundId) -> Result<ExactSummary, String> {
    Question { model, bound, parameters: None }.with_optimum()
}

/// The oracle's numbers of a trained policy.
#[derive(Default)]
pub struct OfPolicy {
    pub summary: Option<ExactSummary>,
    /// One sentence, where there are no numbers although all variables are finite: a table that is
    /// too large, or that there is none of.
    pub why_none: Option<String>,
}

/// Of a model with a real variable there is nothing to tell.
pub fn of_policy(model: &Model, bound: BoundId, parameters: &Parameters<f64>) -> OfPolicy {
    let is_finite = model.variables.iter().all(|variable| variable.domain.finite.is_some());
    match (Question { model, bound, parameters: Some(parameters) }).answers() {
        Ok(summary) => OfPolicy { summary: Some(summary), why_none: None },
        Err(why) => OfPolicy { summary: None, why_none: Some(why).filter(|_| is_finite) },
    }
}

pub fn print_why_none(why: &str) -> String {
    format!("exact numbers                     –  {why}\n")
}

/// Seeds whose initial parameters an ascent begins from.
const SEEDS: u64 = 4;
/// Steps of each ascent.
const ITERATIONS: u64 = 1000;

/// Sums of a recursion that take a while, and what a second does of them.
const LONG: f64 = 1e8;
const A_SECOND: f64 = 1e7;

/// Says before a long answer begins how long it is.
fn tell_length(model: &Model, bound: BoundId) {
    let Some(size) = Size::of(model, bound).ok().filter(|size| size.sums() > LONG) else { return };
    let (Size { steps, states, .. }, name) = (size, &model.horizon.name);
    let minutes = (size.sums() / A_SECOND / 60.0).ceil();
    let sums = size.sums();
    console::note(&format!(
        "note: {name} = {steps}: {steps} steps × {states} states make {sums:.1e} sums at least \
         for each recursion, about {minutes} min"
    ));
}

/// What is asked of the oracle. A failure is one sentence.
struct Question<'a> {
    model: &'a Model,
    bound: BoundId,
    /// Those of a run.
    parameters: Option<&'a Parameters<f64>>,
}

impl Question<'_> {
    fn answers(&self) -> Result<ExactSummary, String> {
        if self.parameters.is_none() {
            tell_length(self.model, self.bound);
            return self.without_policy(None);
        }
        self.verify_kept()?;
        // after a round's last step `previous pi` is `pi` itself
        let tables = self
            .parameters
            .map(|own| engine::kernel_tables(self.model, self.bound, own, own))
            .transpose();
        let tables = tables.map_err(|error| error.to_string())?;
        self.about(tables.as_ref(), None)
    }

    /// Holds that a policy can be evaluated before anything of it is computed, and tells how long
    /// that is. What the oracle does not take it says itself.
    fn verify_kept(&self) -> Result<(), String> {
        if let Ok(size) = Size::of(self.model, self.bound) {
            size.verify_kept().map_err(|error| error.to_string())?;
        }
        tell_length(self.model, self.bound);
        Ok(())
    }

    /// What holds whatever the posterior's policies are; where other kernels matter, at their
    /// initial parameters.
    fn at_initial(&self) -> Result<ExactSummary, String> {
        tell_length(self.model, self.bound);
        let initial = Parameters::initial(self.model, 0);
        let fixed = engine::fixed_kernels(self.model, self.bound);
        let at_initial =
            fixed.into_iter().map(|kernel| self.model.kernel(kernel).name.clone()).collect();
        Ok(ExactSummary { at_initial, ..self.without_policy(Some(&initial))? })
    }

    fn without_policy(&self, parameters: Option<&Parameters<f64>>) -> Result<ExactSummary, String> {
        let told = |error: crate::finite::NotFinite| error.to_string();
        let tables = engine::fixed_tables(self.model, self.bound, parameters)
            .map_err(|error| error.to_string())?;
        let mut oracle = exact::Oracle::new(self.model, self.bound, Some(&tables)).map_err(told)?;
        let (log_evidence, best_bound) =
            (oracle.log_evidence().map_err(told)?, oracle.best_bound().map_err(told)?);
        let nothing = ExactSummary {
            log_evidence,
            best_bound,
            best_sees_hidden_state: self.model.hides_state(self.bound),
            best_keeps: self.kept_names(),
            family_bound: None,
            family_ascents: None,
            family_bound_exact_reverse: None,
            at_initial: vec![],
            policy: None,
        };
        nothing.verify_numbers()?;
        Ok(nothing)
    }

    fn kept_names(&self) -> Vec<String> {
        self.model
            .kept_beside_policies(self.bound)
            .into_iter()
            .map(|kernel| self.model.kernel(kernel).name.clone())
            .collect()
    }

    fn with_optimum(&self) -> Result<ExactSummary, String> {
        self.verify_kept()?;
        let initial = Parameters::initial(self.model, 0);
        let previous = self.parameters.unwrap_or(&initial);
        let starts = engine::starts(self.model, self.bound, SEEDS, self.parameters);
        let reach = engine::reach(self.model, self.bound, &starts, previous, ITERATIONS)
            .map_err(|error| error.to_string())?;
        if let Some(own) = self.parameters {
            let tables = engine::kernel_tables(self.model, self.bound, own, own)
                .map_err(|error| error.to_string())?;
            return self.about(Some(&tables), Some(&reach));
        }
        // where the evidence moves with the parameters, it is that of the best ones
        let summary = self.about(Some(&reach.bound.tables), Some(&reach))?;
        let moved = engine::moved(self.model, self.bound);
        let stays = |kernel: &KernelId| !kernel_parameters(self.model, *kernel).is_subset(&moved);
        let fixed = engine::fixed_kernels(self.model, self.bound).into_iter().filter(stays);
        let at_initial = fixed.map(|kernel| self.model.kernel(kernel).name.clone()).collect();
        Ok(ExactSummary { policy: None, at_initial, ..summary })
    }

    fn about(
        &self,
        tables: Option<&KernelTables>,
        reach: Option<&engine::Reach>,
    ) -> Result<ExactSummary, String> {
        let exact =
            exact::exact(self.model, self.bound, tables).map_err(|error| error.to_string())?;
        let gap = tables
            .map(|tables| engine::gap(self.model, self.bound, &exact, tables, reach))
            .transpose();
        let gap = gap.map_err(|error| error.to_string())?.flatten();
        let policy = exact.evaluation.as_ref().map(|evaluation| PolicySummary {
            bound: evaluation.bound,
            expected_return: evaluation.expected_return,
            rewards: rewards::exactly(self.model, &evaluation.returns, self.bound),
            kl: evaluation.kl,
            kl_per_step: evaluation
                .transition_kl
                .filter(|_| evaluation.live_steps > 0.0)
                .map(|kl| kl / evaluation.live_steps),
            gap: gap.as_ref().map(parts),
        });
        let (log_evidence, best_bound) = (exact.log_evidence, exact.best_bound);
        let family_bound = reach.map(|reach| reach.bound.bound);
        let family_ascents =
            reach.map(|reach| Ascents { made: reach.bound.starts, agreed: reach.bound.agreed });
        let family_bound_exact_reverse =
            reach.and_then(|reach| reach.marginal.as_ref()).map(|optimum| optimum.bound);
        let best_sees_hidden_state = self.model.hides_state(self.bound);
        let summary = ExactSummary {
            log_evidence,
            best_bound,
            best_sees_hidden_state,
            best_keeps: self.kept_names(),
            family_bound,
            family_ascents,
            family_bound_exact_reverse,
            at_initial: vec![],
            policy,
        };
        summary.verify_numbers()?;
        Ok(summary)
    }
}

fn parts(gap: &engine::Gap) -> Gap {
    let uncertain = |part: engine::Part| Some(part.standard_error).filter(|se| *se > 0.0);
    Gap {
        dynamics: gap.dynamics,
        family: gap.family.map(|family| family.value),
        family_at_most: gap.supremum == engine::Supremum::OfBound,
        optimisation: gap.optimisation.value,
        auxiliary: gap.auxiliary.value,
        family_se: gap.family.and_then(uncertain),
        optimisation_se: uncertain(gap.optimisation),
        auxiliary_se: uncertain(gap.auxiliary),
    }
}

/// Which policies the best bound is over, and what it keeps beside them.
fn best_of(exact: &ExactSummary) -> String {
    let over = match exact.best_sees_hidden_state {
        true => "of any policy that sees the hidden state",
        false => "of any policy that may depend on t",
    };
    let names: Vec<String> = exact.best_keeps.iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        None => over.to_owned(),
        Some((one, [])) => format!("{over}, with {one} as it is"),
        Some((last, others)) => {
            format!("{over}, with {} and {last} as they are", others.join(", "))
        }
    }
}

/// Float64 at full precision: each number is the shortest that reads back to the same bits;
/// rounding noise is 0.
pub fn print(exact: &ExactSummary) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: f64, what: &str| {
        text += &format!("{name:<17} {:>20}  {what}\n", without_noise(value).to_string())
    };
    line("log evidence", exact.log_evidence, "log p(R̂), nats");
    line("best bound", exact.best_bound, &best_of(exact));
    if let Some(family_bound) = exact.family_bound {
        let by = exact
            .family_ascents
            .map(|Ascents { made, agreed }| format!(", by {agreed} of {made} ascents"));
        let what =
            format!("the best that was found of the model's own kernels{}", by.unwrap_or_default());
        line("family bound", family_bound, &what);
    }
    if let Some(bound) = exact.family_bound_exact_reverse {
        line(
            "  exact reverse",
            bound,
            "the best that was found with the exact reverse model in the place of the model's own",
        );
    }
    if let Some(policy) = &exact.policy {
        line("bound", policy.bound, "of this policy, exact");
        if policy.rewards.is_empty() {
            line("expected return", policy.expected_return, "exact");
        }
        for reward in &policy.rewards {
            line(
                "expected return",
                reward.expected_return,
                &format!("of `{}`, exact", reward.name),
            );
        }
        line("KL from the prior", policy.kl, "of trajectories, nats");
        if let Some(kl) = policy.kl_per_step {
            line(
                "KL per step",
                kl,
                "of the posterior's transitions from the prior's, each live step",
            );
        }
        if let Some(gap) = &policy.gap {
            let drawn = |what: &str, se: Option<f64>| {
                se.map_or(what.to_owned(), |se| {
                    format!("{what} (± {se:.1e}, from drawn trajectories)")
                })
            };
            line("gap", exact.log_evidence - policy.bound, "log evidence − bound, which is");
            let dynamics = match policy.kl_per_step {
                Some(_) => "what the posterior's transitions cost, which no policy changes",
                None => "what the world's chance costs, since the posterior keeps it",
            };
            line("  dynamics", gap.dynamics, dynamics);
            match gap.family {
                Some(family) => {
                    let (most, least) =
                        if gap.family_at_most { (", at most", ", at least") } else { ("", "") };
                    let of_family = format!("what no parameters of its kernels would win{most}");
                    line("  family", family, &drawn(&of_family, gap.family_se));
                    line(
                        "  optimisation",
                        gap.optimisation,
                        &drawn(
                            &format!("what better parameters would win{least}"),
                            gap.optimisation_se,
                        ),
                    );
                }
                None => {
                    let what =
                        "what no parameters of its kernels would win, and what better ones would";
                    line("  policy", gap.optimisation, &drawn(what, gap.optimisation_se));
                }
            }
            line(
                "  auxiliary",
                gap.auxiliary,
                &drawn("what the exact reverse model would win", gap.auxiliary_se),
            );
        }
    }
    if !exact.at_initial.is_empty() {
        let names: Vec<String> = exact.at_initial.iter().map(|name| format!("`{name}`")).collect();
        text += &format!(
            "at the initial parameters of {}; `--policy RUN` takes those of a run\n",
            names.join(", ")
        );
    }
    text
}
