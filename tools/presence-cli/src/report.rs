//! What opening found, for people and for programs.
//!
//! # Invariants
//! - Everything that was cut, damaged or lost is told.

use std::io::{self, Write};

use presence::RecoveryReport;
use serde_json::{Value, json};

use presence_cli::quantity::{bytes, count, counted};
use presence_cli::terminal::{escape, say};

/// Whether data that was durable is not sound.
pub(crate) fn tells_of_damage(report: &RecoveryReport) -> bool {
    !report.damage.is_empty() || !report.lost.is_empty()
}

/// The report for programs.
pub(crate) fn to_json(report: &RecoveryReport) -> Value {
    let torn = report
        .torn
        .iter()
        .map(|torn| json!({"file": torn.file, "offset": torn.offset, "bytes": torn.bytes}));
    let damage = report.damage.iter().map(|damage| {
        json!({
            "file": damage.file,
            "offset": damage.offset,
            "end": damage.end,
            "what": damage.what,
        })
    });
    let lost = report.lost.iter().map(|lost| {
        json!({
            "stream": lost.stream,
            "after_ts": lost.after_ts,
            "before_ts": lost.before_ts,
            "records": lost.records,
        })
    });
    json!({
        "clean": report.is_clean(),
        "segments": report.segments,
        "scanned": report.scanned,
        "scanned_bytes": report.scanned_bytes,
        "records_from_frames": report.records_from_frames,
        "words_from_frames": report.words_from_frames,
        "torn": torn.collect::<Vec<_>>(),
        "damage": damage.collect::<Vec<_>>(),
        "lost": lost.collect::<Vec<_>>(),
        "removed": report.removed,
        "ignored": report.ignored,
    })
}

/// The report in sentences; none where there is nothing to say.
pub(crate) fn lines(report: &RecoveryReport) -> Vec<String> {
    let mut lines = Vec::new();
    if !report.scanned.is_empty() {
        lines.push(format!(
            "{} not sealed and read entry by entry ({}): {}",
            counted(report.scanned.len() as u64, "segment"),
            bytes(report.scanned_bytes),
            report.scanned.join(", "),
        ));
    }
    let words = "words of presence tracks, 64 ticks each,";
    for (found, what) in
        [(report.records_from_frames, "records"), (report.words_from_frames, words)]
    {
        if found > 0 {
            lines.push(format!("{} {what} found in flush frames only, and kept", count(found)));
        }
    }
    for torn in &report.torn {
        lines.push(format!(
            "torn end: {} after byte {} of {}, written but never promised",
            bytes(torn.bytes),
            torn.offset,
            torn.file
        ));
    }
    for damage in &report.damage {
        lines.push(format!(
            "DAMAGED: {} from byte {} to {}: {}",
            damage.file, damage.offset, damage.end, damage.what
        ));
    }
    lines.extend(report.lost.iter().map(|lost| format!("LOST: {lost}")));
    if !report.removed.is_empty() {
        lines.push(format!("left-overs removed: {}", report.removed.join(", ")));
    }
    if !report.ignored.is_empty() {
        lines.push(format!(
            "files that are none of ours, left alone: {}",
            report.ignored.join(", ")
        ));
    }
    lines.iter().map(|line| escape(line).into_owned()).collect()
}

/// Writes the report, moved in.
pub(crate) fn write(report: &RecoveryReport, out: &mut impl Write) -> io::Result<()> {
    lines(report).iter().try_for_each(|line| writeln!(out, "  {line}"))
}

/// Says on standard error what a crash or damage has cost, where it has.
pub(crate) fn warn(report: &RecoveryReport) {
    if !report.is_clean() {
        lines(report).iter().for_each(|line| say(&format!("presence: recovery: {line}")));
    }
}
