//! Rows of a table whose properties are JSON text: what lines of the same events state.

mod support;

use arrow_array::cast::AsArray;
use arrow_array::{Array, LargeBinaryArray, RecordBatch};
use arrow_schema::DataType;
use idmerge_core::Kind;
use idmerge_events::rows::{RowReader, RowsRead};
use proptest::prelude::*;
use serde_json::json;
use support::{LONGEST, Owned, rules, step, steps_but};

fn column(texts: &[Option<&str>]) -> LargeBinaryArray {
    texts.iter().map(|text| text.map(str::as_bytes)).collect()
}

fn reader(columns: &[&str]) -> RowReader {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    RowReader::new(rules(), LONGEST, &owned(columns), owned(&["time", "$insert_id"])).expect("known columns")
}

fn read(rows: &[(Option<&str>, Option<&str>)]) -> RowsRead {
    let (names, texts): (Vec<_>, Vec<_>) = rows.iter().copied().unzip();
    reader(&[]).read(&column(&names), &column(&texts), &[]).expect("columns of one length")
}

fn one(name: &str, text: &str) -> RowsRead {
    read(&[(Some(name), Some(text))])
}

fn texts(batch: &RecordBatch, name: &str) -> Vec<Option<String>> {
    let column = batch.column_by_name(name).expect("a column").as_string::<i32>();
    column.iter().map(|text| text.map(str::to_owned)).collect()
}

fn ids(read: &RowsRead) -> [Vec<Option<String>>; 2] {
    ["distinct_id", "$distinct_id_before_identity"].map(|name| texts(&read.properties, name))
}

fn stated(read: &RowsRead) -> Vec<Owned> {
    steps_but(&read.scan, &read.declined)
}

fn kind_of_times(read: &RowsRead) -> DataType {
    read.properties.column_by_name("time").expect("it is wanted").data_type().clone()
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with a step that may be declined")]
fn link(kind: Kind, first: &str, second: &str) -> Owned {
    Some((Some(kind), vec![first.to_owned(), second.to_owned()]))
}

#[test]
fn a_row_without_properties_states_nothing() {
    let read =
        read(&[(Some("x"), None), (None, Some("null")), (Some("x"), Some("[1]")), (None, Some("\"{}\""))]);
    assert_eq!(stated(&read), vec![Some((None, Vec::new())); 4]);
    assert_eq!(ids(&read), [const { None }; 2].map(|none: Option<String>| vec![none; 4]));
    assert_eq!(kind_of_times(&read), DataType::Null);
}

#[test]
fn a_text_that_is_no_json_for_certain_is_a_hole_without_values() {
    let cases = [
        "",
        "{",
        "{}}",
        "{}{}",
        "{\"a\":NaN}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\n\"}",
        "\u{feff}{}",
        "{\"distinct_id\":\"u\",\"time\":{\"a\":1,\"a\":2}}",
        "{\"distinct_id\":1e30,\"time\":1}",
        "{\"$distinct_id_before_identity\":1e30,\"time\":1}",
    ];
    for text in cases {
        let read = one("x", text);
        assert_eq!(stated(&read), [None], "{text}");
        assert_eq!(ids(&read), [[None], [None]], "{text}");
        assert_eq!(kind_of_times(&read), DataType::Null, "{text}");
        assert_eq!((read.declined, read.unread), (vec![0], vec![0]), "{text}");
    }
}

#[test]
fn an_identity_event_without_an_operand_is_a_hole_with_values() {
    let read = one("$identify", r#"{"distinct_id":"u","time":1}"#);
    assert_eq!(stated(&read), [None]);
    assert_eq!((read.declined.as_slice(), read.unread.as_slice()), ([0].as_slice(), [].as_slice()));
    assert_eq!(ids(&read)[0], [Some("u".to_owned())]);
    assert_eq!(kind_of_times(&read), DataType::Int64);
}

#[test]
fn ends_of_lines_stand_between_values_as_blanks_do() {
    let read = one("x", "\r\n{\n\"distinct_id\"\n:\r\n7\t}\n");
    assert_eq!(ids(&read)[0], [Some("7".to_owned())]);
}

#[test]
fn bytes_that_are_no_utf8_are_a_hole() {
    let bad = LargeBinaryArray::from(vec![b"{\"a\":\"\xff\"}".as_slice()]);
    let good = column(&[Some("{}")]);
    for (name, text, own) in [(&good, &bad, &good), (&bad, &good, &good), (&good, &good, &bad)] {
        let read = reader(&["alias"]).read(name, text, std::slice::from_ref(own)).expect("columns");
        assert_eq!(stated(&read), [None]);
    }
}

#[test]
fn a_text_beyond_the_limit_is_a_hole() {
    let long = format!("{{\"distinct_id\":\"u\"}}{}", " ".repeat(LONGEST));
    assert_eq!(stated(&one("x", &long[..LONGEST])), [Some((None, vec!["u".to_owned()]))]);
    assert_eq!(stated(&one("x", &long)), [None]);
}

#[test]
fn a_column_counts_before_the_text_and_for_an_ordinary_event_alone() {
    let names = column(&[Some("$create_alias"), Some("$create_alias"), Some("x"), Some("x")]);
    let text = Some(r#"{"alias":"a","distinct_id":"u"}"#);
    let own = column(&[Some("v"), None, Some("v"), None]);
    let read = reader(&["distinct_id"]).read(&names, &column(&[text; 4]), &[own]).expect("columns");
    let observed = |ids: &[&str]| Some((None, ids.iter().map(|id| (*id).to_owned()).collect()));
    let expected =
        [link(Kind::Alias, "a", "v"), link(Kind::Alias, "a", "u"), observed(&["v"]), observed(&[])];
    assert_eq!(stated(&read), expected);
    assert_eq!(ids(&read)[0], vec![Some("u".to_owned()); 4], "the text's own");
}

#[test]
fn values_that_python_has_in_another_type_are_mixed() {
    let mixed = |values: &[&str]| {
        let texts: Vec<String> = values.iter().map(|value| format!(r#"{{"time":{value}}}"#)).collect();
        let rows: Vec<_> = texts.iter().map(|text| (Some("x"), Some(text.as_str()))).collect();
        read(&rows).mixed == ["time"]
    };
    for alike in [&["1", "null", "9007199254740993"][..], &["1.5", "2.0"], &["\"a\"", "\"1\""], &["true"]] {
        assert!(!mixed(alike), "{alike:?}");
    }
    let other = [&["1", "1.5"][..], &["1", "\"1\""], &["true", "1"], &["[1]"], &["{}"], &["-0"], &["-0.0"]];
    for differing in other.into_iter().chain([&["18446744073709551615"][..], &["1e300"], &["1e19"]]) {
        assert!(mixed(differing), "{differing:?}");
    }
}

#[test]
fn of_equal_keys_the_last_counts() {
    let read = one("x", r#"{"distinct_id":"a","time":"x","distinct\u005fid":"b","time":5}"#);
    assert_eq!(ids(&read)[0], [Some("b".to_owned())]);
    assert_eq!(kind_of_times(&read), DataType::Int64);
    assert_eq!(stated(&read), [Some((None, vec!["b".to_owned()]))]);
}

#[test]
fn columns_that_state_nothing_or_differ_in_length_are_refused() {
    assert!(RowReader::new(rules(), LONGEST, &["page".to_owned()], Vec::new()).is_none());
    let (row, rows) = (column(&[None]), column(&[None, None]));
    assert!(reader(&[]).read(&row, &rows, &[]).is_err());
    assert!(reader(&[]).read(&rows, &row, &[]).is_err());
    assert!(reader(&["alias"]).read(&row, &row, &[]).is_err());
    assert!(reader(&["alias"]).read(&row, &row, &[rows]).is_err());
}

fn simplified(columns: &[&str]) -> RowReader {
    let columns: Vec<_> = columns.iter().map(|name| (*name).to_owned()).collect();
    let rules = rules().simplified().expect("few keys");
    RowReader::new(rules, LONGEST, &columns, Vec::new()).expect("known columns")
}

#[test]
fn a_device_and_a_user_link_wherever_they_stand() {
    let names = column(&[Some("x"); 5]);
    let texts = column(&[
        Some(r#"{"$device_id":"d","distinct_id":"x"}"#),
        Some(r#"{"$device_id":"d"}"#),
        None,
        Some(r#"{"distinct_id":"x","$distinct_id_before_identity":"y"}"#),
        Some(r#"{"$device_id":1e30}"#),
    ]);
    let users = column(&[None, Some("u"), Some("u"), None, Some("u")]);
    let read = simplified(&["$user_id"]).read(&names, &texts, &[users]).expect("columns");
    let observed = |ids: &[&str]| Some((None, ids.iter().map(|id| (*id).to_owned()).collect()));
    let evidence = link(Kind::Evidence, "x", "y");
    let association = link(Kind::Association, "$device:d", "u");
    assert_eq!(stated(&read), [observed(&["$device:d"]), association, observed(&["u"]), evidence, None]);
    let texts = |ids: [Option<&str>; 5]| ids.map(|id| id.map(str::to_owned)).to_vec();
    let senders = texts([Some("$device:d"), Some("u"), Some("u"), Some("x"), None]);
    assert_eq!(ids(&read), [senders, texts([None, None, None, Some("y"), None])]);
    assert_eq!((read.declined, read.unread), (vec![4], vec![4]), "digits that the caller knows");
}

fn value() -> impl Strategy<Value = String> {
    let known = [
        "\"a\"",
        "\"\\u0061\"",
        "7",
        "-0",
        "1.0",
        "1e30",
        "null",
        "[\"a\",\"b\"]",
        "[1]",
        "{\"a\":1,\"a\":2}",
        "NaN",
        "\"\\ud800\"",
        "tru",
    ];
    prop_oneof![
        prop::sample::select(known.to_vec()).prop_map(str::to_owned),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| json!(number).to_string()),
        ".{0,4}".prop_map(|text| json!(text).to_string()),
    ]
}

fn object() -> impl Strategy<Value = String> {
    let keys = [
        "distinct_id",
        "$distinct_id_before_identity",
        "$anon_id",
        "$identified_id",
        "alias",
        "$distinct_ids",
        "$failure_reason",
        "time",
        "page",
    ];
    let pair = (prop::sample::select(keys.to_vec()), value());
    prop::collection::vec(pair, 0..6).prop_map(|pairs| {
        let pairs: Vec<String> =
            pairs.into_iter().map(|(key, value)| format!("\"{key}\" :{value}")).collect();
        format!("{{{}}}", pairs.join(", "))
    })
}

proptest! {
    #[test]
    fn a_row_states_what_a_line_does(
        name in prop::sample::select(vec!["$identify", "$create_alias", "$merge", "Page View"]),
        text in prop_oneof![9 => object(), 1 => ".{0,6}"],
    ) {
        let line = format!("{{\"event\":{},\"properties\":{text}}}", json!(name));
        let row = stated(&one(name, &text)).remove(0);
        // A row is a hole too where the ID that was sent is one, or a value of a column is.
        if row.is_some() && serde_json::from_str::<serde_json::Value>(&text).is_ok_and(|value| value.is_object()) {
            prop_assert_eq!(row, step(&line));
        }
    }

    #[test]
    fn arbitrary_texts_do_no_harm(texts in prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..20)), 0..6)) {
        let texts: LargeBinaryArray = texts.iter().map(|text| text.as_deref()).collect();
        let read = reader(&["distinct_id"]).read(&texts, &texts, std::slice::from_ref(&texts)).expect("columns");
        prop_assert_eq!(read.scan.len(), texts.len());
        prop_assert_eq!(read.properties.num_rows(), texts.len());
    }
}
