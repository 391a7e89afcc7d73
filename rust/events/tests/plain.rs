//! Plain events: whatever a text holds, they are read as the parser of all JSON reads it, and a row
//! that repeats an ID changes no resolver.
//!
//! Where the properties of events are wanted, the parser reads every line; so a scan with them is
//! the judge of one without.

mod support;

use idmerge_core::{OBSERVE, Policy, Resolver, Strategy as Canonical};
use idmerge_events::bodies::Body;
use idmerge_events::links::End;
use idmerge_events::scan::{FilledOperand, Scan, Scanner, Steps};
use proptest::prelude::*;
use proptest::sample::select;
use support::{LONGEST, rules, scan};

/// What a row says: whether it is a hole, its link, the reason of its refusal, its observed ID.
type Row = (bool, Option<(u8, String, String)>, Option<String>, Option<String>);

fn rows(scan: &Scan) -> Vec<Row> {
    let holes: Vec<_> = scan.holes().map(|(row, _)| row).collect();
    let row = |row| {
        let link = scan.link(row).expect("a row");
        let link = link.map(|(code, first, second)| (code, first.to_owned(), second.to_owned()));
        let observed = scan.observed(row).expect("a row").map(str::to_owned);
        (holes.contains(&row), link, scan.reason(row).map(str::to_owned), observed)
    };
    (0..scan.len()).map(row).collect()
}

fn quickly(text: &str) -> Scan {
    Scanner::new(rules(), LONGEST, false).scan(&[], text.as_bytes(), None, None).expect("a short text")
}

fn check(text: &str) -> Result<(), TestCaseError> {
    let (plain, parsed) = (quickly(text), scan(text));
    prop_assert_eq!(rows(&plain), rows(&parsed), "{:?}", text);
    prop_assert_eq!(plain.odd_ids(0, plain.len()), parsed.odd_ids(0, parsed.len()));
    prop_assert_eq!(plain.lines(), parsed.lines());
    Ok(())
}

const KEYS: [&str; 12] = [
    "distinct_id",
    "$distinct_id_before_identity",
    "$failure_reason",
    "$anon_id",
    "$identified_id",
    "alias",
    "$distinct_ids",
    "$browser_version",
    "event",
    "properties",
    "",
    "Zürich 🦊",
];

fn value() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        8 => "[a-z0-9 é]{0,70}".prop_map(|text| format!("\"{text}\"")),
        1 => select(vec![r#""a\"b""#, r#""\u00fc""#, r#""\\""#, "\"\u{1}\"", "\"\t\"", "\"a", "a\""])
            .prop_map(str::to_owned),
    ];
    let other = select(vec![
        "null",
        "true",
        "false",
        "tru",
        "nulll",
        "0",
        "-0",
        "00",
        "01",
        "-",
        "1.",
        ".5",
        "1.5",
        "-7",
        "1e5",
        "1e999",
        "123456789012345678",
        "1234567890123456789",
        "12345678901234567890123",
        "1.1234567890123456789",
        "[]",
        "{}",
        "[1,{\"a\":[\"x\",null]}]",
        "[[[[[[[[[[[[1]]]]]]]]]]]]",
        "[\"a\",\"b\"]",
        "[\"a\", \"b\"]",
        "[\"a\"]",
        "[\"a\",\"b\",\"c\"]",
        "[\"a\",1]",
        "[\"a\"\"b\"]",
        "[,]",
        "[1,]",
        "{\"a\":1,}",
        "{\"a\"}",
        "",
    ]);
    prop_oneof![3 => text, 2 => other.prop_map(str::to_owned)]
}

fn object() -> impl Strategy<Value = String> {
    let field = (select(KEYS.to_vec()), value(), select(vec![":", ": ", " : ", ":\t", ""]));
    let glue = select(vec![",", ", ", ",", ",", " ,\n"]);
    (prop::collection::vec(field, 0..7), glue).prop_map(|(fields, glue)| {
        let fields: Vec<_> =
            fields.iter().map(|(key, value, colon)| format!("\"{key}\"{colon}{value}")).collect();
        format!("{{{}}}", fields.join(glue))
    })
}

fn event() -> impl Strategy<Value = String> {
    let names = vec!["$identify", "$create_alias", "$merge", "Page View", "Kauf é"];
    let before = select(vec!["", "", "", " ", "\"a\":1,", "\"x\":{\"event\":\"no\"},", "\"event\":null,"]);
    let behind =
        select(vec!["", "", "", ",\"b\":[2]", " ", ",", ",\"event\":\"$merge\"", ",\"properties\":{}"]);
    let trail = select(vec!["", "", "", " ", "\r", "\x0c", "x", "\"", "}"]);
    (select(names), object(), before, behind, trail).prop_map(|(name, object, before, behind, trail)| {
        format!("{{{before}\"event\":\"{name}\",\"properties\":{object}{behind}}}{trail}")
    })
}

/// A plain item, in which others may seem to begin.
fn item() -> impl Strategy<Value = String> {
    let inner = select(vec!["1", "[{\"event\":1},{\"event\":2}]", "{\"a\":[0,{\"event\":\"b\"}]}"]);
    (0..4_u8, inner, "[a-z]{0,40}").prop_map(|(id, inner, text)| {
        format!(r#"{{"event":"{text}","properties":{{"distinct_id":"{id}","x":{inner}}}}}"#)
    })
}

/// Events of few people, few of which state links.
fn traffic() -> impl Strategy<Value = Vec<String>> {
    let person = || select(vec!["ana", "ben", "d1", "d2", "an ID that is longer than any key can hold"]);
    let line = prop_oneof![
        6 => person().prop_map(|id| format!(r#"{{"event":"View","properties":{{"distinct_id":"{id}"}}}}"#)),
        2 => (person(), person()).prop_map(|(a, b)| {
            format!(r#"{{"event":"$merge","properties":{{"$distinct_ids":["{a}","{b}"]}}}}"#)
        }),
        1 => Just(r#"{"event":"View","properties":{"distinct_id":null}}"#.to_owned()),
        1 => Just(r#"{"event":"View","properties":{"distinct_id":NaN}}"#.to_owned()),
    ];
    prop::collection::vec(line, 0..40)
}

/// Returns the mapping behind the rows of a scan from `start` on: by every step, and by the
/// effective ones.
fn mappings(scan: &Scan, start: usize) -> [Vec<(String, String, u32)>; 2] {
    let holes = scan.holes().filter(|(row, _)| *row >= start).count();
    let codes = vec![OBSERVE; holes];
    let filled = (0..holes).map(|_| [FilledOperand::<&str>::Missing, FilledOperand::Missing]).collect();
    let steps = Steps::new(scan, (start, scan.len()), &codes, filled).expect("each hole is filled");
    assert_eq!(steps.effective().count(), steps.effective_count());
    let behind = |all: bool| {
        let mut resolver = Resolver::new(Policy::default(), Canonical::FirstSeen);
        let mut outcomes = Vec::new();
        let taken = if all {
            resolver.take(steps.iter(), &mut outcomes)
        } else {
            resolver.take(steps.effective(), &mut outcomes)
        };
        taken.expect("room");
        assert_eq!(outcomes.len(), steps.links().len());
        let text = |id| resolver.text(id).as_str().to_owned();
        resolver.mapping().map(|(id, name, size)| (text(id), text(name), size)).collect()
    };
    [behind(true), behind(false)]
}

proptest! {
    #[test]
    fn events_are_read_as_the_parser_reads_them(events in prop::collection::vec(event(), 1..5)) {
        check(&events.join("\n"))?;
    }

    #[test]
    fn events_that_are_damaged_somewhere_are_read_alike(
        event in event(), place in any::<prop::sample::Index>(), byte in select(b"\"\\{}[],: \x01\x0c\ta0-.e".to_vec()),
        how in 0..3,
    ) {
        let mut bytes = event.into_bytes();
        let place = place.index(bytes.len());
        match how {
            0 => bytes[place] = byte,
            1 => bytes.insert(place, byte),
            _ => bytes.truncate(place),
        }
        if let Ok(text) = String::from_utf8(bytes) {
            check(&text)?;
        }
    }

    #[test]
    fn items_of_an_array_are_read_as_their_lines_or_not_at_all(
        events in prop::collection::vec(event(), 0..5), glue in select(vec![",", ", ", ",,", " "]),
        end in select(vec!["]", " ]", "", "]]", ",]"]),
    ) {
        let text = format!("[{}{end}", events.join(glue));
        let body = Body::of(text.as_bytes(), None, LONGEST).expect("JSON begins so");
        let scanner = Scanner::new(rules(), LONGEST, false);
        let read = scanner.scan_items(body.array().expect("an array"), End::Array);
        if let Some(read) = read {
            let lines = body.into_lines().expect("the items are whole");
            let expected = scanner.scan(&[], &lines, None, None).expect("a short text");
            prop_assert_eq!(rows(&read), rows(&expected));
            prop_assert_eq!(read.odd_ids(0, read.len()), expected.odd_ids(0, expected.len()));
        }
    }

    #[test]
    fn short_texts_are_items_as_the_cutter_of_lines_finds_them(
        parts in prop::collection::vec(select(vec![
            "{", "}", "[", "]", ",", "\"", ":", "\"a\"", "\"event\"", "\"properties\"", "\"distinct_id\"",
            "1e5", "7", " ", "\\", "\"k:  \"", "{\"a\":1}", "{\"a\":1e5},", "{1},",
        ]), 1..14),
    ) {
        let text = format!("[{{\"a\":1e5}},{}]", parts.concat());
        let body = Body::of(text.as_bytes(), None, LONGEST).expect("JSON begins so");
        let scanner = Scanner::new(rules(), LONGEST, false);
        let read = scanner.scan_items(body.array().expect("an array"), End::Array);
        if let Some(read) = read {
            let lines = body.into_lines().expect("the items are whole");
            let expected = scanner.scan(&[], &lines, None, None).expect("a short text");
            prop_assert_eq!(rows(&read), rows(&expected));
        }
    }

    #[test]
    fn parts_of_an_array_are_read_as_all_of_it(
        items in prop::collection::vec(prop_oneof![3 => item(), 1 => event()], 2..6),
        glue in select(vec![",", ", ", "\n,\r\n"]), place in any::<prop::sample::Index>(),
    ) {
        let scanner = Scanner::new(rules(), LONGEST, false);
        let text = items.join(glue) + "]";
        let whole = scanner.scan_items(text.as_bytes(), End::Array);
        let commas: Vec<_> = text.match_indices(',').collect();
        let (first, rest) = text.split_at(commas[place.index(commas.len())].0 + 1);
        // A part that begins elsewhere than behind an item counts for nothing.
        if let Some(first) = scanner.scan_items(first.as_bytes(), End::Comma) {
            let rest = scanner.scan_items(rest.as_bytes(), End::Array);
            prop_assert_eq!(whole.is_some(), rest.is_some());
            if let (Some(whole), Some(rest)) = (whole, rest) {
                prop_assert_eq!(rows(&whole), [rows(&first), rows(&rest)].concat());
            }
        }
    }

    #[test]
    fn rows_that_repeat_an_id_change_no_resolver(events in traffic()) {
        let scan = quickly(&events.join("\n"));
        let whole: Vec<_> = [0].into_iter().chain(scan.holes().map(|(row, _)| row + 1)).collect();
        // A caller may take the rows behind a hole alone.
        for start in whole {
            let [all, effective] = mappings(&scan, start);
            prop_assert_eq!(all, effective);
        }
    }
}

#[test]
fn items_need_no_lines() {
    let scanner = Scanner::new(rules(), 200, false);
    let view = r#"{"event":"View","properties":{"distinct_id":"a","n":[1,{"b":-1.5}],"on":true}}"#;
    let merge = r#"{"event": "$merge", "properties": {"$distinct_ids": ["a", "b"]}}"#;
    let escaped = r#"{"event":"\u0061","properties":{"distinct_id":"\u0062"}}"#;
    let [nothing, broken] = [r#"{"event":"$merge"}"#, r#"{"event":"a",}"#];
    let text = format!("{view}, {merge},\n\t{view},{escaped},{nothing} , {broken}]");
    let read = scanner.scan_items(text.as_bytes(), End::Array).expect("objects");
    assert_eq!((read.len(), read.lines()), (6, 6));
    assert_eq!(read.link(1).expect("a row"), Some((2, "a", "b")));
    assert_eq!(read.observed(2).expect("a row"), Some("a"));
    assert_eq!(read.observed(3).expect("a row"), Some("b"));
    assert!(read.holes().eq([(4, nothing.as_bytes()), (5, broken.as_bytes())]));
    let long = format!("{{\"event\":\"{}\"}}]", "a".repeat(200));
    for other in ["]", "1]", "{\"event\":\"a\"}", "{\"event\":\"a\"}]x", "{\\\"a\"}]", "{}},{}]", &long] {
        assert!(scanner.scan_items(other.as_bytes(), End::Array).is_none(), "{other}");
    }
    // Texts of less than a block, of which the first item is not plain.
    for other in [
        r#"{1234},{"k:    ":[{},{"a":1,"properties":{"distinct_id":"x"}}]"#,
        r#"{"a":1e5},{"kkkkkkk:   :[{}]},{"kk:  ":"},"}]"#,
    ] {
        assert!(scanner.scan_items(other.as_bytes(), End::Array).is_none(), "{other}");
    }
    for (part, is_whole) in [("{},", true), ("{} , ", true), ("{}", false), ("{}]", false), ("{},,", false)] {
        assert_eq!(scanner.scan_items(part.as_bytes(), End::Comma).is_some(), is_whole, "{part}");
    }
}

#[test]
fn the_row_of_an_effective_step_counts_those_that_repeat() {
    let view = |id: &str| format!("{{\"event\":\"View\",\"properties\":{{\"distinct_id\":\"{id}\"}}}}\n");
    let text =
        [view("a"), view("a"), "{\"event\":\"b\"}\n".to_owned(), view("b"), view("b"), view("c")].concat();
    let scan = quickly(&text);
    let steps = Steps::<&str>::new(&scan, (0, 6), &[], Vec::new()).expect("rows");
    assert_eq!(steps.effective_count(), 3);
    assert_eq!([0, 1, 2, 3].map(|step| steps.row_of_effective(step)), [0, 3, 5, 6]);
}
