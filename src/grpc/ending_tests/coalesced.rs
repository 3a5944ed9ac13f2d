//! Tests streams whose deltas are joined. Without joining, only the number of messages and the
//! times of deltas may differ.

use std::time::Duration;

use tonic::Code;

use super::{
    fault::Fault,
    http::Http,
    outcome::{self, Outcome},
    peer::{Script, Spacing},
    streams::Stream,
};
use crate::pb::{
    StreamInvokeResponse, content_block_delta_event::Delta,
    reasoning_content_block_delta::Delta as Reasoning, stream_invoke_response::Event,
};

const COALESCE: Duration = Duration::from_millis(50);

/// Returns a stream of one block whose deltas have these texts.
fn texts(texts: &[&str]) -> Stream {
    let texts: Vec<_> = texts.iter().map(|text| (*text, "")).collect();
    texts_and_members(&texts)
}

/// Returns a stream of one block. Each delta has a text and these additional members.
fn texts_and_members(texts: &[(&str, &str)]) -> Stream {
    let deltas: Vec<_> = texts
        .iter()
        .map(|(text, more)| {
            format!(r#"{{"contentBlockIndex":0,"delta":{{"text":"{text}"}}{more}}}"#)
        })
        .collect();
    let mut events = vec![("messageStart", r#"{"role":"assistant"}"#)];
    events.extend(deltas.iter().map(|delta| ("contentBlockDelta", &**delta)));
    events.push(("contentBlockStop", r#"{"contentBlockIndex":0}"#));
    events.push(("messageStop", r#"{"stopReason":"end_turn"}"#));
    events.push((
        "metadata",
        r#"{"usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3},"metrics":{"latencyMs":1}}"#,
    ));
    Stream::of("texts", &events)
}

/// Returns the block, the kind and the text of a message that is a delta of text, reasoning or tool
/// input.
pub(super) fn text(message: &mut StreamInvokeResponse) -> Option<(i32, u8, &mut String)> {
    let Some(Event::ContentBlockDelta(delta)) = &mut message.event else {
        return None;
    };
    let index = delta.content_block_index;
    let (kind, text) = match delta.delta.as_mut()? {
        Delta::Text(text) => (0, text),
        Delta::ToolUse(tool_use) => (1, &mut tool_use.input),
        Delta::ReasoningContent(reasoning) => match reasoning.delta.as_mut()? {
            Reasoning::Text(text) => (2, text),
            _ => return None,
        },
        _ => return None,
    };
    Some((index, kind, text))
}

/// Joins all adjacent deltas of the same block and kind.
pub(super) fn joined(messages: &[StreamInvokeResponse]) -> Vec<StreamInvokeResponse> {
    let mut out: Vec<StreamInvokeResponse> = Vec::new();
    for message in messages {
        let mut message = message.clone();
        let has_equal_members = out
            .last()
            .is_some_and(|last| last.raw_members == message.raw_members);
        if has_equal_members
            && let (Some((index, kind, next)), Some((last_index, last_kind, all))) =
                (text(&mut message), out.last_mut().and_then(text))
            && (index, kind) == (last_index, last_kind)
        {
            all.push_str(next);
            continue;
        }
        out.push(message);
    }
    out
}

/// Returns the texts of the deltas, and when they arrived, in milliseconds.
fn deltas(outcome: &Outcome) -> Vec<(String, u128)> {
    let arrived = outcome.messages.iter().zip(&outcome.arrivals);
    arrived
        .filter_map(|(message, arrived)| {
            let mut message = message.clone();
            let (_, _, text) = text(&mut message)?;
            Some((text.clone(), arrived.as_millis()))
        })
        .collect()
}

fn paced(stream: &Stream, frames: usize, fault: &Fault, pause: u64) -> (Outcome, Outcome) {
    let script = Script::new(Http::One, stream.frames(frames), fault);
    let played = script.grouped(u64::MAX, Spacing::Long(Duration::from_millis(pause)));
    (
        outcome::stream_invoke(&played),
        outcome::stream_invoke_coalesced(&played, COALESCE),
    )
}

#[test]
fn a_joined_stream_has_the_same_content_and_end() {
    let mut random = fastrand::Rng::with_seed(3);
    let mut fewer = 0;
    for stream in Stream::generated().iter().chain(&[texts(&["a"; 20])]) {
        for frames in 0..=stream.len() {
            for fault in Fault::all(Http::One) {
                let pause = random.choice([0, 1, 20, 70]).unwrap_or_default();
                let (plain, coalesced) = paced(stream, frames, &fault, pause);
                let name = format!("{} cut after {frames}, {fault:?}, {pause} ms", stream.name);
                assert_eq!(coalesced.status, plain.status, "{name}");
                assert_eq!(
                    joined(&coalesced.messages),
                    joined(&plain.messages),
                    "{name}"
                );
                assert_eq!(coalesced.took, plain.took, "{name}");
                assert!(coalesced.messages.len() <= plain.messages.len(), "{name}");
                fewer += usize::from(coalesced.messages.len() < plain.messages.len());
            }
        }
    }
    assert!(fewer > 50, "only {fewer} streams had joined deltas");
}

/// Checks that the first delta is not delayed, and that later deltas are sent 50 ms after the
/// previous message. The end of the block must send the remaining deltas.
#[test]
fn deltas_are_sent_in_the_interval() {
    let stream = texts(&["1", "2", "3", "4", "5", "6", "7", "8"]);
    let (plain, coalesced) = paced(&stream, stream.len(), &Fault::End, 15);
    let at = deltas(&plain)[0].1;
    let expected = [("1", 0), ("234", 50), ("567", 100), ("8", 120)];
    let expected = expected.map(|(text, after)| (text.to_owned(), at + after));
    assert_eq!(deltas(&coalesced), expected);
    let ends = |outcome: &Outcome| outcome.arrivals[outcome.arrivals.len() - 3..].to_vec();
    assert_eq!(ends(&coalesced), ends(&plain));
}

/// Checks that deltas with equal unknown members are joined, and that no member is lost.
#[test]
fn deltas_with_equal_unknown_members_are_joined() {
    let stream = texts_and_members(&[
        ("1", r#","new":1"#),
        ("2", r#","new":1"#),
        ("3", r#","new":1"#),
        ("4", r#","new":2"#),
        ("5", ""),
        ("6", ""),
    ]);
    let (plain, coalesced) = paced(&stream, stream.len(), &Fault::End, 1);
    let sent: Vec<_> = coalesced
        .messages
        .iter()
        .filter_map(|message| {
            let mut message = message.clone();
            let (_, _, text) = text(&mut message)?;
            let text = text.clone();
            let members = message.raw_members.into_iter();
            Some((text, members.map(|member| member.json).collect::<Vec<_>>()))
        })
        .collect();
    let expected = [("1", "1"), ("23", "1"), ("4", "2"), ("56", "")];
    let expected = expected.map(|(text, member)| {
        let members = Some(member.to_owned()).filter(|member| !member.is_empty());
        (text.to_owned(), members.into_iter().collect::<Vec<_>>())
    });
    assert_eq!(sent, expected);
    assert_eq!(joined(&coalesced.messages), joined(&plain.messages));
}

/// Checks that a delta is not delayed if it arrives after the interval.
#[test]
fn slow_deltas_are_not_delayed() {
    let stream = texts(&["1", "2", "3", "4"]);
    let (plain, coalesced) = paced(&stream, stream.len(), &Fault::End, 60);
    assert_eq!(coalesced.messages, plain.messages);
    assert_eq!(coalesced.arrivals, plain.arrivals);
}

/// Checks that a stream that is faster than any model does not fill the memory.
#[test]
fn what_is_held_back_is_bounded() {
    let long = "x".repeat(30 << 10);
    let medium = "x".repeat(5 << 10);
    for (stream, longest) in [
        (texts(&["x"; 1_000]), 256),
        (texts(&[medium.as_str(); 20]), 15 << 10),
        // Such an event holds memory from the budget, but only until the next event is read.
        (texts(&[long.as_str(); 20]), 30 << 10),
    ] {
        let (plain, coalesced) = paced(&stream, stream.len(), &Fault::End, 0);
        let lengths = deltas(&coalesced).into_iter().map(|(text, _)| text.len());
        assert_eq!(lengths.max(), Some(longest));
        assert_eq!(joined(&coalesced.messages), joined(&plain.messages));
    }
}

/// Checks that deltas that are held back are sent in time, even if Bedrock is silent after them.
#[test]
fn held_deltas_do_not_wait_for_the_next_event() {
    let stream = texts(&["1", "2", "3"]);
    let (plain, coalesced) = paced(&stream, 4, &Fault::Silence, 10);
    let at = deltas(&plain)[0].1;
    assert_eq!(
        deltas(&coalesced),
        [("1".to_owned(), at), ("23".to_owned(), at + 50)]
    );
    // Both calls end at their deadline.
    assert_eq!(coalesced.took, plain.took);
    assert_eq!(coalesced.heartbeats, plain.heartbeats);
}

/// Checks that deltas that are held back are sent before the status if Bedrock fails. If the client
/// disconnects between the two, the failure is still recorded.
#[test]
fn a_failure_counts_if_the_client_leaves_after_the_last_deltas() {
    let stream = texts(&["1", "2", "3"]);
    let fault = Fault::Body("internalServerException");
    // The four frames are the start of the message, the start of the block, and two deltas.
    let script = Script::new(Http::One, stream.frames(4), &fault);
    let played = script.grouped(0, Spacing::None);
    let whole = outcome::stream_invoke_coalesced(&played, COALESCE);
    assert_eq!(deltas(&whole).len(), 2, "{whole:#?}");
    let all = whole.messages.len();
    assert_eq!(outcome::left_after(&played, COALESCE, all), "INTERNAL");
    assert_eq!(outcome::left_after(&played, COALESCE, all - 1), "CANCELLED");
}

/// Checks that the client receives all deltas before its deadline, even if they are joined within a
/// longer time.
#[test]
fn deltas_are_sent_before_the_deadline() {
    let stream = texts(&["1", "2", "3", "4"]);
    // The five frames are the start of the message, and the deltas.
    let script = Script::new(Http::One, stream.frames(5), &Fault::Silence);
    let played = script.grouped(u64::MAX, Spacing::Long(Duration::from_millis(10)));
    for (coalesce, timeout) in [(300, 350), (300, 500), (1_000, 60), (1_000, 900)] {
        let (coalesce, timeout) = (
            Duration::from_millis(coalesce),
            Duration::from_millis(timeout),
        );
        let outcome = outcome::stream_invoke_within(&played, coalesce, timeout);
        let name = format!("{coalesce:?} {timeout:?} {outcome:#?}");
        assert_eq!(outcome.status.0, Code::DeadlineExceeded, "{name}");
        assert_eq!(outcome.took, timeout, "{name}");
        let sent = deltas(&outcome);
        let text: String = sent.iter().map(|(text, _)| &**text).collect();
        assert_eq!(text, "1234", "{name}");
        let last = Duration::from_millis(sent.last().unwrap().1 as u64);
        // A delta cannot be sent before it arrives, which takes less than 50 ms here.
        let latest = timeout.saturating_sub(Duration::from_millis(100));
        assert!(last <= latest.max(Duration::from_millis(50)), "{name}");
    }
}
