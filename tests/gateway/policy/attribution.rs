//! Request metadata, which assigns the cost of calls.

use serde_json::json;

use super::{gateway, refused, sent, with_fields, with_raw};
use crate::harness::ask;

const CONFIG: &str = "
request_metadata: {from_headers: {caller: x-caller}}
targets:
  t: {model_id: 'amazon.nova-lite-v1:0'}
";

#[tokio::test]
async fn raw_members_do_not_reach_the_request_metadata() {
    let gateway = gateway(CONFIG).await;
    for members in [
        &[("/requestMetadata/caller", "\"forged\"")][..],
        &[("/requestMetadata", "{\"caller\":\"forged\"}")],
        &[
            ("/requestMetadata", "{}"),
            ("/requestMetadata/caller", "\"forged\""),
        ],
        &[("/requestMetadata/mine", "\"kept\"")],
        &[("/RequestMetadata/caller", "\"forged\"")],
        &[("/requestMetadata/~0caller", "\"forged\"")],
    ] {
        refused(&gateway, with_raw(members), "input.raw_members[0].pointer").await;
    }
    for request in with_fields("{\"amazon-bedrock-requestMetadata\": {\"caller\": \"forged\"}}") {
        let input = request.input.as_ref().unwrap();
        let field = match input.additional_model_request_fields.as_ref().unwrap() {
            bedrock_grpc::pb::converse_input::AdditionalModelRequestFields::AdditionalModelRequestFieldsJson(_) => {
                "input.additional_model_request_fields_json"
            }
            _ => "input.additional_model_request_fields_struct",
        };
        refused(&gateway, request, field).await;
    }
    // Callers can add raw members elsewhere.
    let body = sent(&gateway, with_raw(&[("/newMember", "1")])).await;
    assert_eq!(body["newMember"], 1);
    assert!(body.get("requestMetadata").is_none());
}

#[tokio::test]
async fn a_header_that_is_there_twice_says_nothing() {
    let gateway = gateway(CONFIG).await;
    let mut request = tonic::Request::new(ask("t"));
    request
        .metadata_mut()
        .append("x-caller", "victim".parse().unwrap());
    let body = sent(&gateway, request).await;
    assert_eq!(body["requestMetadata"], json!({"caller": "victim"}));
    let mut request = tonic::Request::new(ask("t"));
    request
        .metadata_mut()
        .append("x-caller", "victim".parse().unwrap());
    request
        .metadata_mut()
        .append("x-caller", "alice".parse().unwrap());
    let body = sent(&gateway, request).await;
    assert!(body.get("requestMetadata").is_none(), "{body}");
}

#[tokio::test]
async fn keys_of_another_spelling_are_the_operators_too() {
    let gateway = gateway(
        "
request_metadata: {from_headers: {caller: x-caller}, set: {Team: red}}
targets:
  t: {model_id: 'amazon.nova-lite-v1:0', request_metadata: {Cost Centre: '7'}}
",
    )
    .await;
    let mut asked = ask("t");
    let pairs = &mut asked.input.get_or_insert_default().request_metadata;
    for key in [
        "Caller",
        "CALLER ",
        "caller",
        "team",
        " Team",
        "cost centre",
        "mine",
    ] {
        pairs.insert(key.to_owned(), "forged".to_owned());
    }
    let operators = json!({"Team": "red", "Cost Centre": "7", "mine": "forged"});
    let body = sent(&gateway, asked.clone()).await;
    assert_eq!(body["requestMetadata"], operators);
    // An empty header has the same effect as an absent one.
    for empty in ["", " "] {
        let mut request = tonic::Request::new(asked.clone());
        request
            .metadata_mut()
            .insert("x-caller", empty.parse().unwrap());
        let body = sent(&gateway, request).await;
        assert_eq!(body["requestMetadata"], operators);
    }
    let mut request = tonic::Request::new(asked);
    request
        .metadata_mut()
        .insert("x-caller", "alice".parse().unwrap());
    let body = sent(&gateway, request).await;
    assert_eq!(body["requestMetadata"]["caller"], "alice");
    assert!(body["requestMetadata"].get("Caller").is_none());
}

#[tokio::test]
async fn without_attribution_raw_members_reach_everything() {
    let gateway = gateway("targets: {t: {model_id: 'amazon.nova-lite-v1:0'}}").await;
    let body = sent(
        &gateway,
        with_raw(&[("/requestMetadata", "{\"caller\":\"me\"}")]),
    )
    .await;
    assert_eq!(body["requestMetadata"], json!({"caller": "me"}));
}
