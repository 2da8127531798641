//! The structures of an HDF5 file as every version of the library reads them: superblock 0, object
//! headers and groups of the first kind.
//!
//! # Invariants
//! - An address is known when bytes are put: nothing is changed behind it but the superblock, which
//!   comes last.
//! - A group has at most [`LINKS_MAX`] links, which is more than any layout here needs.

/// Bytes of the superblock, behind which all else lies.
const SUPERBLOCK_BYTES: u64 = 96;
const UNDEFINED: u64 = u64::MAX;
/// Half the children of a node of names, of a node of chunks, half the names of a leaf.
const NAMES_K: usize = 16;
const CHUNKS_K: usize = 32;
const LEAF_K: usize = 4;
const LINKS_MAX: usize = 2 * LEAF_K;

/// A file that grows.
#[derive(Debug, Default)]
pub(super) struct File {
    body: Vec<u8>,
}

/// A message of an object header.
pub(super) struct Message(pub(super) u16, pub(super) Vec<u8>);

/// A chunk that has been put.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored {
    pub(super) address: u64,
    pub(super) bytes: u32,
}

/// Zeros up to a multiple of eight.
pub(super) fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(8), 0);
}

impl File {
    /// Puts bytes at the next multiple of eight; their address.
    pub(super) fn put(&mut self, bytes: &[u8]) -> u64 {
        pad(&mut self.body);
        let address = SUPERBLOCK_BYTES + self.body.len() as u64;
        self.body.extend_from_slice(bytes);
        address
    }

    /// An object header with these messages.
    pub(super) fn object(&mut self, messages: &[Message]) -> u64 {
        let mut content = Vec::new();
        for Message(kind, data) in messages {
            let mut data = data.clone();
            pad(&mut data);
            content.extend_from_slice(&kind.to_le_bytes());
            content.extend_from_slice(&(data.len() as u16).to_le_bytes());
            content.extend_from_slice(&[0; 4]);
            content.append(&mut data);
        }
        let mut header = vec![1, 0];
        header.extend_from_slice(&(messages.len() as u16).to_le_bytes());
        header.extend_from_slice(&1_u32.to_le_bytes());
        header.extend_from_slice(&(content.len() as u32).to_le_bytes());
        header.extend_from_slice(&[0; 4]);
        header.extend(content);
        self.put(&header)
    }

    /// A group of objects by name, and its attributes.
    pub(super) fn group(&mut self, links: &[(&str, u64)], attributes: Vec<Message>) -> u64 {
        let mut links = links.to_vec();
        links.sort_unstable();
        links.truncate(LINKS_MAX);
        // Names, behind the empty one.
        let mut names = vec![0; 8];
        let mut leaf = b"SNOD\x01\0".to_vec();
        leaf.extend_from_slice(&(links.len() as u16).to_le_bytes());
        let mut last = 0;
        for (name, object) in &links {
            last = names.len() as u64;
            leaf.extend_from_slice(&last.to_le_bytes());
            leaf.extend_from_slice(&object.to_le_bytes());
            leaf.extend_from_slice(&[0; 24]);
            names.extend_from_slice(name.as_bytes());
            names.push(0);
            pad(&mut names);
        }
        leaf.resize(8 + LINKS_MAX * 40, 0);
        let mut heap = b"HEAP\0\0\0\0".to_vec();
        heap.extend_from_slice(&(names.len() as u64).to_le_bytes());
        heap.extend_from_slice(&1_u64.to_le_bytes());
        let names = self.put(&names);
        heap.extend_from_slice(&names.to_le_bytes());
        let (heap, leaf) = (self.put(&heap), self.put(&leaf));
        let mut tree = b"TREE\0\0".to_vec();
        tree.extend_from_slice(&u16::from(!links.is_empty()).to_le_bytes());
        tree.extend_from_slice(&[UNDEFINED.to_le_bytes(), UNDEFINED.to_le_bytes()].concat());
        for number in [0, leaf, last] {
            tree.extend_from_slice(&number.to_le_bytes());
        }
        tree.resize(24 + (2 * NAMES_K + 1) * 8 + 2 * NAMES_K * 8, 0);
        let tree = self.put(&tree);
        let mut messages = vec![Message(0x11, [tree.to_le_bytes(), heap.to_le_bytes()].concat())];
        messages.extend(attributes);
        self.object(&messages)
    }

    /// The index of chunks of so many rows each, of elements of one dimension.
    pub(super) fn tree_of_chunks(&mut self, chunks: &[Stored], rows: u64) -> u64 {
        let mut level = 0_u8;
        let mut children: Vec<(u64, Stored)> =
            (0..).zip(chunks).map(|(number, &chunk)| (number * rows, chunk)).collect();
        let end = chunks.len() as u64 * rows;
        if children.is_empty() {
            return UNDEFINED;
        }
        loop {
            let nodes: Vec<_> = children.chunks(2 * CHUNKS_K).collect();
            let bytes = (24 + (2 * CHUNKS_K + 1) * 24 + 2 * CHUNKS_K * 8) as u64;
            pad(&mut self.body);
            let first = SUPERBLOCK_BYTES + self.body.len() as u64;
            let place = |node: usize| first + node as u64 * bytes;
            let mut above = Vec::new();
            let mut content = Vec::new();
            for (number, node) in nodes.iter().enumerate() {
                let left = number.checked_sub(1).map_or(UNDEFINED, place);
                let is_last = number + 1 == nodes.len();
                let right = if is_last { UNDEFINED } else { place(number + 1) };
                let next = nodes.get(number + 1).and_then(|next| next.first());
                let end = next.map_or(end, |(row, _)| *row);
                let start = content.len();
                content.extend_from_slice(b"TREE\x01");
                content.push(level);
                content.extend_from_slice(&(node.len() as u16).to_le_bytes());
                content.extend_from_slice(&left.to_le_bytes());
                content.extend_from_slice(&right.to_le_bytes());
                for (row, chunk) in *node {
                    content.extend_from_slice(&key(chunk.bytes, *row));
                    content.extend_from_slice(&chunk.address.to_le_bytes());
                }
                content.extend_from_slice(&key(0, end));
                content.resize(start + bytes as usize, 0);
                if let Some((row, chunk)) = node.first() {
                    above.push((*row, Stored { address: place(number), ..*chunk }));
                }
            }
            self.put(&content);
            match above.as_slice() {
                [(_, root)] => return root.address,
                _ => (children, level) = (above, level + 1),
            }
        }
    }

    /// The whole file.
    pub(super) fn finish(self, root: u64) -> Vec<u8> {
        let end = SUPERBLOCK_BYTES + self.body.len() as u64;
        let mut file = b"\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0".to_vec();
        file.extend_from_slice(&(LEAF_K as u16).to_le_bytes());
        file.extend_from_slice(&(NAMES_K as u16).to_le_bytes());
        file.extend_from_slice(&[0; 4]);
        for number in [0, UNDEFINED, end, UNDEFINED, 0, root] {
            file.extend_from_slice(&number.to_le_bytes());
        }
        file.resize(SUPERBLOCK_BYTES as usize, 0);
        file.extend(self.body);
        file
    }
}

/// A key of the index of chunks.
fn key(bytes: u32, row: u64) -> Vec<u8> {
    let mut key = u64::from(bytes).to_le_bytes().to_vec();
    key.extend_from_slice(&row.to_le_bytes());
    key.extend_from_slice(&[0; 8]);
    key
}

/// The type of a whole number.
pub(super) fn number(bytes: u8, is_signed: bool) -> Vec<u8> {
    vec![0x10, u8::from(is_signed) << 3, 0, 0, bytes, 0, 0, 0, 0, 0, bytes * 8, 0]
}

/// The type of a struct of so many bytes: name, offset, bytes and sign of each member.
pub(super) fn compound(bytes: u8, members: &[(&str, u8, u8, bool)]) -> Vec<u8> {
    let mut kind = vec![0x16, members.len() as u8, 0, 0, bytes, 0, 0, 0];
    for &(name, offset, bytes, is_signed) in members {
        let mut padded = name.as_bytes().to_vec();
        padded.push(0);
        pad(&mut padded);
        kind.extend(padded);
        kind.extend_from_slice(&u32::from(offset).to_le_bytes());
        kind.extend_from_slice(&[0; 28]);
        kind.extend(number(bytes, is_signed));
    }
    kind
}

/// The size of a dataset that may grow where it is chunked; none of one number.
pub(super) fn space(rows: Option<u64>, may_grow: bool) -> Message {
    let mut data = vec![1, u8::from(rows.is_some()), u8::from(may_grow), 0, 0, 0, 0, 0];
    data.extend(rows.into_iter().flat_map(u64::to_le_bytes));
    if may_grow {
        data.extend_from_slice(&u64::MAX.to_le_bytes());
    }
    Message(0x01, data)
}

/// A text as an attribute.
pub(super) fn attribute(name: &str, text: &str) -> Message {
    let mut data = vec![1, 0];
    let name_bytes = name.len() as u16 + 1;
    for bytes in [name_bytes, 8, 8] {
        data.extend_from_slice(&bytes.to_le_bytes());
    }
    data.extend_from_slice(name.as_bytes());
    data.push(0);
    pad(&mut data);
    data.extend_from_slice(&[0x13, 0, 0, 0]);
    data.extend_from_slice(&(text.len() as u32 + 1).to_le_bytes());
    data.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
    data.extend_from_slice(text.as_bytes());
    data.push(0);
    Message(0x0C, data)
}
