//! Translates the events of a stream and combines them into one answer.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::{events::events, input::Input, values::is_json};
use crate::{
    pb::{
        self, StreamInvokeResponse, content_block_delta_event::Delta,
        reasoning_content_block_delta::Delta as ReasoningDelta, stream_invoke_response::Event,
    },
    translate::{
        event::{self, Reader},
        fold::Fold,
        response,
    },
};

/// The first byte: how deltas are split. The rest is a stream of frames, whose checksums are
/// corrected.
pub fn fold(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let seed = input.byte();
    let mut reader = Reader::default();
    let mut messages = Vec::new();
    for (name, payload) in events(input.rest()) {
        match reader.read(&name, &payload) {
            Ok(read) => {
                event_survives(&name, &read.response);
                messages.extend(read.unpaired);
                messages.push(read.response);
            }
            // A call ends here.
            Err(error) => {
                assert!(!error.to_string().is_empty());
                break;
            }
        }
    }

    let whole = folded(messages.iter().cloned());
    let json = response::to_converse(&whole);
    assert!(is_json(&json), "{json}");

    // The answer does not depend on how Bedrock divides its text into deltas, or on heartbeats.
    let mut random = fastrand::Rng::with_seed(seed.into());
    let split = messages
        .into_iter()
        .flat_map(|message| split(message, &mut random));
    let split = folded(split);
    assert_eq!(split, whole);
    assert_eq!(response::to_converse(&split), json);
}

fn folded(messages: impl IntoIterator<Item = StreamInvokeResponse>) -> pb::InvokeResponse {
    let mut fold = Fold::default();
    for message in messages {
        fold.push(message);
    }
    fold.finish()
}

/// An event that is written as JSON is the same event when it is read again.
fn event_survives(name: &str, message: &StreamInvokeResponse) {
    let line = event::to_bedrock(message);
    let members: BTreeMap<String, &RawValue> = match serde_json::from_str(&line) {
        Ok(members) => members,
        Err(error) => unreachable!("{error}: {line}"),
    };
    // The names of unknown events are the members' names.
    if let Some(payload) = members.get(name) {
        match event::from_bedrock(name, payload.get().as_bytes()) {
            Ok(again) => assert_eq!(event::to_bedrock(&again), line),
            Err(error) => unreachable!("{error}: {line}"),
        }
    } else {
        assert!(members.is_empty() || message.event.is_none(), "{line}");
    }
}

/// Splits the text of a delta in two, and adds a heartbeat before it.
fn split(message: StreamInvokeResponse, random: &mut fastrand::Rng) -> Vec<StreamInvokeResponse> {
    let heartbeat = StreamInvokeResponse {
        event: Some(Event::Heartbeat(pb::HeartbeatEvent::default())),
        raw_members: Vec::new(),
    };
    let mut first = message.clone();
    let mut second = message;
    if !first.raw_members.is_empty() || random.bool() {
        return vec![heartbeat, first];
    }
    let (Some(start), Some(end)) = (text(&mut first), text(&mut second)) else {
        return vec![heartbeat, first];
    };
    let at = start.floor_char_boundary(random.usize(..=start.len()));
    if at == 0 || at == start.len() {
        return vec![heartbeat, first];
    }
    *end = start.split_off(at);
    vec![heartbeat, first, second]
}

/// Returns the text to which the fold appends the texts of later deltas.
fn text(message: &mut StreamInvokeResponse) -> Option<&mut String> {
    let Some(Event::ContentBlockDelta(delta)) = &mut message.event else {
        return None;
    };
    match delta.delta.as_mut()? {
        Delta::Text(text) => Some(text),
        Delta::ToolUse(delta) => Some(&mut delta.input),
        Delta::ReasoningContent(delta) => match delta.delta.as_mut()? {
            ReasoningDelta::Text(text) | ReasoningDelta::Signature(text) => Some(text),
            ReasoningDelta::RedactedContent(_) => None,
        },
        Delta::ToolResult(_) | Delta::Citation(_) | Delta::Image(_) => None,
    }
}
