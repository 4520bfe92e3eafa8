//! `rlppl completions`: what a shell has to know to complete our arguments.

use super::{Failure, console};
use clap::CommandFactory;

/// Print the completions of a shell.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  rlppl completions bash > ~/.local/share/bash-completion/completions/rlppl
  rlppl completions fish > ~/.config/fish/completions/rlppl.fish")]
pub struct Arguments {
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut super::Arguments::command(),
        "rlppl",
        &mut script,
    );
    console::verbatim(&String::from_utf8(script).expect("cli: completions are text"))
}
