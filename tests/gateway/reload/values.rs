//! Values from files: `${file:/path}`. They are read again when the files change.

use std::{fs, os::unix::fs::symlink, path::Path};

use serde_json::Value;
use tempfile::TempDir;
use tonic::Code;

use super::{REFUSED, RELOADED, Reloading, alias};
use crate::harness::{MODEL, ask, key_of, keyed, sha256_of};

/// A caller whose key is in a file.
fn with_key_in(path: &Path) -> String {
    format!(
        "{}callers: {{team-a: {{keys: [{{sha256: '${{file:{}}}'}}]}}}}\n",
        alias("one", MODEL),
        path.display()
    )
}

#[tokio::test]
async fn a_changed_file_of_a_value_takes_effect() {
    let (old, new) = (key_of(), key_of());
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("hash");
    fs::write(&path, format!("{}\n", sha256_of(&old))).unwrap();
    let mut gateway = Reloading::start(&with_key_in(&path)).await;
    gateway.stream(keyed(ask("one"), &old)).await.is_whole();

    fs::write(&path, format!("{}\n", sha256_of(&new))).unwrap();
    let line = gateway.process.logged(RELOADED).await;
    let line: Value = serde_json::from_str(&line).unwrap();
    let changed = format!(
        "callers.team-a.keys[0].sha256 (content of {})",
        path.display()
    );
    assert_eq!(line["changed"], changed.as_str());
    gateway.stream(keyed(ask("one"), &new)).await.is_whole();
    let refused = gateway.stream(keyed(ask("one"), &old)).await;
    assert_eq!(refused.code(), Code::Unauthenticated);

    // A file that cannot be used changes nothing, and the gateway does not retry it.
    for (content, expected) in [
        (Some("\n"), "is empty"),
        (Some("hunter2"), "is not valid for this key"),
        (None, "cannot be read"),
    ] {
        match content {
            Some(content) => fs::write(&path, content).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let line = gateway.process.logged(REFUSED).await;
        assert!(line.contains(expected), "{line}");
        assert!(line.contains("callers.team-a.keys[0].sha256: "), "{line}");
        assert!(line.contains(path.to_str().unwrap()), "{line}");
        assert!(!gateway.last_reload_successful().await);
        gateway.stream(keyed(ask("one"), &new)).await.is_whole();
    }
    fs::write(&path, sha256_of(&new)).unwrap();
    gateway
        .process
        .logged("read again and has not changed")
        .await;
    assert!(gateway.last_reload_successful().await);
    let log = gateway.process.log();
    for secret in ["hunter2", &sha256_of(&old), &sha256_of(&new)] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test]
async fn kubelet_replaces_a_mounted_secret() {
    let mounted = TempDir::new().unwrap();
    let root = mounted.path();
    let version = |name: &str, content: &str| {
        fs::create_dir(root.join(name)).unwrap();
        fs::write(root.join(name).join("hash"), content).unwrap();
    };
    let (old, new) = (key_of(), key_of());
    version("..1", &sha256_of(&old));
    symlink("..1", root.join("..data")).unwrap();
    symlink("..data/hash", root.join("hash")).unwrap();
    let mut gateway = Reloading::start(&with_key_in(&root.join("hash"))).await;
    gateway.stream(keyed(ask("one"), &old)).await.is_whole();

    version("..2", &sha256_of(&new));
    symlink("..2", root.join("..data_tmp")).unwrap();
    fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    fs::remove_dir_all(root.join("..1")).unwrap();
    gateway.process.logged(RELOADED).await;
    gateway.stream(keyed(ask("one"), &new)).await.is_whole();
}

/// The file of a value is missing when the process starts: the process reports that, and exits.
#[tokio::test]
async fn a_missing_file_of_a_value_is_reported_at_the_start() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("config.yaml");
    let missing = folder.path().join("hash");
    fs::write(&path, with_key_in(&missing)).unwrap();
    let process = crate::harness::Process::start(["serve", "--config", path.to_str().unwrap()], []);
    let ended = process.end().await;
    assert_eq!(ended.code, Some(64));
    let expected = format!(
        "keys[0].sha256: the file {} cannot be read",
        missing.display()
    );
    assert!(ended.stderr.contains(&expected), "{}", ended.stderr);
}
