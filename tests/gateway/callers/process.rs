//! Callers that are configured with the command line and files, as an operator does it.

use bedrock_emulator::{Emulator, Options};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use tokio::process::Command;
use tonic::Code;

use crate::harness::{
    Process, Serve, TokenKey, ask, bearer, but, claims, file, key_set, seconds, soon,
};

const TARGETS: &str = "targets: {nova: {model_id: 'amazon.nova-lite-v1:0'}}\n";

/// A new key and its entry for a file, as the command prints them.
async fn new_key(caller: &str) -> (String, String) {
    let made = Process::start(["keys", "new", "--caller", caller], [])
        .end()
        .await;
    assert_eq!(made.code, Some(0), "{made:?}");
    let (key, entry) = made.stdout.split_once('\n').unwrap();
    (key.to_owned(), entry.to_owned())
}

#[tokio::test]
async fn a_new_key_works_as_it_is_printed() {
    let (key, entry) = new_key("team-a").await;
    let keys = file(&entry);
    let sections = format!(
        "{TARGETS}callers: {{team-a: {{}}}}\naccess: {{keys_file: {}}}\n",
        keys.path().display()
    );
    let emulator = Emulator::start(Options::default()).unwrap();
    let serve = Serve::with_keys(&emulator, &sections, &[]).await;
    let answer = serve.open(bearer(ask("nova"), &key)).await.end().await;
    answer.is_whole();

    let address = format!("http://{}", serve.address());
    let key_file = file(&format!("{key}\n"));
    let path = key_file.path().to_str().unwrap();
    for (option, variables) in [
        (Some("--key-file"), vec![]),
        (Some("--token-file"), vec![]),
        (None, vec![("BEDROCK_GRPC_KEY", key.as_str())]),
    ] {
        let mut args = vec!["targets", "--address", &address];
        args.extend(option.into_iter().flat_map(|option| [option, path]));
        let listed = Process::start(args, variables).end().await;
        assert_eq!(listed.code, Some(0), "{listed:?}");
        assert!(listed.stdout.contains("nova"), "{listed:?}");
    }
    let refused = Process::start(["targets", "--address", &address], [])
        .end()
        .await;
    assert_ne!(refused.code, Some(0), "{refused:?}");
    assert!(refused.stderr.contains("x-api-key"), "{refused:?}");
}

#[tokio::test]
async fn no_output_of_the_gateway_contains_a_key() {
    let (key, entry) = new_key("team-a").await;
    let (unknown, _) = new_key("team-a").await;
    let cut = &key[..key.len() - 3];
    let token = "eyJhbGciOiJub25lIn0.eyJjYW5hcnkiOiJjYW5hcnkifQ.";
    let keys = file(&entry);
    let sections = format!(
        "{TARGETS}callers: {{team-a: {{}}}}\naccess: {{keys_file: {}}}\nlog: {{level: debug}}\n",
        keys.path().display()
    );
    let emulator = Emulator::start(Options::default()).unwrap();
    let serve = Serve::with_keys(&emulator, &sections, &[]).await;
    let mut heard = String::new();
    for credential in [key.as_str(), &unknown, cut, token] {
        let answer = serve
            .open(bearer(ask("nova"), credential))
            .await
            .end()
            .await;
        let code = if credential == key {
            Code::Ok
        } else {
            Code::Unauthenticated
        };
        assert_eq!(answer.code(), code);
        heard.push_str(&format!("{answer:?}"));
    }
    serve.process.terminate().await;
    let ended = serve.process.end().await;
    for reason in ["unknown", "malformed", "wrong_kind"] {
        let line = ended
            .stderr
            .lines()
            .find(|line| line.contains("authentication failed") && line.contains(reason));
        assert!(line.is_some(), "{reason}:\n{}", ended.stderr);
    }
    for secret in [&key[10..30], &unknown[10..30], &token[25..45]] {
        assert!(!ended.stderr.contains(secret), "{}", ended.stderr);
        assert!(!ended.stdout.contains(secret), "{}", ended.stdout);
        assert!(!heard.contains(secret), "{heard}");
    }
}

#[tokio::test]
async fn no_output_of_the_gateway_contains_a_token() {
    let key = TokenKey::new("a", Algorithm::ES256);
    let canary = |claims: Value| key.sign(&but(claims, "canary", json!("canary-of-the-claims")));
    let expired = but(claims("team-a"), "exp", json!(seconds(-90)));
    let tokens = [
        canary(claims("team-a")),
        canary(expired),
        canary(but(claims("team-a"), "aud", json!("another"))),
        canary(claims("canary-of-a-stranger")),
        TokenKey::forged("a", &claims("team-a")),
    ];
    let keys = file(&key_set(&[&key]).to_string());
    let own = file("canary-of-the-pod");
    // Port 9 (discard), on which no server listens.
    let sections = format!(
        "{TARGETS}callers: {{team-a: {{}}}}\nlog: {{level: debug}}\naccess:\n\
         \x20 jwt: [{{issuer: 'https://login.example.com', audiences: [bedrock-grpc], jwks_file: {}}}]\n\
         \x20 kubernetes: {{audience: a, api_server: 'https://127.0.0.1:9', token_file: {}}}\n",
        keys.path().display(),
        own.path().display()
    );
    let emulator = Emulator::start(Options::default()).unwrap();
    let mut serve = Serve::with_keys(&emulator, &sections, &[]).await;
    let failed = serve.process.logged("cannot be read").await;
    assert!(failed.contains("https://127.0.0.1:9"), "{failed}");
    let mut heard = failed;
    for (index, token) in tokens.iter().enumerate() {
        let answer = serve.open(bearer(ask("nova"), token)).await.end().await;
        assert_eq!(answer.code() == Code::Ok, index == 0, "{answer:?}");
        heard.push_str(&format!("{answer:?}"));
    }
    serve.process.terminate().await;
    let ended = serve.process.end().await;
    for reason in ["expired", "wrong_audience", "unlisted", "bad_signature"] {
        assert!(ended.stderr.contains(reason), "{reason}:\n{}", ended.stderr);
    }
    for part in tokens.iter().flat_map(|token| token.split('.')) {
        for output in [&ended.stderr, &ended.stdout, &heard] {
            assert!(!output.contains(part), "{part}:\n{output}");
            assert!(!output.contains("canary"), "{output}");
        }
    }
}

#[tokio::test]
async fn serve_without_callers_warns() {
    let emulator = Emulator::start(Options::default()).unwrap();
    let config = file(&format!(
        "listen: 127.0.0.1:0\nadmin: {{listen: '127.0.0.1:0'}}\ndrain: {{lame_duck: 0}}\n{TARGETS}"
    ));
    let endpoint = emulator.endpoint_url();
    let mut process = Process::start(
        ["serve", "--config", config.path().to_str().unwrap()],
        [
            ("AWS_REGION", "us-east-1"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", endpoint.as_str()),
        ],
    );
    let line = process.logged("callers are not identified").await;
    assert!(line.contains("WARN"), "{line}");
    process.logged("serving").await;
    process.terminate().await;
    assert_eq!(process.end().await.code, Some(0));
}

#[tokio::test]
async fn a_keys_file_with_mistakes_stops_the_start_with_their_places() {
    for (keys, expected) in [
        (
            "team-a:\n  - sha256: abc\n",
            ":2:13: team-a.keys[0].sha256: not a SHA-256",
        ),
        (
            "team-b: []\nteam-c:\n  - sha256: '0000000000000000000000000000000000000000000000000000000000000000'\n",
            "not in `callers`",
        ),
    ] {
        let keys = file(keys);
        let config = file(&format!(
            "listen: 127.0.0.1:0\nadmin: {{listen: '127.0.0.1:0'}}\n{TARGETS}callers: {{team-a: {{}}}}\naccess: {{keys_file: {}}}\n",
            keys.path().display()
        ));
        let path = config.path().to_str().unwrap();
        for command in [&["check", path][..], &["serve", "--config", path]] {
            let ended = Process::start(
                command,
                [
                    ("AWS_REGION", "us-east-1"),
                    ("AWS_EC2_METADATA_DISABLED", "true"),
                ],
            )
            .end()
            .await;
            assert!(!matches!(ended.code, None | Some(0)), "{ended:?}");
            assert!(ended.stderr.contains(expected), "{ended:?}");
        }
    }
}

#[tokio::test]
async fn dev_with_callers_prints_commands_that_work_and_rejects_other_callers() {
    let mut dev = Process::start(
        [
            "dev",
            "--callers",
            "--listen=127.0.0.1:0",
            "--admin-listen=127.0.0.1:0",
            "--emulator-listen=127.0.0.1:0",
            "--time-to-first-token=0",
            "--tokens-per-second=10000",
        ],
        [],
    );
    let team_b = dev.printed("key of team-b").await;
    let key = team_b.split_whitespace().last().unwrap().to_owned();
    let chat = dev.printed(" chat ").await;
    let run = |line: String| async move {
        soon(Command::new("sh").env_clear().args(["-c", &line]).output())
            .await
            .unwrap()
    };
    let ended = run(chat.clone()).await;
    assert!(ended.status.success(), "{chat}\n{ended:?}");
    assert!(!ended.stdout.is_empty());
    crate::serve::assert_embeds(&chat).await;
    let line = chat.trim_start();
    let (variable, rest) = line.split_once(' ').unwrap();
    assert!(variable.starts_with("BEDROCK_GRPC_KEY=bgrpc_"), "{chat}");
    assert!(!run(rest.to_owned()).await.status.success());
    let other = format!("BEDROCK_GRPC_KEY={key} {rest}");
    assert!(run(other).await.status.success());
    dev.terminate().await;
    assert_eq!(dev.end().await.code, Some(0));
}
