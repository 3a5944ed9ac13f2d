//! Characters that Bedrock splits between two deltas.

use bedrock_grpc::{
    pb::{
        self, content_block_delta_event::Delta,
        reasoning_content_block_delta::Delta as ReasoningDelta, stream_invoke_response::Event,
    },
    translate::event::Reader,
};
use proptest::prelude::*;

/// The texts that a delta of a block can append to, as JSON around the text.
const TEXTS: [(&str, &str); 4] = [
    (r#"{"text":"#, "}"),
    (r#"{"toolUse":{"input":"#, "}}"),
    (r#"{"reasoningContent":{"text":"#, "}}"),
    (r#"{"reasoningContent":{"signature":"#, "}}"),
];

fn delta(index: i32, around: (&str, &str), text: &str) -> (&'static str, String) {
    let (before, after) = around;
    let payload = format!(r#"{{"contentBlockIndex":{index},"delta":{before}"{text}"{after}}}"#);
    ("contentBlockDelta", payload)
}

fn stop(index: i32) -> (&'static str, String) {
    (
        "contentBlockStop",
        format!(r#"{{"contentBlockIndex":{index}}}"#),
    )
}

fn message_stop() -> (&'static str, String) {
    ("messageStop", r#"{"stopReason":"end_turn"}"#.to_owned())
}

/// The messages that these events become.
fn read(events: &[(&'static str, String)]) -> Vec<pb::StreamInvokeResponse> {
    let mut reader = Reader::default();
    let mut messages = Vec::new();
    for (kind, payload) in events {
        let translated = reader.read(kind, payload.as_bytes()).unwrap();
        messages.extend(translated.unpaired);
        messages.push(translated.response);
    }
    messages
}

/// The text of each delta of a block; other events as their position in the grammar.
fn pieces(messages: &[pb::StreamInvokeResponse], index: i32) -> Vec<&str> {
    let pieces = messages.iter().filter_map(|message| match &message.event {
        Some(Event::ContentBlockDelta(delta)) if delta.content_block_index == index => {
            Some(match delta.delta.as_ref()? {
                Delta::Text(text) => text.as_str(),
                Delta::ToolUse(tool) => tool.input.as_str(),
                Delta::ReasoningContent(piece) => match piece.delta.as_ref()? {
                    ReasoningDelta::Text(text) | ReasoningDelta::Signature(text) => text.as_str(),
                    ReasoningDelta::RedactedContent(_) => "redacted",
                },
                other => panic!("{other:?}"),
            })
        }
        Some(Event::ContentBlockStop(stop)) if stop.content_block_index == index => Some("|stop"),
        Some(Event::MessageStop(_)) => Some("|end"),
        _ => None,
    });
    pieces.collect()
}

#[test]
fn halves_of_a_character_in_two_deltas_are_one_character() {
    for around in TEXTS {
        let (high, low) = (r"\ud83d", r"\ude00");
        for (texts, expected) in [
            (vec![r"a\ud83d", r"\ude00b"], vec!["a", "😀b", "|stop"]),
            (vec![high, low], vec!["", "😀", "|stop"]),
            (vec![high, "", low], vec!["", "", "😀", "|stop"]),
            (vec![high, "x"], vec!["", "\u{fffd}x", "|stop"]),
            (vec![high, high, low], vec!["", "\u{fffd}", "😀", "|stop"]),
            (
                vec![high, r"\ude00\ud83d", low],
                vec!["", "😀", "😀", "|stop"],
            ),
            (vec![low, high], vec!["\u{fffd}", "", "\u{fffd}", "|stop"]),
            (vec![high], vec!["", "\u{fffd}", "|stop"]),
            (vec![r"\ud83dx\ude00"], vec!["\u{fffd}x\u{fffd}", "|stop"]),
            (vec![r"\ud83d\ude00", r"\u0041"], vec!["😀", "A", "|stop"]),
            // The backslash is a character of the text here, not an escape.
            (
                vec![r"\\ud83d", r"\\ude00"],
                vec![r"\ud83d", r"\ude00", "|stop"],
            ),
        ] {
            let deltas = texts.iter().map(|text| delta(3, around, text));
            let mut events: Vec<_> = deltas.collect();
            events.push(stop(3));
            assert_eq!(pieces(&read(&events), 3), expected, "{around:?} {texts:?}");
        }
    }
}

#[test]
fn a_half_waits_for_its_own_block_and_text() {
    let [text, _, reasoning, signature] = TEXTS;
    let messages = read(&[
        delta(0, text, r"\ud83d"),
        delta(1, text, r"\ud83c"),
        delta(0, text, r"\ude00"),
        delta(1, text, r"\udf0d"),
        delta(2, reasoning, r"\ud83d"),
        delta(2, signature, "s"),
        delta(2, reasoning, r"\ude00"),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":3,"delta":{"text":"\ud83d"}}"#.to_owned(),
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":3,"delta":{"smell":1}}"#.to_owned(),
        ),
        delta(3, text, r"\ude00"),
    ]);
    assert_eq!(pieces(&messages, 0), ["", "😀"]);
    assert_eq!(pieces(&messages, 1), ["", "🌍"]);
    assert_eq!(pieces(&messages, 2), ["", "s", "😀"]);
    assert_eq!(pieces(&messages, 3), ["", "😀"]);
}

#[test]
fn the_end_of_the_block_or_message_or_a_new_start_gives_a_half_up() {
    let text = TEXTS[0];
    let half = delta(0, text, r"a\ud83d");
    assert_eq!(
        pieces(&read(&[half.clone(), message_stop()]), 0),
        ["a", "\u{fffd}", "|end"]
    );
    let start = (
        "contentBlockStart",
        r#"{"contentBlockIndex":0,"start":{}}"#.to_owned(),
    );
    let messages = read(&[half.clone(), start, delta(0, text, r"\ude00")]);
    assert_eq!(pieces(&messages, 0), ["a", "\u{fffd}", "\u{fffd}"]);
    // The end of another block does not affect it.
    let messages = read(&[half.clone(), stop(1), delta(0, text, r"\ude00")]);
    assert_eq!(pieces(&messages, 0), ["a", "😀"]);
    // A stream that ends early: what was sent is a part of the text, unchanged.
    assert_eq!(pieces(&read(&[half]), 0), ["a"]);
}

proptest! {
    /// Any text, escaped as UTF-16 and split anywhere between two escapes, arrives unchanged.
    #[test]
    fn text_that_is_cut_between_any_two_escapes_is_not_altered(
        text in "(?s)[a\u{e9}\u{1f600}\u{10ffff}\\\\\"]{1,12}", cuts in prop::collection::vec(any::<bool>(), 24)
    ) {
        let mut parts = vec![String::new()];
        for (unit, cut) in text.encode_utf16().zip(cuts.iter().cycle()) {
            if *cut {
                parts.push(String::new());
            }
            parts.last_mut().unwrap().push_str(&format!("\\u{unit:04x}"));
        }
        for around in TEXTS {
            let mut events: Vec<_> = parts.iter().map(|part| delta(0, around, part)).collect();
            events.push(stop(0));
            let messages = read(&events);
            let arrived: String = pieces(&messages, 0).concat();
            prop_assert_eq!(arrived, format!("{text}|stop"));
        }
    }
}
