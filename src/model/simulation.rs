//! Rollouts of a model inside the network of a kernel.

use super::{KernelId, Model, VariableId};

/// `imagine(world, s, policy = plain, steps = 3)`: the states and actions of a rollout that starts
/// at the state a kernel is given, as a layer. What it draws is drawn alike in prior and posterior,
/// and no gradient passes through it.
#[derive(Clone, Debug, PartialEq)]
pub struct Simulation {
    /// The kernel in whose network it stands, and the formal it starts from (outputs first, then
    /// givens).
    pub kernel: KernelId,
    pub formal: u32,
    /// What draws states, given states and actions.
    pub world: KernelId,
    /// What draws actions, given states.
    pub policy: Actor,
    pub state: VariableId,
    pub action: VariableId,
    pub steps: usize,
}

/// A kernel as it is, or as it was when the round began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    Present(KernelId),
    Previous(KernelId),
}

impl Actor {
    pub fn kernel(self) -> KernelId {
        match self {
            Actor::Present(kernel) | Actor::Previous(kernel) => kernel,
        }
    }
}

impl Simulation {
    /// As it is written.
    pub fn show(&self, model: &Model) -> String {
        let name = |kernel| &model.kernel(kernel).name;
        let start = model
            .kernel(self.kernel)
            .formals()
            .nth(self.formal as usize)
            .map_or("", |formal| &formal.name);
        let previous = if let Actor::Previous(_) = self.policy { "previous " } else { "" };
        let (world, policy, steps) = (name(self.world), name(self.policy.kernel()), self.steps);
        format!("imagine({world}, {start}, policy = {previous}{policy}, steps = {steps})")
    }
}
