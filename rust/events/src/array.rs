//! The items of a JSON array as lines, and objects that stand one after another, so that one reader
//! reads all of them.
//!
//! Brackets, commas and quotes are all that is looked at, those within an item a block at a time.
//! Each comma between items becomes the end of a line, and every byte within an item that could end
//! a line becomes another one, so an item has the line of its number. Whether an item is JSON is
//! left to the reader of lines. Memory is that of the text of one call.

use memchr::{memchr, memchr2};

use crate::structure::{BLOCK, Before, Structure};

const NO_ITEM: &str = "the item is no JSON: Expecting value";
/// The error of an object that goes beyond the end of the text.
pub const NO_END: &str = "the text ends within an object";

/// The last part of an array that was read.
#[derive(Clone, Copy, Default, PartialEq)]
enum Place {
    /// Its opening bracket.
    #[default]
    Begun,
    /// A comma.
    Comma,
    /// A part of an item.
    Item,
    /// The closing bracket or quote of an item.
    ItemEnd,
    /// Its closing bracket.
    Closed,
}

/// Turns the text of a JSON array, behind its opening bracket, into lines; or a text of objects.
#[derive(Default)]
pub struct ArrayLines {
    place: Place,
    /// Whether the items are objects without brackets around them all, and may lack commas.
    is_open: bool,
    /// The number of brackets of the item that are open.
    depth: usize,
    /// Whether a string has begun, and whether its next character is escaped.
    before: Before,
}

impl ArrayLines {
    /// Reads objects that stand one after another, with blanks, ends of lines or commas between
    /// them, from the first one on.
    pub fn of_objects() -> Self {
        Self { is_open: true, ..Self::default() }
    }

    /// Reads an array on behind the comma after one of its items.
    pub fn behind_comma() -> Self {
        Self { place: Place::Comma, ..Self::default() }
    }

    /// Turns the next piece of text into lines, appended to `lines`; an empty piece ends it.
    ///
    /// # Errors
    ///
    /// The text behind those lines belongs to no array, or is no object; the error names the fault.
    pub fn cut(&mut self, text: &[u8], lines: &mut Vec<u8>) -> Result<(), String> {
        if text.is_empty() {
            return self.end(lines);
        }
        let mut rest = self.pass(text, lines)?;
        while let Some((&byte, behind)) = rest.split_first() {
            rest = behind;
            self.take(byte, lines)?;
        }
        Ok(())
    }

    /// Turns text into lines as [`Self::cut`] does, up to the end of the array, and returns what is
    /// behind that.
    ///
    /// # Errors
    ///
    /// As [`Self::cut`].
    pub fn pass<'a>(&mut self, text: &'a [u8], lines: &mut Vec<u8>) -> Result<&'a [u8], String> {
        let mut rest = text;
        while self.place != Place::Closed {
            if self.depth > 0
                && let Some(block) = rest.first_chunk::<BLOCK>()
            {
                rest = self.pass_block(block, rest, lines)?;
                continue;
            }
            let Some((&byte, behind)) = rest.split_first() else { break };
            if self.before.in_text {
                rest = self.pass_text(rest, lines);
                continue;
            }
            rest = behind;
            self.take(byte, lines)?;
        }
        Ok(rest)
    }

    /// Returns whether the closing bracket was read.
    pub fn is_closed(&self) -> bool {
        self.place == Place::Closed
    }

    /// Copies a block within an item, or of it what belongs to the item; `text` begins with it.
    /// Returns what is behind that.
    #[inline]
    fn pass_block<'a>(
        &mut self,
        block: &[u8; BLOCK],
        text: &'a [u8],
        lines: &mut Vec<u8>,
    ) -> Result<&'a [u8], String> {
        let Some(found) = Structure::of(block, &mut self.before) else {
            // No JSON, which the reader of the line finds.
            return self.pass_bytes(text, BLOCK, lines);
        };
        let mut end = BLOCK;
        let closing = found.closing.count_ones() as usize;
        if closing < self.depth {
            self.depth = self.depth - closing + found.opening.count_ones() as usize;
        } else {
            let mut brackets = found.opening | found.closing;
            while brackets != 0 {
                let place = brackets.trailing_zeros();
                brackets &= brackets - 1;
                if found.closing >> place & 1 == 0 {
                    self.depth += 1;
                    continue;
                }
                self.depth -= 1;
                if self.depth == 0 {
                    end = place as usize + 1;
                    self.before = Before::default();
                    self.place = Place::ItemEnd;
                    break;
                }
            }
        }
        let start = lines.len();
        lines.extend_from_slice(&block[..end]);
        let mut newlines = found.newlines;
        while newlines != 0 {
            let place = newlines.trailing_zeros() as usize;
            newlines &= newlines - 1;
            if place < end {
                lines[start + place] = line_end(found.strings >> place & 1 == 1);
            }
        }
        Ok(&text[end..])
    }

    /// Copies the first `count` bytes one by one, or of them what belongs to the item. Returns what
    /// is behind that.
    #[cold]
    fn pass_bytes<'a>(
        &mut self,
        text: &'a [u8],
        count: usize,
        lines: &mut Vec<u8>,
    ) -> Result<&'a [u8], String> {
        let mut rest = &text[..count];
        while self.depth > 0
            && let Some((&byte, next)) = rest.split_first()
        {
            if self.before.in_text {
                rest = self.pass_text(rest, lines);
                continue;
            }
            rest = next;
            self.take(byte, lines)?;
        }
        Ok(&text[count - rest.len()..])
    }

    /// Copies the text of a string up to its end, and returns what is behind that.
    fn pass_text<'a>(&mut self, text: &'a [u8], lines: &mut Vec<u8>) -> &'a [u8] {
        let from = usize::from(self.before.is_escaped); // The escaped character is nothing special.
        let found = memchr2(b'"', b'\\', &text[from..]).map(|place| from + place);
        let end = found.map_or(text.len(), |place| place + 1);
        let start = lines.len();
        lines.extend_from_slice(&text[..end]);
        if memchr(b'\n', &text[..end]).is_some() {
            lines[start..].iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = line_end(true));
        }
        self.before.is_escaped = found.is_some_and(|place| text[place] == b'\\');
        if found.is_some_and(|place| text[place] == b'"') {
            self.before.in_text = false;
            self.end_value();
        }
        &text[end..]
    }

    fn end_value(&mut self) {
        self.place = if self.depth == 0 { Place::ItemEnd } else { Place::Item };
    }

    /// Takes a byte that is not within a string.
    #[inline]
    fn take(&mut self, byte: u8, lines: &mut Vec<u8>) -> Result<(), String> {
        if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            if self.place == Place::Item {
                // Any number may stand between items, and the line has none of them.
                lines.push(if byte == b'\n' { line_end(false) } else { byte });
            }
            return Ok(());
        }
        if self.depth == 0 {
            match (self.place, byte) {
                (Place::Begun | Place::Comma, b'{') if self.is_open => (),
                (Place::ItemEnd, b'{') if self.is_open => lines.push(b'\n'),
                (Place::ItemEnd, b',') if self.is_open => {
                    self.place = Place::Comma;
                    lines.push(b'\n');
                    return Ok(());
                }
                _ if self.is_open => return Err(no_object(byte)),
                (Place::Closed, _) => {
                    return Err("the text goes on behind the end of its JSON array".to_owned());
                }
                (Place::Item | Place::ItemEnd, b',') => {
                    self.place = Place::Comma;
                    lines.push(b'\n');
                    return Ok(());
                }
                (Place::Begun | Place::Item | Place::ItemEnd, b']') => {
                    // The last line has no end, as the text behind it may be wrong.
                    self.place = Place::Closed;
                    return Ok(());
                }
                // Vertical tabs and form feeds alone would be a blank line.
                (Place::Begun | Place::Comma, b',' | b']' | 0x0b | 0x0c) => return Err(NO_ITEM.to_owned()),
                (Place::ItemEnd, _) => return Err(no_comma(&char::from(byte).to_string())),
                _ => (),
            }
        }
        lines.push(byte);
        self.place = Place::Item;
        match byte {
            b'"' => self.before.in_text = true,
            b'[' | b'{' => self.depth += 1,
            b']' | b'}' if self.depth > 0 => {
                self.depth -= 1;
                self.end_value();
            }
            _ => (),
        }
        Ok(())
    }

    fn end(&mut self, lines: &mut Vec<u8>) -> Result<(), String> {
        match self.place {
            Place::Closed => Ok(()),
            Place::Begun | Place::Comma | Place::ItemEnd if self.is_open => Ok(()),
            Place::Begun | Place::Comma => Err(NO_ITEM.to_owned()),
            Place::Item | Place::ItemEnd => {
                if self.before.in_text || self.depth > 0 {
                    lines.push(b'\n'); // The reader of this line finds that it is not closed.
                }
                Err(if self.is_open { NO_END.to_owned() } else { no_comma("") })
            }
        }
    }
}

/// Returns the byte that stands for the end of a line within an item.
fn line_end(in_text: bool) -> u8 {
    // The first is no JSON within a string, as the end of a line is none.
    if in_text { 1 } else { b' ' }
}

/// Returns the error of text where an object is expected.
pub fn no_object(found: u8) -> String {
    format!("expected an object, got '{}'", char::from(found))
}

fn no_comma(found: &str) -> String {
    format!("expected a comma or the end of the array, got '{found}'")
}
