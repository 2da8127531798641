//! Attributes of an object: numbers and texts.
//!
//! # Invariants
//! - What is of another kind, or damaged, is left out: no attribute is needed to read events.

use super::datatype::{self, Datatype, Form};
use super::dense;
use super::input::{Fields, Input};
use super::object::{messages, of_kind};
use super::table::dataspace;
use crate::error::Result;

const ATTRIBUTE: u16 = 0x0C;
const ATTRIBUTE_INFO: u16 = 0x15;
/// Texts are not longer than this.
const TEXT_BYTES_MAX: u32 = 4096;

/// What an attribute holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Number(i64),
    Text(String),
}

impl Value {
    pub(super) fn number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Number(_) => None,
            Self::Text(text) => Some(text),
        }
    }
}

/// The attributes of the object at an address.
pub(super) fn attributes(input: &mut Input, address: u64) -> Result<Vec<(String, Value)>> {
    let messages = messages(input, address)?;
    let mut raw: Vec<_> =
        of_kind(&messages, ATTRIBUTE).map(|message| message.data.clone()).collect();
    for message in of_kind(&messages, ATTRIBUTE_INFO) {
        raw.extend(attribute_heap(input, &message.data));
    }
    Ok(raw.iter().filter_map(|data| attribute(input, data)).collect())
}

fn attribute_heap(input: &mut Input, info: &[u8]) -> Vec<Vec<u8>> {
    dense::objects(input, info, dense::Kind::Attributes).unwrap_or_default()
}

fn attribute(input: &mut Input, data: &[u8]) -> Option<(String, Value)> {
    let mut fields = input.fields(data);
    let (version, flags) = (fields.u8()?, fields.u8()?);
    let sizes = [fields.u16()?, fields.u16()?, fields.u16()?].map(usize::from);
    if !(1..=3).contains(&version) || (version > 1 && flags != 0) {
        return None;
    }
    if version == 3 {
        fields.skip(1)?;
    }
    let padded = |size: usize| if version == 1 { size.next_multiple_of(8) } else { size };
    let [name, kind, space] = sizes;
    let name = fields.bytes(padded(name))?.split(|&byte| byte == 0).next()?;
    let kind = fields.bytes(padded(kind))?;
    let space = fields.bytes(padded(space))?;
    let (kind, bytes) = datatype::parse(kind)?;
    let is_one = dataspace(input, space)?.iter().all(|&size| size == 1);
    let content = fields.bytes(bytes).filter(|_| is_one)?;
    let value = match kind {
        Datatype::Number(number) if number.form != Form::Float => {
            let mut content = content.to_vec();
            if number.is_big_endian {
                content.reverse();
            }
            let plain = Fields::plain(&content).uint(number.bytes)?;
            let unused = 64 - 8 * number.bytes as u32;
            Value::Number(match number.form {
                Form::Signed => (plain << unused) as i64 >> unused,
                _ => i64::try_from(plain).ok()?,
            })
        }
        Datatype::Text => Value::Text(text(content)),
        Datatype::TextElsewhere => {
            let mut fields = input.fields(content);
            let length = fields.u32()?.min(TEXT_BYTES_MAX);
            let (heap, index) = (fields.address()??, fields.u32()?);
            let object = heap_object(input, heap, index)?;
            Value::Text(text(object.get(..length as usize)?))
        }
        _ => return None,
    };
    Some((String::from_utf8_lossy(name).into_owned(), value))
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).trim_end().to_owned()
}

/// An object of a global heap.
fn heap_object(input: &mut Input, at: u64, index: u32) -> Option<Vec<u8>> {
    let head_bytes = 8 + input.length_bytes as u64;
    let head = input.structure(at, head_bytes).ok()?;
    let mut fields = input.fields(&head);
    if fields.bytes(4)? != b"GCOL" {
        return None;
    }
    fields.skip(4)?;
    let bytes = fields.length()?;
    let heap = input.structure(at, bytes).ok()?;
    let mut fields = input.fields(&heap);
    fields.skip(head_bytes as usize)?;
    loop {
        let found = fields.u16()?;
        fields.skip(6)?;
        let bytes = usize::try_from(fields.length()?).ok()?;
        if found == 0 {
            return None;
        }
        let object = fields.bytes(bytes)?;
        if u32::from(found) == index {
            return Some(object.to_vec());
        }
        fields.skip(bytes.checked_next_multiple_of(8)? - bytes)?;
    }
}
