//! Sizes and speeds, printed:
//! `cargo test --release -p presence-format codec -- --ignored --nocapture`,
//! all or, with `MEASURE=W1` in the environment, the data whose names contain that.
//!
//! # Invariants
//! - Measures, and asserts only that what was measured is right.

use super::*;
use std::time::Instant;

const BLOCK_RECORDS: usize = 65_536;

fn measure(name: &str, codec: Compression, dtype: DType, elements: usize, raw: &[u8]) {
    if std::env::var("MEASURE").is_ok_and(|only| !name.contains(&only)) {
        return;
    }
    let values = raw.len() / dtype.bytes();
    let gigabytes = raw.len() as f64 / 1e9;
    let block_bytes = BLOCK_RECORDS * elements * dtype.bytes();
    let (mut encode_s, mut decode_s, mut bytes) = (f64::MAX, f64::MAX, 0);
    let (mut stored, mut back) = (Vec::new(), vec![0xa5; block_bytes]);
    for _ in 0..3 {
        let (mut encode_sum_s, mut decode_sum_s) = (0.0, 0.0);
        bytes = 0;
        for block in raw.chunks(block_bytes) {
            stored.clear();
            let began = Instant::now();
            encode(codec, dtype, elements, block, &mut stored);
            encode_sum_s += began.elapsed().as_secs_f64();
            bytes += stored.len();
            let back = &mut back[..block.len()];
            let began = Instant::now();
            decode(codec, dtype, elements, &stored, back).unwrap();
            decode_sum_s += began.elapsed().as_secs_f64();
            assert_eq!(back, block);
        }
        encode_s = encode_s.min(encode_sum_s);
        decode_s = decode_s.min(decode_sum_s);
    }
    println!(
        "{name:<28} {:<6} {:>7.4} bytes/value | encode {:>6.2} GB/s {:>6.2} ns/value \
         | decode {:>6.2} GB/s {:>6.2} ns/value",
        codec.name(),
        bytes as f64 / values as f64,
        gigabytes / encode_s,
        encode_s * 1e9 / values as f64,
        gigabytes / decode_s,
        decode_s * 1e9 / values as f64,
    );
}

#[test]
#[ignore = "prints measurements"]
fn measure_sizes_and_speeds() {
    let records = 4_000_000;
    let mut random = Random(1);
    let (mut time, mut walk) = (1_700_000_000_000_000_i64, 0.0);
    let (mut times, mut walks, mut decimals, mut noise) = (vec![], vec![], vec![], vec![]);
    let (mut gaps, mut regular, mut gap) = (vec![], vec![], 0_i64);
    for i in 0..records as i64 {
        time += 1000 + (random.next() % 401) as i64 - 200;
        walk += random.normal();
        times.extend_from_slice(&time.to_le_bytes());
        walks.extend_from_slice(&f64::to_le_bytes(walk));
        decimals.extend_from_slice(&((walk * 100.0).round() / 100.0).to_le_bytes());
        noise.extend_from_slice(&random.next().to_le_bytes());
        gap += if random.next().is_multiple_of(1000) { 3_600_000_000 } else { 0 };
        gaps.extend_from_slice(&(time + gap).to_le_bytes());
        regular.extend_from_slice(&(i * 33_333).to_le_bytes());
    }
    let (mut joints, mut joint, mut decimals_32) = (vec![], [0.0_f32; 7], vec![]);
    for _ in 0..records / 7 {
        for value in &mut joint {
            *value += random.normal() as f32 * 0.01;
            joints.extend_from_slice(&value.to_le_bytes());
            decimals_32.extend_from_slice(&((*value * 1000.0).round() / 1000.0).to_le_bytes());
        }
    }
    let bytes: Vec<u8> =
        (0..records).map(|i| (i / 50 % 200) as u8 ^ (random.next() % 8) as u8).collect();
    let flags: Vec<u8> = (0..records).map(|i| u8::from(i % 700 < 300)).collect();
    let classes: Vec<u8> =
        (0..records).flat_map(|_| (random.next() as u16 % 80).to_le_bytes()).collect();
    for codec in [Compression::Packed, Compression::Lz4] {
        measure("W1 timestamps i64", codec, DType::I64, 1, &times);
        measure("W1 f64 random walk", codec, DType::F64, 1, &walks);
        measure("timestamps with gaps i64", codec, DType::I64, 1, &gaps);
        measure("regular timestamps i64", codec, DType::I64, 1, &regular);
        measure("f64 walk of 2 decimals", codec, DType::F64, 1, &decimals);
        measure("random bits f64", codec, DType::F64, 1, &noise);
        measure("W2 7 x f32 walk", codec, DType::F32, 7, &joints);
        measure("7 x f32 of 3 decimals", codec, DType::F32, 7, &decimals_32);
        measure("u8 image-like", codec, DType::U8, 1000, &bytes);
        measure("bool runs", codec, DType::Bool, 1, &flags);
        measure("u16 classes", codec, DType::U16, 1, &classes);
    }
}
