//! Where a corpus begins: the golden vectors, cut into what each target takes, and the inputs that
//! failed once.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use presence_format::entry::{Entry, EntryKind};
use presence_format::segment::SegmentHeader;

use crate::mutate::mix;

/// The folder `fuzz` of the repository.
fn fuzz_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Every file of a folder, by name; none where there is no folder.
fn files(folder: &Path, extension: Option<&str>) -> Vec<(String, Vec<u8>)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| path.is_file())
        .filter(|path| match extension {
            Some(wanted) => path.extension().is_some_and(|found| found == wanted),
            None => true,
        })
        .collect();
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, std::fs::read(path).unwrap())
    };
    paths.into_iter().map(read).collect()
}

/// The golden vectors, by name.
pub fn vectors() -> Vec<(String, Vec<u8>)> {
    files(&fuzz_folder().join("../format-spec/vectors/v1"), Some("presence"))
}

/// The smaller vectors, read once: bodies for segments made from choices.
pub(crate) fn vector_bodies() -> &'static [Vec<u8>] {
    static BODIES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    BODIES.get_or_init(|| {
        let small = vectors().into_iter().map(|(_, bytes)| bytes);
        small.filter(|bytes| bytes.len() < 2048).collect()
    })
}

/// The inputs that once failed in `target`, by name.
pub fn regressions(target: &str) -> Vec<(String, Vec<u8>)> {
    files(&fuzz_folder().join("regressions").join(target), None)
}

/// What fuzzing of `target` begins with, by name.
pub fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (name, vector) in vectors() {
        let parts = parts(target, &vector).into_iter().enumerate();
        seeds.extend(parts.map(|(index, part)| (format!("{name}-{index}"), part)));
    }
    seeds.extend(crate::events::seeds(target));
    // Lists of choices have no vectors: some that look random will do.
    for number in 0..24_u64 {
        let len = 16 << (number % 6);
        let bytes = (0..len).map(|index| mix(number << 32 | index) as u8).collect();
        seeds.push((format!("choices-{number}"), bytes));
    }
    seeds
}

/// The parts of a segment that `target` takes.
fn parts(target: &str, vector: &[u8]) -> Vec<Vec<u8>> {
    let payloads = |kind| -> Vec<Vec<u8>> {
        let payload = |(entry, stored): (Entry, &[u8])| {
            let header = entry.kind.header_bytes() as usize;
            stored[header..header + entry.header.payload_bytes.get() as usize].to_vec()
        };
        entries(vector).into_iter().filter(|(entry, _)| entry.kind == kind).map(payload).collect()
    };
    let footer_at = vector.len().saturating_sub(64);
    match target.trim_end_matches("_fixed") {
        "segment_header" => vec![vector[..SegmentHeader::BYTES].to_vec()],
        "footer" => vec![[&(vector.len() as u64).to_le_bytes(), &vector[footer_at..]].concat()],
        "entry" => entries(vector).into_iter().map(|(_, stored)| stored.to_vec()).collect(),
        "catalog" => payloads(EntryKind::Catalog),
        "frame" => payloads(EntryKind::Frame),
        "index" => payloads(EntryKind::Index),
        "schema" => payloads(EntryKind::Catalog).into_iter().flat_map(schemas).collect(),
        "open_bytes" | "open" | "open_directory" => vec![vector.to_vec()],
        name if name.starts_with("codec_") || name == "region" || name == "block" => {
            payloads(EntryKind::Block)
        }
        _ => Vec::new(),
    }
}

/// The schemas of a catalog.
fn schemas(catalog: Vec<u8>) -> Vec<Vec<u8>> {
    let Ok(catalog) = presence_format::catalog::Catalog::decode(&catalog) else {
        return Vec::new();
    };
    let schema = |stream: &presence_format::catalog::StreamEntry| {
        let mut bytes = Vec::new();
        stream.schema.encode(&mut bytes);
        bytes
    };
    catalog.streams.iter().map(schema).collect()
}

/// Every sound entry header with the bytes behind it, at every multiple of 64.
fn entries(vector: &[u8]) -> Vec<(Entry, &[u8])> {
    let Ok(header) = SegmentHeader::decode(vector) else { return Vec::new() };
    let offsets = (SegmentHeader::BYTES..vector.len()).step_by(64);
    let entry = |offset: usize| {
        let entry = Entry::parse(&vector[offset..], header.place(), offset as u32).ok()?;
        let stored = vector.get(offset..)?.get(..(entry.end() as usize - offset))?;
        Some((entry, stored))
    };
    offsets.filter_map(entry).collect()
}
