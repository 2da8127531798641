//! Writing the robot's streams, from wherever each of them ended.
//!
//! # Invariants
//! - Stream by stream, the next record written is the one after the last that the database holds.

use presence::{
    Compression, Database, Error, Level, Order, Record, Schema, Stream, StreamWriter, schema_of,
};

use super::rig::{self, Detection, Image, Imu, Joints};
use presence_cli::failure::Result;

/// Names of the streams.
pub(crate) const JOINTS: &str = "arm/joints";
const IMU: &str = "arm/imu";
const GRIPPER: &str = "arm/gripper";
const IMAGES: &str = "camera/images";
/// The stream of detections.
pub(crate) const DETECTIONS: &str = "camera/detections";

/// All streams, in the order of [`Recorder::counts`].
pub(crate) const STREAMS: [&str; 5] = [JOINTS, IMU, GRIPPER, IMAGES, DETECTIONS];

/// A stream whose records come at times of their own.
#[derive(Debug)]
struct Lane<T> {
    writer: StreamWriter<T>,
    next: u64,
    ts: fn(u64) -> i64,
    value: fn(u64) -> T,
}

/// The stream called `name`, made where it is not there.
fn stream<T: Record>(
    db: &Database,
    name: &str,
    set: impl FnOnce(Schema) -> Schema,
) -> Result<Stream> {
    match db.stream(name) {
        Err(Error::NoSuchStream { .. }) => Ok(db.create_stream(name, set(schema_of::<T>()?))?),
        other => Ok(other?),
    }
}

impl<T: Record> Lane<T> {
    fn new(
        db: &Database,
        name: &str,
        compression: Compression,
        ts: fn(u64) -> i64,
        value: fn(u64) -> T,
    ) -> Result<Self> {
        let stream = stream::<T>(db, name, |schema| schema.with_compression(compression))?;
        Ok(Self { writer: stream.writer()?, next: stream.len(), ts, value })
    }

    fn until(&mut self, end_us: i64) -> Result<()> {
        while (self.ts)(self.next) < end_us {
            self.writer.append((self.ts)(self.next), (self.value)(self.next))?;
            self.next += 1;
        }
        Ok(())
    }
}

/// The writers of all streams.
#[derive(Debug)]
pub(crate) struct Recorder {
    db: Database,
    joints: Lane<Joints>,
    imu: Lane<Imu>,
    gripper: Lane<f64>,
    images: Lane<Image>,
    detections: StreamWriter<Detection>,
    detected: u64,
    /// The next picture to be looked at, and how many of its detections are written already.
    frame: u64,
    written: usize,
}

impl Recorder {
    /// Makes the streams that are missing, and finds where each goes on.
    ///
    /// # Errors
    /// As [`Database::create_stream`] and [`Stream::writer`].
    pub(crate) fn new(db: &Database) -> Result<Self> {
        let (none, lz4, packed) = (Compression::None, Compression::Lz4, Compression::Packed);
        let joints = Lane::new(db, JOINTS, none, rig::joints_ts, rig::joints)?;
        let imu = Lane::new(db, IMU, packed, rig::imu_ts, rig::imu)?;
        let gripper = Lane::new(db, GRIPPER, packed, rig::gripper_ts, rig::gripper)?;
        let images = Lane::new(db, IMAGES, lz4, rig::image_ts, rig::image)?;
        let seen =
            stream::<Detection>(db, DETECTIONS, |schema| schema.with_order(Order::NonDecreasing))?;
        let detected = seen.len();
        // Where in the pictures the stream ends. One without detections leaves no trace: to look at
        // it again does no harm.
        let (mut frame, mut left) = (0, detected);
        loop {
            let here = rig::detections(frame).len() as u64;
            if left == 0 || here > left {
                break;
            }
            (frame, left) = (frame + 1, left - here);
        }
        Ok(Self {
            db: db.clone(),
            joints,
            imu,
            gripper,
            images,
            detections: seen.writer()?,
            detected,
            frame,
            written: left as usize,
        })
    }

    /// Writes everything that happens before `end_us`.
    ///
    /// # Errors
    /// As [`StreamWriter::append`].
    pub(crate) fn until(&mut self, end_us: i64) -> Result<()> {
        self.joints.until(end_us)?;
        self.imu.until(end_us)?;
        self.gripper.until(end_us)?;
        self.images.until(end_us)?;
        while rig::frame_ts(self.frame) < end_us {
            let ts = rig::frame_ts(self.frame);
            for detection in rig::detections(self.frame).iter().skip(self.written) {
                self.detections.append(ts, detection)?;
                self.detected += 1;
            }
            (self.frame, self.written) = (self.frame + 1, 0);
        }
        Ok(())
    }

    /// Hands everything to the kernel: from here on a kill cannot take it.
    ///
    /// # Errors
    /// As [`Database::flush`].
    pub(crate) fn acknowledge(&self) -> Result<Counts> {
        self.db.flush(Level::Os)?;
        Ok(self.counts())
    }

    /// Records of each stream, in the order of [`STREAMS`].
    pub(crate) fn counts(&self) -> Counts {
        let (joints, imu) = (self.joints.next, self.imu.next);
        [joints, imu, self.gripper.next, self.images.next, self.detected]
    }
}

/// Records of each stream, in the order of [`STREAMS`].
pub(crate) type Counts = [u64; 5];

/// Bytes of so many records.
pub(crate) fn raw_bytes(counts: &Counts) -> u64 {
    let widths = [36, 32, 16, 8 + 48 * 64 * 3, 34];
    counts.iter().zip(widths).map(|(count, width)| count * width).sum()
}

/// Compares all records of a database with what was sent. Returns the number that differ.
///
/// # Errors
/// As [`Stream::window`].
pub(crate) fn compare(db: &Database) -> Result<u64> {
    let mut differing = 0;
    differing += compare_lane(db, JOINTS, rig::joints_ts, rig::joints)?;
    differing += compare_lane(db, IMU, rig::imu_ts, rig::imu)?;
    differing += compare_lane(db, GRIPPER, rig::gripper_ts, rig::gripper)?;
    differing += compare_lane(db, IMAGES, rig::image_ts, rig::image)?;
    let sent = (0..).flat_map(|frame| {
        let ts = rig::frame_ts(frame);
        rig::detections(frame).into_iter().map(move |detection| (ts, detection))
    });
    let kept = db.stream(DETECTIONS)?.typed::<Detection>()?.to_vec(..)?;
    differing += kept.iter().zip(sent).filter(|(kept, sent)| *kept != sent).count() as u64;
    Ok(differing)
}

fn compare_lane<T: Record + PartialEq>(
    db: &Database,
    name: &str,
    ts: fn(u64) -> i64,
    value: fn(u64) -> T,
) -> Result<u64> {
    let stream = db.stream(name)?;
    let (mut number, mut differing) = (0, 0);
    let window = stream.typed::<T>()?.window(..)?;
    for slice in window.slices() {
        let slice = slice?;
        for (index, &at) in slice.timestamps().iter().enumerate() {
            let is_equal = at == ts(number) && slice.record::<T>(index) == Some(value(number));
            differing += u64::from(!is_equal);
            number += 1;
        }
    }
    Ok(differing)
}
