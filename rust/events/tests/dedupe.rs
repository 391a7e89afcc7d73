//! Rows that came before.

use std::collections::HashSet;

use arrow_array::StringArray;
use idmerge_events::dedupe::DistinctRows;
use proptest::prelude::*;

#[test]
fn columns_must_be_there_and_of_one_length() {
    let mut rows = DistinctRows::default();
    assert_eq!(rows.add(&[]).expect_err("none").to_string(), "there are no columns");
    let (one, two) = (StringArray::from(vec!["a"]), StringArray::from(vec!["a", "b"]));
    let error = rows.add(&[&one, &two]).expect_err("another length");
    assert_eq!(error.to_string(), "columns must have the same length");
    assert!(rows.is_empty());
}

proptest! {
    #[test]
    fn a_row_is_new_unless_one_before_it_is_equal_in_all_columns(
        batches in proptest::collection::vec(
            proptest::collection::vec(("a{0,2}", proptest::option::of("[a]{0,2}")), 0..6), 1..4,
        ),
    ) {
        let (mut rows, mut known) = (DistinctRows::default(), HashSet::new());
        for batch in batches {
            let first: StringArray = batch.iter().map(|(first, _)| Some(first)).collect();
            let last: StringArray = batch.iter().map(|(_, last)| last.as_ref()).collect();
            let are_new = rows.add(&[&first, &last]).expect("one length");
            let expected: Vec<bool> =
                batch.into_iter().map(|row| row.1.is_none() || known.insert(row)).collect();
            prop_assert_eq!(are_new, expected);
        }
        prop_assert_eq!(rows.len(), known.len());
    }
}
