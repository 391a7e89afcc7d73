//! A reader of JSON that takes what Python's `json` takes, and nothing else.
//!
//! That is more than other parsers take: `NaN` and the infinities, escapes and bytes of lone
//! surrogates, and integers of any length. Every value is read in full, but none is built: texts
//! and numbers are the bytes in which they stand. Time is linear in the length of the text, and
//! memory is a byte for each level of nesting, of which there are `DEEPEST` at most.

use std::borrow::Cow;

use memchr::memchr;

/// Objects and lists within each other, at most, as `idmerge._json_decoding` has it.
const DEEPEST: usize = 500;
/// The characters of an integer that Python reads as one there; a longer one is a float.
const MOST_DIGITS: usize = 640;

/// A value, as far as it is looked at.
pub enum Value<'a> {
    Null,
    Bool,
    Text(Text<'a>),
    Integer(&'a str),
    /// Any other number, the names of those that are none, and an integer of too many digits.
    Float(&'a str),
    Nested,
}

/// A text between its quotes, with its escapes.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    raw: &'a [u8],
    is_escaped: bool,
}

/// Reads a value from the beginning of a text on.
pub struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    /// The objects around the next value.
    depth: usize,
}

impl<'a> Reader<'a> {
    /// Takes a text of UTF-8, in which surrogates may be encoded too.
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    /// Reads an object; `each` is called with each key, and has to read its value.
    ///
    /// Returns None if there is none, it is no JSON, or `each` returns that.
    pub fn object(&mut self, mut each: impl FnMut(Text<'a>, &mut Self) -> Option<()>) -> Option<()> {
        self.blanks();
        self.byte(b'{')?;
        self.depth += 1;
        self.blanks();
        if self.peek()? == b'}' {
            self.at += 1;
        } else {
            loop {
                let key = self.key()?;
                each(key, self)?;
                self.blanks();
                match self.next()? {
                    b',' => self.blanks(),
                    b'}' => break,
                    _ => return None,
                }
            }
        }
        self.depth -= 1;
        Some(())
    }

    /// Returns whether an object comes next.
    pub fn is_object(&mut self) -> bool {
        self.blanks();
        self.peek() == Some(b'{')
    }

    /// Reads a value.
    pub fn value(&mut self) -> Option<Value<'a>> {
        self.blanks();
        if !matches!(self.peek()?, b'{' | b'[') {
            return self.scalar();
        }
        let mut closings = Vec::new();
        loop {
            self.blanks();
            match self.peek()? {
                opening @ (b'{' | b'[') => {
                    self.at += 1;
                    closings.push(opening + 2);
                    if self.depth + closings.len() > DEEPEST {
                        return None;
                    }
                    self.blanks();
                    if self.peek()? != opening + 2 {
                        if opening == b'{' {
                            self.key()?;
                        }
                        continue;
                    }
                }
                _ => _ = self.scalar()?,
            }
            loop {
                let Some(&closing) = closings.last() else { return Some(Value::Nested) };
                self.blanks();
                match self.next()? {
                    b',' => {
                        self.blanks();
                        if closing == b'}' {
                            self.key()?;
                        }
                        break;
                    }
                    byte if byte == closing => _ = closings.pop(),
                    _ => return None,
                }
            }
        }
    }

    /// Returns the place that is read next.
    pub fn place(&self) -> usize {
        self.at
    }

    /// Makes sure that nothing but blanks is left.
    pub fn end(&mut self) -> Option<()> {
        self.blanks();
        (self.at == self.text.len()).then_some(())
    }

    /// Reads a key with its colon.
    fn key(&mut self) -> Option<Text<'a>> {
        self.byte(b'"')?;
        let key = self.quoted()?;
        self.blanks();
        self.byte(b':')?;
        Some(key)
    }

    fn scalar(&mut self) -> Option<Value<'a>> {
        match self.peek()? {
            b'"' => {
                self.at += 1;
                self.quoted().map(Value::Text)
            }
            b'n' => self.word("null").map(|_| Value::Null),
            b't' => self.word("true").map(|_| Value::Bool),
            b'f' => self.word("false").map(|_| Value::Bool),
            b'N' => self.word("NaN").map(Value::Float),
            b'I' => self.word("Infinity").map(Value::Float),
            b'-' if self.text.get(self.at + 1) == Some(&b'I') => self.word("-Infinity").map(Value::Float),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &'static str) -> Option<&'static str> {
        self.text[self.at..].starts_with(word.as_bytes()).then(|| {
            self.at += word.len();
            word
        })
    }

    fn number(&mut self) -> Option<Value<'a>> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        let mut is_integer = true;
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
            is_integer = false;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
            is_integer = false;
        }
        let text = str::from_utf8(&self.text[start..self.at]).ok()?;
        Some(if is_integer && text.len() <= MOST_DIGITS { Value::Integer(text) } else { Value::Float(text) })
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    /// Reads a text behind its opening quote.
    fn quoted(&mut self) -> Option<Text<'a>> {
        let start = self.at;
        let mut is_escaped = false;
        loop {
            while self.peek().is_some_and(is_plain) {
                self.at += 1;
            }
            match self.next()? {
                b'"' => return Some(Text { raw: &self.text[start..self.at - 1], is_escaped }),
                b'\\' => {
                    is_escaped = true;
                    match self.next()? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                        b'u' => {
                            let digits = self.text.get(self.at..self.at + 4)?;
                            if !digits.iter().all(u8::is_ascii_hexdigit) {
                                return None;
                            }
                            self.at += 4;
                        }
                        _ => return None,
                    }
                }
                _ => return None,
            }
        }
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    #[inline]
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn byte(&mut self, wanted: u8) -> Option<()> {
        (self.next()? == wanted).then_some(())
    }
}

/// Returns whether a byte of a text stands for itself.
#[inline]
fn is_plain(byte: u8) -> bool {
    byte >= 0x20 && byte != b'"' && byte != b'\\'
}

impl<'a> Text<'a> {
    /// Returns whether it has no characters.
    pub fn is_empty(self) -> bool {
        self.raw.is_empty()
    }

    /// Returns its characters in UTF-8, where lone surrogates are encoded as others are.
    pub fn bytes(self) -> Cow<'a, [u8]> {
        if self.is_escaped { Cow::Owned(unescaped(self.raw)) } else { Cow::Borrowed(self.raw) }
    }
}

/// Returns the number of characters in the bytes of a [`Text`].
pub fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

fn unescaped(raw: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(place) = memchr(b'\\', rest) {
        bytes.extend_from_slice(&rest[..place]);
        let escape = rest[place + 1];
        rest = &rest[place + 2..];
        bytes.push(match escape {
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let mut code = four_digits(rest);
                rest = &rest[4..];
                let low = rest.strip_prefix(b"\\u").map_or(0, four_digits);
                if (0xd800..0xdc00).contains(&code) && (0xdc00..0xe000).contains(&low) {
                    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                    rest = &rest[6..];
                }
                push_character(&mut bytes, code);
                continue;
            }
            itself => itself,
        });
    }
    bytes.extend_from_slice(rest);
    bytes
}

/// Returns the number that four hexadecimal digits are.
fn four_digits(text: &[u8]) -> u32 {
    text.iter().take(4).fold(0, |code, digit| code * 16 + char::from(*digit).to_digit(16).unwrap_or(0))
}

fn push_character(bytes: &mut Vec<u8>, code: u32) {
    match char::from_u32(code) {
        Some(character) => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        // A lone surrogate, whose code has sixteen bits.
        None => bytes
            .extend([0xe0 | code >> 12, 0x80 | code >> 6 & 0x3f, 0x80 | code & 0x3f].map(|byte| byte as u8)),
    }
}

/// Returns whether a text is UTF-8 in which surrogates may be encoded, as Python's `surrogatepass`
/// takes it.
pub fn is_unicode(text: &[u8]) -> bool {
    if simdutf8::basic::from_utf8(text).is_ok() {
        return true;
    }
    let mut text = text.to_vec();
    for place in 1..text.len() {
        // The first byte begins a character wherever it stands, and is that of others too.
        if text[place - 1] == 0xed && (0xa0..0xc0).contains(&text[place]) {
            text[place] = 0x80;
        }
    }
    simdutf8::basic::from_utf8(&text).is_ok()
}
