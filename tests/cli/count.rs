//! `count`.

use std::io::Write;

use super::{gateway::Gateway, process::Process};

const BODY: &str = r#"{"modelId":"us.m","messages":[{"role":"user","content":[{"text":"Hello"}]},{"role":"assistant","content":[{"text":"Hi"}]},{"role":"user","content":[{"text":"Bye"}]}]}"#;

#[tokio::test]
async fn the_number_is_printed_and_the_model_that_counted() {
    let gateway = Gateway::start().await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(BODY.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap();
    let count = |more: &[&str]| {
        let mut arguments = vec!["count", "--converse", path];
        arguments.extend_from_slice(more);
        Process::start(gateway.address, &arguments)
    };
    let ended = count(&[]).end().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "3\n"));
    assert!(ended.stderr.contains("behind.us.m"), "{}", ended.stderr);

    let ended = count(&["--target", "claude", "--json"]).end().await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (
            Some(0),
            "{\"countedBy\":\"behind.claude\",\"inputTokens\":3}\n"
        )
    );

    let ended = count(&["--target", "refused"]).end().await;
    assert_ne!(ended.code, Some(0));
    assert_eq!(ended.stdout, "");
    assert!(ended.stderr.contains("cannot count"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_file_that_is_no_request_is_refused() {
    let gateway = Gateway::start().await;
    let missing = Process::start(gateway.address, &["count", "--converse", "/nowhere"]);
    let ended = missing.end().await;
    assert_eq!(ended.code, Some(64));
    assert!(ended.stderr.contains("/nowhere"), "{}", ended.stderr);
}
