//! A crew of long-lived threads that run one function over the shards of a batch, job after job.
//!
//! Any thread may take any shard: what a shard computes depends on the shard alone, so the result
//! does not depend on the number of threads, nor on whether all of them could be had: where the
//! system gives no more, those that there are do the work. Between two jobs the threads spin for a
//! moment (a training step takes less time than to wake a thread) and then sleep.

use crate::plan::Plan;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, Thread};

/// Spins before a waiting thread sleeps.
const SPINS: u32 = 20_000;

/// Runs `lead` with a crew of `threads` threads, the caller's included; `work(job, shard)` is what
/// they do.
pub fn with_crew<J: Copy + Send, R>(
    threads: usize,
    shards: usize,
    start: J,
    work: &(dyn Fn(J, usize) + Sync),
    lead: impl FnOnce(&Crew<J>) -> R,
) -> R {
    with_crew_of(&Builder::new, (threads, shards), start, work, lead)
}

/// [`with_crew`], whose threads `builder` makes.
fn with_crew_of<J: Copy + Send, R>(
    builder: &dyn Fn() -> Builder,
    (threads, shards): (usize, usize),
    start: J,
    work: &(dyn Fn(J, usize) + Sync),
    lead: impl FnOnce(&Crew<J>) -> R,
) -> R {
    let helpers = threads.clamp(1, shards.max(1)) - 1;
    let crew = Crew {
        shards,
        work,
        job: Mutex::new(start),
        claim: AtomicU64::new(0),
        done: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
        failed: AtomicBool::new(false),
        sleepers: (0..helpers).map(|_| Sleeper::default()).collect(),
    };
    std::thread::scope(|scope| {
        // before the first helper: whatever happens here, those that wait for a job are let go
        let _stop = StopOnDrop(&crew);
        for (at, sleeper) in crew.sleepers.iter().enumerate() {
            let crew = &crew;
            let helper = builder().spawn_scoped(scope, move || crew.help(sleeper));
            if let Err(error) = helper {
                tell_shortage(Shortage {
                    wanted: helpers + 1,
                    got: at + 1,
                    why: error.to_string(),
                });
                break;
            }
        }
        lead(&crew)
    })
}

/// Threads that work on a run.
pub(in crate::engine) fn threads(plan: &Plan) -> usize {
    plan.settings
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Fewer threads than were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    pub wanted: usize,
    pub got: usize,
    /// What the system says.
    pub why: String,
}

/// How many threads there may be is a limit of the process, so that what is known of it is the
/// process's, too.
static SHORTAGE: Mutex<Option<Shortage>> = Mutex::new(None);

fn tell_shortage(shortage: Shortage) {
    SHORTAGE.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(shortage);
}

/// The first time that the system gave fewer threads than were asked for, since this was asked
/// last.
pub fn take_shortage() -> Option<Shortage> {
    SHORTAGE.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// The leading thread's side of a crew.
pub struct Crew<'a, J> {
    shards: usize,
    work: &'a (dyn Fn(J, usize) + Sync),
    job: Mutex<J>,
    /// The number of the job in the upper half, the next shard to take in the lower.
    claim: AtomicU64,
    done: AtomicUsize,
    stop: AtomicBool,
    failed: AtomicBool,
    sleepers: Vec<Sleeper>,
}

#[derive(Default)]
struct Sleeper {
    thread: Mutex<Option<Thread>>,
    asleep: AtomicBool,
}

impl<J: Copy + Send> Crew<'_, J> {
    /// Runs `job` on every shard and returns when all are done.
    pub fn run(&self, job: J) {
        *self.job.lock().expect("crew: no thread panics while it holds the job") = job;
        self.done.store(0, Ordering::SeqCst);
        let number = (self.claim.load(Ordering::SeqCst) >> 32) + 1;
        self.claim.store(number << 32, Ordering::SeqCst);
        self.wake();
        self.take_shards(number);
        let mut spins = 0;
        while self.done.load(Ordering::Acquire) < self.shards {
            wait(&mut spins);
        }
        assert!(!self.failed.load(Ordering::SeqCst), "a worker thread panicked");
    }

    fn help(&self, sleeper: &Sleeper) {
        *sleeper.thread.lock().expect("crew: the lock is held for an assignment only") =
            Some(std::thread::current());
        let mut seen = 0;
        let mut spins = 0;
        while !self.stop.load(Ordering::Acquire) {
            let number = self.claim.load(Ordering::Acquire) >> 32;
            if number != seen {
                seen = number;
                self.take_shards(number);
                spins = 0;
            } else if spins < SPINS {
                spins += 1;
                std::hint::spin_loop();
            } else {
                sleeper.asleep.store(true, Ordering::SeqCst);
                // looked at again after `asleep` is known, so that a job that came meanwhile is not
                // slept over
                if self.claim.load(Ordering::SeqCst) >> 32 == seen
                    && !self.stop.load(Ordering::SeqCst)
                {
                    std::thread::park();
                }
                sleeper.asleep.store(false, Ordering::SeqCst);
                spins = 0;
            }
        }
    }

    fn take_shards(&self, number: u64) {
        // A thread that comes late to a job may read the next one's here; it then finds no shard
        // left to take.
        let job = *self.job.lock().expect("crew: no thread panics while it holds the job");
        loop {
            let claim = self.claim.load(Ordering::Acquire);
            let shard = (claim & 0xffff_ffff) as usize;
            if claim >> 32 != number || shard >= self.shards {
                return;
            }
            if self
                .claim
                .compare_exchange_weak(claim, claim + 1, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
            {
                let _done = DoneOnDrop(self);
                (self.work)(job, shard);
            }
        }
    }
}

impl<J> Crew<'_, J> {
    fn wake(&self) {
        for sleeper in &self.sleepers {
            if sleeper.asleep.load(Ordering::SeqCst)
                && let Ok(thread) = sleeper.thread.lock()
                && let Some(thread) = thread.as_ref()
            {
                thread.unpark();
            }
        }
    }
}

fn wait(spins: &mut u32) {
    *spins += 1;
    if *spins < SPINS { std::hint::spin_loop() } else { std::thread::yield_now() }
}

struct StopOnDrop<'a, 'b, J>(&'a Crew<'b, J>);

impl<J> Drop for StopOnDrop<'_, '_, J> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::SeqCst);
        self.0.wake();
    }
}

/// Counts a shard as done also where its work panics, so that the leading thread does not wait for
/// ever.
struct DoneOnDrop<'a, 'b, J>(&'a Crew<'b, J>);

impl<J> Drop for DoneOnDrop<'_, '_, J> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.failed.store(true, Ordering::SeqCst);
        }
        self.0.done.fetch_add(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_visits_every_shard_once() {
        for threads in [1, 2, 3] {
            let visits: Vec<AtomicU64> = (0..5).map(|_| AtomicU64::new(0)).collect();
            let work = |job: u64, shard: usize| {
                visits[shard].fetch_add(job, Ordering::SeqCst);
            };
            with_crew(threads, visits.len(), 0, &work, |crew| {
                for job in 1..=1000 {
                    crew.run(job);
                }
            });
            assert!(
                visits.iter().all(|v| v.load(Ordering::SeqCst) == 500_500),
                "{threads} threads: {visits:?}"
            );
        }
    }

    #[test]
    fn threads_that_cannot_be_had_are_done_without() {
        let visits: Vec<AtomicU64> = (0..5).map(|_| AtomicU64::new(0)).collect();
        let work = |job: u64, shard: usize| {
            visits[shard].fetch_add(job, Ordering::SeqCst);
        };
        // the first helper is there, no other has room for its stack
        let made = AtomicU64::new(0);
        let builder = || match made.fetch_add(1, Ordering::SeqCst) {
            0 => Builder::new(),
            _ => Builder::new().stack_size(1 << 60),
        };
        with_crew_of(&builder, (100_000, visits.len()), 0, &work, |crew| {
            (1..=1000).for_each(|job| crew.run(job))
        });
        assert!(visits.iter().all(|v| v.load(Ordering::SeqCst) == 500_500), "{visits:?}");
        let told = take_shortage().expect("it is told");
        assert!((told.wanted, told.got) == (5, 2) && !told.why.is_empty(), "{told:?}");
    }

    #[test]
    fn a_crew_that_slept_wakes_for_the_next_job() {
        let visits = AtomicU64::new(0);
        let work = |_: (), _: usize| {
            visits.fetch_add(1, Ordering::SeqCst);
        };
        with_crew(2, 2, (), &work, |crew| {
            crew.run(());
            std::thread::sleep(std::time::Duration::from_millis(20));
            crew.run(());
        });
        assert_eq!(visits.load(Ordering::SeqCst), 4);
    }
}
