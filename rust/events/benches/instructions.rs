//! The readers' kernels, each in a function of its own, for a program that counts instructions.
//!
//! ```sh
//! # Builds this and the core's, counts, and compares with the recorded figures.
//! python -m benches.reports.instructions
//! # Runs one kernel once and prints how many units it handled.
//! instructions KERNEL EVENTS
//! ```
//!
//! The input of a kernel is made before it and its answer is checked after it; see the program of
//! the same name in `rust/core/benches`. Without arguments each kernel runs on a few events.

use std::fmt::Write;

use idmerge_core::Kind;
use idmerge_events::array::ArrayLines;
use idmerge_events::columns::ExpectedKinds;
use idmerge_events::scan::{Scan, Scanner};
use support::{LONGEST, rules};

#[path = "../tests/support/mod.rs"]
mod support;

const FEW: usize = 1000;
/// One event in so many links two IDs.
const LINKED: usize = 10;

/// A kernel, its name, and how many units it handles of this text.
type Kernel = (&'static str, fn(&str) -> usize);

const KERNELS: [Kernel; 3] = [("cut", items_cut), ("scan", events_scanned), ("columns", events_in_columns)];

/// Cuts an array, behind its opening bracket, into lines.
#[inline(never)]
fn kernel_cut(array: &[u8], lines: &mut Vec<u8>) {
    ArrayLines::default().cut(array, lines).expect("an array");
}

/// Reads the steps that lines state.
#[inline(never)]
fn kernel_scan(scanner: &Scanner, text: &str) -> Scan {
    scanner.scan(&[], text.as_bytes(), None, None).expect("a short text")
}

/// Reads the steps that lines state, and the events as columns.
#[inline(never)]
fn kernel_columns(scanner: &Scanner, text: &str, expected: &ExpectedKinds) -> Scan {
    scanner.scan(&[], text.as_bytes(), Some(expected), None).expect("a short text")
}

fn items_cut(text: &str) -> usize {
    let array = format!("{}]", text.trim_end().replace('\n', ",\n "));
    let mut lines = Vec::with_capacity(array.len());
    kernel_cut(array.as_bytes(), &mut lines);
    assert_eq!(lines, text.trim_end().as_bytes());
    text.lines().count()
}

fn events_scanned(text: &str) -> usize {
    check(&kernel_scan(&Scanner::new(rules(), LONGEST, false), text), text)
}

fn events_in_columns(text: &str) -> usize {
    let scan = kernel_columns(&Scanner::new(rules(), LONGEST, true), text, &ExpectedKinds::of(None));
    assert!(scan.columns.is_some(), "every line is an event");
    check(&scan, text)
}

/// Returns the number of events, of which one in so many states a link and the others an ID.
fn check(scan: &Scan, text: &str) -> usize {
    let events = text.lines().count();
    assert_eq!((scan.len(), scan.holes().count()), (events, 0));
    for row in 0..events {
        let link = scan.link(row).expect("a row");
        assert_eq!(link.map(|(code, ..)| code), (row % LINKED == 0).then_some(Kind::Identify as u8));
        assert_eq!(scan.observed(row).expect("a row").is_none(), row % LINKED == 0);
    }
    events
}

/// Returns events as an export has them, a line each; one in so many links a device to a person.
fn text(events: usize) -> String {
    let mut text = String::new();
    for event in 0..events {
        let device = format!("{:08x}-9a1f-4c39-8f8e-{:012x}", event / LINKED, event / LINKED);
        let (person, time) = (event / LINKED, 1_700_000_000 + event);
        let line = if event.is_multiple_of(LINKED) {
            format!(
                r#"{{"event":"$identify","properties":{{"time":{time},"distinct_id":"user-{person}","$insert_id":"i{event:08}","$anon_id":"{device}","$identified_id":"user-{person}","$lib":"web"}}}}"#
            )
        } else {
            format!(
                r#"{{"event":"Page View","properties":{{"time":{time},"distinct_id":"{device}","$insert_id":"i{event:08}","$browser":"Chrome","$current_url":"https://shop.example/article/{event}","$os":"Mac OS X","$screen_height":900,"amount":{event}.5,"is_new":true,"mp_lib":"web"}}}}"#
            )
        };
        writeln!(text, "{line}").expect("a String takes all");
    }
    text
}

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let chosen = arguments.first().map(String::as_str);
    let events = arguments.get(1).map_or(FEW, |events| events.parse().expect("EVENTS is a number"));
    let text = text(events);
    let known = KERNELS.into_iter().filter(|(name, _)| chosen.is_none_or(|chosen| chosen == *name));
    for (name, run) in known {
        println!("{name} {}", run(&text));
    }
}
