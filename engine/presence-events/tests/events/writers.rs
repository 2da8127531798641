//! What is written comes back: any events, any batches, every format that is written.

use presence_events::{
    ChunkCompression, Column, EncodeOptions, Event, EventBatch, EventErrorKind, Format, Hdf5Layout,
    Options, PacketCompression, SensorSize, TextStyle, TimeUnit, Trigger, encoder,
};
use proptest::prelude::*;

use crate::support::{Decoded, in_pieces, recording, scaled, whole};

const WRITTEN: [Format; 6] =
    [Format::Evt2, Format::Evt3, Format::Dat, Format::Aedat4, Format::Hdf5, Format::Text];

fn encode(format: Format, options: &EncodeOptions, events: &[Event], batch: usize) -> Vec<u8> {
    let mut encoder = encoder(format, options).unwrap();
    let mut bytes = Vec::new();
    for events in events.chunks(batch) {
        let events: EventBatch = events.iter().copied().collect();
        encoder.encode(&events, &mut bytes).unwrap();
    }
    encoder.finish(&mut bytes).unwrap();
    bytes
}

fn read(bytes: &[u8]) -> Decoded {
    let got = whole(bytes, &Options::default());
    assert_eq!((&got.error, got.report.faults_total), (&None, 0));
    got
}

/// Events that rise in time by steps of all sizes, with runs within a row.
fn events() -> impl Strategy<Value = Vec<Event>> {
    let step = prop_oneof![
        6 => Just(0_i64),
        3 => 0..100_i64,
        1 => 0..10_000_i64,
        1 => 0..100_000_000_i64,
    ];
    let event = (step, 0..2048_u16, 0..4_u16, any::<bool>(), 0..4_u16);
    proptest::collection::vec(event, 1..300).prop_map(|steps| {
        let (mut t, mut x, mut y) = (0, 0_u16, 0);
        let each = steps.into_iter().map(|(step, far, row, on, near)| {
            t += step;
            (x, y) = if step == 0 { ((x + near) % 2048, y) } else { (far, row * 500) };
            Event { t, x, y, polarity: u8::from(on) }
        });
        each.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(scaled(64)))]

    #[test]
    fn any_events_come_back(events in events(), batch in 1..200_usize, size in 1..300_usize) {
        for format in WRITTEN {
            for compression in [PacketCompression::None, PacketCompression::Lz4] {
                let options = EncodeOptions {
                    sensor_size: Some(SensorSize { width: 2048, height: 2048 }),
                    compression,
                    ..EncodeOptions::default()
                };
                let bytes = encode(format, &options, &events, batch);
                let read = in_pieces(bytes.chunks(size), &Options::default(), 50);
                prop_assert_eq!(&read.error, &None);
                prop_assert_eq!(read.format, format);
                prop_assert_eq!(read.events(), &events[..], "{}", format);
            }
        }
    }

    #[test]
    fn any_events_come_back_from_every_form_of_hdf5(
        events in events(),
        from in 0..i64::MAX / 2,
        batch in 1..200_usize,
    ) {
        let dsec = Hdf5Layout::Dsec;
        for (hdf5_layout, hdf5_compression) in HDF5 {
            let late = |event: &Event| event.t - events[0].t <= 100_000_000;
            let events: Vec<_> = events
                .iter()
                .take_while(|event| hdf5_layout != dsec || late(event))
                .map(|event| Event { t: event.t + from, ..*event })
                .collect();
            let rest = EncodeOptions::default();
            let options = EncodeOptions { hdf5_layout, hdf5_compression, ..rest };
            let bytes = encode(Format::Hdf5, &options, &events, batch);
            prop_assert_eq!(read(&bytes).events(), events, "{:?}", options);
        }
    }

    #[test]
    fn any_text_comes_back(events in events(), unit in 0..4_usize, order in 0..3_usize) {
        use TimeUnit::{Microseconds, Milliseconds, Nanoseconds, Seconds};
        let time_unit = [Seconds, Milliseconds, Microseconds, Nanoseconds][unit];
        let (columns, delimiter) = [
            (vec![Column::T, Column::X, Column::Y, Column::P], b','),
            (vec![Column::X, Column::Y, Column::P, Column::T], b';'),
            (vec![Column::P, Column::Skip, Column::T, Column::Y, Column::X], b'\t'),
        ][order].clone();
        let text = TextStyle { columns, time_unit, delimiter, header: true };
        let options = EncodeOptions { text, ..EncodeOptions::default() };
        let bytes = encode(Format::Text, &options, &events, 64);
        prop_assert_eq!(read(&bytes).events(), events);
    }
}

#[test]
fn recordings_come_back_from_every_format() {
    for name in [
        "open-neuromorphic+expelliarmus/evt3_sample.raw",
        "open-neuromorphic+expelliarmus/evt2_sample.raw",
        "neuromorphs+tonic/sample_nmnist.bin",
    ] {
        let Some(bytes) = recording(name) else { return };
        let want = read(&bytes);
        for format in WRITTEN {
            let written = encode(format, &EncodeOptions::default(), &want.events(), 10_000);
            assert!(read(&written).out.events == want.out.events, "{name} as {format}");
            if format == Format::Evt3 && name.contains("evt3") {
                assert!(written.len() <= bytes.len(), "{} for {}", written.len(), bytes.len());
            }
        }
    }
}

/// Layouts of HDF5, and what their chunks are packed with.
const HDF5: [(Hdf5Layout, ChunkCompression); 5] = [
    (Hdf5Layout::Prophesee, ChunkCompression::None),
    (Hdf5Layout::Prophesee, ChunkCompression::Deflate),
    (Hdf5Layout::Prophesee, ChunkCompression::Ecf),
    (Hdf5Layout::Dsec, ChunkCompression::None),
    (Hdf5Layout::Dsec, ChunkCompression::Deflate),
];

#[test]
fn recordings_come_back_from_every_form_of_hdf5() {
    for name in [
        "open-neuromorphic+expelliarmus/evt2_sample.raw",
        "derived/test_data_evt3_trigger_0.evt3.raw",
        "neuromorphs+tonic/sample_ncars.dat",
        "neuromorphs+tonic/sample.aedat4",
        "neuromorphicsystems+faery/dvs.es",
    ] {
        let Some(bytes) = recording(name) else { return };
        let want = read(&bytes);
        for (hdf5_layout, hdf5_compression) in HDF5 {
            let options =
                EncodeOptions { hdf5_layout, hdf5_compression, ..EncodeOptions::default() };
            let written = encode(Format::Hdf5, &options, &want.events(), 10_000);
            let got = read(&written);
            assert!(got.out.events == want.out.events, "{name}: {options:?}");
        }
    }
}

/// More chunks than one node of an index holds, and than one of nodes.
#[test]
fn long_recordings_have_an_index_of_several_levels() {
    let mut encoder = encoder(Format::Hdf5, &EncodeOptions::default()).unwrap();
    let event = |i: i64| Event { t: i / 64, x: (i % 1280) as u16, y: 7, polarity: (i & 1) as u8 };
    let (mut bytes, chunks) = (Vec::new(), 130);
    for chunk in 0..chunks {
        let events: EventBatch = (chunk * 16_384..(chunk + 1) * 16_384).map(event).collect();
        encoder.encode(&events, &mut bytes).unwrap();
    }
    encoder.finish(&mut bytes).unwrap();
    let got = read(&bytes);
    assert_eq!(got.out.events.len() as i64, chunks * 16_384);
    assert!(got.out.events.iter().zip(0..).all(|(got, i)| got == event(i)));
}

#[test]
fn sensor_sizes_and_triggers_come_back() {
    let options = EncodeOptions {
        sensor_size: Some(SensorSize { width: 640, height: 480 }),
        ..EncodeOptions::default()
    };
    for format in WRITTEN {
        let bytes = encode(format, &options, &[], 1);
        if format != Format::Text {
            assert_eq!(read(&bytes).size, Some((640, 480)), "{format}");
        }
    }
    for format in [Format::Evt2, Format::Evt3, Format::Hdf5] {
        let mut encoder = encoder(format, &options).unwrap();
        let mut bytes = Vec::new();
        let triggers = [(5, 0, 1), (5_000, 7, 0), (1 << 30, 15, 1)];
        let triggers = triggers.map(|(t, id, value)| Trigger { t, id, value });
        for trigger in triggers {
            encoder.trigger(trigger, &mut bytes).unwrap();
        }
        encoder.finish(&mut bytes).unwrap();
        assert_eq!(read(&bytes).out.triggers, triggers, "{format}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let event = |t, x| Event { t, x, y: 0, polarity: 1 };
    for (format, bad) in [
        (Format::Evt2, vec![event(0, 2048)]),
        (Format::Evt2, vec![event(-1, 0)]),
        (Format::Evt3, vec![event(0, 2048)]),
        (Format::Evt3, vec![event(1 << 23, 0), event(0, 0)]),
        (Format::Evt3, vec![event(1_600_000_000_000_000, 0)]),
        (Format::Dat, vec![event(0, 1 << 14)]),
        (Format::Dat, vec![event(1 << 32, 0)]),
        (Format::Dat, vec![event(0, 0), event(3 << 32, 0)]),
        (Format::Aedat4, vec![event(0, 1 << 15)]),
        (Format::Text, vec![event(i64::MAX, 0)]),
    ] {
        let mut encoder = encoder(format, &EncodeOptions::default()).unwrap();
        let bad: EventBatch = bad.into_iter().collect();
        let error = encoder.encode(&bad, &mut Vec::new()).unwrap_err();
        assert_eq!(error.kind, EventErrorKind::Invalid, "{format}: {error}");
    }
    let event = |t, x| Event { t, x, y: 0, polarity: 1 };
    for (layout, compression, bad) in [
        (Hdf5Layout::Dsec, ChunkCompression::None, vec![event(5, 0), event(4, 0)]),
        (Hdf5Layout::Dsec, ChunkCompression::None, vec![event(5, 0), event(5 + (1 << 32), 0)]),
        (Hdf5Layout::Prophesee, ChunkCompression::Ecf, vec![event(5, 0), event(4, 0)]),
        (Hdf5Layout::Prophesee, ChunkCompression::Ecf, vec![event(5, 2048)]),
    ] {
        let options = EncodeOptions {
            hdf5_layout: layout,
            hdf5_compression: compression,
            ..EncodeOptions::default()
        };
        let mut encoder = encoder(Format::Hdf5, &options).unwrap();
        let bad: EventBatch = bad.into_iter().collect();
        let error = encoder.encode(&bad, &mut Vec::new()).unwrap_err();
        assert_eq!(error.kind, EventErrorKind::Invalid, "{options:?}: {error}");
    }
    assert!(encoder(Format::Bin40, &EncodeOptions::default()).is_err());
}

/// A round trip that another reader loses: seconds truncated, -1 turned into 1.
#[test]
fn a_round_trip_keeps_fractions_and_polarity() {
    let events = [(100_000, 0), (1_500_000, 1), (1, 0)].map(|(t, polarity)| Event {
        t,
        x: 1,
        y: 2,
        polarity,
    });
    let bytes = encode(Format::Text, &EncodeOptions::default(), &events, 2);
    assert_eq!(bytes, b"0.100000 1 2 0\n1.500000 1 2 1\n0.000001 1 2 0\n");
    assert_eq!(read(&bytes).events(), events);
}
