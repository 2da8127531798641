//! Where frames come from: MOT text, or a database into which it was imported.
//!
//! # Invariants
//! - Both give the same frames for the same numbers.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use presence::Database;
use presence_cache::Provider;
use presence_cli::failure::{Failure, Result};
use presence_cli::mot_database::MotDatabase;
use presence_cli::quantity::counted;
use presence_cli::terminal::say;
use presence_ingest::{MotFile, MotFrame};

use crate::open;

/// Frames by their numbers. Clones share what is open.
#[derive(Clone)]
pub(crate) struct Frames {
    source: Source,
    /// What every load takes longer than it does.
    slower: Duration,
    first: u32,
    count: u32,
}

#[derive(Clone)]
enum Source {
    Text(MotFile),
    Database(MotDatabase),
}

impl Frames {
    /// Opens a file or a database, of which `stream` is meant if it has several.
    ///
    /// # Errors
    /// Where there are no frames.
    pub(crate) fn open(path: &Path, stream: Option<&str>, slower: Duration) -> Result<Self> {
        let (source, range) = match path.is_dir() {
            true => {
                let db = open::to_read(path)?;
                let frames = of_database(&db, stream)?;
                let range = frames.range();
                (Source::Database(frames), range)
            }
            false => {
                let file = MotFile::open(path)?;
                if let Some(skipped) = file.report().skipped.first() {
                    let lines = counted(file.report().skipped_total, "line");
                    let (line, reason) = (skipped.line, &skipped.reason);
                    say(&format!("presence: {lines} left out; the first, {line}: {reason}"));
                }
                let range = file.range();
                (Source::Text(file), range)
            }
        };
        let Some((first, last)) = range else {
            return Err(Failure::usage(format!("{} holds no frame", path.display())));
        };
        Ok(Self { source, slower, first, count: (last - first).saturating_add(1) })
    }

    /// The number of the first frame.
    pub(crate) fn first(&self) -> u32 {
        self.first
    }

    /// Frames from the first to the last, those without detections with them.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }
}

/// The frames of the one stream of `db` that has some, or of the one that is named.
fn of_database(db: &Database, name: Option<&str>) -> Result<MotDatabase> {
    if let Some(name) = name {
        return Ok(MotDatabase::new(&open::stream(db, name)?)?);
    }
    let streams = db.streams();
    let mut found = streams.iter().filter_map(|stream| MotDatabase::new(stream).ok());
    match (found.next(), found.next()) {
        (Some(frames), None) => Ok(frames),
        (Some(_), Some(_)) => {
            Err(Failure::usage("several streams hold MOT detections; name one with --stream"))
        }
        _ => Err(Failure::usage("no stream holds MOT detections; `presence import` makes one")),
    }
}

impl Provider<u32, Arc<MotFrame>> for Frames {
    type Error = String;

    fn load(&self, number: &u32) -> Result<Arc<MotFrame>, String> {
        if !self.slower.is_zero() {
            std::thread::sleep(self.slower);
        }
        let frame = match &self.source {
            Source::Text(file) => file.frame(*number).map_err(|error| error.to_string())?,
            Source::Database(frames) => frames.frame(*number).map_err(|error| error.to_string())?,
        };
        Ok(Arc::new(frame))
    }

    fn contains(&self, number: &u32) -> bool {
        number.checked_sub(self.first).is_some_and(|index| index < self.count)
    }

    fn bytes(&self, _: &u32, frame: &Arc<MotFrame>) -> u64 {
        frame.bytes()
    }

    fn describe(&self, error: &String) -> String {
        error.clone()
    }
}
