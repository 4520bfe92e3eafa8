//! The program where numbers are none, and where a run asks for more than the machine has: exit
//! codes, what is said, what is left.

mod common;

use common::run;
use std::fs;
use std::path::Path;
use std::process::Command;

const CELLS: &str = "model cells
param alpha = 1
horizon T = 4
environment cells {
  state s : 0..9
  action a : { left, right }
  reward r in [-1, 0]
  s[1] ~ Delta(0)
  s[t+1] ~ Delta(clamp(s[t] + 2 * a[t] - 1, 0, 9))
  r[t] = if s[t+1] == 9 then 0 else -1
}
kernel pi(a | s) = Categorical(logits = LOGITS)
prior { s[1] ~ cells.initial; a[t] ~ Uniform; s[t+1] ~ cells.transition(s[t], a[t]) }
likelihood { R[t] ~ exp(alpha * r[t]) }
posterior { s[1] ~ cells.initial; a[t] ~ pi(s[t]); s[t+1] ~ cells.transition(s[t], a[t]) }
infer { trajectories = 4; steps = 2 }
";

/// A folder that has `cells.rlmodel`.
fn folder(logits: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("cells.rlmodel"), CELLS.replace("LOGITS", logits))
        .expect("written");
    folder
}

/// Puts `value` into the first number of a tensor of a safetensors file.
fn spoil(path: &Path, tensor: &str, value: f64) {
    let mut bytes = fs::read(path).expect("a file");
    let length = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).expect("JSON");
    let start =
        8 + length + header[tensor]["data_offsets"][0].as_u64().expect("an offset") as usize;
    bytes[start..start + 8].copy_from_slice(&value.to_le_bytes());
    fs::write(path, bytes).expect("written");
}

#[test]
fn a_run_on_no_numbers_ends_with_its_place_and_leaves_good_parameters() {
    let folder = folder("log(abs(mlp(s - s, hidden = [4])) - 0.01)");
    let outcome = run(
        folder.path(),
        &["infer", "cells.rlmodel", "--set", "infer.steps=30", "--out", "mine", "--quiet"],
    );
    assert_eq!((outcome.code, outcome.out.as_str()), (3, ""), "{}", outcome.err);
    let told = "step 1: the logits of `pi` are [NaN, NaN] at t = 1, s = 0; the parameters of step \
                0 are kept\nhint: ";
    assert!(outcome.err.contains(told), "{}", outcome.err);
    assert!(
        folder.path().join("mine/parameters.safetensors").exists()
            && !folder.path().join("mine/summary.json").exists()
    );
    // what those make is said as well, and no number printed
    for arguments in [
        &["eval", "mine"][..],
        &["eval", "mine", "--greedy", "--format", "json"],
        &["exact", "cells.rlmodel", "--policy", "mine"],
    ] {
        let outcome = run(folder.path(), arguments);
        assert!(
            [1, 3].contains(&outcome.code) && outcome.out.is_empty(),
            "{arguments:?}: {} {}",
            outcome.out,
            outcome.err
        );
        assert!(
            outcome.err.contains("of `pi`") && outcome.err.contains("NaN"),
            "{arguments:?}: {}",
            outcome.err
        );
    }
}

#[test]
fn parameters_and_checkpoints_that_hold_none_are_refused() {
    let folder = folder("table(s)");
    for value in [f64::NAN, f64::INFINITY] {
        let trained = run(
            folder.path(),
            &["infer", "cells.rlmodel", "--out", "mine", "--quiet", "--overwrite"],
        );
        assert_eq!(trained.code, 0, "{}", trained.err);
        spoil(&folder.path().join("mine/parameters.safetensors"), "pi.logits.0.table", value);
        for arguments in [&["eval", "mine"][..], &["exact", "cells.rlmodel", "--policy", "mine"]] {
            let outcome = run(folder.path(), arguments);
            assert_eq!(
                (outcome.code, outcome.out.as_str()),
                (1, ""),
                "{arguments:?}: {}",
                outcome.err
            );
            assert!(
                outcome.err.contains(&format!(
                    "the tensor `pi.logits.0.table` is {value} in row 0, column 0"
                )),
                "{arguments:?}: {}",
                outcome.err
            );
        }
        for tensor in ["optimiser/second", "pi.logits.0.table"] {
            let trained = run(
                folder.path(),
                &["infer", "cells.rlmodel", "--out", "mine", "--quiet", "--overwrite"],
            );
            assert_eq!(trained.code, 0, "{}", trained.err);
            spoil(&folder.path().join("mine/checkpoint.safetensors"), tensor, value);
            let outcome = run(
                folder.path(),
                &["infer", "--resume", "mine", "--set", "infer.steps=5", "--quiet"],
            );
            assert_eq!((outcome.code, outcome.out.as_str()), (1, ""), "{tensor}: {}", outcome.err);
            assert!(
                outcome.err.contains(&format!("the tensor `{tensor}` is {value}")),
                "{tensor}: {}",
                outcome.err
            );
        }
    }
}

/// A sum beyond the largest float64 is no number, in whatever command it arises: nothing is printed
/// that rests on it, and the hint helps.
#[test]
fn what_overflows_float64_is_refused_in_every_command_with_the_quantity() {
    let folder = folder("table(s)");
    let trained = run(folder.path(), &["infer", "cells.rlmodel", "--out", "mine", "--quiet"]);
    assert_eq!(trained.code, 0, "{}", trained.err);
    let commands = [
        &["exact", "cells.rlmodel"][..],
        &["exact", "cells.rlmodel", "--format", "json"],
        &["exact", "cells.rlmodel", "--optimise"],
        &["exact", "cells.rlmodel", "--policy", "mine"],
        &["verify", "cells.rlmodel"],
        &["verify", "cells.rlmodel", "--format", "json"],
    ];
    for command in commands {
        let outcome = run(folder.path(), &[command, &["--set", "alpha=1e308"]].concat());
        assert_eq!((outcome.code, outcome.out.as_str()), (1, ""), "{command:?}: {}", outcome.err);
        let told = [
            "overflows",
            "1.8e308, the largest float64",
            "scale the rewards, or the param before them, down",
        ];
        assert!(told.iter().all(|part| outcome.err.contains(part)), "{command:?}: {}", outcome.err);
        let smaller = run(folder.path(), &[command, &["--set", "alpha=1e3"]].concat());
        // names may be absent, numbers may not
        let is_none = smaller.out.lines().any(|line| {
            line.contains("null") && !line.contains("\"name\"") && !line.contains("\"bound\"")
        });
        assert!(
            smaller.code == 0 && !is_none && !smaller.out.contains("NaN"),
            "{command:?}: {}",
            smaller.out
        );
    }
    // a bound that float64 holds, and squares of it that it does not
    let squares = run(folder.path(), &["verify", "cells.rlmodel", "--set", "alpha=1e200"]);
    assert_eq!((squares.code, squares.out.as_str()), (1, ""), "{}", squares.err);
    assert!(
        squares.err.contains("the variance of the gradient estimate `derived credit` overflows"),
        "{}",
        squares.err
    );
    let claims =
        CELLS.replace("LOGITS", "table(s)") + "expect (alpha = 1e308) { best_bound <= 0 }\n";
    fs::write(folder.path().join("claims.rlmodel"), claims).expect("written");
    let tested = run(folder.path(), &["test", "claims.rlmodel"]);
    assert!(
        tested.code == 1
            && tested.out.contains("FAILED   best_bound <= 0")
            && tested.out.contains("overflows"),
        "{}",
        tested.out
    );
}

#[test]
fn an_optimiser_that_overflows_says_so_and_its_hint_helps() {
    let folder = folder("table(s)");
    let near = CELLS.replace("LOGITS", "table(s)").replace("Delta(0)", "Delta(7)");
    fs::write(folder.path().join("cells.rlmodel"), near).expect("written");
    let run = |more: &[&str]| {
        run(
            folder.path(),
            &[&["infer", "cells.rlmodel", "--quiet", "--set", "alpha=1e20"], more].concat(),
        )
    };
    let outcome = run(&[]);
    assert!(outcome.code == 3 && outcome.out.is_empty(), "{}", outcome.out);
    assert!(
        outcome.err.contains(
            "the second moment that the optimiser keeps of `pi.logits.0.table` overflows float32"
        ),
        "{}",
        outcome.err
    );
    assert!(outcome.err.contains("hint: `precision = f64`"), "{}", outcome.err);
    let outcome = run(&["--set", "infer.precision=f64"]);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
}

#[test]
fn what_exceeds_the_machine_is_refused_with_the_number() {
    let folder = folder("table(s)");
    let many = ["--set", "infer.trajectories=1000000000"];
    let long = ["--set", "T=1000000000"];
    for asked in [many, long] {
        let outcome = run(
            folder.path(),
            &[&["infer", "cells.rlmodel", "--out", "mine"][..], &asked].concat(),
        );
        assert!(
            outcome.code == 3 && outcome.err.contains("GB (trajectories ")
                || outcome.err.contains("TB (trajectories "),
            "{}",
            outcome.err
        );
        assert!(
            outcome.err.contains("the machine has") && outcome.err.contains("`--ignore-memory`"),
            "{}",
            outcome.err
        );
        assert!(!folder.path().join("mine").exists());
        let outcome = run(folder.path(), &[&["plan", "cells.rlmodel"][..], &asked].concat());
        assert!(
            outcome.code == 0 && outcome.out.contains("`infer` asks for `--ignore-memory`"),
            "{} {}",
            outcome.out,
            outcome.err
        );
    }
    // of classifiers and of models that learn from kept transitions, too
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    for (model, key) in [("world_chain", "ratio_batch"), ("world_cartpole", "refit_batch")] {
        let file = models.join(format!("{model}.rlmodel"));
        let batch = format!("infer.{key}=99999999999");
        let file = file.to_str().expect("a path of text");
        let outcome = run(folder.path(), &["infer", file, "--out", "mine", "--set", &batch]);
        assert!(
            outcome.code == 3 && outcome.err.contains("batches of classifiers and refits "),
            "{key}: {}",
            outcome.err
        );
        assert!(!folder.path().join("mine").exists());
    }
    let wide = vec!["16384"; 200].join(", ");
    fs::write(
        folder.path().join("wide.rlmodel"),
        CELLS.replace("LOGITS", &format!("mlp(s, hidden = [{wide}])")),
    )
    .expect("written");
    let outcome = run(folder.path(), &["infer", "wide.rlmodel"]);
    assert!(outcome.code == 3 && outcome.err.contains("parameters 1."), "{}", outcome.err);
    // what fits is told by `plan` and begins
    let outcome = run(folder.path(), &["plan", "cells.rlmodel"]);
    assert!(
        outcome.out.contains("\nmemory\n  about ") && !outcome.out.contains("--ignore-memory"),
        "{}",
        outcome.out
    );
    let outcome = run(folder.path(), &["infer", "cells.rlmodel", "--quiet", "--ignore-memory"]);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
}

/// A horizon of a billion: what cannot be kept is refused with its size, and what takes long says
/// so before it begins.
#[test]
fn a_horizon_beyond_all_measure_is_told_or_refused_with_the_number() {
    let folder = folder("table(s)");
    let long = ["--set", "T=1000000000"];
    let trained = run(folder.path(), &["infer", "cells.rlmodel", "--out", "mine", "--quiet"]);
    assert_eq!(trained.code, 0, "{}", trained.err);
    for command in [
        &["exact", "cells.rlmodel", "--policy", "mine"][..],
        &["exact", "cells.rlmodel", "--optimise"],
    ] {
        let outcome = run(folder.path(), &[command, &long].concat());
        assert_eq!((outcome.code, outcome.out.as_str()), (1, ""), "{command:?}: {}", outcome.err);
        let told = "keeping 10 nodes at each of 1000000000 steps makes 1.0e10 numbers to keep, \
                    more than 2.7e8";
        assert!(outcome.err.contains(told), "{command:?}: {}", outcome.err);
    }
    let outcome = run(folder.path(), &[&["verify", "cells.rlmodel"][..], &long].concat());
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    let told = [
        "verified at T = 8",
        "at T = 1000000000 its 600 batches of 16 trajectories would be 9.6e12 steps to sample",
        "`--set T=10416`",
    ];
    assert!(told.iter().all(|told| outcome.out.contains(told)), "{}", outcome.out);
    // a table that reads the time has as many rows, and a network may be larger than the machine
    let timed = CELLS.replace(
        "pi(a | s) = Categorical(logits = LOGITS)",
        "pi(a | s, t) = Categorical(logits = table(s, t))",
    );
    fs::write(folder.path().join("timed.rlmodel"), timed.replace("pi(s[t])", "pi(s[t], t)"))
        .expect("written");
    let wide = vec!["16384"; 200].join(", ");
    fs::write(
        folder.path().join("wide.rlmodel"),
        CELLS.replace("LOGITS", &format!("mlp(s, hidden = [{wide}])")),
    )
    .expect("written");
    for command in ["exact", "verify"] {
        let outcome = run(folder.path(), &[command, "timed.rlmodel", "--set", "T=1000000000"]);
        assert!(
            outcome.code == 1 && outcome.err.contains("this table has more than 268435456 entries"),
            "{command}: {}",
            outcome.err
        );
        let outcome = run(folder.path(), &[command, "wide.rlmodel"]);
        assert!(outcome.code == 3 && outcome.out.is_empty(), "{command}: {}", outcome.out);
        assert!(
            outcome.err.contains("TB (parameters ") && outcome.err.contains("and the machine has"),
            "{command}: {}",
            outcome.err
        );
    }
    // what may be waited for says how long that is, and goes on
    let mut child = Command::new(env!("CARGO_BIN_EXE_rlppl"))
        .current_dir(folder.path())
        .args(["exact", "cells.rlmodel", "--set", "T=1000000000"])
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut line = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(child.stderr.take().expect("piped")),
        &mut line,
    )
    .expect("a line");
    child.kill().expect("killed");
    child.wait().expect("it ends");
    assert_eq!(
        line,
        "note: T = 1000000000: 1000000000 steps × 10 states make 2.0e10 sums at least for each \
         recursion, about 34 min\n"
    );
}

/// Where the shell sets a limit, an allocation beyond it would abort the run.
#[cfg(target_os = "linux")]
#[test]
fn what_exceeds_the_limit_of_the_process_is_refused_with_the_number() {
    let folder = folder("table(s)");
    let limited = |limit: &str, arguments: &str| {
        let script =
            format!("ulimit {limit} && exec '{}' {arguments}", env!("CARGO_BIN_EXE_rlppl"));
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .current_dir(folder.path())
            .output()
            .expect("a shell");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let many = "--set infer.trajectories=4000000";
    for (limit, says) in
        [("-v 2000000", "2.0 GB (`ulimit -v`)"), ("-d 1000000", "1.0 GB (`ulimit -d`)")]
    {
        let (code, _, told) = limited(limit, &format!("infer cells.rlmodel --quiet {many}"));
        assert!(
            code == Some(3) && told.contains(says) && told.contains("`--ignore-memory`"),
            "{limit}: {code:?} {told}"
        );
        let (code, out, told) = limited(limit, &format!("plan cells.rlmodel {many}"));
        assert!(code == Some(0) && out.contains(says), "{limit}: {code:?} {out}{told}");
    }
    let (code, _, told) = limited("-v 2000000", "infer cells.rlmodel --quiet");
    assert_eq!(code, Some(0), "{told}");
}

/// More threads than shards, and than the system may start: the same bits.
#[test]
fn threads_beyond_all_measure_are_fewer_threads() {
    let folder = folder("table(s)");
    for (out, threads) in [("one", "1"), ("many", "100000")] {
        let outcome = run(
            folder.path(),
            &["infer", "cells.rlmodel", "--quiet", "--out", out, "--threads", threads],
        );
        assert_eq!(outcome.code, 0, "{}", outcome.err);
    }
    let parameters = |out: &str| {
        fs::read(folder.path().join(out).join("parameters.safetensors")).expect("a file")
    };
    assert!(parameters("one") == parameters("many"));
}
