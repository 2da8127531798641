//! Codes on disk and their names, as the code has them.

use presence_format::dtype::DType;
use presence_format::entry::{Entry, EntryBuilder, EntryKind, Place};
use presence_format::schema::{Compression, Order, Schema, TimeUnit};
use presence_format::{Plane, PlaneKind};

/// A table's mark, the columns to compare, and its rows.
pub(super) type List = (String, [&'static str; 2], Vec<[String; 2]>);

const KINDS: [(EntryKind, &str); 4] = [
    (EntryKind::Catalog, "catalog"),
    (EntryKind::Block, "block"),
    (EntryKind::Frame, "frame"),
    (EntryKind::Index, "index"),
];

/// Every list of codes. Where the code has no list it is asked for each of the 256 codes.
pub(super) fn all() -> Vec<List> {
    let list = |mark: &str, column, rows: Vec<(u8, &str)>| {
        let rows = rows.into_iter().map(|(code, name)| [code.to_string(), name.to_owned()]);
        (format!("codes {mark}"), ["code", column], rows.collect())
    };
    let compressions = (0..=u8::MAX).filter_map(|code| {
        Compression::from_code(code).ok().map(|compression| (code, compression.name()))
    });
    let dtypes =
        (0..=u8::MAX).filter_map(|code| DType::from_code(code).ok().map(|d| (code, d.name())));
    vec![
        list("EntryKind", "kind", KINDS.map(|(kind, name)| (kind as u8, name)).to_vec()),
        list("TimeUnit", "time unit", in_schemas(0, |schema| TimeUnit::name(schema.time_unit()))),
        list("Order", "order", in_schemas(1, |schema| Order::name(schema.order()))),
        list("Compression", "compression", compressions.collect()),
        list("DType", "dtype", dtypes.collect()),
    ]
}

/// Kinds of entries that the code reads and [`KINDS`] does not have.
pub(super) fn unlisted() -> Vec<String> {
    let place = Place { database: 0, segment: 1 };
    let (mut header, ..) = EntryBuilder::new(place, 128, 0, 0).finish(EntryKind::Frame);
    let mut found = Vec::new();
    for code in 0..=u8::MAX {
        if let Some(kind) = header.get_mut(20) {
            *kind = code;
        }
        // An unknown kind is told before the checksum, which is wrong for all but one.
        let unknown =
            Entry::parse(&header, place, 128).is_err_and(|error| error.what.contains("unknown"));
        if !unknown && !KINDS.iter().any(|(kind, _)| *kind as u8 == code) {
            found.push(format!("entry kind {code} of the code is not compared: add it to KINDS"));
        }
    }
    found
}

/// The codes that byte `at` of a schema may have, of a stream or of a plane, with the names of
/// what they decode to.
fn in_schemas(at: usize, name: fn(&Schema) -> &'static str) -> Vec<(u8, &'static str)> {
    let plane = Plane::new("track", (30, 1), 0, PlaneKind::Observed).map(Schema::of_plane);
    let schemas: Vec<Vec<u8>> = [Schema::single(DType::U8, &[]), plane]
        .into_iter()
        .flatten()
        .map(|schema| {
            let mut bytes = Vec::new();
            schema.encode(&mut bytes);
            bytes
        })
        .collect();
    let decode = |code| {
        schemas.iter().find_map(|bytes| {
            let mut bytes = bytes.clone();
            *bytes.get_mut(at)? = code;
            Schema::decode(&bytes).ok().map(|(schema, _)| (code, name(&schema)))
        })
    };
    (0..=u8::MAX).filter_map(decode).collect()
}
