//! Databases: opened, asked what they hold, looked after.
//!
//! # Invariants
//! - A pickled handle carries its path alone, and opens for reading.
//! - What was read from a database outlives its closing.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use presence::{BackupOptions, Database as Engine, Error, Grid, Rate, Retention, TimeUnit};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyTuple};

use crate::error::{OrRaise, exception, invalid};
use crate::moment::{Round, timestamp};
use crate::options::options;
use crate::schema::schema;
use crate::stream::Stream;
use crate::track::PresenceTrack;
use crate::watch::Watch;
use crate::writer::level;

/// One directory of streams and presence tracks. One process writes, any number read.
///
/// >>> import presence, tempfile
/// >>> with presence.create(tempfile.mkdtemp()) as db:
/// ...     stream = db.create_stream("temperature", "f8", unit="ns")
/// ...     with stream.writer() as writer:
/// ...         writer.append_batch([1, 2, 3], [20.5, 20.6, 20.7])
/// >>> stream.at(2).value  # what was read stays readable
/// 20.6
#[pyclass(frozen, module = "presence", name = "Database")]
pub(crate) struct Database {
    engine: Mutex<Option<Engine>>,
    path: PathBuf,
    read_only: bool,
}

/// Opens the database at ``path``: to write, or with ``read_only``, beside whoever writes.
///
/// ``path`` may be one sealed segment, too, for reading. Options are those of the engine:
/// ``block_bytes``, ``compacted_block_bytes``, ``segment_bytes``, ``flush_interval``,
/// ``sync_interval``, ``write_buffer_bytes``, ``cache_bytes``, ``map``, ``allow_network_fs``,
/// ``follow``, ``background``.
///
/// >>> import presence, tempfile
/// >>> path = tempfile.mkdtemp()
/// >>> presence.create(path).close()
/// >>> with presence.open(path, read_only=True) as db:
/// ...     list(db)
/// []
#[pyfunction]
#[pyo3(signature = (path, *, read_only = false, **options))]
pub(crate) fn open(
    py: Python<'_>,
    path: PathBuf,
    read_only: bool,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<Database> {
    let options = self::options(options)?;
    let engine = py.detach(|| match read_only {
        true => Engine::open_read_only(&path, options),
        false => Engine::open(&path, options),
    });
    Ok(Database { engine: Mutex::new(Some(engine.or_raise(py)?)), path, read_only })
}

/// Makes a database at ``path``, which does not exist or is an empty directory. Options as of
/// ``open``.
///
/// >>> import presence, tempfile
/// >>> with presence.create(tempfile.mkdtemp(), segment_bytes=64 << 20) as db:
/// ...     db.create_stream("level", "f8").name
/// 'level'
#[pyfunction]
#[pyo3(signature = (path, **options))]
pub(crate) fn create(
    py: Python<'_>,
    path: PathBuf,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<Database> {
    let options = self::options(options)?;
    let engine = py.detach(|| Engine::create(&path, options)).or_raise(py)?;
    Ok(Database { engine: Mutex::new(Some(engine)), path, read_only: false })
}

/// A rate: a number, a fraction as text, or anything with a numerator.
fn rate(object: &Bound<'_, PyAny>) -> PyResult<Rate> {
    let py = object.py();
    if object.is_instance_of::<PyFloat>() {
        let what = "a rate of ticks is exact: an integer, a Fraction, or text like '30000/1001'";
        return Err(PyTypeError::new_err(what));
    }
    let text = object.str()?;
    text.to_str()?.parse::<Rate>().map_err(Error::from).or_raise(py)
}

/// A grid of ticks.
pub(crate) fn grid(rate: &Bound<'_, PyAny>, epoch: Option<&Bound<'_, PyAny>>) -> PyResult<Grid> {
    let epoch_us = epoch.map(|epoch| timestamp(epoch, TimeUnit::Us, Round::Down)).transpose()?;
    Ok(Grid::new(self::rate(rate)?, epoch_us.unwrap_or(0)))
}

impl Database {
    fn engine(&self, py: Python<'_>) -> PyResult<Engine> {
        let engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner).clone();
        engine.ok_or_else(|| exception(py, &Error::Closed))
    }

    fn words(&self) -> String {
        self.path.display().to_string()
    }

    fn wrapped(&self, engine: presence::Stream) -> Stream {
        Stream { engine, path: self.words() }
    }

    fn wrapped_track(&self, engine: presence::PresenceTrack) -> PresenceTrack {
        PresenceTrack { engine, path: Some(self.words()) }
    }
}

#[pymethods]
impl Database {
    /// Where it is: a ``pathlib.Path``.
    #[getter]
    fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// Whether it was opened for reading.
    #[getter]
    fn read_only(&self) -> bool {
        self.read_only
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// The id it was made with: 32 hexadecimal digits.
    #[getter]
    fn id(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.engine(py)?.id().0.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Its streams by name, in the order they were made.
    #[getter]
    fn streams<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let streams = PyDict::new(py);
        for stream in self.engine(py)?.streams() {
            let name = stream.name().to_owned();
            streams.set_item(name, Bound::new(py, self.wrapped(stream))?)?;
        }
        Ok(streams)
    }

    /// Its presence tracks by name.
    #[getter]
    fn tracks<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let tracks = PyDict::new(py);
        for track in self.engine(py)?.tracks() {
            let name = track.name().to_owned();
            tracks.set_item(name, Bound::new(py, self.wrapped_track(track))?)?;
        }
        Ok(tracks)
    }

    /// The stream called ``name``.
    ///
    /// >>> import presence, tempfile
    /// >>> db = presence.create(tempfile.mkdtemp())
    /// >>> stream = db.create_stream("level", "f8")
    /// >>> with stream.writer() as writer:
    /// ...     writer.append_batch([0, 1_000, 2_000], [0.0, 0.5, 1.0])
    /// >>> len(db.stream("level"))
    /// 3
    fn stream(&self, py: Python<'_>, name: &str) -> PyResult<Stream> {
        Ok(self.wrapped(self.engine(py)?.stream(name).or_raise(py)?))
    }

    fn __getitem__(&self, py: Python<'_>, name: &str) -> PyResult<Stream> {
        self.stream(py, name)
    }

    fn __contains__(&self, py: Python<'_>, name: &str) -> PyResult<bool> {
        Ok(self.engine(py)?.stream(name).is_ok())
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.streams(py)?.try_iter()?.into_any())
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.engine(py)?.streams().len())
    }

    /// Makes a stream.
    ///
    /// ``columns`` is anything numpy takes as a dtype (``"f8"``, ``("f4", 7)``, a structured one)
    /// or a dict of names to such; a single one is called ``value``. ``unit`` is ``'us'`` or
    /// ``'ns'``, ``order`` ``'strictly_increasing'`` or ``'non_decreasing'``, ``compression``
    /// ``'none'``, ``'lz4'``, ``'packed'`` or, for events of cameras, ``'split'``.
    ///
    /// >>> import presence, tempfile
    /// >>> db = presence.create(tempfile.mkdtemp())
    /// >>> arm = db.create_stream("arm", {"angle": ("f4", 7), "still": "?"}, unit="ns")
    /// >>> arm.columns["angle"][1], arm.unit
    /// ((7,), 'ns')
    #[pyo3(signature = (
        name, columns, *, unit = "us", order = "strictly_increasing", compression = "none",
    ))]
    fn create_stream(
        &self,
        py: Python<'_>,
        name: &str,
        columns: &Bound<'_, PyAny>,
        unit: &str,
        order: &str,
        compression: &str,
    ) -> PyResult<Stream> {
        let schema = schema(columns, unit, order, compression)?;
        let engine = self.engine(py)?;
        let stream = py.detach(|| engine.create_stream(name, schema)).or_raise(py)?;
        Ok(self.wrapped(stream))
    }

    /// The presence track called ``name``.
    ///
    /// >>> import presence, tempfile
    /// >>> db = presence.create(tempfile.mkdtemp())
    /// >>> _ = db.create_track("door", 30)
    /// >>> db.track("door").name
    /// 'door'
    fn track(&self, py: Python<'_>, name: &str) -> PyResult<PresenceTrack> {
        let engine = self.engine(py)?;
        Ok(self.wrapped_track(py.detach(|| engine.track(name)).or_raise(py)?))
    }

    /// Makes a presence track of ``rate`` ticks a second: an integer, a ``Fraction``, or text like
    /// ``'30000/1001'``. Tick 0 begins at ``epoch``, in microseconds.
    ///
    /// >>> import presence, tempfile
    /// >>> db = presence.create(tempfile.mkdtemp())
    /// >>> track = db.create_track("door", 30)
    /// >>> track.rate
    /// Fraction(30, 1)
    #[pyo3(signature = (name, rate, *, epoch = None))]
    fn create_track(
        &self,
        py: Python<'_>,
        name: &str,
        rate: &Bound<'_, PyAny>,
        epoch: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PresenceTrack> {
        let grid = grid(rate, epoch)?;
        let engine = self.engine(py)?;
        Ok(self.wrapped_track(py.detach(|| engine.create_track(name, grid)).or_raise(py)?))
    }

    /// What it holds: streams with their records, bytes and times, tracks, and segments.
    fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let engine = self.engine(py)?;
        let streams = PyDict::new(py);
        for stream in engine.streams() {
            let stats = stream.stats();
            let told = PyDict::new(py);
            told.set_item("records", stats.records)?;
            told.set_item("stored_bytes", stats.stored_bytes)?;
            told.set_item("first_ts", stats.first_ts)?;
            told.set_item("last_ts", stats.last_ts)?;
            told.set_item("unit", stream.schema().time_unit().name())?;
            streams.set_item(stream.name(), told)?;
        }
        let segments = engine.segments();
        let tracks: Vec<String> =
            engine.tracks().iter().map(|track| track.name().to_owned()).collect();
        let info = PyDict::new(py);
        info.set_item("path", self.words())?;
        info.set_item("id", self.id(py)?)?;
        info.set_item("streams", streams)?;
        info.set_item("tracks", tracks)?;
        info.set_item("segments", segments.len())?;
        info.set_item("bytes", segments.iter().map(|segment| segment.bytes).sum::<u64>())?;
        info.set_item("clean", engine.report().is_clean())?;
        Ok(info)
    }

    /// Brings everything appended before the call, to all streams, to ``level``: ``'os'`` survives
    /// a killed process, ``'disk'`` a power cut.
    ///
    /// >>> import presence, tempfile
    /// >>> db = presence.create(tempfile.mkdtemp())
    /// >>> stream = db.create_stream("level", "f8")
    /// >>> with stream.writer() as writer:
    /// ...     writer.append_batch([0, 1_000, 2_000], [0.0, 0.5, 1.0])
    /// >>> db.flush()
    #[pyo3(signature = (level = "disk"))]
    fn flush(&self, py: Python<'_>, level: &str) -> PyResult<()> {
        let level = self::level(py, level)?;
        let engine = self.engine(py)?;
        py.detach(|| engine.flush(level)).or_raise(py).map(|_| ())
    }

    /// Sees what a writer in another process has flushed since.
    fn refresh(&self, py: Python<'_>) -> PyResult<()> {
        let engine = self.engine(py)?;
        py.detach(|| engine.refresh()).or_raise(py)
    }

    /// Rewrites segments into fewer, better ones. ``progress(done, all)`` is told bytes, and ends
    /// it by returning ``False``; ``True`` is a bar.
    #[pyo3(signature = (*, progress = None))]
    fn compact<'py>(
        &self,
        py: Python<'py>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let engine = self.engine(py)?;
        let mut watch = Watch::new(py, progress)?;
        let done = py.detach(|| engine.compact(|done, all| watch.tell(done, all)));
        let done = watch.end(py, done)?;
        let told = PyDict::new(py);
        told.set_item("inputs", done.inputs)?;
        told.set_item("input_bytes", done.input_bytes)?;
        told.set_item("outputs", done.outputs)?;
        told.set_item("output_bytes", done.output_bytes)?;
        told.set_item("records", done.records)?;
        Ok(told)
    }

    /// Gives up whole segments: of data before ``before``, or the oldest beyond ``bytes_max``.
    #[pyo3(signature = (*, before = None, bytes_max = None))]
    fn retain<'py>(
        &self,
        py: Python<'py>,
        before: Option<&Bound<'py, PyAny>>,
        bytes_max: Option<u64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let before = before.map(|t| timestamp(t, TimeUnit::Us, Round::Down)).transpose()?;
        let retention = match (before, bytes_max) {
            (Some(before_us), None) => Retention::before_us(before_us),
            (None, Some(bytes)) => Retention::bytes_max(bytes),
            _ => return Err(invalid(py, "say either `before` or `bytes_max`")),
        };
        let engine = self.engine(py)?;
        let done = py.detach(|| engine.retain(retention)).or_raise(py)?;
        let told = PyDict::new(py);
        told.set_item("files", done.files)?;
        told.set_item("bytes", done.bytes)?;
        told.set_item("records", done.records)?;
        Ok(told)
    }

    /// A consistent, verified copy in ``out``, which does not exist. With ``copy`` every byte is
    /// copied; else sealed segments share theirs where the file system can. ``progress`` as of
    /// ``compact``.
    ///
    /// >>> import presence, tempfile
    /// >>> db = presence.create(tempfile.mkdtemp())
    /// >>> stream = db.create_stream("level", "f8")
    /// >>> with stream.writer() as writer:
    /// ...     writer.append_batch([0, 1_000, 2_000], [0.0, 0.5, 1.0])
    /// >>> _ = db.backup(tempfile.mkdtemp() + "/copy")
    /// >>> db.path.exists()
    /// True
    #[pyo3(signature = (out, *, copy = false, progress = None))]
    fn backup<'py>(
        &self,
        py: Python<'py>,
        out: PathBuf,
        copy: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let engine = self.engine(py)?;
        let mut options = BackupOptions::default();
        options.copy = copy;
        let mut watch = Watch::new(py, progress)?;
        let done = py.detach(|| engine.backup(&out, &options, |done, all| watch.tell(done, all)));
        let done = watch.end(py, done)?;
        let told = PyDict::new(py);
        told.set_item("segments", done.segments)?;
        told.set_item("bytes", done.bytes)?;
        told.set_item("bytes_copied", done.bytes_copied)?;
        told.set_item("records", done.records)?;
        told.set_item("left_over", done.left_over)?;
        Ok(told)
    }

    /// Flushes to disk, seals, and gives up the lock. Twice is once. What was read stays readable.
    ///
    /// >>> import presence, tempfile
    /// >>> db = presence.create(tempfile.mkdtemp())
    /// >>> db.close()
    /// >>> db.closed
    /// True
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let done = py.detach(|| {
            let engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner).take();
            engine.map_or(Ok(()), Engine::close)
        });
        done.or_raise(py)
    }

    fn __enter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.close(py)
    }

    fn __repr__(&self) -> String {
        let state = match (self.closed(), self.read_only) {
            (true, _) => ", closed",
            (false, true) => ", read-only",
            (false, false) => "",
        };
        format!("Database({:?}{state})", self.words())
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        let open = py.import("presence._pickle")?.getattr("database")?;
        Ok((open, (self.words(),)))
    }
}
