//! Rules about who may know what: files, threads, clocks, `unsafe`, standard output.
//!
//! # Invariants
//! - Test code is free: it may open files and start threads. `unsafe` it may not use either.
//! - Paths are recognised behind `use std::{...}` too, and `core` and `alloc` count as `std`.

use super::Finding;
use super::source::{Source, Token, closing, is_word};

const ENGINE: &str = "engine/presence/src/";
const DEVICE: &str = "engine/presence/src/device/";
const SHIM: &str = "engine/presence/src/shim.rs";
const CACHE: &str = "engine/presence-cache/src/";
const CACHE_SHIM: &str = "engine/presence-cache/src/shim.rs";
/// What takes bytes and gives types, and knows nothing of the world.
const PURE: &[&str] = &["engine/presence-format/src/", "engine/presence-events/src/"];

/// The files that may hold `unsafe`, each argued in docs/design-faq.md.
const UNSAFE_FILES: &[&str] = &["engine/presence/src/device/map.rs", "engine/presence/src/tail.rs"];

/// Macros that write to the standard streams.
const OUTPUT_MACROS: &[&str] = &["print", "println", "eprint", "eprintln"];

/// In the engine, files are the device's business.
pub(crate) fn device_only(source: &Source) -> Vec<Finding> {
    if !source.path.starts_with(ENGINE) || source.path.starts_with(DEVICE) {
        return Vec::new();
    }
    let action = "go through the `Device` trait";
    let mut findings = refuse_std(source, &["fs", "os"], "outside the device", action);
    for token in source.tokens() {
        let system = matches!(token.text, "rustix" | "memmap2" | "libc");
        if system && !source.is_test_line(token.line) {
            let message = format!("`{}` outside the device", token.text);
            findings.push(Finding::error(source, token.line, message, action));
        }
    }
    findings
}

/// In the engine and its cache, atomics, locks and threads come from a shim, which a model can
/// replace.
pub(crate) fn shim_only(source: &Source) -> Vec<Finding> {
    let inside = source.path.starts_with(ENGINE) || source.path.starts_with(CACHE);
    if !inside || source.path == SHIM || source.path == CACHE_SHIM {
        return Vec::new();
    }
    refuse_std(source, &["sync", "thread"], "outside the shim", "import it from `crate::shim`")
}

/// The format, and those of event cameras, know bytes, and nothing of the world.
pub(crate) fn pure_format(source: &Source) -> Vec<Finding> {
    if !PURE.iter().any(|folder| source.path.starts_with(folder)) {
        return Vec::new();
    }
    let modules = ["fs", "io", "net", "os", "process", "sync", "thread", "time"];
    refuse_std(source, &modules, "in what is pure", "take bytes, give types: callers do the rest")
}

/// `unsafe` lives in few, named files.
pub(crate) fn unsafe_files(source: &Source) -> Vec<Finding> {
    if UNSAFE_FILES.contains(&source.path.as_str()) {
        return Vec::new();
    }
    let tokens = source.tokens();
    let sites = tokens.iter().filter(|token| token.text == "unsafe");
    sites
        .map(|token| {
            let message = "`unsafe` outside the permitted files".to_owned();
            let action = "do it safely, or argue for one more file (UNSAFE_FILES, CONTRIBUTING.md)";
            Finding::error(source, token.line, message, action)
        })
        .collect()
}

/// Libraries are silent, and nobody leaves `dbg!` behind.
pub(crate) fn leftover_output(source: &Source) -> Vec<Finding> {
    let tokens = source.tokens();
    let library = source.path.starts_with("engine/") && !source.path.contains("/examples/");
    let calls = tokens.windows(3).filter_map(|three| match three {
        [name, sign, open] if sign.text == "!" && open.text != "=" => Some(name),
        _ => None,
    });
    let refused = calls.filter(|name| {
        let output = OUTPUT_MACROS.contains(&name.text);
        name.text == "dbg" || (library && output && !source.is_test_line(name.line))
    });
    refused
        .map(|name| {
            let message = format!("`{}!` left in the code", name.text);
            Finding::error(source, name.line, message, "remove it, or return what it would tell")
        })
        .collect()
}

fn refuse_std(source: &Source, modules: &[&str], place: &str, action: &str) -> Vec<Finding> {
    let tokens = source.tokens();
    let used = std_modules(&tokens).into_iter();
    used.filter(|token| modules.contains(&token.text) && !source.is_test_line(token.line))
        .map(|token| {
            let message = format!("`std::{}` {place}", token.text);
            Finding::error(source, token.line, message, action)
        })
        .collect()
}

/// The modules named right behind `std::`, or one by one in the braces behind it.
fn std_modules<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut modules = Vec::new();
    for at in 0..tokens.len() {
        let Some([library, first, second, rest @ ..]) = tokens.get(at..) else { break };
        let is_std = matches!(library.text, "std" | "core" | "alloc");
        if !is_std || first.text != ":" || second.text != ":" {
            continue;
        }
        match rest.first() {
            Some(open) if open.text == "{" => modules.extend(group_heads(rest)),
            Some(module) if is_word(module.text) => modules.push(*module),
            _ => {}
        }
    }
    modules
}

/// `a` and `b` of `{a::x, b::{y, z}}`.
fn group_heads<'a>(group: &[Token<'a>]) -> Vec<Token<'a>> {
    let inside = group.get(1..closing(group).unwrap_or(group.len())).unwrap_or_default();
    let mut heads = Vec::new();
    let mut depth = 0_usize;
    let mut at_head = true;
    for token in inside {
        match token.text {
            "{" => depth += 1,
            "}" => depth = depth.saturating_sub(1),
            "," if depth == 0 => at_head = true,
            text if depth == 0 && at_head && is_word(text) => {
                heads.push(*token);
                at_head = false;
            }
            _ => {}
        }
    }
    heads
}

#[cfg(test)]
mod tests {
    use super::*;

    type Rule = fn(&Source) -> Vec<Finding>;

    fn lines(rule: Rule, path: &str, text: &str) -> Vec<usize> {
        rule(&Source::new(path, text)).into_iter().map(|finding| finding.line).collect()
    }

    const LOG: &str = "engine/presence/src/log.rs";

    #[test]
    fn files_only_in_the_device() {
        let text = "use std::fs::File;\nuse std::{io, os::fd};\nuse std::io;\n// std::fs\n\
                    fn a() { rustix::fs::fsync() }\n#[cfg(test)]\nuse std::fs;\n";
        assert_eq!(lines(device_only, LOG, text), [1, 2, 5]);
        assert_eq!(lines(device_only, "engine/presence/src/device/real.rs", text), [0; 0]);
        assert_eq!(lines(device_only, "tools/presence-cli/src/main.rs", text), [0; 0]);
    }

    #[test]
    fn threads_only_in_the_shim() {
        let text = "use std::sync::Arc;\nuse core::sync::atomic::AtomicU64;\n\
                    use std::{\n    io::{self, thread},\n    thread::spawn,\n};\n\
                    #[cfg(test)]\nmod tests { use std::thread; }\n";
        assert_eq!(lines(shim_only, LOG, text), [1, 2, 5]);
        assert_eq!(lines(shim_only, "engine/presence/src/shim.rs", text), [0; 0]);
        assert_eq!(lines(shim_only, "engine/presence-cache/src/store.rs", text), [1, 2, 5]);
        assert_eq!(lines(shim_only, "engine/presence-cache/src/shim.rs", text), [0; 0]);
    }

    #[test]
    fn the_format_is_pure() {
        let text = "use std::io;\nuse std::time::Instant;\nuse std::fmt;\nuse crate::io;\n";
        assert_eq!(lines(pure_format, "engine/presence-format/src/lib.rs", text), [1, 2]);
        assert_eq!(lines(pure_format, LOG, text), [0; 0]);
    }

    #[test]
    fn unsafe_only_where_permitted() {
        let text = "#![forbid(unsafe_code)]\n// unsafe\nfn a() { unsafe { b(\"unsafe\") } }\n\
                    #[cfg(test)]\nmod tests { unsafe fn c() {} }\n";
        assert_eq!(lines(unsafe_files, LOG, text), [3, 5]);
        assert_eq!(lines(unsafe_files, "engine/presence/src/tail.rs", text), [0; 0]);
    }

    #[test]
    fn libraries_are_silent() {
        let text = "fn a() { println!(\"x\") }\nfn b() { dbg!(1) }\n/// println!(\"x\");\n\
                    #[cfg(test)]\nmod tests { fn c() { eprintln!() } }\n";
        assert_eq!(lines(leftover_output, LOG, text), [1, 2]);
        assert_eq!(lines(leftover_output, "tools/x/src/main.rs", text), [2]);
        assert_eq!(lines(leftover_output, LOG, "fn a() { if print != b {} }"), [0; 0]);
    }

    #[test]
    fn groups_are_read_by_their_heads() {
        let source = Source::new("a.rs", "use std::{a::x, b::{c, d::{e}}, f as g, self};");
        let tokens = source.tokens();
        let heads: Vec<_> = std_modules(&tokens).iter().map(|token| token.text).collect();
        assert_eq!(heads, ["a", "b", "f", "self"]);
    }
}
