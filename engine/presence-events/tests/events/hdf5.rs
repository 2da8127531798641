//! HDF5: every form of the format that files of events are known to have, and what harms.

use std::path::PathBuf;

use presence_events::{
    AutoDecoder, ByteSource, Decoder, Event, EventError, EventErrorKind, Format, OnDamage, Options,
    Output, Recording, Report,
};

use crate::support::{data, figure, in_pieces, scaled, whole};

/// The events of all files that `hdf5/make.py` makes.
fn made(count: i64) -> Vec<Event> {
    let event = |i: i64| Event {
        t: 1000 + i * 7 + i % 5,
        x: (i * 13 % 640) as u16,
        y: (i * 7 % 480) as u16,
        polarity: (i / 3 % 2) as u8,
    };
    (0..count).map(event).collect()
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/hdf5")
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(format!("{name}.h5"))).unwrap()
}

fn strict() -> Options {
    Options { on_damage: OnDamage::Refuse, ..Options::default() }
}

/// All that a recording gives, where it lies.
fn read(bytes: Vec<u8>, options: &Options) -> (Output, Report, Option<EventError>) {
    let mut all = Output::default();
    let mut recording = match Recording::open(Box::new(bytes), options) {
        Ok(recording) => recording,
        Err(error) => return (all, Report::default(), Some(error)),
    };
    let mut part = Output::new(64);
    let error = loop {
        let more = recording.read(&mut part);
        all.events.extend_from(&part.events, 0..part.events.len());
        all.triggers.append(&mut part.triggers);
        part.clear();
        match more {
            Ok(true) => {}
            Ok(false) => break None,
            Err(error) => break Some(error),
        }
    };
    (all, recording.report().clone(), error)
}

#[test]
fn every_form_gives_its_events() {
    let mut files = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let told = ["refused_", "unwritten_", "uneven_"].iter().any(|kind| name.starts_with(kind));
        if path.extension().is_none_or(|ending| ending != "h5") || told {
            continue;
        }
        let count = name.split('_').find_map(|word| word.parse().ok()).unwrap_or(300);
        let bytes = std::fs::read(&path).unwrap();
        let (out, report, error) = read(bytes.clone(), &strict());
        assert_eq!(error, None, "{name}");
        assert_eq!(out.events.iter().collect::<Vec<_>>(), made(count), "{name}");
        assert_eq!((report.events, report.out_of_order), (count as u64, 0), "{name}");
        let fed = whole(&bytes, &strict());
        assert_eq!((fed.error, fed.format), (None, Format::Hdf5), "{name}");
        assert!(fed.out.events == out.events && fed.report == report, "{name}");
        files += 1;
    }
    assert_eq!(files, 43);
    figure("forms of HDF5", files);
}

#[test]
fn sizes_sources_and_triggers_come_along() {
    let bytes = file("prophesee_padded");
    let (out, report, _) = read(bytes.clone(), &Options::default());
    let triggers: Vec<_> = out.triggers.iter().map(|one| (one.t, one.id, one.value)).collect();
    assert_eq!(triggers, [(1200, 0, 1), (1900, 6, 0)]);
    assert_eq!(report.triggers, 2);
    let mut decoder = AutoDecoder::new(Options::default());
    let mut out = Output::default();
    decoder.decode_all(&bytes, &mut out).unwrap();
    let size = out.events.sensor_size.unwrap();
    assert_eq!((size.width, size.height), (1280, 720));
    assert_eq!(out.events.source.as_deref(), Some("Prophesee"));
    for (name, size) in [("crowded_latest", (640, 480)), ("root_big_endian", (640, 480))] {
        assert_eq!(whole(&file(name), &Options::default()).size, Some(size), "{name}");
    }
}

#[test]
fn a_dataset_may_be_named() {
    let named = |path: &str| Options { dataset: Some(path.to_owned()), ..strict() };
    let (out, _, error) = read(file("mvsec_rows"), &named("davis/right/events"));
    assert_eq!((error, out.events.len()), (None, 300));
    let (_, _, error) = read(file("mvsec_rows"), &named("davis/left/events"));
    assert_eq!(error.unwrap().kind, EventErrorKind::Unsupported);
}

#[test]
fn what_is_not_read_is_named() {
    let (_, _, error) = read(file("refused_filter"), &Options::default());
    let error = error.unwrap();
    assert_eq!(error.kind, EventErrorKind::Unsupported);
    assert!(error.what.contains("32008") && error.what.contains("bitshuffle"), "{error}");
    let (_, _, error) = read(file("refused_layout"), &Options::default());
    let error = error.unwrap();
    assert_eq!(error.kind, EventErrorKind::Unsupported);
    assert!(error.what.contains("pictures"), "{error}");
}

#[test]
fn rows_that_are_not_there_are_left_out_or_refused() {
    let (out, report, error) = read(file("unwritten_chunks"), &Options::default());
    let want = made(300);
    let want: Vec<_> = want[..100].iter().chain(&want[200..]).copied().collect();
    assert_eq!((out.events.iter().collect::<Vec<_>>(), error), (want, None));
    assert_eq!((report.dropped, report.unknown_words, report.faults_total), (100, 1, 1));
    let (out, _, error) = read(file("unwritten_chunks"), &strict());
    assert_eq!(out.events.iter().collect::<Vec<_>>(), made(100), "what came before is kept");
    assert_eq!(error.unwrap().kind, EventErrorKind::Corrupt);
    let (out, report, error) = read(file("unwritten_pages"), &Options::default());
    assert_eq!(out.events.iter().collect::<Vec<_>>(), made(150_000)[140_000..140_100]);
    assert_eq!((report.dropped, report.faults_total, error), (149_900, 2, None));
    let (out, report, error) = read(file("uneven_columns"), &Options::default());
    assert_eq!((out.events.len(), report.dropped, error), (290, 10, None));
    assert_eq!(read(file("uneven_columns"), &strict()).2.unwrap().kind, EventErrorKind::Corrupt);
}

#[test]
fn a_damaged_chunk_is_left_out_alone() {
    let bytes = file("filter_gzip_shuffle_sum");
    let (all, ..) = read(bytes.clone(), &Options::default());
    let mut lost = 0;
    for at in (0..bytes.len()).step_by(7) {
        let mut bad = bytes.clone();
        bad[at] ^= 0x10;
        let (out, report, error) = read(bad.clone(), &Options::default());
        let is_shorter = report.faults.iter().any(|fault| fault.kind == EventErrorKind::Truncated);
        if error.is_none() && report.faults_total > 0 && !is_shorter {
            lost += 1;
            assert!(report.dropped > 0, "byte {at}: {report:?}");
            let refused = read(bad, &strict()).2;
            assert!(refused.is_some(), "byte {at}: {:?}", report.faults);
        }
        assert!(out.events.len() <= all.events.len() || error.is_none());
    }
    assert!(lost > 10, "{lost} places in chunks");
}

/// The forms that differ in what a reader does with them.
const HARMED: [&str; 14] = [
    "chunked_earliest",
    "contiguous_earliest",
    "single_chunk_gzip",
    "growing_gzip",
    "implicit",
    "compact",
    "crowded_latest",
    "prophesee_padded",
    "mvsec_tree_gzip",
    "dsec",
    "committed_type",
    "filter_lzf_shuffle",
    "filter_blosc_blosclz",
    "filter_lz4",
];

/// Whatever the bytes: no more than 256 events a byte, and an end.
fn harmless(bytes: &[u8], what: &str) {
    for options in [Options::default(), strict()] {
        let (out, ..) = read(bytes.to_vec(), &options);
        assert!(out.events.len() <= bytes.len() * 256, "{what}: {} events", out.events.len());
    }
}

#[test]
fn truncated_anywhere_is_told() {
    let (mut truncations, made) = (0, made(300));
    for name in HARMED {
        let bytes = file(name);
        let step = if name == "single_chunk_gzip" { 1 } else { 13 };
        for end in (0..bytes.len()).step_by(step) {
            let (out, report, error) = read(bytes[..end].to_vec(), &Options::default());
            let told = error.is_some() || report.faults_total > 0;
            assert!(told, "{name} ends at {end}");
            let genuine =
                |event: Event| made.get((event.t as usize).wrapping_sub(1000) / 7) == Some(&event);
            assert!(out.events.iter().all(genuine), "{name} at {end}");
            assert!(read(bytes[..end].to_vec(), &strict()).2.is_some(), "{name} ends at {end}");
            truncations += 1;
        }
    }
    figure("truncations of HDF5", truncations);
}

#[test]
fn bits_flipped_anywhere_harm_nobody() {
    let mut flips = 0;
    for name in HARMED {
        let bytes = file(name);
        let every = if name == "single_chunk_gzip" { 13 } else { 401 };
        for bit in (0..bytes.len() * 8).step_by(every) {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            harmless(&bad, &format!("{name}, bit {bit}"));
            flips += 1;
        }
    }
    figure("flipped bits of HDF5", flips);
}

#[test]
fn bytes_of_all_kinds_anywhere_harm_nobody() {
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let rounds = scaled(150);
    for name in HARMED {
        let bytes = file(name);
        for round in 0..rounds {
            let mut bad = bytes.clone();
            for _ in 0..1 + next() % 4 {
                let at = next() as usize % bad.len();
                let value = [0, 1, 0x7F, 0x80, 0xFF, next() as u8][next() as usize % 6];
                let run = [1, 1, 2, 4, 8][next() as usize % 5];
                bad.iter_mut().skip(at).take(run).for_each(|byte| *byte = value);
            }
            harmless(&bad, &format!("{name}, round {round}"));
        }
    }
    figure("mutations of HDF5", u64::from(rounds) * HARMED.len() as u64);
}

#[test]
fn fed_in_pieces_it_gives_the_same() {
    for name in ["filter_zstd", "block_before", "prophesee_padded", "unwritten_chunks"] {
        let bytes = file(name);
        let want = whole(&bytes, &Options::default());
        for size in [1, 97, 4_096, 5_000] {
            let got = in_pieces(bytes.chunks(size), &Options::default(), 50);
            assert_eq!(got.essence(), want.essence(), "{name} in pieces of {size}");
        }
        // What follows the end that the file names is no part of it.
        let longer = [bytes.as_slice(), &[7; 100]].concat();
        let got = in_pieces(longer.chunks(1_000), &Options::default(), 50);
        assert_eq!(got.essence(), want.essence(), "{name} with something behind it");
    }
}

/// A source that fails, and counts what is read of it.
#[derive(Debug)]
struct Failing {
    bytes: Vec<u8>,
    reads_left: u32,
}

impl ByteSource for Failing {
    fn bytes_total(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> Result<(), EventError> {
        if self.reads_left == 0 {
            return Err(EventError::unreadable(offset, "a bad sector"));
        }
        self.reads_left -= 1;
        self.bytes.read_at(offset, into)
    }
}

#[test]
fn a_source_that_fails_is_an_error_or_a_gap() {
    let bytes = file("chunked_earliest");
    let mut kinds = Vec::new();
    for reads_left in 0.. {
        let source = Failing { bytes: bytes.clone(), reads_left };
        let mut recording = match Recording::open(Box::new(source), &strict()) {
            Ok(recording) => recording,
            Err(error) => {
                kinds.push(error.kind);
                continue;
            }
        };
        let mut out = Output::default();
        match recording.read(&mut out) {
            Ok(_) => break,
            Err(error) => kinds.push(error.kind),
        }
    }
    assert!(kinds.len() > 20 && kinds.iter().all(|&kind| kind == EventErrorKind::Unreadable));
}

#[test]
fn bytes_that_cannot_be_read_are_not_passed_over() {
    let bytes = [b"% evt 2.0\n% end\n".to_vec(), [0, 0, 0, 0x80].repeat(300_000)].concat();
    let mut recording =
        Recording::open(Box::new(Failing { bytes, reads_left: 2 }), &Options::default()).unwrap();
    let mut out = Output::default();
    let error = recording.read(&mut out).unwrap_err();
    assert_eq!(error.kind, EventErrorKind::Unreadable);
    assert_eq!(recording.read(&mut out), Err(error));
}

/// The facts that the manifest has of HDF5 are sizes and types; the events are those of the
/// recordings they were made of.
#[test]
fn recordings_in_hdf5_are_those_they_were_made_of() {
    let Some(dir) = data() else { return };
    let load = |name: &str| std::fs::read(dir.join(name)).unwrap();
    let source =
        whole(&load("open-neuromorphic+expelliarmus/evt3_sample.raw"), &Options::default());
    let (prophesee, report, error) = read(load("derived/A_prophesee_layout_gzip.hdf5"), &strict());
    assert_eq!((error, report.events), (None, 219_596));
    assert!(prophesee.events == source.out.events);
    let (dsec, _, error) = read(load("derived/A_dsec_layout_blosczstd.h5"), &strict());
    assert_eq!(error, None);
    // Times begin at zero there, and have an offset of their own.
    let shift = 49_599_300_523 - source.out.events.t()[0];
    assert!(dsec.events.t().iter().zip(source.out.events.t()).all(|(a, b)| a - b == shift));
    assert_eq!(dsec.events.x(), source.out.events.x());
    assert_eq!(dsec.events.polarity(), source.out.events.polarity());
    let (mvsec, _, error) = read(load("derived/A_mvsec_layout_gzip.h5"), &strict());
    assert_eq!((error, mvsec.events.len()), (None, 60_000));
    assert_eq!(mvsec.events.t(), &source.out.events.t()[..60_000]);
    assert_eq!(mvsec.events.y(), &source.out.events.y()[..60_000]);
    let (tiny, _, error) = read(load("shiba24+event-vision-library/event.hdf5"), &strict());
    assert_eq!((error, tiny.events.len()), (None, 17));
    assert_eq!((tiny.events.get(0).unwrap().x, tiny.events.t()[1]), (134, 780));
    figure("HDF5 recordings compared", 4);
}
