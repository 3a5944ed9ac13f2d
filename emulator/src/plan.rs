//! Converts a script and a fault to a plan: the bytes to send, and when to send them.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value, json};

use super::{
    fault::{Effect, Fault, Insert, Position, Rewrite},
    frame,
    pace::Pace,
    playback::{Finish, Plan, Step},
    script::{Event, Script},
};

/// The number of content deltas before a fault that does not specify a position.
const DELTAS_BEFORE_FAULT: usize = 1;
/// The time between two bytes of a slow stream.
const SLOW: Duration = Duration::from_secs(1);
/// The size of the tool input in a giant delta: 4 MiB.
const GIANT: usize = 4 << 20;
/// The event that is counted for the position of a fault.
const DELTA: &str = "contentBlockDelta";

/// Returns the plan of a stream: the frames of a script at this pace, with the fault.
pub(super) fn stream(script: Script, pace: Pace, fault: Option<Fault>) -> Plan {
    of(script, Writer::new(pace), fault)
}

/// Returns the plan of a stream whose events are sent as chunks.
pub(super) fn chunks(script: Script, pace: Pace, fault: Option<Fault>) -> Plan {
    let mut writer = Writer::new(pace);
    writer.in_chunks = true;
    of(script, writer, fault)
}

fn of(script: Script, mut writer: Writer, fault: Option<Fault>) -> Plan {
    let Some(fault) = fault else {
        writer.events(script.events);
        return writer.finish(Finish::Complete);
    };
    let mut events = script.events;
    if let Effect::Rewrite(rewrite) = fault.effect() {
        writer.events(rewritten(*rewrite, events));
        return writer.finish(Finish::Complete);
    }
    let mut rest = events.split_off(strike_at(&events, fault));
    writer.events(events);
    match fault.effect() {
        Effect::Exception { exception_type, .. } => {
            let payload = fault.error("").payload();
            writer.frame(|out| frame::exception(out, exception_type, &payload));
            return writer.finish(Finish::Cut);
        }
        Effect::StreamError { code, message } => {
            writer.frame(|out| frame::error(out, code, message));
            return writer.finish(Finish::Cut);
        }
        Effect::EndBefore(_) => return writer.finish(Finish::Cut),
        Effect::Stall => return writer.finish(Finish::Stall),
        Effect::BadCrc => {
            writer.half_event(rest.drain(..), |bytes| {
                if let Some(last) = bytes.last_mut() {
                    *last ^= 1;
                }
            });
            return writer.finish(Finish::Cut);
        }
        Effect::CutInFrame | Effect::Reset => {
            writer.half_event(rest.drain(..), |bytes| bytes.truncate(bytes.len() / 2));
            let reset = matches!(fault.effect(), Effect::Reset);
            return writer.finish(if reset { Finish::Break } else { Finish::Cut });
        }
        Effect::Slow => writer.slow = true,
        Effect::UnknownMembers => add_unknown_members(&mut rest),
        Effect::Insert(insert) => writer.events(inserted(*insert, &rest)),
        // With these faults, the stream never begins, or the script was already changed above.
        Effect::Refuse(_) | Effect::StallBeforeHeaders | Effect::Rewrite(_) => {}
    }
    writer.events(rest);
    writer.finish(Finish::Complete)
}

/// Returns the number of events that are sent before the fault.
fn strike_at(events: &[Event], fault: Fault) -> usize {
    let position = |name: &str| events.iter().position(|event| event.name == name);
    match (fault.after(), fault.effect()) {
        (Some(Position::Deltas(0)), _) => 0,
        (Some(Position::Event(name)), _) => {
            let last = events.iter().rposition(|event| event.name == name);
            last.map_or(events.len(), |index| index + 1)
        }
        (None, Effect::EndBefore(name)) => position(name).unwrap_or(events.len()),
        (after, _) => {
            let wanted = match after {
                Some(Position::Deltas(deltas)) => deltas,
                Some(Position::Event(_)) | None => DELTAS_BEFORE_FAULT,
            };
            let deltas = events
                .iter()
                .enumerate()
                .filter(|(_, event)| event.name == DELTA);
            let last = deltas.take(wanted).last();
            last.map_or(0, |(index, _)| index + 1)
        }
    }
}

/// Adds to every event members that no version of the API defines.
fn add_unknown_members(events: &mut [Event]) {
    for event in events {
        if let Value::Object(members) = &mut event.payload {
            members.insert(
                "futureMember".to_owned(),
                json!({"nested": [1, "two", null]}),
            );
        }
    }
}

/// Returns the events that a fault adds to an answer. They depend on the events that follow.
fn inserted(insert: Insert, rest: &[Event]) -> Vec<Event> {
    match insert {
        Insert::Event => vec![Event {
            name: "futureEvent",
            payload: json!({"futureMember": "a later version of the API sends this"}),
        }],
        Insert::Delta => {
            let open = rest
                .iter()
                .find_map(|event| event.payload.get("contentBlockIndex"));
            let index = open.cloned().unwrap_or_else(|| json!(0));
            let delta = json!({"futureDelta": {"text": "a later version of the API sends this"}});
            vec![Event {
                name: DELTA,
                payload: json!({"contentBlockIndex": index, "delta": delta}),
            }]
        }
        Insert::GiantToolDelta => giant_tool_use(rest),
        Insert::InvalidIndex => vec![Event {
            name: DELTA,
            payload: json!({"contentBlockIndex": 1_u64 << 40, "delta": {"text": "of no block"}}),
        }],
    }
}

fn rewritten(rewrite: Rewrite, mut events: Vec<Event>) -> Vec<Event> {
    match rewrite {
        Rewrite::EarlyMetadata => {
            let position = |name: &str| events.iter().position(|event| event.name == name);
            if let (Some(stop), Some(metadata)) = (position("messageStop"), position("metadata")) {
                let metadata = events.remove(metadata);
                events.insert(stop, metadata);
            }
        }
        Rewrite::NoContent => events.retain(|event| !event.name.starts_with("contentBlock")),
        Rewrite::EmptyText => {
            for event in &mut events {
                if let Some(index) = event.payload.get_mut("contentBlockIndex") {
                    *index = json!(index.as_u64().unwrap_or_default() + 1);
                }
            }
            let delta = Event {
                name: DELTA,
                payload: json!({"contentBlockIndex": 0, "delta": {"text": ""}}),
            };
            let stop = Event {
                name: "contentBlockStop",
                payload: json!({"contentBlockIndex": 0}),
            };
            events.splice(1..1, [delta, stop]);
        }
    }
    events
}

fn giant_tool_use(rest: &[Event]) -> Vec<Event> {
    let indices = rest
        .iter()
        .filter_map(|event| event.payload["contentBlockIndex"].as_u64());
    let index = indices.max().map_or(0, |last| last + 1);
    let tool = json!({"toolUseId": "tooluse_giant", "name": "giant"});
    let input = format!(
        "{{\"data\":\"{}\"}}",
        "x".repeat(GIANT - "{\"data\":\"\"}".len())
    );
    vec![
        Event {
            name: "contentBlockStart",
            payload: json!({"contentBlockIndex": index, "start": {"toolUse": tool}}),
        },
        Event {
            name: DELTA,
            payload: json!({"contentBlockIndex": index, "delta": {"toolUse": {"input": input}}}),
        },
        Event {
            name: "contentBlockStop",
            payload: json!({"contentBlockIndex": index}),
        },
    ]
}

/// Collects frames in one buffer, and the steps into which they will be split.
struct Writer {
    pace: Pace,
    slow: bool,
    /// Whether the events are those of InvokeModelWithResponseStream.
    in_chunks: bool,
    deltas: usize,
    buffer: BytesMut,
    /// The wait, the number of bytes and the number of frames of each step.
    steps: Vec<(Duration, usize, u64)>,
}

impl Writer {
    fn new(pace: Pace) -> Self {
        Self {
            pace,
            slow: false,
            in_chunks: false,
            deltas: 0,
            buffer: BytesMut::new(),
            steps: Vec::new(),
        }
    }

    fn events(&mut self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            let wait = self.wait_before(event.name);
            let start = self.buffer.len();
            encode(&mut self.buffer, event, self.in_chunks);
            let length = self.buffer.len() - start;
            if self.slow {
                self.steps.push((wait, 1, 0));
                self.steps.extend((2..length).map(|_| (SLOW, 1, 0)));
                self.steps.push((SLOW, 1, 1));
            } else {
                self.steps.push((wait, length, 1));
            }
        }
    }

    /// Writes a frame that is not an event.
    fn frame(&mut self, write: impl FnOnce(&mut BytesMut)) {
        let wait = self.wait_before("");
        let start = self.buffer.len();
        write(&mut self.buffer);
        self.steps.push((wait, self.buffer.len() - start, 1));
    }

    /// Writes the first of these events, corrupted by `spoil`.
    fn half_event(
        &mut self,
        mut events: impl Iterator<Item = Event>,
        spoil: impl FnOnce(&mut Vec<u8>),
    ) {
        // If no event is left, an additional one is created.
        let event = events.next().unwrap_or_else(|| Event {
            name: "metadata",
            payload: json!({}),
        });
        let wait = self.wait_before(event.name);
        let mut frame = BytesMut::new();
        encode(&mut frame, event, self.in_chunks);
        let mut bytes = frame.to_vec();
        spoil(&mut bytes);
        self.buffer.extend_from_slice(&bytes);
        self.steps.push((wait, bytes.len(), 0));
    }

    /// Returns the wait before an event. Before the first frame, this is the time to the first
    /// token. Each later delta has its own wait.
    fn wait_before(&mut self, name: &str) -> Duration {
        if name == DELTA {
            self.deltas += 1;
        }
        if self.steps.is_empty() {
            self.pace.time_to_first_token
        } else if name == DELTA && self.deltas > 1 {
            self.pace.inter_token_delay
        } else {
            Duration::ZERO
        }
    }

    fn finish(self, finish: Finish) -> Plan {
        let mut bytes = self.buffer.freeze();
        let steps = self.steps.into_iter().map(|(wait, length, events)| Step {
            wait,
            bytes: bytes.split_to(length),
            events,
        });
        let steps = steps.collect();
        Plan { steps, finish }
    }
}

fn encode(out: &mut BytesMut, event: Event, in_chunks: bool) {
    if in_chunks {
        let bytes = STANDARD.encode(event.payload.to_string());
        let payload = Map::from_iter([("bytes".to_owned(), Value::from(bytes))]);
        // An event that is in no version of the API keeps its type.
        let is_known = event.name != "futureEvent";
        frame::event(out, if is_known { "chunk" } else { event.name }, payload);
        return;
    }
    let payload = match event.payload {
        Value::Object(members) => members,
        other => Map::from_iter([("value".to_owned(), other)]),
    };
    frame::event(out, event.name, payload);
}

/// Returns the plan of a response without frames. The whole body is sent after the time that all
/// tokens would take. A fault can cut the body.
pub(super) fn unary(body: Bytes, pace: Pace, events: usize, fault: Option<Fault>) -> Plan {
    let tokens = u32::try_from(events).unwrap_or(u32::MAX);
    let wait = pace
        .inter_token_delay
        .saturating_mul(tokens)
        .saturating_add(pace.time_to_first_token);
    let half = body.slice(..body.len() / 2);
    let (bytes, finish) = match fault.map(Fault::effect) {
        Some(Effect::Reset) => (half, Finish::Break),
        Some(Effect::CutInFrame) => (half, Finish::Cut),
        _ => (body, Finish::Complete),
    };
    let step = Step {
        wait,
        bytes,
        events: 0,
    };
    Plan {
        steps: vec![step],
        finish,
    }
}
