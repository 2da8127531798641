//! The decoders of event cameras: nothing panics, pieces give what the whole gives, and no input
//! gives more than its bytes can hold.
//!
//! # Invariants
//! - The first byte chooses the options, the second the size of pieces; the others are the input,
//!   behind a header of the format where the first byte says so.

use presence_events::{
    EncodeOptions, Event, EventBatch, Format, OnDamage, Options, Output, Report, SensorSize,
    TimeBase, decoder, encoder,
};

use crate::mutate::mix;

/// The target of each format, in their order; the name in [`seeds`] leads back.
macro_rules! targets {
    ($($name:ident $format:ident),* $(,)?) => {
        $(pub(crate) fn $name(bytes: &[u8]) {
            check(Format::$format, bytes);
        })*

        fn format_of(target: &str) -> Option<Format> {
            match target.strip_prefix("events_")? {
                $(stringify!($name) => Some(Format::$format),)*
                _ => None,
            }
        }
    };
}

targets! {
    evt2 Evt2,
    evt21 Evt21,
    evt3 Evt3,
    dat Dat,
    aedat1 Aedat1,
    aedat2 Aedat2,
    aedat3 Aedat3,
    aedat4 Aedat4,
    event_stream EventStream,
    bin40 Bin40,
    hdf5 Hdf5,
    text Text,
}

fn header(format: Format, choice: u8) -> &'static [u8] {
    match format {
        Format::Evt2 => b"% evt 2.0\n% end\n",
        Format::Evt21 if choice & 8 == 0 => b"% evt 2.1\n% end\n",
        Format::Evt21 => b"% format EVT21;endianness=legacy\n% end\n",
        Format::Evt3 => b"% evt 3.0\n% end\n",
        Format::Dat if choice & 8 == 0 => b"% Version 2\n\x0c\x08",
        Format::Dat => b"% Version 1\n\x00\x08",
        Format::Aedat1 => b"#!AER-DAT1.0\r\n",
        Format::Aedat2 if choice & 8 == 0 => b"#!AER-DAT2.0\r\n# AEChip: Davis240C\r\n",
        Format::Aedat2 => b"#!AER-DAT2.0\r\n# AEChip: DVS128\r\n",
        Format::Aedat3 => b"#!AER-DAT3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n",
        Format::Aedat4 => b"#!AER-DAT4.0\r\n",
        Format::EventStream => b"Event Stream\x02\0\0",
        Format::Text => b"t_us,x,y,p\n",
        _ => b"",
    }
}

fn check(format: Format, bytes: &[u8]) {
    let [choice, size, body @ ..] = bytes else { return };
    let head = if choice & 1 == 0 { header(format, *choice) } else { b"" };
    let input = [head, body].concat();
    let sized = choice & 16 != 0;
    let options = Options {
        format: Some(format),
        on_damage: if choice & 2 == 0 { OnDamage::Skip } else { OnDamage::Refuse },
        time_base: if choice & 4 == 0 { TimeBase::Raw } else { TimeBase::Shifted },
        sensor_size: sized.then_some(SensorSize { width: 240, height: 180 }),
        ..Options::default()
    };
    let whole = decoded(&options, std::iter::once(input.as_slice()));
    let pieces = decoded(&options, input.chunks(usize::from(*size).max(1)));
    assert_eq!(whole, pieces, "{format} depends on how it is cut");
    if format != Format::Aedat4 {
        let most = if format == Format::Hdf5 { 256 } else { 12 };
        assert!(whole.events.len() <= input.len() * most, "{format} gives more than it got");
    }
}

#[derive(Debug, PartialEq)]
struct Decoded {
    events: EventBatch,
    others: String,
}

fn decoded<'a>(options: &Options, pieces: impl Iterator<Item = &'a [u8]>) -> Decoded {
    let mut decoder = decoder(options.format.unwrap(), options).unwrap();
    let (mut events, mut others) = (EventBatch::new(), Vec::new());
    let mut part = Output::new(500);
    let mut take = |part: &mut Output| {
        events.extend_from(&part.events, 0..part.events.len());
        let frames = part.frames.iter().map(|frame| format!("{frame:?}"));
        let imu = part.imu.iter().map(|sample| format!("{sample:?}"));
        let triggers = part.triggers.iter().map(|trigger| format!("{trigger:?}"));
        others.extend(frames.chain(imu).chain(triggers));
        part.clear();
    };
    let error = 'error: {
        for mut piece in pieces {
            while !piece.is_empty() {
                let fed = decoder.feed(piece, &mut part);
                assert!(fed != Ok(0) || part.is_full(), "takes nothing, and is not full");
                take(&mut part);
                match fed {
                    Ok(taken) => piece = &piece[taken..],
                    Err(error) => break 'error Some(error),
                }
            }
        }
        let ended = decoder.finish(&mut part);
        take(&mut part);
        ended.err()
    };
    // How many faults there were depends on the pieces: a chunk tells its dropped events once.
    let report = Report { faults: Vec::new(), faults_total: 0, ..decoder.report().clone() };
    others.sort();
    others.push(format!("{report:?} {error:?} {:?}", decoder.sensor_size()));
    Decoded { events, others: others.concat() }
}

/// Files of different forms, which the tests of the decoder have too.
const HDF5: &[&[u8]] = &[
    include_bytes!("../../../engine/presence-events/tests/hdf5/single_chunk_gzip.h5"),
    include_bytes!("../../../engine/presence-events/tests/hdf5/chunked_v110.h5"),
    include_bytes!("../../../engine/presence-events/tests/hdf5/growing_gzip.h5"),
    include_bytes!("../../../engine/presence-events/tests/hdf5/compact.h5"),
    include_bytes!("../../../engine/presence-events/tests/hdf5/mvsec_tree_gzip.h5"),
    include_bytes!("../../../engine/presence-events/tests/hdf5/dsec.h5"),
];

/// Inputs that the fuzzer begins with: what a writer makes, and bytes of small words.
pub(crate) fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let Some(format) = format_of(target) else { return Vec::new() };
    let event = |i: u64| Event {
        t: (i * i / 3) as i64,
        x: (mix(i / 9) % 200 + i % 9) as u16,
        y: (mix(i / 9 + 1000) % 180) as u16,
        polarity: (i / 9 % 2) as u8,
    };
    let events: EventBatch = (0..200).map(event).collect();
    let mut inputs = Vec::new();
    if let Ok(mut encoder) = encoder(format, &EncodeOptions::default()) {
        let mut bytes = Vec::new();
        encoder.encode(&events, &mut bytes).unwrap();
        encoder.finish(&mut bytes).unwrap();
        inputs.push([&[1, 64], bytes.as_slice()].concat());
    }
    if format == Format::Hdf5 {
        inputs.extend(HDF5.iter().map(|bytes| [&[1, 200], *bytes].concat()));
    }
    for choice in [0, 2, 8, 16] {
        let body = (0..400_u64).map(|i| (mix(i + 7) >> (mix(i) % 8)) as u8);
        inputs.push([choice, 13].into_iter().chain(body).collect());
    }
    let named = inputs.into_iter().enumerate();
    named.map(|(index, bytes)| (format!("{target}-{index}"), bytes)).collect()
}
