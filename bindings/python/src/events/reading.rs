//! Recordings read where they lie: whole, or in parts.
//!
//! # Invariants
//! - Memory is bounded by what is asked for: a part, or all events and nothing of the file.
//! - Ctrl-C, and what a callback raises, end a read within a piece of the file.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use presence_events::{
    ByteSource, EventBatch, EventError, Options, Output, Recording, TextOptions,
};
use pyo3::prelude::*;

use super::{Events, Wrong, format_of, unit};
use crate::error::invalid;
use crate::watch::Watch;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file, and who is told how far it was read.
struct Watched {
    file: File,
    bytes: u64,
    watch: Arc<Mutex<Watch>>,
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Watched({:?})", self.file)
    }
}

impl ByteSource for Watched {
    fn bytes_total(&self) -> u64 {
        self.bytes
    }

    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> Result<(), EventError> {
        // The end is told by who reads: formats look at their ends first.
        if !lock(&self.watch).tell(offset, self.bytes.saturating_add(1)) {
            return Err(EventError::unreadable(offset, "the read was ended"));
        }
        let read = self.file.read_exact_at(into, offset);
        read.map_err(|error| EventError::unreadable(offset, error.to_string()))
    }
}

/// What was asked of a file, in the engine's words.
pub(super) fn options(
    py: Python<'_>,
    format: Option<&str>,
    time_unit: &str,
    columns: Option<&str>,
) -> PyResult<Options> {
    let format = format.map(|name| format_of(py, name)).transpose()?;
    let columns = columns.map(TextOptions::columns_of).transpose();
    let columns = columns.map_err(|error| invalid(py, error.what))?;
    let text = TextOptions { columns, time_unit: unit(py, time_unit)? };
    Ok(Options { format, text, ..Options::default() })
}

/// A recording that is being read.
struct Reading {
    path: PathBuf,
    recording: Recording,
    out: Output,
    watch: Arc<Mutex<Watch>>,
    bytes: u64,
}

impl Reading {
    fn open(
        py: Python<'_>,
        path: PathBuf,
        options: &Options,
        events_max: usize,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let watch = Arc::new(Mutex::new(Watch::new(py, progress)?));
        let opened = py.detach(|| -> Result<_, Wrong> {
            let file = File::open(&path)?;
            let bytes = file.metadata()?.len();
            let source = Watched { file, bytes, watch: Arc::clone(&watch) };
            Ok((Recording::open(Box::new(source), options)?, bytes))
        });
        match opened {
            Ok((recording, bytes)) => {
                Ok(Self { path, recording, out: Output::new(events_max), watch, bytes })
            }
            Err(wrong) => Err(Self::raised(py, &watch, &path, &wrong)),
        }
    }

    /// What a callback or Ctrl-C raised, or else what is wrong with the file.
    fn raised(
        py: Python<'_>,
        watch: &Mutex<Watch>,
        path: &std::path::Path,
        wrong: &Wrong,
    ) -> PyErr {
        lock(watch).raised().unwrap_or_else(|| wrong.exception(py, path))
    }

    /// The next events; whether there may be more.
    fn next(&mut self, py: Python<'_>) -> PyResult<(EventBatch, bool)> {
        let Self { recording, out, .. } = self;
        let read = py.detach(|| {
            let more = recording.read(out);
            let events = std::mem::take(&mut out.events);
            // Beside events nothing is of interest here.
            out.clear();
            more.map(|more| (events, more))
        });
        let (events, more) = read
            .map_err(|error| Self::raised(py, &self.watch, &self.path, &Wrong::Content(error)))?;
        if !more {
            lock(&self.watch).tell(self.bytes, self.bytes);
            lock(&self.watch).raised().map_or(Ok(()), Err)?;
        }
        Ok((events, more))
    }
}

/// All events of a file, and the sensor's size as the file says it.
pub(super) fn read(
    py: Python<'_>,
    path: PathBuf,
    options: &Options,
    progress: Option<Py<PyAny>>,
) -> PyResult<Events> {
    let mut reading = Reading::open(py, path, options, usize::MAX, progress)?;
    let (mut batch, mut more) = reading.next(py)?;
    // Frames and other things make an output full, too.
    while more {
        let (events, further) = reading.next(py)?;
        batch.extend_from(&events, 0..events.len());
        more = further;
    }
    Ok(Events { batch, declared: reading.recording.sensor_size() })
}

/// The events of a file part by part, of about ``events_max`` each.
#[pyclass(frozen, module = "presence._native")]
pub(super) struct EventReader {
    /// Nothing, once all was read.
    reading: Mutex<Option<Reading>>,
}

#[pymethods]
impl EventReader {
    #[new]
    #[pyo3(signature = (path, *, format = None, time_unit = "auto", columns = None,
        events_max = 1_048_576))]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        format: Option<&str>,
        time_unit: &str,
        columns: Option<&str>,
        events_max: usize,
    ) -> PyResult<Self> {
        let options = options(py, format, time_unit, columns)?;
        let reading = Reading::open(py, path, &options, events_max, None)?;
        Ok(Self { reading: Mutex::new(Some(reading)) })
    }

    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Events>> {
        let taken = lock(&self.reading).take();
        let Some(mut reading) = taken else { return Ok(None) };
        let (batch, more) = reading.next(py)?;
        let declared = reading.recording.sensor_size();
        if more {
            *lock(&self.reading) = Some(reading);
        }
        Ok((more || !batch.is_empty()).then_some(Events { batch, declared }))
    }
}
