//! What is printed, and where: results on standard output, everything else on standard error.

use super::Failure;
use crate::diagnostic::{Color, Diagnostics, printable, printable_json, render};
use crate::engine::{self, Shortage};
use crate::plan::Plan;
use std::io::{self, IsTerminal, Write};

/// Prints a result, in which no name or text of a file speaks to the terminal.
pub fn result(text: &str) -> Result<(), Failure> {
    verbatim(&printable(text))
}

/// Prints a file's content as it is, and whatever of it is still buffered. A reader that has gone
/// away ends the program quietly.
pub fn verbatim(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Closed,
        io::ErrorKind::StorageFull => {
            Failure::Run("cannot write to standard output: the disk is full".to_owned())
        }
        _ => Failure::Run(format!("cannot write to standard output: {error}")),
    })
}

/// Prints `value` as JSON, indented, with float64 at full precision.
pub fn json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text =
        serde_json::to_string_pretty(value).expect("cli: a result is plain data with string keys");
    verbatim(&format!("{}\n", printable_json(&text)))
}

/// Prints a line on standard error.
pub fn note(text: &str) {
    tell(&printable(text));
}

fn tell(text: &str) {
    // Where standard error is closed there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Warns once where the system gave fewer threads than were asked for.
pub fn shortage() {
    if let Some(Shortage { wanted, got, why }) = engine::take_shortage() {
        let threads =
            if got == 1 { "one thread works".to_owned() } else { format!("{got} threads work") };
        note(&format!(
            "warning: {threads} instead of {wanted}, with the same result: no more could be \
             started ({why})"
        ));
    }
}

/// Prints `error: …` on standard error.
pub fn error(text: &str) {
    let (bold_red, bold, reset) =
        if colours() { ("\x1b[1;31m", "\x1b[1m", "\x1b[0m") } else { ("", "", "") };
    tell(&format!("{bold_red}error{reset}{bold}:{reset} {}", printable(text)));
}

/// Prints what the author of a plan's model may have meant otherwise.
pub fn warnings(plan: &Plan) {
    diagnostics(&Diagnostics { list: plan.warnings(), sources: plan.model.sources.clone() });
}

/// Prints diagnostics with the lines they point at, on standard error.
pub fn diagnostics(diagnostics: &Diagnostics) {
    if !diagnostics.list.is_empty() {
        let color = if colours() { Color::Ansi } else { Color::Plain };
        tell(render(diagnostics, color).trim_end_matches('\n'));
    }
}

/// Standard error is a terminal that shows colours, and nobody asked for none
/// (<https://no-color.org>).
pub fn colours() -> bool {
    let asked_for_none = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !asked_for_none && std::env::var_os("TERM").is_none_or(|term| term != "dumb") && is_live()
}

/// Standard error is a terminal, where a line may change in place.
pub fn is_live() -> bool {
    io::stderr().is_terminal()
}
