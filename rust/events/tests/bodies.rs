//! Bodies of requests as lines.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use flate2::Compression;
use flate2::write::GzEncoder;
use idmerge_events::bodies::{lines_of, pieces};
use proptest::prelude::*;

const MOST: usize = 1 << 16;

fn lines(body: &[u8], kind: Option<&str>) -> Result<Vec<String>, String> {
    let lines = lines_of(body, kind, MOST).map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&lines);
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).and_then(|()| encoder.finish()).expect("memory")
}

fn form(value: &str) -> Vec<u8> {
    let fields = [("verbose", "1"), ("data", value), ("ip", "1")];
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into_bytes()
}

#[test]
fn an_item_is_a_line_by_every_way_that_clients_send_it() {
    let items = vec![r#"{"event":"a>b?","n":[1,{}]}"#.to_owned(), r#"{"event":"é\n~~~"}"#.to_owned()];
    let array = format!("[{}]", items.join(","));
    let pretty = array.replace("},{\"event", "} ,\r\n {\"event");
    for text in [&array, &pretty, &items.join("\n"), &format!("\u{feff} {array}\n"), &items.concat()] {
        let bytes = text.as_bytes();
        let wanted = Ok(items.clone());
        assert_eq!(lines(bytes, None), wanted);
        assert_eq!(lines(bytes, Some("application/x-www-form-urlencoded")), wanted);
        assert_eq!(lines(&gzip(bytes), Some("application/json")), wanted);
        assert_eq!(lines(&form(text), None), wanted);
        assert_eq!(lines(&gzip(&form(text)), None), wanted);
        for base64 in [STANDARD.encode(bytes), URL_SAFE.encode(bytes), URL_SAFE_NO_PAD.encode(bytes)] {
            assert_eq!(lines(&form(&base64), Some("text/plain;charset=UTF-8")), wanted);
            // A plus stays as it is, as PHP's client leaves it.
            let bare = format!("data={base64}");
            assert_eq!(lines(bare.as_bytes(), None), wanted);
        }
        assert_eq!(lines(&form(&STANDARD.encode(gzip(bytes))), None), wanted);
    }
}

#[test]
fn one_object_over_several_lines_is_an_item_and_a_bad_line_stays_one() {
    let pretty = "{\n \"event\": \"a\",\n \"events\": [\n {} ]\n}";
    assert_eq!(lines(pretty.as_bytes(), None).map(|lines| lines.len()), Ok(1));
    let listed = "{\"event\": \"a\", \"results\": [{}]}\n{\"event\": \"b\"}";
    assert_eq!(lines(listed.as_bytes(), None).map(|lines| lines.len()), Ok(2));
    let cut = "{\"event\": \"a\n{\"event\": \"b\"}\n";
    assert_eq!(lines(cut.as_bytes(), None).map(|lines| lines.len()), Ok(2));
    let told = Some("application/x-ndjson; charset=utf-8");
    assert_eq!(lines(pretty.as_bytes(), told).map(|lines| lines.len()), Ok(5));
    assert_eq!(lines(b"[]", None), Ok(Vec::new()));
}

#[test]
fn a_body_that_holds_no_events_is_an_error_that_shows_nothing_of_it() {
    let damaged = &gzip(b"[{}]")[..15];
    for (body, kind, wrong) in [
        (&b""[..], None, "the body is empty"),
        (b" \n", None, "the body is empty"),
        (b"5", None, "the body is neither JSON nor a form with a field data"),
        (b"secret=1", None, "the body is neither JSON nor a form with a field data"),
        (b"data=se%20cret!", None, "the body's field data holds neither JSON nor base64"),
        (b"data=c2VjcmV0", None, "the body's field data holds no JSON"),
        (b"data=", None, "the body's field data holds no JSON"),
        (b"[{}", None, "the body is no JSON: 0 items are whole, and what is behind them is none"),
        (b"[{},{} x", None, "the body is no JSON: 1 items are whole, and what is behind them is none"),
        (
            b"{\"status\":\"ok\",\"results\":[{}]}",
            None,
            "the body is an answer of a query API, not a request; save it as a file and read that",
        ),
        (damaged, None, "the body's gzip is damaged or cut off"),
        (
            b"--x",
            Some("multipart/form-data; boundary=x"),
            "a body in several parts (multipart) is not read; send JSON, or a form with data=",
        ),
    ] {
        assert_eq!(lines(body, kind), Err(wrong.to_owned()), "{body:?}");
    }
}

#[test]
fn a_body_is_inflated_up_to_its_limit() {
    let text = format!("[{}]", " ".repeat(MOST - 2));
    assert_eq!(lines(&gzip(text.as_bytes()), None), Ok(Vec::new()));
    let long = format!("{text} ");
    let wrong = Err(format!("the body has more than {MOST} bytes"));
    let many = gzip(b"").repeat(MOST / 16);
    assert_eq!(lines(&[gzip(b"[]"), many].concat(), None), wrong);
    assert!(lines_of(&gzip(text.as_bytes()), None, usize::MAX).is_ok());
    assert_eq!(lines(&gzip(long.as_bytes()), None), wrong);
    assert_eq!(lines(long.as_bytes(), None), wrong);
    assert_eq!(lines(&form(&STANDARD.encode(gzip(long.as_bytes()))), None), wrong);
}

#[test]
fn marks_and_blanks_before_the_items_are_none_of_them_and_base64_may_be_wrapped() {
    for text in ["\u{feff}\n{}\n5\n", " \u{feff}{}\n5", "\u{feff} \n {}\n5"] {
        assert_eq!(lines(text.as_bytes(), None), Ok(vec!["{}".to_owned(), "5".to_owned()]), "{text:?}");
        assert_eq!(lines(&gzip(text.as_bytes()), None), Ok(vec!["{}".to_owned(), "5".to_owned()]));
    }
    let mut base64 = STANDARD.encode(br#"[{"event":"a"}]"#);
    base64.insert_str(8, "\r\n");
    assert_eq!(lines(&form(&base64), None), Ok(vec![r#"{"event":"a"}"#.to_owned()]));
}

proptest! {
    #[test]
    fn pieces_are_all_lines_and_cut_none(text in "[ab\n]{0,60}", bytes in 0usize..20) {
        let found: Vec<&[u8]> = pieces(text.as_bytes(), bytes).collect();
        prop_assert_eq!(found.concat(), text.as_bytes());
        let others = found.len().saturating_sub(1);
        prop_assert!(found[..others].iter().all(|piece| piece.ends_with(b"\n") && piece.len() > bytes));
        prop_assert!(found.iter().all(|piece| !piece.is_empty()));
    }

    #[test]
    fn no_body_is_too_strange(body in proptest::collection::vec(any::<u8>(), 0..200), kind in ".{0,20}") {
        let _ = lines_of(&body, Some(&kind), MOST);
        let _ = lines_of(&gzip(&body), None, MOST);
        let _ = lines_of(&form(&STANDARD.encode(&body)), None, MOST);
    }
}
