//! Findings: what is wrong, where, and what to do about it.
//!
//! # Invariants
//! - A code never changes its meaning: programs compare them.
//! - Names from a file stand in a text escaped.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// What a finding means for the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be, after a crash or beside a writer: worth knowing.
    Note,
    /// Bytes or files are not what was written.
    Damage,
    /// It could not be looked at: the system refused.
    Failure,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Code {
    /// The segment ends in bytes that nobody was promised: what a crash leaves.
    TornTail,
    /// Torn bytes between entries, left in place by a recovery.
    TornInside,
    /// Index or footer were being written when a crash came.
    TornSeal,
    /// The last segment is still written to, or was not closed.
    Unsealed,
    /// A file that is no segment.
    IgnoredFile,
    /// A segment without a name yet: a crash came while it was made.
    Temporary,
    /// Replaced by a compaction, or given up by retention; a writer removes it.
    Superseded,
    /// Records are missing, and a repair or retention knew of it.
    KnownLoss,
    /// The file grew while it was read.
    Growing,
    /// A file by the name of a segment that is none: a link, directory, pipe or device.
    NotARegularFile,
    /// No segment header can be read.
    SegmentHeader,
    /// The header's number is not the one in the file's name.
    WrongNumber,
    /// A segment of another database.
    ForeignSegment,
    /// A newer format.
    Incompatible,
    /// Bytes that were durable once are unsound.
    EntryDamaged,
    /// Bytes that must be zeros are not.
    NotZeros,
    /// A sealed segment's index or footer cannot be read; its entries can.
    IndexDamaged,
    /// The index says other things than the entries.
    IndexDisagrees,
    /// The footer says other things than the entries.
    FooterDisagrees,
    /// A segment that others follow was never sealed, or its end is lost.
    NotSealed,
    /// A block, section or catalog contradicts what is known of its stream.
    StreamContradiction,
    /// A block cannot be decoded, or holds other records than its header says.
    BlockContent,
    /// A segment does not follow the one before it.
    ChainBroken,
    /// A segment that another follows is not there.
    SegmentMissing,
    /// Outputs of a compaction are missing, and so are its inputs.
    SetIncomplete,
    /// Records are missing.
    RecordsMissing,
    /// The file contradicts itself too often to be judged to its end.
    GivenUp,
    /// A read failed.
    ReadFailed,
}

impl Code {
    /// What it means for the data.
    pub const fn severity(self) -> Severity {
        match self {
            Self::TornTail
            | Self::TornInside
            | Self::TornSeal
            | Self::Unsealed
            | Self::IgnoredFile
            | Self::Temporary
            | Self::Superseded
            | Self::KnownLoss
            | Self::Growing => Severity::Note,
            Self::ReadFailed | Self::Incompatible => Severity::Failure,
            _ => Severity::Damage,
        }
    }

    /// Whether it is left by a crash: fine, but an error to `--strict`.
    pub const fn is_torn(self) -> bool {
        matches!(self, Self::TornTail | Self::TornSeal | Self::Temporary)
    }

    /// What to do about it.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::TornTail | Self::TornSeal | Self::Temporary => {
                "nothing: the next writer that opens the database tidies up"
            }
            Self::TornInside
            | Self::Unsealed
            | Self::IgnoredFile
            | Self::Superseded
            | Self::KnownLoss => "nothing",
            Self::Growing => "nothing: check again when the writer has closed",
            Self::NotARegularFile | Self::WrongNumber | Self::ForeignSegment => {
                "put it where it came from, or --repair to set it aside"
            }
            Self::SegmentHeader
            | Self::EntryDamaged
            | Self::NotZeros
            | Self::IndexDamaged
            | Self::IndexDisagrees
            | Self::FooterDisagrees
            | Self::NotSealed => {
                "restore the file from a backup, or --repair to keep what is sound of it"
            }
            Self::StreamContradiction | Self::BlockContent => {
                "restore the file from a backup, or --salvage what is sound"
            }
            Self::ChainBroken | Self::SegmentMissing | Self::SetIncomplete => {
                "restore the missing file from a backup; all others stay readable"
            }
            Self::RecordsMissing => "restore from a backup what is missing",
            Self::GivenUp => "--salvage what is sound",
            Self::Incompatible => "use a newer build",
            Self::ReadFailed => "look at the system's log, copy the medium, and check the copy",
        }
    }

    /// The code as programs see it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TornTail => "torn-tail",
            Self::TornInside => "torn-inside",
            Self::TornSeal => "torn-seal",
            Self::Unsealed => "unsealed",
            Self::IgnoredFile => "ignored-file",
            Self::Temporary => "temporary",
            Self::Superseded => "superseded",
            Self::KnownLoss => "known-loss",
            Self::Growing => "growing",
            Self::NotARegularFile => "not-a-regular-file",
            Self::SegmentHeader => "segment-header",
            Self::WrongNumber => "wrong-number",
            Self::ForeignSegment => "foreign-segment",
            Self::Incompatible => "incompatible",
            Self::EntryDamaged => "entry-damaged",
            Self::NotZeros => "not-zeros",
            Self::IndexDamaged => "index-damaged",
            Self::IndexDisagrees => "index-disagrees",
            Self::FooterDisagrees => "footer-disagrees",
            Self::NotSealed => "not-sealed",
            Self::StreamContradiction => "stream-contradiction",
            Self::BlockContent => "block-content",
            Self::ChainBroken => "chain-broken",
            Self::SegmentMissing => "segment-missing",
            Self::SetIncomplete => "set-incomplete",
            Self::RecordsMissing => "records-missing",
            Self::GivenUp => "given-up",
            Self::ReadFailed => "read-failed",
        }
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One thing found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it means for the data.
    pub severity: Severity,
    /// What it is.
    pub code: Code,
    /// The file, or none where it concerns a stream or the whole directory.
    pub file: Option<String>,
    /// Where in the file it begins.
    pub offset: Option<u64>,
    /// Where in the file it ends, where known.
    pub end: Option<u64>,
    /// In plain words.
    pub what: String,
    /// What to do.
    pub advice: &'static str,
}

/// Findings kept; further ones are counted.
const KEPT_MAX: usize = 1000;

/// What is damaged in which file.
pub(crate) type ByFile = BTreeMap<String, BTreeSet<Code>>;

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) kept: Vec<Finding>,
    /// Those that were only counted.
    pub(crate) more: u64,
    /// Whether there is one that a crash leaves; also among those only counted, as the next two.
    pub(crate) torn: bool,
    /// Whether something could not be looked at.
    pub(crate) failed: bool,
    /// Whether something is damaged.
    pub(crate) damaged: bool,
    /// What is damaged, or could not be looked at, in which file.
    pub(crate) by_file: ByFile,
}

impl Findings {
    pub(crate) fn add(
        &mut self,
        code: Code,
        file: Option<&str>,
        range: Option<(u64, Option<u64>)>,
        what: impl Into<String>,
    ) {
        let severity = code.severity();
        self.torn |= code.is_torn();
        self.failed |= severity == Severity::Failure;
        self.damaged |= severity == Severity::Damage;
        if let Some(file) = file.filter(|_| severity != Severity::Note) {
            match self.by_file.get_mut(file) {
                Some(codes) => codes.insert(code),
                None => self.by_file.insert(file.to_owned(), [code].into()).is_none(),
            };
        }
        if self.kept.len() >= KEPT_MAX {
            self.more = self.more.saturating_add(1);
            return;
        }
        self.kept.push(Finding {
            severity,
            code,
            file: file.map(str::to_owned),
            offset: range.map(|(offset, _)| offset),
            end: range.and_then(|(_, end)| end),
            what: what.into(),
            advice: code.advice(),
        });
    }

    /// Something about a whole file.
    pub(crate) fn file(&mut self, code: Code, file: &str, what: impl Into<String>) {
        self.add(code, Some(file), None, what);
    }

    /// Something at an offset of a file.
    pub(crate) fn at(&mut self, code: Code, file: &str, offset: u32, what: impl Into<String>) {
        self.add(code, Some(file), Some((u64::from(offset), None)), what);
    }

    /// Something in a range of a file.
    pub(crate) fn range(
        &mut self,
        code: Code,
        file: &str,
        (from, to): (u64, u64),
        what: impl Into<String>,
    ) {
        self.add(code, Some(file), Some((from, Some(to))), what);
    }
}
