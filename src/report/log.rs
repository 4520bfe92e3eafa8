//! Lines of JSON, one per logged step.

use super::{Folder, ReportError};
use serde::Serialize;
use serde_json::Value;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

/// One `.jsonl` file, written line by line. A process that is killed leaves at most its last line
/// broken.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    written_to: WrittenTo,
}

#[derive(Debug)]
enum WrittenTo {
    File(File),
    /// Held until the run's files may take their place.
    Memory(Vec<u8>),
}

impl Log {
    /// A log that begins, in memory at first.
    pub fn held(folder: &Folder, name: &str) -> Log {
        Log { path: folder.file(name), written_to: WrittenTo::Memory(Vec::new()) }
    }

    /// The log of a run that goes on, and its lines: those that `is_kept` refuses by their step are
    /// taken away, to be written again.
    pub fn go_on(
        folder: &Folder,
        name: &str,
        is_kept: impl Fn(u64) -> bool,
    ) -> Result<(Log, Vec<Value>), ReportError> {
        let mut log = Log::held(folder, name);
        let bytes = bytes(folder, name)?;
        let text = String::from_utf8_lossy(&bytes);
        let of_step = |line: &Value| step(line).is_some_and(&is_kept);
        let kept = text.lines().filter_map(|line| Some((line, read(line).filter(of_step)?)));
        let (kept, records): (Vec<&str>, Vec<Value>) = kept.unzip();
        let kept: String = kept.into_iter().flat_map(|line| [line, "\n"]).collect();
        if kept.as_bytes() != bytes {
            folder.write(name, kept.as_bytes())?;
        }
        log.open()?;
        Ok((log, records))
    }

    /// How many steps lie between two lines of a log, at the least. The last line does not count: a
    /// run logs its last step, wherever that is. `None` where there are too few lines to tell.
    pub fn distance(folder: &Folder, name: &str) -> Result<Option<u64>, ReportError> {
        let bytes = bytes(folder, name)?;
        let text = String::from_utf8_lossy(&bytes);
        let mut steps: Vec<u64> = text.lines().filter_map(|line| step(&read(line)?)).collect();
        steps.pop();
        let before = [0].into_iter().chain(steps.iter().copied());
        Ok(steps.iter().zip(before).map(|(step, before)| step.saturating_sub(before)).min())
    }

    pub fn push(&mut self, record: &impl Serialize) -> Result<(), ReportError> {
        let mut line =
            serde_json::to_vec(record).expect("report: a record is plain data with string keys");
        line.push(b'\n');
        match &mut self.written_to {
            WrittenTo::Memory(bytes) => bytes.extend(line),
            WrittenTo::File(file) => file
                .write_all(&line)
                .map_err(|error| ReportError::Write { path: self.path.clone(), error })?,
        }
        Ok(())
    }

    /// What is held in memory.
    pub fn bytes(&self) -> &[u8] {
        match &self.written_to {
            WrittenTo::Memory(bytes) => bytes,
            WrittenTo::File(_) => &[],
        }
    }

    /// From now on lines are added to the file.
    pub fn open(&mut self) -> Result<(), ReportError> {
        let told = |error| ReportError::Write { path: self.path.clone(), error };
        self.written_to = WrittenTo::File(
            File::options().append(true).create(true).open(&self.path).map_err(told)?,
        );
        Ok(())
    }

    /// Returns when all lines are on the disk.
    pub fn sync(&self) -> Result<(), ReportError> {
        match &self.written_to {
            WrittenTo::File(file) => file
                .sync_data()
                .map_err(|error| ReportError::Write { path: self.path.clone(), error }),
            WrittenTo::Memory(_) => Ok(()),
        }
    }
}

/// What a log holds; nothing where there is none.
fn bytes(folder: &Folder, name: &str) -> Result<Vec<u8>, ReportError> {
    if folder.file(name).exists() { folder.read(name) } else { Ok(Vec::new()) }
}

fn read(line: &str) -> Option<Value> {
    serde_json::from_str(line).ok()
}

fn step(line: &Value) -> Option<u64> {
    line.get("step")?.as_u64()
}

#[cfg(test)]
mod tests {
    use super::super::Occupied;
    use super::*;

    #[test]
    fn lines_after_the_checkpoint_and_half_ones_are_taken_away() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let folder = Folder::at(&root.path().join("run"), Occupied::Refuse).expect("a folder");
        let (mut log, lines) = Log::go_on(&folder, "metrics.jsonl", |_| true).expect("a new log");
        assert!(lines.is_empty());
        for step in [10, 20, 30] {
            log.push(&serde_json::json!({ "step": step })).expect("written");
        }
        let bytes = || folder.read("metrics.jsonl").expect("read");
        std::fs::write(folder.file("metrics.jsonl"), [&bytes()[..], b"{\"step\":1"].concat())
            .expect("written");
        let (mut log, lines) =
            Log::go_on(&folder, "metrics.jsonl", |step| step <= 20).expect("read");
        assert_eq!(lines, [serde_json::json!({ "step": 10 }), serde_json::json!({ "step": 20 })]);
        log.push(&serde_json::json!({ "step": 25 })).expect("written");
        assert_eq!(
            String::from_utf8_lossy(&bytes()),
            "{\"step\":10}\n{\"step\":20}\n{\"step\":25}\n"
        );
    }
}
