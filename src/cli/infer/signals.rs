//! Signals that ask the program to end: Ctrl-C, SIGTERM and SIGHUP.

use crate::cli::console;
use crate::engine::Stop;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

static STOP: OnceLock<Stop> = OnceLock::new();
/// Nothing is trained at present that a signal could lose.
static IDLE: AtomicBool = AtomicBool::new(true);

/// By what runs of this process are asked to end.
pub fn stop() -> Stop {
    STOP.get_or_init(Stop::default).clone()
}

/// Training goes on: a signal asks it to end, and does not end the program, unless it is the third
/// one.
pub fn train<R>(work: impl FnOnce() -> R) -> R {
    IDLE.store(false, Ordering::SeqCst);
    let done = work();
    IDLE.store(true, Ordering::SeqCst);
    done
}

/// Takes a signal.
fn asked() {
    let is_idle = IDLE.load(Ordering::SeqCst);
    if stop().ask() > 2 || is_idle {
        console::note("interrupted");
        std::process::exit(130);
    }
}

/// Watches the signals from now on.
pub fn listen() {
    if let Err(error) = watch() {
        console::note(&format!(
            "signals cannot be watched ({error}): Ctrl-C ends the run as it was at its last \
             checkpoint"
        ));
    }
}

#[cfg(unix)]
fn watch() -> std::io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    // whoever started the program may have said that it is to outlive the terminal
    let watched = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|&signal| !is_ignored(signal));
    let mut signals = signal_hook::iterator::Signals::new(watched)?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || signals.forever().for_each(|_| asked()))?;
    Ok(())
}

/// Whether the process was started with `signal` ignored, as `nohup` does; as far as the system
/// tells that without `unsafe`.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(not(unix))]
fn watch() -> std::io::Result<()> {
    ctrlc::set_handler(asked).map_err(std::io::Error::other)
}
