//! Presence tracks: regions of hostile bytes and made ones, and tracks under operations against a
//! naive model, with a countdown to a power cut.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use presence::device::{SimDevice, Survivors};
use presence::{Database, Error, Grid, Level, PresenceTrack, class};
use presence_format::block::BlockLayout;
use presence_format::plane::container::{clear_range, set_range};
use presence_format::plane::{
    CONTAINER_TICKS, CONTAINER_WORDS, Plane, PlaneKind, REGION_CONTAINERS, REGION_TICKS, Region,
    RegionBuilder, region_of,
};
use presence_format::{Compression, Schema};

use crate::input::Input;
use crate::opened::options;

const OPERATIONS_MAX: usize = 60;
const CLASSES: u16 = 3;

/// Some plane.
pub(crate) fn plane(input: &mut Input<'_>) -> Plane {
    let rates =
        [(30, 1), (30_000, 1001), (1, 3600), (1_000_000, 1), (u32::MAX, 4297), (1, u32::MAX)];
    let kind = match input.bool() {
        true => PlaneKind::Observed,
        false => PlaneKind::Class { id: input.u16(), name: "\u{1F4C8}".repeat(input.below(3)) },
    };
    Plane::new("track", input.pick(&rates), input.i64(), kind).unwrap()
}

/// Bytes as a region: what is taken counts right, and its records make the same set again.
pub(crate) fn region(bytes: &[u8]) {
    if let Ok(region) = Region::parse(bytes) {
        is_consistent(&region, bytes);
    }
    let made = made(&mut Input::new(bytes));
    let region = Region::parse(&made).unwrap();
    is_consistent(&region, &made);
    // One byte of a made region changed: refused, or another sound region.
    let mut input = Input::new(bytes);
    let (at, to) = (input.u32() as usize % made.len(), input.u8());
    let mut changed = made;
    changed[at] = to;
    if let Ok(region) = Region::parse(&changed) {
        is_consistent(&region, &changed);
    }
}

fn made(input: &mut Input<'_>) -> Vec<u8> {
    let number = i64::from(input.u16()) - 32_768;
    let mut builder = RegionBuilder::default();
    let mut container = input.below(9) as u32;
    while container < REGION_CONTAINERS && !input.is_empty() {
        let mut words = Box::new([0; CONTAINER_WORDS]);
        for _ in 0..input.below(40) {
            let from = u32::from(input.u16());
            let to = from + u32::from(input.u16() >> (input.u8() % 16));
            match input.u8() % 4 {
                0 => clear_range(&mut words, from, to),
                1 => words.iter_mut().skip(from as usize / 64).for_each(|w| *w ^= input.u64()),
                _ => set_range(&mut words, from, to),
            }
        }
        builder.push(container, &words);
        container += 1 + input.below(20) as u32;
    }
    let mut payload = Vec::new();
    builder.finish(number, &mut payload);
    payload
}

fn is_consistent(region: &Region<'_>, bytes: &[u8]) {
    let mut ticks = 0;
    for number in 0..REGION_CONTAINERS {
        let Some((container, before)) = region.container(number) else { continue };
        assert_eq!(before, ticks, "a rank that is not that of its containers");
        let mut words = Box::new([0; CONTAINER_WORDS]);
        container.fill(&mut words);
        let count = words.iter().map(|word| word.count_ones()).sum::<u32>();
        assert_eq!((container.count(), container.rank(CONTAINER_TICKS)), (count, count));
        for tick in [0, 1, 63, 64, 4095, 40_000, CONTAINER_TICKS - 1] {
            let is_set = words[tick as usize / 64] >> (tick % 64) & 1 == 1;
            assert_eq!(container.contains(tick), is_set);
            assert_eq!(container.rank(tick + 1) - container.rank(tick), u32::from(is_set));
            let all = number * CONTAINER_TICKS + tick;
            assert_eq!(region.rank(all), before + container.rank(tick));
        }
        ticks += count;
    }
    assert_eq!((region.count(), region.rank(REGION_TICKS)), (ticks, ticks));
    let kind = PlaneKind::Observed;
    let layout = BlockLayout::new(&Schema::of_plane(Plane::new("t", (1, 1), 0, kind).unwrap()));
    let records = region.words() as usize;
    let mut decoded = vec![0; layout.decoded_bytes(records)];
    // How many words are not zero is seen when they are decoded.
    if layout.decode(Compression::Presence, records, bytes, &mut decoded).is_ok() {
        let lanes: Vec<&[u8]> = layout.ranges(records).map(|range| &decoded[range]).collect();
        let times = lanes[0].as_chunks::<8>().0.iter().map(|ts| i64::from_le_bytes(*ts));
        assert!(times.is_sorted_by(|a, b| a < b && region_of(*a) == region.number()));
        let mut again = Vec::new();
        layout.encode(Compression::Presence, &lanes, &mut again);
        let same = Region::parse(&again).unwrap();
        assert_eq!((same.count(), same.mask()), (region.count(), region.mask()));
        assert_eq!(layout.set_ticks(Compression::Presence, &again), region.count());
    }
}

/// The ticks of what was observed (`None`) and of each class.
type Ticks = BTreeMap<Option<u16>, BTreeSet<i64>>;

/// Operations on a track: what is found after a power cut is, tick by tick, as it was at the last
/// flush to disk or as it became since; every tick of a class is observed; no damage is told.
pub(crate) fn tracks_vs_model(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut world = World::new();
    if input.bool() {
        world.sim.crash_after(world.sim.calls() + 4 + usize::from(input.u8() % 96));
    }
    for _ in 0..OPERATIONS_MAX {
        if input.is_empty() {
            break;
        }
        if let Err(error) = world.operation(&mut input) {
            world.cut(&error, &mut input);
        }
    }
    world.sim.crash_after(usize::MAX);
    world.check();
}

struct World {
    sim: SimDevice,
    db: Option<Database>,
    now: Ticks,
    /// The states since the last flush to disk, that one first.
    since: Vec<Ticks>,
}

/// A microsecond is a tick here.
fn grid() -> Grid {
    Grid::new("1000000".parse().unwrap(), 0)
}

impl World {
    fn new() -> Self {
        let sim = SimDevice::new();
        let db = Database::create_on(Arc::new(sim.clone()), options()).unwrap();
        db.create_track("cam", grid()).unwrap();
        db.flush(Level::Disk).unwrap();
        Self { sim, db: Some(db), now: Ticks::new(), since: vec![Ticks::new()] }
    }

    fn db(&self) -> &Database {
        self.db.as_ref().unwrap()
    }

    fn track(&self) -> PresenceTrack {
        self.db().track("cam").unwrap()
    }

    fn operation(&mut self, input: &mut Input<'_>) -> Result<(), Error> {
        let places = [0, -70, 65_500, 4_194_200, -4_194_304, 1 << 40];
        let at = input.pick(&places) + i64::from(input.u8());
        let (id, len) = (u16::from(input.u8()) % CLASSES, i64::from(input.u16() >> 2));
        let track = self.track();
        match input.u8() % 12 {
            0..3 => {
                self.change(Some(id), at..at + 1, true);
                track.update_batch(at, &[(id, 0.9), ((id + 1) % CLASSES, 0.1)], 0.5)?;
            }
            3..5 => {
                self.change(Some(id), at..at + len, true);
                track.set_range(id, at..at + len)?;
            }
            5 => {
                self.change(None, at..at + len, true);
                track.observe_range(at..at + len)?;
            }
            6 => {
                self.change(Some(id), at..at + len, false);
                track.unset_range(id, at..at + len)?;
            }
            7 => {
                self.now.values_mut().for_each(|ticks| ticks.retain(|tick| *tick >= at));
                self.since.push(self.now.clone());
                track.forget_before(at)?;
            }
            8 => drop(self.db().flush(Level::Os)?),
            9 => {
                self.db().flush(Level::Disk)?;
                self.since = vec![self.now.clone()];
            }
            10 => {
                self.db().flush(Level::Disk)?;
                self.since = vec![self.now.clone()];
                self.db().compact(|_, _| true)?;
            }
            _ => {
                drop(track);
                self.db.take().unwrap().close()?;
                self.since = vec![self.now.clone()];
                self.db = Some(Database::open_on(Arc::new(self.sim.clone()), options())?);
                self.check();
            }
        }
        Ok(())
    }

    fn change(&mut self, id: Option<u16>, ticks: std::ops::Range<i64>, set: bool) {
        let mut of = |id: Option<u16>| {
            let plane = self.now.entry(id).or_default();
            match set {
                true => plane.extend(ticks.clone()),
                false => plane.retain(|tick| !ticks.contains(tick)),
            }
        };
        of(id);
        if set {
            of(None);
        }
        self.since.push(self.now.clone());
    }

    /// After a power cut: puts what may have survived in place, and opens that.
    fn cut(&mut self, error: &Error, input: &mut Input<'_>) {
        assert!(self.sim.crashed(), "nothing was to fail: {error}");
        self.db = None;
        let survivors = match input.u8() % 4 {
            0 => Survivors::NONE,
            1 => Survivors::ALL,
            2 => Survivors::Prefix(input.below(64)),
            _ => Survivors::Random(input.u64()),
        };
        let point = self.sim.crash_point(self.sim.calls()).unwrap();
        self.sim = point.state(survivors).device;
        self.db = Some(Database::open_on(Arc::new(self.sim.clone()), options()).unwrap());
        let report = self.db().report();
        assert!(report.damage.is_empty() && report.lost.is_empty(), "taken for rot: {report:?}");
        let found = self.found();
        for id in [None].into_iter().chain((0..CLASSES).map(Some)) {
            let empty = BTreeSet::new();
            let of = |ticks: &'_ Ticks| ticks.get(&id).cloned().unwrap_or_default();
            let states: Vec<BTreeSet<i64>> = self.since.iter().map(of).collect();
            let found = found.get(&id).unwrap_or(&empty);
            for tick in found {
                assert!(states.iter().any(|state| state.contains(tick)), "{id:?}: {tick} is new");
            }
            let first = states[0].iter();
            for tick in first.filter(|tick| states.iter().all(|state| state.contains(tick))) {
                assert!(found.contains(tick), "{id:?}: {tick} is lost");
            }
            assert!(id.is_none() || found.is_subset(&self.found()[&None]), "{id:?} not observed");
        }
        self.now = found;
        self.db().flush(Level::Disk).unwrap();
        self.since = vec![self.now.clone()];
    }

    /// The ticks that the database tells of.
    fn found(&self) -> Ticks {
        let track = self.track();
        let mut ticks = Ticks::from([(None, BTreeSet::new())]);
        // Observed is where a class that never is, is not.
        let seen = !class(CLASSES);
        let known: Vec<u16> = track.classes().into_iter().map(|class| class.id).collect();
        for id in known.iter().copied() {
            let mut times = Vec::new();
            track.timestamps(&class(id), ..).unwrap().read_all(&mut times).unwrap();
            ticks.insert(Some(id), times.into_iter().collect());
        }
        let mut times = Vec::new();
        track.timestamps(&seen, ..).unwrap().read_all(&mut times).unwrap();
        ticks.insert(None, times.into_iter().collect());
        ticks
    }

    fn check(&self) {
        let found = self.found();
        for id in [None].into_iter().chain((0..CLASSES).map(Some)) {
            let of = |ticks: &Ticks| ticks.get(&id).cloned().unwrap_or_default();
            assert!(of(&found) == of(&self.now), "{id:?} has other ticks than it should");
        }
    }
}
