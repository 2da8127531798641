//! Where the demo's recording lies.
//!
//! # Invariants
//! - Nothing is removed but segments and the lock of an earlier demo, from its own directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use presence_cli::failure::{Failure, Result};

/// The directory that each demo uses again.
const NAME: &str = "presence-demo";

/// The directory for the recording, which is empty or not there: `dir`, or one of the demo's own.
///
/// # Errors
/// Where `dir` holds something, or no directory can be made.
pub(crate) fn choose(dir: Option<&Path>, keep: bool) -> Result<PathBuf> {
    if let Some(dir) = dir {
        let holds = dir.read_dir().is_ok_and(|mut entries| entries.next().is_some());
        if holds || dir.is_file() {
            let dir = dir.display();
            return Err(Failure::usage(format!("{dir} is there already; name a new directory")));
        }
        return Ok(dir.to_owned());
    }
    let usual = std::env::temp_dir().join(NAME);
    if !keep || !usual.exists() {
        // Where something else is there, or somebody else's, it is left.
        if cleared(&usual).unwrap_or(false) {
            return Ok(usual);
        }
    }
    let fresh = tempfile::Builder::new().prefix("presence-demo-").tempdir();
    let fresh = fresh.map_err(|error| Failure::io("make a directory for the demo", &error))?;
    Ok(fresh.keep())
}

/// Takes away an earlier demo's recording; whether `path` can be used now.
fn cleared(path: &Path) -> io::Result<bool> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        other => other?,
    };
    if !metadata.is_dir() {
        return Ok(false);
    }
    let mut ours = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { return Ok(false) };
        let is_ours = name == "LOCK"
            || name.starts_with(".tmp-")
            || (name.starts_with("seg-") && name.ends_with(".presence"));
        if !is_ours || !entry.file_type()?.is_file() {
            return Ok(false);
        }
        ours.push(entry.path());
    }
    ours.iter().try_for_each(fs::remove_file)?;
    fs::remove_dir(path)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_recordings_are_cleared() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("demo");
        assert!(cleared(&path).unwrap());
        fs::create_dir(&path).unwrap();
        fs::write(path.join("LOCK"), "").unwrap();
        fs::write(path.join("seg-00000001.presence"), "x").unwrap();
        assert!(cleared(&path).unwrap() && !path.exists());
        fs::create_dir(&path).unwrap();
        fs::write(path.join("thesis.txt"), "x").unwrap();
        assert!(!cleared(&path).unwrap() && path.join("thesis.txt").exists());
        assert!(choose(Some(&path), false).is_err());
    }
}
