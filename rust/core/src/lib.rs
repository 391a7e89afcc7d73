//! Which of these IDs are the same person?
//!
//! The resolver of idmerge, without Python, I/O, clock or printing. It takes the links of Mixpanel's
//! Original ID Merge API one after another, judges each by a [`Policy`], joins the IDs of accepted
//! ones into identity clusters and names each cluster by a canonical ID.
//!
//! # Words
//!
//! - *ID*: a text that stands for a person or a device; an [`Id`] is its dense number inside.
//! - *link*: a claim that two IDs are one person; its [`Outcome`] says what became of it.
//! - *cluster*: the IDs of one person; its *canonical* ID is the member that stands for all.
//! - *known*: an ID that a valid link or an observation has named.
//!
//! `SPEC n` in these pages is section n of `docs/SPEC.md`.
//!
//! # The way of a link
//!
//! ```text
//! text ─▶ key ─▶ interner: Id ─▶ policy: judge ─▶ forest: unite ─▶ canonical: choose
//! ```
//!
//! # Example
//!
//! ```
//! use idmerge_core::{Kind, Outcome, Policy, Resolver, Strategy};
//!
//! let mut resolver = Resolver::new(Policy::default(), Strategy::Stable);
//! let device = "5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11";
//! let outcome = resolver.link(Kind::Identify, device.into(), "user-1".into())?;
//! assert_eq!(outcome, Outcome::Merged);
//! let id = resolver.get(device).expect("a linked ID is known");
//! assert_eq!(resolver.text(resolver.canonical(id)).as_str(), "user-1");
//! # Ok::<(), idmerge_core::Error>(())
//! ```

#![deny(unsafe_code)]

mod apart;
mod batch;
mod bucket;
mod canonical;
mod checkpoint;
mod components;
mod disjoint;
mod error;
mod exceptions;
mod feed;
mod forest;
mod heirs;
mod hindsight;
mod history;
mod id;
mod index;
mod interner;
mod journaled;
mod judging;
mod key;
mod link;
mod machine;
mod numbering;
mod policy;
mod record;
mod replay;
mod resolver;
mod saved;
mod scout;

pub use batch::{Act, Batch, Door, Side};
pub use canonical::Strategy;
pub use checkpoint::{Moment, Part};
pub use components::Components;
pub use disjoint::{DisjointSets, Parts};
pub use error::{Error, Stopped};
pub use feed::Feed;
pub use hindsight::Hindsight;
pub use history::Edge;
pub use id::Id;
pub use index::{Guess, Hashes, Index};
pub use interner::Hasher;
pub use journaled::{Change, LONGEST_TEXT, NotApart, NotRetracted, Pending, Stored};
pub use key::Text;
pub use link::{Kind, Operand, Outcome, Step};
pub use machine::prefetch_address;
pub use numbering::{DistinctTexts, Reason, Unnumbered, number_integers};
pub use policy::{AnonFormat, AnonGuard, Policy};
pub use record::{NOBODY, Steps};
pub use replay::{Damage, Judged};
pub use resolver::{Answer, Resolver};
pub use scout::Scout;

/// The version of this crate, and of the Python package built on it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
