//! The part of the resolver's class that serves a journal: blocks out and in, acts, checkpoints,
//! and the past.

mod acts;
mod checkpoint;
mod errors;
mod origins;
mod past;
mod reading;
mod writing;
