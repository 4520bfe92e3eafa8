//! Finite environments and kernels as sparse tables in float64: what the oracle sums over and what
//! finite worlds are sampled from.

pub mod columns;
mod conditions;
mod kernels;
mod masses;
mod tables;
mod tabulate;
#[cfg(test)]
pub(crate) mod testing;

pub use conditions::{Axis, Conditions};
pub use kernels::{KernelTable, KernelTables};
pub use masses::{BadMass, Masses, arguments};
pub use tables::{Environment, NotFinite, Sparse};
pub use tabulate::tabulate;

use crate::model::{Domain, FiniteDomain, Model, VariableId};

/// The values of a variable.
///
/// # Errors
/// The variable, and the component that is real.
pub fn finite_domain(model: &Model, variable: VariableId) -> Result<&FiniteDomain, NotFinite> {
    let variable = model.variable(variable);
    variable.domain.finite.as_ref().ok_or_else(|| not_finite(&variable.name, &variable.domain))
}

fn not_finite(name: &str, domain: &Domain) -> NotFinite {
    NotFinite(match masses::infinite_component(domain) {
        Some(real) if real.path.is_empty() => {
            format!("`{name}` is a real number: its values cannot be listed")
        }
        Some(real) if real.path.starts_with('[') => {
            format!("`{name}{}` is a real number: its values cannot be listed", real.path)
        }
        Some(real) => {
            format!("`{name}.{}` is a real number: its values cannot be listed", real.path)
        }
        None => format!("`{name}` has too many values to list"),
    })
}
