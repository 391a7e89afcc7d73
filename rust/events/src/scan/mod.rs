//! Scans: blocks of lines, read as the steps that they state.

mod observers;
mod scanner;
mod steps;

pub use scanner::{ObservedIds, Scan, Scanner, is_link, is_step};
pub use steps::{FilledOperand, Steps};
