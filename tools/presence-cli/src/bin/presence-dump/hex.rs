//! Bytes as hexadecimal digits.
//!
//! # Invariants
//! - Sixteen bytes a line, with their offsets in the file; what is no ASCII is a dot.

use std::io::Write;

use presence_cli::failure::Result;
use presence_cli::output::Output;

use crate::bytes::Bytes;

const LINE_BYTES: usize = 16;

/// Writes `from .. to` as lines; at most `lines` of them.
///
/// # Errors
/// Where reading or writing fails.
pub(crate) fn lines(
    file: &mut Bytes,
    from: u64,
    to: u64,
    lines: u64,
    out: &mut Output,
) -> Result<u64> {
    let mut left = lines;
    for at in (from..to).step_by(LINE_BYTES) {
        let Some(less) = left.checked_sub(1) else {
            let hidden = to - at;
            writeln!(out, "  … {hidden} bytes more not shown")?;
            break;
        };
        left = less;
        let len = (to - at).min(LINE_BYTES as u64) as usize;
        let bytes = file.get(at, len)?;
        let mut digits = String::new();
        let mut text = String::new();
        for (index, &byte) in bytes.iter().enumerate() {
            let gap = if index == LINE_BYTES / 2 { " " } else { "" };
            digits.push_str(&format!("{gap}{byte:02x} "));
            let shown = if byte.is_ascii_graphic() || byte == b' ' { byte } else { b'.' };
            text.push(char::from(shown));
        }
        writeln!(out, "  {at:>10}  {digits:<49} {text}")?;
    }
    Ok(left)
}

/// Writes `from .. to` as a string of JSON; at most `lines` times sixteen bytes.
///
/// # Errors
/// Where reading or writing fails.
pub(crate) fn string(
    file: &mut Bytes,
    from: u64,
    to: u64,
    lines: u64,
    out: &mut Output,
) -> Result<()> {
    let to = to.min(from.saturating_add(lines.saturating_mul(LINE_BYTES as u64)));
    write!(out, "\"")?;
    for at in (from..to).step_by(LINE_BYTES) {
        let len = (to - at).min(LINE_BYTES as u64) as usize;
        let digits: String = file.get(at, len)?.iter().map(|byte| format!("{byte:02x}")).collect();
        write!(out, "{digits}")?;
    }
    Ok(write!(out, "\"")?)
}
