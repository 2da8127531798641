//! Trees of version 2, as the list of their records.
//!
//! # Invariants
//! - The order of records is the tree's. Depth is at most [`DEPTH_MAX`].

use super::input::Input;
use crate::error::Result;

const DEPTH_MAX: u16 = 32;
const RECORDS_MAX: u64 = 1 << 24;

#[derive(Debug)]
struct Tree {
    node_bytes: u64,
    record_bytes: usize,
    /// Bytes of a count of records of one child, and of all below it, by the depth of the parent.
    widths: Vec<(usize, usize)>,
}

/// All records of the tree at an address.
pub(super) fn records(input: &mut Input, at: u64) -> Result<Vec<Vec<u8>>> {
    let (address, length) = (input.address_bytes as u64, input.length_bytes as u64);
    let bytes = 18 + address + length;
    let head = input.structure(at, bytes + 4)?;
    input.check(at, &head, bytes as usize)?;
    let mut fields = input.fields(&head);
    let parsed = (|| {
        (fields.bytes(5)? == b"BTHD\0").then_some(())?;
        fields.skip(1)?;
        let (node_bytes, record_bytes) = (fields.u32()?, fields.u16()?);
        let depth = fields.u16()?;
        fields.skip(2)?;
        let (root, count) = (fields.address()?, fields.u16()?);
        Some((u64::from(node_bytes), usize::from(record_bytes), depth, root, count))
    })();
    let Some((node_bytes, record_bytes, depth, root, count)) = parsed else {
        return Err(input.corrupt(at, "no tree where one should be"));
    };
    let Some(root) = root else { return Ok(Vec::new()) };
    if depth > DEPTH_MAX || record_bytes == 0 || node_bytes < 16 {
        return Err(input.corrupt(at, "a tree of impossible form"));
    }
    let widths = widths(node_bytes, record_bytes as u64, address, depth);
    let tree = Tree { node_bytes, record_bytes, widths };
    let mut found = Vec::new();
    node(input, &tree, root, u64::from(count), depth, &mut found)?;
    Ok(found)
}

fn bytes_of(number: u64) -> usize {
    (number.max(1).ilog2() / 8 + 1) as usize
}

/// The widths of counts in internal nodes, from the lowest on.
fn widths(node: u64, record: u64, address: u64, depth: u16) -> Vec<(usize, usize)> {
    let space = node.saturating_sub(10);
    let mut most = space / record;
    let mut below = most;
    let mut below_bytes = 0;
    let count_bytes = bytes_of(most);
    (0..depth)
        .map(|_| {
            let widths = (count_bytes, below_bytes);
            let pointer = address + (count_bytes + below_bytes) as u64;
            most = space.saturating_sub(pointer) / (record + pointer);
            below = (most + 1).saturating_mul(below).saturating_add(most);
            below_bytes = bytes_of(below);
            widths
        })
        .collect()
}

fn node(
    input: &mut Input,
    tree: &Tree,
    at: u64,
    count: u64,
    depth: u16,
    found: &mut Vec<Vec<u8>>,
) -> Result<()> {
    let structure = input.structure(at, tree.node_bytes)?;
    let magic = if depth == 0 { b"BTLF\0" } else { b"BTIN\0" };
    if !structure.starts_with(magic) || found.len() as u64 + count > RECORDS_MAX {
        return Err(input.corrupt(at, "no node of a tree where one should be"));
    }
    let mut fields = input.fields(&structure);
    fields.skip(6);
    let mut records = Vec::new();
    for _ in 0..count {
        let Some(record) = fields.bytes(tree.record_bytes) else {
            return Err(input.corrupt(at, "more records than a node holds"));
        };
        records.push(record.to_vec());
    }
    if depth == 0 {
        let covered = 6 + tree.record_bytes * count as usize;
        input.check(at, &structure, covered)?;
        found.extend(records);
        return Ok(());
    }
    let index = usize::from(depth - 1);
    let (count_bytes, below_bytes) = tree.widths.get(index).copied().unwrap_or((1, 0));
    let mut children = Vec::new();
    for _ in 0..=count {
        let child = (fields.address(), fields.uint(count_bytes), fields.uint(below_bytes));
        let (Some(Some(child)), Some(held), Some(_)) = child else {
            return Err(input.corrupt(at, "a node of a tree without a child"));
        };
        children.push((child, held));
    }
    let covered = structure.len() - fields.rest().len();
    input.check(at, &structure, covered)?;
    let mut between = records.into_iter();
    for (child, held) in children {
        node(input, tree, child, held, depth - 1, found)?;
        found.extend(between.next());
    }
    Ok(())
}
