//! Files that a command writes where it is told to.

use super::Failure;
use std::path::Path;

/// Whether the file that `option` names may be written; `example` is a name for it in a folder.
pub fn verify_free(
    option: &str,
    out: &Path,
    example: &str,
    overwrite: bool,
) -> Result<(), Failure> {
    let shown = out.display();
    if out.is_dir() {
        let inside = out.join(example);
        let inside = inside.display();
        return Err(Failure::Usage(format!(
            "`{shown}` is a folder: `{option}` names the file to write, such as `{inside}`"
        )));
    }
    // a device or a pipe is written to, never replaced
    match out.is_file() && !overwrite {
        true => Err(Failure::Usage(format!(
            "`{shown}` exists: `--overwrite` replaces it, `{option} FILE` writes another one"
        ))),
        false => Ok(()),
    }
}
