//! Text columns in: lists, numpy arrays, and whatever speaks Arrow.
//!
//! Buffers are pinned as they are and read without the interpreter, and so are numpy's texts, once they
//! are UTF-8 ([`crate::numpy_text`]). Python's strings are read while attached to it, a piece of the list
//! at a time: a piece is copied first, which takes a reference to each string and so brings it near, many
//! at once; then each string's text is asked for.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::ByteArrayType;
use arrow_array::{Array, ArrayRef, BinaryArray, BinaryViewArray, GenericByteArray, LargeBinaryArray};
use arrow_buffer::ArrowNativeType;
use arrow_schema::{DataType, Field};
use idmerge_core::{Batch, Door, Operand, Side, prefetch_address};
use pyo3::exceptions::{PyException, PyImportError, PyTypeError, PyUnicodeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyFloat, PyList, PyString, PyTuple};

use crate::imported::read_arrow;
use crate::kinds::is_arrow;
use crate::numpy_text;

/// What an element that is no text means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Elements {
    /// An operand of a link: anything but text is missing.
    Operands,
    /// An ID to look at: None and NaN are missing, anything else is a `TypeError`.
    Ids,
}

/// A column of texts.
pub enum Column<'py> {
    Objects(Objects<'py>),
    Pinned(Pinned),
}

/// A list or a tuple of Python's strings.
pub struct Objects<'py> {
    list: Bound<'py, PyList>,
    len: usize,
}

/// Buffers of text, which need no interpreter to be read.
pub struct Pinned {
    chunks: Vec<Chunk>,
    /// The Arrow type that the column came as, if it did.
    pub arrow_type: Option<DataType>,
}

enum Chunk {
    Fixed { bytes: PyBackedBytes, width: usize, rows: usize },
    Utf8(BinaryArray),
    LargeUtf8(LargeBinaryArray),
    Utf8View(BinaryViewArray),
    Dictionary { keys: Vec<Option<usize>>, values: Box<Chunk> },
    Nulls(usize),
}

impl<'py> Column<'py> {
    /// Pins a list, a tuple, a numpy array of text, or an Arrow array or stream of text.
    ///
    /// # Errors
    ///
    /// `TypeError` for anything else; `name` says which argument it was.
    pub fn from_python(column: &Bound<'py, PyAny>, name: &str, elements: Elements) -> PyResult<Self> {
        let py = column.py();
        if let Ok(list) = column.cast::<PyList>() {
            return Objects::new(list.clone(), name, elements).map(Self::Objects);
        }
        if let Ok(tuple) = column.cast::<PyTuple>() {
            return Objects::new(tuple.to_list(), name, elements).map(Self::Objects);
        }
        if is_arrow(column)? {
            // polars exports its Null type with a buffer, which Arrow forbids.
            if column.getattr(intern!(py, "dtype")).is_ok_and(|dtype| dtype.to_string() == "Null") {
                let chunks = vec![Chunk::Nulls(column.len()?)];
                return Ok(Self::Pinned(Pinned { chunks, arrow_type: Some(DataType::Null) }));
            }
            match read_arrow(column, name) {
                Ok((arrays, field)) => return Pinned::from_arrow(&arrays, &field, name).map(Self::Pinned),
                // A pandas Series without pyarrow offers what it cannot do.
                Err(error) if error.get_type(py).is(py.get_type::<PyException>()) => {
                    return Err(PyValueError::new_err(format!("{name} cannot be read: {}", error.value(py))));
                }
                Err(error) if !error.is_instance_of::<PyImportError>(py) => return Err(error),
                Err(_) => {}
            }
        }
        if column.hasattr(intern!(py, "__array__"))? {
            let array =
                py.import(intern!(py, "numpy"))?.call_method1(intern!(py, "asanyarray"), (column,))?;
            return Self::from_numpy(&array, name, elements);
        }
        let came = column.get_type().name()?;
        Err(PyTypeError::new_err(format!(
            "{name} must be a list, a numpy array or an Arrow column of text, got {came}"
        )))
    }

    fn from_numpy(array: &Bound<'py, PyAny>, name: &str, elements: Elements) -> PyResult<Self> {
        let py = array.py();
        let dtype = array.getattr(intern!(py, "dtype"))?;
        let kind: String = dtype.getattr(intern!(py, "kind"))?.extract()?;
        check_one_dimension(array, name)?;
        if array.hasattr(intern!(py, "mask"))? {
            return Err(PyTypeError::new_err(format!(
                "{name} must not have a mask; pass a list with None instead"
            )));
        }
        match kind.as_str() {
            "O" => {
                let list = array.call_method0(intern!(py, "tolist"))?.cast_into()?;
                Objects::new(list, name, elements).map(Self::Objects)
            }
            "U" => Ok(Self::from_texts(numpy_text::read_fixed_width(array)?)),
            "T" => {
                let texts = numpy_text::read_strings(array)?;
                if elements == Elements::Ids
                    && let Some(row) = texts.nulls().and_then(|nulls| nulls.iter().position(|valid| !valid))
                    && let Some(object) = numpy_text::missing_value(array)?
                {
                    check_id(&object, name, row)?;
                }
                Ok(Self::from_texts(texts))
            }
            "S" => {
                let width: usize = dtype.getattr(intern!(py, "itemsize"))?.extract()?;
                let bytes = array.call_method0(intern!(py, "tobytes"))?.extract()?;
                let chunk = Chunk::Fixed { bytes, width, rows: array.len()? };
                Ok(Self::Pinned(Pinned { chunks: vec![chunk], arrow_type: None }))
            }
            // An empty list has no text to tell its type by.
            "f" if array.len()? == 0 => Ok(Self::Pinned(Pinned { chunks: Vec::new(), arrow_type: None })),
            _ => Err(PyTypeError::new_err(format!("{name} must be a column of text, got numpy {dtype}"))),
        }
    }

    fn from_texts(texts: LargeBinaryArray) -> Self {
        Self::Pinned(Pinned { chunks: vec![Chunk::LargeUtf8(texts)], arrow_type: None })
    }

    /// Returns the buffers, if it has any.
    pub fn as_pinned(&self) -> Option<&Pinned> {
        match self {
            Self::Objects(_) => None,
            Self::Pinned(pinned) => Some(pinned),
        }
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Objects(objects) => objects.len,
            Self::Pinned(pinned) => pinned.len(),
        }
    }
}

impl<'py> Objects<'py> {
    fn new(list: Bound<'py, PyList>, name: &str, elements: Elements) -> PyResult<Self> {
        // To copy a long one would cost more than reading it; should it shrink, the call says so.
        let list = if list.len() <= COPIED { list.get_slice(0, list.len()) } else { list };
        if elements == Elements::Ids {
            for (row, object) in list.iter().enumerate() {
                check_id(&object, name, row)?;
            }
        }
        Ok(Self { len: list.len(), list })
    }

    /// Returns a copy of its own, which nobody changes.
    pub fn snapshot(&self) -> Self {
        Self { list: self.list.get_slice(0, self.len), len: self.len }
    }

    /// Returns the elements.
    pub fn iter(&self) -> impl Iterator<Item = Bound<'py, PyAny>> {
        self.list.iter()
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Appends these rows to a batch, as far as it is not full.
    ///
    /// A long list that another thread shortens meanwhile has no more rows; what is read stays alive.
    pub fn fill(&self, batch: &mut Batch, purpose: Purpose, door: &Door, rows: Range<usize>) {
        let near = Near::of(&self.list, rows);
        purpose.give(batch, door, near.operands());
    }
}

/// How many rows a list may have to be read as it was when the call began, whatever other threads do.
const COPIED: usize = 8 * Batch::ROWS;

/// Some of a list's objects, referred to and brought near.
struct Near<'py>(Vec<Bound<'py, PyAny>>);

impl<'py> Near<'py> {
    fn of(list: &Bound<'py, PyList>, rows: Range<usize>) -> Self {
        let near: Vec<_> = list.get_slice(rows.start, rows.end).iter().collect();
        for object in &near {
            // Most texts end in the line behind the one that holds the reference count.
            prefetch_address(object.as_ptr().cast::<u8>().wrapping_add(LINE));
        }
        Self(near)
    }

    fn operands(&self) -> impl Iterator<Item = Operand<'_>> {
        self.0.iter().map(|object| match object.cast::<PyString>() {
            // Python holds lone surrogates; they are no Unicode text and have no UTF-8.
            Ok(text) => text.to_str().map_or(Operand::NotUnicode, Operand::Text),
            Err(_) => Operand::Missing,
        })
    }
}

/// Bytes a cache line.
const LINE: usize = 64;

/// Raises unless an object is text or stands for none.
fn check_id(object: &Bound<'_, PyAny>, name: &str, row: usize) -> PyResult<()> {
    if object.is_instance_of::<PyString>() || object.is_none() {
        return Ok(());
    }
    let is_nan = object.cast::<PyFloat>().is_ok_and(|number| number.value().is_nan());
    let came = object.get_type().name()?;
    // pandas.NA goes by its name, for pandas need not be there to be asked.
    if is_nan || came.to_str()? == "NAType" {
        return Ok(());
    }
    Err(PyTypeError::new_err(format!("{name} must hold str or None, got {came} in row {row}")))
}

impl Pinned {
    fn from_arrow(arrays: &[ArrayRef], field: &Field, name: &str) -> PyResult<Self> {
        let kind = field.data_type().clone();
        let chunks: Option<Vec<Chunk>> = arrays.iter().map(Chunk::from_arrow).collect();
        match chunks {
            Some(chunks) if is_text(&kind) => Ok(Self { chunks, arrow_type: Some(kind) }),
            _ => Err(PyTypeError::new_err(format!("{name} must be a column of text, got Arrow {kind}"))),
        }
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.chunks.iter().map(Chunk::len).sum()
    }

    /// Returns a reader that begins at `row`.
    pub fn reader<'a>(&'a self, purpose: Purpose, door: &'a Door, row: usize) -> Reader<'a> {
        let mut reader = Reader { column: self, purpose, door, chunk: 0, row: 0, values: None };
        reader.enter(0);
        reader.seek(row);
        reader
    }

    /// Raises unless every row is valid UTF-8, which Arrow promises and an answer needs.
    ///
    /// # Errors
    ///
    /// `UnicodeError`, which is a `ValueError`.
    pub fn check_unicode(&self, name: &str) -> PyResult<()> {
        let mut first = 0;
        for chunk in &self.chunks {
            let bad = |&row: &usize| chunk.get(row) == Operand::NotUnicode;
            if !chunk.is_ascii()
                && let Some(row) = (0..chunk.len()).find(bad)
            {
                let row = first + row;
                return Err(PyUnicodeError::new_err(format!("row {row} of {name} is not valid UTF-8")));
            }
            first += chunk.len();
        }
        Ok(())
    }
}

/// What the texts of a column are wanted for.
#[derive(Clone, Copy)]
pub enum Purpose {
    /// To be an operand of a step.
    Step(Side),
    /// To be looked up.
    Question,
    /// To be an end of a link without a policy, whatever it is.
    End(Side),
}

impl Purpose {
    fn side(self) -> Side {
        match self {
            Self::Step(side) | Self::End(side) => side,
            Self::Question => Side::First,
        }
    }

    fn give<'a>(self, batch: &mut Batch, door: &Door, operands: impl Iterator<Item = Operand<'a>>) {
        match self {
            Self::Step(side) => batch.receive(side, door, operands),
            Self::Question => batch.ask(door, operands),
            Self::End(side) => batch.receive_ends(side, door, operands),
        }
    }
}

/// Reads a pinned column from some row on.
pub struct Reader<'a> {
    column: &'a Pinned,
    purpose: Purpose,
    door: &'a Door,
    /// The chunk to be read next, and the row in it.
    chunk: usize,
    row: usize,
    /// If that chunk is a dictionary: its values, past the door.
    values: Option<Batch>,
}

impl Reader<'_> {
    /// Appends up to `rows` texts to a batch, as far as it is not full.
    pub fn fill(&mut self, batch: &mut Batch, rows: usize) {
        let side = self.purpose.side();
        let wanted = batch.rows(side) + rows;
        while batch.rows(side) < wanted && !batch.is_full(side) {
            let Some(chunk) = self.column.chunks.get(self.chunk) else { return };
            let before = batch.rows(side);
            let range = self.row..chunk.len().min(self.row + wanted - before);
            match (&self.values, chunk) {
                (Some(values), Chunk::Dictionary { keys, .. }) => {
                    batch.copy(side, values, keys[range].iter().copied());
                }
                _ => chunk.read(range, batch, self.purpose, self.door),
            }
            self.row += batch.rows(side) - before;
            if self.row == chunk.len() {
                self.enter(self.chunk + 1);
            }
        }
    }

    /// Goes to a row.
    pub fn seek(&mut self, row: usize) {
        let (mut chunk, mut row) = (0, row);
        while let Some(len) = self.column.chunks.get(chunk).map(Chunk::len)
            && row >= len
        {
            (chunk, row) = (chunk + 1, row - len);
        }
        if chunk != self.chunk {
            self.enter(chunk);
        }
        self.row = row;
    }

    /// Begins a chunk; a dictionary's values pass the door, unless they are many more than its rows.
    fn enter(&mut self, chunk: usize) {
        (self.chunk, self.row, self.values) = (chunk, 0, None);
        if let Some(Chunk::Dictionary { keys, values }) = self.column.chunks.get(chunk)
            && values.len() <= keys.len()
        {
            let mut batch = Batch::of_values();
            let purpose = match self.purpose {
                Purpose::Step(_) => Purpose::Step(Side::First),
                Purpose::Question => Purpose::Question,
                Purpose::End(_) => Purpose::End(Side::First),
            };
            values.read(0..values.len(), &mut batch, purpose, self.door);
            self.values = Some(batch).filter(|batch| batch.rows(Side::First) == values.len());
        }
    }
}

/// Raises unless a numpy array has one dimension.
pub fn check_one_dimension(array: &Bound<'_, PyAny>, name: &str) -> PyResult<()> {
    let dimensions: usize = array.getattr(intern!(array.py(), "ndim"))?.extract()?;
    if dimensions == 1 {
        return Ok(());
    }
    Err(PyTypeError::new_err(format!("{name} must have one dimension, got {dimensions}")))
}

/// Returns the arrays of an Arrow column of utf8, checked.
pub fn read_utf8(column: &Bound<'_, PyAny>, name: &str) -> PyResult<Vec<ArrayRef>> {
    let (arrays, _) = read_arrow(column, name)?;
    if arrays.iter().any(|array| *array.data_type() != DataType::Utf8) {
        return Err(PyTypeError::new_err(format!("{name} must be a column of utf8")));
    }
    Ok(arrays)
}

fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

impl Chunk {
    fn from_arrow(array: &ArrayRef) -> Option<Self> {
        Some(match array.data_type() {
            // Read as bytes: nobody but the producer vouches that they are UTF-8.
            DataType::Utf8 => Self::Utf8(array.as_string::<i32>().clone().into()),
            DataType::LargeUtf8 => Self::LargeUtf8(array.as_string::<i64>().clone().into()),
            DataType::Utf8View => Self::Utf8View(array.as_string_view().clone().to_binary_view()),
            DataType::Null => Self::Nulls(array.len()),
            DataType::Dictionary(..) => {
                let dictionary = array.as_any_dictionary();
                if dictionary.values().is_empty() {
                    return Some(Self::Nulls(array.len()));
                }
                let is_null = |row: &usize| dictionary.keys().is_null(*row);
                let keys = dictionary.normalized_keys().into_iter().enumerate();
                Self::Dictionary {
                    keys: keys.map(|(row, key)| (!is_null(&row)).then_some(key)).collect(),
                    values: Box::new(Self::from_arrow(dictionary.values())?),
                }
            }
            _ => return None,
        })
    }

    fn len(&self) -> usize {
        match self {
            Self::Fixed { rows, .. } => *rows,
            Self::Utf8(array) => array.len(),
            Self::LargeUtf8(array) => array.len(),
            Self::Utf8View(array) => array.len(),
            Self::Dictionary { keys, .. } => keys.len(),
            Self::Nulls(length) => *length,
        }
    }

    /// Appends these rows to a batch.
    ///
    /// One loop a type: asking for the type in every row took as long as all the rest.
    fn read(&self, rows: Range<usize>, batch: &mut Batch, purpose: Purpose, door: &Door) {
        match self {
            Self::Utf8(array) => give_bytes(array, rows, batch, purpose, door),
            Self::LargeUtf8(array) => give_bytes(array, rows, batch, purpose, door),
            _ => purpose.give(batch, door, rows.map(|row| self.get(row))),
        }
    }

    #[inline]
    fn get(&self, row: usize) -> Operand<'_> {
        match self {
            Self::Utf8(array) if array.is_valid(row) => text(array.value(row)),
            Self::LargeUtf8(array) if array.is_valid(row) => text(array.value(row)),
            Self::Utf8View(array) if array.is_valid(row) => text(array.value(row)),
            Self::Utf8(_) | Self::LargeUtf8(_) | Self::Utf8View(_) | Self::Nulls(_) => Operand::Missing,
            Self::Dictionary { keys, values } => keys[row].map_or(Operand::Missing, |key| values.get(key)),
            Self::Fixed { bytes, width, .. } => {
                let cell = &bytes[row * width..][..*width];
                // numpy pads with NULs, and so cannot hold a text that ends in one.
                text(&cell[..cell.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)])
            }
        }
    }

    /// Returns whether all text is ASCII, as far as a glance can tell.
    fn is_ascii(&self) -> bool {
        match self {
            Self::Utf8(array) => array.value_data().is_ascii(),
            Self::LargeUtf8(array) => array.value_data().is_ascii(),
            Self::Dictionary { values, .. } => values.is_ascii(),
            Self::Utf8View(_) | Self::Nulls(_) | Self::Fixed { .. } => false,
        }
    }
}

/// Appends rows of a column of bytes to a batch.
///
/// The text of all rows is checked at once, which costs next to nothing; only if some of it is no
/// UTF-8 is each row checked for itself.
fn give_bytes<T: ByteArrayType>(
    array: &GenericByteArray<T>,
    rows: Range<usize>,
    batch: &mut Batch,
    purpose: Purpose,
    door: &Door,
) where
    T::Native: AsRef<[u8]>,
{
    let offsets = array.value_offsets();
    let first = offsets[rows.start].as_usize();
    let all = array.value_data().get(first..offsets[rows.end].as_usize());
    let all = all.and_then(|bytes| std::str::from_utf8(bytes).ok());
    let cell = |row: usize| {
        if array.is_null(row) {
            return Operand::Missing;
        }
        match all {
            Some(all) => {
                let range = offsets[row].as_usize() - first..offsets[row + 1].as_usize() - first;
                all.get(range).map_or(Operand::NotUnicode, Operand::Text)
            }
            None => text(array.value(row).as_ref()),
        }
    };
    purpose.give(batch, door, rows.map(cell));
}

#[inline]
fn text(bytes: &[u8]) -> Operand<'_> {
    std::str::from_utf8(bytes).map_or(Operand::NotUnicode, Operand::Text)
}
