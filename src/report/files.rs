//! The names of the files of a run.

pub const MODEL: &str = "model.rlmodel";
pub const MANIFEST: &str = "manifest.json";
pub const METRICS: &str = "metrics.jsonl";
pub const TIMINGS: &str = "timings.jsonl";
pub const PARAMETERS: &str = "parameters.safetensors";
pub const CHECKPOINT: &str = "checkpoint.safetensors";
pub const SUMMARY: &str = "summary.json";
/// Empty. The process that writes to the folder holds a lock on it, which ends with the process,
/// however that ends.
pub const LOCK: &str = ".lock";
