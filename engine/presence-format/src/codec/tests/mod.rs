//! Tests of all codecs together: round trips, and hostile bytes.
//!
//! # Invariants
//! - Data is made from a printed seed: a failure replays.

mod measure;
mod runs;

use super::*;
use proptest::prelude::*;

const CODECS: [Compression; 4] = Compression::OF_RECORDS;

/// SplitMix64.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In [0, 1).
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.unit().max(1e-300).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}

fn push(dtype: DType, value: u64, raw: &mut Vec<u8>) {
    raw.extend_from_slice(&value.to_le_bytes()[..dtype.bytes()]);
}

fn push_float(dtype: DType, value: f64, raw: &mut Vec<u8>) {
    match dtype {
        DType::F32 => raw.extend_from_slice(&(value as f32).to_le_bytes()),
        DType::F64 => raw.extend_from_slice(&value.to_le_bytes()),
        _ => push(dtype, value as i64 as u64, raw),
    }
}

/// Kinds of data, from the mildest to what no model fits.
const KINDS: u8 = 12;

fn column(kind: u8, dtype: DType, elements: usize, records: usize, seed: u64) -> Vec<u8> {
    let mut random = Random(seed);
    let mut raw = Vec::new();
    let start = random.next();
    let mut walks = vec![random.normal() * 100.0; elements];
    for i in 0..(records * elements) as u64 {
        let element = i as usize % elements;
        match kind {
            0 => push(dtype, start, &mut raw),
            1 => push(dtype, random.next(), &mut raw),
            2 => push(dtype, start.wrapping_add(i.wrapping_mul(1000)), &mut raw),
            3 => push(dtype, start.wrapping_add(i * 1000 + random.next() % 401), &mut raw),
            4 => push(dtype, i % 37, &mut raw),
            5 => push(dtype, if i % 2 == 0 { 1 << 63 } else { u64::MAX >> 1 }, &mut raw),
            6 => push(dtype, i.wrapping_mul(i).wrapping_mul(3), &mut raw),
            7 => {
                walks[element] += random.normal();
                push_float(dtype, walks[element], &mut raw);
            }
            8 => push_float(dtype, (random.next() % 100_000) as f64 / 100.0, &mut raw),
            9 => {
                let odd =
                    [f64::NAN, f64::INFINITY, -0.0, 1e300, f64::from_bits(0x7ff4_0000_0000_beef)];
                let odd = odd.get(random.next() as usize % 90).copied();
                push_float(dtype, odd.unwrap_or((random.normal() * 1e4).round() / 1e3), &mut raw);
            }
            10 => {
                let gap = if random.next().is_multiple_of(500) { random.next() } else { 0 };
                push(dtype, start.wrapping_add(i * 100).wrapping_add(gap), &mut raw);
            }
            _ => push(dtype, random.next() >> (random.next() % 64), &mut raw),
        }
    }
    raw
}

fn arb_dtype() -> impl Strategy<Value = DType> {
    proptest::sample::select(DType::ALL.to_vec())
}

fn arb_records() -> impl Strategy<Value = usize> {
    prop_oneof![0..5_usize, 0..200_usize, 1000..1100_usize, Just(1024), Just(2048), Just(5000)]
}

fn arb_elements() -> impl Strategy<Value = usize> {
    prop_oneof![4 => Just(1_usize), 1 => 2..10_usize, 1 => Just(64), 1 => Just(65)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 3 } else { 2000 }))]

    #[test]
    fn every_codec_is_lossless(
        dtype in arb_dtype(),
        kind in 0..KINDS,
        elements in arb_elements(),
        records in arb_records(),
        seed: u64,
    ) {
        let records = if elements > 1 { records.min(1500) / elements.min(3) } else { records };
        let records = if cfg!(miri) { records.min(60) / elements } else { records };
        let raw = column(kind, dtype, elements, records, seed);
        for codec in CODECS {
            let mut stored = vec![1, 2, 3];
            encode(codec, dtype, elements, &raw, &mut stored);
            prop_assert_eq!(&stored[..3], &[1, 2, 3]);
            let stored = &stored[3..];
            let lanes = if elements <= 64 { elements } else { 1 };
            let runs = (raw.len() / dtype.bytes() / lanes).div_ceil(1024).max(1);
            let limit = raw.len() + lanes * runs;
            prop_assert!(stored.len() <= limit, "{} of {}", stored.len(), raw.len());
            let mut back = vec![0xa5; raw.len()];
            prop_assert_eq!(decode(codec, dtype, elements, stored, &mut back), Ok(()));
            prop_assert!(back == raw, "{codec:?}");

            // Truncated anywhere, it is an error; so is one byte more.
            for cut in [0, 1, stored.len() / 2, stored.len().saturating_sub(1)] {
                if cut < stored.len() {
                    let cut = decode(codec, dtype, elements, &stored[..cut], &mut back);
                    prop_assert!(cut.is_err());
                }
            }
            let mut longer = stored.to_vec();
            longer.push(0);
            let longer = decode(codec, dtype, elements, &longer, &mut back);
            prop_assert!(longer.is_err() || codec == Compression::Lz4);

            // Damaged, it is anything but a panic.
            let mut random = Random(seed);
            for _ in 0..4 {
                let mut damaged = stored.to_vec();
                if damaged.is_empty() { break }
                let front = if random.next().is_multiple_of(2) { 8 } else { usize::MAX };
                let at = random.next() as usize % damaged.len().min(front);
                damaged[at] ^= 1 << (random.next() % 8);
                let _ = decode(codec, dtype, elements, &damaged, &mut back);
            }
        }
    }

    #[test]
    fn random_bytes_never_panic(
        dtype in arb_dtype(),
        elements in 0..70_usize,
        stored in proptest::collection::vec(any::<u8>(), 0..600),
        raw_bytes in prop_oneof![0..3000_usize, Just(8192)],
    ) {
        for codec in CODECS {
            let mut back = vec![0; raw_bytes];
            let _ = decode(codec, dtype, elements, &stored, &mut back);
        }
    }
}

#[test]
fn truncation_anywhere_is_an_error() {
    for codec in [Compression::Packed, Compression::Split] {
        for dtype in DType::ALL {
            for (kind, records) in
                (0..KINDS).flat_map(|kind| [1, 70, 1024, 1030].map(|n| (kind, n)))
            {
                if cfg!(miri) && (records > 1 || kind > 3) {
                    continue;
                }
                truncated_anywhere(codec, dtype, &column(kind, dtype, 1, records, 5));
            }
        }
    }
}

fn truncated_anywhere(codec: Compression, dtype: DType, raw: &[u8]) {
    let mut stored = Vec::new();
    encode(codec, dtype, 1, raw, &mut stored);
    let mut back = vec![0; raw.len()];
    for cut in (0..stored.len()).step_by((stored.len() / 200).max(1)) {
        let error = decode(codec, dtype, 1, &stored[..cut], &mut back);
        let kind = error.map_err(|error| error.kind);
        assert_eq!(kind, Err(crate::FormatErrorKind::Truncated));
    }
}
