//! The gateway's own certificate and key.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bedrock_emulator::Options;

use super::*;
use crate::harness::{MODEL, Stream, ask, paced};

#[tokio::test]
async fn a_renewed_certificate_closes_no_connection() {
    let files = Files::new();
    let first = files.renew();
    let sections = format!("{}{}", files.section(), alias("one", MODEL));
    let options = Options {
        pace: paced(Duration::from_millis(20), 150),
        ..Options::default()
    };
    let mut gateway = Reloading::with(&sections, options).await;
    let raw = files.raw_client(None);
    let seen = handshake(gateway.address, &raw).await.unwrap();
    assert_eq!(seen.certificate, first);
    let before = expiry(&gateway).await.unwrap();
    let (mut client, opened) = files.client(&gateway, None);
    let mut stream = soon(Stream::open(&mut client, ask("one"))).await;
    stream.tokens(2).await;

    let end = SystemTime::now() + Duration::from_secs(40 * 86_400);
    let (certificate, key) = files
        .authority
        .sign("localhost", |params| params.not_after = end.into());
    files.write("tls.crt", &certificate);
    files.write("tls.key", &key);
    let line = gateway.process.logged(RELOADED).await;
    assert!(line.contains("tls.certificate_file (content)"), "{line}");
    assert!(line.contains("tls.key_file (content)"), "{line}");
    assert!(!gateway.process.log().contains(REFUSED));

    // New connections get the new certificate. A session from before is not resumed.
    let seen = handshake(gateway.address, &raw).await.unwrap();
    let second = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    assert_eq!(seen.certificate, second);
    assert_eq!(seen.kind, HandshakeKind::Full);
    // The old connection serves its open stream and new calls.
    soon(Stream::open(&mut client, ask("one")))
        .await
        .end()
        .await
        .is_whole();
    let answer = stream.end().await;
    answer.is_whole();
    assert_eq!(answer.texts().count(), 150);
    assert_eq!(opened.load(Ordering::Relaxed), 1);

    let now = expiry(&gateway).await.unwrap();
    let expected = end.duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert_eq!(now, i64::try_from(expected).unwrap());
    assert_ne!(now, before);
}

#[tokio::test]
async fn a_key_that_is_not_the_certificates_changes_nothing() {
    let files = Files::new();
    let first = files.renew();
    let sections = |name: &str| format!("{}{}", files.section(), alias(name, MODEL));
    let mut gateway = Reloading::start(&sections("one")).await;
    let raw = files.raw_client(None);
    let before = expiry(&gateway).await;
    let (certificate, key) = files.authority.sign("localhost", |_| {});

    files.write("tls.key", &key);
    let line = gateway.process.logged(REFUSED).await;
    assert!(line.contains("is not the key of the certificate"), "{line}");
    assert!(!gateway.last_reload_successful().await);
    for broken in ["", "no PEM", &certificate[..certificate.len() / 2]] {
        files.write("tls.crt", broken);
        let line = gateway.process.logged(REFUSED).await;
        assert!(line.contains("tls.certificate_file: "), "{line}");
    }
    fs::remove_file(files.path("tls.crt")).unwrap();
    let line = gateway.process.logged(REFUSED).await;
    assert!(line.contains("cannot be read"), "{line}");
    // A change of the configuration is not used with files that do not match it.
    let line = gateway.becomes(&sections("two"), REFUSED).await;
    assert!(line.contains("cannot be read"), "{line}");
    let seen = handshake(gateway.address, &raw).await.unwrap();
    assert_eq!(seen.certificate, first);
    assert_eq!(expiry(&gateway).await, before);
    let (mut client, _) = files.client(&gateway, None);
    soon(Stream::open(&mut client, ask("one")))
        .await
        .end()
        .await
        .is_whole();

    files.write("tls.crt", &certificate);
    let line = gateway.process.logged(RELOADED).await;
    assert!(line.contains("targets.two"), "{line}");
    assert!(gateway.last_reload_successful().await);
    let seen = handshake(gateway.address, &raw).await.unwrap();
    assert_ne!(seen.certificate, first);
    let log = gateway.process.log();
    for secret in key.lines().filter(|line| !line.starts_with('-')) {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test]
async fn sessions_survive_a_change_of_something_else() {
    let files = Files::new();
    let sections = |name: &str| format!("{}{}", files.section(), alias(name, MODEL));
    let mut gateway = Reloading::start(&sections("one")).await;
    let raw = files.raw_client(None);
    for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let seen = handshake(gateway.address, &raw).await.unwrap();
        assert_eq!(seen.kind, kind);
    }
    gateway.becomes(&sections("two"), RELOADED).await;
    let seen = handshake(gateway.address, &raw).await.unwrap();
    assert_eq!(seen.kind, HandshakeKind::Resumed);
}

#[tokio::test]
async fn tls_is_switched_on_and_off_for_new_connections() {
    let files = Files::new();
    let plain = alias("one", MODEL);
    let encrypted = format!("{}{plain}", files.section());
    let mut gateway = Reloading::start(&plain).await;
    let mut old = gateway.client().await;
    assert_eq!(expiry(&gateway).await, None);
    gateway.becomes(&encrypted, RELOADED).await;
    let (mut client, _) = files.client(&gateway, None);
    for client in [&mut client, &mut old] {
        soon(Stream::open(client, ask("one")))
            .await
            .end()
            .await
            .is_whole();
    }
    assert!(expiry(&gateway).await.is_some());

    let line = gateway.becomes(&plain, REFUSED).await;
    assert!(
        line.contains("tls: new connections would be plain text"),
        "{line}"
    );
    let raw = files.raw_client(None);
    handshake(gateway.address, &raw).await.unwrap();
    gateway
        .becomes(&format!("allow_weaker: true\n{plain}"), RELOADED)
        .await;
    gateway.stream(ask("one")).await.is_whole();
    assert_eq!(expiry(&gateway).await, None);
}

/// A certificate that clients refuse now is used, with a warning at the start and after a change.
#[tokio::test]
async fn a_certificate_that_is_not_valid_now_is_warned_of() {
    let files = Files::new();
    let day = Duration::from_secs(86_400);
    let write = |begin: SystemTime, end: SystemTime| {
        let (certificate, key) = files.authority.sign("localhost", |params| {
            params.not_before = begin.into();
            params.not_after = end.into();
        });
        files.write("tls.crt", &certificate);
        files.write("tls.key", &key);
    };
    let now = SystemTime::now();
    write(now - 2 * day, now - day);
    let sections = format!("{}{}", files.section(), alias("one", MODEL));
    let mut gateway = Reloading::start(&sections).await;
    let warned = |log: &str, reason: &str| {
        let mut lines = log.lines();
        lines.any(|line| line.contains("tls.certificate_file") && line.contains(reason))
    };
    let log = gateway.process.log();
    assert!(warned(log, "expired at "), "{log}");

    write(now + day, now + 2 * day);
    gateway.process.logged(RELOADED).await;
    let log = gateway.process.log();
    assert!(warned(log, "is not valid before "), "{log}");
    assert_eq!(log.matches("expired at ").count(), 1, "{log}");

    // There is no warning about a valid one.
    files.renew();
    gateway.process.logged(RELOADED).await;
    assert_eq!(
        gateway
            .process
            .log()
            .matches("so clients refuse it")
            .count(),
        2
    );
}

#[tokio::test]
async fn authorities_that_expire_soon_are_reported_at_the_start_and_after_a_change() {
    let files = Files::new();
    let authority = |days: u64| {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.not_after = (SystemTime::now() + Duration::from_secs(days * 86_400)).into();
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().pem()
    };
    files.write("ca.crt", &authority(6));
    let sections = format!(
        "{}{}",
        files.section_with_clients("required"),
        alias("one", MODEL)
    );
    let mut gateway = Reloading::start(&sections).await;
    let reports = |gateway: &Reloading| {
        let lines = gateway.process.log().lines();
        let about = lines.filter(|line| line.contains("tls.client_ca_file"));
        about.filter(|line| line.contains(" expires at ")).count()
    };
    assert_eq!(reports(&gateway), 1);
    let metric = "bedrock_grpc_tls_client_ca_expiry_timestamp_seconds ";
    let first = gateway.metric(metric).await;
    files.write("ca.crt", &[authority(5), authority(8)].concat());
    gateway.process.logged(RELOADED).await;
    assert_eq!(reports(&gateway), 2);
    files.write("ca.crt", &authority(8));
    gateway.process.logged(RELOADED).await;
    assert_eq!(reports(&gateway), 2);
    let last = gateway.metric(metric).await;
    let seconds = |line: &str| line.split_once(' ').unwrap().1.parse::<i64>().unwrap();
    let days = (seconds(&last) - seconds(&first)) / 86_000;
    assert_eq!(days, 2, "{first} {last}");
}
