//! Schemas and catalogs made from choices.

use presence_format::catalog::{Catalog, StreamEntry};
use presence_format::{Column, Compression, DType, Order, Schema, TimeUnit};

use crate::input::Input;
use crate::planes;

pub(crate) const COMPRESSIONS: [Compression; 4] = Compression::OF_RECORDS;

/// Some schema with small records.
pub(crate) fn schema(input: &mut Input<'_>) -> Schema {
    let count = 1 + input.below(4);
    let columns = (0..count).map(|index| {
        let dtype = input.pick(&DType::ALL);
        let shape: Vec<u32> = (0..input.below(3)).map(|_| 1 + input.below(5) as u32).collect();
        Column::new(format!("column {index}"), dtype, &shape)
    });
    let schema = Schema::new(columns.collect()).unwrap();
    let schema = schema.with_compression(input.pick(&COMPRESSIONS));
    let schema = schema.with_order(input.pick(&[Order::StrictlyIncreasing, Order::NonDecreasing]));
    schema.with_time_unit(input.pick(&[TimeUnit::Us, TimeUnit::Ns]))
}

/// Some catalog, streams ascending.
pub(crate) fn catalog(input: &mut Input<'_>) -> Catalog {
    let mut id = 0_u32;
    let mut streams = Vec::new();
    for _ in 0..input.below(5) {
        id = (id + 1 + input.below(300) as u32).min(65_000 + streams.len() as u32);
        let mut stream = StreamEntry {
            id,
            name: format!("stream {id} \u{1F4C8}"),
            finished: input.bool(),
            sequence: input.number(),
            last_ts: input.bool().then(|| input.i64()),
            touched: None,
            schema: match input.u8() {
                0..32 => Schema::of_plane(planes::plane(input)),
                _ => schema(input),
            },
        };
        if stream.schema.plane().is_some() && input.bool() {
            let (a, b) = (input.i64(), input.i64());
            stream.touched = Some((a.min(b), a.max(b)));
        }
        streams.push(stream);
    }
    Catalog { retained_from: input.number() as u32, streams }
}
