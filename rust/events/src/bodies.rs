//! Bodies of requests, as SDKs and servers send them, as lines of JSON: an item a line.
//!
//! A body is JSON (an array, an object, objects one after another, or a line each), or a form whose
//! field `data` holds JSON or the base64 of it; either may be compressed by gzip, announced or not.
//! Some clients call their JSON a form, and the other way round, so what a body holds decides and
//! not what it is called. Time and memory are in proportion to what the body holds, of which the
//! caller limits the size, and the caller reads it [a piece](pieces) at a time.

use std::borrow::Cow;
use std::io::Read;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::read::MultiGzDecoder;
use memchr::{memchr, memchr_iter};

use crate::array::ArrayLines;
use crate::beginning::{Beginning, Form};
use crate::error::Error;

/// The first bytes of gzip.
const GZIP: &[u8] = &[0x1f, 0x8b];
/// The first bytes of a text in UTF-8 that marks itself as that.
const MARK: &[u8] = "\u{feff}".as_bytes();
/// The field of a form that holds events.
const FIELD: &[u8] = b"data";

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// The JSON that a body holds.
pub struct Body<'a> {
    text: Cow<'a, [u8]>,
    /// Whether it is called lines.
    is_lines: bool,
}

impl<'a> Body<'a> {
    /// Takes a body out of its wrappings.
    ///
    /// `kind` is the body's content type, as far as it is known, and `most` the most bytes that it
    /// may hold.
    ///
    /// # Errors
    ///
    /// [`Error::Value`] if the body holds no JSON, [`Error::TooLong`] if it has more bytes; the
    /// text names the fault, and nothing that the body holds.
    pub fn of(body: &'a [u8], kind: Option<&str>, most: usize) -> Result<Self, Error> {
        let is_kind = |part: &str| kind.is_some_and(|kind| kind.to_ascii_lowercase().contains(part));
        if is_kind("multipart/") {
            return Err(wrong(
                "a body in several parts (multipart) is not read; send JSON, or a form with data=",
            ));
        }
        let text = inflated(Cow::Borrowed(body), most)?;
        if is_json(&text) {
            return Ok(Self { text, is_lines: is_kind("ndjson") });
        }
        if bare(&text).is_empty() {
            return Err(wrong("the body is empty"));
        }
        let field = form_urlencoded::parse(&text).find(|(name, _)| name.as_bytes() == FIELD);
        let Some((_, value)) = field else {
            return Err(wrong("the body is neither JSON nor a form with a field data"));
        };
        if is_json(value.as_bytes()) {
            return Ok(Self { text: Cow::Owned(value.into_owned().into_bytes()), is_lines: false });
        }
        let text = inflated(Cow::Owned(decoded(&value)?), most)?;
        if is_json(&text) {
            return Ok(Self { text, is_lines: false });
        }
        Err(wrong("the body's field data holds no JSON"))
    }

    /// Returns the array that it holds, behind its opening bracket.
    pub fn array(&self) -> Option<&[u8]> {
        bare(&self.text).strip_prefix(b"[")
    }

    /// Returns its items as lines, of which blank ones are none.
    ///
    /// # Errors
    ///
    /// [`Error::Value`] if it holds no events, or an answer of a query API, as [`Self::of`].
    pub fn into_lines(self) -> Result<Cow<'a, [u8]>, Error> {
        lines(self.text, self.is_lines)
    }
}

/// Returns the items of a body as lines, of which blank ones are none; see [`Body`].
///
/// # Errors
///
/// [`Error::Value`] if the body holds no events, or an answer of a query API; [`Error::TooLong`] if
/// it has more bytes.
pub fn lines_of<'a>(body: &'a [u8], kind: Option<&str>, most: usize) -> Result<Cow<'a, [u8]>, Error> {
    Body::of(body, kind, most)?.into_lines()
}

/// Yields lines in pieces of some `bytes` each, and no line in two.
pub fn pieces(lines: &[u8], bytes: usize) -> impl Iterator<Item = &[u8]> {
    let mut rest = lines;
    std::iter::from_fn(move || {
        let behind = rest.get(bytes..).unwrap_or_default();
        let end = memchr(b'\n', behind).map_or(rest.len(), |place| bytes + place + 1);
        let (piece, next) = rest.split_at(end);
        rest = next;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Returns the text behind a mark, before which blanks may stand.
fn unmarked(text: &[u8]) -> &[u8] {
    let text = text.trim_ascii_start();
    text.strip_prefix(MARK).unwrap_or(text)
}

/// Returns the text behind blanks and a mark.
fn bare(text: &[u8]) -> &[u8] {
    unmarked(text).trim_ascii()
}

/// Returns whether a text can be JSON that holds events.
fn is_json(text: &[u8]) -> bool {
    matches!(bare(text).first(), Some(b'[' | b'{'))
}

/// Returns a text that may be compressed.
///
/// # Errors
///
/// [`Error::TooLong`] if it has more than `most` bytes, inflated or not; [`Error::Value`] if its
/// gzip is damaged.
pub fn inflated(text: Cow<'_, [u8]>, most: usize) -> Result<Cow<'_, [u8]>, Error> {
    let too_long = || Error::TooLong(format!("the body has more than {most} bytes"));
    if text.len() > most {
        return Err(too_long());
    }
    if !text.starts_with(GZIP) {
        return Ok(text);
    }
    let mut whole = Vec::new();
    let limit = (most as u64).saturating_add(1);
    let read = MultiGzDecoder::new(&*text).take(limit).read_to_end(&mut whole);
    if read.is_err() {
        return Err(wrong("the body's gzip is damaged or cut off"));
    }
    if whole.len() > most { Err(too_long()) } else { Ok(Cow::Owned(whole)) }
}

/// Returns the bytes that base64 stands for, of either alphabet.
fn decoded(value: &str) -> Result<Vec<u8>, Error> {
    // A plus that was not escaped means a blank in a form; long text may be wrapped in lines.
    let bytes = value.trim().bytes().filter(|byte| !matches!(byte, b'\r' | b'\n'));
    let text: Vec<u8> = bytes.map(|byte| if byte == b' ' { b'+' } else { byte }).collect();
    let engine = if text.iter().any(|byte| matches!(byte, b'-' | b'_')) { URL_SAFE } else { STANDARD };
    engine.decode(text).map_err(|_| wrong("the body's field data holds neither JSON nor base64"))
}

/// Returns the items of JSON text as lines.
fn lines(text: Cow<'_, [u8]>, is_lines: bool) -> Result<Cow<'_, [u8]>, Error> {
    let content = bare(&text);
    if let Some(items) = content.strip_prefix(b"[") {
        return items_of(ArrayLines::default(), items);
    }
    let mut beginning = Beginning::default();
    let form = beginning.take(content).or_else(|| beginning.take(&[]));
    if is_page(&beginning) {
        let calls = beginning.page() == Some(&["batch"]);
        return Err(wrong(if calls {
            "the body is a batch of another product's calls; save it as a file and read that"
        } else {
            "the body is an answer of a query API, not a request; save it as a file and read that"
        }));
    }
    if is_lines || form != Some(Form::Objects) {
        let start = text.len() - unmarked(&text).len();
        return Ok(match text {
            Cow::Borrowed(text) => Cow::Borrowed(&text[start..]),
            Cow::Owned(mut text) => Cow::Owned(text.split_off(start)),
        });
    }
    items_of(ArrayLines::of_objects(), content)
}

/// Returns whether the first object has a list as pages have one, and no key of an event.
fn is_page(beginning: &Beginning) -> bool {
    let is_event = |key: String| key == "event" || key == "properties";
    beginning.page().is_some() && !beginning.first_keys().any(is_event)
}

fn items_of(mut items: ArrayLines, text: &[u8]) -> Result<Cow<'static, [u8]>, Error> {
    let mut lines = Vec::with_capacity(text.len());
    let cut = items.cut(text, &mut lines).and_then(|()| items.cut(&[], &mut lines));
    cut.map_err(|_| {
        let whole = memchr_iter(b'\n', &lines).count();
        Error::Value(format!("the body is no JSON: {whole} items are whole, and what is behind them is none"))
    })?;
    Ok(Cow::Owned(lines))
}

fn wrong(text: &str) -> Error {
    Error::Value(text.to_owned())
}
