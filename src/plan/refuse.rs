//! Constructs that the language has and `infer` does not train yet, each refused in one sentence
//! with its place.

use super::pathwise::variable_of;
use super::{Plan, Subject, called, refused};
use crate::bound::Derivation;
use crate::diagnostic::Diagnostic;
use crate::model::{
    Block, Dynamics, EnvironmentId, Factor, KernelRef, Model, Role, System, Target, Value,
    VariableId,
};
use crate::world::{self, Environments};

/// All such constructs that the model's bounds use.
pub fn constructs(
    model: &Model,
    derivation: &Derivation,
    environments: &Environments,
) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    for at in 0..model.environments.len() {
        errors.extend(outside(model, EnvironmentId(at as u32), environments));
    }
    for derived in &derivation.bounds {
        let bound = model.bound(derived.bound);
        for block in [Block::Prior, Block::Posterior, Block::Auxiliary] {
            errors.extend(
                bound
                    .factors(block)
                    .iter()
                    .filter_map(|factor| factor_refusal(model, factor, block)),
            );
        }
        errors.extend(called::uncounted(model, bound));
    }
    errors
}

/// What keeps an environment from outside from running.
fn outside(model: &Model, at: EnvironmentId, environments: &Environments) -> Vec<Diagnostic> {
    let environment = model.environment(at);
    let Dynamics::External { system, name, .. } = &environment.dynamics else { return Vec::new() };
    let told = |what: &str| refused(environment.span, format!("`{}` {what}", environment.name));
    match system {
        System::Gymnasium => {
            let what = format!(
                "is `{name}` of Gymnasium, a program of Python, and rlppl starts none: it runs \
                 what is written in the language, and programs of Rust"
            );
            vec![told(&what)]
        }
        System::Rust if !environments.names().any(|known| known == name) => {
            let what = format!(
                "is an environment of a Rust program, and nobody has registered `{name}`: \
                 `plan_with` takes it, as `Environments::new().with(\"{name}\", …)`"
            );
            vec![told(&what)]
        }
        System::Rust => {
            let found = world::differences(model, at, environments);
            found.iter().map(|what| told(what)).collect()
        }
    }
}

/// The plan, if nothing is asked of an environment from outside that only its own steps say: what
/// follows what a learned kernel draws in the place of its states.
pub fn imagined_from_outside(plan: Plan) -> Result<Plan, Vec<Diagnostic>> {
    let errors: Vec<Diagnostic> =
        plan.turns().chain(&plan.watched).filter_map(unsaid_by_outside).collect();
    if errors.is_empty() { Ok(plan) } else { Err(errors) }
}

fn unsaid_by_outside(plan: &Plan) -> Option<Diagnostic> {
    let environment = plan.model.environment(plan.environment);
    if !environment.is_outside() {
        return None;
    }
    let name = &environment.name;
    let told =
        |what: String| refused(environment.span, format!("`{name}` comes from outside: {what}"));
    let draws_end = plan.all_outcomes().any(|outcome| outcome.of == Subject::End);
    if plan.next_state().is_none() {
        let what = match (plan.first_state(), draws_end) {
            (Some(_), _) => {
                "it starts by itself, and nothing puts it into a state that a kernel has drawn"
            }
            (None, true) => {
                "where it has ended it makes no further step, whatever a kernel draws of its end"
            }
            (None, false) => return None,
        };
        return Some(told(what.to_owned()));
    }
    let is_drawn =
        |reward: usize| plan.all_outcomes().any(|outcome| outcome.of == Subject::Reward(reward));
    let rewards = environment.rewards.iter().enumerate().filter(|(at, _)| !is_drawn(*at));
    let rewards = rewards.map(|(_, reward)| format!("what it pays as `{}`", reward.name));
    let end = (!draws_end).then(|| "when it ends".to_owned());
    let is_read = |variable: &VariableId| {
        let factors = &plan.model.bound(plan.derivation.bound).posterior;
        let mut drawn = factors.iter().flat_map(|factor| &factor.targets).filter_map(variable_of);
        drawn.any(|of| of == *variable)
    };
    let seen = environment
        .observation
        .filter(is_read)
        .map(|variable| format!("what is seen of it as `{}`", plan.model.variable(variable).name));
    let missing: Vec<String> = rewards.chain(end).chain(seen).collect();
    if missing.is_empty() {
        return None;
    }
    let missing = missing.join(" and ");
    let what = format!("{missing} only its own steps say, and a learned kernel draws its states");
    let hint = "let kernels draw rewards and the end, too, in prior and posterior, as \
                `s[t+1], r[t], end[t] ~ world(s[t], a[t])`";
    Some(told(what).hint(hint))
}

fn factor_refusal(model: &Model, factor: &Factor, block: Block) -> Option<Diagnostic> {
    let message = match &factor.kernel {
        KernelRef::Data(data) if block == Block::Posterior => {
            format!(
                "`{}` is known by samples alone: a posterior is drawn from wherever it comes to, \
                 and records hold draws where they were made",
                model.data[data.0 as usize].name
            )
        }
        KernelRef::Environment(environment, _) if is_computed(factor) => {
            let name = &model.environment(*environment).name;
            let message = format!(
                "`{name}` is given what is computed, and an environment goes on from where it is: \
                 its next state is that of the present one and of what has been done there"
            );
            let told = refused(factor.span, message);
            return Some(told.hint("give it the state and the actions of the step"));
        }
        KernelRef::Data(_)
        | KernelRef::Learned(_)
        | KernelRef::Previous(_)
        | KernelRef::Environment(..)
        | KernelRef::InPlace(_) => target_refusal(model, factor, block)?,
    };
    Some(refused(factor.span, message))
}

fn is_computed(factor: &Factor) -> bool {
    factor.arguments.iter().any(|argument| matches!(argument, Value::Expression(_)))
}

fn target_refusal(model: &Model, factor: &Factor, block: Block) -> Option<String> {
    use crate::model::TargetVariable;
    factor.targets.iter().find_map(|target| match target {
        // what of it does not run, the mean field says
        Target::Weights(_) => None,
        Target::Variable { variable: TargetVariable::Reward(..) | TargetVariable::End, .. } => None,
        Target::Variable { variable: TargetVariable::Variable(variable), .. } => {
            let variable = model.variable(*variable);
            match variable.role {
                Role::Observation
                    if block == Block::Posterior
                        && !matches!(factor.kernel, KernelRef::Environment(..)) =>
                {
                    Some(format!(
                        "`{}` is an observation drawn by a kernel other than the \
                                  environment's",
                        variable.name
                    ))
                }
                Role::State | Role::Observation | Role::Action | Role::Option => None,
            }
        }
    })
}
