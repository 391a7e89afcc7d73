//! Scans: blocks of lines, read as the steps that they state.

mod scanner;
mod steps;

pub use scanner::{ObservedIds, Scan, Scanner};
pub use steps::{FilledOperand, Steps};
