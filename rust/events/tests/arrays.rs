//! JSON arrays as lines.

use idmerge_events::array::ArrayLines;
use proptest::prelude::*;
use serde_json::Value;

/// Returns the lines of an array, whose text comes in pieces of `size` bytes, and what is wrong
/// behind them.
fn cut(text: &str, size: usize) -> (String, Option<String>) {
    let (mut array, mut lines) = (ArrayLines::default(), Vec::new());
    for piece in text.as_bytes().chunks(size.max(1)) {
        if let Err(wrong) = array.cut(piece, &mut lines) {
            return (String::from_utf8(lines).expect("UTF-8 stays UTF-8"), Some(wrong));
        }
    }
    let wrong = array.cut(&[], &mut lines).err();
    (String::from_utf8(lines).expect("UTF-8 stays UTF-8"), wrong)
}

fn whole(text: &str) -> String {
    let (lines, wrong) = cut(text, usize::MAX);
    assert_eq!(wrong, None, "{text}");
    lines
}

#[test]
fn each_item_becomes_a_line() {
    assert_eq!(whole("]"), "");
    assert_eq!(whole(" {\"a\": 1} , [2, 3],\n4 ] \n"), "{\"a\": 1}\n[2, 3]\n4 ");
    assert_eq!(whole(r#"{"a,]}\"": "[,"},"x"]"#), "{\"a,]}\\\"\": \"[,\"}\n\"x\"");
}

#[test]
fn an_end_of_a_line_within_an_item_ends_none() {
    assert_eq!(whole("{\n\"a\":\r\n1}]"), "{ \"a\":\r 1}");
    assert_eq!(whole("\"a\nb\"]"), "\"a\u{1}b\"");
}

#[test]
fn text_that_is_no_array_is_an_error_behind_the_items_before_it() {
    let no_item = "the item is no JSON: Expecting value";
    let no_comma = |found: &str| format!("expected a comma or the end of the array, got '{found}'");
    for (text, lines, wrong) in [
        ("", "", no_item.to_owned()),
        (",1]", "", no_item.to_owned()),
        ("1,]", "1\n", no_item.to_owned()),
        ("1,,2]", "1\n", no_item.to_owned()),
        ("\u{b}]", "", no_item.to_owned()),
        ("1", "1", no_comma("")),
        ("{} {}]", "{}", no_comma("{")),
        ("\"a\"b]", "\"a\"", no_comma("b")),
        ("{", "{\n", no_comma("")),
        ("\"a", "\"a\n", no_comma("")),
        ("1] 2", "1", "the text goes on behind the end of its JSON array".to_owned()),
    ] {
        assert_eq!(cut(text, usize::MAX), (lines.to_owned(), Some(wrong)), "{text:?}");
    }
}

/// Any JSON value, of few characters, those that the reader of arrays looks at among them.
fn values() -> impl Strategy<Value = Value> {
    let text = "[a-c,\\[\\]{}\"\\\\:\n é]{0,6}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map(text, inner, 0..4)
                .prop_map(|map| Value::from(map.into_iter().collect::<serde_json::Map<_, _>>())),
        ]
    })
}

proptest! {
    #[test]
    fn the_lines_of_any_array_are_its_items(
        items in proptest::collection::vec(values(), 0..6),
        is_pretty in any::<bool>(),
        size in 1usize..40,
    ) {
        let array = Value::from(items.clone());
        let text = if is_pretty { serde_json::to_string_pretty(&array) } else { serde_json::to_string(&array) };
        let text = text.expect("a value has a text");
        let (lines, wrong) = cut(&text[1..], size);
        prop_assert_eq!(wrong, None);
        let read: Result<Vec<Value>, _> = lines.lines().map(serde_json::from_str).collect();
        prop_assert_eq!(read.expect("each line is JSON"), items);
    }

    #[test]
    fn the_size_of_the_pieces_changes_nothing(text in "[\\[\\]{},\":\\\\ \nab1]{0,24}", size in 1usize..8) {
        prop_assert_eq!(cut(&text, size), cut(&text, usize::MAX));
    }

    #[test]
    fn blocks_are_cut_as_their_bytes_are(
        parts in proptest::collection::vec(
            prop_oneof![
                2 => Just("{\"k\":\"a \\\" ]}\\\\\","), 2 => Just("[{\"k\":[1,2]}"), 2 => Just("},"),
                1 => Just("\\"), 1 => Just("\n"), 1 => Just("\""), 1 => Just("}]"),
                1 => Just("\"long enough for a block that is nothing but a string and nothing else\""),
            ],
            0..24,
        ),
        size in 1usize..32,
    ) {
        let text = parts.concat();
        prop_assert_eq!(cut(&text, size), cut(&text, usize::MAX));
        let objects = |size: usize| {
            let (mut array, mut lines) = (ArrayLines::of_objects(), Vec::new());
            let wrong = text.as_bytes().chunks(size).try_for_each(|piece| array.cut(piece, &mut lines));
            let wrong = wrong.and_then(|()| array.cut(&[], &mut lines)).err();
            (lines, wrong)
        };
        prop_assert_eq!(objects(size), objects(text.len().max(1)));
    }
}
