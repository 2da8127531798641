//! A dataset as a table: rows of columns of elements, and where their bytes lie.
//!
//! # Invariants
//! - At most two dimensions; a dataset with one has one column.
//! - Chunks do not overlap more than the bytes of the file permit.

use super::chunks::{self, Chunk};
use super::datatype::{self, Datatype};
use super::filter::{self, Filter};
use super::input::{Fields, Input};
use super::object::{Message, messages, of_kind};
use crate::error::Result;

/// The largest chunk that is unpacked.
pub(super) const CHUNK_BYTES_MAX: u64 = 256 << 20;

const DATASPACE: u16 = 0x01;
const DATATYPE: u16 = 0x03;
const LAYOUT: u16 = 0x08;
const FILTERS: u16 = 0x0B;
/// Chunks that are only partly within the dataset are not packed.
const EDGES_ARE_PLAIN: u8 = 1;

/// Where elements are.
#[derive(Debug)]
pub(super) enum Layout {
    /// In the header itself.
    Compact(Vec<u8>),
    /// One piece at an address; nowhere, where nothing was ever written.
    Contiguous(Option<u64>),
    /// Pieces of so many rows and columns, by column and row.
    Chunked { rows: u64, columns: u64, chunks: Vec<Chunk> },
}

/// A dataset.
#[derive(Debug)]
pub(super) struct Table {
    /// Its header, as the place of faults.
    pub(super) address: u64,
    pub(super) path: String,
    /// Dimensions; none where there is just one number.
    pub(super) rank: usize,
    pub(super) rows: u64,
    pub(super) columns: u64,
    pub(super) datatype: Datatype,
    pub(super) element_bytes: usize,
    pub(super) layout: Layout,
    pub(super) filters: Vec<Filter>,
}

/// The dataset whose header is at `address`; `None` where the object is none.
pub(super) fn open(input: &mut Input, address: u64, path: &str) -> Result<Option<Table>> {
    let messages = messages(input, address)?;
    let one = |kind| of_kind(&messages, kind).next();
    let (Some(space), Some(kind), Some(layout)) = (one(DATASPACE), one(DATATYPE), one(LAYOUT))
    else {
        return Ok(None);
    };
    let Some(sizes) = dataspace(input, &space.data) else {
        return Err(input.corrupt(address, &format!("{path} has no size")));
    };
    let (rows, columns) = match sizes.as_slice() {
        [] => (1, 1),
        &[rows] => (rows, 1),
        &[rows, columns] => (rows, columns),
        _ => {
            let what = format!("{path} has {} dimensions; 1 and 2 are read", sizes.len());
            return Err(input.unsupported(address, &what));
        }
    };
    let (datatype, element_bytes) = datatype_of(input, kind, address, path)?;
    let filters = match one(FILTERS) {
        Some(message) => match filter::parse(&message.data) {
            Some(filters) => filters,
            None => return Err(input.corrupt(address, &format!("{path} has torn filters"))),
        },
        None => Vec::new(),
    };
    let mut table = Table {
        address,
        path: path.to_owned(),
        rank: sizes.len(),
        rows,
        columns,
        datatype,
        element_bytes,
        layout: Layout::Contiguous(None),
        filters,
    };
    let bytes = rows.checked_mul(columns).and_then(|all| all.checked_mul(element_bytes as u64));
    if element_bytes == 0 || bytes.is_none() {
        return Err(input.corrupt(address, &format!("{path} has an impossible size")));
    }
    table.layout = table_layout(input, &table, &layout.data)?;
    Ok(Some(table))
}

/// The type of elements, which may be that of another object.
fn datatype_of(
    input: &mut Input,
    message: &Message,
    address: u64,
    path: &str,
) -> Result<(Datatype, usize)> {
    let mut data = message.data.clone();
    if message.is_shared {
        let mut fields = input.fields(&message.data);
        let shared = (|| {
            let version = fields.u8()?;
            fields.skip(if version == 1 { 7 } else { 1 })?;
            fields.address()?
        })();
        let Some(shared) = shared else {
            return Err(input.unsupported(address, &format!("the shared type of {path}")));
        };
        let messages = messages(input, shared)?;
        let found = of_kind(&messages, DATATYPE).find(|message| !message.is_shared);
        data = found.map(|message| message.data.clone()).unwrap_or_default();
    }
    match datatype::parse(&data) {
        Some(found) => Ok(found),
        None => Err(input.corrupt(address, &format!("{path} has a type that is none"))),
    }
}

/// The size in each dimension.
pub(super) fn dataspace(input: &Input, data: &[u8]) -> Option<Vec<u64>> {
    let mut fields = input.fields(data);
    let (version, rank, _flags) = (fields.u8()?, fields.u8()?, fields.u8()?);
    match version {
        1 => fields.skip(5)?,
        2 => {
            // Kind 2 is a space without any element.
            if fields.u8()? == 2 {
                return Some(vec![0]);
            }
        }
        _ => return None,
    }
    (0..rank).map(|_| fields.length()).collect()
}

fn table_layout(input: &mut Input, table: &Table, data: &[u8]) -> Result<Layout> {
    let cut = |input: &Input| input.corrupt(table.address, &format!("{} is cut", table.path));
    let mut fields = input.fields(data);
    let (Some(version), Some(class)) = (fields.u8(), fields.u8()) else { return Err(cut(input)) };
    match (version, class) {
        (3..=5, 0) => {
            let bytes = fields.u16().and_then(|bytes| fields.bytes(bytes.into()));
            Ok(Layout::Compact(bytes.ok_or_else(|| cut(input))?.to_vec()))
        }
        (3..=5, 1) => Ok(Layout::Contiguous(fields.address().ok_or_else(|| cut(input))?)),
        (3..=5, 2) => {
            let rest = fields.rest().to_vec();
            chunked(input, table, version, &rest)
        }
        _ => {
            let what = format!("{} has a layout of version {version}, class {class}", table.path);
            Err(input.unsupported(table.address, &what))
        }
    }
}

/// What a layout of chunks says, and the chunks that its index lists.
fn chunked(input: &mut Input, table: &Table, version: u8, data: &[u8]) -> Result<Layout> {
    let mut fields = input.fields(data);
    let parsed = if version == 3 { sizes_v3(&mut fields) } else { sizes_v4(&mut fields) };
    let Some((flags, index, sizes)) = parsed else {
        return Err(input.corrupt(table.address, &format!("{} has torn chunks", table.path)));
    };
    let (rows, columns) = match *sizes.as_slice() {
        [rows, _] => (rows, 1),
        [rows, columns, _] => (rows, columns),
        _ => (0, 0),
    };
    let elements = rows.checked_mul(columns);
    let bytes = elements.and_then(|all| all.checked_mul(table.element_bytes as u64)).unwrap_or(0);
    if !(1..=CHUNK_BYTES_MAX).contains(&bytes) || sizes.len() != table.rank + 1 {
        let what = format!("{} has chunks of no possible size", table.path);
        return Err(input.corrupt(table.address, &what));
    }
    let form = chunks::Form {
        address: table.address,
        rank: sizes.len() - 1,
        rows,
        columns,
        grid_rows: table.rows.div_ceil(rows),
        grid_columns: table.columns.div_ceil(columns),
        bytes,
        is_filtered: !table.filters.is_empty(),
    };
    let rest = fields.rest().to_vec();
    let mut chunks = match index {
        0 => chunks::tree(input, &form, &rest)?,
        kind => chunks::indexed(input, &form, kind, flags, &rest)?,
    };
    if flags & EDGES_ARE_PLAIN != 0 {
        let is_edge = |chunk: &Chunk| {
            chunk.row.saturating_add(1).saturating_mul(rows) > table.rows
                || chunk.column.saturating_add(1).saturating_mul(columns) > table.columns
        };
        chunks.iter_mut().filter(|chunk| is_edge(chunk)).for_each(|chunk| chunk.mask = u32::MAX);
    }
    let chunks = chunks::settled(input, &form, chunks)?;
    Ok(Layout::Chunked { rows, columns, chunks })
}

/// Flags, kind of the index, sizes of a chunk with that of an element last; the address is left.
fn sizes_v3(fields: &mut Fields<'_>) -> Option<(u8, u8, Vec<u64>)> {
    let rank = fields.u8()?;
    let mut sizes = fields.clone();
    // The address of the tree comes first.
    sizes.address()?;
    let sizes = (0..rank).map(|_| sizes.u32().map(u64::from)).collect::<Option<_>>()?;
    Some((0, 0, sizes))
}

fn sizes_v4(fields: &mut Fields<'_>) -> Option<(u8, u8, Vec<u64>)> {
    let (flags, rank, width) = (fields.u8()?, fields.u8()?, fields.u8()?);
    let sizes = (0..rank).map(|_| fields.uint(width.into())).collect::<Option<_>>()?;
    Some((flags, fields.u8()?, sizes))
}
