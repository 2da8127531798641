//! `#[derive(Record)]`: a plain struct as the record of a stream, a column a field.
//!
//! ```ignore
//! #[derive(presence::Record)]
//! struct Pose {
//!     position: [f64; 3],
//!     #[presence(name = "heading_rad")]
//!     heading: f32,
//! }
//! ```
//!
//! Use it through `presence`, which holds the trait; this crate only writes the implementation.
//!
//! # Invariants
//! - Knows nothing of schemas, bytes or storage: what a field may hold is decided by the trait
//!   `presence::record::Value`, so a wrong type is reported by the compiler at the field.
//! - Columns are numbered from 0 in the order of the fields; names are distinct and not empty.
//! - Generated code uses absolute paths only, so names in scope at the caller cannot change it.

mod expand;
mod input;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Implements `presence::Record` for a struct with named fields.
///
/// Each field becomes a column of the same name. `#[presence(name = "other")]` on a field gives
/// the column another one. Fields are scalars (`bool`, `i8` to `i64`, `u8` to `u64`, `f32`, `f64`)
/// and arrays of them, and whatever else implements `presence::record::Value`.
///
/// Enums, unions, tuple structs, structs without fields and structs with generics or lifetimes are
/// refused with an error at the place.
#[proc_macro_derive(Record, attributes(presence))]
pub fn derive_record(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    input::Record::parse(&input)
        .map_or_else(|error| error.to_compile_error(), |record| expand::implementation(&record))
        .into()
}
