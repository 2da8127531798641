//! Copies every sound record of a database, also from beyond damage, into a new one.
//!
//! # Invariants
//! - The source is read only, and nothing in it is trusted but what its own checksum covers.
//! - The copy has its name when all of it is durable and was judged sound, and not before.
//! - Records get new sequences where some before them are missing: the copy has no holes. Where
//!   they are is told, and written into `salvage.json` beside the copy's segments.
mod copy;
mod database;
mod hunt;
mod source;
mod survey;
mod tracks;
mod units;

use std::io;
use std::path::Path;
use std::sync::Arc;

use presence::device::{Device, RealDevice};
use serde::Serialize;

use crate::report::{Level, Lost, Report, records_of};
use crate::{Options, Progress, check, check_device};
use survey::Survey;

/// What the name of a copy that is being written begins with.
const UNFINISHED: &str = ".salvage-";
/// The report that is left in the copy.
const REPORT_NAME: &str = "salvage.json";
/// Refusals that are told one by one.
const REFUSED_MAX: usize = 1000;

/// Why nothing could be salvaged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The source cannot be read.
    #[error("cannot read {file}: {source}")]
    Read {
        /// The file or directory.
        file: String,
        /// The system's error.
        source: io::Error,
    },
    /// The copy cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file or directory.
        path: String,
        /// The system's error.
        source: io::Error,
    },
    /// There is something where the copy is to be.
    #[error("{path} is there already, and not an empty directory: name another place")]
    Exists {
        /// The path.
        path: String,
    },
    /// Nothing that is sound was found.
    #[error("{path} holds no sound stream")]
    Nothing {
        /// The source.
        path: String,
    },
    /// The engine refused to write the copy.
    #[error(transparent)]
    Engine(#[from] presence::Error),
    /// The copy was written and is not sound: nothing was left of it.
    #[error("the copy is not sound: {what}; nothing of it was kept")]
    Unsound {
        /// The first finding.
        what: String,
    },
    /// It was ended before its time; nothing was left of the copy.
    #[error("interrupted; nothing of the copy was kept")]
    Interrupted,
}

impl Error {
    fn read(file: &str, source: io::Error) -> Self {
        Self::Read { file: file.to_owned(), source }
    }

    fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::Write { path, source }
    }
}

/// What was salvaged, and what was not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Salvaged {
    /// Version of this structure.
    pub report_version: u32,
    /// Where it came from.
    pub source: String,
    /// Streams in the copy.
    pub streams: u64,
    /// Records in the copy.
    pub records: u64,
    /// Records that are missing in it.
    pub lost: Vec<Lost>,
    /// Sound pieces that could not be taken, the first thousand: file, offset and why.
    pub refused: Vec<Refused>,
    /// How many more there were.
    pub further_refused: u64,
    /// Entries that a crash had cut and others had replaced: left out.
    pub replaced: u64,
    /// Entries of other databases: left out.
    pub foreign: u64,
    /// Sound headers whose content is not.
    pub unsound: u64,
    /// Frames among them, where there are presence tracks: what they held of tracks nothing counts.
    pub uncounted_frames: u64,
    /// Files that could not be searched to their end, and why.
    pub unread: Vec<String>,
    /// Directories beside the copy that a killed salvage left, or another one is at work in.
    pub left_over: Vec<String>,
}

/// A piece that could not be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The file.
    pub file: String,
    /// Where in it.
    pub offset: u64,
    /// Why.
    pub what: String,
}

impl Salvaged {
    /// Whether every record that was ever known of is in the copy.
    pub fn is_complete(&self) -> bool {
        self.lost.is_empty() && self.unread.is_empty() && self.uncounted_frames == 0
    }

    /// How many records are missing.
    pub fn lost_records(&self) -> u64 {
        records_of(self.lost.iter())
    }

    /// 0 where it is complete, 1 where something was or may have been lost.
    pub fn exit_code(&self) -> u8 {
        u8::from(!self.is_complete())
    }

    fn refuse(&mut self, file: &str, offset: u64, what: &str) {
        if self.refused.len() >= REFUSED_MAX {
            self.further_refused += 1;
            return;
        }
        self.refused.push(Refused { file: file.to_owned(), offset, what: what.to_owned() });
    }
}

/// Copies what is sound of the database, or the one segment, at `path` into a new one at `out`.
///
/// Everything is read twice. Memory grows with the number of blocks (some 50 bytes each), not with
/// their size. `progress` ends the work where it says `false`.
///
/// # Errors
/// [`Error`]; then nothing is left at `out`.
pub fn salvage(
    path: impl AsRef<Path>,
    out: impl AsRef<Path>,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<Salvaged, Error> {
    let (path, out) = (path.as_ref(), out.as_ref());
    let is_alone = !path.is_dir();
    let (folder, only) = match (is_alone, path.parent(), path.file_name()) {
        (true, Some(parent), Some(name)) => (parent, Some(name.to_string_lossy().into_owned())),
        _ => (path, None),
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let unreadable = |error| Error::read(&path.display().to_string(), error);
    let device = RealDevice::open(folder).map_err(unreadable)?;
    let is_taken = out.exists() && !out.read_dir().is_ok_and(|mut dir| dir.next().is_none());
    if is_taken {
        return Err(Error::Exists { path: out.display().to_string() });
    }
    let mut survey = Survey::new(&device, only.as_deref(), progress)?;
    survey.salvaged.source = path.display().to_string();
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    survey.salvaged.left_over = left_over(parent).map_err(Error::write(parent))?;
    let place = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .tempdir_in(parent)
        .map_err(Error::write(parent))?;
    let copy = RealDevice::open(place.path()).map_err(Error::write(place.path()))?;
    let salvaged = survey.copy(&device, Arc::new(copy), is_alone, progress)?;
    finish(place, out, parent, &salvaged)?;
    Ok(salvaged)
}

/// Names in `parent` of copies that were never finished.
fn left_over(parent: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in parent.read_dir()? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(Some(name).filter(|name| name.starts_with(UNFINISHED)));
    }
    names.sort();
    Ok(names)
}

/// As [`salvage`], from the directory behind one device to the empty one behind another. The copy
/// is there at once, and stays where an error ends it.
///
/// # Errors
/// [`Error`].
pub fn salvage_device(
    device: &dyn Device,
    out: Arc<dyn Device>,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<Salvaged, Error> {
    let survey = Survey::new(device, None, progress)?;
    let salvaged = survey.copy(device, Arc::clone(&out), false, progress)?;
    judge(check_device(&*out, &Options::at(Level::Deep), &mut |_| true))?;
    Ok(salvaged)
}

/// The copy must be sound.
fn judge(judged: Result<Report, crate::Error>) -> Result<(), Error> {
    let what = match judged {
        Ok(report) if report.is_sound() => return Ok(()),
        Ok(Report { findings, .. }) => findings.first().map(|finding| finding.what.clone()),
        Err(error) => Some(error.to_string()),
    };
    Err(Error::Unsound { what: what.unwrap_or_default() })
}

/// Judges the copy, leaves the report in it, and gives it its name.
fn finish(
    place: tempfile::TempDir,
    out: &Path,
    parent: &Path,
    salvaged: &Salvaged,
) -> Result<(), Error> {
    judge(check(place.path(), &Options::at(Level::Deep), &mut |_| true))?;
    let file = place.path().join(REPORT_NAME);
    let json = serde_json::to_vec_pretty(salvaged).map_err(io::Error::other);
    let written = json.and_then(|json| {
        std::fs::write(&file, json)?;
        std::fs::File::open(&file)?.sync_all()?;
        RealDevice::open(place.path())?.sync_directory()
    });
    written.map_err(Error::write(&file))?;
    let place = place.keep();
    let named =
        std::fs::rename(&place, out).and_then(|()| RealDevice::open(parent)?.sync_directory());
    named.map_err(|error| {
        // What has no name is not kept either.
        let _removed = std::fs::remove_dir_all(&place);
        Error::write(out)(error)
    })
}
