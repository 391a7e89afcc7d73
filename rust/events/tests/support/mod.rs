//! Scanners, scans and JSON text that several tests use.

#![allow(dead_code, reason = "no test uses all of it")]

use idmerge_core::{Kind, Operand, Step};
use idmerge_events::links::Rules;
use idmerge_events::scan::{FilledOperand, Scan, Scanner, Steps};

/// The longest line of the tests.
pub const LONGEST: usize = 1 << 20;

/// Returns the rules of Mixpanel's three identity events.
pub fn rules() -> Rules {
    let keys = |groups: &[&[&str]]| {
        groups.iter().map(|keys| keys.iter().map(|key| (*key).to_owned()).collect()).collect()
    };
    let identify = keys(&[&["$anon_id", "$anon_distinct_id"], &["$identified_id", "$user_id"]]);
    let events = vec![
        ("$identify".to_owned(), Kind::Identify as u8, identify),
        ("$create_alias".to_owned(), Kind::Alias as u8, keys(&[&["alias"], &["distinct_id"]])),
        ("$merge".to_owned(), Kind::Merge as u8, keys(&[&["$distinct_ids"]])),
    ];
    Rules::new(events).expect("few keys")
}

/// Returns a scan of a text without columns.
pub fn scan(text: &str) -> Scan {
    Scanner::new(rules(), LONGEST, true).scan(&[], text.as_bytes(), None, None).expect("a short text")
}

/// A step with its own texts; None for one that is declined.
pub type Owned = Option<(Option<Kind>, Vec<String>)>;

/// Returns the step of each row.
pub fn steps(scan: &Scan) -> Vec<Owned> {
    steps_but(scan, &scan.holes().map(|(row, _)| row).collect::<Vec<_>>())
}

/// Returns the step of each row but for those in `holes`.
pub fn steps_but(scan: &Scan, holes: &[usize]) -> Vec<Owned> {
    let codes = vec![4; holes.len()];
    let fill = || [FilledOperand::<&str>::Missing, FilledOperand::Missing];
    let filled = holes.iter().map(|_| fill()).collect();
    let steps = Steps::new(scan, (0, scan.len()), &codes, filled).expect("each hole is filled");
    let text = |operand: Operand<'_>| match operand {
        Operand::Text(text) => Some(text.to_owned()),
        Operand::Missing | Operand::NotUnicode => None,
    };
    let owned = steps.iter().map(|step| match step {
        Step::Link(kind, first, second) => {
            (Some(kind), [first, second].into_iter().filter_map(text).collect())
        }
        Step::Observe(id) => (None, text(id).into_iter().collect()),
        Step::Evidence(id, sent) => (Some(Kind::Evidence), [id, sent].into_iter().filter_map(text).collect()),
    });
    owned.enumerate().map(|(row, step)| (!holes.contains(&row)).then_some(step)).collect()
}

/// Returns the step of the only line of a text.
pub fn step(line: &str) -> Owned {
    let all = steps(&scan(line));
    assert_eq!(all.len(), 1, "{line}");
    all.into_iter().next().expect("a line")
}
