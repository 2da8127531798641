//! MOT text as frames, read when they are asked for: a source for a prefetching cache.
//!
//! # Invariants
//! - The file is read once when it is opened, to learn where the lines of each frame are; what it
//!   holds is not kept. The index costs 16 bytes for each run of lines of one frame.
//! - Frames are read from any thread, and no reader waits for another.
//! - A line that is no detection is counted and reported when the file is opened, and left out. A
//!   line that is one then and is none when its frame is read tells that the file has changed.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use presence_cache::Provider;

use crate::error::{IngestError, IngestErrorKind, Result};
use crate::fault::{Fault, Wanted};
use crate::lines::{Fields, Lines, Split};
use crate::mot::Mot;
use crate::mot_frame::{MotDetection, MotFrame};
use crate::number::whole;
use crate::report::Report;

/// A longer line is malformed.
const LINE_BYTES_MAX: usize = 64 << 10;

/// Most bytes of one run of lines.
const RUN_BYTES_MAX: u64 = u32::MAX as u64;

/// Lines of one frame that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Run {
    frame: u32,
    bytes: u32,
    start: u64,
}

/// A file of MOT text, and where its frames are. Clones share all of it.
///
/// ```
/// use presence_cache::PrefetchCache;
/// use presence_ingest::MotFile;
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("gt.txt");
/// # std::fs::write(&path, "1,7,10,20,30,40,1,1,0.5\r\n2,7,11,20,30,40,1,1,0.5\r\n")?;
/// let file = MotFile::open(&path)?;
/// let frames = PrefetchCache::builder(file.clone()).bytes_max(64 << 20).build();
/// for number in file.frames() {
///     let frame = frames.get(&number)?;
///     assert_eq!(frame.detections[0].left, 9.0 + f64::from(number));
/// }
/// assert!(frames.get(&1_000)?.detections.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct MotFile {
    name: Arc<str>,
    file: Arc<File>,
    /// By frame, then by place.
    runs: Arc<[Run]>,
    frames: usize,
    report: Arc<Report>,
}

impl MotFile {
    /// Opens the file at `path` and learns where its frames are. Lines may come in any order, end
    /// with `\n` or `\r\n`, and have 7 to 10 fields.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let refused =
            |doing| move |error| IngestError::io(&path.display().to_string(), doing, error);
        let file = File::open(path).map_err(refused("open"))?;
        let (mut runs, report) = index(&file).map_err(refused("read"))?;
        runs.sort_by_key(|run| (run.frame, run.start));
        let frames = runs.chunk_by(|a, b| a.frame == b.frame).count();
        Ok(Self {
            name: name.into(),
            file: Arc::new(file),
            runs: runs.into(),
            frames,
            report: Arc::new(report),
        })
    }

    /// How many frames have detections.
    #[must_use]
    pub fn len(&self) -> usize {
        self.frames
    }

    /// Whether no line of the file is a detection.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The numbers of the frames that have detections, ascending.
    pub fn frames(&self) -> impl Iterator<Item = u32> + '_ {
        let frames = self.runs.chunk_by(|a, b| a.frame == b.frame);
        frames.filter_map(|runs| runs.first()).map(|run| run.frame)
    }

    /// Numbers of the first and the last frame.
    #[must_use]
    pub fn range(&self) -> Option<(u32, u32)> {
        Some((self.runs.first()?.frame, self.runs.last()?.frame))
    }

    /// How many detections there are, and which lines are none.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Memory that the index takes.
    #[must_use]
    pub fn index_bytes(&self) -> usize {
        self.runs.len() * size_of::<Run>()
    }

    /// Frame `number`; one without detections where the file has none of it.
    ///
    /// # Errors
    /// Where the file cannot be read, or has changed since it was opened.
    pub fn frame(&self, number: u32) -> Result<MotFrame> {
        let first = self.runs.partition_point(|run| run.frame < number);
        let runs = self.runs.get(first..).unwrap_or_default();
        let mut detections = Vec::new();
        let mut bytes = Vec::new();
        for run in runs.iter().take_while(|run| run.frame == number) {
            bytes.resize(run.bytes as usize, 0);
            read_exact_at(&self.file, &mut bytes, run.start).map_err(|error| {
                match error.kind() {
                    io::ErrorKind::UnexpectedEof => self.changed(),
                    _ => IngestError::io(&self.name, "read", error),
                }
            })?;
            self.parse(number, &bytes, &mut detections)?;
        }
        Ok(MotFrame { number, detections })
    }

    fn parse(&self, number: u32, bytes: &[u8], out: &mut Vec<MotDetection>) -> Result<()> {
        let mut ranges = Vec::with_capacity(FIELDS_MAX + 1);
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        for line in bytes.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii) {
            if line.is_empty() {
                continue;
            }
            let found = detection(Fields::at_commas(line, FIELDS_MAX, &mut ranges)).ok();
            let found = found.filter(|(frame, _)| *frame == number);
            out.push(found.ok_or_else(|| self.changed())?.1);
        }
        Ok(())
    }

    fn changed(&self) -> IngestError {
        IngestError::new(IngestErrorKind::Changed, &self.name, "has changed since it was opened")
    }
}

const FIELDS_MAX: usize = 10;

/// Reads at a place without the file's own position, which threads share.
#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, bytes, at)
}

/// Reads at a place. The file's position moves with it and is used by nobody.
#[cfg(windows)]
fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, bytes, at)
}

fn read_exact_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match read_at(file, bytes, at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                bytes = bytes.get_mut(read..).unwrap_or_default();
                at += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The frame and the detection of a line.
fn detection(fields: Fields<'_>) -> std::result::Result<(u32, MotDetection), Fault> {
    let detection = MotDetection::parse(fields)?;
    let frame = whole(fields.get(0)).and_then(|frame| u32::try_from(frame).ok());
    Ok((frame.ok_or(Fault::Cell { field: 0, wanted: Wanted::Frame })?, detection))
}

/// Where the frames are, in the order of the file, and what is no detection.
fn index(file: &File) -> io::Result<(Vec<Run>, Report)> {
    let mut lines = Lines::new(file, Split::Comma, LINE_BYTES_MAX, FIELDS_MAX);
    let names = Mot::field_names();
    let (mut runs, mut report) = (Vec::<Run>::new(), Report::default());
    let mut start = 0;
    while let Some(line) = lines.advance()? {
        let (fields, end) = (lines.fields(), lines.consumed());
        match line.fault.map_or_else(|| detection(fields), |fault| Err(Fault::Line(fault))) {
            Ok((frame, _)) => {
                report.records += 1;
                extend(&mut runs, frame, start, end);
            }
            Err(fault) => {
                report.skip(line.number, || fault.reason(fields, &names, "7 to 10", LINE_BYTES_MAX))
            }
        }
        start = end;
    }
    Ok((runs, report))
}

/// Takes in a line of `frame` at `start..end`.
fn extend(runs: &mut Vec<Run>, frame: u32, start: u64, end: u64) {
    if let Some(last) = runs.last_mut()
        && last.frame == frame
        && last.start + u64::from(last.bytes) == start
        && end - last.start <= RUN_BYTES_MAX
    {
        last.bytes = (end - last.start) as u32;
        return;
    }
    // A line is shorter than that, but blank lines before it may not be.
    let start = start.max(end.saturating_sub(RUN_BYTES_MAX));
    runs.push(Run { frame, bytes: (end - start) as u32, start });
}

impl Provider<u32, Arc<MotFrame>> for MotFile {
    type Error = IngestError;

    fn load(&self, number: &u32) -> Result<Arc<MotFrame>> {
        self.frame(*number).map(Arc::new)
    }

    fn contains(&self, number: &u32) -> bool {
        self.runs.binary_search_by_key(number, |run| run.frame).is_ok()
    }

    fn bytes(&self, _: &u32, frame: &Arc<MotFrame>) -> u64 {
        frame.bytes()
    }

    fn describe(&self, error: &IngestError) -> String {
        error.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(text: &str) -> (tempfile::TempDir, MotFile) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        std::fs::write(&path, text).unwrap();
        let file = MotFile::open(&path).unwrap();
        (dir, file)
    }

    fn tracks(file: &MotFile, number: u32) -> Vec<i64> {
        file.frame(number).unwrap().detections.iter().map(|found| found.track_id).collect()
    }

    #[test]
    fn frames_in_any_order_and_lines_of_all_widths() {
        let (_dir, file) = opened(
            "\u{feff}3,1,1,2,3,4,0.5\r\n3,2,1,2,3,4,0.5,7\r\n\r\n1,3,1,2,3,4,1,8,0.25\r\n\
             3,4,1,2,3,4,1,-1,-2,-3\n1, 5 ,1,2,3,4,1",
        );
        assert_eq!(file.frames().collect::<Vec<_>>(), [1, 3]);
        assert_eq!((file.len(), file.range(), file.report().records), (2, Some((1, 3)), 5));
        assert_eq!((tracks(&file, 3), tracks(&file, 1)), (vec![1, 2, 4], vec![3, 5]));
        assert!(tracks(&file, 2).is_empty() && tracks(&file, u32::MAX).is_empty());
        let frame = file.frame(3).unwrap();
        let classes: Vec<_> = frame.detections.iter().map(|found| found.class_id).collect();
        assert_eq!(classes, [-1, 7, -1]);
        assert_eq!(frame.detections[2].world, [-1.0, -2.0, -3.0]);
        assert_eq!(file.frame(1).unwrap().detections[0].visibility, 0.25);
        assert_eq!(file.index_bytes(), 4 * 16);
        assert!(file.contains(&1) && !file.contains(&2));
    }

    #[test]
    fn ten_columns_where_nine_are_wanted_are_no_detection() {
        let line = |frame: u32| format!("{frame},{frame},1,2,3,4,1,-1,-1,-1\n");
        let (_dir, file) = opened(&(1..=200).map(line).collect::<String>());
        assert_eq!((file.len(), file.report().records, file.report().skipped_total), (200, 200, 0));
        assert!((1..=200).all(|number| tracks(&file, number) == [i64::from(number)]));
    }

    #[test]
    fn carriage_returns_make_offsets_wrong() {
        let line = |frame: u32| format!("{frame},{frame},1,2,3,4,1,1,1\r\n");
        let (_dir, file) = opened(&(1..=200).map(line).collect::<String>());
        assert!((1..=200).rev().all(|number| tracks(&file, number) == [i64::from(number)]));
    }

    #[test]
    fn malformed_lines_are_counted_and_left_out() {
        let (_dir, file) = opened(
            "1,1,1,2,3,4,1\n1,2,3\nframe,id,1,2,3,4,1\n1,x,1,2,3,4,1\n1,9,1,2,3,4,1\n\
             1,1,1,2,3,4,1,1,1,1,1\n-1,1,1,2,3,4,1\n1,1,1,2,3,4,1,1.5,1\n",
        );
        let skipped: Vec<_> = file.report().skipped.iter().map(|skipped| skipped.line).collect();
        assert_eq!((skipped, file.report().skipped_total), (vec![2, 3, 4, 6, 7, 8], 6));
        assert_eq!(file.report().skipped[0].reason, "3 fields instead of 7 to 10");
        assert_eq!(tracks(&file, 1), [1, 9]);
        assert!(opened("").1.is_empty());
    }

    #[test]
    fn eight_threads_read_at_once_and_a_change_is_told() {
        let line = |frame: u32| format!("{frame},{frame},1,2,3,4,1\r\n");
        let (dir, file) = opened(&(0..2_000).map(line).collect::<String>());
        std::thread::scope(|scope| {
            for thread in 0..8_u32 {
                let file = &file;
                scope.spawn(move || {
                    for step in 0..500_u32 {
                        let number = (step * 7 + thread * 251) % 2_000;
                        assert_eq!(tracks(file, number), [i64::from(number)]);
                    }
                });
            }
        });
        std::fs::write(dir.path().join("a.txt"), line(7)).unwrap();
        for number in [0, 1_999] {
            assert_eq!(file.frame(number).unwrap_err().kind, IngestErrorKind::Changed);
        }
    }
}
