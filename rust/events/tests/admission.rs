//! The items of requests that a server takes. `tests/server/test_admission.py` holds the same to a
//! judge in Python.

use idmerge_events::admission::{Admission, Admitted, Limits, Owners, Refusal, Route};
use proptest::prelude::*;

const NOW: i64 = 1_700_000_000_000;

fn admission(route: Route) -> Admission {
    let limits = Limits { bytes: 1 << 16, items: 5, item: 1 << 10, properties: 3, name: 5 };
    Admission::new(route, limits, vec!["$merge".to_owned()])
}

fn admit(route: Route, body: &str, owners: Owners<'_>) -> Result<Admitted, String> {
    admission(route).admit(body.as_bytes(), None, NOW, owners).map_err(|refusal| match refusal {
        Refusal::Malformed(text) | Refusal::TooLong(text) => text,
    })
}

fn texts(admitted: &Admitted) -> Vec<(usize, &str)> {
    let text = |lines| str::from_utf8(lines).expect("it was sent as text");
    admitted.lines.iter().map(|(owner, lines)| (*owner, text(lines))).collect()
}

#[test]
fn items_go_to_the_owner_of_their_token_in_the_order_of_their_times() {
    let event = |name: &str, token: &str, time: &str| {
        format!(r#"{{"event":"{name}","properties":{{"token":"{token}","time":{time}}}}}"#)
    };
    let events = [event("a", "t", "3"), event("b", "u", "2"), event("c", "", "1.0005"), event("d", "x", "1")];
    let body = format!("[{}]", events.join(","));
    let admitted = admit(Route::Import, &body, Owners::ByToken(&["u", "t"], "t")).expect("a body");
    let expected = [(1, format!("{}\n{}\n", events[2], events[0])), (0, format!("{}\n", events[1]))];
    assert_eq!(texts(&admitted), expected.each_ref().map(|(owner, lines)| (*owner, &**lines)));
    assert_eq!((admitted.count, admitted.unknown, admitted.failures.len()), (3, 1, 0));

    let admitted = admit(Route::Import, &body, Owners::One).expect("a body");
    assert_eq!((admitted.lines.len(), admitted.count, admitted.unknown), (1, 4, 0));
}

#[test]
fn an_item_that_is_not_taken_has_a_reason() {
    let body = r#"[5, {"event":"a","properties":{"$insert_id":"\ud83d\ude00","time":1}}, {"event":"b","properties":{}}]"#;
    let admitted = admit(Route::Track, body, Owners::One).expect("a body");
    let found: Vec<_> = admitted.failures.iter().map(|one| (one.place, one.field, &*one.message)).collect();
    let old = "'properties.time' is invalid: /track takes no event older than five days; send it to /import";
    assert_eq!(found, [(0, "event", "the item is no JSON object"), (1, "properties.time", old)]);
    assert_eq!(admitted.failures[1].insert_id, "😀".as_bytes());
    assert_eq!(admitted.count, 1);
}

#[test]
fn a_request_of_too_much_is_refused() {
    let items = |count: usize| format!("[{}]", vec!["{}"; count].join(","));
    assert_eq!(admit(Route::Engage, &items(5), Owners::One).map(|admitted| admitted.failures.len()), Ok(5));
    let refusal = |body: &str| admit(Route::Engage, body, Owners::One).err();
    assert_eq!(refusal(&items(6)).as_deref(), Some("request has more than 5 items"));
    let long = format!("{{}}{}", " ".repeat(1 << 16));
    assert_eq!(refusal(&long).as_deref(), Some("request exceeds max limit of 65536 bytes"));
    assert_eq!(refusal(" ").as_deref(), Some("the body is empty"));
}

proptest! {
    #[test]
    fn any_bytes_are_admitted_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for route in [Route::Track, Route::Import, Route::StrictImport, Route::Engage, Route::Groups] {
            if let Ok(admitted) = admission(route).admit(&bytes, None, NOW, Owners::One) {
                prop_assert!(admitted.count + admitted.failures.len() <= 5);
            }
        }
    }

    #[test]
    fn what_another_parser_reads_is_an_item(
        text in r#"\{("event":("a"|[0-9e.-]{1,6}|"\\u[0-9a-f]{4}"|\{"":\[1,2\]\})(,|\}| ))*"#
    ) {
        let is_object = serde_json::from_str::<serde_json::Value>(&text).is_ok_and(|value| value.is_object());
        let Ok(admitted) = admit(Route::Engage, &text, Owners::One) else { return Ok(()) };
        let is_item = admitted.failures.iter().all(|one| one.message != "the item is no JSON object");
        prop_assert!(is_item || !is_object, "{text}");
    }
}
