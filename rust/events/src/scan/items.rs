//! The items of an array, read where they stand: the body of most requests, and blocks of files.

use idmerge_core::OBSERVE;

use crate::lines::check_length;
use crate::links::End;
use crate::scan::observers::Observers;
use crate::scan::scanner::{Scan, Scanner};

/// The most items of a text that are left to the caller: more are read as lines, a part at a time.
const MOST_HOLES: usize = 1 << 14;

impl Scanner {
    /// Reads the items of an array, each as a line of its own.
    ///
    /// `items` is the array behind its opening bracket, or a part of it from an item on, which has
    /// to be whole items up to the given `end`.
    ///
    /// Returns None if it is not, an item is neither an object nor a list, one is longer than a
    /// line may be, more than [`MOST_HOLES`] are declined, or the text is no UTF-8.
    pub fn scan_items(&self, items: &[u8], end: End) -> Option<Scan> {
        let text = simdutf8::basic::from_utf8(items).ok()?;
        check_length(&[], items).ok()?;
        let mut scan = self.empty(None);
        scan.observers = Some(Observers::for_text(text.len()));
        let read = self.rules().items(text, end, OBSERVE, |stated, item| {
            scan.push_item(stated, item);
            item.len() <= self.longest && scan.holes().len() <= MOST_HOLES
        });
        read?;
        scan.observers = None;
        scan.lines = scan.len() as u32;
        Some(scan)
    }
}
