//! A resolver's arrays as bytes: what it would be after reading its whole journal back, without doing so.
//!
//! It is read by the version that wrote it, on a machine whose hashes are the same; anything else is an
//! error, and so is every bit that differs. It holds the seeds of the hashes, and so is for the same eyes as
//! the journal.
//!
//! It has two parts of about the same length, each with a checksum, so that two threads can read it.

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
use crate::journal::Journaled;
use crate::link::Outcome;
use crate::resolver::Resolver;

/// The first word of a part: "idmerge" and the version of this layout.
const MAGIC: u64 = u64::from_le_bytes(*b"idmerge\x02");

/// Two bits of a position are taken elsewhere.
const MOST_POSITIONS: u64 = 1 << 62;

/// What a checkpoint says of the moment at which it was written; the caller's business.
pub type Moment = [u64; 5];

/// A part to be read, and how many bytes it has.
pub type Part<'a> = (&'a mut (dyn Read + Send), u64);

impl Resolver {
    /// Writes everything but the policy and what is pending, and returns how many bytes the second of the two
    /// parts has.
    pub fn save(&self, moment: Moment, out: &mut dyn Write) -> io::Result<u64> {
        let mut texts = Encoder::new(out);
        texts.word(MAGIC)?;
        texts.words(moment)?;
        self.ids.save(&mut texts, Node::to_words)?;
        texts.finish()?;
        let mut rest = Encoder::new(out);
        rest.word(MAGIC)?;
        rest.words(moment)?;
        self.ids.save_index(&mut rest)?;
        self.state.save(self.ids.len() as u32, &mut rest)?;
        rest.finish()
    }

    /// Reads a resolver with this one's policy; `is_right` is asked about the moment at which it was written.
    ///
    /// # Errors
    ///
    /// When it is damaged, of another version, not right, or without the history that this one keeps.
    pub fn loaded(
        &self,
        [texts, rest]: [Part; 2],
        is_right: impl Fn(Moment) -> bool + Sync,
    ) -> io::Result<Self> {
        let (is_right, limit) = (&is_right, self.ids.limit());
        let load_rest = |part: Part| {
            let mut from = begun(part, is_right)?;
            let (index, end) = Index::load(&mut from)?;
            let (state, count) = State::load(&mut from)?;
            from.finish()?;
            if end > count {
                return Err(damaged("its index names an ID that it does not hold"));
            }
            Ok::<_, io::Error>((index, state, count))
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
        let ((mut ids, (index, mut state, count)), wants_history) =
            ((ids?, rest?), self.state.history.is_some());
        if ids.len() != count as usize {
            return Err(damaged("its parts do not belong together"));
        }
        if wants_history && state.history.is_none() {
            return Err(damaged("it was written without history"));
        }
        let merged = state.outcomes[Outcome::Merged as usize];
        if count_clusters(&ids, count).map(|clusters| clusters as u64) != u64::from(count).checked_sub(merged)
        {
            return Err(damaged("its clusters are none"));
        }
        ids.set_index(index);
        state.overrides.apart_mut().group(|id| ids.root(id));
        state.history = state.history.filter(|_| wants_history);
        let journaled = Some(Journaled::written_up_to(count));
        Ok(Self { policy: self.policy.clone(), strategy: self.strategy, ids, state, journaled })
    }
}

/// Returns what reads a part, its beginning checked.
fn begun<'a>((from, size): Part<'a>, is_right: &impl Fn(Moment) -> bool) -> io::Result<Decoder<'a>> {
    let mut from = Decoder::new(from, size)?;
    if from.word()? != MAGIC {
        return Err(damaged("it is of another version, or no checkpoint"));
    }
    if is_right(from.array()?) { Ok(from) } else { Err(damaged("it is not of this journal as it is now")) }
}

impl State {
    /// Writes the state of a resolver that has numbered so many IDs.
    fn save(&self, ids: u32, out: &mut Encoder) -> io::Result<()> {
        let Self { outcomes, others, retractions, overrides, history } = self;
        out.word(u64::from(ids))?;
        out.words(outcomes.iter().copied())?;
        out.word(*others)?;
        out.word(retractions.len() as u64)?;
        out.words(retractions.iter().flat_map(|&(by, of)| [by, of]))?;
        overrides.save(out)?;
        out.word(u64::from(history.is_some()))?;
        history.as_ref().map_or(Ok(()), |history| history.save(out))
    }

    /// Reads a state, and how many IDs have numbers.
    fn load(from: &mut Decoder) -> io::Result<(Self, u32)> {
        let ids = u32::try_from(from.word()?).map_err(|_| damaged("it holds more IDs than can be"))?;
        let (outcomes, others): ([u64; Outcome::COUNT], _) = (from.array()?, from.word()?);
        let sum = outcomes.iter().try_fold(others, |sum, &count| sum.checked_add(count));
        if sum.is_none_or(|sum| sum > MOST_POSITIONS) {
            return Err(damaged("it states more links than can be"));
        }
        let mut retractions = Vec::new();
        for _ in 0..from.count(16)? {
            let [by, of] = from.array()?;
            retractions.push((by, of));
        }
        let overrides = Overrides::load(from, ids)?;
        let history = match from.word()? {
            0 => None,
            _ => Some(History::load(from, ids)?),
        };
        Ok((Self { outcomes, others, retractions, overrides, history }, ids))
    }
}
