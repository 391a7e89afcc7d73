//! Lines of events: whatever they hold, all readers agree about them, and none panics.

#![no_main]

use idmerge_core::{OBSERVE, Step};
use idmerge_events::columns::{ExpectedKinds, Flattener};
use idmerge_events::links::Rules;
use idmerge_events::scan::{FilledOperand, Scan, Scanner, Steps};
use idmerge_events::updates::UpdateRows;
use libfuzzer_sys::fuzz_target;

const LONGEST: usize = 4096;

fn rules() -> Rules {
    let keys = |groups: &[&[&str]]| -> Vec<Vec<String>> {
        groups.iter().map(|keys| keys.iter().map(|key| (*key).to_owned()).collect()).collect()
    };
    let identify = keys(&[&["$anon_id", "$anon_distinct_id"], &["$identified_id", "$user_id"]]);
    let events = vec![
        ("$identify".to_owned(), 0, identify),
        ("$create_alias".to_owned(), 1, keys(&[&["alias"], &["distinct_id"]])),
        ("$merge".to_owned(), 2, keys(&[&["$distinct_ids"]])),
    ];
    Rules::new(events).expect("few keys")
}

/// Returns the number of steps of a scan, its holes filled with observations of nothing.
fn steps(scan: &Scan) -> usize {
    let holes = scan.holes().count();
    let codes = vec![OBSERVE; holes];
    let filled = (0..holes).map(|_| [FilledOperand::<&str>::Missing, FilledOperand::Missing]).collect();
    let steps = Steps::new(scan, (0, scan.len()), &codes, filled).expect("each hole is filled");
    let links = steps.iter().filter(|step| matches!(step, Step::Link(..))).count();
    assert_eq!(links, steps.links().len());
    steps.iter().count()
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&cut, bytes)) = bytes.split_first() else { return };
    // The head is the beginning of one line.
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (head, text) = bytes.split_at(usize::from(cut).min(end));
    let scanner = Scanner::new(rules(), LONGEST, true);
    let plain = scanner.scan(head, text, None, None).expect("a short text");
    assert_eq!(steps(&plain), plain.len());
    let updates = UpdateRows::scan(head, text, LONGEST, true).expect("a short text");
    assert_eq!((updates.lines().len(), updates.line_count()), (plain.len(), plain.lines()));

    // Where no properties are wanted, plain events are read without the parser of all JSON.
    let quick = Scanner::new(rules(), LONGEST, false).scan(head, text, None, None).expect("a short text");
    assert!(quick.holes().eq(plain.holes()));
    for row in 0..plain.len() {
        assert_eq!(quick.link(row).expect("a row"), plain.link(row).expect("a row"));
        assert_eq!(quick.observed(row).expect("a row"), plain.observed(row).expect("a row"));
        assert_eq!(quick.reason(row), plain.reason(row));
    }

    let expected = ExpectedKinds::of(None);
    let unfilled = scanner.scan(head, text, Some(&expected), None).expect("a short text");
    let filled: Vec<Option<&[u8]>> = vec![None; unfilled.unread().len()];
    let wide = scanner.scan(head, text, Some(&expected), Some(&filled)).expect("each is filled");
    assert_eq!((wide.len(), wide.lines()), (plain.len(), plain.lines()));
    for row in 0..plain.len() {
        let is_hole = |scan: &Scan| scan.holes().any(|(hole, _)| hole == row);
        // Nested objects with equal keys are declined where there are columns.
        if !is_hole(&wide) {
            assert_eq!(wide.link(row).expect("a row"), plain.link(row).expect("a row"));
            assert_eq!(wide.observed(row).expect("a row"), plain.observed(row).expect("a row"));
        }
    }
    let rows = wide.columns.as_ref().map(idmerge_events::columns::Columns::rows);
    assert!(rows.is_none_or(|rows| rows + filled.len() == wide.len()));

    let named =
        plain.properties().into_iter().map(|(name, kinds, _)| (name.to_owned(), name.to_owned(), kinds));
    let flattener = Flattener::new(named.collect(), LONGEST);
    if let Ok(flattened) = flattener.flatten::<&[u8]>(head, text, None) {
        assert_eq!(flattened.lines, plain.lines());
    }
});
