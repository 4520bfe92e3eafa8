//! Children that run cases, and who watches them.

use crate::Arguments;
use crate::mutate::Corpus;
use crate::stages::{self, Reached};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes that a child may have.
const MEMORY: u64 = 6 << 30;

/// What came of some cases.
#[derive(Default)]
struct Tally {
    reached: BTreeMap<Reached, u64>,
    faults: u64,
}

/// Runs cases until the time is over. Returns how many faults there were.
///
/// # Errors
/// One sentence, where no child can be started.
pub fn watch(arguments: &Arguments, corpus: &Corpus) -> Result<u64, String> {
    let until = Instant::now() + Duration::from_secs(arguments.seconds);
    let tally = Mutex::new(Tally::default());
    let failed = std::thread::scope(|scope| {
        let jobs: Vec<_> = (0..arguments.jobs)
            .map(|job| {
                scope.spawn({
                    let tally = &tally;
                    move || watch_one(arguments, corpus, job, until, tally)
                })
            })
            .collect();
        jobs.into_iter()
            .filter_map(|job| {
                job.join().unwrap_or_else(|_| Err("a watcher panicked".to_owned())).err()
            })
            .next()
    });
    let tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    let cases: u64 = tally.reached.values().sum::<u64>() + tally.faults;
    let parts: Vec<String> = Reached::ALL
        .iter()
        .map(|reached| format!("{reached} {}", tally.reached.get(reached).unwrap_or(&0)))
        .collect();
    println!(
        "{cases} cases from seed {}: {}; {} faults",
        arguments.seed,
        parts.join(", "),
        tally.faults
    );
    failed.map_or(Ok(tally.faults), Err)
}

fn watch_one(
    arguments: &Arguments,
    corpus: &Corpus,
    job: u64,
    until: Instant,
    tally: &Mutex<Tally>,
) -> Result<(), String> {
    let mut next = job;
    let is_over =
        |next: u64| Instant::now() >= until || arguments.cases.is_some_and(|cases| next >= cases);
    while !is_over(next) {
        let mut child = start(arguments, next)?;
        let lines = listen(&mut child);
        let fault = loop {
            if is_over(next) {
                break None;
            }
            match lines.recv_timeout(Duration::from_secs(arguments.patience)) {
                Ok(line) => match Reached::ALL.iter().find(|reached| reached.to_string() == line) {
                    Some(&reached) => {
                        *tally
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .reached
                            .entry(reached)
                            .or_default() += 1
                    }
                    None => break Some(line),
                },
                Err(RecvTimeoutError::Timeout) => {
                    break Some(format!("no answer after {} s", arguments.patience));
                }
                Err(RecvTimeoutError::Disconnected) => break Some("the process died".to_owned()),
            }
            next += arguments.jobs;
        };
        let _ = child.kill();
        let _ = child.wait();
        if let Some(fault) = fault {
            keep(arguments, corpus, next, &fault)?;
            tally.lock().unwrap_or_else(PoisonError::into_inner).faults += 1;
            next += arguments.jobs;
        }
    }
    Ok(())
}

fn start(arguments: &Arguments, first: u64) -> Result<Child, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.args([
        "--worker",
        &first.to_string(),
        "--seed",
        &arguments.seed.to_string(),
        "--jobs",
        &arguments.jobs.to_string(),
    ]);
    for folder in &arguments.corpus {
        command.arg("--corpus").arg(folder);
    }
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    spawned.map_err(|error| format!("no child can be started: {error}"))
}

fn listen(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = channel();
    if let Some(out) = child.stdout.take() {
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
    }
    receiver
}

fn keep(arguments: &Arguments, corpus: &Corpus, number: u64, fault: &str) -> Result<(), String> {
    let path = arguments.keep.join(format!("{}-{number}.rlmodel", arguments.seed));
    let kept = std::fs::create_dir_all(&arguments.keep)
        .and_then(|()| std::fs::write(&path, corpus.case(arguments.seed, number)));
    kept.map_err(|error| format!("{}: {error}", path.display()))?;
    println!("{}: {fault}", path.display());
    Ok(())
}

/// Runs every `jobs`-th case from `first` on, and says on a line how far each came, or how it
/// failed. Ends when nobody listens.
pub fn work(corpus: &Corpus, folder: &Path, seed: u64, first: u64, jobs: u64) {
    // without a limit a case that eats memory takes the machine with it
    let _ = rlimit::setrlimit(rlimit::Resource::AS, MEMORY, MEMORY);
    // a case names environments that stand in files beside the corpus
    let _ = std::env::set_current_dir(folder);
    let panicked: &'static Mutex<String> = Box::leak(Box::new(Mutex::new(String::new())));
    std::panic::set_hook(Box::new(move |panic| {
        *panicked.lock().unwrap_or_else(PoisonError::into_inner) = panic.to_string()
    }));
    for number in (first..).step_by(jobs as usize) {
        let text = corpus.case(seed, number);
        let line = match catch_unwind(AssertUnwindSafe(|| stages::run(&text))) {
            Ok(reached) => reached.to_string(),
            Err(_) => panicked.lock().unwrap_or_else(PoisonError::into_inner).replace('\n', " "),
        };
        let mut out = std::io::stdout();
        if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}
