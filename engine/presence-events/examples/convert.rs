//! A recording in another format: `convert IN FORMAT OUT [WIDTH HEIGHT]`, for comparison with other
//! readers, some of which refuse recordings without the sensor's size.
//! Formats are those that are written, `dsec` (HDF5 in its layout), `ecf` (HDF5 packed by it) and
//! `plain` (HDF5 packed by nothing).

use presence_events::{
    AutoDecoder, ChunkCompression, Decoder, EncodeOptions, Format, Hdf5Layout, Options, Output,
    SensorSize, encoder,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, from, format, into, size @ ..] = arguments.as_slice() else {
        return Err("convert IN FORMAT OUT [WIDTH HEIGHT]".into());
    };
    let mut all = Output::default();
    AutoDecoder::new(Options::default()).decode_all(&std::fs::read(from)?, &mut all)?;
    let sensor_size = match size {
        [width, height] => Some(SensorSize { width: width.parse()?, height: height.parse()? }),
        _ => all.events.sensor_size,
    };
    let mut options = EncodeOptions { sensor_size, ..EncodeOptions::default() };
    match format.as_str() {
        "dsec" => options.hdf5_layout = Hdf5Layout::Dsec,
        "ecf" => options.hdf5_compression = ChunkCompression::Ecf,
        "plain" => options.hdf5_compression = ChunkCompression::None,
        _ => {}
    }
    let is_hdf5 = ["dsec", "ecf", "plain"].contains(&format.as_str());
    let format = if is_hdf5 { Some(Format::Hdf5) } else { Format::of_name(format) };
    let mut encoder = encoder(format.ok_or("no such format")?, &options)?;
    let mut bytes = Vec::new();
    encoder.encode(&all.events, &mut bytes)?;
    encoder.finish(&mut bytes)?;
    std::fs::write(into, bytes)?;
    Ok(())
}
