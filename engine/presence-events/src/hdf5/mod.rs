//! HDF5, as far as recordings of events use it.
//!
//! Superblocks 0 to 3, object headers and groups of both kinds, datasets that are compact,
//! contiguous or in chunks with each kind of index, numbers and structs of numbers; deflate,
//! shuffle, fletcher32, LZF, Blosc, LZ4, Zstandard and ECF. Which datasets are the events is in
//! `layout`.
//!
//! # Invariants
//! - Sans-io: bytes come from a [`ByteSource`], from where they are needed, chunk by chunk.
//! - Whatever the bytes, memory is bounded by one chunk a column and the list of chunks, and time
//!   by the size of the file.

mod arrays;
mod attribute;
mod blosc;
mod chunks;
mod column;
mod datatype;
mod decoder;
mod dense;
mod ecf;
mod filter;
mod group;
mod input;
mod layout;
mod lzf;
mod object;
mod pages;
mod reader;
mod superblock;
mod table;
mod tree2;

pub(crate) use decoder::Hdf5Decoder;
pub use input::ByteSource;
pub(crate) use reader::Hdf5Reader;

/// Whether the first bytes of a file are those of HDF5.
pub(crate) fn is_hdf5(head: &[u8]) -> bool {
    superblock::find(head).is_some()
}
