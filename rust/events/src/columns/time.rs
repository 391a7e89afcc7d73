//! Times of events: numbers or ISO 8601.
//!
//! A number counts seconds, milliseconds, microseconds or nanoseconds, told by its size: no time of
//! the years 1973 to 5138 is taken for one of another unit. `idmerge.files.times` has the same rule
//! for columns of numbers.

#![expect(clippy::cast_precision_loss, reason = "the bound of milliseconds is exact")]

use arrow_array::timezone::Tz;
use arrow_cast::parse::string_to_datetime;

use crate::json::cells::{Cell, Cells, Spare};
use crate::schema::Keys;

/// The least number that counts milliseconds: as seconds it would be beyond the year 5000.
pub(crate) const MILLISECONDS_FROM: u64 = 100_000_000_000;
/// The least number that counts microseconds: as milliseconds it would be beyond the year 5000.
const MICROSECONDS_FROM: u64 = 1000 * MILLISECONDS_FROM;
/// The least number that counts nanoseconds: as microseconds it would be beyond the year 5000.
const NANOSECONDS_FROM: u64 = 1000 * MICROSECONDS_FROM;
/// The years 1 to 9999, in milliseconds since 1970: what dates reach in the libraries that read
/// them.
const TIMES: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

/// Reads the times of events of JSON text, and no more of these.
#[derive(Default)]
pub struct TimeReader {
    buffer: String,
    spare: Spare,
}

/// The key of an event's time.
struct TimeKey;

impl Keys for TimeKey {
    fn begin_row(&mut self) {}

    fn place(&mut self, key: &str) -> Option<usize> {
        (key == "time").then_some(0)
    }
}

impl TimeReader {
    /// Returns the time of the event in `line` in milliseconds since 1970, if it has one that can
    /// be read.
    pub fn read(&mut self, line: &str) -> Option<i64> {
        let cells = Cells::read(line, &mut TimeKey, &mut self.buffer, &mut self.spare)?;
        let time = cells.properties.last().and_then(|(_, cell)| milliseconds(cell, &self.buffer));
        self.spare.take_back(cells);
        time
    }
}

/// Returns a time in milliseconds since 1970: a number, in digits too, or ISO 8601.
pub fn milliseconds(cell: &Cell<'_>, buffer: &str) -> Option<i64> {
    let time = match cell {
        Cell::Integer(number) => of_integer(*number),
        Cell::Float(number) => of_number(*number)?,
        Cell::Borrowed(_) | Cell::Unescaped(_) | Cell::Digits(_) => {
            let text = cell.text(buffer)?;
            match (text.parse(), text.parse()) {
                (Ok(number), _) => of_integer(number),
                (Err(_), Ok(number)) => of_number(number)?,
                (Err(_), Err(_)) => of_iso(&text)?,
            }
        }
        Cell::Null | Cell::Bool(_) | Cell::Nested(_) => return None,
    };
    TIMES.contains(&time).then_some(time)
}

/// Returns the milliseconds of a date, or of a date and a time of ISO 8601, in UTC if no zone is
/// named. Seconds may be left out, and blanks may stand before the zone.
fn of_iso(text: &str) -> Option<i64> {
    let utc: Tz = "UTC".parse().expect("UTC is a time zone");
    let moment = string_to_datetime(&utc, text)
        .or_else(|error| string_to_datetime(&utc, &completed(text).ok_or(error)?));
    Some(moment.ok()?.timestamp_millis())
}

/// Returns a text that arrow cannot read with the seconds that it lacks, and without blanks before
/// its `Z`; `None` if neither can be the reason.
fn completed(text: &str) -> Option<String> {
    let (minutes, rest) = text.split_at_checked("2024-01-01T10:00".len())?;
    let lacks_seconds = minutes.as_bytes()[13] == b':' && !rest.starts_with(':');
    let seconds = if lacks_seconds { ":00" } else { "" };
    let bare = rest.strip_suffix(['z', 'Z']).map(str::trim_ascii_end);
    let has_blanks = bare.is_some_and(|bare| bare.len() + 1 < rest.len());
    (lacks_seconds || has_blanks).then(|| match bare {
        Some(bare) => format!("{minutes}{seconds}{bare}Z"),
        None => format!("{minutes}{seconds}{rest}"),
    })
}

/// Returns the milliseconds that a whole `number` means, rounded half away from zero.
fn of_integer(number: i64) -> i64 {
    match number.unsigned_abs() {
        0..MILLISECONDS_FROM => number * 1000,
        MILLISECONDS_FROM..MICROSECONDS_FROM => number,
        MICROSECONDS_FROM..NANOSECONDS_FROM => rounded(number, 1000),
        NANOSECONDS_FROM.. => rounded(number, 1_000_000),
    }
}

fn rounded(number: i64, parts: i64) -> i64 {
    let rest = number % parts;
    number / parts + if 2 * rest.abs() >= parts { rest.signum() } else { 0 }
}

/// Returns the same for a number that is not whole.
fn of_number(number: f64) -> Option<i64> {
    let size = number.abs();
    let time = if size < MILLISECONDS_FROM as f64 {
        number * 1000.0
    } else if size < MICROSECONDS_FROM as f64 {
        number
    } else if size < NANOSECONDS_FROM as f64 {
        number / 1000.0
    } else {
        number / 1_000_000.0
    };
    // Rounded, for 0.001 s times 1,000 is no whole number; what is no number or too large fails the
    // range.
    time.is_finite().then(|| time.round() as i64)
}
