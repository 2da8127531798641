//! Planes: the bitmaps of presence tracks.
//!
//! A presence track is a grid of ticks and, on it, one **plane** for each class and one for what
//! was observed. In the catalog a plane is a stream of order [`any`](crate::Order::Any) whose
//! records are words: the timestamp is the first of 64 ticks, the value has a bit for each. The
//! later of two words of the same ticks counts. Blocks of a plane are stored as [`Region`]s.
//!
//! # Invariants
//! - A [`Plane`] is valid by construction: a [`Rate`] in lowest terms, and sound names.
//! - A block holds words of one region, and stands for all of it: what earlier blocks and frames
//!   said of the region counts no more.

pub mod container;
pub mod region;

pub use container::{CONTAINER_TICKS, CONTAINER_WORDS, Container, Form};
pub use region::{REGION_CONTAINERS, REGION_TICKS, REGION_WORDS, Region, RegionBuilder, region_of};

use crate::error::{FormatError, Result};
use crate::rate::Rate;
use crate::schema::{check_name, decode_name, encode_name};
use crate::varint;

/// Ticks of one word.
pub const WORD_TICKS: i64 = 64;

/// What a plane is a bitmap of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PlaneKind {
    /// The ticks that were looked at, whatever was found.
    Observed,
    /// The ticks at which a class was present.
    Class {
        /// The class.
        id: u16,
        /// Its name; empty where it has none.
        name: String,
    },
}

/// Which bitmap of which track a stream is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Plane {
    track: String,
    rate_num: u32,
    rate_den: u32,
    epoch_us: i64,
    kind: PlaneKind,
}

impl Plane {
    /// A plane of the track called `track`, whose tick `n` begins `n * rate_den / rate_num` seconds
    /// behind `epoch_us`.
    ///
    /// # Errors
    /// [`Invalid`](crate::FormatErrorKind::Invalid) for what is no [`Rate`] in lowest terms, and
    /// names that are too long or have control characters.
    pub fn new(
        track: &str,
        (rate_num, rate_den): (u32, u32),
        epoch_us: i64,
        kind: PlaneKind,
    ) -> Result<Self> {
        let plane = Self { track: track.to_owned(), rate_num, rate_den, epoch_us, kind };
        plane.check()?;
        Ok(plane)
    }

    fn check(&self) -> Result<()> {
        check_name("track", &self.track)?;
        let rate = Rate::new(self.rate_num, self.rate_den)
            .map_err(|error| FormatError::invalid(error.to_string()))?;
        if (rate.num(), rate.den()) != (self.rate_num, self.rate_den) {
            return Err(FormatError::invalid(format!(
                "the rate {}/{} is not in lowest terms",
                self.rate_num, self.rate_den
            )));
        }
        match &self.kind {
            PlaneKind::Class { name, .. } if !name.is_empty() => check_name("class", name),
            _ => Ok(()),
        }
    }

    /// The track's name.
    pub fn track(&self) -> &str {
        &self.track
    }

    /// Ticks a second: numerator and denominator, in lowest terms.
    pub const fn rate(&self) -> (u32, u32) {
        (self.rate_num, self.rate_den)
    }

    /// The moment at which tick 0 begins, in microseconds.
    pub const fn epoch_us(&self) -> i64 {
        self.epoch_us
    }

    /// What it is a bitmap of.
    pub const fn kind(&self) -> &PlaneKind {
        &self.kind
    }

    /// The first microsecond of `tick`; the nearest one that there is.
    pub fn start_us(&self, tick: i64) -> i64 {
        let scaled = i128::from(tick) * i128::from(self.rate_den) * 1_000_000;
        let num = i128::from(self.rate_num);
        let behind = (scaled + num - 1).div_euclid(num);
        let at = behind + i128::from(self.epoch_us);
        i64::try_from(at).unwrap_or(if at < 0 { i64::MIN } else { i64::MAX })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        encode_name(&self.track, out);
        varint::encode(u64::from(self.rate_num), out);
        varint::encode(u64::from(self.rate_den), out);
        out.extend_from_slice(&self.epoch_us.to_le_bytes());
        match &self.kind {
            PlaneKind::Observed => out.push(KIND_OBSERVED),
            PlaneKind::Class { id, name } => {
                out.push(KIND_CLASS);
                out.extend_from_slice(&id.to_le_bytes());
                encode_name(name, out);
            }
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<(Self, &[u8])> {
        let (track, rest) = decode_name(bytes)?;
        let (rate_num, rest) = decode_u32(rest)?;
        let (rate_den, rest) = decode_u32(rest)?;
        let short = || FormatError::truncated(bytes.len() as u64, "bytes end inside a plane");
        let (epoch_us, rest) = rest.split_first_chunk::<8>().ok_or_else(short)?;
        let (code, rest) = rest.split_first().ok_or_else(short)?;
        let (kind, rest) = match *code {
            KIND_OBSERVED => (PlaneKind::Observed, rest),
            KIND_CLASS => {
                let (id, rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
                let (name, rest) = decode_name(rest)?;
                (PlaneKind::Class { id: u16::from_le_bytes(*id), name }, rest)
            }
            code => return Err(FormatError::corrupt(0, format!("unknown plane code {code}"))),
        };
        let epoch_us = i64::from_le_bytes(*epoch_us);
        let plane = Self { track, rate_num, rate_den, epoch_us, kind };
        plane.check().map_err(|error| FormatError::corrupt(0, error.what))?;
        Ok((plane, rest))
    }
}

const KIND_OBSERVED: u8 = 0;
const KIND_CLASS: u8 = 1;

fn decode_u32(bytes: &[u8]) -> Result<(u32, &[u8])> {
    let (value, rest) = varint::decode(bytes)?;
    let value = u32::try_from(value);
    Ok((value.map_err(|_| FormatError::corrupt(0, "a rate over 32 bits"))?, rest))
}

/// The greatest number that divides both; of a number and zero the number.
pub const fn greatest_common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_refuses_what_is_no_plane() {
        let class = PlaneKind::Class { id: u16::MAX, name: "person".to_owned() };
        for kind in [PlaneKind::Observed, class] {
            let plane = Plane::new("cam/front", (30_000, 1001), -5, kind).unwrap();
            let mut bytes = Vec::new();
            plane.encode(&mut bytes);
            assert_eq!(Plane::decode(&bytes).unwrap(), (plane, &[][..]));
            for len in 0..bytes.len() {
                assert!(Plane::decode(&bytes[..len]).is_err(), "at {len}");
            }
        }
        for rate in [(0, 1), (1, 0), (60, 2), (1_000_001, 1)] {
            assert!(Plane::new("t", rate, 0, PlaneKind::Observed).is_err(), "{rate:?}");
        }
        assert!(Plane::new("", (1, 1), 0, PlaneKind::Observed).is_err());
        let mut bytes = Vec::new();
        Plane::new("t", (1_000_000, 1), 0, PlaneKind::Observed).unwrap().encode(&mut bytes);
        // The lowest bits of the numerator: one more is too fast.
        bytes[2] += 1;
        assert!(Plane::decode(&bytes).is_err());
    }

    #[test]
    fn ticks_begin_at_the_first_microsecond_that_belongs_to_them() {
        let plane = Plane::new("t", (30_000, 1001), 7, PlaneKind::Observed).unwrap();
        let tick_of = |us: i64| ((us - 7) * 30_000).div_euclid(1001 * 1_000_000);
        for tick in [-100_000, -1, 0, 1, 2, 3, 1_000_003] {
            let start = plane.start_us(tick);
            assert_eq!((tick_of(start), tick_of(start - 1)), (tick, tick - 1));
        }
        assert_eq!(plane.start_us(i64::MAX), i64::MAX);
        assert_eq!(plane.start_us(i64::MIN), i64::MIN);
    }
}
