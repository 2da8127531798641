//! Figures: what the tests of one run counted, crash states, bit flips, interleavings, and what was
//! skipped, summed by name.
//!
//! # Invariants
//! - Figures are told however a run ends: passed, failed or interrupted.
//! - One line is one write to a file open for appending: tests of many processes add at once.
//! - A document's number is replaced by what was counted, or left alone and told: never invented.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::Result;

/// Names the file to which tests and steps append `name\tcount\n`.
const VARIABLE: &str = "PRESENCE_FIGURES";

/// The lines around the part of a document whose numbers are replaced.
const BEGIN: &str = "<!-- figures of the last run: begin -->";
const END: &str = "<!-- figures of the last run: end -->";

/// Sums by name.
type Figures = BTreeMap<String, u64>;

/// Options of `cargo xtask figures`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Replace the numbers in the marked part of this document.
    #[arg(long, value_name = "DOCUMENT")]
    write: Option<PathBuf>,
}

/// Prints the figures of the last `test` or `torture`, or writes them into a document.
pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    let path = json_path(root);
    let figures = fs::read_to_string(&path)
        .map_err(|error| format!("{}: {error}: run `cargo xtask test` first", path.display()))
        .and_then(|text| from_json(&text))?;
    let Some(document) = &options.write else {
        print!("{}", table(&figures));
        return Ok(());
    };
    let tell = |error| format!("{}: {error}", document.display());
    let text = fs::read_to_string(document).map_err(tell)?;
    let Some(written) = replaced(&text, &figures) else {
        return Err(format!("{}: no lines `{BEGIN}` and `{END}`", document.display()));
    };
    fs::write(document, &written.text).map_err(tell)?;
    println!("{} numbers of {} replaced", written.replaced, document.display());
    if !written.left.is_empty() {
        println!("not counted by the last run, left alone: {}", written.left.join(", "));
    }
    Ok(())
}

/// Adds to a figure of this run.
pub(crate) fn add(name: &str, count: u64) -> Result<()> {
    let Some(path) = std::env::var_os(VARIABLE) else { return Ok(()) };
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(format!("{name}\t{count}\n").as_bytes()))
        .map_err(|error| format!("a figure cannot be written: {error}"))
}

/// Runs this command once more as a process of its own, with a fresh file for figures, and prints
/// their sums however it ends. In that process, runs `work`.
pub(crate) fn gathered(root: &Path, work: impl FnOnce() -> Result<()>) -> Result<()> {
    if std::env::var_os(VARIABLE).is_some() {
        return work();
    }
    let path = root.join("target/figures.tsv");
    let tell = |error: std::io::Error| format!("{}: {error}", path.display());
    fs::create_dir_all(root.join("target")).and_then(|()| fs::write(&path, "")).map_err(tell)?;
    // Ctrl-C goes to both processes: that one ends of it, this one has the figures to print.
    let interrupted = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&interrupted))
        .map_err(|error| format!("signals cannot be taken: {error}"))?;
    let this = std::env::current_exe().map_err(|error| format!("this program: {error}"))?;
    let status = Command::new(this).args(std::env::args_os().skip(1)).env(VARIABLE, &path).status();
    let status = status.map_err(|error| format!("this program does not start again: {error}"))?;

    let figures = summed(&fs::read_to_string(&path).map_err(tell)?);
    fs::write(json_path(root), to_json(&figures)).map_err(tell)?;
    print!("{}", table(&figures));
    match status.success() {
        true => Ok(()),
        false if interrupted.load(Ordering::Relaxed) => Err("interrupted".to_owned()),
        false => Err("failed: why stands above the figures".to_owned()),
    }
}

fn json_path(root: &Path) -> PathBuf {
    root.join("target/figures.json")
}

/// The sums of `name\tcount` lines. A line that is none is passed over: its writer was killed.
fn summed(lines: &str) -> Figures {
    let mut figures = Figures::new();
    for line in lines.lines() {
        let Some((name, count)) = line.split_once('\t') else { continue };
        let Ok(count) = count.parse::<u64>() else { continue };
        *figures.entry(name.to_owned()).or_default() += count;
    }
    figures
}

fn to_json(figures: &Figures) -> String {
    let map = figures.iter().map(|(name, count)| (name.clone(), (*count).into())).collect();
    format!("{:#}\n", serde_json::Value::Object(map))
}

fn from_json(text: &str) -> Result<Figures> {
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|error| format!("figures.json: {error}"))?;
    let map = value.as_object().ok_or("figures.json: not an object")?;
    Ok(map.iter().filter_map(|(name, count)| Some((name.clone(), count.as_u64()?))).collect())
}

/// The figures as lines: names, then counts, what was skipped last.
fn table(figures: &Figures) -> String {
    if figures.is_empty() {
        return String::new();
    }
    let skipped = |name: &&String| name.starts_with("skipped");
    let (last, first): (Vec<_>, Vec<_>) = figures.keys().partition(skipped);
    let names = first.into_iter().chain(last);
    let width = names.clone().map(|name| name.chars().count()).max().unwrap_or(0);
    let lines = names.filter_map(|name| {
        Some(format!("  {name:width$}  {:>15}\n", thousands(*figures.get(name)?)))
    });
    format!("\nFigures\n{}", lines.collect::<String>())
}

/// A number with its thousands apart: `1,234,567`.
pub(crate) fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A document with other numbers.
struct Replaced {
    text: String,
    replaced: usize,
    /// Figures that it names and this run did not count.
    left: Vec<String>,
}

/// Replaces every `**number** name` of the marked part, where a name ends at `,`, `;`, `|` or with
/// its line.
fn replaced(text: &str, figures: &Figures) -> Option<Replaced> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (marked, after) = rest.split_once(END)?;
    let mut pieces = marked.split("**");
    let mut out = pieces.next()?.to_owned();
    let mut result = Replaced { text: String::new(), replaced: 0, left: Vec::new() };
    // Odd pieces are bold, even ones are what follows them.
    while let (Some(bold), follows) = (pieces.next(), pieces.next()) {
        let name = follows.unwrap_or_default().split([',', ';', '|', '\n']).next();
        let name = name.unwrap_or_default().trim();
        let is_number = bold.chars().all(|c| c.is_ascii_digit() || c == ',');
        let count = figures.get(name).filter(|_| is_number).map(|count| thousands(*count));
        if count.is_some() {
            result.replaced += 1;
        } else if is_number {
            result.left.push(name.to_owned());
        }
        let bold = count.as_deref().unwrap_or(bold);
        out.push_str(&format!("**{bold}**{}", follows.unwrap_or_default()));
    }
    result.text = format!("{before}{BEGIN}{out}{END}{after}");
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_summed_and_torn_ones_passed_over() {
        let figures = summed("bit flips\t5\nkills\t1\nbit flips\t7\nkil\nkills\tx\n");
        assert_eq!(figures, Figures::from([("bit flips".into(), 12), ("kills".into(), 1)]));
        assert_eq!(from_json(&to_json(&figures)).unwrap(), figures);
    }

    #[test]
    fn the_table_is_aligned_and_ends_with_what_was_skipped() {
        let figures = summed("skipped: a thing\t1\nzebras\t1234567\nb\t7\n");
        let text = table(&figures);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(lines[0], "  b                               7");
        assert_eq!(lines[1], "  zebras                  1,234,567");
        assert_eq!(lines[2], "  skipped: a thing                1");
        assert_eq!(table(&Figures::new()), "");
    }

    #[test]
    fn thousands_are_set_apart() {
        let texts = [0, 999, 1000, 123_456, 1_234_567].map(thousands);
        assert_eq!(texts, ["0", "999", "1,000", "123,456", "1,234,567"]);
    }

    #[test]
    fn numbers_of_a_document_are_replaced_between_the_marks() {
        let figures = summed("bit flips\t1000\nkills\t3\n");
        let text = format!(
            "**5** kills\n{BEGIN}\n| a | **0** bit flips, **1** kills | **why** |\n\
             | b | **9** unheard |\n{END}\n**6** kills\n"
        );
        let written = replaced(&text, &figures).unwrap();
        assert_eq!(
            written.text,
            format!(
                "**5** kills\n{BEGIN}\n| a | **1,000** bit flips, **3** kills | **why** |\n\
                 | b | **9** unheard |\n{END}\n**6** kills\n"
            )
        );
        assert_eq!((written.replaced, written.left), (2, vec!["unheard".to_owned()]));
        assert!(replaced("no marks", &figures).is_none());
    }
}
