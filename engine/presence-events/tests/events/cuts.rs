//! Cut anywhere, the same comes out.

use presence_events::{Decoder, Format, OnDamage, Options, TimeUnit};
use proptest::prelude::*;

use crate::samples::samples;
use crate::support::{figure, in_pieces, recording, scaled, text_options, whole};

#[test]
fn every_sample_cut_at_every_byte() {
    let mut cuts = 0;
    for sample in samples() {
        let want = whole(&sample.bytes, &sample.options).essence();
        for at in 0..=sample.bytes.len() {
            let (a, b) = sample.bytes.split_at(at);
            let got = in_pieces([a, b].into_iter(), &sample.options, 7).essence();
            assert_eq!(got, want, "{} cut at {at}", sample.name);
            cuts += 1;
        }
        for size in [1, 2, 3, 5, 7, 11] {
            let got = in_pieces(sample.bytes.chunks(size), &sample.options, 1).essence();
            assert_eq!(got, want, "{} in pieces of {size}", sample.name);
        }
    }
    figure("cuts of event inputs", cuts);
}

/// Real files, in pieces of odd sizes.
#[test]
fn every_recording_in_pieces() {
    let csv = text_options("x,y,p,t", TimeUnit::Microseconds);
    for (name, options) in [
        ("open-neuromorphic+expelliarmus/evt2_sample.raw", Options::default()),
        ("open-neuromorphic+expelliarmus/evt3_sample.raw", Options::default()),
        ("derived/test_data_evt3_trigger_0.evt3.raw", Options::default()),
        ("neuromorphs+tonic/sample_ncars.dat", Options::default()),
        ("neuromorphs+tonic/sample.aedat4", Options::default()),
        ("shiba24+event-vision-library/sample.aedat4", Options::default()),
        ("believeinlain+PyAedatTools/IMU_translBoxes.aedat", Options::default()),
        ("neuromorphicsystems+faery/dvs.es", Options::default()),
        ("neuromorphs+tonic/sample_nmnist.bin", Options::default()),
        ("tub-rip+events_viz/slider_depth_events_chunk.txt", Options::default()),
        ("zhangkaicuhk+EvCamMOKE/feedback-sorted.csv", csv),
    ] {
        let Some(bytes) = recording(name) else { return };
        let want = whole(&bytes, &options);
        assert_eq!(want.error, None, "{name}");
        for size in [997, 65_537] {
            let got = in_pieces(bytes.chunks(size), &options, 1_000);
            assert!(got.out.events == want.out.events, "{name} in pieces of {size}");
            assert_eq!(got.out.triggers, want.out.triggers, "{name} in pieces of {size}");
            assert_eq!(got.report, want.report, "{name} in pieces of {size}");
        }
    }
}

/// A small recording cut at every byte.
#[test]
fn a_small_recording_cut_at_every_byte() {
    for (name, bytes_max) in [
        ("open-neuromorphic+expelliarmus/evt3_sample.raw", 4_000),
        ("neuromorphs+tonic/sample_ncars.dat", 4_000),
    ] {
        let Some(mut bytes) = recording(name) else { return };
        bytes.truncate(bytes_max);
        figure("cuts of event inputs", bytes.len() as u64);
        let want = whole(&bytes, &Options::default()).essence();
        for at in 0..bytes.len() {
            let (a, b) = bytes.split_at(at);
            let got = in_pieces([a, b].into_iter(), &Options::default(), 100).essence();
            assert_eq!(got, want, "{name} cut at {at}");
        }
    }
}

fn headed(format: Format, body: Vec<u8>) -> Vec<u8> {
    let head: &[u8] = match format {
        Format::Evt2 => b"% evt 2.0\n% end\n",
        Format::Evt21 => b"% evt 2.1\n% end\n",
        Format::Evt3 => b"% evt 3.0\n% end\n",
        Format::Dat => b"% Version 2\n\x0c\x08",
        Format::Aedat1 => b"#!AER-DAT1.0\r\n",
        Format::Aedat2 => b"#!AER-DAT2.0\r\n# AEChip: Davis346\r\n",
        Format::Aedat3 => b"#!AER-DAT3.1\r\n#!END-HEADER\r\n",
        Format::Aedat4 => b"#!AER-DAT4.0\r\n",
        Format::EventStream => b"Event Stream\x02\0\0\x01\x40\0\x40\0",
        Format::Text => b"t_us,x,y,p\n",
        _ => b"",
    };
    [head, &body].concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(scaled(64)))]

    #[test]
    fn any_bytes_cut_anywhere(
        body in proptest::collection::vec(any::<u8>(), 0..3_000),
        digits in any::<bool>(),
        size in 1..500_usize,
        refuse in any::<bool>(),
        events_max in 1..2_000_usize,
    ) {
        let on_damage = if refuse { OnDamage::Refuse } else { OnDamage::Skip };
        for format in Format::ALL {
            let body = if digits && format == Format::Text {
                body.iter().map(|byte| b"0123456789,,,\n\n. -"[usize::from(byte % 18)]).collect()
            } else {
                body.clone()
            };
            let bytes = headed(format, body);
            let options = Options { format: Some(format), on_damage, ..Options::default() };
            let want = whole(&bytes, &options);
            let got = in_pieces(bytes.chunks(size), &options, events_max);
            prop_assert_eq!(got.essence(), want.essence(), "{}", format);
        }
    }

    #[test]
    fn any_bytes_of_no_known_format(
        body in proptest::collection::vec(any::<u8>(), 0..2_000),
        size in 1..500_usize,
    ) {
        let want = whole(&body, &Options::default());
        let got = in_pieces(body.chunks(size), &Options::default(), 10);
        prop_assert_eq!(got.essence(), want.essence());
    }
}

#[test]
fn the_decoder_that_finds_the_format_may_be_fed_by_bytes() {
    for sample in samples() {
        if matches!(sample.name, "bin40" | "aedat2 davis" | "dat triggers") {
            continue;
        }
        let want = whole(&sample.bytes, &sample.options);
        let found = Options { format: None, ..sample.options };
        let mut decoder = presence_events::AutoDecoder::new(found);
        let mut out = presence_events::Output::default();
        decoder.decode_all(&sample.bytes, &mut out).unwrap();
        assert_eq!(decoder.format(), want.format, "{}", sample.name);
        assert!(out.events == want.out.events, "{}", sample.name);
    }
}
