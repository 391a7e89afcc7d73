//! Scans: blocks of lines, or the items of an array, read as the steps that they state.

mod items;
mod observers;
mod scanner;
mod steps;

pub use scanner::{ObservedIds, Scan, Scanner, has_position, is_link, is_step};
pub use steps::{FilledOperand, Steps};
