//! No circles between the top modules of a crate: what one of them uses never uses it in turn.
//!
//! Paths are read by syntax: `crate::a::...` anywhere, and `super::a::...` in a file that stands directly below the crate's
//! root. Tests may look wherever they like.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use syn::visit::{self, Visit};

use crate::sources::{crates, none, rust_files, short, text};

/// The top modules that each top module of a crate uses.
type Uses = BTreeMap<String, BTreeSet<String>>;

#[test]
fn top_modules_form_no_circle() {
    let mut breaches = Vec::new();
    for folder in crates() {
        let uses = uses(&folder);
        for circle in circles(&uses) {
            breaches.push(format!("{}: a circle of {}", short(&folder), circle.join(", ")));
        }
    }
    none(&breaches);
}

#[test]
fn a_circle_is_found_wherever_it_begins() {
    let uses = |pairs: &[(&str, &str)]| {
        let mut uses = Uses::new();
        for (from, to) in pairs {
            uses.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        uses
    };
    assert!(circles(&uses(&[("a", "b"), ("b", "c"), ("a", "c")])).is_empty());
    let found = circles(&uses(&[("a", "b"), ("b", "c"), ("c", "b"), ("d", "a")]));
    assert_eq!(found, [["b", "c"]]);
}

/// Reads the uses between the top modules of the crate in `folder`.
fn uses(folder: &Path) -> Uses {
    let source = folder.join("src");
    let mut uses = Uses::new();
    if !source.is_dir() {
        return uses;
    }
    let files = rust_files(&source);
    let top: BTreeSet<String> = files.iter().filter_map(|path| top_module(&source, path)).collect();
    for path in &files {
        let Some(module) = top_module(&source, path).filter(|_| !is_test(path)) else {
            continue;
        };
        let file = syn::parse_file(&text(path)).unwrap_or_else(|error| panic!("{}: {error}", short(path)));
        let direct = path.parent() == Some(source.as_path());
        let mut paths = Paths {
            direct,
            found: BTreeSet::new(),
        };
        paths.visit_file(&file);
        let used = paths
            .found
            .into_iter()
            .filter(|name| top.contains(name) && *name != module);
        uses.entry(module.clone()).or_default().extend(used);
    }
    uses
}

/// Returns the top module that a file belongs to; none for the root itself.
fn top_module(source: &Path, path: &Path) -> Option<String> {
    let first = path.strip_prefix(source).ok()?.components().next()?;
    let name = first.as_os_str().to_str()?.trim_end_matches(".rs");
    (!matches!(name, "lib" | "main" | "bin")).then(|| name.to_owned())
}

fn is_test(path: &Path) -> bool {
    path.iter().any(|part| part == "tests" || part == "tests.rs")
}

/// Collects the first segment after `crate`, and after `super` in a top module.
struct Paths {
    direct: bool,
    found: BTreeSet<String>,
}

impl Paths {
    fn tree(&mut self, tree: &syn::UseTree) {
        match tree {
            syn::UseTree::Path(path) => _ = self.found.insert(path.ident.to_string()),
            syn::UseTree::Name(name) => _ = self.found.insert(name.ident.to_string()),
            syn::UseTree::Rename(rename) => _ = self.found.insert(rename.ident.to_string()),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(tree)),
            syn::UseTree::Glob(_) => {}
        }
    }

    fn is_root(&self, ident: &syn::Ident) -> bool {
        ident == "crate" || (self.direct && ident == "super")
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let is_test = module.attrs.iter().any(|attribute| attribute.path().is_ident("cfg"));
        if !is_test {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        match &item.tree {
            syn::UseTree::Path(path) if self.is_root(&path.ident) => self.tree(&path.tree),
            _ => {}
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let mut segments = path.segments.iter();
        if segments.next().is_some_and(|first| self.is_root(&first.ident)) {
            self.found
                .extend(segments.next().map(|second| second.ident.to_string()));
        }
        visit::visit_path(self, path);
    }
}

/// Returns the groups of modules that reach each other, each sorted.
fn circles(uses: &Uses) -> Vec<Vec<String>> {
    let reach = |from: &str| {
        let (mut reached, mut open) = (BTreeSet::new(), vec![from.to_owned()]);
        while let Some(module) = open.pop() {
            for next in uses.get(&module).into_iter().flatten() {
                if reached.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        reached
    };
    let reached: BTreeMap<&String, BTreeSet<String>> = uses.keys().map(|module| (module, reach(module))).collect();
    let mut circles: Vec<Vec<String>> = Vec::new();
    for (module, others) in &reached {
        let circle: Vec<String> = others
            .iter()
            .filter(|other| reached.get(other).is_some_and(|back| back.contains(*module)))
            .cloned()
            .collect();
        if circle.contains(module) && !circles.contains(&circle) {
            circles.push(circle);
        }
    }
    circles
}
