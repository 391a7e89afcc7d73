//! The form of a text by its beginning; objects over several lines, and pages, as lines.

use idmerge_events::array::ArrayLines;
use idmerge_events::beginning::{Beginning, Form, Keys, LISTS};
use idmerge_events::pages::PageLines;
use proptest::prelude::*;

/// Returns what is known of a text that comes in pieces, by its beginning.
fn begun(text: &str, size: usize) -> (Form, Beginning) {
    let mut beginning = Beginning::default();
    let known = text.as_bytes().chunks(size.max(1)).find_map(|piece| beginning.take(piece));
    (known.or_else(|| beginning.take(&[])).expect("the text has ended"), beginning)
}

fn form(text: &str) -> Form {
    begun(text, usize::MAX).0
}

fn page(text: &str) -> Option<Keys> {
    begun(text, usize::MAX).1.page()
}

fn first_keys(text: &str) -> Vec<String> {
    begun(text, usize::MAX).1.first_keys().collect()
}

/// Returns the lines of objects, or of pages with a list under these keys, in a text that comes in
/// pieces, and what is wrong behind them.
fn cut(list: Option<Keys>, text: &str, size: usize) -> (String, Option<String>) {
    let (mut objects, mut lines) = (ArrayLines::of_objects(), Vec::new());
    let mut pages = list.map(PageLines::new);
    let pieces = text.as_bytes().chunks(size.max(1)).chain([[].as_slice()]);
    let mut cut = |piece: &[u8]| match &mut pages {
        Some(pages) => pages.cut(piece, &mut lines),
        None => objects.cut(piece, &mut lines),
    };
    let wrong = pieces.map(&mut cut).find_map(Result::err);
    (String::from_utf8_lossy(&lines).into_owned(), wrong)
}

fn objects(text: &str) -> (String, Option<String>) {
    cut(None, text, usize::MAX)
}

fn pages(text: &str) -> (String, Option<String>) {
    cut(page(text), text, usize::MAX)
}

#[test]
fn an_object_a_line_is_read_as_lines() {
    for text in
        ["{}", "{}\n", "{\"a\":1}\n{}\n", " {\"a\":[{}]} \r\n{\n", "{\"a\":\"}{\"}\n", "{\"results\":[1]}\n"]
    {
        assert_eq!(form(text), Form::Lines, "{text}");
    }
}

#[test]
fn a_line_that_is_cut_off_is_no_beginning_of_a_long_object() {
    for text in [
        "{\"a\":1,\"b\n{}\n",
        "{\"a\":1,\n{}\n",
        "{\"a\":\n{}\n{}\n",
        "{\"a\":1\n{}\n",
        "{\"a\":[1,\n{}\n{}\n",
        "{\n{}\n",
        "{\"a\" 1\n}",
        "{a: 1\n}",
        "{]\n}",
        "{\"a\": {\n",
        "{\"a\": \n{}\n",
    ] {
        assert_eq!(form(text), Form::Lines, "{text}");
    }
}

#[test]
fn objects_over_several_lines_or_several_on_one_are_told() {
    for text in ["{\n}", "{\"a\":\n1}", "{}{}", "{} {}\n", "{},\n{}", "{\"a\":[\n\"}\",tru]}"] {
        assert_eq!(form(text), Form::Objects, "{text}");
    }
}

#[test]
fn pages_are_told_by_the_keys_of_their_list() {
    for (text, keys) in [
        (r#"{"results":[{"#, 0),
        ("{\"status\":\"ok\",\n \"results\" : [\n ]", 0),
        (r#"{"a":{"results":[]},"results":{"x":[{}],"events":[{"#, 1),
        (r#"{"events":[{"#, 2),
        (r#"{"page":1,"data":[{"#, 3),
    ] {
        assert_eq!(page(text), Some(LISTS[keys]), "{text}");
    }
    for text in [r#"{"a":{"results":[{}]}}"#, r#"{"a":[{"results":[{}]}]}"#, r#"{"results":[[{}]]}"#] {
        assert_eq!((form(text), page(text)), (Form::Lines, None), "{text}");
    }
}

#[test]
fn an_object_with_a_list_of_objects_has_a_form_and_keys_of_its_own() {
    for (text, known, keys) in [
        ("{\"data\":[{\"x\":1}],\"event\":1}\n{}", Form::Lines, &["data", "event"][..]),
        ("{\"event\":1,\n\"data\":[{\"event\":1}]}", Form::Objects, &["event", "data"]),
        ("{\"\\u0065vent\":1,\"data\":[{}]}{", Form::Objects, &["event", "data"]),
        ("{\"a\\\"b\":{\"c\":1},\"data\":[{", Form::Lines, &["a\"b", "data"]),
        ("{\"data\":[{}],\"\\ud800\":1}", Form::Lines, &["data", "\\ud800"]),
    ] {
        assert_eq!((form(text), page(text)), (known, Some(LISTS[3])), "{text}");
        assert_eq!(first_keys(text), keys, "{text}");
    }
}

#[test]
fn each_object_becomes_a_line() {
    assert_eq!(
        objects("{\n \"a\": \"\n}{\"\n} {}\n,{\"b\":[{}]},\n"),
        ("{  \"a\": \"\u{1}}{\" }\n{}\n{\"b\":[{}]}\n".to_owned(), None)
    );
    for (text, lines, wrong) in [
        ("{} 5", "{}", "expected an object, got '5'"),
        ("{},,{}", "{}\n", "expected an object, got ','"),
        ("{}\n{\"a\":", "{}\n{\"a\":\n", "the text ends within an object"),
    ] {
        assert_eq!(objects(text), (lines.to_owned(), Some(wrong.to_owned())), "{text}");
    }
}

#[test]
fn the_items_of_each_pages_list_become_lines() {
    let text = "{\"page\":0,\"results\":[{\"a\":\"]\"},\n{}],\"x\":[{\"results\":[{}]}]}\n{\"results\":[]},{\"results\":[ {\"b\":1} ]}";
    assert_eq!(pages(text), ("{\"a\":\"]\"}\n{}\n{\"b\":1}\n".to_owned(), None));
    let text = r#"{"results":{"x":[1],"events":[{"a":1},{"b":2}]},"events":[{}]}"#;
    assert_eq!(pages(text), ("{\"a\":1}\n{\"b\":2}\n".to_owned(), None));
}

#[test]
fn a_page_without_a_list_becomes_a_line_that_names_its_keys() {
    let text = r#"{"results":[{"a":1}]}{"error":"none","s\"":1}"#;
    assert_eq!(pages(text), ("{\"a\":1}\n\u{3}[\"error\",\"s\"]\n".to_owned(), None));
}

#[test]
fn colons_in_a_row_name_the_key_before_them_once() {
    let key = "k".repeat(50);
    let text = format!("{{\"{key}\"::::::::::::1}}");
    let (lines, wrong) = cut(Some(LISTS[0]), &text, usize::MAX);
    assert_eq!((lines.matches(&key).count(), wrong), (1, None), "{lines}");
    assert!(lines.len() <= 3 * text.len() + 20, "{lines}");
}

#[test]
fn text_that_ends_within_a_page_or_is_none_is_an_error() {
    for (text, lines, wrong) in [
        (r#"{"results":[{"a":1}"#, "{\"a\":1}", "expected a comma or the end of the array, got ''"),
        (r#"{"results":[{"a":1}]"#, "{\"a\":1}\n", "the text ends within an object"),
        (r#"{"results":[{}]} 5"#, "{}\n", "expected an object, got '5'"),
    ] {
        assert_eq!(pages(text), (lines.to_owned(), Some(wrong.to_owned())), "{text}");
    }
}

proptest! {
    #[test]
    fn pieces_of_any_size_become_the_same_lines(
        text in r#"\{?([\{\}\[\]:,"\\ \nae1]|"results":|"events":\[|"results":\[\{|\]\}|\}\n\{){0,30}"#,
        size in 1_usize..20,
    ) {
        let known = form(&text);
        let (form, beginning) = begun(&text, size);
        prop_assert_eq!(form, known);
        prop_assert_eq!(beginning.page(), page(&text));
        prop_assert_eq!(beginning.first_keys().collect::<Vec<_>>(), first_keys(&text));
        for list in [None, Some(LISTS[0]), Some(LISTS[1])] {
            let whole = cut(list, &text, usize::MAX);
            prop_assert!(whole.0.len() <= 3 * text.len() + 20);
            prop_assert_eq!(cut(list, &text, size), whole);
        }
    }
}
