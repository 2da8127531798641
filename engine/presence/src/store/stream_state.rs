//! One stream as the engine holds it: what never changes, the published view, and how far its
//! records have come.
//!
//! # Invariants
//! - `logged <= end of the view`, `durable <= logged`: each only grows.
//! - `view` is replaced whole; whoever loaded the old one keeps a consistent past.

use presence_format::Schema;
use presence_format::block::BlockLayout;

use crate::error::{Error, Result};
use crate::read::cache::Pages;
use crate::read::view::{Reader, StreamView};
use crate::record::Record;
use crate::shim::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::shim::{Arc, Swap};

/// A stream.
#[derive(Debug)]
pub(crate) struct StreamState {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) schema: Schema,
    pub(crate) layout: Arc<BlockLayout>,
    pub(crate) view: Swap<StreamView>,
    pub(crate) finished: AtomicBool,
    pub(crate) writer_taken: AtomicBool,
    /// Sequence up to which records are in the log, at level `Os`.
    pub(crate) logged: AtomicU64,
    /// What `logged` was when the sync now running began.
    pub(crate) syncing: AtomicU64,
    /// Sequence up to which records are durable, at level `Disk`.
    pub(crate) durable: AtomicU64,
    /// Timestamp of the last record found at opening.
    pub(crate) opened_last_ts: Option<i64>,
    /// Timestamp, bit by bit, of the last record put into a block since. Retention may give up the
    /// block, so the view does not tell.
    pub(crate) blocked_last_ts: AtomicU64,
    /// About as many bytes as the stream takes in a catalog.
    pub(crate) catalog_bytes: usize,
}

impl StreamState {
    /// A stream with this view, all of it in the log and durable up to `sequence`.
    pub(crate) fn new(
        id: u32,
        name: String,
        schema: Schema,
        view: StreamView,
        sequence: u64,
        last_ts: Option<i64>,
    ) -> Self {
        let mut encoded = Vec::new();
        schema.encode(&mut encoded);
        // Id, flags, sequence, timestamps and lengths take 56 bytes at most.
        let catalog_bytes = encoded.len() + name.len() + 56;
        Self {
            id,
            name,
            catalog_bytes,
            layout: Arc::new(BlockLayout::new(&schema)),
            schema,
            view: Swap::new(view),
            finished: AtomicBool::new(false),
            writer_taken: AtomicBool::new(false),
            logged: AtomicU64::new(sequence),
            syncing: AtomicU64::new(sequence),
            durable: AtomicU64::new(sequence),
            opened_last_ts: last_ts,
            blocked_last_ts: AtomicU64::new(last_ts.unwrap_or(i64::MIN).cast_unsigned()),
        }
    }

    /// Sequence after the last record, as of now.
    pub(crate) fn end_sequence(&self) -> u64 {
        self.view.load().end_sequence().max(self.logged.load(Ordering::Acquire))
    }

    /// Timestamp of the last record appended, retained or not.
    pub(crate) fn last_ts(&self) -> Option<i64> {
        let view = self.view.load();
        let parts = view.open.iter().chain(view.frozen.iter().rev());
        let last_word = |lane: &[u8]| lane.last_chunk::<8>().map(|word| i64::from_le_bytes(*word));
        parts
            .filter_map(|part| last_word(part.lane(0)))
            .next()
            .or_else(|| view.runs().last().map(|run| run.last_ts()))
            .max(self.opened_last_ts)
            .max(
                (self.logged.load(Ordering::Acquire) > 0)
                    .then(|| self.blocked_last_ts.load(Ordering::Acquire).cast_signed()),
            )
    }

    /// The columns in words: `value f64`.
    pub(crate) fn columns_in_words(&self) -> String {
        columns_in_words(self.schema.columns())
    }

    /// Refuses a Rust type whose columns are not the stream's.
    ///
    /// A type with one column fits a stream with one column whatever its name.
    pub(crate) fn check_record<T: Record>(&self) -> Result<()> {
        let given = T::columns();
        let columns = self.schema.columns();
        let fits = given.len() == columns.len()
            && given.iter().zip(columns).all(|(given, column)| {
                given.dtype() == column.dtype()
                    && given.shape() == column.shape()
                    && (columns.len() == 1 || given.name() == column.name())
            });
        if fits {
            return Ok(());
        }
        Err(Error::SchemaMismatch {
            stream: self.name.clone(),
            expected: self.columns_in_words(),
            given: columns_in_words(&given),
        })
    }
}

fn columns_in_words(columns: &[presence_format::Column]) -> String {
    let words: Vec<String> =
        columns.iter().map(|column| format!("{} {}", column.name(), column.type_name())).collect();
    words.join(", ")
}

/// A stream's view and the length of its open block, kept: what one answer is made from.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) stream: Arc<StreamState>,
    view: Arc<StreamView>,
    open_len: usize,
}

impl Snapshot {
    /// The stream as it is now.
    pub(crate) fn new(stream: &Arc<StreamState>) -> Self {
        let view = stream.view.load_full();
        let open_len = view.open.as_ref().map_or(0, |open| open.len());
        Self { stream: Arc::clone(stream), view, open_len }
    }

    /// What questions are asked of.
    pub(crate) fn reader<'a>(&'a self, pages: &'a Arc<Pages>) -> Reader<'a> {
        self.stream.reader(&self.view, self.open_len, pages)
    }
}

impl StreamState {
    /// A reader of `view`.
    #[inline]
    pub(crate) fn reader<'a>(
        &'a self,
        view: &'a StreamView,
        open_len: usize,
        pages: &'a Arc<Pages>,
    ) -> Reader<'a> {
        Reader {
            name: &self.name,
            order: self.schema.order(),
            layout: &self.layout,
            view,
            pages,
            open_len,
        }
    }
}
