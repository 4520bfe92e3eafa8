//! What is left of a run: killed at any instant, asked to end, on a full disk, gone on with,
//! replaced; and who may write to its folder.
//!
//! `RLPPL_KILLS=200 RLPPL_TERMS=50 cargo test --test runs killed -- --nocapture` kills as many
//! runs, and tells the most that one lost.
#![cfg(unix)]

mod common;
#[path = "common/walk.rs"]
mod walk;

use common::{Outcome, outcome, run};
use safetensors::SafeTensors;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use walk::{WALK, assert_equal_files, folder, infer, names};

/// All files of a run that has come to its end.
const FILES: [&str; 8] = [
    ".lock",
    "checkpoint.safetensors",
    "manifest.json",
    "metrics.jsonl",
    "model.rlmodel",
    "parameters.safetensors",
    "summary.json",
    "timings.jsonl",
];
/// The files that are equal for equal runs.
const EQUAL: [&str; 4] =
    ["checkpoint.safetensors", "metrics.jsonl", "model.rlmodel", "parameters.safetensors"];

/// The program fails with `code` and says all of `told`.
fn refused(folder: &Path, arguments: &[&str], code: i32, told: &[&str]) {
    let outcome = run(folder, arguments);
    let says = told.iter().all(|told| outcome.err.contains(told));
    assert!(
        outcome.code == code && says,
        "{arguments:?}: {}, and not {told:?}: {}",
        outcome.code,
        outcome.err
    );
}

/// Trains in `folder` until it ends or is ended.
fn begin(folder: &Path, arguments: &[&str]) -> Child {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_rlppl"));
    command
        .current_dir(folder)
        .arg("infer")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().expect("the program starts")
}

fn signal(child: &Child, name: &str) {
    // one that has just ended is not there any more
    let _ = std::process::Command::new("kill")
        .args([name, &child.id().to_string()])
        .stderr(Stdio::null())
        .status()
        .expect("kill");
}

fn ended(child: Child) -> Outcome {
    outcome(child.wait_with_output().expect("it ends"))
}

fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(120), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn lines(path: &Path) -> usize {
    fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

fn assert_equal_runs(one: &Path, other: &Path) {
    assert_equal_files(&EQUAL, one, other);
}

/// The bytes of all files of a folder but its lock, by name.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let all = names(folder).into_iter().filter(|name| name != ".lock");
    all.map(|name| (name.clone(), fs::read(folder.join(&name)).expect("a file"))).collect()
}

/// The step of a run's checkpoint.
fn checkpoint(run: &Path) -> Option<u64> {
    let bytes = fs::read(run.join("checkpoint.safetensors")).ok()?;
    let file = SafeTensors::deserialize(&bytes).expect("a checkpoint is whole");
    let counts = file.tensor("checkpoint/counts").expect("counts");
    Some(u64::from_le_bytes(counts.data()[..8].try_into().expect("eight bytes")))
}

/// Step and seconds of each whole line of the timings.
fn timings(run: &Path) -> Vec<(u64, f64)> {
    let text = fs::read_to_string(run.join("timings.jsonl")).unwrap_or_default();
    let values =
        text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    values
        .map(|line| {
            (
                line["step"].as_u64().expect("a step"),
                line["wall_seconds"].as_f64().expect("seconds"),
            )
        })
        .collect()
}

/// Numbers in 0..1 that look random, the same at each call.
fn numbers() -> impl FnMut() -> f64 {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn count(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |count| count.parse().expect("a count"))
}

// ── ended from outside ───────────────────────────────────────────────────────────────────────────

/// Seconds between two checkpoints of the runs that are killed, and how much later than due one may
/// be: the length of a step and of a write, on a machine that has other things to do.
const EVERY: f64 = 0.2;
const LATE: f64 = 0.8;

/// One command, given again whenever the process was ended: from nothing to the same bits as a run
/// that nobody ended.
#[test]
fn killed_at_any_instant_a_run_loses_at_most_an_interval_and_comes_to_the_same_bits() {
    let folder = folder();
    // some seconds on one thread
    let command = [
        "walk.rlmodel",
        "--set",
        "infer.steps=50000",
        "--set",
        "infer.log_every=50",
        "--set",
        "infer.checkpoint_every=0.2",
    ];
    let command = [&command[..], &["--threads", "1", "--quiet", "--resume", "--out"]].concat();
    infer(folder.path(), &[&command[..], &["whole"]].concat());
    let whole = folder.path().join("whole");
    let seconds = timings(&whole).last().expect("a line").1;
    assert!(seconds > 3.0 * EVERY, "a run of {seconds} s has too few checkpoints: make it longer");
    let mut random = numbers();
    let mut left = [("-KILL", count("RLPPL_KILLS", 10)), ("-TERM", count("RLPPL_TERMS", 4))];
    let (mut most, mut finished) = (0.0f64, 0);
    while left.iter().any(|(_, count)| *count > 0) || finished == 0 {
        let name = format!("run-{finished}");
        let path = folder.path().join(&name);
        let child = begin(folder.path(), &[&command[..], &[&name]].concat());
        // by turns, until there are none left of a kind
        let with = left.iter_mut().filter(|(_, count)| *count > 0).max_by_key(|(_, count)| *count);
        let Some((with, count)) = with else {
            assert_eq!(ended(child).code, 0);
            finished += 1;
            continue;
        };
        std::thread::sleep(Duration::from_secs_f64(random() * (seconds + 0.3)));
        signal(&child, with);
        *count -= 1;
        let outcome = ended(child);
        let logged = timings(&path);
        let (last, seconds) = logged.last().copied().unwrap_or_default();
        let kept = checkpoint(&path);
        match outcome.code {
            // it was quicker
            0 => {
                assert_eq!(names(&path), FILES);
                assert_equal_runs(&whole, &path);
                finished += 1;
            }
            // a run that was asked to end loses nothing
            130 => {
                let trained = outcome.err.contains("interrupted after");
                assert!(
                    !trained || last <= kept.unwrap_or(0),
                    "{with}: {kept:?} of {last}: {}",
                    outcome.err
                );
            }
            code => {
                assert_eq!(code, -1, "{}", outcome.err);
                let of_kept = logged
                    .iter()
                    .take_while(|(step, _)| kept.is_some_and(|kept| *step <= kept))
                    .last();
                let lost = seconds - of_kept.map_or(0.0, |of_kept| of_kept.1);
                assert!(lost <= EVERY + LATE, "{lost} s are lost: {kept:?} of {last}");
                most = most.max(lost);
            }
        }
        let parts: Vec<String> =
            names(&path).into_iter().filter(|name| !FILES.contains(&name.as_str())).collect();
        assert!(parts.iter().all(|name| name.ends_with(".part")), "{parts:?}");
    }
    println!(
        "at most {most:.3} s were lost, of an interval of {EVERY} s; {finished} runs of \
         {seconds:.1} s came to the same bits"
    );
    fs::remove_dir_all(&whole).expect("removed");
}

/// Its step would take a while; it is not waited for, and the one before it is not lost.
#[test]
fn a_long_step_is_given_up_and_the_one_before_is_kept() {
    let folder = folder();
    let long = [
        "walk.rlmodel",
        "--quiet",
        "--set",
        "infer.steps=2",
        "--set",
        "infer.log_every=1",
        "--set",
        "infer.epochs=20000",
    ];
    let long = [
        &long[..],
        &["--set", "infer.minibatch=64", "--set", "infer.checkpoint_every=1000", "--out"],
    ]
    .concat();
    infer(folder.path(), &[&long[..], &["whole"]].concat());
    let of_steps = timings(&folder.path().join("whole"));
    assert!(of_steps[0].1 > 0.3, "a step of {} s is not long: give it more epochs", of_steps[0].1);
    let child = begin(folder.path(), &[&long[..], &["mine"]].concat());
    wait_for("a step", || lines(&folder.path().join("mine/timings.jsonl")) == 1);
    assert_eq!(checkpoint(&folder.path().join("mine")), None);
    signal(&child, "-INT");
    std::thread::sleep(Duration::from_millis(100));
    signal(&child, "-INT");
    let told = ended(child);
    assert!(
        told.code == 130 && told.err.contains("interrupted after step 1 of 2"),
        "{} {}",
        told.code,
        told.err
    );
    infer(folder.path(), &["--resume", "mine", "--quiet"]);
    assert_equal_runs(&folder.path().join("whole"), &folder.path().join("mine"));
}

const LONG: [&str; 6] = [
    "--set",
    "infer.steps=100000000",
    "--set",
    "infer.log_every=100",
    "--set",
    "infer.checkpoint_every=0.05",
];

#[test]
fn every_signal_that_asks_to_end_is_answered_alike_and_nohup_is_respected() {
    for name in ["-INT", "-TERM", "-HUP"] {
        let folder = folder();
        let child = begin(folder.path(), &[&["walk.rlmodel", "--out", "mine"], &LONG[..]].concat());
        wait_for("a line", || lines(&folder.path().join("mine/metrics.jsonl")) > 0);
        signal(&child, name);
        let told = ended(child);
        assert!(
            told.code == 130 && told.err.contains("`rlppl infer --resume mine` goes on"),
            "{name}: {} {}",
            told.code,
            told.err
        );
        assert!(checkpoint(&folder.path().join("mine")).is_some_and(|step| step > 0));
    }
    if !cfg!(target_os = "linux") {
        return;
    }
    let folder = folder();
    let script = format!(
        "trap '' HUP; exec {} infer walk.rlmodel --out mine --quiet {}",
        env!("CARGO_BIN_EXE_rlppl"),
        LONG.join(" ")
    );
    let mut command = std::process::Command::new("sh");
    let child = command
        .current_dir(folder.path())
        .args(["-c", &script])
        .stderr(Stdio::piped())
        .spawn()
        .expect("a shell");
    let logged = || lines(&folder.path().join("mine/metrics.jsonl"));
    wait_for("a line", || logged() > 0);
    signal(&child, "-HUP");
    let before = logged();
    wait_for("lines after the signal", || logged() > before + 20);
    signal(&child, "-TERM");
    assert_eq!(ended(child).code, 130);
}

#[test]
fn a_run_that_goes_on_can_be_looked_at() {
    let folder = folder();
    let path = folder.path().join("mine");
    let mut child =
        begin(folder.path(), &[&["walk.rlmodel", "--out", "mine", "--quiet"], &LONG[..]].concat());
    wait_for("parameters", || path.join("parameters.safetensors").exists());
    for of in ["it goes on", "it was killed"] {
        let eval = run(folder.path(), &["eval", "mine", "--episodes", "10"]);
        assert!(eval.code == 0 && eval.out.contains("expected return"), "{of}: {}", eval.err);
        let report = run(folder.path(), &["report", "mine", "--out", "report.html", "--overwrite"]);
        assert_eq!(report.code, 0, "{of}: {}", report.err);
        assert!(
            fs::read_to_string(folder.path().join("report.html"))
                .expect("a page")
                .contains("not come to its end"),
            "{of}"
        );
        child.kill().expect("killed");
        child.wait().expect("it ends");
        // as where the last line was written in part
        let log = fs::read(path.join("metrics.jsonl")).expect("a log");
        fs::write(path.join("metrics.jsonl"), &log[..log.len() - 20]).expect("written");
    }
    fs::remove_file(path.join("parameters.safetensors")).expect("removed");
    refused(
        folder.path(),
        &["eval", "mine"],
        1,
        &["`mine` has no parameters yet", "rlppl infer --resume mine"],
    );
}

/// A limit on the size of files stands for the disk: the model and the checkpoint fit, the metrics
/// do not.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_the_run_when_it_is_full_and_leaves_the_last_checkpoint() {
    let folder = folder();
    let sets = [
        "--set",
        "infer.steps=300",
        "--set",
        "infer.log_every=1",
        "--set",
        "infer.checkpoint_every=0.000001",
        "--quiet",
    ];
    let program = env!("CARGO_BIN_EXE_rlppl");
    let script = format!(
        "trap '' XFSZ; ulimit -f 16; exec {program} infer walk.rlmodel --out mine {}",
        sets.join(" ")
    );
    let mut shell = std::process::Command::new("sh");
    let told =
        outcome(shell.current_dir(folder.path()).args(["-c", &script]).output().expect("a shell"));
    assert_eq!(told.code, 3, "{}", told.err);
    let kept = checkpoint(&folder.path().join("mine")).expect("a checkpoint");
    for part in [
        "cannot write `mine/metrics.jsonl`",
        &format!("checkpoint of step {kept} is kept"),
        "rlppl infer --resume mine",
    ] {
        assert!(told.err.contains(part), "{part}: {}", told.err);
    }
    assert!(kept > 0 && kept as usize >= lines(&folder.path().join("mine/metrics.jsonl")) - 1);
    infer(folder.path(), &["--resume", "mine", "--quiet"]);
    infer(folder.path(), &[&["walk.rlmodel", "--out", "whole"], &sets[..]].concat());
    assert_equal_runs(&folder.path().join("whole"), &folder.path().join("mine"));
}

// ── gone on with ─────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_run_goes_on_only_with_the_model_as_it_was_run() {
    let folder = folder();
    let path = folder.path().join("mine");
    infer(folder.path(), &["walk.rlmodel", "--out", "mine", "--quiet", "--set", "alpha=2"]);
    let write = |name: &str, from: &str, to: &str| {
        assert!(WALK.contains(from), "{from}");
        fs::write(folder.path().join(name), WALK.replace(from, to)).expect("written");
    };
    write("edited.rlmodel", "then 0 else -1", "then 0 else -0.5");
    refused(
        folder.path(),
        &["infer", "edited.rlmodel", "--set", "alpha=2", "--resume", "mine"],
        2,
        &["`edited.rlmodel`", "-0.5", "hint"],
    );
    refused(
        folder.path(),
        &["infer", "walk.rlmodel", "--resume", "mine"],
        2,
        &["-param alpha = 2", "+param alpha = 1"],
    );
    refused(
        folder.path(),
        &["infer", "--resume", "mine", "--set", "alpha=3"],
        2,
        &["+param alpha = 3"],
    );
    assert_ne!(run(folder.path(), &["infer", "--resume", "mine", "--set", "alhpa=3"]).code, 0);
    refused(
        folder.path(),
        &["infer", "--resume", "mine", "--set", "infer.steps=10"],
        2,
        &["`mine` has made 20 steps already"],
    );
    let again = ["infer", "walk.rlmodel", "--set", "alpha=2", "--resume", "mine", "--quiet"];
    refused(folder.path(), &[&again[..], &["--seed", "1"]].concat(), 2, &["seed = 0", "seed = 1"]);
    write("steps.rlmodel", "steps = 20", "steps = 30");
    refused(
        folder.path(),
        &["infer", "steps.rlmodel", "--set", "alpha=2", "--resume", "mine"],
        2,
        &["steps = 20", "steps = 30"],
    );

    // layout, comments and what changes no step may differ
    write("same.rlmodel", "# A walk along a line.", "# The same walk.\n\n");
    let same = [
        "infer",
        "same.rlmodel",
        "--set",
        "alpha=2",
        "--set",
        "infer.steps=30",
        "--resume",
        "mine",
        "--threads",
        "1",
    ];
    let told = run(folder.path(), &same);
    assert!(
        told.code == 0 && told.err.contains("`mine`: goes on from step 20 of 30"),
        "{}",
        told.err
    );
    let told = run(folder.path(), &["infer", "--resume", "mine"]);
    assert!(told.code == 0 && told.err.contains("all its 30 steps are done"), "{}", told.err);

    let model = fs::read_to_string(path.join("model.rlmodel")).expect("a model");
    fs::write(path.join("model.rlmodel"), model.replace("then 0 else -1", "then 0 else -0.5"))
        .expect("written");
    refused(
        folder.path(),
        &["infer", "--resume", "mine"],
        2,
        &["`mine/model.rlmodel` was changed since the run began", "-0.5"],
    );
}

#[test]
fn environments_and_data_beside_a_model_are_part_of_it() {
    let folder = folder();
    let begin = WALK.find("  state s").expect("a state");
    let end = begin + WALK[begin..].find("}\n\nkernel").expect("a kernel");
    let other = WALK.replace(
        &WALK[WALK.find("environment").expect("a word")..=end],
        "environment line from \"line.rlenv\"",
    );
    fs::write(folder.path().join("line.rlenv"), &WALK[begin..end]).expect("written");
    fs::write(folder.path().join("walk.rlmodel"), other).expect("written");
    infer(folder.path(), &["walk.rlmodel", "--out", "mine", "--quiet"]);
    fs::write(
        folder.path().join("line.rlenv"),
        WALK[begin..end].replace("0 else -1", "0 else -0.5"),
    )
    .expect("written");
    refused(
        folder.path(),
        &["infer", "walk.rlmodel", "--resume", "mine"],
        2,
        &["`line.rlenv`", "-0.5"],
    );
    infer(folder.path(), &["--resume", "mine", "--quiet"]);
    fs::copy(folder.path().join("line.rlenv"), folder.path().join("mine/line.rlenv"))
        .expect("copied");
    refused(
        folder.path(),
        &["infer", "--resume", "mine"],
        2,
        &["was changed since the run began", "`line.rlenv`", "-0.5"],
    );
}

#[test]
fn the_same_command_begins_a_run_or_goes_on_with_it() {
    let folder = folder();
    refused(
        folder.path(),
        &["infer", "--resume"],
        2,
        &["`--resume` alone does not say with which run", "--resume runs/"],
    );
    refused(folder.path(), &["infer", "--resume", "--out", "mine"], 2, &["a model file is needed"]);
    let again = ["infer", "walk.rlmodel", "--seed", "3", "--resume"];
    let told = run(folder.path(), &again);
    assert!(
        told.code == 0 && told.err.contains("`runs/walk-3`: there is no run to go on with"),
        "{}",
        told.err
    );
    infer(folder.path(), &["walk.rlmodel", "--seed", "3", "--quiet"]);
    let told = run(folder.path(), &again);
    assert!(
        told.code == 0 && told.err.contains("`runs/walk-3-2`: all its 20 steps are done"),
        "{}",
        told.err
    );
    fs::remove_file(folder.path().join("runs/walk-3-2/checkpoint.safetensors")).expect("removed");
    let told = run(folder.path(), &again);
    assert!(
        told.code == 0
            && told.err.contains("`runs/walk-3-2`: has left no checkpoint, so that it begins anew"),
        "{}",
        told.err
    );
    assert_equal_runs(&folder.path().join("runs/walk-3"), &folder.path().join("runs/walk-3-2"));
}

#[test]
fn several_seeds_go_on_each_where_it_was() {
    let folder = folder();
    infer(
        folder.path(),
        &[
            "walk.rlmodel",
            "--seeds",
            "1..3",
            "--out",
            "whole",
            "--quiet",
            "--set",
            "infer.log_every=1",
        ],
    );
    let seeds = [
        "walk.rlmodel",
        "--seeds",
        "1..3",
        "--out",
        "mine",
        "--set",
        "infer.log_every=1",
        "--resume",
    ];
    infer(
        folder.path(),
        &[
            "walk.rlmodel",
            "--seed",
            "1",
            "--out",
            "mine/1",
            "--quiet",
            "--set",
            "infer.log_every=1",
        ],
    );
    // the second was ended midway
    let half = [
        "walk.rlmodel",
        "--seed",
        "2",
        "--out",
        "mine/2",
        "--quiet",
        "--set",
        "infer.log_every=1",
        "--set",
        "infer.steps=7",
    ];
    infer(folder.path(), &half);
    let told = infer(folder.path(), &[&seeds[..], &["--set", "infer.steps=20"]].concat());
    for part in [
        "`mine/1`: all its 20 steps are done",
        "`mine/2`: goes on from step 7 of 20",
        "`mine/3`: there is no run to go on with",
    ] {
        assert!(told.err.contains(part), "{part}: {}", told.err);
    }
    assert!(told.out.starts_with("walk: 3 of 3 seeds done"), "{}", told.out);
    for seed in ["1", "2", "3"] {
        let equal = |name: &str| {
            let read =
                |run: &str| fs::read(folder.path().join(run).join(seed).join(name)).expect(name);
            assert!(read("whole") == read("mine"), "{name} of seed {seed} differs");
        };
        ["checkpoint.safetensors", "metrics.jsonl", "parameters.safetensors"]
            .into_iter()
            .for_each(equal);
    }
}

/// What a run is read by refuses a model that is not the one it was trained with, as what goes on
/// with it does.
#[test]
fn an_edited_run_is_refused_by_all_that_read_it() {
    let folder = folder();
    infer(folder.path(), &["walk.rlmodel", "--out", "mine", "--quiet"]);
    let path = folder.path().join("mine/model.rlmodel");
    let model = fs::read_to_string(&path).expect("a model");
    let readers = [
        &["eval", "mine"][..],
        &["report", "mine", "--out", "report.html"],
        &["exact", "mine/model.rlmodel", "--policy", "mine"],
        &["infer", "--resume", "mine"],
    ];
    fs::write(&path, model.replace("then 0 else -1", "then 0 else -0.5")).expect("written");
    for reader in readers {
        let outcome = run(folder.path(), reader);
        assert_eq!((outcome.code, outcome.out.as_str()), (2, ""), "{reader:?}: {}", outcome.err);
        for told in [
            "`mine/model.rlmodel` was changed since the run began",
            "-0.5",
            "hint: undo the change (`manifest.json` has",
        ] {
            assert!(outcome.err.contains(told), "{reader:?}: {}", outcome.err);
        }
    }
    assert!(!folder.path().join("report.html").exists());
    // the hint followed; layout, comments and what changes no step are nobody's business
    for same in [model.clone(), format!("# a note\n{}", model.replace("steps = 20", "steps = 30"))]
    {
        fs::write(&path, same).expect("written");
        for reader in &readers[..3] {
            let outcome = run(
                folder.path(),
                &[reader, &["--overwrite"][..usize::from(reader[0] == "report")]].concat(),
            );
            assert_eq!(outcome.code, 0, "{reader:?}: {}", outcome.err);
        }
    }
    // in another model the policy is judged, and it is told that it is another
    let exact = |arguments: &[&str]| {
        run(folder.path(), &[&["exact"], arguments, &["--policy", "mine"]].concat())
    };
    fs::write(
        folder.path().join("other.rlmodel"),
        WALK.replace("then 0 else -1", "then 0 else -0.5"),
    )
    .expect("written");
    let other = exact(&["other.rlmodel"]);
    assert!(
        other.code == 0
            && other
                .err
                .contains("note: `mine` was trained with another model than `other.rlmodel`"),
        "{}",
        other.err
    );
    for same in [&["walk.rlmodel"][..], &["walk.rlmodel", "--set", "alpha=2"]] {
        assert_eq!(exact(same).err, "", "{same:?}");
    }
}

#[test]
fn recorded_data_that_was_changed_is_told_by_readers_too() {
    let folder = folder();
    infer(folder.path(), &["walk.rlmodel", "--out", "mine", "--quiet"]);
    assert_eq!(
        run(folder.path(), &["eval", "mine", "--episodes", "50", "--record", "expert.csv"]).code,
        0
    );
    let imitates = WALK
        .replace("a[t] ~ Uniform", "a[t] ~ expert(s[t])")
        .replace("prior {", "data expert(a | s) from \"expert.csv\"\n\nprior {");
    let imitates = imitates.replace("infer {", "infer { ratio = mlp(s, a, hidden = [8]);");
    fs::write(folder.path().join("imitates.rlmodel"), imitates).expect("written");
    infer(folder.path(), &["imitates.rlmodel", "--out", "other", "--quiet"]);
    assert_eq!(run(folder.path(), &["eval", "other", "--episodes", "10"]).code, 0);
    let data = folder.path().join("other/expert.csv");
    let text = fs::read_to_string(&data).expect("records");
    fs::write(
        &data,
        text.lines()
            .take(text.lines().count() - 5)
            .map(|line| format!("{line}\n"))
            .collect::<String>(),
    )
    .expect("written");
    refused(
        folder.path(),
        &["eval", "other"],
        2,
        &["`other/expert.csv` was changed since the run began"],
    );
}

#[test]
fn lines_that_a_log_has_lost_are_told_when_the_run_goes_on() {
    let folder = folder();
    infer(
        folder.path(),
        &["walk.rlmodel", "--out", "mine", "--quiet", "--set", "infer.log_every=2"],
    );
    let again = ["infer", "--resume", "mine", "--quiet", "--set", "infer.steps=22"];
    let path = folder.path().join("mine/metrics.jsonl");
    let whole = fs::read_to_string(&path).expect("a log");
    assert_eq!(whole.lines().count(), 10);
    let kept: String = whole
        .lines()
        .enumerate()
        .filter(|(at, _)| [0, 4].contains(at))
        .map(|(_, line)| format!("{line}\n"))
        .collect();
    fs::write(&path, kept).expect("written");
    let told = run(folder.path(), &again);
    assert_eq!(told.code, 0, "{}", told.err);
    let lost = "warning: `mine/metrics.jsonl` has lost the lines of steps 4..8, 12..20, which its \
                checkpoint of step 20 has behind it";
    assert!(told.err.contains(lost) && !told.err.contains("timings"), "{}", told.err);
    infer(folder.path(), &["walk.rlmodel", "--out", "other", "--quiet"]);
    let told = infer(folder.path(), &["--resume", "other", "--quiet", "--set", "infer.steps=30"]);
    assert_eq!(told.err, "", "nothing is lost");
}

/// The default distance of lines is a part of the steps: with more of them it is another.
#[test]
fn lines_stay_where_a_longer_run_has_them_farther_apart() {
    let folder = folder();
    infer(
        folder.path(),
        &["walk.rlmodel", "--out", "mine", "--quiet", "--set", "infer.steps=2000"],
    );
    let path = folder.path().join("mine/metrics.jsonl");
    let before = fs::read_to_string(&path).expect("a log");
    assert_eq!(before.lines().count(), 1000);
    let told =
        run(folder.path(), &["infer", "--resume", "mine", "--quiet", "--set", "infer.steps=3000"]);
    assert_eq!(told.code, 0, "{}", told.err);
    assert!(!told.err.contains("has lost"), "{}", told.err);
    let after = fs::read_to_string(&path).expect("a log");
    assert!(after.starts_with(&before));
    assert_eq!(after.lines().count(), 1000 + 334);
}

/// All seeds are held to what is asked before one of them trains.
#[test]
fn a_set_of_seeds_goes_on_or_is_refused_as_a_whole() {
    let folder = folder();
    let set = ["walk.rlmodel", "--seeds", "1..3", "--out", "mine", "--quiet"];
    infer(
        folder.path(),
        &["walk.rlmodel", "--seed", "2", "--out", "mine/2", "--quiet", "--set", "infer.steps=30"],
    );
    refused(
        folder.path(),
        &[&["infer"], &set[..], &["--resume"]].concat(),
        2,
        &["seed 2: ", "steps = 30", "steps = 20", "give it again"],
    );
    assert_eq!(names(&folder.path().join("mine")), ["2"], "no seed was begun");
    // the hint followed
    let told = infer(folder.path(), &[&set[..], &["--resume", "--set", "infer.steps=30"]].concat());
    assert!(told.out.starts_with("walk: 3 of 3 seeds done"), "{}", told.out);
    // without a file, too, and the heading has its subject
    let told = infer(folder.path(), &["--resume", "mine", "--seeds", "1..3", "--quiet"]);
    assert!(told.out.starts_with("walk: 3 of 3 seeds done"), "{}", told.out);
    refused(
        folder.path(),
        &["infer", "--resume", "mine", "--seeds", "1..4"],
        2,
        &["seed 4: ", "a model file is needed"],
    );
    // the folder of several seeds is that of no run
    for arguments in [
        &["infer", "--resume", "mine"][..],
        &["infer", "walk.rlmodel", "--out", "mine", "--resume"],
    ] {
        refused(
            folder.path(),
            arguments,
            2,
            &[
                "`mine` is not the folder of a run",
                "hint: it holds runs of several seeds: add `--seeds 1..3`",
            ],
        );
    }
}

#[test]
fn an_interrupted_set_of_seeds_says_how_to_go_on_with_all() {
    let folder = folder();
    let child = begin(
        folder.path(),
        &[&["walk.rlmodel", "--seeds", "1..2", "--out", "my runs", "--quiet"], &LONG[..]].concat(),
    );
    wait_for("a checkpoint", || checkpoint(&folder.path().join("my runs/1")).is_some());
    let elsewhere = ["infer", "walk.rlmodel", "--seeds", "1..2", "--out", "my runs", "--resume"];
    refused(folder.path(), &elsewhere, 2, &["seed 1: another process is training in `my runs/1`"]);
    signal(&child, "-INT");
    let told = ended(child);
    assert_eq!(told.code, 130, "{}", told.err);
    let command = format!(
        "rlppl infer walk.rlmodel {} --out 'my runs' --seeds 1..2 --resume",
        LONG.join(" ")
    );
    assert!(told.err.contains(&format!("`{command}` goes on with all of them")), "{}", told.err);
    assert!(told.out.starts_with("walk: 0 of 2 seeds done"), "{}", told.out);
}

// ── who writes to a folder ───────────────────────────────────────────────────────────────────────

#[test]
fn one_process_trains_in_a_folder_and_a_dead_one_is_in_nobodys_way() {
    let folder = folder();
    let mut child =
        begin(folder.path(), &[&["walk.rlmodel", "--out", "mine", "--quiet"], &LONG[..]].concat());
    wait_for("a checkpoint", || checkpoint(&folder.path().join("mine")).is_some());
    for arguments in [
        &["--resume", "mine"][..],
        &["walk.rlmodel", "--out", "mine", "--overwrite"],
        &["walk.rlmodel", "--out", "mine"],
    ] {
        refused(
            folder.path(),
            &[&["infer"], arguments].concat(),
            2,
            &["another process is training in `mine`"],
        );
    }
    child.kill().expect("killed");
    child.wait().expect("it ends");
    infer(folder.path(), &["walk.rlmodel", "--out", "mine", "--overwrite", "--quiet"]);
}

#[test]
fn a_run_is_replaced_at_the_first_checkpoint_of_the_new_one() {
    let folder = folder();
    let path = folder.path().join("mine");
    infer(folder.path(), &["walk.rlmodel", "--out", "mine", "--quiet"]);
    let before = contents(&path);
    let again = ["--out", "mine", "--overwrite", "--quiet"];

    // a start that fails, one that is killed, and one that is asked to end before its first
    // checkpoint
    let failing = WALK
        .replace("reward r in [-1, 0]", "reward r")
        .replace("if s[t+1] == 4 then 0 else -1", "-sqrt(1 - s[t+1])");
    fs::write(folder.path().join("failing.rlmodel"), failing).expect("written");
    assert_ne!(run(folder.path(), &[&["infer", "failing.rlmodel"], &again[..]].concat()).code, 0);
    assert!(contents(&path) == before, "a start that fails loses nothing");
    let late =
        ["--set", "infer.steps=100000000", "--set", "infer.checkpoint_every=1000", "--seed", "1"];
    let mut child = begin(folder.path(), &[&["walk.rlmodel"], &again[..], &late[..]].concat());
    std::thread::sleep(Duration::from_millis(500));
    child.kill().expect("killed");
    child.wait().expect("it ends");
    assert!(
        contents(&path) == before,
        "one that is killed before its first checkpoint loses nothing"
    );

    let child = begin(folder.path(), &[&["walk.rlmodel"], &again[..], &LONG[..]].concat());
    wait_for("the new run", || !path.join("summary.json").exists() && checkpoint(&path).is_some());
    assert!(
        fs::read_to_string(path.join("model.rlmodel"))
            .expect("a model")
            .contains("steps = 100000000")
    );
    let logged = lines(&path.join("metrics.jsonl"));
    wait_for("lines of the new run", || lines(&path.join("metrics.jsonl")) > logged);
    signal(&child, "-TERM");
    assert_eq!(ended(child).code, 130);

    for name in ["expert.csv", "maze.rlenv", ".rlppl-mine", "notes.md"] {
        fs::write(path.join(name), "mine").expect("written");
        let before = contents(&path);
        refused(
            folder.path(),
            &[&["infer", "walk.rlmodel"], &again[..]].concat(),
            2,
            &[&format!("`mine` holds `{name}`")],
        );
        assert!(contents(&path) == before, "{name}");
        fs::remove_file(path.join(name)).expect("removed");
    }
    infer(folder.path(), &[&["walk.rlmodel"], &again[..]].concat());
    assert_eq!(names(&path), FILES);
}

#[test]
fn a_recording_replaces_a_file_only_if_that_is_asked() {
    let folder = folder();
    infer(folder.path(), &["walk.rlmodel", "--out", "mine", "--quiet"]);
    fs::write(folder.path().join("thesis.csv"), "mine").expect("written");
    let record = ["eval", "mine", "--episodes", "2", "--record", "thesis.csv"];
    refused(folder.path(), &record, 2, &["`thesis.csv` exists: `--overwrite` replaces it"]);
    refused(folder.path(), &["eval", "mine", "--record", "mine"], 2, &["`mine` is a folder"]);
    assert_eq!(fs::read(folder.path().join("thesis.csv")).expect("a file"), b"mine");
    assert_eq!(run(folder.path(), &[&record[..], &["--overwrite"]].concat()).code, 0);
    assert!(
        fs::read_to_string(folder.path().join("thesis.csv"))
            .expect("a file")
            .starts_with("episode")
    );
    let through = ["eval", "mine", "--episodes", "2", "--record", "/dev/null"];
    assert_eq!(run(folder.path(), &through).code, 0, "a device is not a file that could be lost");
}

// ── what is shown ────────────────────────────────────────────────────────────────────────────────

/// A greedy policy is not the posterior, so that it has no bound.
#[test]
fn a_greedy_policy_has_no_bound_in_any_format() {
    let folder = folder();
    infer(folder.path(), &["walk.rlmodel", "--out", "mine", "--quiet"]);
    let eval = |more: &[&str]| {
        run(folder.path(), &[&["eval", "mine", "--episodes", "10"], more].concat()).out
    };
    for format in ["text", "json"] {
        assert!(eval(&["--format", format]).contains("bound"), "{format}");
        let greedy = eval(&["--format", format, "--greedy"]);
        assert!(greedy.contains("return") && !greedy.contains("bound"), "{greedy}");
    }
}

/// Whatever a log holds in whatever column, there is a page.
#[test]
fn a_page_is_drawn_of_any_numbers() {
    let folder = folder();
    infer(folder.path(), &["walk.rlmodel", "--out", "mine", "--quiet", "--set", "infer.steps=3"]);
    let path = folder.path().join("mine/metrics.jsonl");
    let log = fs::read_to_string(&path).expect("a log");
    let of = |line: &str| {
        serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(line).expect("an object")
    };
    let records: Vec<_> = log.lines().map(of).collect();
    assert_eq!(records.len(), 3);
    let spoilt = [
        "1e-320",
        "-1e-320",
        "5e-324",
        "0",
        "-0.0",
        "1e308",
        "-1e308",
        "1e99",
        "1e100",
        "null",
        "\"x\"",
        "[]",
        "18446744073709551616",
    ];
    for number in spoilt {
        for name in records[0].keys() {
            let spoil = |(at, record): (usize, &serde_json::Map<String, serde_json::Value>)| {
                let fields = record.iter().map(|(field, value)| match at == 1 && field == name {
                    true => format!("\"{field}\":{number}"),
                    false => format!("\"{field}\":{value}"),
                });
                format!("{{{}}}\n", fields.collect::<Vec<_>>().join(","))
            };
            fs::write(&path, records.iter().enumerate().map(spoil).collect::<String>())
                .expect("written");
            let report = run(folder.path(), &["report", "mine", "-o", "-"]);
            assert!(
                report.code == 0 && report.out.ends_with("</html>\n"),
                "{name} = {number}: {} {}",
                report.code,
                report.err
            );
        }
    }
}
