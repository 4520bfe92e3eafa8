//! Every variable that the posterior draws has exactly one factor in the prior and the auxiliary
//! block together: without one, or with two, what comes out would not be a bound.

use super::generated::block_name;
use super::times::{Steps, drawn};
use super::words;
use crate::diagnostic::Diagnostic;
use crate::model::{Block, Bound, Factor, Index, Model, Role, Target, TargetVariable};
use crate::source::Span;
use std::collections::BTreeMap;

struct Cover {
    steps: Steps,
    index: Index,
    block: Block,
    span: Span,
}

pub fn faults(model: &Model, bound: &Bound) -> Vec<Diagnostic> {
    let covers = covers(model, bound);
    let mut found: Vec<Diagnostic> = covers
        .iter()
        .filter_map(|(&variable, covers)| two_factors(model, variable, covers))
        .collect();
    let mut named: Vec<TargetVariable> = Vec::new();
    for factor in &bound.posterior {
        for target in &factor.targets {
            match *target {
                // beside a state they are compared with what the environment makes of that
                Target::Variable {
                    variable: TargetVariable::Reward(..) | TargetVariable::End,
                    ..
                } if factor.targets.iter().any(is_variable) => {}
                Target::Variable { variable, index } => {
                    let covers = covers.get(&variable).map_or(&[][..], Vec::as_slice);
                    let missing = no_factor(model, bound, factor, variable, index, covers);
                    if let (Some(missing), false) = (missing, named.contains(&variable)) {
                        named.push(variable);
                        found.push(missing);
                    }
                }
                Target::Weights(_) => {
                    found.extend(no_prior_over_weights(model, bound, factor, *target))
                }
            }
        }
    }
    for factor in &bound.prior {
        for target in &factor.targets {
            if matches!(target, Target::Weights(_)) && !draws(&bound.posterior, *target) {
                found.push(weights_not_drawn(model, factor, *target));
            }
        }
    }
    found
}

fn is_variable(target: &Target) -> bool {
    matches!(target, Target::Variable { variable: TargetVariable::Variable(_), .. })
}

fn covers(model: &Model, bound: &Bound) -> BTreeMap<TargetVariable, Vec<Cover>> {
    let mut covers: BTreeMap<TargetVariable, Vec<Cover>> = BTreeMap::new();
    for block in [Block::Prior, Block::Auxiliary] {
        for factor in bound.factors(block) {
            for target in &factor.targets {
                if let Target::Variable { variable, index } = *target {
                    let cover = Cover {
                        steps: drawn(model, variable, index),
                        index,
                        block,
                        span: factor.span,
                    };
                    covers.entry(variable).or_default().push(cover);
                }
            }
        }
    }
    covers
}

fn two_factors(model: &Model, variable: TargetVariable, covers: &[Cover]) -> Option<Diagnostic> {
    for (position, second) in covers.iter().enumerate() {
        for first in &covers[..position] {
            let both = first.steps.and(second.steps);
            if both.is_empty() {
                continue;
            }
            let at = words::steps(model, variable, both);
            let (message, hint) = if first.block == second.block {
                let hint = match (first.index, second.index) {
                    (Index::First, Index::Step(0)) | (Index::Step(0), Index::First) => {
                        format!(
                            "`{0}[t]` includes t = 1; write `{0}[t+1] ~ …` for the later steps",
                            words::name(model, variable)
                        )
                    }
                    _ => "remove one of the two".to_owned(),
                };
                (format!("`{at}` has two factors in `{}`", block_name(first.block)), hint)
            } else {
                let hint = "`auxiliary` is for variables that the prior does not generate: remove \
                            one of the two";
                (
                    format!("`{at}` has a factor in `prior` and another in `auxiliary`"),
                    hint.to_owned(),
                )
            };
            let fault =
                Diagnostic::error("two-factors", second.span, message).here("a second factor here");
            return Some(fault.also(first.span, "a first factor here").hint(hint));
        }
    }
    None
}

fn no_factor(
    model: &Model,
    bound: &Bound,
    factor: &Factor,
    variable: TargetVariable,
    index: Index,
    covers: &[Cover],
) -> Option<Diagnostic> {
    let wanted = drawn(model, variable, index);
    let mut from = wanted.from;
    while from <= wanted.to {
        match covers
            .iter()
            .filter(|cover| cover.steps.contains(from))
            .map(|cover| cover.steps.to)
            .max()
        {
            Some(to) => from = to + 1,
            None => break,
        }
    }
    if from > wanted.to {
        return None;
    }
    let written = words::at(model, variable, index);
    let drawn_here =
        format!("drawn here, by `{}`", words::kernel(model, &factor.kernel, factor.span));
    let fault = if covers.is_empty() {
        let message = format!(
            "the posterior draws `{written}`, which has no factor in `prior` or `auxiliary`"
        );
        Diagnostic::error("no-prior", factor.span, message)
            .here(drawn_here)
            .hint(where_to_add(model, bound, variable, &written))
    } else {
        let message = format!(
            "the posterior draws `{written}`, but `{}` has no factor in `prior` or `auxiliary`",
            words::steps(model, variable, Steps { from, to: from })
        );
        let hint = format!(
            "add a factor of `{written}` to the same block, or change the index of the one that \
             is there"
        );
        Diagnostic::error("no-prior", factor.span, message)
            .here(drawn_here)
            .also(covers[0].span, "the other steps have theirs here")
            .hint(hint)
    };
    Some(fault)
}

fn where_to_add(model: &Model, bound: &Bound, variable: TargetVariable, written: &str) -> String {
    let TargetVariable::Variable(id) = variable else {
        return format!("add `{written} ~ …` to `prior`");
    };
    let variable = model.variable(id);
    let environment = variable.environment.map(|id| model.environment(id));
    match (variable.role, environment) {
        (Role::State, Some(environment)) => {
            let (state, actions) = (&variable.name, words::actions(model, environment));
            match written.ends_with("[1]") {
                true => format!("add `{written} ~ {}.initial` to `prior`", environment.name),
                false => format!(
                    "add `{written} ~ {}.transition({state}[t], {actions})` to `prior`",
                    environment.name
                ),
            }
        }
        (Role::Observation, Some(environment)) => {
            let state = &model.variable(environment.state).name;
            format!("add `{written} ~ {}.observation({state}[t])` to `prior`", environment.name)
        }
        (Role::Action, _) => format!("add `{written} ~ Uniform` to `prior`"),
        (Role::Option, _) if bound.auxiliary.is_empty() => format!(
            "add `{written} ~ …` to `prior` if the model chooses `{}` too, or a reverse model of \
             it to `auxiliary {{ {written} ~ … }}`",
            variable.name
        ),
        (Role::State | Role::Observation | Role::Option, _) => {
            format!("add `{written} ~ …` to `prior` or to `auxiliary`")
        }
    }
}

fn draws(factors: &[Factor], wanted: Target) -> bool {
    factors.iter().any(|factor| factor.targets.contains(&wanted))
}

fn no_prior_over_weights(
    model: &Model,
    bound: &Bound,
    factor: &Factor,
    target: Target,
) -> Option<Diagnostic> {
    let written = words::target(model, target);
    (!draws(&bound.prior, target)).then(|| {
        Diagnostic::error(
            "no-prior",
            factor.span,
            format!("the posterior draws `{written}`, which has no factor in `prior`"),
        )
        .hint(format!("add `{written} ~ Normal(mean = 0, sd = 1)` to `prior`"))
    })
}

fn weights_not_drawn(model: &Model, factor: &Factor, target: Target) -> Diagnostic {
    let written = words::target(model, target);
    Diagnostic::error(
        "not-generated",
        factor.span,
        format!("the prior draws `{written}`, but the posterior does not"),
    )
    .hint(format!("add `{written} ~ Normal` to `posterior`: its learned mean field"))
}
