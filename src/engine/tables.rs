//! The trained kernels of a bound as tables: what the oracle takes as a policy.

use super::network::Unsupported;
use super::parameters::Parameters;
use super::tabulate::tabulate;
use crate::finite::KernelTables;
use crate::model::{Bound, BoundId, KernelId, KernelRef, LikelihoodForm, Model};
use std::collections::BTreeSet;

/// A table for each learned kernel that `bound` uses. Copies of the last round, `previous pi`, have the parameters of `previous`.
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
    Ok(KernelTables { current: of(used.current, parameters)?, previous: of(used.previous, previous)? })
}

/// Those of the posterior alone: by what is drawn.
///
/// # Errors
/// As [`tabulate`].
pub fn posterior_tables(model: &Model, bound: BoundId, parameters: &Parameters<f64>) -> Result<KernelTables, Unsupported> {
    let learned = model.bound(bound).posterior.iter().filter_map(|factor| match factor.kernel {
        KernelRef::Learned(kernel) => Some(kernel),
        // the posterior as it is played has only present parameters
        KernelRef::Previous(_) | KernelRef::Environment(..) | KernelRef::Data(_) | KernelRef::InPlace(_) => None,
    });
    let current = learned.map(|kernel| Ok((kernel, tabulate(model, parameters, kernel)?))).collect::<Result<_, Unsupported>>()?;
    Ok(KernelTables { current, ..KernelTables::default() })
}

struct Used {
    current: BTreeSet<KernelId>,
    previous: BTreeSet<KernelId>,
}

fn kernels(bound: &Bound) -> Used {
    let factors = bound.prior.iter().chain(&bound.posterior).chain(&bound.auxiliary).map(|factor| &factor.kernel);
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
