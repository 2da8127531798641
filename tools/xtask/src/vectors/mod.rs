//! `cargo xtask vectors`: the golden vectors of the format, in `format-spec/vectors/v1`.
//!
//! Each vector is a small segment named by its feature, with a twin in JSON beside it. The twin is
//! made by decoding the bytes, and the records in it are compared with those that the vector's
//! author listed, so that neither encoder nor decoder is its own witness.
//!
//! # Invariants
//! - A vector that exists is never changed, unless `--overwrite` says so.
//! - `--verify` writes nothing.

mod cases;
mod codec_cases;
mod files;
mod log_cases;
mod pretty;
mod rows;
mod track_cases;
mod twin;
mod values;
mod writer;

use std::path::Path;

use serde_json::Value;

use crate::Result;
use rows::Row;

/// Options of `cargo xtask vectors`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Compare with what is on disk, and write nothing.
    #[arg(long)]
    verify: bool,
    /// Replace vectors that differ. Only right before a version of the format is released.
    #[arg(long, conflicts_with = "verify")]
    overwrite: bool,
}

/// A vector as it is generated.
pub(crate) struct Vector {
    /// The file's name without ending.
    pub(crate) name: &'static str,
    /// What it shows, in one line.
    pub(crate) about: &'static str,
    pub(crate) bytes: Vec<u8>,
    /// What a reader must give: of each stream, its records.
    pub(crate) answers: Vec<Answer>,
    /// Whether an encoder was free to choose among several right encodings.
    pub(crate) encoder_chooses: bool,
}

/// The records of one stream that a reader must give.
pub(crate) struct Answer {
    pub(crate) stream: u32,
    pub(crate) schema: presence_format::Schema,
    pub(crate) rows: Vec<Row>,
}

/// Writes the vectors that are missing, or verifies those that are there.
pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    let folder = root.join("format-spec/vectors/v1");
    let mut vectors = cases::all()?;
    vectors.extend(log_cases::all()?);
    vectors.extend(codec_cases::all()?);
    vectors.extend(track_cases::all()?);
    vectors.sort_by_key(|vector| vector.name);
    let mode = match options {
        Options { verify: true, .. } => files::Mode::Verify,
        Options { overwrite: true, .. } => files::Mode::Overwrite,
        _ => files::Mode::WriteMissing,
    };
    files::run(&folder, &vectors, mode)
}

/// Compares every vector with what is generated.
pub(crate) fn verify(root: &Path) -> Result<()> {
    run(root, &Options { verify: true, overwrite: false })
}

/// The twin's text of `bytes`, after its records were compared with what `vector` must answer.
fn twin_text(vector: &Vector, bytes: &[u8]) -> Result<String> {
    let fault = |what: String| format!("vector {}: {what}", vector.name);
    let twin = twin::decode(bytes).map_err(fault)?;
    let want = vector.answers.iter().map(|answer| {
        (answer.stream, answer.rows.iter().map(|row| row.json(&answer.schema)).collect())
    });
    let want: twin::Answers = want.collect();
    if want != twin.answers {
        return Err(fault(format!("the records read are not those listed: {:?}", twin.answers)));
    }
    let mut json = serde_json::Map::new();
    json.insert("vector".to_owned(), vector.name.into());
    json.insert("about".to_owned(), vector.about.into());
    json.extend(twin.json);
    Ok(pretty::print(&Value::Object(json)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_record_is_noticed() {
        let mut vectors = cases::all().unwrap();
        let vector = vectors.iter_mut().find(|vector| vector.name == "scalar-f64").unwrap();
        twin_text(vector, &vector.bytes).unwrap();
        vector.answers[0].rows[0].ts += 1;
        let error = twin_text(vector, &vector.bytes).unwrap_err();
        assert!(error.contains("vector scalar-f64: the records read are not those"), "{error}");
    }

    #[test]
    fn names_are_distinct_and_files_small() {
        let mut names: Vec<_> = cases::all().unwrap().iter().map(|vector| vector.name).collect();
        let more = [log_cases::all(), codec_cases::all(), track_cases::all()];
        for vector in more.into_iter().flat_map(|vectors| vectors.unwrap()) {
            assert!(vector.bytes.len() < 128 << 10, "{}", vector.name);
            names.push(vector.name);
        }
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
