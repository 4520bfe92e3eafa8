//! Simulated rollouts are drawn from kernels that do not simulate in turn.

use crate::diagnostic::Diagnostic;
use crate::model::{Actor, LayerId, Model};

/// Each kernel that imagines and is imagined with. A copy of the last round may imagine: its own
/// rollout is left out.
pub fn faults(model: &Model) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for at in 0..model.network.layers.len() as u32 {
        let Some(simulation) = model.simulation(LayerId(at)) else { continue };
        let span = model.network.layer(LayerId(at)).span;
        let present = match simulation.policy {
            Actor::Present(policy) => Some(policy),
            Actor::Previous(_) => None,
        };
        let draws = [Some(simulation.world), present].into_iter().flatten();
        for kernel in draws.filter(|kernel| !model.simulations_of(*kernel).is_empty()) {
            let name = &model.kernel(kernel).name;
            let told = if kernel == simulation.kernel {
                Diagnostic::error(
                    "recursion",
                    span,
                    format!("`{name}` imagines what `{name}` would do, which imagines in turn"),
                )
            } else {
                let told = Diagnostic::error(
                    "recursion",
                    span,
                    format!("`{name}`, which is imagined with, imagines in turn"),
                );
                told.also(model.kernel(kernel).span, "declared here")
            };
            found.push(if present == Some(kernel) {
                told.hint(format!(
                    "write `policy = previous {name}`: the copy of the last round, which sees 0 \
                     in the place of what it would imagine"
                ))
            } else {
                told.hint("imagine with a kernel that does not imagine")
            });
        }
    }
    found
}
