//! Object headers, both versions, as lists of messages.
//!
//! # Invariants
//! - At most [`MESSAGES_MAX`] messages, however they are spread over continuations.

use super::input::{Fields, Input};
use crate::error::Result;

const MESSAGES_MAX: usize = 4096;
const CONTINUATION: u16 = 0x10;
/// A header of version 1 begins with so many bytes, which stand before the first message.
const V1_HEAD_BYTES: u64 = 16;

/// One message of a header.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) kind: u16,
    pub(super) data: Vec<u8>,
    /// The data say where the message is.
    pub(super) is_shared: bool,
}

/// The messages of the object at an address.
pub(super) fn messages(input: &mut Input, address: u64) -> Result<Vec<Message>> {
    let place = input.place(address);
    let head = input.structure(address, 32.min(input.total().saturating_sub(place)))?;
    match head.as_slice() {
        [b'O', b'H', b'D', b'R', 2, flags, ..] => version2(input, address, *flags, &head),
        [1, 0, low, high, ..] => {
            let count = usize::from(u16::from_le_bytes([*low, *high]));
            version1(input, address, count, &head)
        }
        _ => Err(input.corrupt(address, "no object header where one should be")),
    }
}

/// The messages of one kind.
pub(super) fn of_kind(messages: &[Message], kind: u16) -> impl Iterator<Item = &Message> {
    messages.iter().filter(move |message| message.kind == kind)
}

/// Address and length of a continuation.
fn continued(input: &Input, message: &Message) -> Option<(u64, u64)> {
    let mut fields = input.fields(&message.data);
    Some((fields.address()??, fields.length()?))
}

fn version1(input: &mut Input, address: u64, count: usize, head: &[u8]) -> Result<Vec<Message>> {
    let bytes = head.get(8..12).and_then(|bytes| Fields::plain(bytes).u32());
    let Some(bytes) = bytes else {
        return Err(input.corrupt(address, "an object header that is cut"));
    };
    let mut pieces = vec![(address.saturating_add(V1_HEAD_BYTES), u64::from(bytes))];
    let mut found = Vec::new();
    let mut piece = 0;
    while let Some(&(at, bytes)) = pieces.get(piece) {
        piece += 1;
        let structure = input.structure(at, bytes)?;
        let mut fields = input.fields(&structure);
        while found.len() < count.min(MESSAGES_MAX) {
            let Some(message) = v1_message(&mut fields) else { break };
            if message.kind == CONTINUATION && pieces.len() < MESSAGES_MAX {
                pieces.extend(continued(input, &message));
            }
            found.push(message);
        }
    }
    Ok(found)
}

fn v1_message(fields: &mut Fields<'_>) -> Option<Message> {
    let (kind, bytes, flags) = (fields.u16()?, fields.u16()?, fields.u8()?);
    fields.skip(3)?;
    let data = fields.bytes(bytes.into())?.to_vec();
    Some(Message { kind, data, is_shared: flags & 2 != 0 })
}

fn version2(input: &mut Input, address: u64, flags: u8, head: &[u8]) -> Result<Vec<Message>> {
    let times = if flags & 0x20 == 0 { 0 } else { 16 };
    let phases = if flags & 0x10 == 0 { 0 } else { 4 };
    let width = 1_usize << (flags & 3);
    let before = 6 + times + phases;
    let mut fields = input.fields(head);
    let size = fields.skip(before).and_then(|()| fields.uint(width));
    let Some(size) = size else {
        return Err(input.corrupt(address, "an object header that is cut"));
    };
    let start = (before + width) as u64;
    let mut pieces = vec![(address, start, size.saturating_add(start).saturating_add(4))];
    let mut found = Vec::new();
    let mut piece = 0;
    while let Some(&(at, skipped, bytes)) = pieces.get(piece) {
        piece += 1;
        let structure = input.structure(at, bytes)?;
        let covered = structure.len().saturating_sub(4);
        if piece > 1 && !structure.starts_with(b"OCHK") {
            return Err(input.corrupt(at, "no continuation where one should be"));
        }
        input.check(at, &structure, covered)?;
        let messages = structure.get(skipped as usize..covered).unwrap_or_default();
        let mut fields = input.fields(messages);
        while found.len() < MESSAGES_MAX {
            let Some(message) = v2_message(&mut fields, flags) else { break };
            if message.kind == CONTINUATION && pieces.len() < MESSAGES_MAX {
                pieces.extend(continued(input, &message).map(|(at, bytes)| (at, 4, bytes)));
            }
            found.push(message);
        }
    }
    Ok(found)
}

fn v2_message(fields: &mut Fields<'_>, header_flags: u8) -> Option<Message> {
    let (kind, bytes, flags) = (fields.u8()?, fields.u16()?, fields.u8()?);
    if header_flags & 4 != 0 {
        fields.skip(2)?;
    }
    let data = fields.bytes(bytes.into())?.to_vec();
    Some(Message { kind: kind.into(), data, is_shared: flags & 2 != 0 })
}
