//! A terminal that shows the cache while it works, and takes keys.
//!
//! # Invariants
//! - Whatever ends the program, but a kill, the terminal is as it was: echo, lines and cursor.
//! - One screen of five lines is drawn over itself; nothing scrolls.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use presence_cache::Stats;
use presence_cli::failure::{Failure, Result};
use presence_cli::interrupt::on_interrupt;
use presence_cli::terminal;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};

use super::strip::{Now, States};

/// What somebody at the keys wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// So many frames on, or back.
    Jump(i64),
    Quit,
}

/// The keys, in words.
const KEYS: &str = "keys: ←/→ 1 frame, ↓/↑ 5, PgDn/PgUp 15 (or a s d  f g h: -15 -5 -1 +1 +5 +15), \
                    q ends";

/// A terminal in use.
pub(crate) struct Screen {
    earlier: Option<Termios>,
    stop: Arc<AtomicBool>,
    drawn: bool,
}

/// What is drawn.
#[derive(Debug)]
pub(crate) struct Picture<'a> {
    pub(crate) title: &'a str,
    pub(crate) at: u32,
    pub(crate) ends: (u32, u32),
    pub(crate) wait: Duration,
    pub(crate) now: &'a Now,
    pub(crate) stats: &'a Stats,
}

impl Screen {
    /// Takes the terminal. With `keys`, what is typed comes one by one, without an echo.
    ///
    /// # Errors
    /// Where it cannot be set so.
    pub(crate) fn take(keys: bool) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        on_interrupt(move || asked.store(true, Ordering::Relaxed))
            .map_err(|error| Failure::io("watch for Ctrl-C", &error))?;
        let mut screen = Self { earlier: None, stop, drawn: false };
        if keys {
            let failed = |error: rustix::io::Errno| Failure::io("set the terminal", &error.into());
            let earlier = tcgetattr(io::stdin()).map_err(failed)?;
            let mut raw = earlier.clone();
            // Signals stay: Ctrl-C ends.
            raw.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
            raw.special_codes[SpecialCodeIndex::VMIN] = 0;
            raw.special_codes[SpecialCodeIndex::VTIME] = 1;
            screen.earlier = Some(earlier);
            tcsetattr(io::stdin(), OptionalActions::Now, &raw).map_err(failed)?;
        }
        let mut out = io::stdout();
        write!(out, "\x1b[?25l").map_err(|error| Failure::io("write", &error))?;
        Ok(screen)
    }

    /// Whether a signal asked to end.
    pub(crate) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Waits a tenth of a second at most for keys; gives all that were typed by then.
    ///
    /// # Errors
    /// Where the terminal is gone.
    pub(crate) fn keys(&self) -> Result<Vec<Key>> {
        let mut bytes = [0; 64];
        let count = match io::stdin().read(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            read => read.map_err(|error| Failure::io("read from the terminal", &error))?,
        };
        Ok(keys(bytes.get(..count).unwrap_or_default()))
    }

    /// Draws over what was drawn before.
    ///
    /// # Errors
    /// Where the terminal is gone.
    pub(crate) fn draw(&mut self, states: &States, picture: &Picture<'_>) -> Result<()> {
        let Picture { title, at, ends, wait, now, stats } = picture;
        let up = if std::mem::replace(&mut self.drawn, true) { "\x1b[4A\r" } else { "" };
        let width = u32::from(terminal::width()).saturating_sub(1).max(1);
        let strip = states.strip(now, *at, *ends, width);
        let clear = "\x1b[K";
        let keys = if self.earlier.is_some() { KEYS } else { "Ctrl-C ends" };
        let picture = format!(
            "{up}{title}: frame {at} of {} to {}, waited {wait:.1?}{clear}\n{strip}{clear}\n\
             {}{clear}\nhits {:.1} %, loads {}, useful {}, late {}, wasted {}, cancelled {}, \
             evicted {}{clear}\n{keys}{clear}",
            ends.0,
            ends.1,
            States::legend(),
            100.0 * stats.hit_rate(),
            stats.load_time.count(),
            stats.prefetches_useful,
            stats.prefetches_late,
            stats.prefetches_wasted,
            stats.prefetches_cancelled,
            stats.evictions,
        );
        let mut out = io::stdout().lock();
        out.write_all(picture.as_bytes())
            .and_then(|()| out.flush())
            .map_err(|error| Failure::io("write", &error))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Some(earlier) = &self.earlier {
            // Where the terminal is gone there is nothing to restore.
            let _restored = tcsetattr(io::stdin(), OptionalActions::Now, earlier);
        }
        let _shown = writeln!(io::stdout(), "\x1b[0m\x1b[?25h").and_then(|()| io::stdout().flush());
    }
}

/// What a terminal sends for the keys, in one piece or many: a held key repeats.
fn keys(mut bytes: &[u8]) -> Vec<Key> {
    const SENT: [(&[u8], Key); 15] = [
        (b"\x1b[D", Key::Jump(-1)),
        (b"\x1b[C", Key::Jump(1)),
        (b"\x1b[B", Key::Jump(-5)),
        (b"\x1b[A", Key::Jump(5)),
        (b"\x1b[6~", Key::Jump(-15)),
        (b"\x1b[5~", Key::Jump(15)),
        (b"a", Key::Jump(-15)),
        (b"s", Key::Jump(-5)),
        (b"d", Key::Jump(-1)),
        (b"f", Key::Jump(1)),
        (b" ", Key::Jump(1)),
        (b"g", Key::Jump(5)),
        (b"h", Key::Jump(15)),
        (b"q", Key::Quit),
        (b"\x04", Key::Quit),
    ];
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let sent = SENT.iter().find_map(|(sent, key)| Some((bytes.strip_prefix(*sent)?, *key)));
        bytes = match sent {
            Some((rest, key)) => {
                found.push(key);
                rest
            }
            None => bytes.get(1..).unwrap_or_default(),
        };
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_apart() {
        assert_eq!(keys(b"asdfgh"), [-15, -5, -1, 1, 5, 15].map(Key::Jump));
        assert_eq!(keys(b"\x1b[5~\x1b[Dq"), [Key::Jump(15), Key::Jump(-1), Key::Quit]);
        assert_eq!((keys(b""), keys(b"\x1b[Z?")), (vec![], vec![]));
    }
}
