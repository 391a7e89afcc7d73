//! Forged checkpoints, whose checksums are right.

use std::io::Cursor;

use idmerge_core::{JournaledResolver, Part, Policy, Resolver, Strategy};

/// The contents of two parts, behind the length of the first one; found by fuzzing.
///
/// Its parents form a cycle, and it counts more merged links than it has IDs.
const CYCLE: &[u8] = include_bytes!("data/checkpoint-with-a-cycle.bin");

/// Returns a part of a checkpoint: its beginning, the content as whole words, and its checksum.
fn part(content: &[u8]) -> Vec<u8> {
    let mut part = [b"idmerge\x02".as_slice(), &[0; 40], content].concat();
    part.resize(part.len().next_multiple_of(8), 0);
    let checksum = u64::from(crc32fast::hash(&part));
    part.extend(checksum.to_le_bytes());
    part
}

#[test]
fn a_cycle_of_parents_is_refused_whatever_the_count_of_merged_links() {
    let (length, rest) = CYCLE.split_first_chunk::<2>().expect("it begins with a length");
    let middle = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    let [first, second] = [&rest[..middle], &rest[middle..]].map(part);
    let sizes = [first.len() as u64, second.len() as u64];
    let (mut first, mut second) = (Cursor::new(first), Cursor::new(second));
    let parts: [Part; 2] = [(&mut first, sizes[0]), (&mut second, sizes[1])];
    let mut empty = JournaledResolver::new(Resolver::new(Policy::default(), Strategy::Stable));
    empty.keep_record();
    let error = empty.loaded(parts, |_| true).err().expect("it is refused");
    assert!(error.to_string().contains("its clusters are none"), "{error}");
}
