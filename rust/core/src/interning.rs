//! The first half of a batch's way: its texts become numbers.
//!
//! Which IDs a row makes known depends on its operands alone, not on what becomes of the link. So
//! this half needs nothing of the other, [`Clusters`](crate::clusters::Clusters), and may be some
//! batches ahead of it on another thread.
//!
//! It costs two searches of the index a link, and nearly all of that is waiting for memory. So a
//! batch goes in groups, in four passes, and every pass asks for the memory that the next one needs:
//!
//! 1. ask for the buckets of the hashes, while the group before is numbered;
//! 2. match tags, ask for keys;
//! 3. read keys, ask for texts that did not pack;
//! 4. compare; number what is new, in order.

use std::ops::Range;

use crate::batch::{Act, Arrival, Batch, GROUP, Standing, clamped, clamped_mut, refusal};
use crate::error::{Error, Stopped};
use crate::interner::{Interner, Probe};
use crate::key::Key;

impl Interner {
    /// Numbers the IDs that the rows of a batch make known; each arrival has its number afterwards.
    ///
    /// # Errors
    ///
    /// At the first row that exceeds a limit; the rows before it are numbered, and no other.
    pub fn take_in(&mut self, batch: &mut Batch) -> Result<(), Stopped> {
        let Batch { acts, sides, texts, .. } = batch;
        self.expect(sides, 0..GROUP);
        for start in (0..acts.len()).step_by(GROUP) {
            self.guess_all(sides, start..start + GROUP);
            self.expect(sides, start + GROUP..start + 2 * GROUP);
            let end = acts.len().min(start + GROUP);
            for (row, &act) in (start..end).zip(&acts[start..end]) {
                let [first, second] = &mut *sides;
                let numbered = match act {
                    Act::Link(_) => {
                        self.take_in_link([&mut first[row], &mut second[row]], [&texts[0], &texts[1]])
                    }
                    Act::Observe => {
                        if let Some(nobody) = second.get_mut(row) {
                            nobody.set_id(None);
                        }
                        self.take_in_observed(&mut first[row], &texts[0])
                    }
                };
                numbered.map_err(|error| Stopped { taken: row, error })?;
            }
        }
        Ok(())
    }

    /// The first pass.
    #[inline]
    pub fn expect(&self, sides: &[Vec<Arrival>], rows: Range<usize>) {
        for side in sides {
            for arrival in clamped(side, &rows) {
                self.prefetch(arrival.hash);
            }
        }
    }

    /// The second and third pass.
    #[inline]
    pub fn guess_all(&self, sides: &mut [Vec<Arrival>], rows: Range<usize>) {
        for side in sides.iter_mut() {
            for arrival in clamped_mut(side, &rows).iter_mut().filter(|arrival| arrival.is_valid()) {
                arrival.guess = self.guess(arrival.hash);
            }
        }
        for side in sides.iter() {
            for arrival in clamped(side, &rows).iter().filter(|arrival| !arrival.is_packed()) {
                if let Some(id) = arrival.id() {
                    self.prefetch_text(id);
                }
            }
        }
    }

    /// The fourth pass for a link: both operands become known, unless one of them cannot be an ID.
    #[inline]
    pub fn take_in_link(&mut self, operands: [&mut Arrival; 2], buffers: [&str; 2]) -> Result<(), Error> {
        if operands.iter().all(|operand| operand.is_valid()) && self.has_room_for_two() {
            for (operand, buffer) in operands.into_iter().zip(buffers) {
                self.number(operand, buffer);
            }
            return Ok(());
        }
        self.take_in_with_care(operands, buffers)
    }

    /// The fourth pass for an observation.
    #[inline]
    pub fn take_in_observed(&mut self, operand: &mut Arrival, buffer: &str) -> Result<(), Error> {
        if operand.is_valid() && self.has_room_for_two() {
            self.number(operand, buffer);
            return Ok(());
        }
        self.take_in_with_care([operand], [buffer])
    }

    #[inline]
    fn number(&mut self, operand: &mut Arrival, buffer: &str) {
        // Most IDs pack and are known: then the guess is right, and there is nothing more to do.
        if operand.is_packed()
            && let Some(id) = operand.id()
            && self.key(id) == operand.key
        {
            return;
        }
        let id = self.know_guessed(&operand.probe(buffer), operand.guess);
        operand.set_id(Some(id));
    }

    #[cold]
    fn take_in_with_care<const N: usize>(
        &mut self,
        operands: [&mut Arrival; N],
        buffers: [&str; N],
    ) -> Result<(), Error> {
        if refusal(operands.each_ref().map(|operand| operand.standing)).is_some() {
            for operand in operands {
                operand.set_id(None);
            }
            return Ok(());
        }
        if let Some(giant) = operands.iter().find(|operand| operand.standing == Standing::TooLong) {
            return Err(Error::TextTooLong { bytes: giant.hash as usize, limit: Key::MAX_TEXT });
        }
        let probes = operands.iter().zip(buffers).map(|(operand, buffer)| operand.probe(buffer));
        let mut new: Vec<Probe> = probes.filter(|probe| self.find(probe).is_none()).collect();
        new.dedup_by(|a, b| a.text == b.text && (a.key == b.key || !a.text.is_empty()));
        self.check_room(new.len())?;
        for (operand, buffer) in operands.into_iter().zip(buffers) {
            self.number(operand, buffer);
        }
        Ok(())
    }
}
