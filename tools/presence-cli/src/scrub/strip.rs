//! Frames as a strip of colours: which are in the cache, on their way, expected, gone.
//!
//! # Invariants
//! - A strip shows the frames around the one in use, each in one character.
//! - Which frames are in the cache and which are waited for is asked when it is drawn: events of
//!   several threads may be told in another order than they happened.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use presence_cache::Event;

use super::replay::Cache;

/// What is shown of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// In the cache, and was asked for.
    Cached,
    /// In the cache because it is expected to be asked for.
    Ahead,
    /// On its way.
    Loading,
    /// Expected, and waiting to be loaded.
    Predicted,
    /// Was in the cache.
    Evicted,
}

impl State {
    const ALL: [(Self, &str); 5] = [
        (Self::Cached, "cached"),
        (Self::Ahead, "cached ahead"),
        (Self::Loading, "loading"),
        (Self::Predicted, "predicted"),
        (Self::Evicted, "evicted"),
    ];

    /// The sign of a frame, for eyes that see no colours too, and its colour.
    fn look(state: Option<Self>) -> (char, u8) {
        match state {
            Some(Self::Cached) => ('█', 32),
            Some(Self::Ahead) => ('▓', 36),
            Some(Self::Loading) => ('▒', 33),
            Some(Self::Predicted) => ('+', 35),
            Some(Self::Evicted) => ('░', 31),
            None => ('·', 90),
        }
    }
}

/// What the cache has and what it will load.
#[derive(Debug, Default)]
pub(crate) struct Now {
    here: HashSet<u32>,
    waiting: HashSet<u32>,
}

impl Now {
    pub(crate) fn of(cache: &Cache) -> Self {
        let waiting = cache.prefetches_waiting().into_iter().map(|(frame, _)| frame);
        Self { here: cache.keys().into_iter().collect(), waiting: waiting.collect() }
    }
}

/// The last that happened to all frames that were ever asked for or expected.
#[derive(Debug, Default)]
pub(crate) struct States(Mutex<HashMap<u32, State>>);

impl States {
    fn lock(&self) -> MutexGuard<'_, HashMap<u32, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what happened.
    pub(crate) fn happened(&self, event: &Event<u32>) {
        let Some(&frame) = event.key() else { return };
        let mut states = self.lock();
        let state = match event {
            Event::CacheLoadStart(_) | Event::PrefetchStart(_) => State::Loading,
            Event::CacheLoadComplete(_) => State::Cached,
            // Whoever waited for it may have been quicker than this event.
            Event::PrefetchSuccess(_) if states.get(&frame) == Some(&State::Cached) => return,
            Event::PrefetchSuccess(_) => State::Ahead,
            Event::CacheEvict(_) => State::Evicted,
            _ => {
                states.remove(&frame);
                return;
            }
        };
        states.insert(frame, state);
    }

    /// The reader has asked for `frame`.
    pub(crate) fn asked(&self, frame: u32) {
        self.lock().insert(frame, State::Cached);
    }

    /// The strip of `width` frames around `at`, of those from `first` to `last`.
    pub(crate) fn strip(
        &self,
        now: &Now,
        at: u32,
        (first, last): (u32, u32),
        width: u32,
    ) -> String {
        let states = self.lock();
        let state = |frame: &u32| match states.get(frame).copied() {
            Some(State::Cached) if now.here.contains(frame) => Some(State::Cached),
            _ if now.here.contains(frame) => Some(State::Ahead),
            Some(State::Loading) => Some(State::Loading),
            _ if now.waiting.contains(frame) => Some(State::Predicted),
            known => known.map(|_| State::Evicted),
        };
        let from = at.saturating_sub(width / 2).min(last.saturating_sub(width - 1)).max(first);
        let to = from.saturating_add(width - 1).min(last);
        let mut strip = String::new();
        let mut colour = 0;
        for frame in from..=to {
            let (sign, wanted) = match frame == at {
                true => ('◆', 97),
                false => State::look(state(&frame)),
            };
            if wanted != colour {
                strip.push_str(&format!("\x1b[{wanted}m"));
                colour = wanted;
            }
            strip.push(sign);
        }
        strip.push_str("\x1b[0m");
        strip
    }

    /// What the signs mean.
    pub(crate) fn legend() -> String {
        let words = State::ALL.map(|(state, word)| {
            let (sign, colour) = State::look(Some(state));
            format!("\x1b[{colour}m{sign}\x1b[0m {word}")
        });
        words.join("  ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(strip: &str) -> String {
        let mut inside = false;
        let keep = |&c: &char| {
            let was_inside = inside;
            inside = if inside { c != 'm' } else { c == '\x1b' };
            !was_inside && !inside
        };
        strip.chars().filter(keep).collect()
    }

    #[test]
    fn a_strip_tells_states_around_the_frame_in_use() {
        let states = States::default();
        states.happened(&Event::CacheLoadStart(5));
        states.happened(&Event::CacheLoadComplete(5));
        states.happened(&Event::PrefetchSuccess(6));
        states.happened(&Event::PrefetchStart(7));
        states.happened(&Event::CacheEvict(3));
        states.happened(&Event::PrefetchStart(2));
        states.happened(&Event::PrefetchError(2, "gone".into()));
        let mut now = Now { here: [5, 6].into(), waiting: [8].into() };
        assert_eq!(plain(&states.strip(&now, 4, (1, 100), 8)), "··░◆█▓▒+");
        states.asked(6);
        // Told late: frame 6 was asked for already.
        states.happened(&Event::PrefetchSuccess(6));
        now.here.remove(&5);
        assert_eq!(plain(&states.strip(&now, 100, (1, 100), 4)), "···◆");
        assert_eq!(plain(&states.strip(&now, 1, (1, 8), 80)), "◆·░·░█▒+");
        assert!(plain(&States::legend()).starts_with("█ cached  ▓ cached ahead"));
    }
}
