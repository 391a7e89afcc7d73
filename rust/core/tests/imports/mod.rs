//! The imports between the modules of a crate, read from its sources.
//!
//! A *module* is a file of `src`; a *room* is a folder of it, or a file beside them. Imports are
//! read from the paths that begin with `crate::`, with `self::` or with the name of a child module,
//! in `use` lines and elsewhere, outside tests and comments; paths that begin with `super::` are
//! not allowed there. `lib.rs` is left out: it names everything, and no module may name what it
//! exports.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A room, with the rooms that its modules may import besides their own.
pub type Direction = (&'static str, &'static [&'static str]);

/// Modules by their paths, such as `ids::index`, each with the modules that it imports.
pub type Graph = BTreeMap<String, BTreeSet<String>>;

/// Returns the code of a file: without comments, and without the tests, which stand last.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let lines = code.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns every path behind `crate::` in some code, with each branch of a `{…}` written out.
fn paths(code: &str) -> Vec<String> {
    let is_path = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
    let mut paths = Vec::new();
    for rest in code.split("crate::").skip(1) {
        let end = rest.find(|letter| !is_path(letter)).unwrap_or(rest.len());
        let (stem, after) = rest.split_at(end);
        match after.strip_prefix('{').filter(|_| stem.is_empty() || stem.ends_with("::")) {
            None => paths.push(stem.to_owned()),
            Some(group) => paths.extend(branches(group).into_iter().map(|branch| format!("{stem}{branch}"))),
        }
    }
    paths
}

/// Returns the branches of a group whose `{` was read, groups within it written out.
fn branches(group: &str) -> Vec<String> {
    let mut stack = vec![String::new()];
    let (mut branches, mut name) = (Vec::new(), String::new());
    for letter in group.chars() {
        match letter {
            '{' => {
                let stem = format!("{}{}", stack[stack.len() - 1], name.trim());
                stack.push(stem);
                name.clear();
            }
            ',' | '}' => {
                if !name.trim().is_empty() {
                    let name = name.split_whitespace().next().unwrap_or_default(); // Without `as`.
                    branches.push(format!("{}{name}", stack[stack.len() - 1]));
                }
                name.clear();
                if letter == '}' {
                    stack.pop();
                }
            }
            _ => name.push(letter),
        }
        if stack.is_empty() {
            break;
        }
    }
    branches
}

/// Returns code with its `self::` written out, by the path of its module.
fn without_self(code: &str, module: &str) -> String {
    let mut parts = code.split("self::");
    let mut written = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_path = !written.ends_with(|letter: char| letter.is_alphanumeric() || letter == '_');
        written += if is_path { "crate::" } else { "self::" };
        if is_path {
            written += module;
            written += "::";
        }
        written += part;
    }
    written
}

/// Returns the children of a module that its code names without `crate::`.
fn children<'a>(code: &str, module: &str, modules: &'a BTreeSet<String>) -> Vec<&'a String> {
    let begins =
        |at: usize| !code[..at].ends_with(|letter: char| letter.is_alphanumeric() || ":_".contains(letter));
    let is_named = |child: &&String| {
        let name = child.strip_prefix(module).and_then(|rest| rest.strip_prefix("::"));
        name.is_some_and(|name| code.match_indices(&format!("{name}::")).any(|(at, _)| begins(at)))
    };
    modules.iter().filter(is_named).collect()
}

/// Returns the module that defines what `path` names: the longest beginning of it that is a module.
fn module_of(path: &str, modules: &BTreeSet<String>) -> Option<String> {
    let names: Vec<&str> = path.split("::").collect();
    (1..=names.len()).rev().map(|count| names[..count].join("::")).find(|module| modules.contains(module))
}

/// Returns the graph of modules, given the text of each.
///
/// # Panics
///
/// If a path leads to no module, for it names what `lib.rs` exports; or if one begins with
/// `super::`.
pub fn graph(texts: &BTreeMap<String, String>) -> Graph {
    let modules: BTreeSet<String> = texts.keys().cloned().collect();
    let imports = |(module, text): (&String, &String)| {
        let code = without_self(&code(text), module);
        assert!(!code.contains("super::"), "{module} has a path that begins with super::");
        let imported = paths(&code).into_iter().map(|path| {
            let found = module_of(&path, &modules);
            found.unwrap_or_else(|| panic!("{module} imports crate::{path}, which is in no module"))
        });
        let imported = imported.chain(children(&code, module, &modules).into_iter().cloned());
        (module.clone(), imported.filter(|imported| imported != module).collect())
    };
    texts.iter().map(imports).collect()
}

/// Returns the modules of a cycle in their order, if there is one.
pub fn cycle(graph: &Graph) -> Option<Vec<String>> {
    fn walk(graph: &Graph, path: &mut Vec<String>, done: &mut BTreeSet<String>) -> bool {
        let module = path[path.len() - 1].clone();
        if let Some(start) = path[..path.len() - 1].iter().position(|earlier| *earlier == module) {
            path.drain(..start);
            return true;
        }
        if done.contains(&module) {
            path.pop();
            return false;
        }
        for imported in &graph[&module] {
            path.push(imported.clone());
            if walk(graph, path, done) {
                return true;
            }
        }
        done.insert(module);
        path.pop();
        false
    }
    let mut done = BTreeSet::new();
    graph.keys().find_map(|module| {
        let mut path = vec![module.clone()];
        walk(graph, &mut path, &mut done).then_some(path)
    })
}

/// Returns the room of a module.
pub fn room(module: &str) -> &str {
    module.split("::").next().unwrap_or(module)
}

/// Returns a sentence for each import that no direction allows.
pub fn wrong_directions(graph: &Graph, directions: &[Direction]) -> Vec<String> {
    let rules: BTreeMap<&str, &[&str]> = directions.iter().copied().collect();
    let imports = graph.iter().flat_map(|(module, all)| all.iter().map(move |imported| (module, imported)));
    let is_wrong = |(module, imported): &(&String, &String)| {
        let (from, to) = (room(module), room(imported));
        from != to && !rules.get(from).is_some_and(|allowed| allowed.contains(&to))
    };
    imports.filter(is_wrong).map(|(module, imported)| format!("{module} imports {imported}")).collect()
}

/// Panics unless each room of the graph has a direction, its modules keep to that, and the
/// directions themselves make no cycle.
pub fn check_directions(graph: &Graph, directions: &[Direction]) {
    let rooms: BTreeSet<&str> = graph.keys().map(|module| room(module)).collect();
    assert_eq!(rooms, directions.iter().map(|(room, _)| *room).collect());
    assert_eq!(wrong_directions(graph, directions), Vec::<String>::new());
    let of_rooms = directions
        .iter()
        .map(|(room, allowed)| ((*room).to_owned(), allowed.iter().map(|&room| room.to_owned()).collect()));
    assert_eq!(cycle(&of_rooms.collect()), None, "the rule itself has a direction");
}

/// Returns the text of every module of the crate in `root`.
pub fn sources(root: &Path) -> BTreeMap<String, String> {
    fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("it is a folder") {
            let path = entry.expect("it can be read").path();
            if path.is_dir() { collect(&path, files) } else { files.push(path) }
        }
    }
    let source = root.join("src");
    let mut files = Vec::new();
    collect(&source, &mut files);
    let module = |path: &Path| {
        let path = path.strip_prefix(&source).expect("it lies there").with_extension("");
        let names: Vec<_> = path.iter().filter_map(|name| name.to_str()).collect();
        names.into_iter().filter(|name| *name != "mod").collect::<Vec<_>>().join("::")
    };
    let files = files.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "rs"));
    let texts = files.map(|path| (module(&path), fs::read_to_string(&path).expect("it is text")));
    texts.filter(|(module, _)| module != "lib").collect()
}
