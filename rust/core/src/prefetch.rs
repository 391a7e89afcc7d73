//! Asking the processor for memory before it is needed.
//!
//! This is the crate's only `unsafe` code. It is sound because a prefetch is a hint: the
//! instruction reads nothing that the program can observe and faults on no address, and the
//! address comes from a live reference anyway.

#![allow(unsafe_code)]

/// Hints that `slice[index]` is about to be read; out of bounds it does nothing.
#[inline]
pub fn prefetch<T>(slice: &[T], index: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(element) = slice.get(index) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch has no effect that the program can observe, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(element).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (slice, index);
}
