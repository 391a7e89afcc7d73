//! An ID's text in 16 bytes.
//!
//! A canonical lower-case UUID of the RFC 9562 variant, alone or after `$device:`, is packed into
//! the key itself, and so is a text of at most 15 bytes. Any other text lies in the interner's
//! arena and the key is its place.
//!
//! The variant takes the two highest bits of a UUID's second half, and they are always `10`. So the
//! key keeps its own kind there:
//!
//! | bits | the key is | `high` | `low` |
//! |---|---|---|---|
//! | `10` | a UUID | its bytes 0–7 | its bytes 8–15 |
//! | `11` | a UUID after `$device:` | its bytes 0–7 | its bytes 8–15 |
//! | `01` | a short text | its bytes 7–14 | length (4 bits), its bytes 0–6 |
//! | `00` | a place in the arena | chunk, start | length (30 bits), fingerprint (32 bits) |
//!
//! # Invariants
//!
//! 1. Two packed keys are equal exactly when their texts are, so comparing them touches no text.
//! 2. A text that can be packed always is; so a packed and a stored text are never equal.
//! 3. Nothing is lost: a packed text comes back byte for byte.
//!
//! Packing a UUID costs a few dozen instructions, without a loop over its digits.

use std::fmt;

use bytemuck::Zeroable;

use crate::arch::{hex, unhex};

/// The prefix that SDKs put before an anonymous ID since 2023.
pub const DEVICE_PREFIX: &str = "$device:";

/// The length of a UUID in its canonical form.
const UUID_LENGTH: usize = 36;
/// The longest text that packs: a UUID after the prefix.
const LONGEST_PACKED: usize = DEVICE_PREFIX.len() + UUID_LENGTH;

/// The bits of `low` that hold the kind of a key.
const VARIANT: u64 = 0b11 << 62;
/// A UUID alone.
const UUID: u64 = 0b10 << 62;
/// A UUID after the prefix.
const DEVICE_UUID: u64 = 0b11 << 62;
/// A short text.
const SHORT: u64 = 0b01 << 62;

/// The longest short text, in bytes: what 16 bytes hold beside kind and length.
const LONGEST_SHORT: usize = 15;

/// An ID's text in 16 bytes: the text itself or its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Zeroable)]
pub struct Key {
    /// The first half; see the table of the module.
    pub high: u64,
    /// The second half, which holds the kind.
    pub low: u64,
}

/// The place of a text in the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The number of the chunk.
    pub chunk: u32,
    /// The first byte in the chunk.
    pub start: u32,
    /// The length in bytes.
    pub length: u32,
}

impl Key {
    /// The longest text that a place can describe, in bytes: 30 bits of length.
    pub const MAX_TEXT: usize = (1 << 30) - 1;

    /// Returns the key of `text` if it packs.
    ///
    /// Only a UUID in its canonical form packs as one: digits of upper case must come back as such.
    #[inline]
    pub fn pack(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (uuid, kind) = match bytes.len() {
            UUID_LENGTH => (bytes, UUID),
            LONGEST_PACKED => (bytes.strip_prefix(DEVICE_PREFIX.as_bytes())?, DEVICE_UUID),
            ..=LONGEST_SHORT => return Some(Self::short(bytes)),
            _ => return None,
        };
        let (high, low) = parse_uuid(uuid.try_into().ok()?)?;
        (low & VARIANT == UUID).then_some(Self { high, low: low & !VARIANT | kind })
    }

    /// Returns the key of at most fifteen bytes.
    #[inline]
    fn short(bytes: &[u8]) -> Self {
        let text = left_aligned(bytes);
        let both = (bytes.len() as u128) << 120 | text >> 8;
        Self { high: both as u64, low: (both >> 64) as u64 | SHORT }
    }

    /// The key of an ID that was forgotten: it reads as the empty text and is the key of no text.
    pub const FORGOTTEN: Self = Self { high: u64::MAX, low: SHORT };

    /// Returns the key of a UUID by its bytes, alone or after `$device:`; None if it is not of the
    /// RFC variant.
    pub fn of_uuid(bytes: [u8; 16], after_prefix: bool) -> Option<Self> {
        let both = u128::from_be_bytes(bytes);
        let (high, low) = ((both >> 64) as u64, both as u64);
        let kind = if after_prefix { DEVICE_UUID } else { UUID };
        (low & VARIANT == UUID).then_some(Self { high, low: low & !VARIANT | kind })
    }

    /// Returns the bytes of the UUID that the key holds, if it holds one, and whether it stands
    /// after `$device:`.
    pub fn uuid(self) -> Option<([u8; 16], bool)> {
        let after_prefix = match self.low & VARIANT {
            UUID => false,
            DEVICE_UUID => true,
            _ => return None,
        };
        let low = self.low & !VARIANT | UUID;
        Some(((u128::from(self.high) << 64 | u128::from(low)).to_be_bytes(), after_prefix))
    }

    /// Returns whether the key is a UUID of version 4, alone or after `$device:`.
    pub fn is_uuid4(self) -> bool {
        self.low & UUID != 0 && self.high >> 12 & 0xf == 4
    }

    /// Returns the key of a text at `place` whose hash ends in `fingerprint`.
    pub fn at(place: Place, fingerprint: u32) -> Self {
        debug_assert!(place.length as usize <= Self::MAX_TEXT);
        Self {
            high: u64::from(place.chunk) << 32 | u64::from(place.start),
            low: u64::from(place.length) << 32 | u64::from(fingerprint),
        }
    }

    /// Returns the place of the text, or None if the key holds it.
    #[inline]
    pub fn place(self) -> Option<Place> {
        (self.low & VARIANT == 0).then_some(Place {
            chunk: (self.high >> 32) as u32,
            start: self.high as u32,
            length: (self.low >> 32) as u32,
        })
    }

    /// Returns whether a key that is no place unpacks to a text, whatever bits it has.
    ///
    /// For keys out of a file: one that no text packs to must not be unpacked.
    pub fn holds_text(self) -> bool {
        let (mut buffer, length) = ([0; LONGEST_PACKED], ((self.low & !VARIANT) >> 56) as usize);
        if self.low & VARIANT != SHORT || self == Self::FORGOTTEN {
            return true;
        }
        length <= LONGEST_SHORT && {
            self.unpack_short(&mut buffer);
            std::str::from_utf8(&buffer[..length]).is_ok()
        }
    }

    /// Returns the fingerprint of a text at a place.
    pub fn fingerprint(self) -> u32 {
        self.low as u32
    }

    /// Writes a packed text into `buffer` and returns its length.
    fn unpack(self, buffer: &mut [u8; LONGEST_PACKED]) -> usize {
        let (start, low) = match self.low & VARIANT {
            SHORT => return self.unpack_short(buffer),
            DEVICE_UUID => (DEVICE_PREFIX.len(), self.low & !VARIANT | UUID),
            _ => (0, self.low),
        };
        buffer[..start].copy_from_slice(&DEVICE_PREFIX.as_bytes()[..start]);
        let end = start + UUID_LENGTH;
        let [a, b, c, d] = hex([self.high, low]);
        let (a, b, c, d) = (a.to_le_bytes(), b.to_le_bytes(), c.to_le_bytes(), d.to_le_bytes());
        let uuid = &mut buffer[start..end];
        uuid[..8].copy_from_slice(&a);
        uuid[8] = b'-';
        uuid[9..13].copy_from_slice(&b[..4]);
        uuid[13] = b'-';
        uuid[14..18].copy_from_slice(&b[4..]);
        uuid[18] = b'-';
        uuid[19..23].copy_from_slice(&c[..4]);
        uuid[23] = b'-';
        uuid[24..28].copy_from_slice(&c[4..]);
        uuid[28..].copy_from_slice(&d);
        end
    }

    /// Writes a short text into `buffer` and returns its length.
    fn unpack_short(self, buffer: &mut [u8; LONGEST_PACKED]) -> usize {
        let [length, front @ ..] = (self.low & !VARIANT).to_be_bytes();
        buffer[..7].copy_from_slice(&front);
        buffer[7..LONGEST_SHORT].copy_from_slice(&self.high.to_be_bytes());
        usize::from(length)
    }
}

/// Returns at most fifteen bytes as a number whose highest byte is the first of them, zeros behind
/// them.
///
/// Read as two words that overlap: a copy of unknown length would cost more than all the rest.
#[inline]
fn left_aligned(bytes: &[u8]) -> u128 {
    let length = bytes.len() as u32;
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let last = u128::from(u64::from_be_bytes(*last)) << (8 * (16 - length));
        return u128::from(u64::from_be_bytes(*first)) << 64 | last & u128::from(u64::MAX);
    }
    let word = if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let last = u64::from(u32::from_be_bytes(*last)) << (8 * (8 - length));
        u64::from(u32::from_be_bytes(*first)) << 32 | last & u64::from(u32::MAX)
    } else {
        let place = |at: usize| u64::from(bytes[at]) << (56 - 8 * at);
        bytes.iter().enumerate().fold(0, |word, (at, _)| word | place(at))
    };
    u128::from(word) << 64
}

/// An ID's text, borrowed from the arena or unpacked from its key.
#[derive(Clone, Copy)]
pub struct Text<'a>(Form<'a>);

/// The two forms of a text.
#[derive(Clone, Copy)]
enum Form<'a> {
    Stored(&'a str),
    Packed([u8; LONGEST_PACKED], usize),
}

impl<'a> Text<'a> {
    /// Wraps a text of the arena.
    #[inline]
    pub(crate) fn stored(text: &'a str) -> Self {
        Self(Form::Stored(text))
    }

    /// Unpacks a key that holds its text.
    #[inline]
    pub(crate) fn packed(key: Key) -> Self {
        let mut buffer = [0; LONGEST_PACKED];
        let length = key.unpack(&mut buffer);
        Self(Form::Packed(buffer, length))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("what was packed was UTF-8")
    }

    /// Returns the text's bytes, without the check that they are UTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Form::Stored(text) => text.as_bytes(),
            Form::Packed(buffer, length) => &buffer[..*length],
        }
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Returns the halves of a lower-case UUID in its canonical form, 8-4-4-4-12 hex digits; None of
/// any other text.
#[inline]
fn parse_uuid(text: &[u8; UUID_LENGTH]) -> Option<(u64, u64)> {
    if text[8] != b'-' || text[13] != b'-' || text[18] != b'-' || text[23] != b'-' {
        return None;
    }
    let eight = |at: usize| u64::from_le_bytes(text[at..at + 8].try_into().expect("eight bytes"));
    let four = |at: usize| u64::from(u32::from_le_bytes(text[at..at + 4].try_into().expect("four bytes")));
    let [high, low] = unhex([eight(0), four(9) | four(14) << 32, four(19) | four(24) << 32, eight(28)])?;
    Some((high, low))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID_TEXT: &str = "5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11";

    #[test]
    fn a_packed_text_comes_back_byte_for_byte() {
        for text in [UUID_TEXT.to_owned(), format!("$device:{UUID_TEXT}")] {
            let key = Key::pack(&text).expect("it is canonical");
            assert_eq!(key.place(), None);
            assert_eq!(Text::packed(key).as_str(), text);
        }
    }

    #[test]
    fn every_short_text_has_a_key_of_its_own() {
        let texts =
            ["", "\0", "\0\0", "a", "a\0", "user_1234567890", "ünïcödé", "\u{1f98a}\u{1f98a}\u{1f98a}"];
        for text in texts {
            let key = Key::pack(text).expect("it is short");
            assert_eq!((key.place(), key.is_uuid4()), (None, false));
            assert_eq!(Text::packed(key).as_str(), text);
            assert_eq!(texts.iter().filter(|other| Key::pack(other) == Some(key)).count(), 1);
        }
        assert_eq!(Key::pack("sixteen bytes ..").map(Key::place), None);
    }

    #[test]
    fn the_version_is_read_from_the_key() {
        for version in 0..16 {
            let text = format!("5c3c0e5d-9a1f-{version:x}c39-8f8e-3e7a9d2d6a11");
            let device = format!("$device:{text}");
            let is_uuid4 = |text: &str| Key::pack(text).is_some_and(Key::is_uuid4);
            assert_eq!((is_uuid4(&text), is_uuid4(&device)), (version == 4, version == 4));
        }
    }

    #[test]
    fn a_uuid_comes_back_from_its_bytes() {
        for text in [UUID_TEXT.to_owned(), format!("$device:{UUID_TEXT}")] {
            let key = Key::pack(&text).expect("it is canonical");
            let (bytes, after_prefix) = key.uuid().expect("it is a UUID");
            assert_eq!(bytes[..4], [0x5c, 0x3c, 0x0e, 0x5d]);
            assert_eq!(Key::of_uuid(bytes, after_prefix), Some(key));
        }
        assert_eq!(Key::of_uuid([0; 16], false), None);
        assert_eq!(Key::pack("short").and_then(Key::uuid), None);
        assert_eq!(Text::packed(Key::FORGOTTEN).as_str(), "");
        assert_ne!(Key::pack(""), Some(Key::FORGOTTEN));
    }

    #[test]
    fn the_prefix_makes_another_key() {
        assert_ne!(Key::pack(UUID_TEXT), Key::pack(&format!("$device:{UUID_TEXT}")));
    }

    #[test]
    fn nothing_but_hex_digits_in_their_places_packs() {
        for position in 0..UUID_TEXT.len() {
            for byte in 0..128 {
                let mut bytes = UUID_TEXT.as_bytes().to_vec();
                bytes[position] = byte;
                let text = String::from_utf8(bytes).expect("ASCII");
                let hyphen = [8, 13, 18, 23].contains(&position);
                let expected = match char::from(byte) {
                    '-' => hyphen,
                    '8' | '9' | 'a' | 'b' => !hyphen,
                    '0'..='7' | 'c'..='f' => !hyphen && position != 19,
                    _ => false,
                };
                assert_eq!(Key::pack(&text).is_some(), expected, "{text:?}");
                if let Some(key) = Key::pack(&text) {
                    assert_eq!(Text::packed(key).as_str(), text);
                }
            }
        }
    }

    #[test]
    fn a_place_comes_back_as_it_was() {
        let place = Place { chunk: u32::MAX, start: 7, length: Key::MAX_TEXT as u32 };
        let key = Key::at(place, 0xdead_beef);
        assert_eq!(key.place(), Some(place));
        assert_eq!(key.fingerprint(), 0xdead_beef);
    }
}
