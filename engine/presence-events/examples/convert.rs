//! A recording in another format: `convert IN FORMAT OUT`, for comparison with other readers.

use presence_events::{AutoDecoder, Decoder, EncodeOptions, Format, Options, Output, encoder};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, from, format, into] = arguments.as_slice() else {
        return Err("convert IN FORMAT OUT".into());
    };
    let mut all = Output::default();
    AutoDecoder::new(Options::default()).decode_all(&std::fs::read(from)?, &mut all)?;
    let format = Format::of_name(format).ok_or("no such format")?;
    let sensor_size = all.events.sensor_size;
    let mut encoder = encoder(format, &EncodeOptions { sensor_size, ..EncodeOptions::default() })?;
    let mut bytes = Vec::new();
    encoder.encode(&all.events, &mut bytes)?;
    encoder.finish(&mut bytes)?;
    std::fs::write(into, bytes)?;
    Ok(())
}
