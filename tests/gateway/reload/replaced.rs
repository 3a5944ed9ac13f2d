//! The ways in which a file is replaced. Each takes effect.

use std::{fs, os::unix::fs::symlink};

use bedrock_emulator::{Emulator, Options};
use bedrock_grpc::access::key::hex_sha256;
use serde_json::Value;
use tempfile::TempDir;
use tonic::Code;

use super::{HEAD, REFUSED, RELOADED, Reloading, alias};
use crate::harness::{MODEL, ask};

#[tokio::test]
async fn a_changed_alias_works_without_a_restart() {
    let mut gateway = Reloading::start(&alias("one", MODEL)).await;
    gateway.stream(ask("one")).await.is_whole();
    assert_eq!(gateway.stream(ask("two")).await.code(), Code::NotFound);
    let sections = alias("two", MODEL);
    let line = gateway.becomes(&sections, RELOADED).await;
    gateway.stream(ask("two")).await.is_whole();
    assert_eq!(gateway.stream(ask("one")).await.code(), Code::NotFound);

    // The audit line names the keys, and metrics name the configuration.
    let line: Value = serde_json::from_str(&line).unwrap();
    let hash = hex_sha256(&format!("{HEAD}{sections}"));
    assert_eq!(line["target"], "bedrock_grpc::audit");
    assert_eq!(line["generation"], 2);
    assert_eq!(line["sha256"], hash.as_str());
    assert_eq!(line["changed"], "targets.one, targets.two");
    assert!(gateway.last_reload_successful().await);
    let generation = gateway.metric("bedrock_grpc_config_generation ").await;
    assert!(generation.ends_with(" 2"), "{generation}");
    let info = gateway.metric("bedrock_grpc_config_info").await;
    assert_eq!(
        info,
        format!("bedrock_grpc_config_info{{hash=\"{hash}\"}} 1")
    );
}

#[tokio::test]
async fn an_editor_replaces_the_file_by_a_rename() {
    let mut gateway = Reloading::start(&alias("one", MODEL)).await;
    let other = gateway.folder.path().join(".config.yaml.swp");
    fs::write(&other, format!("{HEAD}{}", alias("two", MODEL))).unwrap();
    fs::rename(other, gateway.path()).unwrap();
    gateway.process.logged(RELOADED).await;
    gateway.stream(ask("two")).await.is_whole();
}

#[tokio::test]
async fn kubelet_replaces_a_folder_by_a_symbolic_link() {
    // A mounted ConfigMap: config.yaml -> ..data/config.yaml, ..data -> the current folder.
    let folder = TempDir::new().unwrap();
    let root = folder.path().to_owned();
    let version = |name: &str, sections: &str| {
        fs::create_dir(root.join(name)).unwrap();
        let text = format!("{HEAD}{sections}");
        fs::write(root.join(name).join("config.yaml"), text).unwrap();
    };
    version("..1", &alias("one", MODEL));
    symlink("..1", root.join("..data")).unwrap();
    symlink("..data/config.yaml", root.join("config.yaml")).unwrap();
    let emulator = Emulator::start(Options::default()).unwrap();
    let path = root.join("config.yaml");
    let mut gateway = Reloading::on(folder, path, emulator).await;
    gateway.stream(ask("one")).await.is_whole();
    for (before, now, name) in [("..1", "..2", "two"), ("..2", "..3", "three")] {
        version(now, &alias(name, MODEL));
        symlink(now, root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
        fs::remove_dir_all(root.join(before)).unwrap();
        gateway.process.logged(RELOADED).await;
        gateway.stream(ask(name)).await.is_whole();
    }
}

#[tokio::test]
async fn sighup_has_the_file_read_at_once() {
    let mut gateway = Reloading::start(&alias("one", MODEL)).await;
    for _ in 0..2 {
        gateway.process.signal("HUP").await;
        gateway
            .process
            .logged("read again and has not changed")
            .await;
    }
    gateway.stream(ask("one")).await.is_whole();
}

#[tokio::test]
async fn a_key_that_needs_a_restart_is_named_and_changes_nothing() {
    let mut gateway = Reloading::start(&alias("one", MODEL)).await;
    let line = gateway
        .becomes(
            &format!("workers: 7\nlog: {{format: text}}\n{}", alias("two", MODEL)),
            "need a restart",
        )
        .await;
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["keys"], "workers, log.format");
    gateway.process.logged(RELOADED).await;
    gateway.stream(ask("two")).await.is_whole();
}

#[tokio::test]
async fn pages_of_another_origin_are_allowed_without_a_restart() {
    let mut gateway = Reloading::start(&alias("one", MODEL)).await;
    let from_page = || {
        let mut request = tonic::Request::new(ask("one"));
        let origin = "https://chat.example.com".parse().unwrap();
        request.metadata_mut().insert("origin", origin);
        request
    };
    assert_ne!(gateway.stream(from_page()).await.code(), Code::Ok);
    let sections = format!(
        "cors: {{allowed_origins: ['https://chat.example.com']}}\n{}",
        alias("one", MODEL)
    );
    gateway.becomes(&sections, RELOADED).await;
    let answer = gateway.stream(from_page()).await;
    answer.is_whole();
    assert_eq!(
        answer.headers.get("access-control-allow-origin").unwrap(),
        "https://chat.example.com"
    );
}

#[tokio::test]
async fn the_level_of_the_log_changes_without_a_restart() {
    let with = |level: &str| format!("log: {{level: '{level}'}}\n{}", alias("one", MODEL));
    let mut gateway = Reloading::start(&with("info")).await;
    // The line of the reload is logged if the level before or after it allows that.
    gateway.becomes(&with("error"), RELOADED).await;
    let before = gateway.process.log().len();
    gateway.stream(ask("one")).await.is_whole();
    let debug = with("info,h2=debug");
    gateway.becomes(&debug, RELOADED).await;
    let silent = gateway.process.log()[before..].to_owned();
    assert_eq!(silent.lines().count(), 1, "{silent}");
    gateway.stream(ask("one")).await.is_whole();
    gateway.process.logged("\"level\":\"DEBUG\"").await;

    let line = gateway.becomes(&with("a=b=c"), REFUSED).await;
    assert!(line.contains("log.level: `a=b=c`: "), "{line}");
}
