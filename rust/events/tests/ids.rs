//! The values that are IDs although they are no text.

#![expect(clippy::cast_precision_loss, clippy::float_cmp, reason = "the doubles here are exact")]

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int8Type;
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, DictionaryArray, FixedSizeBinaryArray,
    Float32Array, Float64Array, Int64Array, NullArray, UInt64Array,
};
use arrow_schema::{DataType, Field};
use idmerge_events::ids::{DOUBLE, is_uuid, texts, utf8, whole};
use proptest::prelude::*;

fn listed(array: &ArrayRef, is_uuid: bool) -> Result<Vec<Option<String>>, usize> {
    let texts = texts(array, is_uuid).map_err(|no_id| no_id.row)?;
    Ok(texts.iter().map(|text| text.map(str::to_owned)).collect())
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with an answer")]
fn some(texts: &[&str]) -> Result<Vec<Option<String>>, usize> {
    Ok(texts.iter().map(|text| Some((*text).to_owned())).collect())
}

proptest! {
    #[test]
    fn a_float_is_an_id_exactly_if_it_is_whole_and_all_integers_up_to_it_are_floats(number: f64) {
        let is_exact = number.abs() <= 9_007_199_254_740_992.0 && number.trunc() == number;
        let written = format!("{number:.0}");
        let wanted = is_exact.then(|| written.strip_prefix("-").filter(|rest| *rest == "0").unwrap_or(&written));
        let digits = whole(number, DOUBLE).map(|integer| integer.to_string());
        prop_assert_eq!(digits.as_deref(), wanted);
    }

    #[test]
    fn an_integer_as_a_float_is_the_integer(integer in -(1_i64 << 53)..=(1 << 53)) {
        prop_assert_eq!(whole(integer as f64, DOUBLE), Some(integer));
    }
}

#[test]
fn numbers_are_ids_by_their_digits() {
    let integers: ArrayRef = Arc::new(Int64Array::from(vec![-7, 366]));
    assert_eq!(listed(&integers, false), some(&["-7", "366"]));
    let unsigned: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX]));
    assert_eq!(listed(&unsigned, false), some(&["18446744073709551615"]));
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![366.0, -0.0, 1e3]));
    assert_eq!(listed(&floats, false), some(&["366", "0", "1000"]));
    let decimals = Decimal128Array::from(vec![10_i128.pow(37)]).with_precision_and_scale(38, 0);
    let decimals: ArrayRef = Arc::new(decimals.expect("it has 38 digits"));
    assert_eq!(listed(&decimals, false), some(&[&format!("1{}", "0".repeat(37))]));
}

#[test]
fn nulls_and_nan_are_missing() {
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![Some(f64::NAN), None, Some(3.0)]));
    assert_eq!(listed(&floats, false), Ok(vec![None, None, Some("3".to_owned())]));
    let truths: ArrayRef = Arc::new(BooleanArray::new_null(2));
    assert_eq!(listed(&truths, false), Ok(vec![None, None]));
}

#[test]
fn the_first_row_that_can_be_no_id_is_named() {
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), None, Some(1.5)]));
    let no_id = texts(&floats, false).expect_err("a fraction is no ID");
    assert_eq!((no_id.row, no_id.number), (2, Some(1.5)));
    assert_eq!(no_id.shown("Float64"), "Float64 1.5 in row 2");
    let beyond: ArrayRef = Arc::new(Float32Array::from(vec![16_777_216.0, 33_554_432.0]));
    assert_eq!(listed(&beyond, false), Err(1));
    let truths: ArrayRef = Arc::new(BooleanArray::from(vec![None, Some(true)]));
    assert_eq!(listed(&truths, false), Err(1));
    let decimals = Decimal128Array::from(vec![366]).with_precision_and_scale(10, 2);
    let decimals: ArrayRef = Arc::new(decimals.expect("it has 3 digits"));
    assert_eq!(listed(&decimals, false), Err(0));
}

#[test]
fn sixteen_bytes_are_a_uuid_only_if_the_column_says_so() {
    let bytes: Vec<u8> = (0..16).map(|byte| byte * 17).collect();
    let array = FixedSizeBinaryArray::try_from_iter([bytes].into_iter()).expect("all are 16 bytes");
    let array: ArrayRef = Arc::new(array);
    assert_eq!(listed(&array, true), some(&["00112233-4455-6677-8899-aabbccddeeff"]));
    assert_eq!(listed(&array, false), Err(0));
    let field = Field::new("id", DataType::FixedSizeBinary(16), true);
    let called = |name: &str| HashMap::from([("ARROW:extension:name".to_owned(), name.to_owned())]);
    assert!(!is_uuid(&field));
    assert!(!is_uuid(&field.clone().with_metadata(called("arrow.opaque"))));
    assert!(is_uuid(&field.with_metadata(called("arrow.uuid"))));
}

#[test]
fn text_that_is_no_unicode_is_null_in_a_column_of_utf8() {
    let bytes: ArrayRef = Arc::new(BinaryArray::from_vec(vec![b"caf\xe9", b"ana"]));
    let texts = utf8(&bytes, false).expect("bytes can be IDs");
    assert_eq!(texts.as_string::<i32>().iter().collect::<Vec<_>>(), [None, Some("ana")]);
}

#[test]
fn a_dictionary_is_its_rows_and_a_value_that_no_row_has_does_not_matter() {
    let keys = arrow_array::PrimitiveArray::<Int8Type>::from(vec![Some(1), None]);
    let rows = |values: ArrayRef| {
        let array: ArrayRef = Arc::new(DictionaryArray::new(keys.clone(), values));
        let texts = utf8(&array, false).map_err(|no_id| no_id.row)?;
        Ok(texts.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>())
    };
    let third = Some("3".to_owned());
    assert_eq!(rows(Arc::new(Float64Array::from(vec![0.5, 3.0]))), Ok(vec![third, None]));
    assert_eq!(rows(Arc::new(Float64Array::from(vec![3.0, 0.5]))), Err(0));
    assert_eq!(rows(Arc::new(NullArray::new(2))), Ok(vec![None, None]));
}
