//! A block of a presence track: its containers, and the runs of ticks that are set.
//!
//! # Invariants
//! - What is shown was checked to the last container, or is said to be unsound.

use std::io::Write;

use presence_cli::failure::Result;
use presence_cli::output::Output;
use presence_format::FormatError;
use presence_format::block::WORDS_ONLY;
use presence_format::entry::Entry;
use presence_format::plane::{Container, Plane, REGION_CONTAINERS, Region};
use serde_json::{Value, json};

use crate::one::Form;

/// Whether `entry` is a block that stands for a region of a plane.
pub(crate) fn is_region(entry: &Entry) -> bool {
    entry.block.is_some_and(|block| block.set_ticks.get() != WORDS_ONLY)
}

/// Writes what a region holds: at most `limit` runs. What is wrong, where it is none, or not that
/// of its header.
///
/// # Errors
/// Where writing fails.
pub(crate) fn write(
    entry: &Entry,
    payload: &[u8],
    plane: &Plane,
    form: Form,
    out: &mut Output,
) -> Result<Result<(), String>> {
    let region = match Region::parse(payload) {
        Ok(region) => region,
        Err(FormatError { what, .. }) => return Ok(Err(what)),
    };
    let runs = runs(&region);
    let all = runs.len();
    let limit = usize::try_from(form.limit).unwrap_or(usize::MAX);
    let shown = runs.iter().take(limit);
    let time = |tick: i64| plane.start_us(tick);
    if form.json {
        let runs = shown.map(|&(from, to)| json!([from, to, time(from), time(to)]));
        let value = json!({
            "number": region.number(),
            "set_ticks": region.count(),
            "words": region.words(),
            "containers": containers(&region),
            "runs": runs.collect::<Vec<_>>(),
            "further_runs": all.saturating_sub(limit),
        });
        write!(out, ",\n\"region\":{value}")?;
    } else {
        writeln!(
            out,
            "\n  region {}: {} set ticks in {} words",
            region.number(),
            region.count(),
            region.words()
        )?;
        for container in containers(&region) {
            let number = |key: &str| container.get(key).cloned().unwrap_or_default();
            let form = container.get("form").and_then(Value::as_str).unwrap_or_default();
            let (at, set, rank) = (number("container"), number("set_ticks"), number("rank"));
            writeln!(out, "  container {at}: {form}, {set} set ticks behind {rank}")?;
        }
        writeln!(out)?;
        for &(from, to) in shown {
            writeln!(out, "  ticks {from} to {} ({} us to {} us)", to - 1, time(from), time(to))?;
        }
        if runs.len() > limit {
            writeln!(out, "  and {} more runs", runs.len() - limit)?;
        }
    }
    let stated = entry.block.map(|block| block.set_ticks.get());
    let is_named = stated == Some(region.count());
    let fault = || "its header says another number of set ticks".to_owned();
    Ok(if is_named { Ok(()) } else { Err(fault()) })
}

fn containers(region: &Region<'_>) -> Vec<Value> {
    let container = |number: u32| {
        let (container, rank) = region.container(number)?;
        let form = match container {
            Container::Sparse(_) => "sparse",
            Container::Runs { .. } => "runs",
            Container::Dense { .. } => "dense",
        };
        let set_ticks = container.count();
        Some(json!({"container": number, "form": form, "set_ticks": set_ticks, "rank": rank}))
    };
    (0..REGION_CONTAINERS).filter_map(container).collect()
}

/// The runs of set ticks: the first of each, and the one behind its last.
fn runs(region: &Region<'_>) -> Vec<(i64, i64)> {
    let (mut times, mut words) = (Vec::new(), Vec::new());
    region.records(&mut times, &mut words);
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for (start, word) in times.into_iter().zip(words) {
        let mut at = 0;
        while at < 64 && word >> at != 0 {
            let from = at + (word >> at).trailing_zeros();
            at = from + (word >> from).trailing_ones();
            let (from, to) = (start + i64::from(from), start.saturating_add(i64::from(at)));
            match runs.last_mut() {
                Some(last) if last.1 == from => last.1 = to,
                _ => runs.push((from, to)),
            }
        }
    }
    runs
}
