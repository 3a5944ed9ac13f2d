//! References in values: `${NAME}` to the environment, and `${file:/path}` to a file.

use std::path::Path;

use bedrock_grpc::config::Config;

use super::{parse, problems};

#[test]
fn values_can_come_from_the_environment() {
    let region = |text: &str| parse(text).map(|config| config.bedrock.region);
    assert_eq!(
        region("bedrock: {region: '${REGION}'}"),
        Ok(Some("eu-central-1".to_owned()))
    );
    assert_eq!(
        region("bedrock: {region: '${NONE:-us-east-1}'}"),
        Ok(Some("us-east-1".to_owned()))
    );
    let found = problems("bedrock: {region: '${NONE}'}");
    assert!(found[0].contains("NONE is not set"), "{found:?}");
}

#[test]
fn values_can_come_from_files() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("value");
    let reference = format!("${{file:{}}}", path.display());
    let region = || parse(&format!("bedrock: {{region: '{reference}'}}")).unwrap();
    for content in ["eu-central-1", "eu-central-1\n", "eu-central-1\r\n"] {
        std::fs::write(&path, content).unwrap();
        let read = region().bedrock.region;
        assert_eq!(read.as_deref(), Some("eu-central-1"), "{content:?}");
    }
    std::fs::write(&path, "central").unwrap();
    let mixed = format!("bedrock: {{region: 'eu-{reference}-${{NUMBER:-1}}'}}");
    let read = parse(&mixed).unwrap().bedrock.region;
    assert_eq!(read.as_deref(), Some("eu-central-1"));

    let large = "x".repeat(65_537);
    for (content, expected) in [
        (&b"\n\n"[..], "is empty"),
        (large.as_bytes(), "is larger than 64 KiB"),
        (b"hunter2\xff", "is not text in UTF-8"),
        (b"hunter2 ", "is not valid for this key; correct the file"),
    ] {
        std::fs::write(&path, content).unwrap();
        let found = problems(&format!("bedrock: {{region: '{reference}'}}")).join("\n");
        let start = "1:bedrock.region: ";
        assert!(found.contains(start) && found.contains(expected), "{found}");
        assert!(found.contains(path.to_str().unwrap()), "{found}");
        assert!(!found.contains("hunter2"), "{found}");
    }
    for (reference, expected) in [
        (
            "${file:/nonexistent/value}",
            "the file /nonexistent/value cannot be read",
        ),
        ("${file:/}", "the file / is not a regular file"),
        ("${file:value}", "`value` is not an absolute path"),
    ] {
        let found = problems(&format!("bedrock: {{region: '{reference}'}}")).join("\n");
        assert!(found.contains(expected), "{found}");
    }
}

/// Errors show paths, so a path cannot be a secret.
#[test]
fn paths_cannot_come_from_files() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("value");
    std::fs::write(&path, "hunter2-path").unwrap();
    let reference = format!("'${{file:{}}}'", path.display());
    for (text, key) in [
        ("access: {keys_file: REF}", "access.keys_file"),
        (
            "tls: {certificate_file: REF, key_file: a}",
            "tls.certificate_file",
        ),
        ("tls: {certificate_file: a, key_file: REF}", "tls.key_file"),
        (
            "tls: {certificate_file: a, key_file: a, client_ca_file: REF}",
            "tls.client_ca_file",
        ),
        ("bedrock: {extra_ca_file: REF}", "bedrock.extra_ca_file"),
        ("traces: {extra_ca_file: REF}", "traces.extra_ca_file"),
        ("usage_records: {file: REF}", "usage_records.file"),
        (
            "usage_records: {extra_ca_file: REF}",
            "usage_records.extra_ca_file",
        ),
        (
            "limits: {store: {url: 'rediss://host', password_file: REF}}",
            "limits.store.password_file",
        ),
        (
            "limits: {store: {url: 'rediss://host', ca_file: REF}}",
            "limits.store.ca_file",
        ),
        (
            "access: {jwt: [{issuer: 'https://a.example', audiences: [b], jwks_file: REF}]}",
            "access.jwt[0].jwks_file",
        ),
        (
            "access: {jwt: [{issuer: 'https://a.example', audiences: [b], ca_file: REF}]}",
            "access.jwt[0].ca_file",
        ),
        (
            "access: {kubernetes: {audience: a, token_file: REF}}",
            "access.kubernetes.token_file",
        ),
        (
            "access: {kubernetes: {audience: a, ca_file: REF}}",
            "access.kubernetes.ca_file",
        ),
    ] {
        let found = problems(&text.replace("REF", &reference)).join("\n");
        let expected = format!("{key}: a path cannot be read from a file");
        assert!(found.contains(&expected), "{text}: {found}");
        assert!(!found.contains("hunter2"), "{text}: {found}");
    }
    let variable = |name: &str| (name == "NAME").then(|| "/k".to_owned());
    let named = Config::parse("access: {keys_file: '${NAME}'}", &variable);
    let named = named.unwrap().access.keys_file;
    assert_eq!(named.as_deref(), Some(Path::new("/k")));
}

/// Messages about several keys can repeat a value.
#[test]
fn the_content_of_a_file_is_in_no_message() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("value");
    std::fs::write(&path, "hunter2-model").unwrap();
    let reference = format!("${{file:{}}}", path.display());
    let text = format!("targets: {{a: {{model_id: '{reference}', fallback: a, region: nowhere}}}}");
    let found = problems(&text).join("\n");
    assert!(!found.is_empty());
    assert!(!found.contains("hunter2"), "{found}");
}

/// Messages go into the log of a gateway that refuses a change.
#[test]
fn the_password_of_a_url_is_in_no_message() {
    for text in [
        "traces: {otlp_endpoint: 'http://u:canary@h:1/p'}",
        "traces: {otlp_endpoint: 'http://h:1/?token=canary'}",
        "bedrock: {endpoint_url: 'htp://u:canary@h/x'}",
        "bedrock: {endpoint_url: 'u:canary@h'}",
        "usage_records: {otlp_endpoint: 'http://u:canary@h:1/p'}",
        "access: {tokens: {a: {issuer: 'http://u:canary@h', audiences: [b]}}}",
    ] {
        let problems = problems(text);
        assert!(!problems.is_empty(), "{text}");
        let shown = problems.join("\n");
        assert!(!shown.contains("canary"), "{shown}");
    }
}
