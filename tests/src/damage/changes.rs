//! Every way in which a file is damaged here, and the cases of each.

use std::ops::Range;

use presence_format::entry::{Entry, EntryKind};
use presence_format::segment::SegmentHeader;

use super::golden::{Files, Golden};
use super::judge::{Depth, check_all, check_all_to};
use crate::support::{Random, figure, scale, scaled, seed};

/// Bytes that a file is extended by, at most.
const MORE_MAX: usize = 4096;

/// Flips every bit of every fresh file.
///
/// Each flip is read; one of each byte is recovered from, another one from byte to byte. A longer
/// run recovers from all of them.
pub(crate) fn flip_bits(golden: &Golden) -> usize {
    let all = scale() > 1.0;
    let depth = |bit: usize| match (bit / 8, bit % 8) {
        (byte, bit) if byte % 8 != bit => {
            if all {
                Depth::Recover
            } else {
                Depth::Read
            }
        }
        (byte, _) if byte.is_multiple_of(4) => Depth::GoOn,
        _ => Depth::Recover,
    };
    let mut bits = 0;
    for (name, bytes) in golden.fresh_files() {
        check_all_to(golden, bytes.len() * 8, depth, |bit| {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let done = format!("byte {} bit {} flipped", bit / 8, bit % 8);
            golden.damaged(name, done, bytes)
        });
        bits += bytes.len() * 8;
    }
    figure("bit flips", bits as u64);
    bits
}

/// Cuts every file to every length.
pub(crate) fn cut(golden: &Golden) {
    for (name, bytes) in golden.fresh_files() {
        check_all(golden, bytes.len(), |len| {
            golden.damaged(name, format!("cut to {len} bytes"), bytes[..len].to_vec())
        });
        figure("truncations", bytes.len() as u64);
    }
}

/// Extends every file by zeros and by garbage, by every length up to [`MORE_MAX`].
///
/// Each is read; all short ones and one of eight long ones are recovered from, and in a longer run
/// all.
pub(crate) fn extend(golden: &Golden) {
    let all = scale() > 1.0;
    let depth = |index: usize| match index / 2 + 1 {
        _ if index.is_multiple_of(32) => Depth::GoOn,
        by if all || by <= 256 || by.is_multiple_of(8) => Depth::Recover,
        _ => Depth::Read,
    };
    for (name, bytes) in golden.fresh_files() {
        check_all_to(golden, 2 * MORE_MAX, depth, |index| {
            let (by, zeros) = (index / 2 + 1, index % 2 == 0);
            let mut random = Random(seed() + index as u64);
            let more = (0..by).map(|_| if zeros { 0 } else { random.next() as u8 });
            let what = if zeros { "zeros" } else { "bytes of garbage" };
            let done = format!("{by} {what} added, seed={}", seed());
            golden.damaged(name, done, bytes.iter().copied().chain(more).collect())
        });
        figure("extensions", 2 * MORE_MAX as u64);
    }
}

/// Zeroes each sector, and writes garbage over some places.
pub(crate) fn overwrite(golden: &Golden) {
    for (name, bytes) in golden.fresh_files() {
        let sectors = bytes.len().div_ceil(512);
        check_all(golden, sectors, |sector| {
            let mut bytes = bytes.clone();
            let end = bytes.len().min((sector + 1) * 512);
            bytes[sector * 512..end].fill(0);
            golden.damaged(name, format!("sector {sector} zeroed"), bytes)
        });
        let garbage = scaled(300) as usize;
        check_all(golden, garbage, |index| {
            let mut random = Random(seed() + index as u64 * 1000);
            let mut bytes = bytes.clone();
            for _ in 0..2 + random.below(6) {
                let at = random.below(bytes.len() as u64) as usize;
                let len = 1 + random.below(40) as usize;
                let end = bytes.len().min(at + len);
                bytes[at..end].iter_mut().for_each(|byte| *byte = random.next() as u8);
            }
            golden.damaged(name, format!("garbage {index}, seed={}", seed()), bytes)
        });
        figure("other damages", (sectors + garbage) as u64);
    }
}

/// Moves, repeats and takes away the entries of every fresh file.
pub(crate) fn move_entries(golden: &Golden) {
    for (name, bytes) in golden.fresh_files() {
        let moves = moved_entries(bytes);
        check_all(golden, moves.len(), |index| {
            let (done, bytes) = moves[index].clone();
            golden.damaged(name, done, bytes)
        });
        figure("blocks moved or lost", moves.len() as u64);
    }
}

/// Puts entries of `others` at the place they have there into the files of this database.
pub(crate) fn misdirect(golden: &Golden, others: &Files, whose: &str) {
    let mut cases = Vec::new();
    for (name, bytes) in &golden.files {
        for (from, other) in others {
            for entry in entries(other).into_iter().filter(|entry| entry.end <= bytes.len()) {
                let mut bytes = bytes.clone();
                bytes[entry.clone()].copy_from_slice(&other[entry.clone()]);
                if bytes != golden.files[name] {
                    let done = format!("entry at {} of {from} of {whose}", entry.start);
                    cases.push(golden.damaged(name, done, bytes));
                }
            }
        }
    }
    check_all(golden, cases.len(), |index| cases[index].clone());
    figure("blocks moved or lost", cases.len() as u64);
}

/// Where the entries of a segment lie, without its index and what lies within others.
fn entries(bytes: &[u8]) -> Vec<Range<usize>> {
    let Ok(header) = SegmentHeader::decode(bytes) else { return Vec::new() };
    let mut found: Vec<Range<usize>> = Vec::new();
    for at in (128..bytes.len()).step_by(64) {
        let Ok(entry) = Entry::parse(&bytes[at..], header.place(), at as u32) else { continue };
        let end = entry.end() as usize;
        let within = found.last().is_some_and(|last| at < last.end);
        if end <= bytes.len() && entry.kind != EntryKind::Index && !within {
            found.push(at..end);
        }
    }
    found
}

/// Each entry lost (zeroed, or taken out), each repeated behind every later one, each pair swapped,
/// each put over every other one of its length.
fn moved_entries(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let entries = entries(bytes);
    let mut moves = Vec::new();
    for (index, a) in entries.iter().enumerate() {
        let mut zeroed = bytes.to_vec();
        zeroed[a.clone()].fill(0);
        moves.push((format!("entry at {} zeroed", a.start), zeroed));
        let without = [&bytes[..a.start], &bytes[a.end..]].concat();
        moves.push((format!("entry at {} taken out", a.start), without));
        for b in &entries[index..] {
            let twice = [&bytes[..b.end], &bytes[a.clone()], &bytes[b.end..]].concat();
            moves.push((format!("entry at {} again behind {}", a.start, b.start), twice));
        }
        for b in &entries[index + 1..] {
            let between = &bytes[a.end..b.start];
            let swapped =
                [&bytes[..a.start], &bytes[b.clone()], between, &bytes[a.clone()], &bytes[b.end..]];
            let done = format!("entries at {} and {} swapped", a.start, b.start);
            moves.push((done, swapped.concat()));
            if a.len() == b.len() {
                for (over, under) in [(b, a), (a, b)] {
                    let mut bytes = bytes.to_vec();
                    bytes.copy_within(over.clone(), under.start);
                    let done =
                        format!("entry at {} put over the one at {}", over.start, under.start);
                    moves.push((done, bytes));
                }
            }
        }
    }
    moves
}
