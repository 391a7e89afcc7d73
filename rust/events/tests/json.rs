//! The parser, judged by `serde_json`: it accepts the same events, and reads the same values in
//! them.

mod support;

use idmerge_core::OBSERVE;
use idmerge_events::json::cells::{Cell, Cells, Spare};
use idmerge_events::json::text::float_text;
use idmerge_events::links::Rules;
use idmerge_events::schema::{Names, Properties, kind};
use proptest::prelude::*;
use serde_json::Value;
use support::{Owned, step};

/// Returns the JSON text of the value of the property `p`; None if the line is declined.
fn read(line: &str) -> Option<String> {
    let mut names = Names::default();
    names.add("p");
    let (mut buffer, mut spare) = (String::new(), Spare::default());
    let cells = Cells::read(line, &mut names, &mut buffer, &mut spare)?;
    let Some((_, cell)) = cells.properties.last() else { return Some(String::new()) };
    Some(match cell {
        Cell::Null => "null".to_owned(),
        Cell::Borrowed(_) | Cell::Unescaped(_) => {
            Value::from(cell.text(&buffer).expect("a text").into_owned()).to_string()
        }
        _ => cell.text(&buffer).expect("no null").into_owned(),
    })
}

fn read_value(value: &str) -> Option<String> {
    read(&format!(r#"{{"event":"e","properties":{{"p":{value}}}}}"#))
}

#[test]
fn scalars_are_read_as_they_are() {
    for value in ["null", "true", "false", "0", "-1", "9223372036854775807", "\"\"", "\"é\""] {
        assert_eq!(read_value(value).as_deref(), Some(value));
    }
    assert_eq!(read_value("18446744073709551615").as_deref(), Some("18446744073709551615"));
    assert_eq!(read_value("1e2").as_deref(), Some("100.0"));
    assert_eq!(read_value("18446744073709551616").as_deref(), Some("1.8446744073709552e+19"));
    assert_eq!(read_value(r#""\u00e9\n\/""#).as_deref(), Some("\"é\\n/\""));
}

/// By the specification `-0` is a float, and zero as a float has no sign.
#[test]
fn negative_zero_is_the_float_zero_in_the_cells_and_in_the_schema() {
    for (zero, text, kinds) in [
        ("-0", "0.0", kind::FLOAT),
        ("-0.0", "0.0", kind::FLOAT),
        ("-0e5", "0.0", kind::FLOAT),
        ("0e-0", "0.0", kind::FLOAT),
        ("-0.5", "-0.5", kind::FLOAT),
        ("0", "0", kind::INTEGER),
        ("[1,-0 ]", "[1,0.0]", kind::NESTED),
        (r#"{"a": -0}"#, r#"{"a":0.0}"#, kind::NESTED),
        (r#""-0""#, r#""-0""#, kind::TEXT),
    ] {
        assert_eq!(read_value(zero).as_deref(), Some(text), "{zero}");
        let (rules, mut unescaped, mut properties) = (support::rules(), String::new(), Properties::default());
        let line = format!(r#"{{"event":"e","properties":{{"p":{zero}}}}}"#);
        assert!(rules.stated(&line, OBSERVE, &mut unescaped, Some((&mut properties, 0))).is_some(), "{zero}");
        assert_eq!(properties.list(), [("p", kinds, 0)], "{zero}");
        assert_eq!(step(&line), Some((None, Vec::new())), "{zero}");
    }
}

#[test]
fn nested_values_become_json_text_without_blanks() {
    let value = r#" { "a" : [ 1 , 2.50 , "\u00e9" , null , { } , [ ] ] , "b" : true } "#;
    assert_eq!(read_value(value).as_deref(), Some(r#"{"a":[1,2.5,"é",null,{},[]],"b":true}"#));
}

#[test]
fn equal_keys_in_a_nested_object_are_declined_and_in_the_properties_the_last_counts() {
    assert_eq!(read_value(r#"{"a":1,"\u0061":2}"#), None);
    assert_eq!(read_value(r#"[{"b":1,"b":1}]"#), None);
    let many: Vec<String> = (0..30).map(|key| format!("\"{key}\":0")).collect();
    assert_eq!(read_value(&format!("{{{}}}", many.join(","))), Some(format!("{{{}}}", many.join(","))));
    assert_eq!(read_value(&format!("{{{},\"29\":1}}", many.join(","))), None);
    assert_eq!(read(r#"{"event":"e","properties":{"p":1,"\u0070":2}}"#).as_deref(), Some("2"));
    assert_eq!(read(r#"{"event":"e","properties":{"p":1},"properties":{}}"#).as_deref(), Some(""));
}

#[test]
fn floats_have_the_shortest_form_that_is_read_as_the_same() {
    for (number, text) in [(0.1, "0.1"), (1.0, "1.0"), (1e300, "1e+300"), (5e-324, "5e-324")] {
        assert_eq!(float_text(number), text);
    }
}

#[test]
fn a_declined_line_leaves_its_properties_unlisted() {
    let (rules, mut properties, mut unescaped) = (support::rules(), Properties::default(), String::new());
    let mut read = |line: &str, row| {
        Rules::stated(&rules, line, OBSERVE, &mut unescaped, Some((&mut properties, row))).is_some()
    };
    assert!(read(r#"{"event":"e","properties":{"a":1}}"#, 0));
    assert!(!read(r#"{"event":"e","properties":{"b":1}} x"#, 1));
    assert!(read(r#"{"event":"e","properties":{"c":"t","a":1.5,"c":null}}"#, 2));
    assert!(read(r#"{"event":"e","properties":{"b":[]}}"#, 3));
    let listed = [("a", kind::INTEGER | kind::FLOAT, 0), ("c", kind::NULL, 2), ("b", kind::NESTED, 3)];
    assert_eq!(properties.list(), listed);
}

/// Texts near JSON: tokens in any order, so that many are whole values.
fn near_json() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        8 => prop_oneof![
            Just("{"), Just("}"), Just("["), Just("]"), Just(","), Just(":"), Just("\"a\""), Just("\"b\""),
        ],
        4 => prop_oneof![
            Just("1"), Just("-0"), Just("0.5"), Just("1.5"), Just("1e5"), Just("1E+400"), Just("01"), Just("1."), Just("null"),
            Just("true"), Just("tru"), Just("NaN"), Just("-"), Just("18446744073709551616"),
        ],
        2 => prop_oneof![
            Just("\"\\u00e9\""), Just("\"\\ud83d\\ude00\""), Just("\"\\ud800\""), Just("\"\\x\""), Just("\"\n\""),
            Just("\"\u{7f}\""), Just("\""), Just(" "), Just("\u{b}"),
        ],
    ];
    proptest::collection::vec(token, 0..10).prop_map(|tokens| tokens.concat())
}

/// Returns the JSON text of a value, in which no zero has a sign; `serde_json` reads `-0` as
/// `-0.0`.
fn canonical(value: &Value) -> String {
    let mut value = value.clone();
    drop_signs_of_zeros(&mut value);
    value.to_string()
}

fn drop_signs_of_zeros(value: &mut Value) {
    match value {
        Value::Number(number) if number.as_f64() == Some(0.0) && number.is_f64() => *value = 0.0.into(),
        Value::Array(list) => list.iter_mut().for_each(drop_signs_of_zeros),
        Value::Object(object) => object.values_mut().for_each(drop_signs_of_zeros),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_value_is_accepted_only_if_it_is_json_and_has_the_same_meaning(value in near_json()) {
        if let Some(read) = read_value(&value) {
            // More text than a value can close the object early; then it is another event, but
            // still JSON.
            let line = format!(r#"{{"event":"e","properties":{{"p":{value}}}}}"#);
            let event: Value = serde_json::from_str(&line).map_err(|error| {
                TestCaseError::fail(format!("{line} is no JSON: {error}"))
            })?;
            let expected = event["properties"].get("p").map_or_else(String::new, canonical);
            let read = serde_json::from_str(&read).map_or_else(|_| String::new(), |value| canonical(&value));
            prop_assert_eq!(read, expected);
        }
    }

    #[test]
    fn any_event_of_plain_json_is_accepted(value in proptest::arbitrary::any::<u64>(), id in "\\PC{0,8}") {
        let event = serde_json::json!({"event": "e", "properties": {"distinct_id": id, "p": value}});
        let expected: Owned = Some((None, vec![id]));
        prop_assert_eq!(step(&event.to_string()), expected);
        prop_assert_eq!(read(&event.to_string()), Some(value.to_string()));
    }

    #[test]
    fn both_readers_state_the_same(text in near_json(), event in "(\\$merge|\\$identify|Buy)") {
        let properties = format!("\"distinct_id\":{text},\"$distinct_ids\":[{text}],\"$anon_id\":{text}");
        let line = format!(r#"{{"event":"{event}","properties":{{{properties}}}}}"#);
        let rules = support::rules();
        let (mut one, mut other, mut buffer) = (String::new(), String::new(), String::new());
        let stated = rules.stated(&line, OBSERVE, &mut one, None);
        let mut keys = Properties::of(rules.keys());
        if let Some(cells) = Cells::read(&line, &mut keys, &mut buffer, &mut Spare::default()) {
            prop_assert_eq!(rules.stated_by(&cells, &[], &buffer, OBSERVE, &mut other), stated);
        }
    }
}
