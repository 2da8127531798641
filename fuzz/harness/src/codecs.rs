//! Codecs: whatever decodes can be encoded and decoded again, and everything survives a round trip.

use presence_format::block::BlockLayout;
use presence_format::codec::{self, runs};
use presence_format::{Compression, DType};

use crate::input::Input;
use crate::schemas::{self, COMPRESSIONS};

/// Most bytes of a decoded column here: larger ones only cost time.
const RAW_BYTES_MAX: usize = 64 << 10;

/// A column's type, elements of a record, and length in bytes.
fn column(input: &mut Input<'_>) -> (DType, usize, usize) {
    let dtype = input.pick(&DType::ALL);
    let elements = match input.u8() {
        few @ 0..70 => usize::from(few).max(1),
        _ => 1,
    };
    let value_bytes = dtype.bytes() * elements;
    let records = usize::from(input.u16()).min(RAW_BYTES_MAX / value_bytes);
    (dtype, elements, records * value_bytes)
}

/// Decodes `stored`; where that works, what came out must survive a round trip.
fn decode(compression: Compression, input: &mut Input<'_>) {
    let (dtype, elements, raw_bytes) = column(input);
    let stored = input.rest();
    let mut raw = vec![0xa5; raw_bytes];
    if codec::decode(compression, dtype, elements, stored, &mut raw).is_ok() {
        survives(compression, dtype, elements, &raw);
        // Decoding fills all of its output: what was in it before does not matter.
        let mut again = vec![0x5a; raw_bytes];
        codec::decode(compression, dtype, elements, stored, &mut again).unwrap();
        assert!(again == raw, "decoding left bytes as they were");
        check_runs(compression, dtype, elements, stored, &raw);
    } else {
        let records = raw_bytes / dtype.bytes() / elements;
        let _any = runs::runs(compression, dtype, elements, records, stored);
    }
}

/// The runs of a column that decodes are that column, and keep to their bounds.
fn check_runs(by: Compression, dtype: DType, elements: usize, stored: &[u8], raw: &[u8]) {
    let value_bytes = dtype.bytes() * elements;
    let found = runs::runs(by, dtype, elements, raw.len() / value_bytes, stored).unwrap();
    let pieces = raw.chunks(runs::RUN_RECORDS * value_bytes);
    for (run, raw) in found.into_iter().flatten().zip(pieces) {
        let mut back = vec![0xa5; raw.len()];
        codec::decode(by, dtype, elements, run.bytes, &mut back).unwrap();
        assert!(back == raw, "a run of {elements} {dtype:?} decodes to something else");
        let Some((least, greatest)) = run.bounds else { continue };
        for word in raw.chunks(dtype.bytes()) {
            let mut wide = [0; 8];
            wide[..word.len()].copy_from_slice(word);
            let word = u64::from_le_bytes(wide);
            assert!((least..=greatest).contains(&word), "{word} beyond {least} to {greatest}");
        }
    }
}

fn survives(compression: Compression, dtype: DType, elements: usize, raw: &[u8]) {
    let mut stored = vec![7];
    codec::encode(compression, dtype, elements, raw, &mut stored);
    assert_eq!(stored[0], 7, "what was in the output before is kept");
    let stored = &stored[1..];
    let lanes = if elements <= 64 { elements } else { 1 };
    let runs = (raw.len() / dtype.bytes() / lanes).div_ceil(1024).max(1);
    assert!(stored.len() <= raw.len() + lanes * runs, "{} of {}", stored.len(), raw.len());
    let mut back = vec![0xa5; raw.len()];
    codec::decode(compression, dtype, elements, stored, &mut back).unwrap();
    assert!(back == raw, "{compression:?} of {elements} {dtype:?} is lossy");
}

pub(crate) fn packed(bytes: &[u8]) {
    decode(Compression::Packed, &mut Input::new(bytes));
}

pub(crate) fn split(bytes: &[u8]) {
    decode(Compression::Split, &mut Input::new(bytes));
}

pub(crate) fn lz4(bytes: &[u8]) {
    decode(Compression::Lz4, &mut Input::new(bytes));
}

/// The bytes as values, through every codec.
pub(crate) fn round_trip(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (dtype, elements, raw_bytes) = column(&mut input);
    let repeat = input.bool();
    let values = input.rest();
    let mut raw = values.to_vec();
    if repeat && !values.is_empty() {
        raw = values.iter().copied().cycle().take(raw_bytes).collect();
    }
    raw.truncate(RAW_BYTES_MAX);
    raw.truncate(raw.len() / (dtype.bytes() * elements) * (dtype.bytes() * elements));
    for compression in COMPRESSIONS {
        survives(compression, dtype, elements, &raw);
    }
}

/// Byte planes, and those of deltas, made here by the words of the specification, in an LZ4 block
/// that holds literals only.
pub(crate) fn shuffle(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let dtype = input.pick(&DType::ALL);
    let elements = input.below(70).max(1);
    let deltas = input.bool();
    let width = dtype.bytes();
    let mut raw = input.rest().to_vec();
    raw.truncate(raw.len() / (width * elements) * (width * elements));
    let words = raw.chunks(width).map(|word| {
        let mut wide = [0; 8];
        wide[..width].copy_from_slice(word);
        u64::from_le_bytes(wide)
    });
    let words: Vec<u64> = words.collect();
    let lag = if elements > 64 { 1 } else { elements };
    let word = |index: usize| match (deltas, index.checked_sub(lag)) {
        (true, Some(before)) => words[index].wrapping_sub(words[before]),
        _ => words[index],
    };
    let planes = (0..width).flat_map(|plane| (0..words.len()).map(move |index| (index, plane)));
    let planes: Vec<u8> = planes.map(|(index, plane)| word(index).to_le_bytes()[plane]).collect();
    if planes.is_empty() {
        return;
    }
    let mut stored = vec![if deltas { 3 } else { 2 }];
    literals(&planes, &mut stored);
    let mut back = vec![0; raw.len()];
    codec::decode(Compression::Lz4, dtype, elements, &stored, &mut back).unwrap();
    assert!(back == raw, "planes of {elements} {dtype:?}, deltas {deltas}");
}

/// An LZ4 block of one run of literals.
fn literals(bytes: &[u8], out: &mut Vec<u8>) {
    let len = bytes.len();
    out.push((len.min(15) as u8) << 4);
    if let Some(mut more) = len.checked_sub(15) {
        while more >= 255 {
            out.push(255);
            more -= 255;
        }
        out.push(more as u8);
    }
    out.extend_from_slice(bytes);
}

/// The bytes as a stored block of some schema, and as the columns of one.
pub(crate) fn block(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let schema = schemas::schema(&mut input);
    let layout = BlockLayout::new(&schema);
    let compression = input.pick(&COMPRESSIONS);
    let records = 1 + usize::from(input.u16()).min(RAW_BYTES_MAX / layout.record_bytes());
    let stored = input.rest();
    let mut decoded = vec![0; layout.decoded_bytes(records)];
    let lanes_of = |decoded: &[u8]| -> Vec<Vec<u8>> {
        layout.ranges(records).map(|range| decoded[range].to_vec()).collect()
    };
    let round_trip = |lanes: &[Vec<u8>]| {
        for compression in [Compression::Lz4, Compression::Packed] {
            let slices: Vec<&[u8]> = lanes.iter().map(Vec::as_slice).collect();
            let mut stored = Vec::new();
            layout.encode(compression, &slices, &mut stored);
            let mut back = vec![0; layout.decoded_bytes(records)];
            layout.decode(compression, records, &stored, &mut back).unwrap();
            assert!(lanes_of(&back) == lanes, "{compression:?} is lossy");
        }
    };
    if layout.decode(compression, records, stored, &mut decoded).is_ok() {
        round_trip(&lanes_of(&decoded));
    }
    decoded.fill(0);
    let known = stored.len().min(decoded.len());
    decoded[..known].copy_from_slice(&stored[..known]);
    round_trip(&lanes_of(&decoded));
}
