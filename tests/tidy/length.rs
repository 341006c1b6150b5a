//! Files of at most 400 lines, functions of at most 70, and a `//!` on every file that says what it is for.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::sources::{all_rust_files, none, short, text};

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;

#[test]
fn files_are_short() {
    let long = all_rust_files().into_iter().filter_map(|path| {
        let lines = text(&path).lines().count();
        (lines > FILE_LINES_MAX).then(|| format!("{}: {lines} lines: it has two subjects", short(&path)))
    });
    none(&long.collect::<Vec<_>>());
}

#[test]
fn files_say_what_they_are_for() {
    let silent = all_rust_files()
        .into_iter()
        .filter(|path| !text(path).starts_with("//!"));
    none(
        &silent
            .map(|path| format!("{}: begins without `//!`", short(&path)))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn functions_are_short() {
    let mut breaches = Vec::new();
    for path in all_rust_files() {
        let file = syn::parse_file(&text(&path)).unwrap_or_else(|error| panic!("{}: {error}", short(&path)));
        let mut measure = Measure { found: Vec::new() };
        measure.visit_file(&file);
        breaches.extend(
            measure
                .found
                .into_iter()
                .map(|found| format!("{}: {found}", short(&path))),
        );
    }
    none(&breaches);
}

struct Measure {
    found: Vec<String>,
}

impl Measure {
    fn measure(&mut self, name: &syn::Ident, block: &syn::Block) {
        let span = block.span();
        let lines = span.end().line - span.start().line + 1;
        if lines > FUNCTION_LINES_MAX {
            self.found.push(format!("`{name}` has {lines} lines"));
        }
    }
}

impl<'ast> Visit<'ast> for Measure {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.measure(&item.sig.ident, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.measure(&item.sig.ident, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.measure(&item.sig.ident, block);
        }
        visit::visit_trait_item_fn(self, item);
    }
}
