//! CSV: well formed, malformed, and hopeless.

use presence_format::TimeUnit;
use presence_ingest::{Format, IngestErrorKind, Options, TimeScale};
use proptest::prelude::*;

use crate::support::{strict, text};

#[test]
fn edge_cases() {
    // Text, timestamps, lines skipped.
    let cases: &[(&[u8], &[i64], &[u64])] = &[
        (b"t_us,x\n1,2\n3,4\n", &[1, 3], &[]),
        (b"t_us,x\n1,2\n3,4", &[1, 3], &[]),
        (b"\xEF\xBB\xBFt_us,x\r\n1,2\r\n3,4\r\n", &[1, 3], &[]),
        (b"\n\nt_us,x\n\n1,2\n\r\n\n3,4\n\n", &[1, 3], &[]),
        (b"t_us;x\n1;2\n3;4\n", &[1, 3], &[]),
        (b"t_us\tx\n1\t2\n3\t\n", &[1, 3], &[]),
        (b"\"t_us\",\"x\"\n\"1\",\"2\"\n", &[1], &[]),
        (b"t_us, x\n 1 , 2 \n", &[1], &[]),
        (b"t_us,x\n", &[], &[]),
        (b"t_us,x", &[], &[]),
        (b"t_us,x\n1\n2,3\n4,5,6\n", &[2], &[2, 4]),
        (b"t_us,x\n1,2\n3,abc\n5,6\n", &[1, 5], &[3]),
        (b"t_us,x\n1,2\nnan,3\ninf,4\n,5\nx,6\n7,8\n", &[1, 7], &[3, 4, 5, 6]),
        (b"t_us,x\n9223372036854775807,1\n9223372036854775808,2\n1e40,2\n", &[i64::MAX], &[3, 4]),
        (b"t_us,x\n-9223372036854775808,1\n0,1\n", &[i64::MIN, 0], &[]),
        (b"t_us,x\n1,2\n3,\xff\xfe\n5,6\n", &[1, 5], &[3]),
        (b"t_us,x\n1,2\n3,\0\n5,6\n", &[1, 5], &[3]),
        (b"t_us,x\n1,\"2\n3,4\n", &[3], &[2]),
        (b"t_us,x\n1,2\n3,\"4", &[1], &[3]),
        (b"t_us,x,note\n1,2,\"a\nb\"\nbad,3,c\n4,5,d\n", &[1, 4], &[4]),
        (b"t_us,x\n3,1\n1,2\n2,3\n", &[1, 2, 3], &[]),
        (b"t_us,x\n3,1\n1,2\nz,3\n", &[1, 3], &[4]),
        (b"time,x\n2.097134,1\n", &[2_097_134], &[]),
        (b"time,x\n1,1\n2.5,1\n", &[1_000_000, 2_500_000], &[]),
        (b"date,x\n1970-01-02,1\n", &[86_400_000_000], &[]),
        (
            b"time,x\n1970-01-01 00:00:01+00,1\n1970-01-01T01:00:02+01:00,1\nnever,2\n",
            &[1_000_000, 2_000_000],
            &[4],
        ),
    ];
    for (input, times, skipped) in cases {
        let shown = String::from_utf8_lossy(input);
        let got = text(*input, Options { format: Some(Format::Csv), ..Options::default() })
            .unwrap_or_else(|error| panic!("{shown:?}: {error}"));
        assert_eq!(got.batch.timestamps, *times, "{shown:?}");
        assert_eq!(got.skipped_lines(), *skipped, "{shown:?} {:?}", got.report);
        assert_eq!(got.report.skipped_total, skipped.len() as u64);
        let strictly = text(*input, Options { format: Some(Format::Csv), ..strict() });
        match (strictly, skipped.first()) {
            (Ok(_), first) => assert_eq!(first, None, "{shown:?}"),
            // A column of text is refused before any line is.
            (Err(error), _) if shown.contains("note") => {
                assert!(error.what.contains("\"note\""), "{error}");
            }
            (Err(error), first) => {
                assert_eq!(error.kind, IngestErrorKind::Malformed, "{error}");
                assert_eq!(error.line, first.copied(), "{error}");
            }
        }
    }
}

#[test]
fn errors_say_what_to_do() {
    use IngestErrorKind::{
        Header, NoTimeColumn, NoTimeUnit, Options as Opt, UnknownFormat, Unsupported,
    };
    let auto = Options::default;
    let named = |name: &str| Options { time_column: Some(name.into()), ..Options::default() };
    for (input, options, kind, word) in [
        ("", auto(), UnknownFormat, "empty"),
        ("", Options { format: Some(Format::Csv), ..auto() }, Header, "header"),
        ("time,x\n1,2\n", auto(), NoTimeUnit, "unit"),
        ("a,b\n1,2\n", auto(), NoTimeColumn, "\"a\", \"b\""),
        ("a,b\n1,2\n", named("c"), NoTimeColumn, "\"c\""),
        ("time,b\nx,2\n", auto(), NoTimeColumn, "\"x\""),
        ("time,b\n0.5,x\n", auto(), Unsupported, "no column"),
        ("1,2,3\n", auto(), UnknownFormat, "header"),
        ("1,2,3\n", Options { format: Some(Format::Csv), ..auto() }, Header, "header"),
        ("t_us,x\n1,2\n", Options { delimiter: Some(b'\n'), ..auto() }, Opt, "delimiter"),
        ("t_us\n1\n", Options { format: Some(Format::Csv), ..auto() }, Header, "one column"),
    ] {
        let error = text(input, options).unwrap_err();
        assert_eq!(error.kind, kind, "{input:?} {error}");
        assert!(error.to_string().contains(word), "{error}");
        assert!(error.to_string().starts_with("test"), "{error}");
    }
    let many: String = (0..2000).map(|i| format!("c{i},")).collect();
    let error = text(format!("{many}time\n"), auto()).unwrap_err();
    assert_eq!(error.kind, Unsupported);
}

#[test]
fn columns_get_the_type_they_need() {
    let csv = "time_us,int,neg,big,huge,f,b,opt,word,flag,none,mixed\n\
               1,1,-1,18446744073709551615,99999999999999999999,1.5,True,1,a,true,,1\n\
               2,2,2,0,1,2,false,,b,,,2.5\n\
               3,3,3,0,1,NaN,TRUE,3,c,false,,3\n";
    let got = text(csv, Options::default()).unwrap();
    assert_eq!(
        got.types(),
        "int:i64 neg:i64 big:u64 huge:f64 f:f64 b:bool opt:f64 flag:f64 none:f64 mixed:f64"
    );
    assert_eq!(got.column("b").concat(), [1, 0, 1]);
    assert_eq!(got.f64s("flag")[..1], [1.0]);
    assert!(got.f64s("opt")[1].is_nan() && got.f64s("none").iter().all(|v| v.is_nan()));
    assert_eq!(got.column("big")[0], u64::MAX.to_le_bytes());
    let notes = got.report.notes.join("\n");
    for word in ["\"word\"", "\"huge\"", "\"opt\"", "\"flag\"", "\"none\""] {
        assert!(notes.contains(word), "{word} in {notes}");
    }
    let error = text(csv, strict()).unwrap_err();
    assert!(error.to_string().contains("\"word\""), "{error}");
}

#[test]
fn text_is_left_out_and_strangers_are_skipped() {
    // Half of the cells are words: a column of text, and no line is lost.
    let rows: String =
        (0..100).map(|i| format!("{i},1,{}\n", if i % 2 == 0 { "ab1" } else { "12" })).collect();
    let got = text(format!("t_us,x,id\n{rows}"), Options::default()).unwrap();
    assert_eq!((got.types().as_str(), got.report.records), ("x:i64", 100));
    // One in a hundred: malformed lines.
    let rows: String = (0..1000)
        .map(|i| format!("{i},{}\n", if i % 100 == 99 { "ERR".into() } else { i.to_string() }))
        .collect();
    let got = text(format!("t_us,x\n{rows}"), Options::default()).unwrap();
    assert_eq!((got.types().as_str(), got.report.records), ("x:i64", 990));
    assert_eq!(got.report.skipped[0].line, 101);
    assert_eq!(got.report.skipped[0].reason, "x: \"ERR\" is not an integer in range");
}

#[test]
fn time_units() {
    let with = |time_unit| Options { time_unit: Some(time_unit), ..Options::default() };
    for (csv, options, unit, times) in [
        ("t,x\n1,0\n", with(TimeScale::Seconds), TimeUnit::Us, vec![1_000_000]),
        ("t,x\n1,0\n", with(TimeScale::Millis), TimeUnit::Us, vec![1000]),
        ("t,x\n1,0\n", with(TimeScale::Nanos), TimeUnit::Ns, vec![1]),
        ("t_ms,x\n1,0\n", Options::default(), TimeUnit::Us, vec![1000]),
        ("t_ms,x\n1,0\n", with(TimeScale::Seconds), TimeUnit::Us, vec![1_000_000]),
        ("t_ms,x\n1.25,0\n", Options::default(), TimeUnit::Us, vec![1250]),
        ("t_ms,x\n1.0001,0\n", Options::default(), TimeUnit::Ns, vec![1_000_100]),
        ("t,x\n2.097134001,0\n", Options::default(), TimeUnit::Ns, vec![2_097_134_001]),
        ("t,x\n1.5e0,0\n1e1,0\n", Options::default(), TimeUnit::Us, vec![1_500_000, 10_000_000]),
        (
            "t,x\n2000-01-01 00:00:00.0000005,0\n",
            Options { stream_unit: Some(TimeUnit::Us), ..Options::default() },
            TimeUnit::Us,
            vec![946_684_800_000_000],
        ),
        (
            // In order as numbers, and not as rounded microseconds: 1 and then 0.
            "t,x\n0.00000050000001,1\n0.0000005,2\n",
            Options { stream_unit: Some(TimeUnit::Us), ..Options::default() },
            TimeUnit::Us,
            vec![0, 1],
        ),
    ] {
        let got = text(csv, options).unwrap();
        assert_eq!((got.schema().time_unit(), &got.batch.timestamps), (unit, &times), "{csv:?}");
    }
    let note = &text("t,x\n1.5,0\n", Options::default()).unwrap().report.notes[0];
    assert!(note.contains("seconds"), "{note}");
    let note = &text("t,x\n2000-01-01 00:00:00,0\n", Options::default()).unwrap().report.notes[0];
    assert!(note.contains("UTC"), "{note}");
}

#[test]
fn equal_times_keep_their_order() {
    let rows: String = (0..20_000).map(|i| format!("{},{i}\n", (20_000 - i) / 7)).collect();
    let options = Options { memory_bytes: 10_000, ..Options::default() };
    let got = text(format!("t_us,x\n{rows}"), options).unwrap();
    assert!(!got.description.is_sorted);
    let pairs: Vec<(i64, i64)> = got.batch.timestamps.iter().copied().zip(got.i64s("x")).collect();
    assert_eq!(pairs.len(), 20_000);
    assert!(pairs.is_sorted());
}

#[test]
fn stdin_and_files_read_alike() {
    let csv = "t_us,x\n2,1\n1,2\n";
    let file = tempfile::Builder::new().suffix(".v2.csv").tempfile().unwrap();
    std::fs::write(file.path(), csv).unwrap();
    let from_file =
        crate::support::import(presence_ingest::Source::path(file.path()), Options::default())
            .unwrap();
    let from_pipe = text(csv, Options::default()).unwrap();
    assert_eq!(from_file.batch, from_pipe.batch);
    assert!(from_file.description.stream_name.ends_with(".v2"));
    assert_eq!(from_pipe.description.stream_name, "test");
    let directory = presence_ingest::Source::path(std::env::temp_dir());
    let error = crate::support::import(directory, Options::default()).unwrap_err();
    assert!(error.to_string().contains("directory"), "{error}");
    let missing = presence_ingest::Source::path("/nowhere/at all.csv");
    let error = crate::support::import(missing, Options::default()).unwrap_err();
    assert_eq!(error.kind, IngestErrorKind::Io);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn any_text_gives_batches_or_an_error(
        body in r#"[a-z0-9.,;"\n\r \-:T]{0,200}"#,
        strict in any::<bool>(),
    ) {
        let options = Options {
            format: Some(Format::Csv),
            strict,
            memory_bytes: 100,
            line_bytes_max: 64,
            ..Options::default()
        };
        let _ = text(format!("t_us,x,y\n{body}"), options.clone());
        let _ = text(body, options);
    }

    #[test]
    fn any_bytes_give_batches_or_an_error(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        for format in [None, Some(Format::Csv), Some(Format::Mot), Some(Format::Kitti)] {
            let _ = text(body.clone(), Options { format, ..Options::default() });
        }
    }
}
