//! Encoded events, read back by Parquet's own reader.

mod support;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMillisecondType};
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::DataType;
use idmerge_core::Id;
use idmerge_events::columns::{Columns, ExpectedKinds, NamedKinds};
use idmerge_events::parquet::{
    DistinctEvents, EncodedFile, IdNumbers, MOST_CELLS, SentIds, Spool, WaitingEvents,
};
use idmerge_events::scan::{ObservedIds, Scanner};
use idmerge_events::schema::kind;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Encoding;
use parquet::file::metadata::ParquetMetaData;
use proptest::{prop_assert, prop_assert_eq, proptest};
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

fn sent(numbers: &[Option<u32>]) -> IdNumbers {
    IdNumbers { sent: numbered(numbers), known: None }
}

fn numbered(numbers: &[Option<u32>]) -> Vec<Option<Id>> {
    numbers.iter().map(|number| number.map(Id::new)).collect()
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
    let (spool, path) = (spool(), Temporary::new("order"));
    let mut file = EncodedFile::create(&spool, &path.0, &properties(), false).expect("a file");
    let mut groups = Vec::new();
    for text in [FIRST, SECOND] {
        let block = columns(text);
        let numbers = sent(&vec![None; block.rows()]);
        let events = spool.encode(&[block], &[numbers], &properties(), None).expect("room");
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
    let numbers = [sent(&[None; 2]), sent(&[None])];
    let encoded = spool.encode(&blocks, &numbers, &properties(), None).expect("room");
    let mut events = encoded.expect("integers widen to doubles");
    assert_eq!(events.rows(), 3);
    let names = spool.encode_canonical_ids(ids(&[None, Some("x"), None]), 3).expect("as many");
    events.set_canonical_ids(names);
    let mut file = EncodedFile::create(&spool, &path.0, &properties(), false).expect("a file");
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
    let encoded = spool.encode(&[columns(SECOND)], &[sent(&[None])], &wanted, None).expect("room");
    assert!(encoded.is_none());
    let wanted = [named("n", kind::INTEGER)];
    let encoded = spool.encode(&[columns(FIRST)], &[sent(&[None; 2])], &wanted, None).expect("room");
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
    let numbers = [sent(&[Some(7), None]), sent(&[None])];
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
    observed.note(&scan, 5, 0, &[Some(Id::new(1)), Some(Id::new(2))], &[]);
    observed.note(&scan, 5, 2, &[Some(Id::new(3))], &[Some(Id::new(9))]);
    assert_eq!(observed.senders_of_columns(&scan, 5), None);
    observed.note(&scan, 5, 0, &[], &[None, Some(Id::new(8))]);
    assert_eq!(observed.senders_of_columns(&scan, 5), Some(vec![None, Some(Id::new(9))]));
    assert_eq!(observed.senders_of_columns(&scan, 6), None);
    assert_eq!(observed.of_columns(&scan, 5), [Some(Id::new(1)), Some(Id::new(3))]);
    assert_eq!(observed.of_columns(&scan, 6), [None, None]);
    observed.note(&scan, 6, 2, &[Some(Id::new(4))], &[]);
    assert_eq!(observed.of_columns(&scan, 6), [None, Some(Id::new(4))]);
}

#[test]
fn senders_as_known_wait_beside_the_ids_and_become_a_column_behind_those_as_sent() {
    let (spool, path) = (spool(), Temporary::new("known"));
    let numbers = IdNumbers { sent: numbered(&[Some(7), None]), known: Some(numbered(&[Some(3), None])) };
    let block = columns(FIRST);
    let mut waiting = WaitingEvents::of(&block, &numbers, &properties(), MOST_CELLS);
    let waiting = waiting.next().expect("events").expect("one length");
    let encoded = spool.encode(&[block], &[numbers], &properties(), Some(3)).expect("room");
    let mut events = encoded.expect("integers widen");
    let kept = spool.sent(&events).expect("it is there");
    let column = waiting.column_by_name("distinct_id").expect("IDs wait").clone();
    for ids in [kept, SentIds::of(&[column], Some(3)).expect("they wait")] {
        let chunks = ids.known_chunks().expect("they are kept");
        let read: Vec<(Vec<_>, Vec<_>)> = chunks
            .into_iter()
            .map(|(known, texts)| (known.iter().collect(), texts.iter().collect()))
            .collect();
        assert_eq!(read, [(vec![Some(3), None], vec![None, None])]);
    }
    let mut file = EncodedFile::create(&spool, &path.0, &properties(), true).expect("a file");
    events.set_canonical_ids(spool.encode_canonical_ids(ids(&[Some("U"), None]), 2).expect("as many"));
    file.append(&mut events).expect_err("those as known are missing");
    events.set_known_ids(spool.encode_known_ids(ids(&[Some("u"), None]), 2).expect("as many"));
    file.append(&mut events).expect("named");
    file.close().expect("room");
    let (batches, _) = read(&path);
    assert_eq!(batches[0].schema().field(4).name(), "distinct_id_as_known");
    assert_eq!(texts(&batches, "distinct_id_as_known"), [Some("u"), None]);
    assert_eq!(texts(&batches, "s_"), [Some("x"), None]);
}

#[test]
fn only_ids_that_wait_are_taken_for_such() {
    let error = SentIds::of(&ids(&[None]), None).err().expect("texts are none");
    assert_eq!(error.to_string(), "these are no IDs that wait");
}

#[test]
fn events_that_wait_have_the_columns_with_values() {
    let mut waiting = WaitingEvents::of(&columns(FIRST), &sent(&[None, None]), &properties(), MOST_CELLS);
    let schema = waiting.next().expect("events").expect("one length").schema();
    assert!(waiting.next().is_none());
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["event", "time", "distinct_id", "$distinct_id_before_identity", "n_", "s_"]);
}

/// Returns the values of a column of text of some batches, null where one lacks it.
fn joined(batches: &[RecordBatch], name: &str) -> Vec<Option<String>> {
    let text = |batch: &RecordBatch| match batch.column_by_name(name) {
        None => vec![None; batch.num_rows()],
        Some(column) => {
            let column = arrow_cast::cast(column, &DataType::Utf8).expect("a text");
            column.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect()
        }
    };
    batches.iter().flat_map(text).collect()
}

proptest! {
    #[test]
    fn batches_of_events_that_wait_are_the_block(
        rows in proptest::collection::vec((0..4_u8, 0..100_i64), 1..30), most_cells in 1..60_usize,
    ) {
        let line = |(kind, number): &(u8, i64)| match kind {
            0 => r#"{"event":"e","properties":{}}"#.to_owned(),
            1 => format!(r#"{{"event":"e","properties":{{"n":{number}}}}}"#),
            2 => format!(r#"{{"event":"e","properties":{{"s":"t{number}","distinct_id":"u{number}"}}}}"#),
            _ => format!(r#"{{"event":"e","properties":{{"n":{number},"s":"é{number}","time":{number}}}}}"#),
        };
        let block = columns(&rows.iter().map(line).collect::<Vec<_>>().join("\n"));
        let numbers = sent(&vec![None; rows.len()]);
        let batches = |most_cells| {
            let waiting = WaitingEvents::of(&block, &numbers, &properties(), most_cells);
            waiting.collect::<Result<Vec<_>, _>>().expect("one length")
        };
        let (whole, parts) = (batches(MOST_CELLS), batches(most_cells));
        prop_assert_eq!(whole.len(), 1);
        for name in ["event", "time", "$distinct_id_before_identity", "n_", "s_"] {
            prop_assert_eq!(joined(&parts, name), joined(&whole, name), "{}", name);
        }
        let ids = |batches: &[RecordBatch]| {
            let arrays: Vec<_> = batches.iter().map(|batch| batch["distinct_id"].clone()).collect();
            let sent = SentIds::of(&arrays, None).expect("they wait");
            sent.chunks().flat_map(|(_, texts)| texts.iter().map(|id| id.map(str::to_owned)).collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        prop_assert_eq!(ids(&parts), ids(&whole));
        prop_assert!(parts.iter().all(|batch| batch.num_rows() * 4 <= most_cells.max(4)));
    }
}

fn event(time: &str, insert_id: &str) -> String {
    format!(r#"{{"event":"e","properties":{{"distinct_id":"u","time":{time},"$insert_id":{insert_id}}}}}"#)
}

#[test]
fn a_duplicate_is_equal_in_all_that_counts_whatever_its_block_holds_besides() {
    let mut distinct = DistinctEvents::default();
    let mut add = |events: &[String]| {
        let block = columns(&events.join("\n"));
        let kept = distinct.add(&block).map(|are_new| block.filtered(&are_new).expect("one length").rows());
        kept.unwrap_or_else(|| block.rows())
    };
    assert_eq!(add(&[event("1", "1"), event("1000000000000", "1"), event("1", "1"), event("1", "2")]), 3);
    assert_eq!(add(&[event("1.0", "\"1\""), event("1", "\"x\""), event("1", "[1]")]), 2);
    assert_eq!(add(&[event("1", "true")]), 1);
    assert_eq!(add(&[event("1", "\"true\""), event("2", "true")]), 1);
    assert_eq!(add(&[event("1", "null"), event("1", "null")]), 2);
    assert_eq!(distinct.dropped(), 3);
}

#[test]
fn fractions_among_insert_ids_count_as_numbers_alone() {
    let mut distinct = DistinctEvents::default();
    let kinds = |kinds| [("$insert_id".to_owned(), "$insert_id".to_owned(), kinds)];
    assert!(distinct.add(&columns(&event("1", "1"))).is_none());
    assert!(distinct.is_exact(&kinds(kind::INTEGER | kind::TEXT)));
    let (whole, half) = (event("1", "1.0"), event("1", "0.5"));
    let are_new = distinct.add(&columns(&format!("{whole}\n{half}"))).expect("one is not");
    assert_eq!(are_new.iter().flatten().collect::<Vec<_>>(), [false, true]);
    assert!(distinct.is_exact(&kinds(kind::INTEGER | kind::FLOAT)));
    assert!(!distinct.is_exact(&kinds(kind::INTEGER | kind::FLOAT | kind::TEXT)));
}

#[test]
fn what_is_filtered_lacks_columns_that_have_no_value_any_more() {
    let block = columns(FIRST);
    let kept = block.filtered(&vec![false, true].into()).expect("one length");
    assert_eq!(kept.rows(), 1);
    assert_eq!(kept.always()[0].as_string::<i32>().value(0), "b");
    assert!(kept.plain("n").is_none() && block.plain("n").is_some());
    let numbers = IdNumbers { sent: numbered(&[Some(1), Some(2)]), known: Some(numbered(&[None, Some(3)])) };
    let numbers = numbers.filtered(&vec![false, true].into());
    assert_eq!((numbers.sent, numbers.known), (numbered(&[Some(2)]), Some(numbered(&[Some(3)]))));
    assert!(block.filtered(&vec![true].into()).is_err());
}
