//! Tables of text with aligned columns.
//!
//! # Invariants
//! - Cells are escaped when they are added; widths count characters.

use std::io::{self, Write};

use crate::terminal::escape;

/// On which side a column is ragged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A table in the making.
#[derive(Debug)]
pub struct Table {
    align: Vec<Align>,
    lines: Vec<Vec<String>>,
    widths: Vec<usize>,
    indent: &'static str,
}

impl Table {
    /// A table with a line of titles.
    pub fn new(titles: &[(&str, Align)]) -> Self {
        let mut table = Self {
            align: titles.iter().map(|(_, align)| *align).collect(),
            lines: Vec::new(),
            widths: vec![0; titles.len()],
            indent: "",
        };
        table.line(titles.iter().map(|(title, _)| (*title).to_owned()));
        table
    }

    /// The same table, each line moved in.
    #[must_use]
    pub fn indented(mut self, indent: &'static str) -> Self {
        self.indent = indent;
        self
    }

    /// Adds a line of cells.
    pub fn line(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().map(|cell| escape(&cell).into_owned()).collect();
        for (width, cell) in self.widths.iter_mut().zip(&cells) {
            *width = (*width).max(cell.chars().count());
        }
        self.lines.push(cells);
    }

    /// Lines that were not written yet, the titles among them.
    pub fn pending(&self) -> usize {
        self.lines.len()
    }

    /// Writes the lines so far and forgets them; widths stay, so that more can follow.
    pub fn write(&mut self, out: &mut impl Write) -> io::Result<()> {
        for cells in self.lines.drain(..) {
            let mut line = self.indent.to_owned();
            for ((cell, align), &width) in cells.iter().zip(&self.align).zip(&self.widths) {
                match align {
                    Align::Left => line.push_str(&format!("{cell:<width$}  ")),
                    Align::Right => line.push_str(&format!("{cell:>width$}  ")),
                }
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}
