//! The folder of a run: chosen, made, opened.

use super::{ReportError, write_atomic};
use std::io;
use std::path::{Path, PathBuf};

pub const MODEL: &str = "model.rlmodel";
pub const METRICS: &str = "metrics.jsonl";
pub const TIMINGS: &str = "timings.jsonl";
pub const PARAMETERS: &str = "parameters.safetensors";
pub const CHECKPOINT: &str = "checkpoint.safetensors";
pub const SUMMARY: &str = "summary.json";

/// What to do where the folder that was asked for holds a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occupied {
    Refuse,
    /// Remove the run that is there; files that are not a run's are never removed.
    Overwrite,
}

/// The folder of one run.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// A new folder `<root>/<model>-<seed>`, or with `-2`, `-3`, … where that is taken.
    pub fn fresh(root: &Path, model: &str, seed: u64) -> Result<Folder, ReportError> {
        make_folder(root)?;
        let mut path = root.join(format!("{model}-{seed}"));
        for again in 2u64.. {
            match std::fs::create_dir(&path) {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => path = root.join(format!("{model}-{seed}-{again}")),
                Err(error) => return Err(ReportError::Write { path, error }),
            }
        }
        Ok(Folder { path })
    }

    /// The folder `path`, made where it is missing.
    pub fn at(path: &Path, occupied: Occupied) -> Result<Folder, ReportError> {
        Folder::verify_free(path, occupied)?;
        make_folder(path)?;
        let folder = Folder { path: path.to_owned() };
        for name in folder.names()? {
            let path = folder.path.join(name);
            std::fs::remove_file(&path).map_err(|error| ReportError::Write { path, error })?;
        }
        Ok(folder)
    }

    /// Whether [`Folder::at`] may take `path`; changes nothing.
    pub fn verify_free(path: &Path, occupied: Occupied) -> Result<(), ReportError> {
        if !path.exists() {
            return Ok(());
        }
        let folder = Folder { path: path.to_owned() };
        if !path.is_dir() {
            return Err(ReportError::Foreign { path: folder.path });
        }
        let names = folder.names()?;
        match occupied {
            _ if names.is_empty() => Ok(()),
            Occupied::Refuse => Err(ReportError::Occupied { path: folder.path }),
            Occupied::Overwrite if names.iter().all(|name| is_of_a_run(name)) => Ok(()),
            Occupied::Overwrite => Err(ReportError::Foreign { path: folder.path }),
        }
    }

    /// The folder of a run that was made before.
    pub fn open(path: &Path) -> Result<Folder, ReportError> {
        match path.join(MODEL).is_file() {
            true => Ok(Folder { path: path.to_owned() }),
            false => Err(ReportError::NotARun { path: path.to_owned() }),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), ReportError> {
        write_atomic(&self.file(name), bytes)
    }

    pub fn read(&self, name: &str) -> Result<Vec<u8>, ReportError> {
        let path = self.file(name);
        std::fs::read(&path).map_err(|error| ReportError::Read { path, error })
    }

    /// Removes the folder if nothing was written to it: a run that could not start leaves nothing behind.
    pub fn remove_if_empty(&self) {
        // `remove_dir` refuses a folder that holds anything: that, and a folder that is gone already, is as it should be.
        let _ = std::fs::remove_dir(&self.path);
    }

    fn names(&self) -> Result<Vec<String>, ReportError> {
        let read = |error| ReportError::Read { path: self.path.clone(), error };
        let entries = std::fs::read_dir(&self.path).map_err(read)?;
        let mut names = entries
            .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<Vec<String>>>()
            .map_err(read)?;
        names.sort();
        Ok(names)
    }
}

fn is_of_a_run(name: &str) -> bool {
    [MODEL, METRICS, TIMINGS, PARAMETERS, CHECKPOINT, SUMMARY].contains(&name)
        || name.ends_with(".rlenv")
        || name.ends_with(".csv")
        || name.starts_with(".rlppl-")
}

fn make_folder(path: &Path) -> Result<(), ReportError> {
    std::fs::create_dir_all(path).map_err(|error| ReportError::Write { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_default_gets_a_number() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let names: Vec<_> = (0..3).map(|_| Folder::fresh(root.path(), "chain", 7).expect("a folder")).collect();
        let names: Vec<_> = names.iter().map(|folder| folder.path().file_name().and_then(|name| name.to_str())).collect();
        assert_eq!(names, [Some("chain-7"), Some("chain-7-2"), Some("chain-7-3")]);
    }

    #[test]
    fn an_occupied_folder_is_refused_overwritten_or_left_alone() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let path = root.path().join("run");
        Folder::at(&path, Occupied::Refuse).expect("a new folder").write(SUMMARY, b"{}").expect("written");
        assert!(matches!(Folder::at(&path, Occupied::Refuse), Err(ReportError::Occupied { .. })));
        let folder = Folder::at(&path, Occupied::Overwrite).expect("a run may be overwritten");
        assert!(!folder.file(SUMMARY).exists());
        folder.write("thesis.tex", b"").expect("written");
        assert!(matches!(Folder::at(&path, Occupied::Overwrite), Err(ReportError::Foreign { .. })));
        assert!(folder.file("thesis.tex").exists());
    }

    #[test]
    fn a_folder_without_a_model_is_not_a_run() {
        let root = tempfile::tempdir().expect("a temporary folder");
        assert!(matches!(Folder::open(root.path()), Err(ReportError::NotARun { .. })));
    }
}
