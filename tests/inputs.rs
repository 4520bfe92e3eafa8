//! What the program reads: files alone, in its own folder without a word; and what it prints of
//! them, which never speaks to the terminal.

mod common;

use common::run;
use std::fs;
use std::path::Path;

const MODEL: &str = "
model m
horizon T = 3
ENVIRONMENT
kernel pi(a | s) = Categorical(logits = table(s))
prior      { s[1] ~ e.initial; a[t] ~ Uniform;  s[t+1] ~ e.transition(s[t], a[t]) }
likelihood { R[t] ~ exp(r[t]) }
posterior  { s[1] ~ e.initial; a[t] ~ pi(s[t]); s[t+1] ~ e.transition(s[t], a[t]) }
";

const BODY: &str = "
state s : 0..1
action a : 0..1
reward r in [-1, 0]
s[1] ~ Uniform
s[t+1] ~ Uniform
r[t] = -a[t]
";

/// Exit code, and all that was printed.
fn said(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let outcome = run(folder, arguments);
    (outcome.code, outcome.out + &outcome.err)
}

fn with_environment(definition: &str) -> String {
    MODEL.replace("ENVIRONMENT", definition)
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_are_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in ["pipe", "/dev/zero", "/dev/full"] {
        let (code, said) = said(folder.path(), &["check", path]);
        assert!(
            code == 2 && said.contains("is a pipe or a device, not a file"),
            "{path}: {code:?} {said}"
        );
    }
    for path in ["pipe", "/dev/zero"] {
        fs::write(
            folder.path().join("m.rlmodel"),
            with_environment(&format!("environment e from \"{path}\"")),
        )
        .unwrap();
        let (code, said) = said(folder.path(), &["check", "m.rlmodel"]);
        assert!(code == 1 && said.contains("is a pipe or a device"), "{path}: {code:?} {said}");
    }
}

#[cfg(unix)]
#[test]
fn records_that_have_no_end_are_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let text = with_environment(&format!(
        "environment e {{ {BODY} }}\ndata expert(a | s) from \"/dev/zero\""
    ));
    let text =
        text.replace("a[t] ~ Uniform", "a[t] ~ expert(s[t])") + "infer { ratio = table(s, a) }\n";
    fs::write(folder.path().join("m.rlmodel"), text).unwrap();
    let (code, said) = said(folder.path(), &["plan", "m.rlmodel"]);
    assert!(code == 1 && said.contains("is a pipe or a device"), "{code:?} {said}");
}

#[test]
fn a_file_outside_the_folder_is_named_in_a_warning_and_never_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("inside");
    fs::create_dir(&inside).unwrap();
    fs::write(inside.join("m.rlmodel"), with_environment("environment e from \"../e.rlenv\""))
        .unwrap();
    let check = || said(&inside, &["check", "m.rlmodel"]);

    fs::write(folder.path().join("e.rlenv"), BODY).unwrap();
    let (code, said) = check();
    assert!(
        code == 0 && said.contains("the model reads `../e.rlenv`, outside its folder"),
        "{said}"
    );

    // neither a line that does not parse nor one that means nothing is printed
    for body in ["hunter2: a password\n".to_owned(), format!("let secret = hunter2\n{BODY}")] {
        fs::write(folder.path().join("e.rlenv"), &body).unwrap();
        let (code, said) = check();
        assert!(code == 1 && said.contains("e.rlenv") && !said.contains("let secret ="), "{said}");
        assert!(!said.contains("a password"), "{said}");
    }
}

#[test]
fn a_file_beside_the_model_is_read_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("m.rlmodel"), with_environment("environment e from \"e.rlenv\""))
        .unwrap();
    fs::write(folder.path().join("e.rlenv"), BODY).unwrap();
    let (code, said) = said(folder.path(), &["check", "m.rlmodel"]);
    assert!(code == 0 && !said.contains("warning"), "{said}");
}

/// In names of files, in text that is quoted, in messages, as text and as JSON.
#[test]
fn what_moves_colours_hides_or_turns_is_written_out() {
    let hidden = ['\u{1b}', '\u{9b}', '\u{200b}', '\u{2028}', '\u{202e}', '\u{7f}'];
    let folder = tempfile::tempdir().unwrap();
    for c in hidden {
        let name = format!("a{c}b.rlmodel");
        fs::write(folder.path().join(&name), format!("model m # {c}\nhorizon T = {c}3\n")).unwrap();
        for arguments in [
            &["check"][..],
            &["check", "--format", "json"],
            &["bound"],
            &["infer"],
            &["eval"],
            &["report"],
            &["test"],
        ] {
            let (code, said) = said(folder.path(), &[arguments, &[&name]].concat());
            assert!(code > 0, "{arguments:?}");
            assert!(!said.contains(c), "{arguments:?} prints {c:?}: {}", said.escape_debug());
        }
        let (_, said) = said(folder.path(), &["check", &format!("no{c}such")]);
        assert!(!said.contains(c), "{}", said.escape_debug());
    }
}
