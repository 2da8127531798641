//! One import, collected.

use presence_format::{Batch, Schema};
use presence_ingest::{Description, Import, IngestError, Options, Report, Source};

/// All that an import gave.
#[derive(Debug)]
pub(crate) struct Imported {
    pub(crate) description: Description,
    pub(crate) report: Report,
    pub(crate) batch: Batch,
}

impl Imported {
    pub(crate) fn schema(&self) -> &Schema {
        &self.description.schema
    }

    /// The bytes of a column, value by value.
    pub(crate) fn column(&self, name: &str) -> Vec<&[u8]> {
        let index = self.schema().column_index(name).unwrap();
        let width = self.schema().columns()[index].value_bytes();
        self.batch.columns[index].bytes().chunks_exact(width).collect()
    }

    pub(crate) fn f64s(&self, name: &str) -> Vec<f64> {
        let values = self.column(name).concat();
        values.chunks_exact(8).map(|v| f64::from_le_bytes(v.try_into().unwrap())).collect()
    }

    pub(crate) fn i64s(&self, name: &str) -> Vec<i64> {
        self.column(name).iter().map(|v| i64::from_le_bytes((*v).try_into().unwrap())).collect()
    }

    pub(crate) fn skipped_lines(&self) -> Vec<u64> {
        self.report.skipped.iter().map(|skipped| skipped.line).collect()
    }

    /// `name:type` of each column.
    pub(crate) fn types(&self) -> String {
        let columns = self.schema().columns().iter();
        let types: Vec<String> =
            columns.map(|column| format!("{}:{}", column.name(), column.type_name())).collect();
        types.join(" ")
    }
}

pub(crate) fn import(source: Source, options: Options) -> Result<Imported, IngestError> {
    let mut import = Import::open(source, options)?;
    let mut all = Batch::new(&import.description().schema);
    let schema = import.description().schema.clone();
    while let Some(batch) = import.next_batch()? {
        batch.check(&schema).unwrap();
        assert!((1..=8192).contains(&batch.len()));
        all.timestamps.extend(&batch.timestamps);
        for (into, from) in all.columns.iter_mut().zip(&batch.columns) {
            into.push_bytes(from.bytes());
        }
    }
    assert!(all.timestamps.is_sorted());
    assert_eq!(import.report().records, all.len() as u64);
    assert!(import.next_batch()?.is_none(), "the end is the end");
    Ok(Imported {
        description: import.description().clone(),
        report: import.report().clone(),
        batch: all,
    })
}

pub(crate) fn text(text: impl Into<Vec<u8>>, options: Options) -> Result<Imported, IngestError> {
    import(Source::reader("test", std::io::Cursor::new(text.into())), options)
}

pub(crate) fn strict() -> Options {
    Options { strict: true, ..Options::default() }
}
