//! Clocks, counters of the kernel, and paired measuring.
//!
//! # Invariants
//! - CPU time is that of the whole process, user and system, background threads included.

use std::fs;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

use crate::Result;

/// CPU time of the process so far, in nanoseconds.
pub fn cpu_ns() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// CPU nanoseconds that `work` takes, for each of `units`.
///
/// # Errors
/// Those of `work`.
pub fn cpu_each(units: usize, work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let began = cpu_ns();
    work()?;
    Ok((cpu_ns() - began) / units.max(1) as f64)
}

/// Nanoseconds by the clock that `work` takes, for each of `units`.
///
/// # Errors
/// Those of `work`.
pub fn wall_each(units: usize, work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let began = Instant::now();
    work()?;
    Ok(began.elapsed().as_nanos() as f64 / units.max(1) as f64)
}

/// The middle of `values`; zero where there are none.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    quantile(values, 0.5)
}

/// The value below which `share` of the sorted `values` lie.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let index = (values.len() as f64 * share) as usize;
    values.get(index.min(values.len().saturating_sub(1))).copied().unwrap_or(0.0)
}

/// Medians of two things that took turns, and the median of their ratios.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pair {
    /// Median of ours.
    pub ours: f64,
    /// Median of the reference.
    pub reference: f64,
    /// Median of ours by the reference of the same turn.
    pub ratio: f64,
}

/// Measures two things in turns.
///
/// # Errors
/// Those of the two.
pub fn paired(
    turns: usize,
    mut ours: impl FnMut(usize) -> Result<f64>,
    mut reference: impl FnMut(usize) -> Result<f64>,
) -> Result<Pair> {
    let (mut all_ours, mut references, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..turns {
        let (mine, theirs) = if turn % 2 == 0 {
            let mine = ours(turn)?;
            (mine, reference(turn)?)
        } else {
            let theirs = reference(turn)?;
            (ours(turn)?, theirs)
        };
        all_ours.push(mine);
        references.push(theirs);
        ratios.push(mine / theirs);
    }
    Ok(Pair {
        ours: median(&mut all_ours),
        reference: median(&mut references),
        ratio: median(&mut ratios),
    })
}

/// The number behind `key` in a file of `/proc/self`; `None` where the system has none.
fn proc_value(file: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/self/{file}")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim_start_matches(':').split_whitespace().next()?.parse().ok()
}

/// Bytes read by `read` calls so far; `None` where the system does not count.
pub fn bytes_read() -> Option<u64> {
    proc_value("io", "rchar")
}

/// `write` calls so far; `None` where the system does not count.
pub fn write_calls() -> Option<u64> {
    proc_value("io", "syscw")
}

/// Bytes of memory resident now.
pub fn resident() -> Option<u64> {
    proc_value("status", "VmRSS").map(|kib| kib * 1024)
}

/// Most bytes resident since [`reset_peak`].
pub fn peak() -> Option<u64> {
    proc_value("status", "VmHWM").map(|kib| kib * 1024)
}

/// Begins a new peak. Whether the system could is all one: the peak is then that of the process.
pub fn reset_peak() {
    let _refused = fs::write("/proc/self/clear_refs", "5");
}
