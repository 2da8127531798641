//! Damaged inputs: refused with a place, or skipped and counted; what came before is kept.

use presence_events::{
    AutoDecoder, Decoder, EventErrorKind, Format, OnDamage, Options, Output, SensorSize,
};

use crate::samples::samples;
use crate::support::{figure, options, recording, whole};

fn strict(options: &Options) -> Options {
    Options { on_damage: OnDamage::Refuse, ..options.clone() }
}

#[test]
fn truncated_at_every_byte_keeps_what_came_before() {
    for sample in samples() {
        let all = whole(&sample.bytes, &sample.options);
        for end in 0..sample.bytes.len() {
            let got = whole(&sample.bytes[..end], &sample.options);
            if sample.name != "text" {
                let events = got.events();
                assert_eq!(all.events()[..events.len()], events, "{} ends at {end}", sample.name);
            }
            if let Some(error) = got.error {
                // A first line that is cut may not tell its columns.
                use EventErrorKind::{Invalid, Truncated, Unsupported};
                let kinds = [Truncated, Unsupported, Invalid];
                assert!(kinds.contains(&error.kind), "{} ends at {end}: {error}", sample.name);
                assert!(got.out.events.is_empty());
            }
        }
    }
}

/// What is wrong is told again by every later call, and nothing is decoded any more: neither a
/// continuation nor the input once more comes through.
#[test]
fn a_decoder_that_failed_stays_failed() {
    let mut failures = 0;
    for sample in samples() {
        let ends = (0..sample.bytes.len()).chain([usize::MAX]);
        for end in ends {
            let mut bytes = sample.bytes.clone();
            // Cut there, or with a last part that is wrong in most formats.
            bytes.truncate(end);
            bytes.resize(bytes.len() + usize::from(end == usize::MAX) * 61, 0xFF);
            let mut decoder = AutoDecoder::new(strict(&sample.options));
            let Err(error) = decoder.decode_all(&bytes, &mut Output::default()) else { continue };
            failures += 1;
            let mut out = Output::default();
            for rest in [&sample.bytes[end.min(sample.bytes.len())..], &sample.bytes] {
                assert_eq!(decoder.feed(rest, &mut out), Err(error.clone()), "{}", sample.name);
            }
            let finished = decoder.finish(&mut out);
            assert_eq!(finished, Err(error), "{} ends at {end}", sample.name);
            assert!(out.is_empty(), "{} ends at {end}", sample.name);
        }
    }
    figure("failed decoders asked again", failures);
    assert!(failures > 100, "{failures}");
}

#[test]
fn truncated_inside_a_word_is_an_error_or_counted() {
    for (format, head, word) in [
        (Format::Evt2, b"% evt 2.0\n% end\n".as_slice(), 4),
        (Format::Evt21, b"% evt 2.1\n% end\n", 8),
        (Format::Evt3, b"% evt 3.0\n% end\n", 2),
        (Format::Dat, b"% Version 2\n\x0c\x08", 8),
        (Format::Aedat1, b"#!AER-DAT1.0\r\n", 6),
        (Format::Aedat2, b"#!AER-DAT2.0\r\n# AEChip: DVS128\n", 8),
        (Format::Bin40, b"", 5),
    ] {
        for odd in 1..word {
            let bytes = [head, &vec![0; 3 * word + odd]].concat();
            let got = whole(&bytes, &options(format));
            assert_eq!((got.error, got.report.tail_bytes), (None, odd as u64), "{format}");
            let error = whole(&bytes, &strict(&options(format))).error.unwrap();
            assert_eq!(error.kind, EventErrorKind::Truncated, "{format}");
            assert_eq!(error.offset, (head.len() + 3 * word) as u64, "{format}");
        }
    }
}

#[test]
fn a_header_without_events_is_an_empty_recording() {
    for (format, head) in [
        (Format::Evt2, b"% evt 2.0\n% end\n".as_slice()),
        (Format::Evt3, b"% evt 3.0\n"),
        (Format::Dat, b"% Version 2\n\x0c\x08"),
        (Format::Aedat2, b"#!AER-DAT2.0\r\n# AEChip: DVS128\n"),
        (Format::Aedat3, b"#!AER-DAT3.1\r\n#!END-HEADER\r\n"),
        (Format::Text, b"t_us,x,y,p\n"),
    ] {
        let got = whole(head, &Options { format: None, ..strict(&options(format)) });
        assert_eq!((got.error, got.report.events, got.format), (None, 0, format));
    }
}

#[test]
fn wrong_magic_is_no_format() {
    let mut bytes = vec![0x13, 0x37, 0, 1, 2, 3, 4, 5];
    bytes.extend([7; 300]);
    let error = whole(&bytes, &Options::default()).error.unwrap();
    assert_eq!(error.kind, EventErrorKind::UnknownFormat);
}

#[test]
fn a_cochlea_is_refused_by_name() {
    let head = b"#!AER-DAT2.0\r\n# AEChip: ch.unizh.ini.jaer.chip.cochlea.CochleaAMS1c\r\n";
    let bytes = [head.as_slice(), b"\0\0\0\x01\0\0\0\x02"].concat();
    let error = whole(&bytes, &Options::default()).error.unwrap();
    assert_eq!(error.kind, EventErrorKind::Unsupported);
    assert!(error.what.contains("Cochlea"), "{error}");
}

#[test]
fn pixels_beyond_the_sensor_are_counted_or_refused_at_their_byte() {
    let size = Some(SensorSize { width: 10, height: 10 });
    let word = |t: u32, x: u32| (1_u32 << 28 | t << 22 | x << 11).to_le_bytes();
    let mut bytes = b"% evt 2.0\n% end\n".to_vec();
    bytes.extend(0x8000_0001_u32.to_le_bytes());
    bytes.extend([word(1, 3), word(2, 10), word(3, 4)].concat());
    let skip = Options { sensor_size: size, ..Options::default() };
    let got = whole(&bytes, &skip);
    assert_eq!((got.out.events.x(), got.report.dropped), ([3_u16, 4].as_slice(), 1));
    let got = whole(&bytes, &strict(&skip));
    let error = got.error.unwrap();
    assert_eq!((error.kind, error.offset), (EventErrorKind::OutOfBounds, 16 + 8));
    assert_eq!(got.out.events.x(), [3], "what came before is kept");
    let text = b"t_us,x,y,p\n1,3,0,1\n2,10,0,1\n3,4,0,1\n";
    let error = whole(text, &strict(&skip)).error.unwrap();
    assert_eq!((error.kind, error.offset), (EventErrorKind::OutOfBounds, 19));
}

#[test]
fn time_that_goes_back_is_counted_or_refused_at_its_byte() {
    let text = b"t_us,x,y,p\n5,3,0,1\n4,10,0,1\n6,4,0,1\n";
    let got = whole(text, &Options::default());
    assert_eq!((got.report.events, got.report.out_of_order), (3, 1));
    assert_eq!(
        (got.report.min_t, got.report.max_t, got.report.first_t),
        (Some(4), Some(6), Some(5))
    );
    let got = whole(text, &strict(&Options::default()));
    let error = got.error.unwrap();
    assert_eq!((error.kind, error.offset), (EventErrorKind::OutOfOrder, 19));
    assert_eq!(got.out.events.t(), [5]);
}

#[test]
fn a_bad_line_in_the_middle_does_not_abort() {
    let Some(bytes) = recording("tub-rip+events_viz/slider_depth_events_chunk.txt") else { return };
    let middle = bytes.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    let broken = [&bytes[..middle], b"1.5 oops\n", &bytes[middle..]].concat();
    let got = whole(&broken, &Options::default());
    assert_eq!((got.report.events, got.report.unknown_words), (50_000, 1));
    assert_eq!(got.report.faults[0].offset, middle as u64);
    let error = whole(&broken, &strict(&Options::default())).error.unwrap();
    assert_eq!((error.kind, error.offset), (EventErrorKind::Corrupt, middle as u64));
}

#[test]
fn a_damaged_packet_of_aedat4_is_left_out() {
    let Some(bytes) = recording("neuromorphs+tonic/sample.aedat4") else { return };
    let want = whole(&bytes, &Options::default()).report;
    for at in [100_000, 500_000, 900_000] {
        let mut broken = bytes.clone();
        for byte in &mut broken[at..at + 16] {
            *byte ^= 0x55;
        }
        let got = whole(&broken, &Options::default());
        assert_eq!(got.error, None);
        assert_eq!((got.report.faults_total, got.report.unknown_words), (1, 1), "at {at}");
        assert!(got.report.events + got.report.imu < want.events + want.imu, "at {at}");
        let error = whole(&broken, &strict(&Options::default())).error.unwrap();
        assert_eq!(error.kind, EventErrorKind::Corrupt);
    }
}

#[test]
fn bits_flipped_anywhere_never_panic() {
    for sample in samples() {
        for at in 0..sample.bytes.len() * 8 {
            let mut bytes = sample.bytes.clone();
            bytes[at / 8] ^= 1 << (at % 8);
            drop(whole(&bytes, &sample.options));
            drop(whole(&bytes, &strict(&sample.options)));
        }
        figure("flipped bits of event inputs", sample.bytes.len() as u64 * 8);
    }
}
