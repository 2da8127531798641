//! Fixed layouts: the structures on disk whose fields stand at fixed offsets.
//!
//! # Invariants
//! - Each layout is declared once, with the offset of every field and the size; the compiler
//!   checks them, and `cargo xtask spec` compares [`ALL`] with the tables of the specification.
//! - Fields are little-endian and unaligned; there is no padding.

/// One field of a [`Layout`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The name, as in the specification.
    pub name: &'static str,
    /// Bytes from the start of the structure.
    pub offset: usize,
    /// Bytes of the field.
    pub bytes: usize,
}

/// A structure of fixed size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// The name, as in the specification.
    pub name: &'static str,
    /// Bytes of the whole.
    pub bytes: usize,
    /// The fields in order, without gaps.
    pub fields: &'static [Field],
}

/// Declares a structure on disk: its fields with their offsets, checked by the compiler.
macro_rules! layout {
    (
        $(#[$meta:meta])*
        pub struct $name:ident: $bytes:literal {
            $($(#[$field_meta:meta])* $offset:literal $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq,
            zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout,
            zerocopy::Immutable, zerocopy::Unaligned,
        )]
        #[repr(C)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        const _: () = {
            assert!(size_of::<$name>() == $bytes, "size differs from the declaration");
            $(assert!(std::mem::offset_of!($name, $field) == $offset, "offset differs");)*
        };

        impl $name {
            /// Bytes on disk.
            pub const BYTES: usize = $bytes;
            /// The fields, for comparison with the specification.
            pub const LAYOUT: $crate::layout::Layout = $crate::layout::Layout {
                name: stringify!($name),
                bytes: $bytes,
                fields: &[$($crate::layout::Field {
                    name: stringify!($field),
                    offset: $offset,
                    bytes: size_of::<$type>(),
                },)*],
            };
        }
    };
}
pub(crate) use layout;

/// Every fixed layout of the format.
pub const ALL: &[Layout] = &[
    crate::segment::SegmentHeader::LAYOUT,
    crate::entry::EntryHeader::LAYOUT,
    crate::block::BlockHeader::LAYOUT,
    crate::index::IndexEntry::LAYOUT,
    crate::segment::Footer::LAYOUT,
];

#[cfg(test)]
mod tests {
    #[test]
    fn fields_follow_each_other_without_gaps() {
        for layout in super::ALL {
            let mut end = 0;
            for field in layout.fields {
                assert_eq!(field.offset, end, "{}.{}", layout.name, field.name);
                end += field.bytes;
            }
            assert_eq!(end, layout.bytes, "{}", layout.name);
        }
    }
}
