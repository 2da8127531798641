//! MOT and KITTI text: well formed and malformed.

use presence_ingest::{Format, Frames, IngestErrorKind, Options, Rate};

use crate::support::{strict, text};

const MOT_10: &str = "1,-1,281.931,187.466,79.93,209.537,0.997784,-1,-1,-1";
const MOT_9: &str = "2,3.0,17,150,77,191,1,1,0.5";
const KITTI_17: &str = "1 2 Van 0 1 -1.5 296.7 161.7 455.2 292.3 2.0 1.8 4.4 -4.5 1.8 13.4 -2.1";

fn mot() -> Options {
    Options { format: Some(Format::Mot), ..Options::default() }
}

fn kitti() -> Options {
    Options { format: Some(Format::Kitti), ..Options::default() }
}

#[test]
fn mot_values() {
    let got = text(format!("{MOT_9}\r\n{MOT_10}\n"), Options::default()).unwrap();
    assert_eq!(
        got.types(),
        "frame:u32 track_id:i64 left:f64 top:f64 width:f64 height:f64 confidence:f64 \
         class_id:i32 visibility:f64 world:f64[3]"
    );
    assert_eq!(got.batch.timestamps, [0, 33_333]);
    assert_eq!(got.i64s("track_id"), [-1, 3]);
    assert_eq!(got.f64s("left"), [281.931, 17.0]);
    assert_eq!(got.f64s("confidence"), [0.997784, 1.0]);
    assert_eq!(
        got.column("class_id").concat(),
        [(-1_i32).to_le_bytes(), 1_i32.to_le_bytes()].concat()
    );
    let (visibility, world) = (got.f64s("visibility"), got.f64s("world"));
    assert!(visibility[0].is_nan() && world[3..].iter().all(|v| v.is_nan()));
    assert_eq!((visibility[1], &world[..3]), (0.5, &[-1.0; 3][..]));
    assert_eq!(got.description.classes[0], (1, "Pedestrian".to_owned()));
    assert_eq!(got.description.frames, Some(Frames { rate: Rate::new(30, 1).unwrap(), first: 1 }));
    let note = &got.report.notes[0];
    assert!(note.contains("30/1") && note.contains("default"), "{note}");
}

#[test]
fn mot_lines_that_end_early() {
    let input = "2,5,1,2,3,4,0.5\n1,6,1,2,3,4,0.25,3\r\n";
    let got = text(input, Options { format: Some(Format::Mot), ..strict() }).unwrap();
    assert_eq!((got.i64s("track_id"), got.f64s("confidence")), (vec![6, 5], vec![0.25, 0.5]));
    assert_eq!(got.column("class_id").concat(), [3, 0, 0, 0, 255, 255, 255, 255]);
    assert!(got.f64s("visibility").into_iter().chain(got.f64s("world")).all(f64::is_nan));
    assert_eq!(got.description.classes[0], (1, "Pedestrian".to_owned()));
    assert!(text(input, Options::default()).is_err(), "any numbers could be meant");
}

#[test]
fn mot_malformed_lines() {
    for (line, word) in [
        ("1,2,3", "3 fields instead of 7 to 10"),
        ("x,-1,1,2,3,4,1,-1,-1,-1", "frame: \"x\""),
        ("-1,-1,1,2,3,4,1,-1,-1,-1", "frame"),
        ("1.5,-1,1,2,3,4,1,-1,-1,-1", "frame"),
        ("nan,-1,1,2,3,4,1,-1,-1,-1", "frame"),
        ("4294967296,-1,1,2,3,4,1,-1,-1,-1", "frame"),
        ("1,a,1,2,3,4,1,-1,-1,-1", "id: \"a\""),
        ("1,1,,2,3,4,1,-1,-1,-1", "left: an empty field"),
        ("1,1,1,2,3,4,1,-1,-1,b", "z: \"b\""),
        ("1,1,1,2,3,4,1,99999999999,1", "class"),
        ("1,1,1,2,3,4,1,1.5,1", "class"),
        ("1,1,1,2,3,4,1,1,x", "visibility: \"x\""),
        ("1,1,1,2,3,4,1,-1,-1,-1,7", "more than 7 to 10 fields"),
        ("1,1,1,2,3,\u{0},1,1,1", "height"),
    ] {
        let input = format!("{MOT_10}\n{line}\n{MOT_9}\n");
        let got = text(input.clone(), mot()).unwrap();
        assert_eq!((got.report.records, got.skipped_lines()), (2, vec![2]), "{line}");
        assert!(got.report.skipped[0].reason.contains(word), "{line}: {:?}", got.report.skipped);
        let error = text(input, Options { format: Some(Format::Mot), ..strict() }).unwrap_err();
        assert_eq!((error.kind, error.line), (IngestErrorKind::Malformed, Some(2)), "{error}");
    }
    assert_eq!(text("", mot()).unwrap().report.records, 0);
}

#[test]
fn frame_rates() {
    let rate = Rate::new(30_000, 1001).ok();
    let input = "0,1,1,2,3,4,1,1,1\n31,1,1,2,3,4,1,1,1\n";
    let got = text(input, Options { frame_rate: rate, ..mot() }).unwrap();
    assert_eq!(got.batch.timestamps, [-33_367, 1_001_000]);
    let far = "4294967295,1,1,2,3,4,1,1,1\n";
    let slow = Options { frame_rate: Rate::new(1, 4_000_000_000).ok(), ..mot() };
    assert_eq!(text(far, slow).unwrap().batch.timestamps, [i64::MAX]);
}

#[test]
fn kitti_values() {
    let input =
        format!("{KITTI_17}\n0 -1 Robot -1 -1 -10 1 2 3 4 -1000 -1000 -1000 -10 -1 -1 -1 0.25\n");
    let got = text(input, Options::default()).unwrap();
    assert_eq!(
        got.types(),
        "frame:u32 track_id:i64 class_id:u16 truncated:f64 occluded:i32 alpha:f64 bbox:f64[4] \
         dimensions:f64[3] location:f64[3] rotation_y:f64 score:f64"
    );
    assert_eq!(got.batch.timestamps, [0, 100_000]);
    assert_eq!(got.column("class_id").concat(), [9, 0, 1, 0]);
    assert_eq!(got.description.classes[9], (9, "Robot".to_owned()));
    assert_eq!(got.f64s("bbox")[4..], [296.7, 161.7, 455.2, 292.3]);
    assert_eq!(got.f64s("dimensions")[3..], [2.0, 1.8, 4.4]);
    assert_eq!(got.f64s("location")[3..], [-4.5, 1.8, 13.4]);
    assert_eq!(got.f64s("rotation_y"), [-1.0, -2.1]);
    assert!(got.f64s("score")[0] == 0.25 && got.f64s("score")[1].is_nan());
    assert!(got.report.notes.iter().any(|note| note.contains("Robot")));
}

#[test]
fn kitti_malformed_lines() {
    let with = |field: usize, value: &str| {
        let mut fields: Vec<&str> = KITTI_17.split(' ').collect();
        fields[field] = value;
        fields.join(" ")
    };
    for (line, word) in [
        ("1 2 Car".to_owned(), "3 fields instead of 17 or 18"),
        (format!("{KITTI_17} 1 2"), "more than 17 or 18"),
        (with(0, "-1"), "frame"),
        (with(1, "x"), "track id"),
        (with(2, "7"), "type"),
        (with(3, "x"), "truncated"),
        (with(4, "0.5"), "occluded"),
        (with(16, "1.2.3"), "rotation y"),
        (format!("{KITTI_17} x"), "score"),
    ] {
        let input = format!("{KITTI_17}\n{line}\n{KITTI_17}\n");
        let got = text(input.clone(), kitti()).unwrap();
        assert_eq!((got.report.records, got.skipped_lines()), (2, vec![2]), "{line}");
        assert!(got.report.skipped[0].reason.contains(word), "{line}: {:?}", got.report.skipped);
        let error = text(input, Options { format: Some(Format::Kitti), ..strict() }).unwrap_err();
        assert_eq!((error.kind, error.line), (IngestErrorKind::Malformed, Some(2)), "{error}");
    }
    let names: String = (0..5000).map(|i| with(2, &format!("Kind{i}")) + "\n").collect();
    let got = text(names, kitti()).unwrap();
    assert_eq!((got.description.classes.len(), got.report.skipped_total), (4096, 5000 - 4087));
}
