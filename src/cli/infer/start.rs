//! How a run begins, or goes on: its model, its folder, its checkpoint.

use super::arguments::{Arguments, Seeds};
use crate::bound;
use crate::cli::unchanged::{Compared, MAY_CHANGE, verify_same, verify_unchanged};
use crate::cli::{Failure, console, input, memory};
use crate::engine::{self, Checkpoint};
use crate::model::Model;
use crate::plan::{self, Plan};
use crate::report::{
    self, CHECKPOINT, Folder, MANIFEST, MODEL, Manifest, Occupied, ReportError, SUMMARY,
};
use crate::syntax::ast;
use std::path::{Path, PathBuf};

/// A run that is about to begin or to go on.
pub struct Start {
    pub plan: Plan,
    pub folder: Folder,
    pub origin: Origin,
}

/// What a run comes from.
#[derive(Default)]
pub struct Origin {
    /// Where it goes on.
    pub checkpoint: Option<Checkpoint>,
    /// The files that begin it, by name, as far as they are not yet written.
    pub begins_with: Vec<(String, Vec<u8>)>,
}

/// The model file that was named.
pub struct Given {
    path: PathBuf,
    file: ast::File,
    /// What is written into `model.rlmodel`.
    sets: input::Sets,
    pub plan: Plan,
}

pub fn given(arguments: &Arguments, path: &Path) -> Result<Given, Failure> {
    let mut sets = input::sets(&arguments.set)?;
    sets.extend(arguments.seed.map(|seed| ("infer.seed".to_owned(), seed.to_string())));
    let loaded = input::load_with(path, &with_threads(&sets, arguments.threads))?;
    Ok(Given {
        path: path.to_owned(),
        file: loaded.file,
        sets,
        plan: planned(arguments, &loaded.model)?,
    })
}

/// The run of `seed` if several seeds were asked for: it goes on if that is asked and there is
/// something to go on with.
pub fn start(
    arguments: &Arguments,
    given: Option<&Given>,
    seed: Option<u64>,
) -> Result<Start, Failure> {
    match to_resume(arguments, given, seed)? {
        Some(folder) => going_on(arguments, given, seed, folder),
        None => beginning(arguments, given, seed),
    }
}

/// The folder that was asked for.
pub fn out(arguments: &Arguments, seed: Option<u64>) -> Option<PathBuf> {
    let out = arguments.out.as_ref().or(arguments.resume.as_ref().and_then(Option::as_ref))?;
    Some(seed.map_or_else(|| out.clone(), |seed| out.join(seed.to_string())))
}

/// The folder of an earlier run, if one is to go on and is there.
fn to_resume(
    arguments: &Arguments,
    given: Option<&Given>,
    seed: Option<u64>,
) -> Result<Option<Folder>, Failure> {
    let Some(named) = &arguments.resume else { return Ok(None) };
    if let Some(named) = named.as_ref().filter(|named| named.is_file()) {
        return Err(Failure::Usage(format!(
            "`--resume {}` has to name the folder of a run",
            named.display()
        )));
    }
    if named.is_some() && arguments.out.as_ref().is_some_and(|out| Some(out) != named.as_ref()) {
        return Err(Failure::Usage(
            "`--resume` goes on in the same folder: leave `--out` away".to_owned(),
        ));
    }
    match (out(arguments, seed), given) {
        (Some(path), _) => match Folder::open(&path) {
            Ok(folder) => Ok(Some(folder)),
            Err(error) => match Seeds::inside(&path).filter(|_| seed.is_none()) {
                Some(seeds) => Err(Failure::Usage(format!(
                    "{error}\nhint: it holds runs of several seeds: add `--seeds {seeds}`"
                ))),
                None if named.is_some() && seed.is_none() => Err(failed(error)),
                // `--out DIR --resume`: if there is nothing to go on with, the run begins
                None => Ok(None),
            },
        },
        (None, Some(given)) => {
            let seed = seed.unwrap_or(given.plan.settings.seed);
            Ok(Folder::latest(Path::new(RUNS), &given.plan.model.name, seed))
        }
        (None, None) => {
            let text = "`--resume` alone does not say with which run: name its folder, as \
                        `--resume runs/reinforce-0`, or its model";
            Err(Failure::Usage(text.to_owned()))
        }
    }
}

/// The folder of the runs for which none is named.
const RUNS: &str = "runs";

fn beginning(
    arguments: &Arguments,
    given: Option<&Given>,
    seed: Option<u64>,
) -> Result<Start, Failure> {
    let given = given.ok_or_else(needs_a_model)?;
    let mut plan = given.plan.clone();
    plan.set_seed(seed.unwrap_or(plan.settings.seed));
    let folder = match out(arguments, seed) {
        None => {
            Folder::fresh(Path::new(RUNS), &plan.model.name, plan.settings.seed).map_err(failed)?
        }
        Some(path) => Folder::at(&path, occupied(arguments)).map_err(taken)?,
    };
    if arguments.resume.is_some() && !arguments.quiet {
        console::note(&format!(
            "`{}`: there is no run to go on with, so that it begins",
            folder.path().display()
        ));
    }
    let begins_with =
        files(&report::as_run(&given.file, &with_seed(&given.sets, plan.settings.seed)));
    let mut origin = Origin { checkpoint: None, begins_with };
    if !folder.replaces() {
        let written = write(&folder, &std::mem::take(&mut origin.begins_with));
        written.inspect_err(|_| folder.remove_if_empty())?;
    }
    Ok(Start { plan, folder, origin })
}

/// Holds that the run of `seed` can begin, or go on, and changes nothing. The name of its model.
pub fn verify(arguments: &Arguments, given: Option<&Given>, seed: u64) -> Result<String, Failure> {
    if let Some(folder) = to_resume(arguments, given, Some(seed))? {
        folder.verify_idle().map_err(failed)?;
        return Ok(examined(arguments, given, Some(seed), &folder)?.plan.model.name.clone());
    }
    if let Some(path) = out(arguments, Some(seed)) {
        Folder::verify_free(&path, occupied(arguments)).map_err(taken)?;
    }
    given.map(|given| given.plan.model.name.clone()).ok_or_else(needs_a_model)
}

fn needs_a_model() -> Failure {
    Failure::Usage("there is no run to go on with, so a model file is needed".to_owned())
}

/// A run that can go on.
struct Examined {
    plan: Plan,
    checkpoint: Option<Checkpoint>,
    /// What its folder is to hold.
    files: Vec<(String, String)>,
}

/// Reads a run that is to go on, as it began: only [`MAY_CHANGE`] may change.
fn examined(
    arguments: &Arguments,
    given: Option<&Given>,
    seed: Option<u64>,
    folder: &Folder,
) -> Result<Examined, Failure> {
    let shown = folder.path().display().to_string();
    let path = folder.file(MODEL);
    let file = input::parse(&input::read(&path)?)?;
    verify_unchanged(folder, &file)?;
    let sets = given.map_or_else(|| input::sets(&arguments.set), |given| Ok(given.sets.clone()))?;
    let seed = seed.or_else(|| seed_of(given?));
    // a file that says nothing of its seed is that of a run with any
    let seed_text = |given: &Given| {
        seed.map(|seed| seed.to_string())
            .or_else(|| seed_in(&given.file).or_else(|| seed_in(&file)))
    };
    let all = seed.map_or_else(|| sets.clone(), |seed| with_seed(&sets, seed));
    let model = input::check(&file, &with_threads(&all, arguments.threads))?;
    let changing: Vec<&str> =
        MAY_CHANGE.into_iter().filter(|key| sets.iter().any(|(name, _)| name == key)).collect();
    let (asked, what) = match given {
        Some(given) => {
            let seed = seed_text(given).map(|text| ("infer.seed".to_owned(), text));
            let sets: input::Sets = sets.iter().cloned().chain(seed).collect();
            (
                report::as_run(&given.file, &sets),
                format!("`{}`, with what is set, is not the model that", given.path.display()),
            )
        }
        None => (report::as_run(&file, &all), "what is set is not what".to_owned()),
    };
    let advice = "name no file and set nothing to go on with the run as it is; of its settings \
                  only `infer.steps`, `infer.threads` and \
                  `infer.checkpoint_every` may be others, by `--set`: where the run had one, as \
                  `--set infer.steps=…`, give it again";
    let run = Compared { path: &path, files: &report::as_run(&file, &[]) };
    verify_same(&run, &asked, &changing, (format!("{what} `{shown}` was run with"), advice))?;
    let plan = planned(arguments, &model)?;
    let checkpoint = checkpoint(folder, &plan)?;
    verify_longer(&plan, checkpoint.as_ref(), &shown)?;
    Ok(Examined { plan, checkpoint, files: report::as_run(&file, &all) })
}

fn going_on(
    arguments: &Arguments,
    given: Option<&Given>,
    seed: Option<u64>,
    folder: Folder,
) -> Result<Start, Failure> {
    if given.is_none() && arguments.seed.is_some() {
        return Err(Failure::Usage(
            "a run goes on with the seed it began with: leave `--seed` away".to_owned(),
        ));
    }
    let folder = folder.locked().map_err(failed)?;
    let shown = folder.path().display().to_string();
    let Examined { plan, checkpoint, files: as_run } = examined(arguments, given, seed, &folder)?;
    if !arguments.quiet {
        let all = plan.settings.steps;
        console::note(&match &checkpoint {
            Some(checkpoint) if checkpoint.step == all => {
                format!("`{shown}`: all its {all} steps are done; `--set infer.steps=N` adds some")
            }
            Some(checkpoint) => {
                format!("`{shown}`: goes on from step {} of {all}", checkpoint.step)
            }
            None => format!("`{shown}`: has left no checkpoint, so that it begins anew at step 1"),
        });
    }
    let files = files(&as_run);
    let is_new =
        |(name, bytes): &&(String, Vec<u8>)| folder.read(name).ok().as_ref() != Some(bytes);
    let changed: Vec<(String, Vec<u8>)> = files.iter().filter(is_new).cloned().collect();
    write(&folder, &changed)?;
    // it tells of fewer steps
    folder.remove(SUMMARY).map_err(failed)?;
    Ok(Start { plan, folder, origin: Origin { checkpoint, begins_with: Vec::new() } })
}

/// The seed that was given on the command line.
fn seed_of(given: &Given) -> Option<u64> {
    let set = given.sets.iter().rev().find(|(name, _)| name == "infer.seed");
    set.map(|_| given.plan.settings.seed)
}

/// The seed that a file names, as it is written.
fn seed_in(file: &ast::File) -> Option<String> {
    file.items.iter().find_map(|item| match item {
        ast::Item::Infer(infer) => {
            let span = infer.settings.iter().find(|setting| setting.key.text == "seed")?.value.span;
            Some(
                file.sources[span.file as usize].text[span.start as usize..span.end as usize]
                    .to_owned(),
            )
        }
        _ => None,
    })
}

/// Refused before anything is written where it would not fit into the machine.
fn planned(arguments: &Arguments, model: &Model) -> Result<Plan, Failure> {
    let derivation = bound::derive(model).map_err(Failure::Model)?;
    let plan = plan::plan(model, &derivation).map_err(Failure::Model)?;
    console::warnings(&plan);
    memory::verify(&arguments.memory, engine::memory(&plan))?;
    Ok(plan)
}

/// The number of threads is not written into `model.rlmodel`: the result does not depend on it.
fn with_threads(sets: &input::Sets, threads: Option<u32>) -> input::Sets {
    let threads = threads.map(|threads| ("infer.threads".to_owned(), threads.to_string()));
    sets.iter().cloned().chain(threads).collect()
}

fn with_seed(sets: &input::Sets, seed: u64) -> input::Sets {
    sets.iter().cloned().chain([("infer.seed".to_owned(), seed.to_string())]).collect()
}

pub fn occupied(arguments: &Arguments) -> Occupied {
    if arguments.overwrite { Occupied::Overwrite } else { Occupied::Refuse }
}

/// The failure of a folder that was asked for.
pub fn taken(error: ReportError) -> Failure {
    match error {
        ReportError::Occupied { .. } => Failure::Usage(format!(
            "{error}: `--resume` goes on with the run in it, `--overwrite` replaces it"
        )),
        error => failed(error),
    }
}

fn checkpoint(folder: &Folder, plan: &Plan) -> Result<Option<Checkpoint>, Failure> {
    if !folder.file(CHECKPOINT).exists() {
        return Ok(None);
    }
    let bytes = folder.read(CHECKPOINT).map_err(failed)?;
    let wrong = |error: engine::FileError| {
        Failure::Wrong(format!("`{}`: {error}", folder.file(CHECKPOINT).display()))
    };
    Checkpoint::from_safetensors(&plan.model, &bytes).map(Some).map_err(wrong)
}

fn verify_longer(plan: &Plan, checkpoint: Option<&Checkpoint>, shown: &str) -> Result<(), Failure> {
    let steps = plan.settings.steps;
    match checkpoint.filter(|checkpoint| checkpoint.step > steps) {
        None => Ok(()),
        Some(Checkpoint { step, .. }) => Err(Failure::Usage(format!(
            "`{shown}` has made {step} steps already: it cannot go on to {steps}, only to as many \
             or more"
        ))),
    }
}

/// The files that begin a run, its manifest first, since it names them all.
fn files(as_run: &[(String, String)]) -> Vec<(String, Vec<u8>)> {
    let manifest = (MANIFEST.to_owned(), Manifest::of(as_run).to_bytes());
    // the model last: without it a folder is not yet that of a run
    let others = as_run.iter().rev().map(|(name, text)| (name.clone(), text.clone().into_bytes()));
    [manifest].into_iter().chain(others).collect()
}

fn write(folder: &Folder, files: &[(String, Vec<u8>)]) -> Result<(), Failure> {
    files.iter().try_for_each(|(name, bytes)| folder.write(name, bytes)).map_err(failed)
}

pub fn failed(error: ReportError) -> Failure {
    if error.is_usage() {
        Failure::Usage(error.to_string())
    } else {
        Failure::Run(error.to_string())
    }
}
