//! Lines of events of any dialect as lines of the raw shape.
//!
//! A [`Dialect`] names the keys of an event's fields, and a [`Vendor`] what is more of it in rows
//! of another product. A [`Transcoder`] copies the values of a line as they stand under their raw
//! names, `{"event": …, "properties": {…}}`, which the scanner reads.
//!
//! # Invariants
//!
//! 1. There are as many lines as before, each with the number that it had.
//! 2. A line that is transcoded is JSON to Python's `json`, and means what Python's
//!    `Dialect.event_of` makes of it. Any other line is *passed on*: [`PASSED_ON`] and its bytes,
//!    which are no JSON, so that the scanner declines it and the caller reads it.
//! 3. A line beyond the limit becomes [`TOO_LONG`], and no line gets longer than the limit but one
//!    that is passed on, by one byte.
//!
//! Memory and time are linear in the text of one call and one line.

mod dialect;
mod fields;
mod line;
mod vendor;

pub use dialect::Dialect;
pub use vendor::Vendor;

use memchr::{memchr, memchr_iter};

use crate::transcode::line::Meaning;

/// The first byte of a line that is passed on as it was.
pub const PASSED_ON: u8 = 1;
/// The line that stands for one beyond the limit.
pub const TOO_LONG: u8 = 2;

/// Turns lines of a dialect into lines of the raw shape, piece by piece.
pub struct Transcoder {
    dialect: Dialect,
    /// The longest line in bytes, its end included.
    longest: usize,
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
    /// Whether the line that was begun is beyond the limit.
    is_too_long: bool,
}

impl Transcoder {
    /// Takes the dialect, and the longest line in bytes.
    pub fn new(dialect: Dialect, longest: usize) -> Self {
        Self { dialect, longest, begun: Vec::new(), is_too_long: false }
    }

    /// Transcodes the lines that end in `text`, and appends them to `lines`; an empty text ends the
    /// last line.
    pub fn cut(&mut self, text: &[u8], lines: &mut Vec<u8>) {
        let mut start = 0;
        if !self.begun.is_empty() || self.is_too_long {
            let end = memchr(b'\n', text).map_or(text.len(), |end| end + 1);
            self.begin(&text[..end]);
            start = end;
            if text.is_empty() || text[..end].ends_with(b"\n") {
                self.end(text, lines);
            }
        }
        let first = start;
        for end in memchr_iter(b'\n', &text[first..]).map(|end| first + end + 1) {
            self.line(&text[start..end], lines);
            start = end;
        }
        self.begin(&text[start..]);
    }

    fn begin(&mut self, text: &[u8]) {
        self.is_too_long |= self.begun.len() + text.len() > self.longest;
        if self.is_too_long {
            self.begun = Vec::new();
        } else {
            self.begun.extend_from_slice(text);
        }
    }

    /// Ends the line that was begun, whose last bytes are in `text`.
    fn end(&mut self, text: &[u8], lines: &mut Vec<u8>) {
        let line = std::mem::take(&mut self.begun);
        if std::mem::take(&mut self.is_too_long) {
            lines.push(TOO_LONG);
            lines.extend(text.contains(&b'\n').then_some(b'\n'));
        } else {
            self.line(&line, lines);
        }
    }

    /// Transcodes a line, its end included if it has one.
    fn line(&self, line: &[u8], lines: &mut Vec<u8>) {
        let start = lines.len();
        if line.len() > self.longest {
            lines.push(TOO_LONG);
        } else if !is_blank(line) {
            let text = str::from_utf8(line).ok();
            match text.and_then(|text| self.dialect.transcode(text, lines)) {
                Some(Meaning::Event) if lines.len() - start < self.longest => {}
                Some(Meaning::Nothing) => lines.truncate(start),
                _ => {
                    lines.truncate(start);
                    lines.push(PASSED_ON);
                    lines.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
                }
            }
        }
        lines.extend(line.ends_with(b"\n").then_some(b'\n'));
    }
}

/// Returns whether a line is one that readers of lines pass over.
fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0x0b)
}
