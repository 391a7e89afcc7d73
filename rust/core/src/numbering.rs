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

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, Hasher};

use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;

use crate::error::Error;
use crate::id::Id;
use crate::interner::{Interner, Probe};
use crate::key::Text;

/// How many links go through the passes together, as in a resolver.
const GROUP: usize = 64;
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

/// Where the number of an integer is kept.
trait Numbers {
    /// Returns the number of `value`, which is `next` if it had none.
    fn number(&mut self, value: i64, next: u32) -> u32;
}

fn number_each(
    left: &[i64],
    right: &[i64],
    mut numbers: impl Numbers,
) -> Result<(Vec<i64>, Vec<[u32; 2]>), Error> {
    let mut distinct = Vec::new();
    let mut number = |value| {
        let next = distinct.len() as u32;
        let number = numbers.number(value, next);
        if number == next {
            if next == Id::LIMIT {
                return Err(Error::TooManyIds { limit: Id::LIMIT });
            }
            distinct.push(value);
        }
        Ok(number)
    };
    let links = left.iter().zip(right).map(|(&a, &b)| Ok([number(a)?, number(b)?]));
    let links = links.collect::<Result<_, Error>>()?;
    Ok((distinct, links))
}

/// Numbers by position: the integer's distance from the least.
struct Close {
    least: i64,
    numbers: Vec<u32>,
}

impl Close {
    const NONE: u32 = u32::MAX;

    fn new(least: i64, range: u64) -> Self {
        Self { least, numbers: vec![Self::NONE; range as usize + 1] }
    }
}

impl Numbers for Close {
    #[inline]
    fn number(&mut self, value: i64, next: u32) -> u32 {
        let number = &mut self.numbers[value.abs_diff(self.least) as usize];
        if *number == Self::NONE {
            *number = next;
        }
        *number
    }
}

/// Numbers by hash.
struct Scattered(HashMap<i64, u32, SeedableRandomState>);

impl Scattered {
    fn new() -> Self {
        let random = std::hash::RandomState::new().build_hasher().finish();
        let hasher = SeedableRandomState::with_seed(random, SharedSeed::global_random());
        Self(HashMap::with_hasher(hasher))
    }
}

impl Numbers for Scattered {
    #[inline]
    fn number(&mut self, value: i64, next: u32) -> u32 {
        match self.0.entry(value) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => *entry.insert(next),
        }
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
