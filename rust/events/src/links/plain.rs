//! Plain events, read in one pass without the parser of all JSON.
//!
//! Plain is an object as SDKs and exports write nearly all: its texts hold no escapes, its numbers
//! are short and have no exponent, and its operands are texts, lists of two, null or booleans. What
//! is not plain for certain is left to the parser. So both ways give the same answer, and only the
//! time differs.
//!
//! Quotes are found a block at a time: strings differ in length, so where the end of each is looked
//! for alone, the processor guesses wrong at most of them. The cursor is never lent to a function
//! that is not inlined, so that the compiler may keep it in registers.

use wide::u8x16;

use crate::links::operand::Value;
use crate::links::rules::{MAX_KEYS, Rules, Stated};
use crate::structure::object_end;

/// The parts of an event that count.
pub struct Found<'a> {
    /// Its rule; None for an ordinary event.
    pub rule: Option<usize>,
    /// The values of the keys that count, by their places.
    pub values: [Value<'a>; MAX_KEYS],
}

/// The end of items of an array.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// That of the array.
    Array,
    /// The comma behind an item.
    Comma,
}

/// The deepest nesting of a plain value.
const MAX_DEPTH: u8 = 8;
/// The most digits of a plain number before its point, and behind it.
const MAX_DIGITS: usize = 18;
/// The characters that stand between the parts of JSON text.
const BLANK: [char; 4] = [' ', '\n', '\r', '\t'];
/// The last of the characters that stand in no string.
const LAST_CONTROL: u8 = 0x1f;
/// The bytes of a block.
const BLOCK: usize = 64;

impl Rules {
    /// Reads the plain event in `line` into `found`; None if it is not plain.
    #[inline]
    pub(crate) fn plain<'a>(&self, line: &'a str, found: &mut Found<'a>) -> Option<()> {
        let mut cursor = Cursor::of(line);
        cursor.event(self, found)?;
        cursor.is_at_end().then_some(())
    }

    /// Calls `each` with each object, or list, of an array and what it states, or None if it is
    /// declined; `each` returns whether it takes more.
    ///
    /// `items` is the array behind its opening bracket, or a part of it from an item on. `observe`
    /// is the code of an ordinary event. Returns None if an item is anything else, there is
    /// no such `end`, or `each` takes no more.
    pub(crate) fn items(
        &self,
        items: &str,
        end: End,
        observe: u8,
        mut each: impl FnMut(Option<Stated<'_>>, &str) -> bool,
    ) -> Option<()> {
        let mut unescaped = String::new();
        let mut cursor = Cursor::of(items);
        loop {
            let (start, mut found) = (cursor.place, Found::default());
            let takes_more = if cursor.event(self, &mut found).is_some() {
                let item = items[start..cursor.place].trim_start_matches(BLANK);
                each(self.step(found.rule, &found.values, "", observe), item)
            } else {
                cursor = cursor.behind_object(start)?;
                let item = items[start..cursor.place].trim_start_matches(BLANK);
                each(self.parsed(item, observe, &mut unescaped, None), item)
            };
            if !takes_more {
                return None;
            }
            match (cursor.next()?, end) {
                (b',', End::Comma) if cursor.is_at_end() => return Some(()),
                (b',', _) => (),
                (b']', End::Array) => return cursor.is_at_end().then_some(()),
                _ => return None,
            }
        }
    }
}

impl Default for Found<'_> {
    #[inline]
    fn default() -> Self {
        Self { rule: None, values: [const { Value::Absent }; MAX_KEYS] }
    }
}

/// A place in JSON text without escapes. Each method goes on behind what it reads, and returns None
/// where that is not plain.
#[derive(Clone, Copy)]
struct Cursor<'a> {
    text: &'a str,
    place: usize,
    /// The quotes of a block that are not read, one bit for each byte.
    quotes: u64,
    /// The place of the block.
    block: usize,
    /// The place behind the block.
    end: usize,
}

#[expect(clippy::inline_always, reason = "each is few instructions, and lends the cursor to none")]
impl<'a> Cursor<'a> {
    #[inline(always)]
    fn of(line: &'a str) -> Self {
        Self { text: line.trim_end_matches(BLANK), place: 0, quotes: 0, block: 0, end: 0 }
    }

    /// Returns the cursor behind an object that begins at a place, or behind blanks there; None if
    /// there is none, or it has no end.
    #[cold]
    fn behind_object(&self, place: usize) -> Option<Self> {
        let object = self.text[place..].trim_start_matches(BLANK);
        let end = self.text.len() - object.len() + object_end(object.as_bytes())?;
        Some(Self { place: end, end, ..Self::of(self.text) })
    }

    fn is_at_end(&self) -> bool {
        self.place == self.text.len()
    }

    /// Reads an event.
    #[inline(always)]
    fn event(&mut self, rules: &Rules, found: &mut Found<'a>) -> Option<()> {
        let (mut has_name, mut has_properties) = (false, false);
        if self.next()? != b'{' {
            return None;
        }
        self.object(|cursor, key, first| match (key, first) {
            ("event", b'"') => {
                found.rule = rules.rule(cursor.string()?);
                has_name = true;
                Some(())
            }
            ("properties", b'{') if !has_properties => {
                has_properties = true;
                cursor.object(|cursor, key, first| {
                    match rules.find(key) {
                        None => cursor.skip(first, 0)?,
                        Some(place) => found.values[place] = cursor.operand(first)?,
                    }
                    Some(())
                })
            }
            ("event" | "properties", _) => None,
            _ => cursor.skip(first, 0),
        })?;
        (has_name || rules.takes_unnamed).then_some(())
    }

    /// Returns the place of the next quote, which ends a string if it is `in_text`.
    #[inline(always)]
    fn quote(&mut self, in_text: bool) -> Option<usize> {
        while self.quotes == 0 {
            (self.quotes, self.block) = quotes_behind(self.text.as_bytes(), self.end, in_text)?;
            self.end = self.text.len().min(self.end + BLOCK);
        }
        let place = self.block + self.quotes.trailing_zeros() as usize;
        self.quotes &= self.quotes - 1;
        Some(place)
    }

    /// Returns the next byte that is no blank.
    #[inline(always)]
    fn next(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.as_bytes().get(self.place)?;
            self.place += 1;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
        }
    }

    /// Reads an object behind its opening bracket; `each` reads the value of a key, whose first
    /// byte is read.
    #[inline(always)]
    fn object(&mut self, mut each: impl FnMut(&mut Self, &'a str, u8) -> Option<()>) -> Option<()> {
        let mut next = self.next()?;
        if next == b'}' {
            return Some(());
        }
        loop {
            if next != b'"' {
                return None;
            }
            let key = self.string()?;
            if self.next()? != b':' {
                return None;
            }
            let first = self.next()?;
            each(self, key, first)?;
            match self.next()? {
                b',' => next = self.next()?,
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// Reads a list behind its opening bracket.
    #[inline(always)]
    fn list(&mut self, depth: u8) -> Option<()> {
        let mut next = self.next()?;
        if next == b']' {
            return Some(());
        }
        loop {
            self.skip(next, depth)?;
            match self.next()? {
                b',' => next = self.next()?,
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    /// Reads the value of an operand, whose first byte is read.
    #[inline(always)]
    fn operand(&mut self, first: u8) -> Option<Value<'a>> {
        match first {
            b'"' => self.string().map(Value::of_text),
            b'n' => self.literal(b"ull").map(|()| Value::Null),
            b't' => self.literal(b"rue").map(|()| Value::NoId),
            b'f' => self.literal(b"alse").map(|()| Value::NoId),
            b'[' => {
                let (pair, behind) = self.pair()?;
                *self = behind;
                Some(pair)
            }
            _ => None,
        }
    }

    /// Returns a list of two texts, behind its opening bracket, and the cursor behind it.
    #[inline(never)]
    fn pair(mut self) -> Option<(Value<'a>, Self)> {
        let mut texts = [""; 2];
        for (text, end) in texts.iter_mut().zip([b',', b']']) {
            if self.next()? != b'"' {
                return None;
            }
            *text = self.string()?;
            if self.next()? != end {
                return None;
            }
        }
        let [first, second] = texts.map(Value::of_text);
        Some((Value::of_pair(first, second), self))
    }

    /// Passes over a value, whose first byte is read, nested in `depth` others.
    #[inline(always)]
    fn skip(&mut self, first: u8, depth: u8) -> Option<()> {
        match first {
            b'"' => self.end_string(),
            b'0'..=b'9' | b'-' => self.number(first),
            b't' => self.literal(b"rue"),
            b'f' => self.literal(b"alse"),
            b'n' => self.literal(b"ull"),
            b'[' | b'{' => {
                *self = self.behind_nested(first, depth)?;
                Some(())
            }
            _ => None,
        }
    }

    /// Returns the cursor behind a list or an object.
    #[inline(never)]
    fn behind_nested(mut self, first: u8, depth: u8) -> Option<Self> {
        if depth == MAX_DEPTH {
            return None;
        }
        if first == b'[' {
            self.list(depth + 1)?;
        } else {
            self.object(|cursor, _, first| cursor.skip(first, depth + 1))?;
        }
        Some(self)
    }

    /// Reads a string behind its opening quote.
    #[inline(always)]
    fn string(&mut self) -> Option<&'a str> {
        let start = self.place;
        self.end_string()?;
        self.text.get(start..self.place - 1)
    }

    /// Passes over a string behind its opening quote.
    #[inline(always)]
    fn end_string(&mut self) -> Option<()> {
        self.quote(false)?;
        self.place = self.quote(true)? + 1;
        Some(())
    }

    /// Passes over a number, whose first byte is read.
    #[inline(always)]
    fn number(&mut self, first: u8) -> Option<()> {
        if first != b'-' {
            self.place -= 1;
        }
        let start = self.place;
        let digits = self.digits()?;
        if digits > 1 && self.text.as_bytes()[start] == b'0' {
            return None;
        }
        if self.text.as_bytes().get(self.place) == Some(&b'.') {
            self.place += 1;
            self.digits()?;
        }
        Some(())
    }

    /// Passes over digits, of which there is one at least, and returns their number.
    #[inline(always)]
    fn digits(&mut self) -> Option<usize> {
        let rest = self.text.as_bytes().get(self.place..)?;
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.place += count;
        (1..=MAX_DIGITS).contains(&count).then_some(count)
    }

    /// Passes over the rest of a literal.
    #[inline(always)]
    fn literal(&mut self, rest: &[u8]) -> Option<()> {
        let is_there = self.text.as_bytes().get(self.place..)?.starts_with(rest);
        self.place += rest.len();
        is_there.then_some(())
    }
}

/// Returns the quotes behind a place, within a block, and the place of the block; None if the text
/// ends there, or a byte of the block can be in no plain text.
///
/// `in_text` tells whether the place is within a string.
#[inline(never)]
fn quotes_behind(text: &[u8], place: usize, in_text: bool) -> Option<(u64, usize)> {
    let rest = &text[place..];
    if let Some(block) = rest.first_chunk() {
        return Some((quotes_in(block, 0, in_text)?, place));
    }
    if rest.is_empty() {
        return None;
    }
    if let Some(block) = text.last_chunk() {
        // The last bytes of the text, without those of the block before.
        let start = text.len() - BLOCK;
        return Some((quotes_in(block, place - start, in_text)?, start));
    }
    let mut block = [b' '; BLOCK];
    block[..rest.len()].copy_from_slice(rest);
    Some((quotes_in(&block, 0, in_text)?, place))
}

/// Returns the quotes of a block behind its first bytes, `passed` in number, unless one of its
/// bytes is a backslash or stands in no string and not between values either.
#[inline]
fn quotes_in(block: &[u8; BLOCK], passed: usize, in_text: bool) -> Option<u64> {
    let (mut quotes, mut others) = (0, u8x16::ZERO);
    for (place, sixteen) in block.as_chunks().0.iter().enumerate() {
        let bytes = u8x16::new(*sixteen);
        let found = bytes.cmp_eq(u8x16::splat(b'"')).move_mask().cast_unsigned();
        quotes |= u64::from(found) << (16 * place);
        let controls = bytes.min(u8x16::splat(LAST_CONTROL)).cmp_eq(bytes);
        others |= bytes.cmp_eq(u8x16::splat(b'\\')) | controls;
    }
    quotes &= u64::MAX << passed;
    (others.move_mask() == 0 || are_blanks_between(&block[passed..], in_text)).then_some(quotes)
}

/// Returns whether bytes have no backslash, and no control characters but blanks outside strings.
#[cold]
fn are_blanks_between(bytes: &[u8], mut in_text: bool) -> bool {
    bytes.iter().all(|byte| match byte {
        b'"' => {
            in_text = !in_text;
            true
        }
        b'\n' | b'\r' | b'\t' => !in_text,
        b'\\' => false,
        byte => *byte > LAST_CONTROL,
    })
}
