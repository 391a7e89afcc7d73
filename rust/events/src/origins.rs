//! Origins of links in a journal: the times of their events and their places in their sources.
//!
//! They stand in the block of a batch's steps, behind Arrow's stream, and only where there are
//! some: a batch without origins has none of these bytes, and a reader of the steps alone passes
//! over them.
//!
//! | bytes | hold |
//! |---|---|
//! | unit (1 byte) | 1: times count milliseconds, 2: seconds |
//! | number of sources, and of each its length and its name (UTF-8) | files, requests |
//! | number of origins | |
//! | of each origin its head | 8 × the positions without one before it, and bits of [`Head`] |
//! | a time, if it has one | the difference to that of the origin before |
//! | a source, if it is another one than before | its number |
//! | a number there, if it has a source | the difference to the one behind its last one there |
//!
//! All numbers are of variable length, seven bits a byte, the lowest first; differences have their
//! sign in the lowest bit. So a link of a file in the order of its events takes four to six bytes.

use std::collections::{HashMap, HashSet};

use arrow_schema::ArrowError;
use idmerge_core::Origin;

use crate::journal_blocks::{StepBlock, end_of_stream};

/// The bits of an origin's head.
struct Head;

impl Head {
    const TIME: u64 = 1;
    const SOURCE: u64 = 2;
    const OTHER_SOURCE: u64 = 4;
    const SHIFT: u32 = 3;
}

const MILLISECONDS: u8 = 1;
const SECONDS: u8 = 2;

/// Appends origins to the block of the steps from the position `start` on, if there are some.
///
/// They are in the order of their positions; `sources` has the names of all sources.
pub fn append(block: &mut Vec<u8>, start: u64, origins: &[Origin], sources: &[Box<str>]) {
    if origins.is_empty() {
        return;
    }
    let (mut used, mut numbers) = (Vec::new(), HashMap::new());
    for (source, _) in origins.iter().filter_map(|origin| origin.place) {
        numbers.entry(source).or_insert_with(|| {
            used.push(source);
            used.len() as u64 - 1
        });
    }
    let are_whole = origins.iter().filter_map(|origin| origin.time).all(|time| time % 1000 == 0);
    let (unit, scale) = if are_whole { (SECONDS, 1000) } else { (MILLISECONDS, 1) };
    block.push(unit);
    write(block, used.len() as u64);
    let mut place = Places::of(used.len());
    for source in used {
        let name = sources[source as usize].as_bytes();
        write(block, name.len() as u64);
        block.extend_from_slice(name);
    }
    write(block, origins.len() as u64);
    let (mut next, mut last) = (start, 0);
    for origin in origins {
        let found = origin.place.map(|(source, number)| (numbers[&source], number));
        let is_other = found.is_some_and(|(source, _)| place.source != Some(source));
        let bits = u64::from(origin.time.is_some()) * Head::TIME
            + u64::from(found.is_some()) * Head::SOURCE
            + u64::from(is_other) * Head::OTHER_SOURCE;
        write(block, (origin.position - next) << Head::SHIFT | bits);
        next = origin.position + 1;
        if let Some(time) = origin.time {
            write(block, zigzag((time / scale).wrapping_sub(last)));
            last = time / scale;
        }
        if let Some((source, number)) = found {
            if is_other {
                write(block, source);
            }
            write(block, zigzag(number.wrapping_sub(place.expected(source)).cast_signed()));
            place.note(source, number);
        }
    }
}

/// The places of the origins so far.
struct Places {
    /// The source of the last one that has one.
    source: Option<u64>,
    /// The number behind the last one in each source.
    next: Vec<u64>,
}

impl Places {
    /// Returns those of so many sources.
    fn of(sources: usize) -> Self {
        Self { source: None, next: vec![1; sources] }
    }

    /// Returns the number that is expected in a source.
    fn expected(&self, source: u64) -> u64 {
        self.next[source as usize]
    }

    fn note(&mut self, source: u64, number: u64) {
        self.source = Some(source);
        self.next[source as usize] = number.wrapping_add(1);
    }
}

fn write(block: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        block.push(number as u8 | 0x80);
        number >>= 7;
    }
    block.push(number as u8);
}

fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63).cast_unsigned()
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// The origins of a batch.
#[derive(Debug, Default)]
pub struct Origins {
    /// The origins, in the order of their positions.
    pub all: Vec<Origin>,
    /// The names of their sources.
    pub sources: Vec<String>,
}

impl Origins {
    /// Reads the origins in the block of the steps from the position `start` on; an empty block has
    /// none.
    ///
    /// Takes memory in proportion to the block, whatever it holds.
    ///
    /// # Errors
    ///
    /// They are damaged, or the steps are.
    pub fn read(block: &[u8], start: u64) -> Result<Self, ArrowError> {
        Self::chosen(block, start, |_| Chosen::Taken)
    }

    /// Reads those at `positions`, which are in order, and no further than the last of them.
    ///
    /// # Errors
    ///
    /// As [`Self::read`], as far as they are read.
    pub fn at(block: &[u8], start: u64, positions: &[u64]) -> Result<Self, ArrowError> {
        let mut wanted = positions.iter().peekable();
        Self::chosen(block, start, |position| {
            while wanted.next_if(|&&other| other < position).is_some() {}
            match wanted.peek() {
                None => Chosen::Behind,
                Some(&&other) if other == position => Chosen::Taken,
                Some(_) => Chosen::Left,
            }
        })
    }

    fn chosen(block: &[u8], start: u64, choose: impl FnMut(u64) -> Chosen) -> Result<Self, ArrowError> {
        let rest = &block[end_of_stream(block)?..];
        if rest.is_empty() {
            return Ok(Self::default());
        }
        let damaged = || ArrowError::IpcError("the origins of the batch's links are damaged".to_owned());
        Reader(rest).origins(start, choose).ok_or_else(damaged)
    }

    /// Returns the origin of the link at `position`, if it has one.
    pub fn of(&self, position: u64) -> Option<&Origin> {
        let place = self.all.binary_search_by_key(&position, |origin| origin.position).ok()?;
        Some(&self.all[place])
    }
}

/// Returns the positions of the links in a block whose events were later than `latest`, in
/// milliseconds; the first step has the position `start`.
///
/// Links without an event time are among them if the batch is `late`: its commit came later.
///
/// # Errors
///
/// The block is damaged.
pub fn later_than(block: &[u8], start: u64, latest: i64, late: bool) -> Result<HashSet<u64>, ArrowError> {
    let origins = Origins::read(block, start)?;
    if !late && origins.all.is_empty() {
        return Ok(HashSet::new());
    }
    let steps = StepBlock::read(block)?;
    let is_late = |position| match origins.of(position).and_then(|origin| origin.time) {
        Some(time) => time > latest,
        None => late,
    };
    Ok(steps
        .steps()
        .links(start)
        .map(|(position, ..)| position)
        .filter(|&position| is_late(position))
        .collect())
}

/// Whether the origin at a position is wanted.
enum Chosen {
    Taken,
    Left,
    /// Neither it nor any behind it.
    Behind,
}

/// What is left of a block.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn origins(mut self, start: u64, mut choose: impl FnMut(u64) -> Chosen) -> Option<Origins> {
        let (&unit, rest) = self.0.split_first()?;
        self.0 = rest;
        let scale = match unit {
            MILLISECONDS => 1,
            SECONDS => 1000,
            _ => return None,
        };
        let mut sources = Vec::new();
        for _ in 0..self.count()? {
            let length = self.count()?;
            let (name, rest) = self.0.split_at_checked(length)?;
            self.0 = rest;
            sources.push(str::from_utf8(name).ok()?.to_owned());
        }
        let count = self.count()?;
        let mut all = Vec::new();
        let (mut next, mut last) = (start, 0_i64);
        let mut place = Places::of(sources.len());
        for _ in 0..count {
            let head = self.number()?;
            if head & (Head::TIME | Head::SOURCE) == 0 {
                return None;
            }
            let position = next.checked_add(head >> Head::SHIFT)?;
            next = position.checked_add(1)?;
            let mut origin = Origin { position, time: None, place: None };
            if head & Head::TIME != 0 {
                last = last.checked_add(unzigzag(self.number()?))?;
                origin.time = Some(last.checked_mul(scale)?);
            }
            if head & Head::SOURCE != 0 {
                let source = if head & Head::OTHER_SOURCE != 0 { self.number()? } else { place.source? };
                if source >= sources.len() as u64 {
                    return None;
                }
                let number = place.expected(source).wrapping_add(unzigzag(self.number()?).cast_unsigned());
                place.note(source, number);
                origin.place = Some((source as u32, number));
            }
            match choose(position) {
                Chosen::Taken => all.push(origin),
                Chosen::Left => {}
                Chosen::Behind => return Some(Origins { all, sources }),
            }
        }
        self.0.is_empty().then_some(Origins { all, sources })
    }

    /// Reads the number of things behind it, each of which takes a byte at least.
    fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.number()?).ok()?;
        (count <= self.0.len()).then_some(count)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}
