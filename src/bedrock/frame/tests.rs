use std::{path::PathBuf, time::SystemTime};

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message as AwsMessage};
use proptest::prelude::*;

use super::*;

fn encode(message: &AwsMessage) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_message_to(message, &mut bytes).expect("AWS's own encoder takes the message");
    bytes
}

fn event(event_type: &str, payload: impl Into<Bytes>) -> AwsMessage {
    AwsMessage::new(payload.into())
        .add_header(Header::new(
            ":message-type",
            HeaderValue::String("event".into()),
        ))
        .add_header(Header::new(
            ":event-type",
            HeaderValue::String(event_type.to_owned().into()),
        ))
        .add_header(Header::new(
            ":content-type",
            HeaderValue::String("application/json".into()),
        ))
}

/// Decodes chunks. The second value is the result at the end of the stream.
fn decode(chunks: impl IntoIterator<Item = Bytes>) -> (Vec<Frame>, Result<bool, CorruptFrame>) {
    let mut decoder = FrameDecoder::default();
    let mut messages = Vec::new();
    for chunk in chunks {
        decoder.push(chunk);
        loop {
            match decoder.decode() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(corrupt) => return (messages, Err(corrupt)),
            }
        }
    }
    (messages, Ok(decoder.is_at_boundary()))
}

/// Returns a prelude with a correct checksum, even if its lengths are invalid.
fn prelude(total: u32, headers: u32) -> Bytes {
    let mut bytes = [total.to_be_bytes(), headers.to_be_bytes()].concat();
    let checksum = crc32fast::hash(&bytes);
    bytes.extend(checksum.to_be_bytes());
    bytes.into()
}

#[test]
fn a_frame_in_one_chunk_is_not_copied() {
    let bytes = Bytes::from(encode(&event(
        "messageStop",
        r#"{"stopReason":"end_turn"}"#,
    )));
    let (messages, end) = decode([bytes.clone()]);
    assert_eq!(end, Ok(true));
    assert_eq!(&*messages[0].message_type, b"event");
    assert_eq!(&*messages[0].name, b"messageStop");
    assert_eq!(&*messages[0].payload, br#"{"stopReason":"end_turn"}"#);
    assert!(bytes.as_ptr_range().contains(&messages[0].payload.as_ptr()));
}

#[test]
fn every_type_of_header_is_read_over() {
    let timestamp = SystemTime::UNIX_EPOCH.into();
    let message = AwsMessage::new(Bytes::from_static(b"{}"))
        .add_header(Header::new("true", HeaderValue::Bool(true)))
        .add_header(Header::new("false", HeaderValue::Bool(false)))
        .add_header(Header::new("byte", HeaderValue::Byte(-1)))
        .add_header(Header::new("short", HeaderValue::Int16(-2)))
        .add_header(Header::new("integer", HeaderValue::Int32(-3)))
        .add_header(Header::new("long", HeaderValue::Int64(-4)))
        .add_header(Header::new(
            "bytes",
            HeaderValue::ByteArray(Bytes::from_static(&[0xff, 0])),
        ))
        .add_header(Header::new("timestamp", HeaderValue::Timestamp(timestamp)))
        .add_header(Header::new("uuid", HeaderValue::Uuid(u128::MAX)))
        .add_header(Header::new(
            ":message-type",
            HeaderValue::String("event".into()),
        ))
        .add_header(Header::new(
            ":event-type",
            HeaderValue::String("metadata".into()),
        ));
    let (messages, end) = decode([Bytes::from(encode(&message))]);
    assert_eq!(end, Ok(true));
    assert_eq!(&*messages[0].name, b"metadata");
}

#[test]
fn lengths_that_cannot_be_are_refused_before_their_bytes_come() {
    for (total, headers, corrupt) in [
        (15, 0, CorruptFrame::Length(15)),
        (
            MAX_FRAME as u32 + 1,
            0,
            CorruptFrame::Length(MAX_FRAME as u32 + 1),
        ),
        (u32::MAX, 0, CorruptFrame::Length(u32::MAX)),
        (100, 85, CorruptFrame::HeadersLength(85)),
        (
            1 << 20,
            MAX_HEADERS as u32 + 1,
            CorruptFrame::HeadersLength(MAX_HEADERS as u32 + 1),
        ),
    ] {
        assert_eq!(decode([prelude(total, headers)]).1, Err(corrupt));
    }
}

#[test]
fn a_claim_of_many_bytes_reserves_few() {
    let mut decoder = FrameDecoder::default();
    decoder.push(prelude(MAX_FRAME as u32, 0));
    assert_eq!(decoder.decode(), Ok(None));
    assert!(decoder.partial.capacity() <= 2 * RESERVE);
    assert!(!decoder.is_at_boundary());
}

#[test]
fn a_frame_without_message_type_is_corrupt() {
    let bytes = encode(&AwsMessage::new(Bytes::from_static(b"{}")));
    assert_eq!(
        decode([Bytes::from(bytes)]).1,
        Err(CorruptFrame::MessageType)
    );
}

/// Decodes every recorded stream twice: byte by byte, and at once. `BEDROCK_GRPC_RECORDED` names
/// the folder.
#[test]
#[cfg_attr(not(recorded), ignore = "BEDROCK_GRPC_RECORDED is not set")]
fn recorded_streams_decode() {
    let folder = std::env::var_os("BEDROCK_GRPC_RECORDED").expect("the variable is set");
    let folder = PathBuf::from(folder);
    let mut streams = 0;
    for case in std::fs::read_dir(folder.join("stream")).expect("the folder has streams") {
        let path = case
            .expect("a folder can be listed")
            .path()
            .join("response.body");
        let bytes = Bytes::from(std::fs::read(&path).expect("a case has a body"));
        let (whole, end) = decode([bytes.clone()]);
        assert!(
            !whole.is_empty() && end == Ok(true),
            "{}: {end:?}",
            path.display()
        );
        let single: Vec<Bytes> = (0..bytes.len()).map(|at| bytes.slice(at..=at)).collect();
        assert_eq!(decode(single), (whole, Ok(true)), "{}", path.display());
        streams += 1;
    }
    println!("{streams} recorded streams");
    assert!(streams > 0);
}

fn messages() -> impl Strategy<Value = Vec<AwsMessage>> {
    let message = ("[a-zA-Z]{1,20}", prop::collection::vec(any::<u8>(), 0..400))
        .prop_map(|(event_type, payload)| event(&event_type, payload));
    prop::collection::vec(message, 1..6)
}

proptest! {
    #[test]
    fn cuts_change_nothing(messages in messages(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let bytes = Bytes::from(messages.iter().flat_map(encode).collect::<Vec<_>>());
        let whole = decode([bytes.clone()]);
        prop_assert_eq!(whole.0.len(), messages.len());
        prop_assert_eq!(whole.1, Ok(true));
        for (ours, theirs) in whole.0.iter().zip(&messages) {
            prop_assert_eq!(&ours.payload, theirs.payload());
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let chunks = cuts.windows(2).map(|pair| bytes.slice(pair[0]..pair[1]));
        prop_assert_eq!(decode(chunks), whole);
    }

    #[test]
    fn a_flipped_bit_never_passes(messages in messages(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let mut bytes: Vec<u8> = messages.iter().flat_map(encode).collect();
        let right = decode([Bytes::from(bytes.clone())]).0;
        let at = at.index(bytes.len());
        bytes[at] ^= 1u8 << bit;
        let (passed, end) = decode([Bytes::from(bytes)]);
        prop_assert!(end.is_err());
        prop_assert_eq!(&passed[..], &right[..passed.len()]);
    }

    #[test]
    fn an_end_inside_a_frame_is_seen(payload in prop::collection::vec(any::<u8>(), 0..400), at in any::<prop::sample::Index>()) {
        let bytes = Bytes::from(encode(&event("contentBlockDelta", payload)));
        let at = 1 + at.index(bytes.len() - 1);
        prop_assert_eq!(decode([bytes.slice(..at)]), (Vec::new(), Ok(false)));
    }

    #[test]
    fn garbage_never_panics(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..8)) {
        let _ = decode(chunks.into_iter().map(Bytes::from));
    }

    /// Checks that invalid headers, with correct checksums, do not make the parser panic.
    #[test]
    fn garbage_headers_never_panic(headers in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut bytes = prelude(OVERHEAD as u32 + headers.len() as u32, headers.len() as u32).to_vec();
        bytes.extend(headers);
        let checksum = crc32fast::hash(&bytes);
        bytes.extend(checksum.to_be_bytes());
        let _ = decode([Bytes::from(bytes)]);
    }
}
