//! What the demo asks of its recording.
//!
//! # Invariants
//! - Times that are shown are of the question alone, asked a second time, with warm pages.

use std::collections::BTreeMap;
use std::time::Instant;

use presence::Database;

use super::picture;
use super::recorder::{DETECTIONS, JOINTS};
use super::rig::{CLASSES, Detection, Joints, PERSON};
use super::story::Story;
use presence_cli::failure::{Failure, Result};
use presence_cli::quantity::{count, counted, duration};

/// Columns of the pictures.
const COLUMNS: usize = 64;
/// The window that is asked for.
const WINDOW_US: i64 = 5_000_000;
/// The joint that is drawn.
const JOINT: usize = 2;

/// Asks for the state of the arm at `t_us`.
///
/// # Errors
/// As [`presence::TypedStream::at`].
pub(crate) fn state(db: &Database, t_us: i64, story: &mut Story) -> Result<()> {
    let joints = db.stream(JOINTS)?.typed::<Joints>()?;
    joints.at(t_us)?;
    let began = Instant::now();
    let found = joints.at(t_us)?;
    let spent = began.elapsed();
    let Some((ts, state)) = found else {
        return Err(Failure::damaged("the state of the arm is not there"));
    };
    let angles: Vec<String> = state.iter().map(|angle| format!("{angle:+.3}")).collect();
    story.line(&format!(
        "   The state of the arm at {} s, found in {}:",
        seconds(t_us),
        duration(spent)
    ))?;
    story.line(&format!("     {} rad  (measured {} us before)", angles.join(" "), t_us - ts))
}

/// Asks for the five seconds before `t_us`, and draws one joint.
///
/// # Errors
/// As [`presence::Stream::window`].
pub(crate) fn window(db: &Database, t_us: i64, story: &mut Story) -> Result<()> {
    let joints = db.stream(JOINTS)?;
    let from_us = t_us - WINDOW_US;
    joints.window(from_us..t_us)?.slices().try_for_each(|slice| slice.map(drop))?;
    let began = Instant::now();
    let window = joints.window(from_us..t_us)?;
    let slices = window.slices().collect::<presence::Result<Vec<_>>>()?;
    let spent = began.elapsed();
    story.line(&format!(
        "   The five seconds before: {} as {}, without a copy, in {}.",
        counted(window.len() as u64, "record"),
        counted(slices.len() as u64, "slice"),
        duration(spent)
    ))?;
    let mut angles = Vec::with_capacity(window.len());
    for slice in &slices {
        let states = slice.column::<f32>(0)?.as_chunks::<7>().0;
        angles.extend(states.iter().filter_map(|state| state.get(JOINT)));
    }
    story.line(&format!("   Joint {JOINT} in them, in radians:\n"))?;
    for line in picture::plot(&angles, COLUMNS) {
        story.line(&format!("   {line}"))?;
    }
    let (from, to) = (seconds(from_us), seconds(t_us));
    let gap = COLUMNS.saturating_sub(from.len() + to.len() + 4);
    story.line(&format!("           {from} s{}{to} s", " ".repeat(gap)))
}

/// Asks what was seen, and draws when. Returns how many persons there were.
///
/// # Errors
/// As [`presence::Stream::window`].
pub(crate) fn seen(db: &Database, end_us: i64, story: &mut Story) -> Result<usize> {
    let detections = db.stream(DETECTIONS)?.typed::<Detection>()?;
    let began = Instant::now();
    // For each class: its tracks, and for each column of the picture the tracks in it.
    let mut classes: BTreeMap<u16, (Vec<u32>, Vec<Vec<u32>>)> = BTreeMap::new();
    let (mut all, mut sure) = (0, 0);
    for slice in detections.window(..)?.slices() {
        let slice = slice?;
        for (index, &ts) in slice.timestamps().iter().enumerate() {
            let Some(seen) = slice.record::<Detection>(index) else { continue };
            all += 1;
            sure += u64::from(seen.class == PERSON && seen.confidence >= 0.9);
            let (tracks, columns) = classes
                .entry(seen.class)
                .or_insert_with(|| (Vec::new(), vec![Vec::new(); COLUMNS]));
            add(tracks, seen.track);
            let column = (ts.max(0) as usize * COLUMNS / (end_us.max(1) as usize)).min(COLUMNS - 1);
            if let Some(tracks) = columns.get_mut(column) {
                add(tracks, seen.track);
            }
        }
    }
    let spent = began.elapsed();
    let persons = classes.get(&PERSON).map_or(0, |(tracks, _)| tracks.len());
    story.line(&format!(
        "   {} persons were seen ({} detections of them with confidence 0.9 or more);",
        count(persons as u64),
        count(sure)
    ))?;
    let all = counted(all, "detection");
    story.line(&format!("   counted over all {all} in {}:\n", duration(spent)))?;
    for (class, (tracks, columns)) in &classes {
        let name = CLASSES.get(usize::from(*class)).copied().unwrap_or("?");
        let counts: Vec<usize> = columns.iter().map(Vec::len).collect();
        let bars = picture::bars(&counts);
        story.line(&format!("   {name:>7} │{bars}│ {}", counted(tracks.len() as u64, "track")))?;
    }
    let to = seconds(end_us);
    let gap = COLUMNS.saturating_sub(to.len() + 5);
    story.line(&format!("            0 s{}{to} s", " ".repeat(gap)))?;
    Ok(persons)
}

fn add(tracks: &mut Vec<u32>, track: u32) {
    if !tracks.contains(&track) {
        tracks.push(track);
    }
}

/// `41.5`.
pub(crate) fn seconds(us: i64) -> String {
    let text = format!("{:.1}", us as f64 * 1e-6);
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}
