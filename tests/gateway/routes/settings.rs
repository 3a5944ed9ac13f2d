//! Settings of a target: request metadata and limits.

use std::time::Duration;

use bedrock_grpc::config::{Alias, RequestMetadata};
use tonic::Code;

use super::{gateway, start};
use crate::harness::{Gateway, MODEL, ask, over, route};

/// What reaches Bedrock as `requestMetadata`.
async fn attributed(gateway: &Gateway, target: &str, header: Option<&str>) -> serde_json::Value {
    let mut request = ask(target);
    let input = request.input.get_or_insert_default();
    for (key, value) in [("team", "forged"), ("mine", "kept"), ("caller", "forged")] {
        input
            .request_metadata
            .insert(key.to_owned(), value.to_owned());
    }
    let mut request = tonic::Request::new(request);
    if let Some(value) = header {
        request
            .metadata_mut()
            .insert("x-caller", value.parse().unwrap());
    }
    gateway.stream(request).await.is_whole();
    let calls = gateway.ended(1).await;
    let body: serde_json::Value = serde_json::from_slice(&calls.last().unwrap().body).unwrap();
    body["requestMetadata"].clone()
}

#[tokio::test]
async fn the_operators_request_metadata_can_not_be_overwritten() {
    let gateway = gateway(|config| {
        config.request_metadata = RequestMetadata {
            set: [("environment".to_owned(), "test".to_owned())].into(),
            from_headers: [("caller".to_owned(), "x-caller".to_owned())].into(),
        };
        let alias = Alias {
            request_metadata: [("team".to_owned(), "a".to_owned())].into(),
            ..Alias::to(MODEL)
        };
        config.targets.aliases.insert("t".to_owned(), alias);
    })
    .await;
    assert_eq!(
        attributed(&gateway, "t", Some("alice")).await,
        serde_json::json!({"caller": "alice", "environment": "test", "mine": "kept", "team": "a"})
    );
    assert_eq!(
        attributed(&gateway, "t", None).await,
        serde_json::json!({"environment": "test", "mine": "kept", "team": "a"})
    );

    let mut request = ask("t");
    let input = request.input.get_or_insert_default();
    for key in 0..15 {
        input
            .request_metadata
            .insert(format!("k{key}"), String::new());
    }
    let answer = gateway.stream(request).await;
    assert_eq!(answer.code(), Code::InvalidArgument);
    assert_eq!(answer.details().fields(), ["input.request_metadata"]);
}

#[tokio::test]
async fn a_target_can_have_its_own_limits() {
    let gateway = gateway(|config| {
        let mut alias = over(vec![
            route(
                &format!("{MODEL}.fault-stall-before-headers"),
                "us-east-1",
                1,
            ),
            route(MODEL, "us-west-2", 2),
        ]);
        alias.limits.first_event = Some(Duration::from_millis(200));
        config.targets.aliases.insert("t".to_owned(), alias);
        let mut short = Alias::to(format!("{MODEL}.fault-stall-after-2"));
        short.limits.idle = Some(Duration::from_millis(200));
        config.targets.aliases.insert("idle".to_owned(), short);
        let mut capped = Alias::to(format!("{MODEL}.fault-stall-after-2"));
        capped.limits.max_deadline = Some(Duration::from_millis(200));
        config.targets.aliases.insert("capped".to_owned(), capped);
    })
    .await;
    let answer = gateway.stream(ask("t")).await;
    answer.is_whole();
    assert_eq!(start(&answer).attempts[0].failure_reason, "UPSTREAM_IDLE");
    let answer = gateway.stream(ask("idle")).await;
    assert_eq!(answer.code(), Code::Unavailable);
    assert_eq!(answer.details().reason(), "UPSTREAM_IDLE");
    let answer = gateway.stream(ask("capped")).await;
    assert_eq!(answer.code(), Code::DeadlineExceeded);
}
