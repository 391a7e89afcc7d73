//! Links between texts or integers as links between dense numbers.
//!
//! # Invariants
//!
//! 1. Numbers count distinct values in the order of first appearance, a link's first end before its
//!    second.
//! 2. Equal values have one number, different ones two: nothing stands for a value but itself.
//!
//! Texts go through the interner in groups, as in a resolver. Integers that lie close together are
//! positions in an array; others are hashed, with a key of this process that no sender can know.
//!
//! # Costs
//!
//! 8 bytes a link; 16 a distinct text, and the text itself if it does not pack, or 8 a distinct
//! integer; and 8 to 16 for the index, or, for integers close together, 4 a position, of which
//! there are at most 16 a link.

use crate::arch::{Chunk, prefetch};
use crate::error::Error;
use crate::ids::hasher::Hasher;
use crate::ids::id::Id;
use crate::ids::index::{Hashes, Index};
use crate::ids::interner::Interner;
use crate::ids::key::{Key, Text};
use crate::resolver::batch::{Batch, GROUP, Prepared, Preparer, Side, Status, clamped};
use crate::resolver::prefetch::{Prefetcher, Search};

/// The number of links ahead at which the places of integers are prefetched.
const AHEAD: usize = 16;
/// The number of array positions that an integer may cost: about as many bytes as hashing takes.
const SPREAD: u64 = 8;

/// Distinct texts by their numbers, and the links between these.
pub struct DistinctTexts {
    texts: Interner<()>,
    /// The links that have numbers, in order.
    links: Vec<[u32; 2]>,
}

/// A link that has no numbers; those before it do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unnumbered {
    /// The number of links that were numbered before.
    pub row: usize,
    /// The end without a number.
    pub side: Side,
    /// The reason.
    pub reason: Reason,
}

/// The reason why a text has no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// There is no text.
    Missing,
    /// The text is not valid Unicode.
    NotUnicode,
    /// A limit is reached.
    Limit(Error),
}

impl DistinctTexts {
    /// Returns no texts, expecting this many links.
    ///
    /// # Errors
    ///
    /// If there is no memory for these.
    pub fn new(rows: usize) -> Result<Self, Error> {
        Ok(Self { texts: Interner::new(Id::LIMIT, 0), links: room_for(rows)? })
    }

    /// Returns the preparer of these texts, for [`Batch::prepare_ends`].
    pub fn preparer(&self) -> Preparer {
        Preparer::without_policy(self.texts.hasher().clone())
    }

    /// Returns a prefetcher, good for some batches to come.
    pub fn prefetcher(&self) -> Prefetcher {
        Prefetcher::new(&self.texts)
    }

    /// Numbers both ends of the rows of a batch, in order, up to the first that has no number.
    ///
    /// In the same passes as a resolver; see [`prefetch`](crate::resolver::prefetch).
    ///
    /// # Errors
    ///
    /// At the first end without a number; the links before it have theirs.
    pub fn take(&mut self, batch: &mut Batch) -> Result<(), Unnumbered> {
        let search = Search::begin(&self.texts, batch);
        let Batch { sides, texts, .. } = batch;
        for start in (0..sides[0].len().min(sides[1].len())).step_by(GROUP) {
            search.group(&self.texts, sides, texts, start, |_| ());
            let [first, second, _] = sides.each_ref().map(|side| clamped(side, &(start..start + GROUP)));
            for (first, second) in first.iter().zip(second) {
                let first = self.number(Side::First, first, &texts[0])?;
                let second = self.number(Side::Second, second, &texts[1])?;
                self.links.push([first, second]);
            }
        }
        Ok(())
    }

    /// Returns the number of an end of the next link.
    #[inline]
    fn number(&mut self, side: Side, prepared: &Prepared, buffer: &str) -> Result<u32, Unnumbered> {
        match self.intern(prepared, buffer) {
            Ok(id) => Ok(id.number()),
            Err(reason) => Err(Unnumbered { row: self.links.len(), side, reason }),
        }
    }

    /// Returns the ID of an operand, numbering it if it is new.
    #[inline]
    fn intern(&mut self, prepared: &Prepared, buffer: &str) -> Result<Id, Reason> {
        match prepared.status {
            Status::Valid(_) => {}
            Status::Missing => return Err(Reason::Missing),
            Status::Invalid => return Err(Reason::NotUnicode),
            Status::TooLong | Status::NoMemory => {
                return Err(prepared.exceeded(Key::MAX_TEXT).map_or(Reason::Missing, Reason::Limit));
            }
        }
        if let Some(id) = prepared.id() {
            return Ok(id);
        }
        let probe = prepared.probe(buffer);
        let bytes = prepared.text_length();
        if !self.texts.has_room_for_two(bytes)
            && self.texts.find(&probe).is_none()
            && let Err(error) = self.texts.make_room(1, bytes)
        {
            return Err(Reason::Limit(if error == Error::NoMemory { error } else { TOO_MANY }));
        }
        Ok(self.texts.intern(&probe, |_| ()))
    }

    /// Returns the links between the texts' numbers, in order.
    pub fn links(&self) -> &[[u32; 2]] {
        &self.links
    }

    /// Returns how many distinct texts there are.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Returns whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the distinct texts in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = Text<'_>> {
        (0..self.len()).map(|number| self.texts.text(Id::new(number as u32)))
    }
}

/// Returns room for so many links, or an error if there is no memory for them.
fn room_for(rows: usize) -> Result<Vec<[u32; 2]>, Error> {
    let mut links = Vec::new();
    links.try_reserve_exact(rows).map_err(|_| Error::NoMemory)?;
    Ok(links)
}

/// The error of one value too many.
const TOO_MANY: Error = Error::TooManyElements { limit: Id::LIMIT };

/// Numbers the ends of links and returns the distinct integers in the order of their numbers.
///
/// Each link is one row of `first` and `second`, which have the same length.
///
/// # Errors
///
/// If there are too many distinct integers, or there is no memory.
pub fn number_integers(first: &[i64], second: &[i64]) -> Result<(Vec<i64>, Vec<[u32; 2]>), Error> {
    let all = || first.iter().chain(second);
    let (Some(&least), Some(&most)) = (all().min(), all().max()) else {
        return Ok((Vec::new(), Vec::new()));
    };
    let range = most.abs_diff(least);
    if range / SPREAD < 2 * first.len() as u64 {
        number_each(first, second, Close::new(least, range)?)
    } else {
        number_each(first, second, Scattered::new())
    }
}

/// Distinct integers and their numbers: by position or by hash.
trait Integers {
    /// Hints that `integer` is about to be numbered.
    fn prefetch(&self, integer: i64);
    /// Returns the number of `integer`, which is the next if it had none.
    fn number(&mut self, integer: i64) -> u32;
    /// Returns how many integers have a number.
    fn len(&self) -> usize;
    /// Returns the integers in the order of their numbers.
    fn distinct(self) -> Vec<i64>;
}

/// Numbers the ends of links with `integers`, asking for their places ahead.
fn number_each(
    first: &[i64],
    second: &[i64],
    mut integers: impl Integers,
) -> Result<(Vec<i64>, Vec<[u32; 2]>), Error> {
    let mut links = room_for(first.len())?;
    for (row, (&a, &b)) in first.iter().zip(second).enumerate() {
        if let Some((&a, &b)) = first.get(row + AHEAD).zip(second.get(row + AHEAD)) {
            integers.prefetch(a);
            integers.prefetch(b);
        }
        if integers.len() + 2 > Id::LIMIT as usize {
            return Err(TOO_MANY);
        }
        links.push([integers.number(a), integers.number(b)]);
    }
    Ok((integers.distinct(), links))
}

/// Numbers by position, which is the integer's distance from the least.
struct Close {
    least: i64,
    /// At each position one more than the integer's number, or zero.
    places: Chunk<u32>,
    distinct: Vec<i64>,
}

impl Close {
    /// Returns no integers, with a place for each from `least` to `range` above it.
    fn new(least: i64, range: u64) -> Result<Self, Error> {
        let places = Chunk::try_new(range as usize + 1).ok_or(Error::NoMemory)?;
        Ok(Self { least, places, distinct: Vec::new() })
    }

    /// Returns the position of an integer.
    fn position(&self, integer: i64) -> usize {
        integer.abs_diff(self.least) as usize
    }
}

impl Integers for Close {
    #[inline]
    fn prefetch(&self, integer: i64) {
        prefetch(&self.places[self.position(integer)]);
    }

    #[inline]
    fn number(&mut self, integer: i64) -> u32 {
        let position = self.position(integer);
        let place = &mut self.places[position];
        if *place == 0 {
            self.distinct.push(integer);
            *place = self.distinct.len() as u32;
        }
        *place - 1
    }

    fn len(&self) -> usize {
        self.distinct.len()
    }

    fn distinct(self) -> Vec<i64> {
        self.distinct
    }
}

/// Numbers by hash, in the same index as texts.
struct Scattered {
    index: Index,
    distinct: Distinct,
}

/// The distinct integers in the order of their numbers, and their hashes.
struct Distinct {
    hasher: Hasher,
    integers: Vec<i64>,
}

impl Distinct {
    /// Returns the hash of an integer.
    #[inline]
    fn hash_of(&self, integer: i64) -> u64 {
        self.hasher.hash_number(integer.cast_unsigned())
    }
}

impl Hashes for Distinct {
    fn prefetch(&self, id: Id) {
        prefetch(&self.integers[id.index()]);
    }

    fn hash(&self, id: Id) -> u64 {
        self.hash_of(self.integers[id.index()])
    }
}

impl Scattered {
    /// Returns no integers.
    fn new() -> Self {
        let distinct = Distinct { hasher: Hasher::keyed(), integers: Vec::new() };
        Self { index: Index::new(0), distinct }
    }
}

impl Integers for Scattered {
    #[inline]
    fn prefetch(&self, integer: i64) {
        self.index.prefetch(self.distinct.hash_of(integer));
    }

    #[inline]
    fn number(&mut self, integer: i64) -> u32 {
        let Self { index, distinct } = self;
        let new = Id::new(distinct.integers.len() as u32);
        let is_it = |id: Id| distinct.integers[id.index()] == integer;
        if let Some(id) = index.find_or_insert(distinct.hash_of(integer), new, is_it, distinct) {
            return id.number();
        }
        distinct.integers.push(integer);
        new.number()
    }

    fn len(&self) -> usize {
        self.distinct.integers.len()
    }

    fn distinct(self) -> Vec<i64> {
        self.distinct.integers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Operand;

    /// Numbers links through a batch of any size.
    fn number(texts: &mut DistinctTexts, links: &[[Operand; 2]]) -> Result<(), Unnumbered> {
        let (preparer, mut batch) = (texts.preparer(), Batch::default());
        batch.prepare_ends(Side::First, &preparer, links.iter().map(|link| link[0]));
        batch.prepare_ends(Side::Second, &preparer, links.iter().map(|link| link[1]));
        texts.take(&mut batch)
    }

    #[test]
    fn texts_are_numbered_by_first_appearance_within_and_across_groups() {
        let long = |row: usize| format!("a text too long to pack, {row}");
        let short = |row: usize| if row == 0 { String::new() } else { format!("{row}") };
        let forms: [&dyn Fn(usize) -> String; 2] = [&long, &short];
        for form in forms {
            let names: Vec<String> = (0..200).map(form).collect();
            let link = |row: usize| [names[row].as_str(), names[row / 2].as_str()].map(Operand::Text);
            let links: Vec<[Operand; 2]> = (0..200).map(link).collect();
            let mut texts = DistinctTexts::new(0).expect("memory for no links");
            assert_eq!(number(&mut texts, &links[..150]), Ok(()));
            assert_eq!(number(&mut texts, &links[100..]), Ok(()));
            let expected = |row: u32| [row, row / 2];
            let expected: Vec<[u32; 2]> = (0..150).chain(100..200).map(expected).collect();
            assert_eq!(texts.links(), expected);
            assert!(texts.iter().map(|text| text.as_str().to_owned()).eq(names));
        }
    }

    #[test]
    fn the_first_end_without_a_number_is_named_and_the_links_before_it_have_theirs() {
        let [a, b] = [Operand::Text("a"), Operand::Text("b")];
        for (end, reason) in [(Operand::Missing, Reason::Missing), (Operand::NotUnicode, Reason::NotUnicode)]
        {
            let mut texts = DistinctTexts::new(0).expect("memory for no links");
            let refused = number(&mut texts, &[[a, b], [b, end], [end, a]]);
            assert_eq!(refused, Err(Unnumbered { row: 1, side: Side::Second, reason }));
            assert_eq!(texts.links(), [[0, 1]]);
        }
    }

    #[test]
    fn integers_close_together_or_far_apart_are_numbered_alike() {
        let close = number_integers(&[7, -3, 7, 9], &[-3, -3, 8, 7]);
        assert_eq!(close, Ok((vec![7, -3, 8, 9], vec![[0, 1], [1, 1], [0, 2], [3, 0]])));
        let far = number_integers(&[i64::MAX, i64::MIN, i64::MAX, 9], &[i64::MIN, i64::MIN, 0, i64::MAX]);
        assert_eq!(far, Ok((vec![i64::MAX, i64::MIN, 0, 9], vec![[0, 1], [1, 1], [0, 2], [3, 0]])));
        assert_eq!(number_integers(&[], &[]), Ok((vec![], vec![])));
    }
}
