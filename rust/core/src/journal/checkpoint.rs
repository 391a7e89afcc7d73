//! Checkpoints: a resolver's arrays as bytes, to be had without reading its whole journal back.
//!
//! A checkpoint is read by the version that wrote it, on a machine with the same hashes; anything
//! else is an error, and so is every bit that differs. It holds the texts of all IDs and the seeds
//! of the hashes, and so is as confidential as the journal.
//!
//! It has two parts of about the same length, so that two threads can read it:
//!
//! 1. magic, moment, the interner without its index, checksum;
//! 2. magic, moment, the index, the state beside the forest, checksum.
//!
//! # Invariants
//!
//! 1. Loading takes memory in proportion to the bytes that are there, whatever they hold.
//! 2. No walk through a resolver that was loaded is endless: whatever a walk relies on to end is
//!    checked.

use std::io::{self, Read, Write};
use std::panic::resume_unwind;
use std::thread;

use crate::clusters::forest::{Forest, Node, count_clusters};
use crate::clusters::history::History;
use crate::clusters::judge::State;
use crate::clusters::overrides::Overrides;
use crate::codec::{Decoder, Encoder, damaged};
use crate::ids::index::Index;
use crate::ids::interner::Interner;
use crate::journal::retractions::Retractions;
use crate::journal::{JournaledResolver, Unwritten};
use crate::link::Outcome;

/// The first word of a part: "idmerge" and the version of this layout.
const MAGIC: u64 = u64::from_le_bytes(*b"idmerge\x04");

/// The number of positions that there can be: history keeps a link's kind in four bits of its
/// position.
const MOST_POSITIONS: u64 = 1 << 60;

/// The moment at which a checkpoint was written, in numbers of the caller's.
pub type Moment = [u64; 5];

/// A part to be read, and its length in bytes.
pub type Part<'a> = (&'a mut (dyn Read + Send), u64);

impl JournaledResolver {
    /// Writes everything but the policy and what is pending, and returns how many bytes the second
    /// of the two parts has.
    ///
    /// # Errors
    ///
    /// If `out` fails.
    pub fn save(&self, moment: Moment, out: &mut dyn Write) -> io::Result<u64> {
        let mut texts = Encoder::new(out);
        texts.word(MAGIC)?;
        texts.words(moment)?;
        self.clusters().save(&mut texts, Node::to_words)?;
        texts.finish()?;
        let mut rest = Encoder::new(out);
        rest.word(MAGIC)?;
        rest.words(moment)?;
        self.clusters().save_index(&mut rest)?;
        save_state(self.state(), &self.retractions, self.numbered() as u32, &mut rest)?;
        rest.finish()
    }

    /// Reads a resolver with this one's policy; `is_right` is asked about the moment at which it
    /// was written.
    ///
    /// The index is read on a second thread, if the system has one to spare.
    ///
    /// # Errors
    ///
    /// If it is damaged, of another version, not right, or without the history that this one keeps,
    /// or if there is no memory for it.
    pub fn loaded(
        &self,
        [texts, rest]: [Part; 2],
        is_right: impl Fn(Moment) -> bool + Sync,
    ) -> io::Result<Self> {
        let (is_right, limit) = (&is_right, self.clusters().limit());
        let load_rest = |part: Part| {
            let mut from = begun(part, is_right)?;
            let (index, end) = Index::load(&mut from)?;
            let (state, retractions, count) = load_state(&mut from)?;
            from.finish()?;
            if end > count {
                return Err(damaged("its index names an ID that it does not hold"));
            }
            Ok::<_, io::Error>((index, state, retractions, count))
        };
        let mut load_texts = || {
            let mut from = begun((&mut *texts.0, texts.1), is_right)?;
            let ids = Interner::load(&mut from, limit, Node::from_words)?;
            from.finish().map(|()| ids)
        };
        let at_once = thread::scope(|scope| {
            let load_rest = || load_rest((&mut *rest.0, rest.1));
            let other = thread::Builder::new().spawn_scoped(scope, load_rest).ok()?;
            let ids = load_texts();
            Some((ids, other.join().unwrap_or_else(|panic| resume_unwind(panic))))
        });
        // The system may have no thread to spare.
        let (ids, rest) = at_once.unwrap_or_else(|| (load_texts(), load_rest((&mut *rest.0, rest.1))));
        let (mut ids, (index, mut state, retractions, count)) = (ids?, rest?);
        let wants_history = self.state().history.is_some();
        if ids.len() != count as usize {
            return Err(damaged("its parts do not belong together"));
        }
        if wants_history && state.history.is_none() {
            return Err(damaged("it was written without history"));
        }
        let unions = state.outcomes[Outcome::Merged as usize].checked_add(state.joined_by_evidence);
        let expected = unions.and_then(|unions| u64::from(count).checked_sub(unions));
        // A forged count of unions leaves no expected number: two such Nones are not equal
        // clusters.
        if count_clusters(&ids, count).is_none_or(|clusters| expected != Some(clusters as u64)) {
            return Err(damaged("its clusters are none"));
        }
        ids.set_index(index);
        state.overrides.apart_mut().group(|id| ids.root(id));
        state.history = state.history.filter(|_| wants_history);
        let unwritten = Some(Unwritten { texts: count, ..Unwritten::default() });
        Ok(Self { resolver: self.resolver.with_parts(ids, state), unwritten, retractions })
    }
}

/// Returns a decoder behind the beginning of a part, which it checks.
fn begun<'a>((from, size): Part<'a>, is_right: &impl Fn(Moment) -> bool) -> io::Result<Decoder<'a>> {
    let mut from = Decoder::new(from, size)?;
    if from.word()? != MAGIC {
        return Err(damaged("it is of another version, or no checkpoint"));
    }
    if is_right(from.array()?) { Ok(from) } else { Err(damaged("it is not of this journal as it is now")) }
}

/// Writes the state and the retractions of a resolver that has numbered so many IDs.
///
/// In this order: IDs, outcomes, positions without an outcome, unions by evidence, verdicts that
/// differ, retractions, overrides, history.
fn save_state(state: &State, retractions: &Retractions, ids: u32, out: &mut Encoder) -> io::Result<()> {
    let State { outcomes, without_outcome, joined_by_evidence, differing, overrides, history } = state;
    out.word(u64::from(ids))?;
    out.words(outcomes.iter().copied())?;
    out.words([*without_outcome, *joined_by_evidence, *differing])?;
    out.word(retractions.all().len() as u64)?;
    out.words(retractions.all().iter().flat_map(|&(by, of)| [by, of]))?;
    overrides.save(out)?;
    out.word(u64::from(history.is_some()))?;
    history.as_ref().map_or(Ok(()), |history| history.save(out))
}

/// Reads a state, retractions, and the number of IDs that have numbers.
///
/// # Errors
///
/// If they name IDs beyond that number, state more links than there can be, or break an invariant
/// of the retractions or the history.
fn load_state(from: &mut Decoder) -> io::Result<(State, Retractions, u32)> {
    let ids = u32::try_from(from.word()?).map_err(|_| damaged("it holds more IDs than can be"))?;
    let outcomes: [u64; Outcome::COUNT] = from.array()?;
    let [without_outcome, joined_by_evidence, differing] = from.array()?;
    let positions = outcomes.iter().try_fold(without_outcome, |sum, &count| sum.checked_add(count));
    let positions = positions.filter(|&positions| positions <= MOST_POSITIONS);
    let positions = positions.ok_or_else(|| damaged("it states more links than can be"))?;
    let mut retractions = Vec::new();
    for _ in 0..from.count(16)? {
        let [by, of] = from.array()?;
        retractions.push((by, of));
    }
    let retractions = Retractions::from_pairs(retractions, positions)
        .ok_or_else(|| damaged("a retraction of it takes back no earlier position"))?;
    let overrides = Overrides::load(from, ids)?;
    let history = match from.word()? {
        0 => None,
        _ => Some(History::load(from, ids)?),
    };
    let state = State { outcomes, without_outcome, joined_by_evidence, differing, overrides, history };
    Ok((state, retractions, ids))
}
