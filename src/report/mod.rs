//! A run's directory: the model as run, metrics, parameters, checkpoint, summary. Recomputes
//! nothing.
//!
//! | file | holds |
//! |---|---|
//! | `model.rlmodel` | the model, overrides and seed in it; beside it the `.rlenv` files it names |
//! | `metrics.jsonl` | a line per logged step: what training did, the same for equal runs |
//! | `timings.jsonl` | a line per logged step: how long it took |
//! | `parameters.safetensors` | the trained parameters |
//! | `checkpoint.safetensors` | all that going on to the same bits needs |
//! | `summary.json` | the numbers of the whole run |
//! | `manifest.json` | which files are the run's, and the model as it was run |
//! | `.lock` | nothing; it is locked while a process trains in the folder |
//!
//! [`page()`] shows several of them side by side.

mod as_run;
mod atomic;
mod curves;
mod episodes;
mod files;
mod folder;
mod log;
mod manifest;
mod maps;
mod noise;
mod options;
mod page;
mod settings;
mod summary;

pub use as_run::as_run;
pub use atomic::write_atomic;
pub use curves::Curves;
pub use episodes::csv_of;
pub use files::{CHECKPOINT, LOCK, MANIFEST, METRICS, MODEL, PARAMETERS, SUMMARY, TIMINGS};
pub use folder::{Folder, Occupied};
pub use log::Log;
pub use manifest::Manifest;
pub use maps::{Grid, Map, beside};
pub use noise::without_noise;
pub use options::{Information, OptionSummary, ValueSummary};
pub use page::{ShownOption, ShownRun, page};
pub use settings::{form, settings, surroundings};
pub use summary::{
    Ascents, ClassifierSummary, End, ExactSummary, Gap, OtherBound, PolicySummary, RewardSummary,
    RoundsSummary, Summary,
};

use std::io;
use std::path::PathBuf;

/// Why a run's directory could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    #[error("cannot write `{}`: {}", path.display(), reason(error))]
    Write { path: PathBuf, error: io::Error },
    #[error("cannot read `{}`: {}", path.display(), reason(error))]
    Read { path: PathBuf, error: io::Error },
    #[error("`{}` is not empty", path.display())]
    Occupied { path: PathBuf },
    #[error("`{}` {}", path.display(), why_foreign(file.as_deref()))]
    Foreign { path: PathBuf, file: Option<String> },
    #[error(
        "another process is training in `{}`: wait until it has ended, or name another folder",
        path.display()
    )]
    Locked { path: PathBuf },
    #[error("`{}` is not the folder of a run: it has no `{MODEL}`", path.display())]
    NotARun { path: PathBuf },
}

impl ReportError {
    /// The path that was given is at fault, not the disk.
    pub fn is_usage(&self) -> bool {
        match self {
            ReportError::Write { .. } | ReportError::Read { .. } => false,
            ReportError::Occupied { .. }
            | ReportError::Foreign { .. }
            | ReportError::Locked { .. }
            | ReportError::NotARun { .. } => true,
        }
    }
}

fn why_foreign(file: Option<&str>) -> String {
    match file {
        Some(file) => format!(
            "holds `{file}`, which its run did not write: move it away, or name another folder"
        ),
        None => "is no folder: name another one".to_owned(),
    }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull => "the disk is full".to_owned(),
        io::ErrorKind::QuotaExceeded => "the disk quota is used up".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => error.to_string(),
    }
}
