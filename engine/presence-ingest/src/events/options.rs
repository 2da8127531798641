//! What the caller can choose about a recording of events.
//!
//! # Invariants
//! - The default works for every recording that says what it holds; nothing else is guessed.

use presence_events::{EventError, EventErrorKind, OnDamage};

use crate::error::{IngestError, IngestErrorKind};

/// Choices of an import of events.
#[derive(Debug, Clone)]
pub struct EventOptions {
    /// Format, sensor and unit of time where the file does not tell them.
    /// [`presence_events::Options::on_damage`] follows [`EventOptions::strict`].
    pub decode: presence_events::Options,
    /// Refuse the whole file at its first damage or timestamp that is below the one before. It is
    /// then decoded once before its first batch.
    pub strict: bool,
    /// Bytes for decoding, sorting and handing over: 128 MiB by default. A packet of AEDAT and a
    /// frame are held whatever the value.
    pub memory_bytes: usize,
    /// Most events that are held back to be sorted; `None` (default) is what the memory allows, at
    /// most 1,048,576.
    pub window_events: Option<usize>,
}

impl Default for EventOptions {
    fn default() -> Self {
        Self {
            decode: presence_events::Options::default(),
            strict: false,
            memory_bytes: 128 << 20,
            window_events: None,
        }
    }
}

impl EventOptions {
    /// What the decoder is given.
    pub(crate) fn decoder_options(&self) -> presence_events::Options {
        let on_damage = if self.strict { OnDamage::Refuse } else { OnDamage::Skip };
        presence_events::Options { on_damage, ..self.decode.clone() }
    }
}

/// The error of a decoder, as one of an import.
pub(crate) fn ingest_error(file: &str, error: &EventError) -> IngestError {
    let kind = match error.kind {
        EventErrorKind::UnknownFormat => IngestErrorKind::UnknownFormat,
        EventErrorKind::Unsupported => IngestErrorKind::Unsupported,
        EventErrorKind::Invalid => IngestErrorKind::Options,
        _ => IngestErrorKind::Malformed,
    };
    let is_placed = matches!(kind, IngestErrorKind::Malformed);
    let what = if is_placed { error.to_string() } else { error.what.clone() };
    IngestError::new(kind, file, what)
}
