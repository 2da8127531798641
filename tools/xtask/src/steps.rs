//! Runs a list of steps with headings and times, and stops at the first that fails.
//!
//! # Invariants
//! - A step that could not be run is never reported as done: it is `skipped`, with the reason.
//! - Nothing printed here looks like the closing line of a test runner, so programs that read
//!   those lines find theirs only.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Result, figures};

/// One thing to check.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    /// One word, for headings, `--only` and the table.
    pub(crate) name: &'static str,
    /// What it is for, in one line.
    pub(crate) about: &'static str,
    /// Does it, from the repository's top folder.
    pub(crate) run: fn(&Path) -> Result<Outcome>,
}

/// How a step ended that did not fail.
pub(crate) enum Outcome {
    /// All of it was run.
    Done,
    /// All of it was run, and there is something to know.
    DoneNote(String),
    /// It was not run, or not all of it.
    Skipped(String),
}

/// A line of the table at the end.
struct Row {
    name: &'static str,
    outcome: Outcome,
    time: Duration,
}

/// Runs `steps` in order and prints the table.
pub(crate) fn run(root: &Path, steps: &[Step]) -> Result<()> {
    let start = Instant::now();
    let mut rows = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        println!("\n==> [{}/{}] {}: {}", index + 1, steps.len(), step.name, step.about);
        let step_start = Instant::now();
        let outcome = (step.run)(root).map_err(|why| {
            let time = seconds(step_start.elapsed());
            let name = step.name;
            let again = format!("       again: cargo xtask test --only {name}");
            format!("stopped at step `{name}` after {time}: {why}\n{again}")
        })?;
        let time = step_start.elapsed();
        let text = outcome.text();
        println!("<== {}: {text} ({})", step.name, seconds(time));
        if matches!(outcome, Outcome::Skipped(_)) {
            figures::add(&format!("skipped: step {}", step.name), 1)?;
        }
        rows.push(Row { name: step.name, outcome, time });
    }
    print!("{}", table(&rows, start.elapsed()));
    Ok(())
}

impl Outcome {
    fn text(&self) -> String {
        match self {
            Self::Done => "done".to_owned(),
            Self::DoneNote(note) => format!("done, {note}"),
            Self::Skipped(why) => format!("SKIPPED: {why}"),
        }
    }
}

/// The steps with their times, then one closing line.
fn table(rows: &[Row], total: Duration) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let mut text = String::from("\nSteps\n");
    for Row { name, outcome, time } in rows {
        text.push_str(&format!("  {name:width$}  {:>8}  {}\n", seconds(*time), outcome.text()));
    }
    let skipped = rows.iter().filter(|row| matches!(row.outcome, Outcome::Skipped(_))).count();
    let closing = match skipped {
        0 => format!("xtask: every step is done, {}\n", seconds(total)),
        _ => format!("xtask: done, but for {skipped} skipped step(s), {}\n", seconds(total)),
    };
    text.push('\n');
    text.push_str(&closing);
    text
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// Shows a command, runs it with its output visible, and fails where it fails.
pub(crate) fn execute(command: &mut Command) -> Result<()> {
    let line = words(command);
    println!("  $ {line}");
    let status = command.status().map_err(|error| format!("`{line}` did not start: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{line}` ended with {status}")) }
}

/// What a command prints, or nothing where it does not start or fails.
pub(crate) fn output_of(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The command as somebody would type it.
fn words(command: &Command) -> String {
    let set = command.get_envs().filter_map(|(name, value)| {
        let (name, value) = (name.to_string_lossy(), value?.to_string_lossy());
        Some(format!("{name}={}", quoted(&value)))
    });
    let program = [quoted(&command.get_program().to_string_lossy())];
    let arguments = command.get_args().map(|argument| quoted(&argument.to_string_lossy()));
    set.chain(program).chain(arguments).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    if word.contains(' ') { format!("'{word}'") } else { word.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_at_the_first_failure_and_names_it() {
        let steps = [
            Step { name: "first", about: "works", run: |_| Ok(Outcome::Done) },
            Step { name: "second", about: "fails", run: |_| Err("the reason".to_owned()) },
            Step { name: "third", about: "is never run", run: |_| unreachable!() },
        ];
        let error = run(Path::new("."), &steps).unwrap_err();
        assert!(error.starts_with("stopped at step `second` after "), "{error}");
        assert!(error.contains(": the reason\n"), "{error}");
        assert!(error.ends_with("again: cargo xtask test --only second"), "{error}");
    }

    #[test]
    fn the_table_tells_what_was_skipped() {
        let row = |name, outcome| Row { name, outcome, time: Duration::from_millis(1_240) };
        let all = [row("a", Outcome::Done), row("long", Outcome::DoneNote("with 1.2".to_owned()))];
        assert_eq!(
            table(&all, Duration::from_secs(3)),
            "\nSteps\n  a        1.2 s  done\n  long     1.2 s  done, with 1.2\n\n\
             xtask: every step is done, 3.0 s\n"
        );
        let some = [row("a", Outcome::Skipped("no network".to_owned()))];
        let text = table(&some, Duration::ZERO);
        assert!(text.contains("SKIPPED: no network"), "{text}");
        assert!(text.ends_with("xtask: done, but for 1 skipped step(s), 0.0 s\n"), "{text}");
    }

    #[test]
    fn commands_are_shown_as_typed() {
        let mut command = Command::new("cargo");
        command.arg("doc").env("RUSTDOCFLAGS", "-D warnings").env_remove("CARGO");
        assert_eq!(words(&command), "RUSTDOCFLAGS='-D warnings' cargo doc");
    }

    #[test]
    fn a_failing_command_is_an_error() {
        let error = execute(Command::new("cargo").arg("no-such-command-here")).unwrap_err();
        assert!(error.contains("`cargo no-such-command-here` ended with"), "{error}");
        let error = execute(&mut Command::new("no-such-program-here")).unwrap_err();
        assert!(error.contains("did not start"), "{error}");
    }
}
