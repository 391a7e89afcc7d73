//! Profile updates, read into operations; what is not certain is declined.

use idmerge_events::updates::{Node, OPERATIONS, UpdateRows, Updates};

/// Returns the ID of an update, whether it is for that very ID, and its operations as text; None if
/// it is declined.
fn read(text: &str) -> Option<(String, bool, Vec<String>)> {
    let mut updates = Updates::default();
    updates.read(text).then(|| shown(&updates, 0))
}

fn shown(updates: &Updates, row: usize) -> (String, bool, Vec<String>) {
    let stated = updates.stated(row).expect("the row is read");
    let operations = stated.operations.iter().map(|operation| {
        let mut place = operation.first;
        let mut items = Vec::new();
        for _ in 0..operation.count {
            let name = value(updates, &mut place);
            items.push(match OPERATIONS[usize::from(operation.kind)] {
                "$unset" => name,
                _ => format!("{name}:{}", value(updates, &mut place)),
            });
        }
        format!("{} {}", OPERATIONS[usize::from(operation.kind)], items.join(","))
    });
    (stated.distinct_id.to_owned(), stated.exactly, operations.collect())
}

fn value(updates: &Updates, place: &mut u32) -> String {
    let node = updates.node(*place);
    *place += 1;
    match node {
        Node::Null => "null".to_owned(),
        Node::Bool(value) => value.to_string(),
        Node::Integer(number) => number.to_string(),
        Node::Unsigned(number) => format!("u{number}"),
        Node::Float(number) => format!("{number:?}"),
        Node::Text(text) => updates.text(text).to_owned(),
        Node::List(count) => {
            let items: Vec<_> = (0..count).map(|_| value(updates, place)).collect();
            format!("[{}]", items.join(","))
        }
        Node::Object(count) => {
            let items: Vec<_> =
                (0..count).map(|_| format!("{}:{}", value(updates, place), value(updates, place))).collect();
            format!("{{{}}}", items.join(","))
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with an update that may be declined")]
fn of_u(exactly: bool, operations: &[&str]) -> Option<(String, bool, Vec<String>)> {
    Some(("u".to_owned(), exactly, operations.iter().map(ToString::to_string).collect()))
}

#[test]
fn operations_come_in_the_order_in_which_they_are_applied() {
    let text =
        r#"{"$delete": [{}], "$unset": ["a", "b"], "$distinct_id": "u", "$set": {"x": 1, "\u0079": "\n"}}"#;
    assert_eq!(read(text), of_u(false, &["$set x:1,y:\n", "$unset a,b", "$delete "]));
}

#[test]
fn every_value_keeps_its_type() {
    let text =
        r#"{"$distinct_id":"u","$set":{"l":[null,true,{"a":[-1],"a":1.0},[]],"n":18446744073709551615}}"#;
    assert_eq!(read(text), of_u(false, &["$set l:[null,true,{a:[-1],a:1.0},[]],n:u18446744073709551615"]));
}

#[test]
fn the_last_of_several_ids_and_flags_counts() {
    let text =
        r#"{"$distinct_id":"v","$ignore_alias":true,"$ignore_alias":1,"$add":{"n":1},"$distinct_id":"u"}"#;
    assert_eq!(read(text), of_u(false, &["$add n:1"]));
    assert_eq!(
        read(r#"{"$distinct_id":-5,"$ignore_alias":true,"$delete":0}"#),
        Some(("-5".to_owned(), true, vec!["$delete ".to_owned()]))
    );
}

#[test]
fn what_is_not_certain_is_declined() {
    let deep = format!(r#"{{"$distinct_id":"u","$set":{{"a":{}{}}}}}"#, "[".repeat(99), "]".repeat(99));
    for text in [
        "",
        "1",
        "[]",
        "{}",
        r#"{"$distinct_id":"u"}"#,
        r#"{"$set":{"a":1}}"#,
        r#"{"$distinct_id":null,"$set":{"a":1}}"#,
        r#"{"$distinct_id":1.0,"$set":{"a":1}}"#,
        r#"{"$distinct_id":"u","$set":[]}"#,
        r#"{"$distinct_id":"u","$set":{"a":1},"$set":{"a":1}}"#,
        r#"{"$distinct_id":"u","$set_once":{"a":1,"a":2}}"#,
        r#"{"$distinct_id":"u","$add":{"a":"1"}}"#,
        r#"{"$distinct_id":"u","$add":{"a":true}}"#,
        r#"{"$distinct_id":"u","$union":{"a":{}}}"#,
        r#"{"$distinct_id":"u","$unset":{"a":1}}"#,
        r#"{"$distinct_id":"u","$unset":["a",1]}"#,
        r#"{"$distinct_id":"u","$set":{"a":NaN}}"#,
        r#"{"$distinct_id":"u","$set":{"a":1e999}}"#,
        r#"{"$distinct_id":"u","$set":{"a":18446744073709551616}}"#,
        r#"{"$distinct_id":"u","$set":{"a":-9223372036854775809}}"#,
        r#"{"$distinct_id":"u","$set":{"a":-0.0}}"#,
        r#"{"$distinct_id":"u","$set":{"a":-1e-400}}"#,
        r#"{"$distinct_id":"u","$set":{"a":-0e0}}"#,
        r#"{"$distinct_id":"u","$set":{"a":"\ud800"}}"#,
        r#"{"$distinct_id":"u","$set":{"a":1}} 1"#,
        &deep,
    ] {
        assert_eq!(read(text), None, "{text}");
    }
    assert!(read(&deep.replacen('[', "", 1).replacen(']', "", 1)).is_some());
}

#[test]
fn a_zero_without_a_sign_is_a_float() {
    let text = r#"{"$distinct_id":"u","$set":{"a":0.0,"b":-1}}"#;
    assert_eq!(read(text), of_u(false, &["$set a:0.0,b:-1"]));
}

#[test]
fn a_declined_update_leaves_nothing_behind() {
    let mut updates = Updates::default();
    let good = r#"{"$distinct_id":"u","$set":{"a":[1,"b"]}}"#;
    assert!(updates.read(good));
    assert!(!updates.read(r#"{"$distinct_id":"v","$set":{"a":[1,"b"]},"$add":{"n":"x"}}"#));
    assert!(updates.read(good));
    assert_eq!(shown(&updates, 0), shown(&updates, 1));
    assert_eq!(updates.len(), 2);
    updates.clear();
    assert!(updates.is_empty());
}

#[test]
fn lines_have_their_numbers_and_those_that_are_declined_their_bytes() {
    let text = b"stinct_id\":\"u\",\"$delete\":1}\n\n{}\n\xff\n{\"$distinct_id\":\"u\",\"$add\":{\"n\":2}}";
    let rows = UpdateRows::scan(b"{\"$di", text, 1000, false).expect("it is short");
    assert_eq!(rows.lines(), [0, 2, 3, 4]);
    assert_eq!(rows.line_count(), 5);
    assert_eq!(rows.holes(), [(1, b"{}\n".to_vec()), (2, b"\xff\n".to_vec())]);
    assert!(rows.updates.stated(1).is_none());
    assert_eq!(Some(shown(&rows.updates, 0)), of_u(false, &["$delete "]));
    assert_eq!(Some(shown(&rows.updates, 3)), of_u(false, &["$add n:2"]));
    let rows = UpdateRows::scan(b"", text, 5, true).expect("it is short");
    assert_eq!(rows.holes()[0], (0, text[..6].to_vec()));
}

#[test]
fn a_row_of_an_export_has_an_id_and_properties_and_nothing_else() {
    let read_row = |text: &str, takes_rows: bool| {
        let mut updates = Updates::new(takes_rows);
        updates.read(text).then(|| (updates.stated(0).expect("it is read").is_row, shown(&updates, 0).2))
    };
    let row = r#"{"$properties":{"a":1,"a":2},"$distinct_id":"u"}"#;
    assert_eq!(read_row(row, true), Some((true, vec!["$set a:1,a:2".to_owned()])));
    assert_eq!(read_row(row, false), None);
    for other in [
        r#"{"$properties":{"a":1},"$distinct_id":"u","a":2}"#,
        r#"{"$properties":{"a":1},"$distinct_id":"u","$ignore_alias":false}"#,
        r#"{"$properties":{"a":1},"$distinct_id":"u","$properties":null}"#,
        r#"{"$properties":"{}","$distinct_id":"u"}"#,
        r#"{"properties":{},"$distinct_id":"u"}"#,
        r#"{"$properties":{"a":1}}"#,
        r#"{"$properties":{"a":-0.0},"$distinct_id":"u"}"#,
    ] {
        assert_eq!(read_row(other, true), None, "{other}");
    }
    let update = r#"{"$properties":{"a":1},"$distinct_id":"u","$unset":["b"],"a":1}"#;
    assert_eq!(read_row(update, true), Some((false, vec!["$unset b".to_owned()])));
}
