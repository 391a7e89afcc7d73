//! Lines of dialects as lines of the raw shape.

use idmerge_events::transcode::{Dialect, Transcoder, Vendor};
use proptest::prelude::*;

const LONGEST: usize = 200;

fn dialect(record: Option<&str>, is_flat: bool) -> Dialect {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let names = [("insert_id", "$insert_id"), ("mp_insert_id", "$insert_id"), ("uid", "distinct_id")];
    let names = names.map(|(key, raw)| (key.to_owned(), raw.to_owned()));
    let record = record.map(str::to_owned);
    let properties = owned(&["props", "properties"]);
    Dialect::new(owned(&["name", "event"]), properties, is_flat, record, names, "mp_reserved_")
}

fn cut(mut transcoder: Transcoder, text: &[u8], size: usize) -> Vec<u8> {
    let mut lines = Vec::new();
    for piece in text.chunks(size.max(1)) {
        transcoder.cut(piece, &mut lines);
    }
    transcoder.cut(&[], &mut lines);
    lines
}

fn flat(text: &str) -> String {
    let lines = cut(Transcoder::new(dialect(None, true), LONGEST), text.as_bytes(), usize::MAX);
    String::from_utf8(lines).expect("UTF-8 stays UTF-8")
}

fn messages(text: &str, is_flat: bool) -> String {
    let lines = cut(Transcoder::new(dialect(Some("row"), is_flat), LONGEST), text.as_bytes(), usize::MAX);
    String::from_utf8(lines).expect("UTF-8 stays UTF-8")
}

#[test]
fn values_are_copied_under_their_raw_names() {
    let line = r#"{"name": "A", "insert_id": "i" , "plan":[1.50, "\u00e9"],"mp_reserved_x": -0,"t":null}"#;
    let raw = r#"{"event":"A","properties":{"$insert_id":"i","$x":-0,"plan":[1.50, "\u00e9"]}}"#;
    assert_eq!(flat(line), raw);
    assert_eq!(flat(&format!("{line}\n")), format!("{raw}\n"));
}

#[test]
fn properties_come_first_then_renamed_fields_then_those_with_raw_names() {
    let line = r#"{"x":1,"insert_id":2,"event":null,"properties":{"x":3,"$insert_id":4}}"#;
    let raw = r#"{"event":null,"properties":{"x":3,"$insert_id":4,"$insert_id":2,"x":1}}"#;
    assert_eq!(flat(line), raw);
}

#[test]
fn the_first_key_of_a_name_counts_and_the_others_are_properties() {
    assert_eq!(flat(r#"{"event":1,"name":2}"#), r#"{"event":2,"properties":{"event":1}}"#);
    assert_eq!(
        flat(r#"{"event":1,"properties":{"a":1},"props":{}}"#),
        r#"{"event":1,"properties":{"properties":{"a":1}}}"#
    );
}

#[test]
fn a_field_keeps_its_name_where_another_one_has_its_raw_name() {
    assert_eq!(
        flat(r#"{"event":1,"mp_insert_id":"m","insert_id":"i"}"#),
        r#"{"event":1,"properties":{"$insert_id":"m","insert_id":"i"}}"#
    );
    assert_eq!(
        flat(r#"{"event":1,"insert_id":"i","$insert_id":"r"}"#),
        r#"{"event":1,"properties":{"insert_id":"i","$insert_id":"r"}}"#
    );
}

#[test]
fn properties_that_are_json_text_are_inlined_on_one_line() {
    let line = r#"{"event":1,"props":" {\n\"a\": \"\\u00e9\\n\", \"b\":[1]\n} "}"#;
    assert_eq!(flat(line), r#"{"event":1,"properties":{"a": "\u00e9\n", "b":[1]}}"#);
    assert_eq!(flat(r#"{"event":1,"props":"{ }","a":1}"#), r#"{"event":1,"properties":{"a":1}}"#);
    assert_eq!(flat(r#"{"event":1,"props":[1],"a":1}"#), r#"{"event":1,"properties":{"a":1}}"#);
}

#[test]
fn a_line_that_is_not_certain_is_passed_on_as_it_was() {
    for line in [
        "{",
        "[]",
        "7",
        "{}",
        r#"{"a":1}"#,
        r#"{"event":1,"a":NaN}"#,
        r#"{"event":1,"a":tru}"#,
        r#"{"event":1,"a":[1,]}"#,
        r#"{"event":1,"a":"\ud800"}"#,
        r#"{"event":1,"\ud800":1}"#,
        r#"{"event":1,"a":1,"\u0061":2}"#,
        r#"{"event":1} x"#,
        r#"{"event":1,"props":"{"}"#,
        r#"{"event":1,"props":"[]"}"#,
        r#"{"event":1,"props":"{} x"}"#,
        r#"{"event":1,"props":"{\"a\":\"\n\"}"}"#,
        "{\"event\":1,\"a\":\"\t\"}",
    ] {
        assert_eq!(flat(line), format!("\u{1}{line}"), "{line}");
    }
}

#[test]
fn messages_are_unwrapped_and_those_without_a_record_become_blank_lines() {
    let lines = r#"{"type":"SCHEMA","x":{}}
{"type":"RECORD","row":{"event":1,"uid":"u"},"time":1}
{"type":"RECORD"}
{"type":1,"row":{"event":1}}
{"row":{"event":1}}
{"type":"STATE","row":tru}
"#;
    let passed_on: Vec<_> = lines.lines().skip(2).collect();
    let expected = format!(
        "\n{}\n\u{1}{}\n",
        r#"{"event":1,"properties":{"distinct_id":"u"}}"#,
        passed_on.join("\n\u{1}")
    );
    assert_eq!(messages(lines, true), expected);
    let nested = r#"{"type":"RECORD","row":{"event":1,"properties":{"uid":1}, "x":2}}"#;
    assert_eq!(messages(nested, false), r#"{"event":1,"properties":{"uid":1}, "x":2}"#);
    let text = r#"{"type":"RECORD","row":{"event":1,"properties":"{}"}}"#;
    assert_eq!(messages(text, false), format!("\u{1}{text}"));
}

#[test]
fn a_line_beyond_the_limit_is_named_so_and_none_grows_beyond_it() {
    let long = format!("{{\"event\":\"{}\"}}\n", "x".repeat(LONGEST));
    assert_eq!(flat(&format!("{long}{{\"event\":1}}\n")), "\u{2}\n{\"event\":1,\"properties\":{}}\n");
    let most = format!("{{\"event\":\"{}\"}}\n", "x".repeat(LONGEST - 13));
    assert_eq!(most.len(), LONGEST);
    assert_eq!(flat(&most), format!("\u{1}{most}"));
    assert_eq!(flat(&format!(" {most}")), "\u{2}\n");
}

#[test]
fn a_row_of_very_many_keys_is_passed_on() {
    let keys: Vec<_> = (0..5000).map(|key| format!("\"k{key}\":1")).collect();
    let line = format!("{{\"event\":1,{}}}", keys.join(","));
    let lines = cut(Transcoder::new(dialect(None, true), 1_000_000), line.as_bytes(), 100);
    assert_eq!(lines, format!("\u{1}{line}").into_bytes());
}

proptest! {
    #[test]
    fn pieces_of_any_size_become_the_same_lines_and_none_is_lost(
        text in r#"([\{\}:,"\\ \nae1]|"event":|"props":"|\{"event":1,|"row":|null|\}\n|"type":"RECORD",){0,40}"#,
        size in 1_usize..50,
        has_record: bool,
        is_flat: bool,
    ) {
        let transcoder = || Transcoder::new(dialect(has_record.then_some("row"), is_flat), 40);
        let whole = cut(transcoder(), text.as_bytes(), usize::MAX);
        prop_assert_eq!(&cut(transcoder(), text.as_bytes(), size), &whole);
        let ends = |text: &[u8]| memchr::memchr_iter(b'\n', text).count();
        prop_assert_eq!(ends(&whole), ends(text.as_bytes()));
        for line in whole.split_inclusive(|byte| *byte == b'\n') {
            prop_assert!(line.len() <= 41);
        }
    }
}

#[test]
fn a_line_that_is_nested_without_end_is_left_to_the_caller() {
    let line = |inner: &str| format!("{{\"name\":\"x\",\"a\":{inner}}}\n");
    let text = "\"".to_owned() + &"[".repeat(150) + "\"";
    assert_eq!(flat(&line(&text)), format!("{{\"event\":\"x\",\"properties\":{{\"a\":{text}}}}}\n"));
    for deep in ["[".repeat(200_000) + &"]".repeat(200_000), "[".repeat(200_000), "{\"a\":".repeat(200_000)] {
        let mut lines = Vec::new();
        Transcoder::new(dialect(None, true), 10_000_000).cut(line(&deep).as_bytes(), &mut lines);
        assert_eq!(lines.first(), Some(&1), "it goes on behind a byte that no JSON has");
    }
}

fn product() -> Dialect {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let field = |raw: &str, keys: &[&str]| (raw.to_owned(), owned(keys));
    let fields =
        vec![field("$device_id", &["device"]), field("$user_id", &["user"]), field("time", &["at", "sent"])];
    let (names, left) = (owned(&["event", "type"]), owned(&["$merge"]));
    let calls = ("type".to_owned(), owned(&["identify", "alias"]));
    let vendor = Vendor::new(fields, owned(&["$user_id", "$device_id"]), left, calls);
    Dialect::new(names, owned(&["traits"]), true, None, [], "mp_reserved_")
        .of_vendor(vendor.with_identify("identify", ["$device_id".to_owned(), "$user_id".to_owned()]))
}

fn of_product(text: &str) -> String {
    let lines = cut(Transcoder::new(product(), LONGEST), text.as_bytes(), usize::MAX);
    String::from_utf8(lines).expect("UTF-8 stays UTF-8")
}

#[test]
fn the_id_of_a_products_event_is_its_user_or_else_its_device() {
    let row = r#"{"event":"A","device":"d","user":"u","traits":{"distinct_id":"n"}}"#;
    let raw =
        r#"{"event":"A","properties":{"distinct_id":"n","$device_id":"d","$user_id":"u","distinct_id":"u"}}"#;
    assert_eq!(of_product(row), raw);
    for user in ["null", "\"\""] {
        let made = of_product(&format!(r#"{{"event":"A","device":"d","user":{user}}}"#));
        assert!(made.ends_with(r#""distinct_id":"d"}}"#), "{made}");
    }
    let own = of_product(r#"{"event":"A","device":"d","distinct_id":"x"}"#);
    assert_eq!(own, r#"{"event":"A","properties":{"$device_id":"d","distinct_id":"x"}}"#);
}

#[test]
fn of_the_keys_of_a_products_field_the_first_counts_that_is_not_null() {
    let made = of_product(r#"{"sent":2,"at":1,"event":"A"}"#);
    assert_eq!(made, r#"{"event":"A","properties":{"time":1,"sent":2}}"#);
    assert_eq!(of_product(r#"{"sent":2,"at":null,"event":"A"}"#), r#"{"event":"A","properties":{"time":2}}"#);
    assert_eq!(
        of_product(r#"{"at":1,"time":3,"event":"A"}"#),
        r#"{"event":"A","properties":{"at":1,"time":3}}"#
    );
}

#[test]
fn an_identify_call_of_both_is_the_event_and_other_calls_are_left() {
    let row = r#"{"type":"identify","event":"","device":"d","user":7}"#;
    let raw = concat!(
        r#"{"event":"$identify","properties":{"$device_id":"d","$user_id":7,"event":"","#,
        r#""distinct_id":7,"$anon_id":"d","$identified_id":7}}"#
    );
    assert_eq!(of_product(row), raw);
    let half = of_product(r#"{"type":"identify","user":"u"}"#);
    assert_eq!(half, r#"{"event":"identify","properties":{"$user_id":"u","distinct_id":"u"}}"#);
    for left in [
        r#"{"type":"alias","user":"u"}"#,
        r#"{"type":"id\u0065ntify","user":"u"}"#,
        r#"{"event":"$merge","user":"u"}"#,
        r#"{"event":"\u0024merge","user":"u"}"#,
        r#"{"event":null,"user":"u"}"#,
    ] {
        assert_eq!(of_product(left), format!("\u{1}{left}"));
    }
}
