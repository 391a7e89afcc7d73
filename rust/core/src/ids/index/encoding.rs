//! The index (hash to Id) as 64-bit words of a checkpoint: saved, loaded and checked.
//!
//! Buckets are written as they are, so that loading hashes nothing: to hash every key again would
//! be most of the time that a checkpoint takes. Whatever is read back is checked for all invariants
//! on which a search relies to end: every way through the directory leads to a segment, and every
//! segment has a bucket at which a search stops.

use std::io;
use std::sync::Arc;

use crate::codec::{Decoder, Encoder, damaged, no_memory};
use crate::ids::bucket::Slots;
use crate::ids::index::directory::{Buckets, DEEPEST, Route};
use crate::ids::index::{Index, Segment, chunk, most};

impl Index {
    /// Writes the index: its measures, segments, directory and buckets, but for the buckets that
    /// have addresses and are not used yet.
    pub(crate) fn save(&self, out: &mut Encoder) -> io::Result<()> {
        out.words([self.buckets.len as u64, u64::from(self.buckets.depth), self.segments.len() as u64])?;
        for segment in &self.segments {
            out.words([segment.taken as u64, u64::from(segment.depth)])?;
        }
        out.words(self.buckets.directory.iter().map(|route| u64::from(route.segment)))?;
        let used = self.segments.len() * self.buckets.len;
        self.buckets.chunk[..used].iter().try_for_each(|bucket| out.words(bucket.slots().to_words()))
    }

    /// Reads an index, and the number behind the highest one in it.
    ///
    /// Takes memory in proportion to the bytes that are there, whatever the measures claim.
    ///
    /// # Errors
    ///
    /// If an invariant does not hold, or there is no memory.
    pub(crate) fn load(from: &mut Decoder) -> io::Result<(Self, u32)> {
        let len = from.count(64)?;
        let depth = u32::try_from(from.word()?).ok().filter(|&depth| depth <= DEEPEST);
        let depth = depth.ok_or_else(|| damaged("its index is too deep"))?;
        let (count, mut segments) = from.room(16)?;
        let used = len.checked_mul(count).filter(|&used| used > 0 && u32::try_from(used).is_ok());
        let used = used.ok_or_else(|| damaged("its index has no place"))?;
        from.check_room(used as u64, 64)?;
        for _ in 0..count {
            let [taken, depth] = from.array()?;
            segments.push(Segment { taken: taken as usize, depth: depth as u32 });
        }
        let mut directory = Vec::with_capacity(1 << depth);
        for _ in 0..1_u32 << depth {
            let segment = from.word()? as usize;
            let found = segments.get(segment).filter(|found| found.depth <= depth);
            let found = found.ok_or_else(|| damaged("its index leads nowhere"))?;
            directory.push(Route::new(segment, len, found.depth));
        }
        if !is_directory(&directory, &segments, depth) {
            return Err(damaged("its index leads nowhere"));
        }
        let (chunk, mut end) = (chunk(used).ok_or_else(no_memory)?, 0);
        for (segment, buckets) in segments.iter().zip(chunk.chunks_exact(len)) {
            let (mut taken, mut is_open) = (0, false);
            for bucket in buckets {
                let slots = Slots::from_words(from.array()?);
                let slots = slots.ok_or_else(|| damaged("a bucket of its index is too full"))?;
                taken += slots.state().taken();
                is_open |= !slots.state().is_passed() && !slots.state().is_full();
                end = slots.numbers().fold(end, |end, number| end.max(number.saturating_add(1)));
                bucket.set(slots);
            }
            if taken != segment.taken || !is_open {
                return Err(damaged("a segment of its index is too full"));
            }
        }
        let buckets = Buckets { chunk: Arc::new(chunk), directory: directory.into(), depth, len };
        Ok((Self { buckets, segments, most: most(len), is_starved: false }, end))
    }
}

/// Returns whether each segment has all the entries of the directory that its depth demands, side
/// by side: `2^(depth - own)` of them, at a multiple of their number.
fn is_directory(directory: &[Route], segments: &[Segment], depth: u32) -> bool {
    let (mut at, mut seen) = (0, 0);
    while let Some(route) = directory.get(at) {
        let own = segments[route.segment as usize].depth;
        let Some(run) = directory.get(at..at + (1 << (depth - own))) else { return false };
        if at % run.len() != 0 || run.iter().any(|other| other.segment != route.segment) {
            return false;
        }
        (at, seen) = (at + run.len(), seen + 1);
    }
    seen == segments.len()
}
