//! Translates one event of a stream: a frame of Bedrock's ConverseStream to a
//! [`StreamInvokeResponse`](pb::StreamInvokeResponse), and back to JSON.

use pb::stream_invoke_response::Event;

use super::{
    Error, gateway_members,
    json::{MAX_DEPTH, Position, UnpairedSurrogates, Writer},
    raw, split_surrogates,
    table::{BadJson, Decoder, Encoder, Mode, Object, Value},
};
use crate::pb;

/// Translates one event frame.
///
/// Nothing is added: the caller adds the gateway's own fields of `message_start`, and the start
/// events of blocks that Bedrock does not announce. Nothing is lost: a member becomes a raw member
/// if the proto has no field for it, if its type is unexpected, or if it is an empty list or map.
/// An event without a message in the proto becomes an [`UnknownEvent`](pb::UnknownEvent). Integers
/// may be written as floats (`7.0`). Nulls and the padding `p` have no meaning and are dropped.
///
/// Unpaired surrogates become U+FFFD, because text cannot contain them. In a stream, a delta's text
/// may end with the first surrogate of a pair: use a [`Reader`] for streams.
///
/// # Errors
///
/// Returns an error if the payload of a known event is not a JSON object, or if the index of a
/// content block is not an integer from 0 to 2,147,483,647.
pub fn from_bedrock(event_type: &str, payload: &[u8]) -> Result<pb::StreamInvokeResponse, Error> {
    from_frame(event_type, payload).map(|(response, _)| response)
}

/// Translates the events of one stream, in order, as [`from_bedrock`] does.
///
/// If Bedrock split a character between two deltas of a block, the reader joins the two parts. It
/// holds back the first surrogate until the second one arrives or the block ends.
#[derive(Debug, Default)]
pub struct Reader {
    held: split_surrogates::HeldSurrogates,
}

/// What a [`Reader`] returns for one event frame.
#[derive(Debug)]
pub struct Translated {
    /// Deltas to send before the event: one with U+FFFD for each unpaired surrogate of a block that
    /// ends with this event.
    pub unpaired: Vec<pb::StreamInvokeResponse>,
    /// The event.
    pub response: pb::StreamInvokeResponse,
}

impl Reader {
    /// Translates the next event frame.
    ///
    /// # Errors
    ///
    /// Fails for the same reasons as [`from_bedrock`].
    pub fn read(&mut self, event_type: &str, payload: &[u8]) -> Result<Translated, Error> {
        Decoded::read(event_type, payload).map(|decoded| self.join(decoded))
    }

    /// Translates an event that was decoded before.
    pub(crate) fn join(&mut self, decoded: Decoded) -> Translated {
        let Decoded { mut response, lone } = decoded;
        let unpaired = match &mut response.event {
            Some(Event::ContentBlockDelta(delta)) => {
                self.held.join(delta, lone);
                Vec::new()
            }
            Some(Event::ContentBlockStart(start)) => self.held.end(start.content_block_index),
            Some(Event::ContentBlockStop(stop)) => self.held.end(stop.content_block_index),
            Some(Event::MessageStop(_)) => self.held.end_all(),
            _ => Vec::new(),
        };
        Translated { unpaired, response }
    }
}

/// A decoded event frame, before its text is joined with the text of its neighbours. Events can be
/// decoded in any order, and on any thread.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) response: pb::StreamInvokeResponse,
    lone: UnpairedSurrogates,
}

impl Decoded {
    /// Decodes an event frame. Fails for the same reasons as [`from_bedrock`].
    pub(crate) fn read(event_type: &str, payload: &[u8]) -> Result<Self, Error> {
        let (response, lone) = from_frame(event_type, payload)?;
        Ok(Self { response, lone })
    }
}

type FromFrame = (pb::StreamInvokeResponse, UnpairedSurrogates);

/// Translates one event frame. Also returns the unpaired surrogates at both ends of a delta's text.
fn from_frame(event_type: &str, payload: &[u8]) -> Result<FromFrame, Error> {
    match event_type {
        "messageStart" => read(payload, Event::MessageStart),
        "contentBlockStart" => read(payload, Event::ContentBlockStart),
        "contentBlockDelta" => read(payload, Event::ContentBlockDelta),
        "contentBlockStop" => read(payload, Event::ContentBlockStop),
        "messageStop" => read(payload, Event::MessageStop),
        "metadata" => read(payload, |metadata| {
            Event::Metadata(pb::MetadataEvent {
                metadata: Some(metadata),
                ..pb::MetadataEvent::default()
            })
        }),
        unknown => {
            let response = pb::StreamInvokeResponse {
                event: Some(Event::Unknown(self::unknown(unknown, payload))),
                raw_members: Vec::new(),
            };
            Ok((response, UnpairedSurrogates::default()))
        }
    }
}

/// Returns the event for a frame whose type is not in the API.
pub(crate) fn unknown(event_type: &str, payload: &[u8]) -> pb::UnknownEvent {
    pb::UnknownEvent {
        r#type: event_type.to_owned(),
        json: unknown_payload(payload),
    }
}

fn read<T: Value>(payload: &[u8], event: impl FnOnce(T) -> Event) -> Result<FromFrame, Error> {
    let mut from = Decoder::new(payload, Mode::Event)?;
    let object = T::read(&mut from, &Position::ROOT)?;
    let object = object.ok_or_else(|| Error::new(&Position::ROOT, "expected an object"))?;
    let event = event(object);
    let lone = match &event {
        Event::ContentBlockDelta(delta) => from.unpaired_at(split_surrogates::pointer(delta)),
        _ => UnpairedSurrogates::default(),
    };
    let response = pb::StreamInvokeResponse {
        event: Some(event),
        raw_members: from.finish()?,
    };
    Ok((response, lone))
}

/// Returns the payload as JSON text: unchanged if it is JSON, otherwise as a JSON string.
fn unknown_payload(payload: &[u8]) -> String {
    let mut json = Writer::with_capacity(payload.len());
    json.raw_or_string(&String::from_utf8_lossy(payload));
    json.into_string()
}

/// Returns the event as one line of JSON, in the format of Bedrock's own streams, such as
/// `{"contentBlockDelta":{"contentBlockIndex":0,"delta":{"text":"Hi"}}}`.
///
/// Raw members are written at their original positions. The gateway's additions to `messageStart`
/// are written as a separate member `gateway`, which readers of Bedrock's streams ignore. The
/// result is `{}` if no event is set, or if its type is not in this version of the API.
pub fn to_bedrock(event: &pb::StreamInvokeResponse) -> String {
    let raw = &event.raw_members;
    let mut line = Writer::default();
    line.begin_object();
    match &event.event {
        Some(Event::MessageStart(start)) => {
            member(&mut line, "messageStart", start, raw);
            gateway_members::write(&mut line, start);
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
        Some(Event::Heartbeat(heartbeat)) => gateway_members::write_heartbeat(&mut line, heartbeat),
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
    value.write_members(&mut out, &Position::ROOT);
    out.json.end_object();
    let (json, _) = raw::merge(
        out.finish().0.into_string(),
        raw,
        MAX_DEPTH,
        raw::Json::Unknown,
    );
    line.key(name);
    line.raw(&json);
}
