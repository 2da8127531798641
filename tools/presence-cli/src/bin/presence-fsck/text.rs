//! Reports for people.
//!
//! # Invariants
//! - One finding is one line, and what to do about it another.
//! - The last four lines answer what everybody asks.

use std::io::{self, Write};
use std::path::Path;

use presence_cli::quantity::{self, counted};
use presence_cli::terminal::escape;
use presence_fsck::repair::{Plan, Repaired};
use presence_fsck::salvage::Salvaged;
use presence_fsck::{Finding, Report, Severity};

const QUESTIONS: [&str; 4] =
    ["Is my data safe?", "What is missing?", "Was anything changed?", "What next?"];

/// Shows what a check found.
pub(crate) fn report(out: &mut impl Write, report: &Report) -> io::Result<()> {
    for finding in &report.findings {
        self::finding(out, finding)?;
    }
    if report.further_findings > 0 {
        writeln!(out, "and {} more findings", report.further_findings)?;
    }
    if !report.findings.is_empty() {
        writeln!(out)?;
    }
    let totals = &report.totals;
    writeln!(
        out,
        "{}: {} in {}, {}, {}",
        escape(&report.path),
        counted(totals.segments, "segment"),
        quantity::bytes(totals.bytes),
        counted(totals.streams, "stream"),
        counted(totals.records, "record"),
    )?;
    writeln!(out)?;
    answers(out, &report.answers())
}

fn finding(out: &mut impl Write, finding: &Finding) -> io::Result<()> {
    let word = match finding.severity {
        Severity::Note => "note",
        Severity::Damage => "DAMAGE",
        Severity::Failure => "FAILED",
    };
    let mut place = finding.file.as_deref().map(|file| escape(file).into_owned());
    if let (Some(place), Some(offset)) = (&mut place, finding.offset) {
        place.push_str(&format!(":{offset}"));
        if let Some(end) = finding.end.filter(|end| *end > offset) {
            place.push_str(&format!("-{end}"));
        }
    }
    let place = place.map_or(String::new(), |place| format!("{place} "));
    let (code, what) = (finding.code.as_str(), escape(&finding.what));
    writeln!(out, "{word:<6} {place}{code}: {what}")?;
    match finding.severity {
        Severity::Note => Ok(()),
        _ => writeln!(out, "       -> {}", finding.advice),
    }
}

fn answers(out: &mut impl Write, answers: &[String; 4]) -> io::Result<()> {
    let mut pairs = QUESTIONS.iter().zip(answers);
    pairs.try_for_each(|(question, answer)| writeln!(out, "{question:<22}{}", escape(answer)))
}

/// Shows what a repair would do. Names in it are escaped by it.
pub(crate) fn plan(out: &mut impl Write, plan: &Plan) -> io::Result<()> {
    write!(out, "{plan}")
}

/// Shows what a repair did.
pub(crate) fn repaired(out: &mut impl Write, plan: &Plan, repaired: &Repaired) -> io::Result<()> {
    self::plan(out, plan)?;
    writeln!(out)?;
    for one in repaired.report.findings.iter().filter(|one| one.severity != Severity::Note) {
        finding(out, one)?;
    }
    answers(out, &repaired.answers())
}

/// Shows what was salvaged.
pub(crate) fn salvaged(out: &mut impl Write, salvaged: &Salvaged, to: &Path) -> io::Result<()> {
    for refused in &salvaged.refused {
        let (file, what) = (escape(&refused.file), escape(&refused.what));
        writeln!(out, "left out {file}:{}: {what}", refused.offset)?;
    }
    if salvaged.further_refused > 0 {
        writeln!(out, "left out {} more", salvaged.further_refused)?;
    }
    for file in &salvaged.unread {
        writeln!(out, "not searched to its end: {}", escape(file))?;
    }
    let left_out = [
        (salvaged.replaced, "that a crash had cut and later ones replaced"),
        (salvaged.foreign, "of other databases"),
        (salvaged.unsound, "whose content is damaged"),
    ];
    for (count, what) in left_out.into_iter().filter(|(count, _)| *count > 0) {
        let entries = if count == 1 { "entry" } else { "entries" };
        writeln!(out, "left out {count} {entries} {what}")?;
    }
    let to = to.display().to_string();
    writeln!(
        out,
        "{}: {}, {}; judged sound to its last record",
        escape(&to),
        counted(salvaged.streams, "stream"),
        counted(salvaged.records, "record"),
    )?;
    writeln!(out)?;
    let lost = salvaged.lost_records();
    let safe = match salvaged.is_complete() {
        true => "yes: every record that was known of is in the copy".to_owned(),
        false if lost > 0 => {
            format!("no: {} could not be found, all others are", counted(lost, "record"))
        }
        false if !salvaged.unread.is_empty() => {
            "not known: a file could not be searched to its end".to_owned()
        }
        false => "not known: damaged entries may have held updates of tracks".to_owned(),
    };
    let missing = match salvaged.lost.as_slice() {
        [] if salvaged.is_complete() => "nothing".to_owned(),
        [] => "nothing that is counted".to_owned(),
        lost => lost.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
    };
    let changed = "no: the source is as it was".to_owned();
    let next = match salvaged.is_complete() {
        true => format!("use {to}"),
        false => format!("use {to}; keep the source until a backup gave back what is missing"),
    };
    answers(out, &[safe, missing, changed, next])
}
