//! Stored bytes as JSON: header fields by their layout, lanes by their element type.

use presence_format::block::{BlockLayout, Lane};
use presence_format::catalog::Catalog;
use presence_format::entry::EntryKind;
use presence_format::layout::{Field, Layout};
use presence_format::plane::{Container, REGION_CONTAINERS, Region};
use presence_format::schema::{Compression, Schema};
use presence_format::{DType, Plane, PlaneKind};
use serde_json::{Map, Value, json};

use super::rows::{double, shaped, single};
use crate::Result;

/// The fields of a fixed layout at the front of `bytes`, by name.
///
/// Checksums, ids of databases and magic numbers are in hexadecimal, codes by name.
pub(crate) fn fields(layout: &Layout, bytes: &[u8]) -> Result<Map<String, Value>> {
    let mut map = Map::new();
    for field in layout.fields {
        let range = field.offset..field.offset + field.bytes;
        let bytes = bytes.get(range).ok_or_else(|| format!("{} is cut short", layout.name))?;
        map.insert(field.name.to_owned(), field_json(field, bytes));
    }
    Ok(map)
}

fn field_json(field: &Field, bytes: &[u8]) -> Value {
    let number = unsigned(bytes);
    match field.name {
        "reserved" if bytes.iter().all(|&byte| byte == 0) => "zeros".into(),
        "magic" | "reserved" => hex(bytes).into(),
        "database" if field.bytes == 16 => hex(bytes).into(),
        "database" => format!("0x{number:016x}").into(),
        "kind" => kind_name(number).into(),
        "compression" => compression_name(number).into(),
        name if name.ends_with("_crc") => format!("0x{number:08x}").into(),
        name if name.ends_with("_ts") || name.ends_with("_unix_us") => (number as i64).into(),
        _ => number.into(),
    }
}

fn unsigned(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn kind_name(code: u64) -> &'static str {
    let kinds = [
        (EntryKind::Catalog, "catalog"),
        (EntryKind::Block, "block"),
        (EntryKind::Frame, "frame"),
        (EntryKind::Index, "index"),
    ];
    kinds.into_iter().find(|(kind, _)| *kind as u64 == code).map_or("unknown", |(_, name)| name)
}

fn compression_name(code: u64) -> &'static str {
    u8::try_from(code)
        .ok()
        .and_then(|code| Compression::from_code(code).ok())
        .map_or("unknown", Compression::name)
}

/// A catalog's content.
pub(crate) fn catalog(catalog: &Catalog) -> Value {
    let streams = catalog.streams.iter().map(|stream| {
        let mut json = json!({
            "id": stream.id,
            "name": stream.name,
            "finished": stream.finished,
            "sequence": stream.sequence,
            "last_ts": stream.last_ts,
            "schema": schema(&stream.schema),
        });
        if let (Some((first, last)), Some(json)) = (stream.touched, json.as_object_mut()) {
            json.insert("touched".to_owned(), json!([first, last]));
        }
        json
    });
    json!({"retained_from": catalog.retained_from, "streams": streams.collect::<Vec<_>>()})
}

fn schema(schema: &Schema) -> Value {
    let columns = schema.columns().iter().map(|column| {
        json!({"name": column.name(), "dtype": column.dtype().name(), "shape": column.shape()})
    });
    let mut json = json!({
        "time_unit": schema.time_unit().name(),
        "order": schema.order().name(),
        "compression": schema.compression().name(),
        "columns": columns.collect::<Vec<_>>(),
    });
    if let (Some(plane), Some(json)) = (schema.plane(), json.as_object_mut()) {
        json.insert("plane".to_owned(), self::plane(plane));
    }
    json
}

fn plane(plane: &Plane) -> Value {
    let (num, den) = plane.rate();
    let class = match plane.kind() {
        PlaneKind::Observed => Value::Null,
        PlaneKind::Class { id, name } => json!({"id": id, "name": name}),
    };
    json!({
        "track": plane.track(),
        "rate": [num, den],
        "epoch_us": plane.epoch_us(),
        "class": class,
    })
}

/// The containers of a region: number, form, and the ticks set before.
pub(crate) fn region(region: &Region<'_>) -> Value {
    let containers = (0..REGION_CONTAINERS).filter_map(|number| {
        let (container, rank) = region.container(number)?;
        let form = match container {
            Container::Sparse(_) => "sparse",
            Container::Runs { .. } => "runs",
            Container::Dense { .. } => "dense",
        };
        Some(json!({"container": number, "form": form, "rank": rank}))
    });
    json!({
        "region": region.number(),
        "set_ticks": region.count(),
        "words": region.words(),
        "containers": containers.collect::<Vec<_>>(),
    })
}

/// Records as `[ts, value, ...]` each, from their unpadded lanes.
pub(crate) fn records(
    schema: &Schema,
    layout: &BlockLayout,
    count: usize,
    lanes: &[&[u8]],
) -> Vec<Value> {
    let scalars =
        std::iter::once(true).chain(schema.columns().iter().map(|c| c.shape().is_empty()));
    let columns: Vec<Vec<Value>> = layout
        .lanes()
        .iter()
        .zip(lanes)
        .zip(scalars)
        .map(|((lane, bytes), scalar)| values(lane, bytes, scalar))
        .collect();
    let cell = |column: &Vec<Value>, at| column.get(at).cloned().unwrap_or_default();
    (0..count).map(|at| columns.iter().map(|column| cell(column, at)).collect()).collect()
}

fn values(lane: &Lane, bytes: &[u8], scalar: bool) -> Vec<Value> {
    let value = |bytes: &[u8]| {
        let elements = bytes.chunks_exact(lane.dtype.bytes());
        shaped(elements.map(|element| element_json(lane.dtype, element)).collect(), scalar)
    };
    bytes.chunks_exact(lane.value_bytes.max(1)).map(value).collect()
}

fn element_json(dtype: DType, bytes: &[u8]) -> Value {
    let number = unsigned(bytes);
    match dtype {
        DType::Bool if number < 2 => Value::Bool(number == 1),
        DType::Bool | DType::U8 | DType::U16 | DType::U32 | DType::U64 => number.into(),
        DType::I8 => (number as i8).into(),
        DType::I16 => (number as i16).into(),
        DType::I32 => (number as i32).into(),
        DType::I64 => (number as i64).into(),
        DType::F32 => single(f32::from_bits(number as u32)),
        DType::F64 => double(f64::from_bits(number)),
    }
}
