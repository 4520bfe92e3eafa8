//! Whether what is asked for fits into this machine: said before it begins.

use super::Failure;
use crate::engine::{self, EngineError, Memory, shown_bytes};
use crate::model::Model;
use sysinfo::System;

#[derive(clap::Args, Debug)]
pub struct MemoryArguments {
    /// Begin even if more memory than there is for it is estimated: episodes that end before the
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

/// Holds that what was estimated is no more than there is for it.
pub fn verify(
    arguments: &MemoryArguments,
    estimated: Result<Memory, EngineError>,
) -> Result<(), Failure> {
    let estimated = estimated.map_err(|error| Failure::Run(error.to_string()))?;
    let Some(room) =
        Room::known().filter(|room| !arguments.ignore_memory && estimated.bytes() > room.bytes)
    else {
        return Ok(());
    };
    Err(Failure::Run(format!(
        "this would hold about {estimated} in memory, and {room}\nhint: fewer `trajectories`, \
         smaller batches, a shorter horizon or smaller networks hold less; `--ignore-memory` \
         begins all the same, as episodes that end before the horizon hold less"
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
    let of = match Room::known().filter(|room| estimated.bytes() > room.bytes) {
        Some(room) => format!("; {room}: `infer` asks for `--ignore-memory`"),
        None => String::new(),
    };
    format!("\nmemory\n  about {estimated} if no episode ends before the horizon{of}\n")
}

/// The most that a run can hold here, and what sets it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Room {
    /// For what is estimated.
    bytes: u64,
    /// In all.
    whole: u64,
    set_by: SetBy,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum SetBy {
    /// The machine, or the container where that has less.
    Machine,
    /// The shell that began the process, for its address space (`-v`) or its data (`-d`). Beyond it
    /// an allocation fails, and with it the run, so that there has to be room for more than the
    /// mean: lists that grow stand in two places for a moment, and threads have stacks.
    Limit(&'static str),
}

impl Room {
    /// The least of what is said; `None` where the system says nothing.
    fn known() -> Option<Room> {
        let machine = Some(of_machine()).filter(|&bytes| bytes > 0).map(|bytes| Room {
            bytes,
            whole: bytes,
            set_by: SetBy::Machine,
        });
        machine.into_iter().chain(of_process()).min_by_key(|room| room.bytes)
    }
}

/// `the machine has 4.1 GB`, `this process may hold 2.0 GB (`ulimit -v`), of which it needs a
/// quarter beside that`
impl std::fmt::Display for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = shown_bytes(self.whole);
        match self.set_by {
            SetBy::Machine => write!(f, "the machine has {bytes}"),
            SetBy::Limit(option) => write!(
                f,
                "this process may hold {bytes} (`ulimit {option}`), of which it needs a quarter \
                 beside that"
            ),
        }
    }
}

/// Bytes of the machine, or of the container where that has fewer; 0 where the system does not say.
fn of_machine() -> u64 {
    let mut system = System::new();
    system.refresh_memory();
    let container =
        system.cgroup_limits().map(|limits| limits.total_memory).filter(|&bytes| bytes > 0);
    container.map_or(system.total_memory(), |bytes| bytes.min(system.total_memory()))
}

/// What the process itself may hold, where it is limited.
#[cfg(unix)]
fn of_process() -> Vec<Room> {
    use rustix::process::{Resource, getrlimit};
    let limits = [(Resource::As, "-v"), (Resource::Data, "-d")];
    let room = |(resource, option)| {
        getrlimit(resource).current.map(|whole| Room {
            bytes: whole / 4 * 3,
            whole,
            set_by: SetBy::Limit(option),
        })
    };
    limits.into_iter().filter_map(room).collect()
}

#[cfg(not(unix))]
fn of_process() -> Vec<Room> {
    Vec::new()
}
