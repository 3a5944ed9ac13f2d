//! Tests joined deltas with streams, pauses and intervals that are drawn at random.

use std::{collections::BTreeSet, ops::Range, time::Duration};

use fastrand::Rng;

use super::{
    coalesced::{joined, text},
    fault::Fault,
    http::Http,
    outcome::{self, Outcome},
    peer::{Script, Spacing},
    streams::Stream,
};
use crate::pb::{StreamInvokeResponse, stream_invoke_response::Event};

const CASES: u64 = 400;
/// The values of `coalesce` to draw from, in milliseconds.
const INTERVALS: [u64; 5] = [1, 10, 50, 200, 1_000];

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Reasoning,
    Tool,
}

/// Draws a stream. It has blocks of several kinds, which can overlap, deltas that cannot be joined,
/// characters that are split between two deltas, and unknown events and members.
fn draw(random: &mut Rng) -> Stream {
    let mut events = vec![("messageStart", r#"{"role":"assistant"}"#.to_owned())];
    let mut open: Vec<(usize, Kind)> = Vec::new();
    let (mut blocks, mut member) = (0, "");
    for number in 0..random.usize(5..40) {
        match random.u8(0..12) {
            0 => events.push(("futureEvent", format!(r#"{{"n":{number}}}"#))),
            1 if !open.is_empty() => {
                let (index, _) = open.swap_remove(random.usize(..open.len()));
                events.push(("contentBlockStop", index_of(index, "")));
            }
            2 => {
                member = random
                    .choice(["", r#","new":1"#, r#","new":2"#])
                    .unwrap_or_default()
            }
            choice => {
                if open.is_empty() || choice == 3 {
                    let kinds = [Kind::Text, Kind::Reasoning, Kind::Tool];
                    let kind = random.choice(kinds).unwrap_or(Kind::Text);
                    if matches!(kind, Kind::Tool) {
                        let start = r#","start":{"toolUse":{"toolUseId":"t","name":"n"}}"#;
                        events.push(("contentBlockStart", index_of(blocks, start)));
                    }
                    open.push((blocks, kind));
                    blocks += 1;
                }
                // Most deltas belong to the block that began last.
                let latest = open.len() - 1;
                let at = if random.u8(0..8) == 0 { 0 } else { latest };
                let (index, kind) = open[at];
                let delta = delta(kind, number, random);
                let members = format!(r#","delta":{delta}{member}"#);
                events.push(("contentBlockDelta", index_of(index, &members)));
            }
        }
    }
    for (index, _) in open {
        events.push(("contentBlockStop", index_of(index, "")));
    }
    events.push(("messageStop", r#"{"stopReason":"end_turn"}"#.to_owned()));
    events.push((
        "metadata",
        r#"{"usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3}}"#.to_owned(),
    ));
    let events: Vec<_> = events.iter().map(|(name, json)| (*name, &**json)).collect();
    Stream::of("drawn", &events)
}

fn index_of(index: usize, members: &str) -> String {
    format!(r#"{{"contentBlockIndex":{index}{members}}}"#)
}

/// Draws a delta. No two texts are equal, and none is empty.
fn delta(kind: Kind, number: usize, random: &mut Rng) -> String {
    let text = match random.u8(0..8) {
        0 => format!(r"{number}\ud83d"),
        1 => format!(r"\ude00{number}"),
        _ => format!("{number} "),
    };
    let is_text = random.u8(0..8) > 0;
    match kind {
        Kind::Text if is_text => format!(r#"{{"text":"{text}"}}"#),
        Kind::Text => format!(r#"{{"citation":{{"title":"{number}"}}}}"#),
        Kind::Tool => format!(r#"{{"toolUse":{{"input":"{text}"}}}}"#),
        Kind::Reasoning if is_text => format!(r#"{{"reasoningContent":{{"text":"{text}"}}}}"#),
        Kind::Reasoning => {
            let other = random.choice([
                format!(r#""signature":"{number}""#),
                r#""redactedContent":"AAAA""#.to_owned(),
            ]);
            format!(
                r#"{{"reasoningContent":{{{}}}}}"#,
                other.unwrap_or_default()
            )
        }
    }
}

/// Returns, for each message of the joined stream, the range of messages of the plain stream that
/// it contains.
fn pieces(plain: &[StreamInvokeResponse], joined: &[StreamInvokeResponse]) -> Vec<Range<usize>> {
    let mut end = 0;
    let mut ranges = Vec::new();
    for message in joined {
        let start = end;
        let mut message = message.clone();
        let Some((_, _, whole)) = text(&mut message) else {
            end += 1;
            ranges.push(start..end);
            continue;
        };
        let mut all = String::new();
        while all.len() < whole.len() {
            let mut piece = plain[end].clone();
            let (_, _, next) = text(&mut piece).unwrap();
            all.push_str(next);
            end += 1;
        }
        assert_eq!(&all, whole);
        ranges.push(start..end);
    }
    assert_eq!(end, plain.len());
    ranges
}

/// Checks when messages are sent: joined deltas within the interval, all other messages at once.
fn is_in_time(plain: &Outcome, coalesced: &Outcome, interval: Duration, name: &str) {
    let mut begun = BTreeSet::new();
    let ranges = pieces(&plain.messages, &coalesced.messages);
    for (index, range) in ranges.into_iter().enumerate() {
        let message = &coalesced.messages[index];
        let sent = coalesced.arrivals[index];
        let arrived = &plain.arrivals[range.clone()];
        let (first, last) = (arrived[0], arrived[arrived.len() - 1]);
        assert!(
            sent >= last && sent - first <= interval,
            "{name}: {message:?}"
        );
        let is_first = match &message.event {
            Some(Event::ContentBlockDelta(delta)) => begun.insert(delta.content_block_index),
            _ => false,
        };
        if is_first || text(&mut message.clone()).is_none() {
            assert_eq!((range.len(), sent), (1, first), "{name}: {message:?}");
        }
    }
}

#[test]
fn drawn_streams_differ_only_in_how_deltas_are_joined() {
    let (mut plain_messages, mut messages) = (0, 0);
    for seed in 0..CASES {
        let mut random = Rng::with_seed(seed);
        let stream = draw(&mut random);
        let http = random.choice([Http::One, Http::Two]).unwrap();
        let fault = random.choice(Fault::all(http)).unwrap();
        let frames = if random.bool() {
            stream.len()
        } else {
            random.usize(0..=stream.len())
        };
        let interval = Duration::from_millis(random.choice(INTERVALS).unwrap());
        let script = Script::new(http, stream.frames(frames), &fault);
        // In half of the cases, some events arrive together.
        let mask = if random.bool() {
            u64::MAX
        } else {
            random.u64(..)
        };
        let played = script.grouped(mask, Spacing::Drawn(seed));
        let plain = outcome::stream_invoke(&played);
        let coalesced = outcome::stream_invoke_coalesced(&played, interval);
        let name = format!("seed {seed}, {http:?}, cut after {frames}, {fault:?}, {interval:?}");
        assert_eq!(coalesced.status, plain.status, "{name}");
        assert_eq!(coalesced.took, plain.took, "{name}");
        assert_eq!(
            joined(&coalesced.messages),
            joined(&plain.messages),
            "{name}"
        );
        is_in_time(&plain, &coalesced, interval, &name);
        // These times are measured when Bedrock's deltas arrive, not when the client receives them.
        assert_eq!(coalesced.token_times, plain.token_times, "{name}");
        // A delta that is sent later also postpones the next heartbeat.
        let heartbeats = coalesced.heartbeats.abs_diff(plain.heartbeats);
        assert!(heartbeats <= 1, "{name}: {heartbeats} more or fewer");
        plain_messages += plain.messages.len();
        messages += coalesced.messages.len();
    }
    let fewer = plain_messages - messages;
    assert!(
        fewer > 500,
        "only {fewer} of {plain_messages} messages were joined"
    );
}
