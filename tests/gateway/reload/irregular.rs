//! Files that are not regular ones, such as FIFOs. Reading one must not block the gateway.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command, thread};

use bedrock_emulator::{Emulator, Options};
use bedrock_grpc::access::key::Secret;
use tempfile::TempDir;

use super::{HEAD, REFUSED, RELOADED, Reloading, alias, replace};
use crate::harness::{MODEL, ask, get, key_of, keyed, sha256_of, soon};

fn make_fifo(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

fn keys_in(path: &Path) -> String {
    format!(
        "{}callers: {{team-a: {{}}}}\naccess: {{keys_file: {}}}\n",
        alias("one", MODEL),
        path.display()
    )
}

async fn is_live(gateway: &Reloading) {
    assert_eq!(soon(get(gateway.admin, "/livez")).await.0, 200);
}

#[tokio::test]
async fn a_fifo_as_configuration_blocks_nothing() {
    let mut gateway = Reloading::start(&alias("one", MODEL)).await;
    replace(&gateway.path(), make_fifo);
    let line = gateway.process.logged(REFUSED).await;
    assert!(line.contains("is not a regular file"), "{line}");
    assert!(
        line.contains(gateway.path().to_str().unwrap()),
        "the line names the file: {line}"
    );
    is_live(&gateway).await;
    gateway.stream(ask("one")).await.is_whole();
    assert!(!gateway.last_reload_successful().await);

    let good = format!("{HEAD}{}", alias("two", MODEL));
    replace(&gateway.path(), |path| fs::write(path, good).unwrap());
    gateway.process.logged(RELOADED).await;
    gateway.stream(ask("two")).await.is_whole();

    replace(&gateway.path(), make_fifo);
    gateway.process.logged(REFUSED).await;
    gateway.process.terminate().await;
    assert_eq!(soon(gateway.process.end()).await.code, Some(0));
}

#[tokio::test]
async fn a_fifo_or_an_endless_file_as_keys_file_blocks_nothing() {
    let (old, new) = (key_of(), key_of());
    let entry = |key: &Secret| format!("team-a: [{{sha256: {}}}]\n", sha256_of(key));
    let keys = crate::harness::file(&entry(&old));
    let mut gateway = Reloading::start(&keys_in(keys.path())).await;
    let makes: [fn(&Path); 2] = [make_fifo, |path| symlink("/dev/zero", path).unwrap()];
    for make in makes {
        replace(keys.path(), make);
        let line = gateway.process.logged(REFUSED).await;
        assert!(line.contains("is not a regular file"), "{line}");
        assert!(line.contains(keys.path().to_str().unwrap()), "{line}");
        is_live(&gateway).await;
        gateway.stream(keyed(ask("one"), &old)).await.is_whole();
        let good = entry(&new);
        replace(keys.path(), |path| fs::write(path, good).unwrap());
        gateway.process.logged(RELOADED).await;
        gateway.stream(keyed(ask("one"), &new)).await.is_whole();
        let good = entry(&old);
        replace(keys.path(), |path| fs::write(path, good).unwrap());
        gateway.process.logged(RELOADED).await;
        gateway.stream(keyed(ask("one"), &old)).await.is_whole();
    }
}

/// `serve` waits for the writer of a pipe and reads it once. The other files are still watched.
#[tokio::test]
async fn a_configuration_from_a_pipe_is_read_once() {
    let (old, new) = (key_of(), key_of());
    let entry = |key: &Secret| format!("team-a: [{{sha256: {}}}]\n", sha256_of(key));
    let keys = crate::harness::file(&entry(&old));
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("config.yaml");
    make_fifo(&path);
    let text = format!("{HEAD}{}", keys_in(keys.path()));
    let pipe = path.clone();
    let writer = thread::spawn(move || fs::write(pipe, text).unwrap());
    let emulator = Emulator::start(Options::default()).unwrap();
    let mut gateway = Reloading::on(folder, path, emulator).await;
    writer.join().unwrap();
    assert!(gateway.process.log().contains("not in a regular file"));
    gateway.stream(keyed(ask("one"), &old)).await.is_whole();

    fs::write(keys.path(), entry(&new)).unwrap();
    let line = gateway.process.logged(RELOADED).await;
    assert!(line.contains("access.keys_file (content)"), "{line}");
    gateway.stream(keyed(ask("one"), &new)).await.is_whole();
    is_live(&gateway).await;
}
