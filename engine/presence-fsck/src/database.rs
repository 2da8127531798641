//! Judges a directory: which files are segments, which of them count, and how they follow.
//!
//! # Invariants
//! - Nothing is written, no lock is taken.
//! - Beside a writer, segments may go while they are read: then it begins again.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use presence::DatabaseId;
use presence::device::Device;
use presence_format::FormatErrorKind;
use presence_format::segment::SegmentHeader;

use crate::bytes::Bytes;
use crate::finding::{ByFile, Code, Findings};
use crate::live::{Set, Sets};
use crate::planes::PlaneFacts;
use crate::quarantine::KnownLosses;
use crate::report::{Level, Report, Totals};
use crate::segment::{self, LogEnd, Member};
use crate::streams::Streams;
use crate::{Options, Progress};

/// How often a directory is read again where a writer removed files meanwhile.
const TRIES_MAX: usize = 8;

/// Why a check could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The directory cannot be read.
    #[error("cannot list {path}: {source}")]
    List {
        /// The directory.
        path: String,
        /// The system's error.
        source: io::Error,
    },
    /// Nothing in the directory is a segment.
    #[error("{path} is not a presence database: it holds no segment (seg-*.presence)")]
    NotADatabase {
        /// The directory.
        path: String,
    },
    /// Somebody writes to the database, or repairs it.
    #[error("{path} is in use by {holder}: a repair needs it alone")]
    Locked {
        /// The directory.
        path: String,
        /// What the holder says of itself.
        holder: String,
    },
    /// The directory is not as it was when the repair was planned.
    #[error("{path} has changed since the repair was planned: plan it again")]
    Changed {
        /// The directory.
        path: String,
    },
    /// What a repair wrote is not sound. Nothing was put in its place.
    #[error("{file} would not be sound: {what}; nothing was changed")]
    Unsound {
        /// The segment that was to be put in a place.
        file: String,
        /// What is wrong with it.
        what: String,
    },
    /// The system refused something during a repair. What was done is sound; the next repair goes
    /// on with it.
    #[error("cannot {what} {file}: {source}")]
    Io {
        /// What was to be done.
        what: &'static str,
        /// To which file.
        file: String,
        /// The system's error.
        source: io::Error,
    },
    /// It was ended by `progress`.
    #[error("interrupted")]
    Interrupted,
}

/// What a check found, and what it learned of segments and streams on the way.
pub(crate) struct Survey {
    pub(crate) report: Report,
    pub(crate) streams: Streams,
    pub(crate) by_file: ByFile,
    pub(crate) ends: BTreeMap<u32, LogEnd>,
}

/// A check under way.
pub(crate) struct Judge<'a> {
    pub(crate) device: &'a dyn Device,
    pub(crate) level: Level,
    pub(crate) findings: Findings,
    pub(crate) totals: Totals,
    pub(crate) streams: Streams,
    /// Log segments with lower numbers were given up, and do not count.
    retained_from: u32,
    /// Whether the blocks of an unsealed last segment are read whatever the level.
    pub(crate) reads_end: bool,
    progress: &'a mut dyn FnMut(Progress) -> bool,
    /// Bytes of the segments before the one at hand, and of all.
    done: u64,
    all: u64,
    pub(crate) interrupted: bool,
}

impl<'a> Judge<'a> {
    fn new(
        device: &'a dyn Device,
        level: Level,
        retained_from: u32,
        progress: &'a mut dyn FnMut(Progress) -> bool,
    ) -> Self {
        Self {
            device,
            level,
            findings: Findings::default(),
            totals: Totals::default(),
            streams: Streams::new(level == Level::Deep),
            retained_from,
            reads_end: false,
            progress,
            done: 0,
            all: 0,
            interrupted: false,
        }
    }

    /// Tells how far it is in the segment at hand.
    pub(crate) fn tell(&mut self, offset: u64) {
        let progress = Progress { done: self.done + offset, all: self.all };
        self.interrupted = self.interrupted || !(self.progress)(progress);
    }
}

/// Judges the directory behind `device`.
///
/// # Errors
/// [`Error`], where there is nothing to judge; everything else is in the report.
pub(crate) fn check(
    device: &dyn Device,
    options: &Options,
    is_alone: bool,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<Report, Error> {
    survey(device, options, is_alone, progress).map(|survey| survey.report)
}

/// As [`check`], with more to tell.
///
/// # Errors
/// As [`check`].
pub(crate) fn survey(
    device: &dyn Device,
    options: &Options,
    is_alone: bool,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<Survey, Error> {
    let mut tries = TRIES_MAX;
    loop {
        tries -= 1;
        // What retention gave up is known when all indexes and the log's end were read.
        let mut silent = |_| true;
        let mut first = Judge::new(device, Level::Quick, 0, &mut silent);
        // What follows a torn block does not count, whatever it says.
        first.reads_end = options.level != Level::Quick;
        let mut judged = judge_all(&mut first, is_alone)?;
        let retained_from = first.streams.retained_from;
        let mut judge = Judge::new(device, options.level, retained_from, &mut *progress);
        if !judged.vanished {
            judged = judge_all(&mut judge, is_alone)?;
        }
        if judged.vanished && tries > 0 {
            continue;
        }
        return Ok(finish(judge, options, is_alone, judged));
    }
}

#[derive(Default)]
struct Judged {
    database: Option<DatabaseId>,
    /// A file went between listing and opening.
    vanished: bool,
    known: KnownLosses,
    ends: BTreeMap<u32, LogEnd>,
}

fn judge_all(judge: &mut Judge<'_>, is_alone: bool) -> Result<Judged, Error> {
    let path = judge.device.describe();
    let entries =
        judge.device.list().map_err(|source| Error::List { path: path.clone(), source })?;
    let mut judged = Judged::default();
    let mut files = BTreeMap::new();
    let mut any = false;
    for entry in entries {
        let Some(number) = segment_number(&entry.name) else {
            other_file(judge, &entry.name, entry.regular);
            continue;
        };
        any = true;
        if !entry.regular {
            let what = "it has the name of a segment, and is no regular file";
            judge.findings.file(Code::NotARegularFile, &entry.name, what);
            continue;
        }
        match header(judge, &entry.name) {
            Ok(Some(header)) if header.segment.get() == number => {
                judge.all += entry.len;
                files.insert(number, (entry.name, header, entry.len));
            }
            Ok(Some(header)) => {
                let what = format!("its header says that it is segment {}", header.segment);
                judge.findings.file(Code::WrongNumber, &entry.name, what);
            }
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => judged.vanished = true,
            Err(error) => {
                judge.findings.file(Code::ReadFailed, &entry.name, error.to_string());
            }
        }
    }
    if !any {
        return Err(Error::NotADatabase { path });
    }
    judged.database = choose(files.values().map(|(_, header, _)| header));
    let Some(database) = judged.database else { return Ok(judged) };
    files.retain(|_, (name, header, _)| {
        let own = header.database == database.0;
        if !own {
            let what = format!("of database {}, not {database}", DatabaseId(header.database));
            judge.findings.file(Code::ForeignSegment, name, what);
        }
        own
    });
    judge_sets(judge, &files, is_alone, &mut judged);
    judged.known = KnownLosses::read(judge.device, database);
    Ok(judged)
}

type Files = BTreeMap<u32, (String, SegmentHeader, u64)>;

/// Judges the segments that count, in the order of the log.
fn judge_sets(judge: &mut Judge<'_>, files: &Files, is_alone: bool, judged: &mut Judged) {
    let sets = Sets::new(files.values().map(|(_, header, _)| header));
    let (mut live, dead) = sets.live();
    let name = |number: u32| files.get(&number).map(|(name, _, _)| name.as_str());
    for name in dead.into_iter().filter_map(name) {
        judge.findings.file(Code::Superseded, name, "replaced by a compaction; it does not count");
    }
    live.retain(|set| {
        let counts = set.log_last >= judge.retained_from;
        for name in set.numbers().filter(|_| !counts).filter_map(name) {
            judge.findings.file(Code::Superseded, name, "given up by retention; it does not count");
        }
        counts
    });
    let log = |set: &&Set| {
        set.numbers()
            .any(|n| files.get(&n).is_some_and(|(_, header, _)| header.generation.get() == 0))
    };
    let last_log = live.iter().filter(|set| log(set)).map(|set| set.log_last).max();
    for set in &live {
        if set.missing() > 0 && !is_alone {
            let what = format!("{} outputs of its compaction are missing", set.missing());
            let first = set.numbers().next().and_then(name);
            judge.findings.add(Code::SetIncomplete, first, None, what);
        }
        for number in set.numbers() {
            let Some((name, header, len)) = files.get(&number) else { continue };
            let successor = files.values().find(|(_, other, _)| {
                other.generation.get() == 0 && other.previous_segment.get() == number
            });
            let member = Member {
                name: name.clone(),
                header: *header,
                is_last: Some(number) == last_log
                    && live.last().is_some_and(|last| last.log_last == set.log_last),
                end: successor.map(|(_, other, _)| other.previous_end.get()),
            };
            match segment::judge(judge, &member) {
                Ok(end) => {
                    judged.ends.insert(number, end);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => judged.vanished = true,
                Err(error) => judge.findings.file(Code::ReadFailed, name, error.to_string()),
            }
            judge.done += len;
            if judge.interrupted {
                return;
            }
        }
    }
    if !is_alone {
        check_chain(judge, files, &live, &judged.ends);
    }
}

/// Tells where a segment does not follow the one before it.
fn check_chain(judge: &mut Judge<'_>, files: &Files, live: &[&Set], ends: &BTreeMap<u32, LogEnd>) {
    let mut before: Option<(u32, LogEnd)> = None;
    let retained_from = judge.retained_from;
    for set in live {
        let Some(first) = set.numbers().next() else { continue };
        let Some((name, header, _)) = files.get(&first) else { continue };
        let claimed = header.previous_segment.get();
        let end = (header.previous_end.get(), header.previous_crc.get());
        match before {
            Some((number, _)) if number != claimed && number >= retained_from => {
                let what = format!("it follows segment {claimed}, and the one here is {number}");
                judge.findings.file(Code::SegmentMissing, name, what);
            }
            Some((_, Some(found))) if found != end => {
                let what = format!("segment {claimed} is not the file that it followed");
                judge.findings.file(Code::ChainBroken, name, what);
            }
            None if claimed != 0 && claimed >= retained_from.max(1) => {
                let what = format!("it follows segment {claimed}, which is not here");
                judge.findings.file(Code::SegmentMissing, name, what);
            }
            _ => {}
        }
        let end = set.numbers().last().and_then(|last| ends.get(&last).copied().flatten());
        before = Some((set.log_last, end));
    }
}

/// The number in a segment's file name.
pub(crate) fn segment_number(name: &str) -> Option<u32> {
    let digits = name.strip_prefix("seg-")?.strip_suffix(".presence")?;
    let is_plain = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if digits.len() != 8 || !digits.bytes().all(is_plain) {
        return None;
    }
    u32::from_str_radix(digits, 16).ok().filter(|number| *number != 0)
}

fn other_file(judge: &mut Judge<'_>, name: &str, is_regular: bool) {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let id = name.strip_prefix(".tmp-");
    let is_temporary = id.is_some_and(|id| id.len() == 32 && id.bytes().all(is_digit));
    if is_temporary && is_regular {
        let what = "a segment that a crash left without a name; nothing in it was promised";
        judge.findings.file(Code::Temporary, name, what);
    } else if crate::quarantine::repair_number(name).is_some() {
        let what = "of a repair: its list, or a file that it set aside";
        judge.findings.file(Code::IgnoredFile, name, what);
    } else if name != presence::device::LOCK_NAME {
        judge.findings.file(Code::IgnoredFile, name, "no segment; it is left alone");
    }
}

/// Reads a segment's header; tells what is wrong with it.
fn header(judge: &mut Judge<'_>, name: &str) -> io::Result<Option<SegmentHeader>> {
    let mut bytes = Bytes::open(judge.device, name)?;
    match SegmentHeader::decode(bytes.get(0, SegmentHeader::BYTES)?) {
        Ok(header) => Ok(Some(header)),
        Err(error) => {
            let code = match error.kind {
                FormatErrorKind::Incompatible => Code::Incompatible,
                _ => Code::SegmentHeader,
            };
            let at = u32::try_from(error.offset).unwrap_or(0);
            judge.findings.at(code, name, at, error.what);
            Ok(None)
        }
    }
}

/// The id that most segments name; of equally many the one of the lowest number.
pub(crate) fn choose<'a>(headers: impl Iterator<Item = &'a SegmentHeader>) -> Option<DatabaseId> {
    let mut counts: Vec<([u8; 16], usize)> = Vec::new();
    for header in headers {
        match counts.iter_mut().find(|(id, _)| *id == header.database) {
            Some((_, count)) => *count += 1,
            None => counts.push((header.database, 1)),
        }
    }
    let most = counts.iter().map(|(_, count)| *count).max()?;
    counts.iter().find(|(_, count)| *count == most).map(|(id, _)| DatabaseId(*id))
}

/// The report on one file whose segment header cannot be read.
pub(crate) fn headless(path: &Path, options: &Options, what: &str) -> Report {
    let mut findings = Findings::default();
    let path = path.display().to_string();
    findings.at(Code::SegmentHeader, &path, 0, what);
    summary(path, options, findings)
}

fn finish(judge: Judge<'_>, options: &Options, is_alone: bool, judged: Judged) -> Survey {
    let Judge { device, mut findings, mut totals, streams, interrupted, .. } = judge;
    let mut lost = if interrupted { Vec::new() } else { streams.lost(is_alone) };
    if !interrupted {
        compare_planes(device, &streams, is_alone, &mut findings);
    }
    for one in &mut lost {
        one.known_since = judged.known.since(one).map(str::to_owned);
        let code = match one.known_since {
            Some(_) => Code::KnownLoss,
            None => Code::RecordsMissing,
        };
        findings.add(code, None, None, one.to_string());
    }
    totals.streams = streams.iter().count() as u64;
    let records = streams.iter().map(|stream| stream.records());
    totals.records = records.fold(0, u64::saturating_add);
    let by_file = std::mem::take(&mut findings.by_file);
    let mut report = summary(device.describe(), options, findings);
    report.exit_code |= u8::from(interrupted) * 32;
    let report = Report {
        database: judged.database.map(|id| id.to_string()),
        lost,
        totals,
        interrupted,
        ..report
    };
    Survey { report, streams, by_file, ends: judged.ends }
}

/// Compares the planes of each track, where all of it is at hand.
fn compare_planes(device: &dyn Device, streams: &Streams, is_alone: bool, findings: &mut Findings) {
    for what in streams.tracks.headless() {
        findings.add(Code::StreamContradiction, None, None, what);
    }
    // What retention gave up may have been of some planes only.
    if is_alone || !streams.deep || streams.retained_from > 1 || findings.damaged {
        return;
    }
    let plane = |id: u32| streams.get(id).and_then(|facts| facts.entry.schema.plane());
    let is_whole = |id: u32| {
        let facts = streams.get(id).and_then(|facts| facts.plane.as_ref());
        facts.is_some_and(PlaneFacts::is_whole)
    };
    let mut found = Vec::new();
    let read = streams.tracks.unobserved(device, plane, is_whole, &mut |what| found.push(what));
    for what in found {
        findings.add(Code::StreamContradiction, None, None, what);
    }
    // Beside a writer, files may have gone since: then there is nothing to be said of them.
    if let Err(error) = read
        && error.kind() != io::ErrorKind::NotFound
    {
        findings.add(Code::ReadFailed, None, None, error.to_string());
    }
}

/// A report of findings alone.
fn summary(path: String, options: &Options, mut findings: Findings) -> Report {
    findings.kept.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let damaged = findings.damaged || (options.strict && findings.torn);
    Report {
        report_version: 1,
        tool_version: env!("CARGO_PKG_VERSION"),
        path,
        level: options.level,
        strict: options.strict,
        database: None,
        findings: findings.kept,
        further_findings: findings.more,
        lost: Vec::new(),
        totals: Totals::default(),
        interrupted: false,
        exit_code: u8::from(damaged) * 4 + u8::from(findings.failed) * 8,
    }
}
