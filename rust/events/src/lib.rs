//! Events of JSON text in, without Python: as links, IDs, columns of Arrow and pages of Parquet.
//!
//! Text comes from files that may be hostile, so everything here takes time and memory in
//! proportion to its input, and panics for none. What the parser accepts, Python's `json` accepts
//! with the same meaning; a line about which it is not certain is *declined*: it becomes a *hole*
//! that the caller reads, and fills.
//!
//! # The way of a line
//!
//! ```text
//! bytes ─▶ array ─▶ lines ─┬▶ links: rules, operands ────────────────▶ scan: steps for a resolver
//!                          └▶ json: cells ─▶ columns: builder, table ─▶ parquet: spool, files
//!                                  schema: names and kinds ──┘
//! ```
//!
//! - [`beginning`]: the form of a text; [`array`]: the items of a JSON array, and objects one after
//!   another, as lines; [`pages`]: the lists in answers of query APIs; [`transcode`]: lines of
//!   other dialects as lines of the raw shape; [`bodies`]: the bodies of requests as lines;
//!   [`admission`]: those of them that a server takes;
//!   [`lines`]: the lines of a text that comes in pieces. `structure` finds the strings and
//!   brackets in a block of text.
//! - [`json`]: the parser; [`schema`]: the properties that events have, and the kinds of their
//!   values.
//! - [`ids`]: the texts of IDs that are no text.
//! - [`links`]: the links that events state; [`scan`]: the steps of a block of lines.
//! - [`rows`]: rows of a table whose properties are JSON text, as such steps and a few columns.
//! - [`columns`]: events as columns, with their types known or inferred; [`parquet`]: such columns
//!   encoded.
//! - [`frames`]: records of a server's log as frames; [`stored`]: their events as the columns in
//!   which they are stored.
//! - [`updates`]: profile updates as operations.
//! - [`dedupe`]: rows that came before.
//! - [`journal_blocks`]: the blocks of a journal, which are Arrow's; [`origins`]: the event times
//!   and the sources of links in them; [`checked`]: Arrow arrays from elsewhere.
//!
//! # Example
//!
//! ```
//! use idmerge_core::{Kind, Operand, Step};
//! use idmerge_events::links::Rules;
//! use idmerge_events::scan::{Scanner, Steps};
//!
//! let keys = |key: &str| vec![key.to_owned()];
//! let merge = ("$merge".to_owned(), Kind::Merge as u8, vec![keys("$distinct_ids")]);
//! let rules = Rules::new(vec![merge]).expect("few keys");
//! let scanner = Scanner::new(rules, 1_000_000, false);
//!
//! let lines = br#"{"event": "$merge", "properties": {"$distinct_ids": ["a", "b"]}}"#;
//! let scan = scanner.scan(&[], lines, None, None)?;
//! let steps = Steps::<&str>::new(&scan, (0, scan.len()), &[], Vec::new())?;
//! let expected = Step::Link(Kind::Merge, Operand::Text("a"), Operand::Text("b"));
//! assert_eq!(steps.iter().collect::<Vec<_>>(), [expected]);
//! # Ok::<(), idmerge_events::Error>(())
//! ```

#![forbid(unsafe_code)]

pub mod admission;
pub mod array;
pub mod beginning;
pub mod bodies;
pub mod checked;
pub mod columns;
pub mod dedupe;
mod error;
pub mod frames;
pub mod ids;
pub mod journal_blocks;
pub mod json;
pub mod lines;
pub mod links;
pub mod origins;
pub mod pages;
pub mod parquet;
pub mod rows;
pub mod scan;
pub mod schema;
pub mod stored;
mod structure;
pub mod transcode;
pub mod updates;

pub use error::Error;
