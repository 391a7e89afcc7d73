//! Events as columns: types, nulls, times, and schemas that are inferred.

mod support;

use std::collections::HashSet;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMillisecondType};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use idmerge_events::columns::{
    ColumnBuilder, Columns, ExpectedKinds, Flattener, NamedKinds, SparseColumn, arrow_type, milliseconds,
};
use idmerge_events::json::cells::Cell;
use idmerge_events::scan::{Scan, Scanner};
use idmerge_events::schema::kind;
use proptest::prelude::*;
use serde_json::{Value, json};
use support::{LONGEST, rules};

#[test]
fn a_column_has_the_narrowest_type_that_holds_all_its_values_exactly() {
    use kind::{BOOL, FLOAT, INTEGER, LARGE, NESTED, NULL, TEXT};
    for (kinds, wanted) in [
        (0, DataType::Utf8),
        (NULL, DataType::Utf8),
        (BOOL | NULL, DataType::Boolean),
        (INTEGER, DataType::Int64),
        (INTEGER | LARGE | NULL, DataType::Int64),
        (FLOAT, DataType::Float64),
        (INTEGER | FLOAT, DataType::Float64),
        (INTEGER | LARGE | FLOAT, DataType::Utf8),
        (INTEGER | BOOL, DataType::Utf8),
        (TEXT | INTEGER, DataType::Utf8),
        (NESTED, DataType::Utf8),
    ] {
        assert_eq!(arrow_type(kinds), wanted, "{kinds}");
    }
    assert_eq!(kind::of_integer(1 << 53), INTEGER);
    assert_eq!(kind::of_integer((1 << 53) + 1), INTEGER | LARGE);
    assert_eq!(kind::of_integer(i64::MIN), INTEGER | LARGE);
    assert_eq!(kind::of_unsigned(u64::MAX), TEXT);
}

#[test]
fn rows_that_a_builder_is_not_given_are_null_and_the_first_of_a_row_counts() {
    let mut column = ColumnBuilder::expecting(0);
    column.set(1, &Cell::Integer(5), "");
    column.set(1, &Cell::Integer(6), "");
    column.set(3, &Cell::Null, "");
    column.set(4, &Cell::Integer(7), "");
    assert!(column.is_exact());
    let array = column.finish(6).expect("it has values").dense();
    let values: Vec<_> = array.as_primitive::<Int64Type>().iter().collect();
    assert_eq!(values, [None, Some(5), None, None, Some(7), None]);
}

#[test]
fn a_builder_of_a_wrongly_guessed_type_reports_it() {
    let mut column = ColumnBuilder::expecting(0);
    column.set(0, &Cell::Integer(5), "");
    column.set(1, &Cell::Float(0.5), "");
    assert!(!column.is_exact());
    assert_eq!(column.kinds(), kind::INTEGER | kind::FLOAT);
    let mut column = ColumnBuilder::expecting(kind::INTEGER | kind::FLOAT);
    column.set(0, &Cell::Integer(5), "");
    assert!(column.is_exact());
    let array = column.finish(1).expect("it has values").dense();
    assert_eq!(array.as_primitive::<Float64Type>().value(0).to_bits(), 5f64.to_bits());
    assert!(ColumnBuilder::expecting(kind::NULL).finish(3).is_none());
    assert_eq!(ColumnBuilder::expecting(kind::BOOL).finish_with_nulls(3).data_type(), &DataType::Boolean);
}

#[test]
fn times_are_seconds_milliseconds_or_iso_8601() {
    let text = |text: &'static str| milliseconds(&Cell::Borrowed(text), "");
    assert_eq!(milliseconds(&Cell::Integer(1_700_000_000), ""), Some(1_700_000_000_000));
    assert_eq!(milliseconds(&Cell::Integer(99_999_999_999), ""), Some(99_999_999_999_000));
    assert_eq!(milliseconds(&Cell::Integer(100_000_000_000), ""), Some(100_000_000_000));
    assert_eq!(milliseconds(&Cell::Integer(-1), ""), Some(-1000));
    assert_eq!(milliseconds(&Cell::Float(0.001), ""), Some(1));
    assert_eq!(text("1700000000"), Some(1_700_000_000_000));
    assert_eq!(text("2023-11-14T22:13:20Z"), Some(1_700_000_000_000));
    assert_eq!(text("2023-11-15T00:13:20+02:00"), Some(1_700_000_000_000));
    assert_eq!(text("2023-11-14 23:13:20 Europe/Berlin"), Some(1_700_000_000_000));
    assert_eq!(text("2023-11-14"), Some(1_699_920_000_000));
    assert_eq!(text("2023-11-14 22:13:20.000 Z"), Some(1_700_000_000_000));
    assert_eq!(text("2023-11-14T22:13  z"), Some(1_699_999_980_000));
    for none in
        ["", "soon", "nan", "inf", "1e300", "-1e300", "2023-13-01", "2023-11-14T22:1é", "2023-11-14T22:60"]
    {
        assert_eq!(text(none), None, "{none}");
    }
    for cell in [
        Cell::Null,
        Cell::Bool(true),
        Cell::Nested(0..0),
        Cell::Integer(-62_135_596_800_001),
        Cell::Float(f64::INFINITY),
        Cell::Float(-62_135_596_800_001.0),
    ] {
        assert_eq!(milliseconds(&cell, ""), None, "{cell:?}");
    }
    assert_eq!(milliseconds(&Cell::Integer(99_999_999_999_999), ""), Some(99_999_999_999_999));
    assert_eq!(milliseconds(&Cell::Integer(1_700_000_000_123_500), ""), Some(1_700_000_000_124));
    assert_eq!(milliseconds(&Cell::Integer(-1_700_000_000_123_500), ""), Some(-1_700_000_000_124));
    assert_eq!(milliseconds(&Cell::Integer(i64::MAX), ""), Some(9_223_372_036_855));
    assert_eq!(milliseconds(&Cell::Integer(i64::MIN), ""), Some(-9_223_372_036_855));
}

fn scan_columns(text: &str, expected: &ExpectedKinds) -> Scan {
    let scanner = Scanner::new(rules(), LONGEST, true);
    scanner.scan(&[], text.as_bytes(), Some(expected), None).expect("a short text")
}

fn columns(text: &str) -> Columns {
    scan_columns(text, &ExpectedKinds::of(None)).columns.expect("nothing is unread")
}

#[test]
fn every_table_has_the_name_the_time_and_both_ids_of_an_event() {
    let own = r#"{"event":"Buy","properties":{"time":1,"distinct_id":7,"$distinct_id_before_identity":"d"}}"#;
    let other = r#"{"event":null,"properties":{"distinct_id":true}}"#;
    let columns = columns(&format!("{own}\n{{\"event\":3}}\n{other}\n"));
    let [event, time, id, before] = columns.always();
    assert_eq!(columns.rows(), 3);
    assert_eq!(event.as_string::<i32>().iter().collect::<Vec<_>>(), [Some("Buy"), None, None]);
    assert_eq!(time.as_primitive::<TimestampMillisecondType>().value(0), 1000);
    assert_eq!(id.as_string::<i32>().iter().collect::<Vec<_>>(), [Some("7"), None, None]);
    assert_eq!(before.as_string::<i32>().iter().collect::<Vec<_>>(), [Some("d"), None, None]);
}

#[test]
fn a_schema_is_inferred_from_all_values_of_a_block() {
    let text = [1, 2, 3].map(|row| match row {
        1 => json!({"event":"e","properties": {"n": 1, "x": 1, "s": true, "none": null}}),
        2 => json!({"event":"e","properties": {"n": 2, "x": 0.5, "s": "t"}}),
        _ => json!({"event":"e","properties": {"x": 2, "s": [1]}}),
    });
    let columns = columns(&text.map(|event| event.to_string()).join("\n"));
    let plain = |name: &str| columns.plain(name).map(SparseColumn::dense);
    let n: Vec<_> = plain("n").expect("values").as_primitive::<Int64Type>().iter().collect();
    assert_eq!(n, [Some(1), Some(2), None]);
    let x: Vec<_> = plain("x").expect("values").as_primitive::<Float64Type>().iter().collect();
    assert_eq!(x, [Some(1.0), Some(0.5), Some(2.0)]);
    let s = plain("s").expect("values");
    let s: Vec<_> = s.as_string::<i32>().iter().collect();
    assert_eq!(s, [Some("true"), Some("t"), Some("[1]")]);
    assert!(plain("none").is_none());
}

#[test]
fn only_chosen_properties_become_columns() {
    let text = r#"{"event":"e","properties":{"a":1,"b":2}}"#;
    let chosen = HashSet::from(["b".to_owned()]);
    let columns = scan_columns(text, &ExpectedKinds::of(Some(chosen))).columns.expect("columns");
    assert!(columns.plain("a").is_none() && columns.plain("b").is_some());
}

#[test]
fn there_are_no_columns_until_declined_lines_are_filled() {
    let text = b"{\"event\":\"e\",\"properties\":{\"a\":1}}\nNaN\n{\"a\":NaN}\n";
    let (scanner, expected) = (Scanner::new(rules(), LONGEST, true), ExpectedKinds::of(None));
    let scan = scanner.scan(&[], text, Some(&expected), None).expect("a short text");
    assert!(scan.columns.is_none());
    assert_eq!(scan.unread().iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 2]);
    let filled = [None, Some(br#"{"event":"e","properties":{"a":2.5}}"#.as_slice())];
    let scan = scanner.scan(&[], text, Some(&expected), Some(&filled)).expect("each is filled");
    let columns = scan.columns.expect("nothing is unread");
    let a: Vec<_> =
        columns.plain("a").expect("values").dense().as_primitive::<Float64Type>().iter().collect();
    assert_eq!(a, [Some(1.0), Some(2.5)]);
    for wrong in [&filled[..1], &[Some(b"x".as_slice()), None]] {
        let error = scanner.scan(&[], text, Some(&expected), Some(wrong)).err().expect("wrongly filled");
        assert!(error.to_string().ends_with("is filled with no event"), "{error}");
    }
}

#[test]
fn sparse_columns_take_the_memory_of_their_values() {
    let lines = |properties: usize| {
        let event = |row| format!("{{\"event\":\"e\",\"properties\":{{\"p{}\":1}}}}", row % properties);
        (0..4000).map(event).collect::<Vec<_>>().join("\n")
    };
    let (few, many) = (columns(&lines(2)), columns(&lines(2000)));
    let bytes = |columns: &Columns, name: &str| columns.plain(name).expect("values").bytes();
    assert!(many.bytes() < 3 * few.bytes(), "{} and {}", many.bytes(), few.bytes());
    assert!(bytes(&many, "p1999") < bytes(&few, "p1") / 8);
    let last = many.plain("p1999").expect("values").dense();
    assert_eq!((last.len(), last.null_count()), (4000, 3998));
    assert!(last.is_valid(1999) && last.is_valid(3999));
}

fn flatten(properties: &[NamedKinds], text: &str) -> Result<RecordBatch, String> {
    let flattened = Flattener::new(properties.to_vec(), LONGEST)
        .flatten::<&[u8]>(&[], text.as_bytes(), None)
        .map_err(|error| error.to_string())?;
    flattened.table.ok_or_else(|| "holes".to_owned())
}

fn named(name: &str, kinds: u8) -> NamedKinds {
    (name.to_owned(), format!("{name}_"), kinds)
}

#[test]
fn lines_are_flattened_into_columns_of_known_types() {
    let properties =
        [named("a", kind::INTEGER | kind::FLOAT), named("b", kind::BOOL), named("time", kind::TEXT)];
    let table =
        flatten(&properties, "{\"event\":\"e\",\"properties\":{\"a\":1,\"other\":9}}\n").expect("no holes");
    let schema = table.schema();
    let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["event", "time", "distinct_id", "$distinct_id_before_identity", "a_", "b_"]);
    assert_eq!(table["a_"].as_primitive::<Float64Type>().iter().collect::<Vec<_>>(), [Some(1.0)]);
    assert_eq!(table["b_"].null_count(), 1);
    let error = flatten(&properties, "{\"event\":\"e\",\"properties\":{\"b\":1}}").expect_err("another kind");
    assert_eq!(error, "the events are not those whose properties were looked at");
    assert_eq!(
        flatten(&properties, "{\"event\":\"e\",\"properties\":{\"a\":NaN}}").expect_err("declined"),
        "holes"
    );
}

#[test]
fn a_line_that_is_too_long_is_declined_and_only_its_beginning_kept() {
    let flattener = Flattener::new(Vec::new(), 12);
    let text = b"{\"event\":\"long\"}\n{\"event\":1}\n";
    let table =
        flattener.flatten::<&[u8]>(b"{\"a\":\"", b"1234567890\"}\n{\"event\":1}", None).expect("holes");
    assert_eq!((table.lines, table.holes), (2, vec![(0, b"{\"a\":\"1234567".to_vec())]));
    let table = flattener.flatten(&[], text, Some(&[Some("{\"event\":\"short\"}")])).expect("filled");
    let table = table.table.expect("no holes");
    assert_eq!(table["event"].as_string::<i32>().iter().collect::<Vec<_>>(), [Some("short"), None]);
}

/// Values of a property, of the kinds that columns distinguish.
fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-9i64..9).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-9i32..9).prop_map(|number| Value::from(f64::from(number) / 2.0)),
        "[a-b\"]{0,2}".prop_map(Value::from),
        Just(json!([1, {"a": null}])),
    ]
}

/// Returns the text that a column of text, or of anything else, holds for a value.
fn shown(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

proptest! {
    #[test]
    fn a_column_holds_each_value_exactly(values in proptest::collection::vec(values(), 1..6)) {
        let lines: Vec<String> =
            values.iter().map(|value| json!({"event":"e","properties": {"p": value}}).to_string()).collect();
        let columns = columns(&lines.join("\n"));
        let Some(array) = columns.plain("p").map(SparseColumn::dense) else {
            prop_assert!(values.iter().all(Value::is_null));
            return Ok(());
        };
        for (row, value) in values.iter().enumerate() {
            prop_assert_eq!(array.is_null(row), value.is_null());
            if value.is_null() {
                continue;
            }
            match array.data_type() {
                DataType::Int64 => {
                    prop_assert_eq!(Some(array.as_primitive::<Int64Type>().value(row)), value.as_i64());
                }
                DataType::Float64 => {
                    let float = array.as_primitive::<Float64Type>().value(row);
                    prop_assert_eq!(Some(float), value.as_f64());
                    prop_assert!(value.as_i64().is_none_or(|integer| integer.unsigned_abs() <= 1 << 53));
                }
                DataType::Boolean => prop_assert_eq!(Some(array.as_boolean().value(row)), value.as_bool()),
                _ => prop_assert_eq!(Some(array.as_string::<i32>().value(row).to_owned()), shown(value)),
            }
        }
    }
}
