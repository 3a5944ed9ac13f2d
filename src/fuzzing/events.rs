//! Streams of frames for other targets.

use bytes::Bytes;

use crate::bedrock::FrameDecoder;

/// Returns the stream with correct checksums, as far as its lengths make sense. A mutated frame
/// would otherwise almost never reach what follows the decoder.
pub(super) fn with_checksums(stream: &[u8]) -> Vec<u8> {
    let mut stream = stream.to_vec();
    let mut rest = &mut stream[..];
    while let Some(lengths) = rest.first_chunk::<8>() {
        let checksum = crc32fast::hash(lengths).to_be_bytes();
        let [a, b, c, d, ..] = *lengths;
        let total = u32::from_be_bytes([a, b, c, d]) as usize;
        if total < 16 || total > rest.len() {
            break;
        }
        let (frame, after) = rest.split_at_mut(total);
        frame[8..12].copy_from_slice(&checksum);
        let checksum = crc32fast::hash(&frame[..total - 4]).to_be_bytes();
        frame[total - 4..].copy_from_slice(&checksum);
        rest = after;
    }
    stream
}

/// Returns the type and the payload of each event in a stream, up to the first frame that is
/// corrupt or is not an event.
pub(super) fn events(stream: &[u8]) -> Vec<(String, Bytes)> {
    let mut decoder = FrameDecoder::default();
    decoder.push(with_checksums(stream).into());
    let mut events = Vec::new();
    while let Ok(Some(frame)) = decoder.decode() {
        if *frame.message_type != *b"event" {
            break;
        }
        let name = String::from_utf8_lossy(&frame.name).into_owned();
        events.push((name, frame.payload));
    }
    events
}
