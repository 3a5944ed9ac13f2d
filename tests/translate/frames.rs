//! A reader of event-stream frames for tests: strict about lengths only.

/// The `:event-type` and payload of each frame.
pub(crate) fn frames(mut stream: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut frames = Vec::new();
    while !stream.is_empty() {
        let total = number(&stream[0..4]);
        let (frame, rest) = stream.split_at(total);
        let headers = number(&frame[4..8]);
        let payload = &frame[12 + headers..total - 4];
        frames.push((event_type(&frame[12..12 + headers]), payload.to_vec()));
        stream = rest;
    }
    frames
}

fn event_type(mut headers: &[u8]) -> String {
    const STRING: u8 = 7;
    while let Some((&length, rest)) = headers.split_first() {
        let (name, rest) = rest.split_at(usize::from(length));
        assert_eq!(rest[0], STRING);
        let (value, rest) = rest[3..].split_at(number(&rest[1..3]));
        if name == b":event-type" {
            return String::from_utf8(value.to_vec()).unwrap();
        }
        headers = rest;
    }
    panic!("no :event-type");
}

fn number(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .fold(0, |sum, &byte| sum << 8 | usize::from(byte))
}
