//! Events of streams: [`StreamInvokeResponse`](pb::StreamInvokeResponse) and the frames of Bedrock's ConverseStream.

use pb::stream_invoke_response::Event;

use super::{
    Error, gateway,
    json::{BEDROCK_DEPTH, Place, Writer},
    raw,
    table::{BadJson, Decoder, Encoder, Mode, Object, Value},
};
use crate::pb;

/// The message for one event frame, by the frame's `:event-type` and payload.
///
/// Nothing is added: the gateway's own fields of `message_start`, and starts of blocks that Bedrock does not announce, are the caller's.
/// Nothing is lost either: what the proto has no field for, or is of another type than expected, becomes a raw member, and an event
/// that the proto does not know an [`UnknownEvent`](pb::UnknownEvent). Empty lists, nulls and the padding `p` mean nothing and are dropped;
/// halves of surrogate pairs without their other half, which no text can hold, are replaced by U+FFFD.
///
/// # Errors
///
/// A known event's payload that is not a JSON object.
pub fn from_bedrock(event_type: &str, payload: &[u8]) -> Result<pb::StreamInvokeResponse, Error> {
    match event_type {
        "messageStart" => read(payload, Event::MessageStart),
        "contentBlockStart" => read(payload, Event::ContentBlockStart),
        "contentBlockDelta" => read(payload, Event::ContentBlockDelta),
        "contentBlockStop" => read(payload, Event::ContentBlockStop),
        "messageStop" => read(payload, Event::MessageStop),
        "metadata" => read(payload, |metadata| {
            Event::Metadata(pb::MetadataEvent {
                metadata: Some(metadata),
            })
        }),
        unknown => Ok(pb::StreamInvokeResponse {
            event: Some(Event::Unknown(pb::UnknownEvent {
                r#type: unknown.to_owned(),
                json: unknown_payload(payload),
            })),
            raw_members: Vec::new(),
        }),
    }
}

fn read<T: Value>(
    payload: &[u8],
    event: impl FnOnce(T) -> Event,
) -> Result<pb::StreamInvokeResponse, Error> {
    let mut from = Decoder::new(payload, Mode::Event)?;
    let object = T::read(&mut from, &Place::ROOT)?;
    let object = object.ok_or_else(|| Error::new(&Place::ROOT, "expected an object"))?;
    Ok(pb::StreamInvokeResponse {
        event: Some(event(object)),
        raw_members: from.finish()?,
    })
}

/// The payload as JSON text: as it is, or as a JSON string if it is something else, which must not break the stream.
fn unknown_payload(payload: &[u8]) -> String {
    let mut json = Writer::with_capacity(payload.len());
    json.raw_or_string(&String::from_utf8_lossy(payload));
    json.into_string()
}

/// The event as one line of JSON in the form of Bedrock's own streams: `{"contentBlockDelta":{"contentBlockIndex":0,"delta":{"text":"Hi"}}}`.
///
/// Raw members are back in their places. What the gateway adds to `messageStart` stands beside it, in a member `gateway`, so that
/// readers of Bedrock's streams skip it. An event that is not set, or newer than this version, is `{}`.
pub fn to_bedrock(event: &pb::StreamInvokeResponse) -> String {
    let raw = &event.raw_members;
    let mut line = Writer::default();
    line.begin_object();
    match &event.event {
        Some(Event::MessageStart(start)) => {
            member(&mut line, "messageStart", start, raw);
            gateway::write(&mut line, start);
        }
        Some(Event::ContentBlockStart(start)) => member(&mut line, "contentBlockStart", start, raw),
        Some(Event::ContentBlockDelta(delta)) => member(&mut line, "contentBlockDelta", delta, raw),
        Some(Event::ContentBlockStop(stop)) => member(&mut line, "contentBlockStop", stop, raw),
        Some(Event::MessageStop(stop)) => member(&mut line, "messageStop", stop, raw),
        Some(Event::Metadata(event)) => match &event.metadata {
            Some(metadata) => member(&mut line, "metadata", metadata, raw),
            None => member(
                &mut line,
                "metadata",
                &pb::ConverseStreamMetadata::default(),
                raw,
            ),
        },
        Some(Event::Heartbeat(heartbeat)) => gateway::write_heartbeat(&mut line, heartbeat),
        Some(Event::Unknown(unknown)) => {
            line.key(&unknown.r#type);
            line.raw_or_string(&unknown.json);
        }
        None => {}
    }
    line.end_object();
    line.into_string()
}

fn member(line: &mut Writer, name: &str, value: &impl Object, raw: &[pb::RawMember]) {
    let mut out = Encoder::new(128, raw, BadJson::Quote);
    out.json.begin_object();
    value.write_members(&mut out, &Place::ROOT);
    out.json.end_object();
    let (json, _) = raw::merge(out.finish().0.into_string(), raw, BEDROCK_DEPTH);
    line.key(name);
    line.raw(&json);
}
