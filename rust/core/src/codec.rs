//! Codec: a resolver's arrays as bytes, and back.
//!
//! Everything is a 64-bit word, lowest byte first, but for texts, which are their bytes, padded to
//! whole words. A checksum (CRC-32) over all of it comes last.
//!
//! It stands below all rooms, for each writes and reads its own arrays with it.
//!
//! # Invariants
//!
//! 1. A reader takes the number of bytes that there are, and no count that it reads may ask for
//!    more elements than fit in the bytes that are left. So damage cannot make it take memory
//!    beyond the size of its input.
//! 2. A value that was read is only certain once [`Decoder::finish`] has compared the checksum;
//!    until then readers must neither loop nor panic, whatever they get.

use std::io::{self, Read, Write};

/// The bytes that are written or read at once: they stay in the nearest caches between copy and
/// checksum.
const PIECE: usize = 1 << 16;

/// A writer of words that counts and checksums what it writes.
pub(crate) struct Encoder<'a> {
    out: &'a mut dyn Write,
    buffer: Vec<u8>,
    /// The number of bytes written.
    written: u64,
    checksum: crc32fast::Hasher,
}

impl<'a> Encoder<'a> {
    /// Returns an encoder that writes to `out`.
    pub fn new(out: &'a mut dyn Write) -> Self {
        Self { out, buffer: Vec::with_capacity(PIECE + 64), written: 0, checksum: crc32fast::Hasher::new() }
    }

    /// Writes a word.
    #[inline]
    pub fn word(&mut self, word: u64) -> io::Result<()> {
        self.buffer.extend_from_slice(&word.to_le_bytes());
        if self.buffer.len() >= PIECE { self.flush() } else { Ok(()) }
    }

    /// Writes words.
    pub fn words(&mut self, words: impl IntoIterator<Item = u64>) -> io::Result<()> {
        words.into_iter().try_for_each(|word| self.word(word))
    }

    /// Writes the number of some bytes, and the bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.word(bytes.len() as u64)?;
        self.flush()?;
        for piece in bytes.chunks(PIECE) {
            self.buffer.extend_from_slice(piece);
            // What follows begins at a word again.
            self.buffer.resize(self.buffer.len().next_multiple_of(8), 0);
            self.flush()?;
        }
        Ok(())
    }

    /// Checksums what is in the buffer and hands it out.
    fn flush(&mut self) -> io::Result<()> {
        self.checksum.update(&self.buffer);
        self.out.write_all(&self.buffer)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Writes the checksum, and returns how many bytes there are in all.
    pub fn finish(mut self) -> io::Result<u64> {
        self.flush()?;
        self.out.write_all(&u64::from(self.checksum.finalize()).to_le_bytes())?;
        Ok(self.written + 8)
    }
}

/// A reader of what an [`Encoder`] wrote.
pub(crate) struct Decoder<'a> {
    from: &'a mut dyn Read,
    buffer: Vec<u8>,
    /// The place in the buffer of the next byte.
    at: usize,
    /// The number of bytes behind the buffer, the checksum not counted.
    left: u64,
    checksum: crc32fast::Hasher,
}

/// Returns the error for bytes that no encoder has written.
pub(crate) fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Returns the error for bytes that do not fit in memory.
pub(crate) fn no_memory() -> io::Error {
    io::ErrorKind::OutOfMemory.into()
}

impl<'a> Decoder<'a> {
    /// Returns a decoder of `from`, which has `size` bytes, the checksum included.
    pub fn new(from: &'a mut dyn Read, size: u64) -> io::Result<Self> {
        let left = size.checked_sub(8).ok_or_else(|| damaged("it is too short"))?;
        Ok(Self { from, buffer: Vec::new(), at: 0, left, checksum: crc32fast::Hasher::new() })
    }

    /// Reads a word.
    ///
    /// # Errors
    ///
    /// If no word is left.
    #[inline]
    pub fn word(&mut self) -> io::Result<u64> {
        if self.at == self.buffer.len() {
            self.fill()?;
        }
        let word = self.buffer[self.at..].first_chunk().ok_or_else(|| damaged("it is cut off"))?;
        self.at += 8;
        Ok(u64::from_le_bytes(*word))
    }

    /// Reads so many words, at once where the buffer has them all.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> io::Result<[u64; N]> {
        let mut words = [0; N];
        if let Some(bytes) = self.buffer.get(self.at..self.at + 8 * N) {
            for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
                *word = u64::from_le_bytes(*bytes);
            }
            self.at += 8 * N;
        } else {
            for word in &mut words {
                *word = self.word()?;
            }
        }
        Ok(words)
    }

    /// Fills the buffer with what comes next, and checksums it.
    #[cold]
    fn fill(&mut self) -> io::Result<()> {
        let length = self.left.min(PIECE as u64) as usize;
        self.buffer.resize(length, 0);
        self.from.read_exact(&mut self.buffer)?;
        self.checksum.update(&self.buffer);
        self.left -= length as u64;
        self.at = 0;
        Ok(())
    }

    /// Reads the number of elements that come, each of so many bytes at least.
    ///
    /// # Errors
    ///
    /// If there are not enough bytes for them.
    pub fn count(&mut self, bytes: u64) -> io::Result<usize> {
        let count = self.word()?;
        self.check_room(count, bytes)?;
        usize::try_from(count).map_err(|_| damaged("it states more than can be"))
    }

    /// Reads the number of elements that come, and returns it with room for them.
    pub fn room<T>(&mut self, bytes: u64) -> io::Result<(usize, Vec<T>)> {
        let count = self.count(bytes)?;
        Ok((count, room_for(count)?))
    }

    /// Makes sure that there are bytes for so many elements of so many bytes at least.
    pub fn check_room(&self, count: u64, bytes: u64) -> io::Result<()> {
        let left = self.left + (self.buffer.len() - self.at) as u64;
        if count > left / bytes { Err(damaged("it states more than it holds")) } else { Ok(()) }
    }

    /// Reads the number of some bytes, and the bytes.
    pub fn bytes(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = self.count(1)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(rest).map_err(|_| no_memory())?;
        while rest > 0 {
            if self.at == self.buffer.len() {
                self.fill()?;
            }
            let piece = &self.buffer[self.at..self.buffer.len().min(self.at + rest)];
            if piece.is_empty() {
                return Err(damaged("it is cut off"));
            }
            bytes.extend_from_slice(piece);
            (self.at, rest) = (self.at + piece.len(), rest - piece.len());
        }
        self.at = self.at.next_multiple_of(8).min(self.buffer.len());
        Ok(bytes)
    }

    /// Makes sure that nothing is left and that the checksum is right.
    pub fn finish(self) -> io::Result<()> {
        if self.at != self.buffer.len() || self.left > 0 {
            return Err(damaged("it goes on behind its end"));
        }
        let mut checksum = [0; 8];
        self.from.read_exact(&mut checksum)?;
        if u64::from_le_bytes(checksum) == u64::from(self.checksum.finalize()) {
            Ok(())
        } else {
            Err(damaged("its checksum is not that of its content"))
        }
    }
}

/// Returns room for so many elements, or an error if there is no memory for them.
pub(crate) fn room_for<T>(count: usize) -> io::Result<Vec<T>> {
    let mut room = Vec::new();
    room.try_reserve_exact(count).map_err(|_| no_memory())?;
    Ok(room)
}
