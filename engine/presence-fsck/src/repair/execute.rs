//! Executes a plan.
//!
//! 1. The new segments are written under temporary names, synced, and judged.
//! 2. The list is written, synced, named, and the directory synced.
//! 3. Files get the names that set them aside; the directory is synced.
//! 4. The new segments get their names; the directory is synced.
//!
//! # Invariants
//! - Before the list is durable, no name of a file changes. From then on the list and the files
//!   set aside are enough to go on: a writer that comes between may remove temporary files.
//! - A damaged segment has its new name, durably, before another comes into its place: beside that
//!   one a writer would remove it.

use std::io;

use presence::device::{Device, LockError};
use serde::Serialize;

use crate::database::{self, Error};
use crate::finding::{Code, Severity};
use crate::quarantine::{LIST_BYTES_MAX, List};
use crate::repair::overlay::Overlay;
use crate::repair::plan::seen;
use crate::repair::step::{Plan, Step};
use crate::report::{Level, Lost, Report};
use crate::{Options, Progress};

const UNDO: &str = "Nothing was removed. To have a file back as it was: close the database, move \
                    its replacement out of the directory, and give the file its old name.";

/// What a repair did.
#[derive(Debug, Clone, Serialize)]
pub struct Repaired {
    /// Version of this structure.
    pub repaired_version: u32,
    /// What was done.
    pub steps: Vec<Step>,
    /// The list that tells of it.
    pub list: Option<String>,
    /// The directory as it is now.
    pub report: Report,
}

impl Repaired {
    /// As in fsck(8): 0 nothing was to do, 1 corrected, 4 damage left, 8 could not be looked at, 32
    /// interrupted; added up.
    pub fn exit_code(&self) -> u8 {
        u8::from(!self.steps.is_empty()) | self.report.exit_code
    }

    /// As [`Report::answers`].
    pub fn answers(&self) -> [String; 4] {
        let [safe, missing, _, next] = self.report.answers();
        let changed = match &self.list {
            Some(list) => format!("yes: {} steps, listed in {list}", self.steps.len()),
            None => "no".to_owned(),
        };
        [safe, missing, changed, next]
    }
}

/// Does what `plan` says, and judges the directory afterwards. `progress` can end it before
/// anything has changed.
///
/// # Errors
/// [`Error::Locked`] beside a writer, [`Error::Changed`] where the directory is not as it was when
/// the plan was made, [`Error::Unsound`], [`Error::Io`], [`Error::Interrupted`]. After each of them
/// the directory is as it was, or another repair goes on with it.
pub fn execute(
    device: &dyn Device,
    plan: &Plan,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<Repaired, Error> {
    let mut list = None;
    if !plan.is_empty() {
        let owner = format!("presence-fsck --repair, process {}", std::process::id());
        let _lock = device.lock(&owner).map_err(|error| match error {
            LockError::Held { holder } => Error::Locked { path: plan.path.clone(), holder },
            LockError::Io(source) => io("lock", &plan.path)(source),
        })?;
        if seen(device)? != plan.seen {
            return Err(Error::Changed { path: plan.path.clone() });
        }
        carry_out(device, plan, progress)?;
        list.clone_from(&plan.list);
    }
    let report = database::check(device, &Options::default(), false, progress)?;
    Ok(Repaired { repaired_version: 1, steps: plan.steps.clone(), list, report })
}

fn io(what: &'static str, file: &str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { what, file: file.to_owned(), source }
}

fn temporary(device: &dyn Device) -> Result<String, Error> {
    let random = device.random().map_err(io("make a name in", &device.describe()))?;
    Ok(format!(".tmp-{:032x}", u128::from_le_bytes(random)))
}

fn carry_out(
    device: &dyn Device,
    plan: &Plan,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<(), Error> {
    let mut temporaries = Vec::new();
    let prepared = prepare(device, plan, &mut temporaries, progress);
    if let Err(error) = prepared {
        for name in &temporaries {
            // Where this fails, too, a writer removes them.
            let _removed = device.unlink(name);
        }
        return Err(error);
    }
    for step in &plan.steps {
        let (from, to) = match step {
            Step::SetAside { file, to, .. } | Step::Rename { file, to, .. } => (file, to),
            Step::Rewrite { file, to, was_set_aside: false, .. } => (file, to),
            Step::Rewrite { .. } => continue,
        };
        device.rename(from, to).map_err(io("rename", from))?;
    }
    sync(device, plan)?;
    for (job, temporary) in plan.jobs.iter().zip(&temporaries) {
        device.rename(temporary, &job.name).map_err(io("rename", temporary))?;
    }
    sync(device, plan)
}

fn sync(device: &dyn Device, plan: &Plan) -> Result<(), Error> {
    device.sync_directory().map_err(io("sync", &plan.path))
}

/// Everything before a file changes its name. The names of the new segments come first among
/// `temporaries`.
fn prepare(
    device: &dyn Device,
    plan: &Plan,
    temporaries: &mut Vec<String>,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<(), Error> {
    for job in &plan.jobs {
        let done = temporaries.len() as u64;
        if !progress(Progress { done, all: plan.jobs.len() as u64 }) {
            return Err(Error::Interrupted);
        }
        let name = temporary(device)?;
        temporaries.push(name.clone());
        let file = device.create(&name).map_err(io("create", &name))?;
        let written = job.write(device, file).map_err(io("write", &job.name))?;
        if !written {
            return Err(Error::Changed { path: plan.path.clone() });
        }
    }
    let lost = foresee(device, plan, temporaries)?;
    write_list(device, plan, lost, temporaries)
}

/// Judges the new segments one by one, and the directory as it will be; returns what is missing
/// then and no list tells of yet.
fn foresee(device: &dyn Device, plan: &Plan, temporaries: &[String]) -> Result<Vec<Lost>, Error> {
    let mut after = Overlay::new(device).map_err(io("list", &plan.path))?;
    for step in &plan.steps {
        match step {
            Step::SetAside { file, .. } => after.hide(file),
            Step::Rename { file, to, .. } => after.move_to(file, to),
            Step::Rewrite { file, .. } => after.hide(file),
        }
    }
    for (job, temporary) in plan.jobs.iter().zip(temporaries) {
        after.show(&job.name, temporary);
        let mut alone = Overlay::empty(device);
        alone.show(&job.name, temporary);
        let level = if job.source.deep { Level::Deep } else { Level::Default };
        let report = database::check(&alone, &Options::at(level), true, &mut |_| true)?;
        let wrong = |one: &&crate::Finding| one.severity != Severity::Note && one.file.is_some();
        if let Some(finding) = report.findings.iter().find(wrong) {
            let what = finding.what.clone();
            return Err(Error::Unsound { file: job.name.clone(), what });
        }
    }
    let report = database::check(&after, &Options::at(Level::Quick), false, &mut |_| true)?;
    if let Some(finding) = report.of(Code::ReadFailed).next() {
        let what = finding.what.clone();
        return Err(Error::Unsound { file: plan.path.clone(), what });
    }
    Ok(report.lost.into_iter().filter(|lost| lost.known_since.is_none()).collect())
}

fn write_list(
    device: &dyn Device,
    plan: &Plan,
    lost: Vec<Lost>,
    temporaries: &mut Vec<String>,
) -> Result<(), Error> {
    let Some(name) = &plan.list else { return Ok(()) };
    let mut list = List {
        list_version: 1,
        tool_version: plan.tool_version.to_owned(),
        created_unix_us: device.now_unix_us(),
        database: plan.database.clone(),
        how_to_undo: UNDO.to_owned(),
        steps: plan.steps.clone(),
        lost,
    };
    let mut bytes = encode(&list).map_err(io("write", name))?;
    if bytes.len() as u64 > LIST_BYTES_MAX {
        list.lost = per_stream(list.lost);
        bytes = encode(&list).map_err(io("write", name))?;
    }
    let temporary = temporary(device)?;
    temporaries.push(temporary.clone());
    let file = device.create(&temporary).map_err(io("create", &temporary))?;
    let written = file.write_at(&[&bytes], 0).and_then(|()| file.sync());
    written.map_err(io("write", name))?;
    device.rename(&temporary, name).map_err(io("rename", &temporary))?;
    temporaries.pop();
    sync(device, plan)
}

fn encode(list: &List) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(list)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// One range for each stream, from the first record that is missing to the last.
fn per_stream(lost: Vec<Lost>) -> Vec<Lost> {
    let mut ranges: Vec<Lost> = Vec::new();
    for one in lost {
        match ranges.last_mut().filter(|last| last.stream == one.stream) {
            Some(last) => {
                last.records = one.end().saturating_sub(last.first_sequence);
                last.before_ts = one.before_ts;
            }
            None => ranges.push(one),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_too_long_names_one_range_a_stream() {
        let lost = |stream: &str, first_sequence: u64, records: u64| Lost {
            stream: stream.to_owned(),
            first_sequence,
            records,
            after_ts: first_sequence.checked_sub(1).map(u64::cast_signed),
            before_ts: Some((first_sequence + records).cast_signed()),
            known_since: None,
        };
        let many = vec![lost("a", 0, 1), lost("a", 5, 2), lost("a", 9, 1), lost("b", 3, 1)];
        let expected = [Lost { before_ts: Some(10), ..lost("a", 0, 10) }, lost("b", 3, 1)];
        assert_eq!(per_stream(many), expected);
    }
}
