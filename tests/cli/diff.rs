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
    write("keys", &format!("a: [{{sha256: {}}}]\n", "a".repeat(64)));
    write("empty", "");
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

/// The new text only states a default explicitly, so no restart is needed.
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
    for (url, code, expected) in [
        ("http://127.0.0.1:1", 69, "refused"),
        ("https://127.0.0.1:1", 2, "write the URL of the admin port"),
        ("127.0.0.1:1", 2, "write the URL of the admin port"),
        ("http://127.0.0.1:1/metrics", 2, "write the URL"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_bedrock-grpc"))
            .args(["diff", "--admin", url, "examples/config.yaml"])
            .env_clear()
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{url}: {error}");
        assert!(error.contains(expected), "{url}: {error}");
    }
}

#[test]
fn an_enforced_guardrail_is_kept() {
    let guardrail = "guardrail: {identifier: gr-1234567890ab, version: '1', enforced: true}\n";
    let (code, out, _) = diff(&format!("{TARGET}{guardrail}"), TARGET, &[]);
    assert_eq!(code, Some(64), "{out}");
    let line = "refused: guardrail: no guardrail would be enforced for all targets; ";
    assert!(out.contains(line), "{out}");
}

#[test]
fn a_new_file_without_any_key_is_refused() {
    for empty in ["", "# Nothing yet.\n", "---\n", "---\n# Nothing yet.\n\n"] {
        let (code, out, err) = diff("workers: 2\n", empty, &[]);
        assert_eq!((code, out.as_str()), (Some(64), ""), "{empty:?}");
        assert!(err.contains("new.yaml: the file is empty"), "{err}");
        // A reload does nothing if the text is the same.
        assert_eq!(diff(empty, empty, &[]).0, Some(0), "{empty:?}");
    }
}

#[test]
fn a_loss_of_all_keys_is_refused() {
    let with =
        |file: &str| format!("{TARGET}callers: {{a: {{}}}}\naccess: {{keys_file: DIR/{file}}}\n");
    let without = format!("{TARGET}callers: {{a: {{}}}}\n");
    for new in [&with("empty"), &without] {
        let (code, out, err) = diff(&with("keys"), new, &[]);
        assert_eq!(code, Some(64), "{out}{err}");
        assert!(out.contains("refused: access.keys_file: "), "{out}");
        let meant = format!("allow_weaker: true\n{new}");
        assert_eq!(diff(&with("keys"), &meant, &[]).0, Some(1));
        assert_eq!(diff(&with("empty"), &with("keys"), &[]).0, Some(1));
    }
    assert_eq!(diff(&with("empty"), &without, &[]).0, Some(1));
}

/// Each file is read only once, because a pipe can be read only once.
#[test]
fn pipes_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let old = format!("{TARGET}workers: 2\n");
    std::fs::write(folder.path().join("old.yaml"), &old).unwrap();
    std::fs::write(folder.path().join("new.yaml"), old.replace('2', "3")).unwrap();
    for (files, code, expected) in [
        ("<(cat old.yaml) <(cat new.yaml)", 1, "workers: 2 -> 3"),
        ("old.yaml /dev/stdin <new.yaml", 1, "workers: 2 -> 3"),
        (
            "old.yaml /dev/stdin < <(cat new.yaml)",
            1,
            "workers: 2 -> 3",
        ),
        ("<(cat old.yaml) <(cat old.yaml)", 0, ""),
        ("<(cat old.yaml) /dev/null", 64, ""),
    ] {
        let (exit, out, err) = bash(folder.path(), files);
        assert_eq!(exit, Some(code), "{files}: {out}{err}");
        assert_eq!(
            out.trim_end().split("  ").next(),
            Some(expected),
            "{files}: {out}"
        );
    }
}

/// If the difference cannot be written, the exit code must not say that a reload accepts it.
#[test]
fn an_output_that_cannot_be_written_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("old.yaml"), "workers: 2\n").unwrap();
    std::fs::write(folder.path().join("new.yaml"), "workers: 3\n").unwrap();
    for options in ["", "--json "] {
        let (code, _, err) = bash(
            folder.path(),
            &format!("{options}old.yaml new.yaml >/dev/full"),
        );
        assert_eq!(code, Some(74), "{err}");
        assert!(err.contains("cannot write the answer"), "{err}");
    }
}

#[test]
fn a_value_has_one_line() {
    let with = |text: &str| {
        format!("targets: {{a: {{model_id: amazon.nova-lite-v1:0, description: \"{text}\"}}}}\n")
    };
    let old = with("a \\\\ \u{e9}");
    for (text, shown) in [
        ("x\\nrefused: y\\e[31m", "\"x\\nrefused: y\\u{1b}[31m\""),
        ("x\\u009b1m", "\"x\\u{9b}1m\""),
        ("x\\u202ey", "\"x\\u{202e}y\""),
        ("plain \u{e9} -> 'b'", "plain \u{e9} -> 'b'"),
    ] {
        let (code, out, err) = diff(&old, &with(text), &[]);
        assert_eq!(code, Some(1), "{err}");
        let line = format!("targets.a.description: a \\ \u{e9} -> {shown}\n");
        assert_eq!(out, line);
    }
}

#[test]
fn an_external_id_is_masked() {
    let with = |id: &str| {
        format!(
            "{TARGET}accounts: {{x: {{role_arn: 'arn:aws:iam::123456789012:role/bedrock', \
             external_id: {id}}}}}\n"
        )
    };
    let (code, out, err) = diff(&with("hunter2"), &with("hunter2-2"), &[]);
    let line = "accounts.x.external_id: *** -> ***\n";
    assert_eq!((code, out.as_str()), (Some(1), line), "{err}");
}

/// Runs the command in a folder, with files and redirections in the syntax of bash.
fn bash(folder: &std::path::Path, files: &str) -> (Option<i32>, String, String) {
    let output = Command::new("bash")
        .args(["-c", &format!("\"$0\" diff {files}")])
        .arg(env!("CARGO_BIN_EXE_bedrock-grpc"))
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}
