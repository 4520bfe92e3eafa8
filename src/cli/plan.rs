//! `rlppl plan`: how each term of the bound is estimated, and why.

use super::{Failure, console, input, memory};
use crate::{bound, engine, plan};

/// Say how a model would be trained.
///
/// Each term's estimator and why, what is downstream of what, the networks and their sizes, every
/// setting with its default, and what training will hold in memory.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  rlppl plan models/reinforce.rlmodel
  rlppl plan models/reinforce.rlmodel --set infer.kl_to_go=false")]
pub struct Arguments {
    #[command(flatten)]
    model: input::ModelArguments,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let model = input::load(&arguments.model)?.model;
    let derivation = bound::derive(&model).map_err(Failure::Model)?;
    let plan = plan::plan(&model, &derivation).map_err(Failure::Model)?;
    console::warnings(&plan);
    console::result(&(plan.to_string() + &memory::print(engine::memory(&plan))))
}
