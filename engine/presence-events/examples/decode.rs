//! How fast a file is read and decoded, best of some rounds: `decode FILE [ROUNDS]`; with `--dump`
//! in place of the rounds every event as `t x y p`, for comparison with other readers.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::time::Instant;

use presence_events::{ByteSource, EventError, Options, Output, Recording};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let path = arguments.get(1).ok_or("decode FILE [ROUNDS | --dump]")?;
    if arguments.get(2).is_some_and(|word| word == "--dump") {
        return dump(std::fs::read(path)?);
    }
    let rounds = arguments.get(2).map_or(Ok(20), |word| word.parse())?;
    let mut best = f64::INFINITY;
    let mut events = 0;
    let mut out = Output::default();
    for _ in 0..rounds {
        let start = Instant::now();
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let source = Box::new(Source { file, bytes });
        let mut recording = Recording::open(source, &Options::default())?;
        while recording.read(&mut out)? {
            out.clear();
        }
        out.clear();
        best = best.min(start.elapsed().as_secs_f64());
        events = recording.report().events;
    }
    println!("{events} events, {:.1} M events/s", events as f64 / best / 1e6);
    Ok(())
}

/// A file, read where it lies.
#[derive(Debug)]
struct Source {
    file: File,
    bytes: u64,
}

impl ByteSource for Source {
    fn bytes_total(&self) -> u64 {
        self.bytes
    }

    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> Result<(), EventError> {
        let sought = self.file.seek(SeekFrom::Start(offset));
        let read = sought.and_then(|_| self.file.read_exact(into));
        read.map_err(|error| EventError::unreadable(offset, error.to_string()))
    }
}

fn dump(bytes: Vec<u8>) -> Result<(), Box<dyn std::error::Error>> {
    let mut recording = Recording::open(Box::new(bytes), &Options::default())?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut part = Output::default();
    loop {
        let more = recording.read(&mut part)?;
        for event in part.events.iter() {
            writeln!(out, "{} {} {} {}", event.t, event.x, event.y, event.polarity)?;
        }
        part.clear();
        if !more {
            return Ok(());
        }
    }
}
