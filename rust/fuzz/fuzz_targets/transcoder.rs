//! Lines of dialects and containers: pieces of any size become the same lines, none of them lost,
//! and what is transcoded is an event to the scanner's parser.

#![no_main]

use idmerge_events::array::ArrayLines;
use idmerge_events::beginning::{Beginning, Form, Keys, LISTS};
use idmerge_events::columns::Flattener;
use idmerge_events::pages::PageLines;
use idmerge_events::transcode::{Dialect, PASSED_ON, TOO_LONG, Transcoder, Vendor};
use libfuzzer_sys::fuzz_target;

const LONGEST: usize = 4096;

fn dialect(choice: u8) -> Dialect {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let record = (choice & 1 == 1).then(|| "record".to_owned());
    let names = [("insert_id".to_owned(), "$insert_id".to_owned())];
    let is_flat = choice & 2 == 0 || record.is_none();
    let dialect = Dialect::new(
        owned(&["event", "name"]),
        owned(&["properties"]),
        is_flat,
        record,
        names,
        "mp_reserved_",
    );
    if choice & 4 == 0 {
        return dialect;
    }
    let field = |raw: &str, keys: &[&str]| (raw.to_owned(), owned(keys));
    let fields = vec![field("$device_id", &["device"]), field("$user_id", &["user"])];
    let calls = ("name".to_owned(), owned(&["identify", "alias"]));
    let vendor = Vendor::new(fields, owned(&["$user_id", "$device_id"]), owned(&["$merge"]), calls);
    let operands = ["$device_id".to_owned(), "$user_id".to_owned()];
    dialect.of_vendor(vendor.with_identify("identify", operands))
}

fn transcoded(choice: u8, text: &[u8], size: usize) -> Vec<u8> {
    let (mut transcoder, mut lines) = (Transcoder::new(dialect(choice), LONGEST), Vec::new());
    text.chunks(size).for_each(|piece| transcoder.cut(piece, &mut lines));
    transcoder.cut(&[], &mut lines);
    lines
}

/// Returns the form, the page's list and the first keys that a beginning shows.
fn form(text: &[u8], size: usize) -> (Option<Form>, Option<Keys>, Vec<String>) {
    let mut beginning = Beginning::default();
    let form = text.chunks(size).find_map(|piece| beginning.take(piece)).or_else(|| beginning.take(&[]));
    (form, beginning.page(), beginning.first_keys().collect())
}

/// Returns the lines of objects or pages, and what is wrong behind them.
fn cut(keys: usize, text: &[u8], size: usize) -> (Vec<u8>, Option<String>) {
    let (mut objects, mut lines) = (ArrayLines::of_objects(), Vec::new());
    let mut pages = LISTS.get(keys).map(|keys| PageLines::new(keys));
    for piece in text.chunks(size).chain([[].as_slice()]) {
        let done = match &mut pages {
            Some(pages) => pages.cut(piece, &mut lines),
            None => objects.cut(piece, &mut lines),
        };
        if let Err(wrong) = done {
            return (lines, Some(wrong));
        }
    }
    (lines, None)
}

fuzz_target!(|bytes: &[u8]| {
    let [choice, size, text @ ..] = bytes else { return };
    let (whole, size) = (text.len().max(1), usize::from(*size).max(1));

    let lines = transcoded(*choice, text, whole);
    assert_eq!(transcoded(*choice, text, size), lines);
    let ends = |text: &[u8]| text.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(ends(&lines), ends(text));
    let flattener = Flattener::new(Vec::new(), LONGEST);
    for line in lines.split(|byte| *byte == b'\n') {
        assert!(line.len() <= LONGEST + 1);
        if !matches!(line.first(), None | Some(&(PASSED_ON | TOO_LONG))) {
            let flattened = flattener.flatten::<&[u8]>(&[], line, None).expect("a short text");
            // Nested objects with equal keys are declined where there are columns.
            assert!(flattened.lines == 1);
        }
    }

    assert_eq!(form(text, size), form(text, whole));
    for keys in 0..=LISTS.len() {
        let read = cut(keys, text, whole);
        assert_eq!(cut(keys, text, size), read);
        assert!(read.0.len() <= 3 * text.len() + 20);
    }
});
