//! What a repair does, step by step, and the plan that is made of such steps.
//!
//! # Invariants
//! - A plan is a function of the directory alone: what is shown is what is done.
//! - No step removes a file, or a byte of one.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::finding::{Finding, Severity};
use crate::repair::job::Job;
use crate::report::Lost;

/// One step of a repair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Step {
    /// A file gets a name that the engine passes over.
    SetAside {
        /// Its name.
        file: String,
        /// The name that it gets.
        to: String,
        /// Why.
        reasons: Vec<String>,
    },
    /// A segment gets the name that its header calls for.
    Rename {
        /// Its name.
        file: String,
        /// The name that it gets.
        to: String,
        /// Why.
        reasons: Vec<String>,
    },
    /// What is sound of a segment is written into a new one, which comes into its place; the old
    /// file is set aside.
    Rewrite {
        /// Its name.
        file: String,
        /// The name that the damaged file gets.
        to: String,
        /// Whether it has that name already: an earlier repair was interrupted.
        was_set_aside: bool,
        /// The name of the new segment.
        replacement: String,
        /// Blocks in the new segment.
        blocks: u64,
        /// Records in the new segment.
        records: u64,
        /// Those of them that stood in no sound block.
        from_frames: u64,
        /// Why.
        reasons: Vec<String>,
    },
}

impl Step {
    /// The file that the step is about, by the name that it has, or had before it was set aside.
    pub fn file(&self) -> &str {
        match self {
            Self::SetAside { file, .. }
            | Self::Rename { file, .. }
            | Self::Rewrite { file, .. } => file,
        }
    }

    /// Why.
    pub fn reasons(&self) -> &[String] {
        match self {
            Self::SetAside { reasons, .. }
            | Self::Rename { reasons, .. }
            | Self::Rewrite { reasons, .. } => reasons,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetAside { file, to, .. } => write!(f, "set {file:?} aside as {to:?}")?,
            Self::Rename { file, to, .. } => write!(f, "give {file:?} its name {to:?}")?,
            Self::Rewrite {
                file,
                to,
                was_set_aside,
                replacement,
                blocks,
                records,
                from_frames,
                ..
            } => {
                let tense = if *was_set_aside { "which is set aside" } else { "set it aside" };
                write!(
                    f,
                    "write what is sound of {file:?} into {replacement:?} ({blocks} blocks, \
                     {records} records, {from_frames} of them from frames); {tense} as {to:?}"
                )?;
            }
        }
        self.reasons().iter().try_for_each(|reason| write!(f, "\n    because {reason}"))
    }
}

/// What a repair would do.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// Version of this structure.
    pub plan_version: u32,
    /// Version of the tool.
    pub tool_version: &'static str,
    /// The directory.
    pub path: String,
    /// The database's id, in hexadecimal digits.
    pub database: Option<String>,
    /// What is done, in this order.
    pub steps: Vec<Step>,
    /// The list that tells of it afterwards, for people and for later checks.
    pub list: Option<String>,
    /// What no repair corrects.
    pub left: Vec<Finding>,
    /// Records that are missing now.
    pub missing: Vec<Lost>,
    /// Segments to be written, for the steps that call for one.
    #[serde(skip)]
    pub(crate) jobs: Vec<Job>,
    /// Names and lengths of the files when it was made.
    #[serde(skip)]
    pub(crate) seen: Vec<(String, u64)>,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// As in fsck(8), before anything is done: 0 sound, 4 damage, 8 could not be looked at; added
    /// up.
    pub fn exit_code(&self) -> u8 {
        let left = |severity| self.left.iter().any(|finding| finding.severity == severity);
        u8::from(!self.is_empty() || left(Severity::Damage)) * 4
            + u8::from(left(Severity::Failure)) * 8
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            writeln!(f, "nothing to repair")?;
        }
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "{}. {step}", number + 1)?;
        }
        if let Some(list) = &self.list {
            writeln!(f, "what is done, and what is lost, is listed in {list:?}")?;
        }
        for finding in &self.left {
            let file = finding.file.as_deref().unwrap_or("the database");
            writeln!(f, "left as it is: {file:?}: {}; {}", finding.what, finding.advice)?;
        }
        for lost in &self.missing {
            writeln!(f, "missing before the repair: {lost}")?;
        }
        Ok(())
    }
}
