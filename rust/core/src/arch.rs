//! Processor and memory beyond the language: prefetch, huge pages, and sixteen bytes at once.
//!
//! The cost of a link is waiting for memory, and half of that is the look-up of pages. So large
//! arrays stand in huge pages, and at addresses taken ahead, so that they grow without moving:
//! adding an element never costs more than touching one more page.
//!
//! # Safety
//!
//! This is the crate's only `unsafe` code. It is sound for three reasons:
//!
//! 1. A prefetch is a hint: the instruction reads nothing that the program can observe and faults
//!    on no address.
//! 2. Every processor of this architecture has the instructions that handle sixteen bytes.
//! 3. A [`Chunk`] reads elements out of mapped pages. The pages come zeroed, and all zeros are an
//!    element ([`Zeroable`]). They are aligned for it: a page is, for any element of at most its
//!    size. They stay where they are for as long as the chunk that owns them, and nothing else has
//!    them.
//!
//! # Portability
//!
//! The functions on bytes have a second form without instructions of any one architecture, and a
//! test compares the two. On another architecture than x86-64 prefetches do nothing, and without
//! Linux pages are small.

#![allow(unsafe_code)]

use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use bytemuck::Zeroable;
use memmap2::{MmapMut, MmapOptions};

/// The bytes of a huge page on x86-64 and most of ARM; elsewhere a large power of two.
pub const HUGE_PAGE: usize = 1 << 21;

/// Hints that `element` is about to be read.
///
/// Worth its instruction where the element is far away and something else can be done meanwhile.
#[inline]
pub fn prefetch<T>(element: &T) {
    prefetch_address(std::ptr::from_ref(element));
}

/// Hints that the memory at `address`, if there is any, is about to be read.
#[inline]
pub fn prefetch_address<T>(address: *const T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch has no effect that the program can observe, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Returns a bit for each of the sixteen pairs of bytes that equals `pair`, the lowest pair of the
/// first word in the lowest bit.
#[inline]
pub fn equal_pairs(bytes: [u64; 4], pair: u16) -> u32 {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: SSE2 is part of the architecture.
        unsafe { sse2::equal_pairs(bytes, pair) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        words::equal_pairs(bytes, pair)
    }
}

/// Reads 32 lower-case hex digits, given eight a word, the first in the lowest byte.
///
/// Returns the value in two words, the first digit highest, or None if one is no hex digit.
#[inline]
pub fn unhex(digits: [u64; 4]) -> Option<[u64; 2]> {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: SSE2 is part of the architecture.
        unsafe { sse2::unhex(digits) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        words::unhex(digits)
    }
}

/// Writes 32 lower-case hex digits, eight a word, the first in the lowest byte; the inverse of
/// [`unhex`].
#[inline]
pub fn hex(value: [u64; 2]) -> [u64; 4] {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: SSE2 is part of the architecture.
        unsafe { sse2::hex(value) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        words::hex(value)
    }
}

/// The functions with SSE2, which every x86-64 has.
#[cfg(target_arch = "x86_64")]
mod sse2 {
    use std::arch::x86_64::{
        __m128i, _mm_add_epi8, _mm_and_si128, _mm_cmpeq_epi8, _mm_cmpeq_epi16, _mm_cmpgt_epi8,
        _mm_cvtsi128_si64, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_packs_epi16, _mm_packus_epi16,
        _mm_set_epi64x, _mm_set1_epi8, _mm_set1_epi16, _mm_slli_epi16, _mm_srli_epi16, _mm_sub_epi8,
        _mm_unpackhi_epi8, _mm_unpackhi_epi64, _mm_unpacklo_epi8,
    };

    /// Compares eight pairs an instruction; see [`super::equal_pairs`].
    ///
    /// # Safety
    ///
    /// The processor has SSE2.
    #[inline]
    pub unsafe fn equal_pairs(bytes: [u64; 4], pair: u16) -> u32 {
        // SAFETY: the caller's.
        unsafe {
            let wanted = _mm_set1_epi16(pair.cast_signed());
            let front = _mm_cmpeq_epi16(wide(bytes[0], bytes[1]), wanted);
            let back = _mm_cmpeq_epi16(wide(bytes[2], bytes[3]), wanted);
            _mm_movemask_epi8(_mm_packs_epi16(front, back)).cast_unsigned()
        }
    }

    // Written out, for closures and array maps were not always inlined: 30 ns an ID became 19.

    /// Reads sixteen digits an instruction; see [`super::unhex`].
    ///
    /// # Safety
    ///
    /// The processor has SSE2.
    #[inline]
    pub unsafe fn unhex(digits: [u64; 4]) -> Option<[u64; 2]> {
        // SAFETY: the caller's.
        unsafe {
            let (first, first_right) = nibbles(wide(digits[0], digits[1]));
            let (second, second_right) = nibbles(wide(digits[2], digits[3]));
            if _mm_movemask_epi8(_mm_and_si128(first_right, second_right)) != 0xffff {
                return None;
            }
            let bytes = _mm_packus_epi16(first, second);
            Some([low(bytes).swap_bytes(), high(bytes).swap_bytes()])
        }
    }

    /// Returns sixteen hex digits as eight values in pairs of bytes, and a mask of the bytes that
    /// are digits.
    ///
    /// A byte is a decimal digit if it is at most 9 above `0`, a letter if it is at most 5 above
    /// `a`.
    #[inline]
    unsafe fn nibbles(digits: __m128i) -> (__m128i, __m128i) {
        // SAFETY: the caller's.
        unsafe {
            let decimal = _mm_sub_epi8(digits, _mm_set1_epi8(b'0'.cast_signed()));
            let letter = _mm_sub_epi8(digits, _mm_set1_epi8(b'a'.cast_signed()));
            let is_decimal = _mm_cmpeq_epi8(_mm_min_epu8(decimal, _mm_set1_epi8(9)), decimal);
            let is_letter = _mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(5)), letter);
            let letter = _mm_add_epi8(letter, _mm_set1_epi8(10));
            let nibbles = _mm_or_si128(_mm_and_si128(is_decimal, decimal), _mm_and_si128(is_letter, letter));
            let pairs = _mm_or_si128(_mm_slli_epi16::<4>(nibbles), _mm_srli_epi16::<8>(nibbles));
            (_mm_and_si128(pairs, _mm_set1_epi16(0xff)), _mm_or_si128(is_decimal, is_letter))
        }
    }

    /// Writes sixteen digits an instruction; see [`super::hex`].
    ///
    /// # Safety
    ///
    /// The processor has SSE2.
    #[inline]
    pub unsafe fn hex(value: [u64; 2]) -> [u64; 4] {
        // SAFETY: the caller's.
        unsafe {
            let bytes = wide(value[0].swap_bytes(), value[1].swap_bytes());
            let low_bits = _mm_set1_epi8(0xf);
            let first = _mm_and_si128(_mm_srli_epi16::<4>(bytes), low_bits);
            let second = _mm_and_si128(bytes, low_bits);
            let front = digits(_mm_unpacklo_epi8(first, second));
            let back = digits(_mm_unpackhi_epi8(first, second));
            [low(front), high(front), low(back), high(back)]
        }
    }

    /// Returns sixteen nibbles as hex digits.
    #[inline]
    unsafe fn digits(nibbles: __m128i) -> __m128i {
        // SAFETY: the caller's.
        unsafe {
            let is_letter = _mm_cmpgt_epi8(nibbles, _mm_set1_epi8(9));
            let shift = _mm_and_si128(is_letter, _mm_set1_epi8((b'a' - b'0' - 10).cast_signed()));
            _mm_add_epi8(_mm_add_epi8(nibbles, _mm_set1_epi8(b'0'.cast_signed())), shift)
        }
    }

    /// Returns sixteen bytes of two words.
    #[inline]
    unsafe fn wide(low: u64, high: u64) -> __m128i {
        // SAFETY: the caller's.
        unsafe { _mm_set_epi64x(high.cast_signed(), low.cast_signed()) }
    }

    /// Returns the first of the two words.
    #[inline]
    unsafe fn low(wide: __m128i) -> u64 {
        // SAFETY: the caller's.
        unsafe { _mm_cvtsi128_si64(wide).cast_unsigned() }
    }

    /// Returns the second of the two words.
    #[inline]
    unsafe fn high(wide: __m128i) -> u64 {
        // SAFETY: the caller's.
        unsafe { low(_mm_unpackhi_epi64(wide, wide)) }
    }
}

/// The functions without instructions of any one architecture: eight bytes at once in a word.
#[cfg(any(test, not(target_arch = "x86_64")))]
mod words {
    /// Compares one pair after another; see [`super::equal_pairs`].
    pub fn equal_pairs(bytes: [u64; 4], pair: u16) -> u32 {
        let pairs = bytes.into_iter().flat_map(|word| [0, 16, 32, 48].map(|shift| (word >> shift) as u16));
        pairs.enumerate().map(|(at, other)| u32::from(other == pair) << at).sum()
    }

    /// `byte` in each of the eight bytes of a word.
    const fn each(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }

    /// Reads eight digits a word; see [`super::unhex`].
    pub fn unhex(digits: [u64; 4]) -> Option<[u64; 2]> {
        let [a, b, c, d] = digits.map(unhex_word);
        Some([u64::from(a?) << 32 | u64::from(b?), u64::from(c?) << 32 | u64::from(d?)])
    }

    /// Writes eight digits a word; see [`super::hex`].
    pub fn hex([high, low]: [u64; 2]) -> [u64; 4] {
        [(high >> 32) as u32, high as u32, (low >> 32) as u32, low as u32].map(hex_word)
    }

    /// Returns the value of eight hex digits, or None if one is no hex digit.
    fn unhex_word(digits: u64) -> Option<u32> {
        let text = digits.swap_bytes();
        let letters = text >> 6 & each(1);
        let nibbles = (text & each(0x0f)) + letters * 9;
        // Writing the nibbles back must give the digits: that refuses whatever is no hex digit.
        if nibbles & each(0xf0) != 0 || ascii(nibbles) != text {
            return None;
        }
        let bytes = (nibbles | nibbles >> 4) & 0x00ff_00ff_00ff_00ff;
        let pairs = (bytes | bytes >> 8) & 0x0000_ffff_0000_ffff;
        Some((pairs | pairs >> 16) as u32)
    }

    /// Returns the eight hex digits of a value.
    fn hex_word(value: u32) -> u64 {
        let pairs = u64::from(value);
        let pairs = (pairs | pairs << 16) & 0x0000_ffff_0000_ffff;
        let bytes = (pairs | pairs << 8) & 0x00ff_00ff_00ff_00ff;
        let nibbles = (bytes | bytes << 4) & each(0x0f);
        ascii(nibbles).swap_bytes()
    }

    /// Writes eight nibbles, one a byte, as hex digits.
    fn ascii(nibbles: u64) -> u64 {
        let letters = (nibbles + each(6)) >> 4 & each(1);
        nibbles + each(b'0') + letters * u64::from(b'a' - b'0' - 10)
    }
}

/// An array of fixed length, zeros at first, that never moves.
///
/// Small ones lie on the heap, large ones in pages of their own.
pub struct Chunk<T> {
    /// The first element; valid for as long as `_owner` is there.
    start: NonNull<T>,
    /// The number of elements.
    len: usize,
    _owner: Owner<T>,
}

/// The owner of a chunk's memory, which gives it back when it is dropped.
enum Owner<T> {
    Heap { _elements: Vec<T> },
    Pages { _map: MmapMut },
}

// SAFETY: a chunk owns its elements, as a `Vec` does.
unsafe impl<T: Send> Send for Chunk<T> {}
// SAFETY: the same.
unsafe impl<T: Sync> Sync for Chunk<T> {}

impl<T: Zeroable> Chunk<T> {
    /// Returns `len` zeros; in huge pages if they fill one and the system has them.
    ///
    /// # Panics
    ///
    /// If there is no memory.
    pub fn new(len: usize) -> Self {
        Self::try_new(len).expect("there is memory")
    }

    /// Returns the same, or None if there is no memory.
    pub fn try_new(len: usize) -> Option<Self> {
        let bytes = len.checked_mul(size_of::<T>())?;
        let in_pages = (bytes >= HUGE_PAGE).then(|| Self::in_pages(len));
        in_pages.flatten().or_else(|| Self::on_heap(len))
    }

    /// Returns at least `len` zeros, and up to `addresses` if the system has that many; None if
    /// there is not even memory for `len`.
    ///
    /// Elements that are never touched take addresses and no memory.
    pub fn reserved(len: usize, addresses: usize) -> Option<Self> {
        Self::in_pages(len.max(addresses)).or_else(|| Self::try_new(len))
    }

    /// Returns `len` zeros on the heap, or None if there is no memory.
    fn on_heap(len: usize) -> Option<Self> {
        let mut elements: Vec<T> = bytemuck::try_zeroed_vec(len).ok()?;
        let start = NonNull::new(elements.as_mut_ptr()).expect("a Vec is never null");
        Some(Self { start, len, _owner: Owner::Heap { _elements: elements } })
    }

    /// Returns `len` zeros in pages that nothing has touched yet, or None if the system has not
    /// that many addresses.
    fn in_pages(len: usize) -> Option<Self> {
        // One more, so that a huge page's boundary lies within; only what is used takes memory.
        let bytes = len * size_of::<T>() + HUGE_PAGE;
        let mut map = MmapOptions::new().len(bytes).no_reserve_swap().map_anon().ok()?;
        #[cfg(target_os = "linux")]
        // A system without huge pages returns an error; small ones do as well.
        let _ = map.advise(memmap2::Advice::HugePage);
        let before = map.as_ptr().align_offset(HUGE_PAGE);
        let start = NonNull::new(map[before..].as_mut_ptr().cast())?;
        Some(Self { start, len, _owner: Owner::Pages { _map: map } })
    }
}

impl<T> Deref for Chunk<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: see the module, 3.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<T> DerefMut for Chunk<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: see the module, 3.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

/// The addresses of an array's elements when this was taken; good for hints, and for nothing else.
///
/// Another thread may keep them while the array grows. A hint at an old address costs time and is
/// otherwise without effect.
#[derive(Clone, Copy)]
pub struct Addresses {
    /// The address of the first element.
    start: usize,
    /// The bytes of an element.
    element: usize,
}

impl Addresses {
    /// Hints that the element at `index` is about to be read.
    #[inline]
    pub fn prefetch(self, index: usize) {
        let address = self.start.wrapping_add(index.wrapping_mul(self.element));
        prefetch_address(std::ptr::without_provenance::<u8>(address));
    }
}

/// An array that grows at its end.
///
/// A small one doubles. One of a huge page or more takes addresses for all that it will ever need,
/// so it never moves again, no call waits for a copy, and memory is taken only for the elements
/// that are there.
pub struct Array<T> {
    chunk: Chunk<T>,
    len: usize,
}

/// The addresses that an array takes at first, in bytes: room for 128 million IDs.
const ADDRESSES: usize = 1 << 32;

impl<T: Zeroable + Copy> Array<T> {
    /// The number of elements for which an empty array has room.
    const SMALLEST: usize = 16;

    /// Returns an empty array; `capacity` elements at least will have addresses from the beginning.
    pub fn new(capacity: usize) -> Self {
        let large = capacity * size_of::<T>() >= HUGE_PAGE;
        let chunk = large.then(|| Self::reserved(capacity)).flatten();
        Self { chunk: chunk.unwrap_or_else(|| Chunk::new(Self::SMALLEST)), len: 0 }
    }

    /// Returns a chunk with addresses for all that an array will need.
    fn reserved(len: usize) -> Option<Chunk<T>> {
        Chunk::reserved(len, ADDRESSES / size_of::<T>())
    }

    /// Returns the addresses of the elements.
    pub fn addresses(&self) -> Addresses {
        Addresses { start: self.chunk.as_ptr().addr(), element: size_of::<T>() }
    }

    /// Returns how many elements there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns an element, which must be there.
    #[inline]
    pub fn get(&self, index: usize) -> &T {
        &self.chunk[index]
    }

    /// Returns an element, which must be there, to change it.
    #[inline]
    pub fn get_mut(&mut self, index: usize) -> &mut T {
        &mut self.chunk[index]
    }

    /// Returns how many elements there can be before it must grow.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.chunk.len()
    }

    /// Appends an element.
    ///
    /// # Panics
    ///
    /// If there is no memory, unless [`Self::reserve`] has made room.
    #[inline]
    pub fn push(&mut self, element: T) {
        if self.len == self.chunk.len() {
            assert!(self.reserve(1), "there is no memory for an array that grows");
        }
        self.chunk[self.len] = element;
        self.len += 1;
    }

    /// Makes room for so many more elements, and returns whether the system has the memory; if not,
    /// the array is as before.
    #[cold]
    #[must_use]
    pub fn reserve(&mut self, more: usize) -> bool {
        let needed = self.len + more;
        if needed <= self.chunk.len() {
            return true;
        }
        let len = needed.max(2 * self.chunk.len());
        let large = len * size_of::<T>() >= HUGE_PAGE;
        let larger = if large { Self::reserved(len) } else { Chunk::try_new(len) };
        let Some(mut larger) = larger else { return false };
        larger[..self.len].copy_from_slice(&self.chunk[..self.len]);
        self.chunk = larger;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_digits_are_read_and_written_alike_by_either_way() {
        for byte in 0..=255 {
            for place in 0..32 {
                let mut text = *b"0123456789abcdeffedcba9876543210";
                text[place] = byte;
                let word =
                    |at: usize| u64::from_le_bytes(text[8 * at..8 * at + 8].try_into().expect("eight"));
                let digits = [0, 1, 2, 3].map(word);
                let value = unhex(digits);
                assert_eq!(value.is_some(), matches!(byte, b'0'..=b'9' | b'a'..=b'f'), "{byte}");
                assert_eq!(value, words::unhex(digits));
                if let Some(value) = value {
                    assert_eq!((hex(value), words::hex(value)), (digits, digits));
                }
            }
        }
    }

    #[test]
    fn equal_pairs_are_named_by_their_places() {
        let bytes = [7 | 0x0700 << 16 | 7 << 48, 7 << 48, 0xff07, 7 << 48];
        for pair in [0, 7, 0x0700, 0xff07, 0xffff, 0x8000] {
            assert_eq!(equal_pairs(bytes, pair), words::equal_pairs(bytes, pair));
        }
        assert_eq!(equal_pairs(bytes, 7), 1 | 1 << 3 | 1 << 7 | 1 << 15);
    }

    #[test]
    fn elements_stay_as_they_were_while_the_array_grows() {
        for capacity in [0, 100, HUGE_PAGE] {
            let mut array = Array::<u64>::new(capacity);
            let count = HUGE_PAGE as u64;
            for number in 0..count {
                array.push(number);
            }
            assert_eq!(array.len() as u64, count);
            assert!((0..count).all(|number| *array.get(number as usize) == number));
            *array.get_mut(7) = 1;
            assert_eq!((*array.get(7), *array.get(8)), (1, 8));
        }
    }

    #[test]
    fn without_addresses_to_spare_there_are_just_as_many_as_needed() {
        assert!(Chunk::<u64>::in_pages(1 << 50).is_none());
        assert!(Array::<u64>::new(HUGE_PAGE).chunk.len() >= HUGE_PAGE);
    }

    #[test]
    fn chunks_begin_as_zeros_at_a_boundary_of_their_own() {
        for len in [1, 100, HUGE_PAGE / 8, HUGE_PAGE] {
            let chunk = Chunk::<u64>::new(len);
            assert_eq!(chunk.len(), len);
            assert!(chunk.iter().all(|&element| element == 0));
            assert!(len * 8 < HUGE_PAGE || chunk.as_ptr().align_offset(HUGE_PAGE) == 0);
        }
    }
}
