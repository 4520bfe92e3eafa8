//! The text of a model file, and places in it; where the files that it names come from. A word that
//! every layer uses.

#[cfg(any(test, feature = "system"))]
mod disk;
mod loader;

#[cfg(any(test, feature = "system"))]
pub use disk::Disk;
pub use loader::{LARGEST, Loader, ReadError, Texts};

use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// A named text. `path` is where files it names (`environment … from "x.rlenv"`) are looked for.
#[derive(Clone, Debug)]
pub struct Source {
    /// How diagnostics call it: the path as the user wrote it, or `<stdin>`.
    pub name: String,
    pub path: Option<PathBuf>,
    pub text: Arc<str>,
    /// What gives the files it names.
    pub files: Arc<dyn Loader>,
    /// A model may name any file that its reader can read: of one outside the model's folder no
    /// line is quoted.
    pub is_foreign: bool,
}

impl Source {
    /// A text that is not on disk: a test, a doctest, standard input. Files it names are looked for
    /// in the current folder; without the feature `system` there are none.
    pub fn new(name: impl Into<String>, text: impl Into<Arc<str>>) -> Source {
        let files = of_the_system();
        Source { name: name.into(), path: None, text: text.into(), files, is_foreign: false }
    }

    /// A text that was read from `path`; files it names are looked for beside it, likewise.
    pub fn at(path: &Path, text: impl Into<Arc<str>>) -> Source {
        Source { path: Some(path.to_owned()), ..Source::new(path.display().to_string(), text) }
    }

    /// The same text, where the files that it names are those of `files`.
    ///
    /// ```
    /// use rlppl::source::{Source, Texts};
    /// let line = "state s : 0..4; action a : 0..1; s[1] ~ Delta(0); s[t+1] ~ Delta(s[t])";
    /// let text = "model walk  horizon T = 3  environment line from \"line.rlenv\"";
    /// let files = Texts::from([("line.rlenv", line)]);
    /// let walk = Source::new("walk.rlmodel", text).with_files(files);
    /// assert_eq!(rlppl::parse(&walk)?.sources.len(), 2);
    /// # Ok::<(), rlppl::Diagnostics>(())
    /// ```
    #[must_use]
    pub fn with_files(self, files: impl Loader + 'static) -> Source {
        Source { files: Arc::new(files), ..self }
    }

    /// The text of a file of the machine: at most [`LARGEST`] bytes of UTF-8.
    ///
    /// # Errors
    /// As [`Disk`] and [`Source::load`].
    #[cfg(any(test, feature = "system"))]
    pub fn read(path: &Path) -> Result<Source, ReadError> {
        Source::load(path, Arc::new(Disk))
    }

    /// The text of one of `files`, at most [`LARGEST`] bytes of UTF-8; the others are those that it
    /// may name.
    ///
    /// # Errors
    /// As the loader; a file that is larger, or no text.
    pub fn load(path: &Path, files: Arc<dyn Loader>) -> Result<Source, ReadError> {
        let text = read_text(files.open(path)?, &path.display().to_string())?;
        Ok(Source { files, ..Source::at(path, text) })
    }

    /// The text of a file that this one names, relative to its folder.
    ///
    /// # Errors
    /// As [`Source::load`].
    pub fn read_named(&self, name: &str) -> Result<Source, ReadError> {
        let named = Source::load(&self.path_of(name), Arc::clone(&self.files))?;
        Ok(Source { is_foreign: leaves_folder(name), ..named })
    }

    /// The bytes of a file that this one names, likewise, of any size.
    ///
    /// # Errors
    /// As [`Loader::open`].
    pub fn open_named(&self, name: &str) -> Result<Box<dyn Read + '_>, ReadError> {
        self.files.open(&self.path_of(name))
    }

    /// Where a file is that this one names.
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// The text of a stream that is not a file, such as standard input.
    pub fn read_stream(name: &str, stream: impl Read) -> Result<Source, ReadError> {
        Ok(Source::new(name, read_text(stream, name)?))
    }

    /// The folder that relative names in this file start from.
    pub fn folder(&self) -> &Path {
        self.path.as_deref().and_then(Path::parent).unwrap_or(Path::new(""))
    }
}

/// The files of a text that says nothing of them. The tests of this crate always have a disk.
#[cfg(any(test, feature = "system"))]
fn of_the_system() -> Arc<dyn Loader> {
    Arc::new(Disk)
}

/// Without a file system there are none.
#[cfg(not(any(test, feature = "system")))]
fn of_the_system() -> Arc<dyn Loader> {
    Arc::new(Texts::default())
}

/// Whether a path that a model file names leads out of its folder.
pub fn leaves_folder(name: &str) -> bool {
    let mut depth = 0;
    Path::new(name).components().any(|component| {
        match component {
            Component::Normal(_) => depth += 1,
            Component::ParentDir => depth -= 1,
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return true,
        }
        depth < 0
    })
}

/// Bytes `start..end` of one file: 0 is the model file, the others are the `.rlenv` files it names,
/// in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    pub file: u32,
    pub start: u32,
    pub end: u32,
}

impl Span {
    /// The smallest span that holds both.
    pub fn to(self, end: Span) -> Span {
        Span { file: self.file, start: self.start.min(end.start), end: self.end.max(end.end) }
    }
}

fn read_text(stream: impl Read, name: &str) -> Result<Arc<str>, ReadError> {
    let mut bytes = Vec::new();
    // One byte more than is allowed shows that there is more; an endless stream ends here too.
    let read = stream.take(LARGEST as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| ReadError::Unreadable { name: name.to_owned(), error })?;
    let not_text = |at: usize, what: &'static str| {
        let line = 1 + bytes[..at].iter().filter(|&&byte| byte == b'\n').count();
        ReadError::NotText { name: name.to_owned(), at, line, what }
    };
    if let Some(at) = bytes.iter().position(|&byte| byte == 0) {
        return Err(not_text(at, "zero"));
    }
    if bytes.len() > LARGEST {
        return Err(ReadError::TooLarge { name: name.to_owned() });
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(text.into()),
        Err(error) => Err(not_text(error.valid_up_to(), "not UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(bytes: &[u8]) -> Result<String, String> {
        Source::read_stream("m", bytes)
            .map(|source| source.text.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn text_is_read_and_anything_else_is_named() {
        assert_eq!(stream("α\n".as_bytes()), Ok("α\n".to_owned()));
        assert_eq!(
            stream(b"ab\ncd\xff"),
            Err("`m` is not a text file: byte 5 (line 2) is not UTF-8".to_owned())
        );
        assert_eq!(
            stream(b"\x7fELF\0"),
            Err("`m` is not a text file: byte 4 (line 1) is zero".to_owned())
        );
        assert_eq!(
            stream(&vec![b'#'; LARGEST + 1]),
            Err("`m` is larger than 4 MiB: it is not read as a model".to_owned())
        );
        assert!(stream(&vec![b'#'; LARGEST]).is_ok());
    }

    #[test]
    fn an_endless_stream_ends() {
        assert!(matches!(
            Source::read_stream("m", std::io::repeat(b' ')),
            Err(ReadError::TooLarge { .. })
        ));
    }

    #[test]
    fn a_path_out_of_the_folder_is_foreign() {
        for (name, leaves) in [
            ("x.rlenv", false),
            ("a/../x", false),
            ("./x", false),
            ("../x", true),
            ("a/../../x", true),
            ("/x", true),
        ] {
            assert_eq!(leaves_folder(name), leaves, "{name}");
        }
    }
}
