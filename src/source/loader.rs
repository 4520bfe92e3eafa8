//! Where the files that a text names come from.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The largest file that is read as a model, in bytes.
pub const LARGEST: usize = 4 << 20;

/// Gives the files that the language names: models, the environments (`.rlenv`) and the recorded
/// data (CSV) beside them. Nothing else that a stage reads comes from outside its arguments.
pub trait Loader: Debug + Send + Sync {
    /// The bytes of a file from its beginning: a stream that ends. `path` is the name as it is
    /// written, behind the folder of the file that names it.
    ///
    /// # Errors
    /// Where there is no file of that name, or none that may be read.
    fn open(&self, path: &Path) -> Result<Box<dyn Read + '_>, ReadError>;
}

/// Files in memory, by their paths: for tests, and for programs without a file system. A path names
/// the file that it leads to: `./a/../x.rlenv` is `x.rlenv`.
///
/// ```
/// use rlppl::source::{Loader, Texts};
/// use std::path::Path;
/// let files: Texts = [("walks/line.rlenv", "state s : 0..4")].into();
/// assert!(files.open(Path::new("walks/./line.rlenv")).is_ok());
/// assert_eq!(
///     files.open(Path::new("line.rlenv")).err().map(|error| error.to_string()),
///     Some("there is no file `line.rlenv`".to_owned())
/// );
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    files: BTreeMap<PathBuf, Arc<str>>,
}

impl Texts {
    /// A file more, in the place of one of that path.
    pub fn insert(&mut self, path: impl AsRef<Path>, text: impl Into<Arc<str>>) {
        self.files.insert(plain(path.as_ref()), text.into());
    }
}

impl<P: AsRef<Path>, T: Into<Arc<str>>> FromIterator<(P, T)> for Texts {
    fn from_iter<I: IntoIterator<Item = (P, T)>>(files: I) -> Texts {
        let mut texts = Texts::default();
        files.into_iter().for_each(|(path, text)| texts.insert(path, text));
        texts
    }
}

impl<P: AsRef<Path>, T: Into<Arc<str>>, const N: usize> From<[(P, T); N]> for Texts {
    fn from(files: [(P, T); N]) -> Texts {
        files.into_iter().collect()
    }
}

impl Loader for Texts {
    fn open(&self, path: &Path) -> Result<Box<dyn Read + '_>, ReadError> {
        match self.files.get(&plain(path)) {
            Some(text) => Ok(Box::new(text.as_bytes())),
            None => Err(ReadError::Missing { name: path.display().to_string() }),
        }
    }
}

/// A path without detours.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(plain.components().next_back(), Some(Component::Normal(_))) =>
            {
                plain.pop();
            }
            _ => plain.push(component),
        }
    }
    plain
}

/// Why there is no text to parse.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    #[error("there is no file `{name}`")]
    Missing { name: String },
    #[error("`{name}` is a folder, not a file")]
    Folder { name: String },
    #[error("`{name}` is a pipe or a device, not a file")]
    Special { name: String },
    #[error("cannot read `{name}`: {error}")]
    Unreadable { name: String, error: io::Error },
    #[error("`{name}` is larger than {} MiB: it is not read as a model", LARGEST >> 20)]
    TooLarge { name: String },
    #[error("`{name}` is not a text file: byte {at} (line {line}) is {what}")]
    NotText { name: String, at: usize, line: usize, what: &'static str },
}

impl ReadError {
    /// The content is at fault, not the path that was given.
    pub fn is_content(&self) -> bool {
        match self {
            ReadError::TooLarge { .. } | ReadError::NotText { .. } => true,
            ReadError::Missing { .. }
            | ReadError::Folder { .. }
            | ReadError::Special { .. }
            | ReadError::Unreadable { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_the_file_that_it_leads_to() {
        for (path, leads_to) in [
            ("./a/x", "a/x"),
            ("a/../x", "x"),
            ("../x", "../x"),
            ("a/../../x", "../x"),
            ("/x", "/x"),
        ] {
            assert_eq!(plain(Path::new(path)), Path::new(leads_to), "{path}");
        }
    }
}
