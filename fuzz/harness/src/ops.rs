//! A list of operations against a naive model, with a countdown to a power cut or a failing call.
//!
//! After a power cut some of what was not synced survives, by chance; recovery may be cut off
//! again. Whatever is found then must be a prefix of what was appended that holds everything
//! promised, and nothing may count as damage. After a failing call the error must tell of it, and
//! opening again must find all that had reached the system.

use std::sync::Arc;

use presence::device::{Device, Fault, FaultDevice, FaultPlan, SimDevice, Survivors, Target};
use presence::{ColumnWriter, Database, Error, Level, Retention, Stream, TimeUnit};

use crate::input::Input;
use crate::model::{self, Model, Row};
use crate::opened::options;

const OPERATIONS_MAX: usize = 80;
const STREAMS_MAX: usize = 4;
const ROWS_MAX: usize = 600;

pub(crate) fn ops_vs_model(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut world = World::new();
    world.arm(&mut input);
    world.open(&mut input, true);
    for _ in 0..OPERATIONS_MAX {
        if input.is_empty() {
            break;
        }
        if let Err(error) = world.operation(&mut input) {
            world.failed(&error, &mut input);
        }
    }
    world.disarm();
    if let Err(error) = world.reopen(true) {
        world.failed(&error, &mut input);
    }
}

struct World {
    sim: SimDevice,
    device: FaultDevice,
    /// Whether a call may fail.
    armed: bool,
    /// Whether the database was made for certain.
    made: bool,
    /// Whether the running operation may give up records.
    retaining: bool,
    db: Option<Database>,
    reader: Option<Database>,
    writers: Vec<Option<ColumnWriter>>,
    models: Vec<Model>,
}

fn over(sim: &SimDevice) -> FaultDevice {
    FaultDevice::new(Arc::new(sim.clone()))
}

/// Whether `error` is one that a failing device may lead to.
fn is_typed(error: &Error) -> bool {
    match error {
        Error::Io { .. } => true,
        Error::Poisoned { first } => is_typed(first),
        _ => false,
    }
}

impl World {
    fn new() -> Self {
        let sim = SimDevice::new();
        Self {
            device: over(&sim),
            sim,
            armed: false,
            made: false,
            retaining: false,
            db: None,
            reader: None,
            writers: Vec::new(),
            models: Vec::new(),
        }
    }

    /// Perhaps sets a countdown: to a power cut, or to a call that fails.
    fn arm(&mut self, input: &mut Input<'_>) {
        let after = usize::from(input.u8() % 64);
        match input.u8() % 8 {
            0 | 1 => self.sim.crash_after(self.sim.calls() + after),
            2 | 3 => self.device.arm(FaultPlan {
                target: input.pick(&[Target::Mutating, Target::Mutating, Target::Any]),
                at: after as u64 + 1,
                fault: input.pick(&Fault::ALL),
                sticky: input.bool(),
            }),
            _ => return,
        }
        self.armed = true;
    }

    fn disarm(&mut self) {
        self.device.disarm();
        self.sim.crash_after(usize::MAX);
    }

    fn shared(&self) -> Arc<dyn Device> {
        Arc::new(self.device.clone())
    }

    fn db(&self) -> &Database {
        self.db.as_ref().unwrap()
    }

    fn stream(&self, index: usize) -> Stream {
        self.db().stream(&self.models[index].name).unwrap()
    }

    fn end(&mut self) {
        self.writers.iter_mut().for_each(|writer| *writer = None);
        self.db = None;
    }

    /// After a failure: what it must look like, then what is found behind it.
    fn failed(&mut self, error: &Error, input: &mut Input<'_>) {
        assert!(self.armed, "nothing was to fail: {error}");
        assert!(is_typed(error), "not an error of a failing device: {error}");
        let cut = self.sim.crashed();
        if !cut {
            self.disarm();
            self.after_fault();
        }
        self.end();
        self.open(input, cut);
    }

    /// The handle that saw a failing call still reads, and writes no more or as if nothing was.
    fn after_fault(&self) {
        let Some(db) = &self.db else { return };
        for model in &self.models {
            let Ok(stream) = db.stream(&model.name) else { continue };
            let end = stream.records_at(Level::Memory) as usize;
            let first = end - stream.len() as usize;
            model.check(&stream, first, end).unwrap();
        }
        match db.flush(Level::Disk) {
            Ok(_) => {}
            Err(Error::Poisoned { first }) => assert!(is_typed(&first), "{first}"),
            Err(error) => panic!("after a failure: {error}"),
        }
    }

    /// Opens, or makes, the database, through as many power cuts as are to come.
    fn open(&mut self, input: &mut Input<'_>, mut cut: bool) {
        for attempt in 0.. {
            if self.sim.crashed() {
                self.survive(input);
                if attempt < 3 && input.u8().is_multiple_of(4) {
                    self.sim.crash_after(usize::from(input.u8() % 16));
                    self.armed = true;
                }
                cut = true;
            }
            match self.open_or_create() {
                Ok(db) => {
                    self.db = Some(db);
                    self.take_over(cut);
                    break;
                }
                Err(error) => {
                    assert!(self.armed && is_typed(&error), "opening: {error}");
                    self.device.disarm();
                }
            }
        }
    }

    fn open_or_create(&self) -> Result<Database, Error> {
        match Database::open_on(self.shared(), options()) {
            Err(Error::NotADatabase { .. }) if !self.made => {
                Database::create_on(self.shared(), options())
            }
            result => result,
        }
    }

    /// Puts a state in place that a power cut may have left.
    fn survive(&mut self, input: &mut Input<'_>) {
        let survivors = match input.u8() % 6 {
            0 => Survivors::NONE,
            1 => Survivors::ALL,
            2 => Survivors::Prefix(input.below(64)),
            3 => Survivors::Torn {
                others: input.bool(),
                bytes: input.below(1024),
                length: input.bool(),
            },
            _ => Survivors::Random(input.u64()),
        };
        let point = self.sim.crash_point(self.sim.calls()).unwrap();
        self.sim = point.state(survivors).device;
        self.device = over(&self.sim);
        self.armed = false;
        self.reader = None;
    }

    /// Compares what was found with what was promised, and makes it the model.
    fn take_over(&mut self, cut: bool) {
        self.made = true;
        let report = self.db().report().clone();
        assert!(report.damage.is_empty() && report.lost.is_empty(), "taken for rot: {report:?}");
        let streams = self.db().streams();
        assert!(streams.len() <= self.models.len());
        for gone in self.models.drain(streams.len()..) {
            let promised = if cut { gone.disk } else { gone.os };
            assert!(promised == 0 && !gone.finished, "{} is gone", gone.name);
        }
        self.writers = streams.iter().map(|_| None).collect();
        for (model, stream) in self.models.iter_mut().zip(&streams) {
            assert_eq!(stream.name(), model.name);
            let end = stream.records_at(Level::Memory) as usize;
            let first = end.checked_sub(stream.len() as usize).unwrap();
            let promised = if cut { model.disk } else { model.os };
            assert!(end >= promised, "{} ends at {end}, not {promised}", model.name);
            assert!(end <= model.rows.len(), "{} ends at {end}", model.name);
            assert!(first <= model.first || self.retaining, "{} begins at {first}", model.name);
            assert!(stream.is_finished() || !model.finished, "{} goes on", model.name);
            if let Err(error) = model.check(stream, first, end) {
                // A read may be the call that was to fail: then the next one does not.
                assert!(self.armed && is_typed(&error), "{error}");
                self.device.disarm();
                model.check(stream, first, end).unwrap();
            }
            model.rows.truncate(end);
            model.first = first;
            model.finished = stream.is_finished();
            // Whatever recovery found, it has made durable.
            (model.os, model.disk) = (end, end);
        }
        self.retaining = false;
    }

    /// Notes what the database promises now.
    fn promised(&mut self) {
        let Some(db) = &self.db else { return };
        for model in &mut self.models {
            let stream = db.stream(&model.name).unwrap();
            let at = |level| stream.records_at(level) as usize;
            assert!(at(Level::Disk) <= at(Level::Os) && at(Level::Os) <= model.rows.len());
            assert_eq!(at(Level::Memory), model.rows.len(), "{}", model.name);
            (model.os, model.disk) = (at(Level::Os), at(Level::Disk));
        }
    }

    fn operation(&mut self, input: &mut Input<'_>) -> Result<(), Error> {
        let kind = input.u8() % 24;
        let index = usize::from(input.u8()).checked_rem(self.models.len());
        match (kind, index) {
            (0, _) => self.create(input.u8())?,
            (1, _) => self.flush(Level::Os)?,
            (2 | 3, _) => self.flush(Level::Disk)?,
            (4, _) => self.reopen(input.bool())?,
            (5, _) => {
                self.db().compact(|_, _| true)?;
                self.ask_all()?;
            }
            (6, index) => self.retain(index, input)?,
            (7, _) => self.arm(input),
            (8, _) => self.follow()?,
            (9, _) => self.ask_all()?,
            (_, None) => self.create(input.u8())?,
            (10, Some(index)) => self.writers[index] = None,
            (11, Some(index)) => self.finish(index)?,
            (12..16, Some(index)) => self.models[index].ask(&self.stream(index), input)?,
            (16..20, Some(index)) => self.append_one(index, input)?,
            (_, Some(index)) => self.append_batch(index, input)?,
        }
        self.promised();
        Ok(())
    }

    fn create(&mut self, number: u8) -> Result<(), Error> {
        if self.models.len() == STREAMS_MAX {
            return Ok(());
        }
        let name = format!("stream {}/\u{1F4C8}", self.models.len());
        let schema = model::schema(number);
        self.models.push(Model {
            name: name.clone(),
            schema: schema.clone(),
            rows: Vec::new(),
            first: 0,
            os: 0,
            disk: 0,
            finished: false,
        });
        self.writers.push(None);
        self.db().create_stream(&name, schema.clone())?;
        let again = self.db().create_stream(&name, schema);
        assert!(matches!(again, Err(Error::StreamExists { .. })));
        Ok(())
    }

    fn flush(&mut self, level: Level) -> Result<(), Error> {
        self.db().flush(level)?;
        for (index, model) in self.models.iter().enumerate() {
            let held = self.stream(index).records_at(level) as usize;
            assert_eq!(held, model.rows.len(), "flush and records_at differ");
        }
        Ok(())
    }

    fn reopen(&mut self, close: bool) -> Result<(), Error> {
        self.writers.iter_mut().for_each(|writer| *writer = None);
        let db = self.db.take().unwrap();
        if close {
            db.close()?;
        } else {
            // Dropping flushes, but has no way to tell that it could not.
            let flushed = db.flush(Level::Os);
            drop(db);
            flushed?;
        }
        self.db = Some(Database::open_on(self.shared(), options())?);
        self.models.iter_mut().for_each(|model| model.os = model.rows.len());
        self.take_over(false);
        Ok(())
    }

    fn ask_all(&self) -> Result<(), Error> {
        for (index, model) in self.models.iter().enumerate() {
            let stream = self.stream(index);
            model.check(&stream, model.first, model.rows.len())?;
            assert_eq!(stream.is_finished(), model.finished);
        }
        Ok(())
    }

    /// Takes over what retention gave up.
    fn retain(&mut self, index: Option<usize>, input: &mut Input<'_>) -> Result<(), Error> {
        self.retaining = true;
        let before = index.filter(|_| input.bool()).map(|index| self.models[index].moment(input));
        let retention = match before {
            Some(before) => Retention::before_us(before),
            None => Retention::bytes_max(u64::from(input.u16())),
        };
        self.db().retain(retention)?;
        for index in 0..self.models.len() {
            let len = self.stream(index).len() as usize;
            let model = &mut self.models[index];
            let first = model.rows.len().checked_sub(len).unwrap();
            assert!(first >= model.first, "{} came back", model.name);
            let us = |row: &Row| match model.schema.time_unit() {
                TimeUnit::Us => row.0,
                TimeUnit::Ns => row.0.div_euclid(1000),
            };
            let lost = &model.rows[model.first..first];
            assert!(lost.iter().all(|row| before.is_none_or(|before| us(row) < before)));
            model.first = first;
        }
        self.retaining = false;
        self.ask_all()
    }

    /// What a reader beside the writer sees.
    fn follow(&mut self) -> Result<(), Error> {
        match &self.reader {
            Some(reader) => reader.refresh()?,
            None => {
                let device = Arc::new(self.sim.clone());
                self.reader = Some(Database::open_read_only_on(device, options())?);
            }
        }
        let reader = self.reader.as_ref().unwrap();
        for model in &self.models {
            let stream = reader.stream(&model.name).unwrap();
            let end = model.first + stream.len() as usize;
            assert!(end <= model.rows.len() && end >= model.os.max(model.first), "{}", model.name);
            model.check(&stream, model.first, end)?;
        }
        Ok(())
    }

    /// The stream's writer; none where it is finished.
    fn writer(&mut self, index: usize) -> Result<Option<&mut ColumnWriter>, Error> {
        if self.writers[index].is_none() {
            match self.stream(index).column_writer() {
                Ok(writer) => self.writers[index] = Some(writer),
                Err(Error::StreamFinished { .. }) => {
                    assert!(self.models[index].finished);
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(self.writers[index].as_mut())
    }

    fn finish(&mut self, index: usize) -> Result<(), Error> {
        if self.writer(index)?.is_some() {
            let writer = self.writers[index].take().unwrap();
            writer.finish()?;
            self.models[index].finished = true;
        }
        Ok(())
    }

    fn append_one(&mut self, index: usize, input: &mut Input<'_>) -> Result<(), Error> {
        let last = self.models[index].last_ts().unwrap_or(0);
        let ts = match input.u8() {
            255 => i64::MAX,
            254 => i64::MIN,
            back @ 240..254 => last.saturating_sub(i64::from(back - 240)),
            step => last.saturating_add(i64::from(step) / 8),
        };
        self.append(index, &[(ts, u32::from(input.u16()))])
    }

    fn append_batch(&mut self, index: usize, input: &mut Input<'_>) -> Result<(), Error> {
        let (count, step, seed) = (input.u8() % 60, i64::from(input.u8() % 6), input.u16());
        let mut ts = self.models[index].last_ts().unwrap_or(-5);
        let rows = (0..count).map(|number| {
            // Now and then one too early.
            let step = if seed == 7 && number == 9 { -3 } else { step };
            ts = ts.saturating_add(step);
            (ts, u32::from(seed) + u32::from(number / 5))
        });
        let rows: Vec<Row> = rows.collect();
        self.append(index, &rows)
    }

    /// Appends `rows` by one call; refused whole where one of them comes too early.
    fn append(&mut self, index: usize, rows: &[Row]) -> Result<(), Error> {
        if self.models[index].rows.len() + rows.len() > ROWS_MAX || self.writer(index)?.is_none() {
            return Ok(());
        }
        let model = &mut self.models[index];
        let order = model.schema.order();
        let ascends = rows.array_windows().all(|[a, b]| order.allows(a.0, b.0));
        let allowed = rows.first().is_none_or(|row| model.may_come(row.0)) && ascends;
        let columns = 0..model.schema.columns().len();
        let columns: Vec<Vec<u8>> =
            columns.map(|column| model::values(&model.schema, column, rows)).collect();
        let columns: Vec<&[u8]> = columns.iter().map(Vec::as_slice).collect();
        let times: Vec<i64> = rows.iter().map(|row| row.0).collect();
        if allowed {
            model.rows.extend_from_slice(rows);
        }
        let writer = self.writers[index].as_mut().unwrap();
        let done = match times.as_slice() {
            [ts] => writer.append(*ts, &columns),
            times => writer.append_columns(times, &columns),
        };
        match done {
            Ok(()) => assert!(allowed, "{rows:?} was taken"),
            Err(Error::TimeOrder { .. }) => assert!(!allowed, "{rows:?} was refused"),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
