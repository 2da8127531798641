//! `cargo xtask tidy`: the style rules that a machine can decide without compiling.
//!
//! Each rule is a small function with its own tests; CONTRIBUTING.md lists them for people. A rule
//! reads files, never changes them.
//!
//! # Invariants
//! - A finding says where, what, and what to do about it.
//! - Only files that git tracks, or would offer to track, are looked at.

mod borders;
mod prose;
mod shape;
mod source;

use std::path::Path;
use std::process::Command;

use self::source::Source;
use crate::Result;
use crate::steps::output_of;

/// Larger files do not belong into the history.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A rule about one file.
type FileRule = fn(&Source) -> Vec<Finding>;

/// A rule about the files together.
type TreeRule = fn(&[Source]) -> Vec<Finding>;

/// The rules for each file.
const FILE_RULES: &[FileRule] = &[
    shape::line_width,
    shape::file_length,
    shape::module_docs,
    shape::invariants_section,
    shape::function_length,
    borders::device_only,
    borders::shim_only,
    borders::pure_format,
    borders::unsafe_files,
    borders::leftover_output,
    prose::leftover_marks,
    prose::words,
    prose::changelog_width,
    prose::architecture_headings,
];

/// The rules for all files together.
const TREE_RULES: &[TreeRule] = &[shape::orphans];

/// Whether a finding stops the build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Worth a second look.
    Note,
    /// Against a rule.
    Error,
}

/// One place that a rule has something to say about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    level: Level,
    path: String,
    line: usize,
    message: String,
    action: String,
}

impl Finding {
    /// A break of a rule in line `line` (from 1).
    fn error(source: &Source, line: usize, message: String, action: &str) -> Self {
        let path = source.path.clone();
        Self { level: Level::Error, path, line, message, action: action.to_owned() }
    }

    /// As [`Finding::error`], without the consequence.
    fn note(source: &Source, line: usize, message: String, action: &str) -> Self {
        Self { level: Level::Note, ..Self::error(source, line, message, action) }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let note = if self.level == Level::Note { "note: " } else { "" };
        let Self { path, line, message, action, .. } = self;
        write!(f, "{path}:{line}: {note}{message} → {action}")
    }
}

/// Checks the tree under `root`, prints what is found, and fails where a rule is broken.
pub(crate) fn run(root: &Path) -> Result<()> {
    let mut findings = Vec::new();
    let mut sources = Vec::new();
    for path in listed(root)? {
        let Ok(metadata) = std::fs::symlink_metadata(root.join(&path)) else {
            continue; // Removed, and not yet told to git.
        };
        if metadata.is_file() {
            findings.extend(blob(&path, metadata.len()));
            sources.extend(read(root, &path)?);
        }
    }
    findings.extend(check(&sources));
    findings.sort_by(|a, b| (a.level, &a.path, a.line).cmp(&(b.level, &b.path, b.line)));
    for finding in &findings {
        println!("{finding}");
    }
    let errors = findings.iter().filter(|finding| finding.level == Level::Error).count();
    let notes = findings.len() - errors;
    println!("tidy: {} text files, {notes} notes, {errors} errors", sources.len());
    if errors == 0 { Ok(()) } else { Err(format!("tidy found {errors} errors")) }
}

fn check(sources: &[Source]) -> Vec<Finding> {
    let by_file = sources.iter().flat_map(|s| FILE_RULES.iter().flat_map(move |rule| rule(s)));
    by_file.chain(TREE_RULES.iter().flat_map(|rule| rule(sources))).collect()
}

/// The files git knows, and the new ones it does not ignore.
fn listed(root: &Path) -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let output = output_of(&mut git).ok_or("`git ls-files` does not run: tidy needs git")?;
    let mut paths: Vec<_> =
        output.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect();
    paths.sort_unstable();
    paths.dedup();
    Ok(paths)
}

/// The file, where it is one that rules are about.
fn read(root: &Path, path: &str) -> Result<Option<Source>> {
    if ![".rs", ".md"].iter().any(|ending| path.ends_with(ending)) {
        return Ok(None);
    }
    let bytes = std::fs::read(root.join(path)).map_err(|error| format!("{path}: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("{path}: is not UTF-8"))?;
    Ok(Some(Source::new(path, &text)))
}

fn blob(path: &str, bytes: u64) -> Option<Finding> {
    (bytes > FILE_BYTES_MAX).then(|| Finding {
        level: Level::Error,
        path: path.to_owned(),
        line: 1,
        message: format!("{bytes} bytes, more than {FILE_BYTES_MAX}"),
        action: "generate it where it is needed, or keep it outside the repository".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_files_are_found() {
        assert_eq!(blob("a.bin", FILE_BYTES_MAX), None);
        let finding = blob("a.bin", FILE_BYTES_MAX + 1).unwrap();
        assert!(finding.to_string().starts_with("a.bin:1: 1048577 bytes, more than 1048576 → "));
    }

    #[test]
    fn findings_name_place_fault_and_remedy() {
        let source = Source::new("a.rs", "x");
        let finding = Finding::note(&source, 3, "long".to_owned(), "shorten");
        assert_eq!(finding.to_string(), "a.rs:3: note: long → shorten");
    }

    #[test]
    fn a_tidy_file_has_no_findings() {
        let text = "//! Docs.\n//!\n//! # Invariants\n//! - One.\n\nfn a() {}\n";
        let found = check(&[Source::new("engine/presence/src/lib.rs", text)]);
        assert_eq!(found, []);
    }
}
