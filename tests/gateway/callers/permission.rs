//! Permissions of callers.

use bedrock_grpc::{
    access::key::Secret,
    pb::{GetTargetRequest, ListTargetsRequest, RawMember, StreamInvokeRequest},
};
use serde_json::{Value, json};
use tonic::Code;

use crate::harness::{Answer, Details, Gateway, ask, invoke, keyed, soon, two_teams};

const TARGETS: &str = "
allowed_model_ids: ['amazon.*', 'us.*']
service_tiers: [default, flex]
limits: {max_tokens: 1000}
targets:
  nova: {model_id: 'amazon.nova-lite-v1:0', defaults: {temperature: 0.1}}
  secret: {model_id: 'amazon.nova-lite-v1:0'}
";

/// A gateway with the callers `team-a`, with these settings, and `team-b`.
async fn gateway(groups: &str, team_a: &str) -> (Gateway, Secret, Secret) {
    two_teams(&format!("{TARGETS}\ngroups: {groups}"), team_a).await
}

#[track_caller]
fn is_not_allowed(answer: &Answer, named: &str) {
    assert_eq!(answer.code(), Code::PermissionDenied, "{answer:?}");
    assert_eq!(answer.details().reason(), "CALLER_NOT_ALLOWED");
    let shown = format!("{answer:?}");
    assert!(shown.contains(named), "{named}: {shown}");
}

/// Makes a call, which must succeed, and returns the body that reached Bedrock.
async fn sent(gateway: &Gateway, request: StreamInvokeRequest, key: &Secret) -> Value {
    let before = gateway.emulator.calls().len();
    gateway.stream(keyed(request, key)).await.is_whole();
    let calls = gateway.ended(before + 1).await;
    serde_json::from_slice(&calls.last().unwrap().body).unwrap()
}

#[tokio::test]
async fn methods_that_are_not_listed_are_refused() {
    let (gateway, a, b) = gateway("{}", "{methods: [Invoke]}").await;
    let answer = gateway.stream(keyed(ask("nova"), &a)).await;
    is_not_allowed(&answer, "may not call StreamInvoke; it may call Invoke");
    let mut client = gateway.inference();
    assert!(
        soon(client.invoke(keyed(invoke(ask("nova")), &a)))
            .await
            .is_ok()
    );
    gateway.stream(keyed(ask("nova"), &b)).await.is_whole();
    let list = keyed(ListTargetsRequest::default(), &a);
    let status = soon(gateway.targets().list_targets(list))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(Details::of(&status).reason(), "CALLER_NOT_ALLOWED");
}

#[tokio::test]
async fn other_targets_look_as_if_they_did_not_exist() {
    let (gateway, a, b) = gateway("{}", "{targets: [nova]}").await;
    gateway.stream(keyed(ask("nova"), &a)).await.is_whole();
    for name in ["secret", "secre", "amazon.nova-lite-v1:0"] {
        let answer = gateway.stream(keyed(ask(name), &a)).await;
        let named = format!("target `{name}`: caller `team-a` may not use it; it may use nova");
        is_not_allowed(&answer, &named);
        let request = GetTargetRequest {
            target: name.to_owned(),
        };
        let status = soon(gateway.targets().get_target(keyed(request, &a)))
            .await
            .unwrap_err();
        assert_eq!(Details::of(&status).reason(), "CALLER_NOT_ALLOWED");
    }
    for (key, names, patterns) in [(&a, vec!["nova"], 0), (&b, vec!["nova", "secret"], 2)] {
        let list = keyed(ListTargetsRequest::default(), key);
        let answer = soon(gateway.targets().list_targets(list))
            .await
            .unwrap()
            .into_inner();
        let listed: Vec<_> = answer.targets.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(listed, names);
        assert_eq!(answer.allowed_model_ids.len(), patterns);
    }
}

#[tokio::test]
async fn groups_add_to_each_other_and_the_caller_narrows_the_result() {
    let groups = "{one: {targets: [nova], allowed_model_ids: ['amazon.*']}, two: {targets: [secret]}, three: {}}";
    let (both, a, _) = gateway(groups, "{groups: [one, two, three]}").await;
    for name in ["nova", "secret", "amazon.nova-lite-v1:0"] {
        both.stream(keyed(ask(name), &a)).await.is_whole();
    }
    let answer = both
        .stream(keyed(ask("us.amazon.nova-lite-v1:0"), &a))
        .await;
    is_not_allowed(&answer, "the model IDs amazon.*");
    let (narrow, a, _) = gateway(groups, "{groups: [one, two], targets: [secret]}").await;
    narrow.stream(keyed(ask("secret"), &a)).await.is_whole();
    for name in ["nova", "amazon.nova-lite-v1:0"] {
        is_not_allowed(&narrow.stream(keyed(ask(name), &a)).await, name);
    }
}

#[tokio::test]
async fn what_is_enforced_on_a_caller_cannot_be_evaded() {
    let settings = "{limits: {max_tokens: 50}, service_tiers: [flex], \
        guardrail: {identifier: abc1, version: '1', enforced: true}, \
        request_metadata: {team: a}, defaults: {temperature: 0.7}}";
    let (gateway, a, b) = gateway("{}", settings).await;
    let mut forged = ask("nova");
    let input = forged.input.as_mut().unwrap();
    input
        .request_metadata
        .insert("team".to_owned(), "b".to_owned());
    let body = sent(&gateway, forged.clone(), &a).await;
    assert_eq!(body["requestMetadata"], json!({"team": "a"}));
    assert_eq!(body["inferenceConfig"]["maxTokens"], 50);
    assert_eq!(body["inferenceConfig"]["temperature"], 0.7);
    assert_eq!(body["serviceTier"]["type"], "flex");
    assert_eq!(body["guardrailConfig"]["guardrailIdentifier"], "abc1");
    // The settings of another caller do not change.
    let body = sent(&gateway, forged, &b).await;
    assert_eq!(body["requestMetadata"], json!({"team": "b"}));
    assert_eq!(body["inferenceConfig"]["maxTokens"], 1000);
    for (pointer, json) in [
        ("/requestMetadata", "{\"team\":\"b\"}"),
        ("/requestMetadata/team", "\"b\""),
        ("/RequestMetadata/team", "\"b\""),
        ("/inferenceConfig/maxTokens", "900"),
        ("/inferenceConfig", "{\"maxTokens\":900}"),
        ("/serviceTier", "{\"type\":\"priority\"}"),
        ("/guardrailConfig", "null"),
        ("/guardrailConfig/guardrailIdentifier", "\"other\""),
        ("/additionalModelRequestFields/max_tokens", "900"),
        (
            "/messages/0/content/1",
            "{\"image\":{\"format\":\"png\",\"source\":{\"s3Location\":{\"uri\":\"s3://other/x\"}}}}",
        ),
    ] {
        let mut request = ask("nova");
        request.input.as_mut().unwrap().raw_members = vec![RawMember {
            pointer: pointer.to_owned(),
            json: json.to_owned(),
        }];
        let before = gateway.emulator.calls().len();
        let answer = gateway.stream(keyed(request, &a)).await;
        assert_eq!(answer.code(), Code::InvalidArgument, "{pointer}");
        assert_eq!(gateway.emulator.calls().len(), before, "{pointer}");
    }
}
