//! How a run begins, or goes on: its model, its folder, its checkpoint.

use super::Arguments;
use crate::cli::{Failure, input};
use crate::engine::{self, Checkpoint};
use crate::plan::Plan;
use crate::report::{self, CHECKPOINT, Folder, MODEL, Occupied, ReportError};
use crate::syntax::ast;
use std::path::Path;

/// A run that is about to begin or to go on.
pub struct Start {
    pub loaded: input::Loaded,
    /// What is written into `model.rlmodel`.
    sets: input::Sets,
    pub place: Place,
}

pub enum Place {
    New,
    GoesOn(Folder),
}

/// The folder of an earlier run, where `--resume` asks for one and there is one.
pub fn folder_to_resume(arguments: &Arguments) -> Result<Option<Folder>, Failure> {
    let Some(named) = &arguments.resume else { return Ok(None) };
    if named.is_file() {
        return Err(Failure::Usage(format!("`--resume {}` has to name the folder of a run", named.display())));
    }
    match (named.as_os_str().is_empty(), &arguments.out) {
        // `--out DIR --resume`: where there is nothing to go on with, the run begins.
        (true, Some(out)) => Ok(Folder::open(out).ok()),
        (true, None) => Err(Failure::Usage("`--resume` needs the folder of a run: `--resume runs/reinforce-0`".to_owned())),
        (false, Some(out)) if out != named => Err(Failure::Usage("`--resume` goes on in the same folder: leave `--out` away".to_owned())),
        (false, _) => Folder::open(named).map(Some).map_err(failed),
    }
}

pub fn beginning(arguments: &Arguments) -> Result<Start, Failure> {
    let Some(file) = &arguments.file else {
        return Err(Failure::Usage("there is no run to go on with, so a model file is needed".to_owned()));
    };
    let mut sets = input::sets(&arguments.set)?;
    sets.extend(arguments.seed.map(|seed| ("infer.seed".to_owned(), seed.to_string())));
    let loaded = input::load_with(file, &with_threads(&sets, arguments.threads))?;
    Ok(Start { loaded, sets, place: Place::New })
}

/// A run goes on as it began: only how long and on how many threads may change, which changes no step already made.
pub fn going_on(arguments: &Arguments, folder: Folder) -> Result<Start, Failure> {
    let sets = input::sets(&arguments.set)?;
    if let Some((name, _)) = sets.iter().find(|(name, _)| !["infer.steps", "infer.threads"].contains(&name.as_str())) {
        return Err(Failure::Usage(format!("a run goes on as it began: `--set {name}=…` would change it (`infer.steps` may change)")));
    }
    let loaded = input::load_with(&folder.file(MODEL), &with_threads(&sets, arguments.threads))?;
    if let Some(file) = &arguments.file {
        let given = input::parse(&input::read(file)?)?;
        if name_of(&given) != name_of(&loaded.file) {
            let (file, folder) = (file.display(), folder.path().display());
            return Err(Failure::Usage(format!("`{file}` is not the model of the run in `{folder}`")));
        }
    }
    Ok(Start { loaded, sets, place: Place::GoesOn(folder) })
}

fn name_of(file: &ast::File) -> Option<&str> {
    file.items.iter().find_map(|item| match item {
        ast::Item::Model(name) => Some(name.text.as_str()),
        _ => None,
    })
}

/// The number of threads is not written into `model.rlmodel`: the result does not depend on it.
fn with_threads(sets: &input::Sets, threads: Option<u32>) -> input::Sets {
    let threads = threads.map(|threads| ("infer.threads".to_owned(), threads.to_string()));
    sets.iter().cloned().chain(threads).collect()
}

/// The folder `out`, or where nothing is asked for a new one under `runs/`.
pub fn new_folder(out: Option<&Path>, occupied: Occupied, plan: &Plan) -> Result<Folder, Failure> {
    match out {
        None => Folder::fresh(Path::new("runs"), &plan.model.name, plan.settings.seed).map_err(failed),
        Some(path) => Folder::at(path, occupied).map_err(taken),
    }
}

/// The failure of a folder that was asked for.
pub fn taken(error: ReportError) -> Failure {
    match error {
        ReportError::Occupied { .. } => {
            Failure::Usage(format!("{error}: `--resume` goes on with the run in it, `--overwrite` replaces it"))
        }
        error => failed(error),
    }
}

/// Where to go on; a run that left no checkpoint begins anew.
pub fn checkpoint(folder: &Folder, plan: &Plan) -> Result<Option<Checkpoint>, Failure> {
    if !folder.file(CHECKPOINT).exists() {
        return Ok(None);
    }
    let bytes = folder.read(CHECKPOINT).map_err(failed)?;
    let wrong = |error: engine::FileError| Failure::Wrong(format!("`{}`: {error}", folder.file(CHECKPOINT).display()));
    Checkpoint::from_safetensors(&plan.model, &bytes).map(Some).map_err(wrong)
}

pub fn write_model(folder: &Folder, start: &Start, plan: &Plan) -> Result<(), Failure> {
    let mut sets = start.sets.clone();
    sets.push(("infer.seed".to_owned(), plan.settings.seed.to_string()));
    for (name, text) in report::as_run(&start.loaded.file, &sets) {
        folder.write(&name, text.as_bytes()).map_err(failed)?;
    }
    Ok(())
}

pub fn failed(error: ReportError) -> Failure {
    if error.is_usage() { Failure::Usage(error.to_string()) } else { Failure::Run(error.to_string()) }
}
