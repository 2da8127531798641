//! Groups: names of objects and their places.
//!
//! # Invariants
//! - Soft and external links are left out: nothing leads out of the file, or in a circle.
//! - At most [`LINKS_MAX`] names of a group are looked at.

use super::dense;
use super::input::Input;
use super::object::{messages, of_kind};
use crate::error::Result;

const SYMBOL_TABLE: u16 = 0x11;
const LINK: u16 = 0x06;
const LINK_INFO: u16 = 0x02;
const LINKS_MAX: usize = 65_536;
const TREE_DEPTH_MAX: usize = 64;

/// The object at a path from the group at `root`; `None` where it is not there.
pub(super) fn find(input: &mut Input, root: u64, path: &str) -> Result<Option<u64>> {
    let mut address = root;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        let found = links(input, address)?.into_iter().find(|(link, _)| link == name.as_bytes());
        let Some((_, child)) = found else { return Ok(None) };
        address = child;
    }
    Ok(Some(address))
}

/// Names in a group, and the headers they stand for. What is no group has none.
pub(super) fn links(input: &mut Input, address: u64) -> Result<Vec<(Vec<u8>, u64)>> {
    let messages = messages(input, address)?;
    let mut found = Vec::new();
    for message in of_kind(&messages, SYMBOL_TABLE) {
        let mut fields = input.fields(&message.data);
        if let (Some(Some(tree)), Some(Some(heap))) = (fields.address(), fields.address()) {
            symbols(input, tree, heap, &mut found)?;
        }
    }
    for message in of_kind(&messages, LINK) {
        found.extend(link(input, &message.data));
    }
    for message in of_kind(&messages, LINK_INFO) {
        for data in dense::objects(input, &message.data, dense::Kind::Links)? {
            found.extend(link(input, &data));
        }
    }
    found.truncate(LINKS_MAX);
    Ok(found)
}

/// A link message, where it is a hard link.
fn link(input: &Input, data: &[u8]) -> Option<(Vec<u8>, u64)> {
    let mut fields = input.fields(data);
    let (version, flags) = (fields.u8()?, fields.u8()?);
    if version != 1 {
        return None;
    }
    let kind = if flags & 8 == 0 { 0 } else { fields.u8()? };
    if flags & 4 != 0 {
        fields.skip(8)?;
    }
    if flags & 0x10 != 0 {
        fields.skip(1)?;
    }
    let bytes = usize::try_from(fields.uint(1 << (flags & 3))?).ok()?;
    let name = fields.bytes(bytes)?.to_vec();
    (kind == 0).then(|| fields.address())??.map(|address| (name, address))
}

/// The names of a group of the old kind: a tree of nodes of symbols, and a heap of names.
fn symbols(input: &mut Input, tree: u64, heap: u64, found: &mut Vec<(Vec<u8>, u64)>) -> Result<()> {
    let (address_bytes, length_bytes) = (input.address_bytes as u64, input.length_bytes as u64);
    let head = input.structure(heap, 8 + 2 * length_bytes + address_bytes)?;
    let mut fields = input.fields(&head);
    let parsed = (fields.bytes(8), fields.length(), fields.length(), fields.address());
    let (Some([b'H', b'E', b'A', b'P', ..]), Some(bytes), _, Some(Some(names))) = parsed else {
        return Err(input.corrupt(heap, "no heap of names where one should be"));
    };
    let names = input.structure(names, bytes)?;
    let mut open = vec![(tree, 0)];
    while let Some((at, depth)) = open.pop() {
        if found.len() > LINKS_MAX {
            break;
        }
        let node = input.structure(at, 8 + 2 * address_bytes)?;
        let count = node.get(6..8).map_or(0, |two| two.iter().rev().fold(0, widen));
        match node.as_slice() {
            [b'S', b'N', b'O', b'D', ..] => symbol_node(input, at, &names, found)?,
            [b'T', b'R', b'E', b'E', 0, ..] if depth < TREE_DEPTH_MAX => {
                let pair = length_bytes + address_bytes;
                let keys = input.structure(at + 8 + 2 * address_bytes, count * pair)?;
                let mut fields = input.fields(&keys);
                let first = open.len();
                for _ in 0..count {
                    fields.length();
                    open.extend(fields.address().flatten().map(|child| (child, depth + 1)));
                }
                open.get_mut(first..).unwrap_or_default().reverse();
            }
            _ => return Err(input.corrupt(at, "no tree of names where one should be")),
        }
    }
    Ok(())
}

fn widen(number: u64, byte: &u8) -> u64 {
    number << 8 | u64::from(*byte)
}

fn symbol_node(
    input: &mut Input,
    at: u64,
    names: &[u8],
    found: &mut Vec<(Vec<u8>, u64)>,
) -> Result<()> {
    let head = input.structure(at, 8)?;
    let count = head.get(6..8).map_or(0, |two| two.iter().rev().fold(0, widen));
    let entry = 2 * input.address_bytes as u64 + 24;
    let entries = input.structure(at.saturating_add(8), count * entry)?;
    let mut fields = input.fields(&entries);
    for _ in 0..count {
        let (name, object, kind) = (fields.address(), fields.address(), fields.u32());
        fields.skip(20);
        let is_soft = kind == Some(2);
        if let (Some(Some(name)), Some(Some(object)), false) = (name, object, is_soft) {
            let rest = usize::try_from(name).ok().and_then(|at| names.get(at..));
            let name = rest.and_then(|rest| rest.split(|&byte| byte == 0).next());
            found.extend(name.map(|name| (name.to_vec(), object)));
        }
    }
    Ok(())
}
