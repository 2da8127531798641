//! Every call of the device fails in turn: with each fault, once and for ever.
//!
//! The writer must get a typed error and refuse to go on, everything promised before must be found
//! by a later opening, and what is in memory stays readable.

use std::sync::Arc;

use presence::device::{
    Device, Fault, FaultDevice, FaultPlan, MemoryDevice, RealDevice, SimDevice, Target,
};
use presence::{Database, Error, Level};

use crate::script::{Player, Step, bare, kind_of, play, random_script, stream_name};
use crate::support::{Kind, Replay, check_stream, figure, scaled, small};

/// Whether `error` is one that a failing device may lead to.
pub(crate) fn is_typed(error: &Error) -> bool {
    match error {
        Error::Io { .. } => true,
        Error::Poisoned { first } => is_typed(first),
        _ => false,
    }
}

/// What lies below the device that fails.
enum Ground {
    Simulated(SimDevice),
    /// Real files, in a directory that ends with the run.
    Real(tempfile::TempDir),
}

impl Ground {
    fn device(&self) -> Arc<dyn Device> {
        match self {
            Self::Simulated(sim) => bare(sim),
            Self::Real(directory) => Arc::new(RealDevice::open(directory.path()).unwrap()),
        }
    }
}

/// Runs `steps` with the fault in place. Returns whether it fired.
fn run(steps: &[Step], plan: FaultPlan, ground: &Ground) -> bool {
    let replay = format!("{plan:?}\nsteps {steps:?}");
    let _replay = Replay((plan, steps, "cargo test -p presence-tests --test all -- faults::"));
    let sim = match ground {
        Ground::Simulated(sim) => sim.clone(),
        Ground::Real(_) => SimDevice::new(),
    };
    let device = FaultDevice::new(ground.device());
    device.arm(plan);
    let mut player = match Player::create(&sim, Arc::new(device.clone())) {
        Ok(player) => player,
        Err(error) => {
            assert!(is_typed(&error), "creating: {error}\n{replay}");
            device.disarm();
            // Trying again works, or what was made already is there.
            match Database::create_on(ground.device(), small()) {
                Ok(_) => {}
                Err(Error::AlreadyExists { .. }) => {
                    Database::open_on(ground.device(), small()).unwrap();
                }
                Err(error) => panic!("creating again: {error}\n{replay}"),
            }
            return true;
        }
    };
    player.lossy = true;
    for step in steps {
        let Err(error) = player.step(*step) else { continue };
        assert!(is_typed(&error), "{step:?}: {error}\n{replay}");
        device.disarm();
        after_failure(&mut player, &replay);
        break;
    }
    device.disarm();
    let trace = player.end();
    let promise = trace.promised(usize::MAX);
    let db = Database::open_on(ground.device(), small());
    let db = db.unwrap_or_else(|error| panic!("reopening: {error}\n{replay}"));
    let report = db.report();
    assert!(report.damage.is_empty() && report.lost.is_empty(), "{report:?}\n{replay}");
    for (index, os) in promise.os.iter().enumerate() {
        let stream = db.stream(&stream_name(index));
        let stream = stream.unwrap_or_else(|error| panic!("{error}\n{replay}"));
        let found = check_stream(&stream, true);
        let found = found.unwrap_or_else(|what| panic!("{what}\n{replay}"));
        assert!(found.end >= *os, "{found:?}, promised {os}\n{replay}");
    }
    drop(db);
    let again = Database::open_on(ground.device(), small());
    let again = again.unwrap_or_else(|error| panic!("opening again: {error}\n{replay}"));
    assert!(again.report().is_clean(), "a second opening: {:?}\n{replay}", again.report());
    device.fired() > 0
}

/// What the handle that saw the failure still does: it reads, and it refuses to write.
fn after_failure(player: &mut Player, replay: &str) {
    let Some(db) = player.database() else { return };
    for stream in db.streams() {
        check_stream(&stream, true).unwrap_or_else(|what| panic!("{what}\n{replay}"));
    }
    match db.flush(Level::Disk) {
        Err(Error::Poisoned { first }) => assert!(is_typed(&first), "{first}\n{replay}"),
        Err(error) => panic!("after a failure: {error}\n{replay}"),
        // A failed compaction or removal of files leaves the log as it was: writing goes on.
        Ok(_) => {
            let rest = [Step::Append(0, 3), Step::Flush(Level::Disk), Step::Compact];
            let rest = rest.into_iter().chain([Step::Append(1, 3), Step::Flush(Level::Os)]);
            for step in rest {
                player
                    .step(step)
                    .unwrap_or_else(|error| panic!("then {step:?}: {error}\n{replay}"));
            }
            return;
        }
    }
    let refused = db.create_stream("another", Kind::Float.schema()).unwrap_err();
    assert!(matches!(refused, Error::Poisoned { .. }), "{refused}\n{replay}");
    for (index, appended) in player.appended().to_vec().into_iter().enumerate() {
        let truth = kind_of(index).truth();
        let slices = truth.slices(appended..appended + 1);
        let Some(writer) = player.open_writer(index) else { continue };
        let refused = writer.append(truth.times[appended as usize], &slices);
        let refused = refused.unwrap_err();
        assert!(matches!(refused, Error::Poisoned { .. }), "{refused}\n{replay}");
    }
}

fn simulated() -> Ground {
    Ground::Simulated(SimDevice::new())
}

fn real() -> Ground {
    Ground::Real(crate::support::quick_dir())
}

/// Fails call 1, 2, .. until a run sees no fault.
fn every_call(
    steps: &[Step],
    ground: fn() -> Ground,
    target: Target,
    fault: Fault,
    sticky: bool,
) -> u64 {
    let mut at = 1;
    while run(steps, FaultPlan { target, at, fault, sticky }, &ground()) {
        at += 1;
    }
    at - 1
}

#[test]
fn every_mutating_call_fails_in_turn() {
    let mut runs = 0;
    let mut scripts: Vec<Vec<Step>> =
        crate::crash::scripts().into_iter().map(|(_, steps)| steps).collect();
    scripts.extend((1..=scaled(6)).map(|seed| random_script(seed, 60)));
    for steps in &scripts {
        for fault in Fault::ALL {
            runs += every_call(steps, simulated, Target::Mutating, fault, false);
            runs += every_call(steps, simulated, Target::Mutating, fault, true);
        }
    }
    figure("faults injected (simulated)", runs);
    println!("runs with a fault in a mutating call: {runs}");
}

#[test]
fn every_mutating_call_on_real_files_fails_in_turn() {
    let mut runs = 0;
    let scripts = crate::crash::scripts();
    let chosen = ["flushes", "compaction", "finishing"];
    for (_, steps) in scripts.iter().filter(|(name, _)| chosen.contains(name)) {
        for fault in [Fault::Io, Fault::NoSpace, Fault::ShortWrite] {
            for sticky in [false, true] {
                runs += every_call(steps, real, Target::Mutating, fault, sticky);
            }
        }
    }
    figure("faults injected (real files)", runs);
    println!("runs on real files with a fault in a mutating call: {runs}");
}

#[test]
fn every_reading_call_of_a_writer_fails_in_turn() {
    let mut runs = 0;
    for (_, steps) in crate::crash::scripts() {
        for sticky in [false, true] {
            runs += every_call(&steps, simulated, Target::Reading, Fault::Io, sticky);
        }
    }
    figure("faults injected (simulated)", runs);
    println!("runs of writers with a fault in a reading call: {runs}");
}

/// Reads everything that `db` holds.
fn read_all(db: &Database) -> Result<Vec<u64>, Error> {
    let mut ends = Vec::new();
    for stream in db.streams() {
        let mut records = 0;
        for slice in stream.window(..)?.slices() {
            records += slice?.len() as u64;
        }
        assert_eq!(records, stream.len());
        for record in stream.iter()? {
            record?;
        }
        ends.push(records);
    }
    Ok(ends)
}

#[test]
fn every_call_of_a_reader_fails_in_turn_and_works_again() {
    for (name, steps) in crate::crash::scripts() {
        let trace = play(&steps, bare).unwrap();
        for map in [false, true] {
            let mut options = small();
            options.map = map;
            let db = Database::open_read_only_on(bare(&trace.sim), options.clone()).unwrap();
            let want = read_all(&db).unwrap();
            for at in 1.. {
                let device = FaultDevice::new(bare(&trace.sim));
                device.arm(FaultPlan {
                    target: Target::Reading,
                    at,
                    fault: Fault::Io,
                    sticky: at % 2 == 0,
                });
                let shared: Arc<dyn Device> = Arc::new(device.clone());
                let tell = |error: &Error| {
                    assert!(matches!(error, Error::Io { .. }), "{name}, call {at}: {error}");
                };
                match Database::open_read_only_on(shared, options.clone()) {
                    Err(error) => tell(&error),
                    Ok(db) => {
                        if let Err(error) = read_all(&db) {
                            tell(&error);
                        }
                        if let Err(error) = db.refresh() {
                            tell(&error);
                        }
                        device.disarm();
                        db.refresh().unwrap();
                        assert_eq!(read_all(&db).unwrap(), want, "{name}, call {at}");
                    }
                }
                if device.fired() == 0 {
                    break;
                }
            }
        }
    }
}

#[test]
fn threads_that_wait_are_told_of_a_failed_sync() {
    for (fault, sticky) in [(Fault::Io, true), (Fault::AfterEffect, false)] {
        for at in 1..=scaled(12) {
            let memory = MemoryDevice::new();
            let device = FaultDevice::new(Arc::new(memory.clone()));
            let mut options = small();
            options.background = true;
            options.flush_interval = std::time::Duration::from_millis(1);
            options.sync_interval = std::time::Duration::from_millis(2);
            options.write_buffer_bytes = 1024;
            let db = Database::create_on(Arc::new(device.clone()), options).unwrap();
            let streams: Vec<_> = (0..3)
                .map(|index| {
                    db.create_stream(&stream_name(index), kind_of(index).schema()).unwrap()
                })
                .collect();
            let target = Target::Mutating;
            device.arm(FaultPlan { target, at: at * 5, fault, sticky });
            let promised: Vec<u64> = std::thread::scope(|scope| {
                let writers: Vec<_> = streams
                    .iter()
                    .enumerate()
                    .map(|(index, stream)| scope.spawn(move || write_until_failure(index, stream)))
                    .collect();
                writers.into_iter().map(|writer| writer.join().unwrap()).collect()
            });
            let closed = db.close().unwrap_err();
            assert!(is_typed(&closed), "{closed}");
            drop(streams);
            device.disarm();
            let db = Database::open_on(Arc::new(memory), small()).unwrap();
            for (index, promised) in promised.into_iter().enumerate() {
                let stream = db.stream(&stream_name(index)).unwrap();
                let found = check_stream(&stream, false).unwrap();
                assert!(found.end >= promised, "{fault:?} at {at}: {found:?} < {promised}");
            }
        }
    }
}

/// Appends and flushes until the writer fails. Returns how many records were promised.
fn write_until_failure(index: usize, stream: &presence::Stream) -> u64 {
    let truth = kind_of(index).truth();
    let mut writer = match stream.column_writer() {
        Ok(writer) => writer,
        // Another thread met the fault before this one began.
        Err(error) => {
            assert!(is_typed(&error), "{error}");
            return 0;
        }
    };
    let mut promised = 0;
    for sequence in 0..crate::support::TRUTH_RECORDS {
        let slices = truth.slices(sequence..sequence + 1);
        let done = writer.append(truth.times[sequence as usize], &slices).and_then(|()| {
            if sequence % 16 == 0 {
                writer.flush(Level::Disk)?;
                promised = sequence + 1;
            }
            Ok(())
        });
        if let Err(error) = done {
            assert!(is_typed(&error), "{error}");
            return promised;
        }
    }
    panic!("the fault never fired");
}
