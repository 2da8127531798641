//! `presence-dump`: what the bytes of one segment are, and which of them are unsound.
//!
//! # Invariants
//! - Reads one file, and changes nothing.
//! - Goes on behind damage: everything that is sound is shown, whatever lies before it.
//! - Exit codes: 0 all is sound, 4 something is unsound, 8 the system failed, 16 usage.
//! - Knows the format and the device, not the engine's idea of a database.

#![forbid(unsafe_code)]

mod bytes;
mod ends;
mod hex;
mod json;
mod one;
mod region;
mod rows;
mod streams;
mod summary;
mod text;
mod walk;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgGroup, Parser};
use presence_cli::failure::{Failure, Outcome, Result};
use presence_cli::output::Output;
use presence_format::entry::EntryKind;

use bytes::Bytes;
use ends::Ends;
use one::Form;
use summary::Summary;
use walk::{Found, Part, Walk};

const PROGRAM: &str = "presence-dump";

const CODES: &str = "\
Exit codes: 0 everything is sound, 4 something is unsound (presence-fsck tells whether a crash may \
leave that, and what it costs), 8 the system failed, 16 wrong usage.";

/// Show what the bytes of a segment are: header, entries, index, footer; or one entry in full.
#[derive(Debug, Parser)]
#[command(name = "presence-dump", version, after_help = CODES, max_term_width = 100)]
#[command(group = ArgGroup::new("one").args(["block", "entry", "at"]))]
struct Cli {
    /// The segment's file.
    #[arg(value_name = "SEGMENT")]
    segment: PathBuf,
    /// As JSON, for programs.
    #[arg(long)]
    json: bool,
    /// One block, decoded to its records: the N-th of the file, from 0 on.
    #[arg(long, value_name = "N")]
    block: Option<u64>,
    /// One entry, by its number.
    #[arg(long, value_name = "N")]
    entry: Option<u32>,
    /// The entry at an offset; 0x begins a hexadecimal one.
    #[arg(long, value_name = "OFFSET", value_parser = offset)]
    at: Option<u32>,
    /// The bytes of the entry as they are stored.
    #[arg(long, requires = "one")]
    hex: bool,
    /// Show at most so many entries, records, or lines of bytes.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

fn offset(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("0x");
    let parsed = digits.map_or_else(|| text.parse(), |digits| u32::from_str_radix(digits, 16));
    parsed.map_err(|_| format!("{text:?} is not an offset; write it like 4096 or 0x1000"))
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(presence_cli::failure::refuse(PROGRAM, &error, 16)),
    };
    match cli.run() {
        Ok(outcome) => ExitCode::from(outcome.code()),
        Err(failure) => ExitCode::from(failure.with_fsck_code().tell(PROGRAM, cli.json)),
    }
}

/// The name of a kind of entry.
fn kind_name(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Catalog => "catalog",
        EntryKind::Block => "block",
        EntryKind::Frame => "frame",
        EntryKind::Index => "index",
    }
}

impl Cli {
    fn run(&self) -> Result<Outcome> {
        let mut file = Bytes::open(&self.segment)?;
        let ends = Ends::read(&mut file)?;
        if self.block.is_some() || self.entry.is_some() || self.at.is_some() {
            return self.one(&mut file, &ends);
        }
        let path = file.path().to_owned();
        let out = Output::stdout();
        let mut summary = Summary::new(&ends);
        let mut listing = if self.json {
            Listing::Json(json::Document::begin(out, &path, &ends)?)
        } else {
            Listing::Text(text::Listing::begin(out, &path, &ends)?)
        };
        let mut walk = Walk::new(&mut file, &ends);
        let mut left = self.limit.unwrap_or(u64::MAX);
        let mut hidden = 0;
        while let Some(part) = walk.next()? {
            summary.take(&part);
            if left == 0 {
                hidden += 1;
                continue;
            }
            left -= 1;
            match &mut listing {
                Listing::Json(document) => document.part(&part, &walk.streams)?,
                Listing::Text(listing) => listing.part(&part, &walk.streams)?,
            }
        }
        summary.finish(&ends);
        match listing {
            Listing::Json(document) => document.end(&ends, &walk.streams, &summary, hidden)?,
            Listing::Text(listing) => listing.end(&ends, &walk.streams, &summary, hidden)?,
        }
        Ok(if summary.is_sound() { Outcome::Fine } else { Outcome::Damaged })
    }

    fn is_wanted(&self, found: &Found) -> bool {
        let header = &found.entry.header;
        (self.block.is_some() && self.block == found.block)
            || self.entry == Some(header.number.get())
            || self.at == Some(header.offset.get())
    }

    fn one(&self, file: &mut Bytes, ends: &Ends) -> Result<Outcome> {
        let limit = self.limit.unwrap_or(u64::MAX);
        let form = Form { json: self.json, hex: self.hex, limit };
        let mut walk = Walk::new(file, ends);
        let (mut entries, mut blocks) = (0_u64, 0_u64);
        while let Some(part) = walk.next()? {
            match part {
                Part::Entry(found) if self.is_wanted(&found) => {
                    let streams = std::mem::take(&mut walk.streams);
                    return one::entry(file, &found, &streams, form, Output::stdout());
                }
                Part::Entry(found) => {
                    entries += 1;
                    blocks += u64::from(found.block.is_some());
                }
                _ => {}
            }
        }
        if let Some(at) = self.at {
            let at = u64::from(at);
            if at >= file.len() {
                let what = format!("offset {at} is behind the file's {} bytes", file.len());
                return Err(Failure::usage(what));
            }
            let what = match ends.place {
                Some(place) => {
                    let parsed = presence_format::entry::Entry::parse(
                        file.get(at, 128)?,
                        place,
                        u32::try_from(at).unwrap_or(u32::MAX),
                    );
                    parsed.map_or_else(|error| error.what, |_| "inside another entry".to_owned())
                }
                None => "no entry of the segment is sound".to_owned(),
            };
            return one::no_entry(file, at, &what, form, Output::stdout());
        }
        let (what, all) = match self.block {
            Some(block) => (format!("no block {block}"), format!("{blocks} blocks")),
            None => (
                format!("no sound entry {}", self.entry.unwrap_or_default()),
                format!("{entries} entries"),
            ),
        };
        Err(Failure::usage(format!("{what}: the segment has {all} that can be found")))
    }
}

/// How the whole is shown.
enum Listing {
    Json(json::Document),
    Text(text::Listing),
}
