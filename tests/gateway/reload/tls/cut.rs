//! Open calls on connections that are no longer accepted: they end at once, if the operator chose
//! that.

use std::time::Duration;

use bedrock_emulator::Options;
use tonic::{Code, IntoRequest};

use super::*;
use crate::harness::{Answer, MODEL, Stream, ask, invoke, key_of, keyed, paced, sha256_of};

const CUT: &str = "open calls of revoked credentials were ended";
const TOKENS: usize = 150;

/// Slow enough that calls are open during a reload.
fn slow() -> Options {
    Options {
        pace: paced(Duration::from_millis(20), TOKENS),
        ..Options::default()
    }
}

type Client = InferenceServiceClient<Channel>;

/// Opens a call, and reads its first tokens.
async fn open(
    client: &mut Client,
    request: impl IntoRequest<bedrock_grpc::pb::StreamInvokeRequest>,
) -> Stream {
    let mut stream = soon(Stream::open(client, request)).await;
    stream.tokens(2).await;
    stream
}

fn is_cut(answer: &Answer) {
    assert_eq!(answer.code(), Code::Unauthenticated, "{answer:?}");
    let details = answer.details();
    assert_eq!(details.reason(), "CALLER_UNAUTHENTICATED");
    assert_eq!(details.phase(), "mid-stream");
    let tokens = answer.texts().count();
    assert!((2..TOKENS).contains(&tokens), "{tokens}");
}

fn is_whole(answer: &Answer) {
    answer.is_whole();
    assert_eq!(answer.texts().count(), TOKENS);
}

#[tokio::test]
async fn open_calls_on_connections_of_a_removed_authority_are_cut() {
    let (files, key) = (Files::new(), key_of());
    let (removed, kept) = (Authority::new(), Authority::new());
    let both = [removed.pem(), kept.pem()].concat();
    files.write("ca.crt", &both);
    let sections = format!(
        "{}access: {{on_revoke: cut}}\ncallers: {{team-a: {{certificates: ['{TEAM_A}']}}, team-b: {{certificates: ['{TEAM_B}'], keys: [{{sha256: {}}}]}}}}\n{}",
        files.section_with_clients("required"),
        sha256_of(&key),
        alias("one", MODEL)
    );
    let mut gateway = Reloading::with(&sections, slow()).await;
    let (of_removed, of_kept) = (removed.sign(TEAM_A, |_| {}), kept.sign(TEAM_A, |_| {}));
    let (mut old, _) = files.client(&gateway, Some(&of_removed));
    let (mut new, _) = files.client(&gateway, Some(&of_kept));
    // The same caller on both connections, and the same key. A call without a stream, too.
    let by_certificate = open(&mut old, ask("one")).await;
    let by_key = open(&mut old, keyed(ask("one"), &key)).await;
    let mut unary = old.clone();
    let unary = tokio::spawn(async move { unary.invoke(invoke(ask("one"))).await });
    soon(gateway.emulator.wait_for(|calls| calls.len() == 3)).await;
    let kept_by_certificate = open(&mut new, ask("one")).await;
    let kept_by_key = open(&mut new, keyed(ask("one"), &key)).await;

    files.write("ca.crt", &kept.pem());
    let line = gateway.process.logged(CUT).await;
    assert!(line.contains(r#""credentials":2"#), "{line}");
    for cut in [by_certificate, by_key] {
        is_cut(&soon(cut.end()).await);
    }
    let status = soon(unary).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let said = "the certificate of its connection is no longer accepted";
    assert!(status.message().contains(said), "{status}");
    for kept in [kept_by_certificate, kept_by_key] {
        is_whole(&kept.end().await);
    }

    // The authority is added again. Its earlier removal does not end new calls.
    files.write("ca.crt", &both);
    gateway.process.logged(RELOADED).await;
    is_whole(&open(&mut old, ask("one")).await.end().await);
}

/// The calls have no identity, so only their connection can be refused.
#[tokio::test]
async fn open_calls_without_the_certificate_that_becomes_required_are_cut() {
    let files = Files::new();
    let authority = Authority::new();
    files.write("ca.crt", &authority.pem());
    let identity = authority.sign(TEAM_A, |_| {});
    let rest = format!(
        "access: {{required: false, on_revoke: cut}}\n{}",
        alias("one", MODEL)
    );
    let required = format!("{}{rest}", files.section_with_clients("required"));
    for before in [files.section_with_clients("optional"), files.section()] {
        let mut gateway = Reloading::with(&format!("{before}{rest}"), slow()).await;
        let (mut bare, _) = files.client(&gateway, None);
        let (mut certified, _) = files.client(&gateway, Some(&identity));
        let bare = open(&mut bare, ask("one")).await;
        let certified = open(&mut certified, ask("one")).await;
        gateway.becomes(&required, CUT).await;
        is_cut(&soon(bare.end()).await);
        // A gateway that did not request certificates has none from its clients.
        let certified = certified.end().await;
        if before == files.section() {
            is_cut(&certified);
        } else {
            is_whole(&certified);
        }
    }
}

#[tokio::test]
async fn open_calls_of_a_caller_without_its_certificate_are_cut() {
    let files = Files::new();
    let authority = Authority::new();
    files.write("ca.crt", &authority.pem());
    let with = |callers: &str| {
        format!(
            "{}access: {{on_revoke: cut}}\ncallers: {{{callers}}}\n{}",
            files.section_with_clients("required"),
            alias("one", MODEL)
        )
    };
    let of_b = format!("team-b: {{certificates: ['{TEAM_B}']}}");
    let both = with(&format!("team-a: {{certificates: ['{TEAM_A}']}}, {of_b}"));
    let mut gateway = Reloading::with(&both, slow()).await;
    let (a, b) = (
        authority.sign(TEAM_A, |_| {}),
        authority.sign(TEAM_B, |_| {}),
    );
    let (mut a, _) = files.client(&gateway, Some(&a));
    let (mut b, _) = files.client(&gateway, Some(&b));
    let (of_a, of_b_open) = (
        open(&mut a, ask("one")).await,
        open(&mut b, ask("one")).await,
    );
    gateway
        .becomes(&with(&format!("team-a: {{}}, {of_b}")), CUT)
        .await;
    is_cut(&soon(of_a.end()).await);
    is_whole(&of_b_open.end().await);
}
