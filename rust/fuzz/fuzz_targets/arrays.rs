//! JSON arrays: pieces of any size become the same lines, no more of them than there are commas.

#![no_main]

use idmerge_events::array::ArrayLines;
use libfuzzer_sys::fuzz_target;

fn cut(text: &[u8], size: usize) -> (Vec<u8>, Option<String>) {
    let (mut array, mut lines) = (ArrayLines::default(), Vec::new());
    for piece in text.chunks(size) {
        if let Err(wrong) = array.cut(piece, &mut lines) {
            return (lines, Some(wrong));
        }
    }
    let wrong = array.cut(&[], &mut lines).err();
    (lines, wrong)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&size, text)) = bytes.split_first() else { return };
    let whole = cut(text, text.len().max(1));
    assert_eq!(cut(text, usize::from(size).max(1)), whole);
    let (lines, _) = whole;
    let count = |bytes: &[u8], byte: u8| bytes.iter().filter(|other| **other == byte).count();
    assert!(lines.len() <= text.len() + 1);
    assert!(count(&lines, b'\n') <= count(text, b',') + 1);
});
