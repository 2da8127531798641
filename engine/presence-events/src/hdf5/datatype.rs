//! What the elements of a dataset are: numbers, or structs of numbers.
//!
//! # Invariants
//! - A number has 1, 2, 4 or 8 bytes, all of which count; other numbers are [`Datatype::Other`].
//! - Types within types go at most [`DEPTH_MAX`] deep.

use super::input::Fields;

const DEPTH_MAX: u32 = 8;
const MEMBERS_MAX: u32 = 1024;

/// The form of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Unsigned,
    Signed,
    Float,
}

/// A number as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) form: Form,
    pub(super) bytes: usize,
    pub(super) is_big_endian: bool,
}

/// A number in an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) name: Vec<u8>,
    pub(super) offset: usize,
    pub(super) number: Number,
}

/// What an element is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Datatype {
    Number(Number),
    /// The members that are numbers.
    Compound(Vec<Member>),
    /// Text of a fixed length.
    Text,
    /// Text in the global heap.
    TextElsewhere,
    Other,
}

/// The type in a message, and the bytes of an element.
pub(super) fn parse(data: &[u8]) -> Option<(Datatype, usize)> {
    datatype(&mut Fields::plain(data), 0)
}

fn datatype(fields: &mut Fields<'_>, depth: u32) -> Option<(Datatype, usize)> {
    if depth > DEPTH_MAX {
        return None;
    }
    let class = fields.u8()?;
    let (class, version) = (class & 15, class >> 4);
    let bits = fields.uint(3)? as u32;
    let bytes = fields.u32()? as usize;
    let found = match class {
        0 | 4 => {
            let (shift, precision) = (fields.u16()?, fields.u16()?);
            let form = if class == 0 && bits & 8 != 0 { Form::Signed } else { Form::Unsigned };
            number(form, bytes, bits, shift == 0 && usize::from(precision) == 8 * bytes)
        }
        1 => {
            let described = fields.bytes(12)?;
            let is_ieee = matches!(
                (bytes, described),
                (4, [0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0])
                    | (8, [0, 0, 64, 0, 52, 11, 0, 52, 255, 3, 0, 0])
            );
            number(Form::Float, bytes, bits, is_ieee && bits & 0x40 == 0)
        }
        2 => fields.skip(2).map(|()| Datatype::Other)?,
        3 => Datatype::Text,
        5 => fields.skip((bits & 0xFF) as usize).map(|()| Datatype::Other)?,
        6 => compound(fields, version, bits & 0xFFFF, bytes, depth)?,
        7 => Datatype::Other,
        8 => enumeration(fields, version, bits & 0xFFFF, depth)?,
        9 => {
            datatype(fields, depth + 1)?;
            if bits & 15 == 1 { Datatype::TextElsewhere } else { Datatype::Other }
        }
        10 => {
            let rank = usize::from(fields.u8()?);
            fields.skip(if version < 3 { 3 + 8 * rank } else { 4 * rank })?;
            datatype(fields, depth + 1)?;
            Datatype::Other
        }
        _ => return None,
    };
    Some((found, bytes))
}

fn number(form: Form, bytes: usize, bits: u32, is_plain: bool) -> Datatype {
    let known = match form {
        Form::Float => matches!(bytes, 4 | 8),
        _ => matches!(bytes, 1 | 2 | 4 | 8),
    };
    match known && is_plain {
        true => Datatype::Number(Number { form, bytes, is_big_endian: bits & 1 != 0 }),
        false => Datatype::Other,
    }
}

/// An enumeration is the number it is stored as; `bool` of Python is one.
fn enumeration(fields: &mut Fields<'_>, version: u8, count: u32, depth: u32) -> Option<Datatype> {
    let (base, bytes) = datatype(fields, depth + 1)?;
    for _ in 0..count {
        member_name(fields, version)?;
    }
    fields.skip(bytes.checked_mul(count as usize)?)?;
    Some(base)
}

/// A name, which older versions fill up to a multiple of eight bytes.
fn member_name<'a>(fields: &mut Fields<'a>, version: u8) -> Option<&'a [u8]> {
    let name = fields.name()?;
    if version < 3 {
        fields.skip((name.len() + 1).next_multiple_of(8) - name.len() - 1)?;
    }
    Some(name)
}

fn compound(
    fields: &mut Fields<'_>,
    version: u8,
    count: u32,
    bytes: usize,
    depth: u32,
) -> Option<Datatype> {
    let mut members = Vec::new();
    for _ in 0..count.min(MEMBERS_MAX) {
        let name = member_name(fields, version)?.to_vec();
        let width = if version < 3 { 4 } else { (bytes.max(1).ilog2() / 8 + 1) as usize };
        let offset = fields.uint(width)? as usize;
        let rank = if version == 1 { fields.bytes(28)?.first().copied()? } else { 0 };
        let (inner, inner_bytes) = datatype(fields, depth + 1)?;
        if offset.checked_add(inner_bytes).is_none_or(|end| end > bytes) {
            return None;
        }
        if let (Datatype::Number(number), 0) = (inner, rank) {
            members.push(Member { name, offset, number });
        }
    }
    Some(Datatype::Compound(members))
}
