//! Frames of a log: what is written is read back, and nothing else is.

use idmerge_events::frames::{self, Frame, HEAD, MAGIC, Record};
use proptest::prelude::*;

fn frame_of(project: &str, numbers: (u8, u8, u64), group: u64, ends_group: bool) -> Frame<'_> {
    let (stream, source, received) = numbers;
    Frame { record: Record { project, stream, source, received }, group, ends_group }
}

proptest! {
    #[test]
    fn a_frame_is_read_back_at_its_offset_alone(
        project in ".{0,60}",
        numbers in any::<(u8, u8, u64)>(),
        (group, distance) in (0..1_u64 << 40, 0..1_u64 << 31),
        ends_group: bool,
        lines in prop::collection::vec(any::<u8>(), 0..200),
        behind in prop::collection::vec(any::<u8>(), 0..9),
    ) {
        let (frame, offset) = (frame_of(&project, numbers, group, ends_group), group + distance);
        let mut written = frames::front(&frame, &lines, offset).expect("all of it is short");
        prop_assert_eq!(frames::read_parts(&written, &lines, offset), Some(frame));
        prop_assert_eq!(frames::front_length(&written), Some(written.len()));
        written.extend(&lines);
        prop_assert_eq!(frames::length(&written), Some(written.len()));
        let end = written.len();
        written.extend(&behind);
        prop_assert_eq!(frames::read(&written, offset), Some((frame, &lines[..])));
        prop_assert_eq!(frames::read(&written, offset + 1), None);
        prop_assert_eq!(frames::read(&written[..end - 1], offset), None);
    }

    #[test]
    fn a_damaged_frame_is_none(
        lines in prop::collection::vec(any::<u8>(), 0..60),
        place: prop::sample::Index,
        mask in 1..=255_u8,
    ) {
        let frame = frame_of("shop", (1, 0, 1_700_000_000_000), 7, true);
        let mut written = frames::front(&frame, &lines, 99).expect("all of it is short");
        written.extend(&lines);
        let place = place.index(written.len());
        written[place] ^= mask;
        prop_assert_eq!(frames::read(&written, 99), None);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..100),
        offset: u64,
    ) {
        let begun = [&MAGIC[..], &bytes].concat();
        for data in [&bytes, &begun] {
            prop_assert_eq!(frames::read(data, offset), None);
            let _ = (frames::length(data), frames::front_length(data));
        }
    }
}

#[test]
fn what_a_frame_cannot_hold_is_not_written() {
    let name = "n".repeat(256);
    assert_eq!(frames::front(&frame_of(&name, (0, 0, 0), 0, true), b"\n", 0), None);
    let far = frame_of("shop", (0, 0, 0), 0, true);
    assert_eq!(frames::front(&far, b"\n", 1 << 32), None);
    assert_eq!(frames::front(&frame_of("shop", (0, 0, 0), 1, true), b"\n", 0), None);
    assert!(frames::front(&far, b"\n", (1 << 32) - 1).is_some());
}

#[test]
fn a_frame_whose_name_is_longer_than_itself_is_none() {
    let mut written = frames::front(&frame_of("shop", (0, 0, 0), 0, true), b"", 0).expect("short");
    written[HEAD - 1] = 5;
    assert_eq!((frames::front_length(&written), frames::read(&written, 0)), (None, None));
}
