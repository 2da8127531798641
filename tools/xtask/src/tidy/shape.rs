//! Rules about size and anatomy: lines, functions, files, module documentation.
//!
//! # Invariants
//! - Sizes count what a reader reads: files without their test code, functions without comments
//!   and blank lines, the way clippy's `too_many_lines` counts them.

use super::Finding;
use super::source::{Source, Token, closing, is_word};

const LINE_COLUMNS_MAX: usize = 100;
const FILE_LINES_SOFT: usize = 400;
const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_SOFT: usize = 70;
const FUNCTION_LINES_MAX: usize = 100;

/// Files above the soft limit that were looked at and found better whole, with the lines they may
/// have. A ratchet: numbers here go down, or are argued.
const LONG_FILES: &[(&str, usize)] = &[];

/// No line of Rust is wider than a page. Addresses cannot be broken and are let through.
pub(crate) fn line_width(source: &Source) -> Vec<Finding> {
    if !source.is_rust() {
        return Vec::new();
    }
    let too_wide = |&(_, line): &(usize, &String)| {
        line.chars().count() > LINE_COLUMNS_MAX && !line.contains("://")
    };
    let lines = source.lines.iter().enumerate().filter(too_wide);
    lines
        .map(|(index, line)| {
            let columns = line.chars().count();
            let message = format!("{columns} columns, more than {LINE_COLUMNS_MAX}");
            Finding::error(source, index + 1, message, "break the line")
        })
        .collect()
}

/// Files stay readable in one sitting.
pub(crate) fn file_length(source: &Source) -> Vec<Finding> {
    if !source.is_rust() {
        return Vec::new();
    }
    let lines = (1..=source.lines.len()).filter(|&line| !source.is_test_line(line)).count();
    let agreed = LONG_FILES.iter().find(|(path, _)| *path == source.path);
    let (hard, soft) = match agreed {
        Some(&(_, agreed)) => (agreed, agreed),
        None => (FILE_LINES_MAX, FILE_LINES_SOFT),
    };
    let message = format!("{lines} lines without tests, more than");
    if lines > hard {
        let action = "split it by noun";
        return vec![Finding::error(source, 1, format!("{message} {hard}"), action)];
    }
    if lines > soft {
        let action = "see whether it is two nouns; else put it into LONG_FILES with its length";
        return vec![Finding::note(source, 1, format!("{message} {soft}"), action)];
    }
    Vec::new()
}

/// Every file says what it is for.
pub(crate) fn module_docs(source: &Source) -> Vec<Finding> {
    let begins = source.lines.first().is_some_and(|line| line.starts_with("//!"));
    if !source.is_rust() || begins {
        return Vec::new();
    }
    let message = "the file does not begin with `//!` documentation".to_owned();
    vec![Finding::error(source, 1, message, "say in its first lines what it is for")]
}

/// Every file of the engine's crates says what it keeps true, above all what it never does.
pub(crate) fn invariants_section(source: &Source) -> Vec<Finding> {
    let engine = source.path.starts_with("engine/") && source.path.contains("/src/");
    let has = source.lines.iter().any(|line| line.trim() == "//! # Invariants");
    if !engine || !source.is_rust() || source.is_test_file() || has {
        return Vec::new();
    }
    let message = "no `//! # Invariants` section".to_owned();
    vec![Finding::error(source, 1, message, "list what the module keeps true, absences too")]
}

/// Functions fit on a screen, or say why not.
pub(crate) fn function_length(source: &Source) -> Vec<Finding> {
    let tokens = source.tokens();
    let functions = (0..tokens.len()).filter_map(|at| function_at(source, &tokens, at));
    functions.filter_map(|function| judge_length(source, &function)).collect()
}

struct Function<'a> {
    name: &'a str,
    line: usize,
    lines: usize,
    excused: bool,
}

fn judge_length(source: &Source, function: &Function<'_>) -> Option<Finding> {
    let Function { name, line, lines, excused } = *function;
    let message = |limit| format!("`{name}` has {lines} lines, more than {limit}");
    if excused || lines <= FUNCTION_LINES_SOFT {
        return None;
    }
    if lines <= FUNCTION_LINES_MAX {
        let action = "see whether it does two things";
        return Some(Finding::note(source, line, message(FUNCTION_LINES_SOFT), action));
    }
    let action = "split it, or #[expect(clippy::too_many_lines, reason = \"...\")]";
    Some(Finding::error(source, line, message(FUNCTION_LINES_MAX), action))
}

/// The function whose `fn` is at `at`, where there is one with a body.
fn function_at<'a>(source: &Source, tokens: &[Token<'a>], at: usize) -> Option<Function<'a>> {
    let (keyword, rest) = tokens.get(at..)?.split_first()?;
    let name = rest.first().filter(|name| keyword.text == "fn" && is_word(name.text))?;
    let open = body_start(rest)?;
    let body = rest.get(open..)?;
    let end = body.get(closing(body)?)?.line;
    let first = body.first()?.line + 1;
    let inside = source.code.get(first - 1..(end - 1).max(first - 1))?;
    let lines = inside.iter().filter(|line| !line.trim().is_empty()).count();
    let head = tokens.get(..at)?.iter().rev();
    let excused = head
        .take_while(|token| !matches!(token.text, ";" | "{" | "}"))
        .any(|token| token.text == "too_many_lines");
    Some(Function { name: name.text, line: keyword.line, lines, excused })
}

/// Where the body opens; nothing for a declaration without one.
fn body_start(tokens: &[Token<'_>]) -> Option<usize> {
    let mut at = 0;
    loop {
        match tokens.get(at)?.text {
            "{" => return Some(at),
            ";" => return None,
            "(" | "[" => at += closing(tokens.get(at..)?)? + 1,
            _ => at += 1,
        }
    }
}

/// Every file below `src` belongs to its crate: one that no `mod` names is never compiled.
pub(crate) fn orphans(sources: &[Source]) -> Vec<Finding> {
    sources.iter().filter(|source| source.is_rust()).filter_map(|s| orphan(s, sources)).collect()
}

fn orphan(source: &Source, sources: &[Source]) -> Option<Finding> {
    let (crate_folder, inside) = source.path.rsplit_once("src/")?;
    let module = inside.strip_suffix(".rs")?;
    let module = module.strip_suffix("/mod").unwrap_or(module);
    // `all` is the root of the one binary of integration tests.
    if matches!(module, "lib" | "main" | "all") {
        return None;
    }
    let is_binary = |name: &str| !name.trim_end_matches("/main").contains('/');
    if module.strip_prefix("bin/").is_some_and(is_binary) {
        return None;
    }
    let parents = match module.rsplit_once('/') {
        Some((parent, _)) if parent.strip_prefix("bin/").is_some_and(is_binary) => {
            vec![format!("{parent}/main.rs")]
        }
        Some((parent, _)) => vec![format!("{parent}/mod.rs"), format!("{parent}.rs")],
        None => ["lib.rs", "main.rs", "all.rs"].map(str::to_owned).to_vec(),
    };
    let name = module.rsplit('/').next().unwrap_or(module);
    let mut present = sources
        .iter()
        .filter(|other| parents.iter().any(|p| other.path == format!("{crate_folder}src/{p}")));
    if present.any(|parent| declares(parent, name)) {
        return None;
    }
    let message = format!("no `mod {name};` in {}: never compiled", parents.join(" or "));
    Some(Finding::error(source, 1, message, "declare it, or remove the file"))
}

fn declares(parent: &Source, name: &str) -> bool {
    let tokens = parent.tokens();
    tokens.windows(2).any(|pair| match pair {
        [keyword, module] => keyword.text == "mod" && module.text == name,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    fn rust(text: &str) -> Source {
        Source::new("engine/presence/src/a.rs", text)
    }

    fn levels(findings: &[Finding]) -> Vec<Level> {
        findings.iter().map(|finding| finding.level).collect()
    }

    #[test]
    fn wide_lines() {
        let wide = "x".repeat(101);
        assert_eq!(line_width(&rust(&format!("{}\n{wide}", "é".repeat(100))))[0].line, 2);
        assert_eq!(line_width(&rust(&format!("// https://{wide}"))), []);
        assert_eq!(line_width(&Source::new("a.md", &wide)), []);
    }

    #[test]
    fn long_files() {
        let of = |lines: usize| levels(&file_length(&rust(&"x\n".repeat(lines))));
        assert_eq!(of(400), []);
        assert_eq!(of(401), [Level::Note]);
        assert_eq!(of(801), [Level::Error]);
        let tests = format!("x\n#[cfg(test)]\nmod tests {{\n{}}}\n", "x\n".repeat(900));
        assert_eq!(file_length(&rust(&tests)), []);
    }

    #[test]
    fn documentation_comes_first() {
        assert_eq!(module_docs(&rust("//! Docs.\n")), []);
        assert_eq!(levels(&module_docs(&rust("\n//! Docs.\n"))), [Level::Error]);
        assert_eq!(levels(&module_docs(&rust(""))), [Level::Error]);
    }

    #[test]
    fn invariants_are_stated_in_the_engine() {
        assert_eq!(invariants_section(&rust("//! A.\n//!\n//! # Invariants\n")), []);
        assert_eq!(levels(&invariants_section(&rust("//! A.\n"))), [Level::Error]);
        for path in ["tools/xtask/src/a.rs", "engine/presence/tests/a.rs", "benches/src/lib.rs"] {
            assert_eq!(invariants_section(&Source::new(path, "//! A.\n")), [], "{path}");
        }
    }

    #[test]
    fn long_functions() {
        let body =
            |lines: usize| format!("fn a(x: [u8; 4]) {{\n{}}}\n", "x;\n// y\n\n".repeat(lines));
        assert_eq!(levels(&function_length(&rust(&body(70)))), []);
        assert_eq!(levels(&function_length(&rust(&body(71)))), [Level::Note]);
        assert_eq!(levels(&function_length(&rust(&body(101)))), [Level::Error]);
        let excuse = "#[expect(clippy::too_many_lines, reason = \"a table\")]\npub ";
        assert_eq!(levels(&function_length(&rust(&format!("{excuse}{}", body(101))))), []);
        assert_eq!(levels(&function_length(&rust("trait A { fn b(&self); }\ntype C = fn();"))), []);
        let one_line = format!("fn a() {{}}\n{}", body(101));
        assert_eq!(levels(&function_length(&rust(&one_line))), [Level::Error]);
    }

    #[test]
    fn files_that_no_module_names() {
        let files = |list: &[(&str, &str)]| {
            let sources: Vec<_> = list.iter().map(|(p, text)| Source::new(p, text)).collect();
            orphans(&sources).into_iter().map(|finding| finding.path).collect::<Vec<_>>()
        };
        let root = ("a/src/lib.rs", "mod one;\npub mod two;\n// mod three;\n");
        let one = ("a/src/one.rs", "");
        let two = ("a/src/two/mod.rs", "mod deep;");
        assert_eq!(files(&[root, one, two, ("a/src/two/deep.rs", "")]), [""; 0]);
        assert_eq!(files(&[root, ("a/src/three.rs", "")]), ["a/src/three.rs"]);
        assert_eq!(files(&[root, two, ("a/src/two/other.rs", "")]), ["a/src/two/other.rs"]);
        assert_eq!(files(&[("a/src/bin/tool.rs", ""), ("examples/x.rs", "")]), [""; 0]);
        let tool = ("a/src/bin/tool/main.rs", "mod one;");
        assert_eq!(files(&[tool, ("a/src/bin/tool/one.rs", "")]), [""; 0]);
        assert_eq!(files(&[tool, ("a/src/bin/tool/two.rs", "")]), ["a/src/bin/tool/two.rs"]);
    }
}
