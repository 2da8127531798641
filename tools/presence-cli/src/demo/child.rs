//! The process that writes and is killed, from both its sides.
//!
//! # Invariants
//! - An acknowledgement is a line on a pipe, printed after the flush it speaks of has returned.
//! - The child ends when nobody reads its lines, and no child outlives its [`Child`].

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdout, Stdio};
use std::time::{Duration, Instant};

use presence::{Database, Options};

use super::recorder::{Counts, Recorder};
use presence_cli::failure::{Failure, Result};

/// Time between two acknowledgements: longer than the engine's own flushes are apart, so that a
/// kill finds records that were flushed and not acknowledged yet.
const ACKNOWLEDGE: Duration = Duration::from_millis(200);
/// Time between two looks at the clock.
const BREATH: Duration = Duration::from_millis(3);

/// Writes `seconds` of recording, `pace` times as fast as they would take, and tells after each
/// acknowledgement: the whole of it where `pace` is none.
///
/// # Errors
/// As [`Recorder::until`], and of `tell`.
pub(crate) fn pace(
    recorder: &mut Recorder,
    from_us: i64,
    to_us: i64,
    pace: f64,
    mut tell: impl FnMut(i64, &Counts) -> Result<()>,
) -> Result<()> {
    let began = Instant::now();
    let mut told = began;
    let mut now_us = from_us;
    while now_us < to_us {
        std::thread::sleep(BREATH);
        let gone_us = began.elapsed().as_secs_f64() * pace * 1e6;
        now_us = to_us.min(from_us.saturating_add(gone_us as i64));
        recorder.until(now_us)?;
        if told.elapsed() >= ACKNOWLEDGE || now_us == to_us {
            told = Instant::now();
            tell(now_us, &recorder.acknowledge()?)?;
        }
    }
    Ok(())
}

/// The child's whole life.
///
/// # Errors
/// As [`pace`], and where the database cannot be made.
pub(crate) fn live(dir: &Path, to_us: i64, speed: f64) -> Result<()> {
    let db = Database::create(dir, Options::default())?;
    let mut recorder = Recorder::new(&db)?;
    let mut out = std::io::stdout();
    pace(&mut recorder, 0, to_us, speed, |now_us, counts| {
        let counts: Vec<String> = counts.iter().map(u64::to_string).collect();
        writeln!(out, "{now_us} {}", counts.join(" "))?;
        Ok(out.flush()?)
    })
}

/// The child, from outside.
#[derive(Debug)]
pub(crate) struct Child {
    process: std::process::Child,
    lines: BufReader<ChildStdout>,
}

impl Child {
    /// Starts this program anew, to write.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub(crate) fn start(dir: &Path, to_us: i64, speed: f64) -> Result<Self> {
        let fault = |error: std::io::Error| Failure::io("start the process that writes", &error);
        let mut process = crate::tool::again()
            .map_err(fault)?
            .arg("demo-record")
            .arg(dir)
            .args([to_us.to_string(), speed.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(fault)?;
        let stdout = process.stdout.take().ok_or_else(|| Failure::usage("the pipe is closed"))?;
        Ok(Self { process, lines: BufReader::new(stdout) })
    }

    /// The next acknowledgement: the time it reaches, and the records of each stream. `None` when
    /// the child has ended.
    ///
    /// # Errors
    /// Where the pipe cannot be read.
    pub(crate) fn acknowledgement(&mut self) -> Result<Option<(i64, Counts)>> {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line);
        read.map_err(|error| Failure::io("listen to the process that writes", &error))?;
        Ok(parse(&line))
    }

    /// Kills it with a signal it cannot refuse, and waits until it is gone.
    ///
    /// # Errors
    /// Where it cannot be killed.
    pub(crate) fn kill(&mut self) -> Result<()> {
        let killed = self.process.kill().and_then(|()| self.process.wait());
        killed.map_err(|error| Failure::io("kill the process that writes", &error))?;
        Ok(())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Where it has ended already there is nothing to kill, and only then can this fail.
        let _ended = self.process.kill().and_then(|()| self.process.wait());
    }
}

/// A whole line; a torn one is no acknowledgement.
fn parse(line: &str) -> Option<(i64, Counts)> {
    let mut words = line.strip_suffix('\n')?.split(' ');
    let now_us = words.next()?.parse().ok()?;
    let mut counts = Counts::default();
    for count in &mut counts {
        *count = words.next()?.parse().ok()?;
    }
    Some((now_us, counts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn torn_lines_acknowledge_nothing() {
        assert_eq!(parse("25000 1 2 3 4 5\n"), Some((25_000, [1, 2, 3, 4, 5])));
        for line in ["", "25000 1 2 3 4 5", "25000 1 2 3 4\n", "x 1 2 3 4 5\n"] {
            assert_eq!(parse(line), None, "{line:?}");
        }
    }
}
