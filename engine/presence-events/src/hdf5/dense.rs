//! Many links or attributes of one object: a fractal heap, and a tree of its objects.
//!
//! # Invariants
//! - Heaps that are packed by a filter, and objects too large for a block, are left out.

use super::input::Input;
use super::tree2;
use crate::error::Result;

/// What the objects are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Links,
    Attributes,
}

/// What the header of a fractal heap says.
#[derive(Debug)]
struct Heap {
    offset_bytes: usize,
    length_bytes: usize,
    width: u64,
    block_bytes_min: u64,
    direct_bytes_max: u64,
    offset_bits: u32,
    root: u64,
    rows: u64,
}

/// The objects that an info message leads to; none where it says that they are elsewhere.
pub(super) fn objects(input: &mut Input, info: &[u8], kind: Kind) -> Result<Vec<Vec<u8>>> {
    let mut fields = input.fields(info);
    let parsed = (|| {
        let flags = fields.bytes(2)?.last()?;
        if flags & 1 != 0 {
            fields.skip(if kind == Kind::Links { 8 } else { 2 })?;
        }
        Some((fields.address()?, fields.address()?))
    })();
    let Some((Some(heap_at), Some(tree_at))) = parsed else { return Ok(Vec::new()) };
    let Some(heap) = heap(input, heap_at)? else { return Ok(Vec::new()) };
    let mut objects = Vec::new();
    for record in tree2::records(input, tree_at)? {
        let mut fields = input.fields(&record);
        // Links: a hash before the identity. Attributes: behind it.
        if kind == Kind::Links {
            fields.skip(4);
        }
        let Some(0) = fields.u8().map(|flags| flags >> 4 & 3) else { continue };
        let offset = fields.uint(heap.offset_bytes);
        if let (Some(offset), Some(bytes)) = (offset, fields.uint(heap.length_bytes)) {
            objects.push(object(input, &heap, offset, bytes)?);
        }
    }
    Ok(objects)
}

fn heap(input: &mut Input, at: u64) -> Result<Option<Heap>> {
    let (address, length) = (input.address_bytes as u64, input.length_bytes as u64);
    let bytes = 22 + 12 * length + 3 * address;
    let head = input.structure(at, bytes + 4)?;
    let filter_bytes = head.get(7..9).map_or(0, |two| two.iter().fold(0, |sum, byte| sum | byte));
    if filter_bytes != 0 {
        return Ok(None);
    }
    input.check(at, &head, bytes as usize)?;
    let mut fields = input.fields(&head);
    let parsed = (|| {
        (fields.bytes(5)? == b"FRHP\0").then_some(())?;
        fields.skip(4)?;
        fields.skip(1)?;
        let managed_bytes_max = u64::from(fields.u32()?);
        fields.length()?;
        fields.address()?;
        fields.length()?;
        fields.address()?;
        (0..8).try_for_each(|_| fields.length().map(|_| ()))?;
        let width = u64::from(fields.u16()?);
        let (block_bytes_min, direct_bytes_max) = (fields.length()?, fields.length()?);
        let offset_bits = u32::from(fields.u16()?);
        fields.skip(2)?;
        let root = fields.address()?;
        let rows = u64::from(fields.u16()?);
        let length = managed_bytes_max.min(direct_bytes_max);
        Some((
            root?,
            Heap {
                offset_bytes: offset_bits.div_ceil(8) as usize,
                length_bytes: (length.max(1).ilog2() / 8 + 1) as usize,
                width,
                block_bytes_min,
                direct_bytes_max,
                offset_bits,
                root: 0,
                rows,
            },
        ))
    })();
    let Some((root, heap)) = parsed else {
        return Err(input.corrupt(at, "no heap of links where one should be"));
    };
    if !(1..=64).contains(&heap.offset_bits) || heap.block_bytes_min == 0 || heap.width == 0 {
        return Err(input.corrupt(at, "a heap of links of impossible form"));
    }
    Ok(Some(Heap { root, ..heap }))
}

/// An object by its offset in the space of the heap.
fn object(input: &mut Input, heap: &Heap, offset: u64, bytes: u64) -> Result<Vec<u8>> {
    let (mut at, mut rows, mut offset) = (heap.root, heap.rows, offset);
    // Offsets count from the head of the direct block: no bytes are skipped.
    while rows > 0 {
        let (row, column, start, size) = row_of(heap, offset);
        if row >= rows {
            return Err(input.corrupt(at, "an object beyond its heap"));
        }
        let address = input.address_bytes as u64;
        let head = 5 + address + u64::from(heap.offset_bits.div_ceil(8));
        let index = row.saturating_mul(heap.width).saturating_add(column);
        let entry = index.saturating_mul(address).saturating_add(at).saturating_add(head);
        let child = input.structure(entry, address)?;
        let Some(Some(child)) = input.fields(&child).address() else {
            return Err(input.corrupt(at, "an object in a block that is not there"));
        };
        offset -= start;
        at = child;
        rows = match size > heap.direct_bytes_max {
            true => {
                let first = heap.block_bytes_min.saturating_mul(heap.width);
                u64::from((size / first.max(1)).max(1).ilog2()) + 1
            }
            false => 0,
        };
    }
    input.structure(at.saturating_add(offset), bytes)
}

/// Row, column, offset of the block's begin and its size, for an offset in the heap.
fn row_of(heap: &Heap, offset: u64) -> (u64, u64, u64, u64) {
    let first = heap.block_bytes_min.saturating_mul(heap.width);
    if offset < first {
        let column = offset / heap.block_bytes_min;
        return (0, column, column * heap.block_bytes_min, heap.block_bytes_min);
    }
    let row = u64::from((offset / first).ilog2()) + 1;
    let start = first << (row - 1);
    let size = heap.block_bytes_min << (row - 1);
    let column = (offset - start) / size.max(1);
    (row, column, start + column * size, size)
}
