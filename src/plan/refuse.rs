//! Constructs that the language has and this version does not train, each refused in one sentence
//! with its place.

use super::refused;
use crate::bound::Derivation;
use crate::diagnostic::Diagnostic;
use crate::model::{Block, Dynamics, Factor, KernelRef, Model, Role, Target};

/// All such constructs that the model's bounds use.
pub fn constructs(model: &Model, derivation: &Derivation) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    for environment in &model.environments {
        if let Dynamics::External { system, .. } = &environment.dynamics {
            let message = format!(
                "`{}` is `{system}` of Gymnasium, which this version does not run",
                environment.name
            );
            errors.push(refused(environment.span, message));
        }
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
    }
    errors
}

fn factor_refusal(model: &Model, factor: &Factor, block: Block) -> Option<Diagnostic> {
    let message = match &factor.kernel {
        KernelRef::Data(data) if block != Block::Prior => {
            format!(
                "`{}` is known by samples alone, and this version learns from such in the prior",
                model.data[data.0 as usize].name
            )
        }
        KernelRef::Data(_)
        | KernelRef::Learned(_)
        | KernelRef::Previous(_)
        | KernelRef::Environment(..)
        | KernelRef::InPlace(_) => target_refusal(model, factor, block)?,
    };
    Some(refused(factor.span, message))
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
                "this version draws rewards and the end of an episode with the next \
                          state, or not at all"
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
