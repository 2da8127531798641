//! Named defects of other readers, none of which are here.

use presence_events::{EventErrorKind, Options, TextOptions, TimeUnit};

use crate::support::{recording, text_options, whole};

#[test]
fn integer_microseconds_are_not_taken_for_seconds() {
    let got = whole(b"1500000 1 2 1\n", &text_options("t,x,y,p", TimeUnit::Microseconds));
    assert_eq!(got.out.events.t(), [1_500_000]);
    let got =
        whole(b"1600000000123456789 1 2 1\n", &text_options("t,x,y,p", TimeUnit::Nanoseconds));
    assert_eq!(got.out.events.t(), [1_600_000_000_123_457]);
}

#[test]
fn a_unit_is_asked_for_and_not_guessed_by_size() {
    let error = whole(b"t,x,y,p\n1500000,1,2,1\n", &Options::default()).error.unwrap();
    assert_eq!(error.kind, EventErrorKind::Invalid);
    assert!(error.what.contains("unit"), "{error}");
}

#[test]
fn microseconds_of_text_are_not_truncated() {
    let mut text = String::new();
    for us in 0..100_000_i64 {
        text.push_str(&format!("{}.{:06} 1 2 1\n", us / 1_000_000 * 17, us % 1_000_000));
    }
    let got = whole(text.as_bytes(), &Options::default());
    assert!(got.out.events.t().iter().copied().eq(0..100_000));
}

#[test]
fn polarity_is_one_encoding_for_all_formats() {
    let text = "t_us,x,y,p\n1,1,1,1\n2,1,1,-1\n3,1,1,0\n4,1,1,True\n";
    let got = whole(text.as_bytes(), &Options::default());
    assert_eq!(got.out.events.polarity(), [1, 0, 0, 1]);
    let got = whole(b"t_us,x,y,p\n1,1,1,5\n", &Options::default());
    assert_eq!((got.report.events, got.report.unknown_words), (0, 1));
}

#[test]
fn pixels_above_32767_stay_and_those_above_65535_are_counted() {
    let got = whole(b"t_us,x,y,p\n1,40000,1,1\n2,70000,1,1\n", &Options::default());
    assert_eq!((got.out.events.x(), got.report.unknown_words), ([40_000].as_slice(), 1));
}

#[test]
fn commas_are_read_and_comments_alone_are_an_empty_recording() {
    let got = whole(b"# nothing\nt_us,x,y,p\n# here\n", &Options::default());
    assert_eq!((got.error, got.report.events), (None, 0));
}

#[test]
fn columns_without_a_header_are_asked_for() {
    let Some(bytes) = recording("zhangkaicuhk+EvCamMOKE/feedback-sorted.csv") else { return };
    let error = whole(&bytes, &Options::default()).error.unwrap();
    assert_eq!(error.kind, EventErrorKind::Invalid);
    assert!(error.what.contains("x,y,p,t"), "{error}");
    let text = TextOptions {
        columns: Some(TextOptions::columns_of("x,y,p,t").unwrap()),
        time_unit: TimeUnit::Auto,
    };
    let error = whole(&bytes, &Options { text, ..Options::default() }).error.unwrap();
    assert!(error.what.contains("unit"), "{error}");
}

#[test]
fn the_truncated_end_of_a_raw_file_is_told() {
    let Some(mut bytes) = recording("open-neuromorphic+expelliarmus/evt2_sample.raw") else {
        return;
    };
    bytes.truncate(5_001);
    let got = whole(&bytes, &Options::default());
    assert!(got.report.events > 1_000);
    assert!((1..4).contains(&got.report.tail_bytes));
    assert_eq!(got.report.faults_total, 1);
}

#[test]
fn the_size_in_a_header_is_returned_and_a_missing_one_is_not_guessed() {
    let Some(bytes) = recording("derived/test_data_evt3_trigger_0.evt3.raw") else { return };
    assert_eq!(whole(&bytes, &Options::default()).size, Some((1280, 720)));
    let Some(bytes) = recording("open-neuromorphic+expelliarmus/evt2_sample.raw") else { return };
    assert_eq!(whole(&bytes, &Options::default()).size, None);
}
