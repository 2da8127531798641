//! The tables of the specification that a machine reads: each is named by a comment above it.

use crate::Result;

/// What begins the comment that names a table.
const MARK: &str = "<!-- xtask spec: ";

/// A table of the text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Table {
    /// What the comment says: `caps`, `layout, 64 bytes`.
    pub(super) mark: String,
    /// The heading that it stands under.
    pub(super) heading: String,
    /// The line of the comment, from 1.
    pub(super) line: usize,
    /// The names of the columns.
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

impl Table {
    /// The cells of the columns called `names`, row by row.
    pub(super) fn cells<const N: usize>(&self, names: [&str; N]) -> Result<Vec<[&str; N]>> {
        let mut places = [0; N];
        for (place, name) in places.iter_mut().zip(names) {
            let found = self.columns.iter().position(|column| column == name);
            *place = found.ok_or_else(|| self.fault(&format!("has no column `{name}`")))?;
        }
        let cells = self
            .rows
            .iter()
            .map(|row| places.map(|place| row.get(place).map(String::as_str).unwrap_or_default()));
        Ok(cells.collect())
    }

    /// An error that says where the table is.
    pub(super) fn fault(&self, what: &str) -> String {
        format!("line {}: table `{}` under `{}` {what}", self.line, self.mark, self.heading)
    }
}

/// The named tables of `text`, and an error for a name without a table.
pub(super) fn tables(text: &str) -> Result<Vec<Table>> {
    let mut tables = Vec::new();
    let mut heading = String::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        if let Some(title) = title(line) {
            heading = title.to_owned();
        }
        let Some(mark) = line.strip_prefix(MARK) else { continue };
        let mark = mark.strip_suffix(" -->").unwrap_or(mark).to_owned();
        while lines.next_if(|(_, line)| line.trim().is_empty()).is_some() {}
        let mut rows = Vec::new();
        while let Some((_, line)) = lines.next_if(|(_, line)| line.starts_with('|')) {
            rows.push(cells(line));
        }
        let heading = heading.clone();
        let columns = if rows.is_empty() { Vec::new() } else { rows.remove(0) };
        let ruled = rows.first().is_some_and(|row| row.iter().all(|cell| cell.contains("---")));
        let table = Table {
            mark,
            heading,
            line: index + 1,
            columns,
            rows: rows.split_off(rows.len().min(1)),
        };
        if !ruled || table.rows.iter().any(|row| row.len() != table.columns.len()) {
            return Err(table.fault("is missing, or has rows of different length"));
        }
        tables.push(table);
    }
    Ok(tables)
}

/// The `###` headings of `text` that no table follows before the next heading.
pub(super) fn headings_without_table(text: &str) -> Vec<String> {
    let mut bare = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines() {
        if line.starts_with('#') {
            bare.extend(open.take());
            open = line.strip_prefix("### ").map(str::to_owned);
        } else if line.starts_with("|---") {
            open = None;
        }
    }
    bare.extend(open);
    bare
}

fn title(line: &str) -> Option<&str> {
    line.starts_with('#').then(|| line.trim_start_matches('#').trim())
}

/// The cells of a row, without backticks.
fn cells(line: &str) -> Vec<String> {
    let inner = line.trim().trim_start_matches('|');
    let inner = inner.strip_suffix('|').unwrap_or(inner);
    inner.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Format\n\n### Header\n\n<!-- xtask spec: layout, 6 bytes -->\n\n\
        | offset | field | bytes |\n|---|---|---|\n| 0 | `magic` | 4 |\n| 4 | `kind` | 2 |\n\n\
        Text.\n\n| not | named |\n|---|---|\n| 1 | 2 |\n\n### Bare\n\nText.\n";

    #[test]
    fn named_tables_are_found_with_their_heading() {
        let tables = tables(TEXT).unwrap();
        assert_eq!(tables.len(), 1);
        assert_eq!((tables[0].mark.as_str(), tables[0].line), ("layout, 6 bytes", 5));
        assert_eq!(tables[0].heading, "Header");
        assert_eq!(tables[0].cells(["field", "offset"]).unwrap(), [["magic", "0"], ["kind", "4"]]);
        let error = tables[0].cells(["type"]).unwrap_err();
        assert!(
            error.ends_with("`layout, 6 bytes` under `Header` has no column `type`"),
            "{error}"
        );
    }

    #[test]
    fn a_name_without_a_table_is_an_error() {
        for text in [
            "<!-- xtask spec: caps -->\n\nText\n",
            "<!-- xtask spec: caps -->\n| a | b |\n| 1 | 2 |\n",
            "<!-- xtask spec: caps -->\n| a | b |\n|---|---|\n| 1 |\n",
        ] {
            assert!(tables(text).unwrap_err().contains("is missing, or has rows"), "{text}");
        }
    }

    #[test]
    fn headings_need_a_table() {
        assert_eq!(headings_without_table(TEXT), ["Bare"]);
    }
}
