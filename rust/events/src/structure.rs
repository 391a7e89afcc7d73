//! Strings, brackets and ends of lines in a block of JSON text, one bit for each byte.

use wide::u8x16;

/// The bytes of a block.
pub const BLOCK: usize = 64;

/// The text before a block, as far as it matters to the block.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Before {
    /// Whether it ends within a string.
    pub in_text: bool,
    /// Whether it ends with a backslash that escapes what comes next.
    pub is_escaped: bool,
}

/// The places in a block; the lowest bit is that of its first byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Structure {
    /// Opening brackets outside strings.
    pub opening: u64,
    /// Closing brackets outside strings.
    pub closing: u64,
    /// Ends of lines, within strings and outside.
    pub newlines: u64,
    /// Bytes within strings, with the quote that begins them.
    pub strings: u64,
}

impl Structure {
    /// Looks at a block, and makes `before` the state behind it.
    ///
    /// Returns None, and leaves `before` alone, where a backslash stands outside strings: that is
    /// no JSON.
    pub fn of(block: &[u8; BLOCK], before: &mut Before) -> Option<Self> {
        let Found { mut quotes, backslashes, opening, closing, newlines } = Found::of(block);
        let (escaped, is_escaped) = escaped(backslashes, before.is_escaped);
        quotes &= !escaped;
        let strings = parity(quotes) ^ if before.in_text { u64::MAX } else { 0 };
        if backslashes & !strings != 0 {
            return None;
        }
        *before = Before { in_text: strings >> (BLOCK - 1) == 1, is_escaped };
        Some(Self { opening: opening & !strings, closing: closing & !strings, newlines, strings })
    }
}

/// Returns the length of the object, or list, that a text begins with; None if it begins with none,
/// has no end, or a backslash stands outside its strings.
pub fn object_end(text: &[u8]) -> Option<usize> {
    let (mut before, mut depth) = (Before::default(), 0_usize);
    for start in (0..text.len()).step_by(BLOCK) {
        let rest = &text[start..];
        let mut last = [b' '; BLOCK];
        let block = rest.first_chunk().unwrap_or_else(|| {
            last[..rest.len()].copy_from_slice(rest);
            &last
        });
        let found = Structure::of(block, &mut before)?;
        let mut brackets = found.opening | found.closing;
        if start == 0 && brackets & 1 == 0 {
            return None;
        }
        while brackets != 0 {
            let place = brackets.trailing_zeros();
            brackets &= brackets - 1;
            if found.opening >> place & 1 == 1 {
                depth += 1;
                continue;
            }
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some(start + place as usize + 1);
            }
        }
    }
    None
}

/// The places of the bytes that matter, wherever they stand.
#[derive(Default)]
struct Found {
    quotes: u64,
    backslashes: u64,
    opening: u64,
    closing: u64,
    newlines: u64,
}

impl Found {
    #[inline]
    fn of(block: &[u8; BLOCK]) -> Self {
        let mut found = Self::default();
        for (place, sixteen) in block.as_chunks().0.iter().enumerate() {
            let bytes = u8x16::new(*sixteen);
            // Brackets and braces differ in the bit that makes letters lower case.
            let folded = bytes | u8x16::splat(0x20);
            let places = |bytes: u8x16, byte: u8| {
                u64::from(bytes.cmp_eq(u8x16::splat(byte)).move_mask().cast_unsigned()) << (16 * place)
            };
            found.quotes |= places(bytes, b'"');
            found.backslashes |= places(bytes, b'\\');
            found.opening |= places(folded, b'{');
            found.closing |= places(folded, b'}');
            found.newlines |= places(bytes, b'\n');
        }
        found
    }
}

/// Returns the bytes that a backslash escapes, and whether the last byte escapes the next one.
#[inline]
fn escaped(mut backslashes: u64, is_escaped: bool) -> (u64, bool) {
    let mut escaped = u64::from(is_escaped);
    backslashes &= !escaped;
    while backslashes != 0 {
        let next = (backslashes & backslashes.wrapping_neg()) << 1;
        if next == 0 {
            return (escaped, true);
        }
        escaped |= next;
        // The lowest one is dealt with, and the one that it escapes means nothing.
        backslashes &= backslashes - 1;
        backslashes &= !next;
    }
    (escaped, false)
}

/// Returns for each bit whether the bits up to it, it included, are odd in number.
#[inline]
fn parity(mut bits: u64) -> u64 {
    for distance in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << distance;
    }
    bits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Looks at a block byte by byte.
    fn judged(block: &[u8; BLOCK], before: Before) -> Option<(Structure, Before)> {
        let Before { mut in_text, mut is_escaped } = before;
        let mut found = Structure { opening: 0, closing: 0, newlines: 0, strings: 0 };
        for (place, byte) in block.iter().enumerate() {
            let bit = 1 << place;
            found.newlines |= if *byte == b'\n' { bit } else { 0 };
            let counts = !std::mem::take(&mut is_escaped);
            match byte {
                b'"' if counts => in_text = !in_text,
                b'\\' if counts && in_text => is_escaped = true,
                b'\\' if counts => return None,
                b'{' | b'[' if !in_text => found.opening |= bit,
                b'}' | b']' if !in_text => found.closing |= bit,
                _ => (),
            }
            found.strings |= if in_text { bit } else { 0 };
        }
        Some((found, Before { in_text, is_escaped }))
    }

    proptest! {
        #[test]
        fn a_block_is_as_its_bytes_are_one_by_one(
            block in proptest::collection::vec(
                prop_oneof![3 => Just(b'a'), 2 => Just(b'"'), 2 => Just(b'\\'), 1 => any::<u8>(),
                    1 => prop_oneof![Just(b'{'), Just(b'}'), Just(b'['), Just(b']'), Just(b'\n')]],
                BLOCK,
            ),
            in_text in any::<bool>(),
            is_escaped in any::<bool>(),
        ) {
            let block: [u8; BLOCK] = block.try_into().expect("as many bytes");
            // Only within a string is anything escaped.
            let before = Before { in_text, is_escaped: in_text && is_escaped };
            let mut behind = before;
            let found = Structure::of(&block, &mut behind);
            prop_assert_eq!(found.map(|found| (found, behind)), judged(&block, before));
        }
    }
}
