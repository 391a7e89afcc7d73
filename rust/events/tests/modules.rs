//! The modules of this crate and of the binding: no import cycles, one direction between rooms
//! (folders, or files beside them), and nothing of Python here.

#[path = "../../core/tests/imports/mod.rs"]
mod imports;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use imports::{Direction, Graph, check_directions, cycle, graph, sources, wrong_directions};

const EVENTS: [Direction; 24] = [
    ("error", &[]),
    ("structure", &[]),
    ("array", &["structure"]),
    ("beginning", &[]),
    ("pages", &["array", "beginning"]),
    ("bodies", &["array", "beginning", "error"]),
    ("admission", &["bodies", "columns", "error"]),
    ("transcode", &["json"]),
    ("checked", &[]),
    ("ids", &[]),
    ("journal_blocks", &[]),
    ("origins", &["journal_blocks"]),
    ("dedupe", &["error"]),
    ("frames", &[]),
    ("lines", &["error"]),
    ("schema", &[]),
    ("json", &["ids", "schema"]),
    ("updates", &["error", "json", "lines"]),
    ("links", &["ids", "json", "schema", "structure"]),
    ("columns", &["error", "ids", "json", "lines", "links", "schema"]),
    ("parquet", &["columns", "dedupe", "error"]),
    ("scan", &["columns", "error", "lines", "links", "schema"]),
    ("stored", &["columns", "error", "ids", "json", "lines", "links", "schema"]),
    ("rows", &["columns", "error", "ids", "json", "links", "scan", "schema"]),
];

const BINDING: [Direction; 10] = [
    ("errors", &[]),
    ("memory", &[]),
    ("columns", &["errors"]),
    ("tables", &["columns", "errors"]),
    ("pipeline", &["columns", "errors"]),
    ("events", &["columns", "errors", "tables"]),
    ("resolver", &["columns", "errors", "events", "pipeline", "tables"]),
    ("profiles", &["errors", "events", "resolver"]),
    ("journal", &["columns", "errors", "memory", "resolver", "tables"]),
    ("disjoint", &["columns", "errors", "memory", "pipeline", "tables"]),
];

fn crate_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name(name)
}

fn graph_of(name: &str) -> Graph {
    graph(&sources(&crate_of(name)))
}

#[test]
fn no_module_imports_itself_through_others() {
    for name in ["events", "python"] {
        let graph = graph_of(name);
        assert!(graph.values().flatten().count() > 50, "{name} has imports: {graph:?}");
        assert_eq!(cycle(&graph), None, "{name}");
    }
}

#[test]
fn each_room_imports_only_those_below_it() {
    check_directions(&graph_of("events"), &EVENTS);
    check_directions(&graph_of("python"), &BINDING);
}

#[test]
fn a_cycle_is_found_also_through_a_folder() {
    let graph = |folder: &str| {
        let texts = [("a", "use crate::f::G;\n"), ("f", folder), ("f::g", "pub struct G(crate::a::A);\n")];
        graph(&texts.map(|(name, text)| (name.to_owned(), text.to_owned())).into())
    };
    for folder in ["mod g;\npub use g::G;\n", "mod g;\npub use g::*;\n", "mod g;\npub use self::g::G;\n"] {
        assert_eq!(cycle(&graph(folder)).map(|cycle| cycle.len()), Some(4), "{folder}");
    }
    assert_eq!(cycle(&graph("mod g;\npub struct G;\n")), None);
}

#[test]
fn an_import_of_a_room_above_is_found_however_it_is_written() {
    for import in ["use crate::scan::steps::Steps;\n", "use crate::{json::Cell, scan::steps::{Steps}};\n"] {
        let texts = [("json", ""), ("scan::steps", ""), ("links::rules", import)];
        let texts: BTreeMap<_, _> = texts.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
        assert_eq!(wrong_directions(&graph(&texts), &EVENTS), ["links::rules imports scan::steps"]);
    }
}

#[test]
fn the_events_know_no_python() {
    let root = crate_of("events");
    let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("it is UTF-8");
    let library = fs::read_to_string(root.join("src/lib.rs")).expect("it is UTF-8");
    let own = [("Cargo.toml".to_owned(), manifest), ("lib".to_owned(), library)];
    for (name, text) in sources(&root).into_iter().chain(own) {
        assert!(!text.contains("pyo3") && !text.contains("numpy"), "{name}");
    }
}
