//! The text of a model file, and places in it. A word that every layer uses.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The largest file that is read as a model, in bytes.
pub const LARGEST: usize = 4 << 20;

/// A named text. `path` is where files it names (`environment … from "x.rlenv"`) are looked for.
#[derive(Clone, Debug)]
pub struct Source {
    /// How diagnostics call it: the path as the user wrote it, or `<stdin>`.
    pub name: String,
    pub path: Option<PathBuf>,
    pub text: Arc<str>,
    /// A model may name any file that its reader can read: of one outside the model's folder no
    /// line is quoted.
    pub is_foreign: bool,
}

impl Source {
    /// A text that is not on disk: a test, a doctest, standard input. Files it names are looked for
    /// in the current folder.
    pub fn new(name: impl Into<String>, text: impl Into<Arc<str>>) -> Source {
        Source { name: name.into(), path: None, text: text.into(), is_foreign: false }
    }

    /// A text that was read from `path`.
    pub fn at(path: &Path, text: impl Into<Arc<str>>) -> Source {
        Source {
            name: path.display().to_string(),
            path: Some(path.to_owned()),
            text: text.into(),
            is_foreign: false,
        }
    }

    /// The text of a file: at most [`LARGEST`] bytes of UTF-8.
    ///
    /// # Errors
    /// As [`open`]; a file that is larger, or no text.
    pub fn read(path: &Path) -> Result<Source, ReadError> {
        let text = read_text(open(path)?, &path.display().to_string())?;
        Ok(Source::at(path, text))
    }

    /// The text of a file that this one names, relative to its folder.
    ///
    /// # Errors
    /// As [`Source::read`].
    pub fn read_named(&self, name: &str) -> Result<Source, ReadError> {
        Ok(Source { is_foreign: leaves_folder(name), ..Source::read(&self.folder().join(name))? })
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

/// Opens a regular file. A pipe or a device may have no end, and opening one may wait for ever.
///
/// # Errors
/// Where there is none, or something else of that name.
pub fn open(path: &Path) -> Result<File, ReadError> {
    let name = || path.display().to_string();
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => ReadError::Missing { name: name() },
        _ => ReadError::Unreadable { name: name(), error },
    };
    let kind = fs::metadata(path).map_err(failed)?.file_type();
    if kind.is_dir() {
        return Err(ReadError::Folder { name: name() });
    }
    if !kind.is_file() {
        return Err(ReadError::Special { name: name() });
    }
    File::open(path).map_err(failed)
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
            Source::read_stream("m", io::repeat(b' ')),
            Err(ReadError::TooLarge { .. })
        ));
    }

    #[test]
    fn a_folder_is_not_a_model() {
        assert!(matches!(Source::read(Path::new("src")), Err(ReadError::Folder { .. })));
        assert!(matches!(Source::read(Path::new("no/such")), Err(ReadError::Missing { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_not_a_model() {
        assert!(matches!(Source::read(Path::new("/dev/zero")), Err(ReadError::Special { .. })));
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
