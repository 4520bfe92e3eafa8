//! The program from outside: what it prints where, its exit codes, what it does with bad input, and
//! the folder of a run.

mod common;
#[path = "common/walk.rs"]
mod walk;

use common::{Outcome, outcome, program, run};
use std::fs;
use std::path::{Path, PathBuf};
use walk::{WALK, assert_equal_files, folder, infer, names};

/// The program in `folder`, which reads `stdin`.
fn run_with(folder: &Path, arguments: &[&str], stdin: &str) -> Outcome {
    outcome(
        program(folder).args(arguments).write_stdin(stdin).output().expect("the program starts"),
    )
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

// ── arguments ────────────────────────────────────────────────────────────────────────────────────

#[test]
fn help_names_every_command_and_each_has_examples() {
    let folder = folder();
    let help = run(folder.path(), &["--help"]);
    assert_eq!(help.code, 0);
    for command in [
        "check",
        "bound",
        "graph",
        "plan",
        "exact",
        "infer",
        "eval",
        "report",
        "test",
        "fmt",
        "completions",
    ] {
        assert!(help.out.contains(&format!("\n  {command} ")), "{}", help.out);
        let help = run(folder.path(), &[command, "--help"]);
        assert!(help.code == 0 && help.out.contains("Examples:"), "{}", help.out);
    }
    assert!(run(folder.path(), &["--version"]).out.starts_with("rlppl "));
}

#[test]
fn wrong_usage_exits_with_2_and_prints_no_result() {
    let folder = folder();
    for arguments in [
        &[][..],
        &["chekc"],
        &["check"],
        &["check", "--deny", "nothing", "walk.rlmodel"],
        &["check", "no.rlmodel"],
        &["check", "."],
        &["bound", "walk.rlmodel", "--set", "alpha"],
        &["bound", "walk.rlmodel", "--set", "alpha=)"],
        &["infer"],
        &["infer", "walk.rlmodel", "--threads", "0"],
        &["infer", "walk.rlmodel", "--overwrite"],
        &["infer", "--resume", "no-run"],
        &["infer", "--resume", "walk.rlmodel"],
        &["eval", "no-run"],
        &["exact", "walk.rlmodel", "--policy", "no-run"],
    ] {
        let outcome = run(folder.path(), arguments);
        assert_eq!((outcome.code, outcome.out.as_str()), (2, ""), "{arguments:?}: {}", outcome.err);
        assert!(!outcome.err.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_misspelt_file_is_met_with_the_nearest() {
    let folder = folder();
    let outcome = run(folder.path(), &["check", "wlak.rlmodel"]);
    assert!(
        outcome.err.contains("there is no file `wlak.rlmodel`")
            && outcome.err.contains("did you mean `walk.rlmodel`?"),
        "{}",
        outcome.err
    );
}

// ── input ────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn what_is_no_model_is_refused_with_1_in_words() {
    let folder = folder();
    let deep = format!("model m let x = {}1{}", "(".repeat(100_000), ")".repeat(100_000));
    for (name, bytes, word) in [
        ("empty", b"".to_vec(), ""),
        ("blank", b" \n# nothing\n".to_vec(), ""),
        ("binary", [0x7f, b'E', b'L', b'F', 0, 1, 2].to_vec(), "not a text file"),
        ("latin", b"model caf\xe9".to_vec(), "not UTF-8"),
        ("large", vec![b' '; 10 << 20], "larger than 4 MiB"),
        ("deep", deep.into_bytes(), "deep"),
        ("wrong", b"model".to_vec(), ""),
    ] {
        fs::write(folder.path().join(name), bytes).expect("written");
        for command in ["check", "bound", "infer", "exact", "test", "fmt"] {
            let outcome = run(folder.path(), &[command, name]);
            assert_eq!(outcome.code, 1, "{command} {name}: {}", outcome.err);
            assert!(
                outcome.err.contains("error") && outcome.err.contains(word),
                "{command} {name}: {}",
                outcome.err
            );
        }
    }
    assert!(!folder.path().join("runs").exists(), "what does not run leaves nothing behind");
}

#[cfg(unix)]
#[test]
fn an_unreadable_file_is_wrong_usage() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let path = folder.path().join("walk.rlmodel");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("permissions");
    if fs::File::open(&path).is_ok() {
        return; // the superuser reads everything
    }
    let outcome = run(folder.path(), &["check", "walk.rlmodel"]);
    assert!(outcome.code == 2 && outcome.err.contains("cannot read"), "{}", outcome.err);
}

#[test]
fn a_dash_reads_standard_input() {
    let folder = folder();
    let outcome = run_with(folder.path(), &["bound", "-"], WALK);
    assert_eq!(
        (outcome.code, outcome.out),
        (0, run(folder.path(), &["bound", "walk.rlmodel"]).out)
    );
}

#[test]
fn a_param_has_to_be_a_number_within_its_bounds() {
    let folder = folder();
    for value in ["0/0", "1/0", "11", "nan"] {
        let outcome =
            run(folder.path(), &["bound", "walk.rlmodel", "--set", &format!("alpha={value}")]);
        assert!(
            (1..=2).contains(&outcome.code) && outcome.out.is_empty(),
            "{value}: {}{}",
            outcome.out,
            outcome.err
        );
        assert!(outcome.err.contains("alpha"), "{value}: {}", outcome.err);
    }
    let outcome = run(folder.path(), &["bound", "walk.rlmodel", "--set", "alpa=1"]);
    assert!((1..=2).contains(&outcome.code) && outcome.err.contains("alpha"), "{}", outcome.err);
}

#[test]
fn what_is_wrong_with_set_is_shown_in_its_own_text() {
    let folder = folder();
    for command in ["check", "bound", "graph", "plan", "exact", "verify", "infer"] {
        for (set, hint) in [
            ("infer.gamma=0.99", "write `discount = 0.99`"),
            ("infer.stepz=3", "did you mean `steps`?"),
            ("alhpa=1", "did you mean `alpha`?"),
            ("alpha=11", "outside [0, 10]"),
            ("T=2.5", "a whole number"),
            ("infer.steps=many", "a whole number, at least 0"),
            ("infer.steps=-1", "at least 0"),
            ("alpha=)", ""),
        ] {
            let outcome = run(folder.path(), &[command, "walk.rlmodel", "--set", set]);
            assert_eq!(outcome.code, 2, "{command} --set {set}: {}", outcome.err);
            let shown = outcome.err.contains(&format!("| {set}\n"))
                && !outcome.err.contains("walk.rlmodel:");
            assert!(shown && outcome.err.contains(hint), "{command} --set {set}: {}", outcome.err);
        }
    }
    // a run that goes on reads it, too
    infer(folder.path(), &["walk.rlmodel", "--out", "mine", "--quiet"]);
    for set in ["infer.stepz=3", "alhpa=1", "alpha=11", "infer.steps=many", "alpha=)", "alpha"] {
        for arguments in
            [&["infer", "--resume", "mine"][..], &["infer", "walk.rlmodel", "--resume", "mine"]]
        {
            let outcome = run(folder.path(), &[arguments, &["--set", set]].concat());
            assert_eq!(outcome.code, 2, "{arguments:?} --set {set}: {}", outcome.err);
        }
    }
    // what is wrong with the file stays what it is
    fs::write(folder.path().join("wrong.rlmodel"), WALK.replace("table(s)", "table(x)"))
        .expect("written");
    assert_eq!(run(folder.path(), &["plan", "wrong.rlmodel", "--set", "alpha=11"]).code, 1);
}

#[test]
fn set_takes_a_key_away() {
    let folder = folder();
    let sets = ["--set", "infer.update=exact", "--set", "infer.precision=f64", "--quiet"];
    let refused =
        run(folder.path(), &[&["infer", "walk.rlmodel", "--out", "kept"], &sets[..]].concat());
    assert!(refused.code == 1 && refused.err.contains("optimizer"), "{}", refused.err);
    let taken =
        [&["walk.rlmodel", "--out", "taken", "--set", "infer.optimizer=default"], &sets[..]]
            .concat();
    infer(folder.path(), &taken);
    // the model as it was run says so, too
    infer(folder.path(), &["taken/model.rlmodel", "--out", "again", "--quiet"]);
    let numbers = |run: &str| {
        fs::read_to_string(folder.path().join(run).join("metrics.jsonl"))
            .expect("a run has metrics")
    };
    assert_eq!(numbers("taken"), numbers("again"));
}

/// A key is the same whatever its spaces, and what is of no key is refused.
#[test]
fn set_takes_the_keys_of_ratios() {
    let folder = folder();
    let text = "model two
        horizon T = 3
        hidden environment chain {
          state  s : 0..3
          action a : { left, right }
          reward r in [-1, 0]
          s[1] ~ Uniform
          s[t+1] ~ Mixture(0.9: Delta(clamp(s[t] + 2 * a[t] - 1, 0, 3)), 0.1: Delta(s[t]))
          r[t] = if s[t+1] == 3 then 0 else -1
        }
        kernel pi(a | s)        = Categorical(logits = table(s))
        kernel start(s)         = Categorical(logits = linear(1))
        kernel world(s' | s, a) = Categorical(logits = table(s, a))
        prior      { s[1] ~ chain.initial; a[t] ~ Uniform; s[t+1] ~ chain.transition(s[t], a[t]) }
        likelihood { R[t] ~ exp(r[t]) }
        posterior  { s[1] ~ start; a[t] ~ pi(s[t]); s[t+1] ~ world(s[t], a[t]) }
        infer { ratio(start) = table(s); ratio(world) = table(s, a, s'); steps = 2 }";
    fs::write(folder.path().join("two.rlmodel"), text).expect("written");
    let network = |set: &str| {
        let outcome = run(folder.path(), &["plan", "two.rlmodel", "--set", set]);
        assert_eq!(outcome.code, 0, "--set {set}: {}", outcome.err);
        outcome.out
    };
    let plain = network("infer.ratio(world)=mlp(s, a, s', hidden = [3])");
    assert!(plain.contains("infer.ratio.world.0.weight  10 x 3"), "{plain}");
    assert_eq!(network("infer. ratio ( world )=mlp(s, a, s', hidden = [3])"), plain);
    for set in ["infer.ratio(world=table(s)", "infer.ratio world)=table(s)", "infer.=1"] {
        let outcome = run(folder.path(), &["plan", "two.rlmodel", "--set", set]);
        assert_eq!(outcome.code, 2, "--set {set}: {}", outcome.err);
    }
    // by both of its kernels, and again as it was run
    let key = "infer.ratio( chain.transition , world )=table(s')";
    let sets = ["--set", "infer.ratio(world)=default", "--set", key];
    infer(folder.path(), &[&["two.rlmodel", "--out", "once", "--quiet"], &sets[..]].concat());
    infer(folder.path(), &["once/model.rlmodel", "--out", "again", "--quiet"]);
    assert_equal_files(
        &["metrics.jsonl"],
        &folder.path().join("once"),
        &folder.path().join("again"),
    );
}

#[test]
fn a_mixture_of_choices_is_checked_and_trains() {
    let folder = folder();
    let text = fs::read_to_string(folder.path().join("walk.rlmodel")).expect("the model is there");
    let policy = text.replace(
        "Categorical(logits = table(s))",
        "Mixture(0.9: Categorical(logits = table(s)), 0.1: Uniform)",
    );
    fs::write(folder.path().join("coin.rlmodel"), policy)
        .expect("a temporary folder can be written");
    let outcome = run(folder.path(), &["check", "--deny", "warnings", "coin.rlmodel"]);
    assert_eq!(
        (outcome.code, outcome.out.as_str()),
        (0, "coin.rlmodel: no mistakes\n"),
        "{}",
        outcome.err
    );
    assert_eq!(run(folder.path(), &["infer", "coin.rlmodel", "--quiet"]).code, 0);
}

// ── check ────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn check_tells_mistakes_with_their_places() {
    let folder = folder();
    let outcome = run(folder.path(), &["check", "walk.rlmodel"]);
    assert_eq!(
        (outcome.code, outcome.out.as_str(), outcome.err.as_str()),
        (0, "walk.rlmodel: no mistakes\n", "")
    );

    fs::write(folder.path().join("bad.rlmodel"), WALK.replace("~ pi(s[t])", "~ po(s[t])"))
        .expect("written");
    let outcome = run(folder.path(), &["check", "walk.rlmodel", "bad.rlmodel"]);
    assert_eq!(outcome.code, 1);
    assert!(
        outcome.err.contains("bad.rlmodel:21:") && outcome.err.contains("did you mean `pi`?"),
        "{}",
        outcome.err
    );

    let outcome = run(folder.path(), &["check", "--format", "json", "walk.rlmodel", "bad.rlmodel"]);
    let list = json(&outcome.out);
    let errors: Vec<_> = list
        .as_array()
        .expect("a list")
        .iter()
        .filter(|told| told["severity"] == "error")
        .collect();
    assert_eq!((outcome.code, errors.len()), (1, 1), "{list}");
    assert_eq!(
        (errors[0]["file"].as_str(), errors[0]["start"]["line"].as_u64()),
        (Some("bad.rlmodel"), Some(21)),
        "{list}"
    );
}

#[test]
fn warnings_count_where_they_are_denied() {
    let folder = folder();
    fs::write(
        folder.path().join("unused.rlmodel"),
        WALK.replace("horizon", "param unused = 1\nhorizon"),
    )
    .expect("written");
    let outcome = run(folder.path(), &["check", "unused.rlmodel"]);
    assert!(
        outcome.code == 0 && outcome.err.contains("warning") && outcome.out.contains("1 warning"),
        "{}",
        outcome.err
    );
    assert_eq!(run(folder.path(), &["check", "--deny", "warnings", "unused.rlmodel"]).code, 1);
    assert_eq!(run(folder.path(), &["check", "--deny", "warnings", "walk.rlmodel"]).code, 0);
}

// ── output ───────────────────────────────────────────────────────────────────────────────────────

#[test]
fn colours_are_for_terminals() {
    let folder = folder();
    assert!(!run(folder.path(), &["check", "no.rlmodel"]).err.contains('\x1b'));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_under_standard_output_exits_with_3() {
    let folder = folder();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_rlppl"));
    let output = program
        .current_dir(folder.path())
        .args(["bound", "walk.rlmodel"])
        .stdout(full)
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the disk is full"));
}

#[cfg(unix)]
#[test]
fn a_reader_that_has_gone_away_ends_it_quietly() {
    let folder = folder();
    let mut program = std::process::Command::new("sh");
    let script = format!(
        "({} bound walk.rlmodel; echo \"code $?\" >&2) | true",
        env!("CARGO_BIN_EXE_rlppl")
    );
    let output =
        program.current_dir(folder.path()).args(["-c", &script]).output().expect("a shell");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "code 0\n");
}

#[test]
fn bound_prints_text_json_and_mathematics() {
    let folder = folder();
    let text = run(folder.path(), &["bound", "walk.rlmodel"]).out;
    assert!(text.contains("H(pi(·|s[t]))") && text.contains("log 2"), "{text}");
    assert!(run(folder.path(), &["bound", "walk.rlmodel", "--steps"]).out.len() > text.len());
    assert_eq!(
        json(&run(folder.path(), &["bound", "walk.rlmodel", "--format", "json"]).out)["model"],
        "walk"
    );
    assert!(run(folder.path(), &["bound", "walk.rlmodel", "--format", "latex"]).out.contains('\\'));
}

#[test]
fn a_snapshot_of_the_bound_notices_a_change() {
    let folder = folder();
    let saved = run(folder.path(), &["bound", "walk.rlmodel", "--save"]);
    assert_eq!((saved.code, saved.out.as_str()), (0, "walk.rlmodel.bound.snap\n"));
    assert_eq!(run(folder.path(), &["bound", "walk.rlmodel", "--check"]).code, 0);
    assert!(run(folder.path(), &["test", "walk.rlmodel"]).out.contains("bound.snap"));

    fs::write(
        folder.path().join("walk.rlmodel"),
        WALK.replace("left, right }", "left, right, stay }").replace("2 * a[t] - 1", "a[t] - 1"),
    )
    .expect("written");
    let changed = run(folder.path(), &["bound", "walk.rlmodel", "--check"]);
    assert!(
        changed.code == 1 && changed.out.contains("log 2") && changed.out.contains("log 3"),
        "{}",
        changed.out
    );
    let tested = run(folder.path(), &["test", "walk.rlmodel"]);
    assert!(tested.code == 1 && tested.out.contains("FAILED"), "{}", tested.out);
}

#[test]
fn graph_draws_dot_and_svg_of_all_bounds_or_of_one() {
    let folder = folder();
    let dot = run(folder.path(), &["graph", "walk.rlmodel"]);
    assert!(
        dot.code == 0 && dot.out.starts_with("digraph") && dot.out.contains("label=\"t = 1..T\""),
        "{}{}",
        dot.out,
        dot.err
    );
    let svg = run(folder.path(), &["graph", "walk.rlmodel", "--format", "svg"]);
    assert!(
        svg.code == 0 && svg.out.starts_with("<svg") && svg.out.contains("line.transition"),
        "{}{}",
        svg.out,
        svg.err
    );
    assert_eq!(run(folder.path(), &["graph", "walk.rlmodel", "--format", "svg"]).out, svg.out);
    let nameless = run(folder.path(), &["graph", "walk.rlmodel", "--bound", "fit"]);
    assert!(
        nameless.code == 2
            && nameless.out.is_empty()
            && nameless.err.contains("leave `--bound` out"),
        "{}",
        nameless.err
    );

    let (head, blocks) = WALK.split_once("prior {").expect("a prior");
    let (blocks, _) = blocks.split_once("infer").expect("settings");
    let two = format!(
        "{head}bound one {{ prior {{{blocks} }}\nbound two {{ prior {{{blocks} }}\ninfer {{ \
         maximize one over pi; maximize two over pi }}\n"
    );
    fs::write(folder.path().join("two.rlmodel"), two).expect("written");
    let both = run(folder.path(), &["graph", "two.rlmodel"]);
    assert!(
        both.out.contains("walk: one") && both.out.contains("walk: two"),
        "{}{}",
        both.out,
        both.err
    );
    let second = run(folder.path(), &["graph", "two.rlmodel", "--bound", "two"]);
    assert!(
        second.code == 0 && !second.out.contains("walk: one") && second.out.contains("walk: two"),
        "{}{}",
        second.out,
        second.err
    );
    let unknown = run(folder.path(), &["graph", "two.rlmodel", "--bound", "three"]);
    assert!(unknown.code == 2 && unknown.err.contains("one, two"), "{}", unknown.err);
}

#[test]
fn completions_know_the_commands() {
    let folder = folder();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(folder.path(), &["completions", shell]);
        assert!(
            script.code == 0 && script.out.contains("rlppl") && script.out.contains("verify"),
            "{shell}: {}",
            script.err
        );
    }
}

#[test]
fn plan_says_how_each_term_is_estimated() {
    let folder = folder();
    let outcome = run(folder.path(), &["plan", "walk.rlmodel"]);
    assert!(
        outcome.code == 0 && outcome.out.contains("trajectories") && outcome.out.contains("32"),
        "{}{}",
        outcome.out,
        outcome.err
    );
}

// ── fmt ──────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn fmt_lays_out_in_place_and_keeps_comments() {
    let folder = folder();
    let path = folder.path().join("walk.rlmodel");
    let checked = run(folder.path(), &["fmt", "--check", "walk.rlmodel"]);
    assert!(checked.code == 1 && checked.out.contains("--- walk.rlmodel"), "{}", checked.out);
    assert_eq!(read(&path), WALK, "--check changes nothing");

    assert_eq!(run(folder.path(), &["fmt", "walk.rlmodel"]).code, 0);
    let laid_out = read(&path);
    assert!(laid_out.starts_with("# A walk along a line.\nmodel walk\n"), "{laid_out}");
    assert_eq!(run(folder.path(), &["fmt", "--check", "walk.rlmodel"]).code, 0);
    assert_eq!(run_with(folder.path(), &["fmt", "-"], WALK).out, laid_out);
}

#[test]
fn fmt_leaves_a_file_with_mistakes_and_formats_the_others() {
    let folder = folder();
    fs::write(folder.path().join("bad.rlmodel"), "model m  horizon = ").expect("written");
    let outcome = run(folder.path(), &["fmt", "bad.rlmodel", "walk.rlmodel"]);
    assert_eq!(
        (outcome.code, read(folder.path().join("bad.rlmodel"))),
        (1, "model m  horizon = ".to_owned())
    );
    assert_ne!(read(folder.path().join("walk.rlmodel")), WALK);
}

// ── exact ────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn exact_tells_the_evidence_and_the_best_bound() {
    let folder = folder();
    let outcome = run(folder.path(), &["exact", "walk.rlmodel", "--format", "json"]);
    let exact = json(&outcome.out);
    // 16 of 32 action sequences end each walk somewhere; the walk is deterministic, so the best
    // bound is the evidence.
    let evidence = exact["log_evidence"].as_f64().expect("a number");
    assert!((evidence - log_evidence_by_enumeration()).abs() < 1e-12, "{exact}");
    assert!((evidence - exact["best_bound"].as_f64().expect("a number")).abs() < 1e-12, "{exact}");
    assert!(exact.get("bound").is_none());
}

/// `log p(R̂)` of WALK, by all 2⁵ action sequences.
fn log_evidence_by_enumeration() -> f64 {
    let weight = |actions: u32| {
        let step = |(s, reward): (i64, i64), t: u32| {
            let next = (s + 2 * i64::from(actions >> t & 1) - 1).clamp(0, 4);
            (next, reward - i64::from(next != 4))
        };
        ((0..5).fold((0, 0), step).1 as f64).exp()
    };
    ((0..32).map(weight).sum::<f64>() / 32.0).ln()
}

#[test]
fn exact_finds_the_best_of_the_family_and_tells_the_gap_in_four_parts() {
    let folder = folder();
    let outcome = run(folder.path(), &["exact", "walk.rlmodel", "--optimise", "--format", "json"]);
    let family_bound = number(&json(&outcome.out)["family_bound"]);
    assert!(json(&outcome.out).get("bound").is_none(), "{}", outcome.out);

    success(&run(folder.path(), &["infer", "walk.rlmodel", "--out", "mine", "--quiet"]));
    let outcome = run(
        folder.path(),
        &["exact", "walk.rlmodel", "--policy", "mine", "--optimise", "--format", "json"],
    );
    let exact = json(&outcome.out);
    let part = |name: &str| number(&exact["gap"][name]);
    assert!((number(&exact["family_bound"]) - family_bound).abs() < 1e-9, "{exact}");
    // the walk is deterministic, its horizon is not the policy's to know, and there is no reverse
    // model
    assert!(
        part("dynamics").abs() < 1e-12 && part("family") > 1e-3 && part("auxiliary") == 0.0,
        "{exact}"
    );
    assert!(
        (part("family") - (number(&exact["best_bound"]) - family_bound)).abs() < 1e-9,
        "{exact}"
    );
    assert!(
        part("optimisation") > 0.0
            && (part("optimisation") - (family_bound - number(&exact["bound"]))).abs() < 1e-9,
        "{exact}"
    );

    let outcome = run(folder.path(), &["exact", "walk.rlmodel", "--policy", "mine", "--optimise"]);
    for part in ["dynamics", "family", "optimisation", "auxiliary"] {
        let line = outcome.out.lines().find(|line| {
            line.trim_start().starts_with(&format!("{part} ")) && line.starts_with(' ')
        });
        assert!(
            line.is_some_and(|line| line.contains("what ")),
            "{part} and its meaning: {}",
            outcome.out
        );
    }
}

fn number(value: &serde_json::Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is not a number"))
}

fn success(outcome: &Outcome) {
    assert_eq!(outcome.code, 0, "{}{}", outcome.out, outcome.err);
}

#[test]
fn a_file_may_claim_the_best_of_its_family() {
    let folder = folder();
    for (claim, code) in
        [("family_bound = -4.7755387 within 1e-6", 0), ("family_bound >= -4.77", 1)]
    {
        fs::write(folder.path().join("claims.rlmodel"), format!("{WALK}expect {{ {claim} }}"))
            .expect("written");
        let outcome = run(folder.path(), &["test", "claims.rlmodel"]);
        assert_eq!(outcome.code, code, "{}{}", outcome.out, outcome.err);
    }
}

fn model(name: &str) -> String {
    format!("{}/models/{name}.rlmodel", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn exact_takes_learned_models_of_the_world_and_says_whose_parameters_are_initial() {
    let folder = folder();
    let text = |arguments: &[&str]| {
        let outcome = run(folder.path(), arguments);
        assert_eq!(outcome.code, 0, "{}", outcome.err);
        outcome.out
    };
    for name in ["learning_from_model", "invented"] {
        let truth = text(&["exact", &model(name), "--bound", "truth"]);
        let dream = text(&["exact", &model(name), "--bound", "dream"]);
        let evidence = |out: &str| {
            out.lines().find(|line| line.starts_with("log evidence")).map(str::to_owned)
        };
        assert!(
            evidence(&truth).is_some() && evidence(&truth) == evidence(&dream),
            "the prior is the world: {truth}{dream}"
        );
        // the world of `invented` has no parameters
        assert_eq!(
            dream.contains("at the initial parameters of `world`"),
            name == "learning_from_model",
            "{dream}"
        );
        assert!(!truth.contains("initial"), "{truth}");
    }
    assert!(
        text(&["exact", &model("learning_from_model"), "--bound", "fit"])
            .contains("initial parameters of `pi`, `world`")
    );
    // taught by its own bound, the model is the world
    let fit = text(&[
        "exact",
        &model("learning_from_model"),
        "--bound",
        "fit",
        "--optimise",
        "--format",
        "json",
    ]);
    let fit: serde_json::Value = serde_json::from_str(&fit).unwrap();
    assert_eq!(fit["at_initial"], serde_json::json!(["pi"]), "{fit}");
    assert!(
        (fit["family_bound"].as_f64().unwrap() - fit["best_bound"].as_f64().unwrap()).abs() < 2.0,
        "{fit}"
    );
}

#[test]
fn a_run_tells_how_far_its_model_is_from_the_world_a_step() {
    let folder = folder();
    let path = model("model_learning");
    let arguments =
        ["infer", &path, "--quiet", "--out", "run", "--set", "infer.steps=60", "--format", "json"];
    let outcome = run(folder.path(), &arguments);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    let summary: serde_json::Value =
        serde_json::from_str(&read(folder.path().join("run/summary.json"))).unwrap();
    let per_step = summary["exact"]["kl_per_step"].as_f64().expect("a number");
    assert!(per_step > 0.0 && per_step < 1.0, "{per_step}");
    let told = run(folder.path(), &["exact", &path, "--policy", "run"]);
    assert!(
        told.code == 0 && told.out.contains(&format!("KL per step       {per_step:>20}")),
        "{}{}",
        told.out,
        told.err
    );
}

#[test]
fn verify_samples_the_estimators_of_each_bound_of_a_file() {
    let folder = folder();
    let path = model("learning_from_model");
    let arguments = ["verify", &path, "--tables", "1", "--set", "T=3", "--format", "json"];
    let outcome = run(folder.path(), &arguments);
    assert_eq!(outcome.code, 0, "{}{}", outcome.out, outcome.err);
    let told: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
    let estimators = told["sampled"]["estimators"].as_array().expect("a list");
    let of = |bound: &str| estimators.iter().filter(|one| one["bound"] == bound).count();
    assert_eq!((of("fit"), of("dream"), of("truth")), (1, 3, 0), "{told}");
    let looks = |one: &serde_json::Value| one["looks"].as_array().expect("a list").len();
    assert!(
        estimators
            .iter()
            .all(|one| one["judged"] == true && one["holds"] == true && looks(one) == 3),
        "{told}"
    );
    assert_eq!(told["conclusion"], "all steps hold", "{told}");
}

/// What cannot be judged is named with its reason, and then not all is said to hold.
#[test]
fn verify_says_what_it_did_not_judge() {
    let folder = folder();
    let path = model("imagining");
    let verify = ["verify", &path, "--tables", "1", "--bound", "play"];
    let text = run(folder.path(), &verify);
    assert_eq!(text.code, 0, "what is not judged is no failure: {}{}", text.out, text.err);
    assert!(text.out.contains("not judged: `pi` imagines before it draws"), "{}", text.out);
    let last = text.out.lines().last().expect("a line");
    assert!(
        last.starts_with("what was judged holds; ")
            && last.ends_with(" estimators were not judged"),
        "{last}"
    );
    let told: serde_json::Value = serde_json::from_str(
        &run(folder.path(), &[&verify[..], &["--format", "json"]].concat()).out,
    )
    .unwrap();
    let estimators = told["sampled"]["estimators"].as_array().expect("a list");
    assert!(
        !estimators.is_empty()
            && estimators.iter().all(|one| one["judged"] == false && one["not_judged"].is_string()),
        "{told}"
    );
    assert!(
        told["conclusion"].as_str().expect("a sentence") == last && told["holds"] == true,
        "{told}"
    );
}

/// A policy that reads a whole sequence has no table, and no oracle its gradient: its trajectories
/// can be listed all the same, and its estimators are held against draws credited with every term.
#[test]
fn verify_lists_the_trajectories_of_policies_that_read_sequences() {
    let folder = folder();
    let path = model("empowerment");
    let text = run(folder.path(), &["verify", &path, "--tables", "1"]);
    let says = "not sampled: `source` conditions on the sequence `past`: it has no table";
    assert!(text.code == 0 && text.out.contains(says), "{}{}", text.out, text.err);
    let exactly = "trajectories at T = 2, beside every term credited to each draw\n";
    assert!(text.out.contains(exactly), "{}", text.out);
    let told: serde_json::Value = serde_json::from_str(
        &run(folder.path(), &["verify", &path, "--tables", "1", "--format", "json"]).out,
    )
    .unwrap();
    let estimators = told["sampled"]["estimators"].as_array().expect("a list");
    for one in estimators.iter().filter(|one| one["claims_unbiased"] == true) {
        let listed = one["listed"].as_array().expect("a list");
        assert_eq!(listed.len(), 3, "{one}");
        assert!(
            listed.iter().all(|look| {
                look["against"] == "every term credited" && look["is_rounding"] == true
            }),
            "{one}"
        );
    }
}

/// A world with real states has no list of trajectories, and a kernel may have too many
/// probabilities for one: neither is a failure.
#[test]
fn verify_says_that_it_judged_nothing() {
    let folder = folder();
    let path = model("cartpole");
    let outcome = run(folder.path(), &["verify", &path]);
    assert_eq!(outcome.code, 0, "{}{}", outcome.out, outcome.err);
    assert!(
        outcome.out.starts_with("cartpole: the derivation is not judged: `s.x` is a real number"),
        "{}",
        outcome.out
    );
    assert!(outcome.out.ends_with("\nnothing was judged\n"), "{}", outcome.out);
    let told: serde_json::Value =
        serde_json::from_str(&run(folder.path(), &["verify", &path, "--format", "json"]).out)
            .unwrap();
    assert!(
        told["conclusion"] == "nothing was judged" && told["bounds"][0]["not_judged"].is_string(),
        "{told}"
    );

    let large = WALK
        .replace("s : 0..4", "s : 0..4000")
        .replace("kernel pi", "kernel even(a | s, other: s) = Uniform\nkernel pi");
    assert!(large.contains("0..4000"), "{large}");
    fs::write(folder.path().join("large.rlmodel"), large).expect("written");
    let outcome = run(folder.path(), &["verify", "large.rlmodel", "--set", "T=1"]);
    let says = "the kernel `even` has 2 outcomes in each of 16008001 cases, and at most 4194304 \
                probabilities are written down";
    assert!(outcome.code == 0 && outcome.out.contains(says), "{}{}", outcome.out, outcome.err);
}

/// What a best bound keeps beside policies is named.
#[test]
fn exact_names_what_the_best_bound_keeps() {
    let folder = folder();
    let smoothed = run(folder.path(), &["exact", &model("smoothing")]);
    assert!(
        smoothed
            .out
            .contains("of any policy that may depend on t, with `first` and `next` as they are\n"),
        "{}",
        smoothed.out
    );
    let walk = run(folder.path(), &["exact", "walk.rlmodel"]);
    assert!(walk.out.contains("of any policy that may depend on t\n"), "{}", walk.out);
}

/// Of what `infer` makes of a batch only the first gradient is a mean over trajectories: the rest
/// is listed, and what biases by design is measured.
#[test]
fn verify_judges_the_estimator_that_the_file_asks_for() {
    let folder = folder();
    let settings = ["lambda=0.5", "kl_to_go=false", "epochs=3", "baseline=table(s)"]
        .map(|setting| format!("infer.{setting}"));
    let sets = settings.iter().flat_map(|setting| ["--set", setting]);
    let arguments: Vec<&str> =
        ["verify", "walk.rlmodel", "--format", "json"].into_iter().chain(sets).collect();
    let outcome = run(folder.path(), &arguments);
    assert_eq!(outcome.code, 0, "{}{}", outcome.out, outcome.err);
    let told: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
    let own: Vec<&serde_json::Value> = told["sampled"]["estimators"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|one| one["of_the_file"] == true)
        .collect();
    let names: Vec<&str> = own.iter().map(|one| one["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["baseline = a network, lambda = 0.5, kl_to_go = false", "epochs = 3"]);
    let sees_bias =
        |look: &serde_json::Value| look["largest_z"].as_f64() > look["threshold"].as_f64();
    assert!(
        own[0]["claims_unbiased"] == false
            && own[0]["looks"].as_array().expect("a list").iter().any(sees_bias),
        "{told}"
    );
    assert!(own[1]["judged"] == false, "{told}");
    assert_eq!(told["conclusion"], "what was judged holds; 1 estimator was not judged");
}

#[test]
fn verify_names_the_kernel_whose_probabilities_are_no_numbers() {
    let folder = folder();
    fs::write(
        folder.path().join("nan.rlmodel"),
        WALK.replace("table(s)", "log(1 - abs(4 * mlp(s - s, hidden = [4])))"),
    )
    .expect("written");
    let outcome = run(folder.path(), &["verify", "nan.rlmodel"]);
    assert!(outcome.code == 1 && outcome.out.is_empty(), "{}{}", outcome.out, outcome.err);
    assert!(outcome.err.contains("`pi`") && outcome.err.contains("s = 0"), "{}", outcome.err);
}

/// Rewards of half a billion leave rounding behind, which is no bias.
#[test]
fn verify_measures_rounding_by_the_size_of_rewards() {
    let folder = folder();
    let outcome = run(
        folder.path(),
        &["verify", &model("trpo_frozenlake"), "--set", "alpha=exp(20)", "--set", "T=4"],
    );
    assert!(
        outcome.code == 0 && outcome.out.ends_with("all steps hold\n"),
        "{}{}",
        outcome.out,
        outcome.err
    );
}

#[test]
fn exact_names_the_variable_that_makes_a_model_continuous() {
    let folder = folder();
    let continuous = WALK
        .replace("state s : 0..4", "state s : real")
        .replace("table(s)", "linear(s)")
        .replace("clamp(s[t] + 2 * a[t] - 1, 0, 4)", "s[t] + 2 * a[t] - 1");
    fs::write(folder.path().join("real.rlmodel"), continuous).expect("written");
    let outcome = run(folder.path(), &["exact", "real.rlmodel"]);
    assert!(outcome.code == 1 && outcome.err.contains("`s`"), "{}{}", outcome.out, outcome.err);
}

// ── infer, eval, test ────────────────────────────────────────────────────────────────────────────

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
const EQUAL: [&str; 5] = [
    "checkpoint.safetensors",
    "manifest.json",
    "metrics.jsonl",
    "model.rlmodel",
    "parameters.safetensors",
];

fn assert_equal_runs(one: &Path, other: &Path) {
    assert_equal_files(&EQUAL, one, other);
}

#[test]
fn infer_leaves_a_folder_that_runs_again_to_the_same_files() {
    let folder = folder();
    let outcome = infer(
        folder.path(),
        &[
            "walk.rlmodel",
            "--seed",
            "3",
            "--set",
            "alpha=2",
            "--set",
            "infer.steps=10",
            "--threads",
            "1",
        ],
    );
    let first = folder.path().join("runs/walk-3");
    assert!(
        outcome.out.contains("runs/walk-3") && outcome.err.contains("step"),
        "{}{}",
        outcome.out,
        outcome.err
    );
    assert_eq!(names(&first), FILES);
    let model = read(first.join("model.rlmodel"));
    assert!(
        model.contains("alpha = 2 in")
            && model.contains("steps = 10;")
            && model.contains("seed = 3"),
        "{model}"
    );
    assert_eq!(read(first.join("metrics.jsonl")).lines().count(), 10);

    infer(folder.path(), &["runs/walk-3/model.rlmodel", "--threads", "2", "--quiet"]);
    assert_equal_runs(&first, &folder.path().join("runs/walk-3-2"));

    let summary = json(&read(first.join("summary.json")));
    for name in
        ["bound", "bound_se", "expected_return", "return_se", "env_steps", "wall_seconds", "seed"]
    {
        assert!(summary[name].is_number(), "{name}: {summary}");
    }
    for name in ["log_evidence", "best_bound", "bound", "expected_return", "kl"] {
        assert!(summary["exact"][name].is_number(), "{name}: {summary}");
    }
    assert!(
        summary["exact"]["gap"]["dynamics"].is_number() && summary["version"].is_string(),
        "{summary}"
    );
}

#[test]
fn another_seed_is_another_run() {
    let folder = folder();
    infer(folder.path(), &["walk.rlmodel", "--seed", "1", "--quiet"]);
    infer(folder.path(), &["walk.rlmodel", "--seed", "2", "--quiet"]);
    let metrics = |seed: u64| read(folder.path().join(format!("runs/walk-{seed}/metrics.jsonl")));
    assert_ne!(metrics(1), metrics(2));
}

#[test]
fn an_occupied_folder_is_refused_unless_it_may_be_overwritten() {
    let folder = folder();
    let quiet = ["walk.rlmodel", "--out", "mine", "--quiet"];
    assert_eq!(infer(folder.path(), &quiet).err, "");
    let refused = run(folder.path(), &[&["infer"], &quiet[..]].concat());
    assert!(refused.code == 2 && refused.err.contains("--overwrite"), "{}", refused.err);
    infer(folder.path(), &[&quiet[..], &["--overwrite"]].concat());

    fs::write(folder.path().join("mine/thesis.tex"), "").expect("written");
    assert_eq!(run(folder.path(), &[&["infer"], &quiet[..], &["--overwrite"]].concat()).code, 2);
    assert!(folder.path().join("mine/thesis.tex").exists());
}

#[test]
fn a_run_that_goes_on_comes_to_the_same_bits() {
    let folder = folder();
    infer(
        folder.path(),
        &[
            "walk.rlmodel",
            "--out",
            "whole",
            "--set",
            "infer.steps=30",
            "--set",
            "infer.log_every=1",
            "--quiet",
        ],
    );
    infer(
        folder.path(),
        &[
            "walk.rlmodel",
            "--out",
            "parts",
            "--set",
            "infer.steps=12",
            "--set",
            "infer.log_every=1",
            "--quiet",
        ],
    );
    infer(folder.path(), &["--resume", "parts", "--set", "infer.steps=30", "--quiet"]);
    assert_equal_runs(&folder.path().join("whole"), &folder.path().join("parts"));

    let refused = run(folder.path(), &["infer", "--resume", "parts", "--set", "alpha=3"]);
    assert!(refused.code == 2 && refused.err.contains("alpha"), "{}", refused.err);
}

/// A run whose last bound is imagined: real steps are counted apart, before and after a resumption;
/// `eval` says what it tells of which bound.
#[test]
fn an_imagined_bound_is_told_as_such() {
    let folder = folder();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/two_ways.rlmodel");
    fs::copy(source, folder.path().join("two_ways.rlmodel")).expect("copied");
    let steps = |n: &str| {
        [
            "--set".to_owned(),
            format!("infer.steps={n}"),
            "--set".to_owned(),
            "infer.log_every=1".to_owned(),
        ]
    };
    let few = steps("3");
    let few: Vec<&str> = few.iter().map(String::as_str).collect();
    let told = infer(folder.path(), &[&["two_ways.rlmodel", "--out", "run"], &few[..]].concat());
    assert!(
        told.out.contains("estimated from imagined trajectories")
            && told.out.contains("up to the entropy"),
        "{}",
        told.out
    );
    infer(folder.path(), &["--resume", "run", "--set", "infer.steps=6", "--quiet"]);
    let timings = read(folder.path().join("run/timings.jsonl"));
    assert_eq!(timings.lines().count(), 6);
    for line in timings.lines() {
        let rate = json(line)["env_steps_per_second"].as_f64().expect("a number");
        assert!((1.0..1e9).contains(&rate), "{line}");
    }
    let eval = |bound: &str| {
        run(folder.path(), &["eval", "run", "--bound", bound, "--episodes", "20"]).out
    };
    let (dream, fit) = (eval("dream"), eval("fit"));
    assert!(
        dream.contains("bound `dream`")
            && dream.contains("20 imagined episodes")
            && !dream.contains("up to"),
        "{dream}"
    );
    assert!(
        fit.contains("bound `fit`")
            && fit
                .contains("nats up to the entropy of the environment, estimated from trajectories"),
        "{fit}"
    );
}

/// Of a file of which one bound cannot be listed, another still can.
#[test]
fn verify_takes_one_bound_of_a_file() {
    let folder = folder();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/predicted.rlmodel");
    fs::copy(source, folder.path().join("m.rlmodel")).expect("copied");
    let all = run(folder.path(), &["verify", "m.rlmodel"]);
    assert!(
        all.code == 0
            && all.out.contains(
                "fit of predicted: the derivation is not judged: the reward `r` is drawn"
            ),
        "{}{}",
        all.out,
        all.err
    );
    assert!(
        all.out.contains("what was judged holds; 2 derivations were not judged, and "),
        "{}",
        all.out
    );
    let one = run(folder.path(), &["verify", "m.rlmodel", "--bound", "truth", "--set", "T=3"]);
    assert!(
        one.code == 0
            && one.out.contains("truth of predicted")
            && one.out.contains("all steps hold"),
        "{}{}",
        one.out,
        one.err
    );
    let none = run(folder.path(), &["verify", "m.rlmodel", "--bound", "truht"]);
    assert!(none.code == 2 && none.err.contains("fit, dream, truth"), "{} {}", none.code, none.err);
}

/// Over a real state no list shows that a claim is wrong; the episodes that are sampled do.
#[test]
fn a_reward_outside_its_claim_is_told() {
    let folder = folder();
    let text = |claim: &str| {
        format!(
            "model m
             horizon T = 5
             environment line {{
               state s : real; action a : {{ left, right }}; reward r in {claim}
               s[1] ~ Normal(mean = 0, sd = 1); s[t+1] ~ Normal(mean = s[t], sd = 0.1); r[t] = \
               -s[t]^2
             }}
             kernel pi(a | s) = Categorical(logits = linear(s))
             prior      {{ s[1] ~ line.initial; a[t] ~ Uniform; s[t+1] ~ line.transition(s[t], \
             a[t]) }}
             likelihood {{ R[t] ~ exp(r[t]) }}
             posterior  {{ s[1] ~ line.initial; a[t] ~ pi(s[t]); s[t+1] ~ line.transition(s[t], \
             a[t]) }}
             infer      {{ steps = 2 }}"
        )
    };
    fs::write(folder.path().join("m.rlmodel"), text("[-1, 0]")).expect("written");
    let told = infer(folder.path(), &["m.rlmodel", "--out", "run", "--quiet"]);
    assert!(
        told.err.contains("the reward `r` came to -") && told.err.contains("[-1, 0]"),
        "{}",
        told.err
    );
    let eval = run(folder.path(), &["eval", "run"]);
    assert!(eval.code == 0 && eval.err.contains("the reward `r` came to -"), "{}", eval.err);
    fs::write(folder.path().join("m.rlmodel"), text("[-100, 0]")).expect("written");
    let told = infer(folder.path(), &["m.rlmodel", "--out", "other", "--quiet"]);
    assert!(!told.err.contains("came to"), "{}", told.err);
}

/// What is wrong in the parentheses of a bound is a mistake as anywhere else.
#[test]
fn check_reads_the_settings_of_single_bounds() {
    let folder = folder();
    let source = read(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/world_pendulum.rlmodel"));
    for (from, to, wanted) in [
        ("estimator = pathwise", "estimater = pathwise", "estimater"),
        ("estimator = pathwise", "estimator = pathwize", "pathwize"),
        ("trajectories = 64", "trajectories = 0", "trajectories"),
        (
            "= s + mlp(cos(s.θ)",
            "= s + mlp(floor(s.θ)",
            "no gradient passes through `world`: what its network reads has `floor`",
        ),
    ] {
        fs::write(folder.path().join("m.rlmodel"), source.replace(from, to)).expect("written");
        let told = run(folder.path(), &["check", "m.rlmodel"]);
        assert!(
            told.code == 1 && told.err.contains(wanted),
            "{to}: {} {}{}",
            told.code,
            told.out,
            told.err
        );
    }
}

#[test]
fn a_schedule_is_kept_with_the_run_and_ends_where_the_model_is_meant() {
    let folder = folder();
    let set = ["--set", "alpha = ramp(from = 0.5, to = 2)", "--quiet"];
    infer(folder.path(), &[&["walk.rlmodel", "--out", "first"], &set[..]].concat());
    assert!(
        read(folder.path().join("first/model.rlmodel"))
            .contains("param alpha = ramp(from = 0.5, to = 2) in [0, 10]")
    );
    infer(folder.path(), &["first/model.rlmodel", "--out", "second", "--quiet"]);
    assert_equal_runs(&folder.path().join("first"), &folder.path().join("second"));

    let exact = |set: &str| {
        json(&run(folder.path(), &["exact", "walk.rlmodel", "--set", set, "--format", "json"]).out)
    };
    let summary = json(&read(folder.path().join("first/summary.json")));
    assert_eq!(summary["exact"]["log_evidence"], exact("alpha=2")["log_evidence"]);
    assert_eq!(exact("alpha = ramp(from = 0.5, to = 2)"), exact("alpha=2"));
    let plan =
        run(folder.path(), &["plan", "walk.rlmodel", "--set", "alpha = ramp(from = 0.5, to = 2)"]);
    assert!(
        plan.out.contains("exact numbers and the evaluation at the end are those of alpha = 2"),
        "{}{}",
        plan.out,
        plan.err
    );
}

#[test]
fn a_run_says_why_it_stopped() {
    let folder = folder();
    let early = infer(
        folder.path(),
        &["walk.rlmodel", "--out", "early", "--set", "infer.until = entropy <= 1", "--quiet"],
    );
    let stopped = |run: &str| {
        let summary = json(&read(folder.path().join(run).join("summary.json")));
        (summary["stopped"].as_str().expect("a word").to_owned(), summary["steps"].as_u64())
    };
    // 4 batches of 32 are the first to hold 100 trajectories
    assert_eq!(stopped("early"), ("until".to_owned(), Some(4)));
    assert!(early.out.starts_with("walk, seed 0: 4 steps (until its threshold)"), "{}", early.out);
    infer(
        folder.path(),
        &["walk.rlmodel", "--out", "whole", "--set", "infer.until = entropy <= 0", "--quiet"],
    );
    assert_eq!(stopped("whole"), ("steps".to_owned(), Some(20)));
}

#[test]
fn a_damaged_checkpoint_is_told_and_left_alone() {
    let folder = folder();
    infer(folder.path(), &["walk.rlmodel", "--out", "mine", "--quiet"]);
    fs::write(folder.path().join("mine/checkpoint.safetensors"), "nonsense").expect("written");
    let outcome = run(folder.path(), &["infer", "--resume", "mine", "--quiet"]);
    assert!(outcome.code == 1 && outcome.err.contains("checkpoint.safetensors"), "{}", outcome.err);
    fs::write(folder.path().join("mine/parameters.safetensors"), "nonsense").expect("written");
    let outcome = run(folder.path(), &["eval", "mine"]);
    assert!(outcome.code == 1 && outcome.err.contains("parameters.safetensors"), "{}", outcome.err);
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_a_checkpoint() {
    let folder = folder();
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_rlppl"));
    program.current_dir(folder.path()).args([
        "infer",
        "walk.rlmodel",
        "--out",
        "mine",
        "--set",
        "infer.steps=100000000",
    ]);
    let child = program
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the program starts");
    let started: PathBuf = folder.path().join("mine/model.rlmodel");
    while !started.exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    let signalled = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .expect("kill");
    assert!(signalled.success());
    let output = child.wait_with_output().expect("it ends");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{told}");
    assert!(told.contains("rlppl infer --resume mine"), "{told}");
    let left = names(&folder.path().join("mine"));
    assert!(
        left.contains(&"checkpoint.safetensors".to_owned())
            && left.iter().all(|name| FILES.contains(&name.as_str())),
        "{left:?}"
    );
}

#[test]
fn several_seeds_have_a_folder_each_and_a_table() {
    let folder = folder();
    let outcome = infer(folder.path(), &["walk.rlmodel", "--seeds", "1..3", "--quiet"]);
    assert_eq!(outcome.err, "");
    infer(folder.path(), &["walk.rlmodel", "--seed", "2", "--out", "alone", "--quiet"]);
    assert_equal_runs(&folder.path().join("runs/walk-2"), &folder.path().join("alone"));

    let table: Vec<Vec<&str>> = outcome
        .out
        .lines()
        .skip(1)
        .map(|line| line.split("  ").filter(|cell| !cell.is_empty()).collect())
        .collect();
    assert_eq!(outcome.out.lines().next(), Some("walk: 3 of 3 seeds done; bounds in nats"));
    let names: Vec<&str> = table.iter().map(|row| row[0].trim()).collect();
    assert_eq!(names, ["seed", "1", "2", "3", "median", "min", "max"], "{}", outcome.out);
    let exact = |seed: u64| -> f64 {
        let summary = json(&read(folder.path().join(format!("runs/walk-{seed}/summary.json"))));
        summary["exact"]["bound"].as_f64().expect("a number")
    };
    let mut sorted = [1, 2, 3].map(exact);
    sorted.sort_by(f64::total_cmp);
    let column: Vec<&str> = table.iter().map(|row| row[3].trim()).collect();
    assert_eq!(
        column[4..],
        [sorted[1], sorted[0], sorted[2]].map(|bound| format!("{bound:.4}")),
        "{}",
        outcome.out
    );
    assert!(sorted[0] < sorted[2], "the seeds came to different ends");
}

#[test]
fn several_seeds_as_json_hold_every_run() {
    let folder = folder();
    let told = json(
        &infer(
            folder.path(),
            &["walk.rlmodel", "--seeds", "7,4", "--out", "mine", "--quiet", "--format", "json"],
        )
        .out,
    );
    let runs = told["runs"].as_array().expect("a list");
    assert_eq!(
        runs.iter().map(|run| (run["seed"].as_u64(), run["folder"].as_str())).collect::<Vec<_>>(),
        [(Some(7), Some("mine/7")), (Some(4), Some("mine/4"))]
    );
    assert_eq!(
        (&told["failed"], &told["not_done"]),
        (&serde_json::json!([]), &serde_json::json!([]))
    );
    let bound = |of: &serde_json::Value| of["bound"].as_f64().expect("a number");
    assert_eq!(bound(&told["median"]), (bound(&runs[0]) + bound(&runs[1])) / 2.0);
    assert_eq!(bound(&told["min"]), bound(&runs[0]).min(bound(&runs[1])));
    assert!(
        told["max"]["exact_bound"].is_number() && told["max"]["wall_seconds"].is_number(),
        "{told}"
    );
}

#[test]
fn seeds_that_cannot_be_are_refused_before_anything_runs() {
    let folder = folder();
    for (arguments, told) in [
        (&["--seeds", "1..3", "--seed", "1"][..], "cannot be used with"),
        (&["--seeds", "3..1"], "`3..1` is empty"),
        (&["--seeds", ""], "is not a seed"),
        (&["--seeds", "1,1"], "named twice"),
    ] {
        let refused = run(folder.path(), &[&["infer", "walk.rlmodel"], arguments].concat());
        assert!(refused.code == 2 && refused.err.contains(told), "{arguments:?}: {}", refused.err);
    }
    infer(folder.path(), &["walk.rlmodel", "--out", "mine/2", "--quiet"]);
    let refused = run(
        folder.path(),
        &["infer", "walk.rlmodel", "--seeds", "1..2", "--out", "mine", "--quiet"],
    );
    assert!(refused.code == 2 && refused.err.contains("`mine/2` is not empty"), "{}", refused.err);
    assert_eq!(names(&folder.path().join("mine")), ["2"]);
    infer(
        folder.path(),
        &["walk.rlmodel", "--seeds", "1..2", "--out", "mine", "--quiet", "--overwrite"],
    );
}

/// One start in 741 lies below 0, where the reward is no number.
#[test]
fn a_seed_that_fails_does_not_hide_the_others() {
    let folder = folder();
    let text = WALK
        .replace("state s : 0..4", "state s : real")
        .replace("s[1] ~ Delta(0)", "s[1] ~ Normal(mean = 3, sd = 1)")
        .replace("clamp(s[t] + 2 * a[t] - 1, 0, 4)", "s[t]")
        .replace("reward r in [-1, 0]", "reward r")
        .replace("if s[t+1] == 4 then 0 else -1", "-sqrt(s[t])")
        .replace("table(s)", "linear(s)");
    fs::write(folder.path().join("rare.rlmodel"), text).expect("written");
    let outcome = run(
        folder.path(),
        &["infer", "rare.rlmodel", "--seeds", "1..8", "--quiet", "--format", "json"],
    );
    let told = json(&outcome.out);
    let (runs, failed) =
        (told["runs"].as_array().expect("a list"), told["failed"].as_array().expect("a list"));
    assert!(
        outcome.code == 3
            && !runs.is_empty()
            && !failed.is_empty()
            && runs.len() + failed.len() == 8,
        "{}",
        outcome.out
    );
    let seed = failed[0]["seed"].as_u64().expect("a number");
    assert!(
        outcome.err.contains(&format!("seed {seed}: step"))
            && outcome.err.contains("the reward `r` is NaN at t = "),
        "{}",
        outcome.err
    );
    // a row for each seed, in their order, whatever became of it
    let table = run(folder.path(), &["infer", "rare.rlmodel", "--seeds", "8,1..7", "--quiet"]).out;
    let seeds: Vec<&str> =
        table.lines().skip(2).take(8).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(seeds, ["8", "1", "2", "3", "4", "5", "6", "7"], "{table}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_all_seeds() {
    let folder = folder();
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_rlppl"));
    program.current_dir(folder.path()).args([
        "infer",
        "walk.rlmodel",
        "--seeds",
        "1..3",
        "--set",
        "infer.steps=100000000",
        "--quiet",
    ]);
    let child = program
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the program starts");
    while !folder.path().join("runs/walk-1/model.rlmodel").exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let signalled = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .expect("kill");
    assert!(signalled.success());
    let output = child.wait_with_output().expect("it ends");
    let (out, told) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(130), "{told}");
    assert!(
        told.contains("rlppl infer --resume runs/walk-1")
            && told.contains("seed 2 and those after it"),
        "{told}"
    );
    assert!(
        told.contains(
            "`rlppl infer walk.rlmodel --set infer.steps=100000000 --seeds 1..3 \
                           --resume` goes on with all"
        ),
        "{told}"
    );
    assert!(out.starts_with("walk: 0 of 3 seeds done"), "{out}");
    assert_eq!(names(&folder.path().join("runs")), ["walk-1"]);
}

#[test]
fn eval_rolls_the_trained_policy_out() {
    let folder = folder();
    infer(folder.path(), &["walk.rlmodel", "--out", "mine", "--set", "infer.steps=200", "--quiet"]);
    let outcome = run(folder.path(), &["eval", "mine", "--episodes", "200", "--format", "json"]);
    let sampled = json(&outcome.out);
    assert_eq!(
        (outcome.code, sampled["episodes"].as_u64(), sampled["env_steps"].as_u64()),
        (0, Some(200), Some(1000)),
        "{sampled}"
    );
    let (bound, se) = (
        sampled["bound"].as_f64().expect("a number"),
        sampled["bound_se"].as_f64().expect("a number"),
    );
    assert!(
        (bound - sampled["exact"]["bound"].as_f64().expect("a number")).abs() < 4.0 * se + 1e-12,
        "{sampled}"
    );

    let greedy = json(
        &run(folder.path(), &["eval", "mine", "--greedy", "--episodes", "10", "--format", "json"])
            .out,
    );
    assert_eq!(greedy["expected_return"].as_f64(), Some(-3.0), "{greedy}");
    let again = run(folder.path(), &["eval", "mine", "--episodes", "200", "--format", "json"]);
    assert_eq!(json(&again.out), sampled, "the same seed, the same numbers");
}

#[test]
fn drawn_weights_and_a_gain_are_trained_evaluated_and_in_no_table() {
    let folder = folder();
    let bayesian = WALK
        .replace(
            "prior {",
            "kernel world(s' | s, a) = Categorical(logits = table(s, a))\n\nprior { \
             weights(world) ~ Normal(mean = 0, sd = 1);",
        )
        .replacen("s[t+1] ~ line.transition", "s[t+1] ~ world", 1)
        .replace(
            "exp(alpha * r[t])",
            "exp(alpha * r[t] + gain(world, s[t], a[t], s[t+1], at_most \
                                       = 1) - 1)",
        )
        .replace("posterior {", "posterior { weights(world) ~ Normal;")
        .replace(
            "Delta(clamp(s[t] + 2 * a[t] - 1, 0, 4))",
            "Mixture(0.9: Delta(clamp(s[t] + 2 * a[t] - 1, 0, 4)), 0.1: Delta(s[t]))",
        );
    fs::write(folder.path().join("walk.rlmodel"), bayesian).expect("written");
    let outcome = run(folder.path(), &["exact", "walk.rlmodel"]);
    assert!(
        outcome.code != 0 && outcome.err.contains("depends on the run"),
        "{}{}",
        outcome.out,
        outcome.err
    );
    let outcome = run(folder.path(), &["verify", "walk.rlmodel"]);
    assert!(
        outcome.code == 0 && outcome.out.contains("depends on the run"),
        "{}{}",
        outcome.out,
        outcome.err
    );
    infer(
        folder.path(),
        &[
            "walk.rlmodel",
            "--out",
            "whole",
            "--quiet",
            "--set",
            "infer.trajectories=8",
            "--threads",
            "2",
        ],
    );
    infer(
        folder.path(),
        &[
            "walk.rlmodel",
            "--out",
            "again",
            "--quiet",
            "--set",
            "infer.trajectories=8",
            "--threads",
            "1",
        ],
    );
    assert_equal_runs(&folder.path().join("whole"), &folder.path().join("again"));
    let parameters = fs::read(folder.path().join("whole/parameters.safetensors")).expect("written");
    let header = String::from_utf8_lossy(&parameters);
    for name in ["\"world.logits.0.table\"", "\"world.logits.0.table.log_sd\""] {
        assert!(header.contains(name), "no {name}");
    }
    let outcome = run(folder.path(), &["eval", "whole", "--episodes", "64", "--format", "json"]);
    let sampled = json(&outcome.out);
    assert!(
        outcome.code == 0 && sampled["bound"].as_f64().is_some_and(f64::is_finite),
        "{}{}",
        outcome.out,
        outcome.err
    );
}

/// Two options that are kept with probability 0.6, in a room of two rows with a wall.
const OPTIONS: &str = "model rooms
horizon T = 4
environment room {
  state s : { y: 0..1, x: 0..2 } where not (y == 1 and x == 1)
  action a : { left, right }
  s[1]   ~ Delta({ y: 0, x: 0 })
  s[t+1] ~ Delta(if s[t].y == 0 then { y: 0, x: clamp(s[t].x + 2 * a[t] - 1, 0, 2) } else s[t])
}
option o : 2
kernel pick(o | s, last: o?) = Sticky(last, keep = 0.6, fresh = Categorical(logits = table(s)))
kernel pi(a | s, o) = Categorical(logits = table(s, o))
prior { s[1] ~ room.initial; o[t] ~ pick(s[t], o[t-1]); a[t] ~ Uniform; s[t+1] ~ \
room.transition(s[t], a[t]) }
likelihood { H[T] ~ exp(s[T+1].x - 2) }
posterior { s[1] ~ room.initial; o[t] ~ pick(s[t], o[t-1]); a[t] ~ pi(s[t], o[t]); s[t+1] ~ \
room.transition(s[t], a[t]) }
infer { trajectories = 32; steps = 1; optimizer = adam(rate = 0) }
";

#[test]
fn options_are_told_by_tables_and_maps() {
    let folder = folder();
    fs::write(folder.path().join("rooms.rlmodel"), OPTIONS).expect("written");
    success(&run(folder.path(), &["infer", "rooms.rlmodel", "--out", "mine", "--quiet"]));
    let told = json(
        &run(folder.path(), &["eval", "mine", "--episodes", "2000", "--maps", "--format", "json"])
            .out,
    );
    let (sampled, exact) = (&told["options"][0], &told["options"][0]["exact"]);
    // uniform kernels: an option ends with probability 0.4 / 2, 1 + 3 · 0.2 segments in 4 steps
    for (option, within) in [(exact, 1e-12), (sampled, 0.1)] {
        assert!((number(&option["duration"]) - 4.0 / 1.6).abs() < within, "{told}");
        for value in option["values"].as_array().expect("a list") {
            assert!(
                (number(&value["usage"]) - 0.5).abs() < within
                    && (number(&value["ends"]) - 0.2).abs() < within,
                "{told}"
            );
        }
    }
    assert!(
        number(&exact["action_information"]).abs() < 1e-12
            && sampled.get("action_information").is_none(),
        "{told}"
    );
    let maps = &sampled["maps"];
    assert!(
        maps["exact"] == true && maps["held_most"].as_array().expect("rows").len() == 2,
        "{told}"
    );
    assert_eq!(maps["values"][1]["ends"], serde_json::json!(["222", " # "]), "{told}");

    let text = run(folder.path(), &["eval", "mine", "--maps"]).out;
    for part in [
        "option o             usage   duration     ends  exact",
        "I(o; a | s)",
        "maps of o, exact: held most",
        "o = 0   ends   o = 1   ends",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let exactly = json(
        &run(folder.path(), &["exact", "rooms.rlmodel", "--policy", "mine", "--format", "json"])
            .out,
    );
    assert_eq!(exactly["options"][0], *exact);

    infer(folder.path(), &["walk.rlmodel", "--out", "none", "--quiet"]);
    let refused = run(folder.path(), &["eval", "none", "--maps"]);
    assert!(
        refused.code == 1 && refused.err.contains("this model has none: leave it out"),
        "{}",
        refused.err
    );
}

/// Two options along the walk, with `back` for a reverse model.
fn walk_with_options(back: &str, reads: &str) -> String {
    WALK.replace(
        "kernel pi(a | s) = Categorical(logits = table(s))",
        &format!(
            "option o : 2
kernel pick(o | s, last: o?) = Sticky(last, keep = 0.6, fresh = Categorical(logits = table(s)))
kernel pi(a | s, o) = Categorical(logits = table(s, o))
kernel {back}"
        ),
    )
    .replace("a[t] ~ pi(s[t]);", "o[t] ~ pick(s[t], o[t-1]); a[t] ~ pi(s[t], o[t]);")
    .replace("\ninfer", &format!("\nauxiliary {{ o[t] ~ back({reads}) }}\n\ninfer"))
    .replace("steps = 20", "steps = 2")
}

#[test]
fn a_reverse_model_without_a_table_is_named_where_exact_numbers_would_be() {
    let folder = folder();
    let back = "back(o | last: o?, ahead: a[..]) = Categorical(logits = mlp(last, gru(ahead, \
                hidden = 4), hidden = [4]))";
    fs::write(folder.path().join("ahead.rlmodel"), walk_with_options(back, "o[t-1], a[t..]"))
        .expect("written");
    let why = "`back` conditions on the sequence `ahead`: it has no table";
    let trained = run(folder.path(), &["infer", "ahead.rlmodel", "--out", "mine", "--quiet"]);
    assert!(
        trained.out.contains(&format!("exact numbers                     –  {why}\n")),
        "{}",
        trained.out
    );
    let seeds = run(
        folder.path(),
        &["infer", "ahead.rlmodel", "--out", "seeds", "--seeds", "1..2", "--quiet"],
    );
    assert!(seeds.out.ends_with(&format!("\nno exact bounds: {why}\n")), "{}", seeds.out);
    let eval = run(folder.path(), &["eval", "mine"]);
    assert!(
        eval.out.contains(&format!("exact numbers                     –  {why}\n")),
        "{}",
        eval.out
    );
    let refused = run(folder.path(), &["exact", "ahead.rlmodel", "--policy", "mine"]);
    let hint = format!("{why}\nhint: `rlppl eval mine` tells how the options are used");
    assert!(refused.code == 1 && refused.err.contains(&hint), "{}", refused.err);
    // of a real state nothing is missing
    let real = WALK
        .replace("state s : 0..4", "state s : real")
        .replace("table(s)", "mlp(s, hidden = [4])");
    fs::write(folder.path().join("real.rlmodel"), real).expect("written");
    let real = run(folder.path(), &["infer", "real.rlmodel", "--out", "real", "--quiet"]);
    assert!(real.code == 0 && !real.out.contains("exact"), "{}{}", real.out, real.err);
}

#[test]
fn maps_of_what_is_no_grid_say_what_to_do() {
    let folder = folder();
    let model =
        walk_with_options("back(o | s, a) = Categorical(logits = table(s, a))", "s[t], a[t]");
    fs::write(folder.path().join("held.rlmodel"), model).expect("written");
    success(&run(folder.path(), &["infer", "held.rlmodel", "--out", "mine", "--quiet"]));
    let refused = run(folder.path(), &["eval", "mine", "--maps"]);
    assert!(
        refused.code == 1
            && refused
                .err
                .contains("to draw maps of: leave `--maps` out, or give the state such components"),
        "{}",
        refused.err
    );
}

#[test]
fn rounding_noise_is_0_in_text_and_kept_in_json() {
    let folder = folder();
    // options that act alike: nothing but noise is told of the action
    let steps = OPTIONS
        .replace("infer { trajectories = 32; steps = 1", "infer { trajectories = 32; steps = 3")
        .replace("rate = 0", "rate = 0.1");
    let alike = steps.replace(
        "pi(a | s, o) = Categorical(logits = table(s, o))",
        "pi(a | s, o) = Categorical(logits = table(s))",
    );
    fs::write(folder.path().join("alike.rlmodel"), alike).expect("written");
    success(&run(folder.path(), &["infer", "alike.rlmodel", "--out", "mine", "--quiet"]));
    let text = run(folder.path(), &["eval", "mine"]).out;
    for name in ["I(o; a | s)", "  auxiliary", "  dynamics"] {
        let line = text
            .lines()
            .find(|line| line.contains(name))
            .unwrap_or_else(|| panic!("{name}: {text}"));
        let value = line
            .split("  ")
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .nth(1)
            .unwrap_or_default();
        assert!(
            value == "0" || value.parse::<f64>().is_ok_and(|value| value.abs() >= 1e-12),
            "{line}"
        );
    }
    assert!(
        text.lines().any(|line| line.contains("I(o; a | s)") && line.contains(" 0  ")),
        "{text}"
    );
}

#[test]
fn a_folder_in_the_place_of_a_model_is_met_with_the_model_in_it() {
    let folder = folder();
    infer(folder.path(), &["walk.rlmodel", "--out", "mine", "--quiet"]);
    let outcome = run(folder.path(), &["plan", "mine"]);
    let model = Path::new("mine").join("model.rlmodel");
    assert!(
        outcome.code == 2 && outcome.err.contains(&format!("did you mean `{}`?", model.display())),
        "{}",
        outcome.err
    );
    fs::write(folder.path().join("other.rlmodel"), WALK).expect("written");
    let outcome = run(folder.path(), &["check", "."]);
    assert!(
        outcome.code == 2 && outcome.err.contains("it holds 2 model files, such as"),
        "{}",
        outcome.err
    );
}

#[test]
fn exact_tells_the_channel_capacity() {
    let folder = folder();
    for (horizon, ends) in [("T=1", 2.0f64), ("T=2", 3.0), ("T=4", 5.0)] {
        // from the left wall of a walk of five cells, two ends after one step, 0 1 2 after two, and
        // so on
        let told = json(
            &run(
                folder.path(),
                &["exact", "walk.rlmodel", "--capacity", "--set", horizon, "--format", "json"],
            )
            .out,
        );
        assert!((number(&told["mean"]) - ends.ln()).abs() < 1e-9, "{told}");
        assert!(
            told["starts"][0]["state"] == "0" && told["starts"][0]["probability"] == 1.0,
            "{told}"
        );
    }
    let text = run(folder.path(), &["exact", "walk.rlmodel", "--capacity"]).out;
    assert!(text.starts_with("channel capacity  max I(a[1..5]; s[6] | s[1]), nats"), "{text}");
    assert_eq!(run(folder.path(), &["exact", "walk.rlmodel", "--capacity", "--optimise"]).code, 2);
}

#[test]
fn test_holds_a_file_to_its_claims() {
    let folder = folder();
    let evidence = log_evidence_by_enumeration();
    let claims =
        format!("{WALK}expect {{ log_evidence = {evidence} within 1e-9; bound >= -100 }}\n");
    fs::write(folder.path().join("walk.rlmodel"), &claims).expect("written");
    let outcome = run(folder.path(), &["test", "walk.rlmodel"]);
    assert!(
        outcome.code == 0
            && outcome
                .out
                .ends_with("2 passed, 0 failed, 1 skipped (claims about training: add --infer)\n"),
        "{}",
        outcome.out
    );
    let outcome = run(folder.path(), &["test", "--infer", "walk.rlmodel"]);
    assert!(
        outcome.code == 0 && outcome.out.ends_with("3 passed, 0 failed, 0 skipped\n"),
        "{}",
        outcome.out
    );

    fs::write(
        folder.path().join("wrong.rlmodel"),
        format!("{WALK}expect (alpha = 2) {{ log_evidence = {evidence} within 1e-9 }}\n"),
    )
    .expect("written");
    let outcome =
        run(folder.path(), &["test", "walk.rlmodel", "wrong.rlmodel", "--format", "json"]);
    let told = json(&outcome.out);
    assert_eq!(
        (outcome.code, told["passed"].as_u64(), told["failed"].as_u64()),
        (1, Some(3), Some(1)),
        "{told}"
    );
}

#[test]
fn what_prior_and_posterior_both_exclude_counts_for_nothing() {
    let folder = folder();
    fs::write(folder.path().join("masked.rlmodel"), include_str!("cases/masked.rlmodel"))
        .expect("written");
    let tested = run(folder.path(), &["test", "--infer", "masked.rlmodel"]);
    assert_eq!(tested.code, 0, "{}{}", tested.out, tested.err);
    let told = json(
        &run(folder.path(), &["exact", "masked.rlmodel", "--optimise", "--format", "json"]).out,
    )
    .to_string();
    assert!(!told.contains("null"), "a number that is none: {told}");
}
