//! Lists of what repairs set aside, and which records they knew to be lost.
//!
//! # Invariants
//! - A list says what was lost; it never makes anything count.
//! - A list is hostile until it was read: what it costs is bounded, and it is passed over where it
//!   makes no sense.

use std::collections::BTreeMap;

use presence::DatabaseId;
use presence::device::{Device, Entry};
use serde::{Deserialize, Serialize};

use crate::repair::Step;
use crate::report::Lost;

/// Longest list that is read, and written.
pub(crate) const LIST_BYTES_MAX: u64 = 8 << 20;
/// Bytes of all lists that are read.
const ALL_BYTES_MAX: u64 = 16 << 20;

/// What one repair did.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct List {
    pub(crate) list_version: u32,
    pub(crate) tool_version: String,
    /// Microseconds since 1970.
    pub(crate) created_unix_us: i64,
    /// The database's id, in hexadecimal digits.
    pub(crate) database: Option<String>,
    /// For whoever finds the files.
    pub(crate) how_to_undo: String,
    pub(crate) steps: Vec<Step>,
    /// Records that were missing when the repair was done.
    pub(crate) lost: Vec<Lost>,
}

/// The name of the list of repair `number`.
pub(crate) fn list_name(number: u32) -> String {
    format!("quarantine-{number:08x}.json")
}

/// The name that repair `number` gives to a file that it sets aside.
pub(crate) fn aside_name(number: u32, file: &str) -> String {
    format!("quarantine-{number:08x}-{file}")
}

/// The number of the repair that gave this name.
pub(crate) fn repair_number(name: &str) -> Option<u32> {
    let digits = name.strip_prefix("quarantine-")?.get(..8)?;
    let number = u32::from_str_radix(digits, 16).ok()?;
    let is_ours = name == list_name(number) || name.starts_with(&aside_name(number, ""));
    is_ours.then_some(number)
}

/// The lists in a directory that can be read, by name.
pub(crate) fn lists(device: &dyn Device) -> Vec<(String, List)> {
    let mut entries = device.list().unwrap_or_default();
    let is_list = |entry: &Entry| {
        entry.regular && repair_number(&entry.name).map(list_name).as_ref() == Some(&entry.name)
    };
    entries.retain(is_list);
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let mut left = ALL_BYTES_MAX;
    let mut lists = Vec::new();
    for entry in entries {
        let Some(bytes) = read(device, &entry.name, left.min(LIST_BYTES_MAX)) else { continue };
        left -= bytes.len() as u64;
        if let Ok(list) = serde_json::from_slice(&bytes) {
            lists.push((entry.name, list));
        }
    }
    lists
}

/// The file `name`, where it has at most `bytes_max`.
fn read(device: &dyn Device, name: &str, bytes_max: u64) -> Option<Vec<u8>> {
    let file = device.open(name).ok()?;
    let len = file.len().ok().filter(|len| *len <= bytes_max)?;
    let mut bytes = vec![0; usize::try_from(len).ok()?];
    let read = file.read_at(&mut bytes, 0).ok()?;
    bytes.truncate(read);
    Some(bytes)
}

/// What lists of repairs say is lost.
#[derive(Debug, Default)]
pub(crate) struct KnownLosses {
    lists: Vec<String>,
    /// By stream, ascending: the first sequence of a range, the greatest end of it and those before
    /// it, and the list that has that one.
    ranges: BTreeMap<String, Vec<(u64, u64, usize)>>,
}

impl KnownLosses {
    /// Those of all repairs of `database`.
    pub(crate) fn read(device: &dyn Device, database: DatabaseId) -> Self {
        let database = database.to_string();
        let mut known = Self::default();
        for (name, list) in lists(device) {
            if list.database.as_ref() != Some(&database) {
                continue;
            }
            let number = known.lists.len();
            known.lists.push(name);
            for lost in list.lost {
                let range = (lost.first_sequence, lost.end(), number);
                known.ranges.entry(lost.stream).or_default().push(range);
            }
        }
        for ranges in known.ranges.values_mut() {
            ranges.sort_unstable();
            let mut greatest = (0, 0);
            for (_, end, list) in ranges {
                if *end > greatest.0 {
                    greatest = (*end, *list);
                }
                (*end, *list) = greatest;
            }
        }
        known
    }

    /// The list that names all of `lost`.
    pub(crate) fn since(&self, lost: &Lost) -> Option<&str> {
        let ranges = self.ranges.get(&lost.stream)?;
        let at = ranges.partition_point(|(first, _, _)| *first <= lost.first_sequence);
        let (_, end, list) = ranges.get(at.checked_sub(1)?)?;
        let name = self.lists.get(*list).filter(|_| *end >= lost.end())?;
        Some(name)
    }
}
