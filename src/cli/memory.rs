//! Whether what is asked for fits into this machine: said before it begins.

use super::Failure;
use crate::engine::{self, EngineError, Memory, shown_bytes};
use crate::model::Model;
use sysinfo::System;

#[derive(clap::Args, Debug)]
pub struct MemoryArguments {
    /// Begin even if more memory than the machine has is estimated: episodes that end before the
    /// horizon hold less
    #[arg(long)]
    ignore_memory: bool,
}

impl MemoryArguments {
    /// `--ignore-memory`
    pub fn is_ignored(&self) -> bool {
        self.ignore_memory
    }
}

/// Holds that what was estimated is no more than the machine has.
pub fn verify(
    arguments: &MemoryArguments,
    estimated: Result<Memory, EngineError>,
) -> Result<(), Failure> {
    let estimated = estimated.map_err(|error| Failure::Run(error.to_string()))?;
    let machine = of_machine();
    if arguments.ignore_memory || machine == 0 || estimated.bytes() <= machine {
        return Ok(());
    }
    let (all, machine) = (&estimated, shown_bytes(machine));
    Err(Failure::Run(format!(
        "this would hold about {all} in memory, and the machine has {machine}\nhint: fewer \
         `trajectories`, a shorter horizon or smaller \
         networks hold less; `--ignore-memory` begins all the same, as episodes that end before \
         the horizon hold less"
    )))
}

/// Holds that the parameters of a model are no more than the machine has, before the first of them
/// is made.
pub fn verify_parameters(model: &Model) -> Result<(), Failure> {
    let (estimated, machine) = (engine::memory_of_parameters(model), of_machine());
    if machine == 0 || estimated.bytes() <= machine {
        return Ok(());
    }
    let machine = shown_bytes(machine);
    let hint = "a shorter horizon, where a table reads the time, or smaller networks hold less";
    Err(Failure::Run(format!(
        "this would hold about {estimated} in memory, and the machine has {machine}\nhint: {hint}"
    )))
}

/// What `plan` prints of it.
pub fn print(estimated: Result<Memory, EngineError>) -> String {
    let estimated = match estimated {
        Ok(estimated) => estimated,
        Err(why) => return format!("\nmemory\n  not estimated: {why}\n"),
    };
    let machine = of_machine();
    let of = if estimated.bytes() > machine && machine > 0 {
        format!("; the machine has {}: `infer` asks for `--ignore-memory`", shown_bytes(machine))
    } else {
        String::new()
    };
    format!("\nmemory\n  about {estimated} if no episode ends before the horizon{of}\n")
}

/// Bytes of the machine, or of the container where that has fewer; 0 where the system does not say.
fn of_machine() -> u64 {
    let mut system = System::new();
    system.refresh_memory();
    let container =
        system.cgroup_limits().map(|limits| limits.total_memory).filter(|&bytes| bytes > 0);
    container.map_or(system.total_memory(), |bytes| bytes.min(system.total_memory()))
}
