//! What the caller wrote: checked, and reduced to a name and a list of columns.
//!
//! # Invariants
//! - A [`Record`] has at least one field; its column names are distinct and not empty.
//! - All that is wrong with the fields is reported at once, each at its own place.

use std::collections::HashSet;

use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Attribute, Data, DeriveInput, Error, Fields, FieldsNamed, Ident, LitStr, Result, Type};

/// A struct that becomes a record.
pub(crate) struct Record {
    pub(crate) ident: Ident,
    pub(crate) fields: Vec<Field>,
}

/// A field that becomes a column.
pub(crate) struct Field {
    pub(crate) ident: Ident,
    pub(crate) ty: Type,
    /// The column's name: a literal, so that errors about it point at the source.
    pub(crate) column: LitStr,
}

impl Record {
    /// Checks `input` and takes from it what the implementation needs.
    pub(crate) fn parse(input: &DeriveInput) -> Result<Self> {
        refuse_attributes(&input.attrs, "a struct")?;
        let named = named_fields(input)?;
        if !input.generics.params.is_empty() {
            return Err(Error::new_spanned(
                &input.generics,
                "`Record` cannot be derived for a struct with generics or lifetimes: the columns \
                 of a stream are fixed; write a struct with concrete types",
            ));
        }
        let mut names = HashSet::new();
        let mut fields = Vec::new();
        let mut errors: Option<Error> = None;
        for field in &named.named {
            match parse_field(field, &mut names) {
                Ok(field) => fields.push(field),
                Err(error) => match &mut errors {
                    Some(errors) => errors.combine(error),
                    None => errors = Some(error),
                },
            }
        }
        errors.map_or_else(|| Ok(Self { ident: input.ident.clone(), fields }), Err)
    }
}

fn named_fields(input: &DeriveInput) -> Result<&FieldsNamed> {
    let data = match &input.data {
        Data::Struct(data) => data,
        Data::Enum(data) => {
            return Err(Error::new(
                data.enum_token.span(),
                "`Record` can be derived for structs only, and this is an enum: a record has the \
                 same columns every time",
            ));
        }
        Data::Union(data) => {
            return Err(Error::new(
                data.union_token.span(),
                "`Record` can be derived for structs only, and this is a union",
            ));
        }
    };
    match &data.fields {
        Fields::Named(named) if !named.named.is_empty() => Ok(named),
        Fields::Unnamed(unnamed) if !unnamed.unnamed.is_empty() => Err(Error::new_spanned(
            unnamed,
            "`Record` needs named fields, since each becomes the name of a column: write \
             `struct Name { field: Type }`",
        )),
        _ => Err(Error::new_spanned(
            &input.ident,
            "`Record` needs at least one field: a stream has one column or more",
        )),
    }
}

fn parse_field(field: &syn::Field, names: &mut HashSet<String>) -> Result<Field> {
    let Some(ident) = &field.ident else {
        return Err(Error::new_spanned(field, "`Record` needs named fields"));
    };
    let column = match renamed(&field.attrs)? {
        Some(name) => name,
        None => LitStr::new(&ident.unraw().to_string(), ident.span()),
    };
    if column.value().is_empty() {
        return Err(Error::new_spanned(&column, "the name of a column cannot be empty"));
    }
    if !names.insert(column.value()) {
        return Err(Error::new_spanned(
            &column,
            format!("two columns are named {:?}: names must be distinct", column.value()),
        ));
    }
    Ok(Field { ident: ident.clone(), ty: field.ty.clone(), column })
}

/// The name in `#[presence(name = "...")]`, where there is one.
fn renamed(attributes: &[Attribute]) -> Result<Option<LitStr>> {
    let mut name: Option<LitStr> = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("presence")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("name") {
                return Err(meta.error("unknown option: only `name = \"...\"` is known here"));
            }
            if name.is_some() {
                return Err(meta.error("`name` is given twice"));
            }
            name = Some(meta.value()?.parse()?);
            Ok(())
        })?;
    }
    Ok(name)
}

fn refuse_attributes(attributes: &[Attribute], place: &str) -> Result<()> {
    match attributes.iter().find(|attribute| attribute.path().is_ident("presence")) {
        Some(attribute) => Err(Error::new_spanned(
            attribute,
            format!("`#[presence(...)]` has no meaning on {place}: it belongs on a field"),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(source: &str) -> String {
        let input = syn::parse_str::<DeriveInput>(source).unwrap();
        match Record::parse(&input) {
            Ok(_) => panic!("accepted: {source}"),
            Err(error) => {
                error.into_iter().map(|error| error.to_string()).collect::<Vec<_>>().join("\n")
            }
        }
    }

    #[test]
    fn fields_become_columns_in_order() {
        let source = r#"struct Pose {
            position: [f64; 3],
            #[presence(name = "heading rad")] heading: f32,
            r#type: u8,
        }"#;
        let record = Record::parse(&syn::parse_str(source).unwrap()).unwrap();
        let columns: Vec<_> =
            record.fields.iter().map(|f| (f.ident.to_string(), f.column.value())).collect();
        let expected = [("position", "position"), ("heading", "heading rad"), ("r#type", "type")];
        assert_eq!(columns, expected.map(|(field, name)| (field.to_owned(), name.to_owned())));
    }

    #[test]
    fn what_is_no_struct_with_fields_is_refused() {
        for (source, part) in [
            ("enum Kind { A, B }", "this is an enum"),
            ("union Bits { a: u32, b: f32 }", "this is a union"),
            ("struct Pair(f64, f64);", "needs named fields"),
            ("struct Nothing;", "at least one field"),
            ("struct Nothing {}", "at least one field"),
            ("struct Nothing();", "at least one field"),
            ("struct Generic<T> { value: T }", "with generics or lifetimes"),
            ("struct Array<const N: usize> { value: [f64; N] }", "with generics or lifetimes"),
            ("struct Borrowed<'a> { value: &'a f64 }", "with generics or lifetimes"),
        ] {
            let error = error_of(source);
            assert!(error.contains(part), "{source}: {error}");
        }
    }

    #[test]
    fn wrong_attributes_are_refused() {
        for (source, part) in [
            ("#[presence(name = \"x\")] struct S { a: f64 }", "has no meaning on a struct"),
            ("struct S { #[presence(title = \"x\")] a: f64 }", "unknown option"),
            ("struct S { #[presence(name = \"x\", name = \"y\")] a: f64 }", "given twice"),
            (
                "struct S { #[presence(name = \"x\")] #[presence(name = \"y\")] a: f64 }",
                "given twice",
            ),
            ("struct S { #[presence(name = 7)] a: f64 }", "expected string literal"),
            ("struct S { #[presence(name)] a: f64 }", "expected `=`"),
            ("struct S { #[presence] a: f64 }", "expected"),
            ("struct S { #[presence(name = \"\")] a: f64 }", "cannot be empty"),
            (
                "struct S { a: f64, #[presence(name = \"a\")] b: f64 }",
                "two columns are named \"a\"",
            ),
        ] {
            let error = error_of(source);
            assert!(error.contains(part), "{source}: {error}");
        }
    }

    #[test]
    fn all_faults_are_reported_at_once() {
        let error = error_of(
            "struct S { #[presence(name = \"\")] a: f64, #[presence(other)] b: f64, c: f64 }",
        );
        assert!(error.contains("cannot be empty") && error.contains("unknown option"), "{error}");
    }
}
