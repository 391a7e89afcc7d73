//! Links between texts or integers as links between dense numbers.
//!
//! # Invariants
//!
//! 1. Numbers count distinct values in the order of first appearance, a link's first end before its
//!    second.
//! 2. Equal values have one number, different ones two: nothing stands for a value but itself.
//!
//! Texts go through the interner in groups, as in a resolver. Integers that lie close together are
//! positions in an array; others are hashed, with a key that nobody outside can know.

use std::hash::{BuildHasher, Hasher};

use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;

use crate::error::Error;
use crate::hashes::Hashes;
use crate::id::Id;
use crate::interner::{Interner, Probe};
use crate::key::Text;
use crate::prefetch::prefetch;

/// How many links go through the passes together, as in a resolver.
const GROUP: usize = 64;
/// How many links ahead the places of integers are asked for.
const AHEAD: usize = 16;
/// How many array positions an integer may cost: about as many bytes as it takes to hash it.
const SPREAD: u64 = 8;

/// Distinct texts by their numbers.
pub struct DistinctTexts {
    interner: Interner,
}

/// A link whose texts are on their way in.
type Arrivals<'a> = [(Probe<'a>, Option<Id>); 2];

impl DistinctTexts {
    /// Numbers the ends of links, up to the first that is an error.
    pub fn number<'a, E: From<Error>>(
        links: impl IntoIterator<Item = Result<[&'a str; 2], E>>,
    ) -> Result<(Self, Vec<[u32; 2]>), E> {
        let mut links = links.into_iter();
        let mut texts = Self { interner: Interner::new(Id::LIMIT) };
        let mut numbers = Vec::with_capacity(links.size_hint().0);
        let mut group: Vec<Arrivals> = Vec::with_capacity(GROUP);
        loop {
            group.clear();
            for link in links.by_ref().take(GROUP) {
                group.push(link?.map(|text| texts.arrive(text)));
            }
            if group.is_empty() {
                return Ok((texts, numbers));
            }
            texts.approach(&mut group);
            for arrivals in &group {
                let [first, second] = arrivals;
                numbers.push([texts.settle(first)?, texts.settle(second)?]);
            }
        }
    }

    /// The first pass: packs and hashes, and asks for buckets.
    fn arrive<'a>(&self, text: &'a str) -> (Probe<'a>, Option<Id>) {
        let probe = self.interner.probe(text);
        self.interner.prefetch(&probe);
        (probe, None)
    }

    /// The passes between: ask for keys, ask for texts, compare.
    fn approach(&self, group: &mut [Arrivals]) {
        for (probe, id) in group.iter_mut().flatten() {
            *id = self.interner.guess(probe);
        }
        for (probe, id) in group.iter().flatten() {
            if let Some(id) = *id {
                self.interner.prefetch_text(probe, id);
            }
        }
        for (probe, id) in group.iter_mut().flatten() {
            *id = self.interner.find(probe);
        }
    }

    /// The last pass: numbers what neither was known before the group nor appeared in it.
    fn settle(&mut self, (probe, id): &(Probe, Option<Id>)) -> Result<u32, Error> {
        if let Some(id) = id.or_else(|| self.interner.find(probe)) {
            return Ok(id.number());
        }
        self.interner.check_room(1, probe.text.len())?;
        Ok(self.interner.insert(probe).number())
    }

    /// Returns how many distinct texts there are.
    pub fn len(&self) -> usize {
        self.interner.len()
    }

    /// Returns whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the distinct texts in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = Text<'_>> {
        (0..self.len()).map(|number| self.interner.text(Id::new(number as u32)))
    }
}

/// Numbers the ends of links and returns the distinct integers in the order of their numbers.
///
/// Each link is one row of `left` and `right`, which have the same length.
pub fn number_integers(left: &[i64], right: &[i64]) -> Result<(Vec<i64>, Vec<[u32; 2]>), Error> {
    let all = || left.iter().chain(right);
    let (Some(&least), Some(&most)) = (all().min(), all().max()) else {
        return Ok((Vec::new(), Vec::new()));
    };
    let range = most.abs_diff(least);
    if range / SPREAD < 2 * left.len() as u64 {
        number_each(left, right, Close::new(least, range))
    } else {
        number_each(left, right, Scattered::new())
    }
}

/// Distinct integers and where to find their numbers.
trait Integers {
    /// Hints that `integer` is about to be numbered.
    fn prefetch(&self, integer: i64);
    /// Returns the number of `integer`, which is the next if it had none.
    fn number(&mut self, integer: i64) -> u32;
    /// Returns the integers in the order of their numbers.
    fn distinct(self) -> Vec<i64>;
}

fn number_each(
    left: &[i64],
    right: &[i64],
    mut integers: impl Integers,
) -> Result<(Vec<i64>, Vec<[u32; 2]>), Error> {
    let mut links = Vec::with_capacity(left.len());
    for (row, (&a, &b)) in left.iter().zip(right).enumerate() {
        if let Some((&a, &b)) = left.get(row + AHEAD).zip(right.get(row + AHEAD)) {
            integers.prefetch(a);
            integers.prefetch(b);
        }
        let link = [integers.number(a), integers.number(b)];
        if link.iter().any(|&number| number >= Id::LIMIT) {
            return Err(Error::TooManyIds { limit: Id::LIMIT });
        }
        links.push(link);
    }
    Ok((integers.distinct(), links))
}

/// Numbers by position: the integer's distance from the least.
struct Close {
    least: i64,
    numbers: Vec<u32>,
    distinct: Vec<i64>,
}

impl Close {
    const NONE: u32 = u32::MAX;

    fn new(least: i64, range: u64) -> Self {
        Self { least, numbers: vec![Self::NONE; range as usize + 1], distinct: Vec::new() }
    }

    fn position(&self, integer: i64) -> usize {
        integer.abs_diff(self.least) as usize
    }
}

impl Integers for Close {
    #[inline]
    fn prefetch(&self, integer: i64) {
        prefetch(&self.numbers, self.position(integer));
    }

    #[inline]
    fn number(&mut self, integer: i64) -> u32 {
        let position = self.position(integer);
        if self.numbers[position] == Self::NONE {
            self.numbers[position] = self.distinct.len() as u32;
            self.distinct.push(integer);
        }
        self.numbers[position]
    }

    fn distinct(self) -> Vec<i64> {
        self.distinct
    }
}

/// Numbers by hash.
struct Scattered {
    hasher: SeedableRandomState,
    hashes: Hashes,
    distinct: Vec<i64>,
}

impl Scattered {
    fn new() -> Self {
        let random = std::hash::RandomState::new().build_hasher().finish();
        let hasher = SeedableRandomState::with_seed(random, SharedSeed::global_random());
        Self { hasher, hashes: Hashes::default(), distinct: Vec::new() }
    }
}

impl Integers for Scattered {
    #[inline]
    fn prefetch(&self, integer: i64) {
        self.hashes.prefetch(self.hasher.hash_one(integer));
    }

    #[inline]
    fn number(&mut self, integer: i64) -> u32 {
        let Self { hasher, hashes, distinct } = self;
        let hash = hasher.hash_one(integer);
        if let Some(number) = hashes.candidates(hash).find(|&number| distinct[number as usize] == integer) {
            return number;
        }
        hashes.push(hash, |number| hasher.hash_one(distinct[number as usize]));
        distinct.push(integer);
        distinct.len() as u32 - 1
    }

    fn distinct(self) -> Vec<i64> {
        self.distinct
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_numbered_by_first_appearance_within_and_across_groups() {
        let names: Vec<String> =
            (0..200).map(|number| format!("a text too long to pack, {number}")).collect();
        let links = (0..200).map(|row| Ok::<_, Error>([names[row].as_str(), names[row / 2].as_str()]));
        let (texts, numbers) = DistinctTexts::number(links).expect("there is room");
        let expected: Vec<[u32; 2]> = (0..200).map(|row| [row, row / 2]).collect();
        assert_eq!(numbers, expected);
        assert!(texts.iter().map(|text| text.as_str().to_owned()).eq(names));
    }

    #[test]
    fn a_link_that_is_an_error_ends_the_numbering() {
        #[derive(Debug, PartialEq)]
        struct Bad;
        impl From<Error> for Bad {
            fn from(_: Error) -> Self {
                Self
            }
        }
        assert_eq!(DistinctTexts::number([Ok(["a", "b"]), Err(Bad)]).err(), Some(Bad));
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
