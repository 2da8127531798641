//! One suite for every implementation of [`Device`]: what the engine may rely on.
//!
//! # Invariants
//! - Nothing here knows which device it runs on; what only one of them does is tested beside it.

use std::io::ErrorKind;

use super::{Device, DeviceFile, LOCK_NAME, LockError};

/// Runs all cases, each on a directory of its own; with it comes what keeps it in place.
pub(super) fn run<K, D: Device>(fresh: impl Fn() -> (K, D)) {
    let cases: [fn(&dyn Device); 9] = [
        writes_read_back,
        many_parts,
        reserve_grows_with_zeros,
        maps,
        names,
        rename_never_replaces,
        handles_outlive_names,
        bad_names_are_refused,
        one_lock,
    ];
    for case in cases {
        let (_kept, device) = fresh();
        case(&device);
    }
}

fn all(file: &dyn DeviceFile) -> Vec<u8> {
    let mut bytes = vec![0; file.len().unwrap() as usize + 10];
    let count = file.read_at(&mut bytes, 0).unwrap();
    bytes.truncate(count);
    bytes
}

fn kind<T: std::fmt::Debug>(result: std::io::Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

fn writes_read_back(device: &dyn Device) {
    let file = device.create("a").unwrap();
    assert!(file.is_empty().unwrap());
    file.write_at(&[b"hello ", b"", b"world"], 3).unwrap();
    assert_eq!(all(&*file), b"\0\0\0hello world");
    file.write_at(&[b"J"], 3).unwrap();
    file.write_at(&[], 100).unwrap();
    file.write_at(&[b""], 100).unwrap();
    assert_eq!(file.len().unwrap(), 14);
    file.sync().unwrap();
    device.sync_directory().unwrap();

    let reader = device.open("a").unwrap();
    let mut buf = [0; 4];
    assert_eq!(reader.read_at(&mut buf, 3).unwrap(), 4);
    assert_eq!(&buf, b"Jell");
    assert_eq!(reader.read_at(&mut buf, 12).unwrap(), 2);
    assert_eq!(reader.read_at(&mut buf, 14).unwrap(), 0);
    assert_eq!(reader.read_at(&mut buf, 1 << 40).unwrap(), 0);
    assert_eq!(reader.read_at(&mut [], 0).unwrap(), 0);
    reader.write_at(&[b"x"], 0).unwrap_err();
    reader.reserve(100).unwrap_err();
    // What one handle writes, another sees at once.
    device.open_writable("a").unwrap().write_at(&[b"!"], 14).unwrap();
    assert_eq!(reader.len().unwrap(), 15);
    file.write_at(&[b"x"], u64::MAX - 3).unwrap_err();
    file.reserve(u64::MAX).unwrap_err();
    assert_eq!(reader.len().unwrap(), 15);
}

fn many_parts(device: &dyn Device) {
    let file = device.create("a").unwrap();
    let bytes: Vec<u8> = (0..5000_u32).map(|i| (i % 251) as u8).collect();
    let parts: Vec<&[u8]> = bytes.chunks(3).flat_map(|part| [part, b""]).collect();
    file.write_at(&parts, 7).unwrap();
    assert_eq!(&all(&*file)[7..], bytes);
    let large = vec![5; 3 << 20];
    file.write_at(&[&large, b"end"], 5007).unwrap();
    let mut end = [0; 8];
    assert_eq!(file.read_at(&mut end, 5007 + (3 << 20) - 1).unwrap(), 4);
    assert_eq!(&end[..4], b"\x05end");
}

fn reserve_grows_with_zeros(device: &dyn Device) {
    let file = device.create("a").unwrap();
    file.write_at(&[b"abc"], 0).unwrap();
    file.reserve(200_000).unwrap();
    assert_eq!(file.len().unwrap(), 200_000);
    let bytes = all(&*file);
    assert_eq!(&bytes[..3], b"abc");
    assert!(bytes[3..].iter().all(|byte| *byte == 0));
    file.reserve(10).unwrap();
    file.reserve(0).unwrap();
    assert_eq!(file.len().unwrap(), 200_000);
}

fn maps(device: &dyn Device) {
    let file = device.create("a").unwrap();
    let bytes: Vec<u8> = (0..10_000_u32).map(|i| (i % 251) as u8).collect();
    file.write_at(&[&bytes], 0).unwrap();
    for len in [0, 1, 64, 4096, 10_000] {
        let map = device.open("a").unwrap().map(len).unwrap();
        assert_eq!(map.as_ptr().addr() % 64, 0);
        assert_eq!(&*map, &bytes[..len]);
    }
    assert_eq!(kind(file.map(10_001)), ErrorKind::UnexpectedEof);
    assert_eq!(kind(file.map(usize::MAX)), ErrorKind::UnexpectedEof);
    let map = file.map(10_000).unwrap();
    drop(file);
    device.unlink("a").unwrap();
    assert_eq!(&*map, &bytes[..]);
}

fn names(device: &dyn Device) {
    assert_eq!(kind(device.open("a")), ErrorKind::NotFound);
    assert_eq!(kind(device.open_writable("a")), ErrorKind::NotFound);
    assert_eq!(kind(device.unlink("a")), ErrorKind::NotFound);
    assert_eq!(kind(device.rename("a", "b")), ErrorKind::NotFound);
    device.create("a").unwrap().write_at(&[b"123"], 0).unwrap();
    device.create("b").unwrap();
    assert_eq!(kind(device.create("a")), ErrorKind::AlreadyExists);
    device.rename("b", "c").unwrap();
    let mut entries = device.list().unwrap();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let listed: Vec<_> = entries.iter().map(|entry| (&*entry.name, entry.len)).collect();
    assert_eq!(listed, [("a", 3), ("c", 0)]);
    assert!(entries.iter().all(|entry| entry.regular));
    device.unlink("a").unwrap();
    assert_eq!(device.list().unwrap().len(), 1);
    device.sync_directory().unwrap();
    assert_ne!(device.random().unwrap(), device.random().unwrap());
    assert!(device.now_unix_us() > 1_600_000_000_000_000);
    assert!(!device.describe().is_empty());
}

fn rename_never_replaces(device: &dyn Device) {
    device.create("a").unwrap().write_at(&[b"a"], 0).unwrap();
    device.create("b").unwrap().write_at(&[b"b"], 0).unwrap();
    assert_eq!(kind(device.rename("a", "b")), ErrorKind::AlreadyExists);
    assert_eq!(kind(device.rename("a", "a")), ErrorKind::AlreadyExists);
    assert_eq!(all(&*device.open("a").unwrap()), b"a");
    assert_eq!(all(&*device.open("b").unwrap()), b"b");
}

fn handles_outlive_names(device: &dyn Device) {
    let file = device.create("a").unwrap();
    file.write_at(&[b"one"], 0).unwrap();
    device.rename("a", "b").unwrap();
    file.write_at(&[b" two"], 3).unwrap();
    assert_eq!(all(&*device.open("b").unwrap()), b"one two");
    device.unlink("b").unwrap();
    assert_eq!(all(&*file), b"one two");
    assert!(all(&*device.create("b").unwrap()).is_empty());
    file.sync().unwrap();
}

fn bad_names_are_refused(device: &dyn Device) {
    device.create("good").unwrap();
    let long = "x".repeat(256);
    let bad = ["", ".", "..", "a/b", "/a", "../a", "good/", "a\0b", LOCK_NAME, &long];
    for name in bad {
        assert_eq!(kind(device.create(name)), ErrorKind::InvalidInput, "{name:?}");
        assert_eq!(kind(device.open(name)), ErrorKind::InvalidInput, "{name:?}");
        assert_eq!(kind(device.open_writable(name)), ErrorKind::InvalidInput, "{name:?}");
        assert_eq!(kind(device.unlink(name)), ErrorKind::InvalidInput, "{name:?}");
        assert_eq!(kind(device.rename("good", name)), ErrorKind::InvalidInput, "{name:?}");
        assert_eq!(kind(device.rename(name, "x")), ErrorKind::InvalidInput, "{name:?}");
    }
    assert_eq!(device.list().unwrap().len(), 1);
    device.create(&"y".repeat(255)).unwrap();
}

fn one_lock(device: &dyn Device) {
    let guard = device.lock("first\nholder").unwrap();
    match device.lock("second").unwrap_err() {
        LockError::Held { holder } => assert!(holder.contains("first"), "{holder}"),
        LockError::Io(error) => panic!("{error}"),
    }
    let entries = device.list().unwrap();
    assert_eq!(entries.iter().map(|entry| &*entry.name).collect::<Vec<_>>(), [LOCK_NAME]);
    drop(guard);
    let guard = device.lock("s").unwrap();
    match device.lock("third").unwrap_err() {
        LockError::Held { holder } => assert_eq!(holder, "s"),
        LockError::Io(error) => panic!("{error}"),
    }
    drop(guard);
}
