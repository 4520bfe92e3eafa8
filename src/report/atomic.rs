//! Writing a file whole or not at all.

use super::ReportError;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes `bytes` beside `path` and renames: a reader sees the old file or the new one, never half
/// of it. An existing file keeps its permissions, and a symbolic link its target's place.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    write(path, bytes).map_err(|error| ReportError::Write { path: path.to_owned(), error })
}

/// The same for a file in a folder that nobody else writes to: what is being written has the name
/// of the file and [`PART`], so that it is known what a process that was killed has left. The bytes
/// are on the disk when this returns: a disk that turns out to be full is reported.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    let told = |error| ReportError::Write { path: path.to_owned(), error };
    let part = write_part(path, bytes)?;
    std::fs::rename(part, path).map_err(told)
}

/// The end of the name of a file that is being written.
pub const PART: &str = ".part";

/// The first half of [`replace`], which leaves `path` as it was.
pub fn write_part(path: &Path, bytes: &[u8]) -> Result<PathBuf, ReportError> {
    let mut part = path.as_os_str().to_owned();
    part.push(PART);
    let part = PathBuf::from(part);
    let written = std::fs::File::create(&part).and_then(|mut file| {
        file.write_all(bytes)?;
        if let Ok(existing) = std::fs::metadata(path) {
            file.set_permissions(existing.permissions())?;
        }
        file.sync_data()
    });
    match written {
        Ok(()) => Ok(part),
        Err(error) => {
            // half a file is of no use; that the whole one could not be written is told in any case
            let _ = std::fs::remove_file(&part);
            Err(ReportError::Write { path: path.to_owned(), error })
        }
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let existing = std::fs::canonicalize(path).ok();
    // a device or a pipe is written to, never replaced
    if existing.as_ref().is_some_and(|existing| !existing.is_file() && !existing.is_dir()) {
        let mut file = std::fs::OpenOptions::new().write(true).open(path)?;
        file.write_all(bytes)?;
        return file.flush();
    }
    let target = existing.as_deref().unwrap_or(path);
    let folder =
        target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".rlppl-");
    #[cfg(unix)]
    // less the umask
    let everyone = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o666);
    #[cfg(unix)]
    builder.permissions(everyone);
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.flush()?;
    if existing.is_some() {
        file.as_file().set_permissions(std::fs::metadata(target)?.permissions())?;
    }
    file.persist(target)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_device_is_written_to_and_stays() {
        assert!(write_atomic(Path::new("/dev/null"), b"x").is_ok());
        assert!(
            write_atomic(Path::new("/dev/full"), b"x")
                .expect_err("it is full")
                .to_string()
                .contains("the disk is full")
        );
        assert!(!Path::new("/dev/full").is_file() && !Path::new("/dev/null").is_file());
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("x");
        write_atomic(&path, b"one").expect("a new file");
        write_atomic(&path, b"two").expect("an existing file");
        assert_eq!(std::fs::read(&path).expect("written"), b"two");
        assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 1);
    }

    #[test]
    fn a_failure_names_the_file_and_leaves_nothing() {
        let error =
            write_atomic(Path::new("no/such/folder/x"), b"one").expect_err("there is no folder");
        assert_eq!(error.to_string(), "cannot write `no/such/folder/x`: there is no such file");
    }

    #[cfg(unix)]
    #[test]
    fn permissions_are_kept_and_new_files_are_readable_by_others() {
        use std::os::unix::fs::PermissionsExt;
        let mode =
            |path: &Path| std::fs::metadata(path).expect("a file").permissions().mode() & 0o777;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (plain, private) = (folder.path().join("plain"), folder.path().join("private"));
        std::fs::write(&plain, "").expect("a file");
        std::fs::write(&private, "").expect("a file");
        std::fs::set_permissions(&private, std::fs::Permissions::from_mode(0o600))
            .expect("permissions");
        let usual = mode(&plain);
        write_atomic(&private, b"one").expect("written");
        write_atomic(&folder.path().join("new"), b"one").expect("written");
        assert_eq!(mode(&private), 0o600);
        assert_eq!(mode(&folder.path().join("new")), usual);
    }
}
