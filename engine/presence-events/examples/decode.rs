//! How fast a file decodes, best of some rounds: `decode FILE [ROUNDS]`; with `--dump` in place of
//! the rounds every event as `t x y p`, for comparison with other readers.

use std::io::Write;
use std::time::Instant;

use presence_events::{AutoDecoder, Decoder, Options, Output, Recording};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let path = arguments.get(1).ok_or("decode FILE [ROUNDS | --dump]")?;
    let bytes = std::fs::read(path)?;
    if arguments.get(2).is_some_and(|word| word == "--dump") {
        return dump(bytes);
    }
    let rounds = arguments.get(2).map_or(Ok(20), |word| word.parse())?;
    let mut best = f64::INFINITY;
    let mut events = 0;
    let mut out = Output::default();
    for _ in 0..rounds {
        let start = Instant::now();
        let mut decoder = AutoDecoder::new(Options::default());
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let taken = decoder.feed(rest, &mut out)?;
            rest = rest.get(taken..).unwrap_or_default();
            out.clear();
        }
        decoder.finish(&mut out)?;
        out.clear();
        best = best.min(start.elapsed().as_secs_f64());
        events = decoder.report().events;
    }
    println!("{events} events, {:.1} M events/s", events as f64 / best / 1e6);
    Ok(())
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
