//! Frames of a server's log: records with checksums, in groups.
//!
//! A frame is a head, the project's name and the record's lines. The form of the files, and what a
//! crash can tear of them, is described in `idmerge.server.log.segments`; here is the form of one
//! frame, of which this is the only reader and writer:
//!
//! ```text
//! 0   magic: 4 bytes, of which the last one is the version of the form
//! 4   CRC-32 of the frame's offset (8 bytes) and of all that follows
//! 8   length of name and lines, 4 bytes
//! 12  distance to the beginning of its group, 4 bytes
//! 16  the time received, 8 bytes
//! 24  codes of stream and source, 1 at the end of a group, length of the name: 1 byte each
//! 28  the name in UTF-8, then the lines
//! ```
//!
//! Numbers are little-endian. Whatever the bytes are, reading takes time in proportion to the
//! frame, and memory for none.

use crc32fast::Hasher;

/// The first bytes of a frame. They are in no JSON: one is no UTF-8, and one is a control
/// character.
pub const MAGIC: [u8; 4] = *b"\xff\0L\x01";
/// The length of a head.
pub const HEAD: usize = 28;
/// The end of the checksum, from which on it covers the frame.
const CHECKED: usize = 8;

/// What a frame says of the lines in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// The name of the project.
    pub project: &'a str,
    /// The code of the stream: what the lines are.
    pub stream: u8,
    /// The code of the source: the route by which they came.
    pub source: u8,
    /// The time at which they came.
    pub received: u64,
}

/// A frame with what its head says, but for its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The record without its lines.
    pub record: Record<'a>,
    /// The offset at which its group begins.
    pub group: u64,
    /// Whether it is the last one of the group.
    pub ends_group: bool,
}

/// Returns the length that the frame at the beginning of `data` states; `None` where none begins.
#[must_use]
pub fn length(data: &[u8]) -> Option<usize> {
    let head = data.first_chunk::<HEAD>()?;
    (head[..4] == MAGIC).then(|| HEAD + number(&head[8..12]) as usize)
}

/// Returns the length of what stands before the lines of the frame at the beginning of `data`.
#[must_use]
pub fn front_length(data: &[u8]) -> Option<usize> {
    let length = length(data)?;
    let front = HEAD + usize::from(data[HEAD - 1]);
    (front <= length).then_some(front)
}

/// Returns the whole frame at the beginning of `data`, `offset` of the log, and its lines; `None`
/// if there is none, or if it is damaged.
#[must_use]
pub fn read(data: &[u8], offset: u64) -> Option<(Frame<'_>, &[u8])> {
    let whole = data.get(..length(data)?)?;
    let (front, lines) = whole.split_at_checked(front_length(whole)?)?;
    Some((read_parts(front, lines, offset)?, lines))
}

/// Returns the frame of such lines behind their `front`; `None` if it is none, or damaged.
#[must_use]
pub fn read_parts<'a>(front: &'a [u8], lines: &[u8], offset: u64) -> Option<Frame<'a>> {
    if front_length(front)? != front.len() || length(front)? != front.len() + lines.len() {
        return None;
    }
    if checksum(&front[CHECKED..], lines, offset) != number(&front[4..8]) {
        return None;
    }
    let received = u64::from_le_bytes(front[16..24].try_into().expect("eight bytes"));
    let project = str::from_utf8(&front[HEAD..]).ok()?;
    Some(Frame {
        record: Record { project, stream: front[24], source: front[25], received },
        group: offset.checked_sub(number(&front[12..16]).into())?,
        ends_group: front[26] != 0,
    })
}

/// Returns what stands before the lines of a frame at `offset`.
///
/// `None` if the name has more than 255 bytes, the frame 4 GiB, or the group as many before it.
#[must_use]
pub fn front(frame: &Frame<'_>, lines: &[u8], offset: u64) -> Option<Vec<u8>> {
    let Record { project, stream, source, received } = frame.record;
    let name = u8::try_from(project.len()).ok()?;
    let length = u32::try_from(project.len() + lines.len()).ok()?;
    let distance = u32::try_from(offset.checked_sub(frame.group)?).ok()?;
    let mut front = Vec::with_capacity(HEAD + project.len());
    front.extend(MAGIC);
    front.extend([0; 4]);
    front.extend(length.to_le_bytes());
    front.extend(distance.to_le_bytes());
    front.extend(received.to_le_bytes());
    front.extend([stream, source, u8::from(frame.ends_group), name]);
    front.extend(project.as_bytes());
    let sum = checksum(&front[CHECKED..], lines, offset);
    front[4..8].copy_from_slice(&sum.to_le_bytes());
    Some(front)
}

fn checksum(front: &[u8], lines: &[u8], offset: u64) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&offset.to_le_bytes());
    hasher.update(front);
    hasher.update(lines);
    hasher.finalize()
}

/// Returns the number in four bytes.
fn number(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes.try_into().expect("four bytes"))
}
