//! The implementation as tokens.
//!
//! # Invariants
//! - Every path is absolute, every method called by its trait: nothing at the caller interferes.
//! - Types carry the span of their field, so a type that is no `Value` is reported there.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;

use crate::input::{Field, Record};

/// `impl presence::Record for ...`.
pub(crate) fn implementation(record: &Record) -> TokenStream {
    let ident = &record.ident;
    let count = record.fields.len();
    let columns = record.fields.iter().map(column);
    let puts = record.fields.iter().enumerate().map(|(index, field)| put(index, field));
    let gets = record.fields.iter().enumerate().map(|(index, field)| get(index, field));
    quote! {
        #[automatically_derived]
        impl ::presence::record::Record for #ident {
            const COLUMNS: usize = #count;

            fn columns() -> ::std::vec::Vec<::presence::Column> {
                ::std::vec![#(#columns),*]
            }

            #[inline]
            fn write(&self, sink: &mut impl ::presence::record::Sink) {
                #(#puts)*
            }

            #[inline]
            fn read(
                source: &impl ::presence::record::Source,
            ) -> ::core::option::Option<Self> {
                ::core::option::Option::Some(Self { #(#gets),* })
            }
        }
    }
}

/// Errors show the field's type, while names resolve as everywhere else in the implementation: a
/// struct that a macro of the caller wrote would otherwise not see `self`, `sink` and `source`.
fn place(field: &Field) -> Span {
    Span::call_site().located_at(field.ty.span())
}

fn column(field: &Field) -> TokenStream {
    let Field { ty, column, .. } = field;
    let value = quote_spanned!(place(field)=> <#ty as ::presence::record::Value>);
    quote!(::presence::Column::new(#column, #value::DTYPE, &#value::shape()))
}

fn put(index: usize, field: &Field) -> TokenStream {
    let Field { ident, ty, .. } = field;
    quote_spanned!(place(field)=>
        ::presence::record::Sink::put::<#ty>(sink, #index, &self.#ident);
    )
}

fn get(index: usize, field: &Field) -> TokenStream {
    let Field { ident, ty, .. } = field;
    quote_spanned!(place(field)=> #ident: ::presence::record::Source::get::<#ty>(source, #index)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(source: &str) -> String {
        let record = Record::parse(&syn::parse_str(source).unwrap()).unwrap();
        implementation(&record).to_string()
    }

    #[test]
    fn the_implementation_token_by_token() {
        let got = expanded(
            r#"pub struct Pose {
                pub position: [f64; 3],
                #[presence(name = "heading_rad")] heading: f32,
            }"#,
        );
        let expected = quote! {
            #[automatically_derived]
            impl ::presence::record::Record for Pose {
                const COLUMNS: usize = 2usize;

                fn columns() -> ::std::vec::Vec<::presence::Column> {
                    ::std::vec![
                        ::presence::Column::new(
                            "position",
                            <[f64; 3] as ::presence::record::Value>::DTYPE,
                            &<[f64; 3] as ::presence::record::Value>::shape()
                        ),
                        ::presence::Column::new(
                            "heading_rad",
                            <f32 as ::presence::record::Value>::DTYPE,
                            &<f32 as ::presence::record::Value>::shape()
                        )
                    ]
                }

                #[inline]
                fn write(&self, sink: &mut impl ::presence::record::Sink) {
                    ::presence::record::Sink::put::<[f64; 3]>(sink, 0usize, &self.position);
                    ::presence::record::Sink::put::<f32>(sink, 1usize, &self.heading);
                }

                #[inline]
                fn read(
                    source: &impl ::presence::record::Source,
                ) -> ::core::option::Option<Self> {
                    ::core::option::Option::Some(Self {
                        position: ::presence::record::Source::get::<[f64; 3]>(source, 0usize)?,
                        heading: ::presence::record::Source::get::<f32>(source, 1usize)?
                    })
                }
            }
        };
        assert_eq!(got, expected.to_string());
    }

    #[test]
    fn raw_identifiers_and_nested_arrays() {
        let got = expanded("struct Image { r#type: u8, pixels: [[[u8; 3]; 640]; 480] }");
        assert!(got.contains(r#"Column :: new ("type" ,"#), "{got}");
        assert!(got.contains("& self . r#type"), "{got}");
        assert!(got.contains("put :: < [[[u8 ; 3] ; 640] ; 480] > (sink , 1usize"), "{got}");
    }
}
