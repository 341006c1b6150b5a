//! Nothing lies about: every file is part of a module, no room is called after its furniture, and nothing unfinished
//! or silenced without a reason is left.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::sources::{all_rust_files, crates, none, root, rust_files, short, text};

/// Names that say nothing about the subject.
const EMPTY_NAMES: &[&str] = &[
    "utils", "util", "common", "helpers", "helper", "types", "misc", "prelude", "mod",
];

#[test]
fn every_file_is_part_of_a_module() {
    let mut breaches = Vec::new();
    for folder in crates() {
        let files: BTreeSet<PathBuf> = rust_files(&folder).into_iter().collect();
        let mentioned: BTreeSet<PathBuf> = files.iter().flat_map(|path| modules_of(path)).collect();
        for path in files.difference(&mentioned).filter(|path| !is_target(&folder, path)) {
            breaches.push(format!("{}: no module declares it", short(path)));
        }
    }
    none(&breaches);
}

/// The files that a file's `mod` lines name.
fn modules_of(path: &Path) -> Vec<PathBuf> {
    let parent = path.parent().expect("a file is in a folder");
    let stem = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .expect("our names are UTF-8");
    let below = if matches!(stem, "lib" | "main" | "build") {
        parent.to_path_buf()
    } else {
        parent.join(stem)
    };
    let file = syn::parse_file(&text(path)).unwrap_or_else(|error| panic!("{}: {error}", short(path)));
    let modules = file.items.iter().filter_map(|item| match item {
        syn::Item::Mod(module) if module.content.is_none() => Some(module),
        _ => None,
    });
    modules
        .map(|module| match named_path(module) {
            Some(named) => parent.join(named),
            None => below.join(format!("{}.rs", module.ident)),
        })
        .collect()
}

fn named_path(module: &syn::ItemMod) -> Option<String> {
    module.attrs.iter().find_map(|attribute| match &attribute.meta {
        syn::Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            syn::Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Str(text),
                ..
            }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    })
}

/// Whether cargo starts here: a library, a program, a test or a build script.
fn is_target(folder: &Path, path: &Path) -> bool {
    let manifest = text(&folder.join("Cargo.toml"));
    let inside = path.strip_prefix(folder).expect("it was found there");
    let inside = inside.to_str().expect("our names are UTF-8");
    matches!(inside, "src/lib.rs" | "src/main.rs" | "build.rs")
        || manifest.contains(&format!("path = \"{inside}\""))
        || ["src/bin", "examples", "benches"]
            .iter()
            .any(|root| Path::new(inside).parent() == Some(Path::new(root)))
}

#[test]
fn names_are_nouns_of_the_subject() {
    let empty = all_rust_files().into_iter().filter(|path| {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        EMPTY_NAMES.contains(&stem)
    });
    none(
        &empty
            .map(|path| format!("{}: a name that says nothing", short(&path)))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn nothing_is_unfinished() {
    // Spelled in two halves, so that this file does not name itself.
    let banned = [
        ("to", "do!("),
        ("unimplem", "ented!("),
        ("db", "g!("),
        ("TO", "DO"),
        ("FIX", "ME"),
        ("#[ign", "ore"),
    ];
    let mut breaches = Vec::new();
    for path in all_rust_files() {
        for (number, line) in text(&path).lines().enumerate() {
            let found = banned
                .iter()
                .map(|(a, b)| format!("{a}{b}"))
                .find(|word| line.contains(word.as_str()));
            if let Some(word) = found {
                breaches.push(format!("{}:{}: {word}", short(&path), number + 1));
            }
        }
    }
    none(&breaches);
}

/// Every lint that is silenced says why.
#[test]
fn nothing_is_silenced_without_a_reason() {
    let mut breaches = Vec::new();
    for path in all_rust_files() {
        let written = text(&path);
        for (start, _) in written.match_indices("[allow(") {
            let attribute = written[start..].split(")]").next().unwrap_or_default();
            if written[..start].ends_with(['#', '!']) && !attribute.contains("reason = ") {
                let line = written[..start].matches('\n').count() + 1;
                breaches.push(format!("{}:{line}: silenced without a reason", short(&path)));
            }
        }
    }
    none(&breaches);
}

#[test]
fn the_readme_names_what_exists() {
    let readme = text(&root().join("README.md"));
    let links = readme.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let dead = links.filter(|link| !link.contains("://") && !link.starts_with('#'));
    let dead: Vec<String> = dead
        .filter(|link| !root().join(link.split('#').next().unwrap_or_default()).exists())
        .map(|link| format!("README.md: {link} does not exist"))
        .collect();
    none(&dead);
}
