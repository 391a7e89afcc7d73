//! The form of a JSON text, by its beginning: lines, or objects over several lines; and whether the
//! first object has a list of objects as pages have.
//!
//! An event may have such a list too, so the keys of the first object are kept for the caller, who
//! knows those of events.
//!
//! The first object is checked by the grammar of JSON, so that a line that is cut off is not taken
//! for the beginning of a long object: it is a bad line among lines. Memory is that of its keys;
//! time is linear.

use memchr::memchr3;

/// The form of a JSON text that begins with `{`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    /// A value a line.
    Lines,
    /// Objects that go over several lines, or stand several on one.
    Objects,
}

/// The keys of a list in a page, from the outermost on.
pub type Keys = &'static [&'static str];

/// Objects and lists within each other, beyond which nothing is looked at.
const DEEPEST: usize = 500;
/// The lists that pages have.
pub const LISTS: [Keys; 5] = [&["results"], &["results", "events"], &["events"], &["data"], &["batch"]];
/// The longest key that is looked at.
const LONGEST_KEY: usize = 16;

/// The part of JSON's grammar that may come next.
#[derive(Clone, Copy, PartialEq)]
enum Next {
    /// A value.
    Value,
    /// A value, or the end of a list that is empty.
    ValueOrEnd,
    /// A key, or the end of an object that is empty.
    KeyOrEnd,
    /// A key.
    Key,
    /// The colon behind a key.
    Colon,
    /// A comma, or the end of an object or list.
    CommaOrEnd,
    /// The rest of a number or a word.
    Word,
    /// The end of a text, and whether it is a key.
    Text(bool),
    /// The character behind a backslash in a text, and whether it is a key.
    Escaped(bool),
    /// Anything behind the first object.
    Behind,
}

/// Finds out the form of a text that comes in pieces.
pub struct Beginning {
    next: Next,
    /// The opening brackets that are not closed.
    open: Vec<u8>,
    /// The last key of each of the outer two objects.
    keys: [Vec<u8>; 2],
    /// The keys of the first object so far, as they are spelt.
    outer: Vec<Vec<u8>>,
    /// Whether a line ended within the first object.
    has_lines: bool,
    /// The list whose opening bracket was read last, if it may be a page's.
    list: Option<Keys>,
    /// The first list of objects that may be a page's.
    page: Option<Keys>,
}

impl Default for Beginning {
    fn default() -> Self {
        let keys = [Vec::new(), Vec::new()];
        Self {
            next: Next::Value,
            open: Vec::new(),
            keys,
            outer: Vec::new(),
            has_lines: false,
            list: None,
            page: None,
        }
    }
}

impl Beginning {
    /// Looks at the next piece of text, and returns the form once it is known; an empty piece is
    /// the end.
    pub fn take(&mut self, text: &[u8]) -> Option<Form> {
        if text.is_empty() {
            // An object without an end is no more than its first line.
            return Some(if self.next == Next::Behind { self.form_of_first() } else { Form::Lines });
        }
        let mut rest = text;
        while let Some((&byte, behind)) = rest.split_first() {
            if self.next == Next::Text(false) {
                let end = memchr3(b'"', b'\\', b'\n', rest).unwrap_or(rest.len());
                if end > 0 {
                    rest = &rest[end..];
                    continue;
                }
            }
            if let Some(form) = self.byte(byte) {
                return Some(form);
            }
            rest = behind;
        }
        None
    }

    /// Returns the keys of the first list of objects in the first object, if it stands where the
    /// list of a page does (see [`crate::pages`]).
    pub fn page(&self) -> Option<Keys> {
        self.page
    }

    /// Returns the keys of the first object, as far as it was looked at.
    pub fn first_keys(&self) -> impl Iterator<Item = String> {
        self.outer.iter().map(|key| {
            let text = String::from_utf8_lossy(key);
            sonic_rs::from_str(&format!("\"{text}\"")).unwrap_or_else(|_| text.into_owned())
        })
    }

    /// Returns the form of a text behind whose first object nothing more stands on its line.
    fn form_of_first(&self) -> Form {
        if self.has_lines { Form::Objects } else { Form::Lines }
    }

    fn byte(&mut self, byte: u8) -> Option<Form> {
        match self.next {
            Next::Text(is_key) => return self.text(byte, is_key),
            Next::Escaped(is_key) => {
                self.next = Next::Text(is_key);
                self.spell(byte, is_key);
                return (byte == b'\n').then_some(Form::Lines);
            }
            _ => (),
        }
        if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            return self.blank(byte);
        }
        if let (Some(list), b'{' | b']') = (self.list.take(), byte) {
            self.page = self.page.or(Some(list));
        }
        match (self.next, byte) {
            (Next::Behind, b'{' | b',') => return Some(Form::Objects),
            (Next::Behind, _) => return Some(self.form_of_first()),
            (Next::Value | Next::ValueOrEnd, b'{' | b'[') => return self.open(byte),
            (Next::Value | Next::ValueOrEnd, b'"') if !self.open.is_empty() => self.next = Next::Text(false),
            (Next::Value | Next::ValueOrEnd, b'-' | b'0'..=b'9' | b'a'..=b'z' | b'N' | b'I')
                if !self.open.is_empty() =>
            {
                self.next = Next::Word;
            }
            (Next::Word, b'+' | b'-' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z') => (),
            (Next::Key | Next::KeyOrEnd, b'"') => {
                if let Some(key) = self.keys.get_mut(self.open.len() - 1) {
                    key.clear();
                }
                if self.open.len() == 1 {
                    self.outer.push(Vec::new());
                }
                self.next = Next::Text(true);
            }
            (Next::Colon, b':') => self.next = Next::Value,
            (Next::Word | Next::CommaOrEnd, b',') => {
                self.next = if self.open.last() == Some(&b'{') { Next::Key } else { Next::Value };
            }
            (Next::Word | Next::CommaOrEnd | Next::KeyOrEnd, b'}') => return self.close(b'{'),
            (Next::Word | Next::CommaOrEnd | Next::ValueOrEnd, b']') => return self.close(b'['),
            _ => return Some(Form::Lines),
        }
        None
    }

    fn text(&mut self, byte: u8, is_key: bool) -> Option<Form> {
        match byte {
            b'"' => self.next = if is_key { Next::Colon } else { Next::CommaOrEnd },
            b'\\' => self.next = Next::Escaped(is_key),
            b'\n' => return Some(Form::Lines),
            _ => (),
        }
        if is_key && byte != b'"' {
            self.spell(byte, true);
            if let Some(key) = self.keys.get_mut(self.open.len() - 1) {
                key.extend((key.len() < LONGEST_KEY).then_some(byte));
            }
        }
        None
    }

    /// Adds a byte to the last key of the first object.
    fn spell(&mut self, byte: u8, is_key: bool) {
        if is_key
            && self.open.len() == 1
            && let Some(key) = self.outer.last_mut()
        {
            key.push(byte);
        }
    }

    fn blank(&mut self, byte: u8) -> Option<Form> {
        if self.next == Next::Word {
            self.next = Next::CommaOrEnd;
        }
        if byte != b'\n' {
            return None;
        }
        if self.next == Next::Behind {
            return Some(self.form_of_first());
        }
        self.has_lines |= !self.open.is_empty();
        None
    }

    fn open(&mut self, byte: u8) -> Option<Form> {
        if byte == b'[' {
            let is_list = |list: &Keys| {
                let is_key = |(key, wanted): (&Vec<u8>, &&str)| key == wanted.as_bytes();
                list.len() == self.open.len() && self.keys.iter().zip(*list).all(is_key)
            };
            self.list = LISTS.into_iter().find(is_list).filter(|_| !self.open.contains(&b'['));
        }
        if self.open.len() == DEEPEST {
            return Some(Form::Lines);
        }
        self.open.push(byte);
        self.next = if byte == b'{' { Next::KeyOrEnd } else { Next::ValueOrEnd };
        None
    }

    fn close(&mut self, opening: u8) -> Option<Form> {
        if self.open.pop() != Some(opening) {
            return Some(Form::Lines);
        }
        self.next = if self.open.is_empty() { Next::Behind } else { Next::CommaOrEnd };
        None
    }
}
