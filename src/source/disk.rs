//! The files of the machine.

use super::loader::{Loader, ReadError};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Opens files as the system has them; relative paths start from the current folder. A pipe or a
/// device is refused: it may have no end, and opening one may wait for ever.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Loader for Disk {
    fn open(&self, path: &Path) -> Result<Box<dyn Read + '_>, ReadError> {
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
        Ok(Box::new(File::open(path).map_err(failed)?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ReadError, Source};
    use std::path::Path;

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
}
