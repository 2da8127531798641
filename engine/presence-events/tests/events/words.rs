//! The samples, event by event, as their formats' rules say.

use presence_events::{Event, Frame, OnDamage, Options, PixelFormat, TimeBase, Trigger};

use crate::samples::samples;
use crate::support::{Decoded, whole};

fn decoded(name: &str) -> Decoded {
    decoded_with(name, |_| {})
}

fn decoded_with(name: &str, change: impl Fn(&mut Options)) -> Decoded {
    let sample = samples().into_iter().find(|sample| sample.name == name).unwrap();
    let mut options = sample.options;
    change(&mut options);
    whole(&sample.bytes, &options)
}

fn event(t: i64, x: u16, y: u16, polarity: u8) -> Event {
    Event { t, x, y, polarity }
}

#[test]
fn evt2() {
    let got = decoded("evt2");
    let events = got.events();
    assert_eq!(events.len(), 40);
    assert_eq!(events[0], event(0x10 << 6, 0, 0, 0));
    assert_eq!(events[14], event((0x11 << 6) + 14, 98, 42, 0));
    assert_eq!(events[39].t, (1 << 34) + (1 << 6) + 39, "34 bits have wrapped");
    assert_eq!(got.out.triggers, [Trigger { t: (0x11 << 6) + 5, id: 3, value: 1 }]);
    let report = got.report;
    assert_eq!((report.untimed, report.unknown_words, report.other_words[14]), (1, 1, 1));
}

#[test]
fn evt2_shifted_begins_at_the_first_time_word() {
    let got = decoded_with("evt2", |options| options.time_base = TimeBase::Shifted);
    assert_eq!(got.events()[1].t, 1);
    let raw = decoded("evt2");
    let differences: Vec<_> =
        raw.events().iter().zip(got.events()).map(|(a, b)| a.t - b.t).collect();
    assert_eq!(differences, [0x10 << 6; 40]);
}

#[test]
fn evt21() {
    for name in ["evt21", "evt21 legacy"] {
        let got = decoded(name);
        let events = got.events();
        let high = 0x10 << 6;
        assert_eq!(events[0], event(high + 2, 64, 6, 1));
        assert_eq!(events[31], event(high + 2, 95, 6, 1));
        assert_eq!(events[32], event(high + 3, 100, 7, 0));
        assert_eq!(got.out.triggers, [Trigger { t: high + 4, id: 3, value: 1 }]);
        assert_eq!((got.report.untimed, got.report.unknown_words), (2, 1), "{name}");
        if name == "evt21" {
            assert_eq!(events[33], event(0x11 << 6 | 63, 2047 + 31, 2047, 1));
        } else {
            assert_eq!((events.len(), got.report.dropped), (33, 1));
        }
    }
}

#[test]
fn evt3() {
    let got = decoded("evt3");
    let events = got.events();
    let high = 3 << 12;
    // The first upper part of the time resets the lower one.
    assert_eq!(events[0], event(high, 5, 7, 1));
    let vector: Vec<_> = (16..28).map(|x| event(high + 0x123, x, 7, 1)).collect();
    assert_eq!(events[1..13], vector);
    assert_eq!(events[13], event(high + 0x123, 28, 7, 1));
    assert_eq!(events[14..16], [40, 47].map(|x| event(high + 0x123, x, 7, 1)));
    assert_eq!(events[16], event(high + 0x123, 3, 7, 0));
    // The same upper part again leaves the lower one, another one resets it.
    assert_eq!(events[17], event(high + 0x123, 4, 7, 0));
    assert_eq!(events[18], event(4 << 12, 5, 7, 0));
    assert_eq!(got.out.triggers, [Trigger { t: (4 << 12) + 1, id: 3, value: 1 }]);
    assert_eq!(events[19], event((1 << 24) - 1, 6, 7, 0));
    assert_eq!(events[20], event(1 << 24, 7, 7, 1));
    // Pixels beyond any sensor do not come back at its left.
    assert_eq!(
        events[21..].iter().map(|e| e.x).collect::<Vec<_>>(),
        [2047, 2048, 2059, 2060, 2071]
    );
    let report = got.report;
    assert_eq!((report.untimed, report.unknown_words), (1, 2));
    assert_eq!([7, 14, 15].map(|kind| report.other_words[kind]), [1, 1, 1]);
}

#[test]
fn evt3_shifted_begins_at_the_first_time_word() {
    let got = decoded_with("evt3", |options| options.time_base = TimeBase::Shifted);
    assert_eq!((got.events()[0].t, got.events()[20].t), (0, (1 << 24) - (3 << 12)));
}

#[test]
fn dat() {
    for name in ["dat 2", "dat 1"] {
        let got = decoded(name);
        let want =
            [event(1, 2, 3, 1), event(0xFFFF_FFF0, 300, 200, 0), event((1 << 32) + 5, 6, 7, 1)];
        assert_eq!(got.events(), want, "{name}");
        assert_eq!(got.size, (name == "dat 2").then_some((304, 240)));
    }
    let triggers = decoded("dat triggers").out.triggers;
    assert_eq!(triggers, [(9, 1), (11, 0)].map(|(t, value)| Trigger { t, id: 3, value }));
}

#[test]
fn aedat1_and_2_of_a_dvs128() {
    let got = decoded("aedat1");
    assert_eq!(got.events(), [event(7, 1, 2, 0), event((1 << 16) + 9, 127, 127, 1)]);
    assert_eq!(got.out.triggers.len(), 1);
    let got = decoded("aedat2 dvs128");
    let want = [event(7, 1, 2, 0), event(0xFFFF_FFFF, 127, 127, 1), event(1 << 32, 0, 0, 0)];
    assert_eq!(got.events(), want);
    assert_eq!((got.out.triggers[0].t, got.size), (8, Some((128, 128))));
}

#[test]
fn aedat2_of_a_davis() {
    let got = decoded("aedat2 davis");
    assert_eq!(got.events(), [event(1000, 1, 1, 1), event(1051, 1, 0, 0)]);
    assert_eq!(got.out.triggers, [Trigger { t: 1003, id: 0, value: 1 }]);
    let sample = got.out.imu[0];
    assert_eq!((sample.t, sample.is_raw), (1006, true));
    assert_eq!((sample.acceleration, sample.temperature), ([-16.0, -15.0, -14.0], -13.0));
    assert_eq!(sample.rotation, [-12.0, -11.0, -10.0]);
    let want = Frame {
        t: 1027,
        t_end: 1048,
        width: 2,
        height: 2,
        format: PixelFormat::Wide16(1),
        pixels: [300_u16; 4].iter().flat_map(|value| value.to_le_bytes()).collect(),
    };
    assert_eq!(got.out.frames, [want]);
}

#[test]
fn aedat3() {
    let got = decoded("aedat3");
    let base = 1 << 31;
    assert_eq!(got.events(), [event(base + 10, 5, 6, 1), event(base + 12, 7, 8, 0)]);
    assert_eq!(got.out.triggers, [Trigger { t: base + 13, id: 3, value: 1 }]);
    assert_eq!((got.out.imu[0].rotation, got.out.imu[0].temperature), ([1.5, 2.0, 2.5], 3.0));
    assert_eq!((got.out.frames[0].t_end, got.out.frames[0].pixels.len()), (base + 16, 8));
    assert_eq!((got.report.dropped, got.report.other_words[12]), (1, 1));
    assert_eq!(got.size, Some((240, 180)));
}

#[test]
fn event_streams() {
    let got = decoded("es dvs");
    let want = [event(1, 1, 2, 1), event(130, 3, 4, 1), event(130, 63, 47, 0)];
    assert_eq!(got.events(), want);
    assert_eq!((got.events().len(), got.report.events, got.size), (3, 3, Some((64, 48))));
    assert_eq!(got.report.dropped, 1);
    let got = decoded("es atis");
    assert_eq!(got.events(), [event(1, 1, 2, 0)]);
    let exposures: Vec<_> = got.out.exposures.iter().collect();
    assert_eq!(exposures, [event(1 + 189 + 2, 3, 4, 0), event(192 + 63 + 2, 5, 6, 1)]);
    let got = decoded("es color");
    assert_eq!(got.out.colors[1].t, 4 + 254 + 5);
    assert_eq!(got.out.colors[1].rgb, [40, 50, 60]);
}

#[test]
fn bin40() {
    let want = [event(5, 1, 2, 1), event(256 + 8192, 3, 4, 0), event(0x7F_FFFF + 8192, 5, 6, 1)];
    assert_eq!(decoded("bin40").events(), want);
}

#[test]
fn text() {
    let got = decoded("text");
    let want = [event(1, 1, 2, 1), event(3, 3, 4, 0), event(10, 5, 6, 0), event(20, 7, 8, 1)];
    assert_eq!(got.events(), want);
    assert_eq!(got.report.unknown_words, 1);
    let refused = decoded_with("text", |options| options.on_damage = OnDamage::Refuse);
    let error = refused.error.unwrap();
    assert_eq!((error.offset, refused.out.events.len()), (40, 2), "{error}");
}
