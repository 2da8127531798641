//! Packets of AEDAT 4 in all their wrappings, and wrappings that hold too much.

use presence_events::{
    EncodeOptions, Event, EventBatch, EventErrorKind, Format, OnDamage, Options, PacketCompression,
    encoder,
};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use crate::support::{in_pieces, whole};

/// A file that is not packed, its packets apart from what is in front of them.
fn plain(events: &[Event]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let options =
        EncodeOptions { compression: PacketCompression::None, ..EncodeOptions::default() };
    let mut encoder = encoder(Format::Aedat4, &options).unwrap();
    let (mut head, mut body) = (Vec::new(), Vec::new());
    encoder.encode(&EventBatch::new(), &mut head).unwrap();
    let events: EventBatch = events.iter().copied().collect();
    encoder.encode(&events, &mut body).unwrap();
    encoder.finish(&mut body).unwrap();
    let mut packets = Vec::new();
    let mut rest = body.as_slice();
    while let [_, _, _, _, a, b, c, d, after @ ..] = rest {
        let (packet, after) = after.split_at(u32::from_le_bytes([*a, *b, *c, *d]) as usize);
        packets.push(packet.to_vec());
        rest = after;
    }
    (head, packets)
}

/// The same file with Zstandard packets: the number of the compression is 28 bytes into the
/// description.
fn with_zstd(mut head: Vec<u8>, packets: &[Vec<u8>]) -> Vec<u8> {
    head[14 + 4 + 24] = 3;
    for packet in packets {
        let packed = compress_to_vec(packet.as_slice(), CompressionLevel::Fastest);
        head.extend(0_i32.to_le_bytes());
        head.extend((packed.len() as u32).to_le_bytes());
        head.extend(packed);
    }
    head
}

fn events() -> Vec<Event> {
    let event = |i: i64| Event {
        t: i * i,
        x: (i * 7 % 640) as u16,
        y: (i * 3 % 480) as u16,
        polarity: (i % 2) as u8,
    };
    (0..10_000).map(event).collect()
}

#[test]
fn zstandard_packets_are_read() {
    let (head, packets) = plain(&events());
    assert_eq!(packets.len(), 3);
    let file = with_zstd(head, &packets);
    let got = in_pieces(file.chunks(777), &Options::default(), 1_000);
    assert_eq!((&got.error, got.report.faults_total), (&None, 0));
    assert_eq!(got.events(), events());
}

#[test]
fn a_packet_that_unpacks_to_too_much_is_left_out() {
    let (head, mut packets) = plain(&events());
    packets.insert(1, vec![0; (32 << 20) + 1]);
    let file = with_zstd(head, &packets);
    assert!(file.len() < 1 << 20, "a small file with a large packet");
    let got = whole(&file, &Options::default());
    assert_eq!(got.events(), events());
    assert_eq!((got.report.unknown_words, got.report.faults_total), (1, 1));
    assert!(got.report.faults[0].what.contains("too much"));
    let strict = Options { on_damage: OnDamage::Refuse, ..Options::default() };
    let got = whole(&file, &strict);
    assert_eq!(got.error.unwrap().kind, EventErrorKind::Corrupt);
    assert_eq!(got.out.events.len(), 4_096, "what came before is kept");
}

#[test]
fn events_of_a_second_camera_are_counted_and_not_mixed_in() {
    let (mut file, packets) = plain(&events());
    for (stream, packet) in [(0_i32, &packets[0]), (1, &packets[1]), (0, &packets[2])] {
        file.extend(stream.to_le_bytes());
        file.extend((packet.len() as u32).to_le_bytes());
        file.extend(packet);
    }
    let got = whole(&file, &Options::default());
    assert_eq!((got.report.events, got.report.dropped), (10_000 - 4_096, 4_096));
}

#[test]
fn a_packet_with_damage_is_refused_as_a_whole() {
    let mut bad = events();
    bad[5_000].t = 0;
    let (mut file, packets) = plain(&bad);
    for packet in &packets {
        file.extend(0_i32.to_le_bytes());
        file.extend((packet.len() as u32).to_le_bytes());
        file.extend(packet);
    }
    let strict = Options { on_damage: OnDamage::Refuse, ..Options::default() };
    let got = whole(&file, &strict);
    assert_eq!(got.error.unwrap().kind, EventErrorKind::OutOfOrder);
    assert_eq!((got.report.events, got.out.events.len()), (4_096, 4_096));
}
