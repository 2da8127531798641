//! `presence window` into files and pipes.

use std::io::Read;
use std::process::Stdio;

use parquet::basic::{LogicalType, TimeUnit};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use presence::{Column, DType, Database, Options, Schema};
use serde_json::{Value, json};

use crate::support::{Place, program};

/// A database with a column of every type, and shapes; 40 records at 0, 10, 20, …
fn place() -> Place {
    let place = Place::new();
    let mut columns: Vec<Column> =
        DType::ALL.iter().map(|&dtype| Column::scalar(dtype.name(), dtype)).collect();
    columns.push(Column::new("box", DType::F32, &[2, 3]));
    columns.push(Column::scalar("ts", DType::U8));
    columns.push(Column::new("image", DType::U8, &[80, 80]));
    let schema = Schema::new(columns).unwrap();
    let db = Database::create(place.path("db"), Options::default()).unwrap();
    let stream = db.create_stream("all, \"kinds\"", schema.clone()).unwrap();
    let mut writer = stream.column_writer().unwrap();
    for record in 0..40_i64 {
        let bytes: Vec<Vec<u8>> = schema
            .columns()
            .iter()
            .map(|column| match column.dtype() {
                DType::F32 => (0..column.elements())
                    .flat_map(|e| (record as f32 + e as f32 / 10.0).to_le_bytes())
                    .collect(),
                DType::F64 => (record as f64 / 3.0).to_le_bytes().to_vec(),
                DType::Bool => vec![u8::from(record % 2 == 1)],
                DType::U64 => (u64::MAX - record as u64).to_le_bytes().to_vec(),
                DType::I64 => (i64::MIN + record).to_le_bytes().to_vec(),
                dtype if column.elements() == 1 => {
                    let sign = if dtype.name().starts_with('i') { -1 } else { 1 };
                    (record * sign).to_le_bytes()[..dtype.bytes()].to_vec()
                }
                _ => (0..column.elements()).map(|e| (e as i64 + record) as u8).collect(),
            })
            .collect();
        let slices: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
        writer.append(record * 10, &slices).unwrap();
    }
    drop(writer);
    db.close().unwrap();
    place
}

const STREAM: &str = "all, \"kinds\"";

#[test]
fn csv_has_a_field_an_element() {
    let place = place();
    let small = "bool,i8,u64,f32,box,ts";
    let ran = place.run_words(&[
        "window",
        "db",
        STREAM,
        "10",
        "30",
        "--format",
        "csv",
        "--columns",
        small,
    ]);
    let want = "ts,bool,i8,u64,f32,box.0,box.1,box.2,box.3,box.4,box.5,ts_1\n\
                10,true,-1,18446744073709551614,1.0,1.0,1.1,1.2,1.3,1.4,1.5,1\n\
                20,false,-2,18446744073709551613,2.0,2.0,2.1,2.2,2.3,2.4,2.5,2\n";
    assert_eq!(ran.code(0).out, want);
    let ran = place.run_words(&["window", "db", STREAM, "10", "30", "--format", "csv"]).code(2);
    assert!(ran.err.contains("6400 elements") && ran.err.contains("--columns"), "{}", ran.err);
    let ran = place.run_words(&["window", "db", STREAM, "0", "9", "--columns", "nix"]).code(2);
    assert!(ran.err.contains("box"), "{}", ran.err);
}

#[test]
fn jsonl_nests_shapes() {
    let place = place();
    let ran = place.run_words(&["window", "db", STREAM, "10", "20", "--json"]).code(0);
    let line = &ran.lines()[0];
    assert_eq!(line["box"], serde_json::json!([[1.0, 1.1, 1.2], [1.3, 1.4, 1.5]]));
    assert!(ran.out.contains("1.1,1.2"), "shortest form of f32: {}", &ran.out[..200]);
    assert_eq!((&line["ts"], &line["ts_1"]), (&10.into(), &1.into()));
    assert_eq!(line["i64"], i64::MIN + 1);
    assert_eq!(line["image"].as_array().unwrap().len(), 80);
}

/// A record as JSON, as far as these tests need it.
fn json(row: &Row) -> Value {
    fn value(field: &Field) -> Value {
        match field {
            Field::Bool(value) => json!(value),
            Field::Byte(value) => json!(value),
            Field::Short(value) => json!(value),
            Field::Int(value) => json!(value),
            Field::Long(value) => json!(value),
            Field::UByte(value) => json!(value),
            Field::UShort(value) => json!(value),
            Field::UInt(value) => json!(value),
            Field::ULong(value) => json!(value),
            Field::Float(value) => json!(value),
            Field::Double(value) => json!(value),
            Field::ListInternal(list) => list.elements().iter().map(value).collect(),
            other => json!(other.to_string()),
        }
    }
    row.get_column_iter().map(|(name, field)| (name.clone(), value(field))).collect()
}

#[test]
fn parquet_reads_back() {
    let place = place();
    let ran = place.run_words(&[
        "window",
        "db",
        STREAM,
        "0",
        "1s",
        "--format",
        "parquet",
        "-o",
        "all.parquet",
    ]);
    ran.code(0);
    let file = std::fs::File::open(place.path("all.parquet")).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let schema = reader.metadata().file_metadata().schema();
    let ts = schema.get_fields()[0].get_basic_info().logical_type_ref().cloned();
    assert_eq!(ts, Some(LogicalType::timestamp(true, TimeUnit::MICROS)));
    let records: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    assert_eq!(records.len(), 40);
    let json = json(&records[3]);
    assert_eq!(json["u64"].as_u64(), Some(u64::MAX - 3));
    assert_eq!(json["i64"].as_i64(), Some(i64::MIN + 3));
    assert_eq!(json["i8"], -3);
    assert_eq!(json["u32"], 3);
    assert_eq!(json["bool"], true);
    assert_eq!(json["f64"], 1.0);
    assert_eq!(json["box"].as_array().unwrap().len(), 2);
    assert_eq!(json["box"][1].as_array().unwrap().len(), 3);
    let last = json["box"][1][2].as_f64().unwrap();
    assert!((last - 3.5).abs() < 1e-6, "{last}");
    assert_eq!(json["image"][79][79], (6399 + 3) % 256);
    // Nothing is left beside it.
    let names: Vec<_> = std::fs::read_dir(place.dir.path()).unwrap().flatten().collect();
    assert_eq!(names.len(), 2, "{names:?}");
    place.run_words(&["window", "db", STREAM, "0", "9", "--format", "parquet"]).code(2);
}

#[test]
fn files_appear_whole_or_not_at_all() {
    let place = place();
    place.file("out.csv", "what was there before");
    let words = ["window", "db", STREAM, "0", "1s", "--format", "csv", "-o", "out.csv"];
    place.run_words(&words).code(2);
    assert_eq!(std::fs::read_to_string(place.path("out.csv")).unwrap(), "what was there before");
    let mut small = words.to_vec();
    small.extend(["--columns", "f64"]);
    place.run_words(&small).code(0);
    assert_eq!(std::fs::read_to_string(place.path("out.csv")).unwrap().lines().count(), 41);
    let nowhere = ["window", "db", STREAM, "0", "1s", "-o", "none/out.csv", "--json"];
    assert_eq!(place.run_words(&nowhere).code(3).kind(), "io");
    let device = ["window", "db", STREAM, "0", "1s", "-o", "/dev/null", "--json"];
    place.run_words(&device).code(0);
    assert_eq!(std::fs::read_dir(place.dir.path()).unwrap().count(), 2);
}

#[test]
fn a_closed_pipe_is_no_error() {
    let place = place();
    let mut child = program()
        .args(["window", "db", STREAM, "0", "1s", "--format", "jsonl"])
        .current_dir(place.dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 10];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn tables_are_for_people() {
    let place = place();
    let ran = place.run_words(&["window", "db", STREAM, "0", "30", "--columns", "image,i16"]);
    let text = ran.code(0).out;
    assert!(text.contains("… 6400 in all") && text.lines().count() == 4, "{text}");
}
