//! The rules for imports between the crate's modules: no cycle, and one direction between the
//! rooms; see [`imports`].

mod imports;

use std::collections::BTreeSet;
use std::path::Path;

use imports::{Direction, Graph, check_directions, cycle, graph, sources, wrong_directions};

const DIRECTIONS: [Direction; 9] = [
    ("arch", &[]),
    ("codec", &[]),
    ("error", &[]),
    ("link", &[]),
    ("ids", &["arch", "codec", "error"]),
    ("clusters", &["codec", "error", "ids", "link"]),
    ("resolver", &["arch", "clusters", "error", "ids", "link"]),
    ("journal", &["arch", "clusters", "codec", "error", "ids", "link", "resolver"]),
    ("components", &["arch", "error", "ids", "link", "resolver"]),
];

fn graph_of_the_crate() -> Graph {
    graph(&sources(Path::new(env!("CARGO_MANIFEST_DIR"))))
}

/// Returns a graph of a few modules with these texts.
fn graph_of(texts: &[(&str, &str)]) -> Graph {
    let owned = |&(module, text): &(&str, &str)| (module.to_owned(), text.to_owned());
    graph(&texts.iter().map(owned).collect())
}

#[test]
fn no_module_imports_itself_by_way_of_others() {
    let graph = graph_of_the_crate();
    assert!(graph.len() > 25, "the sources are found: {graph:?}");
    assert!(graph.values().map(BTreeSet::len).sum::<usize>() > 100, "their imports are read: {graph:?}");
    assert_eq!(cycle(&graph), None);
}

#[test]
fn rooms_import_each_other_in_one_direction() {
    check_directions(&graph_of_the_crate(), &DIRECTIONS);
}

#[test]
fn a_cycle_is_found_however_it_is_written() {
    let batch = ("resolver::batch", "use crate::ids::interner::{Hasher, Probe};\n");
    for back in [
        "use crate::resolver::batch::Batch;\n",
        "use crate::{\n    error::Error,\n    resolver::{batch::{Act, Batch}, prefetch},\n};\n",
        "use crate::{error::Error, resolver::batch as taken};\n",
        "use crate::{error::*, resolver::batch::*};\n",
        "fn size() -> usize {\n    size_of::<crate::resolver::batch::Batch>()\n}\n",
    ] {
        let interner = ("ids::interner", back);
        let others = [("error", ""), ("resolver::prefetch", "")];
        let graph = graph_of(&[batch, interner, others[0], others[1]]);
        assert_eq!(cycle(&graph).map(|cycle| cycle.len()), Some(3), "{back}");
        assert!(
            wrong_directions(&graph, &DIRECTIONS)
                .contains(&"ids::interner imports resolver::batch".to_owned())
        );
    }
    let tests = "#[cfg(test)]\nmod tests {\n    use crate::resolver::batch::Batch;\n}\n";
    let text = format!("//! See crate::resolver::batch.\n{tests}");
    let commented = ("ids::interner", text.as_str());
    assert_eq!(cycle(&graph_of(&[batch, commented])), None);
}

#[test]
fn a_module_and_the_one_that_it_stands_in_make_a_cycle_too() {
    let record = ("journal::record", "use crate::journal::JournaledResolver;\n");
    for import in [
        "use crate::journal::record::Record;\n",
        "mod record;\npub use record::Record;\n",
        "mod record;\npub use self::record::Record;\n",
        "mod record;\npub use self::{record::Record};\n",
    ] {
        let graph = graph_of(&[("journal", import), record]);
        assert_eq!(cycle(&graph).map(|cycle| cycle.len()), Some(3), "{import}");
    }
    assert_eq!(cycle(&graph_of(&[("journal", "mod record;\n"), record])), None);
}

#[test]
#[should_panic(expected = "link imports crate::Resolver, which is in no module")]
fn what_the_crate_exports_is_imported_from_its_module() {
    graph_of(&[("link", "use crate::Resolver;\n")]);
}
