//! What catalogs told of the streams so far.
//!
//! # Invariants
//! - What is kept is bounded by the format's cap on a database's catalog, whatever files say.

use std::collections::BTreeMap;

use presence_format::block::BlockLayout;
use presence_format::caps::CATALOG_BYTES_MAX;
use presence_format::catalog::{Catalog, StreamEntry};
use presence_format::entry::Entry;

/// A stream that a catalog told of.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) entry: StreamEntry,
    pub(crate) layout: BlockLayout,
}

/// The streams, by id.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    known: BTreeMap<u32, Known>,
    bytes: usize,
    pub(crate) retained_from: u32,
}

impl Streams {
    /// Takes what `catalog` tells; what is wrong with it, where something is.
    pub(crate) fn learn(&mut self, catalog: Catalog) -> Result<(), String> {
        self.retained_from = self.retained_from.max(catalog.retained_from);
        for entry in catalog.streams {
            let layout = BlockLayout::new(&entry.schema);
            if let Some(known) = self.known.get_mut(&entry.id) {
                let is_same = known.layout.schema_crc() == layout.schema_crc();
                let id = entry.id;
                *known = Known { entry, layout };
                if !is_same {
                    return Err(format!("another schema for stream {id} than before"));
                }
                continue;
            }
            let mut schema = Vec::new();
            entry.schema.encode(&mut schema);
            let bytes = self.bytes.saturating_add(schema.len()).saturating_add(entry.name.len());
            if bytes > CATALOG_BYTES_MAX {
                return Err("more streams and columns than the format allows".to_owned());
            }
            self.bytes = bytes;
            self.known.insert(entry.id, Known { entry, layout });
        }
        Ok(())
    }

    pub(crate) fn get(&self, id: u32) -> Option<&Known> {
        self.known.get(&id)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Known> {
        self.known.values()
    }

    /// Whether a block can be one of its stream, by its header; else what is wrong.
    pub(crate) fn fits(&self, entry: &Entry) -> Result<(), String> {
        let (Some(block), id) = (entry.block, entry.header.stream.get()) else {
            return Err("not a block".to_owned());
        };
        let Some(known) = self.get(id) else {
            return Err(format!("no catalog tells of stream {id}"));
        };
        if block.schema_crc.get() != known.layout.schema_crc() {
            return Err("block of another schema than its stream's".to_owned());
        }
        let records = entry.header.records.get() as usize;
        if block.decoded_bytes.get() as usize != known.layout.decoded_bytes(records) {
            return Err("decoded length differs from the schema's".to_owned());
        }
        Ok(())
    }

    /// The stream in words: its name, or its number where no catalog told of it.
    pub(crate) fn name(&self, id: u32) -> String {
        self.get(id).map_or_else(|| format!("#{id} (unknown)"), |known| known.entry.name.clone())
    }
}
