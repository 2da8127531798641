//! Which datasets of a file are its events: the layouts of Prophesee, DSEC, MVSEC and others.
//!
//! | layout | events | time |
//! |---|---|---|
//! | Prophesee | `CD/events`, structs of `x`, `y`, `p`, `t` | us |
//! | DSEC | `events/{x,y,t,p}`, `t_offset` | us after `t_offset` |
//! | columns | `x`, `y`, `t`, `p` or `xs` and so on in `events`, `raw_events` or root | us, or s |
//! | structs | `events` or `raw_events`, structs of the same names | us, or s |
//! | MVSEC | `davis/left/events` or `davis/right/events`, columns `x y t p` | s |
//!
//! Times of unknown unit are microseconds where they are whole numbers, and seconds where not.
//!
//! # Invariants
//! - Where several places hold events, the first of the list counts; the others are there by name.
//! - Columns are known by their names alone, but in MVSEC, which has none.

use super::attribute::{Value, attributes};
use super::column::Field;
use super::datatype::{Datatype, Form};
use super::group;
use super::input::Input;
use super::pages::Pages;
use super::table::{self, Table};
use crate::batch::SensorSize;
use crate::error::{EventError, EventErrorKind, Result};

const PLACES: [&str; 6] =
    ["CD/events", "events", "raw_events", "davis/left/events", "davis/right/events", ""];
const MVSEC: &str = "davis/";
const TRIGGERS: &str = "EXT_TRIGGER/events";
const OFFSET: &str = "t_offset";
const X: &[&str] = &["x", "xs"];
const Y: &[&str] = &["y", "ys"];
const T: &[&str] = &["t", "ts", "timestamp", "timestamps"];
const P: &[&str] = &["p", "ps", "polarity", "polarities"];

/// The four numbers of an event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    pub(super) t: Field,
    pub(super) x: Field,
    pub(super) y: Field,
    pub(super) p: Field,
}

/// The datasets of a file that matter.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) tables: Vec<Pages>,
    pub(super) fields: Fields,
    /// Events: as many as the shortest column has. And how many the longest has.
    pub(super) rows: u64,
    pub(super) rows_most: u64,
    /// Added to times, in microseconds.
    pub(super) offset_us: i64,
    /// `t`, `p` and `id` of triggers, in a table of their own.
    pub(super) triggers: Option<(Pages, [Field; 3])>,
    pub(super) sensor_size: Option<SensorSize>,
    pub(super) source: Option<String>,
}

/// Finds the events: at `named`, or at the first known place.
pub(super) fn find(input: &mut Input, root: u64, named: Option<&str>) -> Result<Found> {
    let places = named.map_or_else(|| PLACES.to_vec(), |path| vec![path]);
    for path in places {
        let Some(address) = group::find(input, root, path)? else { continue };
        let (tables, fields) = match table::open(input, address, path)? {
            Some(table) => match in_one(&table) {
                Some(fields) => (vec![Pages::new(table)], fields),
                None => continue,
            },
            None => match in_columns(input, address, path)? {
                Some(found) => found,
                None => continue,
            },
        };
        let lengths = |most: bool| {
            let rows = tables.iter().map(|pages| pages.table.rows);
            if most { rows.max() } else { rows.min() }.unwrap_or(0)
        };
        let offset_us = offset(input, root, address, &fields, &tables)?;
        let (rows, rows_most) = (lengths(false), lengths(true));
        let triggers = triggers(input, root)?;
        let mut known = attributes(input, root)?;
        known.extend(attributes(input, address)?);
        let (sensor_size, source) = (size(&known), source(&known));
        return Ok(Found {
            tables,
            fields,
            rows,
            rows_most,
            offset_us,
            triggers,
            sensor_size,
            source,
        });
    }
    let what = match named {
        Some(path) => format!("HDF5: no events at {path:?}"),
        None => format!("HDF5 without events in a known layout; it holds {}", listed(input, root)?),
    };
    Err(EventError::new(EventErrorKind::Unsupported, 0, what))
}

/// The names in the root group, for people.
fn listed(input: &mut Input, root: u64) -> Result<String> {
    let names = group::links(input, root)?;
    let names = names.iter().take(20).map(|(name, _)| String::from_utf8_lossy(name).into_owned());
    Ok(format!("{:?}", names.collect::<Vec<_>>()))
}

fn is_named(name: &[u8], names: &[&str]) -> bool {
    names.iter().any(|known| known.as_bytes() == name)
}

/// The numbers of a dataset that holds all of them.
fn in_one(table: &Table) -> Option<Fields> {
    match &table.datatype {
        Datatype::Compound(members) if table.columns == 1 => {
            let field = |names| {
                let member = members.iter().find(|member| is_named(&member.name, names))?;
                let (offset, number) = (member.offset, member.number);
                Some(Field { table: 0, column: 0, offset, number })
            };
            Some(Fields { t: field(T)?, x: field(X)?, y: field(Y)?, p: field(P)? })
        }
        // Columns without names, all floats.
        Datatype::Number(number)
            if table.path.starts_with(MVSEC)
                && table.columns == 4
                && number.form == Form::Float =>
        {
            let field = |column| Field { table: 0, column, offset: 0, number: *number };
            Some(Fields { x: field(0), y: field(1), t: field(2), p: field(3) })
        }
        _ => None,
    }
}

/// The datasets of a group, one for each number.
fn in_columns(input: &mut Input, group: u64, path: &str) -> Result<Option<(Vec<Pages>, Fields)>> {
    let links = group::links(input, group)?;
    let mut tables = Vec::new();
    let mut fields = Vec::new();
    for names in [T, X, Y, P] {
        let found = links.iter().find(|(name, _)| is_named(name, names));
        let Some((name, address)) = found else { return Ok(None) };
        let name = String::from_utf8_lossy(name);
        let whole = if path.is_empty() { name.into_owned() } else { format!("{path}/{name}") };
        let Some(table) = table::open(input, *address, &whole)? else { return Ok(None) };
        let Datatype::Number(number) = table.datatype else { return Ok(None) };
        if table.columns != 1 || table.rank == 0 {
            return Ok(None);
        }
        fields.push(Field { table: tables.len(), column: 0, offset: 0, number });
        tables.push(Pages::new(table));
    }
    let &[t, x, y, p] = fields.as_slice() else { return Ok(None) };
    Ok(Some((tables, Fields { t, x, y, p })))
}

/// What is added to times: `t_offset` beside the events, or in their group.
fn offset(
    input: &mut Input,
    root: u64,
    group: u64,
    fields: &Fields,
    tables: &[Pages],
) -> Result<i64> {
    if fields.t.number.form == Form::Float || tables.len() < 2 {
        return Ok(0);
    }
    for place in [group, root] {
        let Some(address) = group::find(input, place, OFFSET)? else { continue };
        let Some(table) = table::open(input, address, OFFSET)? else { continue };
        let (Datatype::Number(number), 1, 1) = (&table.datatype, table.rows, table.columns) else {
            continue;
        };
        let field = Field { table: 0, column: 0, offset: 0, number: *number };
        let mut pages = Pages::new(table);
        pages.load(input, 0, 0).map_err(|gap| gap.error)?;
        let mut found = i64::MIN;
        if let Some(rows) = pages.rows(0, 0) {
            let place = std::slice::from_mut(&mut found);
            super::column::each(rows, field, place, |_| i64::MIN, |place, value| *place = value);
        }
        if found == i64::MIN {
            return Err(input.unsupported(address, "a t_offset that is no whole number"));
        }
        return Ok(found);
    }
    Ok(0)
}

fn triggers(input: &mut Input, root: u64) -> Result<Option<(Pages, [Field; 3])>> {
    let Some(address) = group::find(input, root, TRIGGERS)? else { return Ok(None) };
    let Some(table) = table::open(input, address, TRIGGERS)? else { return Ok(None) };
    let Datatype::Compound(members) = &table.datatype else { return Ok(None) };
    let field = |name: &str| {
        let member = members.iter().find(|member| member.name == name.as_bytes())?;
        Some(Field { table: 0, column: 0, offset: member.offset, number: member.number })
    };
    let fields = field("t").zip(field("p")).zip(field("id"));
    Ok(fields.map(|((t, p), id)| (Pages::new(table), [t, p, id])))
}

/// `geometry` as Prophesee has it, or `width` and `height`.
fn size(attributes: &[(String, Value)]) -> Option<SensorSize> {
    let value = |name: &str| attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    let pixels = |number: i64| u16::try_from(number).ok().filter(|&pixels| pixels > 0);
    let geometry = value("geometry").and_then(Value::text).and_then(|text| text.split_once('x'));
    if let Some((width, height)) = geometry
        && let (Ok(width), Ok(height)) = (width.trim().parse(), height.trim().parse())
    {
        return Some(SensorSize { width: pixels(width)?, height: pixels(height)? });
    }
    let (width, height) = (value("width")?.number()?, value("height")?.number()?);
    Some(SensorSize { width: pixels(width)?, height: pixels(height)? })
}

fn source(attributes: &[(String, Value)]) -> Option<String> {
    let names = ["camera_integrator_name", "integrator_name", "source"];
    let found = attributes.iter().find(|(key, _)| names.contains(&key.as_str()));
    found.and_then(|(_, value)| value.text()).map(str::to_owned)
}
