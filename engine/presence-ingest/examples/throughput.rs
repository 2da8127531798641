//! Imports a file and prints how fast, and the most memory the process held.
//!
//! `cargo run --release -p presence-ingest --example throughput -- FILE [MEMORY_MIB]`

use std::error::Error;
use std::time::Instant;

use presence_ingest::{Import, Options, Source};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("usage: throughput FILE [MEMORY_MIB]")?;
    let mut options = Options::default();
    if let Some(mib) = args.next() {
        options.memory_bytes = mib.parse::<usize>()? << 20;
    }
    let begin = Instant::now();
    let mut import = Import::open(Source::path(&path), options)?;
    let scanned = begin.elapsed().as_secs_f64();
    while import.next_batch()?.is_some() {}
    let all = begin.elapsed().as_secs_f64();
    let mb = std::fs::metadata(&path).map_or(0.0, |meta| meta.len() as f64 / 1e6);
    let (report, is_sorted) = (import.report(), import.description().is_sorted);
    println!("{} records, {} skipped, sorted: {is_sorted}", report.records, report.skipped_total);
    for note in &report.notes {
        println!("note: {note}");
    }
    println!("{mb:.0} MB in {all:.2} s ({scanned:.2} s of it the scan): {:.0} MB/s", mb / all);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM ?"));
    Ok(())
}
