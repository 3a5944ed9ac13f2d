//! Decodes frames of the event-stream encoding.

use bytes::Bytes;

use super::{
    events::with_checksums,
    input::{Input, chunks},
};
use crate::bedrock::{CorruptFrame, Frame, FrameDecoder};

/// The first byte: whether checksums are corrected, so that the decoder reads further. The second
/// byte: how the stream is split. The rest is the stream.
pub fn frames(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (correct, seed) = (input.byte(), input.byte());
    let stream = match correct % 2 {
        0 => input.rest().to_vec(),
        _ => with_checksums(input.rest()),
    };
    let whole = decode([&stream[..]]);

    // The frames do not depend on how the bytes are grouped.
    assert_eq!(decode(chunks(&stream, seed.into())), whole);
    if stream.len() < 2_000 {
        assert_eq!(decode(stream.chunks(1)), whole);
    }

    // Each frame is what a simple reader finds at its place.
    let mut rest = &stream[..];
    for frame in &whole.0 {
        let (total, headers) = (number(rest), number(&rest[4..]));
        let (bytes, after) = rest.split_at(total);
        let (checked, checksum) = bytes.split_at(total - 4);
        assert_eq!(number(checksum), crc32fast::hash(checked) as usize);
        assert_eq!(frame.payload, checked[12 + headers..]);
        let headers = &checked[12..12 + headers];
        for value in [&frame.message_type, &frame.name, &frame.error_message] {
            assert!(
                value.is_empty() || headers.windows(value.len()).any(|part| part == value),
                "{value:?} is not in the headers"
            );
        }
        rest = after;
    }
    if let Ok(at_boundary) = whole.1 {
        assert_eq!(at_boundary, rest.is_empty());
    }
}

fn number(bytes: &[u8]) -> usize {
    let (number, _) = bytes.split_first_chunk().expect("four bytes");
    u32::from_be_bytes(*number) as usize
}

/// Returns the frames, and whether the bytes end with the last one or why they do not.
fn decode<'a>(
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Frame>, Result<bool, CorruptFrame>) {
    let mut decoder = FrameDecoder::default();
    let mut frames = Vec::new();
    for chunk in chunks {
        decoder.push(Bytes::copy_from_slice(chunk));
        loop {
            match decoder.decode() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(corrupt) => return (frames, Err(corrupt)),
            }
        }
    }
    (frames, Ok(decoder.is_at_boundary()))
}
