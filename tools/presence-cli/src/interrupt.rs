//! Ctrl-C as an event: an action runs on a thread of its own when a signal asks to end.
//!
//! # Invariants
//! - The first signal runs the action; a second one ends the process at once.

use std::io;

/// The exit code of a program ended by Ctrl-C.
#[cfg(unix)]
const CODE: i32 = 130;

/// Runs `action` once, on another thread, when SIGINT or SIGTERM arrives.
///
/// # Errors
/// Where the signals cannot be taken.
#[cfg(unix)]
pub fn on_interrupt(action: impl FnOnce() + Send + 'static) -> io::Result<()> {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    let again = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag unset, and sets it.
        signal_hook::flag::register_conditional_shutdown(signal, CODE, Arc::clone(&again))?;
        signal_hook::flag::register(signal, Arc::clone(&again))?;
    }
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new().name("presence-signal".to_owned()).spawn(move || {
        if signals.forever().next().is_some() {
            action();
        }
    })?;
    Ok(())
}

/// Elsewhere signals end the process as they do: what was flushed is safe.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn on_interrupt(_action: impl FnOnce() + Send + 'static) -> io::Result<()> {
    Ok(())
}
