//! Lines of events, read into the steps that they state.
//!
//! A [`Scan`] holds the IDs alone and not the text that they stood in, unless it shall have the
//! events as columns too. A line that is declined is a hole: a row without a step, whose bytes the
//! caller reads.

use idmerge_core::{Id, Kind, OBSERVE};

use crate::columns::{Columns, ExpectedKinds, Inference, TimeReader};
use crate::error::Error;
use crate::lines::{Filling, Line, check_length, each_line};
use crate::links::{DEVICE_EVIDENCE, DEVICE_PREFIX, OBSERVE_DEVICE, ODD_ID, Rules, Stated};
use crate::scan::observers::Observers;
use crate::schema::Properties;

/// The code of an ordinary event without an ID, behind those of the core's steps.
pub const NOTHING: u8 = OBSERVE + 1;
/// The code of a row that is declined.
pub const HOLE: u8 = NOTHING + 1;
/// The code of an ordinary event whose ID a row before it has observed, with no hole between them;
/// beyond those of kinds.
pub const REPEATED: u8 = u8::MAX;

const ASSOCIATION: u8 = Kind::Association as u8;
const REFUSED_ASSOCIATION: u8 = Kind::RefusedAssociation as u8;

/// Returns whether a step can have this code: a link, an observation, or evidence.
#[must_use]
pub fn is_step(code: u8) -> bool {
    code == OBSERVE || Kind::from_code(code).is_some()
}

/// Returns whether this is the code of a link, which has an outcome.
#[must_use]
pub fn is_link(code: u8) -> bool {
    Kind::from_code(code).is_some_and(Kind::has_outcome)
}

/// Returns whether a step with this code can have a position in a journal.
#[must_use]
pub fn has_position(code: u8) -> bool {
    code == DEVICE_EVIDENCE || Kind::from_code(code).is_some()
}

impl Times {
    /// Reads the time of an event that states something with a position.
    #[inline]
    fn read(&mut self, row: usize, stated: Option<Stated<'_>>, text: Option<&str>) {
        let Some(reader) = &mut self.reader else { return };
        if stated.is_some_and(|(code, ..)| has_position(code))
            && let Some(time) = text.and_then(|text| reader.read(text))
        {
            self.all.push((row, time));
        }
    }
}

fn is_observation(code: u8) -> bool {
    matches!(code, OBSERVE | REPEATED)
}

/// Reads lines of events by rules.
pub struct Scanner {
    rules: Rules,
    pub(super) longest: usize,
    /// Whether the properties of the events are wanted.
    with_properties: bool,
    /// Whether the times of the events are wanted that state links.
    with_times: bool,
}

/// The steps that lines state, a row for each line that is not blank.
pub struct Scan {
    rows: Vec<Row>,
    /// The operands of all rows, one behind the other.
    operands: String,
    holes: Vec<Hole>,
    /// The rows of links that Mixpanel refused itself, with its reasons.
    reasons: Vec<(usize, Box<str>)>,
    pub(super) lines: u32,
    properties: Option<Properties>,
    /// The events as columns, if these were wanted, no line is [unread](Self::unread), and their
    /// cells are not too many.
    pub columns: Option<Columns>,
    /// The lines that are declined and have to be filled before there are columns: their numbers,
    /// counted from 0, and their bytes.
    unread: Vec<(u32, Vec<u8>)>,
    /// The rows that are no events, and so not in the columns.
    left_out: Vec<usize>,
    /// Finds repeated IDs while lines are read, unless the events are wanted as columns, each with
    /// its ID.
    pub(super) observers: Option<Observers>,
    times: Times,
}

/// The times of the events that state links, if they are wanted.
#[derive(Default)]
struct Times {
    reader: Option<Box<TimeReader>>,
    /// Rows and their times in milliseconds since 1970, in the order of the rows.
    all: Vec<(usize, i64)>,
}

pub(crate) struct Row {
    /// The line, counted from 0.
    pub line: u32,
    /// The end of the first operand in `operands`; it begins where the row before ends.
    pub middle: u32,
    pub end: u32,
    pub code: u8,
}

struct Hole {
    row: usize,
    text: Vec<u8>,
    has_properties: bool,
}

impl Scanner {
    /// Takes the rules, the longest line in bytes, and whether the properties of the events are
    /// wanted.
    pub fn new(rules: Rules, longest: usize, with_properties: bool) -> Self {
        Self { rules, longest, with_properties, with_times: false }
    }

    /// Keeps the times of the events that state links; not where columns are wanted, which have
    /// all times.
    #[must_use]
    pub fn with_times(self) -> Self {
        Self { with_times: true, ..self }
    }

    /// Returns the rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Reads the lines of `head` and of `text` behind it, as columns too if kinds are `expected` of
    /// them.
    ///
    /// `filled` holds, for each line that was unread in an earlier call, an event's JSON, or None
    /// for no event.
    ///
    /// # Errors
    ///
    /// There are 2 GiB or more, or an unread line is filled with no event.
    pub fn scan(
        &self,
        head: &[u8],
        text: &[u8],
        expected: Option<&ExpectedKinds>,
        filled: Option<&[Option<&[u8]>]>,
    ) -> Result<Scan, Error> {
        check_length(head, text)?;
        match expected {
            None => Ok(self.scan_steps(head, text)),
            Some(expected) => self.scan_columns(head, text, expected.clone(), filled),
        }
    }

    /// Returns a scan without rows.
    pub(super) fn empty(&self, properties: Option<Properties>) -> Scan {
        let times = Times { reader: self.with_times.then(Box::default), all: Vec::new() };
        Scan { times, ..Scan::empty(properties) }
    }

    fn scan_steps(&self, head: &[u8], text: &[u8]) -> Scan {
        let mut scan = self.empty(self.with_properties.then(Properties::default));
        scan.observers = Some(Observers::for_text(text.len()));
        let mut unescaped = String::new();
        scan.lines = each_line(head, text, self.longest, |line| {
            let known = scan.properties.as_ref().map_or(0, Properties::rows);
            let properties = scan.properties.as_mut().map(|properties| (properties, scan.rows.len()));
            let stated =
                line.text.and_then(|text| self.rules.stated(text, OBSERVE, &mut unescaped, properties));
            let has_properties = scan.properties.as_ref().map_or(0, Properties::rows) > known;
            scan.times.read(scan.rows.len(), stated, line.text);
            scan.push(line, stated, has_properties);
        });
        scan.observers = None;
        scan
    }

    /// Reads lines as columns too. If these are not of the kinds that were expected, reads them
    /// again.
    fn scan_columns(
        &self,
        head: &[u8],
        text: &[u8],
        mut expected: ExpectedKinds,
        filled: Option<&[Option<&[u8]>]>,
    ) -> Result<Scan, Error> {
        let mut unescaped = String::new();
        loop {
            let mut scan = Scan::empty(None);
            let mut inference = Inference::of(&self.rules, &expected, head.len() + text.len());
            let mut filling = filled.map(Filling::of);
            scan.lines = each_line(head, text, self.longest, |line| {
                let row = scan.rows.len();
                let read = line.text.map(|text| inference.read(text, row, OBSERVE, &mut unescaped));
                let read = read.unwrap_or_default();
                scan.push(line, read.stated, read.has_properties);
                if read.is_in_columns {
                    return;
                }
                match &mut filling {
                    None => scan.unread.push((line.number, line.seen.to_vec())),
                    Some(filling) => {
                        if !filling.fill(line.number, |event| inference.fill(event)) {
                            scan.left_out.push(row);
                        }
                    }
                }
            });
            filling.map_or(Ok(()), Filling::finish)?;
            match inference.finish() {
                Err(misfits) => expected.take(misfits),
                Ok((properties, columns)) => {
                    scan.properties = Some(properties);
                    scan.columns = Some(columns).filter(|_| scan.unread.is_empty());
                    return Ok(scan);
                }
            }
        }
    }
}

impl Scan {
    /// Returns a scan without rows, for events that are no lines.
    pub fn of_events() -> Self {
        Self::empty(None)
    }

    fn empty(properties: Option<Properties>) -> Self {
        Self {
            rows: Vec::new(),
            operands: String::new(),
            holes: Vec::new(),
            reasons: Vec::new(),
            lines: 0,
            properties,
            columns: None,
            unread: Vec::new(),
            left_out: Vec::new(),
            observers: None,
            times: Times::default(),
        }
    }

    /// Adds the row of `line`.
    #[inline]
    fn push(&mut self, line: Line<'_>, stated: Option<Stated<'_>>, has_properties: bool) {
        match stated {
            None => {
                self.holes.push(Hole { row: self.rows.len(), text: line.seen.to_vec(), has_properties });
                if let Some(observers) = &mut self.observers {
                    // The caller may take the rows behind it alone.
                    observers.begin_at(self.rows.len() + 1);
                }
            }
            Some((.., Some(reason))) => self.reasons.push((self.rows.len(), reason.into())),
            Some(_) => {}
        }
        self.push_row(line.number, stated);
    }

    /// Adds the row of an item; the text of one that is declined is kept.
    #[inline]
    pub(super) fn push_item(&mut self, stated: Option<Stated<'_>>, item: &str) {
        let number = self.rows.len() as u32;
        self.times.read(self.rows.len(), stated, Some(item));
        self.push(Line { number, seen: item.as_bytes(), text: Some(item) }, stated, false);
    }

    /// Adds the row of an event that is no line; one that is declined has no text here.
    ///
    /// The operands of all rows must be shorter than 4 GiB.
    #[inline]
    pub fn push_event(&mut self, stated: Option<Stated<'_>>) {
        self.push_row(self.rows.len() as u32, stated);
    }

    #[inline]
    fn push_row(&mut self, line: u32, stated: Option<Stated<'_>>) {
        let start = self.operands.len();
        let (code, first, second, _) = stated.unwrap_or((HOLE, None, None, None));
        if matches!(code, OBSERVE_DEVICE | ASSOCIATION | REFUSED_ASSOCIATION) {
            self.operands.push_str(DEVICE_PREFIX);
        }
        self.operands.push_str(first.unwrap_or_default());
        let middle = self.operands.len();
        if code == DEVICE_EVIDENCE {
            self.operands.push_str(DEVICE_PREFIX);
        }
        self.operands.push_str(second.unwrap_or_default());
        let code = match code {
            OBSERVE if first.is_none() => NOTHING,
            OBSERVE | OBSERVE_DEVICE if self.is_repeated(start, middle) => REPEATED,
            OBSERVE_DEVICE => OBSERVE,
            DEVICE_EVIDENCE => Kind::Evidence as u8,
            code => code,
        };
        self.rows.push(Row { line, middle: middle as u32, end: self.operands.len() as u32, code });
    }

    /// Notes that the next row observes the ID among the operands, and returns whether a row before
    /// it has.
    #[inline]
    fn is_repeated(&mut self, start: usize, end: usize) -> bool {
        let (id, row) = (&self.operands[start..end], self.rows.len());
        let other = self.observers.as_mut().and_then(|observers| observers.replace(id, row));
        other.is_some_and(|row| is_observation(self.rows[row].code) && self.texts(row).0 == id)
    }

    /// Returns the operands of a row; those that it lacks are empty.
    #[inline]
    pub(crate) fn texts(&self, row: usize) -> (&str, &str) {
        let start = if row == 0 { 0 } else { self.rows[row - 1].end as usize };
        let (middle, end) = (self.rows[row].middle as usize, self.rows[row].end as usize);
        (&self.operands[start..middle], &self.operands[middle..end])
    }

    #[inline]
    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    fn row(&self, row: usize) -> Result<&Row, Error> {
        let beyond = || Error::Index(format!("no row {row} in {}", self.rows.len()));
        self.rows.get(row).ok_or_else(beyond)
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns how many lines were read, blank ones included.
    pub fn lines(&self) -> u32 {
        self.lines
    }

    /// Returns the line of a row, counted from 0.
    pub fn line(&self, row: usize) -> Result<u32, Error> {
        Ok(self.row(row)?.line)
    }

    /// Returns the kind's code and the operands of a row that states a link, else None.
    pub fn link(&self, row: usize) -> Result<Option<(u8, &str, &str)>, Error> {
        let code = self.row(row)?.code;
        let (first, second) = self.texts(row);
        Ok(is_link(code).then_some((code, first, second)))
    }

    /// Returns Mixpanel's reason for refusing the link of a row, if it did and the row was read.
    pub fn reason(&self, row: usize) -> Option<&str> {
        let place = self.reasons.binary_search_by_key(&row, |(row, _)| *row).ok()?;
        Some(&self.reasons[place].1)
    }

    /// Returns the time of the event of a row that states a link, in milliseconds since 1970, if it
    /// was wanted and has been read.
    pub fn time(&self, row: usize) -> Option<i64> {
        let place = self.times.all.binary_search_by_key(&row, |(row, _)| *row).ok()?;
        Some(self.times.all[place].1)
    }

    /// Returns the time of an event that is no line, likewise.
    pub fn time_in(&mut self, event: &str) -> Option<i64> {
        self.times.reader.get_or_insert_default().read(event)
    }

    /// Notes the time of the event of a row that states a link; rows may come in any order.
    pub fn note_time(&mut self, row: usize, time: i64) {
        let place = self.times.all.partition_point(|&(other, _)| other < row);
        self.times.all.insert(place, (row, time));
    }

    /// Returns the ID that a row observes, else None.
    pub fn observed(&self, row: usize) -> Result<Option<&str>, Error> {
        let code = self.row(row)?.code;
        Ok((is_observation(code) || code == Kind::Evidence as u8).then(|| self.texts(row).0))
    }

    /// Returns the rows from `start` to `stop` of ordinary events with a value for an ID that is
    /// none.
    pub fn odd_ids(&self, start: usize, stop: usize) -> Vec<usize> {
        let rows = (start..).zip(self.rows.get(start..stop).unwrap_or_default());
        rows.filter_map(|(place, row)| (row.code == ODD_ID).then_some(place)).collect()
    }

    /// Returns each property's name, its kinds, and the row where it came first.
    ///
    /// Lines that are declined have none here.
    pub fn properties(&self) -> Vec<(&str, u8, usize)> {
        self.properties.as_ref().map_or_else(Vec::new, Properties::list)
    }

    /// Returns the rows whose properties [`Self::properties`] lacks.
    pub fn rows_without_properties(&self) -> Vec<usize> {
        self.holes.iter().filter(|hole| !hole.has_properties).map(|hole| hole.row).collect()
    }

    /// Returns the rows that are declined, with their bytes.
    pub fn holes(&self) -> impl ExactSizeIterator<Item = (usize, &[u8])> {
        self.holes.iter().map(|hole| (hole.row, hole.text.as_slice()))
    }

    /// Returns for each row from `start` on its row in the columns, if these have it.
    pub(crate) fn rows_in_columns(&self, start: usize) -> impl Iterator<Item = Option<usize>> {
        let missing = self.left_out.partition_point(|&row| row < start);
        let mut left_out = self.left_out[missing..].iter().peekable();
        let mut next = start - missing;
        (start..self.len()).map(move |row| {
            let is_there = left_out.next_if_eq(&&row).is_none();
            next += usize::from(is_there);
            is_there.then(|| next - 1)
        })
    }

    /// Returns the values of those rows that are in the columns; rows without one have the default.
    fn of_columns<T: Copy + Default>(&self, values: &[T]) -> Vec<T> {
        let value = |row: usize| values.get(row).copied().unwrap_or_default();
        let rows = self.rows_in_columns(0).enumerate();
        rows.filter_map(|(row, place)| place.map(|_| value(row))).collect()
    }

    /// Returns the lines that have to be filled before there are columns: their numbers, counted
    /// from 0, and bytes.
    pub fn unread(&self) -> &[(u32, Vec<u8>)] {
        &self.unread
    }
}

/// The IDs that the rows of a scan observed, as numbers of a resolver in one era, and the canonical
/// IDs that their senders had before.
#[derive(Default)]
pub struct ObservedIds {
    era: u64,
    ids: Vec<Option<Id>>,
    senders: Vec<Sender>,
}

/// The note on the sender of a row.
#[derive(Clone, Copy, Default)]
enum Sender {
    /// There is none.
    #[default]
    Unnoted,
    /// The canonical ID that the sender had; None for one who was not known.
    Noted(Option<Id>),
}

impl ObservedIds {
    /// Notes the IDs that the rows of `scan` from `start` on observed, and the canonical IDs of
    /// their senders, if there are any; those of another era are dropped.
    pub fn note(&mut self, scan: &Scan, era: u64, start: usize, ids: &[Option<Id>], senders: &[Option<Id>]) {
        if self.era != era {
            *self = Self { era, ..Self::default() };
        }
        self.ids.resize(scan.len(), None);
        self.ids[start..start + ids.len()].copy_from_slice(ids);
        self.senders.resize(scan.len(), Sender::Unnoted);
        for (noted, sender) in self.senders[start..].iter_mut().zip(senders) {
            *noted = Sender::Noted(*sender);
        }
    }

    /// Returns the ID that each row of the columns of `scan` observed, as far as it was noted in
    /// this era.
    pub fn of_columns(&self, scan: &Scan, era: u64) -> Vec<Option<Id>> {
        scan.of_columns(if self.era == era { &self.ids } else { &[] })
    }

    /// Returns the canonical ID that the sender of each row of the columns of `scan` had before,
    /// None for one who was not known; or None if they were not noted in this era.
    pub fn senders_of_columns(&self, scan: &Scan, era: u64) -> Option<Vec<Option<Id>>> {
        let senders = scan.of_columns(if self.era == era { &self.senders } else { &[] });
        let noted = |sender| match sender {
            Sender::Unnoted => None,
            Sender::Noted(canonical) => Some(canonical),
        };
        senders.into_iter().map(noted).collect()
    }
}
