//! Lines of texts that come in pieces.

mod support;

use idmerge_events::columns::Flattener;
use idmerge_events::lines::each_line;
use idmerge_events::scan::Scanner;
use proptest::prelude::*;

type Owned = (u32, Vec<u8>, Option<String>);

fn lines(head: &[u8], text: &[u8], longest: usize) -> (u32, Vec<Owned>) {
    let mut found = Vec::new();
    let count = each_line(head, text, longest, |line| {
        found.push((line.number, line.seen.to_vec(), line.text.map(str::to_owned)));
    });
    (count, found)
}

fn owned(number: u32, line: &str) -> Owned {
    (number, line.as_bytes().to_vec(), Some(line.to_owned()))
}

#[test]
fn lines_are_counted_and_blank_ones_passed_over() {
    assert_eq!(lines(b"", b"", 9), (0, vec![]));
    assert_eq!(lines(b"", b"a\n\n \t\x0b\x0c\r\nb", 9), (4, vec![owned(0, "a\n"), owned(3, "b")]));
    assert_eq!(lines(b"\n", b"a\n", 9), (1, vec![owned(0, "\na\n")]));
}

#[test]
fn a_line_that_is_not_unicode_has_bytes_but_no_text() {
    let (count, found) = lines(b"", b"a\n\xff\nb\n", 9);
    assert_eq!((count, &found[0], &found[2]), (3, &owned(0, "a\n"), &owned(2, "b\n")));
    assert_eq!(found[1], (1, b"\xff\n".to_vec(), None));
}

#[test]
fn a_letter_may_be_cut_between_head_and_text() {
    let text = "é\nb".as_bytes();
    assert_eq!(lines(&text[..1], &text[1..], 9), (2, vec![owned(0, "é\n"), owned(1, "b")]));
}

#[test]
fn a_line_beyond_the_limit_shows_one_byte_more_than_that() {
    assert_eq!(lines(b"", b"1234", 4).1, [owned(0, "1234")]);
    assert_eq!(lines(b"", b"123456", 4).1, [(0, b"12345".to_vec(), None)]);
    assert_eq!(lines(b"12", b"3456\n", 4).1, [(0, b"12345".to_vec(), None)]);
    assert_eq!(lines(b"", b"     x", 4).1, []); // As blank as far as it is looked at.
}

proptest! {
    #[test]
    fn a_head_changes_nothing(head in "[ab\u{e9} ]{1,6}", text in "[ab\u{e9} \n]{0,12}", longest in 1usize..8) {
        let all = format!("{head}{text}");
        prop_assert_eq!(lines(head.as_bytes(), text.as_bytes(), longest), lines(b"", all.as_bytes(), longest));
    }

    #[test]
    fn all_lines_together_are_the_text(text in "[ab \n]{0,20}") {
        let (count, found) = lines(b"", text.as_bytes(), 99);
        let kept = text.split_inclusive('\n').enumerate().filter(|(_, line)| !line.trim().is_empty());
        let kept: Vec<_> = kept.map(|(number, line)| owned(number as u32, line)).collect();
        prop_assert_eq!(found, kept);
        prop_assert_eq!(count as usize, text.split_inclusive('\n').count());
    }
}

#[test]
fn two_gigabytes_are_refused_at_once_by_every_reader_of_lines() {
    // Zeros that are not read take no memory.
    let text = vec![0; 1 << 31];
    let (scanner, flattener) = (Scanner::new(support::rules(), 10, false), Flattener::new(Vec::new(), 10));
    for (head, text) in [(&text[..1], &text[1..]), (&[], &text[..])] {
        let refusals =
            [scanner.scan(head, text, None, None).err(), flattener.flatten::<&[u8]>(head, text, None).err()];
        for refusal in refusals {
            let message = refusal.map(|error| error.to_string());
            assert_eq!(message.as_deref(), Some("head and text must be shorter than 2 GiB"));
        }
    }
    assert!(flattener.flatten::<&[u8]>(&text[..4], &text[..4], None).is_ok());
}
