//! How a run is asked to end, and what its threads do then.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// If a run is asked to end, a step that has lasted longer is given up; a shorter one is finished.
const PATIENCE: Duration = Duration::from_secs(1);

/// Asks a run to end. All clones ask the same run.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<Asked>);

#[derive(Debug)]
struct Asked {
    times: AtomicU32,
    /// What is computed at present is worth nothing, since a thread has skipped a part of it.
    given_up: AtomicBool,
    made: Instant,
    /// Until then the present step may be finished; milliseconds after `made`.
    deadline: AtomicU64,
}

impl Default for Asked {
    fn default() -> Asked {
        let (times, given_up, deadline) = Default::default();
        Asked { times, given_up, made: Instant::now(), deadline }
    }
}

impl Stop {
    /// Asks once more, and returns how often it was asked. The first time the run finishes its
    /// step, unless that takes long; the second time the step is given up at once.
    pub fn ask(&self) -> u32 {
        self.0.times.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub fn is_asked(&self) -> bool {
        self.0.times.load(Ordering::Relaxed) > 0
    }

    /// A step begins, which is worth to be finished.
    pub(in crate::engine) fn begin_step(&self) {
        let deadline = self.0.made.elapsed() + PATIENCE;
        self.0.deadline.store(deadline.as_millis() as u64, Ordering::Relaxed);
    }

    /// What follows can be done again at any time.
    pub(in crate::engine) fn lose_patience(&self) {
        self.0.deadline.store(0, Ordering::Relaxed);
    }

    /// Whether to skip the rest of the step. Threads ask between parts of their work; once one was
    /// told so, all are, and so is [`Stop::has_given_up`].
    pub(in crate::engine) fn gives_up(&self) -> bool {
        let Asked { times, given_up, made, deadline } = &*self.0;
        let times = times.load(Ordering::Relaxed);
        if times == 0 {
            return false;
        }
        let gives_up =
            times > 1 || made.elapsed().as_millis() as u64 >= deadline.load(Ordering::Relaxed);
        if gives_up {
            given_up.store(true, Ordering::SeqCst);
        }
        gives_up || self.has_given_up()
    }

    /// Whether anything was skipped.
    pub(in crate::engine) fn has_given_up(&self) -> bool {
        self.0.given_up.load(Ordering::SeqCst)
    }
}

impl Stop {
    /// [`Stop::gives_up`], for who does not know of runs.
    pub(in crate::engine) fn asker(&self) -> Rc<dyn Fn() -> bool> {
        let stop = self.clone();
        Rc::new(move || stop.gives_up())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_step_is_finished_and_a_long_one_given_up() {
        let stop = Stop::default();
        stop.begin_step();
        assert!(!stop.gives_up() && !stop.is_asked());
        stop.clone().ask();
        assert!(stop.is_asked() && !stop.gives_up() && !stop.has_given_up());
        stop.lose_patience();
        assert!(stop.gives_up() && stop.has_given_up());
    }

    #[test]
    fn who_asks_twice_is_in_a_hurry() {
        let stop = Stop::default();
        stop.begin_step();
        assert_eq!([stop.ask(), stop.ask()], [1, 2]);
        assert!(stop.gives_up());
    }
}
