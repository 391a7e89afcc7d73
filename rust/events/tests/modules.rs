//! The modules of this crate and of the binding: no import cycles, one direction between rooms
//! (folders, or files beside them), and nothing of Python here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A room, with the rooms that its modules may import besides their own.
type Direction = (&'static str, &'static [&'static str]);

const EVENTS: [Direction; 12] = [
    ("error", &[]),
    ("array", &[]),
    ("checked", &[]),
    ("journal_blocks", &[]),
    ("dedupe", &["error"]),
    ("lines", &["error"]),
    ("schema", &[]),
    ("json", &["schema"]),
    ("links", &["json", "schema"]),
    ("columns", &["error", "json", "lines", "links", "schema"]),
    ("parquet", &["columns", "error"]),
    ("scan", &["columns", "error", "lines", "links", "schema"]),
];

const BINDING: [Direction; 9] = [
    ("errors", &[]),
    ("memory", &[]),
    ("columns", &["errors"]),
    ("tables", &["columns", "errors"]),
    ("pipeline", &["columns", "errors"]),
    ("events", &["columns", "errors", "tables"]),
    ("resolver", &["columns", "errors", "events", "pipeline", "tables"]),
    ("journal", &["errors", "memory", "resolver", "tables"]),
    ("disjoint", &["columns", "errors", "memory", "pipeline", "tables"]),
];

/// Each module's path below the crate's root, with the paths that it uses.
type Imports = BTreeMap<String, BTreeSet<String>>;

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    entries
        .map(|entry| entry.expect("it can be read").path())
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .collect()
}

/// Returns the module in a file, such as `links::rules`; a `mod.rs` is its folder.
fn module(root: &Path, file: &Path) -> String {
    let path = file.strip_prefix(root).expect("it is below the root").with_extension("");
    let mut names: Vec<_> = path.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    names.pop_if(|name| name == "mod");
    names.join("::")
}

/// Returns the paths that follow `crate::` in a source, comments left out.
fn used(source: &str) -> BTreeSet<String> {
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code: String = code.flat_map(|line| [line, "\n"]).collect();
    let parts = code.split("crate::").skip(1);
    let is_name = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
    parts.map(|part| part.split(|letter| !is_name(letter)).next().unwrap_or_default().to_owned()).collect()
}

fn imports(root: &Path) -> Imports {
    let files = sources(root);
    let modules: BTreeSet<String> = files.iter().map(|file| module(root, file)).collect();
    let target = |path: &String| {
        // The longest module that the path begins with.
        let ends = path.match_indices("::").map(|(end, _)| end).chain([path.len()]);
        ends.map(|end| path[..end].to_owned()).filter(|name| modules.contains(name)).max_by_key(String::len)
    };
    let mut imports = Imports::new();
    for file in &files {
        let own = module(root, file);
        let source = fs::read_to_string(file).expect("it is UTF-8");
        assert!(
            !source.contains("super::"),
            "{own} uses a path from its parent: write it from the crate's root"
        );
        let targets = used(&source).iter().filter_map(target).filter(|other| *other != own).collect();
        imports.insert(own, targets);
    }
    imports
}

/// Returns a cycle among modules, if there is one.
fn cycle(imports: &Imports) -> Option<Vec<String>> {
    fn walk(own: &str, imports: &Imports, way: &mut Vec<String>, done: &mut BTreeSet<String>) -> bool {
        if let Some(place) = way.iter().position(|name| name == own) {
            way.drain(..place);
            return true;
        }
        if done.contains(own) {
            return false;
        }
        way.push(own.to_owned());
        for other in &imports[own] {
            if walk(other, imports, way, done) {
                return true;
            }
        }
        way.pop();
        done.insert(own.to_owned());
        false
    }
    let (mut way, mut done) = (Vec::new(), BTreeSet::new());
    imports.keys().any(|own| walk(own, imports, &mut way, &mut done)).then_some(way)
}

/// Returns imports in which a folder stands for each use of its `mod.rs` by a module outside: it
/// uses its files.
fn through_folders(imports: &Imports) -> Imports {
    let files = |folder: &str| -> BTreeSet<String> {
        let prefix = format!("{folder}::");
        imports.keys().filter(|name| name.starts_with(&prefix)).cloned().collect()
    };
    let resolved = |own: &String, others: &BTreeSet<String>| {
        let all = others.iter().flat_map(|other| {
            let inside = own.starts_with(&format!("{other}::"));
            let files = if inside { BTreeSet::new() } else { files(other) };
            files.into_iter().chain([other.clone()])
        });
        all.filter(|other| other != own).collect()
    };
    imports.iter().map(|(own, others)| (own.clone(), resolved(own, others))).collect()
}

fn crate_root(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name(name).join("src")
}

#[test]
fn no_module_imports_itself_through_others() {
    for name in ["events", "python"] {
        let found = imports(&crate_root(name));
        assert!(found.values().flatten().count() > 20, "{name} has imports");
        assert_eq!(cycle(&through_folders(&found)), None, "{name}");
    }
}

fn room(module: &str) -> &str {
    module.split("::").next().unwrap_or(module)
}

/// Returns the imports between rooms that a direction does not allow.
fn upward(imports: &Imports, direction: &[Direction]) -> Vec<String> {
    let allowed: BTreeMap<&str, &[&str]> = direction.iter().copied().collect();
    let mut found = Vec::new();
    for (own, others) in imports.iter().filter(|(own, _)| *own != "lib") {
        let below = allowed.get(room(own)).unwrap_or_else(|| panic!("give the room of {own} its place"));
        let is_wrong = |other: &&String| room(other) != room(own) && !below.contains(&room(other));
        found.extend(others.iter().filter(is_wrong).map(|other| format!("{own} imports {other}")));
    }
    found
}

#[test]
fn each_room_imports_only_those_below_it() {
    let none: [String; 0] = [];
    assert_eq!(upward(&imports(&crate_root("events")), &EVENTS), none);
    assert_eq!(upward(&imports(&crate_root("python")), &BINDING), none);
    for direction in [EVENTS.as_slice(), &BINDING] {
        let rooms = direction.iter().map(|(own, others)| {
            let others = others.iter().map(|&other| other.to_owned()).collect();
            ((*own).to_owned(), others)
        });
        assert_eq!(cycle(&rooms.collect()), None);
    }
}

#[test]
fn an_import_of_a_room_above_is_found() {
    let used = BTreeSet::from(["scan::steps".to_owned()]);
    let imports = Imports::from([("links::rules".to_owned(), used)]);
    assert_eq!(upward(&imports, &EVENTS), ["links::rules imports scan::steps"]);
}

#[test]
fn a_cycle_is_found_also_through_a_folder() {
    let imports = |pairs: &[(&str, &[&str])]| -> Imports {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        pairs.iter().map(|(own, others)| ((*own).to_owned(), set(others))).collect()
    };
    let straight = imports(&[("a", &["b"]), ("b", &["c", "d"]), ("c", &["d"]), ("d", &[])]);
    assert_eq!(cycle(&straight), None);
    let round = imports(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"])]);
    assert_eq!(cycle(&round), Some(vec!["b".to_owned(), "c".to_owned()]));
    let folder = imports(&[("a", &["f"]), ("f", &[]), ("f::g", &["a"])]);
    assert_eq!(cycle(&folder), None);
    assert!(cycle(&through_folders(&folder)).is_some());
    assert_eq!(
        used("// crate::a\nuse crate::b::{c, d};\nlet e = crate::f::g();"),
        used("crate::b:: crate::f::g")
    );
}

#[test]
fn the_events_know_no_python() {
    let root = crate_root("events");
    for file in sources(&root).into_iter().chain([root.with_file_name("Cargo.toml")]) {
        let text = fs::read_to_string(&file).expect("it is UTF-8");
        assert!(!text.contains("pyo3") && !text.contains("numpy"), "{}", file.display());
    }
}
