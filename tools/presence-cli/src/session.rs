//! The database an import writes to: opened late, closed in every case, also on Ctrl-C.
//!
//! # Invariants
//! - The database is made when the first records are there to be written, not before.
//! - Between two batches the signal thread may take the lock, close the database and end the
//!   process: a batch is in it whole or not at all.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use presence::{Batch, ColumnWriter, Database, Error, Level, Options, Schema, Stream};

use crate::open;
use crate::report;
use crate::sightings::{Plan, Sightings};
use presence_cli::failure::{Failure, Result};
use presence_cli::interrupt::on_interrupt;
use presence_cli::moment;
use presence_cli::progress::Bar;
use presence_cli::quantity::counted;

/// An import's hold on the database.
#[derive(Debug)]
pub(crate) struct Session {
    path: PathBuf,
    inner: Arc<Mutex<Inner>>,
    bar: Arc<Mutex<Bar>>,
}

#[derive(Debug, Default)]
struct Inner {
    db: Option<Database>,
    /// Files that are in the database whole.
    whole: Vec<String>,
    /// The file at hand, its stream, and how many of its records were appended.
    current: Option<(String, String, u64)>,
    /// The import has ended by itself; a signal is too late to change how.
    is_over: bool,
}

/// Where the records of a file are to go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) file: &'a str,
    /// The name of the stream, and of the track.
    pub(crate) name: &'a str,
    pub(crate) schema: &'a Schema,
    pub(crate) is_compression_given: bool,
    pub(crate) first_ts: Option<i64>,
    pub(crate) plan: Option<&'a Plan>,
    /// It comes beside the stream that was begun before.
    pub(crate) is_beside: bool,
}

impl Wanted<'_> {
    fn begin(&self, db: &Database) -> Result<(Stream, Option<Sightings>)> {
        let found = match db.stream(self.name) {
            Err(Error::NoSuchStream { .. }) => None,
            found => Some(found?),
        };
        if let Some(stream) = &found {
            check(stream, self.schema, self.is_compression_given, self.first_ts)?;
        }
        if let Some(plan) = self.plan {
            plan.check(db, self.name)?;
        }
        // First, since a stream may be in the way of it.
        let sightings = self.plan.map(|plan| plan.clone().begin(db, self.name)).transpose()?;
        let stream = match found {
            Some(stream) => stream,
            None => db.create_stream(self.name, self.schema.clone())?,
        };
        Ok((stream, sightings))
    }
}

/// Takes a lock; what a thread that panicked left is consistent between batches.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    /// What is in the database, for whoever must hear that not all is.
    fn told(&self) -> String {
        let mut parts = Vec::new();
        if let Some((file, stream, records)) = &self.current
            && *records > 0
        {
            parts.push(format!(
                "{} of {file} are in stream {stream:?}: its first ones in the order of time",
                counted(*records, "record")
            ));
        }
        if !self.whole.is_empty() {
            parts.push(format!("imported whole before: {}", self.whole.join(", ")));
        }
        if parts.is_empty() { "nothing was imported".to_owned() } else { parts.join("; ") }
    }

    fn close(&mut self) -> Result<()> {
        let Some(db) = self.db.take() else { return Ok(()) };
        db.flush(Level::Disk)?;
        Ok(db.close()?)
    }
}

/// Whether `path` is a directory that is empty, or holds what a database leaves that was cut off
/// while it was made.
fn is_unmade(path: &Path) -> bool {
    let is_ours = |name: &str| name == "LOCK" || name.starts_with(".tmp-");
    path.read_dir().is_ok_and(|entries| {
        entries.flatten().all(|entry| entry.file_name().to_str().is_some_and(is_ours))
    })
}

fn options() -> Options {
    let mut options = Options::default();
    // Nothing is read here: the memory is better spent on sorting.
    options.cache_bytes = 4 << 20;
    options.write_buffer_bytes = 16 << 20;
    options
}

impl Session {
    /// A session on the database at `path`, which need not exist yet.
    ///
    /// # Errors
    /// Where there is something else, or a database that cannot be opened.
    pub(crate) fn new(path: &Path, json: bool) -> Result<Self> {
        let db = if path.exists() && !is_unmade(path) {
            Some(open::to_write(path, options())?)
        } else {
            None
        };
        let inner = Arc::new(Mutex::new(Inner { db, ..Inner::default() }));
        let bar = Arc::new(Mutex::new(Bar::new("")));
        let (held, shown) = (Arc::clone(&inner), Arc::clone(&bar));
        let watching = on_interrupt(move || {
            let mut inner = lock(&held);
            if inner.is_over {
                return;
            }
            lock(&shown).clear();
            let told = inner.told();
            let failure = match inner.close() {
                Ok(()) => {
                    Failure::interrupted(format!("interrupted; {told}; the database is sound"))
                }
                Err(error) => error.with(&told),
            };
            failure.tell(crate::tool::PROGRAM, json);
            // The lock is still held: the other thread cannot append meanwhile.
            std::process::exit(failure.code().into());
        });
        watching.map_err(|error| Failure::io("watch for Ctrl-C", &error))?;
        Ok(Self { path: path.to_owned(), inner, bar })
    }

    /// The line of progress.
    pub(crate) fn bar(&self) -> Arc<Mutex<Bar>> {
        Arc::clone(&self.bar)
    }

    /// The stream to append the records of a file to: a new one, or the one there is where it has
    /// the same columns and ends before the first of them; and the track that they fill, likewise.
    ///
    /// # Errors
    /// Where the stream that exists is another one, or reaches into the new records; where the
    /// track that exists has other ticks. Nothing was made then.
    pub(crate) fn begin(&self, wanted: Wanted<'_>) -> Result<(Stream, Option<Sightings>)> {
        let mut inner = lock(&self.inner);
        let db = match inner.db.take() {
            Some(db) => db,
            None => {
                let opened = Database::open_or_create(&self.path, options());
                let db = opened.map_err(|error| open::advised(&self.path, error))?;
                report::warn(db.report());
                db
            }
        };
        let begun = wanted.begin(&db);
        inner.db = Some(db);
        let begun = begun?;
        if !wanted.is_beside {
            inner.current = Some((wanted.file.to_owned(), wanted.name.to_owned(), 0));
        }
        Ok(begun)
    }

    /// Appends a batch, whole or not at all, and sets in the track what it tells of.
    ///
    /// # Errors
    /// As [`ColumnWriter::append_batch`] and [`Sightings::put`].
    pub(crate) fn append(
        &self,
        writer: &mut ColumnWriter,
        sightings: Option<&mut Sightings>,
        batch: &Batch,
    ) -> Result<()> {
        let mut inner = lock(&self.inner);
        writer.append_batch(batch)?;
        if let Some(sightings) = sightings {
            sightings.put(batch)?;
        }
        if let Some((_, _, records)) = &mut inner.current {
            *records += batch.len() as u64;
        }
        Ok(())
    }

    /// Appends a batch to a stream beside the one at hand, whole or not at all.
    ///
    /// # Errors
    /// As [`ColumnWriter::append_batch`].
    pub(crate) fn append_beside(&self, writer: &mut ColumnWriter, batch: &Batch) -> Result<()> {
        let _inner = lock(&self.inner);
        Ok(writer.append_batch(batch)?)
    }

    /// The file at hand is in the database whole.
    pub(crate) fn end(&self) {
        let mut inner = lock(&self.inner);
        if let Some((file, _, _)) = inner.current.take() {
            inner.whole.push(file);
        }
    }

    /// Flushes to disk and closes.
    ///
    /// # Errors
    /// As [`Database::close`].
    pub(crate) fn close(&self) -> Result<()> {
        lock(&self.bar).clear();
        let mut inner = lock(&self.inner);
        inner.is_over = true;
        inner.close()
    }

    /// Closes after a failure, and adds to it what is in the database.
    pub(crate) fn fail(&self, failure: Failure) -> Failure {
        let told = lock(&self.inner).told();
        match self.close() {
            Ok(()) => failure.with(&told),
            Err(second) if second.to_string().contains(&failure.to_string()) => failure.with(&told),
            Err(second) => failure.with(&told).with(&second.to_string()),
        }
    }
}

/// Whether records of `schema` that begin at `first_ts` can follow those of `stream`.
fn check(
    stream: &Stream,
    schema: &Schema,
    is_compression_given: bool,
    first_ts: Option<i64>,
) -> Result<()> {
    let name = stream.name();
    let theirs = stream.schema();
    let ours = if is_compression_given {
        schema.clone()
    } else {
        schema.clone().with_compression(theirs.compression())
    };
    if *theirs != ours {
        return Err(Failure::usage(format!(
            "stream {name:?} exists already, with another schema ({} there, {} here); give the \
             new one another name with --stream",
            described(theirs),
            described(&ours)
        )));
    }
    let last_ts = stream.stats().last_ts;
    if let (Some(last), Some(first)) = (last_ts, first_ts)
        && first <= last
    {
        let unit = schema.time_unit();
        return Err(Failure::usage(format!(
            "stream {name:?} exists already and ends at {last} ({}); the records to import begin \
             at {first} ({}), not after that; give them another stream with --stream",
            moment::describe(last, unit),
            moment::describe(first, unit)
        )));
    }
    Ok(())
}

/// A schema in one line.
fn described(schema: &Schema) -> String {
    const SHOWN: usize = 12;
    let columns = schema.columns();
    let shown = columns.iter().take(SHOWN);
    let mut words: Vec<String> =
        shown.map(|column| format!("{}: {}", column.name(), column.type_name())).collect();
    if columns.len() > SHOWN {
        words.push(format!("… {} columns", columns.len()));
    }
    words.push(format!("in {}", schema.time_unit().name()));
    words.push(schema.order().name().to_owned());
    words.push(format!("compression {}", schema.compression().name()));
    words.join(", ")
}
