//! A small input of every format, written by hand word for word.

use presence_events::{Format, Options, SensorSize};

use crate::support::options;

/// An input with all that its format has.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) options: Options,
}

fn sample(name: &'static str, head: &[u8], body: Vec<u8>, options: Options) -> Sample {
    Sample { name, bytes: [head, &body].concat(), options }
}

pub(crate) fn evt2_words() -> Vec<u32> {
    let mut words = vec![0x1000_0000, 0x8000_0010];
    for i in 0..40 {
        let kind = (i % 2) << 28;
        words.push(kind | (i & 0x3F) << 22 | (i * 7) << 11 | (i * 3));
        match i {
            13 => words.push(0x8000_0011),
            20 => words.push(0xA000_0301 | 5 << 22),
            25 => words.push(0xE000_0000),
            30 => words.push(0x3000_0000),
            35 => words.push(0x8FFF_FFFF),
            36 => words.push(0x8000_0001),
            _ => {}
        }
    }
    words
}

pub(crate) fn evt3_words() -> Vec<u16> {
    let mut words = vec![0x2001, 0x6005, 0x8003, 0x0007, 0x2805];
    words.extend([0x6123, 0x3810, 0x4FFF, 0x4001, 0x5081, 0x2003, 0x8003, 0x2004]);
    words.extend([0x8004, 0x2005, 0x6001, 0xA301, 0xE123, 0x7001, 0xF002, 0x1000, 0xB000]);
    words.extend([0x8FFF, 0x6FFF, 0x2006, 0x8000, 0x2807, 0x37FF, 0x4003, 0x4003, 0x5001]);
    words
}

fn le16(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn le32(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn be_bytes(words: impl IntoIterator<Item = u32>) -> Vec<u8> {
    words.into_iter().flat_map(|word| word.to_le_bytes().into_iter().rev()).collect()
}

fn evt21_words() -> Vec<u64> {
    let events = |kind: u64, t: u64, x: u64, y: u64, which: u64| {
        kind << 60 | t << 54 | x << 43 | y << 32 | which
    };
    vec![
        events(1, 1, 32, 5, 0x8000_0001),
        0x8000_0010_0000_0000,
        events(1, 2, 64, 6, 0xFFFF_FFFF),
        events(0, 3, 96, 7, 0x10),
        events(0, 3, 96, 7, 0),
        0xA << 60 | 4 << 54 | 3 << 40 | 1 << 32,
        0xE << 60,
        0x3 << 60,
        0x8000_0011_0000_0000,
        events(1, 63, 2047, 2047, 0x8000_0000),
    ]
}

/// The DAVIS words: events, a trigger, a sample of the inertial sensor, a frame of 4 pixels.
fn aedat2_words() -> Vec<u32> {
    let mut words = Vec::new();
    let mut t = 1_000;
    let mut push = |address: u32| {
        words.extend([address, t]);
        t += 3;
    };
    push(1 << 22 | 1 << 12 | 1 << 11);
    push(1 << 10);
    for code in 0..7_u32 {
        push(1 << 31 | code << 28 | (0xFFF0 + code) << 12 | 3 << 10);
    }
    for cycle in 0..2 {
        for (x, y) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            push(1 << 31 | y << 22 | x << 12 | cycle << 10 | (700 - 300 * cycle + x));
        }
    }
    push(1 << 12);
    words
}

fn aedat3_body() -> Vec<u8> {
    let head = |kind: u16, bytes: u32, events: u32| {
        let mut head = [kind.to_le_bytes(), 1_u16.to_le_bytes()].concat();
        head.extend(le32(&[bytes, 4, 1, events, events, events]));
        head
    };
    let event = |x: u32, y: u32, p: u32, t: u32| [x << 17 | y << 2 | p << 1 | 1, t];
    let mut body = head(1, 8, 3);
    body.extend(le32(&event(5, 6, 1, 10)));
    body.extend(le32(&[0, 11]));
    body.extend(le32(&event(7, 8, 0, 12)));
    body.extend(head(0, 8, 1));
    body.extend(le32(&[3 << 1 | 1, 13]));
    body.extend(head(3, 36, 1));
    body.extend(le32(&[1, 14]));
    body.extend((0..7).flat_map(|i| (i as f32 * 0.5).to_le_bytes()));
    body.extend(head(2, 36 + 8, 1));
    body.extend(le32(&[1 | 1 << 1, 15, 16, 15, 16, 2, 2, 0, 0]));
    body.extend(le16(&[1, 2, 3, 4]));
    body.extend(head(12, 8, 1));
    body.extend([0; 8]);
    body
}

fn es(kind: u8) -> Vec<u8> {
    let mut bytes = b"Event Stream\x02\0\0".to_vec();
    bytes.push(kind);
    bytes.extend([64, 0, 48, 0]);
    bytes
}

/// One of every format.
pub(crate) fn samples() -> Vec<Sample> {
    let none = |format| options(format);
    let davis = Options {
        sensor_size: Some(SensorSize { width: 2, height: 2 }),
        ..options(Format::Aedat2)
    };
    let exchanged: Vec<u64> = evt21_words().iter().map(|word| word.rotate_left(32)).collect();
    let le64 = |words: &[u64]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
    let dat2 = |t: u32, x: u32, y: u32, p: u32| [t, p << 28 | y << 14 | x];
    let dat1 = |t: u32, x: u32, y: u32, p: u32| [t, p << 17 | y << 9 | x];
    let dat = |f: &dyn Fn(u32, u32, u32, u32) -> [u32; 2]| {
        le32(&[f(1, 2, 3, 1), f(0xFFFF_FFF0, 300, 200, 0), f(5, 6, 7, 1)].concat())
    };
    let be = |words: Vec<u32>| be_bytes(words);
    let aedat1: Vec<u8> = [[0x0203_u16, 0, 7], [0x8000, 0, 8], [0x7FFE, 1, 9]]
        .iter()
        .flatten()
        .flat_map(|half| half.to_le_bytes().into_iter().rev())
        .collect();
    let text = "# x\n\n0.000001000 1 2 1\n0.0000025 3 4 -1\nbad\n1e-5,5,6,0\r\n0.00002 7 8 1";
    vec![
        sample("evt2", b"% evt 2.0\n% end\n", le32(&evt2_words()), none(Format::Evt2)),
        sample("evt3", b"% evt 3.0\n", le16(&evt3_words()), none(Format::Evt3)),
        sample("evt21", b"% evt 2.1\n% end\n", le64(&evt21_words()), none(Format::Evt21)),
        sample(
            "evt21 legacy",
            b"% format EVT21;height=720;width=1280;endianness=legacy\n% end\n",
            le64(&exchanged),
            none(Format::Evt21),
        ),
        sample(
            "dat 2",
            b"% Version 2\n% Width 304\n% Height 240\n\x0c\x08",
            dat(&dat2),
            none(Format::Dat),
        ),
        sample("dat 1", b"% Version 1\n\x00\x08", dat(&dat1), none(Format::Dat)),
        sample(
            "dat triggers",
            b"% Version 2\n\x0e\x08",
            le32(&[9, 0x301, 11, 0x300]),
            none(Format::Dat),
        ),
        sample("aedat1", b"#!AER-DAT1.0\r\n", aedat1, none(Format::Aedat1)),
        sample(
            "aedat2 dvs128",
            b"#!AER-DAT2.0\r\n# AEChip: a.b.DVS128\r\n",
            be(vec![0x0203, 7, 0x8000, 8, 0x7FFE, 0xFFFF_FFFF, 1, 0]),
            none(Format::Aedat2),
        ),
        sample("aedat2 davis", b"#!AER-DAT2.0\r\n", be(aedat2_words()), davis),
        sample(
            "aedat3",
            b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DAVIS240C\r\n#!END-HEADER\r\n",
            aedat3_body(),
            none(Format::Aedat3),
        ),
        sample(
            "es dvs",
            &es(1),
            vec![3, 1, 0, 2, 0, 255, 254, 5, 3, 0, 4, 0, 254, 254, 0, 63, 0, 47, 0, 9, 1, 1, 1, 1],
            none(Format::EventStream),
        ),
        sample(
            "es atis",
            &es(2),
            vec![4, 1, 0, 2, 0, 0xFF, 0xFC, 9, 3, 0, 4, 0, 0xFD, 11, 5, 0, 6, 0],
            none(Format::EventStream),
        ),
        sample(
            "es color",
            &es(4),
            vec![4, 1, 0, 2, 0, 10, 20, 30, 255, 254, 5, 3, 0, 4, 0, 40, 50, 60],
            none(Format::EventStream),
        ),
        sample(
            "bin40",
            b"",
            vec![1, 2, 0x80, 0, 5, 9, 240, 0, 0, 6, 3, 4, 0x00, 1, 0, 5, 6, 0xFF, 255, 255],
            none(Format::Bin40),
        ),
        sample("text", b"", text.as_bytes().to_vec(), none(Format::Text)),
    ]
}
