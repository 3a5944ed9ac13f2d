//! What `Invoke` returns is valid in the next request.

use bedrock_grpc::{
    pb::{self, content_block::Content, tool_use_block::Input},
    translate::{event, fold::Fold, request},
    validate,
};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

type StreamEvent = (&'static str, String);

fn event(name: &'static str, payload: &Value) -> StreamEvent {
    (name, payload.to_string())
}

fn delta(index: usize, delta: &Value) -> StreamEvent {
    let payload = json!({"contentBlockIndex": index, "delta": delta});
    event("contentBlockDelta", &payload)
}

/// A content block as Bedrock streams it, without its index.
#[derive(Clone, Debug)]
enum Block {
    /// Pieces of text, some of them empty, and whether they have a source.
    Text(Vec<String>, bool),
    Reasoning(Vec<String>, Option<String>),
    Redacted,
    /// JSON text in pieces of this many characters, and what the model wrote as ID and name.
    ToolUse(String, usize, &'static str),
    ToolResult(String),
    Image,
    /// An announced image that does not follow.
    NoImage(&'static str),
    /// A stop without a start.
    Nothing,
}

impl Block {
    fn events(&self, index: usize) -> Vec<StreamEvent> {
        let start = |start: Value| {
            let payload = json!({"contentBlockIndex": index, "start": start});
            event("contentBlockStart", &payload)
        };
        let mut events = Vec::new();
        match self {
            Self::Text(pieces, cited) => {
                if *cited {
                    let citation = json!({"title": "t", "sourceContent": [], "location": {"web": {"url": "u"}}});
                    events.push(delta(index, &json!({"citation": citation})));
                }
                events.extend(
                    pieces
                        .iter()
                        .map(|text| delta(index, &json!({"text": text}))),
                );
            }
            Self::Reasoning(pieces, signature) => {
                let piece = |text| delta(index, &json!({"reasoningContent": {"text": text}}));
                events.extend(pieces.iter().map(piece));
                if let Some(signature) = signature {
                    let signature = json!({"reasoningContent": {"signature": signature}});
                    events.push(delta(index, &signature));
                }
            }
            Self::Redacted => {
                let redacted = json!({"reasoningContent": {"redactedContent": "AAEC"}});
                events.push(delta(index, &redacted));
            }
            Self::ToolUse(input, size, word) => {
                let id = format!("{word}{index}");
                events.push(start(json!({"toolUse": {"toolUseId": id, "name": word}})));
                let characters: Vec<char> = input.chars().collect();
                for piece in characters.chunks(*size) {
                    let input: String = piece.iter().collect();
                    events.push(delta(index, &json!({"toolUse": {"input": input}})));
                }
            }
            Self::ToolResult(text) => {
                let result = json!({"toolUseId": "tooluse_x", "type": "t", "status": "success"});
                events.push(start(json!({"toolResult": result})));
                events.push(delta(
                    index,
                    &json!({"toolResult": [{"text": text}, {"json": {}}]}),
                ));
            }
            Self::Image => {
                events.push(start(json!({"image": {"format": "png"}})));
                let image = json!({"image": {"source": {"bytes": "AAEC"}}});
                events.push(delta(index, &image));
            }
            Self::NoImage(format) => events.push(start(json!({"image": {"format": format}}))),
            Self::Nothing => {}
        }
        let stop = json!({"contentBlockIndex": index});
        events.push(event("contentBlockStop", &stop));
        events
    }
}

/// More characters than Bedrock documents for an ID or a name.
const TOO_LONG: &str =
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

fn block() -> impl Strategy<Value = Block> {
    let text = || prop_oneof![Just(String::new()), "[ \n]{1,3}", "(?s).{1,8}"];
    let input = prop_oneof![
        select(vec![
            "",
            "{}",
            "{\"a\": [1, 2.50, \"\u{1f600}\"]}",
            "{\"a\":{\"b\":null}}",
        ])
        .prop_map(str::to_owned),
        (1..1_000_usize).prop_map(|depth| "[".repeat(depth) + &"]".repeat(depth)),
    ];
    let words = vec!["a_tool", "functions.a:b", "a/b c", "é", "$", TOO_LONG];
    prop_oneof![
        (vec(text(), 0..4), any::<bool>()).prop_map(|(pieces, cited)| Block::Text(pieces, cited)),
        (vec(text(), 0..3), prop::option::of("[a-z]{1,8}"))
            .prop_map(|(pieces, signature)| Block::Reasoning(pieces, signature)),
        Just(Block::Redacted),
        (input, 1..9_usize, select(words))
            .prop_map(|(input, size, word)| Block::ToolUse(input, size, word)),
        text().prop_map(Block::ToolResult),
        Just(Block::Image),
        select(vec!["png", "PNG", "image/new"]).prop_map(Block::NoImage),
        Just(Block::Nothing),
    ]
}

/// The answer that these events fold to.
fn answer<'a>(events: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> pb::Message {
    let (mut reader, mut fold) = (event::Reader::default(), Fold::default());
    for (name, payload) in events {
        let translated = reader.read(name, payload).unwrap();
        for message in translated.unpaired {
            fold.push(message);
        }
        fold.push(translated.response);
    }
    fold.finish().message.unwrap()
}

/// A question, the answer, and another question.
fn conversation(answer: pb::Message) -> pb::ConverseInput {
    let question = pb::Message {
        role: pb::Role::User.into(),
        content: vec![super::request::text("Hello")],
    };
    pb::ConverseInput {
        messages: vec![question.clone(), answer, question],
        ..pb::ConverseInput::default()
    }
}

fn violations(input: &pb::ConverseInput) -> Vec<String> {
    let request = pb::InvokeRequest {
        target: "a.model".to_owned(),
        input: Some(input.clone()),
    };
    let violations = validate::invoke(&request, "a.model")
        .err()
        .unwrap_or_default();
    violations
        .into_iter()
        .map(|violation| format!("{}: {}", violation.field, violation.description))
        .collect()
}

#[track_caller]
fn can_be_sent_back(answer: pb::Message) {
    let input = conversation(answer);
    assert_eq!(violations(&input), [""; 0], "{input:#?}");
    request::to_converse(&input).unwrap();
}

proptest! {
    #[test]
    fn the_answer_of_a_generated_stream_can_be_sent_back(blocks in vec(block(), 0..5)) {
        let mut events = vec![event("messageStart", &json!({"role": "assistant"}))];
        for (index, block) in blocks.iter().enumerate() {
            events.extend(block.events(index));
        }
        events.push(event("messageStop", &json!({"stopReason": "end_turn"})));
        let events = events.iter().map(|(name, payload)| (*name, payload.as_bytes()));
        can_be_sent_back(answer(events));
    }

    /// The one exception: it is returned as far as it arrived, and refused with an explanation.
    #[test]
    fn a_tool_use_that_max_tokens_truncated_is_refused_with_an_explanation(length in 1..18_usize) {
        let whole = r#"{"text":"Once up"}"#;
        let truncated = &whole[..length.min(whole.len() - 1)];
        let mut events = vec![event("messageStart", &json!({"role": "assistant"}))];
        events.extend(Block::ToolUse(truncated.to_owned(), 4, "a_tool").events(0));
        events.push(event("messageStop", &json!({"stopReason": "max_tokens"})));
        let answer = answer(events.iter().map(|(name, payload)| (*name, payload.as_bytes())));
        let Some(Content::ToolUse(tool)) = &answer.content[0].content else {
            panic!("{answer:?}");
        };
        let arrived = Some(Input::InputJson(truncated.to_owned()));
        prop_assert_eq!(&tool.input, &arrived);
        let violations = violations(&conversation(answer));
        prop_assert_eq!(violations.len(), 1);
        let field = "input.messages[1].content[0].tool_use.input_json: ";
        prop_assert!(violations[0].starts_with(field), "{}", violations[0]);
        prop_assert!(violations[0].contains("max_tokens"), "{}", violations[0]);
    }
}

#[test]
#[cfg_attr(not(recorded), ignore = "BEDROCK_GRPC_RECORDED is not set")]
fn the_answers_of_recorded_streams_can_be_sent_back() {
    let folder = std::env::var_os("BEDROCK_GRPC_RECORDED").unwrap();
    let folder = std::path::Path::new(&folder).join("stream");
    let mut count = 0;
    for case in std::fs::read_dir(folder).unwrap() {
        let body = case.unwrap().path().join("response.body");
        let frames = super::frames::frames(&std::fs::read(body).unwrap());
        let events = frames.iter().map(|(name, payload)| (&**name, &**payload));
        can_be_sent_back(answer(events));
        count += 1;
    }
    assert!(count > 50, "{count}");
}
