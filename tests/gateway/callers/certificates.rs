//! Client certificates (mTLS): which calls they authenticate, and as whom.

use std::time::{Duration, SystemTime};

use bedrock_emulator::{Emulator, Options};
use bedrock_grpc::{
    config::{CallerOptions, ClientAuthentication, Config, Tls},
    pb::{
        CredentialKind, GetLimitsRequest, inference_service_client::InferenceServiceClient,
        limits_service_client::LimitsServiceClient,
    },
};
use tempfile::NamedTempFile;
use tonic::{
    Code,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use crate::harness::{
    Answer, Authority, Gateway, Process, Serve, Stream, ask, file, key_of, key_options, keyed, soon,
};

const TEAM_A: &str = "spiffe://example.com/team-a";

/// A gateway that identifies callers by certificates.
struct Mutual {
    gateway: Gateway,
    authority: Authority,
    _files: [NamedTempFile; 3],
}

impl Mutual {
    async fn with(required: bool, change: impl FnOnce(&mut Config)) -> Self {
        let authority = Authority::new();
        let (certificate, key) = authority.sign("localhost", |_| {});
        let files = [certificate, key, authority.pem()].map(|pem| file(&pem));
        let gateway = Gateway::with(|config, _| {
            let [certificate_file, key_file, ca_file] =
                files.each_ref().map(|file| file.path().to_owned());
            config.server.tls = Some(Tls {
                certificate_file,
                key_file,
                clients: Some(ClientAuthentication { ca_file, required }),
            });
            config.access.has_client_ca = true;
            config.access.required = true;
            for (name, certificates) in [
                ("team-a", vec![TEAM_A, "a.example.com"]),
                ("team-b", vec!["spiffe://example.com/*"]),
                ("team-c", vec!["spiffe://example.com/c/*"]),
            ] {
                let caller = CallerOptions {
                    certificates: certificates.into_iter().map(str::to_owned).collect(),
                    ..CallerOptions::default()
                };
                config.access.callers.insert(name.to_owned(), caller);
            }
            change(config);
        })
        .await;
        Self {
            gateway,
            authority,
            _files: files,
        }
    }

    fn client(&self, identity: Option<Identity>) -> InferenceServiceClient<Channel> {
        InferenceServiceClient::new(self.channel(identity))
    }

    fn channel(&self, identity: Option<Identity>) -> Channel {
        let ca = Certificate::from_pem(self.authority.pem());
        let mut tls = ClientTlsConfig::new().ca_certificate(ca);
        if let Some(identity) = identity {
            tls = tls.identity(identity);
        }
        let address = format!("https://localhost:{}", self.gateway.address.port());
        let endpoint = Endpoint::from_shared(address).unwrap().tls_config(tls);
        endpoint.unwrap().connect_lazy()
    }

    async fn call(&self, identity: Option<Identity>) -> Answer {
        let mut client = self.client(identity);
        soon(Stream::open(&mut client, ask("nova")))
            .await
            .end()
            .await
    }
}

#[tokio::test]
async fn a_caller_with_a_certificate_learns_who_it_is_and_what_is_left() {
    let mutual = Mutual::with(true, |config| {
        let caller = config.access.callers.get_mut("team-a").unwrap();
        caller.quota.requests_per_minute = Some(10);
    })
    .await;
    let identity = || Some(mutual.authority.identity(TEAM_A));
    mutual.call(identity()).await.is_whole();
    let mut client = LimitsServiceClient::new(mutual.channel(identity()));
    let limits = soon(client.get_limits(GetLimitsRequest {})).await;
    let limits = limits.unwrap().into_inner();
    assert_eq!(limits.caller, "team-a");
    assert_eq!(limits.credential(), CredentialKind::Certificate);
    let left: Vec<_> = limits
        .limits
        .iter()
        .map(|limit| limit.remaining())
        .collect();
    assert_eq!(left, [9]);
}

#[tokio::test]
async fn certificates_of_callers_are_accepted_and_others_are_not() {
    let mutual = Mutual::with(true, |_| {}).await;
    for (name, code) in [
        (TEAM_A, Code::Ok),
        ("A.example.com", Code::Ok),
        ("spiffe://example.com/any/workload", Code::Ok),
        ("spiffe://example.com/c/workload", Code::Ok),
        ("spiffe://example.org/team-a", Code::Unauthenticated),
        ("spiffe://example.com", Code::Unauthenticated),
        ("b.example.com", Code::Unauthenticated),
        // The name of a caller does not count as the name of its certificate.
        ("team-a", Code::Unauthenticated),
    ] {
        let answer = mutual.call(Some(mutual.authority.identity(name))).await;
        assert_eq!(answer.code(), code, "{name}: {answer:?}");
    }
    let unlisted = r#"bedrock_grpc_authentication_failures_total{reason="unlisted"}"#;
    assert_eq!(mutual.gateway.metric(unlisted).await, 4.0);
}

#[tokio::test]
async fn connections_without_a_valid_certificate_end_in_the_handshake() {
    let mutual = Mutual::with(true, |_| {}).await;
    let other = Authority::new();
    let ended = |days: u64| SystemTime::now() - Duration::from_secs(days * 86_400);
    let (certificate, key) = mutual.authority.sign(TEAM_A, |params| {
        params.not_before = ended(9).into();
        params.not_after = ended(1).into();
    });
    let expired = Identity::from_pem(certificate, key);
    for (what, identity) in [
        ("none", None),
        ("another authority", Some(other.identity(TEAM_A))),
        ("expired", Some(expired)),
    ] {
        let answer = mutual.call(identity).await;
        assert_ne!(answer.code(), Code::Ok, "{what}");
        assert_ne!(answer.code(), Code::Unauthenticated, "{what}");
    }
    assert_eq!(mutual.gateway.emulator.calls(), []);
    let identity = mutual.authority.identity(TEAM_A);
    mutual.call(Some(identity)).await.is_whole();
}

#[tokio::test]
async fn optional_certificates_leave_room_for_keys() {
    let secret = key_of();
    let mutual = Mutual::with(false, |config| {
        let caller = config.access.callers.get_mut("team-a").unwrap();
        caller.keys.push(key_options(&secret));
    })
    .await;
    let refused = mutual.call(None).await;
    assert_eq!(refused.code(), Code::Unauthenticated);
    let identity = mutual.authority.identity(TEAM_A);
    mutual.call(Some(identity)).await.is_whole();
    let unlisted = mutual.authority.identity("b.example.com");
    // A key takes precedence over the certificate, which then need not belong to a caller.
    for identity in [None, Some(unlisted)] {
        let mut client = mutual.client(identity);
        let answer = soon(Stream::open(&mut client, keyed(ask("nova"), &secret))).await;
        answer.end().await.is_whole();
    }
    // A valid certificate does not replace a wrong key.
    let mut client = mutual.client(Some(mutual.authority.identity(TEAM_A)));
    let wrong = soon(Stream::open(&mut client, keyed(ask("nova"), &key_of()))).await;
    assert_eq!(wrong.end().await.code(), Code::Unauthenticated);
    // A certificate of another authority is refused even if none is needed.
    let answer = mutual.call(Some(Authority::new().identity(TEAM_A))).await;
    assert_ne!(answer.code(), Code::Ok);
}

#[tokio::test]
async fn without_a_need_for_identities_every_certificate_is_served() {
    let mutual = Mutual::with(true, |config| config.access.required = false).await;
    let unlisted = mutual.authority.identity("proxy.example.com");
    mutual.call(Some(unlisted)).await.is_whole();
    assert_ne!(mutual.call(None).await.code(), Code::Ok);
}

#[tokio::test]
async fn a_certificate_that_ends_while_its_connection_is_open_no_longer_counts() {
    let mutual = Mutual::with(true, |_| {}).await;
    let (certificate, key) = mutual.authority.sign(TEAM_A, |params| {
        params.not_after = (SystemTime::now() + Duration::from_secs(4)).into();
    });
    let mut client = mutual.client(Some(Identity::from_pem(certificate, key)));
    let first = soon(Stream::open(&mut client, ask("nova"))).await;
    first.end().await.is_whole();
    soon(async {
        loop {
            let answer = Stream::open(&mut client, ask("nova")).await.end().await;
            if answer.code() != Code::Ok {
                assert_eq!(answer.code(), Code::Unauthenticated);
                assert!(format!("{answer:?}").contains("expired"), "{answer:?}");
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_client_commands_present_a_certificate() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("localhost", |_| {});
    let (client, client_key) = authority.sign(TEAM_A, |_| {});
    let pems = [certificate, key, authority.pem(), client, client_key];
    let files = pems.map(|pem| file(&pem));
    let [certificate, key, ca, client, client_key] =
        files.each_ref().map(|file| file.path().to_str().unwrap());
    let emulator = Emulator::start(Options::default()).unwrap();
    let sections = format!(
        "tls: {{certificate_file: {certificate}, key_file: {key}, client_ca_file: {ca}}}\n\
         callers: {{team-a: {{certificates: ['{TEAM_A}']}}}}\n"
    );
    let serve = Serve::with_keys(&emulator, &sections, &[]).await;
    let address = format!("https://localhost:{}", serve.address().port());
    let common = ["targets", "--address", &address, "--ca", ca];
    let with = ["--client-cert", client, "--client-key", client_key];
    let listed = Process::start([&common[..], &with].concat(), [])
        .end()
        .await;
    assert_eq!(listed.code, Some(0), "{listed:?}");
    let refused = Process::start(common, []).end().await;
    assert_ne!(refused.code, Some(0), "{refused:?}");
    let half = [&common[..], &with[..2]].concat();
    let wrong = Process::start(half, []).end().await;
    assert!(wrong.stderr.contains("--client-key"), "{wrong:?}");
}
