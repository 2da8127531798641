//! Lists that nobody wrote: they cost little, and hide nothing but what they name.

use presence_fsck::Code;

use crate::support::{Golden, check, device, figure, files, plan, repair};

/// The log with a damaged block, its repair, and the list's name and text.
fn repaired() -> (crate::support::Files, String, String) {
    let golden = &Golden::all()[0];
    let mut damaged = golden.files.clone();
    damaged.get_mut("seg-00000003.presence").unwrap()[1024..3000].fill(9);
    let memory = device(&damaged);
    let (plan, done) = repair(&memory);
    assert!(!done.report.lost.is_empty() && done.exit_code() == 1, "{:#?}", done.report);
    let after = files(&memory);
    let list = plan.list.unwrap();
    let text = String::from_utf8(after[&list].clone()).unwrap();
    (after, list, text)
}

#[test]
fn without_its_list_a_loss_is_an_error_again() {
    let (mut after, list, text) = repaired();
    after.remove(&list);
    assert_eq!(check(&device(&after)).exit_code, 4);
    let other = text.replace("\"database\": \"", "\"database\": \"00");
    after.insert(list, other.into_bytes());
    assert_eq!(check(&device(&after)).exit_code, 4);
}

#[test]
fn any_text_in_the_place_of_a_list() {
    let (mut after, list, text) = repaired();
    let mut tried = 0;
    let mut judge = |bytes: Vec<u8>| {
        after.insert(list.clone(), bytes);
        let memory = device(&after);
        let report = check(&memory);
        assert!([0, 4].contains(&report.exit_code), "{report:#?}");
        assert!(report.of(Code::KnownLoss).count() <= report.lost.len());
        assert!(plan(&memory).is_empty());
        tried += 1;
    };
    for at in (0..text.len()).step_by(17) {
        judge(text.as_bytes()[..at].to_vec());
        let mut flipped = text.clone().into_bytes();
        flipped[at] ^= 1 << (at % 7);
        judge(flipped);
    }
    judge(vec![b'['; 4 << 20]);
    judge("{\"a\":".repeat(1 << 18).into_bytes());
    let lost = r#"{"stream":"stream-0","first_sequence":0,"records":1},"#.repeat(100_000);
    let start = text.find("\"lost\": [").unwrap() + 9;
    judge([&text[..start], &lost, &text[start..]].concat().into_bytes());
    judge([&text[..start], &lost, &lost, &text[start..]].concat().into_bytes());
    let greatest = text.replace("\"records\": ", "\"records\": 1844674407370955161");
    judge(greatest.into_bytes());
    judge(vec![b' '; 9 << 20]);
    // Names that lead elsewhere.
    judge(text.replace("seg-00000003", "../../../etc/passwd").into_bytes());
    judge(text.replace("\"to\": \"quarantine-", "\"to\": \"../quarantine-").into_bytes());
    figure("hostile lists", tried);
}
