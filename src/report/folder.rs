//! The folder of a run: chosen, made, opened, held against other processes.

use super::atomic::{PART, replace, write_part};
use super::files::{LOCK, MANIFEST, MODEL};
use super::{Manifest, ReportError};
use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What to do where the folder that was asked for holds a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occupied {
    Refuse,
    /// Put the new run in its place; files that the old one's manifest does not name are never
    /// removed.
    Overwrite,
}

/// The folder of one run.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    /// Held while this process writes to the folder.
    _lock: Option<Arc<File>>,
    /// The names of the files of the run that is to be replaced.
    replaced: BTreeSet<String>,
}

impl Folder {
    /// A new folder `<root>/<model>-<seed>`, or with `-2`, `-3`, … where that is taken.
    pub fn fresh(root: &Path, model: &str, seed: u64) -> Result<Folder, ReportError> {
        make_folder(root)?;
        for path in Folder::names_of_runs(root, model, seed) {
            match std::fs::create_dir(&path) {
                Ok(()) => return Folder::of(&path).locked(),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(ReportError::Write { path, error }),
            }
        }
        unreachable!("folder: the numbers do not end")
    }

    /// The last of the folders that [`Folder::fresh`] made.
    pub fn latest(root: &Path, model: &str, seed: u64) -> Option<Folder> {
        let made = Folder::names_of_runs(root, model, seed).take_while(|path| path.exists());
        made.filter_map(|path| Folder::open(&path).ok()).last()
    }

    fn names_of_runs(root: &Path, model: &str, seed: u64) -> impl Iterator<Item = PathBuf> {
        let name = format!("{model}-{seed}");
        let numbered = (2u64..).map({
            let name = name.clone();
            move |again| format!("{name}-{again}")
        });
        let root = root.to_owned();
        std::iter::once(name).chain(numbered).map(move |name| root.join(name))
    }

    /// The folder `path`, made where it is missing. A run that is there stays until
    /// [`Folder::replace`].
    pub fn at(path: &Path, occupied: Occupied) -> Result<Folder, ReportError> {
        Folder::verify_free(path, occupied)?;
        make_folder(path)?;
        let folder = Folder::of(path).locked()?;
        // again, now that nobody else writes to it
        Folder::verify_vacant(path, occupied)?;
        let replaced = folder.names()?.into_iter().filter(|name| name != LOCK).collect();
        Ok(Folder { replaced, ..folder })
    }

    /// Whether [`Folder::at`] may take `path`; changes nothing.
    pub fn verify_free(path: &Path, occupied: Occupied) -> Result<(), ReportError> {
        // neither of what may be done with a run may be done with one that goes on
        Folder::of(path).verify_idle()?;
        Folder::verify_vacant(path, occupied)
    }

    fn verify_vacant(path: &Path, occupied: Occupied) -> Result<(), ReportError> {
        if !path.exists() {
            return Ok(());
        }
        let folder = Folder::of(path);
        if !path.is_dir() {
            return Err(ReportError::Foreign { path: folder.path, file: None });
        }
        let mut foreign = folder.names()?;
        foreign.retain(|name| name != LOCK);
        if foreign.is_empty() {
            return Ok(());
        }
        let own: BTreeSet<String> =
            folder.manifest()?.iter().flat_map(Manifest::files).map(str::to_owned).collect();
        // the first file of a run, while it is being written
        let is_first = |name: &str| name.strip_suffix(PART) == Some(MANIFEST);
        foreign.retain(|name| {
            !own.contains(name.strip_suffix(PART).unwrap_or(name)) && !is_first(name)
        });
        // of a run that was ended before it had written its model nothing is lost
        let is_begun = folder.file(MODEL).exists();
        match occupied {
            Occupied::Refuse if is_begun || !foreign.is_empty() => {
                Err(ReportError::Occupied { path: folder.path })
            }
            Occupied::Overwrite if !foreign.is_empty() => {
                Err(ReportError::Foreign { path: folder.path, file: foreign.into_iter().next() })
            }
            Occupied::Refuse | Occupied::Overwrite => Ok(()),
        }
    }

    /// The folder of a run that was made before.
    pub fn open(path: &Path) -> Result<Folder, ReportError> {
        match path.join(MODEL).is_file() {
            true => Ok(Folder::of(path)),
            false => Err(ReportError::NotARun { path: path.to_owned() }),
        }
    }

    fn of(path: &Path) -> Folder {
        Folder { path: path.to_owned(), _lock: None, replaced: BTreeSet::new() }
    }

    /// Holds that no process trains in the folder at present; changes nothing.
    pub fn verify_idle(&self) -> Result<(), ReportError> {
        let Ok(file) = File::options().append(true).open(self.file(LOCK)) else { return Ok(()) };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Err(ReportError::Locked { path: self.path.clone() }),
            Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
        }
    }

    /// The same folder, which no other process may write to until all clones of it are dropped.
    pub fn locked(self) -> Result<Folder, ReportError> {
        let path = self.file(LOCK);
        let file = File::options()
            .append(true)
            .create(true)
            .open(&path)
            .map_err(|error| ReportError::Write { path: path.clone(), error })?;
        match file.try_lock() {
            Ok(()) => Ok(Folder { _lock: Some(Arc::new(file)), ..self }),
            Err(TryLockError::WouldBlock) => Err(ReportError::Locked { path: self.path }),
            // some network file systems have no locks: a run there is worth more than what they
            // guard against
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                Ok(self)
            }
            Err(TryLockError::Error(error)) => Err(ReportError::Write { path, error }),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), ReportError> {
        replace(&self.file(name), bytes)
    }

    pub fn read(&self, name: &str) -> Result<Vec<u8>, ReportError> {
        let path = self.file(name);
        std::fs::read(&path).map_err(|error| ReportError::Read { path, error })
    }

    /// What the run wrote down of itself; `None` of one that an earlier version has left.
    pub fn manifest(&self) -> Result<Option<Manifest>, ReportError> {
        match self.file(MANIFEST).exists() {
            true => Ok(Manifest::read(&self.read(MANIFEST)?)),
            false => Ok(None),
        }
    }

    /// Whether another run is still here, which the new one is to replace.
    pub fn replaces(&self) -> bool {
        !self.replaced.is_empty()
    }

    /// Puts `files` in the place of the run that is here. All are written before the first of the
    /// old ones is touched, and the last one is put in its place when all others are in theirs.
    pub fn replace(&mut self, files: &[(&str, &[u8])]) -> Result<(), ReportError> {
        let told = |path: PathBuf| move |error| ReportError::Write { path, error };
        let parts = files.iter().map(|(name, bytes)| write_part(&self.file(name), bytes));
        let parts = parts.collect::<Result<Vec<PathBuf>, _>>()?;
        let last = files.last().map(|(name, _)| *name);
        let stays = |name: &&String| {
            files.iter().any(|(new, _)| new == name || Some(*new) == name.strip_suffix(PART))
        };
        let goes = |name: &&String| Some(name.as_str()) == last || !stays(name);
        for path in self.replaced.iter().filter(goes).map(|name| self.file(name)) {
            std::fs::remove_file(&path).map_err(told(path))?;
        }
        for (part, (name, _)) in parts.iter().zip(files) {
            std::fs::rename(part, self.file(name)).map_err(told(self.file(name)))?;
        }
        self.replaced.clear();
        Ok(())
    }

    /// Removes a file of the run, if it is there.
    pub fn remove(&self, name: &str) -> Result<(), ReportError> {
        let path = self.file(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(ReportError::Write { path, error })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Removes the folder if nothing was written to it: a run that could not start leaves nothing
    /// behind.
    pub fn remove_if_empty(&self) {
        if self.names().is_ok_and(|names| names.iter().all(|name| name == LOCK)) {
            // What cannot be removed stays: that the run could not start is told in any case.
            let _ = std::fs::remove_file(self.file(LOCK))
                .and_then(|()| std::fs::remove_dir(&self.path));
        }
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

fn make_folder(path: &Path) -> Result<(), ReportError> {
    std::fs::create_dir_all(path)
        .map_err(|error| ReportError::Write { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::super::files::{CHECKPOINT, SUMMARY};
    use super::*;

    #[test]
    fn a_taken_default_gets_a_number() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let names: Vec<_> =
            (0..3).map(|_| Folder::fresh(root.path(), "chain", 7).expect("a folder")).collect();
        let names: Vec<_> = names
            .iter()
            .map(|folder| folder.path().file_name().and_then(|name| name.to_str()))
            .collect();
        assert_eq!(names, [Some("chain-7"), Some("chain-7-2"), Some("chain-7-3")]);
    }

    /// A run of a model and a summary, which has ended.
    fn run(path: &Path) {
        let folder = Folder::at(path, Occupied::Refuse).expect("a new folder");
        let manifest = Manifest::of(&[
            (MODEL.to_owned(), String::new()),
            ("own.csv".to_owned(), String::new()),
        ]);
        for (name, bytes) in [
            (MANIFEST, &manifest.to_bytes()[..]),
            (MODEL, b""),
            ("own.csv", b""),
            (CHECKPOINT, b"old"),
            (SUMMARY, b"{}"),
        ] {
            folder.write(name, bytes).expect("written");
        }
        std::fs::write(folder.file("own.csv.part"), "").expect("written");
    }

    #[test]
    fn a_run_is_replaced_when_the_new_one_has_something_to_show() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let path = root.path().join("run");
        run(&path);
        assert!(matches!(Folder::at(&path, Occupied::Refuse), Err(ReportError::Occupied { .. })));
        let mut folder = Folder::at(&path, Occupied::Overwrite).expect("a run may be overwritten");
        assert!(folder.replaces() && folder.read(SUMMARY).is_ok());
        folder.replace(&[(MODEL, b"new"), (CHECKPOINT, b"new")]).expect("written");
        assert!(!folder.replaces());
        assert_eq!(folder.names().expect("names"), [LOCK, CHECKPOINT, MODEL]);
        assert_eq!(
            (folder.read(MODEL).expect("read"), folder.read(CHECKPOINT).expect("read")),
            (b"new".to_vec(), b"new".to_vec())
        );
    }

    #[test]
    fn what_the_manifest_does_not_name_is_never_replaced() {
        for name in [
            "thesis.tex",
            "expert.csv",
            "world.rlenv",
            ".rlppl-x",
            "thesis.tex.part",
            "metrics.jsonl.old",
        ] {
            let root = tempfile::tempdir().expect("a temporary folder");
            let path = root.path().join("run");
            run(&path);
            std::fs::write(path.join(name), "").expect("written");
            match Folder::at(&path, Occupied::Overwrite) {
                Err(ReportError::Foreign { file: Some(file), .. }) => assert_eq!(file, name),
                other => panic!("{name}: {other:?}"),
            }
            assert!(path.join(name).exists() && path.join(SUMMARY).exists());
        }
    }

    #[test]
    fn one_process_at_a_time_and_a_start_that_was_cut_short_is_in_nobodys_way() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let path = root.path().join("run");
        let folder = Folder::at(&path, Occupied::Refuse).expect("a new folder");
        assert!(matches!(Folder::at(&path, Occupied::Refuse), Err(ReportError::Locked { .. })));
        // whatever is in it
        Folder::of(&path).write(MODEL, b"").expect("written");
        assert!(matches!(
            Folder::verify_free(&path, Occupied::Refuse),
            Err(ReportError::Locked { .. })
        ));
        assert!(matches!(
            Folder::verify_free(&path, Occupied::Overwrite),
            Err(ReportError::Locked { .. })
        ));
        folder.remove(MODEL).expect("removed");
        std::fs::write(folder.file("manifest.json.part"), "{").expect("written");
        drop(folder);
        let folder = Folder::at(&path, Occupied::Refuse).expect("nothing is lost");
        folder.write(MANIFEST, &Manifest::of(&[]).to_bytes()).expect("written");
        drop(folder);
        drop(Folder::at(&path, Occupied::Refuse).expect("the lock has gone with who held it"));
        Folder::of(&path).write(MODEL, b"").expect("written");
        assert!(matches!(Folder::at(&path, Occupied::Refuse), Err(ReportError::Occupied { .. })));
        let open = || Folder::open(&path).expect("a run");
        let held = open().locked().expect("free");
        assert!(matches!(open().locked(), Err(ReportError::Locked { .. })));
        drop(held);
        assert!(open().locked().is_ok());
    }

    #[test]
    fn a_folder_without_a_model_is_not_a_run() {
        let root = tempfile::tempdir().expect("a temporary folder");
        assert!(matches!(Folder::open(root.path()), Err(ReportError::NotARun { .. })));
    }
}
