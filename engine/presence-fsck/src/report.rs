//! The report of a check: findings, what is missing, totals, and the answer in four lines.
//!
//! # Invariants
//! - The exit code follows from the report alone.

use serde::{Deserialize, Serialize};

use crate::finding::{Code, Finding, Severity};

/// How much is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Headers, indexes and how segments follow each other. Reads little.
    Quick,
    /// Every checksum too. Reads everything once.
    #[default]
    Default,
    /// Every block is decoded, too, and its records compared with what its header says.
    Deep,
}

/// Records that are not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// The stream's name.
    pub stream: String,
    /// How many records of the stream came before the first that is missing.
    pub first_sequence: u64,
    /// How many are missing.
    pub records: u64,
    /// None is missing at or before this timestamp.
    pub after_ts: Option<i64>,
    /// None is missing at or after this timestamp.
    pub before_ts: Option<i64>,
    /// The list of a repair that knew of it.
    pub known_since: Option<String>,
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Totals {
    /// Segments that count.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Entries that were looked at.
    pub entries: u64,
    /// Blocks among them.
    pub blocks: u64,
    /// Streams.
    pub streams: u64,
    /// Records that are there.
    pub records: u64,
    /// Bytes that a crash tore.
    pub torn_bytes: u64,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Version of this structure.
    pub report_version: u32,
    /// Version of the tool.
    pub tool_version: &'static str,
    /// What was looked at.
    pub path: String,
    /// How much of it.
    pub level: Level,
    /// Whether what a crash leaves counts as an error.
    pub strict: bool,
    /// The database's id, in hexadecimal digits.
    pub database: Option<String>,
    /// What was found, the first thousand.
    pub findings: Vec<Finding>,
    /// How many more were found.
    pub further_findings: u64,
    /// Records that are missing.
    pub lost: Vec<Lost>,
    /// How much there is.
    pub totals: Totals,
    /// Whether it was ended before everything was looked at.
    pub interrupted: bool,
    /// As in fsck(8): 0 sound, 4 damage left, 8 could not be looked at, 32 interrupted; added up.
    pub exit_code: u8,
}

impl Report {
    /// Whether every byte looked at is as it was written.
    pub fn is_sound(&self) -> bool {
        self.exit_code == 0
    }

    /// Findings of one code.
    pub fn of(&self, code: Code) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.code == code)
    }

    /// The answers everybody wants: is the data safe, what is missing, was anything changed, what
    /// next.
    pub fn answers(&self) -> [String; 4] {
        let damaged = self.findings.iter().any(|one| one.severity == Severity::Damage);
        let failed = self.findings.iter().any(|one| one.severity == Severity::Failure);
        let (new, old): (Vec<&Lost>, Vec<&Lost>) =
            self.lost.iter().partition(|one| one.known_since.is_none());
        let records = |list: &[&Lost]| records_of(list.iter().copied());
        let known = records(&old);
        let safe = if self.interrupted {
            "not known: the check was interrupted".to_owned()
        } else if failed {
            "not known: some of it could not be looked at".to_owned()
        } else if !new.is_empty() {
            format!("no: {} records are missing, all others are safe", records(&new))
        } else if damaged {
            "yes: no record is missing, but bytes are damaged".to_owned()
        } else if known > 0 {
            format!("yes: {} records are there; {known} are known to be lost", self.totals.records)
        } else {
            format!("yes: all {} records are there", self.totals.records)
        };
        let missing = match self.lost.as_slice() {
            [] => "nothing".to_owned(),
            lost => {
                let mut text: Vec<String> = lost.iter().take(10).map(ToString::to_string).collect();
                if lost.len() > text.len() {
                    text.push(format!("and {} more ranges", lost.len() - text.len()));
                }
                text.join("; ")
            }
        };
        let next = if self.interrupted {
            "run it again".to_owned()
        } else if failed {
            "see the findings".to_owned()
        } else if damaged && new.is_empty() {
            "presence-fsck --repair -n shows what a repair would do".to_owned()
        } else if damaged {
            "restore from a backup; without one, presence-fsck --repair keeps what is sound, and \
             --salvage copies it into a new database"
                .to_owned()
        } else {
            "nothing".to_owned()
        };
        [safe, missing, "no".to_owned(), next]
    }
}

/// How many records are missing in all. Numbers in a damaged file may be of any size.
pub(crate) fn records_of<'a>(lost: impl Iterator<Item = &'a Lost>) -> u64 {
    lost.map(|lost| lost.records).fold(0, u64::saturating_add)
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} records of stream {:?}", self.records, self.stream)?;
        match (self.after_ts, self.before_ts) {
            (Some(after), Some(before)) => write!(f, " after {after} and before {before}")?,
            (Some(after), None) => write!(f, " after {after}")?,
            (None, Some(before)) => write!(f, " before {before}")?,
            (None, None) => write!(f, ", all there were")?,
        }
        match &self.known_since {
            Some(list) => write!(f, " (known since {list})"),
            None => Ok(()),
        }
    }
}

impl Lost {
    /// The sequence after the last record that is missing.
    pub(crate) fn end(&self) -> u64 {
        self.first_sequence.saturating_add(self.records)
    }
}
