//! What comes beside the events, as batches: triggers, samples, frames.
//!
//! # Invariants
//! - A record whose time is below the last one of its stream is left out and counted; within what
//!   is taken at once, records are sorted.
//! - All frames of a stream have one shape, that of the first.

use std::collections::BTreeMap;

use presence_events::{ColorEvent, EventBatch, Frame, ImuSample, Output, PixelFormat, Trigger};
use presence_format::{Batch, Column, DType, FormatError, Schema};

use super::role::Role;

/// Batches of one role with their columns.
#[derive(Debug, Clone)]
pub(super) struct Filled {
    pub(super) role: Role,
    pub(super) schema: Schema,
    pub(super) batch: Batch,
}

/// Makes batches of what is beside the events.
#[derive(Debug, Default)]
pub(super) struct Beside {
    schemas: BTreeMap<Role, Schema>,
    floors: BTreeMap<Role, i64>,
    pixels: Option<Column>,
    pub(super) late: u64,
    pub(super) frames_unlike: u64,
}

impl Beside {
    /// Takes what `out` has beside its events.
    pub(super) fn take(&mut self, out: &mut Output) -> Result<Vec<Filled>, FormatError> {
        let mut all = Vec::new();
        let frames = std::mem::take(&mut out.frames);
        let frames = self.alike(frames);
        let exposures: Vec<_> = out.exposures.iter().collect();
        all.extend(self.fill(Role::Triggers, &out.triggers, |trigger| trigger.t, put_trigger)?);
        all.extend(self.fill(Role::Imu, &out.imu, |sample| sample.t, put_sample)?);
        all.extend(self.fill(Role::Frames, &frames, |frame| frame.t, put_frame)?);
        all.extend(self.fill(Role::Colors, &out.colors, |event| event.t, put_color)?);
        all.extend(self.fill(
            Role::Exposures,
            &exposures,
            |event| event.t,
            |event, batch| {
                put(batch, 0, &event.x.to_le_bytes());
                put(batch, 1, &event.y.to_le_bytes());
                put(batch, 2, &[event.polarity]);
            },
        )?);
        out.triggers.clear();
        out.imu.clear();
        out.colors.clear();
        out.exposures = EventBatch::new();
        Ok(all)
    }

    /// The frames that are as the first one was.
    fn alike(&mut self, mut frames: Vec<Frame>) -> Vec<Frame> {
        if let (None, Some(first)) = (&self.pixels, frames.first()) {
            self.pixels = Some(pixels_of(first));
        }
        let before = frames.len();
        frames.retain(|frame| {
            self.pixels.as_ref().is_some_and(|pixels| {
                *pixels == pixels_of(frame) && frame.pixels.len() == pixels.value_bytes()
            })
        });
        self.frames_unlike += (before - frames.len()) as u64;
        frames
    }

    fn fill<T>(
        &mut self,
        role: Role,
        records: &[T],
        time: impl Fn(&T) -> i64,
        put: impl Fn(&T, &mut Batch),
    ) -> Result<Option<Filled>, FormatError> {
        if records.is_empty() {
            return Ok(None);
        }
        let schema = match self.schemas.get(&role) {
            Some(schema) => schema.clone(),
            None => {
                let schema = role.schema(self.pixels.as_ref())?;
                self.schemas.insert(role, schema.clone());
                schema
            }
        };
        let mut batch = Batch::new(&schema);
        let mut sorted: Vec<&T> = records.iter().collect();
        sorted.sort_by_key(|record| time(record));
        let floor = self.floors.entry(role).or_insert(i64::MIN);
        for record in sorted {
            let t = time(record);
            if t < *floor {
                self.late += 1;
                continue;
            }
            *floor = t;
            batch.timestamps.push(t);
            put(record, &mut batch);
        }
        Ok((!batch.is_empty()).then_some(Filled { role, schema, batch }))
    }
}

fn put(batch: &mut Batch, column: usize, bytes: &[u8]) {
    if let Some(column) = batch.columns.get_mut(column) {
        column.push_bytes(bytes);
    }
}

fn put_trigger(trigger: &Trigger, batch: &mut Batch) {
    put(batch, 0, &[trigger.id]);
    put(batch, 1, &[trigger.value]);
}

fn put_sample(sample: &ImuSample, batch: &mut Batch) {
    let triples = [sample.acceleration, sample.rotation, sample.magnetism.unwrap_or([f32::NAN; 3])];
    for (column, triple) in triples.iter().enumerate() {
        triple.iter().for_each(|value| put(batch, column, &value.to_le_bytes()));
    }
    put(batch, 3, &sample.temperature.to_le_bytes());
    put(batch, 4, &[u8::from(sample.is_raw)]);
}

fn put_frame(frame: &Frame, batch: &mut Batch) {
    put(batch, 0, &frame.t_end.to_le_bytes());
    put(batch, 1, &frame.pixels);
}

fn put_color(event: &ColorEvent, batch: &mut Batch) {
    put(batch, 0, &event.x.to_le_bytes());
    put(batch, 1, &event.y.to_le_bytes());
    put(batch, 2, &event.rgb);
}

/// The column of a frame's pixels: height, width, and values of a pixel where they are several.
fn pixels_of(frame: &Frame) -> Column {
    let (dtype, values) = match frame.format {
        PixelFormat::Gray8 => (DType::U8, 1),
        PixelFormat::Bgr8 => (DType::U8, 3),
        PixelFormat::Bgra8 => (DType::U8, 4),
        PixelFormat::Wide16(values) => (DType::U16, u32::from(values)),
    };
    let sides = [u32::from(frame.height), u32::from(frame.width), values];
    let sides = if values == 1 { sides.get(..2) } else { sides.get(..) };
    Column::new("pixels", dtype, sides.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_sorted_and_late_ones_counted() {
        let mut beside = Beside::default();
        let mut take = |times: &[i64]| {
            let mut out = Output::default();
            out.triggers = times.iter().map(|&t| Trigger { t, id: 1, value: 0 }).collect();
            let filled = beside.take(&mut out).unwrap();
            assert!(out.is_empty());
            filled.into_iter().flat_map(|filled| filled.batch.timestamps).collect::<Vec<_>>()
        };
        assert_eq!(take(&[3, 1, 2]), [1, 2, 3]);
        assert_eq!(take(&[2, 3, 9]), [3, 9]);
        assert_eq!(take(&[]), [0; 0]);
        assert_eq!(beside.late, 1);
    }

    #[test]
    fn frames_have_the_shape_of_the_first() {
        let frame = |t, width, format, bytes| Frame {
            t,
            t_end: t + 1,
            width,
            height: 2,
            format,
            pixels: vec![7; bytes],
        };
        let mut beside = Beside::default();
        let mut out = Output::default();
        out.frames = vec![
            frame(1, 3, PixelFormat::Bgr8, 18),
            frame(2, 4, PixelFormat::Bgr8, 24),
            frame(3, 3, PixelFormat::Bgr8, 17),
            frame(4, 3, PixelFormat::Bgr8, 18),
        ];
        let filled = beside.take(&mut out).unwrap();
        let [filled] = filled.as_slice() else { panic!("one role") };
        assert_eq!(filled.role, Role::Frames);
        assert_eq!(filled.schema.columns()[1].type_name(), "u8[2x3x3]");
        assert_eq!(filled.batch.timestamps, [1, 4]);
        filled.batch.check(&filled.schema).unwrap();
        assert_eq!(beside.frames_unlike, 2);
        assert_eq!(pixels_of(&frame(1, 3, PixelFormat::Wide16(1), 12)).value_bytes(), 12);
    }
}
