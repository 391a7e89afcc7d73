//! The resolver of idmerge: joins IDs that mean one person, without Python, I/O, clock or printing.
//!
//! It takes the links of Mixpanel's Original ID Merge API one after another, judges each by a
//! [`Policy`], joins the IDs of accepted ones into identity clusters and gives each cluster a
//! canonical ID.
//!
//! # Words
//!
//! - *ID*: a text that stands for a person or a device; an [`Id`] is its dense number inside.
//! - *link*: a claim that two IDs are one person; it merges two clusters, changes nothing or is
//!   rejected, which is its [`Outcome`].
//! - *cluster*: the IDs of one person; its *canonical* ID is the member that stands for all.
//! - *known*: an ID that a valid link or an observation has named.
//! - *journal*: the steps of a resolver, kept by the caller; a resolver can be made again from
//!   them.
//!
//! `SPEC n` in these pages is section n of `docs/SPEC.md`.
//!
//! # The way of a link
//!
//! ```text
//! text ─▶ key ─▶ interner: Id ─▶ policy: judge ─▶ forest: unite ─▶ canonical: choose
//! ```
//!
//! # Rooms
//!
//! A room imports those to its left and no others; `tests/modules.rs` checks that.
//!
//! ```text
//! arch codec error link <─ ids <─ clusters <─ resolver <─ journal
//!                                                      <─ components
//! ```
//!
//! - `ids`: texts as keys and dense numbers, and the index between the two.
//! - `clusters`: the forest, the rules, canonical IDs, history.
//! - `resolver`: operands prepared, searched for in groups, judged and united; queries.
//! - `journal`: steps recorded, restored, replayed, retracted, explained; checkpoints.
//! - `components`: union-find without a policy.
//! - `arch`: the only unsafe code. `codec`: arrays as bytes. `error`, `link`: the words of all.
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

mod arch;
mod clusters;
mod codec;
mod components;
mod error;
mod ids;
mod journal;
mod link;
mod resolver;

pub use arch::prefetch_address;
pub use clusters::canonical::Strategy;
pub use clusters::history::Edge;
pub use clusters::policy::{AnonFormat, AnonGuard, Api, Policy};
pub use components::disjoint::{DisjointSets, Parts};
pub use components::numbering::{DistinctTexts, Reason, Unnumbered, number_integers};
pub use components::rem::Components;
pub use error::{Error, Stopped};
pub use ids::hasher::Hasher;
pub use ids::id::Id;
pub use ids::index::directory::Guess;
pub use ids::index::{Hashes, Index};
pub use ids::key::Text;
pub use journal::change_feed::ChangeFeed;
pub use journal::checkpoint::{Moment, Part};
pub use journal::origins::Origin;
pub use journal::past::{Change, Past};
pub use journal::record::{NO_ID, OBSERVE, Steps, StoredText};
pub use journal::replay::{Damage, JudgedLink};
pub use journal::retract::NotRetracted;
pub use journal::statements::Statement;
pub use journal::{JournaledResolver, LONGEST_TEXT, Pending};
pub use link::{Kind, Operand, Outcome, Step};
pub use resolver::Resolver;
pub use resolver::acts::NotApart;
pub use resolver::batch::{Act, Batch, Preparer, Side};
pub use resolver::prefetch::Prefetcher;
pub use resolver::queries::Answer;

/// The version of this crate, and of the Python package built on it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
