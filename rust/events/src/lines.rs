//! Lines of a text that comes in pieces, and events that fill the holes among them.

use memchr::{memchr, memchr_iter};

use crate::error::Error;

/// The longest text that is read at once, in bytes: what is made of it is counted in 31 bits.
const MAX_TEXT: usize = i32::MAX as usize;

/// Makes sure that `head` and `text` are not too long to be read at once.
///
/// # Errors
///
/// There are 2 GiB or more.
pub fn check_length(head: &[u8], text: &[u8]) -> Result<(), Error> {
    if head.len().checked_add(text.len()).is_none_or(|length| length > MAX_TEXT) {
        return Err(Error::Value("head and text must be shorter than 2 GiB".to_owned()));
    }
    Ok(())
}

/// A line that is not blank.
#[derive(Clone, Copy)]
pub struct Line<'a> {
    /// Its number, counted from 0.
    pub number: u32,
    /// Its bytes, its end included; of one beyond the limit one byte more than that.
    pub seen: &'a [u8],
    /// Its text, if it is UTF-8 and within the limit.
    pub text: Option<&'a str>,
}

/// Calls `each` for the lines of `head` and of `text` behind it, and returns how many there are,
/// blank ones included.
///
/// `head` is the beginning of one line.
pub fn each_line(head: &[u8], text: &[u8], longest: usize, mut each: impl FnMut(Line<'_>)) -> u32 {
    let mut number = 0;
    let mut take = |bytes: &[u8], text: Option<&str>| {
        // Bytes beyond the limit are not looked at.
        let seen = &bytes[..bytes.len().min(longest + 1)];
        if !seen.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0x0b) {
            each(Line { number, seen, text: text.filter(|_| bytes.len() <= longest) });
        }
        number += 1;
    };
    // The head has no end of line, unless it has nothing else.
    let joined = if head.is_empty() { 0 } else { memchr(b'\n', text).map_or(text.len(), |end| end + 1) };
    if !head.is_empty() {
        let line = [head, &text[..joined]].concat();
        take(&line, str::from_utf8(&line).ok());
    }
    let text = &text[joined..];
    let unicode = simdutf8::basic::from_utf8(text).ok();
    let mut start = 0;
    for end in memchr_iter(b'\n', text).map(|end| end + 1).chain([text.len()]) {
        let line = &text[start..end];
        if !line.is_empty() {
            let valid = match unicode {
                Some(unicode) => Some(&unicode[start..end]),
                None => str::from_utf8(line).ok(),
            };
            take(line, valid);
        }
        start = end;
    }
    number
}

/// Events of the caller's, in the order of the lines that were declined; None for a line that is no
/// event.
pub struct Filling<'a, T> {
    events: std::slice::Iter<'a, Option<T>>,
    /// A line that was filled with no event.
    wrong: Option<u32>,
}

impl<'a, T: AsRef<[u8]>> Filling<'a, T> {
    /// Takes the events.
    pub fn of(events: &'a [Option<T>]) -> Self {
        Self { events: events.iter(), wrong: None }
    }

    /// Fills a line with the next event by `add`, which returns whether it was one; returns false
    /// for a line that is to be left out.
    pub fn fill(&mut self, line: u32, add: impl FnOnce(&str) -> bool) -> bool {
        match self.events.next() {
            Some(None) => return false,
            Some(Some(event)) if str::from_utf8(event.as_ref()).is_ok_and(add) => {}
            _ => self.wrong = Some(line),
        }
        true
    }

    /// Returns an error if a line was filled with no event.
    pub fn finish(self) -> Result<(), Error> {
        let wrong = |line| Err(Error::Value(format!("line {line} is filled with no event")));
        self.wrong.map_or(Ok(()), wrong)
    }
}
