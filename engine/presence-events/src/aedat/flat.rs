//! As much of FlatBuffers as AEDAT 4 needs, over bytes that nobody vouches for.
//!
//! # Invariants
//! - Every offset is checked against the buffer before it is followed; nothing is allocated.
//! - A field that is absent is `None`, as is one that points outside.

/// Bytes of a table with a time in it, and of the offset that leads to it.
const TABLE_BYTES_MIN: usize = 16;

/// A table inside a buffer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
    fields: &'a [u8],
}

impl<'a> Table<'a> {
    /// The root table of a buffer with the size in front, and its identifier.
    pub(super) fn root(bytes: &'a [u8]) -> Option<([u8; 4], Self)> {
        let size = u32_at(bytes, 0)? as usize;
        let bytes = bytes.get(4..size.checked_add(4)?)?;
        let identifier = *bytes.get(4..)?.first_chunk()?;
        Some((identifier, Self::at(bytes, u32_at(bytes, 0)? as usize)?))
    }

    fn at(bytes: &'a [u8], at: usize) -> Option<Self> {
        let back = i32::from_le_bytes(*bytes.get(at..)?.first_chunk()?);
        let start = usize::try_from((at as i64).checked_sub(i64::from(back))?).ok()?;
        let vtable = bytes.get(start..)?;
        let fields_bytes = usize::from(u16_at(vtable, 0)?);
        Some(Self { bytes, at, fields: vtable.get(4..fields_bytes)? })
    }

    /// Where the field lies.
    fn field(&self, index: usize) -> Option<usize> {
        let offset = usize::from(u16_at(self.fields, index * 2)?);
        (offset != 0).then(|| self.at + offset)
    }

    fn chunk<const N: usize>(&self, index: usize) -> Option<[u8; N]> {
        self.bytes.get(self.field(index)?..)?.first_chunk().copied()
    }

    pub(super) fn i64(&self, index: usize) -> Option<i64> {
        self.chunk(index).map(i64::from_le_bytes)
    }

    pub(super) fn i32(&self, index: usize) -> Option<i32> {
        self.chunk(index).map(i32::from_le_bytes)
    }

    pub(super) fn i16(&self, index: usize) -> Option<i16> {
        self.chunk(index).map(i16::from_le_bytes)
    }

    pub(super) fn u8(&self, index: usize) -> Option<u8> {
        self.chunk::<1>(index).map(|[byte]| byte)
    }

    pub(super) fn f32(&self, index: usize) -> Option<f32> {
        self.chunk(index).map(f32::from_le_bytes)
    }

    /// Where a vector begins, and its length.
    fn vector(&self, index: usize) -> Option<(usize, usize)> {
        let at = self.field(index)?;
        let start = at.checked_add(u32_at(self.bytes, at)? as usize)?;
        Some((start.checked_add(4)?, u32_at(self.bytes, start)? as usize))
    }

    /// The bytes of a vector whose elements have `width` bytes.
    pub(super) fn elements(&self, index: usize, width: usize) -> Option<&'a [u8]> {
        let (start, count) = self.vector(index)?;
        self.bytes.get(start..start.checked_add(count.checked_mul(width)?)?)
    }

    /// Whether the table has the field at all.
    pub(super) fn has(&self, index: usize) -> bool {
        self.field(index).is_some()
    }

    /// The tables of a vector; `None` in place of one that points outside, and in front where they
    /// are more than the bytes have room for.
    pub(super) fn tables(&self, index: usize) -> impl Iterator<Item = Option<Self>> + use<'a> {
        let (bytes, count) = (self.bytes, self.vector(index));
        let start = count.map_or(0, |(start, _)| start);
        let elements = self.elements(index, 4).unwrap_or_default();
        // Tables that lie on top of each other would make a small packet a large one.
        let too_many = elements.len() / 4 > bytes.len() / TABLE_BYTES_MIN;
        let each = elements.chunks_exact(4).enumerate().map(move |(place, offset)| {
            let offset = u32_at(offset, 0)? as usize;
            Self::at(bytes, (start + place * 4).checked_add(offset)?)
        });
        std::iter::once(None).filter(move |_| too_many).chain(each)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_le_bytes(*chunk))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|chunk| u16::from_le_bytes(*chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_by_hand() {
        // Size, root at 12, identifier; vtable of one field at 4 of the table; table; value.
        let mut bytes = vec![24, 0, 0, 0, 14, 0, 0, 0, b'A', b'B', b'C', b'D'];
        bytes.extend([6, 0, 8, 0, 4, 0]);
        bytes.extend([6, 0, 0, 0, 7, 0, 0, 0, 0, 0]);
        let (identifier, table) = Table::root(&bytes).unwrap();
        assert_eq!((identifier, table.i32(0), table.i32(1)), (*b"ABCD", Some(7), None));
        for bytes in (0..bytes.len()).map(|end| &bytes[..end]) {
            assert!(Table::root(bytes).is_none());
        }
    }
}
