//! Retracting: everything becomes as if links or acts had never been sent (SPEC 8).
//!
//! First the journal is replayed without them, beside the resolver: [`JournaledResolver::without`].
//! The result shows what would change, and [`JournaledResolver::retract`] takes it over. So a
//! retraction that fails, or is only tried, changes nothing.
//!
//! A retraction costs a replay of the whole journal, whatever it takes back: a link that it
//! rejected may be accepted now, and any link after that may come out otherwise.

use std::collections::HashSet;

use crate::clusters::forest::Nodes;
use crate::error::Error;
use crate::ids::id::Id;
use crate::journal::JournaledResolver;
use crate::journal::past::Past;
use crate::journal::record::Steps;
use crate::journal::replay::Damage;
use crate::journal::retractions::{RetractedPositions, in_effect};
use crate::resolver::recorder::Recorder;

/// The reason why a position cannot be retracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRetracted {
    /// There is nothing at this position yet.
    NotThere(u64),
    /// This position is taken back already, by the retraction at another one.
    Already {
        /// The position to retract.
        position: u64,
        /// The position of the retraction.
        by: u64,
    },
    /// An ID was forgotten there, which cannot be undone.
    Forgotten,
    /// The steps given are not this resolver's.
    Damaged(Damage),
}

impl JournaledResolver {
    /// Replays all steps as if the links and acts at these positions had not been sent.
    ///
    /// `steps` are the journal's batches from the first on. The resolver stays as it is.
    ///
    /// # Errors
    ///
    /// If a position cannot be retracted, or the steps are damaged.
    pub fn without<'a>(
        &self,
        positions: &[u64],
        steps: impl IntoIterator<Item = Steps<'a>>,
    ) -> Result<Past, NotRetracted> {
        let mut retractions = self.retractions.all().to_vec();
        let mut taken_back = RetractedPositions::by(&retractions);
        for (number, &position) in positions.iter().enumerate() {
            if position >= self.position() {
                return Err(NotRetracted::NotThere(position));
            }
            if taken_back.contains(position) {
                let mut by =
                    retractions.iter().rev().filter(|&&(by, of)| of == position && !taken_back.contains(by));
                let by = by.next().map_or(0, |&(by, _)| by);
                return Err(NotRetracted::Already { position, by });
            }
            let by = self.position() + number as u64;
            retractions.push((by, position));
            taken_back.add(by, position);
        }
        let retracted = in_effect(&retractions);
        let chosen: HashSet<u64> = positions.iter().copied().collect();
        let mut forgets = false;
        let mut start = 0;
        let steps = steps.into_iter().inspect(|steps| {
            forgets |= steps.forgets_at(start, &chosen);
            start += steps.positions();
        });
        let past = self
            .look_back(steps, (&retracted, self.position()), self.state().history.is_some(), |_| ())
            .map_err(NotRetracted::Damaged)?;
        let pending = self.unwritten.as_ref();
        forgets |= pending.is_some_and(|unwritten| unwritten.record.steps().forgets_at(start, &chosen));
        if forgets { Err(NotRetracted::Forgotten) } else { Ok(past) }
    }

    /// Retracts these positions by taking over the past that [`Self::without`] them gave.
    ///
    /// Each retraction takes a position and is recorded. Nothing may have changed in between.
    ///
    /// # Errors
    ///
    /// If there is no memory to record them; nothing is changed then.
    pub fn retract(&mut self, positions: &[u64], past: Past) -> Result<(), Error> {
        self.retractions.reserve(positions.len())?;
        self.unwritten.as_mut().map_or(Ok(()), |unwritten| unwritten.record.reserve(positions.len()))?;
        let (clusters, state, _) = self.resolver.parts_mut();
        for (number, node) in past.nodes.into_iter().enumerate() {
            *clusters.node_mut(Id::new(number as u32)) = node;
        }
        *state = past.state;
        for &position in positions {
            self.retractions.push(state.position(), position);
            state.without_outcome += 1;
            if let Some(unwritten) = &mut self.unwritten {
                unwritten.record.retract(position);
            }
        }
        Ok(())
    }
}
