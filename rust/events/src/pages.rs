//! Pages: objects that stand one after another, each with a list of objects in it, as lines of the
//! lists' items.
//!
//! The answers of query APIs are such pages: `{"status": "ok", "results": [{…}, {…}]}`, or with
//! `{"events": […]}` as `results`; so are the batches of other products. What stands beside the
//! list is passed over. A page without a list becomes the byte [`NO_LIST`] and its first keys,
//! `["error"]`: no JSON, so that it is not taken for an event, and its reader can say what it has.
//! Memory is that of the text of one call.

use crate::array::{ArrayLines, NO_END, no_object};
use crate::beginning::Keys;

/// The first byte of the line of a page without a list.
pub const NO_LIST: u8 = 3;
/// The keys of a page without a list that its line has, at most.
const MOST_KEYS: usize = 12;
/// The longest key that is kept, in bytes.
const LONGEST_KEY: usize = 60;

/// Turns a text of pages into lines.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the text so far")]
pub struct PageLines {
    /// The keys of the list in each page.
    wanted: Keys,
    /// The list that is being read, and whether it has had an item.
    list: Option<ArrayLines>,
    has_item: bool,
    /// The number of brackets that are open.
    depth: usize,
    /// The number of objects that are open, up to the first list.
    objects: usize,
    /// Whether a text is being read, and whether its next character is escaped.
    in_text: bool,
    is_escaped: bool,
    /// The beginning of the text that was read last.
    text: Vec<u8>,
    /// The last key of each of the outer two objects.
    keys: [Vec<u8>; 2],
    /// The first keys of the page.
    first_keys: Vec<Vec<u8>>,
    /// Whether the page has a list.
    has_list: bool,
    /// Whether a comma may come before the next page.
    may_be_comma: bool,
}

impl PageLines {
    /// Takes the keys of the list in each page.
    pub fn new(wanted: Keys) -> Self {
        Self {
            wanted,
            list: None,
            has_item: false,
            depth: 0,
            objects: 0,
            in_text: false,
            is_escaped: false,
            text: Vec::new(),
            keys: [Vec::new(), Vec::new()],
            first_keys: Vec::new(),
            has_list: false,
            may_be_comma: false,
        }
    }

    /// Turns the next piece of text into lines, appended to `lines`; an empty piece ends it.
    ///
    /// # Errors
    ///
    /// The text behind those lines belongs to no page; the error says how.
    pub fn cut(&mut self, text: &[u8], lines: &mut Vec<u8>) -> Result<(), String> {
        if text.is_empty() {
            return match &mut self.list {
                Some(list) => list.cut(&[], lines),
                None if self.depth > 0 => Err(NO_END.to_owned()),
                None => Ok(()),
            };
        }
        let mut rest = text;
        while let Some((&byte, behind)) = rest.split_first() {
            let Some(list) = &mut self.list else {
                self.take(byte, lines)?;
                rest = behind;
                continue;
            };
            let start = lines.len();
            rest = list.pass(rest, lines)?;
            self.has_item |= lines.len() > start;
            if list.is_closed() {
                lines.extend(self.has_item.then_some(b'\n'));
                self.list = None;
            }
        }
        Ok(())
    }

    /// Takes a byte that is in no list.
    fn take(&mut self, byte: u8, lines: &mut Vec<u8>) -> Result<(), String> {
        if self.in_text {
            self.take_text(byte);
            return Ok(());
        }
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => (),
            b'{' => {
                self.objects += usize::from(self.objects == self.depth);
                self.depth += 1;
            }
            b',' if self.depth == 0 && self.may_be_comma => self.may_be_comma = false,
            _ if self.depth == 0 => return Err(no_object(byte)),
            b'"' => {
                self.in_text = true;
                self.text.clear();
            }
            b':' => self.take_key(),
            b'[' if self.is_wanted() => {
                (self.list, self.has_item, self.has_list) = (Some(ArrayLines::default()), false, true);
            }
            b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth -= 1;
                self.objects = self.objects.min(self.depth);
                if self.depth == 0 {
                    self.end_page(lines);
                }
            }
            _ => (),
        }
        Ok(())
    }

    fn take_text(&mut self, byte: u8) {
        if self.is_escaped {
            self.is_escaped = false;
        } else if byte == b'"' {
            self.in_text = false;
            return;
        } else {
            self.is_escaped = byte == b'\\';
        }
        self.text.extend((self.text.len() < LONGEST_KEY).then_some(byte));
    }

    /// Takes the last text as a key, and no other colon takes it again.
    fn take_key(&mut self) {
        if self.objects != self.depth {
            return;
        }
        let text = std::mem::take(&mut self.text);
        if self.depth == 1 && self.first_keys.len() < MOST_KEYS {
            self.first_keys.push(text.clone());
        }
        if let Some(key) = self.keys.get_mut(self.depth - 1) {
            *key = text;
        }
    }

    /// Returns whether a list at this place is the page's.
    fn is_wanted(&self) -> bool {
        let mut keys = self.keys.iter().zip(self.wanted);
        let is_here = self.objects == self.depth && self.depth == self.wanted.len();
        is_here && !self.has_list && keys.all(|(key, wanted)| key == wanted.as_bytes())
    }

    /// Ends a page; one without a list becomes a line of its own.
    fn end_page(&mut self, lines: &mut Vec<u8>) {
        let keys = std::mem::take(&mut self.first_keys);
        if !self.has_list {
            let named = keys.iter().map(|key| String::from_utf8_lossy(key).replace(['"', '\\'], ""));
            let quoted: Vec<_> =
                named.map(|key| format!("\"{}\"", key.replace(char::is_control, ""))).collect();
            lines.push(NO_LIST);
            lines.extend_from_slice(format!("[{}]\n", quoted.join(",")).as_bytes());
        }
        (self.has_list, self.may_be_comma) = (false, true);
    }
}
