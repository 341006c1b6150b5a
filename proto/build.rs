//! Compiles the contract: descriptors with comments, Rust bindings, and the table of roles.
//!
//! Promises: no program but the compiler is needed; an RPC without a role ends the build. Leaves the shape of the
//! modules to `src/bindings.rs`.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use prost::Message as _;
use protox::prost_reflect::{DescriptorPool, MethodDescriptor, Value};

/// Packages that get Rust modules. The others are descriptors only: their messages appear in options, never in calls.
const BOUND_PACKAGES: [&str; 2] = ["lepton", "inference"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let files = find_protos(&root)?;
    for folder in ["lepton", "inference", "google", "buf", "build.rs"] {
        println!("cargo::rerun-if-changed={}", root.join(folder).display());
    }

    let mut compiler = protox::Compiler::new([&root])?;
    compiler
        .include_source_info(true)
        .include_imports(true)
        .open_files(&files)?;
    // This encoding keeps the options that prost-types has no fields for; the typed set below loses them.
    fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;
    fs::write(out.join("roles.rs"), role_table(&compiler.descriptor_pool())?)?;
    generate(&compiler, &out)
}

/// Every proto file of ours, sorted, so that the descriptors are the same on every machine.
fn find_protos(root: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut folders = BOUND_PACKAGES.map(|package| root.join(package)).to_vec();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "proto") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Writes the Rust modules.
fn generate(compiler: &protox::Compiler, out: &Path) -> Result<(), Box<dyn Error>> {
    let encoded = compiler.encode_file_descriptor_set();
    let mut set = prost_types::FileDescriptorSet::decode(encoded.as_slice())?;
    // The well-known types come from prost-types, but the generator looks at their shape.
    set.file
        .retain(|file| is_bound(file.package()) || file.package() == "google.protobuf");

    let mut config = prost_build::Config::new();
    config.out_dir(out).include_file("bindings.rs");
    // Payloads are shared slices of what was received; maps in key order make the encoding deterministic.
    config.bytes(["."]).btree_map(["."]);
    // The largest variants of their enums, kept off the stack of every small message.
    config.boxed(".lepton.journal.v1.Event.change.submitted");
    config.boxed(".lepton.scheduler.v1.IntakeRequest.request.submit");
    config.boxed(".lepton.scheduler.v1.IntakeResponse.outcome.task");
    config.boxed(".lepton.task.v1.BatchSubmitResult.outcome.task");
    tonic_prost_build::configure().compile_fds_with_config(set, config)?;
    Ok(())
}

fn is_bound(package: &str) -> bool {
    BOUND_PACKAGES
        .iter()
        .any(|bound| package == *bound || package.starts_with(&format!("{bound}.")))
}

/// Rust source of a slice of (path, role), sorted by path.
fn role_table(pool: &DescriptorPool) -> Result<String, Box<dyn Error>> {
    let mut rows = Vec::new();
    for service in pool
        .services()
        .filter(|service| is_bound(service.parent_file().package_name()))
    {
        for method in service.methods() {
            rows.push((
                format!("/{}/{}", service.full_name(), method.name()),
                role_name(pool, &method)?,
            ));
        }
    }
    rows.sort();
    let mut source = String::from("&[\n");
    for (path, role) in rows {
        writeln!(source, "    ({path:?}, Role::{role}),")?;
    }
    source.push_str("]\n");
    Ok(source)
}

/// The variant of the Rust enum `Role` that stands in the method's option.
fn role_name(pool: &DescriptorPool, method: &MethodDescriptor) -> Result<&'static str, Box<dyn Error>> {
    let option = pool
        .get_extension_by_name("lepton.options.v1.role")
        .ok_or("the option `role` is not declared")?;
    match method.options().get_extension(&option).as_ref() {
        Value::EnumNumber(1) => Ok("Public"),
        Value::EnumNumber(2) => Ok("User"),
        Value::EnumNumber(3) => Ok("Operator"),
        Value::EnumNumber(4) => Ok("Service"),
        Value::EnumNumber(5) => Ok("Viewer"),
        _ => Err(format!(
            "{} has no role: add `option (lepton.options.v1.role)`",
            method.full_name()
        )
        .into()),
    }
}
