//! The trained kernels of a bound as tables: what the oracle takes as a policy.

use crate::engine::network::unsupported::Unsupported;
use crate::engine::tables::tabulate::tabulate;
use crate::engine::tape::parameters::Parameters;
use crate::finite::KernelTables;
use crate::model::{
    Bound, BoundId, KernelId, KernelRef, LikelihoodForm, Model, Role, Target, TargetVariable,
    kernel_parameters,
};
use std::collections::BTreeSet;

/// A table for each learned kernel that `bound` uses. Copies of the last round, `previous pi`, have
/// the parameters of `previous`.
///
/// # Errors
/// As [`tabulate`].
pub fn kernel_tables(
    model: &Model,
    bound: BoundId,
    parameters: &Parameters<f64>,
    previous: &Parameters<f64>,
) -> Result<KernelTables, Unsupported> {
    let used = kernels(model.bound(bound));
    let of = |used: BTreeSet<KernelId>, parameters: &Parameters<f64>| -> Result<_, Unsupported> {
        used.into_iter().map(|kernel| Ok((kernel, tabulate(model, parameters, kernel)?))).collect()
    };
    Ok(KernelTables {
        current: of(used.current, parameters)?,
        previous: of(used.previous, previous)?,
    })
}

/// Those of the posterior alone: by what is drawn.
///
/// # Errors
/// As [`tabulate`].
pub fn posterior_tables(
    model: &Model,
    bound: BoundId,
    parameters: &Parameters<f64>,
) -> Result<KernelTables, Unsupported> {
    let learned = model.bound(bound).posterior.iter().filter_map(|factor| match factor.kernel {
        KernelRef::Learned(kernel) => Some(kernel),
        // the posterior as it is played has only present parameters
        KernelRef::Previous(_)
        | KernelRef::Environment(..)
        | KernelRef::Data(_)
        | KernelRef::InPlace(_) => None,
    });
    let current = learned
        .map(|kernel| Ok((kernel, tabulate(model, parameters, kernel)?)))
        .collect::<Result<_, Unsupported>>()?;
    Ok(KernelTables { current, ..KernelTables::default() })
}

/// Tables of the kernels at which a bound has its evidence and its best bound: all but the policies
/// of the posterior, over which the best is. Without parameters only those of kernels that have
/// none, which the file writes down.
///
/// # Errors
/// As [`tabulate`].
pub fn fixed_tables(
    model: &Model,
    bound: BoundId,
    parameters: Option<&Parameters<f64>>,
) -> Result<KernelTables, Unsupported> {
    let used = fixed(model, bound);
    let nothing = Parameters::initial(model, 0);
    let at = parameters.unwrap_or(&nothing);
    let of = |used: BTreeSet<KernelId>| -> Result<_, Unsupported> {
        let known = used
            .into_iter()
            .filter(|&kernel| parameters.is_some() || kernel_parameters(model, kernel).is_empty());
        known.map(|kernel| Ok((kernel, tabulate(model, at, kernel)?))).collect()
    };
    Ok(KernelTables { current: of(used.current)?, previous: of(used.previous)? })
}

/// Those of these kernels that have parameters.
pub fn fixed_kernels(model: &Model, bound: BoundId) -> BTreeSet<KernelId> {
    let used = fixed(model, bound);
    used.current
        .union(&used.previous)
        .copied()
        .filter(|&kernel| !kernel_parameters(model, kernel).is_empty())
        .collect()
}

fn fixed(model: &Model, bound: BoundId) -> Used {
    let mut rest = model.bound(bound).clone();
    rest.auxiliary.clear();
    rest.posterior.retain(|factor| !factor.targets.iter().all(|target| is_choice(model, target)));
    kernels(&rest)
}

fn is_choice(model: &Model, target: &Target) -> bool {
    match target {
        Target::Variable { variable: TargetVariable::Variable(variable), .. } => {
            matches!(model.variable(*variable).role, Role::Action | Role::Option)
        }
        Target::Variable { variable: TargetVariable::Reward(..) | TargetVariable::End, .. }
        | Target::Weights(_) => false,
    }
}

struct Used {
    current: BTreeSet<KernelId>,
    previous: BTreeSet<KernelId>,
}

fn kernels(bound: &Bound) -> Used {
    let factors = bound
        .prior
        .iter()
        .chain(&bound.posterior)
        .chain(&bound.auxiliary)
        .map(|factor| &factor.kernel);
    let likelihoods = bound.likelihood.iter().filter_map(|likelihood| match &likelihood.form {
        LikelihoodForm::Density { kernel, .. } => Some(kernel),
        LikelihoodForm::Exponential { .. } => None,
    });
    let mut used = Used { current: BTreeSet::new(), previous: BTreeSet::new() };
    for kernel in factors.chain(likelihoods) {
        match kernel {
            KernelRef::Learned(id) => used.current.insert(*id),
            KernelRef::Previous(id) => used.previous.insert(*id),
            KernelRef::Environment(..) | KernelRef::Data(_) | KernelRef::InPlace(_) => false,
        };
    }
    used
}
