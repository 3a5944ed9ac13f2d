//! `diff` of two files.

use std::process::Command;

use serde_json::{Value, json};

/// Runs the command on two configurations: exit code, standard output, standard error.
fn diff(old: &str, new: &str, options: &[&str]) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text.replace("DIR", folder.path().to_str().unwrap())).unwrap();
        path
    };
    write("old-secret", "hunter2-old");
    write("new-secret", "hunter2-new");
    let output = Command::new(env!("CARGO_BIN_EXE_bedrock-grpc"))
        .arg("diff")
        .args(options)
        .args([write("old.yaml", old), write("new.yaml", new)])
        .env_clear()
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert!(
        !out.contains("hunter2") && !err.contains("hunter2"),
        "{out}{err}"
    );
    (output.status.code(), out, err)
}

const TARGET: &str = "targets: {a: {model_id: amazon.nova-lite-v1:0}}\n";

#[test]
fn equal_configurations_have_no_difference() {
    let (code, out, err) = diff(TARGET, &format!("# The same.\n{TARGET}"), &[]);
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "", ""));
    let values = format!("config:\n  {TARGET}replicaCount: 2\n");
    assert_eq!(diff(TARGET, &values, &[]).0, Some(0));
}

#[test]
fn each_changed_key_has_a_line() {
    let old = format!("{TARGET}workers: 2\nonly: [us]\n");
    let new = "targets: {a: {model_id: amazon.nova-pro-v1:0}}\nworkers: 3\nonly: [us, eu]\n\
        log: {level: debug}\n";
    let (code, out, err) = diff(&old, new, &[]);
    assert_eq!(
        out,
        "log.level: (not set) -> debug\n\
         only: [\"us\"] -> [\"us\",\"eu\"]\n\
         targets.a.model_id: amazon.nova-lite-v1:0 -> amazon.nova-pro-v1:0\n\
         workers: 2 -> 3  (needs a restart)\n"
    );
    assert_eq!((code, err.as_str()), (Some(1), ""));
    let (code, out, _) = diff(&old, new, &["--json"]);
    let out: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, Some(1));
    let last = json!({"key": "workers", "old": "2", "new": "3", "needs_restart": true});
    assert_eq!(out["changes"][3], last);
    assert_eq!(out["refused"], json!([]));
}

/// The value that was the default is written out: nothing restarts.
#[test]
fn a_default_that_is_written_out_needs_no_restart() {
    let new = format!("{TARGET}listen: 0.0.0.0:50051\n");
    let (code, out, _) = diff(TARGET, &new, &[]);
    assert_eq!(
        (code, out.as_str()),
        (Some(1), "listen: (not set) -> 0.0.0.0:50051\n")
    );
}

#[test]
fn secrets_are_compared_and_not_shown() {
    let with = |password: &str| {
        format!("{TARGET}limits: {{store: {{url: 'rediss://host', password: '{password}'}}}}\n")
    };
    let (code, out, _) = diff(&with("hunter2"), &with("hunter2-2"), &[]);
    let line = "limits.store.password: *** -> ***  (needs a restart)\n";
    assert_eq!((code, out.as_str()), (Some(1), line));
    assert_eq!(diff(&with("hunter2"), &with("hunter2"), &[]).0, Some(0));
    let file = with("${file:DIR/old-secret}");
    assert_eq!(diff(&file, &file, &[]).0, Some(0));
    let (code, out, _) = diff(&file, &with("${file:DIR/new-secret}"), &[]);
    assert_eq!(code, Some(1));
    assert!(out.contains("/old-secret} -> ${file:"), "{out}");
}

#[test]
fn a_change_that_a_reload_refuses_is_named() {
    let old = format!("{TARGET}only: [us]\n");
    let (code, out, _) = diff(&old, TARGET, &[]);
    assert_eq!(code, Some(64));
    let expected = "only: [\"us\"] -> (not set)\nrefused: only: the region fence is missing; \
        to allow that, set `allow_weaker: true` in the new file\n";
    assert_eq!(out, expected);
    let meant = format!("{TARGET}allow_weaker: true\n");
    assert_eq!(diff(&old, &meant, &[]).0, Some(1));
}

#[test]
fn mistakes_are_reported() {
    let (code, out, err) = diff(TARGET, "targets: {a: {}}\n", &[]);
    assert_eq!((code, out.as_str()), (Some(64), ""));
    assert!(err.contains("new.yaml:1:"), "{err}");
    let (code, _, err) = diff(TARGET, TARGET, &["--admin", "http://127.0.0.1:1"]);
    assert_eq!(code, Some(2), "{err}");
}

#[test]
fn a_gateway_that_cannot_be_reached_is_reported() {
    for (url, expected) in [
        ("http://127.0.0.1:1", "refused"),
        ("https://127.0.0.1:1", "write the address of the admin port"),
        ("127.0.0.1:1", "write the address of the admin port"),
        ("http://127.0.0.1:1/metrics", "write the address"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_bedrock-grpc"))
            .args(["diff", "--admin", url, "examples/config.yaml"])
            .env_clear()
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(69), "{url}: {error}");
        assert!(error.contains(expected), "{url}: {error}");
    }
}
