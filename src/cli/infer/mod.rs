//! `rlppl infer`: trains a model's policy and leaves a run's folder; of several seeds a folder
//! each, and a table.

mod arguments;
mod follow;
mod seeds;
mod signals;
mod start;
mod train;

pub use arguments::Arguments;

use super::{Failure, Format, console};

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    signals::listen();
    let given = arguments.file.as_ref().map(|file| start::given(arguments, file)).transpose()?;
    match &arguments.seeds {
        Some(seeds) => seeds::run(arguments, seeds, given.as_ref()),
        None => {
            let done = train::train(arguments, start::start(arguments, given.as_ref(), None)?)?;
            match arguments.format {
                Format::Text => console::result(&train::print(&done)),
                Format::Json => console::json(&done),
            }
        }
    }
}
