//! The links that the core's benchmarks take: identity events such as those of a large site.
//!
//! Users with one to four *others* each, which are devices or, 2 % of them, aliases; every other is
//! linked to its user once, the rest of 1.5 links an ID are sent again, all in random order. It is
//! the workload of `benches/support/workload.py` without its tail and its conflicts, so the answers
//! are known: the first link of each other merges, every later one changes nothing, and a cluster
//! has one canonical ID.
//!
//! The same number of IDs gives the same links everywhere. Texts lie one behind the other, as in an
//! Arrow column.

use std::fmt::Write;
use std::ops::Range;

use idmerge_core::{Act, Batch, Kind, Operand, Outcome, Preparer, Side};

/// The sizes of the clusters, in turns.
const SIZES: [usize; 9] = [2, 2, 2, 3, 3, 3, 4, 4, 5];
const ALIAS_EVERY: usize = 50;

/// Links, and every ID that they name once, in random order.
pub struct Workload {
    pub kinds: Vec<Kind>,
    pub first: Texts,
    pub second: Texts,
    pub ids: Texts,
    pub users: usize,
}

impl Workload {
    /// Returns 1.5 links an ID between `ids` IDs, or just above.
    pub fn new(ids: usize) -> Self {
        let mut random = SplitMix(0);
        let (mut owners, mut users) = (Vec::new(), 0);
        while users + owners.len() < ids {
            owners.extend(std::iter::repeat_n(users, SIZES[users % SIZES.len()] - 1));
            users += 1;
        }
        let others: Vec<Other> = owners.iter().map(|&user| Other::draw(&mut random, user)).collect();
        let known = users + others.len();

        let mut stated: Vec<usize> = (0..others.len()).collect();
        stated.extend((others.len()..known * 3 / 2).map(|_| random.below(others.len())));
        random.shuffle(&mut stated);
        let mut links = Self {
            kinds: Vec::new(),
            first: Texts::default(),
            second: Texts::default(),
            ids: Texts::default(),
            users,
        };
        for other in stated.iter().map(|&number| &others[number]) {
            links.kinds.push(if other.is_alias { Kind::Alias } else { Kind::Identify });
            other.write(&mut links.first);
            write_user(other.user, &mut links.second);
        }

        let mut numbers: Vec<usize> = (0..known).collect();
        random.shuffle(&mut numbers);
        for number in numbers {
            match number.checked_sub(users) {
                Some(other) => others[other].write(&mut links.ids),
                None => write_user(number, &mut links.ids),
            }
        }
        links
    }

    /// Returns the rows of `count` in pieces of a batch each.
    pub fn pieces(count: usize) -> impl Iterator<Item = Range<usize>> {
        (0..count).step_by(Batch::ROWS).map(move |start| start..count.min(start + Batch::ROWS))
    }

    /// Prepares the operands of these links.
    pub fn prepare(&self, preparer: &Preparer, batch: &mut Batch, rows: Range<usize>) {
        batch.prepare(Side::First, preparer, self.first.operands(rows.clone()));
        batch.prepare(Side::Second, preparer, self.second.operands(rows));
    }

    /// Fills a batch with these links.
    pub fn fill(&self, preparer: &Preparer, batch: &mut Batch, rows: Range<usize>) {
        batch.clear();
        self.prepare(preparer, batch, rows.clone());
        let stated = batch.state(self.kinds[rows.clone()].iter().map(|&kind| Act::Link(kind)));
        assert_eq!(stated, rows.len(), "a batch holds all rows of its piece");
    }

    /// Fills a batch with look-ups of these IDs.
    pub fn ask(&self, preparer: &Preparer, batch: &mut Batch, rows: Range<usize>) {
        batch.clear();
        batch.prepare_lookups(preparer, self.ids.operands(rows));
    }

    /// Panics unless each other was merged once and nothing else happened.
    pub fn check(&self, outcomes: &[Outcome]) {
        let count = |wanted| outcomes.iter().filter(|&&outcome| outcome == wanted).count();
        let merged = self.ids.len() - self.users;
        assert_eq!(count(Outcome::Merged), merged, "each device and each alias joins its user once");
        assert_eq!(count(Outcome::Unchanged), self.kinds.len() - merged, "a repeat changes nothing");
    }
}

/// An ID that is linked to its user: a device or an alias.
struct Other {
    user: usize,
    is_alias: bool,
    drawn: [u64; 2],
}

impl Other {
    fn draw(random: &mut SplitMix, user: usize) -> Self {
        Self { user, is_alias: random.below(ALIAS_EVERY) == 0, drawn: [random.next(), random.next()] }
    }

    fn write(&self, texts: &mut Texts) {
        let [high, low] = self.drawn;
        if self.is_alias {
            texts.push(format_args!("alias_{}_{}@example.com", self.user, high as u32));
            return;
        }
        // A UUID of version 4.
        let (version, variant) = (high & 0xfff | 0x4000, low >> 50 | 0x8000);
        let (first, second, last) = (high >> 32, high >> 16 & 0xffff, low & 0xffff_ffff_ffff);
        texts.push(format_args!("{first:08x}-{second:04x}-{version:04x}-{variant:04x}-{last:012x}"));
    }
}

fn write_user(user: usize, texts: &mut Texts) {
    texts.push(format_args!("user_{user}"));
}

/// A column of texts in one buffer.
#[derive(Default)]
pub struct Texts {
    buffer: String,
    ends: Vec<usize>,
}

impl Texts {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns these rows as operands, in order.
    pub fn operands(&self, rows: Range<usize>) -> impl Iterator<Item = Operand<'_>> {
        let mut start = rows.start.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.ends[rows].iter().map(move |&end| {
            let text = &self.buffer[start..end];
            start = end;
            Operand::Text(text)
        })
    }

    fn push(&mut self, text: std::fmt::Arguments) {
        self.buffer.write_fmt(text).expect("a String takes any text");
        self.ends.push(self.buffer.len());
    }
}

/// Steele, Lea and Flood's generator of 2014, which needs eight bytes and no crate.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.next()) * limit as u128) >> 64) as usize
    }

    fn shuffle(&mut self, numbers: &mut [usize]) {
        for place in (1..numbers.len()).rev() {
            numbers.swap(place, self.below(place + 1));
        }
    }
}
