//! Links that events state, by the rules of SPEC 3.

mod support;

use idmerge_core::{Kind, OBSERVE};
use idmerge_events::links::{Rules, Value};
use support::{Owned, scan, step, steps};

#[expect(clippy::unnecessary_wraps, reason = "it is compared with a step that may be declined")]
fn link(kind: Kind, first: &str, second: &str) -> Owned {
    Some((Some(kind), vec![first.to_owned(), second.to_owned()]))
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with a step that may be declined")]
fn observed(id: &str) -> Owned {
    Some((None, vec![id.to_owned()]))
}

const NOTHING: Owned = Some((None, Vec::new()));

#[test]
fn each_identity_event_states_its_link() {
    let identify = r#"{"event":"$identify","properties":{"$anon_id":"d","$identified_id":"u"}}"#;
    assert_eq!(step(identify), link(Kind::Identify, "d", "u"));
    let alias = r#"{"event":"e","properties":{"distinct_id":"u","alias":"a"},"event":"$create_alias"}"#;
    assert_eq!(step(alias), link(Kind::Alias, "a", "u"));
    let merge = r#"{"event":"$merge","properties":{"$distinct_ids":["a","b"]}}"#;
    assert_eq!(step(merge), link(Kind::Merge, "a", "b"));
}

#[test]
fn an_ordinary_event_observes_its_id_if_it_has_one() {
    assert_eq!(step(r#"{"event":"Buy","properties":{"distinct_id":"u"}}"#), observed("u"));
    assert_eq!(step(r#"{"event":"Buy","properties":{"distinct_id":-7}}"#), observed("-7"));
    let most = u64::MAX;
    assert_eq!(
        step(&format!(r#"{{"event":"e","properties":{{"distinct_id":{most}}}}}"#)),
        observed(&most.to_string())
    );
    for none in ["null", "true", "[1]", "{}", r#"["a","b"]"#] {
        assert_eq!(
            step(&format!(r#"{{"event":"e","properties":{{"distinct_id":{none}}}}}"#)),
            NOTHING,
            "{none}"
        );
    }
    assert_eq!(step(r#"{"event":null}"#), NOTHING);
}

#[test]
fn a_line_without_the_key_of_a_name_or_with_properties_that_are_a_text_is_declined() {
    for line in ["{}", r#"{"properties":{}}"#, r#"{"event":"e","properties":"{}"}"#] {
        assert_eq!(step(line), None, "{line}");
    }
    assert_eq!(step(r#"{"event":"e","properties":"{}","properties":{}}"#), NOTHING);
    assert_eq!(step(r#"{"properties":[],"\u0065vent":[]}"#), NOTHING);
}

#[test]
fn a_whole_float_is_an_id_by_the_digits_of_its_integer() {
    let digits = [
        ("366.0", "366"),
        ("1e3", "1000"),
        ("-0.0", "0"),
        ("-0", "0"),
        ("9007199254740992.0", "9007199254740992"),
    ];
    for (number, id) in digits {
        assert_eq!(
            step(&format!(r#"{{"event":"e","properties":{{"distinct_id":{number}}}}}"#)),
            observed(id),
            "{number}"
        );
        let merge = format!(r#"{{"event":"$merge","properties":{{"$distinct_ids":["a",{number}]}}}}"#);
        assert_eq!(step(&merge), link(Kind::Merge, "a", id), "{number}");
    }
    for number in ["1.5", "9007199254740994.0", "1e18"] {
        assert_eq!(
            step(&format!(r#"{{"event":"e","properties":{{"distinct_id":{number}}}}}"#)),
            NOTHING,
            "{number}"
        );
    }
}

#[test]
fn a_number_that_may_be_a_longer_integer_is_declined_as_an_id_and_elsewhere_passed_over() {
    for number in ["1e20", "18446744073709551616", "-9223372036854775809"] {
        assert_eq!(
            step(&format!(r#"{{"event":"e","properties":{{"distinct_id":{number}}}}}"#)),
            None,
            "{number}"
        );
        let elsewhere = format!(r#"{{"event":"e","properties":{{"x":{number},"distinct_id":"u"}}}}"#);
        assert_eq!(step(&elsewhere), observed("u"), "{number}");
    }
}

#[test]
fn an_identity_event_that_lacks_an_operand_is_declined() {
    for properties in [
        r#"{"$anon_id":"d"}"#,
        r#"{"$anon_id":"d","$identified_id":null}"#,
        r#"{"$anon_id":null,"$anon_distinct_id":"d","$identified_id":"u"}"#,
        r#"{"$anon_id":["d","e"],"$identified_id":"u"}"#,
        "[]",
        "3",
    ] {
        assert_eq!(step(&format!(r#"{{"event":"$identify","properties":{properties}}}"#)), None);
    }
    for ids in ["[]", r#"["a"]"#, r#"["a","b","c"]"#, r#"["a",null]"#, r#"["a",["b"]]"#, r#""a""#] {
        let event = format!(r#"{{"event":"$merge","properties":{{"$distinct_ids":{ids}}}}}"#);
        assert_eq!(step(&event), None, "{ids}");
    }
}

#[test]
fn the_first_spelling_of_an_operand_that_is_present_counts() {
    let both = r#"{"$anon_distinct_id":"other","$user_id":"v","$anon_id":"d","$identified_id":"u"}"#;
    let event = format!(r#"{{"event":"$identify","properties":{both}}}"#);
    assert_eq!(step(&event), link(Kind::Identify, "d", "u"));
    let others = r#"{"$anon_distinct_id":"d","$user_id":"u"}"#;
    let event = format!(r#"{{"event":"$identify","properties":{others}}}"#);
    assert_eq!(step(&event), link(Kind::Identify, "d", "u"));
}

#[test]
fn the_last_of_equal_keys_counts_however_they_are_escaped() {
    let twice = r#"{"event":"$merge","properties":{"distinct_id":"x"},"event":"Buy","properties":{"distinct_id":"a","distinct\u005fid":"b"}}"#;
    assert_eq!(step(twice), observed("b"));
    assert_eq!(step(r#"{"event":"e","properties":{"distinct_id":"a"},"properties":{}}"#), NOTHING);
    assert_eq!(step(r#"{"event":"e","properties":{"distinct_id":"a"},"properties":7}"#), NOTHING);
    assert_eq!(step(r#"{"event":"e","properties":{"distinct_id":"a","distinct_id":null}}"#), NOTHING);
}

#[test]
fn operands_with_escapes_are_unescaped() {
    let merge = r#"{"event":"$mer\u0067e","properties":{"$distinct_ids":["\"\\\/\n","\ud83d\ude00é"]}}"#;
    assert_eq!(step(merge), link(Kind::Merge, "\"\\/\n", "😀é"));
}

#[test]
fn text_that_only_some_readers_take_for_json_is_declined() {
    for line in [
        r#"{"event":"e","properties":{"distinct_id":"\ud800"}}"#,
        r#"{"event":"e","properties":{"distinct_id":"u","x":NaN}}"#,
        r#"{"event":"e","properties":{"x":-Infinity}}"#,
        r#"{"event":"e","properties":{"x":01}}"#,
        r#"{"event":"e","properties":{"x":1.}}"#,
        r#"{"event":"e","properties":{"x":.5}}"#,
        r#"{"event":"e","properties":{"x":+1}}"#,
        r#"{"event":"e","properties":{"x":"\x41"}}"#,
        r#"{"event":"e","properties":{"x":tru}}"#,
        r#"{"event":"e","properties":{"x":[1,]}}"#,
        r#"{"event":"e","properties":{"x":1,}}"#,
        r#"{"event":"e","properties":{},}"#,
        r#"{"event":"a"} x"#,
        r#"{"event":"a"}{}"#,
        r"{'event':1}",
        "{\"event\":\"e\",\"properties\":{\"x\":\"\t\"}}",
        "[]",
        "3",
        "nonsense",
        "{",
    ] {
        assert_eq!(step(line), None, "{line}");
    }
}

#[test]
fn nesting_is_read_up_to_its_limit_and_declined_beyond() {
    let nested = |depth: usize, place: &str| {
        let value = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        step(&place.replace('#', &value))
    };
    for (place, around) in [
        (r#"{"event":"e","x":#}"#, 1),
        (r#"{"event":#}"#, 1),
        (r#"{"event":"e","properties":{"x":#}}"#, 2),
        (r#"{"event":"e","properties":{"distinct_id":#}}"#, 2),
        (r#"{"event":"e","properties":#}"#, 1),
    ] {
        assert_eq!(nested(100 - around, place), NOTHING, "{place}");
        assert_eq!(nested(101 - around, place), None, "{place}");
        assert_eq!(nested(100_000, place), None, "{place}");
    }
}

#[test]
fn each_line_that_is_not_blank_is_a_row_with_its_number() {
    let scan =
        scan("{\"event\":1}\n\n \t\r\n{\"event\":\"e\",\"properties\":{\"distinct_id\":\"u\"}}\nbroken\n\n");
    assert_eq!((scan.lines(), scan.len()), (6, 3));
    assert_eq!((0..3).map(|row| scan.line(row).expect("a row")).collect::<Vec<_>>(), [0, 3, 4]);
    assert_eq!(steps(&scan), [NOTHING, observed("u"), None]);
    assert_eq!(scan.holes().collect::<Vec<_>>(), [(2, b"broken\n".as_slice())]);
    assert_eq!(scan.observed(1).expect("a row"), Some("u"));
    assert_eq!(scan.link(1).expect("a row"), None);
    assert_eq!(scan.line(3).expect_err("no row").to_string(), "no row 3 in 3");
}

#[test]
fn an_id_that_can_be_none_is_told_from_one_that_is_not_there() {
    let ids = [r#""u""#, "null", "{}", "[\"a\",\"b\"]", "true", "1.5", "7", "1e20", r#"" ""#];
    let event = |id| format!("{{\"event\":\"e\",\"properties\":{{\"distinct_id\":{id}}}}}\n");
    let text: String = ids.iter().map(event).collect();
    let without = "{\"event\":\"e\",\"properties\":{}}\n";
    let link = "{\"event\":\"$merge\",\"properties\":{\"$distinct_ids\":[\"a\",\"b\"],\"distinct_id\":{}}}";
    let scan = scan(&format!("{text}{without}{link}"));
    assert_eq!(scan.odd_ids(0, scan.len()), [2, 3, 4, 5]);
    assert_eq!(scan.odd_ids(3, 5), [3, 4]);
}

#[test]
fn rules_take_one_or_two_groups_of_few_keys() {
    let event = |keys: &[&[&str]]| {
        let keys = keys.iter().map(|keys| keys.iter().map(|key| (*key).to_owned()).collect()).collect();
        vec![("e".to_owned(), 0, keys)]
    };
    assert!(Rules::new(event(&[])).is_none());
    assert!(Rules::new(event(&[&[]])).is_none());
    assert!(Rules::new(event(&[&["a"]])).is_some());
    assert!(Rules::new(event(&[&["a", "b", "c", "d"], &["e", "f", "g"]])).is_some());
    assert!(Rules::new(event(&[&["a", "b", "c", "d"], &["e", "f", "g", "h"]])).is_none());
}

#[test]
fn values_that_the_caller_finds_state_what_a_line_with_them_states() {
    let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    let alias =
        ("$create_alias".to_owned(), Kind::Alias as u8, vec![keys(&["alias"]), keys(&["distinct_id"])]);
    let merge = ("$merge".to_owned(), Kind::Merge as u8, vec![keys(&["$distinct_ids"])]);
    let rules = Rules::new(vec![alias, merge]).expect("few keys");
    let (mut kept, mut asked) = (String::new(), Vec::new());
    let mut stated = |event: &str, find: fn(&str, &mut String) -> Option<Value<'static>>| {
        asked.clear();
        let value = |place: usize, kept: &mut String| {
            asked.push(rules.keys()[place].clone());
            find(&rules.keys()[place], kept)
        };
        let stated = rules.stated_by_values(rules.rule(event), OBSERVE, &mut kept, value);
        let stated = stated.map(|(code, first, second, reason)| {
            (code, [first, second, reason].map(|text| text.map(str::to_owned)))
        });
        (stated, asked.clone())
    };
    let text = |text: &str| Some(text.to_owned());

    let (step, looked_up) = stated("Page View", |key, kept| {
        Some(if key == "distinct_id" { Value::of_copy(7, kept) } else { Value::Null })
    });
    assert_eq!(step, Some((OBSERVE, [text("7"), None, None])));
    assert_eq!(looked_up, ["distinct_id", "$distinct_id_before_identity"]);

    let (step, looked_up) = stated("$create_alias", |key, kept| match key {
        "alias" => Some(Value::of_text("a")),
        "distinct_id" => Some(Value::of_float(2.0, kept)),
        "$failure_reason" => Some(Value::of_text("no")),
        _ => Some(Value::Absent),
    });
    assert_eq!(step, Some((Kind::RefusedAlias as u8, [text("a"), text("2"), text("no")])));
    assert_eq!(looked_up, ["alias", "distinct_id", "$failure_reason", "$identity_failure_reason"]);

    let both = |key: &str, kept: &mut String| match key {
        "$distinct_ids" => Some(Value::of_pair(Value::of_copy("x", kept), Value::of_text("y"))),
        _ => Some(Value::Null),
    };
    assert_eq!(stated("$merge", both).0, Some((Kind::Merge as u8, [text("x"), text("y"), None])));
    let one = |_: &str, _: &mut String| Some(Value::of_pair(Value::of_text("x"), Value::Null));
    assert_eq!(stated("$merge", one).0, None, "it lacks an operand");
    assert_eq!(stated("Page View", |_, _| None).0, None, "the caller declines it");
}
