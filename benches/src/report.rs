//! The table of results.
//!
//! # Invariants
//! - A row with a target tells whether it was reached; rows that fall short are printed like the
//!   others.

use serde_json::{Value, json};

use crate::measure::Pair;

/// What a number should be.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
    /// Only told.
    Told,
}

impl Target {
    fn holds(self, value: f64) -> Option<bool> {
        match self {
            Self::AtMost(most) => Some(value <= most),
            Self::AtLeast(least) => Some(value >= least),
            Self::Told => None,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtMost(most) => format!("<= {most}"),
            Self::AtLeast(least) => format!(">= {least}"),
            Self::Told => String::new(),
        }
    }
}

/// One measurement.
#[derive(Debug, Clone)]
pub struct Row {
    workload: &'static str,
    what: String,
    unit: &'static str,
    ours: f64,
    reference: Option<(f64, f64)>,
    target: Target,
}

/// All measurements of a run.
#[derive(Debug, Default)]
pub struct Report {
    rows: Vec<Row>,
    live: bool,
}

impl Report {
    /// An empty report; rows are printed as they come where `live`.
    pub fn new(live: bool) -> Self {
        if live {
            println!("{}", header());
        }
        Self { rows: Vec::new(), live }
    }

    /// Adds a ratio to a reference.
    pub fn ratio(
        &mut self,
        workload: &'static str,
        what: impl Into<String>,
        unit: &'static str,
        pair: Pair,
        target: Target,
    ) {
        let reference = Some((pair.reference, pair.ratio));
        self.add(Row { workload, what: what.into(), unit, ours: pair.ours, reference, target });
    }

    /// Adds a number that stands for itself.
    pub fn value(
        &mut self,
        workload: &'static str,
        what: impl Into<String>,
        unit: &'static str,
        ours: f64,
        target: Target,
    ) {
        self.add(Row { workload, what: what.into(), unit, ours, reference: None, target });
    }

    fn add(&mut self, row: Row) {
        if self.live {
            println!("{}", line(&row));
        }
        self.rows.push(row);
    }

    /// The rows as JSON.
    pub fn json(&self) -> Value {
        let rows: Vec<Value> = self.rows.iter().map(row_json).collect();
        json!({ "rows": rows })
    }
}

fn verdict(row: &Row) -> Option<bool> {
    row.target.holds(row.reference.map_or(row.ours, |(_, ratio)| ratio))
}

fn row_json(row: &Row) -> Value {
    json!({
        "workload": row.workload,
        "what": row.what,
        "unit": row.unit,
        "ours": row.ours,
        "reference": row.reference.map(|(reference, _)| reference),
        "ratio": row.reference.map(|(_, ratio)| ratio),
        "target": row.target.text(),
        "reached": verdict(row),
    })
}

fn header() -> String {
    format!(
        "{:<8} {:<46} {:>11} {:>11} {:<9} {:>7} {:>8}  {}",
        "workload", "what", "ours", "reference", "unit", "ratio", "target", ""
    )
}

fn line(row: &Row) -> String {
    let number = |value: f64| match value {
        value if value.abs() >= 1000.0 => format!("{value:.0}"),
        value if value.abs() >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.3}"),
    };
    let (reference, ratio) = row.reference.map_or_else(Default::default, |(reference, ratio)| {
        (number(reference), format!("{ratio:.2}"))
    });
    let verdict = match verdict(row) {
        Some(true) => "ok",
        Some(false) => "SHORT",
        None => "",
    };
    format!(
        "{:<8} {:<46} {:>11} {:>11} {:<9} {:>7} {:>8}  {}",
        row.workload,
        row.what,
        number(row.ours),
        reference,
        row.unit,
        ratio,
        row.target.text(),
        verdict
    )
}
