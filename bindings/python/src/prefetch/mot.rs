//! MOT challenge text by frame, for providers.
//!
//! # Invariants
//! - The file is read once, to find where lines are; a frame is read from it when it is asked for.
//! - Ends of lines of any system; what is no line of the format is passed over and counted.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Mutex;

use pyo3::prelude::*;

use super::shared::lock;
use crate::error::raise;

/// frame, track, left, top, width, height, confidence, class, visibility.
type Detection = (i64, i64, f64, f64, f64, f64, f64, i64, f64);

/// Lines of frames in a file.
#[pyclass(frozen, module = "presence._native")]
pub(super) struct MotFile {
    path: PathBuf,
    file: Mutex<Option<File>>,
    lines: HashMap<i64, Vec<(u64, usize)>>,
}

fn tell(py: Python<'_>, path: &std::path::Path, error: &std::io::Error) -> PyErr {
    let class = match error.kind() {
        std::io::ErrorKind::NotFound => "MissingError",
        std::io::ErrorKind::PermissionDenied => "DeniedError",
        _ => "StorageError",
    };
    raise(py, class, format!("{}: {error}", path.display()))
}

/// Where the lines of each frame are.
fn index(file: &File) -> std::io::Result<HashMap<i64, Vec<(u64, usize)>>> {
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut lines: HashMap<i64, Vec<(u64, usize)>> = HashMap::new();
    let (mut offset, mut line) = (0_u64, Vec::new());
    while reader.read_until(b'\n', &mut line)? > 0 {
        let text = line.trim_ascii();
        let frame = text.split(|&byte| byte == b',').next().and_then(whole);
        if let Some(frame) = frame {
            let before = line.len() - line.trim_ascii_start().len();
            lines.entry(frame).or_default().push((offset + before as u64, text.len()));
        }
        offset += line.len() as u64;
        line.clear();
    }
    Ok(lines)
}

fn whole(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

/// A line of 9 fields, or of 10, which has no class and no visibility.
fn detection(line: &[u8]) -> Option<Detection> {
    let text = std::str::from_utf8(line).ok()?;
    let fields: Vec<&str> = text.split(',').map(str::trim).collect();
    let number = |field: usize| fields.get(field)?.parse::<f64>().ok();
    let (class, visibility) = match fields.len() {
        9 => (whole(fields.get(7)?.as_bytes())?, number(8)?),
        10 => (-1, f64::NAN),
        _ => return None,
    };
    let (frame, track) = (whole(fields.first()?.as_bytes())?, whole(fields.get(1)?.as_bytes())?);
    let (left, top, width, height) = (number(2)?, number(3)?, number(4)?, number(5)?);
    Some((frame, track, left, top, width, height, number(6)?, class, visibility))
}

impl MotFile {
    fn read(&self, places: &[(u64, usize)]) -> std::io::Result<Vec<Detection>> {
        let mut guard = lock(&self.file);
        let file = match &mut *guard {
            Some(file) => file,
            closed => closed.insert(File::open(&self.path)?),
        };
        let mut found = Vec::with_capacity(places.len());
        let mut line = Vec::new();
        let mut at = None;
        for &(offset, length) in places {
            // Lines of one frame mostly follow each other, a line's end apart.
            if at != Some(offset) {
                file.seek(SeekFrom::Start(offset))?;
            }
            line.resize(length, 0);
            file.read_exact(&mut line)?;
            at = Some(offset + length as u64);
            found.extend(detection(&line));
        }
        Ok(found)
    }
}

#[pymethods]
impl MotFile {
    #[new]
    fn new(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let read = py.detach(|| {
            let file = File::open(&path)?;
            Ok((index(&file)?, file))
        });
        let (lines, file) = read.map_err(|error| tell(py, &path, &error))?;
        Ok(Self { path, file: Mutex::new(Some(file)), lines })
    }

    /// The detections of a frame.
    fn detections(&self, py: Python<'_>, frame: i64) -> PyResult<Vec<Detection>> {
        let Some(places) = self.lines.get(&frame) else { return Ok(Vec::new()) };
        py.detach(|| self.read(places)).map_err(|error| tell(py, &self.path, &error))
    }

    fn frames(&self) -> Vec<i64> {
        self.lines.keys().copied().collect()
    }

    /// Frames, lines, and bytes of memory that the index takes.
    fn sizes(&self) -> (usize, usize, usize) {
        let lines = self.lines.values().map(Vec::len).sum::<usize>();
        let bytes = lines * size_of::<(u64, usize)>() + self.lines.len() * 48;
        (self.lines.len(), lines, bytes)
    }

    fn close(&self) {
        *lock(&self.file) = None;
    }
}
