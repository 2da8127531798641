//! Which format some bytes are, by their content.
//!
//! # Invariants
//! - Names of files are never looked at: `gt.txt` and `det.txt` tell nothing.
//! - Most of the first lines decide, so that one malformed line does not.

use crate::csv::guess_delimiter;
use crate::error::{IngestError, IngestErrorKind, Result};
use crate::lines::{Fields, Lines, Split};
use crate::number::{float, whole};
use crate::options::Format;

/// Bytes of the head that are looked at.
pub(crate) const HEAD_BYTES: u64 = 64 << 10;
/// Lines that are looked at.
const LINES_MAX: usize = 20;

/// Says which format the first bytes of a file are (64 KiB are enough); `name` is for the message.
///
/// # Errors
/// `UnknownFormat` where they are none, saying what they look like.
pub fn detect(name: &str, head: &[u8]) -> Result<Format> {
    let unknown = |what: String| Err(IngestError::new(IngestErrorKind::UnknownFormat, name, what));
    if head.starts_with(b"\xFF\xFE") || head.starts_with(b"\xFE\xFF") {
        return unknown("is UTF-16 text; save it as UTF-8".into());
    }
    let Some(first) = first_line(head) else {
        return unknown("is empty; expected CSV with a header, MOT or KITTI text".into());
    };
    if first.contains(&0) {
        return unknown("is not text; expected CSV with a header, MOT or KITTI text".into());
    }
    if vote(head, Split::Whitespace, is_kitti) {
        return Ok(Format::Kitti);
    }
    if !names_columns(first) && vote(head, Split::Comma, is_mot) {
        return Ok(Format::Mot);
    }
    if vote(head, Split::Whitespace, is_kitti_object) {
        return unknown(
            "looks like KITTI object labels, which hold no frame and no track; only tracking \
             labels (17 or 18 fields) are read"
                .into(),
        );
    }
    let delimiter = guess_delimiter(first);
    let is_word = |cell: &[u8]| !cell.trim_ascii().is_empty() && float(cell.trim_ascii()).is_none();
    if first.contains(&delimiter) && first.split(|&byte| byte == delimiter).any(is_word) {
        return Ok(Format::Csv);
    }
    if first.contains(&delimiter) {
        return unknown(
            "the first line holds only numbers, and it is no MOT text; a CSV needs a header line \
             that names its columns"
                .into(),
        );
    }
    unknown("is none of CSV with a header, MOT text, KITTI tracking labels".into())
}

/// The first line that is not blank, without its end and a byte order mark.
pub(crate) fn first_line(head: &[u8]) -> Option<&[u8]> {
    let head = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head);
    head.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_end).find(|line| !line.is_empty())
}

/// Whether most fields of a line are words: the header of a CSV, whose rows may look like MOT text.
fn names_columns(line: &[u8]) -> bool {
    let (mut words, mut all) = (0_usize, 0_usize);
    for field in line.split(|&byte| byte == b',') {
        let field = field.trim_ascii();
        all += 1;
        words += usize::from(!field.is_empty() && float(field).is_none());
    }
    all > 1 && words * 2 > all
}

/// Whether more than half of the first lines are what `is` says.
fn vote(head: &[u8], split: Split, is: fn(Fields<'_>) -> bool) -> bool {
    let mut lines = Lines::new(head, split, HEAD_BYTES as usize, 32);
    let (mut yes, mut all) = (0_usize, 0_usize);
    while let Ok(Some(line)) = lines.advance() {
        // The last line may be cut where the head ends.
        let is_cut = lines.consumed() == head.len() as u64 && head.last() != Some(&b'\n');
        if all == LINES_MAX || (all > 0 && is_cut) {
            break;
        }
        all += 1;
        yes += usize::from(line.fault.is_none() && is(lines.fields()));
    }
    yes * 2 > all
}

fn is_kitti(fields: Fields<'_>) -> bool {
    matches!(fields.len(), 17 | 18)
        && (0..2).all(|field| whole(fields.get(field)).is_some())
        && float(fields.get(2)).is_none()
        && (3..fields.len()).all(|field| float(fields.get(field)).is_some())
}

fn is_kitti_object(fields: Fields<'_>) -> bool {
    matches!(fields.len(), 15 | 16)
        && float(fields.get(0)).is_none()
        && (1..fields.len()).all(|field| float(fields.get(field)).is_some())
}

fn is_mot(fields: Fields<'_>) -> bool {
    matches!(fields.len(), 9 | 10)
        && whole(fields.get(0)).is_some_and(|frame| frame >= 0)
        && whole(fields.get(1)).is_some()
        && (2..fields.len()).all(|field| float(fields.get(field)).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_by_content() {
        let kitti = "0 0 Van 0 0 -1.79 296.7 161.7 455.2 292.3 2.0 1.8 4.4 -4.5 1.8 13.4 -2.1";
        let mot = "1,-1,281.931,187.466,79.93,209.537,0.997784,-1,-1,-1";
        for (text, want) in [
            (kitti.to_owned(), Format::Kitti),
            (format!("{kitti} 0.5\n{kitti} 0.5\n"), Format::Kitti),
            (format!("{mot}\n"), Format::Mot),
            (format!("bad\n{mot}\n{mot}\n"), Format::Mot),
            ("1,0.0,1,2,3,4,1,1,0.86\n".to_owned(), Format::Mot),
            ("\u{feff}\n\nt;x\n1;2\n".to_owned(), Format::Csv),
            ("timestamp,value\n".to_owned(), Format::Csv),
            (format!("t_us,id,a,b,c,d,e,f,g,h\n{mot}\n{mot}\n{mot}\n"), Format::Csv),
        ] {
            assert_eq!(detect("f", text.as_bytes()).unwrap(), want, "{text}");
        }
    }

    #[test]
    fn others_are_named() {
        let object = "Car 0 0 1.5 1 2 3 4 1.5 1.6 3.7 1 2 3 0.1\n";
        for (head, word) in [
            (b"".as_slice(), "empty"),
            (b"\n\n", "empty"),
            (b"\x89PNG\r\n\x1a\n\0\0", "none of"),
            (b"a\0b,c", "not text"),
            (b"\xFF\xFEt\0,\0", "UTF-16"),
            (b"82,84,0,134217690\n", "only numbers"),
            (b"2.097134001 162 27 0\n", "none of"),
            (b"hello\n", "none of"),
            (object.as_bytes(), "KITTI object"),
        ] {
            let error = detect("f", head).unwrap_err();
            assert_eq!(error.kind, IngestErrorKind::UnknownFormat);
            assert!(error.what.contains(word), "{error}");
        }
    }
}
