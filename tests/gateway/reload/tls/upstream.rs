//! The certificate authorities of connections to Bedrock.

use std::time::Duration;

use bedrock_emulator::{Emulator, Options};
use tonic::Code;

use super::{super::HEAD, *};
use crate::harness::{MODEL, ask, paced};

/// `bedrock.extra_ca_file`, and an alias.
fn sections(endpoint: &str, ca: &Path) -> String {
    format!(
        "bedrock: {{endpoint_url: '{endpoint}', extra_ca_file: {}}}\n{}",
        ca.display(),
        alias("one", MODEL)
    )
}

#[tokio::test]
async fn connections_to_bedrock_trust_the_changed_authorities() {
    let options = Options {
        pace: paced(Duration::from_millis(20), 150),
        tls_listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        ..Options::default()
    };
    let files = TempDir::new().unwrap();
    let (first, second) = (files.path().join("a.pem"), files.path().join("b.pem"));
    let emulator = Emulator::start(options).unwrap();
    let endpoint = emulator.tls_endpoint_url().unwrap();
    let trusted = emulator.ca_pem().unwrap().to_owned();
    let other = Authority::new().pem();
    fs::write(&first, &trusted).unwrap();
    fs::write(&second, &other).unwrap();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("config.yaml");
    let text = format!("{HEAD}{}", sections(&endpoint, &first));
    fs::write(&path, text).unwrap();
    let mut gateway = Reloading::on(folder, path, emulator).await;
    let mut open = gateway.open(ask("one")).await;
    open.tokens(2).await;

    // A call after the change does not use the connection of the open stream.
    fs::write(&first, &other).unwrap();
    let line = gateway.process.logged(RELOADED).await;
    assert!(line.contains("bedrock.extra_ca_file (content)"), "{line}");
    let refused = gateway.stream(ask("one")).await;
    assert_eq!(refused.code(), Code::Unavailable);
    let reason = format!("{refused:?}");
    assert!(reason.contains("UPSTREAM_CONNECT"), "{reason}");
    for broken in ["", "no PEM"] {
        fs::write(&first, broken).unwrap();
        let line = gateway.process.logged(REFUSED).await;
        assert!(line.contains("bedrock.extra_ca_file: "), "{line}");
    }
    fs::write(&first, [other.as_str(), &trusted].concat()).unwrap();
    gateway.process.logged(RELOADED).await;
    gateway.stream(ask("one")).await.is_whole();
    let answer = open.end().await;
    answer.is_whole();
    assert_eq!(answer.texts().count(), 150);

    // The path can change, too. The log names no key that needs a restart.
    gateway
        .becomes(&sections(&endpoint, &second), RELOADED)
        .await;
    assert_eq!(gateway.stream(ask("one")).await.code(), Code::Unavailable);
    gateway
        .becomes(&sections(&endpoint, &first), RELOADED)
        .await;
    gateway.stream(ask("one")).await.is_whole();
    let log = gateway.process.log();
    assert!(!log.contains("need a restart"), "{log}");
}
