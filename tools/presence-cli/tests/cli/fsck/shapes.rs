//! The documents that `presence-fsck --json` writes, field by field.
//!
//! # Invariants
//! - A field that comes, goes, or changes its type fails here: programs read it.

use serde_json::Value;

/// What a field may hold.
#[derive(Debug, Clone, Copy)]
enum Is {
    Text,
    TextOrNull,
    Count,
    CountOrNull,
    NumberOrNull,
    Bool,
    List(&'static [(&'static str, Is)]),
    Texts,
    Steps,
    Object(&'static [(&'static str, Is)]),
}

const FINDING: &[(&str, Is)] = &[
    ("severity", Is::Text),
    ("code", Is::Text),
    ("file", Is::TextOrNull),
    ("offset", Is::CountOrNull),
    ("end", Is::CountOrNull),
    ("what", Is::Text),
    ("advice", Is::Text),
];

const LOST: &[(&str, Is)] = &[
    ("stream", Is::Text),
    ("first_sequence", Is::Count),
    ("records", Is::Count),
    ("after_ts", Is::NumberOrNull),
    ("before_ts", Is::NumberOrNull),
    ("known_since", Is::TextOrNull),
];

const TOTALS: &[(&str, Is)] = &[
    ("segments", Is::Count),
    ("bytes", Is::Count),
    ("entries", Is::Count),
    ("blocks", Is::Count),
    ("streams", Is::Count),
    ("records", Is::Count),
    ("torn_bytes", Is::Count),
];

const REPORT: &[(&str, Is)] = &[
    ("report_version", Is::Count),
    ("tool_version", Is::Text),
    ("path", Is::Text),
    ("level", Is::Text),
    ("strict", Is::Bool),
    ("database", Is::TextOrNull),
    ("findings", Is::List(FINDING)),
    ("further_findings", Is::Count),
    ("lost", Is::List(LOST)),
    ("totals", Is::Object(TOTALS)),
    ("interrupted", Is::Bool),
    ("exit_code", Is::Count),
];

const PLAN: &[(&str, Is)] = &[
    ("plan_version", Is::Count),
    ("tool_version", Is::Text),
    ("path", Is::Text),
    ("database", Is::TextOrNull),
    ("steps", Is::Steps),
    ("list", Is::TextOrNull),
    ("left", Is::List(FINDING)),
    ("missing", Is::List(LOST)),
];

const REPAIRED: &[(&str, Is)] = &[
    ("repaired_version", Is::Count),
    ("steps", Is::Steps),
    ("list", Is::TextOrNull),
    ("report", Is::Object(REPORT)),
];

const SALVAGED: &[(&str, Is)] = &[
    ("report_version", Is::Count),
    ("source", Is::Text),
    ("streams", Is::Count),
    ("records", Is::Count),
    ("lost", Is::List(LOST)),
    ("refused", Is::List(REFUSED)),
    ("further_refused", Is::Count),
    ("replaced", Is::Count),
    ("foreign", Is::Count),
    ("unsound", Is::Count),
    ("uncounted_frames", Is::Count),
    ("unread", Is::Texts),
    ("left_over", Is::Texts),
];

const REFUSED: &[(&str, Is)] = &[("file", Is::Text), ("offset", Is::Count), ("what", Is::Text)];

const MOVED: &[(&str, Is)] =
    &[("action", Is::Text), ("file", Is::Text), ("to", Is::Text), ("reasons", Is::Texts)];

const REWRITTEN: &[(&str, Is)] = &[
    ("action", Is::Text),
    ("file", Is::Text),
    ("to", Is::Text),
    ("was_set_aside", Is::Bool),
    ("replacement", Is::Text),
    ("blocks", Is::Count),
    ("records", Is::Count),
    ("from_frames", Is::Count),
    ("reasons", Is::Texts),
];

/// Asserts that `value` is what a check writes.
#[track_caller]
pub(crate) fn report(value: &Value) {
    object(value, REPORT);
    assert_eq!(value["report_version"], 1);
}

/// Asserts that `value` is what `--repair -n` writes.
#[track_caller]
pub(crate) fn plan(value: &Value) {
    object(value, PLAN);
    assert_eq!(value["plan_version"], 1);
}

/// Asserts that `value` is what `--repair -y` writes.
#[track_caller]
pub(crate) fn repaired(value: &Value) {
    object(value, REPAIRED);
    assert_eq!(value["repaired_version"], 1);
}

/// Asserts that `value` is what `--salvage` writes.
#[track_caller]
pub(crate) fn salvaged(value: &Value) {
    object(value, SALVAGED);
    assert_eq!(value["report_version"], 1);
}

#[track_caller]
fn object(value: &Value, fields: &[(&str, Is)]) {
    let Some(object) = value.as_object() else { panic!("no object: {value}") };
    let mut names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    let mut there: Vec<&String> = object.keys().collect();
    there.sort_unstable();
    assert_eq!(there, names, "{value}");
    for (name, is) in fields {
        assert!(fits(&object[*name], *is), "{name} is no {is:?}: {}", object[*name]);
    }
}

fn fits(value: &Value, is: Is) -> bool {
    match is {
        Is::Text => value.is_string(),
        Is::TextOrNull => value.is_string() || value.is_null(),
        Is::Count => value.is_u64(),
        Is::CountOrNull => value.is_u64() || value.is_null(),
        Is::NumberOrNull => value.is_i64() || value.is_null(),
        Is::Bool => value.is_boolean(),
        Is::Texts => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
        Is::List(fields) => {
            value.as_array().into_iter().flatten().for_each(|one| object(one, fields));
            value.is_array()
        }
        Is::Object(fields) => {
            object(value, fields);
            true
        }
        Is::Steps => {
            for step in value.as_array().into_iter().flatten() {
                match step["action"].as_str() {
                    Some("rewrite") => object(step, REWRITTEN),
                    Some("set-aside" | "rename") => object(step, MOVED),
                    other => panic!("no action: {other:?}"),
                }
            }
            value.is_array()
        }
    }
}
