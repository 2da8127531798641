//! An opened recording that hands out batches, decoded on a thread of its own.
//!
//! # Invariants
//! - Opening decodes up to the first events, so that a file that holds none, or is refused, fails
//!   before anything is made of it.
//! - At most a few batches wait to be taken: who takes them slowly slows the decoder down.
//! - After an error no batch is handed out; those decoded before it were.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use presence_events::{Format, SensorSize};
use presence_format::{Batch, Schema};

use super::beside::Filled;
use super::budget::Budget;
use super::options::EventOptions;
use super::reader::{Reader, Sink};
use super::report::EventReport;
use super::role::Role;
use crate::error::{IngestError, IngestErrorKind, Result};
use crate::progress::{Phase, Watch};
use crate::source::Input;

/// Batches that wait to be taken.
const WAITING: usize = 2;

/// What a recording holds, known before its first batch.
#[derive(Debug, Clone)]
pub struct EventDescription {
    /// The file's name without its extension, or the name given to a reader. It may be empty or
    /// hold any character: check it before it names a stream.
    pub stream_name: String,
    /// The format, given or detected.
    pub format: Format,
    /// The columns of the events.
    pub schema: Schema,
    /// The sensor's size, declared or from the file.
    pub sensor_size: Option<SensorSize>,
    /// The camera, where the file names it.
    pub camera: Option<String>,
    /// The least timestamp among the first events: `None` where none is among the first pieces of
    /// the file.
    pub first_ts: Option<i64>,
}

/// An opened recording: ask for its description, and take its batches.
#[derive(Debug)]
pub struct EventImport {
    description: EventDescription,
    report: EventReport,
    current: Option<Filled>,
    source: From,
}

#[derive(Debug)]
enum From {
    Thread { messages: Receiver<Message>, spare: Sender<Batch> },
    Done,
    Failed,
}

enum Message {
    Filled(Filled),
    Done(Box<EventReport>),
    Failed(IngestError),
}

/// Gathers what comes before the thread runs.
#[derive(Default)]
struct Held(Vec<Filled>);

impl Sink for Held {
    fn spare(&mut self) -> Option<Batch> {
        None
    }

    fn put(&mut self, filled: Filled) -> bool {
        self.0.push(filled);
        true
    }
}

/// Looks at nothing.
struct Nowhere;

impl Sink for Nowhere {
    fn spare(&mut self) -> Option<Batch> {
        None
    }

    fn put(&mut self, _: Filled) -> bool {
        true
    }
}

/// Hands over to another thread.
struct Handover {
    messages: SyncSender<Message>,
    spare: Receiver<Batch>,
}

impl Sink for Handover {
    fn spare(&mut self) -> Option<Batch> {
        self.spare.try_recv().ok()
    }

    fn put(&mut self, filled: Filled) -> bool {
        self.messages.send(Message::Filled(filled)).is_ok()
    }
}

impl EventImport {
    /// Opens a recording that was found to be one.
    pub(crate) fn of_input(
        input: &Input,
        options: &EventOptions,
        mut watch: Watch,
    ) -> Result<Self> {
        let budget = Budget::of(options.memory_bytes, options.window_events);
        let decode = options.decoder_options();
        let reader = || Reader::new(&input.name, input.bytes_of_file()?, &decode, budget);
        if options.strict {
            watch.enter(Phase::Check, Some(input.bytes));
            let mut reader = reader()?;
            while reader.advance(&mut watch, &mut Nowhere)? {}
            reader.finish(&mut watch, &mut Nowhere)?;
            watch.now.records = 0;
        }
        watch.enter(Phase::Read, Some(input.bytes));
        let (mut reader, mut held) = (reader()?, Held::default());
        let mut is_more = true;
        while is_more && reader.recording().report().first_t.is_none() && held.0.is_empty() {
            is_more = reader.advance(&mut watch, &mut held)?;
        }
        if !is_more {
            reader.finish(&mut watch, &mut held)?;
        }
        let schema = Role::Events.schema(None);
        let recording = reader.recording();
        let description = EventDescription {
            stream_name: input.stem.clone(),
            format: recording.format(),
            schema: schema.map_err(|error| {
                IngestError::new(IngestErrorKind::Unsupported, &input.name, error.what)
            })?,
            sensor_size: recording.sensor_size(),
            camera: recording.source().map(str::to_owned),
            first_ts: recording.report().min_t,
        };
        let (to, messages) = sync_channel(WAITING);
        let (spare, from) = channel();
        let sink = Handover { messages: to, spare: from };
        let decode = std::thread::Builder::new().name("presence-decode".to_owned());
        decode
            .spawn(move || run(reader, watch, held.0, is_more, sink))
            .map_err(|error| IngestError::io(&input.name, "begin to decode", error))?;
        let source = From::Thread { messages, spare };
        Ok(Self { description, report: EventReport::default(), current: None, source })
    }

    /// What the recording holds.
    pub fn description(&self) -> &EventDescription {
        &self.description
    }

    /// What became of it: complete after [`EventImport::next_batch`] gave `None`.
    pub fn report(&self) -> &EventReport {
        &self.report
    }

    /// The next batch with its role and columns, sorted by time; `None` at the end.
    ///
    /// # Errors
    /// I/O on the file; in strict mode its first damage; `Changed` where it became shorter. After
    /// an error every call gives one.
    pub fn next_batch(&mut self) -> Result<Option<(Role, &Schema, &Batch)>> {
        let From::Thread { messages, spare } = &self.source else {
            return match self.source {
                From::Failed => Err(self.gone("the import failed before; open it again")),
                _ => Ok(None),
            };
        };
        if let Some(used) = self.current.take().filter(|used| used.role == Role::Events) {
            // Where the decoder has ended, nobody needs it.
            let _unused = spare.send(used.batch);
        }
        match messages.recv() {
            Ok(Message::Filled(filled)) => {
                let filled = self.current.insert(filled);
                Ok(Some((filled.role, &filled.schema, &filled.batch)))
            }
            Ok(Message::Done(report)) => {
                self.report = *report;
                self.source = From::Done;
                Ok(None)
            }
            Ok(Message::Failed(error)) => {
                self.source = From::Failed;
                Err(error)
            }
            Err(_) => {
                self.source = From::Failed;
                Err(self.gone("the decoder ended without a word"))
            }
        }
    }

    fn gone(&self, what: &str) -> IngestError {
        IngestError::new(IngestErrorKind::Io, &self.description.stream_name, what)
    }
}

/// Decodes to the end and hands over.
fn run(mut reader: Reader, mut watch: Watch, held: Vec<Filled>, is_more: bool, mut sink: Handover) {
    if !held.into_iter().all(|filled| sink.put(filled)) {
        return;
    }
    let outcome = if is_more { decode(&mut reader, &mut watch, &mut sink) } else { Ok(()) };
    watch.enter(Phase::Done, None);
    let last = match outcome {
        Ok(()) => Message::Done(Box::new(reader.report())),
        Err(error) => {
            reader.drain(&mut sink);
            Message::Failed(error)
        }
    };
    // Who does not want it any more has dropped the import.
    let _unsent = sink.messages.send(last);
}

fn decode(reader: &mut Reader, watch: &mut Watch, sink: &mut Handover) -> Result<()> {
    while reader.advance(watch, sink)? {}
    reader.finish(watch, sink)
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Filled(_) => "Filled",
            Self::Done(_) => "Done",
            Self::Failed(_) => "Failed",
        })
    }
}
