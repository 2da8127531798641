//! What a caller may say about an input.
//!
//! # Invariants
//! - Nothing here is guessed: an absent option is found in the input or asked for by an error.

use crate::batch::SensorSize;
use crate::detect::Format;
use crate::text::TextOptions;

/// What the zero of decoded timestamps is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeBase {
    /// The camera's clock, as the file has it.
    #[default]
    Raw,
    /// EVT2, EVT2.1 and EVT3: the first time word is zero, as the maker's own tools have it. Other
    /// formats have no such word and stay raw.
    Shifted,
}

/// What to do where the input is not as its format says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnDamage {
    /// Leave it out, count it and go on; [`Report`](crate::Report) tells.
    #[default]
    Skip,
    /// Stop with an error at the byte. Events before it have been handed out.
    Refuse,
}

/// How to decode.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The format, where the content is not to be asked.
    pub format: Option<Format>,
    /// The sensor, where the header does not say it, or says it wrong: the declared one counts.
    pub sensor_size: Option<SensorSize>,
    /// The zero of timestamps.
    pub time_base: TimeBase,
    /// What to do about damage.
    pub on_damage: OnDamage,
    /// The path of the events in an HDF5 file that holds several, or has them at another place.
    pub dataset: Option<String>,
    /// How to read text; the unit of time counts for HDF5 too.
    pub text: TextOptions,
}
