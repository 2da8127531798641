//! The way of a record: appended, read at once, flushed, sealed, read again.

use std::sync::Arc;

use presence::device::{Device, MemoryDevice};
use presence::{
    Compression, Database, Level, Options, Order, Retention, Schema, WindowOptions, schema_of,
};

fn small() -> Options {
    let mut options = Options::default();
    options.background = false;
    options.block_bytes = 1024;
    options.segment_bytes = 16 << 10;
    options
}

fn device() -> (MemoryDevice, Arc<dyn Device>) {
    let memory = MemoryDevice::new();
    (memory.clone(), Arc::new(memory))
}

#[test]
fn records_are_counted_from_the_first_that_is_kept() {
    let (_, device) = device();
    let db = Database::create_on(device, small()).unwrap();
    let stream = db.create_stream("a", schema_of::<i64>().unwrap()).unwrap();
    let mut writer = stream.writer::<i64>().unwrap();
    (0..5_000_i64).for_each(|i| writer.append(i * 10, i).unwrap());
    db.flush(Level::Os).unwrap();
    let values = |range: std::ops::Range<u64>| {
        let window = stream.window_of(range).unwrap();
        let all = window.to_vec::<i64>().unwrap();
        assert_eq!(all.len(), window.len());
        all.into_iter().map(|(_, value)| value).collect::<Vec<_>>()
    };
    assert_eq!(stream.first_sequence(), 0);
    for range in [0..5_000, 17..1_234, 63..64, 4_999..9_999, 5_000..6_000, 7..7] {
        let want: Vec<i64> = (0..5_000).filter(|&i| range.contains(&(i as u64))).collect();
        assert_eq!(values(range.clone()), want, "{range:?}");
    }
    db.retain(Retention::before_us(30_000)).unwrap();
    let first = stream.first_sequence();
    assert!((1..3_000).contains(&first), "{first}");
    assert_eq!(values(0..first + 2), [first as i64, first as i64 + 1]);
    assert_eq!(values(0..first), [0; 0]);
    let window = stream.window_of(first..first + 100).unwrap();
    let slices = window.slices().collect::<Result<Vec<_>, _>>().unwrap();
    assert!(slices.len() > 1);
    let of = |slice: &presence::Slice, at: usize| slice.record_ref(at).map(|record| record.ts());
    assert_eq!(of(&slices[0], 1), Some(first as i64 * 10 + 10));
    assert_eq!(of(&slices[0], slices[0].len()), None);
    let gathered = stream.at_many(&[-1, 40_000]).unwrap();
    assert_eq!(gathered.column_bytes(0), [0_i64.to_le_bytes(), 4_000_i64.to_le_bytes()].concat());
    assert!(gathered.column_bytes(1).is_empty());
}

#[test]
fn records_are_read_at_once_and_after_every_reopening() {
    for compression in [Compression::None, Compression::Lz4, Compression::Packed] {
        let (_, device) = device();
        let db = Database::create_on(Arc::clone(&device), small()).unwrap();
        let schema = schema_of::<f64>().unwrap().with_compression(compression);
        let stream = db.create_stream("a", schema).unwrap();
        let mut writer = stream.writer::<f64>().unwrap();
        for i in 0..5_000_i64 {
            writer.append(i * 10, i as f64).unwrap();
            let (ts, value) = stream.typed::<f64>().unwrap().at(i * 10 + 9).unwrap().unwrap();
            assert_eq!((ts, value), (i * 10, i as f64));
        }
        assert_eq!(stream.len(), 5_000);
        let check = |stream: &presence::Stream| {
            assert_eq!(stream.len(), 5_000);
            let typed = stream.typed::<f64>().unwrap();
            for i in (0..5_000_i64).step_by(7) {
                assert_eq!(typed.at(i * 10).unwrap(), Some((i * 10, i as f64)));
                assert_eq!(typed.at(i * 10 + 5).unwrap(), Some((i * 10, i as f64)));
            }
            assert_eq!(typed.at(-1).unwrap(), None);
            let window = typed.to_vec(100..=20_000).unwrap();
            assert_eq!(window.len(), 1991);
            assert_eq!(window[0], (100, 10.0));
            assert_eq!(stream.iter().unwrap().count(), 5_000);
            let carried = stream.window_with(105..130, WindowOptions::carry_in()).unwrap();
            assert_eq!(carried.timestamps().unwrap(), [100, 110, 120]);
            assert_eq!(stream.nearest(104).unwrap().unwrap().ts(), 100);
            assert_eq!(stream.nearest(106).unwrap().unwrap().ts(), 110);
            assert_eq!(stream.next_after(100).unwrap().unwrap().ts(), 110);
            let many = typed.at_many(&[55, -5, 10_000_000, 0]).unwrap();
            assert_eq!(many, [Some((50, 5.0)), None, Some((49_990, 4999.0)), Some((0, 0.0))]);
        };
        check(&stream);
        db.flush(Level::Disk).unwrap();
        check(&stream);
        drop((writer, stream));
        drop(db);
        let db = Database::open_on(Arc::clone(&device), small()).unwrap();
        assert!(db.report().is_clean(), "{:?}", db.report());
        let stream = db.stream("a").unwrap();
        check(&stream);
        db.compact(|_, _| true).unwrap();
        check(&stream);
        db.clone().close().unwrap();
        let db = Database::open_on(Arc::clone(&device), small()).unwrap();
        assert!(db.report().is_clean(), "{:?}", db.report());
        check(&db.stream("a").unwrap());
        drop(db);
        let db = Database::open_read_only_on(device, small()).unwrap();
        check(&db.stream("a").unwrap());
    }
}

#[test]
fn a_reader_beside_the_writer_follows() {
    let (_, device) = device();
    let db = Database::create_on(Arc::clone(&device), small()).unwrap();
    let schema = schema_of::<i32>().unwrap().with_order(Order::NonDecreasing);
    let mut writer = db.create_stream("a", schema).unwrap().writer::<i32>().unwrap();
    let reader = Database::open_read_only_on(device, small()).unwrap();
    for round in 0..200_i32 {
        for i in 0..50 {
            writer.append(i64::from(round), round * 50 + i).unwrap();
        }
        writer.flush(Level::Os).unwrap();
        reader.refresh().unwrap();
        let stream = reader.stream("a").unwrap();
        assert_eq!(stream.len(), (round as u64 + 1) * 50);
        let last = stream.typed::<i32>().unwrap().at(i64::from(round)).unwrap();
        assert_eq!(last, Some((i64::from(round), round * 50 + 49)));
    }
}

#[test]
fn retention_gives_up_whole_old_segments() {
    let (memory, device) = device();
    let db = Database::create_on(Arc::clone(&device), small()).unwrap();
    let stream = db.create_stream("a", Schema::single(presence::DType::I64, &[]).unwrap()).unwrap();
    let mut writer = stream.writer::<i64>().unwrap();
    for i in 0..20_000_i64 {
        writer.append(i, i).unwrap();
    }
    let window = stream.window(0..100).unwrap();
    let kept = db.retain(Retention::before_us(10_000)).unwrap();
    assert!(!kept.files.is_empty());
    assert!(kept.files.iter().all(|name| !memory.files().contains_key(name)));
    assert_eq!(window.to_vec::<i64>().unwrap().len(), 100, "readers keep what they hold");
    assert_eq!(stream.len(), 20_000 - kept.records);
    assert!(stream.first().unwrap().unwrap().ts() <= 10_000);
    drop((writer, stream, window));
    db.close().unwrap();
    let db = Database::open_on(device, small()).unwrap();
    assert!(db.report().is_clean(), "{:?}", db.report());
    assert_eq!(db.stream("a").unwrap().len(), 20_000 - kept.records);
}

#[test]
fn nothing_is_appended_after_closing() {
    let (_, device) = device();
    let db = Database::create_on(Arc::clone(&device), small()).unwrap();
    let stream = db.create_stream("a", schema_of::<u8>().unwrap()).unwrap();
    let mut writer = stream.writer::<u8>().unwrap();
    writer.append(1, 1).unwrap();
    db.close().unwrap();
    assert!(matches!(writer.append(2, 2), Err(presence::Error::Closed)));
    assert!(matches!(writer.append_batch(&[2], &[2]), Err(presence::Error::Closed)));
    assert!(matches!(writer.flush(Level::Os), Err(presence::Error::Closed)));
    assert_eq!(stream.len(), 1, "what is held stays readable");
    let again = Database::open_on(device, small()).unwrap();
    assert_eq!(again.stream("a").unwrap().len(), 1);
}

/// Equal times at the borders of blocks and parts, blocks on disk and in memory.
#[test]
fn windows_are_cut_by_count_and_by_time() {
    let (_, device) = device();
    let db = Database::create_on(device, small()).unwrap();
    let schema = schema_of::<u16>().unwrap().with_order(Order::NonDecreasing);
    let stream = db.create_stream("events", schema.with_compression(Compression::Packed)).unwrap();
    let mut writer = stream.writer::<u16>().unwrap();
    // Three records a moment; nothing from 2,000 to 2,999.
    let time = |i: i64| if i / 3 < 2_000 { i / 3 } else { i / 3 + 1_000 };
    for i in 0..9_000_i64 {
        writer.append(time(i), i as u16).unwrap();
        if i == 6_000 {
            db.flush(Level::Disk).unwrap();
        }
    }
    let values = |window: &presence::Window| window.column::<u16>(0).unwrap();
    let all = stream.window(10..3_500).unwrap();
    let want: Vec<u16> =
        (0..9_000).filter(|&i| (10..3_500).contains(&time(i))).map(|i| i as u16).collect();
    assert_eq!(values(&all), want);
    for count in [1, 7, 100, 4_096, 100_000] {
        let parts: Vec<Vec<u16>> = all.by_count(count).unwrap().map(|part| values(&part)).collect();
        assert!(parts.iter().rev().skip(1).all(|part| part.len() == count), "{count}");
        assert_eq!(parts.concat(), want, "{count}");
    }
    for (origin, step) in [(10, 1), (10, 7), (0, 250), (-5, 1_000), (700, 33), (10, u64::MAX)] {
        let mut seen = Vec::new();
        for (index, part) in all.by_time(origin, step).unwrap().enumerate() {
            let (from, part) = part.unwrap();
            assert_eq!(from, origin + (index as i64).wrapping_mul(step as i64));
            let until = from.saturating_add_unsigned(step);
            assert!(part.timestamps().unwrap().iter().all(|t| (from..until).contains(t)));
            seen.extend(values(&part));
        }
        let from_origin: Vec<u16> =
            want.iter().copied().filter(|&i| time(i64::from(i)) >= origin).collect();
        assert_eq!(seen, from_origin, "{origin} {step}");
    }
    // The gap has parts without records, and the last part is that of the last record.
    let parts = all.by_time(0, 100).unwrap().map(|part| part.unwrap().1.len());
    let parts: Vec<usize> = parts.collect();
    assert_eq!((parts.len(), parts[0], parts[25], parts[34]), (35, 270, 0, 300));
    let len = all.len();
    assert_eq!(values(&all.part(5..9)), want[5..9]);
    assert_eq!(values(&all.part(len - 3..len + 9)), want[len - 3..]);
    assert!(all.part(len..len + 1).is_empty() && all.part(0..0).is_empty());
    assert!(all.by_count(0).is_err() && all.by_time(0, 0).is_err());
    let none = stream.window(2_100..2_200).unwrap();
    assert_eq!((none.by_count(1).unwrap().count(), none.by_time(0, 1).unwrap().count()), (0, 0));
}
