//! The program, started in a folder, and what it says.

use assert_cmd::Command;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

pub struct Outcome {
    /// −1 where a signal ended it.
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs the program in `folder`; one that hangs is ended.
pub fn run(folder: &Path, arguments: &[&str]) -> Outcome {
    outcome(program(folder).args(arguments).output().expect("the program starts"))
}

/// The program in `folder`, whatever the terminal asks for.
pub fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rlppl"));
    command.current_dir(folder).env_remove("NO_COLOR").timeout(Duration::from_secs(300));
    command
}

/// What it ended with, which is never a panic.
pub fn outcome(output: Output) -> Outcome {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert!(!err.contains("panicked"), "{err}");
    Outcome { code: output.status.code().unwrap_or(-1), out, err }
}
