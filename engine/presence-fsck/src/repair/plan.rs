//! Plans a repair: judges the directory and says what is to be done about what is found.
//!
//! # Invariants
//! - Nothing is written, and no lock is taken.
//! - What cannot be corrected for certain is left as it is, and told.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use presence::device::Device;
use presence_format::segment::{SegmentHeader, VERSION_MINOR};

use crate::database::{self, Error, Survey, segment_number};
use crate::finding::{Code, Finding, Findings, Severity};
use crate::quarantine::{aside_name, list_name, repair_number};
use crate::repair::directory::{Directory, Named, named, overlap, unreadable};
use crate::repair::gather::{Known, Source};
use crate::repair::headless::{first_crc, guess};
use crate::repair::job::{Job, segment_name};
use crate::repair::overlay::Overlay;
use crate::repair::step::{Plan, Step};
use crate::report::Level;
use crate::{Options, Progress};

/// Reasons that are told of one file.
const REASONS_MAX: usize = 8;
/// What a segment written anew has no more.
const CORRECTED: [Code; 7] = [
    Code::EntryDamaged,
    Code::NotZeros,
    Code::IndexDamaged,
    Code::IndexDisagrees,
    Code::FooterDisagrees,
    Code::NotSealed,
    Code::BlockContent,
];

/// Judges the database behind `device`, at [`Level::Default`] at least, and says what a repair
/// would do. O(bytes).
///
/// # Errors
/// [`Error::NotADatabase`], [`Error::List`], [`Error::Interrupted`].
pub fn plan(
    device: &dyn Device,
    options: &Options,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<Plan, Error> {
    let mut draft = Draft::new(device)?;
    draft.resume()?;
    draft.names()?;
    let options = Options { level: options.level.max(Level::Default), ..*options };
    let survey = database::survey(&draft.overlay, &options, false, progress)?;
    if survey.report.interrupted {
        return Err(Error::Interrupted);
    }
    draft.segments(&survey, options.level)?;
    draft.leave_rubble()?;
    Ok(draft.finish(survey))
}

/// Names and lengths of the files that a plan stands on.
pub(crate) fn seen(device: &dyn Device) -> Result<Vec<(String, u64)>, Error> {
    let path = device.describe();
    let entries = device.list().map_err(|source| Error::List { path, source })?;
    let mut seen: Vec<(String, u64)> = entries
        .into_iter()
        .filter(|entry| entry.name != presence::device::LOCK_NAME)
        .map(|entry| (entry.name, entry.len))
        .collect();
    seen.sort();
    Ok(seen)
}

/// A plan in the making.
pub(super) struct Draft<'a> {
    pub(super) device: &'a dyn Device,
    seen: Vec<(String, u64)>,
    /// The directory as far as it is planned.
    pub(super) overlay: Overlay<'a>,
    /// The number of this repair.
    number: u32,
    /// The greatest number of any segment that a name or header tells of.
    highest: u32,
    /// Damaged files that an earlier repair set aside: the names they had, and those they have.
    pub(super) resumed: BTreeMap<String, String>,
    steps: Vec<Step>,
    jobs: Vec<Job>,
    pub(super) left: Findings,
    /// Where log segments end, by their number: of those that are written anew.
    ends: BTreeMap<u32, (u32, u32)>,
    /// Segments that follow one again which they seemed not to.
    mended: BTreeSet<String>,
}

impl<'a> Draft<'a> {
    fn new(device: &'a dyn Device) -> Result<Self, Error> {
        let seen = seen(device)?;
        let path = device.describe();
        let overlay = Overlay::new(device).map_err(|source| Error::List { path, source })?;
        let numbers = seen.iter().filter_map(|(name, _)| repair_number(name));
        let number = numbers.max().unwrap_or(0).saturating_add(1);
        let set_aside = |name: &str| {
            let number = repair_number(name)?;
            segment_number(name.strip_prefix(&aside_name(number, ""))?)
        };
        let numbers = seen.iter().filter_map(|(name, _)| segment_number(name).or(set_aside(name)));
        let highest = numbers.max().unwrap_or(0);
        Ok(Self {
            device,
            seen,
            overlay,
            number,
            highest,
            resumed: BTreeMap::new(),
            steps: Vec::new(),
            jobs: Vec::new(),
            left: Findings::default(),
            ends: BTreeMap::new(),
            mended: BTreeSet::new(),
        })
    }

    pub(super) fn named(&self) -> Result<BTreeMap<u32, Named>, Error> {
        named(&self.overlay)
    }

    /// Plans for files that have no business under the names they have.
    fn names(&mut self) -> Result<(), Error> {
        let named = self.named()?;
        let directory = Directory::new(&named);
        for (number, what) in &named {
            let file = segment_name(*number);
            let header = match what {
                Named::Irregular => {
                    let reason = "it has the name of a segment, and is no regular file";
                    self.set_aside(&file, vec![reason.to_owned()]);
                    continue;
                }
                Named::Segment(header) => header,
                Named::Headless(_) | Named::Newer => continue,
            };
            let own = header.segment.get();
            self.highest = self.highest.max(header.log_last.get());
            if directory.database.is_some_and(|database| database != header.database) {
                let id = presence::DatabaseId(header.database);
                self.set_aside(&file, vec![format!("of another database, {id}")]);
            } else if own != *number {
                self.highest = self.highest.max(own);
                let reason = format!("its header says that it is segment {own}");
                let to = segment_name(own);
                if self.overlay.contains(&to) || own == 0 {
                    let reason = format!("{reason}, and there is another one by that number");
                    self.set_aside(&file, vec![reason]);
                } else {
                    self.overlay.move_to(&file, &to);
                    self.steps.push(Step::Rename { file, to, reasons: vec![reason] });
                }
            }
        }
        Ok(())
    }

    fn set_aside(&mut self, file: &str, reasons: Vec<String>) {
        // One that an earlier repair set aside stays where it is.
        if let Some(to) = self.resumed.remove(file) {
            self.overlay.move_to(file, &to);
            return;
        }
        let to = aside_name(self.number, file);
        self.overlay.hide(file);
        self.steps.push(Step::SetAside { file: file.to_owned(), to, reasons });
    }

    /// Plans for segments that are damaged.
    fn segments(&mut self, survey: &Survey, level: Level) -> Result<(), Error> {
        let failed = |codes: &BTreeSet<Code>| codes.contains(&Code::ReadFailed);
        if survey.by_file.values().any(failed) {
            // What is planned without that file would be wrong once it can be read.
            return Ok(());
        }
        let named = self.named()?;
        let directory = Directory::new(&named);
        let known: Known =
            survey.streams.iter().map(|facts| (facts.entry.id, facts.entry.clone())).collect();
        let known = Arc::new(known);
        let mut replaced: Vec<SegmentHeader> = Vec::new();
        for (&number, what) in &named {
            let file = segment_name(number);
            let reasons = reasons(&survey.report.findings, &file);
            let header = match what {
                Named::Segment(header) => {
                    let Some(codes) = survey.by_file.get(&file) else { continue };
                    if !is_corrected(codes) || !directory.live.contains(&number) {
                        continue;
                    }
                    if survey.streams.repeats {
                        let why = "segments repeat each other's records, and nothing tells which \
                                   of them are right";
                        self.leave(&file, why);
                        continue;
                    }
                    if !is_own_version(header) {
                        self.leave(&file, "a newer build wrote it, and may know more of it");
                        continue;
                    }
                    *header
                }
                Named::Headless(bytes) => {
                    let end_of = |log: u32| self.end_of(log, &directory, survey);
                    let guessed = guess(bytes, number, &directory, end_of);
                    let place = guessed.map(|guess| guess.header.place());
                    let first = match place {
                        Some(place) => first_crc(&self.overlay, &file, place),
                        None => Ok(None),
                    };
                    let first = first.map_err(unreadable(&file))?;
                    let guessed =
                        guessed.filter(|_| directory.database.is_some() || first.is_some());
                    let Some(guess) = guessed else {
                        self.set_aside(&file, reasons);
                        continue;
                    };
                    let mut header = guess.header;
                    header.header_crc = first.unwrap_or(0).into();
                    let job = self.job(&file, header, &directory, &known, level)?;
                    let is_useful = |job: &Job| guess.is_named || job.gathered.records > 0;
                    match job.filter(is_useful) {
                        Some(job) => {
                            let next = directory.successor(header.log_last.get());
                            self.mended.extend(next.map(|next| segment_name(next.segment.get())));
                            self.rewrite(file, job, reasons);
                        }
                        None => self.set_aside(&file, reasons),
                    }
                    replaced.push(header);
                    continue;
                }
                _ => continue,
            };
            if let Some(job) = self.job(&file, header, &directory, &known, level)? {
                self.rewrite(file, job, reasons);
                replaced.push(header);
            }
        }
        self.dead(&directory, &replaced);
        Ok(())
    }

    /// Sets aside what a writer would remove although it may hold what is lost elsewhere, and what
    /// would count once its inputs have other generations.
    fn dead(&mut self, directory: &Directory, replaced: &[SegmentHeader]) {
        for number in &directory.dead {
            let Some(header) = directory.headers.get(number) else { continue };
            if replaced.iter().any(|other| overlap(header, other)) {
                let reason = "replaced by a compaction, whose own segments are damaged, or beside \
                              damaged ones: it may hold what they lost";
                self.set_aside(&segment_name(*number), vec![reason.to_owned()]);
            }
        }
    }

    /// Where the log segments up to `log` ended, as far as the one that stands for them tells.
    fn end_of(&self, log: u32, directory: &Directory, survey: &Survey) -> Option<(u32, u32)> {
        let own = self.ends.get(&log).copied();
        let header = directory.live_headers().rfind(|header| header.log_last.get() == log)?;
        own.or_else(|| survey.ends.get(&header.segment.get()).copied().flatten())
    }

    /// What to write in the place of the segment in `file`; `None`, and told, where that cannot be.
    fn job(
        &mut self,
        file: &str,
        header: SegmentHeader,
        directory: &Directory,
        known: &Arc<Known>,
        level: Level,
    ) -> Result<Option<Job>, Error> {
        let last = header.log_last.get();
        let is_log = header.generation.get() == 0;
        let is_last = directory.headers.values().all(|other| other.log_last.get() <= last);
        let durable = match directory.durable(last) {
            durable if is_log && durable > 0 => durable,
            _ if is_log && is_last => 0,
            _ => u32::MAX,
        };
        let deep = level == Level::Deep;
        let source = Source {
            name: file.to_owned(),
            header,
            first_crc: header.header_crc.get(),
            durable,
            deep,
        };
        let Some(number) = self.highest.checked_add(1) else {
            self.leave(file, "there is no number left for a new segment");
            return Ok(None);
        };
        let mut job = match Job::new(&self.overlay, source, number, known) {
            Ok(job) => job,
            Err(error) if error.kind() != io::ErrorKind::Other => {
                return Err(unreadable(file)(error));
            }
            Err(error) => {
                self.leave(file, &error.to_string());
                return Ok(None);
            }
        };
        self.highest = number;
        if job.gathered.log.is_none() {
            job.log = self.log_of(&header, directory).unwrap_or(job.log);
        }
        self.ends.insert(last, job.log);
        Ok(Some(job))
    }

    /// Where the log ended that a segment stands for, as another segment says.
    fn log_of(&self, header: &SegmentHeader, directory: &Directory) -> Option<(u32, u32)> {
        let next = directory.successor(header.log_last.get());
        next.map(|next| (next.previous_end.get(), next.previous_crc.get()))
    }

    fn rewrite(&mut self, file: String, mut job: Job, reasons: Vec<String>) {
        let resumed = self.resumed.remove(&file);
        let was_set_aside = resumed.is_some();
        let to = resumed.unwrap_or_else(|| aside_name(self.number, &file));
        // When it is written, it is read by the name that it has then.
        if was_set_aside {
            job.source.name.clone_from(&to);
        } else if let Some(Step::Rename { file: from, .. }) =
            self.steps.iter().find(|step| matches!(step, Step::Rename { to, .. } if *to == file))
        {
            job.source.name.clone_from(from);
        }
        self.steps.push(Step::Rewrite {
            file,
            to,
            was_set_aside,
            replacement: job.name.clone(),
            blocks: job.gathered.blocks,
            records: job.gathered.records,
            from_frames: job.gathered.from_frames,
            reasons,
        });
        self.jobs.push(job);
    }

    /// Where no segment would remain, nothing is gained by other names.
    fn leave_rubble(&mut self) -> Result<(), Error> {
        if self.named()?.is_empty() {
            for step in std::mem::take(&mut self.steps) {
                self.leave(step.file(), "nothing in the directory is sound");
            }
        }
        Ok(())
    }

    fn leave(&mut self, file: &str, why: &str) {
        self.left.file(Code::GivenUp, file, format!("it cannot be written anew: {why}"));
    }

    fn finish(self, survey: Survey) -> Plan {
        let done: BTreeSet<&str> = self.steps.iter().map(Step::file).collect();
        let renamed = self.steps.iter().filter_map(|step| match step {
            Step::Rename { to, .. } => Some(to.as_str()),
            _ => None,
        });
        let renamed: BTreeSet<&str> = renamed.collect();
        let is_left = |finding: &Finding| {
            let file = finding.file.as_deref().unwrap_or_default();
            let corrected = done.contains(file) && !renamed.contains(file);
            let corrected =
                corrected || (finding.code == Code::SegmentMissing && self.mended.contains(file));
            let listed = finding.code == Code::RecordsMissing && !self.steps.is_empty();
            finding.severity != Severity::Note && !corrected && !listed
        };
        let own = self.jobs.first();
        let own = own.map(|job| presence::DatabaseId(job.header.database).to_string());
        let mut left = self.left.kept;
        left.extend(survey.report.findings.iter().filter(|one| is_left(one)).cloned());
        Plan {
            plan_version: 1,
            tool_version: env!("CARGO_PKG_VERSION"),
            path: self.device.describe(),
            database: survey.report.database.or(own),
            list: (!self.steps.is_empty()).then(|| list_name(self.number)),
            steps: self.steps,
            left,
            missing: survey.report.lost,
            jobs: self.jobs,
            seen: self.seen,
        }
    }
}

/// Whether all that a segment written anew needs is there, and something of it is to be corrected.
fn is_corrected(codes: &BTreeSet<Code>) -> bool {
    let hopeless = [Code::GivenUp, Code::ReadFailed];
    CORRECTED.iter().any(|code| codes.contains(code))
        && !hopeless.iter().any(|code| codes.contains(code))
}

fn is_own_version(header: &SegmentHeader) -> bool {
    header.version_minor.get() == VERSION_MINOR && header.features_optional.get() == 0
}

/// What was found about a file, in words.
fn reasons(findings: &[Finding], file: &str) -> Vec<String> {
    let of = |finding: &&Finding| {
        finding.file.as_deref() == Some(file) && finding.severity != Severity::Note
    };
    let mut reasons: Vec<String> = findings
        .iter()
        .filter(of)
        .take(REASONS_MAX)
        .map(|finding| {
            let code = finding.code.as_str();
            match finding.offset {
                Some(offset) => format!("{code} at byte {offset}: {}", finding.what),
                None => format!("{code}: {}", finding.what),
            }
        })
        .collect();
    let more = findings.iter().filter(of).count().saturating_sub(REASONS_MAX);
    if more > 0 {
        reasons.push(format!("and {more} more"));
    }
    reasons
}
