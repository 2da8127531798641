//! Vectors of presence tracks: regions in each form, cleared ones, blocks of words, and frames.

use std::collections::BTreeMap;

use presence_format::catalog::{Catalog, StreamEntry};
use presence_format::{Compression, Plane, PlaneKind, Schema};

use super::cases::{START_US, catalog, first_header, new_stream, text};
use super::rows::{Num, Row};
use super::writer::VectorWriter;
use super::{Answer, Vector};
use crate::Result;

/// Ticks of a region.
const REGION: i64 = 4_194_304;

/// Every vector of this file.
pub(super) fn all() -> Result<Vec<Vector>> {
    Ok(vec![track_unsealed()?, track_sealed()?, track_touched()?])
}

fn plane(id: u32, name: &str, kind: PlaneKind) -> Result<StreamEntry> {
    let plane = Plane::new("cam/front", (30_000, 1001), START_US, kind).map_err(text)?;
    Ok(new_stream(id, name, &Schema::of_plane(plane)))
}

/// Words as records: the tick of each and its bits.
fn rows(words: &BTreeMap<i64, u64>) -> Vec<Row> {
    words.iter().map(|(&tick, &word)| Row::new(tick, [Num::Uint(word)])).collect()
}

/// Sets the ticks `from..to`.
fn set(words: &mut BTreeMap<i64, u64>, (from, to): (i64, i64)) {
    for tick in from..to {
        *words.entry(tick - tick.rem_euclid(64)).or_default() |= 1 << tick.rem_euclid(64);
    }
}

/// The track under construction: what a reader must give, and where each plane's numbers go on.
struct Track {
    streams: [StreamEntry; 3],
    writer: VectorWriter,
    answers: BTreeMap<u32, BTreeMap<i64, u64>>,
    next: BTreeMap<u32, u64>,
}

impl Track {
    fn new() -> Result<Self> {
        Self::after([None; 3])
    }

    /// A track of which the segment before touched these ticks.
    fn after(touched: [Option<(i64, i64)>; 3]) -> Result<Self> {
        let person = PlaneKind::Class { id: 0, name: "person".to_owned() };
        let unnamed = PlaneKind::Class { id: 65_535, name: String::new() };
        let streams = [
            plane(1, "cam/front:observed", PlaneKind::Observed)?,
            plane(2, "cam/front:0", person)?,
            plane(3, "cam/front:65535", unnamed)?,
        ];
        let mut streams = streams;
        for (stream, touched) in streams.iter_mut().zip(touched) {
            stream.touched = touched;
        }
        let writer = VectorWriter::new(first_header(), &catalog(&streams.each_ref()))?;
        Ok(Self { streams, writer, answers: BTreeMap::new(), next: BTreeMap::new() })
    }

    fn numbers(&mut self, stream: u32, count: usize) -> u64 {
        let next = self.next.entry(stream).or_default();
        *next += count as u64;
        *next - count as u64
    }

    /// A block that stands for region `number`, whose set words are these.
    fn region(&mut self, stream: u32, number: i64, words: &BTreeMap<i64, u64>) -> Result<()> {
        let answer = self.answers.entry(stream).or_default();
        answer.retain(|tick, _| tick.div_euclid(REGION) != number);
        answer.extend(words);
        let mut rows = rows(words);
        if rows.is_empty() {
            rows.push(Row::new(number * REGION, [Num::Uint(0)]));
        }
        let first = self.numbers(stream, rows.len());
        self.writer.block(stream, Compression::Presence, first, &rows)
    }

    fn replace(&mut self, stream: u32, words: &BTreeMap<i64, u64>) {
        let answer = self.answers.entry(stream).or_default();
        answer.extend(words);
        answer.retain(|_, word| *word != 0);
    }

    /// A block of words, each of which stands for itself.
    fn words(&mut self, stream: u32, words: &[(i64, u64)]) -> Result<()> {
        let words = words.iter().copied().collect();
        self.replace(stream, &words);
        let first = self.numbers(stream, words.len());
        self.writer.block(stream, Compression::None, first, &rows(&words))
    }

    fn frame(&mut self, sections: &[(u32, &[(i64, u64)])]) -> Result<()> {
        let mut parts = Vec::new();
        for (stream, words) in sections {
            let words = words.iter().copied().collect();
            self.replace(*stream, &words);
            parts.push((*stream, self.numbers(*stream, words.len()), rows(&words)));
        }
        let parts: Vec<(u32, u64, &[Row])> =
            parts.iter().map(|(stream, first, rows)| (*stream, *first, rows.as_slice())).collect();
        self.writer.frame(&parts)
    }

    fn catalog(&self) -> Catalog {
        let streams = self.streams.iter().map(|stream| {
            let sequence = self.next.get(&stream.id).copied().unwrap_or_default();
            StreamEntry { sequence, ..stream.clone() }
        });
        Catalog { retained_from: 0, streams: streams.collect() }
    }

    fn vector(self, name: &'static str, about: &'static str) -> Vector {
        let answer = |stream: &StreamEntry| Answer {
            stream: stream.id,
            schema: stream.schema.clone(),
            rows: self.answers.get(&stream.id).map(rows).unwrap_or_default(),
        };
        let answers = self.streams.iter().map(answer).collect();
        let bytes = self.writer.into_bytes();
        Vector { name, about, bytes, answers, encoder_chooses: true }
    }
}

/// What both vectors begin with: a region in every form, one that is cleared later, and words.
fn begun() -> Result<Track> {
    let mut track = Track::new()?;
    let mut observed = BTreeMap::new();
    set(&mut observed, (10, 20_000));
    set(&mut observed, (65_536, 2 * 65_536));
    set(&mut observed, (4 * 65_536 - 1, 4 * 65_536 + 1));
    track.region(1, 0, &observed)?;
    // Noise: too many ticks, and too many runs, for any form but the dense one.
    let mut person: BTreeMap<i64, u64> = (0..300_i64)
        .map(|word| {
            let noise = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(2 * word.unsigned_abs() + 1);
            (65_536 + 64 * word, noise)
        })
        .collect();
    set(&mut person, (100, 164));
    set(&mut person, (262_143, 262_144));
    set(&mut person, (262_144, 262_145));
    track.region(2, 0, &person)?;
    let mut other = BTreeMap::new();
    set(&mut other, (12, 13));
    track.region(3, 0, &other)?;
    track.frame(&[(1, &[(19_968, u64::MAX)]), (3, &[(19_968, 1 << 63), (64, 5)])])?;
    // Late: before tick 0, as words; and the whole of class 65,535 is unset again.
    track.words(1, &[(-128, 0xff), (-64, u64::MAX)])?;
    track.region(3, 0, &BTreeMap::new())?;
    Ok(track)
}

fn track_unsealed() -> Result<Vector> {
    let mut track = begun()?;
    track.frame(&[
        (1, &[(8 * REGION, 1), (19_968, u64::MAX >> 1)]),
        (2, &[(128, 0), (8 * REGION, 1), (19_904, 3)]),
    ])?;
    Ok(track.vector(
        "track-unsealed",
        "A presence track: regions of sparse, runs and dense containers, one that was cleared, \
         words in a block and in frames, of which the later count",
    ))
}

fn track_touched() -> Result<Vector> {
    let touched = [Some((-REGION, 2 * REGION - 1)), Some((-128, 63)), None];
    let mut track = Track::after(touched)?;
    let mut words = BTreeMap::new();
    set(&mut words, (5, 70));
    track.region(1, 0, &words)?;
    track.frame(&[(1, &[(64, 0xff)]), (2, &[(0, 1 << 7)])])?;
    Ok(track.vector(
        "track-touched",
        "A presence track whose catalog tells which ticks the segment before it touched: of two \
         planes whole regions, and words; of the third nothing",
    ))
}

fn track_sealed() -> Result<Vector> {
    let mut track = begun()?;
    // What stands in frames only is repeated by a block of words, under new numbers.
    track.words(1, &[(19_968, u64::MAX)])?;
    let catalog = track.catalog();
    track.writer.seal(catalog, 0, None)?;
    Ok(track.vector(
        "track-sealed",
        "A presence track in a sealed segment: what its frames say is in blocks, under new numbers",
    ))
}
