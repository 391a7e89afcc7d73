//! Frames of a server's log.

use idmerge_events::frames::{self, Frame, Record};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

/// The name of the project, the codes of stream and source, the time received, the lines, the
/// offset behind the frame, that at which its group begins, and whether the group ends here.
type FrameRow<'py> = (Bound<'py, PyString>, u8, u8, u64, Bound<'py, PyBytes>, u64, u64, bool);

/// Return the length that the frame at a place of some bytes states; None where none begins.
#[pyfunction]
pub fn frame_length(data: &[u8], place: usize) -> Option<usize> {
    frames::length(data.get(place..)?)
}

/// Return the length of what stands before the lines of the frame that begins there.
#[pyfunction]
pub fn frame_front_length(data: &[u8]) -> Option<usize> {
    frames::front_length(data)
}

/// Return the frames that follow each other whole from a place of some bytes on.
///
/// `offset` is the offset of the place in the log; frames that end behind `end` are left out.
#[pyfunction]
pub fn whole_frames<'py>(
    py: Python<'py>,
    data: &[u8],
    place: usize,
    offset: u64,
    end: u64,
) -> Vec<FrameRow<'py>> {
    let (mut rest, mut offset) = (data.get(place..).unwrap_or_default(), offset);
    let mut found: Vec<FrameRow<'py>> = Vec::new();
    let mut last: Option<(&str, Bound<'py, PyString>)> = None;
    while let Some((frame, lines)) = frames::read(rest, offset) {
        let length = frames::length(rest).expect("it was read");
        offset += length as u64;
        if offset > end {
            break;
        }
        rest = &rest[length..];
        let name = match &last {
            Some((project, name)) if *project == frame.record.project => name.clone(),
            _ => PyString::new(py, frame.record.project),
        };
        found.push(row(&frame, name.clone(), PyBytes::new(py, lines), offset));
        last = Some((frame.record.project, name));
    }
    found
}

/// Return the frame of such lines behind their front; None if it is none, or damaged.
#[pyfunction]
pub fn frame_of_parts<'py>(
    py: Python<'py>,
    front: &[u8],
    lines: Bound<'py, PyBytes>,
    offset: u64,
) -> Option<FrameRow<'py>> {
    let frame = frames::read_parts(front, lines.as_bytes(), offset)?;
    let end = offset + (front.len() + lines.as_bytes().len()) as u64;
    Some(row(&frame, PyString::new(py, frame.record.project), lines, end))
}

/// Return what stands before the lines of a frame at an offset whose group begins at another one.
///
/// `ValueError` if a frame cannot hold that.
#[pyfunction]
#[pyo3(signature = (project, stream, source, received, lines, *, offset, group, ends_group))]
#[expect(clippy::too_many_arguments, reason = "they are the fields of a frame")]
pub fn frame_front<'py>(
    py: Python<'py>,
    project: &str,
    stream: u8,
    source: u8,
    received: u64,
    lines: &[u8],
    offset: u64,
    group: u64,
    ends_group: bool,
) -> PyResult<Bound<'py, PyBytes>> {
    let frame = Frame { record: Record { project, stream, source, received }, group, ends_group };
    let front = frames::front(&frame, lines, offset)
        .ok_or_else(|| PyValueError::new_err("a frame cannot hold so long a name, or so many bytes"))?;
    Ok(PyBytes::new(py, &front))
}

fn row<'py>(
    frame: &Frame<'_>,
    project: Bound<'py, PyString>,
    lines: Bound<'py, PyBytes>,
    end: u64,
) -> FrameRow<'py> {
    let Record { stream, source, received, .. } = frame.record;
    (project, stream, source, received, lines, end, frame.group, frame.ends_group)
}
