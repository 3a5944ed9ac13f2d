use std::{collections::BTreeSet, fs, path::Path};

use super::TARGETS;

/// Runs a target with each file of its corpus. The name of the file that fails is in the output.
fn replay(name: &str) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut count = 0;
    for entry in fs::read_dir(folder.join(name)).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        target(&fs::read(path).unwrap());
        count += 1;
    }
    assert!(count >= 10, "{name}: {count} files");
    // The inputs that libFuzzer tries first.
    target(&[]);
}

#[test]
fn config() {
    replay("config");
}

#[test]
fn fold() {
    replay("fold");
}

#[test]
fn frames() {
    replay("frames");
}

#[test]
fn grpc_web() {
    replay("grpc_web");
}

#[test]
fn json_reader() {
    replay("json_reader");
}

#[test]
fn json_writer() {
    replay("json_writer");
}

#[test]
fn native_bodies() {
    replay("native_bodies");
}

#[test]
fn raw_members() {
    replay("raw_members");
}

#[test]
fn request() {
    replay("request");
}

/// Every target has a binary for cargo-fuzz, a corpus and a test above. There are no others.
#[test]
fn targets_are_complete() {
    let names: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    for folder in ["targets", "corpus"] {
        let found: BTreeSet<_> = fs::read_dir(fuzz.join(folder))
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                path.file_stem().unwrap().to_string_lossy().into_owned()
            })
            .collect();
        assert_eq!(found, names, "fuzz/{folder}");
    }
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    let tests = include_str!("tests.rs");
    for name in names {
        assert!(
            manifest.contains(&format!("path = \"targets/{name}.rs\"")),
            "fuzz/Cargo.toml has no {name}"
        );
        let replays = format!("    replay({name:?});");
        assert!(tests.contains(&replays), "no test replays {name}");
    }
}
