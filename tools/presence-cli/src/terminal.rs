//! What a terminal may be shown.
//!
//! # Invariants
//! - No control character from a file reaches a terminal, nor one that turns the direction of text.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

/// `text` with control characters, and those that reorder text, written as escapes.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_unsafe(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A line on standard error. Where that is closed, nobody is there to be told.
pub fn say(line: &str) {
    let _said = writeln!(io::stderr(), "{line}");
}

/// Whether standard error is a terminal that can redraw a line.
pub fn stderr_is_live() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether standard output is a terminal that can redraw a line.
pub fn stdout_is_live() -> bool {
    io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Characters in a line of the terminal at standard output; 80 where there is none.
pub fn width() -> u16 {
    const DEFAULT: u16 = 80;
    #[cfg(unix)]
    if let Ok(size) = rustix::termios::tcgetwinsize(io::stdout())
        && size.ws_col >= 20
    {
        return size.ws_col;
    }
    DEFAULT
}

/// An argument as a shell wants it, for commands that are shown to be copied.
pub fn quote(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=+,@%".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        return argument.to_owned();
    }
    format!("'{}'", escape(argument).replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_written_out() {
        assert_eq!(escape("arm/joints µ"), "arm/joints µ");
        assert_eq!(escape("a\x1b[31mb\nc\u{9b}d"), "a\\u{1b}[31mb\\nc\\u{9b}d");
        assert_eq!(escape("x\u{202e}y"), "x\\u{202e}y");
    }

    #[test]
    fn arguments_are_quoted_where_needed() {
        assert_eq!(quote("arm/joints"), "arm/joints");
        assert_eq!(quote("it's here"), r"'it'\''s here'");
        assert_eq!(quote(""), "''");
    }
}
