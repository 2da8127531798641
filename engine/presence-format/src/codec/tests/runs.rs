//! Runs of packed and split columns: together they are the column, and their bounds hold.
//!
//! # Invariants
//! - Data is made from a printed seed: a failure replays.

use super::*;
use crate::codec::runs::{RUN_RECORDS, Run, runs};

const WITH_RUNS: [Compression; 2] = [Compression::Packed, Compression::Split];

/// Checks the runs of a sound column.
fn check(by: Compression, dtype: DType, elements: usize, raw: &[u8], stored: &[u8]) {
    let value_bytes = dtype.bytes() * elements;
    let records = raw.len() / value_bytes;
    let found = runs(by, dtype, elements, records, stored).unwrap();
    let Some(found) = found else {
        assert!(elements > 64);
        return;
    };
    assert!(found.iter().flat_map(|run| run.bytes).eq(stored));
    let pieces: Vec<&[u8]> = raw.chunks(RUN_RECORDS * value_bytes).collect();
    assert_eq!(found.len(), pieces.len());
    for (Run { bytes, bounds }, raw) in found.into_iter().zip(pieces) {
        let mut back = vec![0xa5; raw.len()];
        decode(by, dtype, elements, bytes, &mut back).unwrap();
        assert!(back == raw);
        for word in raw.chunks(dtype.bytes()) {
            let mut wide = [0; 8];
            wide[..word.len()].copy_from_slice(word);
            let word = u64::from_le_bytes(wide);
            assert!(bounds.is_none_or(|(least, greatest)| (least..=greatest).contains(&word)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 3 } else { 500 }))]

    #[test]
    fn runs_are_the_column(
        dtype in arb_dtype(),
        kind in 0..KINDS,
        elements in arb_elements(),
        records in arb_records(),
        by in prop::sample::select(&WITH_RUNS),
        seed: u64,
    ) {
        let records = if elements > 1 { records.min(1500) / elements.min(3) } else { records };
        let records = if cfg!(miri) { records.min(60) / elements } else { records };
        let raw = column(kind, dtype, elements, records, seed);
        let mut stored = Vec::new();
        encode(by, dtype, elements, &raw, &mut stored);
        check(by, dtype, elements, &raw, &stored);
        for cut in [0, stored.len() / 2, stored.len().saturating_sub(1)] {
            if cut < stored.len() && elements <= 64 {
                prop_assert!(runs(by, dtype, elements, records, &stored[..cut]).is_err());
            }
        }
        stored.push(0);
        prop_assert!(elements > 64 || runs(by, dtype, elements, records, &stored).is_err());
    }

    #[test]
    fn runs_of_random_bytes_never_panic(
        dtype in arb_dtype(),
        elements in 0..70_usize,
        records in arb_records(),
        by in prop::sample::select(&WITH_RUNS),
        stored in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let _ = runs(by, dtype, elements, records, &stored);
    }
}

#[test]
fn bounds_are_told_of_values_with_and_without_patches() {
    let mut random = Random(3);
    let mut values: Vec<u16> = (0..1500).map(|_| 300 + (random.next() % 61) as u16).collect();
    values[10] = 120;
    values[1200] = 900;
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    for by in WITH_RUNS {
        let mut stored = Vec::new();
        encode(by, DType::U16, 1, &raw, &mut stored);
        check(by, DType::U16, 1, &raw, &stored);
        let found = runs(by, DType::U16, 1, 1500, &stored).unwrap().unwrap();
        let bounds: Vec<_> = found.iter().map(|run| run.bounds.unwrap()).collect();
        assert!(bounds[0].0 <= 120 && bounds[0].1 < 900, "{bounds:?}");
        assert!(bounds[1].0 > 120 && bounds[1].1 >= 900, "{bounds:?}");
    }
    // Differences tell nothing.
    let clock: Vec<u8> = (0..1024_u64).flat_map(|t| (t * 1000).to_le_bytes()).collect();
    for by in WITH_RUNS {
        let mut stored = Vec::new();
        encode(by, DType::I64, 1, &clock, &mut stored);
        let found = runs(by, DType::I64, 1, 1024, &stored).unwrap().unwrap();
        assert_eq!(found[0].bounds, None);
    }
}
