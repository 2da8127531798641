//! Runs a list of steps with headings and times, and stops at the first that fails.
//!
//! Steps that build in folders of their own may run beside the others, in another process: the
//! others leave a core idle now and then. What it prints comes when it has ended, in one piece.
//!
//! # Invariants
//! - A step that could not be run is never reported as done: it is `skipped`, with the reason.
//! - Nothing printed here looks like the closing line of a test runner, so programs that read
//!   those lines find theirs only.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;
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
    name: String,
    /// How it ended, in words.
    text: String,
    time: String,
}

/// Where a step's last line begins.
const ENDED: &str = "<== ";
const SKIPPED: &str = "SKIPPED: ";

/// Steps that run beside others, in a process of their own.
#[derive(Clone, Copy)]
pub(crate) struct Beside<'a> {
    pub(crate) names: &'a [&'a str],
    /// The step they begin with; where it is not run, they begin at once.
    pub(crate) from: &'a str,
}

/// Runs `steps` in order, but for those that run beside the others, and prints the table.
pub(crate) fn run(root: &Path, steps: &[Step], beside: Beside<'_>) -> Result<()> {
    let start = Instant::now();
    let is_beside = |step: &Step| beside.names.contains(&step.name);
    let (apart, here): (Vec<Step>, Vec<Step>) = steps.iter().partition(|step| is_beside(step));
    let mut rows = Vec::new();
    if apart.is_empty() || here.is_empty() {
        in_order(root, steps, &mut rows)?;
        print!("{}", table(&rows, start.elapsed()));
        return Ok(());
    }
    let first = here.iter().position(|step| step.name == beside.from).unwrap_or(0);
    let (before, rest) = here.split_at(first);
    in_order(root, before, &mut rows)?;
    let names = apart.iter().map(|step| step.name).collect::<Vec<_>>();
    println!("\n==> beside the next steps, and told behind them: {}", names.join(", "));
    let other = start_beside(&names)?;
    let ended = in_order(root, rest, &mut rows);
    // However these ended: what runs there is not left behind.
    let ended_beside = end_beside(other, &mut rows);
    ended.and(ended_beside)?;
    rows.sort_by_key(|row| steps.iter().position(|step| step.name == row.name));
    print!("{}", table(&rows, start.elapsed()));
    Ok(())
}

/// Runs `steps` one after the other, up to the first that fails.
fn in_order(root: &Path, steps: &[Step], rows: &mut Vec<Row>) -> Result<()> {
    for (index, step) in steps.iter().enumerate() {
        println!("\n==> [{}/{}] {}: {}", index + 1, steps.len(), step.name, step.about);
        let step_start = Instant::now();
        let outcome = (step.run)(root).map_err(|why| {
            let time = seconds(step_start.elapsed());
            let name = step.name;
            let again = format!("       again: cargo xtask test --only {name}");
            format!("stopped at step `{name}` after {time}: {why}\n{again}")
        })?;
        if matches!(outcome, Outcome::Skipped(_)) {
            figures::add(&format!("skipped: step {}", step.name), 1)?;
        }
        let time = seconds(step_start.elapsed());
        let row = Row { name: step.name.to_owned(), text: outcome.text(), time };
        println!("{}", row.line());
        rows.push(row);
    }
    Ok(())
}

/// What a process told, once it has ended.
type Telling = JoinHandle<std::io::Result<Output>>;

/// Starts this program once more, for the steps `names` alone. Its figures join ours.
fn start_beside(names: &[&str]) -> Result<Telling> {
    let this = std::env::current_exe().map_err(|error| format!("this program: {error}"))?;
    // Both of its outputs in one pipe, in the order of what happened.
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" \"$@\" 2>&1"]).arg(this).arg("test");
    names.iter().for_each(|name| _ = command.args(["--only", name]));
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let child = command.spawn();
    let child = child.map_err(|error| format!("this program does not start again: {error}"))?;
    // Somebody has to read: a pipe that nobody empties stops the one who fills it.
    Ok(std::thread::spawn(|| child.wait_with_output()))
}

/// Waits for what runs beside, tells what it told, and takes over its rows.
fn end_beside(other: Telling, rows: &mut Vec<Row>) -> Result<()> {
    let output = other.join().map_err(|_| "the thread that reads what is told panicked")?;
    let output = output.map_err(|error| format!("what runs beside tells nothing: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    // Its own table is part of ours.
    print!("{}", text.split("\nSteps\n").next().unwrap_or_default());
    rows.extend(text.lines().filter_map(Row::of_line));
    match output.status.success() {
        true => Ok(()),
        false => Err("a step beside the others failed: why stands above".to_owned()),
    }
}

impl Row {
    /// What is printed when the step has ended.
    fn line(&self) -> String {
        format!("{ENDED}{}: {} ({})", self.name, self.text, self.time)
    }

    /// The row that such a line tells of.
    fn of_line(line: &str) -> Option<Self> {
        let (name, rest) = line.strip_prefix(ENDED)?.split_once(": ")?;
        let (text, time) = rest.strip_suffix(')')?.rsplit_once(" (")?;
        Some(Self { name: name.to_owned(), text: text.to_owned(), time: time.to_owned() })
    }
}

impl Outcome {
    fn text(&self) -> String {
        match self {
            Self::Done => "done".to_owned(),
            Self::DoneNote(note) => format!("done, {note}"),
            Self::Skipped(why) => format!("{SKIPPED}{why}"),
        }
    }
}

/// The steps with their times, then one closing line.
fn table(rows: &[Row], total: Duration) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let mut text = String::from("\nSteps\n");
    for Row { name, text: ended, time } in rows {
        text.push_str(&format!("  {name:width$}  {time:>8}  {ended}\n"));
    }
    let skipped = rows.iter().filter(|row| row.text.starts_with(SKIPPED)).count();
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
        let none = Beside { names: &[], from: "" };
        let error = run(Path::new("."), &steps, none).unwrap_err();
        assert!(error.starts_with("stopped at step `second` after "), "{error}");
        assert!(error.contains(": the reason\n"), "{error}");
        assert!(error.ends_with("again: cargo xtask test --only second"), "{error}");
    }

    #[test]
    fn the_table_tells_what_was_skipped() {
        let row = |name: &str, outcome: Outcome| Row {
            name: name.to_owned(),
            text: outcome.text(),
            time: seconds(Duration::from_millis(1_240)),
        };
        let all = [row("a", Outcome::Done), row("long", Outcome::DoneNote("with 1.2".to_owned()))];
        assert_eq!(
            table(&all, Duration::from_secs(3)),
            "\nSteps\n  a        1.2 s  done\n  long     1.2 s  done, with 1.2\n\n\
             xtask: every step is done, 3.0 s\n"
        );
        let some = [row("a", Outcome::Skipped("no (or: no good) network".to_owned()))];
        let told = Row::of_line(&some[0].line()).unwrap();
        assert_eq!((told.name.as_str(), told.time.as_str()), ("a", "1.2 s"));
        assert_eq!(told.text, some[0].text);
        let text = table(&[told], Duration::ZERO);
        assert!(text.contains("SKIPPED: no (or: no good) network"), "{text}");
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
