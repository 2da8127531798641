//! Goes on with a repair that was cut off between setting a file aside and putting another in its
//! place.
//!
//! # Invariants
//! - A file comes back only where nothing has come into its place, nor gone on behind it.

use presence_format::segment::SegmentHeader;

use crate::database::{Error, segment_number};
use crate::finding::Code;
use crate::quarantine::{self, aside_name, repair_number};
use crate::repair::directory::{self, Directory, Named, siblings};
use crate::repair::plan::Draft;
use crate::repair::step::Step;

impl Draft<'_> {
    /// Puts damaged files back, for the plan, whose replacements never got their names.
    pub(super) fn resume(&mut self) -> Result<(), Error> {
        let directory = Directory::new(&self.named()?);
        for (_, list) in quarantine::lists(self.device) {
            for step in list.steps {
                let Step::Rewrite { file, to, .. } = step else { continue };
                let Some(number) = segment_number(&file) else { continue };
                let ours = repair_number(&to).map(|number| aside_name(number, &file));
                if ours.as_ref() != Some(&to)
                    || !self.overlay.contains(&to)
                    || self.resumed.contains_key(&file)
                {
                    continue;
                }
                let range = match directory::read(&self.overlay, &to)? {
                    Named::Segment(old) => Range::of(&old),
                    _ => Range { first: number, last: number, header: None },
                };
                let mut headers = directory.headers.values();
                if headers.any(|header| header.segment.get() != number && range.is_of(header)) {
                    continue;
                }
                if self.overlay.contains(&file) || range.is_passed_over(&directory) {
                    let what = "an interrupted repair set it aside, and another segment came into \
                                its place: --salvage reads what it holds";
                    self.left.file(Code::IgnoredFile, &to, what);
                    continue;
                }
                self.overlay.move_to(&to, &file);
                self.resumed.insert(file, to);
            }
        }
        Ok(())
    }
}

/// What part of the log a file that was set aside stood for.
struct Range {
    first: u32,
    last: u32,
    header: Option<SegmentHeader>,
}

impl Range {
    fn of(header: &SegmentHeader) -> Self {
        let (first, last) = (header.log_first.get(), header.log_last.get());
        Self { first, last, header: Some(*header) }
    }

    /// Whether `other` stands for a part of it, too.
    fn is_of(&self, other: &SegmentHeader) -> bool {
        let is_apart = other.log_last.get() < self.first || self.last < other.log_first.get();
        !is_apart && !self.header.is_some_and(|own| siblings(&own, other))
    }

    /// Whether segments were written behind it as if it had never been: their records have the
    /// sequences of those in it.
    fn is_passed_over(&self, directory: &Directory) -> bool {
        directory.headers.values().any(|header| {
            header.log_first.get() > self.last && header.previous_segment.get() < self.first
        })
    }
}
