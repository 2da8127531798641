//! A robot and what it sees: every record as a function of its number.
//!
//! # Invariants
//! - Timestamps are microseconds from the start of the recording, and strictly increasing but for
//!   detections, of which a picture has none, one or several.

use std::f64::consts::TAU;

use presence::Record;
use presence_ingest::Rate;

use super::noise;

/// Angles of the arm's joints, in radians.
pub(crate) type Joints = [f32; 7];

/// An inertial measurement.
#[derive(Debug, Clone, Copy, PartialEq, Record)]
pub(crate) struct Imu {
    /// Metres per second squared.
    acceleration: [f32; 3],
    /// Radians per second.
    rotation: [f32; 3],
}

/// Pixels of an image's side, and of the other one.
const WIDTH: usize = 64;
const HEIGHT: usize = 48;

/// A picture: 48 x 64 pixels, red, green and blue.
pub(crate) type Image = [[[u8; 3]; WIDTH]; HEIGHT];

/// One detected thing of one picture.
#[derive(Debug, Clone, Copy, PartialEq, Record)]
pub(crate) struct Detection {
    /// The class: an index of [`CLASSES`].
    pub(crate) class: u16,
    /// What is the same in all pictures.
    pub(crate) track: u32,
    /// How sure the detector is, 0 to 1.
    pub(crate) confidence: f32,
    /// Left, top, width and height, in pixels of the camera.
    #[presence(name = "box")]
    pub(crate) bounds: [f32; 4],
}

/// What is detected.
pub(crate) const CLASSES: [&str; 3] = ["person", "car", "dog"];
/// The class of persons.
pub(crate) const PERSON: u16 = 0;
/// Pictures that are looked at, in a second.
const FRAMES_PER_SECOND: u32 = 30;

/// Regular steps with a little jitter, less than a step.
fn jittered(channel: u64, number: u64, step_us: u64, jitter_us: u64) -> i64 {
    (number * step_us + noise::bits(channel, number) % jitter_us).cast_signed()
}

/// When joint state `number` is measured: 1 kHz.
pub(crate) fn joints_ts(number: u64) -> i64 {
    jittered(1, number, 1_000, 40)
}

/// Joint state `number`: a slow task motion, a faster sway, and the noise of the encoders.
pub(crate) fn joints(number: u64) -> Joints {
    let t = joints_ts(number) as f64 * 1e-6;
    std::array::from_fn(|joint| {
        let j = joint as f64;
        let task = (0.9 - 0.1 * j) * (TAU * t / (9.0 + j) + j).sin();
        let sway = 0.08 * (TAU * t * (0.7 + 0.21 * j)).sin();
        let noise = 4e-4 * noise::normal(10 + joint as u64, number);
        // Encoders have steps: 2^-14 of a turn.
        let step = TAU / 16_384.0;
        (((task + sway + noise) / step).round() * step) as f32
    })
}

/// When measurement `number` of the IMU is made: 200 Hz.
pub(crate) fn imu_ts(number: u64) -> i64 {
    jittered(2, number, 5_000, 120)
}

/// Measurement `number` of the IMU.
pub(crate) fn imu(number: u64) -> Imu {
    let t = imu_ts(number) as f64 * 1e-6;
    let quantised = |value: f64, step: f64| ((value / step).round() * step) as f32;
    let noise = |axis: usize| noise::normal(20 + axis as u64, number);
    let gravity = [0.0, 0.0, 9.81];
    Imu {
        acceleration: std::array::from_fn(|axis| {
            let phase = axis as f64 * 2.1;
            let down = gravity.get(axis).copied().unwrap_or_default();
            quantised(down + 0.6 * (TAU * t * 0.9 + phase).sin() + 0.05 * noise(axis), 0.002)
        }),
        rotation: std::array::from_fn(|axis| {
            let phase = axis as f64 * 1.3;
            quantised(0.3 * (TAU * t * 0.4 + phase).cos() + 0.004 * noise(axis + 3), 0.0005)
        }),
    }
}

/// When the gripper's opening `number` is measured: 50 Hz.
pub(crate) fn gripper_ts(number: u64) -> i64 {
    jittered(3, number, 20_000, 200)
}

/// The gripper's opening, in metres: it closes and opens every six seconds.
pub(crate) fn gripper(number: u64) -> f64 {
    let t = gripper_ts(number) as f64 * 1e-6;
    let phase = (t / 6.0).fract();
    let opening =
        if phase < 0.5 { 1.0 - (phase * 8.0).min(1.0) } else { (phase * 8.0 - 4.0).min(1.0) };
    (opening * 850.0).round() * 1e-4
}

/// When image `number` is taken: 10 a second.
pub(crate) fn image_ts(number: u64) -> i64 {
    jittered(4, number, 100_000, 900)
}

/// Image `number`: a room, and a blot for everything in it.
pub(crate) fn image(number: u64) -> Image {
    let t = image_ts(number) as f64 * 1e-6;
    let shade = |y: usize, x: usize| [(60 + y * 2) as u8, (70 + y) as u8, (90 + x / 4) as u8];
    let mut image: Image = std::array::from_fn(|y| std::array::from_fn(|x| shade(y, x)));
    for thing in things(t) {
        let [left, top, width, height] = thing.bounds(t).map(|side| f64::from(side) / 10.0);
        let colour = match thing.class {
            PERSON => [200, 150, 120],
            1 => [60, 60, 190],
            _ => [120, 90, 50],
        };
        let lines = image.iter_mut().skip(top as usize).take(height as usize + 1);
        for pixel in
            lines.flat_map(|line| line.iter_mut().skip(left as usize).take(width as usize + 1))
        {
            *pixel = colour;
        }
    }
    image
}

/// When picture `frame` of the detector is looked at: 30 a second, without drift.
pub(crate) fn frame_ts(frame: u64) -> i64 {
    let rate = Rate::whole(FRAMES_PER_SECOND);
    rate.frame_time(frame.cast_signed(), presence::TimeUnit::Us)
}

/// What is detected in picture `frame`.
pub(crate) fn detections(frame: u64) -> Vec<Detection> {
    let t = frame_ts(frame) as f64 * 1e-6;
    let seen = things(t).filter(|thing| noise::unit(30 + thing.number, frame) < 0.96);
    seen.map(|thing| {
        let shake = |side: u64| noise::normal((40 + side) << 20 | thing.number, frame) as f32;
        let [left, top, width, height] = thing.bounds(t);
        let doubt = 0.04 * noise::normal(50 << 20 | thing.number, frame).abs();
        Detection {
            class: thing.class,
            track: thing.number as u32,
            confidence: (0.97 - doubt).clamp(0.05, 1.0) as f32,
            bounds: [left + shake(0), top + shake(1), width + shake(2), height + shake(3)],
        }
    })
    .collect()
}

/// Something that walks or drives through the picture.
#[derive(Debug, Clone, Copy)]
struct Thing {
    number: u64,
    class: u16,
    enters_s: f64,
    stays_s: f64,
}

/// Seconds between two things that come, on average.
const APART_S: f64 = 2.9;
/// No thing stays longer, in seconds.
const STAYS_MAX_S: f64 = 11.0;

/// What is there at `t` seconds.
fn things(t: f64) -> impl Iterator<Item = Thing> {
    let first = ((t - STAYS_MAX_S) / APART_S - 1.0).max(0.0) as u64;
    let last = (t / APART_S).max(0.0) as u64;
    (first..=last)
        .map(thing)
        .filter(move |thing| (thing.enters_s..thing.enters_s + thing.stays_s).contains(&t))
}

fn thing(number: u64) -> Thing {
    let draw = noise::unit(5, number);
    Thing {
        number,
        class: if draw < 0.6 {
            PERSON
        } else if draw < 0.85 {
            1
        } else {
            2
        },
        enters_s: number as f64 * APART_S + noise::unit(6, number) * APART_S * 0.9,
        stays_s: 3.0 + noise::unit(7, number) * (STAYS_MAX_S - 3.0),
    }
}

impl Thing {
    /// Left, top, width and height in a picture of 640 x 480, at `t` seconds.
    fn bounds(&self, t: f64) -> [f32; 4] {
        let (width, height) = match self.class {
            PERSON => (52.0, 140.0),
            1 => (150.0, 80.0),
            _ => (70.0, 48.0),
        };
        let way = ((t - self.enters_s) / self.stays_s).clamp(0.0, 1.0);
        let way = if self.number.is_multiple_of(2) { way } else { 1.0 - way };
        let lane = 200.0 + 120.0 * noise::unit(8, self.number);
        let left = way * (639.0 - width);
        let top = lane + 6.0 * (TAU * t * 0.8).sin();
        [left as f32, top as f32, width as f32, height as f32]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_increase() {
        for ts in [joints_ts, imu_ts, gripper_ts, image_ts, frame_ts] {
            assert!((0..5_000).map(ts).is_sorted_by(|a, b| a < b));
        }
    }

    #[test]
    fn things_are_seen() {
        let all: Vec<Detection> = (0..1800).flat_map(detections).collect();
        assert!(all.len() > 2_000, "{}", all.len());
        for class in 0..CLASSES.len() {
            assert!(all.iter().any(|seen| usize::from(seen.class) == class), "{class}");
        }
        assert!(
            all.iter().all(|seen| seen.bounds.iter().all(|side| (-20.0..660.0).contains(side)))
        );
    }
}
