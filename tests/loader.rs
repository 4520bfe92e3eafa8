//! From texts in memory alone: what the language names as files comes through a loader, so that
//! parsing, checking, derivation, plans and the oracle need no file system.

use rlppl::source::{LARGEST, ReadError};
use rlppl::{BoundId, Loader, Model, Overrides, Source, Texts, check, derive, exact, parse, plan};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

const LINE: &str = "
    state s : 0..4; action a : { left, right }; reward r in [-1, 0]
    s[1]   ~ Delta(0)
    s[t+1] ~ Delta(clamp(s[t] + 2 * a[t] - 1, 0, 4))
    r[t]   = if s[t+1] == 4 then 0 else -1
";

/// A walk on a line, with `declarations`, and what draws the action before anything is known.
fn walk(environment: &str, declarations: &str, prior: &str) -> String {
    format!(
        "model walk
         horizon T = 5
         environment line {environment}
         {declarations}
         kernel pi(a | s) = Categorical(logits = table(s))
         prior      {{ s[1] ~ line.initial; a[t] ~ {prior}; s[t+1] ~ line.transition(s[t], a[t]) }}
         likelihood {{ R[t] ~ exp(r[t]) }}
         posterior  {{ s[1] ~ line.initial; a[t] ~ pi(s[t]);
                       s[t+1] ~ line.transition(s[t], a[t]) }}"
    )
}

/// The text of a model in `walks/`, which names an environment and an expert above it.
fn files() -> Texts {
    let expert = r#"data expert(a | s) from "../expert.csv""#;
    [
        ("walks/walk.rlmodel", walk(r#"from "line.rlenv""#, "", "Uniform")),
        ("walks/line.rlenv", LINE.to_owned()),
        ("walks/imitate.rlmodel", walk(r#"from "./line.rlenv""#, expert, "expert(s[t])")),
        ("expert.csv", "episode,s,a\n0,0,right\n0,1,right\n1,0,left\n".to_owned()),
    ]
    .into_iter()
    .collect()
}

fn checked(source: &Source) -> Model {
    let file = parse(source).unwrap_or_else(|found| panic!("{found}"));
    check(&file, &Overrides::default()).unwrap_or_else(|found| panic!("{found}"))
}

#[test]
fn a_model_and_its_environment_come_from_memory() {
    let path = Path::new("walks/walk.rlmodel");
    assert!(!path.exists(), "the disk has none of these files");
    let model = checked(&Source::load(path, Arc::new(files())).expect("it is there"));
    let derivation = derive(&model).unwrap_or_else(|found| panic!("{found}"));
    assert!(derivation.to_string().contains("log p(R̂) ≥ L"), "{derivation}");
    let found = exact(&model, BoundId(0), None).expect("the model is finite");
    let whole = checked(&Source::new("whole", walk(&format!("{{ {LINE} }}"), "", "Uniform")));
    let same = exact(&whole, BoundId(0), None).expect("the model is finite");
    assert_eq!(found.log_evidence.to_bits(), same.log_evidence.to_bits());
    // four of five steps to the right end are short of it; one of 16 ways takes them
    assert!((-5.0..-3.0).contains(&found.log_evidence), "{}", found.log_evidence);
}

#[test]
fn records_come_from_memory() {
    let path = Path::new("walks/imitate.rlmodel");
    let model = checked(&Source::load(path, Arc::new(files())).expect("it is there"));
    let derivation = derive(&model).unwrap_or_else(|found| panic!("{found}"));
    let planned = plan(&model, &derivation).unwrap_or_else(|found| panic!("{found}"));
    let records = planned.records.first().expect("an expert is known by its records");
    assert_eq!(
        (records.starts.as_slice(), records.columns[0].values.as_slice()),
        (&[0, 2, 3][..], &[1.0, 1.0, 0.0][..])
    );
}

#[test]
fn what_no_loader_has_is_told_as_of_a_disk() {
    let text = walk(r#"from "line.rlenv""#, "", "Uniform");
    let told = parse(&Source::new("walk", text).with_files(Texts::default())).unwrap_err();
    let message = "cannot read the environment file: there is no file `line.rlenv`";
    assert_eq!(told.list.iter().map(|told| &told.message).collect::<Vec<_>>(), [message]);

    let text = walk(&format!("{{ {LINE} }}"), r#"data expert(a | s) from "e.csv""#, "expert(s[t])");
    let model = checked(&Source::new("walk", text).with_files(Texts::default()));
    let derivation = derive(&model).unwrap_or_else(|found| panic!("{found}"));
    let told = plan(&model, &derivation).map(|_| ()).unwrap_err();
    let message = "the records cannot be read: there is no file `e.csv`";
    assert_eq!(told.list.iter().map(|told| &told.message).collect::<Vec<_>>(), [message]);
}

/// A loader that ends no file.
#[derive(Debug)]
struct Endless;

impl Loader for Endless {
    fn open(&self, _: &Path) -> Result<Box<dyn Read + '_>, ReadError> {
        Ok(Box::new(io::repeat(b' ')))
    }
}

#[test]
fn limits_hold_for_every_loader() {
    let read = Source::load(Path::new("m"), Arc::new(Endless));
    assert!(matches!(read, Err(ReadError::TooLarge { .. })), "of {LARGEST} bytes");
    let text = walk(r#"from "line.rlenv""#, "", "Uniform");
    let told = parse(&Source::new("walk", text).with_files(Endless)).unwrap_err().to_string();
    assert!(told.contains("`line.rlenv` is larger than 4 MiB"), "{told}");
}
