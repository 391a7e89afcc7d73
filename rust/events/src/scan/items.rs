//! The items of an array, read where they stand: the body of most requests, and blocks of files.

use idmerge_core::OBSERVE;

use crate::lines::check_length;
use crate::links::End;
use crate::scan::observers::Observers;
use crate::scan::scanner::{Scan, Scanner};

impl Scanner {
    /// Reads the items of an array, each as a line of its own.
    ///
    /// `items` is the array behind its opening bracket, or a part of it from an item on, which has
    /// to be whole items up to the given `end`.
    ///
    /// Returns None if it is not, an item is no object, one is longer than a line may be, or the
    /// text is no UTF-8.
    pub fn scan_items(&self, items: &[u8], end: End) -> Option<Scan> {
        let text = simdutf8::basic::from_utf8(items).ok()?;
        check_length(&[], items).ok()?;
        let mut scan = Scan::of_events();
        scan.observers = Some(Observers::for_text(text.len()));
        let read = self.rules().items(text, end, OBSERVE, |stated, item| {
            let is_short_enough = item.len() <= self.longest;
            scan.push_item(stated, item);
            is_short_enough
        });
        read?;
        scan.observers = None;
        scan.lines = scan.len() as u32;
        Some(scan)
    }
}
