//! Encoded events, read back by Parquet's own reader.

mod support;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMillisecondType};
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use idmerge_core::Id;
use idmerge_events::columns::{Columns, ExpectedKinds, NamedKinds};
use idmerge_events::parquet::{EncodedFile, Spool};
use idmerge_events::scan::{ObservedIds, Scanner};
use idmerge_events::schema::kind;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Encoding;
use parquet::file::metadata::ParquetMetaData;
use support::{LONGEST, rules};

const FIRST: &str = concat!(
    r#"{"event":"a","properties":{"time":1,"distinct_id":"u","n":1,"s":"x"}}"#,
    "\n",
    r#"{"event":"b","properties":{"time":2}}"#,
    "\n",
);
const SECOND: &str = r#"{"event":"c","properties":{"time":3,"distinct_id":"v","n":0.5}}"#;

fn columns(text: &str) -> Columns {
    let expected = ExpectedKinds::of(None);
    let scan = Scanner::new(rules(), LONGEST, true).scan(&[], text.as_bytes(), Some(&expected), None);
    scan.expect("a short text").columns.expect("nothing is unread")
}

fn named(name: &str, kinds: u8) -> NamedKinds {
    (name.to_owned(), format!("{name}_"), kinds)
}

fn properties() -> Vec<NamedKinds> {
    vec![named("n", kind::INTEGER | kind::FLOAT), named("s", kind::TEXT), named("none", kind::NULL)]
}

fn spool() -> Spool {
    Spool::new(&std::env::temp_dir(), vec!["time".to_owned()], vec!["time".to_owned()]).expect("a file")
}

fn ids(texts: &[Option<&str>]) -> Vec<ArrayRef> {
    vec![Arc::new(StringArray::from(texts.to_vec()))]
}

/// A path that no other test has, whose file is removed at the end.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("idmerge-{}-{name}.parquet", std::process::id())))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn read(path: &Temporary) -> (Vec<RecordBatch>, ParquetMetaData) {
    let file = File::open(&path.0).expect("the file is there");
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).expect("it is Parquet");
    let metadata = builder.metadata().as_ref().clone();
    (builder.build().expect("a reader").collect::<Result<_, _>>().expect("every page is whole"), metadata)
}

#[test]
fn row_groups_that_waited_are_read_back_in_order() {
    let (spool, path, no_numbers) = (spool(), Temporary::new("order"), |rows| vec![vec![None; rows]]);
    let mut file = EncodedFile::create(&spool, &path.0, &properties()).expect("a file");
    let mut groups = Vec::new();
    for text in [FIRST, SECOND] {
        let block = columns(text);
        let numbers = no_numbers(block.rows());
        let events = spool.encode(&[block], &numbers, &properties(), None).expect("room");
        groups.push(events.expect("integers widen to doubles"));
    }
    for (events, names) in groups.iter_mut().zip([vec![Some("U"), None], vec![Some("V")]]) {
        let named = spool.encode_canonical_ids(ids(&names), events.rows()).expect("as many");
        events.set_canonical_ids(named);
        assert!(events.fits(&properties()));
        file.append(events).expect("named");
    }
    file.close().expect("room");

    let (batches, metadata) = read(&path);
    assert_eq!(texts(&batches, "event"), [Some("a"), Some("b"), Some("c")]);
    assert_eq!(texts(&batches, "distinct_id"), [Some("U"), None, Some("V")]);
    assert_eq!(texts(&batches, "$distinct_id_before_identity"), [Some("u"), None, Some("v")]);
    assert_eq!(texts(&batches, "s_"), [Some("x"), None, None]);
    assert_eq!(texts(&batches, "none_"), [None; 3]);
    let numbers: Vec<_> = floats(&batches, "n_");
    assert_eq!(numbers, [Some(1.0), None, Some(0.5)]);
    let times: Vec<_> = batches
        .iter()
        .flat_map(|batch| batch["time"].as_primitive::<TimestampMillisecondType>().iter())
        .collect();
    assert_eq!(times, [Some(1000), Some(2000), Some(3000)]);

    assert_eq!(metadata.num_row_groups(), 2);
    let time = metadata.row_group(0).column(1);
    assert!(time.encodings().any(|encoding| encoding == Encoding::DELTA_BINARY_PACKED));
    assert!(time.dictionary_page_offset().is_none() && time.statistics().is_some());
    assert!(metadata.row_group(0).column(0).dictionary_page_offset().is_some());
}

fn texts<'a>(batches: &'a [RecordBatch], name: &str) -> Vec<Option<&'a str>> {
    batches.iter().flat_map(|batch| batch[name].as_string::<i32>().iter()).collect()
}

fn floats(batches: &[RecordBatch], name: &str) -> Vec<Option<f64>> {
    batches.iter().flat_map(|batch| batch[name].as_primitive::<Float64Type>().iter()).collect()
}

#[test]
fn blocks_of_one_row_group_are_joined_and_missing_columns_are_null() {
    let (spool, path) = (spool(), Temporary::new("joined"));
    let blocks = [columns(FIRST), columns(SECOND)];
    let numbers = [vec![None; 2], vec![None]];
    let encoded = spool.encode(&blocks, &numbers, &properties(), None).expect("room");
    let mut events = encoded.expect("integers widen to doubles");
    assert_eq!(events.rows(), 3);
    let names = spool.encode_canonical_ids(ids(&[None, Some("x"), None]), 3).expect("as many");
    events.set_canonical_ids(names);
    let mut file = EncodedFile::create(&spool, &path.0, &properties()).expect("a file");
    file.append(&mut events).expect("named");
    let again = file.append(&mut events).expect_err("copied before");
    assert_eq!(again.to_string(), "the events are not named, or were copied before");
    file.close().expect("room");
    let (batches, metadata) = read(&path);
    assert_eq!(metadata.num_row_groups(), 1);
    assert_eq!(texts(&batches, "distinct_id"), [None, Some("x"), None]);
    assert_eq!(floats(&batches, "n_"), [Some(1.0), None, Some(0.5)]);
}

#[test]
fn a_row_group_whose_type_cannot_be_widened_is_refused() {
    let spool = spool();
    let wanted = [named("n", kind::FLOAT | kind::TEXT)];
    let encoded = spool.encode(&[columns(SECOND)], &[vec![None]], &wanted, None).expect("room");
    assert!(encoded.is_none());
    let wanted = [named("n", kind::INTEGER)];
    let encoded = spool.encode(&[columns(FIRST)], &[vec![None; 2]], &wanted, None).expect("room");
    let events = encoded.expect("integers are integers");
    assert!(events.fits(&wanted) && !events.fits(&[named("n", kind::TEXT)]));
}

#[test]
fn canonical_ids_must_be_as_many_as_the_events() {
    let error = spool().encode_canonical_ids(ids(&[None, None]), 3).err().expect("one is missing");
    assert_eq!(error.to_string(), "2 ids came for 3 events");
}

#[test]
fn ids_that_have_numbers_are_kept_as_numbers_and_others_as_texts() {
    let spool = spool();
    let numbers = [vec![Some(Id::new(7)), None], vec![None]];
    let blocks = [columns(FIRST), columns(SECOND)];
    let encoded = spool.encode(&blocks, &numbers, &properties(), Some(3)).expect("room");
    let sent = spool.sent(&encoded.expect("integers widen")).expect("it is there");
    assert_eq!((sent.rows(), sent.era), (3, Some(3)));
    let chunks: Vec<(Vec<_>, Vec<_>)> =
        sent.chunks().map(|(numbers, texts)| (numbers.iter().collect(), texts.iter().collect())).collect();
    assert_eq!(chunks, [(vec![Some(7), None], vec![None, None]), (vec![None], vec![Some("v")])]);
}

#[test]
fn observed_ids_are_those_of_the_rows_of_the_columns_in_their_era() {
    let scanner = Scanner::new(rules(), LONGEST, true);
    let expected = ExpectedKinds::of(None);
    let scan = scanner
        .scan(&[], b"{\"event\":1}\nno event\n{\"event\":1}\n", Some(&expected), Some(&[None]))
        .expect("filled");
    let mut observed = ObservedIds::default();
    observed.note(&scan, 5, 0, &[Some(Id::new(1)), Some(Id::new(2))]);
    observed.note(&scan, 5, 2, &[Some(Id::new(3))]);
    assert_eq!(observed.of_columns(&scan, 5), [Some(Id::new(1)), Some(Id::new(3))]);
    assert_eq!(observed.of_columns(&scan, 6), [None, None]);
    observed.note(&scan, 6, 2, &[Some(Id::new(4))]);
    assert_eq!(observed.of_columns(&scan, 6), [None, Some(Id::new(4))]);
}
