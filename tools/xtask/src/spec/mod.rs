//! `cargo xtask spec`: the specification's tables and the code say the same.
//!
//! # Invariants
//! - Both sides are complete: what only the text or only the code has is a difference, too.
//! - All differences are told, not the first one only.

mod codes;
mod table;

use std::path::Path;

use presence_format::layout::{self, Layout};
use presence_format::segment::VERSION_MINOR;
use presence_format::segment::{FIRST_ENTRY, FOOTER_MAGIC, SEGMENT_MAGIC, VERSION_MAJOR};
use presence_format::varint::VARINT_BYTES_MAX;
use presence_format::{block, caps, entry};

use self::table::Table;
use crate::Result;

const TEXT: &str = "format-spec/README.md";
const CAPS_SOURCE: &str = "engine/presence-format/src/caps.rs";

/// The caps, by name. That none is missing is checked against the source.
const CAPS: &[(&str, u64)] = &[
    ("PAYLOAD_BYTES_MAX", caps::PAYLOAD_BYTES_MAX as u64),
    ("BLOCK_RECORDS_MAX", caps::BLOCK_RECORDS_MAX as u64),
    ("SEGMENT_BYTES_MAX", caps::SEGMENT_BYTES_MAX as u64),
    ("STREAMS_MAX", caps::STREAMS_MAX as u64),
    ("CATALOG_BYTES_MAX", caps::CATALOG_BYTES_MAX as u64),
    ("NAME_BYTES_MAX", caps::NAME_BYTES_MAX as u64),
    ("COLUMNS_MAX", caps::COLUMNS_MAX as u64),
    ("SHAPE_DIMENSIONS_MAX", caps::SHAPE_DIMENSIONS_MAX as u64),
    ("RECORD_BYTES_MAX", caps::RECORD_BYTES_MAX as u64),
    ("CHECKSUM_PIECE_BYTES", caps::CHECKSUM_PIECE_BYTES as u64),
];

/// Compares text and code.
pub(crate) fn run(root: &Path) -> Result<()> {
    let read = |name: &str| {
        std::fs::read_to_string(root.join(name)).map_err(|error| format!("{name}: {error}"))
    };
    let text = read(TEXT)?;
    let mut differences = compare(&text, &read(CAPS_SOURCE)?)?;
    for version in versions(&text)? {
        let folder = root.join(format!("format-spec/vectors/v{}", version.0));
        if !folder.join("SHA256SUMS").is_file() {
            differences.push(format!("version {}.{} has no golden vectors", version.0, version.1));
        }
    }
    for difference in &differences {
        println!("spec: {TEXT}: {difference}");
    }
    if differences.is_empty() {
        println!("spec: {} layouts, {} caps and all codes agree", layout::ALL.len(), CAPS.len());
        return Ok(());
    }
    Err(format!("{} differences between the specification and the code", differences.len()))
}

/// Every difference between the tables of `text` and the code.
fn compare(text: &str, caps_source: &str) -> Result<Vec<String>> {
    let tables = table::tables(text)?;
    let mut differences = Vec::new();
    let mut known = layout::ALL.len();
    for layout in layout::ALL {
        let (mark, name) = (format!("layout, {} bytes", layout.bytes), layout.name);
        let table = tables.iter().find(|table| table.mark == mark && table.heading == name);
        match table {
            Some(table) => differences.extend(compare_layout(table, layout)?),
            None => differences.push(format!("no table `{mark}` under `{name}`")),
        }
    }
    let mut lists = codes::all();
    lists.push(("caps".to_owned(), ["cap", "value"], numbers(CAPS)));
    lists.push(("constants".to_owned(), ["constant", "value"], constants()));
    known += lists.len() + 1; // and the table of versions
    for (mark, columns, want) in lists {
        match tables.iter().find(|table| table.mark == mark) {
            Some(table) => differences.extend(compare_list(table, columns, &want)?),
            None => differences.push(format!("no table `{mark}`")),
        }
    }
    if differences.is_empty() && tables.len() != known {
        differences.push(format!("{} tables for a machine, {known} known", tables.len()));
    }
    let declared = caps_source.lines().filter_map(|line| line.strip_prefix("pub const "));
    for name in declared.filter_map(|line| line.split(':').next()) {
        if !CAPS.iter().any(|(cap, _)| *cap == name) {
            differences.push(format!("{name} of caps.rs is not compared: add it to CAPS"));
        }
    }
    differences.extend(codes::unlisted());
    differences.extend(newest_version(text)?);
    let bare = table::headings_without_table(text);
    differences.extend(bare.iter().map(|heading| format!("`### {heading}` has no table")));
    Ok(differences)
}

fn compare_layout(table: &Table, layout: &Layout) -> Result<Vec<String>> {
    let rows = table.cells(["offset", "field", "bytes", "type"])?;
    let text = |[offset, field, bytes, kind]: [&str; 4]| {
        let wide = match kind.get(1..).and_then(|bits| bits.parse::<usize>().ok()) {
            Some(bits) if kind != "bytes" => bits / 8,
            _ => bytes.parse().unwrap_or(0),
        };
        format!("{offset} {field} {bytes} bytes, a type of {wide}")
    };
    let rows: Vec<String> = rows.into_iter().map(text).collect();
    let fields = layout.fields.iter().map(|field| {
        let bytes = field.bytes;
        format!("{} {} {bytes} bytes, a type of {bytes}", field.offset, field.name)
    });
    Ok(differences(table, &rows, &fields.collect::<Vec<_>>()))
}

fn compare_list(table: &Table, columns: [&str; 2], want: &[[String; 2]]) -> Result<Vec<String>> {
    let rows: Vec<String> = table.cells(columns)?.into_iter().map(|row| row.join(" ")).collect();
    let want: Vec<String> = want.iter().map(|row| row.join(" ")).collect();
    Ok(differences(table, &rows, &want))
}

/// Rows that only the text or only the code has; else whether their order differs.
fn differences(table: &Table, text: &[String], code: &[String]) -> Vec<String> {
    let only = |here: &[String], there: &[String], side: &str| -> Vec<String> {
        let rows = here.iter().filter(|row| !there.contains(row));
        rows.map(|row| table.fault(&format!("only in the {side}: {row}"))).collect()
    };
    let mut found = only(text, code, "text");
    found.extend(only(code, text, "code"));
    if found.is_empty() && text != code {
        found.push(table.fault("has its rows in another order than the code"));
    }
    found
}

fn numbers(list: &[(&str, u64)]) -> Vec<[String; 2]> {
    list.iter().map(|(name, value)| [(*name).to_owned(), value.to_string()]).collect()
}

fn constants() -> Vec<[String; 2]> {
    let hex =
        |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    let mut list = vec![
        ["SEGMENT_MAGIC".to_owned(), hex(&SEGMENT_MAGIC)],
        ["ENTRY_MAGIC".to_owned(), hex(&entry::ENTRY_MAGIC)],
        ["FOOTER_MAGIC".to_owned(), hex(&FOOTER_MAGIC)],
    ];
    list.extend(numbers(&[
        ("FIRST_ENTRY", u64::from(FIRST_ENTRY)),
        ("ENTRY_ALIGN", u64::from(entry::ENTRY_ALIGN)),
        ("LANE_ALIGN", block::LANE_ALIGN as u64),
        ("VARINT_BYTES_MAX", VARINT_BYTES_MAX as u64),
    ]));
    list
}

/// The versions of the text, in its order.
fn versions(text: &str) -> Result<Vec<(u16, u16)>> {
    let tables = table::tables(text)?;
    let table = tables.iter().find(|table| table.mark == "versions");
    let table = table.ok_or("no table `versions`")?;
    let rows = table.cells(["version"])?;
    let version = |[cell]: [&str; 1]| {
        let (major, minor) = cell.split_once('.')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    };
    let versions: Option<Vec<_>> = rows.into_iter().map(version).collect();
    versions.ok_or_else(|| table.fault("has a version that is not two numbers"))
}

fn newest_version(text: &str) -> Result<Option<String>> {
    let newest = versions(text)?.into_iter().max();
    let written = (VERSION_MAJOR, VERSION_MINOR);
    Ok((newest != Some(written)).then(|| {
        format!("the newest version is not {}.{}, which the code writes", written.0, written.1)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> (String, String) {
        let root = crate::root().unwrap();
        let read = |name| std::fs::read_to_string(root.join(name)).unwrap();
        (read(TEXT), read(CAPS_SOURCE))
    }

    #[test]
    fn every_difference_is_noticed() {
        let (text, caps) = texts();
        assert_eq!(compare(&text, &caps).unwrap(), [""; 0]);
        for (from, to, what) in [
            (
                "| 24 | `offset` | 4 | u32 | where the e",
                "| 28 | `offset` | 4 | u32 | ",
                "28 offset",
            ),
            ("| 4 | `footer_crc` | 4 |", "| 4 | `crc` | 4 |", "only in the code: 4 footer_crc"),
            ("| 48 | `part` | 2 | u16 |", "| 48 | `part` | 2 | u32 |", "a type of 4"),
            ("layout, 128 bytes", "layout, 120 bytes", "no table `layout, 128 bytes`"),
            ("| `STREAMS_MAX` | 65536 |", "| `STREAMS_MAX` | 65537 |", "STREAMS_MAX 65537"),
            ("| `ENTRY_MAGIC` | `50 52", "| `ENTRY_MAGIC` | `51 52", "ENTRY_MAGIC 51 52"),
            ("| 10 | `f32` |", "| 12 | `f32` |", "only in the text: 12 f32"),
            ("| 3 | `frame` |", "| 5 | `frame` |", "only in the code: 3 frame"),
            ("| 1.0 | 0.1.0 |", "| 0.9 | 0.1.0 |", "the newest version is not 1.0"),
            ("xtask spec: caps", "xtask spec: limits", "no table `caps`"),
            ("### Frame\n", "### Bare\n\n### Frame\n", "`### Bare` has no table"),
        ] {
            let damaged = text.replacen(from, to, 1);
            assert_ne!(damaged, text, "{from}");
            let found = compare(&damaged, &caps).unwrap().join("\n");
            assert!(found.contains(what), "{what}: {found}");
        }
        let more = format!("{caps}\npub const NEW_MAX: u32 = 1;\n");
        assert!(compare(&text, &more).unwrap().join("").contains("NEW_MAX of caps.rs"));
    }
}
