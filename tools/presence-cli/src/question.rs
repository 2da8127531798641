//! What the questions about presence tracks share: which track, which classes, which time.
//!
//! # Invariants
//! - A tick belongs to a range of time where it begins in it, so ranges that touch share none, and
//!   the frames of a range are those that `presence window` shows of the stream beside it.

use std::ops::Bound;
use std::path::PathBuf;

use clap::Args;
use presence::{Database, Edge, Expression, PresenceTrack, TimeUnit};

use crate::open;
use presence_cli::failure::{Failure, Result};
use presence_cli::moment::Moment;

/// What is asked of a presence track.
#[derive(Debug, Args)]
pub(crate) struct Question {
    /// The database.
    #[arg(value_name = "DB")]
    db: PathBuf,
    /// The presence track.
    track: String,
    /// Classes, by name or number, with ! & | and parentheses: 'Car & !(Van | 3)'.
    expression: String,
    #[command(flatten)]
    range: Range,
}

/// A range of time; all that was observed, where it is not given.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Range {
    /// The first time; by default where observation begins.
    #[arg(allow_negative_numbers = true, requires = "t1")]
    t0: Option<Moment>,
    /// The time before which it ends; by default where observation ends. A tick that begins before
    /// the first time, or at this one, is not in it.
    #[arg(allow_negative_numbers = true)]
    t1: Option<Moment>,
}

impl Range {
    /// Its ends, in microseconds.
    ///
    /// # Errors
    /// Where they are no timestamps.
    pub(crate) fn bounds(self) -> Result<(Bound<i64>, Bound<i64>)> {
        let bound = |moment: Option<Moment>, bound: fn(i64) -> Bound<i64>| match moment {
            Some(moment) => moment.ceil(TimeUnit::Us).map(bound),
            None => Ok(Bound::Unbounded),
        };
        Ok((bound(self.t0, Bound::Included)?, bound(self.t1, Bound::Excluded)?))
    }
}

/// A question whose track was found.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) track: PresenceTrack,
    pub(crate) expression: Expression,
    pub(crate) range: (Bound<i64>, Bound<i64>),
}

impl Question {
    /// Opens the database and finds the track and its classes.
    ///
    /// # Errors
    /// Where there is no such track, or the expression is none over its classes.
    pub(crate) fn ask(&self) -> Result<Asked> {
        let expression = parsed(&self.expression)?;
        let range = self.range.bounds()?;
        let db = open::to_read(&self.db)?;
        let track = track(&db, &self.track)?;
        known(&track, &expression)?;
        Ok(Asked { track, expression, range })
    }
}

/// The expression in `text`.
///
/// # Errors
/// Where it is none, with a mark where it ceases to be one.
pub(crate) fn parsed(text: &str) -> Result<Expression> {
    text.parse().map_err(|error| Failure::expression(text, &error))
}

/// The track called `name`, whose ranges take the ticks that begin in them.
///
/// # Errors
/// Where there is none, telling which there are.
pub(crate) fn track(db: &Database, name: &str) -> Result<PresenceTrack> {
    let found = db.track(name).map(|track| track.with_edge(Edge::Start));
    found.map_err(|error| {
        let failure = Failure::from(error);
        let tracks = db.tracks();
        if tracks.is_empty() {
            return failure.with("the database holds none; an import of MOT or KITTI makes one");
        }
        failure.with(&format!("it holds {}", some_of(tracks.iter().map(PresenceTrack::name))))
    })
}

/// Refuses names that are no classes of the track, telling which there are.
///
/// # Errors
/// As [`PresenceTrack::ratio`].
pub(crate) fn known(track: &PresenceTrack, expression: &Expression) -> Result<()> {
    // No tick is in this range: nothing but the names is looked at.
    track.count(expression, 0..0).map(drop).map_err(|error| {
        let is_name = matches!(error, presence::Error::Invalid { .. });
        let failure = Failure::from(error);
        let classes = track.classes();
        let names: Vec<&str> = classes.iter().filter_map(|class| class.name.as_deref()).collect();
        if names.is_empty() || !is_name {
            return failure;
        }
        failure.with(&format!("the track has {}", some_of(names.into_iter())))
    })
}

/// The first of `names`, quoted.
fn some_of<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 20;
    let hidden = names.len().saturating_sub(SHOWN);
    let mut shown: Vec<String> = names.take(SHOWN).map(|name| format!("{name:?}")).collect();
    if hidden > 0 {
        shown.push(format!("and {hidden} more"));
    }
    shown.join(", ")
}
