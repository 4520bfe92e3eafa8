//! Lines of JSON, one per logged step.

use super::{Folder, ReportError};
use serde::Serialize;

/// The lines of one `.jsonl` file. They are kept whole and written whole, so that the file on disk always ends with a line's end.
#[derive(Clone, Debug, Default)]
pub struct Log {
    lines: Vec<String>,
}

impl Log {
    /// The lines a file holds whose `step` is at most `last`: where a run goes on from a checkpoint, later lines are written again.
    pub fn read(folder: &Folder, name: &str, last: u64) -> Result<Log, ReportError> {
        let text = String::from_utf8_lossy(&folder.read(name)?).into_owned();
        let step = |line: &str| serde_json::from_str::<serde_json::Value>(line).ok()?.get("step")?.as_u64();
        let kept = text.lines().filter(|line| step(line).is_some_and(|step| step <= last));
        Ok(Log { lines: kept.map(str::to_owned).collect() })
    }

    pub fn last(&self) -> Option<serde_json::Value> {
        self.lines.last().and_then(|line| serde_json::from_str(line).ok())
    }

    pub fn push(&mut self, record: &impl Serialize) {
        self.lines.push(serde_json::to_string(record).expect("report: a record is plain data with string keys"));
    }

    pub fn write(&self, folder: &Folder, name: &str) -> Result<(), ReportError> {
        let text: String = self.lines.iter().flat_map(|line| [line, "\n"]).collect();
        folder.write(name, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Occupied;
    use super::*;

    #[test]
    fn lines_after_the_checkpoint_are_left_out() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let folder = Folder::at(&root.path().join("run"), Occupied::Refuse).expect("a folder");
        let mut log = Log::default();
        for step in [10, 20, 30] {
            log.push(&serde_json::json!({ "step": step }));
        }
        log.write(&folder, "metrics.jsonl").expect("written");
        let log = Log::read(&folder, "metrics.jsonl", 20).expect("read");
        assert_eq!(log.lines, [r#"{"step":10}"#, r#"{"step":20}"#]);
    }
}
