//! The JSON reader and writer, tested through the public functions.

use bedrock_grpc::{
    pb::{self, content_block_delta_event::Delta, stream_invoke_response::Event},
    translate::{event, json},
};

/// The text of a delta whose JSON string is this.
fn read_string(literal: &str) -> Option<String> {
    let payload = format!(r#"{{"contentBlockIndex":0,"delta":{{"text":{literal}}}}}"#);
    let event = event::from_bedrock("contentBlockDelta", payload.as_bytes()).ok()?;
    match event.event {
        Some(Event::ContentBlockDelta(pb::ContentBlockDeltaEvent {
            delta: Some(Delta::Text(text)),
            ..
        })) => Some(text),
        other => panic!("{other:?}"),
    }
}

#[test]
fn escapes_are_read() {
    for (literal, text) in [
        (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r#""\u00e9\u20AC""#, "é€"),
        (r#""\ud83d\ude00!""#, "😀!"),
        (r#""\ud83d""#, "\u{fffd}"),
        (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
        (r#""\ud83d\u0041""#, "\u{fffd}A"),
        (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
        (" \"\u{7f}\u{2028}\"", "\u{7f}\u{2028}"),
    ] {
        assert_eq!(read_string(literal).as_deref(), Some(text), "{literal}");
    }
}

#[test]
fn bad_strings_are_refused() {
    for literal in [
        r#""\x""#,
        r#""\u12""#,
        r#""\u12g4""#,
        r#""\"#,
        r#"""#,
        "\"\n\"",
        "\"\t\"",
        r#""\u+123""#,
    ] {
        assert_eq!(read_string(literal), None, "{literal}");
    }
}

#[test]
fn check_takes_json_and_nothing_else() {
    let deep = |levels| "[".repeat(levels) + &"]".repeat(levels);
    for text in [
        "1",
        "-0.5e+10",
        "\"\"",
        " [ ] ",
        "{\"a\":{},\"b\":[{}]}",
        "null",
        &deep(1_000),
    ] {
        assert_eq!(json::check(text), Ok(()), "{text}");
    }
    for text in [
        "",
        " ",
        "01",
        "+1",
        "1.",
        ".5",
        "1e",
        "-",
        "NaN",
        "'a'",
        "[1,]",
        "[,1]",
        "{\"a\":1,}",
        "{a:1}",
        "{\"a\" 1}",
        "[1 2]",
        "[}",
        "{]",
        "]",
        "1 1",
        "truefalse",
        "tru",
        "nulll",
        "[",
        "{\"a\"",
        &deep(1_001),
    ] {
        assert!(json::check(text).is_err(), "{text}");
    }
    assert_eq!(
        json::check("[1,]").unwrap_err(),
        "not valid JSON at byte 3: expected a value"
    );
}
