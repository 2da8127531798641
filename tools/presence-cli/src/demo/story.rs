//! What the demo tells while it goes on.
//!
//! # Invariants
//! - Each line is out before the next thing happens.
//! - Without a terminal there is plain text, and no line is drawn twice.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use presence_cli::failure::Result;
use presence_cli::terminal;

/// The teller. A silent one, for `--json`, says nothing.
#[derive(Debug)]
pub(crate) struct Story {
    is_silent: bool,
    is_live: bool,
    is_coloured: bool,
    drawn: Option<Instant>,
}

const REDRAW: Duration = Duration::from_millis(50);

impl Story {
    pub(crate) fn new(is_silent: bool) -> Self {
        let is_coloured = io::stdout().is_terminal()
            && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
        Self { is_silent, is_live: terminal::stdout_is_live(), is_coloured, drawn: None }
    }

    /// Says a line.
    ///
    /// # Errors
    /// Where nobody listens any more.
    pub(crate) fn line(&mut self, line: &str) -> Result<()> {
        self.text(&format!("{line}\n"))
    }

    /// Begins a part of the story.
    ///
    /// # Errors
    /// As [`Story::line`].
    pub(crate) fn part(&mut self, title: &str) -> Result<()> {
        if self.is_coloured && self.is_live {
            self.text(&format!("\n\x1b[1m{title}\x1b[0m\n"))
        } else {
            self.text(&format!("\n{title}\n"))
        }
    }

    /// Says lines.
    ///
    /// # Errors
    /// As [`Story::line`].
    pub(crate) fn text(&mut self, text: &str) -> Result<()> {
        if self.is_silent {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        if self.drawn.take().is_some() {
            out.write_all(b"\r\x1b[2K")?;
        }
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }

    /// Draws the line of progress anew.
    ///
    /// # Errors
    /// As [`Story::line`].
    pub(crate) fn progress(&mut self, line: impl FnOnce() -> String) -> Result<()> {
        let is_due = self.drawn.is_none_or(|drawn| drawn.elapsed() >= REDRAW);
        if self.is_silent || !self.is_live || !is_due {
            return Ok(());
        }
        self.drawn = Some(Instant::now());
        let mut out = io::stdout().lock();
        write!(out, "\r\x1b[2K{}", line())?;
        Ok(out.flush()?)
    }
}
