//! Checkpoints with right checksums: whatever else they hold, they are loaded or refused, and
//! answer if loaded.

#![no_main]

use std::io::Cursor;

use idmerge_core::{JournaledResolver, Part, Policy, Resolver, Strategy};
use libfuzzer_sys::fuzz_target;

/// The words before a part's content: the version, and the moment of which the caller is asked.
const MAGIC: [u8; 8] = *b"idmerge\x02";

/// Returns a part of a checkpoint: its beginning, the content as whole words, and its checksum.
fn part(content: &[u8]) -> Vec<u8> {
    let mut part = [MAGIC.as_slice(), &[0; 40], content].concat();
    part.resize(part.len().next_multiple_of(8), 0);
    let checksum = u64::from(crc32fast::hash(&part));
    part.extend(checksum.to_le_bytes());
    part
}

fuzz_target!(|bytes: &[u8]| {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else { return };
    let middle = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    let [first, second] = [&rest[..middle], &rest[middle..]].map(part);
    let mut empty = JournaledResolver::new(Resolver::new(Policy::default(), Strategy::Stable));
    empty.keep_record();
    empty.keep_history();
    let sizes = [first.len() as u64, second.len() as u64];
    let (mut first, mut second) = (Cursor::new(first), Cursor::new(second));
    let parts: [Part; 2] = [(&mut first, sizes[0]), (&mut second, sizes[1])];
    let Ok(resolver) = empty.loaded(parts, |_| true) else { return };
    let texts: Vec<String> =
        resolver.mapping().map(|(id, ..)| resolver.text(id).as_str().to_owned()).take(100).collect();
    for text in &texts {
        if let Some(id) = resolver.get(text) {
            let (canonical, members) = (resolver.canonical(id), resolver.members(id));
            let _ = (resolver.size(id), resolver.built(id));
            for member in members.into_iter().take(20) {
                let _ = (resolver.chain(id, member), resolver.chain(member, canonical));
            }
        }
    }
});
