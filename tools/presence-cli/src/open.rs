//! Opening a database and finding a stream in it, with advice where that fails.
//!
//! # Invariants
//! - Commands that only ask open read-only: they take no lock and change nothing.

use std::path::Path;

use presence::{Database, Error, Options, Stream};

use crate::report;
use presence_cli::failure::{Failure, Result};

/// Opens `path` for reading.
///
/// # Errors
/// As [`Database::open_read_only`].
pub(crate) fn to_read(path: &Path) -> Result<Database> {
    let mut options = Options::default();
    // One answer from one state: nothing is followed.
    options.follow = false;
    Database::open_read_only(path, options).map_err(|error| advised(path, error))
}

/// Opens `path` for writing, and says on standard error what a crash before has cost.
///
/// # Errors
/// As [`Database::open`].
pub(crate) fn to_write(path: &Path, options: Options) -> Result<Database> {
    let db = Database::open(path, options).map_err(|error| advised(path, error))?;
    report::warn(db.report());
    Ok(db)
}

/// Adds what to do to an error of opening.
pub(crate) fn advised(path: &Path, error: Error) -> Failure {
    let is_absent = matches!(&error, Error::Io { source, .. }
        if source.kind() == std::io::ErrorKind::NotFound);
    let failure = Failure::from(error);
    if is_absent && !path.exists() {
        return failure.with("`presence import` makes a database");
    }
    failure
}

/// The stream called `name`.
///
/// # Errors
/// Where there is none, telling which there are.
pub(crate) fn stream(db: &Database, name: &str) -> Result<Stream> {
    db.stream(name).map_err(|error| {
        let streams = db.streams();
        let failure = Failure::from(error);
        if streams.is_empty() {
            return failure.with("the database holds no stream");
        }
        let mut names: Vec<String> =
            streams.iter().take(20).map(|stream| format!("{:?}", stream.name())).collect();
        if streams.len() > names.len() {
            names.push(format!("and {} more", streams.len() - names.len()));
        }
        failure.with(&format!("it holds {}", names.join(", ")))
    })
}
