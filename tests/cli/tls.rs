//! Gateways behind TLS.

use std::io::Write;

use tonic::transport::Identity;

use super::{gateway::Gateway, process::Process};

#[tokio::test]
async fn a_certificate_authority_of_ones_own_is_trusted_when_named() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let pem = certified.cert.pem();
    let identity = Identity::from_pem(&pem, certified.signing_key.serialize_pem());
    let gateway = Gateway::start_tls(identity).await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(pem.as_bytes()).unwrap();
    let ca = file.path().to_str().unwrap();
    let address = format!("https://localhost:{}", gateway.address.port());
    let probe = async |args: &[&str]| {
        let args = [&["--address", &address], args].concat();
        Process::start(gateway.address, &[&["health"], &args[..]].concat())
            .end()
            .await
    };

    let ended = probe(&["--ca", ca]).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), "SERVING\n"),
        "{ended:?}"
    );

    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(other.cert.pem().as_bytes()).unwrap();
    let ended = probe(&["--ca", file.path().to_str().unwrap()]).await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("invalid peer certificate"),
        "{}",
        ended.stderr
    );
    let targets = |address: String| {
        let args = ["targets", "--address", &address];
        let started = Process::start(gateway.address, &args);
        async move { started.end().await.stderr }
    };
    let said = targets(address.clone()).await;
    assert!(said.contains("with --ca"), "{said}");
    let said = targets(format!("http://localhost:{}", gateway.address.port())).await;
    assert!(said.contains("use https:// in --address"), "{said}");
    let plain = Gateway::start().await;
    let said = targets(format!("https://localhost:{}", plain.address.port())).await;
    assert!(said.contains("use http:// in --address"), "{said}");
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_bad_input_for_every_command() {
    let unused = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    let request = r#"{"messages": [{"role": "user", "content": [{"text": "a"}]}]}"#;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(request.as_bytes()).unwrap();
    let request = file.path().to_str().unwrap();
    let connect = ["--address", "https://localhost:1"];
    let missing = "/does/not/exist";
    let commands: [&[&str]; 8] = [
        &["health"],
        &["limits"],
        &["targets"],
        &["chat", "--target", "a", "hi"],
        &["count", "--target", "a", "--converse", request],
        &["invoke", "--target", "a", "--converse", request],
        &["invoke-model", "--target", "a", "--body", request],
        &["guardrail", "--target", "a", "--text", request],
    ];
    for command in commands {
        for option in ["--ca", "--key-file"] {
            let args = [command, &connect, &[option, missing]].concat();
            let ended = Process::with_input(unused, &args, "").await.end().await;
            assert_eq!(ended.code, Some(64), "{args:?}: {ended:?}");
            let said = format!("{option} {missing}: cannot be read");
            assert!(ended.stderr.contains(&said), "{args:?}: {}", ended.stderr);
        }
    }
    for (command, option) in [
        ("count", "--converse"),
        ("invoke", "--converse"),
        ("invoke-model", "--body"),
        ("guardrail", "--text"),
        ("emulate", "--replay"),
        ("iam-policy", "--config"),
        ("serve", "--config"),
    ] {
        let target: &[&str] = match option {
            "--config" | "--replay" => &[],
            _ => &["--target", "a"],
        };
        let args = [&[command, option, missing], target].concat();
        let ended = Process::with_input(unused, &args, "").await.end().await;
        assert_eq!(ended.code, Some(64), "{args:?}: {ended:?}");
        assert!(ended.stderr.contains(missing), "{args:?}: {}", ended.stderr);
    }
}
