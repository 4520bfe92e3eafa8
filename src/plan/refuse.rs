//! Constructs that the language has and `infer` does not train yet, each refused in one sentence
//! with its place.

use super::{Plan, called, refused};
use crate::bound::Derivation;
use crate::diagnostic::Diagnostic;
use crate::model::{
    Block, Dynamics, EnvironmentId, Factor, KernelRef, Model, Role, System, Target, Value,
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

/// The plan, if no learned kernel stands in the place of an environment from outside: what follows
/// what is imagined only the environment itself could say.
pub fn imagined_from_outside(plan: Plan) -> Result<Plan, Vec<Diagnostic>> {
    let all = || plan.turns().chain(&plan.watched);
    let imagined = all().find(|plan| {
        plan.model.environment(plan.environment).is_outside() && !plan.states.is_empty()
    });
    let Some(imagined) = imagined else { return Ok(plan) };
    let environment = imagined.model.environment(imagined.environment);
    let message = format!(
        "`{}` comes from outside: what it pays and when it ends only its own steps say, and a \
         learned kernel that draws its states makes none",
        environment.name
    );
    Err(vec![refused(environment.span, message)])
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
        Target::Variable { variable: TargetVariable::Reward(..) | TargetVariable::End, .. } => {
            let is_state = |target: &Target| match target {
                Target::Variable { variable: TargetVariable::Variable(variable), .. } => {
                    model.variable(*variable).role == Role::State
                }
                Target::Variable { .. } | Target::Weights(_) => false,
            };
            (block != Block::Prior && !factor.targets.iter().any(is_state)).then(|| {
                "a model makes a step at once: it draws rewards and the end with the next state, \
                 as `s[t+1], r[t] ~ world(s[t], a[t])`, each a part of its own"
                    .to_string()
            })
        }
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
