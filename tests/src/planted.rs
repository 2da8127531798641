//! Faults planted below the engine, each of which the crash enumeration must find: a harness that
//! finds nothing proves nothing.
//!
//! All are planted in the device, so the engine that is tested is the one that is shipped.

use std::panic::{AssertUnwindSafe, catch_unwind};

use presence::device::CrashPolicy;

use crate::crash::{Plan, Wrap, enumerate};
use crate::planted_device::{Plant, planted};
use crate::script::{bare, play};
use crate::support::figure;

/// What the enumeration says of the scripts run over `wrap`; `None` where it finds nothing.
fn violation(wrap: Wrap) -> Option<String> {
    let mut plan = Plan::new(CrashPolicy { exhaustive_max: 10, ..CrashPolicy::quick(1) });
    plan.wrap = wrap;
    crate::crash::scripts().iter().find_map(|(name, steps)| {
        // Going on after a plant may fail by itself, or break what the player asserts: a find, too.
        match catch_unwind(AssertUnwindSafe(|| play(steps, wrap))) {
            Ok(Ok(trace)) => enumerate(&trace, &plan).err(),
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("the script itself panicked".to_owned()),
        }
        .map(|what| format!("{name}: {what}"))
    })
}

fn must_find(what: &str, wrap: Wrap) {
    let found = violation(wrap);
    let found = found.unwrap_or_else(|| panic!("the planted fault was not found: {what}"));
    figure("planted faults caught", 1);
    println!("planted: {what}; found: {found}");
}

#[test]
fn without_a_planted_fault_nothing_is_found() {
    assert_eq!(violation(bare), None);
}

#[test]
fn dropped_file_syncs_are_found() {
    must_find("syncs of files are dropped", |sim| {
        sim.drop_file_sync(true);
        bare(sim)
    });
}

#[test]
fn dropped_directory_syncs_are_found() {
    must_find("syncs of the directory are dropped", |sim| {
        sim.drop_directory_sync(true);
        bare(sim)
    });
}

#[test]
fn an_ack_before_the_sync_is_found() {
    must_find("ack before sync", |sim| planted(sim, Plant::AckBeforeSync));
}

#[test]
fn a_footer_before_its_data_is_found() {
    must_find("footer before data", |sim| planted(sim, Plant::FooterBeforeData));
}

#[test]
fn zeros_taken_for_data_are_found() {
    must_find("no zero check", |sim| planted(sim, Plant::NoZeroCheck));
}

#[test]
fn a_name_before_its_content_is_found() {
    must_find("rename before sync", |sim| planted(sim, Plant::RenameBeforeSync));
}

#[test]
fn an_ack_before_the_directory_sync_is_found() {
    must_find("ack before the directory's sync", |sim| planted(sim, Plant::AckBeforeDirectorySync));
}

#[test]
fn an_unlink_before_the_directory_sync_is_found() {
    must_find("unlink before the directory's sync", |sim| {
        planted(sim, Plant::UnlinkBeforeDirectorySync)
    });
}

#[test]
fn a_file_synced_once_only_is_found() {
    must_find("a file is synced once only", |sim| planted(sim, Plant::SyncOnce));
}

#[test]
fn a_sync_of_another_file_is_found() {
    must_find("another file is synced", |sim| planted(sim, Plant::SyncOfAnother));
}

#[test]
fn a_last_write_behind_its_sync_is_found() {
    must_find("the last write misses its sync", |sim| planted(sim, Plant::LastWriteMissesSync));
}

#[test]
fn lost_writes_are_found() {
    must_find("writes are lost", |sim| planted(sim, Plant::LostWrite));
}

#[test]
fn misdirected_writes_are_found() {
    must_find("writes land elsewhere", |sim| planted(sim, Plant::MisdirectedWrite));
}

#[test]
fn short_writes_taken_for_whole_are_found() {
    must_find("short writes are taken for whole", |sim| planted(sim, Plant::ShortWrite));
}
