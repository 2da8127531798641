//! The table of ratios: every workload beside its bare reference.
//!
//! `cargo bench -p presence-bench --bench ratios [-- [--test] [--json] [--only at,window]]`
//!
//! # Invariants
//! - With `--test` everything runs once on little data, and no number means anything.

use std::alloc::System;
use std::path::PathBuf;

use presence_bench::report::Report;
use presence_bench::setup::Setup;
use presence_bench::{Result, append, at, durable, joints, memory, opening, scan, tracks, window};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

type Workload = fn(&Setup, &mut Report) -> Result<()>;

const WORKLOADS: &[(&str, Workload)] = &[
    ("append", append::run),
    ("joints", joints::run),
    ("durable", durable::run),
    ("at", at::run),
    ("window", window::run),
    ("open", opening::run),
    ("scan", scan::run),
    ("memory", memory::run),
    ("tracks", tracks::run),
];

fn allocations() -> usize {
    let stats = ALLOCATOR.stats();
    stats.allocations + stats.reallocations
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let only = arguments.iter().skip_while(|argument| *argument != "--only").nth(1);
    let directory = std::env::var_os("PRESENCE_BENCH_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let setup = Setup { tiny: has("--test"), directory, allocations };
    let json = has("--json");
    let mut report = Report::new(!json);
    for (name, run) in WORKLOADS {
        if only.is_none_or(|only| only.split(',').any(|wanted| wanted == *name)) {
            run(&setup, &mut report)?;
        }
    }
    if json {
        println!("{:#}", report.json());
    }
    Ok(())
}
