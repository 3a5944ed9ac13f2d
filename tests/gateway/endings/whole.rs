//! Streams that succeed, with events or members that this version does not have, or without some
//! that it expects.

use bedrock_grpc::pb::{
    ConverseStreamMetadata, content_block_delta_event::Delta, stream_invoke_response::Event,
};
use serde_json::{Value, json};

use crate::harness::{Answer, Gateway, MODEL, ask, faulty, invoke};

pub(super) const FAULTS: [&str; 8] = [
    "early-metadata",
    "no-content",
    "empty-text",
    "end-without-metadata",
    "unknown-event",
    "unknown-delta",
    "unknown-member",
    "giant-tool-delta",
];

fn metadata(answer: &Answer) -> &ConverseStreamMetadata {
    match answer.events().last() {
        Some(Event::Metadata(event)) => event.metadata.as_ref().unwrap(),
        other => panic!("the last is {other:?}"),
    }
}

#[tokio::test]
async fn a_complete_answer_follows_the_grammar_and_ends_with_metadata() {
    let gateway = Gateway::start().await;
    let answer = gateway.stream(ask("nova")).await;
    answer.is_whole();
    let usage = metadata(&answer).usage.as_ref().unwrap();
    assert!(usage.input_tokens() > 0 && usage.output_tokens() > 0);
    assert!(
        answer
            .messages
            .iter()
            .all(|message| message.raw_members.is_empty())
    );

    let calls = gateway.ended(1).await;
    let Some(Event::MessageStart(start)) = answer.events().next() else {
        panic!("{:?}", answer.shape());
    };
    let target = start.target.as_ref().unwrap();
    assert_eq!(
        (target.name.as_str(), target.model_id.as_str()),
        ("nova", MODEL)
    );
    assert_eq!(target.source_region, "us-east-1");
    assert_eq!(start.bedrock_request_id, calls[0].request_id);
    assert_eq!(start.attempts.len(), 1);
    assert_eq!(start.attempts[0].failure_reason, "");
    let told = answer.headers.get("x-request-id").unwrap();
    assert_eq!(start.request_id, told.to_str().unwrap());

    let done =
        r#"bedrock_grpc_calls_total{method="StreamInvoke",target="nova",code="OK",reason=""}"#;
    assert_eq!(gateway.metric(done).await, 1.0);
    let written = r#"bedrock_grpc_tokens_total{target="nova",kind="output"}"#;
    assert_eq!(
        gateway.metric(written).await,
        f64::from(usage.output_tokens())
    );
    assert_eq!(gateway.metric("bedrock_grpc_open_calls").await, 0.0);
}

#[tokio::test]
async fn without_metadata_the_answer_is_complete_and_its_usage_unknown() {
    let gateway = Gateway::start().await;
    let answer = gateway.stream(faulty("end-without-metadata")).await;
    answer.is_whole();
    assert_eq!(*metadata(&answer), ConverseStreamMetadata::default());
    assert_eq!(answer.text(), gateway.stream(ask(MODEL)).await.text());
    let whole = gateway
        .inference()
        .invoke(invoke(faulty("end-without-metadata")))
        .await;
    assert_eq!(
        whole.unwrap().get_ref().metadata,
        Some(ConverseStreamMetadata::default())
    );
}

#[tokio::test]
async fn an_unknown_event_is_passed_on_and_counted() {
    let gateway = Gateway::start().await;
    let answer = gateway.stream(faulty("unknown-event")).await;
    answer.is_whole();
    let unknown: Vec<_> = answer
        .events()
        .filter_map(|event| match event {
            Event::Unknown(unknown) => Some((unknown.r#type.as_str(), value(&unknown.json))),
            _ => None,
        })
        .collect();
    let json = json!({"futureMember": "a later version of the API sends this"});
    let [("futureEvent", found)] = unknown.as_slice() else {
        panic!("{unknown:?}");
    };
    assert_eq!(found["futureMember"], json["futureMember"]);
    assert_eq!(answer.text(), gateway.stream(ask(MODEL)).await.text());
    assert_eq!(
        gateway
            .metric(r#"bedrock_grpc_unknown_total{kind="event"}"#)
            .await,
        1.0
    );

    let whole = gateway
        .inference()
        .invoke(invoke(faulty("unknown-event")))
        .await
        .unwrap();
    assert_eq!(whole.get_ref().unknown_events[0].r#type, "futureEvent");
}

#[tokio::test]
async fn an_unknown_delta_is_passed_on_and_counted() {
    let gateway = Gateway::start().await;
    let answer = gateway.stream(faulty("unknown-delta")).await;
    answer.is_whole();
    let [message] = answer
        .messages
        .iter()
        .filter(|message| !message.raw_members.is_empty())
        .collect::<Vec<_>>()[..]
    else {
        panic!("not one: {:?}", answer.messages);
    };
    assert_eq!(message.raw_members[0].pointer, "/delta/futureDelta");
    assert_eq!(
        value(&message.raw_members[0].json),
        json!({"text": "a later version of the API sends this"})
    );
    let Some(Event::ContentBlockDelta(delta)) = &message.event else {
        panic!("{message:?}");
    };
    assert_eq!(delta.delta, None::<Delta>);
    assert_eq!(answer.text(), gateway.stream(ask(MODEL)).await.text());
    assert_eq!(
        gateway
            .metric(r#"bedrock_grpc_unknown_total{kind="member"}"#)
            .await,
        1.0
    );
}

#[tokio::test]
async fn unknown_members_are_passed_on_and_counted() {
    let gateway = Gateway::start().await;
    let answer = gateway.stream(faulty("unknown-member-after-0")).await;
    answer.is_whole();
    let from_bedrock: Vec<_> = answer
        .messages
        .iter()
        // The start of a text block comes from the gateway, so it contains nothing from Bedrock.
        .filter(|message| !matches!(message.event, Some(Event::ContentBlockStart(_))))
        .collect();
    for message in &from_bedrock {
        let [member] = message.raw_members.as_slice() else {
            panic!("{message:?}");
        };
        assert_eq!(member.pointer, "/futureMember");
        assert_eq!(value(&member.json), json!({"nested": [1, "two", null]}));
    }
    let counted = gateway
        .metric(r#"bedrock_grpc_unknown_total{kind="member"}"#)
        .await;
    assert_eq!(counted, from_bedrock.len() as f64);
}

#[tokio::test]
async fn a_giant_piece_of_tool_input_is_passed_on_whole() {
    let gateway = Gateway::start().await;
    let answer = gateway.stream(faulty("giant-tool-delta")).await;
    answer.is_whole();
    let input: String = answer
        .events()
        .filter_map(|event| match event {
            Event::ContentBlockDelta(delta) => match &delta.delta {
                Some(Delta::ToolUse(piece)) => Some(piece.input.as_str()),
                _ => None,
            },
            _ => None,
        })
        .collect();
    assert_eq!(input.len(), 4 << 20);
    let data = value(&input)["data"].as_str().unwrap().len();
    assert_eq!(data, input.len() - r#"{"data":""}"#.len());
}

fn value(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}
