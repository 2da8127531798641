//! Scripts: what a writer does on a simulated device, and what was promised after each step.

use std::fmt;
use std::sync::Arc;

use presence::device::{Device, SimDevice};
use presence::{ColumnWriter, Database, Error, Level, Retention};

use crate::support::{Kind, Random, small};

/// One thing that a writer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Makes the next stream; its kind goes round.
    Create,
    /// Appends so many records to a stream, one by one.
    Append(usize, u64),
    /// Appends so many records to a stream in one batch.
    Batch(usize, u64),
    Flush(Level),
    /// Drops the database and opens it again.
    Drop,
    /// Closes the database and opens it again.
    Close,
    Compact,
    /// Compacts, and appends so many records to a stream, durably, whenever it tells of progress.
    CompactBeside(usize, u64),
    /// Keeps at most so many bytes.
    Retain(u64),
    /// Closes a stream for ever.
    Finish(usize),
}

/// What holds from some call of the device on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Promise {
    /// The device had seen so many mutating calls.
    pub(crate) calls: usize,
    /// Whether the database had been made.
    pub(crate) made: bool,
    /// Records of each stream at level `Os`, and at `Disk`.
    pub(crate) os: Vec<u64>,
    pub(crate) disk: Vec<u64>,
    /// The streams that were closed for ever.
    pub(crate) finished: Vec<bool>,
}

/// What a script did: its steps, its device, and its promises, ascending in calls.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) sim: SimDevice,
    pub(crate) promises: Vec<Promise>,
    /// From so many calls on, so many of each stream's first records may be given up.
    pub(crate) given_up: Vec<(usize, Vec<u64>)>,
}

impl Trace {
    /// What holds in a crash after `calls` calls.
    pub(crate) fn promised(&self, calls: usize) -> Promise {
        let count = self.promises.partition_point(|promise| promise.calls <= calls);
        count.checked_sub(1).map(|last| self.promises[last].clone()).unwrap_or_default()
    }

    /// How many of the first records of `stream` may be missing in a crash after `calls` calls.
    pub(crate) fn first_max(&self, calls: usize, stream: usize) -> u64 {
        // What was given up before the first call stays given up.
        let begun = self.given_up.iter().filter(|(from, _)| *from < calls || *from == 0);
        begun.filter_map(|(_, firsts)| firsts.get(stream).copied()).max().unwrap_or(0)
    }
}

/// The name of stream `index` of a script.
pub(crate) fn stream_name(index: usize) -> String {
    format!("{}-{index}", kind_of(index).name())
}

pub(crate) fn kind_of(index: usize) -> Kind {
    Kind::ALL[index % Kind::ALL.len()]
}

/// Runs scripts.
pub(crate) struct Player {
    device: Arc<dyn Device>,
    db: Option<Database>,
    writers: Vec<Option<ColumnWriter>>,
    appended: Vec<u64>,
    finished: Vec<bool>,
    /// Whether calls fail, so that dropping a database may lose what was not flushed.
    pub(crate) lossy: bool,
    trace: Trace,
}

impl fmt::Debug for Player {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Player({:?} appended)", self.appended)
    }
}

impl Player {
    /// Makes a database on `device`, which stands on `sim`.
    pub(crate) fn create(sim: &SimDevice, device: Arc<dyn Device>) -> Result<Self, Error> {
        let db = Database::create_on(Arc::clone(&device), small())?;
        let trace = Trace { sim: sim.clone(), promises: Vec::new(), given_up: Vec::new() };
        let mut player = Self {
            device,
            db: Some(db),
            writers: Vec::new(),
            appended: Vec::new(),
            finished: Vec::new(),
            lossy: false,
            trace,
        };
        player.promise();
        Ok(player)
    }

    /// Notes what the database says of itself now.
    fn promise(&mut self) {
        let Some(db) = &self.db else { return };
        let count = |level| -> Vec<u64> {
            let names = (0..self.appended.len()).map(stream_name);
            names.map(|name| db.stream(&name).unwrap().records_at(level)).collect()
        };
        self.trace.promises.push(Promise {
            calls: self.trace.sim.calls(),
            made: true,
            os: count(Level::Os),
            disk: count(Level::Disk),
            finished: self.finished.clone(),
        });
    }

    fn db(&self) -> &Database {
        self.db.as_ref().unwrap()
    }

    fn writer(&mut self, index: usize) -> Result<Option<&mut ColumnWriter>, Error> {
        if self.finished.get(index) != Some(&false) {
            return Ok(None);
        }
        if self.writers[index].is_none() {
            let stream = self.db().stream(&stream_name(index))?;
            self.writers[index] = Some(stream.column_writer()?);
        }
        Ok(self.writers[index].as_mut())
    }

    fn append(&mut self, index: usize, count: u64, batch: bool) -> Result<(), Error> {
        let Some(&from) = self.appended.get(index) else { return Ok(()) };
        let truth = kind_of(index).truth();
        let Some(writer) = self.writer(index)? else { return Ok(()) };
        if batch {
            let times = &truth.times[from as usize..(from + count) as usize];
            writer.append_columns(times, &truth.slices(from..from + count))?;
            self.appended[index] += count;
            return Ok(());
        }
        for sequence in from..from + count {
            let writer = self.writers[index].as_mut().unwrap();
            let slices = truth.slices(sequence..sequence + 1);
            writer.append(truth.times[sequence as usize], &slices)?;
            self.appended[index] += 1;
        }
        Ok(())
    }

    fn end_writers(&mut self) {
        self.writers.iter_mut().for_each(|writer| *writer = None);
    }

    fn open(&mut self) -> Result<(), Error> {
        let db = Database::open_on(Arc::clone(&self.device), small())?;
        let report = db.report();
        assert!(report.is_clean() || self.lossy, "not clean without a crash: {report:?}");
        for (index, appended) in self.appended.iter_mut().enumerate() {
            let held = db.stream(&stream_name(index))?.records_at(Level::Memory);
            assert!(held == *appended || (self.lossy && held < *appended), "{held} of {appended}");
            *appended = held;
        }
        self.db = Some(db);
        Ok(())
    }

    /// Takes one step.
    pub(crate) fn step(&mut self, step: Step) -> Result<(), Error> {
        match step {
            Step::Create => {
                let index = self.appended.len();
                self.db().create_stream(&stream_name(index), kind_of(index).schema())?;
                self.appended.push(0);
                self.finished.push(false);
                self.writers.push(None);
            }
            Step::Append(index, count) => self.append(index, count, false)?,
            Step::Batch(index, count) => self.append(index, count, true)?,
            Step::Flush(level) => {
                self.db().flush(level)?;
                for (index, appended) in self.appended.iter().enumerate() {
                    let held = self.db().stream(&stream_name(index))?.records_at(level);
                    assert_eq!(held, *appended, "flush({level:?}) and records_at differ");
                }
            }
            Step::Drop => {
                self.end_writers();
                self.db = None;
                self.open()?;
            }
            Step::Close => {
                self.end_writers();
                self.db.take().unwrap().close()?;
                self.open()?;
            }
            Step::Compact => {
                self.db().compact(|_, _| true)?;
            }
            Step::CompactBeside(index, count) => {
                let db = self.db().clone();
                let mut failure = None;
                let compacted = db.compact(|_, _| {
                    let done = self.append(index, count, true);
                    let done = done.and_then(|()| self.db().flush(Level::Disk).map(|_| ()));
                    self.promise();
                    failure = done.err();
                    failure.is_none()
                });
                compacted?;
                failure.map_or(Ok(()), Err)?;
            }
            Step::Retain(bytes) => {
                let before = self.trace.sim.calls();
                self.db().retain(Retention::bytes_max(bytes))?;
                let names = (0..self.appended.len()).map(stream_name);
                let firsts = names.map(|name| {
                    let stream = self.db().stream(&name).unwrap();
                    stream.records_at(Level::Memory) - stream.len()
                });
                let firsts = firsts.collect();
                self.trace.given_up.push((before, firsts));
            }
            Step::Finish(index) => {
                if self.writer(index)?.is_some() {
                    self.writers[index].take().unwrap().finish()?;
                    self.finished[index] = true;
                }
            }
        }
        self.promise();
        Ok(())
    }

    /// What the database said of itself last.
    pub(crate) fn promised(&self) -> &Promise {
        self.trace.promises.last().unwrap()
    }

    /// The running database, where there is one.
    pub(crate) fn database(&self) -> Option<Database> {
        self.db.clone()
    }

    /// The writer of a stream, where it has one.
    pub(crate) fn open_writer(&mut self, index: usize) -> Option<&mut ColumnWriter> {
        self.writers.get_mut(index)?.as_mut()
    }

    /// What the streams of the running database hold.
    pub(crate) fn appended(&self) -> &[u64] {
        &self.appended
    }

    /// Ends without closing, and hands out what was noted.
    pub(crate) fn end(mut self) -> Trace {
        self.end_writers();
        self.db = None;
        self.trace
    }
}

/// Runs a whole script on a fresh simulated device. `wrap` puts another device in between.
pub(crate) fn play(
    steps: &[Step],
    wrap: impl Fn(&SimDevice) -> Arc<dyn Device>,
) -> Result<Trace, Error> {
    let sim = SimDevice::new();
    let mut player = Player::create(&sim, wrap(&sim))?;
    steps.iter().try_for_each(|step| player.step(*step))?;
    Ok(player.end())
}

/// The simulated device itself.
pub(crate) fn bare(sim: &SimDevice) -> Arc<dyn Device> {
    Arc::new(sim.clone())
}

/// A script of `count` steps that `seed` determines.
pub(crate) fn random_script(seed: u64, count: usize) -> Vec<Step> {
    let mut random = Random(seed << 16);
    let mut steps = vec![Step::Create, Step::Create, Step::Create];
    while steps.len() < count {
        let stream = random.below(4) as usize;
        let some = 1 + random.below(12);
        let step = match random.below(40) {
            0..12 => Step::Append(stream, some),
            12..17 => Step::Batch(stream, some * 4),
            17..25 => Step::Flush(Level::Os),
            25..32 => Step::Flush(Level::Disk),
            32 => Step::Create,
            33 | 34 => Step::Drop,
            35 => Step::Close,
            36 | 37 => Step::Compact,
            38 => Step::Retain(8192),
            _ if stream == 3 => Step::Finish(stream),
            _ => Step::Batch(stream, 40),
        };
        steps.push(step);
    }
    steps
}
