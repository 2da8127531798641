//! A line of progress on a terminal, for work that takes long.
//!
//! # Invariants
//! - Nothing is written where standard error is no terminal.
//! - The line is redrawn at most ten times a second, and is gone when the work is done.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use crate::quantity;
use crate::terminal;

const REDRAW: Duration = Duration::from_millis(100);
const BAR_CHARS: usize = 20;
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// A bar with a rate and the time that is left.
#[derive(Debug)]
pub struct Bar {
    is_live: bool,
    is_drawn: bool,
    title: String,
    started: Instant,
    drawn: Option<Instant>,
}

impl Bar {
    /// A bar for work called `title`.
    pub fn new(title: &str) -> Self {
        Self {
            is_live: terminal::stderr_is_live(),
            is_drawn: false,
            title: shortened(&terminal::escape(title), 24),
            started: Instant::now(),
            drawn: None,
        }
    }

    /// Begins a new piece of work: its rate and time left are its own.
    pub fn restart(&mut self) {
        self.started = Instant::now();
        self.drawn = None;
    }

    /// `done` of `total` are done; `detail` stands behind the bar.
    pub fn draw(&mut self, done: u64, total: Option<u64>, detail: &str) {
        let now = Instant::now();
        let is_due = self.drawn.is_none_or(|drawn| now.duration_since(drawn) >= REDRAW);
        if !self.is_live || !is_due {
            return;
        }
        self.drawn = Some(now);
        self.is_drawn = true;
        let spent = now.duration_since(self.started);
        let line = match total.filter(|&total| total > 0) {
            Some(total) => {
                let part = (done as f64 / total as f64).clamp(0.0, 1.0);
                let left = left(spent, part);
                format!("{} {} {:3.0} %  {detail}{left}", self.title, bar(part), part * 100.0)
            }
            None => format!("{}  {detail}", self.title),
        };
        // No newline: the next drawing goes over this one.
        let mut stderr = io::stderr();
        let _drawn = write!(stderr, "\r\x1b[2K{line}").and_then(|()| stderr.flush());
    }

    /// Time since the work began.
    pub fn spent(&self) -> Duration {
        self.started.elapsed()
    }

    /// Takes the line away.
    pub fn clear(&mut self) {
        if std::mem::take(&mut self.is_drawn) {
            let mut stderr = io::stderr();
            let _cleared = write!(stderr, "\r\x1b[2K").and_then(|()| stderr.flush());
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.clear();
    }
}

/// `███▌      ` for a part of one.
pub fn bar(part: f64) -> String {
    let eighths = (part.clamp(0.0, 1.0) * (BAR_CHARS * 8) as f64) as usize;
    let mut bar = "█".repeat(eighths / 8);
    bar.push_str(EIGHTHS.get(eighths % 8).copied().unwrap_or_default());
    let drawn = bar.chars().count();
    bar.push_str(&"░".repeat(BAR_CHARS.saturating_sub(drawn)));
    bar
}

fn left(spent: Duration, part: f64) -> String {
    if part <= 0.01 || part >= 1.0 || spent < Duration::from_millis(500) {
        return String::new();
    }
    let left = spent.mul_f64((1.0 - part) / part);
    match left.as_secs() + 1 {
        seconds @ ..60 => format!("  {seconds} s left"),
        seconds => format!("  {} left", quantity::duration(Duration::from_secs(seconds))),
    }
}

fn shortened(text: &str, chars: usize) -> String {
    if text.chars().count() <= chars {
        return text.to_owned();
    }
    let kept: String = text.chars().take(chars.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_have_one_width() {
        for part in [0.0, 0.01, 0.5, 0.999, 1.0, 7.0] {
            assert_eq!(bar(part).chars().count(), BAR_CHARS, "{part}");
        }
    }
}
