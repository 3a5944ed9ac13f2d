//! Enforces the rules that `src/lib.rs` states: the direction of dependencies, which types stay in
//! which module, and the maximum length of a file.

mod cycles;
mod rules;
mod source;
mod tables;

use std::{fs, path::Path};

use rules::{MAY_USE, cycles, faults, faults_of_text};
use source::Source;

/// Reads the sources of a crate, without the files that are compiled for tests only.
fn sources(src: &Path) -> Vec<Source> {
    without_test_modules(all_sources(src))
}

fn all_sources(src: &Path) -> Vec<Source> {
    let mut sources = Vec::new();
    read(src, src, &mut sources);
    sources
}

fn without_test_modules(mut sources: Vec<Source>) -> Vec<Source> {
    let tests: Vec<_> = sources.iter().flat_map(Source::test_modules).collect();
    sources.retain(|source| {
        let module = source.module_path().join("/");
        !tests
            .iter()
            .any(|test| module == *test || module.starts_with(&format!("{test}/")))
    });
    sources
}

fn read(folder: &Path, below: &Path, into: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            read(&path, below, into);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && path.file_name().is_some_and(|name| name != "tests.rs")
        {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let name = path.strip_prefix(below).unwrap_or(&path);
            into.push(Source::new(&name.to_string_lossy(), &text));
        }
    }
}

#[test]
fn the_crate_keeps_its_rules() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let sources = sources(&src);
    assert!(
        sources.iter().any(|source| source.path == "lib.rs"),
        "no sources found"
    );
    let mut faults = faults(&sources);
    faults.extend(cycles::cycles(&sources));
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// Cargo enforces that the emulator does not use the gateway: its manifest does not list it.
#[test]
fn the_emulator_keeps_its_rules() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("emulator/src");
    let sources = sources(&src);
    assert!(
        sources.iter().any(|source| source.path == "lib.rs"),
        "no sources found"
    );
    let mut faults: Vec<_> = sources
        .iter()
        .flat_map(|source| {
            faults_of_text(source)
                .into_iter()
                .map(|fault| format!("emulator/src/{}: {fault}", source.path))
        })
        .collect();
    faults.extend(cycles::cycles(&sources));
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// Each rule can fail: a file that breaks it, and words of the message.
#[test]
fn each_rule_can_fail() {
    let long = format!("//! x\n{}", "fn f() {}\n".repeat(500));
    for (path, text, words) in [
        ("error.rs", "use std::fmt;\n", "begin with a `//!`"),
        ("error.rs", &long, "501 lines"),
        (
            "grpc/mod.rs",
            "//! x\n#[allow(dead_code)]\nfn f() {}",
            "expect",
        ),
        (
            "grpc/mod.rs",
            "//! x\n#![ allow (dead_code)]\nfn f() {}",
            "expect",
        ),
        (
            "grpc/mod.rs",
            "//! x\n#[cfg_attr(unix, allow(dead_code))]\nfn f() {}",
            "expect",
        ),
        (
            "bedrock/mod.rs",
            "//! x\nuse crate::grpc::status;",
            "bedrock may not use grpc",
        ),
        (
            "bedrock/a/b.rs",
            "//! x\nuse super::super::super::grpc;",
            "may not use grpc",
        ),
        (
            "translate/mod.rs",
            "//! x\nfn f() { crate::routing::go() }",
            "may not use routing",
        ),
        (
            "translate/mod.rs",
            "//! x\nuse crate::{error::Failure, bedrock::{self}};",
            "may not use bedrock",
        ),
        ("routing/mod.rs", "//! x\nuse crate::pb;", "may not use pb"),
        (
            "routing/mod.rs",
            "//! x\nuse super::pb::Message;",
            "may not use pb",
        ),
        (
            "config/mod.rs",
            "//! x\nuse crate::telemetry::Metrics;",
            "config may not use telemetry",
        ),
        (
            "main.rs",
            "//! x\nfn main() { bedrock_grpc::server::run() }",
            "main may not use server",
        ),
        ("novelty.rs", "//! x\nuse crate::error::Failure;", "MAY_USE"),
        (
            "routing/mod.rs",
            "//! x\nuse tonic::{Request, Status};",
            "tonic::Status",
        ),
        ("routing/mod.rs", "//! x\nuse tonic::*;", "tonic::*"),
        (
            "bedrock/mod.rs",
            "//! x\nfn f() -> tonic::Code { todo() }",
            "tonic::Code",
        ),
        ("config/mod.rs", "//! x\nuse clap::Parser;", "clap"),
        (
            "grpc/mod.rs",
            "//! x\nfn f() { std::env::var(NAME) }",
            "std::env",
        ),
        ("grpc/mod.rs", "//! x\nuse std::{env, fmt};", "std::env"),
        (
            "grpc/mod.rs",
            "//! x\nuse aws_types::region::Region;",
            "AWS types",
        ),
        (
            "routing/mod.rs",
            "//! x\nuse aws_sdk_bedrock::Client;",
            "AWS types",
        ),
        (
            "translate/mod.rs",
            "//! x\nuse aws_sigv4::sign;",
            "AWS types",
        ),
        (
            "grpc/mod.rs",
            "//! x\nuse opentelemetry::KeyValue;",
            "telemetry::trace",
        ),
    ] {
        let found = faults(&[Source::new(path, text)]);
        assert!(
            matches!(&found[..], [only] if only.contains(words)),
            "{path}: {text}: {found:?}"
        );
    }
}

#[test]
fn a_cycle_is_found() {
    let file = |path, used| Source::new(path, &format!("//! x\nuse crate::{used}::X;"));
    let ring = [
        file("grpc/mod.rs", "routing"),
        file("routing/mod.rs", "bedrock"),
        file("bedrock/a.rs", "grpc"),
    ];
    let found = cycles(&ring).unwrap_or_default();
    assert!(
        found.contains("cycle") && found.contains("bedrock"),
        "{found}"
    );
    assert_eq!(cycles(&ring[..2]), None);

    let table = MAY_USE
        .iter()
        .flat_map(|(module, allowed)| allowed.iter().map(move |used| file_of(module, used)));
    assert_eq!(
        cycles(&table.collect::<Vec<_>>()),
        None,
        "the rules themselves"
    );
}

fn file_of(module: &str, used: &str) -> Source {
    Source::new(&format!("{module}.rs"), &format!("use crate::{used};"))
}

/// Correct code is not reported.
#[test]
fn no_rule_fails_for_nothing() {
    let tests = "#[cfg(test)]\nmod tests {\n use crate::pb; fn f() { std::env::temp_dir() }\n}\n";
    let long_tests = format!(
        "//! x\n#[cfg(test)]\nmod tests {{\n{}}}\n",
        "fn f() {}\n".repeat(600)
    );
    for (path, text) in [
        (
            "bedrock/mod.rs",
            "//! x, see crate::grpc\n// use crate::grpc;\n/* use /* */ crate::pb; */",
        ),
        (
            "bedrock/mod.rs",
            "//! x\nconst A: &str = \"crate::grpc \\\" crate::pb\";",
        ),
        (
            "bedrock/mod.rs",
            "//! x\nconst A: &str = r#\"\" crate::grpc\"#; const B: &[u8] = br\"crate::pb\";",
        ),
        (
            "bedrock/mod.rs",
            "//! x\nfn f<'a>(c: &'a str) -> bool { c != '\"' } // crate::grpc \"",
        ),
        (
            "bedrock/mod.rs",
            "//! x\nuse aws_types::region::Region; use crate::{config, error::Failure};",
        ),
        (
            "bedrock/mod.rs",
            "//! x\nuse aws_sigv4::sign; use self::wire::crate_; use super::bedrock::wire;",
        ),
        (
            "bedrock/a/b.rs",
            "//! x\nuse super::super::answer; use super::c;",
        ),
        ("main.rs", "//! x\nfn main() { bedrock_grpc::cli::run() }"),
        ("lib.rs", "//! x\npub use crate::grpc::Server; pub mod pb;"),
        (
            "cli/mod.rs",
            "//! x\n#[arg(long, env = \"A\")] #[expect(dead_code, reason = \"allow(\")] struct A; use clap::Parser;",
        ),
        (
            "routing/mod.rs",
            "//! x\nuse tonic::transport::Channel; const V: &str = env!(\"CARGO_PKG_VERSION\");",
        ),
        ("routing/mod.rs", &format!("//! x\n{tests}")),
        ("routing/mod.rs", &long_tests),
    ] {
        let found = faults(&[Source::new(path, text)]);
        assert_eq!(found, [""; 0], "{path}: {text}");
    }
    let after = Source::new("routing/mod.rs", &format!("//! x\n{tests}use crate::pb;"));
    assert_eq!(faults(&[after]).len(), 1, "code behind tests counts");
}

/// Cycles between files are found through re-exports and relative paths. A folder that only
/// re-exports the items of its files is not a cycle.
#[test]
fn a_cycle_of_files_is_found() {
    let found = |files: &[(&str, &str)]| {
        let sources: Vec<_> = files
            .iter()
            .map(|(path, code)| Source::new(path, &format!("//! x\n{code}")))
            .collect();
        cycles::cycles(&sources)
    };
    // A child uses its parent, which uses the child.
    let cycle = found(&[
        ("a/mod.rs", "mod b; pub struct A; fn f() { b::f() }"),
        ("a/b.rs", "use super::A; pub fn f(_: A) {}"),
    ]);
    assert_eq!(
        cycle,
        [
            "a/b.rs: is in a cycle with a/mod.rs",
            "a/mod.rs: is in a cycle with a/b.rs"
        ]
    );
    // Through a re-export under another name, and a third file.
    let cycle = found(&[
        (
            "a/mod.rs",
            "mod b; mod c; pub(crate) use self::b::{B as Bee};",
        ),
        ("a/b.rs", "use super::c::C; pub struct B(C);"),
        ("a/c.rs", "use crate::d::D; pub struct C(D);"),
        ("d.rs", "use crate::a::{self, Bee}; pub struct D(Bee);"),
    ]);
    assert_eq!(cycle.len(), 3, "{cycle:?}");
    assert!(cycle[0].starts_with("a/b.rs"), "{cycle:?}");

    let none: [&[(&str, &str)]; 3] = [
        &[
            (
                "a/mod.rs",
                "mod b; mod c; pub use b::B; pub(in crate::a) use c::C;",
            ),
            ("a/b.rs", "use super::C; pub struct B(C);"),
            ("a/c.rs", "pub struct C;"),
        ],
        // Tests may use what they test from anywhere.
        &[
            ("a/mod.rs", "mod b; pub struct A; fn f() { b::f() }"),
            (
                "a/b.rs",
                "pub fn f() {} #[cfg(test)] mod tests { use super::super::A; }",
            ),
        ],
        // A variable with the name of a module.
        &[
            (
                "a/mod.rs",
                "mod b; pub struct A; fn f() { let b = 1; b + 1 }",
            ),
            ("a/b.rs", "use super::A; pub fn f(_: A) {}"),
        ],
    ];
    for files in none {
        assert_eq!(found(files), [""; 0]);
    }
}

/// The rules do not apply to modules that are compiled only for tests.
#[test]
fn test_modules_are_left_out() {
    let file = |path, code: &str| Source::new(path, &format!("//! x\n{code}"));
    let left = without_test_modules(vec![
        file(
            "grpc/mod.rs",
            "#[cfg(test)]\nmod ending_tests;\nmod status;",
        ),
        file("grpc/ending_tests/mod.rs", "mod peer;"),
        file("grpc/ending_tests/peer.rs", "use std::env;"),
        file("grpc/status.rs", "#[cfg(test)]\nmod tests { fn f() {} }"),
        file("bedrock/mod.rs", "#[cfg(test)]\npub(crate) mod memory;"),
        file("bedrock/memory.rs", "use std::env;"),
    ]);
    let left: Vec<_> = left.iter().map(|source| source.path.as_str()).collect();
    assert_eq!(left, ["grpc/mod.rs", "grpc/status.rs", "bedrock/mod.rs"]);
}

#[test]
fn tables_list_the_files_of_their_modules() {
    for src in ["src", "emulator/src"] {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join(src);
        let wrong = tables::wrong_tables(&sources(&src), &all_sources(&src));
        assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    }
}

#[test]
fn a_wrong_table_is_found() {
    let head = "//! A module.\n//!\n//! | file | job |\n//! |---|---|\n//! | `b` | x |\n//! | `old` | x |\n";
    let sources = [
        Source::new("a/mod.rs", head),
        Source::new("a/b.rs", "//! x"),
        Source::new("a/c/mod.rs", "//! x"),
    ];
    assert_eq!(
        tables::wrong_tables(&sources, &sources),
        [
            "a/mod.rs: the table lists `old`, which is not a file of it",
            "a/mod.rs: the table does not list `c`"
        ]
    );
    // A table of types, and a file that has no other files.
    let types = "//! | type | job |\n//! |---|---|\n//! | [`Shares`] | x |\n";
    let sources = [
        Source::new("a/mod.rs", types),
        Source::new("a/b.rs", "//! x"),
    ];
    assert_eq!(tables::wrong_tables(&sources, &sources), [""; 0]);
}
