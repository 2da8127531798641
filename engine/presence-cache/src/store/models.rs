//! Models of what threads do to the store at once.
//!
//! # Invariants
//! - Every value is ten times its key; the load itself is one step.

use super::*;
use crate::policy::Lru;
use crate::shim::explore;

type Small = Store<u64, u64, ()>;

fn store(entries: usize) -> Arc<Small> {
    let limits = Limits { bytes: 100, entries };
    Arc::new(Store::new(limits, 1, Box::new(Lru::new())))
}

fn put(store: &Small, key: u64) {
    assert!(store.insert(key, key * 10, 1).id.is_some());
}

/// Asks as a reader does. Whether this thread loaded.
fn ask(store: &Small, key: u64) -> bool {
    let hash = store.hash(&key);
    let check = |value: u64| assert_eq!(value, key * 10);
    if let Some(hit) = store.get(hash, &key) {
        check(hit.value);
        return false;
    }
    match store.meet(hash, &key, true) {
        Met::Hit(hit) => check(hit.value),
        Met::Failed(_) => panic!("no load fails here"),
        Met::Join(flight, _) => check(flight.wait().unwrap().0),
        Met::Lead(flight) => {
            let landed = store.land((hash, &key), &flight, (key * 10, 1), Claimant::Reader(0));
            flight.land(Ok((key * 10, landed.id)));
            return true;
        }
    }
    false
}

/// Two readers ask for one cold key: one of them loads it.
#[test]
fn one_load_for_one_key() {
    explore(3, || {
        let store = store(2);
        let other = loom::thread::spawn({
            let store = Arc::clone(&store);
            move || ask(&store, 1)
        });
        let mine = ask(&store, 1);
        assert!(mine != other.join().unwrap(), "loaded twice, or by nobody");
        assert_eq!((store.sizes().entries, store.sizes().loading), (1, 0));
    });
}

/// A value is pinned while another one needs its place: if it was pinned, it stays.
#[test]
fn what_is_pinned_stays() {
    explore(3, || {
        let store = store(1);
        put(&store, 1);
        let other = loom::thread::spawn({
            let store = Arc::clone(&store);
            move || ask(&store, 2)
        });
        let hash = store.hash(&1);
        if let Some((_, id)) = store.pin(hash, &1) {
            assert_eq!(store.peek(hash, &1), Some(10), "evicted though pinned");
            store.unpin(hash, id);
        }
        assert!(other.join().unwrap());
        assert_eq!(store.sizes().entries, 1);
    });
}

/// Two values come in where one has room: never more than that is held.
#[test]
fn the_budget_holds() {
    explore(3, || {
        let store = store(1);
        let other = loom::thread::spawn({
            let store = Arc::clone(&store);
            move || ask(&store, 1)
        });
        ask(&store, 2);
        assert!(store.held().1 <= 1, "more than there is room for");
        other.join().unwrap();
        let sizes = store.sizes();
        assert_eq!((sizes.bytes, sizes.entries), (1, 1));
    });
}

/// A reader comes while a prefetch ends: it has the value, which counts as used.
#[test]
fn a_reader_beside_the_end_of_a_prefetch() {
    explore(3, || {
        let store = store(2);
        let hash = store.hash(&1);
        let flight = store.prefetch(hash, &1).unwrap();
        let worker = loom::thread::spawn({
            let store = Arc::clone(&store);
            move || {
                let landed = store.land((hash, &1), &flight, (10, 1), Claimant::Prefetch(0.5));
                flight.land(Ok((10, landed.id)));
            }
        });
        assert!(!ask(&store, 1), "a second load of the key");
        worker.join().unwrap();
        assert_eq!((store.sizes().unused, store.sizes().entries), (0, 1));
    });
}

/// A value is taken out while its load ends: what was loaded before is not there afterwards.
#[test]
fn what_was_taken_out_does_not_come_back() {
    explore(3, || {
        let store = store(2);
        let hash = store.hash(&1);
        let Met::Lead(flight) = store.meet(hash, &1, true) else { panic!("a cold key") };
        let loader = loom::thread::spawn({
            let store = Arc::clone(&store);
            move || {
                store.land((hash, &1), &flight, (10, 1), Claimant::Reader(0));
            }
        });
        store.invalidate(&1);
        assert!(ask(&store, 1), "an answer from before");
        loader.join().unwrap();
        assert_eq!((store.sizes().bytes, store.sizes().loading), (1, 0));
    });
}
