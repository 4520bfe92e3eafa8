//! Every variable that some block uses at a step is generated there by the posterior, exactly once.
//! Rewards and the end of the episode are the environment's where no factor of the posterior
//! generates them.

use super::times::{self, Read, Steps, drawn, horizon, lifetime};
use super::words;
use crate::diagnostic::Diagnostic;
use crate::model::{
    Block, Bound, Dynamics, Factor, Index, KernelRef, Model, Role, Target, TargetVariable,
};
use crate::source::Span;
use std::collections::BTreeMap;

/// A draw of the posterior: the steps it covers and where it is written.
struct Draw {
    steps: Steps,
    index: Index,
    span: Span,
}

type Draws = BTreeMap<TargetVariable, Vec<Draw>>;

pub fn faults(model: &Model, bound: &Bound) -> Vec<Diagnostic> {
    let draws = draws(model, bound);
    let mut found: Vec<Diagnostic> = draws
        .iter()
        .filter_map(|(&variable, draws)| generated_twice(model, variable, draws))
        .collect();
    let mut missing: BTreeMap<TargetVariable, Diagnostic> = BTreeMap::new();
    for usage in usages(model, bound) {
        if let Some(fault) = not_generated(model, bound, &draws, &usage) {
            missing.entry(usage.variable).or_insert(fault);
        }
    }
    found.extend(missing.into_values());
    found.extend(unpaid_rewards(model, bound, &draws));
    found
}

fn draws(model: &Model, bound: &Bound) -> Draws {
    let mut draws = Draws::new();
    for factor in &bound.posterior {
        for target in &factor.targets {
            if let Target::Variable { variable, index } = *target {
                draws.entry(variable).or_default().push(Draw {
                    steps: drawn(model, variable, index),
                    index,
                    span: factor.span,
                });
            }
        }
    }
    draws
}

/// A use of a variable at some steps, and how the file writes it.
struct Usage {
    variable: TargetVariable,
    steps: Steps,
    written: String,
    span: Span,
    what: String,
}

fn usages(model: &Model, bound: &Bound) -> Vec<Usage> {
    let mut found = Vec::new();
    for block in [Block::Posterior, Block::Prior, Block::Auxiliary] {
        for factor in bound.factors(block) {
            for target in &factor.targets {
                if let (Target::Variable { variable, index }, true) =
                    (*target, block != Block::Posterior)
                {
                    let what = format!("the {} generates it here", block_name(block));
                    let written = words::target(model, *target);
                    found.push(Usage {
                        variable,
                        steps: drawn(model, variable, index),
                        written,
                        span: factor.span,
                        what,
                    });
                }
            }
            for read in times::reads(model, factor) {
                read_usages(model, &read, times::stands(model, factor), factor.span, &mut found);
            }
        }
    }
    for likelihood in &bound.likelihood {
        for read in times::likelihood_reads(model, likelihood) {
            read_usages(
                model,
                &read,
                times::likelihood_stands(model, likelihood),
                likelihood.span,
                &mut found,
            );
        }
    }
    found
}

fn read_usages(model: &Model, read: &Read, stands: Steps, span: Span, found: &mut Vec<Usage>) {
    let horizon = horizon(model);
    let (first, last) = (read.steps(horizon, stands.from), read.steps(horizon, stands.to));
    let steps = Steps { from: first.from.min(last.from), to: first.to.max(last.to) };
    if stands.is_empty() || steps.is_empty() {
        return;
    }
    let written = words::read(model, read);
    let span = words::find(model, span, &written);
    let steps = steps.and(lifetime(model, read.variable));
    found.push(Usage {
        variable: read.variable,
        steps,
        what: "read here".to_owned(),
        span,
        written: written.clone(),
    });
    if let TargetVariable::Reward(environment, reward) = read.variable {
        let Some(value) = model.environment(environment).rewards[reward as usize].value else {
            return;
        };
        for inner in times::reward_reads(model, value) {
            let shifted = Steps {
                from: inner.steps(horizon, steps.from).from,
                to: inner.steps(horizon, steps.to).to,
            };
            let steps = shifted.and(lifetime(model, inner.variable));
            let what = format!("`{written}` depends on it");
            found.push(Usage {
                variable: inner.variable,
                steps,
                what,
                span,
                written: words::read(model, &inner),
            });
        }
    }
}

fn generated_twice(model: &Model, variable: TargetVariable, draws: &[Draw]) -> Option<Diagnostic> {
    for (position, second) in draws.iter().enumerate() {
        for first in &draws[..position] {
            let both = first.steps.and(second.steps);
            if !both.is_empty() {
                let at = words::steps(model, variable, both);
                let hint = match (first.index, second.index) {
                    (Index::First, Index::Step(0)) | (Index::Step(0), Index::First) => format!(
                        "`{0}[t]` includes t = 1; write `{0}[t+1] ~ …` for the later steps, or \
                         remove the factor of `{0}[1]`",
                        words::name(model, variable)
                    ),
                    _ => "remove one of the two factors".to_owned(),
                };
                let message = format!("the posterior generates `{at}` twice");
                return Some(
                    Diagnostic::error("generated-twice", second.span, message)
                        .here("a second time here")
                        .also(first.span, "a first time here")
                        .hint(hint),
                );
            }
        }
    }
    None
}

fn not_generated(model: &Model, bound: &Bound, draws: &Draws, usage: &Usage) -> Option<Diagnostic> {
    let variable = usage.variable;
    let given = draws.get(&variable).map_or(&[][..], Vec::as_slice);
    if given.is_empty() && matches!(variable, TargetVariable::Reward(..) | TargetVariable::End) {
        return None;
    }
    let gap = first_gap(usage.steps, given)?;
    let name = words::name(model, variable);
    let written = &usage.written;
    let (message, hint) = if given.is_empty() {
        let message = format!("`{written}` is used, but the posterior does not generate `{name}`");
        let is_drawn = |factor: &Factor| {
            let is_it = |target: &Target| {
                matches!(target, Target::Variable { variable: drawn, .. }
                    if *drawn == variable)
            };
            factor.targets.iter().any(is_it)
        };
        let judged = bound.prior.iter().chain(&bound.auxiliary).any(is_drawn);
        let too = if judged {
            ""
        } else {
            ", and another factor of it to `prior` or, a reverse model, to `auxiliary`"
        };
        (message, format!("add `{}` to `posterior`{too}", suggestion(model, variable, false)))
    } else {
        let has: Vec<String> = given
            .iter()
            .map(|draw| format!("`{}`", words::steps(model, variable, draw.steps)))
            .collect();
        let gap = words::steps(model, variable, gap);
        let message = format!(
            "`{written}` needs `{gap}`, but the posterior generates only {}",
            has.join(" and ")
        );
        let first = usage.steps.from == 1 && !given.iter().any(|draw| draw.steps.contains(1));
        (
            message,
            format!(
                "add `{}` to `posterior`, or use `{name}` only where it is generated",
                suggestion(model, variable, first)
            ),
        )
    };
    let mut fault =
        Diagnostic::error("not-generated", usage.span, message).here(usage.what.clone()).hint(hint);
    if let Some(draw) = given.first() {
        fault = fault.also(draw.span, format!("`{name}` is generated here"));
    }
    Some(fault)
}

/// The first steps of `wanted` that no draw covers.
fn first_gap(wanted: Steps, draws: &[Draw]) -> Option<Steps> {
    let mut from = wanted.from;
    while from <= wanted.to {
        match draws.iter().filter(|draw| draw.steps.contains(from)).map(|draw| draw.steps.to).max()
        {
            Some(to) => from = to + 1,
            None => {
                let next =
                    draws.iter().map(|draw| draw.steps.from).filter(|&start| start > from).min();
                return Some(Steps {
                    from,
                    to: next.map_or(wanted.to, |start| (start - 1).min(wanted.to)),
                });
            }
        }
    }
    None
}

/// A factor that would generate the variable.
fn suggestion(model: &Model, variable: TargetVariable, first: bool) -> String {
    let TargetVariable::Variable(id) = variable else {
        return format!("{}[t] ~ …", words::name(model, variable));
    };
    let variable = model.variable(id);
    let environment = variable.environment.map(|id| model.environment(id));
    let name = &variable.name;
    match (variable.role, environment) {
        (Role::State, Some(environment)) if first => {
            format!("{name}[1] ~ {}.initial", environment.name)
        }
        (Role::State, Some(environment)) => {
            let actions = words::actions(model, environment);
            format!(
                "{name}[1] ~ {0}.initial; {name}[t+1] ~ {0}.transition({name}[t], {actions})",
                environment.name
            )
        }
        (Role::Observation, Some(environment)) => {
            format!(
                "{name}[t] ~ {}.observation({}[t])",
                environment.name,
                model.variable(environment.state).name
            )
        }
        (Role::State | Role::Observation | Role::Action | Role::Option, _) => {
            format!("{name}[t] ~ …")
        }
    }
}

/// The rewards of an external system exist only where the posterior runs it.
fn unpaid_rewards(model: &Model, bound: &Bound, draws: &Draws) -> Vec<Diagnostic> {
    let mut found: Vec<Diagnostic> = Vec::new();
    for likelihood in &bound.likelihood {
        for read in times::likelihood_reads(model, likelihood) {
            let TargetVariable::Reward(id, _) = read.variable else { continue };
            let environment = model.environment(id);
            let runs = bound
                .posterior
                .iter()
                .any(|factor| matches!(factor.kernel, KernelRef::Environment(of, _) if of == id));
            if matches!(environment.dynamics, Dynamics::External { .. })
                && !runs
                && !draws.contains_key(&read.variable)
            {
                let written = words::read(model, &read);
                let message = format!(
                    "`{written}` is paid by `{}`, which the posterior does not run",
                    environment.name
                );
                let hint = format!(
                    "add a factor of `{}` to `posterior`, or let a kernel generate `{written}` \
                     there: `s', {} ~ world(…)`",
                    environment.name,
                    words::name(model, read.variable)
                );
                found.push(
                    Diagnostic::error(
                        "not-generated",
                        words::find(model, likelihood.span, &written),
                        message,
                    )
                    .hint(hint),
                );
            }
        }
    }
    found
}

pub fn block_name(block: Block) -> &'static str {
    match block {
        Block::Prior => "prior",
        Block::Posterior => "posterior",
        Block::Auxiliary => "auxiliary",
    }
}
