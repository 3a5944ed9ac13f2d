//! What Bedrock sends arrives unaltered, and an answer can be sent back as part of the
//! conversation.

use bedrock_grpc::pb::{
    ConverseInput, InvokeRequest, InvokeResponse, Message, content_block::Content,
    tool_use_block::Input,
};
use tonic::{Code, Status};

use super::recording::{self, Frames};
use crate::harness::{Details, Gateway, faulty, invoke, question};

async fn replayed(frames: &Frames) -> Gateway {
    let replay = recording::of("Hello", frames);
    Gateway::with(|_, options| options.replay = Some(replay)).await
}

async fn invoked(gateway: &Gateway, request: InvokeRequest) -> Result<InvokeResponse, Status> {
    let response = gateway.inference().invoke(request).await?;
    Ok(response.into_inner())
}

fn whole(frames: Frames) -> Frames {
    frames.block_stop(0).stop("end_turn").metadata()
}

fn text_of(response: &InvokeResponse) -> String {
    let blocks = response.message.as_ref().unwrap().content.iter();
    let texts = blocks.filter_map(|block| match &block.content {
        Some(Content::Text(text)) => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

#[tokio::test]
async fn characters_that_are_cut_in_half_arrive_whole() {
    for (texts, expected) in [
        (vec![r"a\ud83d", r"\ude00b"], "a😀b"),
        (vec![r"\ud83d", "", r"\ude00", "b"], "😀b"),
        (vec![r"a\ud83d", "b"], "a\u{fffd}b"),
        (vec![r"a\ud83d"], "a\u{fffd}"),
        (vec![r"\ude00", r"\ud83d"], "\u{fffd}\u{fffd}"),
    ] {
        let frames = texts
            .iter()
            .fold(Frames::default().start(), |frames, text| frames.text(text));
        for (end, frames) in [
            ("stop", whole(frames.clone())),
            ("message stop", frames.clone().stop("end_turn").metadata()),
        ] {
            let gateway = replayed(&frames).await;
            let request = recording::asking("Hello", "");
            let answer = gateway.stream(request.clone()).await;
            answer.is_whole();
            assert_eq!(answer.text(), expected, "{end}");
            let response = invoked(&gateway, invoke(request)).await.unwrap();
            assert_eq!(text_of(&response), expected, "{end}");
        }
        // A stream that ends early has sent a part of the text, and nothing else.
        let gateway = replayed(&frames).await;
        let answer = gateway.stream(recording::asking("Hello", "")).await;
        assert_eq!(answer.code(), Code::Unavailable);
        let unaltered = expected.strip_suffix('\u{fffd}').unwrap_or(expected);
        assert!(expected.starts_with(&answer.text()), "{}", answer.text());
        assert_eq!(
            answer.text().trim_end_matches('\u{fffd}'),
            unaltered.trim_end_matches('\u{fffd}')
        );
    }
}

#[tokio::test]
async fn an_invalid_block_index_is_data_loss_in_every_event() {
    for index in ["1099511627776", "1.5", "\"7\"", "1e400", "-1", "null", "[]"] {
        for (event_type, rest) in [
            ("contentBlockStart", r#","start":{}"#),
            ("contentBlockDelta", r#","delta":{"text":"b"}"#),
            ("contentBlockStop", ""),
        ] {
            let json = format!(r#"{{"contentBlockIndex":{index}{rest}}}"#);
            let frames = Frames::default().start().text("a").event(event_type, &json);
            let gateway = replayed(&whole(frames)).await;
            let request = recording::asking("Hello", "");
            let answer = gateway.stream(request.clone()).await;
            assert_eq!(answer.code(), Code::DataLoss, "{event_type} {index}");
            assert_eq!(answer.details().reason(), "UPSTREAM_CORRUPT");
            assert_eq!(answer.text(), "a", "{event_type} {index}");
            let failed = invoked(&gateway, invoke(request)).await.unwrap_err();
            assert_eq!(failed.code(), Code::DataLoss, "{event_type} {index}");
        }
    }
}

#[tokio::test]
async fn empty_lists_and_maps_survive() {
    let frames = Frames::default().start().text("a").block_stop(0).stop("end_turn").event(
        "metadata",
        r#"{"usage":{"inputTokens":1,"cacheDetails":[]},"trace":{"guardrail":{"modelOutput":[],"inputAssessment":{}}}}"#,
    );
    let gateway = replayed(&frames).await;
    let request = recording::asking("Hello", "");
    let expected = [
        ("/usage/cacheDetails", "[]"),
        ("/trace/guardrail/modelOutput", "[]"),
        ("/trace/guardrail/inputAssessment", "{}"),
    ];
    let answer = gateway.stream(request.clone()).await;
    let raw = &answer.messages.last().unwrap().raw_members;
    let raw: Vec<_> = raw.iter().map(|raw| (&*raw.pointer, &*raw.json)).collect();
    assert_eq!(raw, expected);
    let response = invoked(&gateway, invoke(request)).await.unwrap();
    let raw = response
        .raw_members
        .iter()
        .map(|raw| (&*raw.pointer, &*raw.json));
    assert_eq!(raw.collect::<Vec<_>>(), expected);
    // The API knows these members, so they are not counted as unknown.
    assert_eq!(gateway.metric("bedrock_grpc_unknown_total").await, 0.0);
}

/// `Invoke` holds the whole answer in memory, so it has a limit. `StreamInvoke` has none.
#[tokio::test]
async fn an_answer_that_is_too_large_is_refused_by_invoke_only() {
    let text = "x".repeat(5 << 20);
    let frames = (0..13).fold(Frames::default().start(), |frames, _| frames.text(&text));
    let gateway = replayed(&whole(frames)).await;
    let request = recording::asking("Hello", "");
    let refused = invoked(&gateway, invoke(request.clone()))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(Details::of(&refused).reason(), "MESSAGE_TOO_LARGE");
    let answer = gateway.stream(request).await;
    assert_eq!(answer.text().len(), 13 * text.len());
    // The gateway is as before.
    let small = replayed(&whole(Frames::default().start().text("a"))).await;
    let request = recording::asking("Hello", "");
    assert_eq!(
        text_of(&invoked(&small, invoke(request)).await.unwrap()),
        "a"
    );
}

/// The conversation with this answer in it, and another question.
fn continued_with(question_and_answer: (&ConverseInput, Message)) -> ConverseInput {
    let (input, answer) = question_and_answer;
    let mut input = input.clone();
    input.messages.push(answer);
    input.messages.extend(question("And then?").messages);
    input
}

/// A model that accepts only alternating questions and answers.
const STRICT_MODEL: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";

#[tokio::test]
async fn an_answer_with_an_empty_text_or_without_blocks_can_be_sent_back() {
    let gateway = Gateway::start().await;
    for fault in ["empty-text", "no-content"] {
        let mut request = invoke(faulty(fault));
        request.target = format!("{STRICT_MODEL}.fault-{fault}");
        let input = request.input.clone().unwrap();
        let answer = invoked(&gateway, request).await.unwrap().message.unwrap();
        let next = InvokeRequest {
            target: STRICT_MODEL.to_owned(),
            input: Some(continued_with((&input, answer))),
        };
        let again = invoked(&gateway, next).await;
        assert!(again.is_ok(), "{fault}: {again:?}");
    }
}

/// The conversation as Bedrock gets it with the next question, after `answer`, a stream.
async fn sent_back(answer: Frames) -> serde_json::Value {
    let gateway = replayed(&answer.stop("tool_use").metadata()).await;
    let request = invoke(recording::asking("Hello", ""));
    let input = request.input.clone().unwrap();
    let target = request.target.clone();
    let answer = invoked(&gateway, request).await.unwrap().message.unwrap();
    let next = InvokeRequest {
        target,
        input: Some(continued_with((&input, answer))),
    };
    // The replay has no answer to it.
    let _refused = invoked(&gateway, next).await;
    let calls = gateway.ended(2).await;
    serde_json::from_slice(&calls[1].body).unwrap()
}

#[tokio::test]
async fn tool_uses_of_any_form_can_be_sent_back() {
    let deep = "[".repeat(100) + &"]".repeat(100);
    for (id, name, input) in [
        ("call/1 é", "a.b", "{}"),
        (&*"x".repeat(100), &*"y".repeat(100), "{}"),
        ("functions.a:0", "a", &*format!("{{\"a\":{deep}}}")),
    ] {
        let start = format!(
            r#"{{"contentBlockIndex":0,"start":{{"toolUse":{{"toolUseId":"{id}","name":"{name}"}}}}}}"#
        );
        let delta =
            serde_json::json!({"contentBlockIndex": 0, "delta": {"toolUse": {"input": input}}});
        let frames = Frames::default()
            .start()
            .event("contentBlockStart", &start)
            .event("contentBlockDelta", &delta.to_string())
            .block_stop(0);
        let body = sent_back(frames).await;
        let input: serde_json::Value = serde_json::from_str(input).unwrap();
        let expected =
            serde_json::json!({"toolUse": {"toolUseId": id, "name": name, "input": input}});
        assert_eq!(
            body["messages"][1]["content"],
            serde_json::json!([expected])
        );
    }
}

/// `Invoke` returns a blank text as it is. Bedrock does not accept it in the conversation.
#[tokio::test]
async fn blank_texts_before_a_tool_use_are_not_sent_back() {
    let frames = Frames::default()
        .start()
        .text(r"\n\n")
        .block_stop(0)
        .event(
            "contentBlockStart",
            r#"{"contentBlockIndex":1,"start":{"toolUse":{"toolUseId":"t-1","name":"write"}}}"#,
        )
        .block_stop(1);
    let body = sent_back(frames).await;
    let tool = serde_json::json!({"toolUse": {"toolUseId": "t-1", "name": "write", "input": {}}});
    assert_eq!(body["messages"][1]["content"], serde_json::json!([tool]));
    // An answer with no other content is left out, and the questions before and after it are
    // joined.
    let body = sent_back(Frames::default().start().text(" ").block_stop(0)).await;
    let questions = serde_json::json!([{"role": "user", "content": [{"text": "Hello"}, {"text": "And then?"}]}]);
    assert_eq!(body["messages"], questions);
}

#[tokio::test]
async fn a_tool_use_that_max_tokens_truncated_is_returned_and_refused_with_an_explanation() {
    let frames = Frames::default()
        .start()
        .event(
            "contentBlockStart",
            r#"{"contentBlockIndex":0,"start":{"toolUse":{"toolUseId":"t-1","name":"write"}}}"#,
        )
        .event(
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"toolUse":{"input":"{\"text\":\"Once upon"}}}"#,
        )
        .block_stop(0)
        .stop("max_tokens")
        .metadata();
    let gateway = replayed(&frames).await;
    let request = invoke(recording::asking("Hello", ""));
    let input = request.input.clone().unwrap();
    let target = request.target.clone();
    let answer = invoked(&gateway, request).await.unwrap().message.unwrap();
    let Some(Content::ToolUse(tool)) = &answer.content[0].content else {
        panic!("{answer:?}");
    };
    let arrived = r#"{"text":"Once upon"#.to_owned();
    assert_eq!(tool.input, Some(Input::InputJson(arrived)));
    let next = InvokeRequest {
        target,
        input: Some(continued_with((&input, answer))),
    };
    let refused = invoked(&gateway, next).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let fields = ["input.messages[1].content[0].tool_use.input_json"];
    assert_eq!(Details::of(&refused).fields(), fields);
    assert!(refused.message().contains("max_tokens"), "{refused:?}");
}
