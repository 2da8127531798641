//! Rules about text: leftover marks, one word per thing, the changelog, required headings.
//!
//! # Invariants
//! - Only words that are never right here are refused; the others are for reviewers.
//! - What stands in backticks is quoted: names of others' things, and of code, are let through.

use super::Finding;
use super::source::Source;

const CHANGELOG_COLUMNS_MAX: usize = 100;

/// Marks of unfinished work, in halves, so that this line is none.
const MARKS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// Words we do not say, in lower case, and the one we do.
const WORDS: &[(&str, &str)] = &[
    ("checkpoint", "watermark"),
    ("finalise", "seal"),
    ("finalize", "seal"),
    ("label id", "class"),
    ("shard", "segment"),
    ("sst", "segment"),
    ("sstable", "segment"),
    ("time index", "timestamp"),
    ("toc", "sparse index"),
    ("vacuum", "compaction"),
    ("wal", "frame"),
];

/// Headings that docs/architecture.md must have.
const ARCHITECTURE_HEADINGS: &[&str] =
    &["Overview", "Code map", "Invariants", "Crash cases", "Assumptions about media"];

/// Plans belong into issues, not into comments.
pub(crate) fn leftover_marks(source: &Source) -> Vec<Finding> {
    let text = if source.is_rust() { &source.comments } else { &source.lines };
    let mut findings = Vec::new();
    for (index, line) in text.iter().enumerate() {
        let line = without_quotes(line);
        if let Some(mark) = MARKS.iter().find(|mark| find_words(&line, mark)) {
            let message = format!("{mark} left in the text");
            findings.push(Finding::error(source, index + 1, message, "do it, or open an issue"));
        }
    }
    findings
}

/// One word per thing, alike in comments and documents.
pub(crate) fn words(source: &Source) -> Vec<Finding> {
    let text = if source.is_rust() { &source.comments } else { &source.lines };
    let mut findings = Vec::new();
    let mut fenced = false;
    for (index, line) in text.iter().enumerate() {
        fenced ^= line.trim_start().starts_with("```") && !source.is_rust();
        if fenced {
            continue;
        }
        let line = without_quotes(line).to_lowercase();
        for (refused, ours) in WORDS.iter().filter(|(refused, _)| find_words(&line, refused)) {
            let message = format!("\"{refused}\" is not a word of this project");
            let action = format!("say \"{ours}\", or put another's name for it into backticks");
            findings.push(Finding::error(source, index + 1, message, &action));
        }
    }
    findings
}

/// The changelog is read in terminals and release pages.
pub(crate) fn changelog_width(source: &Source) -> Vec<Finding> {
    if source.path != "CHANGELOG.md" {
        return Vec::new();
    }
    let lines = source.lines.iter().enumerate();
    lines
        .filter(|(_, line)| line.chars().count() > CHANGELOG_COLUMNS_MAX && !line.contains("://"))
        .map(|(index, line)| {
            let columns = line.chars().count();
            let message = format!("{columns} columns, more than {CHANGELOG_COLUMNS_MAX}");
            Finding::error(source, index + 1, message, "break the line")
        })
        .collect()
}

/// The architecture is one document with all its parts.
pub(crate) fn architecture_headings(source: &Source) -> Vec<Finding> {
    if source.path != "docs/architecture.md" {
        return Vec::new();
    }
    let headings: Vec<_> = source
        .lines
        .iter()
        .filter(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim())
        .collect();
    let missing = ARCHITECTURE_HEADINGS.iter().filter(|heading| !headings.contains(heading));
    missing
        .map(|heading| {
            let message = format!("no heading \"{heading}\"");
            Finding::error(source, 1, message, "write that section")
        })
        .collect()
}

/// The line with what stands in backticks replaced by spaces.
fn without_quotes(line: &str) -> String {
    let parts: Vec<&str> = line.split('`').collect();
    let closed = parts.len() % 2 == 1;
    let quoted = |index: usize| index % 2 == 1 && (closed || index + 1 < parts.len());
    let kept = parts.iter().enumerate().map(|(index, part)| if quoted(index) { " " } else { part });
    kept.collect::<Vec<_>>().concat()
}

/// Whether `words` stand in `line` as whole words, alone or with a plural `s`.
fn find_words(line: &str, words: &str) -> bool {
    line.match_indices(words).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line.get(at + words.len()..).unwrap_or_default();
        let after = after.strip_prefix('s').unwrap_or(after).chars().next();
        let joined = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !joined(before) && !joined(after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Rule = fn(&Source) -> Vec<Finding>;

    fn lines(rule: Rule, path: &str, text: &str) -> Vec<usize> {
        rule(&Source::new(path, text)).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn marks_of_unfinished_work() {
        let [first, second, third] = MARKS else { panic!("three marks") };
        let text =
            format!("// {first}: x\n// a {second}s\n/// {third}\n\"{first}\";\n//! A{third}");
        assert_eq!(lines(leftover_marks, "a.rs", &text), [1, 2, 3]);
        assert_eq!(lines(leftover_marks, "a.md", &format!("{first}\n`{first}`\n")), [1]);
    }

    #[test]
    fn words_we_do_not_say() {
        let text =
            "// the WAL\nlet wal = 1; // `wal`\n// toccata, sharding\n// a Shard, all shards\n";
        assert_eq!(lines(words, "a.rs", text), [1, 4]);
        let text = "a time index\n```text\nshard\n```\n`SST` of others, vacuum\n";
        assert_eq!(lines(words, "a.md", text), [1, 5]);
    }

    #[test]
    fn quotes_are_taken_out_in_pairs() {
        assert_eq!(without_quotes("a `b` c"), "a   c");
        assert_eq!(without_quotes("a `b`, one ` alone"), "a  , one  alone");
    }

    #[test]
    fn the_changelog_is_narrow() {
        let text = format!("{}\n{}\n", "x".repeat(100), "x".repeat(101));
        assert_eq!(lines(changelog_width, "CHANGELOG.md", &text), [2]);
        assert_eq!(lines(changelog_width, "README.md", &text), [0; 0]);
    }

    #[test]
    fn the_architecture_is_complete() {
        let text = "# A\n## Overview\n## Code map\n### Invariants\n## Crash cases\n";
        let found = architecture_headings(&Source::new("docs/architecture.md", text));
        assert_eq!(found.len(), 1);
        assert!(found[0].message.contains("Assumptions about media"));
    }
}
