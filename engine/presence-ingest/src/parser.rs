//! One line of any format to one record.
//!
//! # Invariants
//! - What a parser learned in the first reading (types, classes) is fixed in the second.

use crate::classes;
use crate::csv::CsvRecord;
use crate::fault::Fault;
use crate::frames::Frames;
use crate::kitti::Kitti;
use crate::lines::Fields;
use crate::mot::Mot;

/// The parser of a format.
#[derive(Debug)]
pub(crate) enum Parser {
    Csv(CsvRecord),
    Mot(Mot),
    Kitti(Kitti),
}

impl Parser {
    /// Appends the record to `rows`, in the layout of [`crate::rows`]; returns its time. On a
    /// fault `rows` may hold a part of it.
    #[inline]
    pub(crate) fn parse(&mut self, fields: Fields<'_>, rows: &mut Vec<u8>) -> Result<i64, Fault> {
        match self {
            Self::Csv(csv) => csv.parse(fields, rows),
            Self::Mot(mot) => mot.parse(fields, rows),
            Self::Kitti(kitti) => kitti.parse(fields, rows),
        }
    }

    /// How the file counts its frames, where it has frames.
    pub(crate) const fn frames(&self) -> Option<Frames> {
        match self {
            Self::Csv(_) => None,
            Self::Mot(mot) => Some(mot.clock.frames()),
            Self::Kitti(kitti) => Some(kitti.clock.frames()),
        }
    }

    /// Ends the first reading; gives the classes and notes what is new among them.
    pub(crate) fn conclude(&mut self, notes: &mut Vec<String>) -> Vec<(u16, String)> {
        match self {
            Self::Csv(_) => Vec::new(),
            Self::Mot(mot) if mot.has_classes => {
                classes::MOT.iter().map(|&(code, name)| (code, name.to_owned())).collect()
            }
            Self::Mot(_) => Vec::new(),
            Self::Kitti(kitti) => {
                kitti.is_learning = false;
                let added = kitti.classes.added();
                if !added.is_empty() {
                    let first = added.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
                    let note = format!("{} types KITTI does not know: {first}", added.len());
                    notes.push(note);
                }
                kitti.classes.list()
            }
        }
    }
}
