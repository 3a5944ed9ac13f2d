//! The certificate authorities of clients.

use std::time::Duration;

use bedrock_emulator::Options;
use tonic::Code;

use super::*;
use crate::harness::{MODEL, Stream, ask, key_of, keyed, paced, sha256_of};

fn callers() -> String {
    format!(
        "callers: {{team-a: {{certificates: ['{TEAM_A}']}}, team-b: {{certificates: ['{TEAM_B}']}}}}\n{}",
        alias("one", MODEL)
    )
}

async fn code(client: &mut InferenceServiceClient<Channel>) -> Code {
    let stream = soon(Stream::open(client, ask("one"))).await;
    stream.end().await.code()
}

#[tokio::test]
async fn a_removed_authority_ends_sessions_and_the_access_of_old_connections() {
    let files = Files::new();
    let (removed, kept) = (Authority::new(), Authority::new());
    let both = [removed.pem(), kept.pem()].concat();
    files.write("ca.crt", &both);
    let sections = format!("{}{}", files.section_with_clients("required"), callers());
    let options = Options {
        pace: paced(Duration::from_millis(20), 100),
        ..Options::default()
    };
    let mut gateway = Reloading::with(&sections, options).await;
    let (of_removed, of_kept) = (removed.sign(TEAM_A, |_| {}), kept.sign(TEAM_B, |_| {}));
    let (mut team_a, opened_a) = files.client(&gateway, Some(&of_removed));
    let (mut team_b, opened_b) = files.client(&gateway, Some(&of_kept));
    let [raw_a, raw_b] = [&of_removed, &of_kept].map(|one| files.raw_client(Some(one)));
    for raw in [&raw_a, &raw_b] {
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let seen = handshake(gateway.address, raw).await.unwrap();
            assert_eq!(seen.kind, kind);
        }
    }
    let mut open_a = soon(Stream::open(&mut team_a, ask("one"))).await;
    let mut open_b = soon(Stream::open(&mut team_b, ask("one"))).await;
    open_a.tokens(2).await;
    open_b.tokens(2).await;

    files.write("ca.crt", &kept.pem());
    let line = gateway.process.logged(RELOADED).await;
    assert!(line.contains("tls.client_ca_file (content)"), "{line}");

    // The sessions from before are not resumed. They would skip the check of the certificate.
    let refused = handshake(gateway.address, &raw_a).await;
    assert!(refused.is_err(), "{refused:?}");
    let seen = handshake(gateway.address, &raw_b).await.unwrap();
    assert_eq!(seen.kind, HandshakeKind::Full);
    // The next call on the old connection has no identity. The client cannot open another one.
    let refused = soon(Stream::open(&mut team_a, ask("one"))).await;
    let refused = refused.end().await;
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(format!("{refused:?}").contains("accepted authority"));
    let untrusted = r#"bedrock_grpc_authentication_failures_total{reason="untrusted_certificate"}"#;
    assert!(gateway.metric(untrusted).await.ends_with(" 1"));
    soon(async {
        while opened_a.load(Ordering::Relaxed) == 1 {
            assert_ne!(code(&mut team_a).await, Code::Ok);
        }
    })
    .await;
    // The other connection stays open, and so do the open calls of both.
    assert_eq!(code(&mut team_b).await, Code::Ok);
    assert_eq!(opened_b.load(Ordering::Relaxed), 1);
    for open in [open_a, open_b] {
        let answer = open.end().await;
        answer.is_whole();
        assert_eq!(answer.texts().count(), 100);
    }

    // The authority can come back.
    files.write("ca.crt", &both);
    gateway.process.logged(RELOADED).await;
    assert_eq!(code(&mut team_a).await, Code::Ok);
    assert_eq!(code(&mut team_b).await, Code::Ok);
    assert_eq!(opened_b.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn the_check_of_certificates_is_not_switched_off_by_mistake() {
    let files = Files::new();
    let authority = Authority::new();
    files.write("ca.crt", &authority.pem());
    let required = files.section_with_clients("required");
    let without = alias("one", MODEL);
    let access = "access: {required: false}\n";
    let mut gateway = Reloading::start(&format!("{access}{required}{without}")).await;
    let raw = files.raw_client(None);
    for (weaker, key) in [
        (files.section(), "tls.client_ca_file: "),
        (files.section_with_clients("optional"), "tls.client_auth: "),
        (String::new(), "tls: "),
    ] {
        let line = gateway
            .becomes(&format!("{access}{weaker}{without}"), REFUSED)
            .await;
        assert!(line.contains(key), "{line}");
        assert!(handshake(gateway.address, &raw).await.is_err());
        if weaker.is_empty() {
            gateway.process.logged("tls.client_ca_file: ").await;
        }
    }
    // A file without authorities is a mistake, whatever the configuration allows.
    let meant = format!("allow_weaker: true\n{access}{required}{without}");
    gateway.becomes(&meant, RELOADED).await;
    files.write("ca.crt", "");
    let line = gateway.process.logged(REFUSED).await;
    assert!(line.contains("it contains no certificate"), "{line}");
    assert!(handshake(gateway.address, &raw).await.is_err());

    let open = format!("allow_weaker: true\n{access}{}{without}", files.section());
    gateway.becomes(&open, RELOADED).await;
    handshake(gateway.address, &raw).await.unwrap();
}

/// A key does not replace the certificate that the configuration requires.
#[tokio::test]
async fn a_connection_without_the_required_certificate_is_replaced() {
    let files = Files::new();
    let authority = Authority::new();
    files.write("ca.crt", &authority.pem());
    let key = key_of();
    let hash = sha256_of(&key);
    let rest = format!(
        "callers: {{team-a: {{keys: [{{sha256: {hash}}}]}}}}\n{}",
        alias("one", MODEL)
    );
    let with = |client_auth| format!("{}{rest}", files.section_with_clients(client_auth));
    let mut gateway = Reloading::start(&with("optional")).await;
    let identity = authority.sign(TEAM_A, |_| {});
    let (mut bare, opened) = files.client(&gateway, None);
    let (mut certified, opened_certified) = files.client(&gateway, Some(&identity));
    let code = async |client: &mut InferenceServiceClient<Channel>| {
        let stream = soon(Stream::open(client, keyed(ask("one"), &key))).await;
        stream.end().await.code()
    };
    assert_eq!(code(&mut bare).await, Code::Ok);
    assert_eq!(code(&mut certified).await, Code::Ok);
    gateway.becomes(&with("required"), RELOADED).await;
    assert_eq!(code(&mut bare).await, Code::Unauthenticated);
    assert_eq!(code(&mut certified).await, Code::Ok);
    soon(async {
        while opened.load(Ordering::Relaxed) == 1 {
            assert_ne!(code(&mut bare).await, Code::Ok);
        }
    })
    .await;
    assert_eq!(opened_certified.load(Ordering::Relaxed), 1);
}
