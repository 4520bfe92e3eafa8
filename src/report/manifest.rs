//! What a run's folder holds and what was run, as the run itself wrote it down.

use super::{CHECKPOINT, MANIFEST, METRICS, PARAMETERS, SUMMARY, TIMINGS};
use fnv::FnvHasher;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::hash::Hasher;
use std::path::Path;

/// `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Of rlppl.
    version: String,
    /// The names of all files that the run writes into its folder.
    files: Vec<String>,
    /// The texts of the model and of its environments as they were run, by name.
    pub texts: BTreeMap<String, String>,
    /// Of recorded data, which may be large: a checksum, by name.
    data: BTreeMap<String, String>,
}

impl Manifest {
    /// Of a run of `files`, as [`as_run`](super::as_run) returns them.
    pub fn of(files: &[(String, String)]) -> Manifest {
        let (data, texts): (Vec<_>, Vec<_>) =
            files.iter().partition(|(name, _)| name.ends_with(".csv"));
        let own = [METRICS, TIMINGS, PARAMETERS, CHECKPOINT, SUMMARY, MANIFEST].map(str::to_owned);
        Manifest {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            files: files.iter().map(|(name, _)| name.clone()).chain(own).collect(),
            texts: texts.into_iter().cloned().collect(),
            data: data
                .into_iter()
                .map(|(name, text)| (name.clone(), checksum(text.as_bytes())))
                .collect(),
        }
    }

    /// `None` of bytes that are no manifest.
    pub fn read(bytes: &[u8]) -> Option<Manifest> {
        serde_json::from_slice(bytes).ok()
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let text = serde_json::to_string_pretty(self)
            .expect("report: a manifest is plain data with string keys");
        (text + "\n").into_bytes()
    }

    /// The files that are the run's. A name that leads out of the folder is none of them.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        let is_plain =
            |name: &&str| Path::new(name).file_name().is_some_and(|plain| plain == *name);
        self.files.iter().map(String::as_str).filter(is_plain)
    }

    /// The recorded data that is no longer as it was when the run began, where `read` returns the
    /// bytes of a file.
    pub fn changed_data(&self, read: impl Fn(&str) -> Option<Vec<u8>>) -> Option<&str> {
        let is_changed = |(name, sum): &(&String, &String)| {
            read(name).is_none_or(|bytes| checksum(&bytes) != **sum)
        };
        self.data.iter().find(is_changed).map(|(name, _)| name.as_str())
    }
}

fn checksum(bytes: &[u8]) -> String {
    let mut hasher = FnvHasher::default();
    hasher.write(bytes);
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_comes_back_and_names_nothing_outside_its_folder() {
        let files = [
            ("model.rlmodel".to_owned(), "model m".to_owned()),
            ("expert.csv".to_owned(), "t\n1\n".to_owned()),
        ];
        let mut manifest = Manifest::of(&files);
        assert_eq!(Manifest::read(&manifest.to_bytes()), Some(manifest.clone()));
        assert_eq!(manifest.texts.keys().collect::<Vec<_>>(), ["model.rlmodel"]);
        assert_eq!(manifest.changed_data(|_| Some(b"t\n1\n".to_vec())), None);
        assert_eq!(manifest.changed_data(|_| Some(b"t\n2\n".to_vec())), Some("expert.csv"));
        assert_eq!(manifest.changed_data(|_| None), Some("expert.csv"));
        manifest.files =
            ["..", "../x", "/etc/passwd", "a/b", "", ".", "own.csv"].map(str::to_owned).to_vec();
        assert_eq!(manifest.files().collect::<Vec<_>>(), ["own.csv"]);
        assert_eq!(Manifest::read(b"{}"), None);
    }
}
