//! The Bedrock API key in a file (`AWS_BEARER_TOKEN_BEDROCK_FILE`), which is read again when it
//! changes.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bedrock_emulator::{Credentials, Emulator, Options};
use tempfile::TempDir;

use super::{REFUSED, RELOADED, alias, replace};
use crate::harness::{MODEL, Process, Serve, ask, get, paced};

const OLD: &str = "ABSK-canary-old";
const NEW: &str = "ABSK-canary-new";
const VARIABLE: &str = "AWS_BEARER_TOKEN_BEDROCK_FILE";

fn only(key: &str) -> Credentials {
    Credentials {
        access_keys: Vec::new(),
        bearer_tokens: vec![key.to_owned()],
        checked: true,
    }
}

fn key_file(folder: &TempDir) -> PathBuf {
    let path = folder.path().join("key");
    fs::write(&path, format!("{OLD}\n")).unwrap();
    path
}

fn write(path: &Path, content: &str) {
    replace(path, |path| fs::write(path, content).unwrap());
}

#[tokio::test]
async fn a_renewed_api_key_takes_effect_without_breaking_a_stream() {
    let folder = TempDir::new().unwrap();
    let path = key_file(&folder);
    let emulator = Emulator::start(Options {
        credentials: only(OLD),
        pace: paced(Duration::from_millis(50), 120),
        ..Options::default()
    })
    .unwrap();
    let sections = format!("discovery: {{enabled: false}}\n{}", alias("one", MODEL));
    // The file takes precedence over access keys.
    let variables = [
        (VARIABLE, path.to_str().unwrap()),
        ("AWS_ACCESS_KEY_ID", "unknown"),
        ("AWS_SECRET_ACCESS_KEY", "unknown"),
    ];
    let mut serve = Serve::start(&emulator, &sections, &variables).await;
    let mut open = serve.open(ask("one")).await;
    open.tokens(2).await;

    let written = Instant::now();
    write(&path, &format!("{NEW}\n"));
    let line = serve.process.logged(RELOADED).await;
    let took = written.elapsed();
    assert!(
        line.contains("AWS_BEARER_TOKEN_BEDROCK_FILE (content)"),
        "{line}"
    );
    assert!(took < Duration::from_secs(20), "{took:?}");
    println!("in effect after {took:?}");
    // Bedrock would reject a call with the old key.
    emulator.set_credentials(only(NEW));
    serve.open(ask("one")).await.tokens(2).await;
    let calls = emulator.calls();
    assert_eq!(calls[0].end, None, "the first stream is still open");
    assert_eq!(calls.len(), 2, "{calls:?}");

    // A file without a key changes nothing, and the log reports it.
    for (content, expected) in [
        (Some("\n"), "is empty; write the API key to it"),
        (Some("two words"), "contains a space"),
        (None, "cannot be read"),
    ] {
        match content {
            Some(content) => write(&path, content),
            None => fs::remove_file(&path).unwrap(),
        }
        let line = serve.process.logged(REFUSED).await;
        assert!(line.contains(expected), "{line}");
        assert!(
            line.contains(&format!("{VARIABLE}: the file {}", path.display())),
            "{line}"
        );
        serve.open(ask("one")).await.tokens(2).await;
    }
    write(&path, &format!("{NEW}\n"));
    serve.process.logged("has not changed").await;

    open.end().await.is_whole();
    assert!(
        emulator.calls().iter().all(|call| call.status == Some(200)),
        "{:?}",
        emulator.calls()
    );
    let config = get(serve.admin, "/config").await.1;
    for text in [serve.process.log(), &config] {
        assert!(!text.contains("canary"), "{text}");
    }
}

/// Bedrock rejects the old key before the gateway uses the change of the file, because the
/// configuration has a mistake.
#[tokio::test]
async fn a_rejected_api_key_is_read_again_at_once() {
    let folder = TempDir::new().unwrap();
    let path = key_file(&folder);
    let config = folder.path().join("config.yaml");
    let emulator = Emulator::start(Options {
        credentials: only(OLD),
        ..Options::default()
    })
    .unwrap();
    let mut gateway = super::Reloading::with_variables(
        (folder, config),
        emulator,
        &alias("one", MODEL),
        &[(VARIABLE, path.to_str().unwrap())],
    )
    .await;
    gateway.stream(ask("one")).await.is_whole();
    gateway.becomes("targets: 7\n", REFUSED).await;
    write(&path, NEW);
    gateway.process.logged(REFUSED).await;
    gateway.stream(ask("one")).await.is_whole();
    gateway.emulator.set_credentials(only(NEW));
    gateway.stream(ask("one")).await.is_whole();
    gateway.process.logged("Bedrock rejected the API key").await;
    let rejected = |gateway: &super::Reloading| {
        let calls = gateway.emulator.calls();
        let rejected = calls.iter().filter(|call| call.status == Some(403));
        rejected.count()
    };
    assert_eq!(rejected(&gateway), 1);
    gateway.stream(ask("one")).await.is_whole();
    assert_eq!(rejected(&gateway), 1);

    // If the file has no other key, the call fails, and the operator learns why.
    gateway.emulator.set_credentials(only("another"));
    let refused = gateway.stream(ask("one")).await;
    assert_eq!(refused.details().reason(), "UPSTREAM_CREDENTIALS");
    assert_eq!(rejected(&gateway), 2);
    assert!(!gateway.process.log().contains("canary"));
}

#[tokio::test]
async fn a_file_without_a_key_is_reported_at_the_start() {
    let folder = TempDir::new().unwrap();
    let (config, key) = (folder.path().join("config.yaml"), folder.path().join("key"));
    let path = key.to_str().unwrap();
    let fixed = "listen: 127.0.0.1:0\nadmin: {listen: '127.0.0.1:0'}\n";
    fs::write(&config, format!("{fixed}{}", alias("one", MODEL))).unwrap();
    let both = [(VARIABLE, path), ("AWS_BEARER_TOKEN_BEDROCK", "canary")];
    for (content, variables, expected) in [
        (None, &both[..1], "cannot be read"),
        (Some(" "), &both[..1], "is empty"),
        (
            Some(OLD),
            &both[..],
            "AWS_BEARER_TOKEN_BEDROCK is set, too; set only one of them",
        ),
    ] {
        if let Some(content) = content {
            fs::write(&key, content).unwrap();
        }
        let config = config.to_str().unwrap();
        for command in [&["check", config][..], &["serve", "--config", config]] {
            let fixed = [("AWS_REGION", "us-east-1")];
            let variables = variables.iter().copied().chain(fixed);
            let ended = Process::start(command, variables).end().await;
            assert_ne!(ended.code, Some(0), "{ended:?}");
            assert!(ended.stderr.contains(expected), "{ended:?}");
            assert!(ended.stderr.contains(VARIABLE), "{ended:?}");
            assert!(!ended.stderr.contains("canary"), "{ended:?}");
        }
    }
}
